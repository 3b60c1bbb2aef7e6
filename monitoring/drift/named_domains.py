"""Domains that a person named: groups of queries that no training query is like, found again in later traffic by their embeddings.

A named domain is a ball: the mean embedding of the group's members, and how far from it, by cosine around the training queries' mean, nine
in ten of them are. A query without a tag that is novel and lies in a ball is of that domain; of several it is the nearest's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import orjson

from monitoring.drift.novelty import Flags, centred
from monitoring.drift.profile import Floats, ReferenceProfile
from monitoring.errors import RecordRefused
from monitoring.records.ledger_entry import UNKNOWN
from monitoring.records.record import Record
from monitoring.records.store import RecordStore

State = Literal["named", "left"]  # left: a person looked at it and wants nothing done
STATES: tuple[str, ...] = get_args(State)
WITHIN = 0.9  # of the members are within reach
LONGEST_NAME = 64
COLUMNS = ("name", "centre", "reach", "scorer_version", "members", "state", "named_by", "named_at")
KEEP = f"""INSERT INTO named_domains ({", ".join(COLUMNS)}) VALUES ({", ".join("?" * len(COLUMNS))}) ON CONFLICT (name)
    DO UPDATE SET {", ".join(f"{column} = excluded.{column}" for column in COLUMNS[1:])}"""  # noqa: S608


@dataclass(frozen=True, slots=True, eq=False)
class NamedDomain:
    """name: what a person called it. centre_D: mean embedding of the members, at length 1. reach: cosine with it, around the training
    queries' mean, from which on a query belongs to it. members: decisions it was made of. named_at: seconds since the epoch.
    """

    name: str
    centre_D: Floats
    reach: float
    scorer_version: str
    members: tuple[str, ...]
    state: State
    named_by: str | None
    named_at: float


@dataclass(frozen=True, slots=True, eq=False)
class NamedDomains:
    """All of them."""

    domains: tuple[NamedDomain, ...] = ()

    def names_N(self, queries_ND: Floats, profile: ReferenceProfile, novel_N: Flags) -> list[str | None]:
        """The named domain of each of N queries, None for one that is not novel or in no ball. Other encoders' are left out."""
        ours = [domain for domain in self.domains if len(domain.centre_D) == queries_ND.shape[1]]
        if not ours or not novel_N.any():
            return [None] * len(queries_ND)
        centre_D = profile.queries_RD.mean(axis=0)
        near_NC = centred(queries_ND, centre_D) @ centred(np.stack([domain.centre_D for domain in ours]), centre_D).T
        beyond_NC = near_NC - np.array([domain.reach for domain in ours])
        inside_NC = np.where(beyond_NC >= 0, near_NC, -np.inf)
        best_N = inside_NC.argmax(axis=1)
        return [
            ours[best].name if novel and inside_NC[row, best] > -np.inf else None
            for row, (best, novel) in enumerate(zip(best_N, novel_N, strict=True))
        ]

    def get(self, name: str) -> NamedDomain | None:
        """The one of that name."""
        return next((domain for domain in self.domains if domain.name == name), None)


NOTHING_NAMED = NamedDomains()


def load(store: RecordStore) -> NamedDomains:
    """Those that were named on this host, in the order they were. Blocks. Raises RecordsRefused."""
    rows = store.ask(
        f"SELECT {', '.join(COLUMNS)} FROM named_domains ORDER BY named_at, name"  # noqa: S608
    )
    return NamedDomains(
        tuple(
            NamedDomain(
                name, np.frombuffer(centre, dtype="<f4").astype(np.float32), reach, version, tuple(orjson.loads(members)), state, by, at
            )
            for name, centre, reach, version, members, state, by, at in rows
        )
    )


def name(  # noqa: PLR0917
    store: RecordStore, called: str, members: Sequence[Record], profile: ReferenceProfile, by: str | None, state: State = "named"
) -> NamedDomain:
    """Keeps a domain called `called`, made of these records; the queries of it that are known already are of it from now on.

    A name that exists is given anew. Raises RecordRefused for a name that is none, and without members.
    """
    called = " ".join(called.split())
    if not called or len(called) > LONGEST_NAME:
        raise RecordRefused(f"{called!r} is no name for a domain.", next_step=f"Give one of 1 to {LONGEST_NAME} characters.")
    ours = [record for record in members if len(record.embedding) == profile.queries_RD.shape[1]]
    if not ours:
        raise RecordRefused(
            f"No query of the group that is to be called {called!r} is kept.", next_step="`routemoa groups` lists the present ones."
        )
    queries_MD = np.stack([record.embedding for record in ours])
    centre_D = centred(queries_MD.mean(axis=0)[None, :], np.zeros(queries_MD.shape[1], dtype=np.float32))[0]
    around_D = profile.queries_RD.mean(axis=0)
    near_M = centred(queries_MD, around_D) @ centred(centre_D[None, :], around_D)[0]
    reach = float(np.quantile(near_M, 1 - WITHIN))
    made = NamedDomain(called, centre_D, reach, ours[0].scorer_version, tuple(record.id for record in ours), state, by, store.now())
    store.change(
        KEEP,
        [
            (
                called,
                centre_D.astype("<f4").tobytes(),
                reach,
                made.scorer_version,
                orjson.dumps(made.members).decode(),
                state,
                by,
                made.named_at,
            )
        ],
    )
    untagged = [record.id for record in ours if record.domain is None]
    store.change(
        f"""UPDATE draws SET booked_as = coalesce(booked_as, domain, '{UNKNOWN}'), domain = ?
            WHERE number = (SELECT number FROM records WHERE id = ?)""",  # noqa: S608
        [(called, each) for each in untagged],
    )
    return made


def forget(store: RecordStore, called: str) -> bool:
    """Takes the name back; whether there was one."""
    return store.change("DELETE FROM named_domains WHERE name = ?", [(called,)]) > 0
