"""Brings logs and result files of other tools in: `routemoa import --from FORMAT FILES`.

Every call goes to var/imported/NAME.parquet (`pipelines.logs.store`), beside a proposal of a pool. What a result file grades goes into the
query pool too, with its labels. Of a chat log others are asked about a sample, where that is wanted and paid for (--ask, --budget).
"""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pipelines import harvest_cost, params
from pipelines.errors import ImportRefused
from pipelines.imports import asking_others, llm_names, logged_rows, pool_proposal, price_list, recorded_llms
from pipelines.imports.checks import Defaults
from pipelines.imports.importing import Imported, import_rows
from pipelines.imports.report import report
from pipelines.logs import store, summary
from pipelines.logs.call import LoggedCall
from pipelines.logs.formats import FORMATS, Format
from pipelines.logs.outcomes import Scale
from pipelines.logs.private import Redacting
from pipelines.logs.progress import told
from pipelines.logs.reading import Reading
from pipelines.project import Project
from pipelines.user_files.refusals import refuse
from pipelines.user_files.tables import Table
from registry import pool
from registry.settings import Settings
from scorer.near_matches import did_you_mean


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. score: which score of the log is the outcome. ask: at most so many questions to others, for `usd`."""

    source: str
    files: Sequence[Path]
    defaults: Defaults
    prices: price_list.Prices
    add_llms: bool = False
    skip_damaged: bool = False
    score: Scale | None = None
    ask: int | None = None
    usd: float | None = None


def read(
    source: str,
    files: Sequence[Path],
    score: Scale | None = None,
    *,
    skip_damaged: bool = False,
    kept: Callable[[LoggedCall], LoggedCall] | None = None,
) -> tuple[Format, Reading]:
    """The calls in the files. kept: what is kept of a call that is somebody's; None: all of it, its texts redacted.

    Raises ImportRefused naming file, row and field.
    """
    if source not in FORMATS:
        raise ImportRefused(f"No format is called {source!r}.", next_step=did_you_mean(source, FORMATS))
    if not files:
        raise ImportRefused("Nothing to import.", next_step=f"Name the files: routemoa import --from {source} FILES")
    format_ = FORMATS[source]
    redacting = Redacting()
    reading = Reading() if format_.graded else Reading(once=True, kept=kept or redacting)
    format_.read(reading, files)
    reading.take_outcomes(score)
    if skip_damaged:
        reading.without_damaged()
    for path, complaints in reading.complaints.items():
        refuse(path, complaints, "Correct the file, or leave such rows out with --skip-damaged; nothing was imported.")
    if not reading.calls:
        left_out = ", ".join(f"{count} {reason}" for reason, count in reading.left_out.items())
        raise ImportRefused(
            f"{', '.join(map(str, files))}: holds no call{f' ({left_out})' if left_out else ''}.", next_step="Export more of the log."
        )
    if redacting.changed:
        reading.notes.append(f"{redacting.changed} texts had addresses, numbers or keys in them; these are taken out.")
    return format_, reading


def run(wanted: Wanted, settings: Settings, console: Console) -> None:
    """Reads, writes and says what came in. Raises RouteMoAError; nothing has been written then."""
    wanted.defaults.check()
    project, name = Project(settings.home), wanted.defaults.name
    everybody = pool.load(settings.pool_file)
    known = llm_names.known_to(everybody)
    format_, reading = read(wanted.source, wanted.files, wanted.score, skip_damaged=wanted.skip_damaged)
    proposal = pool_proposal.propose(reading.calls.only("llm", "provider"), recorded_llms.by_id(wanted.prices, known), known)
    offer = _asking(wanted, format_, reading, asking_others.Asking(project, everybody, params.load(project.params), wanted.defaults))
    rows = logged_rows.graded(reading.calls, wanted.files[0], wanted.defaults) if format_.graded else offer.rows if offer else None
    imported = _take(rows, wanted.defaults, project, known) if rows is not None and rows.queries.rows else None
    log, fragment = project.imported_log(name), project.imported_pool(name)
    store.write(log, told(reading.calls, "{} calls kept"), wanted.source)
    pool_proposal.write(fragment, proposal, ", ".join(path.name for path in wanted.files))
    lines = [*summary.summary(reading, format_), f"Kept in {project.name_of(log)}."]
    lines += pool_proposal.said(proposal, project.name_of(fragment))
    if wanted.add_llms:
        priced = {llm: called for llm, called in proposal.names.items() if llm in proposal.prices}
        lines += recorded_llms.add(priced, proposal.prices, settings.pool_file)
    lines += rows.notes if rows is not None else [_offered(reading, wanted, project)]
    if imported is not None:
        lines.append(report(imported, settings.pool_file))
    elif rows is not None:
        lines.append("Nothing goes into the query pool.")
    console.print("\n".join(lines), highlight=False, markup=False)
    if offer is not None:
        console.print(harvest_cost.table(offer.bills))
        console.print(_what_asks(offer, name), highlight=False, markup=False)


def _asking(wanted: Wanted, format_: Format, reading: Reading, asking: asking_others.Asking) -> asking_others.Offer | None:
    """The sample to ask others about, where that is wanted. Raises ImportRefused where it makes no sense."""
    if wanted.ask is None:
        return None
    if format_.graded:
        raise ImportRefused(f"--ask {wanted.ask}: result files hold other answers already.", next_step="Leave it out.")
    if wanted.usd is None:
        next_step = f"Say the most it may cost, in USD: --ask {wanted.ask} --budget 1"
        raise ImportRefused(f"--ask {wanted.ask}: for how much is not said.", next_step=next_step)
    return asking.within(wanted.usd, logged_rows.sample(reading.calls, wanted.files[0], wanted.ask))


def _take(rows: logged_rows.Rows, defaults: Defaults, project: Project, known: Mapping[str, str]) -> Imported:
    """Takes rows into the query pool, its answers and labels."""
    said = [row for row in rows.answers.rows if row.score is not None or row.text is not None]
    return import_rows(project, rows.queries, Table(rows.answers.path, said) if said else None, defaults, known)


def _what_asks(offer: asking_others.Offer, name: str) -> str:
    return (
        f"Nobody has been asked yet. `routemoa retrain` asks them, for about ${offer.usd:.4f}, and whatever else of the pool an LLM has "
        f"not answered; each stops at answer.budget_usd of params.yaml. To take the sample back: rm data/imported/{name}.parquet"
    )


def _offered(reading: Reading, wanted: Wanted, project: Project) -> str:
    """What is next for a log of chats: each question has one LLM's answer, so others must be asked."""
    asked = {(hash(call.text), call.llm) for call in reading.calls.only("text", "llm") if call.text}
    llms_of = Counter(text for text, _ in asked)
    if not llms_of:
        return "Without texts nobody else can be asked. Log prompts (LiteLLM: store_prompts_in_spend_logs) for a while, and import again."
    alone = f"{sum(count == 1 for count in llms_of.values()):,} of {len(llms_of):,} questions have the answer of one LLM alone"
    brought = shlex.join(["routemoa", "import", "--from", wanted.source, *map(str, wanted.files), "--name", wanted.defaults.name])
    lines = [
        f"{alone}: what another would have said is not in the log. Ask the pool about a sample, for at most what you state:",
        f"  {brought} --ask 200 --budget 1",
    ]
    judge = asking_others.grades(params.load(project.params))
    return "\n".join([*lines, f"The answers are graded by {judge}." if judge else asking_others.GRADES])
