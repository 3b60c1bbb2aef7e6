"""Work folders of OpenCompass 0.5.3: `TIME/predictions/LLM/DATASET.json` and, where they were graded, `TIME/results/LLM/DATASET.json`.

A label is the mean of `details` over replicas, joined by the index in `example_abbr`; where there are no details, a reference is kept
that a grader of ours can check (`--grader`). Nothing here has tokens, cost or time.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import ImportRefused
from pipelines.logs import opencompass_details as details
from pipelines.logs.call import LoggedCall
from pipelines.logs.fields import repaired
from pipelines.logs.reading import Reading, objects
from pipelines.logs.result_files import below, newest
from pipelines.user_files import content

NAME = "OpenCompass"
_PART = re.compile(r"(.+)_(\d+)")
JUDGED = "_judged-by--"  # between the LLM and its judge, in the name of a folder
Found = dict[tuple[str, str], list[Path]]  # (LLM, data set) -> the parts of its predictions, in order


def read(reading: Reading, paths: Sequence[Path]) -> None:
    """The predictions of work folders; of several runs of a data set by an LLM the newest."""
    files = [path for path in below(paths, NAME) if "predictions" in path.parts and not path.name.startswith("tmp_")]
    if not files:
        shown = ", ".join(map(str, paths))
        raise ImportRefused(
            f"{shown}: no file below a folder called predictions.", next_step="Give the folder of the run: outputs/NAME/TIME."
        )
    if judged := [path for path in files if JUDGED in str(path)]:
        reading.notes.append(f"{len(judged)} files of judges' own predictions are left out.")
        files = [path for path in files if path not in judged]
    chosen, earlier = newest(files, {path: _names(path) for path in files})
    if earlier:
        reading.notes.append(f"{earlier} prediction files of earlier runs are left out.")
    for (llm, dataset), parts in _parts(chosen).items():
        _dataset(reading, llm, dataset, parts)


def _names(path: Path) -> tuple[str, str]:
    """LLM and data set by a file's place below `predictions`; an LLM's name may hold `/`."""
    place = len(path.parts) - 1 - path.parts[::-1].index("predictions")
    inside = path.parts[place + 1 :]
    return "/".join(inside[:-1]), path.stem


def _parts(files: Sequence[Path]) -> Found:
    """The files of each LLM and data set: one, or those of a split inference, `DATASET_0`, `DATASET_1`, ... in order."""
    by_names = {_names(path): path for path in files}
    found: Found = {}
    for (llm, name), path in by_names.items():
        match = _PART.fullmatch(name)
        split = (
            match is not None and {(llm, f"{match[1]}_0"), (llm, f"{match[1]}_1")} <= by_names.keys() and (llm, match[1]) not in by_names
        )
        found.setdefault((llm, match[1] if match and split else name), []).append(path)
    return {names: sorted(paths, key=_number) for names, paths in found.items()}


def _number(path: Path) -> int:
    match = _PART.fullmatch(path.stem)
    return int(match[2]) if match else 0


def _dataset(reading: Reading, llm: str, dataset: str, parts: Sequence[Path]) -> None:
    """The calls of one LLM on one data set, each example once: of replicas the first is the answer, the label their mean."""
    rows: list[tuple[Path, int, dict[str, Any]]] = []
    for path in parts:
        document = (objects(content.documents(path)) or [{}])[0]
        items = sorted(((int(key), row) for key, row in document.items() if key.isdecimal() and len(key) < 10), key=lambda item: item[0])
        for index, row in items:
            if isinstance(row, dict):
                rows.append((path, index, row))
            else:
                reading.complain(path, index + 1, str(index), "is no object")
        if not items:
            reading.complain(path, 1, "0", "is missing: predictions are an object by number")
    results = _results(reading, parts[0])
    marks = details.correct(results)
    size = details.examples([row.get("origin_prompt") for _, _, row in rows])
    correct = _over_replicas(marks, size) if max(marks, default=0) < len(rows) else {}
    if results is not None and not correct:
        reading.notes.append(f"{dataset} of {llm}: its results say of no example whether it is right.")
    if (told := details.disagreement(results, correct)) is not None:
        reading.notes.append(f"{dataset} of {llm}: {told}")
    for place, (path, index, row) in enumerate(rows[:size]):
        text = details.asked(row)
        if text is None:
            reading.skip("examples without a prompt (PPL and CLP keep none of their own)")
            continue
        reading.keep(
            LoggedCall(
                str(path),
                index + 1,
                call_id=f"{dataset}-{place}",
                llm=llm,
                text=repaired(text),
                answer=details.answered(row),
                outcome=correct.get(place),
                outcome_name="correct" if place in correct else None,
                dataset=dataset,
                reference=_reference(row.get("gold")),
                rest={name: value for name, value in row.items() if name not in {"origin_prompt", "prediction", "gold"}},
            )
        )


def _over_replicas(marks: Mapping[int, float], size: int) -> dict[int, float]:
    """Example -> the mean of its replicas' marks; the prediction of replica r of example i is the r * size + i th."""
    by_example: dict[int, list[float]] = {}
    for place, mark in marks.items():
        by_example.setdefault(place % size, []).append(mark)
    return {example: sum(each) / len(each) for example, each in by_example.items()}


def _results(reading: Reading, predictions: Path) -> Mapping[str, Any] | None:
    """The results that belong to a file of predictions; None where it was not graded."""
    place = len(predictions.parts) - 1 - predictions.parts[::-1].index("predictions")
    below_ = predictions.parts[place + 1 :]
    whole = Path(*predictions.parts[:place], "results", *below_)
    unsplit = whole.with_name(f"{match[1]}.json") if (match := _PART.fullmatch(whole.stem)) else whole
    path = next((each for each in (whole, unsplit) if each.exists()), None)
    if path is None:
        return None
    document = next(iter(objects(content.documents(path))), None)
    if document is None:
        reading.complain(path, 1, "*", "is no object")
    return document


def _reference(gold: Any) -> str | None:
    if isinstance(gold, list) and len(gold) == 1:
        gold = gold[0]
    return repaired(str(gold)) if isinstance(gold, str | int | float) and not isinstance(gold, bool) else None
