"""What judgements are worth, told from a record of calls: stories, what is known of answers, and figures that a good judge moves."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from benchmarks import live_bench, live_judging
from benchmarks.calls import CallMissing
from mixture.client import Call, Chunk, Reply
from mixture.llm import LLM, Endpoint, Price
from mixture.posterior import Evidence, Heard
from pipelines.graders.query import Query
from pipelines.posterior import Episode


class Answering:
    """`a` is always right, `b` and `c` never; who is shown answers scores them truly, and all claim little of their own."""

    async def ask(self, call: Call) -> Reply:
        content = str(call.messages[-1]["content"])
        text = "42" if call.llm.id == "a" else "7"
        if "SCORES" in content:
            shown = dict(zip(("A1", "A2", "A3"), [line for line in content.splitlines() if line.startswith(">")], strict=True))
            text += "\nSCORES: " + " ".join(f"{opaque}={0.9 if '42' in said else 0.1}" for opaque, said in shown.items())
        if "CONFIDENCE" in content:
            text += "\nCONFIDENCE: 0.20"
        return Reply(call.llm.id, text, "stop", 10, 5, 0.0, 1.0, -0.1)

    async def stream(self, call: Call) -> AsyncIterator[Chunk]:
        reply = await self.ask(call)
        yield Chunk(reply.text, reply=reply)


@pytest.fixture
def bench() -> live_bench.Bench:
    llms = [LLM(name, name, Price(1.0, 2.0), endpoint=Endpoint("http://127.0.0.1:1/v1", name)) for name in "abc"]
    priors = {"a": 0.5, "b": 0.4, "c": 0.3}
    asked = [live_bench.Asked(Query(str(at), f"{at}: 6 x 7?", "number", reference="42"), "m", True, priors) for at in range(4)]
    return live_bench.Bench(asked, llms, priors, Evidence(), "a hash")


@pytest.fixture
def told(bench: live_bench.Bench) -> list[live_judging.Story]:
    return live_judging.graded(live_judging.stories(bench, Answering()))  # type: ignore[arg-type]


def test_stories_end_at_the_first_query_that_lacks_a_call(bench: live_bench.Bench) -> None:
    class Lacking(Answering):
        async def ask(self, call: Call) -> Reply:
            if "2: 6 x 7?" in str(call.messages):
                raise CallMissing("not on record")
            return await super().ask(call)

    assert [story.asked.query.query_id for story in live_judging.stories(bench, Lacking())] == ["0", "1"]  # type: ignore[arg-type]


def test_stories_hold_both_ways_of_asking_and_their_grades(told: list[live_judging.Story]) -> None:
    assert [story.asked.query.query_id for story in told] == ["0", "1", "2", "3"]
    assert told[0].bare == {"a": "42", "b": "7", "c": "7"}
    assert (told[0].grades["42"], told[0].grades["7"]) == (1.0, 0.0)
    (known, *_) = live_judging.episodes(told, dict.fromkeys("abc", "family"))
    assert known.labels == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert {llm: each.self_score for llm, each in known.heard.items()} == dict.fromkeys("abc", 0.2)
    assert known.heard["a"].cross_score is None  # the judge's own answer
    assert known.heard["b"].cross_score == known.heard["c"].cross_score == 0.1
    assert all(row["difference"].mean == 0.0 for row in live_judging.asking(told, "abc").values())
    assert live_judging.given(told[:1], [known])["cross_score"] == {
        "answers": 2,
        "with a readable score": 2,
        "mean where right": pytest.approx(float("nan"), nan_ok=True),
        "mean where wrong": pytest.approx(0.1),
    }


def test_a_synthesis_that_loses_a_right_answer_is_counted(told: list[live_judging.Story]) -> None:
    kept = live_judging.drift(told)
    assert (kept["best-scored answer right"], kept["of these the synthesis is wrong"].mean) == (4, 0.0)
    spoilt = [replace(story, judged=replace(story.judged, text="7")) for story in told]
    assert live_judging.drift(spoilt)["of these the synthesis is wrong"].mean == 1.0


def test_a_judge_who_knows_is_worth_its_term() -> None:
    """Priors and self-assessments say nothing, cross-assessments everything."""
    heard = {"a": Heard(0.5, None, "a", 0.9, 0.9), "b": Heard(0.5, None, "b", 0.9, 0.1)}
    episodes = [Episode(heard, {"a": 1.0, "b": 0.0}), Episode({"a": heard["b"], "b": heard["a"]}, {"a": 0.0, "b": 1.0})] * 20
    rows = live_judging.discrimination(episodes, Evidence())
    assert rows["prior"]["AUROC"].mean == pytest.approx(0.5)
    assert rows["posterior, all terms"]["AUROC"].mean == pytest.approx(1.0)
    assert rows["without cross-assessment"]["all terms − this"].mean == pytest.approx(0.5)
    assert rows["without self-assessment"]["all terms − this"].mean == pytest.approx(0.0)
