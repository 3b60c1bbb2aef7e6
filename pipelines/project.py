"""Where everything of a project lies: each path under data/, build/ and var/, spelled once.

A stage's project is the folder that DVC runs it in (`stage_settings`); other commands take `Settings().home`, which is ROUTEMOA_HOME
or the current folder.
"""

from dataclasses import dataclass
from pathlib import Path

from registry.settings import Settings


def stage_settings() -> Settings:
    """Settings of a stage: its project is the current folder, whatever ROUTEMOA_HOME says.

    DVC tracks what lies there: in a copy of a project, or in the workspace of `dvc exp run --temp`, a stage must not write elsewhere.
    """
    return Settings(home=Path.cwd())


@dataclass(frozen=True, slots=True)
class Project:
    """The folder `home` that holds pool, parameters and DVC files. A property or method here is a path; nothing is made or read."""

    home: Path

    def name_of(self, path: Path) -> str:
        """`path` as a person who stands in `home` writes it."""
        return path.relative_to(self.home).as_posix()

    @property
    def params(self) -> Path:
        """How we ask, label, train and judge."""
        return self.home / "params.yaml"

    @property
    def stages(self) -> Path:
        """The stages and what each depends on."""
        return self.home / "dvc.yaml"

    @property
    def lock(self) -> Path:
        """DVC's hashes of what the stages took and made."""
        return self.home / "dvc.lock"

    @property
    def data(self) -> Path:
        """The query pool and what came from elsewhere; versioned by DVC."""
        return self.home / "data"

    @property
    def data_pin(self) -> Path:
        """DVC's hash of `data`."""
        return self.home / "data.dvc"

    @property
    def dvcignore(self) -> Path:
        """What DVC does not see: in `data`, the query pool, which is put together from the other files and from packages."""
        return self.home / ".dvcignore"

    @property
    def queries(self) -> Path:
        """The query pool (`pipelines.query_pool`)."""
        return self.data / "queries.parquet"

    @property
    def packaged(self) -> Path:
        """Which queries of the pool come from packages, by count and hash."""
        return self.data / "packaged.json"

    @property
    def harvested(self) -> Path:
        """Queries taken from served traffic."""
        return self.data / "harvested.parquet"

    @property
    def imports(self) -> Path:
        """A folder with the queries of each import."""
        return self.data / "imported"

    @property
    def recorded(self) -> Path:
        """A folder with answers, labels, splits and ids that were not made here."""
        return self.data / "recorded"

    def recorded_answers(self, llm: str) -> Path:
        """Answers of `llm` that were not bought here."""
        return self.recorded / f"{llm}.parquet"

    def recorded_labels(self, llm: str) -> Path:
        """Labels of `llm` that no grader of ours gave."""
        return self.recorded / f"{llm}.labels.parquet"

    def recorded_splits(self, name: str) -> Path:
        """The splits that the queries of the import `name` came with."""
        return self.recorded / f"{name}.splits.parquet"

    def recorded_ids(self, name: str) -> Path:
        """The ids that the queries of the import `name` came with."""
        return self.recorded / f"{name}.ids.parquet"

    @property
    def build(self) -> Path:
        """What stages make."""
        return self.home / "build"

    @property
    def import_lock(self) -> Path:
        """Held while an import is written."""
        return self.build / "importing.lock"

    def answers(self, llm: str) -> Path:
        """The ANSWERS of `llm`."""
        return self.build / "answers" / f"{llm}.parquet"

    @property
    def asking(self) -> Path:
        """Runs of the stage `answer` under way; beside the answers, not among them, for later stages depend on that folder."""
        return self.build / "asking"

    def journal(self, llm: str) -> Path:
        """Answers of a run that has not ended."""
        return self.asking / f"{llm}.jsonl"

    def bought(self, llm: str) -> Path:
        """Every answer that `llm` was ever asked for: also to another prompt, decoding or text, or to queries that left the pool."""
        return self.asking / f"{llm}.bought.parquet"

    def superseded(self, llm: str) -> Path:
        """What earlier versions kept of `bought`: the answers that were not wanted at the time."""
        return self.asking / f"{llm}.superseded.parquet"

    def asking_lock(self, llm: str) -> Path:
        """Held while `llm` is asked."""
        return self.asking / f"{llm}.lock"

    def labels(self, llm: str) -> Path:
        """The LABELS of `llm`."""
        return self.build / "labels" / f"{llm}.parquet"

    def grades(self, llm: str) -> Path:
        """What code gave the answers of `llm`; graded once."""
        return self.build / "grades" / f"{llm}.jsonl"

    def judgements(self, grader: str) -> Path:
        """What a judge or reward model was asked and gave; bought once."""
        return self.build / "judgements" / f"{grader}.jsonl"

    @property
    def validation(self) -> Path:
        """The report of the stage `validate`."""
        return self.build / "validation"

    @property
    def suspects(self) -> Path:
        """The LLM x dataset pairs whose answers look unread."""
        return self.validation / "suspects.parquet"

    @property
    def dataset(self) -> Path:
        """The assembled dataset (`pipelines.dataset`)."""
        return self.build / "dataset"

    @property
    def embeddings(self) -> Path:
        """The cache of embeddings and exported encoders (`pipelines.embeddings`)."""
        return self.build / "embeddings"

    @property
    def scorer(self) -> Path:
        """The scorer artifact of the stage `train`."""
        return self.build / "scorer"

    @property
    def training(self) -> Path:
        """Figures of the training."""
        return self.build / "train.json"

    @property
    def scorer_run(self) -> Path:
        """Which MLflow run the training began; of this machine, so not an output of DVC's."""
        return self.build / "run.json"

    @property
    def evaluation(self) -> Path:
        """Tables, plots and decisions of the stage `evaluate`."""
        return self.build / "evaluation"

    @property
    def metrics(self) -> Path:
        """Figures of the evaluation."""
        return self.build / "metrics.json"

    @property
    def headline(self) -> Path:
        """Ten of them, for `dvc metrics show`."""
        return self.build / "headline.json"

    @property
    def registered(self) -> Path:
        """Which scorer version was registered."""
        return self.build / "registered.json"

    @property
    def gate(self) -> Path:
        """The gate's result for that version."""
        return self.build / "gate.json"

    @property
    def var(self) -> Path:
        """State of this host."""
        return self.home / "var"

    def imported_log(self, name: str) -> Path:
        """The calls of the log that was imported as `name` (`pipelines.logs.store`): this host's, for users' texts are pushed nowhere."""
        return self.var / "imported" / f"{name}.parquet"

    def imported_pool(self, name: str) -> Path:
        """The pool proposed from that log."""
        return self.var / "imported" / f"{name}.pool.yaml"

    @property
    def validations(self) -> Path:
        """Past validations (`pipelines.validation.history`)."""
        return self.var / "validations"

    @property
    def records(self) -> Path:
        """Served decisions."""
        return self.var / "records.db"

    @property
    def retrain_lock(self) -> Path:
        """Held while the project is retrained."""
        return self.var / "retrain.lock"
