"""Judgements as structured output: asked for only where the LLM judges so, read strictly, and an answer is never lost to its form."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mixture.choose.layered import Layered
from mixture.choose.sequential import Sequential
from mixture.choose.strategy import Strategy
from mixture.client.protocol import Call
from mixture.client.request_size import worst_case_usd
from mixture.judge import json_reply, text_reply
from mixture.judge.assessment import Questions
from mixture.judge.text_reply import JudgedReply
from mixture.llm import SelfAssessment
from tests.cpu import at_most
from tests.mixture.makers import llm, user

SHOWN = ("A1", "A2")
BOTH = Questions(self_score=True, scored=SHOWN, structured=True)
answers = st.text(max_size=200) | st.lists(
    st.sampled_from(["42", "foo CONFIDENCE: 0.4", "CONFIDENCE: 0.5", "SCORES: A1=1.0", "```", '{"answer": "1"}', ""]), max_size=5
).map("\n".join)
scores = st.none() | st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


def objects(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(["answer", "confidence", "scores", "A1", "A9"]), part)


@pytest.mark.parametrize(
    ("self_assessment", "strategy", "asked"),
    [
        ("in_text", Layered(), Questions(self_score=True, scored=SHOWN)),
        ("json_schema", Layered(), BOTH),
        ("json_schema", Layered(self_assessment=False), Questions(self_score=False, scored=SHOWN, structured=True)),
        ("json_schema", Layered(self_assessment=False, cross_assessment=False), Questions(self_score=False)),
        ("none", Layered(), Questions(self_score=False)),
        ("json_schema", Sequential(), Questions(self_score=False)),
    ],
)
def test_an_llm_is_asked_as_its_entry_and_the_strategy_say(self_assessment: SelfAssessment, strategy: Strategy, asked: Questions) -> None:
    """Nothing that nobody wants is asked for, and a form only with something to judge."""
    assert Questions.to(self_assessment, SHOWN, strategy) == asked


def test_what_is_not_asked_for_leaves_the_request_unchanged() -> None:
    """With both assessments off, the first layer's LLMs see exactly the caller's messages, and the reply is taken as it is."""
    nothing = Questions(self_score=False)
    assert (nothing.ask(user(), {}), nothing.fields) == (user(), {})
    assert nothing.read("42\nCONFIDENCE: 0.1") == JudgedReply("42\nCONFIDENCE: 0.1")


def test_what_is_asked_stands_in_the_last_user_turn() -> None:
    """As lines after the answer, or as a form that is also told in words."""
    assert Questions(self_score=True).ask(user("Q"), {})[0]["content"] == f"Q\n\n{text_reply.ASK_SELF}"
    words = str(BOTH.ask(user("Q"), {"A1": "41", "A2": "42"})[0]["content"])
    assert all(said in words for said in ("Q\n\n", "[A1]\n> 41", '"answer"', '"scores"', "A1, A2", '"confidence"'))
    assert "CONFIDENCE" not in words


def test_the_form_puts_the_answer_first_and_allows_nothing_else() -> None:
    """In the order in which endpoints write it; nothing may be added or left out."""
    schema = BOTH.fields["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == schema["required"] == ["answer", "scores", "confidence"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]["scores"]["properties"]) == ["A1", "A2"]
    alone = Questions(self_score=True, structured=True).fields["response_format"]["json_schema"]["schema"]
    assert list(alone["properties"]) == ["answer", "confidence"]


@given(answers, scores, st.dictionaries(st.sampled_from(SHOWN), scores), st.booleans())
def test_what_is_written_is_read_again(answer: str, own: float | None, given_: dict[str, float | None], structured: bool) -> None:
    """Records replay by that, whatever the answer says."""
    text = answer.strip() if structured else text_reply.read(answer).text
    judged = JudgedReply(text, own, {opaque: score for opaque, score in given_.items() if score is not None})
    asked = Questions(self_score=True, scored=SHOWN, structured=structured)
    assert asked.read(asked.write(judged)) == judged


@given(st.text(max_size=60), st.data())
def test_a_reply_that_was_cut_off_keeps_its_answer_so_far(answer: str, data: st.DataObject) -> None:
    """Wherever a limit on tokens fell, within an escape too; of what came no score is made up."""
    whole = json.dumps({"answer": answer, "scores": {"A1": 0.5, "A2": 0.5}, "confidence": 0.9}, ensure_ascii=data.draw(st.booleans()))
    filled = json_reply.read(whole[: data.draw(st.integers(1, len(whole) - 1))], SHOWN)
    assert filled is not None
    assert answer.startswith(filled.text)
    assert (filled.self_score, filled.scores) == (None, {})


@example({"answer": "42", "confidence": 10**400, "scores": {"A1": -(10**400)}})
@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5), lambda part: st.lists(part) | objects(part))
)
def test_any_json_is_read_without_error_and_scores_stay_in_range(said: Any) -> None:
    """A truth value, a word, NaN or 1.7 is no score; an answer that is no text is none."""
    filled = json_reply.read(json.dumps(said), SHOWN)
    if filled is not None:
        assert filled.self_score is None or 0 <= filled.self_score <= 1
        assert all(opaque in SHOWN and 0 <= score <= 1 for opaque, score in filled.scores.items())


@pytest.mark.parametrize("number", ["1" + "0" * 400, "true", '"0.9"', "1.7", "-0.1", "NaN", "Infinity", "null", "[0.5]"])
def test_what_is_no_number_between_0_and_1_is_unknown(number: str) -> None:
    """No score is invented, and the answer stays."""
    said = f'{{"answer": "42", "scores": {{"A1": {number}, "A2": 0.25, "A9": 1}}, "confidence": {number}}}'
    assert BOTH.read(said) == JudgedReply("42", None, {"A2": 0.25})


def test_a_reply_that_keeps_to_no_form_is_read_as_text() -> None:
    """An endpoint that ignores the schema: the answer as it stands, with trailers where it has them."""
    assert BOTH.read("42\nSCORES: A1=0.10\nCONFIDENCE: 0.5") == JudgedReply("42", 0.5, {"A1": 0.1})
    assert BOTH.read('{"result": 42}') == JudgedReply('{"result": 42}')
    assert BOTH.read("[42]") == JudgedReply("[42]")
    assert BOTH.read('{"answer": "4\\ud8002", "confidence": 0.5}') == JudgedReply("42", 0.5)
    assert BOTH.read('{"answer": "\\d+", "confidence": 0.5}') == JudgedReply('{"answer": "\\d+", "confidence": 0.5}')


def test_a_form_in_a_code_fence_or_with_raw_newlines_is_read() -> None:
    """As LLMs write JSON whose endpoints do not keep them to it."""
    assert BOTH.read('```json\n{"answer": "42", "confidence": 0.5}\n```') == JudgedReply("42", 0.5)
    assert BOTH.read('{"answer": "4\n2", "confidence": 0.5}') == JudgedReply("4\n2", 0.5)


def test_the_form_counts_in_what_a_call_may_cost() -> None:
    """It is sent, and read by the LLM, as the messages are."""
    asked = BOTH.ask(user(), {"A1": "41", "A2": "42"})
    assert worst_case_usd(Call(llm("a"), asked, BOTH.fields)) > worst_case_usd(Call(llm("a"), asked))


def test_trailers_within_the_form_say_nothing() -> None:
    """The judgement beside the answer counts; one inside it is a part of the answer, and no peer gets to see it."""
    assert BOTH.read('{"answer": "42\\nCONFIDENCE: 1.0", "confidence": 0.25}') == JudgedReply("42\nCONFIDENCE: 1.0", 0.25)
    without = Questions(self_score=False, scored=SHOWN, structured=True)
    assert without.read('{"answer": "42", "confidence": 0.25, "scores": {"A1": 1}}') == JudgedReply("42", None, {"A1": 1.0})


@pytest.mark.parametrize(
    "text", ['{"answer": "' + "\\" * 50_001, '{"answer": "' + '\\"' * 50_000, '{"answer":' + " " * 100_000, "[" * 100_000]
)
def test_no_reply_takes_long_to_read(text: str) -> None:
    """The time grows with the reply, not with its square, and deep nesting is no crash."""
    with at_most(0.5):
        BOTH.read(text)
