"""How a canary is run: which share of what it answers, what ends it, and what comes then. Tags of its version in MLflow, parsed once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from registry.errors import CanaryRefused
from registry.validation_errors import explain
from registry.version import CANARY_SINCE

PREFIX = "canary_"  # of a field's tag
Share = Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False)]
Points = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]


class CanaryPlan(BaseModel):
    """share: of sessions or keys. floor: quality (0.02 is two points) by which it may be worse and still be promoted.

    harm: it is rolled back once it is surely worse by more than that. confidence: of either end. audited: the share of its answers that
    are audited where the two versions choose differently. then: once it is surely not worse by the floor, a person promotes it, or nobody
    needs to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: Share = 0.1
    by: Literal["session", "key"] = "session"
    floor: Points = 0.02
    harm: Points = 0.0
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    audited: float = Field(default=0.2, gt=0, le=1, allow_inf_nan=False)
    then: Literal["wait", "promote"] = "wait"

    def tags(self) -> dict[str, str]:
        """As they are kept with the version."""
        return {f"{PREFIX}{name}": f"{value:g}" if isinstance(value, float) else value for name, value in self.model_dump().items()}

    @property
    def champion_audited(self) -> float:
        """The share of the champion's answers that are audited where the two choose differently: as many audits as the canary gets."""
        return min(1.0, self.audited * self.share / (1 - self.share))


def of_tags(tags: Mapping[str, str]) -> CanaryPlan:
    """What a version's tags say; what they leave out is as it is usually. Raises CanaryRefused."""
    try:
        return CanaryPlan.model_validate({name: tags[PREFIX + name] for name in CanaryPlan.model_fields if PREFIX + name in tags})
    except ValidationError as exc:
        what = f"The tags {PREFIX}... of the version say no sensible plan: {explain(exc, CanaryPlan)}"
        raise CanaryRefused(what, next_step="Correct them in MLflow, or start it by `routemoa canary VERSION`.") from exc


def since_of(tags: Mapping[str, str]) -> str:
    """When it began to answer, ISO 8601; "" where nobody noted it. Raises CanaryRefused for what is no such time, or of no zone."""
    since = tags.get(CANARY_SINCE, "")
    try:
        known = not since or datetime.fromisoformat(since).tzinfo is not None
    except ValueError:
        known = False
    if not known:
        raise CanaryRefused(
            f"The tag {CANARY_SINCE} of the version is {since!r}, no time like 2026-01-31T12:00:00+00:00.",
            next_step="Delete it in MLflow: the canary begins anew.",
        )
    return since
