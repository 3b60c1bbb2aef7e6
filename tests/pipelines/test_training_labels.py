"""Which labels training sees, and how much each counts."""

import pandas as pd

from pipelines import training_labels
from tests.pipelines.test_assemble import labels, queries


def test_the_querys_own_grader_decides() -> None:
    """Where two graders labelled an answer, the label of the grader the query names is taken."""
    both = pd.concat(
        [labels("b-llm", {"q0000": 0.25}, "another"), labels("b-llm", {"q0000": 0.75}), labels("b-llm", {"q0001": 0.5}, "another")]
    )
    chosen = training_labels.one_label_each(both, queries())
    assert dict(zip(chosen["query_id"], chosen["score"], strict=True)) == {"q0000": 0.75, "q0001": 0.5}


def test_the_first_grader_by_name_decides_where_the_querys_own_is_silent() -> None:
    """Without a label of the grader the query names there is still one label, and always the same."""
    both = pd.concat([labels("b-llm", {"q0000": 0.25}, "zeta"), labels("b-llm", {"q0000": 0.75}, "alpha")])
    for table in (both, both[::-1]):
        assert training_labels.one_label_each(table, queries())["score"].tolist() == [0.75]


def test_a_label_counts_what_its_grader_is_worth() -> None:
    """A grader that params.yaml does not name counts in full."""
    both = pd.concat([labels("b-llm", {"q0000": 1}), labels("b-llm", {"q0001": 1}, "judge")])
    assert training_labels.weighted(both, {"judge": 0.25})["weight"].tolist() == [1.0, 0.25]


def test_labels_of_suspect_pairs_are_left_out() -> None:
    """Of the LLM on that dataset only: its other labels and the others' stay."""
    table = pd.concat([labels(llm, {"q0000": 1, "q0001": 0}) for llm in ("a", "b")])
    pool = queries(2, dataset=["quiz", "essay"])
    kept = training_labels.without_suspects(table, pool, pd.DataFrame({"llm": ["a"], "dataset": ["quiz"]}))
    assert list(zip(kept["llm"], kept["query_id"], strict=True)) == [("a", "q0001"), ("b", "q0000"), ("b", "q0001")]
