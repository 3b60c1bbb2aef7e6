"""What the unknown is: novel queries grouped by their embeddings, each group with its size, figures, words and most central queries.

Queries of a domain that a person named are that group; HDBSCAN groups the others.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np

from monitoring.drift.named_domains import NOTHING_NAMED, NamedDomains
from monitoring.drift.novelty import Novelty, Rows, centred
from monitoring.drift.profile import Floats, Names, ReferenceProfile
from monitoring.records.record import Record, is_audited

SMALLEST = 5  # queries of a group (HDBSCAN's min_cluster_size)
SCATTERED = "scattered"
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
class Near:
    """A training query near the centre of a group: its domain, and its cosine distance around the training queries' mean, in [0, 2]."""

    domain: str
    distance: float


@dataclass(frozen=True, slots=True)
class Group:
    """Novel queries that are alike; `scattered` are those that are like no other.

    id: changes with the members. share: of all queries of the window. tags: what callers called them. nearest: the known domains they are
    nearest to, most first. growth: how many came in the older and in the newer half of the window. promised: mean promise.
    audited: how many were audited, and their mean outcome. words: those that mark the group, where texts are kept.
    examples: the most central queries first. near: the training queries nearest to the group's centre. members: decisions, one a query.
    """

    id: str
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
    growth: tuple[int, int]
    near: tuple[Near, ...]
    members: tuple[str, ...]


def group(
    records: Sequence[Record], queries_ND: Floats, novelty: Novelty, profile: ReferenceProfile, named: NamedDomains = NOTHING_NAMED
) -> tuple[Group, ...]:
    """The groups among the novel of N records: named ones, then the largest first, `scattered` last.

    Fewer than SMALLEST novel queries that nobody named are no groups.
    """
    called_N = named.names_N(queries_ND, profile, novelty.novel_N)
    groups = [
        (domain.name, np.array(rows, dtype=np.intp))
        for domain in named.domains
        if (rows := [row for row, name in enumerate(called_N) if name == domain.name])
    ]
    groups += _alike(queries_ND, np.array([row for row in np.flatnonzero(novelty.novel_N) if called_N[row] is None], dtype=np.intp))
    words = _marking_words([[records[row].text or "" for row in rows] for _, rows in groups])
    traffic = _Traffic(records, queries_ND, novelty, novelty.domains_N(profile), profile)
    return tuple(_measured(name, rows, traffic, mark) for (name, rows), mark in zip(groups, words, strict=True))


def _alike(queries_ND: Floats, novel_M: Rows) -> list[tuple[str, Rows]]:
    """The rows of novel queries, grouped, with what each group is called before anybody names it."""
    if len(novel_M) < SMALLEST:
        return []
    from sklearn.cluster import HDBSCAN

    places_M = HDBSCAN(min_cluster_size=SMALLEST, copy=True, allow_single_cluster=True).fit_predict(queries_ND[novel_M])
    members = [novel_M[places_M == place] for place in range(places_M.max() + 1)]
    members.sort(key=len, reverse=True)
    found = [(f"unknown {number}", rows) for number, rows in enumerate(members, 1)]
    alone = novel_M[places_M < 0]
    return [*found, (SCATTERED, alone)] if len(alone) else found


def lines(group: Group) -> list[str]:
    """What a person reads of a group: one line of figures, then its examples."""
    called = f" called {', '.join(group.tags)}" if group.tags else f" (nearest: {', '.join(group.nearest)})"
    audited, outcome = group.audited
    judged = f", {audited} audited at {outcome:.2f}" if outcome is not None else ""
    words = f": {', '.join(group.words)}" if group.words else ""
    earlier, later = group.growth
    size = f"{group.queries} queries ({group.share:.0%}; {earlier} in the older half of the window, {later} in the newer)"
    figures = f"{group.name}{called}, {size}, promised {group.promised:.2f}{judged}, {group.cost_usd:.4f} USD{words}"
    near = ", ".join(f"{each.domain} at {each.distance:.2f}" for each in group.near)
    examples = (f"    {example.decision_id}  {shown(example.text)}" for example in group.examples)
    return [figures, *examples, f"    nearest training queries: {near}"]


def of_json(tree: Mapping[str, Any]) -> Group:
    """The group that `latest.json` holds."""
    parts = {
        "examples": tuple(Example(**each) for each in tree["examples"]),
        "near": tuple(Near(**each) for each in tree["near"]),
        **{name: tuple(tree[name]) for name in ("tags", "nearest", "audited", "words", "growth", "members")},
    }
    return Group(**{**tree, **parts})


def shown(text: str | None) -> str:
    """An example on one line."""
    return "text not kept (ROUTEMOA_STORE_TEXT)" if text is None else shorten(" ".join(text.split()), TEXT, placeholder=" …")


@dataclass(frozen=True, slots=True, eq=False)
class _Traffic:
    records: Sequence[Record]
    queries_ND: Floats
    novelty: Novelty
    nearest_N: Names
    profile: ReferenceProfile


def _measured(name: str, rows_M: Rows, traffic: _Traffic, words: tuple[str, ...]) -> Group:
    members, queries_MD = [traffic.records[row] for row in rows_M], traffic.queries_ND[rows_M]
    outcomes = [record.outcome.score for record in members if is_audited(record) and record.outcome is not None]
    central = np.argsort(-(queries_MD @ queries_MD.mean(axis=0)), kind="stable")[:EXAMPLES]
    half = float(np.median([record.created_at for record in traffic.records]))
    later = sum(record.created_at > half for record in members)
    ids = tuple(record.id for record in members)
    return Group(
        id=group_id(ids),
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
        growth=(len(members) - later, later),
        near=_near(queries_MD, traffic.profile),
        members=ids,
    )


def group_id(members: Sequence[str]) -> str:
    """What a group of these decisions is called, whoever found it."""
    return hashlib.sha256(" ".join(sorted(members)).encode()).hexdigest()[:12]


def _near(queries_MD: Floats, profile: ReferenceProfile) -> tuple[Near, ...]:
    """The training queries nearest to the mean of M queries."""
    centre_D = profile.queries_RD.mean(axis=0)
    distances_R = 1 - centred(profile.queries_RD, centre_D) @ centred(queries_MD.mean(axis=0)[None, :], centre_D)[0]
    return tuple(Near(str(profile.domains_R[at]), float(distances_R[at])) for at in np.argsort(distances_R, kind="stable")[:EXAMPLES])


def _most_frequent(names: Sequence[str]) -> tuple[str, ...]:
    found, counts = np.unique(np.array(names, dtype=np.str_), return_counts=True)
    return tuple(map(str, found[np.argsort(-counts, kind="stable")][:EXAMPLES]))


def _marking_words(texts: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """For each group the words with the highest tf-idf, a group being one document; empty where no text is kept."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not texts:
        return []
    documents = ["\n".join(each) for each in texts]
    vectorizer = TfidfVectorizer(stop_words="english", token_pattern=WORD, sublinear_tf=True)
    try:
        weights_GW = vectorizer.fit_transform(documents).toarray()
    except ValueError:  # no word in any text
        return [()] * len(documents)
    names = vectorizer.get_feature_names_out()
    return [tuple(str(names[at]) for at in np.argsort(-row, kind="stable")[:WORDS] if row[at] > 0) for row in weights_GW]
