"""Which queries say nearly the same: what must not stand in training and test at once.

Texts are compared by their three-word shingles (Broder 1997), counted exactly. Shingles that many texts share belong to a template and
are left out: two sums in the same sentence are two queries, the same sum in two sentences is one.

A shingle that is left is in at most TEMPLATE texts, so the pairs that share one grow as the texts do: what is exact stays affordable at a
million texts, in less time and memory than MinHash (docs/decisions/0033-ray-does-the-work-this-process-keeps-the-books.md).
"""

import re
import unicodedata
from array import array
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
    """Near-duplicate pairs: equal but for case, spacing and Unicode form, or alike in what is not template; by their positions."""
    numbers: dict[str, int] = {}
    first: dict[bytes, int] = {}
    same, positions, shingles = [], [], []
    for here, text in enumerate(texts):
        words = [numbers.setdefault(word, len(numbers)) for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold())]
        if (at := first.setdefault(array("Q", words).tobytes(), here)) != here:
            same.append(Pair(at, here, 1.0))
            continue
        positions.append(here)
        shingles.append(_shingles(words))
    alike = [Pair(positions[left], positions[right], likeness) for left, right, likeness in _alike(shingles)] if positions else []
    return [*same, *sorted(alike, key=lambda pair: (pair.left, pair.right))]


def _shingles(words: list[int]) -> NDArray[np.int64]:
    """Hashes of the distinct shingles of a text; those of numbers are the same in every process."""
    distinct = {hash(tuple(words[at : at + WORDS])) for at in range(max(1, len(words) - WORDS + 1))}
    return np.fromiter(distinct, dtype=np.int64, count=len(distinct))


def _alike(shingles: list[NDArray[np.int64]]) -> Iterator[tuple[int, int, float]]:
    """Places (left < right) of texts whose shingles, without those of templates, are alike, and how alike."""
    from scipy.sparse import csr_array, triu

    text_S = np.repeat(np.arange(len(shingles)), [len(each) for each in shingles])
    _, shingle_S, shared_by = np.unique(np.concatenate(shingles), return_inverse=True, return_counts=True)
    texts_S = shared_by[shingle_S]
    own_T = np.bincount(text_S[texts_S <= TEMPLATE], minlength=len(shingles))
    shared_S = (texts_S > 1) & (texts_S <= TEMPLATE)
    _, column_S = np.unique(shingle_S[shared_S], return_inverse=True)
    shape = (len(shingles), int(column_S.max(initial=0)) + 1)
    has = csr_array((np.ones(int(shared_S.sum()), dtype=np.int32), (text_S[shared_S], column_S)), shape=shape)
    common = triu(has @ has.T, k=1).tocoo()
    left_P, right_P = common.coords
    likeness_P = common.data / (own_T[left_P] + own_T[right_P] - common.data)
    for pair in np.flatnonzero(likeness_P >= ALIKE):
        yield int(left_P[pair]), int(right_P[pair]), float(likeness_P[pair])
