"""What an import brought, in sentences: what came in, what was left out by row, how it is split, and what to do next."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.imports import recorded_llms
from pipelines.imports.importing import Imported
from pipelines.user_files import values
from registry import pool

SHOWN = 5  # rows named of those left out


def report(imported: Imported, pool_file: Path) -> str:
    """What was imported and what to do next, for a person."""
    missing = recorded_llms.missing(imported.llms, pool_file)
    outcomes = f"{imported.labels} labels and {imported.answers} answers of {len(imported.llms)} LLMs"
    lines = [*imported.notes, f"{imported.new_queries} new queries ({imported.known_queries} had a text already there); {outcomes}."]
    left_out = (
        (imported.contradicted, "queries, with the text of another query and another reference"),
        (imported.unasked, "answers, to queries that are left out"),
        (imported.repeated, "answers, with an LLM and a query that an earlier row has"),
        (imported.unanswered, "answers, with neither a score nor an answer"),
    )
    lines += [f"Left out: {_rows(numbers)} of the {which}." for numbers, which in left_out if numbers]
    lines += _splits(imported)
    if missing:
        lines.append(f"Not in {pool_file.name} yet: {', '.join(sorted(missing))}. Add them with --add-llms (and --prices FILE).")
    called = [llm.id for llm in pool.load(pool_file).active if llm.endpoint]
    if called:
        lines.append(
            f"`dvc repro` asks the LLMs with an endpoint what they have no answer to: {', '.join(called)}. "
            "One that should not be asked: routemoa set-llm ID --status retired."
        )
    return "\n".join([*lines, "Next: routemoa up (MLflow, where versions go), then in another terminal: dvc add data && dvc repro"])


def _splits(imported: Imported) -> Iterator[str]:
    """How the queries are split, as far as they came with a split, and what that leaves to others."""
    if not imported.splits:
        return
    counts = [f"{imported.splits[split]} {split}" for split in values.SPLITS if split in imported.splits]
    rest = imported.unsplit
    yield f"Splits as they came: {', '.join(counts)}{f'; {rest} without one, cut by hash' if rest else ''}."
    if imported.moved:
        yield f"{imported.moved} texts stand in several splits, and stay in the one farthest from training only (test before train)."
    if not rest and "validation" not in imported.splits and "train" in imported.splits:
        yield "None came for validation: some of train is used for it (assemble.shares)."
    for split in ("train", "test"):
        if not rest and split not in imported.splits:
            yield f"None came for {split}: other queries of the pool must be it, or `dvc repro` stops before it embeds anything."


def _rows(numbers: Sequence[int]) -> str:
    """The first few rows by number, and how many more."""
    first, more = ", ".join(map(str, numbers[:SHOWN])), len(numbers) - SHOWN
    return f"row{'s' if len(numbers) > 1 else ''} {first}{f' and {more} more' if more > 0 else ''}"
