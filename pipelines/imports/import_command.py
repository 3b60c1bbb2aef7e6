"""The command `routemoa import`: tables of queries and answers, or logs and result files of other tools (`--from`).

Files of tables (CSV, JSON, Parquet, also compressed by gzip) and exports of LiteLLM, Langfuse, ShareGPT and OpenAI's Batch API, told by
what they hold (`pipelines.user_files`). Queries need a text; answers need a query (its id in the queries file or the pool, or its text), an
LLM, and a score in [0, 1] or the answer's text.
"""

import argparse
import sys
from pathlib import Path

from pipelines.errors import ImportRefused
from pipelines.imports import llm_names, price_list, recorded_llms
from pipelines.imports.checks import Defaults
from pipelines.imports.importing import import_files
from pipelines.imports.report import report
from pipelines.logs.formats import FORMATS
from pipelines.logs.outcomes import Scale
from pipelines.project import Project
from pipelines.user_files import values
from registry import pool
from registry.settings import Settings
from scorer.errors import RouteMoAError

EXAMPLES = """examples:
  routemoa import --queries queries.csv --answers answers.csv --name capitals --grader exact --add-llms --prices prices.yaml
  routemoa import --from litellm spend.jsonl
  routemoa import --from litellm spend.jsonl --ask 50 --budget 1
"""


def main(arguments: list[str] | None = None) -> None:
    """Runs it; an error is printed, exit code 1."""
    try:
        run(arguments)
    except RouteMoAError as exc:
        sys.exit(str(exc))


def run(arguments: list[str] | None = None) -> None:
    """Reads the command line; prints what was imported and what to do next. Raises ImportRefused and others of RouteMoAError."""
    command_line = _parser().parse_args(arguments)
    settings = Settings()
    grader = str(values.grader(command_line.grader)) if command_line.grader else None
    prices = price_list.read(command_line.prices) if command_line.prices else {}
    if command_line.source is not None:
        _logs(command_line, settings, grader, prices)
    else:
        _tables(command_line, settings, grader, prices)


def _tables(command_line: argparse.Namespace, settings: Settings, grader: str | None, prices: price_list.Prices) -> None:
    if command_line.files or command_line.name is None:
        raise ImportRefused(
            f"{command_line.files[0]}: in which format is not said." if command_line.files else "The import has no name.",
            next_step=f"routemoa import --from FORMAT FILES, or --queries F --answers F --name N. Formats: {', '.join(FORMATS)}.",
        )
    known = llm_names.known_to(pool.load(settings.pool_file))
    defaults = Defaults(command_line.name, grader, command_line.domain, command_line.licence)
    imported = import_files(Project(settings.home), command_line.queries, command_line.answers, defaults, known)
    if command_line.add_llms:
        print("\n".join(recorded_llms.add(imported.llms, recorded_llms.by_id(prices, known), settings.pool_file)))
    print(report(imported, settings.pool_file))


def _logs(command_line: argparse.Namespace, settings: Settings, grader: str | None, prices: price_list.Prices) -> None:
    from rich.console import Console

    from pipelines.imports import import_logs

    if command_line.queries or command_line.answers:
        raise ImportRefused("--from and --queries or --answers are two imports.", next_step="Name the files after --from FORMAT.")
    name = command_line.name or llm_names.slug(command_line.files[0].stem if command_line.files else "") or command_line.source
    wanted = import_logs.Wanted(
        command_line.source,
        command_line.files,
        Defaults(name, grader, command_line.domain, command_line.licence),
        prices,
        add_llms=command_line.add_llms,
        skip_damaged=command_line.skip_damaged,
        score=Scale.of(command_line.score) if command_line.score else None,
        ask=command_line.ask,
        usd=command_line.budget,
    )
    import_logs.run(wanted, settings, Console(soft_wrap=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="routemoa import", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    formats = "; ".join(f"{name}: {each.what}" for name, each in FORMATS.items())
    parser.add_argument("files", nargs="*", type=Path, metavar="FILES", help="of --from: logs, result files or folders of them")
    parser.add_argument("--from", dest="source", metavar="FORMAT", help=formats.replace("%", "%%"))
    parser.add_argument("--queries", type=Path, help="CSV, JSON, Parquet or an export, with a text (query, prompt, question) a row")
    parser.add_argument("--answers", type=Path, help="CSV, JSON, Parquet or an export, with a query, an LLM and a score or an answer a row")
    parser.add_argument("--name", help="a slug for this import (with --from: else the first file's name); the same name again replaces it")
    parser.add_argument("--grader", help="of queries that have a reference and name no grader")
    parser.add_argument("--domain", help="of queries that name none")
    parser.add_argument("--licence", default="unknown", help="of queries that name none")
    parser.add_argument("--add-llms", action="store_true", help="add the LLMs to the pool as recorded ones: replayed, never called")
    parser.add_argument("--prices", type=Path, help="YAML or JSON: NAME: {input: USD, output: USD}, per million tokens, also under llms:")
    parser.add_argument("--skip-damaged", action="store_true", help="with --from: leave out rows that cannot be read, and say how many")
    parser.add_argument(
        "--score", metavar="NAME[=LOW:HIGH]", help="with --from: the score that is the outcome, and its worst and best value"
    )
    parser.add_argument("--ask", type=_count, metavar="N", help="with --from: take a sample of N questions in, to ask the pool about them")
    parser.add_argument("--budget", type=_usd, metavar="USD", help="the most that asking them may cost, as far as can be expected")
    return parser


def _count(text: str) -> int:
    """A number from 1 on. Raises ValueError."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _usd(text: str) -> float:
    """An amount. Raises ValueError."""
    amount = float(text.removeprefix("$"))
    if not 0 <= amount < float("inf"):
        raise ValueError(text)
    return amount


if __name__ == "__main__":
    main()
