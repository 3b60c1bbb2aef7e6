"""Which queries of the pool an LLM is to be asked, and in which order.

By the hash of their ids: the first n are the same unbiased sample for every LLM, partial recordings overlap, and a smaller n is part of
a larger one. An LLM that joins by its row has few labels to be fitted on, so its training queries are chosen to speak for the others;
what it is calibrated and judged on stays a sample by hash.
"""

import hashlib
from collections.abc import Collection, Iterable
from itertools import chain

import pandas as pd

from mixture.llm import LLM
from pipelines import embeddings, params
from pipelines.facility_location import cover
from scorer.types import Floats

MOST = 6000  # training queries held against each other: 144 MB; of a larger pool the first by hash. Who is asked more is asked by hash


def missing(llm: LLM, queries: pd.DataFrame, at_most: int | None, answered: Collection[str]) -> list[str]:
    """Ids of the queries that `llm` still lacks, in the order to ask them. `answered`: what it has answered already."""
    order = in_hash_order(queries["query_id"])
    caps = [cap for cap in (at_most, llm.max_training_queries) if cap is not None]
    sample = order[: min(caps, default=None)]
    if llm.trained == "row" and len(sample) < len(order):
        sample = _covering(queries, order, sample, answered)
    return [query_id for query_id in sample if query_id not in answered]


def in_hash_order(query_ids: Iterable[str]) -> list[str]:
    """`query_ids` by their sha256: an order that is the same everywhere and has nothing to do with what the queries are."""
    return sorted(query_ids, key=lambda query_id: hashlib.sha256(query_id.encode()).hexdigest())


def _covering(queries: pd.DataFrame, order: list[str], sample: list[str], answered: Collection[str]) -> list[str]:
    """`sample` with other training queries in the places of its own: those that, beside the answered ones, speak best for the rest.

    Beyond as many only some of the sample's own, where the query pool has grown by what the answered ones do not speak for: never more
    than an order by hash would ask.
    """
    from pipelines import assemble

    splits = assemble.splits(queries, params.load().assemble, assemble.given_splits(assemble.RECORDED)).to_dict()
    trains = [query_id for query_id in order if splits[query_id] == "train"]
    common = [query_id for query_id in sample if splits[query_id] == "train"]
    if not common or len(common) > MOST:
        return sample
    have = [query_id for query_id in trains if query_id in answered]
    candidates = list(dict.fromkeys([*have, *common, *trains[:MOST]]))
    texts = dict(zip(queries["query_id"], queries["text"], strict=True))
    queries_QD = _embedded([texts[query_id] for query_id in candidates])
    beyond = range(len(have), len(have) + sum(query_id not in answered for query_id in common))  # the common ones come next
    chosen = (candidates[place] for place in cover(queries_QD, range(len(have)), len(common), beyond))
    exchanged = [next(chosen, None) if splits[query_id] == "train" else query_id for query_id in sample]
    return [query_id for query_id in chain(exchanged, chosen) if query_id is not None]


def _embedded(texts: list[str]) -> Floats:
    """As a server sees them, one by one: training embeds in batches of its own, which what is asked must not change."""
    from pipelines import train

    encoder = train.load_encoder(params.load().train)
    return embeddings.served(*embeddings.as_a_server_has_it(encoder, embeddings.exported(encoder)), texts)
