"""What to type where no scorer is trained, so that others' answers become known: commands that run as they stand."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixture.llm import LLM
from pipelines.params import Params
from registry.pool import Pool

QUESTIONS = 200
BUDGET_USD = 10
RETRAIN = "routemoa retrain  # a job of the worker that `routemoa up` starts: it asks, grades and trains; then this again:"


@dataclass(frozen=True, slots=True)
class NextSteps:
    """why: what they are for, as an end of a sentence. commands: to type, in their order; a `#` starts a remark."""

    why: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """How the log was named: its format, files, the name of its import. again: the words of this what-if. labelled: a result file."""

    source: str
    files: Sequence[str]
    name: str
    again: Sequence[str]
    labelled: bool

    @property
    def brought(self) -> str:
        """The start of the import."""
        return shlex.join(["routemoa", "import", "--from", self.source, *self.files, "--name", self.name])


def steps(log: Log, pool: Pool, parsed: Params, *, pool_file: Path | None, projects: Path, params_file: Path) -> NextSteps:
    """Of a log, or of a result file. pool_file: the one that was named, where it is not the project's own, `projects`."""
    again = shlex.join(["routemoa", "what-if", *log.again])
    own = shlex.quote(str(projects))
    copied = pool_file is not None and pool_file.resolve() != projects.resolve()
    takes = [f"cp {own} {own}.bak && cp {shlex.quote(str(pool_file))} {own}  # import and retrain ask the project's pool"] if copied else []
    if log.labelled:
        why = "unknown until a scorer has learned from the labels of this file:"
        return NextSteps(why, (*takes, f"{log.brought} --add-llms", RETRAIN, again))
    able = {llm.id: llm for llm in pool.active if llm.endpoint is not None}
    if not able:
        return NextSteps("unknown, for no LLM of the pool has an endpoint to ask. Add one: routemoa add-llm.", ())
    why = f"unknown until answers to up to {QUESTIONS} of your questions are graded:"
    asks = (
        f"{log.brought} --ask {QUESTIONS} --budget {BUDGET_USD}  # USD; it says how many questions that pays for, before anybody is asked"
    )
    return NextSteps(why, (*takes, *_grades(able, pool, params_file, parsed), asks, RETRAIN, again))


def _grades(able: Mapping[str, LLM], pool: Pool, params_file: Path, parsed: Params) -> list[str]:
    """Sets the judge where none is set that the pool has, nor a reward model: the dearest LLM that can be asked."""
    label = parsed.label
    if label.reward_model or label.judge in {llm.id for llm in pool.llms}:
        return []
    priced = [llm for llm in able.values() if llm.price.known] or list(able.values())
    judge = max(priced, key=lambda llm: llm.price.output).id
    return [f"sed -i.bak 's/^  judge:.*/  judge: {judge}/' {shlex.quote(str(params_file))}  # label.judge: who grades; any id of the pool"]
