"""The requests whose grading narrows the interval most, as a CSV for people or a judge, and read back with its scores.

Which are drawn, and with which chance (`probability`), is written before anybody grades: the estimate divides by it.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import TableRefused
from pipelines.what_if import compare, estimate, sample
from pipelines.what_if.judgeable import Judgeable
from scorer.atomic_write import replacing
from scorer.metrics import Interval

FIELDS = (
    "call",
    "probability",
    "value_of_a_dollar",
    "question",
    "llm_logged",
    "answer_logged",
    "score_logged",
    "llm_ours",
    "answer_ours",
    "score_ours",
)
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Request:
    """One drawn request. call: its place in the log (file, row). answer_ours: to be asked for; empty until it is."""

    call: str
    probability: float
    question: str
    llm_logged: str
    answer_logged: str
    llm_ours: str
    answer_ours: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Graded:
    """Scores in [0, 1] of both answers to the requests that were drawn, by call, and the value of a dollar that they were drawn at."""

    usd: float
    scores: dict[str, tuple[float, float]]
    probabilities: dict[str, float]


def draw(judged: Judgeable, usd: float, wanted: int, seed: int = 0) -> list[Request]:
    """About `wanted` requests, each by its own chance."""
    chosen_N = compare.chosen(judged, usd)
    chances_N = estimate.chances(compare.uncertain(judged, chosen_N), wanted)
    drawn = np.flatnonzero(np.random.default_rng(seed).random(len(chances_N)) < chances_N)
    return [
        Request(
            call=identity(judged, at),
            probability=float(chances_N[at]),
            question=judged.billed[at].call.text or "",
            llm_logged=judged.llms[judged.baseline_N[at]].id,
            answer_logged=(judged.billed[at].call.answer or "") if judged.stays else "",
            llm_ours=judged.llms[chosen_N[at]].id,
        )
        for at in map(int, drawn)
    ]


def identity(judged: Judgeable, at: int) -> str:
    """What a call is called in the file: the log's file and row."""
    call = judged.billed[at].call
    return f"{Path(call.file).name}:{call.row}:{at}"


def write(path: Path, requests: Sequence[Request], usd: float) -> None:
    """The file to grade; its two columns of scores are empty."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for each in requests:
            writer.writerow({name: getattr(each, name, "") for name in FIELDS} | {"value_of_a_dollar": usd})


def read(path: Path) -> Graded:
    """The file with its scores. Raises TableRefused, naming row, column and value; a row without a score is refused, for it would bias."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise TableRefused(
            f"{path}: cannot be read ({exc}).", next_step="Name the file that what-if wrote, with its scores filled in."
        ) from exc
    if not rows or (missing := [name for name in FIELDS if name not in rows[0]]):
        lacks = f"no column {missing[0]!r}" if rows else "no row"
        raise TableRefused(f"{path}: {lacks}.", next_step="Fill in the file that what-if wrote; keep its columns.")
    numbers = [
        [_number(path, at, row, name) for name in ("probability", "score_logged", "score_ours", "value_of_a_dollar")]
        for at, row in enumerate(rows, 2)
    ]
    dollars = {row[3] for row in numbers}
    if len(dollars) > 1:
        raise TableRefused(f"{path}: drawn at {len(dollars)} values of a dollar.", next_step="Grade one file at a time.")
    calls = [row["call"] for row in rows]
    return Graded(
        dollars.pop(),
        {call: (row[1], row[2]) for call, row in zip(calls, numbers, strict=True)},
        {call: row[0] for call, row in zip(calls, numbers, strict=True)},
    )


def quality(judged: Judgeable, graded: Graded) -> Interval:
    """The difference of qualities by the graded requests. Raises TableRefused where the file is of another log."""
    places = {identity(judged, at): at for at in range(len(judged.billed))}
    if unknown := [call for call in graded.scores if call not in places]:
        raise TableRefused(
            f"{unknown[0]}: no call of this log is called so.", next_step="Name the log, scorer and pool that the file was drawn from."
        )
    forecast_N = compare.forecasts(judged, compare.chosen(judged, graded.usd))
    truth_G = np.array([ours - logged for logged, ours in graded.scores.values()])
    of_all = estimate.by_graded(
        forecast_N,
        np.array([places[call] for call in graded.scores], dtype=np.intp),
        truth_G,
        np.array(list(graded.probabilities.values())),
    )
    return sample.widened(of_all, sample.margin(forecast_N, np.ones(len(forecast_N)), judged))


def _number(path: Path, at: int, row: dict[str, str], name: str) -> float:
    """A number; scores and probabilities in [0, 1]. Raises TableRefused."""
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = float("nan")
    if not value >= 0 or (name != "value_of_a_dollar" and value > 1):
        what = f"{path}: row {at}, {name}: {row[name]!r} is no number in [0, 1]."
        raise TableRefused(what, next_step="Grade every row: one that is left out would bias the estimate.")
    return value
