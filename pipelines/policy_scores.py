"""What a scorer version promises for recorded queries: as recorded where it served, by the text where it is kept, else by the embedding."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from monitoring.policies.logged_traffic import Traffic
from monitoring.policies.off_policy import Doubles
from registry import versions
from registry.errors import RegistryError
from registry.settings import Settings
from scorer import runtime
from scorer.errors import ArtifactRefused
from scorer.manifest import read_manifest

Roster = tuple[str, ...]


@dataclass(slots=True)
class Scores(Mapping[str, Mapping[str, float]]):
    """Of each LLM, by record id; held as arrays."""

    _rows: dict[str, tuple[Roster, Doubles]] = field(default_factory=dict)
    _rosters: dict[Roster, Roster] = field(default_factory=dict)

    def keep(self, record_id: str, roster: Roster, scores_L: Iterable[float]) -> None:
        """Those of one record."""
        self._rows[record_id] = self._rosters.setdefault(roster, roster), np.array(list(scores_L), dtype=np.float64)

    def __getitem__(self, record_id: str) -> Mapping[str, float]:
        roster, row = self._rows[record_id]
        return dict(zip(roster, row.tolist(), strict=True))

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def of(version: str, traffic: Traffic, settings: Settings) -> tuple[Scores | None, tuple[str, ...]]:
    """What `version` promises for each record, None where it served all of them; and what is left out of its choices.

    Raises VersionUnknown, RegistryError.
    """
    if traffic.summary.versions == {version}:
        return None, ()
    with tempfile.TemporaryDirectory(prefix="routemoa-policy-") as folder:
        loaded = runtime.load(versions.download(version, Path(folder), settings=settings))
    fingerprints = _fingerprints(traffic.summary.versions, settings)
    encoder = loaded.manifest.encoder
    found, roster = Scores(), tuple(loaded.roster)
    for record in traffic.recorded():
        if record.scorer_version == version:
            found.keep(record.id, record.roster, record.scores)
        elif record.text:
            found.keep(record.id, roster, loaded.score([record.text]).scores_QL[0])
        elif (
            len(record.embedding)
            and not loaded.manifest.text_features
            and fingerprints.get(record.scorer_version) == encoder.get("fingerprint")
        ):
            found.keep(record.id, roster, loaded.score_embedded(record.embedding[None])[0])
    new = [llm for llm in loaded.roster if llm not in traffic.summary.costs]
    return found, (f"Left out of its choices: {', '.join(new)}, no candidate of these records.",) if new else ()


def _fingerprints(numbers: set[str], settings: Settings) -> dict[str, str]:
    """Of the encoders of these versions; those that cannot be read are left out."""
    found: dict[str, str] = {}
    for number in numbers:
        try:
            found[number] = str(read_manifest(settings.var / "scorers" / number).encoder.get("fingerprint"))
        except ArtifactRefused:
            try:
                with tempfile.TemporaryDirectory(prefix="routemoa-policy-") as folder:
                    downloaded = versions.download(number, Path(folder), settings=settings)
                    found[number] = str(read_manifest(downloaded).encoder.get("fingerprint"))
            except (RegistryError, ArtifactRefused):
                continue
    return found
