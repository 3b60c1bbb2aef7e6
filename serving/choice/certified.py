"""Whether the active scorer's certificate is in force, and what that changes about a request: the value of a dollar, or who may answer.

It is in force while the operator chose so (`ROUTEMOA_CERTIFICATE__USE`), the version has one, the pool's LLMs and prices are those it was
measured with, and no verdict made it void. Else requests are answered as `ROUTEMOA_CERTIFICATE__OTHERWISE` says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate
from monitoring.certificate_void import Void
from registry.certificate import Certificate
from registry.pool import Pool
from scorer.recorded_calls import RecordedCalls
from serving.scorers.active_scorer import Active
from serving.state import State

NONE = "The active scorer version has no certificate."


class Rule(Protocol):
    """What is changed about a request before LLMs are chosen. name: for people. certified: whether a certificate says it."""

    name: ClassVar[str]
    certified: ClassVar[bool]

    def options(self, operator: Options) -> Options:
        """The operator's options under this rule; what a request asks for narrows them as ever."""

    def excluded(self, callable_llms: Iterable[str]) -> dict[str, str]:
        """Of the LLMs that could answer, those that may not, and why."""

    def candidate(self, candidate: Candidate, recorded: RecordedCalls | None) -> Candidate:
        """The candidate as this rule weighs it."""


@dataclass(frozen=True, slots=True)
class AsSet:
    """The operator's settings, unchanged."""

    name: ClassVar[str] = "the operator's settings"
    certified: ClassVar[bool] = False

    def options(self, operator: Options) -> Options:
        """Unchanged."""
        return operator

    def excluded(self, callable_llms: Iterable[str]) -> dict[str, str]:  # noqa: ARG002
        """Nobody."""
        return {}

    def candidate(self, candidate: Candidate, recorded: RecordedCalls | None) -> Candidate:  # noqa: ARG002
        """Unchanged."""
        return candidate


@dataclass(frozen=True, slots=True)
class Certified(AsSet):
    """A dollar is worth what was certified and a second nothing; costs are expected as they were then."""

    name: ClassVar[str] = "its certificate"
    certified: ClassVar[bool] = True
    usd: float

    def options(self, operator: Options) -> Options:
        """A request may still ask for a dearer dollar, a dearer second, and for fewer or other LLMs: it then leaves the certificate."""
        quality = operator.weights.quality
        return replace(operator, weights=Weights(quality, self.usd * quality, 0.0))

    def candidate(self, candidate: Candidate, recorded: RecordedCalls | None) -> Candidate:
        """With the usual length of its recorded answers."""
        return candidate if recorded is None else replace(candidate, output_tokens=max(1, round(recorded.output_tokens)))


@dataclass(frozen=True, slots=True)
class OnlyBest(AsSet):
    """The LLM that the certificate measures against answers everything, where it can."""

    name: ClassVar[str] = "its certificate's best LLM alone"
    certified: ClassVar[bool] = True
    llm: str

    def excluded(self, callable_llms: Iterable[str]) -> dict[str, str]:
        """All others, unless it could not answer itself."""
        able = set(callable_llms)
        why = f"the certificate is not in force, and {self.llm} answers meanwhile"
        return dict.fromkeys(sorted(able - {self.llm}), why) if self.llm in able else {}


@dataclass(frozen=True, slots=True)
class Standing:
    """A certificate and why it is not in force; empty: it is."""

    certificate: Certificate | None
    why_not: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any] | None:
        """JSON-ready; None where there is no certificate."""
        if self.certificate is None:
            return None
        return {**self.certificate.as_dict(), "stands": not self.why_not, "why_not_in_force": list(self.why_not)}


def standing(state: State, active: Active | None = None) -> Standing:
    """Of a scorer version's certificate, the active one's where none is named. Raises NotReady without a scorer or a pool."""
    active = active or state.active
    return of(active.certificate, active.version, state.void.value or Void(), state.llms)


def shown(state: State) -> dict[str, Any] | None:
    """For the console and /admin/scorer; None before a scorer and a pool are read."""
    if state.scorer.value is None or state.pool.value is None:
        return None
    return standing(state).as_dict()


def of(certificate: Certificate | None, version: str, void: Void, pool: Pool) -> Standing:
    """Whether the certificate of `version` stands with this pool."""
    if certificate is None:
        return Standing(None, (NONE,))
    if not certificate.certified:
        return Standing(certificate, (certificate.sentence(),))
    if void.covers(version):
        return Standing(certificate, void.reasons or ("It was declared void.",))
    return Standing(certificate, _changed(certificate.prices or {}, pool))


def rule(state: State, active: Active | None = None) -> Rule:
    """How requests are answered now by a scorer version, by the active one where none is named."""
    chosen = state.settings.certificate
    if not chosen.use:
        return AsSet()
    stands = standing(state, active)
    if not stands.why_not and stands.certificate is not None and stands.certificate.usd is not None:
        return Certified(stands.certificate.usd)
    if chosen.otherwise == "best" and stands.certificate is not None and stands.certificate.baseline:
        return OnlyBest(stands.certificate.baseline)
    return AsSet()


def _changed(measured: Mapping[str, tuple[float, float]], pool: Pool) -> tuple[str, ...]:
    """What of the pool differs from what the certificate was measured with."""
    now = datetime.now(UTC)
    prices = {llm.id: llm.price.at(now) for llm in pool.active}
    gone = [llm for llm in measured if llm not in prices]
    repriced = [llm for llm, pair in measured.items() if llm in prices and (prices[llm].input, prices[llm].output) != tuple(pair)]
    found = [(gone, "no longer in the pool"), (repriced, "of another price now")]
    return tuple(f"{', '.join(llms)}: {what}, so the certificate was measured on other choices." for llms, what in found if llms)
