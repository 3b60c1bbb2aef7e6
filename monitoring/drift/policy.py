"""When a verdict says watch or retrain: the section `monitor` of params.yaml, parsed once into a frozen policy."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from monitoring.errors import PolicyRefused
from registry.validation_errors import explain


class Policy(BaseModel):
    """Thresholds of the verdict. Every share and probability is in [0, 1], every time in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    window: int = Field(ge=10)
    first_look: int = Field(ge=10)
    alpha: float = Field(gt=0, lt=0.5)
    permutations: int = Field(ge=99)
    seed: int
    neighbours: int = Field(ge=1)
    novel_quantile: float = Field(gt=0.5, lt=1)
    novel_share_watch: float = Field(ge=0, le=1)
    novel_share_retrain: float = Field(ge=0, le=1)
    audit_share: float = Field(ge=0, le=1)
    audit_usd_per_day: float = Field(ge=0)
    promise_tolerance: float = Field(ge=0, le=0.5)
    quality_drop_retrain: float = Field(ge=0, le=1)
    interval_s: float = Field(gt=0)
    cool_down_s: float = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "Policy":
        for low, high in (
            ("first_look", "window"),
            ("novel_share_watch", "novel_share_retrain"),
            ("promise_tolerance", "quality_drop_retrain"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)}) is above {high} ({getattr(self, high)})")
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """The sizes at which a window is judged: from `first_look`, half as many again each time, up to `window`."""
        sizes = [self.first_look]
        while sizes[-1] < self.window:
            sizes.append(min(self.window, -(-sizes[-1] * 3 // 2)))
        return tuple(sizes)

    @property
    def alpha_per_look(self) -> float:
        """What each look may spend of the window's probability of a false alarm, `alpha`: an equal part."""
        return self.alpha / len(self.looks)


def load(path: Path) -> Policy:
    """The policy in params file `path`. Raises PolicyRefused, which names the key and its value."""
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        return Policy.model_validate(content["monitor"])
    except ValidationError as exc:
        raise PolicyRefused(f"{path}: {explain(exc, Policy, where='monitor')}", next_step="Correct the file.") from exc
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise PolicyRefused(f"{path}: cannot be read ({exc}).", next_step="Run from the project's root; check the YAML.") from exc
    except (KeyError, TypeError) as exc:
        raise PolicyRefused(f"{path}: no section `monitor`.", next_step="Copy it from the repository's params.yaml.") from exc
