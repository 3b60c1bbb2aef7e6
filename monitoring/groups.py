"""What the unknown is: novel queries grouped by their embeddings, each group with its size, figures, words and most central queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten

import numpy as np

from monitoring.novelty import Novelty, Rows
from monitoring.profile import Floats, Names, ReferenceProfile
from monitoring.record import Record, is_audited

SMALLEST = 5  # queries of a group (HDBSCAN's min_cluster_size)
EXAMPLES = 3
WORDS = 5
WORD = r"(?u)\b[^\W\d_]{3,}\b"
TEXT = 100  # characters of an example that are shown


@dataclass(frozen=True, slots=True)
class Example:
    """A query of a group: the decision by which it is found again, its text where the operator keeps texts, how far it is from training."""

    decision_id: str
    text: str | None
    distance: float


@dataclass(frozen=True, slots=True)
class Group:
    """Novel queries that are alike; `scattered` are those that are like no other.

    share: of all queries of the window. tags: what callers called them. nearest: the known domains they are nearest to, most first.
    promised: mean promise. audited: how many were audited, and their mean outcome. words: those that mark the group, where texts are kept.
    examples: the most central queries first.
    """

    name: str
    queries: int
    share: float
    tags: tuple[str, ...]
    nearest: tuple[str, ...]
    promised: float
    audited: tuple[int, float | None]
    cost_usd: float
    words: tuple[str, ...]
    examples: tuple[Example, ...]


def group(records: Sequence[Record], queries_ND: Floats, novelty: Novelty, profile: ReferenceProfile) -> tuple[Group, ...]:
    """The groups among the novel of N records, the largest first and `scattered` last; none where fewer than SMALLEST are novel."""
    novel_M = np.flatnonzero(novelty.novel_N)
    if len(novel_M) < SMALLEST:
        return ()
    from sklearn.cluster import HDBSCAN

    places_M = HDBSCAN(min_cluster_size=SMALLEST, copy=True, allow_single_cluster=True).fit_predict(queries_ND[novel_M])
    members = [novel_M[places_M == place] for place in range(places_M.max() + 1)]
    members.sort(key=len, reverse=True)
    named = [(f"unknown {number}", rows) for number, rows in enumerate(members, 1)]
    if len(alone := novel_M[places_M < 0]):
        named.append(("scattered", alone))
    words = _marking_words([[records[row].text or "" for row in rows] for _, rows in named])
    traffic = _Traffic(records, queries_ND, novelty, novelty.domains_N(profile))
    return tuple(_measured(name, rows, traffic, mark) for (name, rows), mark in zip(named, words, strict=True))


def lines(group: Group) -> list[str]:
    """What a person reads of a group: one line of figures, then its examples."""
    called = f" called {', '.join(group.tags)}" if group.tags else f" (nearest: {', '.join(group.nearest)})"
    audited, outcome = group.audited
    judged = f", {audited} audited at {outcome:.2f}" if outcome is not None else ""
    words = f": {', '.join(group.words)}" if group.words else ""
    figures = f"{group.name}{called}, {group.queries} queries ({group.share:.0%}), promised {group.promised:.2f}{judged}{words}"
    return [figures, *(f"    {example.decision_id}  {_shown(example.text)}" for example in group.examples)]


def _shown(text: str | None) -> str:
    return "text not kept (ROUTEMOA_STORE_TEXT)" if text is None else shorten(" ".join(text.split()), TEXT, placeholder=" …")


@dataclass(frozen=True, slots=True, eq=False)
class _Traffic:
    records: Sequence[Record]
    queries_ND: Floats
    novelty: Novelty
    nearest_N: Names


def _measured(name: str, rows_M: Rows, traffic: _Traffic, words: tuple[str, ...]) -> Group:
    members, queries_MD = [traffic.records[row] for row in rows_M], traffic.queries_ND[rows_M]
    outcomes = [record.outcome.score for record in members if is_audited(record) and record.outcome is not None]
    central = np.argsort(-(queries_MD @ queries_MD.mean(axis=0)), kind="stable")[:EXAMPLES]
    return Group(
        name=name,
        queries=len(members),
        share=len(members) / len(traffic.records),
        tags=_most_frequent([record.domain for record in members if record.domain]),
        nearest=_most_frequent(traffic.nearest_N[rows_M].tolist()),
        promised=float(np.mean([record.predicted or 0.0 for record in members])),
        audited=(len(outcomes), float(np.mean(outcomes)) if outcomes else None),
        cost_usd=float(sum(record.cost_usd for record in members)),
        words=words,
        examples=tuple(Example(members[at].id, members[at].text, float(traffic.novelty.distances_N[rows_M[at]])) for at in central),
    )


def _most_frequent(names: Sequence[str]) -> tuple[str, ...]:
    found, counts = np.unique(np.array(names, dtype=np.str_), return_counts=True)
    return tuple(map(str, found[np.argsort(-counts, kind="stable")][:EXAMPLES]))


def _marking_words(texts: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """For each group the words with the highest tf-idf, a group being one document; empty where no text is kept."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    documents = ["\n".join(each) for each in texts]
    vectorizer = TfidfVectorizer(stop_words="english", token_pattern=WORD, sublinear_tf=True)
    try:
        weights_GW = vectorizer.fit_transform(documents).toarray()
    except ValueError:  # no word in any text
        return [()] * len(documents)
    names = vectorizer.get_feature_names_out()
    return [tuple(str(names[at]) for at in np.argsort(-row, kind="stable")[:WORDS] if row[at] > 0) for row in weights_GW]
