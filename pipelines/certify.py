"""What held-out queries say of a scorer version, for its certificate: choices at each value of a dollar beside the best LLM's answers.

The queries are those of the test split, with a label of every LLM that may be chosen: neither training nor the choice of its settings saw
them, and a query left out because its choice happens to lack a label would bias the mean. The best LLM is the best on training queries.
A choice is what `routemoa-single` serves at that value of a dollar, with expected costs from recorded answers and a second worth nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mixture.choose.ranking import TOKENS_OUT
from mixture.client.request_size import expected_input_tokens
from mixture.llm import LLM
from pipelines import dataset, embeddings, params
from pipelines.dataset import Dataset
from pipelines.params import GateParams
from pipelines.project import Project
from registry import certificate, pool
from registry.certificate import Certificate, Measured, Promise
from registry.settings import Settings
from scorer import runtime
from scorer.recorded_calls import RecordedCalls
from scorer.types import Floats

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Choosable:
    """The LLMs that may be chosen, with the columns they have in the dataset: all that a server of this pool could ask and price."""

    llms: tuple[LLM, ...]
    columns: tuple[int, ...]

    @classmethod
    def of(cls, roster: Sequence[str], everybody: pool.Pool) -> "Choosable":
        """Of a roster. Where none has an endpoint (recorded outcomes alone) all of them count."""
        active = {llm.id: llm.priced_at(datetime.now(UTC)) for llm in everybody.active}
        known = [(active[llm_id], at) for at, llm_id in enumerate(roster) if llm_id in active]
        kept = [pair for pair in known if pair[0].endpoint is not None] or known
        return cls(tuple(llm for llm, _ in kept), tuple(at for _, at in kept))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Queries that were trained on, those to certify by with their scores (columns as in the dataset), and what recorded answers took."""

    train: Dataset
    test: Dataset
    scores_QL: Values
    recorded: Mapping[str, RecordedCalls]


def run(settings: Settings) -> Certificate:
    """The certificate of the scorer in build/scorer."""
    project = Project(settings.home)
    rules = params.load(project.params).gate
    data = dataset.load(project.dataset)
    served = runtime.load(project.scorer, cache=0)
    data = data.columns(np.isin(np.array(data.roster), served.roster))
    test = data.take("test")
    embed = embeddings.as_served(project.scorer, served.manifest, served.precision, project.embeddings, loaded=served.encoder)
    scores_QL = served.score_embedded(embed(test.queries["text"].tolist())) if len(test.queries) else np.empty((0, len(data.roster)))
    choosable = Choosable.of(data.roster, pool.load(settings.pool_file))
    return judge(HeldOut(data.take("train"), test, scores_QL.astype(np.float64), served.recorded_calls), choosable, rules)


def judge(given: HeldOut, choosable: Choosable, rules: GateParams) -> Certificate:
    """The certificate that the test queries allow."""
    train, test, recorded = given.train, given.test, given.recorded
    promise, columns = Promise(rules.floor_share, rules.confidence), list(choosable.columns)
    names = [llm.id for llm in choosable.llms]
    counts_L = np.isfinite(train.labels_QL[:, columns]).sum(axis=0)
    if len(names) < 2 or not counts_L.all():
        lacking = [name for name, count in zip(names, counts_L, strict=True) if not count]
        why = f"no training query is labelled for {', '.join(lacking)}." if lacking else "fewer than two LLMs may be chosen."
        return Certificate("", promise.floor, promise.confidence, 0, why_not=why)
    best = int(np.nanmean(train.labels_QL[:, columns], axis=0).argmax())
    unpriced = [llm.id for llm in choosable.llms if not llm.price.known]
    if unpriced:
        why = f"the price of {', '.join(unpriced)} is unknown."
        return Certificate(names[best], promise.floor, promise.confidence, 0, why_not=why)
    complete_Q = np.asarray(np.isfinite(test.labels_QL[:, columns]).all(axis=1))
    whole = test.where(complete_Q)
    expected_QL = expected_costs(whole.queries["text"].tolist(), choosable.llms, recorded)
    usd_S = certificate.grid(expected_costs(train.queries["text"].tolist(), choosable.llms, recorded))
    chosen_SQ = choices(given.scores_QL[complete_Q][:, columns], expected_QL, usd_S)
    labels_QL, billed_QL = whole.labels_QL[:, columns], whole.cost_QL[:, columns]
    costs_QL = billed_QL if np.isfinite(billed_QL).all() else expected_QL
    rows = np.arange(len(labels_QL))
    measured = Measured(
        baseline=names[best],
        usd_S=usd_S,
        difference_SN=np.array([labels_QL[rows, chosen_Q] - labels_QL[:, best] for chosen_Q in chosen_SQ]),
        cost_SN=np.array([costs_QL[rows, chosen_Q] for chosen_Q in chosen_SQ]),
        baseline_cost_N=costs_QL[:, best],
        domains_N=whole.queries["domain"].to_numpy(dtype=np.str_),
        prices={llm.id: (llm.price.input, llm.price.output) for llm in choosable.llms},
    )
    return certificate.certify(measured, promise, Promise(rules.domain_floor_share, rules.confidence))


def expected_costs(texts: Sequence[str], llms: Sequence[LLM], recorded: Mapping[str, RecordedCalls]) -> Values:
    """USD [Q, L] that a server expects of one answer: the query's own tokens, and the usual length of the LLM's recorded answers."""
    sizes = [expected_input_tokens([{"role": "user", "content": text}], {}) for text in texts]
    usual = [
        max(1, round(recorded[llm.id].output_tokens if llm.id in recorded else min(TOKENS_OUT, llm.decoding.max_tokens))) for llm in llms
    ]
    return np.column_stack([_costs(llm, sizes, length) for llm, length in zip(llms, usual, strict=True)])


def _costs(llm: LLM, sizes: Sequence[int], length: int) -> Values:
    """USD for so many tokens in each, and `length` out; a price without tiers is a line through two points."""
    if llm.price.overrides:
        return np.array([llm.price.cost(size, length) for size in sizes], dtype=np.float64)
    least, more = llm.price.cost(0, length), llm.price.cost(1_000_000, length)
    return least + (more - least) * np.array(sizes, dtype=np.float64) / 1e6


def choices(scores_QL: Values | Floats, expected_QL: Values, usd_S: Values) -> NDArray[np.intp]:
    """chosen_SQ: column of the LLM of highest score less its cost at each value of a dollar; of equal ones the cheaper."""
    order_QL = np.argsort(expected_QL, axis=1, kind="stable")
    cheapest_first = (np.take_along_axis(np.asarray(values, np.float64), order_QL, axis=1) for values in (scores_QL, expected_QL))
    ordered_QL, costs_QL = cheapest_first
    places_SQ = [(ordered_QL - usd * costs_QL).argmax(axis=1) for usd in usd_S]
    return np.array([np.take_along_axis(order_QL, place_Q[:, None], axis=1)[:, 0] for place_Q in places_SQ])
