"""Which served answers are audited: drawn by a probability that is kept before anybody grades them.

Every scored record gets its chance once: `monitor.audit_share` on average, more where the scorer is unsure of the answer or the query is
unlike its training queries, and about as many draws in each domain, however much traffic it has:

    probability = share * c / (domains * share of its domain) * sqrt(4 p (1 - p)) * (2 if novel)

with the promise p, and c so that the average over the latest traffic is the share. Whether a record is drawn follows from a hash of its id,
so a monitor that is started again decides the same.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from monitoring.misprediction import Doubles
from monitoring.novelty import novelty
from monitoring.policy import Policy
from monitoring.profile import ReferenceProfile
from monitoring.record import Draw, Record
from monitoring.records import RecordStore
from monitoring.window import comparable, domain_names, embeddings

AT_ONCE = 500
LATEST = 500  # records by which the domains' shares of traffic are told
LEAST, MOST = 0.2, 10.0  # times the share: every answer may be drawn, and none weighs too much
HASHES = 2**64


def draw(store: RecordStore, version: str, profile: ReferenceProfile, policy: Policy) -> int:
    """Decides on all records that nobody decided on yet; returns how many are drawn. Records of other versions have an equal chance."""
    count = 0
    while records := store.undecided(AT_ONCE):
        chances = dict.fromkeys((record.id for record in records if record.status == "ok"), policy.audit_share)
        ours = [record for record in comparable(records, profile) if record.scorer_version == version and record.id in chances]
        latest = comparable(store.scored(version, max(0, store.count_scored(version) - LATEST), LATEST), profile)
        chances |= dict(zip((record.id for record in ours), probabilities(ours, latest, profile, policy), strict=True))
        draws = [_drawn(record.id, chances.get(record.id, 0.0)) for record in records]
        store.decide_draws(draws)
        count += sum(each.drawn for each in draws)
    return count


def probabilities(records: Sequence[Record], latest: Sequence[Record], profile: ReferenceProfile, policy: Policy) -> list[float]:
    """The chance of each of `records`; `latest` is the traffic by which shares and the average are told. All of one scorer version."""
    if not records:
        return []
    together = [*records, *latest]
    far = novelty(embeddings(together, profile), profile, k=policy.neighbours, quantile=policy.novel_quantile)
    names = domain_names(together, profile, far)
    wanted_T = _wanted(together, names, Counter(names)) * np.where(far.novel_N, 2.0, 1.0)
    scaled_T = wanted_T / wanted_T.mean()
    return [float(each) for each in np.minimum(1.0, policy.audit_share * np.clip(scaled_T[: len(records)], LEAST, MOST))]


def _wanted(records: Sequence[Record], names: Sequence[str], counts: Counter[str]) -> Doubles:
    promised_T = np.array([record.predicted or 0.0 for record in records], dtype=np.float64)
    share_T = np.array([counts[name] for name in names], dtype=np.float64) / len(names)
    doubt_T: Doubles = np.sqrt(np.maximum(4 * promised_T * (1 - promised_T), 0.04))
    return doubt_T / (len(counts) * share_T)


def _drawn(record_id: str, probability: float) -> Draw:
    place = int.from_bytes(hashlib.sha256(f"audit {record_id}".encode()).digest()[:8]) / HASHES
    return Draw(record_id, probability, place < probability)
