"""What OpenCompass writes of one example: the prompt, the answer, and in which of its shapes whether it is right."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.logs.fields import repaired
from pipelines.logs.reading import objects

RIGHT = ("correct", "is_correct", "cascade_correct")
PERCENT = ("accuracy", "score", "pass@1", "cascade_accuracy")
OFF = 0.5  # points by which the mean of the labels may differ from the printed metric, which is rounded
_INDEX = re.compile(r".*_(\d{1,9})")
_VERDICT = re.compile(r"[AB]")


def asked(row: Mapping[str, Any]) -> str | None:
    """The text of the last question of a prompt: a string, or turns with the role HUMAN."""
    prompt = row.get("origin_prompt")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], list):
        prompt = prompt[-1]  # rounds of a conversation
    if isinstance(prompt, list):
        turns = [each for each in objects(prompt) if str(each.get("role")).upper() in {"HUMAN", "USER"}]
        prompt = next((text for each in reversed(turns) if (text := each.get("prompt") or each.get("content"))), None)
    return prompt if isinstance(prompt, str) and prompt.strip() else None


def answered(row: Mapping[str, Any]) -> str | None:
    """The text of the answer: of several returned ones the first."""
    prediction = row.get("prediction")
    if isinstance(prediction, list):
        prediction = prediction[0] if prediction else None
    if isinstance(prediction, dict):
        prediction = prediction.get("prediction")
    return repaired(prediction) if isinstance(prediction, str) else None


def examples(prompts: Sequence[Any]) -> int:
    """How many examples the prompts are of: a data set that was run n times stands there n times, one after the other."""
    repeats = [place for place in range(1, len(prompts)) if prompts[place] == prompts[0]]
    for size in repeats[:1]:
        if len(prompts) % size == 0 and all(prompt == prompts[place % size] for place, prompt in enumerate(prompts)):
            return size
    return len(prompts)


def correct(results: Mapping[str, Any] | None) -> dict[int, float]:
    """Place of a prediction, or index of an example -> whether it is right; none where the results do not say."""
    told = results.get("details") if results is not None else None
    if isinstance(told, list):
        return _by_example(objects(told))
    if not isinstance(told, dict):
        return {}
    rows = {int(key): row for key, row in told.items() if key.isdecimal() and len(key) < 10 and isinstance(row, dict)}
    if any("origin_prompt" in row for row in rows.values()):
        return {index: mark for index, row in rows.items() if (mark := _judged(row)) is not None}
    return {index: mark for index, row in rows.items() if (mark := _compared(row)) is not None}


def disagreement(results: Mapping[str, Any] | None, marks: Mapping[int, float]) -> str | None:
    """A sentence where the mean of the labels is not the metric that the results print."""
    metric = next((value for name in PERCENT if isinstance(value := (results or {}).get(name), int | float)), None)
    if metric is None or not marks:
        return None
    mean = 100 * sum(marks.values()) / len(marks)
    return f"its labels average {mean:.1f}, its results print {metric:.1f}." if abs(mean - metric) > OFF else None


def _by_example(rows: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Rows with lists over replicas, each with the index of its example: items that could not be parsed have no row."""
    marks: dict[int, float] = {}
    for row in rows:
        match = _INDEX.fullmatch(str(row.get("example_abbr")))
        name = next((each for each in RIGHT if each in row), None)
        if match is None or name is None:
            continue
        values = row[name] if isinstance(row[name], list) else [row[name]]
        numbers = [float(value) for value in values if isinstance(value, bool | int | float) and 0 <= value <= 1]
        if numbers and len(numbers) == len(values):
            marks[int(match[1])] = sum(numbers) / len(numbers)
    return marks


def _judged(row: Mapping[str, Any]) -> float | None:
    """The verdict of a judge: the first A or B, A for right."""
    verdict = row.get("prediction")
    match = _VERDICT.search(verdict) if isinstance(verdict, str) else None
    return None if match is None else float(match[0] == "A")


def _compared(row: Mapping[str, Any]) -> float | None:
    """Whether the extracted prediction is the reference, as strings; `correct` where the shape has it."""
    if isinstance(row.get("correct"), bool):
        return float(row["correct"])
    predicted, reference = row.get("predictions"), row.get("references")
    if predicted is None or reference is None:
        return None
    return float(str(predicted) == str(reference))
