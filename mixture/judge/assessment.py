"""What an LLM is asked to judge within the answering call, its own answer and its peers', and how its reply is read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mixture.choose.strategy import Strategy
from mixture.judge import json_reply
from mixture.judge.text_reply import ASK_CROSS, ASK_SELF, SHOW, JudgedReply, quoted, read, with_note
from mixture.llm import Message, SelfAssessment


@dataclass(frozen=True, slots=True)
class Questions:
    """What one LLM is asked to judge beside answering, and how. scored: the opaque ids of the answers that it is to score."""

    self_score: bool
    scored: tuple[str, ...] = ()
    structured: bool = False

    @classmethod
    def to(cls, how: SelfAssessment, shown: Iterable[str], strategy: Strategy) -> "Questions":
        """Those to an LLM that is asked in this way; `shown` are the opaque ids of its peers' answers."""
        scored = tuple(shown) if how != "none" and strategy.cross_assessment else ()
        self_score = how != "none" and strategy.self_assessment
        return cls(self_score, scored, how == "json_schema" and (self_score or bool(scored)))

    @property
    def fields(self) -> dict[str, Any]:
        """Further fields of the OpenAI request."""
        return {"response_format": json_reply.response_format(self.scored, self_score=self.self_score)} if self.structured else {}

    def ask(self, messages: Sequence[Message], shown: Mapping[str, str]) -> list[Message]:
        """`messages` with the peers' answers `shown` (by opaque id) and what is asked about them and about the LLM's own answer."""
        notes = [SHOW.format(answers=quoted(shown))] if shown else []
        if self.structured:
            notes.append(json_reply.note(self.scored, self_score=self.self_score))
        else:
            if self.scored:
                notes.append(ASK_CROSS.format(example=" ".join(f"{opaque}=0.NN" for opaque in self.scored)))
            if self.self_score:
                notes.append(ASK_SELF)
        return with_note(messages, "\n\n".join(notes)) if notes else list(messages)

    def read(self, text: str) -> JudgedReply:
        """The reply; judgements are read only where they were asked for, and one that keeps to no form is read for trailers."""
        if not self.self_score and not self.scored:
            return JudgedReply(text)
        judged = (json_reply.read(text, self.scored) if self.structured else None) or read(text, self.scored)
        return replace(judged, text=judged.text.strip(), self_score=judged.self_score if self.self_score else None)

    def write(self, judged: JudgedReply) -> str:
        """A reply that is read as `judged`."""
        if self.structured:
            return json_reply.write(judged)
        scores = " ".join(f"{opaque}={score:.6f}" for opaque, score in judged.scores.items())
        confidence = "" if judged.self_score is None else f"{judged.self_score:.6f}"  # an empty one says that what stands before it is text
        trailers = [*([f"SCORES: {scores}"] if self.scored else []), *([f"CONFIDENCE: {confidence}"] if self.self_score else [])]
        return "\n".join([judged.text, *trailers])
