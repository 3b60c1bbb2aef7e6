"""What of a conversation is scored is what training would have seen of it."""

import numpy as np
import pytest

from scorer import runtime, text_features
from serving.request.querytext import query_text
from tests.scorer import tiny


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> runtime.RuntimeScorer:
    """One whose vectors have text_features."""
    return runtime.load(tiny.tiny_artifact(tmp_path_factory.mktemp("features") / "scorer", text_features=True))


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("length", [10, 1_000, 5_000, text_features.LONGEST + 5_000])
def test_a_long_prompt_is_scored_as_it_was_trained_on(scorer: runtime.RuntimeScorer, length: int) -> None:
    """Looks read more of a text than the encoder does: serving must not cut what they read."""
    whole = ("A. 12 + 30\n" * length)[:length] + " What is the sum?"
    served = query_text(asked(whole), scorer.manifest.max_tokens)
    np.testing.assert_array_equal(scorer.score([served]).scores_QL, scorer.score([whole]).scores_QL)


def test_megabytes_are_cut() -> None:
    assert len(query_text(asked("x" * 3_000_000), 128)) == text_features.LONGEST


def test_turns_come_before_the_last_and_what_follows_it_is_not_scored() -> None:
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "three"},
        {"role": "tool", "content": "four"},
    ]
    assert query_text(messages, 128) == "be brief\n\none\n\ntwo\n\nthree"
