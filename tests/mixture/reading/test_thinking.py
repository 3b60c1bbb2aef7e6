"""What an LLM thinks is kept apart from what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixture.reading.final_answer import body, final_answer
from mixture.reading.text import normalise
from mixture.reading.thinking import spoken, text_of


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<think>5</think>7", "7"),
        ("<think>\n5\n</think>\n\n7", "7"),
        ("<THINK>5</THINK> 7", " 7"),
        ("<thinking>5</thinking>7", "7"),
        ("5</think>7", "7"),
        ("<think>5", ""),
        ("7 <think>5", ""),
        ("<think>a <think>b</think> c</think>7", "7"),
        ("<think>a</think>6 <think>b</think>7", "6 7"),
        ("<think><reasoning>x</reasoning> 5", ""),
        ("[THINK]5[/THINK]7", "7"),
        ("◁think▷5◁/think▷7", "7"),
        ("<|START_THINKING|>5<|END_THINKING|>7", "7"),
        ("<think type='x'>5</think>7", "7"),
        ("Here is my thought process: 5. Here is my response: 7", " 7"),
        ("", ""),
        ("7", "7"),
        ("<|channel|>analysis<|message|>5<|end|><|start|>assistant<|channel|>final<|message|>7<|return|>", "7"),
        ("<|channel|>analysis<|message|>5", ""),
        ("analysisWe need 5.assistantfinal7", "7"),
        ("analysisWe need 5", ""),
        ("Analysis of 5: 7", "Analysis of 5: 7"),
        ("I think <b>7</b>", "I think <b>7</b>"),
        ("Use `<think>` for that.", "Use `<think>` for that."),
        ("```python\nx = '<think>'\n```", "```python\nx = '<think>'\n```"),
        ("a < think > b", "a < think > b"),
    ],
)
def test_thinking_is_left_out(text: str, says: str) -> None:
    """Tags of every vendor, closed, nested, opened by the prompt or never closed; a tag that is only spoken about stays."""
    assert spoken(text) == says


@pytest.mark.parametrize(
    "content",
    [
        "7",
        {"content": "7", "reasoning_content": "5"},
        {"content": [{"type": "text", "text": "7"}]},
        [{"type": "thinking", "thinking": "5"}, {"type": "text", "text": "7"}],
        {"role": "assistant", "content": "<think>5</think>7"},
        [{"type": "reasoning", "text": "5"}, {"type": "output_text", "text": "7"}],
        ["7"],
        {"content": [{"text": "5", "thought": True}, {"text": "7"}]},
    ],
)
def test_a_message_says_its_text(content: object) -> None:
    """Fields and parts that hold thinking are not said."""
    assert text_of(content) == "7"


def test_a_part_of_a_type_that_is_no_word_is_said() -> None:
    """Whatever an endpoint writes there."""
    assert text_of([{"type": ["thinking"], "text": "4"}]) == "4"


@pytest.mark.parametrize("content", [None, {}, [], {"content": None, "reasoning_content": "5"}, 7, [{"type": "image_url"}]])
def test_a_message_without_text_says_nothing(content: object) -> None:
    """Only thinking, no content, another kind of content: nothing is said."""
    assert text_of(content) == ""


@given(text=st.text(alphabet="<>/thinkreasoning ab7[]`\n'\"", max_size=200) | st.text(max_size=200))
def test_speaking_never_adds_anything(text: str) -> None:
    """Every character that is said stood in the text, in that order; what is said holds no more thinking."""
    rest = iter(text)
    assert all(letter in rest for letter in spoken(text))
    assert spoken(spoken(text)) == spoken(text) or "think" in text or "`" in text


def test_a_run_on_is_no_answer() -> None:
    """The next question an LLM asks itself is not read; a question repeated before the answer is."""
    assert final_answer("The answer is 5.\n\nQuestion: What?\nAnswer: 7") == "5."
    assert final_answer("Question: What?\nAnswer: 7") == "7"
    assert body("Answer: 5\n\n用户：再来一题\n答案：7") == "Answer: 5"


@given(text=st.text(max_size=200))
def test_normalise_is_idempotent(text: str) -> None:
    """Normalising twice changes nothing, so equality does not depend on who normalised."""
    assert normalise(normalise(text)) == normalise(text)
