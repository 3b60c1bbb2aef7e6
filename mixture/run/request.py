"""One request to the mixture: the conversation, the LLMs that may answer it, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mixture.choose.action import OFF, Action, Circumstances, Explore, act
from mixture.choose.efforts import narrowed
from mixture.choose.options import Options
from mixture.choose.posterior import query_easiness
from mixture.choose.ranking import Candidate, Ranked, only_too_long, refusal
from mixture.choose.sequential import Sequential
from mixture.choose.session import Session, SessionChoice, answered, could_gain, settled
from mixture.choose.strategy import AnswersSoFar, Strategy
from mixture.client import signed_thinking
from mixture.client.native import Native
from mixture.client.protocol import Call
from mixture.client.request_size import expected_input_tokens, worst_case_usd
from mixture.client.requirements import abilities, one_llm_only
from mixture.errors import NoAnswer, PromptTooLong
from mixture.llm import LLM, Message


@dataclass(frozen=True, slots=True)
class Request:
    """candidates: every LLM with a score that can be called. uncallable: LLM id -> why it cannot be called at all.

    fields: further fields of the OpenAI request, passed on to the LLMs. native: the request as its caller wrote it in another dialect, for
    an LLM that speaks it and answers alone. session: what is known of its session, None where it has none. explore: what of the choice is
    left to chance.
    """

    messages: Sequence[Message]
    candidates: Sequence[Candidate]
    options: Options = field(default_factory=Options)
    strategy: Strategy = field(default_factory=Sequential)
    fields: Mapping[str, Any] = field(default_factory=dict)
    uncallable: Mapping[str, str] = field(default_factory=dict)
    native: Native | None = field(default=None, compare=False, repr=False)
    session: Session | None = None
    explore: Explore = OFF

    def with_requirements(self) -> "Request":
        """The same with what it requires: abilities, tokens of context, an effort, and one LLM alone where its answer cannot be combined.

        A `reasoning_effort` chooses among rows of the pool and goes no further: each row is asked at the effort that it was trained at.
        """
        options = replace(self.options, capabilities=self.options.capabilities | abilities(self.messages, self.fields))
        if one_llm_only(self.messages, self.fields):
            options = options.as_single()
        tokens = expected_input_tokens(self.messages, self.fields)
        candidates = tuple(each.reading(tokens) for each in self.candidates)
        if (effort := self.fields.get("reasoning_effort")) is None:
            return replace(self, options=options, candidates=candidates)
        kept, left_out = narrowed(candidates, effort)
        fields = {name: value for name, value in self.fields.items() if name != "reasoning_effort"}
        return replace(self, options=options, candidates=kept, fields=fields, uncallable={**self.uncallable, **left_out})

    def opened(self, ranking: Sequence[Ranked] | None = None) -> tuple[tuple[Ranked, ...], Action]:
        """Who is asked first (`chosen`): the session's LLM where it stays, or whom chance drew; who stands by; and with which propensities.

        ranking: by the request's strategy, for who has one already. Raises NoAnswer where no LLM may answer.
        """
        ranked = self.settled(ranking)[0]
        return act(ranked, self.options, self.explore, Circumstances(self.session, self.in_layers, self._affordable))

    def settled(self, ranking: Sequence[Ranked] | None = None) -> tuple[tuple[Ranked, ...], SessionChoice | None]:
        """The ranking before chance, with the session's LLM in front where it stays, and whether it does. Raises NoAnswer."""
        ranking = tuple(self._ranking() if ranking is None else ranking)
        if not ranking:
            raise self._nobody()
        if self.session is None or self.in_layers:
            return ranking, None if self.session is None else SessionChoice(self.session.id, self.session.llm, stayed=False, why="layers")
        return settled(ranking, self.options, self.session)

    def may_switch(self) -> bool:
        """Whether scores could move the session to another LLM, or it has none that may answer."""
        session, required = self.session, self.with_requirements()
        if session is None or session.llm is None or required.in_layers:
            return True
        eligible = [each for each in required.candidates if refusal(each, required.options) is None]
        if not any(each.llm.id == session.llm and not each.silent for each in eligible):
            return True
        return session.held is None and could_gain(eligible, required.options, session)

    @property
    def in_layers(self) -> bool:
        """Whether layers of LLMs answer that see each other's answers: they are asked anew for each request, whoever served the session."""
        return self.strategy.shows_answers and not self.options.single

    def session_after(self, llm: str | None, asked: Sequence[str]) -> SessionChoice | None:
        """Whether the session stayed, once it is known whose answer was returned and who answered. Raises NoAnswer as `settled`."""
        if self.session is None or (choice := self.settled()[1]) is None:
            return None
        dropped = 0 if llm is None else signed_thinking.count(self.messages[: self.session.foreign_until(llm, len(self.messages))])
        return replace(answered(choice, llm, asked, self.candidates), state_dropped=dropped)

    def excluded(self) -> dict[str, str]:
        """LLM id -> why it may not answer; those first that cannot be called at all."""
        return {**self.uncallable, **{each.llm.id: why for each in self.candidates if (why := refusal(each, self.options)) is not None}}

    def _nobody(self) -> NoAnswer:
        """Why no LLM may answer; that the prompt is too long where a shorter one would have found one."""
        too_long = [each for each in self.candidates if only_too_long(each, self.options)]
        if not too_long:
            return nobody_may_answer(self.excluded())
        longest = max(too_long, key=lambda each: each.llm.context_window)
        tokens, most = longest.input_tokens or 0, longest.llm.context_window
        what = f"No LLM may answer this request: the maximum context length is {most} tokens ({longest.llm.id}), and it has about {tokens}."
        return PromptTooLong(what, tokens=tokens, most=most, next_step="Shorten the conversation.")

    def _affordable(self, llm: LLM) -> bool:
        """Whether the worst case of its call fits into the budget."""
        budget_usd = self.options.budget_usd
        return budget_usd is None or worst_case_usd(Call(llm, self.messages, self.fields, native=self.native)) <= budget_usd

    def _ranking(self) -> tuple[Ranked, ...]:
        if self.options.single:
            return self.strategy.rank(self.candidates, self.options)
        priors = {each.llm.id: each.prior for each in self.candidates}
        return self.strategy.select(AnswersSoFar(self.candidates, {}, priors, (), query_easiness(priors.values())), self.options)


def nobody_may_answer(excluded: Mapping[str, str]) -> NoAnswer:
    """The refusal of a request that no LLM may answer. excluded: LLM id -> why it may not."""
    reasons = "; ".join(f"{llm}: {why}" for llm, why in excluded.items())
    next_step = "Leave out what none of them may or can do, or add an LLM to the pool that does."
    return NoAnswer(f"No LLM may answer this request ({reasons}).", why="nobody", next_step=next_step)
