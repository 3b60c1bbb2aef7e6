"""Which queries say nearly the same: what must not stand in training and test at once.

Texts are compared by their three-word shingles (Broder 1997), counted exactly. Shingles that many texts share belong to a template and
are left out: two sums in the same sentence are two queries, the same sum in two sentences is one.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORDS = 3  # in a shingle
ALIKE = 0.8  # Jaccard similarity from which two texts are near-duplicates
TEMPLATE = 10  # distinct texts that share a shingle before it counts as a template's
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two queries (their positions, left < right) and how alike their texts are, in [0, 1]."""

    left: int
    right: int
    likeness: float


def groups(texts: Sequence[str]) -> NDArray[np.intp]:
    """A group number for each text; near-duplicates, and near-duplicates of those, share one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    alike = pairs(texts)
    edges = coo_array((np.ones(len(alike)), ([pair.left for pair in alike], [pair.right for pair in alike])), shape=(len(texts),) * 2)
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.intp)


def pairs(texts: Sequence[str]) -> list[Pair]:
    """Near-duplicate pairs: equal but for case, spacing and Unicode form, or alike in what is not template."""
    first: dict[tuple[str, ...], int] = {}
    same = [Pair(at, here, 1.0) for here, text in enumerate(texts) if (at := first.setdefault(_words(text), here)) != here]
    return [*same, *_alike(list(first), list(first.values()))]


def _words(text: str) -> tuple[str, ...]:
    """The words, numbers and signs of a text, folded."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _alike(distinct: list[tuple[str, ...]], positions: list[int]) -> Iterator[Pair]:
    """Pairs of distinct texts whose shingles (without those of templates) are alike."""
    from scipy.sparse import csr_array, triu

    shingles = [{words[at : at + WORDS] for at in range(max(1, len(words) - WORDS + 1))} for words in distinct]
    shared_by = Counter(shingle for each in shingles for shingle in each)
    own = [{shingle for shingle in each if shared_by[shingle] <= TEMPLATE} for each in shingles]
    columns = {shingle: column for column, shingle in enumerate(key for key, count in shared_by.items() if 1 < count <= TEMPLATE)}
    rows, at = [], []
    for row, each in enumerate(own):
        shared = [columns[shingle] for shingle in each if shingle in columns]
        rows += [row] * len(shared)
        at += shared
    has = csr_array((np.ones(len(rows), dtype=np.int32), (rows, at)), shape=(len(own), max(len(columns), 1)))
    common = triu(has @ has.T, k=1).tocoo()
    for left, right, both in zip(*common.coords, common.data, strict=True):
        likeness = float(both) / (len(own[left]) + len(own[right]) - int(both))
        if likeness >= ALIKE:
            yield Pair(positions[left], positions[right], likeness)
