"""What a look at a query's text tells beside its embedding: lengths, kinds of characters, listed choices, code.

Twelve numbers that need no encoder, and that an encoder of a few dozen tokens hardly sees. They stand after the embedding in a query's
vector, on a scale that is the same for every pool: rounded means and spreads over choice questions, mathematics, code and open questions.
"""

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scorer.types import Floats

LONGEST = 20_000  # characters, from the end: what is asked stands there
WEIGHT = 0.7  # length of all looks together at one spread each, the embedding's being 1
FURTHEST = 4.0  # spreads
NAMES = ("length", "words", "question marks", "choices", "signs", "brackets", "lines", "digits", "capitals", "def", "backslash", "dollar")
MEAN_F = np.array([5.6, 3.9, 0.45, 1.3, 0.018, 0.013, 0.016, 0.045, 0.04, 0.07, 0.1, 0.15])
SPREAD_F = np.array([1.0, 0.9, 0.37, 1.0, 0.042, 0.028, 0.018, 0.065, 0.035, 0.25, 0.3, 0.35])
_CHOICE = re.compile(r"^[ \t]*\(?[A-J][).:]", re.MULTILINE)
_THERE = ("def ", "\\", "$")
_KINDS = {"signs": "+-*/=<>^\\${}", "brackets": "()[]{};:", "lines": "\n", "digits": "0123456789", "capitals": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_KIND_128K = np.array([[chr(code) in signs for signs in _KINDS.values()] for code in range(128)], dtype=np.float64)


def identity() -> str:
    """Of what is counted and on what scale: vectors made with another one are others."""
    counted_ = (NAMES, _CHOICE.pattern, _THERE, _KINDS, MEAN_F.tolist(), SPREAD_F.tolist(), WEIGHT, FURTHEST, LONGEST)
    return hashlib.sha256(repr(counted_).encode()).hexdigest()[:16]


def beside(queries_QD: Floats, texts: Sequence[str]) -> Floats:
    """The vectors of queries: their embeddings with their looks after them."""
    return np.concatenate([queries_QD, np.stack([looks(text) for text in texts])], axis=1)


def looks(text: str) -> Floats:
    """looks_F of one text: spreads from the mean, at most FURTHEST of them, times WEIGHT / sqrt(F)."""
    apart_F = (counted(text) - MEAN_F) / SPREAD_F
    return np.asarray(np.clip(apart_F, -FURTHEST, FURTHEST) * (WEIGHT / len(NAMES) ** 0.5), dtype=np.float32)


def counted(text: str) -> NDArray[np.float64]:
    """The numbers as they are: logarithms of counts, shares of the characters, and whether something is there."""
    text = text[-LONGEST:]
    codes_C = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    known_C = codes_C[codes_C < len(_KIND_128K)]
    shares_K = np.bincount(known_C, minlength=len(_KIND_128K)) @ _KIND_128K / max(len(codes_C), 1)
    counts = [len(text), len(text.split()), text.count("?"), len(_CHOICE.findall(text))]
    there = [sign in text for sign in _THERE]
    return np.concatenate([np.log1p(counts), shares_K, there])
