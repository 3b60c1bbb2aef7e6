"""A scorer version as MLflow holds it, and the names of the aliases and tags we give it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
SHADOW, CANARY = "shadow", "canary"  # beside the champion: scores its traffic, answers a share of it (`registry.beside`)
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS, SHADOW, CANARY)

CONTENT_HASH = "content_hash"  # sha256 over the artifact's files: the version's identity
ROSTER = "roster"  # LLM ids, comma-separated, in column order
GATE, GATE_REASONS, GATE_FAILING = "gate", "gate_reasons", "gate_failing"
CERTIFICATE = "certificate"  # what it promises against the best LLM, a line a domain after the first
CERTIFICATE_JSON = "certificate_json"  # all of it (`registry.certificate`)
REASON = "reason"  # why it was made, in a few words
OVERRIDE = "override"  # why a person promoted it although its gate had not passed
CHAMPION_SINCE = "champion_since"  # when it became champion last (ISO 8601, UTC): the history that rollbacks go back in
ROLLED_BACK = "rolled_back"  # a rollback left it; cleared when it is promoted again
REFUSED = "refused"  # why a host did not load it
CANARY_SINCE = "canary_since"  # when it began to answer a share (ISO 8601, UTC)
CANARY_ENDED = "canary_ended"  # when and why it no longer does
CANARY_PASSED = "canary_passed"  # what the test said that found it surely not worse by the floor
CANARY_OVERRIDE = "canary_override"  # why it answers although its gate had not passed
ARTIFACT = "artifact"  # where the scorer artifact lies within the version's files; versions without it are the artifact itself
DVC_EXPERIMENT = "dvc_exp"  # the DVC experiment that has pool, parameters, data and stages as they were
VALIDATION = "validation"  # prefix: how many expectations of the tables were broken (Great Expectations)

GateState = Literal["passed", "failed", "not run"]


@dataclass(frozen=True, slots=True)
class Version:
    """One registered scorer version.

    created_at: seconds since the epoch. source: where MLflow keeps the artifact's files.
    """

    version: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    description: str
    run_id: str
    source: str
    created_at: float

    @property
    def content_hash(self) -> str:
        """sha256 over the artifact's files."""
        return self.tags.get(CONTENT_HASH, "")

    @property
    def artifact_source(self) -> str:
        """Where MLflow keeps the scorer artifact: all that a server needs of the version."""
        inside = self.tags.get(ARTIFACT, "")
        return f"{self.source.rstrip('/')}/{inside}" if inside else self.source

    @property
    def roster(self) -> tuple[str, ...]:
        """The LLM ids it scores, in column order."""
        return tuple(filter(None, self.tags.get(ROSTER, "").split(",")))

    @property
    def gate(self) -> GateState:
        """What the promotion gate said about it last."""
        state = self.tags.get(GATE, "not run")
        return "passed" if state == "passed" else "failed" if state == "failed" else "not run"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the gate said so."""
        return tuple(filter(None, self.tags.get(GATE_REASONS, "").split("\n")))

    @property
    def failing(self) -> tuple[str, ...]:
        """Those of the reasons that speak against it; empty where a gate from before did not keep which."""
        return tuple(filter(None, self.tags.get(GATE_FAILING, "").split("\n")))

    @property
    def objections(self) -> str:
        """Why it may not become champion where its gate has not passed: the checks that failed, with how many passed."""
        if self.gate == "not run":
            return "its gate was not run."
        passed = len(self.reasons) - len(self.failing)
        if not self.failing or not passed:
            return " ".join(self.reasons)
        return f"{' '.join(self.failing)} The other {'finding is' if passed == 1 else f'{passed} findings are'} fine."


def misspelt(alias: str) -> str | None:
    """The alias of ours that somebody wrote in another case (`Champion`), None for ours as we write them and for anybody's own."""
    return alias.casefold() if alias not in ALIASES and alias.casefold() in ALIASES else None


def resolve(alias: str, aliases: Mapping[str, str]) -> str | None:
    """The number that `alias` points to, None where nothing does.

    In another case it counts too, and before the proper one: a person typed it, for the proper one did not move.
    """
    by_hand = [number for written, number in aliases.items() if misspelt(written) == alias]
    return max(by_hand, key=int) if by_hand else aliases.get(alias)
