"""Which served answers are audited: drawn by a probability that is kept before anybody grades them.

Every scored record gets its chance once: `monitor.audit_share` on average, more where the scorer is unsure of the answer or the query is
unlike its training queries, and about as many draws in each domain, however much traffic it has:

    probability = share * c / (domains * share of its domain) * sqrt(max(4 p (1 - p), .16)) * (2 if novel) * (5 if chance chose it)

with the promise p, and c so that the average over the latest traffic is the share. Whether a record is drawn follows from a hash of its id,
so a monitor that is started again decides the same.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.drift import named_domains
from monitoring.drift.misprediction import Doubles
from monitoring.drift.named_domains import NOTHING_NAMED, NamedDomains
from monitoring.drift.novelty import novelty
from monitoring.drift.policy import Policy
from monitoring.drift.profile import ReferenceProfile
from monitoring.drift.window import comparable, domain_names, embeddings
from monitoring.records.record import Draw, Record
from monitoring.records.store import RecordStore

AT_ONCE = 500
LATEST = 500  # records by which the domains' shares of traffic are told
EXPLORED = 5.0  # times as likely to be drawn: a choice of chance stands for many requests when another policy is judged
LEAST, MOST = 0.2, 10.0  # times the share: every answer may be drawn, and none weighs too much
HASHES = 2**64
CHOSEN_DIFFERENTLY = "the canary and the champion choose differently"
Wanted = Mapping[str, float]  # record id -> probability
UNSURE = 0.15  # promises so near to .5 are called that


@dataclass(frozen=True, slots=True)
class Chance:
    """With which probability an answer is drawn, what the monitor calls its domain, and what makes the draw likelier, in words."""

    probability: float
    domain: str | None
    why: tuple[str, ...] = ()


def draw(
    store: RecordStore, version: str, profile: ReferenceProfile, policy: Policy, *, wanted: Wanted | None = None, until: float | None = None
) -> int:
    """Decides on all records that nobody decided on yet; returns how many are drawn. Records of other versions have an equal chance.

    wanted: those that have at least a chance of their own. until: records made later (seconds since the epoch) are left for the next time.
    """
    count, named = 0, named_domains.load(store)
    while records := _made_before(store.undecided(AT_ONCE), until):
        chances = {record.id: Chance(policy.audit_share, record.domain) for record in records if record.status == "ok"}
        ours = [record for record in comparable(records, profile) if record.scorer_version == version and record.id in chances]
        latest = comparable(store.scored(version, max(0, store.count_scored(version) - LATEST), LATEST), profile)
        chances |= dict(zip((record.id for record in ours), chances_of(ours, latest, profile, policy, named), strict=True))
        for record_id, least in (wanted or {}).items():
            if record_id in chances and chances[record_id].probability < least:
                chances[record_id] = Chance(least, chances[record_id].domain, (CHOSEN_DIFFERENTLY,))
        draws = [_drawn(record.id, chances.get(record.id, Chance(0.0, record.domain))) for record in records]
        store.decide_draws(draws)
        count += sum(each.drawn for each in draws)
    return count


def _made_before(records: list[Record], until: float | None) -> list[Record]:
    """The first of `records` up to one that was made too late: draws are decided in order."""
    late = next((at for at, record in enumerate(records) if until is not None and record.created_at >= until), len(records))
    return records[:late]


def chances_of(
    records: Sequence[Record], latest: Sequence[Record], profile: ReferenceProfile, policy: Policy, named: NamedDomains = NOTHING_NAMED
) -> list[Chance]:
    """The chance of each of `records`; `latest` is the traffic by which shares and the average are told. All of one scorer version."""
    if not records:
        return []
    together = [*records, *latest]
    far = novelty(embeddings(together, profile), profile, k=policy.neighbours, quantile=policy.novel_quantile)
    names = domain_names(together, profile, far, named)
    counts = Counter(names)
    wanted_T = _wanted(together, names, counts) * np.where(far.novel_N, 2.0, 1.0)
    wanted_T = wanted_T * np.where([each.explored for each in together], EXPLORED, 1.0)
    scaled_T = wanted_T / wanted_T.mean()
    chance_T = np.minimum(1.0, policy.audit_share * np.clip(scaled_T, LEAST, MOST))
    return [
        Chance(float(chance_T[at]), names[at], _why(record, bool(far.novel_N[at]), names[at], counts)) for at, record in enumerate(records)
    ]


def _why(record: Record, novel: bool, name: str, counts: Counter[str]) -> tuple[str, ...]:
    promised, share = record.predicted or 0.0, counts[name] / counts.total()
    reasons = ["chance chose this LLM"] if record.explored else []
    if abs(promised - 0.5) < UNSURE:
        reasons.append(f"the scorer is unsure (it promised {promised:.2f})")
    if novel:
        reasons.append("unlike anything labelled")
    if share < 1 / len(counts) / 2:
        reasons.append(f"few queries are of {name} ({share:.0%})")
    return tuple(reasons) or ("a random sample",)


def _wanted(records: Sequence[Record], names: Sequence[str], counts: Counter[str]) -> Doubles:
    promised_T = np.array([record.predicted or 0.0 for record in records], dtype=np.float64)
    share_T = np.array([counts[name] for name in names], dtype=np.float64) / len(names)
    doubt_T: Doubles = np.sqrt(np.maximum(4 * promised_T * (1 - promised_T), 0.16))
    return doubt_T / (len(counts) * share_T)


def place(record_id: str, purpose: str) -> float:
    """A number in [0, 1) that a record's id and the purpose it is drawn for settle, on every host alike."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {record_id}".encode()).digest()[:8]) / HASHES


def _drawn(record_id: str, chance: Chance) -> Draw:
    return Draw(record_id, chance.probability, place(record_id, "audit") < chance.probability, chance.domain, chance.why)
