"""`routemoa what-if LOGS`: reads a log, re-prices it, scores what has text, and reports what our choices would have saved and cost.

The report goes to the terminal, and to var/what-if/NAME.html and NAME.json, with NAME.grade.csv where requests are worth grading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from mixture.llm import LLM
from monitoring.drift import policy
from pipelines import json_files, params
from pipelines.errors import ImportRefused
from pipelines.imports import import_logs, llm_names
from pipelines.logs import store
from pipelines.logs.calls import Imported, Log
from pipelines.logs.outcomes import Scale
from pipelines.logs.progress import told
from pipelines.project import Project
from pipelines.what_if import asking_ours, compare, grading, history, judgeable, knowledge, next_steps, page, terminal
from pipelines.what_if.compare import Compared
from pipelines.what_if.judgeable import Judgeable
from pipelines.what_if.knowledge import Knowledge, Scorer, Texts
from pipelines.what_if.next_steps import NextSteps
from pipelines.what_if.report import Report
from pipelines.what_if.sample import Sample, slim
from pipelines.what_if.spent import Spent
from registry import certificate, pool
from registry.settings import Settings
from scorer.near_matches import did_you_mean

READ = (  # what is priced, judged and graded by
    *("file", "row", "at", "llm", "provider", "key", "session", "requests", "tier", "text", "messages", "answer", "usage", "cost_usd"),
)
SHOWN = 4  # every fourth value of a dollar is shown


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. source: the format of `logs`, None: they are imported already. floor: a share, .01 is a point."""

    logs: Sequence[str]
    source: str | None = None
    pool_file: Path | None = None
    scorer: str | None = None
    floor: float | None = None
    baseline: str | None = None
    grade: int = 100
    graded: Path | None = None
    ask_usd: float | None = None
    score: Scale | None = None
    out: Path | None = None


def run(wanted: Wanted, settings: Settings, console: Console) -> Report:
    """Reports; returns what it reported. Raises RouteMoAError naming what is wrong."""
    project = Project(settings.home)
    everybody = pool.load(wanted.pool_file or settings.pool_file)
    name, calls, left_out = _calls(wanted, project)
    scorer = knowledge.load(settings, wanted.scorer, policy.load(project.params))
    drawn = Sample(len(calls))
    billed = history.billing(told(calls.only(*READ), "{} calls priced"), everybody)
    logged = history.used(calls.only("llm", "provider"), everybody)
    spent = Spent.of(drawn.watch(billed) if scorer is not None else billed, everybody.active, logged)
    made = Report(log=name, spent=spent, lines=len(calls), left_out=left_out)
    folder = wanted.out or project.var / "what-if"
    folder.mkdir(parents=True, exist_ok=True)
    if scorer is None:
        made = replace(made, next_steps=_next(wanted, settings, everybody, name, calls))
    else:
        known = scorer.knowledge(project)
        llms = candidates(drawn.drawn, everybody, known, wanted.baseline)
        judged, why = _judged(drawn, scorer, known, llms, wanted.baseline)
        floor = wanted.floor if wanted.floor is not None else params.load(project.params).gate.floor_share
        made = judge(made, judged, known, why, floor)
        made = replace(made, baseline=wanted.baseline or "what was logged")
        made = _graded(made, judged, wanted, folder / f"{name}.grade.csv")
    terminal.show(made, console)
    page.write(folder / f"{name}.html", made)
    json_files.write(folder / f"{name}.json", made.as_dict())
    console.print(f"Written: {_shown(folder / name)}.html, {_shown(folder / name)}.json", highlight=False, markup=False)
    return made


def _next(wanted: Wanted, settings: Settings, everybody: pool.Pool, name: str, calls: Log) -> NextSteps:
    """What to do where no scorer is trained; an import is brought in again from the files that it was made of."""
    project = Project(settings.home)
    source, files = wanted.source, list(wanted.logs)
    if source is None:
        source = store.source(_imported(wanted.logs[0], project))
        files = list(dict.fromkeys(call.file for call in calls.only("file")))
    again = [*(("--from", source) if wanted.source is not None else ()), *wanted.logs]
    again += ["--pool", str(wanted.pool_file)] if wanted.pool_file is not None else []
    labelled = any(call.dataset is not None for call in calls.only("dataset"))
    log = next_steps.Log(source, files, name, again, labelled)
    projects, params_file = Path(_shown(settings.pool_file)), Path(_shown(project.params))
    parsed = params.load(project.params)
    return next_steps.steps(log, everybody, parsed, pool_file=wanted.pool_file, projects=projects, params_file=params_file)


def candidates(billed: Sequence[history.Billed], everybody: pool.Pool, known: Knowledge, baseline: str | None) -> dict[str, LLM]:
    """Who may be chosen, by id: LLMs of the roster with a price that can be asked, and those that the log used; all where none can be."""
    active = {llm.id: llm for llm in everybody.active if llm.id in known.roster and llm.price.known}
    if baseline is not None and baseline not in active:
        next_step = did_you_mean(baseline, active)
        raise ImportRefused(
            f"--baseline {baseline}: no LLM of the pool that the scorer knows and whose price is known.", next_step=next_step
        )
    used = {each.llm.id for each in billed if each.llm is not None} | ({baseline} if baseline else set())
    able = {llm_id: llm for llm_id, llm in active.items() if llm.endpoint is not None or llm_id in used}
    return able if any(llm.endpoint is not None for llm in able.values()) else active


def judge(made: Report, judged: Judgeable, known: Knowledge, why: Mapping[str, int], floor: float) -> Report:
    """The report with every setting, from the one that spends most on; the best is the last before the first that may pass the floor."""
    notes = [f"No interval: {known.why_none}. Grade the requests of the file, or train here."] if known.held_out is None else []
    if judged.unlike_N.any():
        names, counts = np.unique(judged.domains_N[judged.unlike_N], return_counts=True)
        notes.append(
            f"{judged.unlike_N.mean():.0%} of the judged calls cannot be judged yet: no labelled query is like them (nearest domain: "
            f"{names[counts.argmax()]}). The interval allows for any answer there. Grade some."
        )
    made = replace(made, scorer=known.version, judged=len(judged.billed), sessions=judged.sessions, share=judged.share)
    made = replace(made, not_judged=why, floor=floor, notes=tuple(notes))
    if not judged.billed:
        return made
    grid = [float(usd) for usd in certificate.grid(judged.expected_NL)]
    compared: list[Compared] = [compare.compare(judged, known, usd) for usd in grid]
    surely = [each.quality.low >= -floor for each in compared]
    last = surely.index(False) if False in surely else len(surely)
    best = compared[last - 1] if last else None
    shown = [each for at, each in enumerate(compared) if at % SHOWN == 0 or each is best]
    return replace(made, settings=tuple(shown), best=best)


def _judged(
    drawn: Sample, scorer: Scorer, known: Knowledge, llms: Mapping[str, LLM], baseline: str | None
) -> tuple[Judgeable, Mapping[str, int]]:
    """Scores every text once."""
    billed = drawn.drawn
    texts = list(dict.fromkeys(each.call.text for each in billed if each.call.text))
    row_of = {text: row for row, text in enumerate(texts)}
    scored = {place: row_of[each.call.text] for place, each in enumerate(billed) if each.call.text}
    nothing = Texts(np.empty((0, len(known.roster))), np.empty(0, dtype=bool), np.empty(0, dtype=np.str_), np.empty((0, 1)))
    of_texts = scorer.texts(texts) if texts else nothing
    return judgeable.judgeable(billed, scored, of_texts, known, llms, baseline=baseline, share=drawn.share)


def _graded(made: Report, judged: Judgeable, wanted: Wanted, path: Path) -> Report:
    """The report with the graded requests, or with a file to grade."""
    if wanted.graded is not None:
        graded = grading.read(wanted.graded)
        return replace(made, graded=(graded.usd, grading.quality(judged, graded)))
    at = made.best or (made.settings[0] if made.settings else None)
    if at is None or not wanted.grade:
        return made
    requests, notes = grading.draw(judged, at.value_of_a_dollar, wanted.grade), list[str]()
    if not requests:
        return replace(made, notes=(*made.notes, "Nothing to grade: every call stays with its LLM."))
    if wanted.ask_usd is not None:
        requests, notes = asking_ours.ask(requests, {llm.id: llm for llm in judged.llms}, wanted.ask_usd)
    grading.write(path, requests, at.value_of_a_dollar)
    told = f"To narrow the interval: {len(requests)} requests in {_shown(path)}. Fill in both scores, then: --graded {_shown(path)}"
    return replace(made, notes=(*made.notes, *notes, told))


def _calls(wanted: Wanted, project: Project) -> tuple[str, Log, Mapping[str, int]]:
    """A name for the log, its calls, and what was not taken as one. Raises ImportRefused, TableRefused."""
    if not wanted.logs:
        raise ImportRefused(
            "No log is named.", next_step="Name an import, or files with their format: routemoa what-if --from litellm FILES"
        )
    if wanted.source is not None:
        files = [Path(each) for each in wanted.logs]
        reading = import_logs.read(wanted.source, files, wanted.score, kept=slim)[1]
        return llm_names.slug(files[0].stem) or wanted.source, reading.calls, dict(reading.left_out)
    paths = [_imported(each, project) for each in wanted.logs]
    return llm_names.slug(paths[0].stem) or "log", Imported(paths), {}


def _imported(name: str, project: Project) -> Path:
    """The file of an imported log. Raises ImportRefused with near matches."""
    for path in (project.imported_log(name), Path(name)):
        if path.suffix == ".parquet" and path.is_file():
            return path
    there = sorted(path.stem for path in project.imported_log("x").parent.glob("*.parquet"))
    if Path(name).exists():
        raise ImportRefused(f"{name}: its format is not said.", next_step=f"Say it: routemoa what-if --from FORMAT {name}")
    raise ImportRefused(
        f"No imported log is called {name!r}.",
        next_step=did_you_mean(name, there)
        if there
        else "Import it (routemoa import --from FORMAT FILES), or name files: routemoa what-if --from FORMAT FILES",
    )


def _shown(path: Path) -> str:
    """As a person writes it who stands where the command was started."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
