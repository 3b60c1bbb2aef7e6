"""Features of a query's text that its embedding hardly holds: lengths, kinds of characters, listed choices, code.

Twelve numbers that need no encoder. They follow the embedding in a query's vector, on a scale that is the same for every pool: rounded
means and standard deviations over choice questions, mathematics, code and open questions.
"""

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scorer.types import Floats

LONGEST = 20_000  # characters, from the end: what is asked stands there
WEIGHT = 0.7  # length of all features together at one standard deviation each; the embedding has length 1
FURTHEST = 4.0  # standard deviations
NAMES = ("length", "words", "question marks", "choices", "signs", "brackets", "lines", "digits", "capitals", "def", "backslash", "dollar")
MEAN_F = np.array([5.6, 3.9, 0.45, 1.3, 0.018, 0.013, 0.016, 0.045, 0.04, 0.07, 0.1, 0.15])
SPREAD_F = np.array([1.0, 0.9, 0.37, 1.0, 0.042, 0.028, 0.018, 0.065, 0.035, 0.25, 0.3, 0.35])
_CHOICE = re.compile(r"^[ \t]*\(?[A-J][).:]", re.MULTILINE)
_THERE = ("def ", "\\", "$")
_KINDS = {"signs": "+-*/=<>^\\${}", "brackets": "()[]{};:", "lines": "\n", "digits": "0123456789", "capitals": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_KIND_128K = np.array([[chr(code) in signs for signs in _KINDS.values()] for code in range(128)], dtype=np.float64)


def identity() -> str:
    """A hash of what is counted and on what scale: vectors with another identity cannot be compared."""
    counted_ = (NAMES, _CHOICE.pattern, _THERE, _KINDS, MEAN_F.tolist(), SPREAD_F.tolist(), WEIGHT, FURTHEST, LONGEST)
    return hashlib.sha256(repr(counted_).encode()).hexdigest()[:16]


def beside(queries_QD: Floats, texts: Sequence[str]) -> Floats:
    """The vectors of queries: their embeddings, each followed by the features of its text."""
    return np.concatenate([queries_QD, np.stack([features(text) for text in texts])], axis=1)


def features(text: str) -> Floats:
    """features_F of one text: standard deviations from the mean, at most FURTHEST, times WEIGHT / sqrt(F)."""
    apart_F = (counted(text) - MEAN_F) / SPREAD_F
    return np.asarray(np.clip(apart_F, -FURTHEST, FURTHEST) * (WEIGHT / len(NAMES) ** 0.5), dtype=np.float32)


def counted(text: str) -> NDArray[np.float64]:
    """The features before scaling: logarithms of counts, shares of the characters, and whether a sign occurs."""
    text = text[-LONGEST:]
    codes_C = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ascii_C = codes_C[codes_C < len(_KIND_128K)]
    shares_K = np.bincount(ascii_C, minlength=len(_KIND_128K)) @ _KIND_128K / max(len(codes_C), 1)
    counts = [len(text), len(text.split()), text.count("?"), len(_CHOICE.findall(text))]
    there = [sign in text for sign in _THERE]
    return np.concatenate([np.log1p(counts), shares_K, there])
