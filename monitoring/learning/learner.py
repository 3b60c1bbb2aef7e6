"""Learns from the outcomes of the active scorer version, and writes what it learnt for servers to follow.

All of it is reckoned anew from the records whenever an outcome came or changed: nothing is counted twice, a late or corrected outcome
counts where it belongs, and monitors of several hosts that share records come to the same. Another scorer version starts from nothing.
"""

from dataclasses import dataclass, field
from pathlib import Path

from monitoring import certificate_void
from monitoring.learning import evidence, table
from monitoring.learning.features import Features
from monitoring.learning.learned import Learned
from monitoring.learning.residual import Prior, learn
from monitoring.learning.table import Table
from monitoring.records.store import RecordStore
from registry import local_store
from registry.settings import Settings
from scorer import artifact

VERDICT_ODDS = 10.0  # how much likelier an LLM has changed where a verdict says that traffic is not what it was


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """Of a scorer version what learning starts from: features, roster, and how many labels each LLM had."""

    version: str
    roster: tuple[str, ...]
    features: Features
    labels_L: tuple[int, ...]

    @classmethod
    def read(cls, version: str, folder: Path) -> "Trained":
        """Of the artifact in `folder`. Raises ArtifactRefused."""
        opened = artifact.open(folder)
        answers = {llm: calls.answers for llm, calls in opened.recorded_calls.items()}
        usual = max(answers.values(), default=len(opened.reference["queries_RD"]))  # of an LLM without recorded answers nobody knows
        roster = opened.manifest.roster
        features = Features.of(opened.weights, opened.reference["queries_RD"].astype("float32"))
        return cls(version, roster, features, tuple(answers.get(llm, usual) for llm in roster))


@dataclass(slots=True)
class Learner:
    """One a monitor. `step` does nothing where the operator did not turn learning on."""

    settings: Settings
    prior: Prior = field(default_factory=Prior)
    _trained: Trained | None = None
    _seen: tuple[object, ...] = ()

    def step(self) -> Table | None:
        """Learns and writes where something came since; what it wrote, else None. Raises ArtifactRefused, RecordsRefused."""
        active = None if self.settings.learning == "off" else local_store.current(self.settings.var)
        if active is None:
            return None
        store = RecordStore.of(self.settings)
        odds = VERDICT_ODDS if certificate_void.read(self._void).covers(active.version) else 1.0
        seen = (*evidence.signature(store, active.version), odds)
        if seen == self._seen:
            return None
        if self._trained is None or self._trained.version != active.version:
            self._trained = Trained.read(active.version, self.settings.var / "scorers" / active.folder)
        records, feedback = evidence.judged(store, active.version), self.settings.learning_feedback
        made = Table(
            active.version, self._trained.roster, store.now(), *of_records(self._trained, records, feedback, self.prior, odds=odds)
        )
        table.write(self.settings.var / table.NAME, made)
        self._seen = seen
        return made

    @property
    def _void(self) -> Path:
        return self.settings.var / "reports" / certificate_void.NAME


def of_records(
    trained: Trained, records: list[evidence.Judged], feedback: float, prior: Prior, *, odds: float = 1.0
) -> tuple[Learned, tuple[int, ...], tuple[int, ...]]:
    """What these records say, how many outcomes speak of each LLM, and since how many of them it may have changed."""
    outcomes = evidence.by_llm(records, trained.roster, trained.features, feedback)
    residuals = [learn(each, prior, labels, odds=odds) for each, labels in zip(outcomes, trained.labels_L, strict=True)]
    return Learned.of(trained.features, residuals), tuple(map(len, outcomes)), tuple(each.since for each in residuals)
