"""What a page for somebody who pays says: period, month, keys, cache, lines that do not count; and how it words money and shares."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from mixture.llm import LLM
from mixture.price import Price
from pipelines.imports import import_logs
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.what_if import history, page, terminal, words
from pipelines.what_if.report import Report
from pipelines.what_if.spent import Spent
from registry.pool import Pool
from scorer.metrics import Interval
from tests.pipelines.logs import samples

CHEAP, DEAR = LLM("cheap", "cheap", Price(1.0, 1.0)), LLM("dear", "dear", Price(10.0, 10.0, cache_read=1.0))
POOL = Pool((CHEAP, DEAR))


def spent(days: int = 10, cached: int = 250_000) -> Spent:
    """A call a day of a million tokens, of two keys in sessions of two."""
    start = datetime(2026, 11, 1, 9, tzinfo=UTC)
    calls = [
        LoggedCall(
            "log.jsonl",
            day,
            at=start + timedelta(days=day),
            llm="dear",
            key="ab" * 32 if day else "shop",
            session=f"s{day // 2}",
            usage=LoggedUsage(1_000_000, cached, None, 0, None),
        )
        for day in range(days)
    ]
    return Spent.of(history.billing(calls, POOL, lambda _name, _provider: None), POOL.active, history.used(calls, POOL))


def test_the_page_says_when_how_much_a_month_and_by_whom() -> None:
    """Ten days of $7.75; the LLM of the log is a marked row; lines that are no calls are counted with their reason."""
    report = Report(log="spend", spent=spent(), lines=10, left_out={"calls that failed": 2})
    made = page.html(report)
    assert words.headline(report) == (
        "You spent $77.50 from 2026-11-01 to 2026-11-10. "
        "Always cheap would have cost $10.00: 87 % less, if its answers are good enough: unknown."
    )
    for said in (
        "About $235.89 a month",
        "5 sessions.",
        "25 % of the prompt tokens came out of a cache.",
        "spend: 12 lines read, 10 count; 2 do not: 2 calls that failed.",
        "<tr class=marked><td>dear (in your log)</td><td>$77.50</td><td>the same</td></tr>",
        "<td>abababab…abab</td><td>9</td><td>$69.75</td><td>90 %</td>",
    ):
        assert said in made
    assert all(each in made for each in report.as_dict()["assumed"])


def test_a_key_of_litellm_goes_by_its_alias(tmp_path: Path) -> None:
    """Where the log has one: nobody knows a hash."""
    path = tmp_path / "spend.jsonl"
    path.write_text(samples.lines([samples.LITELLM[0] | {"metadata": {"user_api_key_alias": "support-bot"}}]))
    assert [call.key for call in import_logs.read("litellm", [path])[1].calls] == ["support-bot"]


def test_what_cost_nothing_has_no_share(capsys: pytest.CaptureFixture[str]) -> None:
    """A log of local LLMs at no price; a key's name is no markup of the terminal's."""
    free = LLM("free", "free", Price(0.0, 0.0))
    pool, usage = Pool((free, DEAR)), LoggedUsage(1_000, None, None, 0, None)
    calls = [LoggedCall("log.jsonl", at, llm="free", key=key, usage=usage) for at, key in enumerate(["[/ops]", "ann [sales]"])]
    told = Spent.of(history.billing(calls, pool, lambda _name, _provider: None), pool.active, history.used(calls, pool))
    report = Report(log="spend", spent=told, lines=2, left_out={})
    assert "Always free would have cost $0.00: the same" in words.headline(report)
    terminal.show(report, Console(width=200))
    shown = capsys.readouterr().out
    assert "more than nothing" in shown
    assert "[/ops]" in shown
    assert "ann [sales]" in shown


def test_a_few_days_are_no_month() -> None:
    """Nor are calls that do not say when they were."""
    assert spent(6).usd_a_month is None
    assert replace(spent(), undated=1).usd_a_month is None


def test_more_cached_than_prompt_tokens_are_told() -> None:
    """How they were counted, and what they would cost if the prompt came on top."""
    (line,) = [each for each in words.spent_lines(spent(10, 2_000_000)) if "more cached" in each]
    assert line.startswith("10 calls count more cached tokens than prompt tokens: all of these are billed as cached")
    assert line.endswith("they cost $100.00 more.")


@pytest.mark.parametrize(
    ("saved", "said"), [(Interval(0.41, 0.38, 0.44), "41 % less [38, 44]"), (Interval(-1.24, -1.28, -1.2), "124 % more [120, 128]")]
)
def test_what_costs_more_is_not_a_negative_saving(saved: Interval, said: str) -> None:
    """Its interval turns with it."""
    assert words.percent(saved) == said
