"""What a scorer version knows, for a what-if: scores of texts, which are far from its training, how wrong it is on labelled queries."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monitoring.drift import profile
from monitoring.drift.novelty import novelty
from monitoring.drift.policy import Policy
from monitoring.drift.profile import ReferenceProfile
from monitoring.errors import ProfileRefused
from pipelines import dataset, tables
from pipelines.errors import TableRefused
from pipelines.logs.progress import told
from pipelines.project import Project
from pipelines.scorer_artifact import dataset_sha256
from registry import local_store, versions
from registry.settings import Settings
from scorer import runtime
from scorer.recorded_calls import RecordedCalls
from scorer.runtime import RuntimeScorer

AT_ONCE = 1_000  # texts that are scored together
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """N texts: scores_NL by the roster, which are far from every training query, the domain of the nearest of these, and their vectors."""

    scores_NL: Values
    far_N: NDArray[np.bool_]
    domains_N: NDArray[np.str_]
    vectors_ND: Values

    @classmethod
    def joined(cls, parts: Sequence["Texts"]) -> "Texts":
        """One after the other."""
        return cls(*(np.concatenate([getattr(part, name.name) for part in parts]) for name in fields(cls)))

    def of(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Texts":
        """Some of them."""
        return Texts(self.scores_NL[rows], self.far_N[rows], self.domains_N[rows], self.vectors_ND[rows])


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Labelled queries that the scorer was not trained on, none far: labels_ML, and tokens of the answers, NaN where nobody knows."""

    texts: Sequence[str]
    scored: Texts
    labels_ML: Values
    inputs_ML: Values
    outputs_ML: Values


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """A scorer version. held_out: None where there is none of its own, for the reason `why_none`. recorded: by LLM id."""

    version: str
    roster: tuple[str, ...]
    recorded: Mapping[str, RecordedCalls]
    held_out: HeldOut | None
    why_none: str = ""


class Scorer:
    """A loaded scorer version and its reference."""

    def __init__(self, version: str, loaded: RuntimeScorer, reference: ReferenceProfile | None, rules: Policy) -> None:
        self.version, self.loaded, self._reference, self._rules = version, loaded, reference, rules

    def texts(self, texts: Sequence[str]) -> Texts:
        """Scores of these texts. Without a reference none is far, and no domain is known."""
        starts = told(range(0, max(len(texts), 1), AT_ONCE), f"{{}} times {AT_ONCE} texts of {len(texts):,} scored", step=1)
        return Texts.joined([self._texts(texts[at : at + AT_ONCE]) for at in starts])

    def _texts(self, texts: Sequence[str]) -> Texts:
        prediction = self.loaded.score(texts)
        scores_NL, vectors_ND = prediction.scores_QL.astype(np.float64), prediction.queries_QD.astype(np.float64)
        if self._reference is None or len(self._reference.held_queries_HD) == 0:
            return Texts(scores_NL, np.zeros(len(texts), dtype=bool), np.full(len(texts), "unknown"), vectors_ND)
        far = novelty(prediction.queries_QD, self._reference, k=self._rules.neighbours, quantile=self._rules.novel_quantile)
        return Texts(scores_NL, far.novel_N, far.domains_N(self._reference), vectors_ND)

    def knowledge(self, project: Project) -> Knowledge:
        """With its held-out queries: the test split of the dataset that it was trained on, where that lies in build/dataset."""
        held_out, why = self._held_out(project)
        return Knowledge(self.version, self.loaded.roster, self.loaded.recorded_calls, held_out, why)

    def _held_out(self, project: Project) -> tuple[HeldOut | None, str]:
        try:
            if dataset_sha256(project.dataset) != self.loaded.manifest.dataset_sha256:
                return None, "build/dataset is not the dataset that this version was trained on"
            data = dataset.load(project.dataset)
        except (TableRefused, OSError):
            return None, "there is no build/dataset with labelled queries"
        data = data.columns(np.isin(np.array(data.roster), self.loaded.roster)).take("test").labelled(2)
        tokens = [_of_answers(project.dataset, data, name) for name in ("input_tokens", "output_tokens")]
        if not len(data.queries):
            return None, "no test query of build/dataset is labelled for two LLMs"
        texts = data.queries["text"].tolist()
        scored = self.texts(texts)
        near_M = ~scored.far_N
        kept = [text for text, near in zip(texts, near_M, strict=True) if near]
        return HeldOut(kept, scored.of(near_M), data.labels_QL[near_M], *(grid_ML[near_M] for grid_ML in tokens)), ""


def _of_answers(folder: Path, data: dataset.Dataset, name: str) -> Values:
    """A column of the answers' table, queries by LLMs as in `data`; its pairs are unique, or the dataset would not have loaded."""
    meta = tables.read(folder / "answers_meta.parquet", dataset.ANSWERS_META)
    grid = meta.pivot_table(index="query_id", columns="llm", values=name).reindex(index=data.queries["query_id"], columns=list(data.roster))
    return grid.to_numpy(dtype=np.float64)


def load(settings: Settings, wanted: str | None, rules: Policy) -> Scorer | None:
    """The version `wanted` (a number or an alias in MLflow), else the one that serves here, else build/scorer; None where there is none.

    Raises VersionUnknown, ArtifactRefused.
    """
    if wanted is not None:
        with tempfile.TemporaryDirectory(prefix="routemoa-what-if-") as folder:
            version = versions.find(wanted, settings=settings)
            return _opened(f"version {version.version}", versions.download(version, Path(folder), settings=settings), rules)
    current = local_store.current(settings.var)
    if current is not None:
        return _opened(f"version {current.version}, which serves here", settings.var / "scorers" / current.folder, rules)
    project = Project(settings.home)
    return _opened("build/scorer", project.scorer, rules) if project.scorer.is_dir() else None


def _opened(name: str, folder: Path, rules: Policy) -> Scorer:
    try:
        reference = profile.read(folder)
    except ProfileRefused:
        reference = None
    return Scorer(name, runtime.load(folder), reference, rules)
