"""What sessions are worth: `python -m benchmarks.sessions FOLDER [--set benchmarks/sets/NAME.yaml] [--kinds agent] [--caches a b none]`.

FOLDER: recorded outcomes (docs/results/data.md), or the default pool's build/dataset. Conversations are composed of the queries that all
LLMs with enough labels were asked: turns that mostly stay with a group, tools, growing prompts, pauses (`benchmarks.session_world.KINDS`).
An answer to a user's turn is worth its recorded label, whatever came before it: nobody recorded the same query in another conversation.
Tokens are bought from endpoints that cache for five minutes (--caches: a reads at .1 of the input price and writes at 1.25, b reads at
.25, none has none).

Three systems with the same scores and the same weight of a dollar: `memoryless` ranks each request anew, at list prices; `sticky` keeps the
LLM of the first turn; `ours` is the server's own session code (`serving.sessions`, `mixture.choose.session`) with its own settings over its
SQLite file. Scores are of a ridge on training queries; conversations of test queries. A weight says what a conversation's mean request is
worth in right answers. Intervals are paired bootstraps over conversations. `--out` gets table.md and results.json.
"""

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import recorded_set, report, set_file
from benchmarks.session_world import CALL_TOKENS, KINDS, Caches, Call, Conversation, Dialogue, Step, cached_price, composed
from mixture.choose.options import Options, Weights
from mixture.choose.ranking import Candidate
from mixture.choose.session import SessionChoice
from mixture.client.protocol import Reply
from mixture.client.request_size import expected_input_tokens
from mixture.decision import Decision, Layer, Run
from mixture.llm import LLM, Decoding, Endpoint
from mixture.price import Price
from mixture.run.account import Account
from mixture.run.ledger import Ledger
from mixture.run.request import Request
from mixture.usage import Usage
from pipelines.dataset import Dataset
from scorer.baselines import TrainingSet, linear_fit
from scorer.errors import RouteMoAError
from serving.events import Events
from serving.request.harness_text import HarnessSettings
from serving.session_settings import SessionSettings
from serving.sessions.keeper import Keeper
from serving.sessions.naming import Name
from serving.sessions.store import SqliteSessions
from serving.sessions.turn import SessionTurn
from serving.worker.metrics import Metrics

Floats = NDArray[np.float64]

MEMORYLESS, STICKY, OURS = "memoryless", "sticky", "ours"
WORTHS = (0.01, 0.03, 0.1)  # of a conversation's mean request, in right answers
COVERED = 0.8  # of the queries, that an LLM has to be labelled on
RIDGE = 100.0  # scorer.md's
SCHEMES: Mapping[str, tuple[float, float | None]] = {"a": (0.1, 1.25), "b": (0.25, None), "none": (1.0, None)}  # read, write of input's


@dataclass(frozen=True, slots=True)
class World:
    """labels_QL, priors_QL, output_QL: of each query and LLM; priors are held-out scores. expected_L: tokens of an answer."""

    llms: tuple[LLM, ...]
    labels_QL: Floats
    priors_QL: Floats
    output_QL: Floats
    expected_L: Floats
    writes: bool
    places: Mapping[str, int]

    def candidates(self, query: int, messages: Sequence[Mapping[str, Any]]) -> tuple[Candidate, ...]:
        """The LLMs for a request, at list prices."""
        tokens = expected_input_tokens(messages, {})
        return tuple(
            Candidate(llm, float(prior), input_tokens=tokens, output_tokens=round(float(expected)))
            for llm, prior, expected in zip(self.llms, self.priors_QL[query], self.expected_L, strict=True)
            if not np.isnan(self.labels_QL[query, self.places[llm.id]])
        )

    def part(self, rows: NDArray[np.bool_]) -> "World":
        """These queries alone."""
        return replace(self, labels_QL=self.labels_QL[rows], priors_QL=self.priors_QL[rows], output_QL=self.output_QL[rows])


@dataclass(frozen=True, slots=True)
class Outcome:
    """One conversation: mean label of its answers to the user, USD as reckoned, requests, changes of LLM, encoder runs, and its calls."""

    quality: float
    usd: float
    requests: int
    changes: int
    scored: int
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """What ours keeps once the answer is there."""

    turn: SessionTurn
    choice: SessionChoice | None
    scored: bool


@dataclass
class Asked:
    """One conversation as one system answers it."""

    world: World
    options: Options
    conversation: Conversation
    keeper: Keeper | None = None
    sticky: bool = False
    first: LLM | None = None

    async def run(self) -> Outcome:
        """Every step in its order."""
        dialogue, caches = Dialogue(self.conversation), Caches(self.world.writes)
        labels, usd, changes, scored, before, calls = [], 0.0, 0, 0, None, []
        new_turn = True
        for step in self.conversation.steps:
            dialogue.asks(step, first=new_turn)
            llm, pending = await self._choose(dialogue, step)
            output = round(float(self.world.output_QL[step.query, self.world.places[llm.id]])) if step.last else CALL_TOKENS
            call = Call(llm.id, step.at_s, tuple(dialogue.segments), output)
            usage = caches.usage(call)
            cost = llm.price.bill(usage)
            if pending is not None and self.keeper is not None:
                await self._keep(self.keeper, pending, llm, usage, cost, last=step.last)
            usd, changes = usd + cost, changes + (before not in {None, llm.id})
            scored += pending.scored if pending is not None else new_turn
            before, new_turn = llm.id, step.last
            calls.append(call)
            dialogue.answers(llm.id, output, last=step.last)
            if step.last:
                labels.append(self.world.labels_QL[step.query, self.world.places[llm.id]])
        return Outcome(float(np.mean(labels)), usd, len(calls), changes, scored, tuple(calls))

    async def _choose(self, dialogue: Dialogue, step: Step) -> tuple[LLM, Pending | None]:
        candidates = self.world.candidates(step.query, dialogue.messages)
        if self.keeper is None:
            if self.sticky and self.first is not None and any(each.llm.id == self.first.id for each in candidates):
                return self.first, None
            ranked = Request(dialogue.messages, candidates, self.options, fields=dialogue.fields).with_requirements().opened()[0][0]
            self.first = self.first or ranked.candidate.llm
            return ranked.candidate.llm, None
        return await self._ours(self.keeper, dialogue, step, candidates)

    async def _ours(self, keeper: Keeper, dialogue: Dialogue, step: Step, candidates: Sequence[Candidate]) -> tuple[LLM, Pending | None]:
        keeper.clock = lambda: step.at_s
        turn = await keeper.open("key", Name(self.conversation.id), dialogue.messages, dialogue.fields)
        assert turn is not None
        priced = tuple(
            replace(each, cached_tokens=turn.cached_tokens(each.llm), caches=each.llm.price.cache_write is not None) for each in candidates
        )
        request = Request(dialogue.messages, priced, self.options, fields=dialogue.fields, session=turn.session())
        kept = turn.kept_scores("1")
        scores = {each.llm.id: each.prior for each in candidates}
        if kept is not None:
            known = replace(request, candidates=tuple(replace(each, prior=kept.get(each.llm.id, each.prior)) for each in priced))
            if not known.may_switch():
                ranking, choice = known.with_requirements().settled()
                return ranking[0].candidate.llm, Pending(turn.scored("1", kept), choice, scored=False)
        ranking, choice = request.with_requirements().settled()
        return ranking[0].candidate.llm, Pending(turn.scored("1", scores), choice, scored=True)

    async def _keep(self, keeper: Keeper, pending: Pending, llm: LLM, usage: Usage, cost: float, *, last: bool) -> None:
        raw: dict[str, Any] = {} if last else {"choices": [{"message": {"tool_calls": [{}]}}]}
        reply = Reply(llm.id, "x", "stop", usage.input_tokens, usage.output_tokens, cost, 1.0, raw=raw, usage=usage)
        layer = Layer((Run.of(reply, ""),), {}, {})
        tokens = (usage.input_tokens, usage.output_tokens)
        decision = Decision("x", llm.id, "stop", (layer,), "single", "single", 0.5, cost, 1.0, *tokens, session=pending.choice, reply=reply)
        account = Account(Ledger(None, Fraction(cost)), replies=[reply])
        await keeper.answered(pending.turn, decision, account, {each.id: each for each in self.world.llms})


async def _run(world: World, conversations: Sequence[Conversation], system: str, options: Options) -> list[Outcome]:
    if system != OURS:
        return [await Asked(world, options, each, sticky=system == STICKY).run() for each in conversations]
    with tempfile.TemporaryDirectory() as folder:
        settings = SessionSettings()
        store = SqliteSessions(Path(folder) / "sessions.db", keep_s=settings.keep_s, most=settings.most, clock=lambda: 0.0)
        metrics = Metrics()
        keeper = Keeper(store, settings, HarnessSettings(), Events(), metrics)
        outcomes = [await Asked(world, options, each, keeper=keeper).run() for each in conversations]
        await store.close()
        return outcomes


@dataclass(frozen=True, slots=True)
class Trial:
    """Conversations of one part, and USD of their mean request, by which weights are scaled."""

    world: World
    conversations: Sequence[Conversation]
    request_usd: float

    def outcomes(self, system: str, worth: float) -> list[Outcome]:
        """Of one system, where a mean request is worth so many right answers."""
        options = Options(weights=Weights(1.0, worth / self.request_usd, 0.0), deadline=None).as_single()
        return asyncio.run(_run(self.world, self.conversations, system, options))


def scored(data: Dataset, queries_QD: NDArray[np.float32]) -> Floats:
    """Scores [Q, L] by ridge regression on the training queries' embeddings: level with the scorer, and its training takes a second."""
    train_Q = data.splits_Q == "train"
    groups = data.queries["dataset"][train_Q].tolist()
    fit = linear_fit(TrainingSet(data.roster, queries_QD[train_Q], data.labels_QL[train_Q], groups), RIDGE)
    return np.asarray(np.clip(fit.rule([], queries_QD), 0.0, 1.0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Recorded outcomes as worlds: `world` without caches. groups_Q, splits_Q, tokens_Q: of its queries."""

    world: World
    groups_Q: NDArray[np.str_]
    splits_Q: NDArray[np.str_]
    tokens_Q: Floats

    @classmethod
    def of(cls, folder: Path, reading: set_file.Reading) -> "Recorded":
        """The queries of this folder that all LLMs with enough labels were asked. Raises TableRefused."""
        data = recorded_set.read(folder, reading)
        data = data.columns(np.isfinite(data.labels_QL).mean(axis=0) >= COVERED)
        priors_QL = scored(data, recorded_set.embedded(data.queries))
        output_QL = recorded_set.output_tokens(folder, data, reading)
        expected_L = np.nanmean(output_QL[data.splits_Q == "train"], axis=0)
        llms = tuple(llm_of(each.id, Price(each.input_price, each.output_price)) for each in data.llms)
        places = {llm.id: place for place, llm in enumerate(llms)}
        world = World(llms, data.labels_QL, priors_QL, output_QL, expected_L, writes=False, places=places)
        complete_Q = np.asarray(np.isfinite(data.labels_QL).all(axis=1))
        groups_Q = np.asarray(data.queries["dataset"].tolist(), dtype=np.str_)
        return cls(world.part(complete_Q), groups_Q[complete_Q], data.splits_Q[complete_Q], recorded_set.tokens(data.queries)[complete_Q])

    def cached(self, scheme: str) -> "Recorded":
        """The same with caches."""
        read, write = SCHEMES[scheme]
        llms = tuple(replace(llm, price=cached_price(llm.price, read, write)) for llm in self.world.llms)
        return replace(self, world=replace(self.world, llms=llms, writes=write is not None))

    def trial(self, kind: str, *splits: str, most: int, seed: int) -> Trial:
        """At most so many conversations of these splits."""
        rows_Q = np.isin(self.splits_Q, splits).astype(np.bool_)
        part = self.world.part(rows_Q)
        made = composed(self.groups_Q[rows_Q], self.tokens_Q[rows_Q], KINDS[kind], most, seed)
        free = Trial(part, made, 1.0)
        outcomes = free.outcomes(MEMORYLESS, 0.0)
        return replace(free, request_usd=sum(each.usd for each in outcomes) / sum(each.requests for each in outcomes))


def llm_of(name: str, price: Price) -> LLM:
    """A recorded LLM that takes every prompt."""
    place, most = Endpoint("http://recorded/v1", name), Decoding(max_tokens=10**5)
    return LLM(name, name, price, place, decoding=most, context_window=10**7, capabilities=frozenset({"tools"}))


SYSTEMS = (MEMORYLESS, STICKY, OURS)


def main(argv: Sequence[str] | None = None) -> int:
    """Reads the command line."""
    parser = set_file.parser(__doc__, "sessions")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--caches", nargs="+", choices=list(SCHEMES), default=list(SCHEMES))
    parser.add_argument("--most", type=int, default=300, help="conversations")
    arguments = parser.parse_args(argv)
    if not arguments.folder.is_dir():
        print(f"{arguments.folder}: not there, skipped. docs/results/data.md says where recorded outcomes come from.")
        return 0
    try:
        recorded = Recorded.of(arguments.folder, set_file.named(arguments))
    except RouteMoAError as exc:
        print(exc, file=sys.stderr)
        return 1
    blocks, figures = [f"```sh\n{report.command(arguments.folder)}\n```"], {}
    for kind in arguments.kinds:
        for scheme in arguments.caches:
            block, figures[f"{kind} {scheme}"] = _compared(recorded.cached(scheme), kind, scheme, arguments)
            blocks.append(block)
            print(block, flush=True)
    report.write(arguments.out, blocks, figures)
    return 0


def _compared(recorded: Recorded, kind: str, scheme: str, arguments: Any) -> tuple[str, dict[str, Any]]:
    """One kind of conversation under one scheme of caches: a table, and its figures."""
    trial = recorded.trial(kind, "test", most=arguments.most, seed=2)
    rows, figures = [], {}
    for worth in WORTHS:
        outcomes = {system: trial.outcomes(system, worth) for system in SYSTEMS}
        quality = {system: np.array([each.quality for each in results]) for system, results in outcomes.items()}
        usd = {system: np.array([each.usd for each in results]) for system, results in outcomes.items()}
        for system, results in outcomes.items():
            row = {
                "quality": report.interval(quality[system]),
                "USD, 100 conversations": 100 * float(usd[system].mean()),
                "quality, ours − it": "" if system == OURS else report.difference(quality[OURS], quality[system]),
                "cost, ours / it": "" if system == OURS else report.ratio(usd[OURS], usd[system]),
                "changes of LLM": sum(each.changes for each in results) / len(results),
            }
            figures[f"{worth:g} {system}"] = {name: report.as_json(value) for name, value in row.items()}
            rows.append([f"{worth:g}", system, *row.values()])
    requests = sum(len(each.steps) for each in trial.conversations)
    scored = sum(each.scored for each in outcomes[OURS]) / requests
    about = f"{kind}, caches {scheme}: {len(trial.conversations)} conversations of {requests} requests, of which ours scored {scored:.0%}"
    columns = ["a request is worth", "system", *row]
    return f"**{about}**\n\n{report.table(columns, rows)}", {"about": about, **figures}


if __name__ == "__main__":
    sys.exit(main())
