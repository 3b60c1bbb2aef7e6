"""LLMRouterBench's `results/bench/DATASET/SPLIT/LLM/TIME.json`: each record is a graded call."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.reading import Reading, expect, objects
from pipelines.logs.result_files import below, newest
from pipelines.user_files import content

NAME = "LLMRouterBench's results"


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """The records of result files; of several runs of a data set by an LLM the newest."""
    files = list(below(paths, NAME))
    chosen, earlier = newest(files, {path: tuple(path.parts[-4:-1]) for path in files})
    if earlier:
        reading.notes.append(f"{earlier} result files of earlier runs are left out.")
    splits = set()
    for path in chosen:
        dataset, split, llm = (*[""] * 3, *path.parts[:-1])[-3:]
        splits.add(split)
        for document in objects(content.documents(path)):
            expect(path, reading.fields(path, 1, document), NAME, ("records",))
            _records(reading, path, document, dataset, llm)
    reading.notes.append(
        f"The folders' splits ({', '.join(sorted(splits))}) are those of the data sets, not of a router: queries are cut by hash."
    )


def _records(reading: Reading, path: Path, document: dict[str, object], dataset: str, llm: str) -> None:
    """The records of a file, by their place in it."""
    for number, record in enumerate(objects(reading.fields(path, 1, document).items("records")), start=1):
        row = reading.fields(path, number, record)
        expect(path, row, NAME, ("origin_query", "prompt"), ("score",))
        score = row.within("score", 0.0, 1.0)
        reading.keep(
            LoggedCall(
                str(path),
                number,
                call_id=f"{dataset}-{row.text('index') or number}",
                llm=row.text("llm", "model") or llm,
                text=row.text("origin_query", "prompt"),
                answer=row.text("raw_output", "prediction"),
                usage=LoggedUsage(row.count("prompt_tokens"), None, None, row.count("completion_tokens")),
                cost_usd=row.usd("cost"),
                latency_s=row.seconds("time_taken"),
                outcome=score,
                outcome_name="score" if score is not None else None,
                dataset=dataset,
                reference=row.text("ground_truth") if isinstance(row.raw("ground_truth"), str | int | float) else None,
                rest=row.rest(),
            )
        )
