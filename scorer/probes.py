"""Texts that show, when a scorer is loaded, whether its int8 encoder computes here what it computed where it was exported.

They are the same for all scorers, so that no user's query travels in an artifact.
"""

import numpy as np

from scorer.types import Floats

TEXTS = (
    "Is this scorer ready?",
    "A farmer has 17 sheep and buys 3 pens of 12 sheep each. He then sells a third of all his sheep. How many sheep does he have left?",
    "def running_median(values: list[float]) -> list[float]:\n    '''The median of values[: i + 1] for each i, in O(n log n).'''\n",
    "Which gas contributes most to the natural greenhouse effect?\nA. Methane\nB. Water vapour\nC. Nitrous oxide\nD. Ozone\nAnswer:",
    "Summarise: the court held that a clause printed on the back of a parking ticket was not part of the contract, for nobody read it.",
    "¿Cuál es la capital de Bolivia, y por qué hay dos respuestas?",
)
TOLERANCES = (0.005, 0.1)  # at least: more than rounding differs between processors; at most: scores a tenth off are never served
MARGIN = 2.0  # how many times the difference at export is still accepted elsewhere


def difference(scores_PL: Floats, fp32_PL: Floats) -> float:
    """The largest difference between a score and the fp32 score of the same text; 1 where a score is not a number."""
    apart = float(np.abs(scores_PL - fp32_PL).max())
    return apart if np.isfinite(apart) else 1.0


def tolerance(difference_at_export: float) -> float:
    """How far int8 scores may be from fp32 scores, given how far they were where the scorer was exported."""
    return float(np.clip(MARGIN * difference_at_export, *TOLERANCES))
