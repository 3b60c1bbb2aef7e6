"""Which queries of the pool an LLM is asked, and in which order: of those to which an answer can be graded.

By the hash of their ids: the first n are the same unbiased sample for every LLM, partial recordings overlap, and a smaller n is part of
a larger one. An LLM that joins by its row has few labels to be fitted on, so its training queries are chosen to be close to as many of
the others as possible (`pipelines.facility_location`); what it is calibrated and judged on stays a sample by hash.
"""

import hashlib
from collections.abc import Collection, Iterable
from itertools import chain

import pandas as pd

from mixture.llm import LLM
from pipelines import embeddings, splits
from pipelines.facility_location import cover
from pipelines.graders.names import OPEN, RECORDED
from pipelines.params import Label, Params, Train
from pipelines.project import Project
from scorer.types import Floats

HARVESTED = "harvested"  # a dataset: what was served and taken in is asked of every LLM, for the price that was named then
MOST = 6000  # training queries compared with each other: 144 MB; of a larger pool the first by hash, an LLM asked more is asked by hash


def missing(
    project: Project, llm: LLM, queries: pd.DataFrame, settings: Params, answered: Collection[str], *, training: int | None = None
) -> list[str]:
    """Ids of the queries that `llm` still lacks, in the order to ask them. `answered`: ids of those it has answered already.

    training: at most so many training queries, of an LLM that joins by its row.
    """
    order = in_hash_order(gradable(queries, settings.label)["query_id"])
    caps = [cap for cap in (settings.answer.max_queries, llm.max_training_queries) if cap is not None]
    sample = order[: min(caps, default=None)]
    if llm.trained == "row" and len(sample) < len(order):
        sample = _covering(project, queries, settings, sample, answered, training=training)
    served = set(queries["query_id"][queries["dataset"] == HARVESTED]).difference(sample)
    beyond = [query_id for query_id in order if query_id in served]
    return [query_id for query_id in chain(sample, beyond) if query_id not in answered]


def gradable(queries: pd.DataFrame, settings: Label) -> pd.DataFrame:
    """Those of `queries` to which a new answer would get a label."""
    usable: pd.DataFrame = queries[~queries["grader"].isin(without_label(settings))]
    return usable


def without_label(settings: Label) -> frozenset[str]:
    """The graders of queries to which a new answer would get no label: graded elsewhere, and open while no opinion is asked for."""
    opinion = settings.judge is not None or settings.reward_model is not None
    return frozenset({RECORDED}) if opinion else OPEN | {RECORDED}


def left_out(queries: pd.DataFrame, settings: Label) -> str:
    """Which queries nobody is asked and why, a sentence or two; "" where there are none."""
    counts = queries.loc[queries["grader"].isin(without_label(settings)), "grader"].value_counts()
    if counts.empty:
        return ""
    graders = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    advice = " Set label.judge or label.reward_model in params.yaml for the open ones." if set(counts.index) & OPEN else ""
    return f"{counts.sum()} queries are asked of nobody, for nothing would grade the answers ({graders}).{advice}"


def in_hash_order(query_ids: Iterable[str]) -> list[str]:
    """`query_ids` by their sha256: an order that is the same everywhere and has nothing to do with what the queries are."""
    return sorted(query_ids, key=lambda query_id: hashlib.sha256(query_id.encode()).hexdigest())


def _covering(
    project: Project, queries: pd.DataFrame, settings: Params, sample: list[str], answered: Collection[str], *, training: int | None
) -> list[str]:
    """`sample` with its training queries exchanged for those that, beside the answered ones, are closest to the rest.

    If the query pool has grown, so that some of the sample's own training queries are far from every answered one, these come after.
    In all it is never longer than an order by hash would be. training: at most so many training queries, answered ones among them.
    """
    split_of = splits.assign(queries, settings.assemble, splits.read_predefined(project.recorded)).to_dict()
    trains = [query_id for query_id in in_hash_order(gradable(queries, settings.label)["query_id"]) if split_of[query_id] == "train"]
    common = [query_id for query_id in sample if split_of[query_id] == "train"]
    if not common or len(common) > MOST:
        return sample
    have = [query_id for query_id in trains if query_id in answered]
    candidates = list(dict.fromkeys([*have, *common, *trains[:MOST]]))
    texts = dict(zip(queries["query_id"], queries["text"], strict=True))
    queries_QD = _embedded(project, settings.train, [texts[query_id] for query_id in candidates])
    beyond = range(len(have), len(have) + sum(query_id not in answered for query_id in common))  # the common ones come next
    quota = len(common) if training is None else min(training, len(common))
    chosen = (candidates[place] for place in cover(queries_QD, range(len(have)), quota, beyond if training is None else ()))
    exchanged = [next(chosen, None) if split_of[query_id] == "train" else query_id for query_id in sample]
    return [query_id for query_id in chain(exchanged, chosen) if query_id is not None]


def _embedded(project: Project, settings: Train, texts: list[str]) -> Floats:
    """As a server embeds them, one by one: training embeds in batches of its own, and what is asked may not change those."""
    encoder = embeddings.load_encoder(settings)
    served = embeddings.int8_encoder(encoder, embeddings.exported(encoder, project.embeddings))
    return embeddings.served(served, texts, project.embeddings)
