"""Answers that could not be read are found, by scores or by texts; weak LLMs and hard datasets are not."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pipelines.validation import suspects

COUNT = 80


def clean(llms: int, datasets: int, labels: int, interaction: float, dice: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Mean scores and counts of a table in which nothing is broken."""
    odds_LS = dice.normal(0.4, 0.8, (llms, 1)) + dice.normal(0.0, 1.0, datasets) + dice.normal(0.0, interaction, (llms, datasets))
    counts_LS = np.full(odds_LS.shape, float(labels))
    return dice.binomial(labels, 1 / (1 + np.exp(-odds_LS))) / labels, counts_LS


LETTERS = np.array(list("ABCD"))


def world(rates: dict[tuple[str, str], float], *, choice: tuple[str, ...] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """LABELS and QUERIES in which an LLM is right on a dataset at the given rate; `choice` datasets ask to choose of four."""
    datasets = sorted({dataset for _, dataset in rates})
    queries = pd.DataFrame(
        [
            {"query_id": f"{dataset}-{n:03d}", "dataset": dataset, "reference": LETTERS[n % 4] if dataset in choice else f"word {n}"}
            for dataset in datasets
            for n in range(COUNT)
        ]
    )
    rows = [
        {"query_id": f"{dataset}-{n:03d}", "llm": llm, "score": float(n < round(rate * COUNT)), "grader": "recorded", "grader_version": "1"}
        for (llm, dataset), rate in rates.items()
        for n in range(COUNT)
    ]
    return pd.DataFrame(rows), queries


def flagged(found: pd.DataFrame) -> set[tuple[str, str]]:
    named = found[found["suspect"] == 1]
    return set(zip(named["llm"], named["dataset"], strict=True))


def skilled(llms: int, datasets: int, *, interaction: float = 0.2) -> dict[tuple[str, str], float]:
    means_LS, _ = clean(llms, datasets, 2000, interaction, np.random.default_rng(3))
    return {(f"llm{at[0]}", f"set{at[1]}"): float(mean) for at, mean in np.ndenumerate(means_LS)}


def test_a_score_below_blind_guessing_is_a_suspect() -> None:
    """On choices of four, .05 is no lack of skill; .20 of 80 may be; on other questions .05 is only hard."""
    rates = {("weak", "quiz"): 0.20, ("unread", "quiz"): 0.05, ("unread", "essay"): 0.05}
    found = suspects.find(*world(rates, choice=("quiz",)))
    assert flagged(found) == {("unread", "quiz")}
    (evidence,) = found.loc[found["suspect"] == 1, "evidence"]
    assert evidence.startswith(
        "below chance: 0.050 [0.020, 0.122] over 80 labels, 0.250 by guessing; scored 0: quiz-004, quiz-005, quiz-006"
    )


def test_a_score_far_below_what_llm_and_dataset_predict_is_a_suspect() -> None:
    """One broken pair in a table of skill is found, with what was expected of it; nothing else is."""
    rates = skilled(8, 10)
    broken = min(rates, key=lambda pair: abs(rates[pair] - 0.7))
    found = suspects.find(*world(rates | {broken: 0.02}))
    assert flagged(found) == {broken}
    row = found.set_index(["llm", "dataset"]).loc[broken]
    assert row["why"] == "far below expected"
    assert row["expected"] > 0.5 > row["high"]


def test_a_weak_llm_and_a_hard_dataset_are_no_suspects() -> None:
    """Being bad at everything, or at what all are bad at, is what the additive model expects."""
    odds = {
        pair: rate / (1 - rate) * (0.1 if pair[0] == "llm0" else 1.0) * (0.1 if pair[1] == "set0" else 1.0)
        for pair, rate in skilled(8, 8).items()
    }
    found = suspects.find(*world({pair: each / (1 + each) for pair, each in odds.items()}))
    assert found["observed"].min() < 0.1
    assert not flagged(found)


def test_clean_tables_rarely_raise_an_alarm() -> None:
    """Of forty clean tables no more than six raise any: at 5 % more would be one in a hundred."""
    dice = np.random.default_rng(0)
    alarms = sum(bool(suspects.far_below(*clean(6, 8, 200, 0.4, dice))[1].any()) for _ in range(40))
    assert alarms <= 6


def test_few_labels_or_llms_say_nothing() -> None:
    """Fewer than 30 labels are not looked at; three LLMs give no expectation."""
    labels, queries = world({("a", "quiz"): 0.0, ("b", "essay"): 0.0, ("c", "essay"): 0.9}, choice=("quiz",))
    found = suspects.find(labels[(labels["llm"] != "a") | (labels["query_id"] < "quiz-020")], queries)
    assert set(found["llm"]) == {"b", "c"}
    assert found["expected"].isna().all()
    assert suspects.find(labels[:0], queries).empty


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["", " "] * (COUNT // 2), "100% of the answers are empty"),
        (["I cannot"] * COUNT, "100% of the answers are 'I cannot'"),
        ([f"text {n}" for n in range(COUNT)], None),
    ],
)
def test_empty_or_identical_texts_are_suspects(texts: list[str], why: str | None) -> None:
    """Texts that say nothing are found whatever they scored; failed calls are not counted."""
    labels, queries = world({("a", "essay"): 0.5})
    answers = pd.DataFrame({"query_id": queries["query_id"], "llm": "a", "text": texts, "error": None})
    found = suspects.find(labels, queries, answers)
    assert found["why"].tolist() == [why or ""]


@pytest.mark.parametrize(("mean", "count"), [(0.0, 20), (0.25, 20), (0.5, 60), (1.0, 400), (0.333, 50)])
def test_the_interval_is_wilsons(mean, count) -> None:
    """Wilson 1927 by hand, the sum of the scores rounded: a fraction of a right answer is none."""
    share, z2 = round(mean * count) / count, 1.959964**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = (z2 * (share * (1 - share) / count + z2 / (4 * count**2))) ** 0.5 / (1 + z2 / count)
    assert suspects.wilson(mean, count) == pytest.approx((centre - half, centre + half), abs=1e-6)
