"""The mixture's harness: recorded answers through the real engine, and what is said of the decisions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import mixture, mixture_simulation, recorded_answers, report
from benchmarks.judging import SystemResult, aggregated, judged, stopping
from benchmarks.mixture import episodes
from benchmarks.replay import RecordedAnswer, RecordedQuery, calls, cost, latency, quality, replay
from benchmarks.rivals import cascade
from benchmarks.rivals.compositions import BARE, OURS, RUN_ON, SINGLE, systems
from benchmarks.set_file import Reading
from mixture.choose.layered import Layered
from mixture.choose.posterior import AgreementPosterior, PaperScore
from mixture.choose.ranking import Candidate
from mixture.llm import LLM
from mixture.price import Price
from pipelines.errors import TableRefused
from pipelines.fit_posterior import fit, partly
from tests.benchmarks import test_scorer
from tests.pipelines import trained_home

LLMS = [LLM(name, name, Price(0.0, 5.0), context_window=10**6) for name in "abc"]


def question(*answers: str, right: str = "1") -> RecordedQuery:
    texts = dict(zip("abc", answers, strict=True))
    return RecordedQuery(
        "What is it?",
        {llm: RecordedAnswer(f"Answer: {text}", 200, 0.001) for llm, text in texts.items()},
        {llm: float(text == right) for llm, text in texts.items()},
    )


def test_the_engine_replays_what_was_recorded() -> None:
    """A routed single LLM has its own label, cost and one call; a vote of three has the majority's."""
    questions = [question("1", "2", "2"), question("2", "1", "1")]
    priors_QL = np.array([[0.6, 0.55, 0.5]] * 2)
    single = replay(questions, priors_QL, LLMS, BARE.as_single())
    assert quality(questions, single).tolist() == [1.0, 0.0]
    assert (calls(single).tolist(), cost(single).tolist()) == ([1.0, 1.0], [0.001, 0.001])
    vote = next(each for each in systems(priors_QL, priors_QL[0], LLMS, AgreementPosterior(), 1.0) if each.name == RUN_ON)
    made = replay(questions, priors_QL, LLMS, vote.options, vote.strategy)
    assert quality(questions, made).tolist() == [0.0, 1.0]
    assert cost(made) == pytest.approx([0.003, 0.003])


def test_what_writes_new_text_is_refused() -> None:
    """A self-assessment changes the question, and no record answers that."""
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="bare question")):
        replay([question("1", "2", "2")], np.array([[0.9, 0.5, 0.4]]), LLMS, replace(BARE, k=1), Layered())


def test_ours_asks_fewer_than_everyone_and_its_parts_are_measured() -> None:
    """On a simulated pool: one row a system, AUROC above the prior's, stops that say why."""
    world = mixture_simulation.Simulation()
    seen, seen_QL, pool = mixture_simulation.simulate(150, 6, world, seed=0)
    evidence = fit(partly(episodes(seen, seen_QL, pool)))
    asked, asked_QL, _ = mixture_simulation.simulate(80, 6, world, seed=1)
    rows = {}
    for system in systems(asked_QL, seen_QL.mean(axis=0), pool, evidence, usd=100.0):
        made = system.decisions(asked, pool)
        rows[system.name] = SystemResult(quality(asked, made), calls(made), cost(made), made)
    assert calls(rows[SINGLE].decisions).max() == 1
    assert 1 < rows[OURS].calls_Q.mean() < rows[RUN_ON].calls_Q.mean() == 6
    families = {llm.id: llm.id for llm in pool}
    told = judged(asked, rows[RUN_ON].decisions, {"posterior": evidence, "published": PaperScore()}, families)
    assert told["posterior"].mean > told["prior"].mean
    assert told["published"].mean == pytest.approx(told["prior"].mean)
    stops = stopping(rows[OURS], rows[RUN_ON])
    assert sum(stops["reasons"].values()) == pytest.approx(1)
    assert sum(stops["rounds"].values()) == pytest.approx(1)
    assert aggregated(asked, rows[RUN_ON])["of these returned wrong"].mean <= 0.1


def test_simulated_judges_and_latencies_are_what_the_generator_says() -> None:
    """Nobody judges unless told to; judgements tell right from wrong as far as their noise lets them; a layer lasts as its slowest."""
    quiet, priors_QL, pool = mixture_simulation.simulate(300, 5, mixture_simulation.Simulation(), seed=0)
    judged_, _, _ = mixture_simulation.simulate(300, 5, mixture_simulation.Simulation(judge_noise=0.5), seed=0)
    assert {answer.mean_logprob for each in quiet for answer in each.answers.values()} == {None}
    assert [each.labels for each in quiet] == [each.labels for each in judged_]
    given = [(answer.mean_logprob, each.labels[llm]) for each in judged_ for llm, answer in each.answers.items()]
    right, wrong = (np.array([value for value, label in given if label == told], dtype=float) for told in (1.0, 0.0))
    assert right.mean() - wrong.mean() == pytest.approx(1.0, abs=0.1)
    assert [right.std(), wrong.std()] == pytest.approx([0.5, 0.5], abs=0.05)
    evidence = {noise: fit(partly(episodes(seen, priors_QL, pool))) for noise, seen in (("none", quiet), ("some", judged_))}
    assert (evidence["none"].logprob, evidence["some"].logprob > 1) == (0.0, True)
    asked = {each.name: each for each in systems(priors_QL, priors_QL[0], pool, evidence["none"], usd=100.0)}
    slowest = [max(answer.latency_s for answer in each.answers.values()) for each in quiet]
    assert latency(asked[RUN_ON].decisions(quiet, pool)) == pytest.approx(slowest)
    one_by_one = asked[OURS].decisions(quiet, pool)
    expected = [
        sum(each.answers[run.llm].latency_s for layer in made.layers for run in layer.runs)
        for each, made in zip(quiet, one_by_one, strict=True)
    ]
    assert latency(one_by_one) == pytest.approx(expected)
    assert 0.8 < np.median([answer.latency_s for each in quiet for answer in each.answers.values()]) < 5


def test_a_cascade_is_chosen_for_its_aim_and_does_what_it_was_chosen_for() -> None:
    """More money buys more quality, somewhat less of it costs less; the engine asks and returns as the choice reckoned."""
    seen, seen_QL, pool = mixture_simulation.simulate(120, 6, mixture_simulation.Simulation(), seed=0)
    told = episodes(seen, seen_QL, pool)
    evidence = fit(partly(told))
    usd = {llm.id: Candidate(llm, 0.0).cost_usd for llm in pool}
    single = max(pool, key=lambda llm: np.mean([each.labels[llm.id] for each in seen]))
    best = float(np.mean([each.labels[single.id] for each in seen]))
    aims = [cascade.best_within(usd[single.id]), cascade.best_within(3 * usd[single.id]), cascade.cheapest_with(best - 0.1)]
    made = []
    for aim in aims:
        chain = cascade.choose(seen, told, pool, evidence, aim)
        assert list(chain.llms) == sorted(chain.llms, key=usd.__getitem__)
        decisions = cascade.cascaded(seen_QL, chain, evidence).decisions(seen, pool)
        reckoned = cascade.outcomes(chain.llms, seen, told, usd, evidence)
        at = cascade.THRESHOLDS.index(chain.threshold)
        assert quality(seen, decisions).tolist() == reckoned[0][at].tolist()
        assert cost(decisions) == pytest.approx(reckoned[1][at])
        asked = [tuple(run.llm for layer in each.layers for run in layer.runs) for each in decisions]
        assert set(asked) <= {chain.llms[:size] for size in range(1, len(chain.llms) + 1)}
        made.append((float(quality(seen, decisions).mean()), float(cost(decisions).mean())))
    (little, little_usd), (much, much_usd), (as_good, thrifty_usd) = made
    assert little_usd <= usd[single.id] * (1 + 1e-9)
    assert much_usd <= 3 * usd[single.id] * (1 + 1e-9)
    assert best <= little < much
    assert as_good >= best - 0.1
    assert thrifty_usd < usd[single.id]


def test_a_cascade_is_reckoned_as_the_engine_runs_it_where_prices_tie_and_options_come_with_their_text() -> None:
    """The scorer's order then decides, and an option counts as its letter only once one of those asked gave a bare letter."""
    texts = {"a": "B. The largest city that there is in France.", "b": "B. It is the largest one of all of them.", "c": "B"}
    answers = {llm: RecordedAnswer(text, 200, 0.001) for llm, text in texts.items()}
    priors_QL = np.array([[0.5, 0.6, 0.4], [0.6, 0.5, 0.4]])
    for llms, right in ((("a", "b"), "a"), (("a", "b", "c"), "abc")):
        questions = [RecordedQuery("What is it?", answers, {llm: float(llm in right) for llm in "abc"})] * 2
        told = episodes(questions, priors_QL, LLMS)
        reckoned = cascade.outcomes(llms, questions, told, dict.fromkeys("abc", 0.001), AgreementPosterior())
        for at, threshold in enumerate(cascade.THRESHOLDS):
            made = cascade.cascaded(priors_QL, cascade.Chain(llms, threshold), AgreementPosterior()).decisions(questions, LLMS)
            assert quality(questions, made).tolist() == reckoned[0][at].tolist()
            assert cost(made) == pytest.approx(reckoned[1][at])
        scores = made[0].layers[-1].after
        assert (scores["a"] == scores["b"]) == ("c" in llms)


def test_a_cascade_asks_others_where_none_of_its_llms_is_on_record() -> None:
    """A query that its LLMs never answered is not lost."""
    whole = question("1", "2", "2")
    partial = replace(whole, answers={"a": whole.answers["a"]}, labels={"a": 1.0})
    made = cascade.cascaded(np.full((2, 3), 0.5), cascade.Chain(("b",), 1.0), AgreementPosterior()).decisions([whole, partial], LLMS)
    assert [each.llm for each in made] == ["b", "a"]


def recorded(folder: Path, **columns: list[str]) -> Path:
    """Ten queries of each split, two LLMs."""
    splits = ["train"] * 10 + ["val"] * 10 + ["test"] * 10
    ids = [f"q{n}" for n in range(30)]
    pd.DataFrame({"query_id": ids, "dataset": "d", "query": [f"Question {n}?" for n in range(30)], "split": splits}).to_parquet(
        folder / "queries.parquet"
    )
    rows = pd.DataFrame([(query_id, llm, float(llm == "a")) for query_id in ids for llm in "ab"], columns=["query_id", "llm", "score"])
    rows.assign(**{name: values * 30 for name, values in columns.items()}).to_parquet(folder / "outcomes.parquet")
    return folder


def test_texts_come_from_the_column_that_is_named(tmp_path: Path) -> None:
    """A bare final answer is stated as one; where there is none, it is prose. Without prices all calls cost the same."""
    found = recorded_answers.read(recorded(tmp_path, pred=["42", ""]), Reading(text="pred"))
    assert {each.answers["a"].text for each in found.questions} == {"Answer: 42"}
    assert "Answer" not in found.questions[0].answers["b"].text
    assert not found.priced
    assert len({each.answers[llm].cost_usd for each in found.questions for llm in "ab"}) == 1


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    """With what is there, and what to type."""
    with pytest.raises(TableRefused, match=r"no column 'response'.*pred.*`text`"):
        recorded_answers.read(recorded(tmp_path, pred=["1", "2"]), Reading())


def test_one_command_on_ones_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of outcomes with final answers gives every file, with a row for each system and a choice for each query."""
    home, mine = trained_home.trained_home(tmp_path / "home"), tmp_path / "mine"
    mine.mkdir()
    test_scorer.write(mine, queries=200)
    outcomes = pd.read_parquet(mine / "outcomes.parquet")
    finals = np.where(outcomes["score"] == 1, "42", outcomes["llm"])
    outcomes.assign(pred=finals).to_parquet(mine / "outcomes.parquet")
    (tmp_path / "mine.yaml").write_text("text: pred\n")
    for module, name, value in ((mixture, "FOLDS", 2), (mixture, "PRICES", (0.01,)), (report, "RESAMPLES", 50)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.chdir(home)
    monkeypatch.setattr("sys.argv", ["mixture.py", str(mine), "--set", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")])
    mixture.main()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.md", "results.json", "choices.csv"}
    table = (tmp_path / "out" / "table.md").read_text()
    assert all(f"\n| {name} | " in table for name in (SINGLE, cascade.CASCADE, OURS, RUN_ON, "oracle (told the labels)"))
    choices = pd.read_csv(tmp_path / "out" / "choices.csv")
    assert choices.groupby("system")["query_id"].nunique().nunique() == 1
