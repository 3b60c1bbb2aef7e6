"""LLMs that are the same weights asked in the same way."""

from pathlib import Path

import pandas as pd
import pytest

from local import example as examples
from local import twins
from local.example import Example
from mixture.usage import Usage
from pipelines import tables
from pipelines.answer_store import AnswerStore, asked_with
from pipelines.project import Project
from registry import pool

ROOT = Path(__file__).parents[2]


def zoo(tmp_path: Path, environment: dict[str, str]) -> list[twins.Kind]:
    """The fifteen hosted LLMs, or who stands in for them."""
    (tmp_path / "pool.yaml").write_bytes(Example.named("cloud-zoo", ROOT).layer(environment)["registry/pool.yaml"])
    return twins.kinds(pool.load(tmp_path / "pool.yaml").active)


def test_only_what_would_answer_alike_is_asked_once(tmp_path: Path) -> None:
    """Fifteen LLMs are fifteen kinds; their stand-ins are four, each LLM in one of them. Step by step is a kind of its own."""
    assert [len(kind.others) for kind in zoo(tmp_path, {"OPENROUTER_API_KEY": "sk-or-1"})] == [0] * 15
    kinds = zoo(tmp_path, {})
    assert len(kinds) == 4
    assert sum(1 + len(kind.others) for kind in kinds) == 15
    tutors = twins.kinds(pool.load(ROOT / "examples" / "tutoring" / examples.POOL).active)
    assert [kind.others for kind in tutors] == [()] * 4


def test_the_others_have_its_answers_at_their_prices(tmp_path: Path) -> None:
    """What was asked is answered by all of a kind, failures by nobody; what one has already stays."""
    kind = next(kind for kind in zoo(tmp_path, {}) if kind.others)
    project, texts = Project(tmp_path), {"q1": "one?", "q2": "two?"}
    rows = [
        {
            "query_id": name,
            "llm": kind.asked.id,
            "sample": 0,
            "text": "1",
            "finish_reason": "stop",
            "input_tokens": 1000,
            "output_tokens": 10,
        }
        | {
            "cost_usd": 1.0,
            "latency_s": 0.5,
            "mean_logprob": None,
            "error": error,
            "cache_read": 400,
            "asked_at": "2026-11-30T12:00:00+00:00",
        }
        | {"asked_with": asked_with(kind.asked, texts[name])}
        for name, error in (("q1", None), ("q2", "late"))
    ]
    tables.write(project.answers(kind.asked.id), pd.DataFrame(rows).reindex(columns=tables.ANSWERS.names), tables.ANSWERS)
    for _ in range(2):
        twins.share(project, [kind], texts)
        for llm in kind.others:
            found = AnswerStore(project, llm).current(texts)
            assert found["query_id"].tolist() == ["q1"]
            assert found["llm"].tolist() == [llm.id]
            assert found["cost_usd"].tolist() == [pytest.approx(llm.price.bill(Usage(1000, 10, cache_read=400)))]
            assert len(AnswerStore(project, llm).every()) == 1
