"""params.yaml, parsed once at a stage's start: how we ask, label, train and judge; a key nobody reads is refused."""

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from monitoring.drift.policy import Policy
from pipelines.errors import ParamsRefused
from registry.validation_errors import explain

Opinion = Literal["judge", "reward_model", "recorded", "outcome"]  # graders whose labels may count less than 1
AUTO = "auto"
Auto = Literal["auto"]  # chosen by cross-validation on the training queries (`scorer.choosing`)
Split = str  # train, calibration, validation, test, or ood


Points = Annotated[str, Field(pattern=r"^\d{1,2}(\.\d+)?pt$")]  # of quality, a hundredth each


def points_of(text: str) -> float:
    """`1pt` is .01. Raises ValueError for what is no number of points below a hundred."""
    share = float(text.removesuffix("pt")) / 100
    if not 0 <= share < 1:
        raise ValueError(text)
    return share


class Section(BaseModel):
    """A section of params.yaml: frozen, its types strict, every key required and no other taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Answer(Section):
    """How each LLM is asked the query pool."""

    max_queries: int | None = Field(ge=1)
    budget_usd: float = Field(ge=0)
    retries: int = Field(ge=0)


class Label(Section):
    """How answers are graded.

    judge: the pool id of the LLM that grades open questions. reward_model: a sequence classifier that grades them, a Hugging Face name
    (`NAME@REVISION`) or a local folder. reliability: grader -> how much one of its labels counts in training; 1 where it is not named.
    """

    timeout_s: float = Field(gt=0)
    judge: str | None
    reward_model: str | None
    reliability: dict[Opinion, Annotated[float, Field(gt=0, le=1)]]


class Validate(Section):
    """What the tables must satisfy.

    leave_out_suspect: train without the labels of LLM x dataset pairs whose answers look unread; they are named either way.
    """

    min_coverage: float = Field(ge=0, le=1)
    leave_out_suspect: bool


class Shares(Section):
    """The share of in-domain queries each split gets."""

    train: float = Field(gt=0, lt=1)
    calibration: float = Field(ge=0, lt=1)
    validation: float = Field(ge=0, lt=1)
    test: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _whole(self) -> "Shares":
        if abs(sum(self.by_split.values()) - 1) > 1e-6:
            raise ValueError(f"shares add up to {sum(self.by_split.values()):g}, not 1")
        return self

    @property
    def by_split(self) -> MappingProxyType[Split, float]:
        """Split -> share, in the order the hash line is cut."""
        return MappingProxyType({name: getattr(self, name) for name in ("train", "calibration", "validation", "test")})


class Assemble(Section):
    """How queries are split; the `out_of_domain` domains are kept apart as `ood`."""

    shares: Shares
    out_of_domain: list[str]


class EncoderChoice(Section):
    """An encoder and the prompt that stands before each query, in place of what the encoder's own settings say (None: as these say)."""

    name: str
    prompt: str | None = None

    def __str__(self) -> str:
        """What a scorer's manifest calls its encoder: its name, and the prompt where one is set here."""
        return self.name if self.prompt is None else f"{self.name} with {self.prompt!r}"


class Train(Section):
    """How the scorer is trained (docs/method.md, section 1; `scorer.training.Plan`, `scorer.initialisation.Shrinkage`).

    encoder: one, or several, the simplest first, of which cross-validation on the training queries chooses (`scorer.choosing`).
    tags: whether the groups are what the training queries are tagged with (`pipelines.tags`). trust: whether scores far from the
    training queries are drawn towards what is good overall (`scorer.trust`).
    """

    encoder: str | EncoderChoice | Annotated[list[str | EncoderChoice], Field(min_length=1)]
    device: str
    max_tokens: int = Field(ge=8)
    seed: int
    min_labels: int = Field(ge=1)
    epochs: int = Field(ge=1)
    patience: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    dims: int = Field(ge=1)
    positives: int = Field(ge=1)
    negatives: int = Field(ge=1)
    out_group: int = Field(ge=1)
    sample_sample: float = Field(ge=0)
    labels: float = Field(ge=0)
    temperature: float = Field(gt=0)
    groups: Annotated[int, Field(ge=1)] | Auto
    softness: float = Field(gt=0)
    pseudo_labels: float = Field(gt=0)
    ridge: Annotated[float, Field(gt=0)] | Auto
    trust: bool
    text_features: bool | Auto
    tags: bool | Auto

    @property
    def encoders(self) -> tuple[EncoderChoice, ...]:
        """Those to choose from, the simplest first."""
        named = self.encoder if isinstance(self.encoder, list) else [self.encoder]
        return tuple(EncoderChoice(name=each) if isinstance(each, str) else each for each in named)


class Evaluate(Section):
    """How the scorer is judged beside its baselines."""

    bootstrap: int = Field(ge=1)
    neighbours: int = Field(ge=1)


class GateParams(Section):
    """What a challenger must show against the champion, and what its certificate is to promise.

    floor, domain_floor: quality that routing may lose against always asking the best LLM, overall and in a domain: `1pt` is .01.
    """

    margin: float = Field(ge=0, le=1)
    floor: Points
    domain_floor: Points
    confidence: float = Field(ge=0.5, lt=1)

    @property
    def floor_share(self) -> float:
        """Overall, as a share: .01 for `1pt`."""
        return points_of(self.floor)

    @property
    def domain_floor_share(self) -> float:
        """In a domain, as a share."""
        return points_of(self.domain_floor)


class Params(Section):
    """The whole file. `validate_` is the section `validate`: the plain word is taken by pydantic."""

    answer: Answer
    label: Label
    validate_: Validate = Field(alias="validate")
    assemble: Assemble
    train: Train
    evaluate: Evaluate
    gate: GateParams
    monitor: Policy


def load(path: Path) -> Params:
    """The parameters in `path`. Raises ParamsRefused, which names the key, its value and near matches."""
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise ParamsRefused(f"{path}: cannot be read ({exc}).", next_step="Run stages from the project's root; check the YAML.") from exc
    try:
        return Params.model_validate(content)
    except ValidationError as exc:
        raise ParamsRefused(f"{path}: {explain(exc, Params)}", next_step="Correct the file and run the stage again.") from exc
