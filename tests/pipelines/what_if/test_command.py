"""`routemoa what-if` on a LiteLLM log, a Langfuse export and an OpenCompass folder of our own, with a scorer that was really trained."""

import csv
import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import commands
from pipelines.errors import ImportRefused, TableRefused
from pipelines.imports import import_command
from pipelines.what_if import sample
from tests.pipelines import endpoint
from tests.pipelines.logs import samples
from tests.pipelines.trained_home import trained_home
from tests.scorer import world as worlds

POOL = """llms:
  maths-llm: {name: maths-llm, endpoint: {base_url: "http://127.0.0.1:9/v1", served_name: maths}, price: {input: 0.1, output: 0.2}}
  code-llm: {name: code-llm, endpoint: {base_url: "http://127.0.0.1:9/v1", served_name: code}, price: {input: 0.2, output: 0.2}}
  reader-llm: {name: reader-llm, endpoint: null, price: {input: 5.0, output: 20.0, cache_read: 0.5}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained project with three LLMs, of which the log used the dear one."""
    made = trained_home(tmp_path_factory.mktemp("what-if") / "home")
    (made / "registry").mkdir()
    (made / "registry" / "pool.yaml").write_text(POOL)
    return made


@pytest.fixture(autouse=True)
def inside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are for that project."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(home))
    monkeypatch.chdir(home)


def questions(count: int = 60) -> list[str]:
    """Of the kinds that the scorer knows."""
    return [str(text) for text in worlds.world(count, seed=7).texts]


def litellm(folder: Path, name: str = "spend.jsonl", **changed: Any) -> Path:
    """A log of one LLM, with cached tokens, two keys and sessions of two calls."""
    rows = [
        samples.LITELLM[0]
        | {
            "request_id": f"r{at}",
            "model": "reader-llm",
            "session_id": f"s{at // 2}",
            "api_key": f"team-{at % 2}",
            "prompt_tokens": 1_000,
            "completion_tokens": 50,
            "spend": 0.004,
            "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 400}}},
            "messages": [{"role": "user", "content": text}],
        }
        | changed
        for at, text in enumerate(questions())
    ]
    rows[-1] |= {"model": "stranger-9000"}
    rows[-2] |= {"messages": {}}
    path = folder / name
    path.write_text(samples.lines(rows))
    return path


def run(*words: str | Path) -> str:
    """What the command prints."""
    done = CliRunner().invoke(commands, ["what-if", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def written(home: Path, name: str) -> dict[str, Any]:
    """The JSON of a report."""
    return json.loads((home / "var" / "what-if" / f"{name}.json").read_text())


def test_a_litellm_log_becomes_a_page(home: Path, tmp_path: Path) -> None:
    """Money, quality with its interval at several values of a dollar, what cannot be judged apart, parts by domain, key and LLM."""
    printed = run(litellm(tmp_path), "--from", "litellm", "--floor", "20pt")
    found = written(home, "spend")
    one = (600 * 5.0 + 400 * 0.5 + 50 * 20.0) / 1e6
    assert found["spent"]["usd"] == pytest.approx(59 * one)
    assert found["spent"]["stated_usd"] == pytest.approx(59 * 0.004)
    assert found["spent"]["not_priced"] == {"the price of stranger-9000 is unknown": 1}
    assert found["not_judged"]["no text"] == 1
    assert found["judged"] + sum(found["not_judged"].values()) == 60
    assert len(found["settings"]) >= 6
    for setting in found["settings"]:
        assert setting["quality"]["low"] <= setting["quality"]["mean"] <= setting["quality"]["high"]
        assert setting["usd"]["low"] is None or setting["usd"]["low"] <= setting["usd"]["mean"] <= setting["usd"]["high"]
    assert found["settings"][-1]["saved"]["mean"] > 0.5
    assert {part["name"] for part in found["settings"][0]["parts"]["key"]} == {"team-0", "team-1"}
    assert "Not priced: 1 (the price of stranger-9000 is unknown)." in printed
    page = (home / "var" / "what-if" / "spend.html").read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert 'src="http' not in page
    assert "What was counted" in page
    assert found["assumed"][0] in page
    assert "Routing would have cost" in printed.splitlines()[0]
    assert printed.splitlines()[0] in html.unescape(page)


def test_a_session_is_decided_once(home: Path, tmp_path: Path) -> None:
    """So it has one LLM, and as many independent units as sessions count."""
    run(litellm(tmp_path, "sessions.jsonl"), "--from", "litellm")
    found = written(home, "sessions")
    assert found["sessions"] <= 30


def test_a_large_log_is_judged_by_a_sample_and_says_so(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is priced; about as many calls as are wanted are judged, and the intervals are wider by the draw."""
    monkeypatch.setattr(sample, "MOST_JUDGED", 30)
    printed = run(litellm(tmp_path, "large.jsonl"), "--from", "litellm", "--floor", "50pt")
    found = written(home, "large")
    assert found["spent"]["priced"] == 59
    assert found["share"] == 0.5
    assert found["judged"] + sum(found["not_judged"].values()) < 60
    assert "They are a sample: 50.0% of the sessions, drawn by a hash of their names." in printed
    quality, saved = found["settings"][-1]["draw"]
    assert 0 < quality <= found["settings"][-1]["quality"]["high"] - found["settings"][-1]["quality"]["mean"] + 1e-9
    assert saved > 0


def test_always_one_llm_is_a_baseline_on_the_same_tokens(home: Path, tmp_path: Path) -> None:
    """Re-priced; an unknown one is named with near matches."""
    run(litellm(tmp_path, "base.jsonl"), "--from", "litellm", "--baseline", "code-llm")
    found = written(home, "base")
    one = (1_000 * 0.2 + 50 * 0.2) / 1e6
    assert found["settings"][0]["baseline_usd"] == pytest.approx(found["judged"] * one)
    with pytest.raises(ImportRefused, match=r"--baseline cod-llm.*code-llm"):
        run(litellm(tmp_path, "base.jsonl"), "--from", "litellm", "--baseline", "cod-llm")


def test_graded_requests_come_back(home: Path, tmp_path: Path) -> None:
    """The file has what a person needs; filled in, it gives an estimate; a row without a score is refused by its number."""
    run(litellm(tmp_path, "grading.jsonl"), "--from", "litellm", "--grade", "30", "--floor", "20pt")
    path = home / "var" / "what-if" / "grading.grade.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert 12 <= len(rows) <= 48
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
    assert all(row["llm_logged"] == "reader-llm" and row["llm_ours"] != "reader-llm" and row["answer_logged"] == "Oslo" for row in rows)

    def fill(target: Path, scores: list[tuple[str, str]]) -> Path:
        with target.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row | {"score_logged": a, "score_ours": b} for row, (a, b) in zip(rows, scores, strict=True))
        return target

    graded = fill(tmp_path / "graded.csv", [("1", "1")] * len(rows))
    printed = run(tmp_path / "grading.jsonl", "--from", "litellm", "--graded", graded)
    assert "By the graded requests" in printed
    found = written(home, "grading")["graded"][1]
    assert found["low"] <= 0 <= found["high"] or abs(found["mean"]) < 0.2
    missing = fill(tmp_path / "missing.csv", [("1", "")] + [("1", "1")] * (len(rows) - 1))
    with pytest.raises(TableRefused, match="row 2, score_ours: '' is no number"):
        run(tmp_path / "grading.jsonl", "--from", "litellm", "--graded", missing)


def test_a_langfuse_export_that_was_imported_is_named(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the import's name; another name is refused with near ones, a file without its format too."""
    rows = [
        samples.LANGFUSE[0] | {"id": f"o{at}", "model": "maths-llm", "sessionId": None, "input": [{"role": "user", "content": text}]}
        for at, text in enumerate(questions(30))
    ]
    path = tmp_path / "observations.jsonl"
    path.write_text(samples.lines(rows))
    import_command.main(["--from", "langfuse", str(path), "--name", "support"])
    capsys.readouterr()
    run("support")
    found = written(home, "support")
    assert found["spent"]["priced"] == 30
    assert found["spent"]["usd"] == pytest.approx(30 * (120 * 0.1 + 30 * 0.2) / 1e6)
    with pytest.raises(ImportRefused, match=r"suport.*support"):
        run("suport")
    with pytest.raises(ImportRefused, match="its format is not said"):
        run(path)


def test_an_opencompass_folder_has_no_tokens_and_says_so(home: Path, tmp_path: Path) -> None:
    """Its money is estimated by the lengths of its texts and said to be; a few calls are not free; without a price it is not known."""
    folder = samples.opencompass(tmp_path)
    assert "10 calls, none of them priced: what they cost is not known." in run(folder, "--from", "opencompass")
    (name,) = [
        path.stem
        for path in (home / "var" / "what-if").glob("*.json")
        if path.stem not in {"spend", "base", "grading", "support", "sessions", "large"}
    ]
    found = written(home, name)
    assert found["spent"]["calls"] > 0
    assert found["spent"]["estimated"] + sum(found["spent"]["not_priced"].values()) == found["spent"]["calls"]
    (folder / "predictions" / "acme" / "chat-7b").rename(folder / "predictions" / "acme" / "gpt-4o-mini")
    (folder / "predictions" / "acme").rename(folder / "predictions" / "openai")
    printed = run(folder, "--from", "opencompass")
    assert "10 calls, 10 of them priced: about $0.0000" in printed
    assert not re.search(r"\$0\.0000 |  0\.0000 ", printed)
    assert "The tokens of 10 are estimated by the lengths of their texts" in printed


def test_before_anything_is_trained_the_money_is_told_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """And what it would take to say more."""
    fresh = tmp_path / "fresh"
    (fresh / "registry").mkdir(parents=True)
    (fresh / "registry" / "pool.yaml").write_text(POOL)
    (fresh / "params.yaml").write_text((home / "params.yaml").read_text())
    monkeypatch.setenv("ROUTEMOA_HOME", str(fresh))
    printed = run(litellm(tmp_path), "--from", "litellm")
    assert "59 of them priced" in printed
    assert printed.startswith(
        "You spent $0.2478 on 2026-10-01, as far as 59 of 60 calls have a price. Always maths-llm would have cost $0.0065: 97 %"
    )
    assert "unknown until answers to up to 200 of your questions are graded:" in printed
    assert written(fresh, "spend")["settings"] == []


def test_asking_needs_a_budget(tmp_path: Path) -> None:
    """Neither without the other; no LLM of this pool answers, and nothing was sent by any other test."""
    with pytest.raises(ImportRefused, match="go together"):
        run(litellm(tmp_path), "--from", "litellm", "--ask")
    with pytest.raises(ImportRefused, match="go together"):
        run(litellm(tmp_path), "--from", "litellm", "--budget", "1")


def test_only_our_choices_are_asked_and_only_within_the_budget(home: Path, tmp_path: Path) -> None:
    """A real endpoint gets the drawn questions and no other; with nothing to spend it gets none, and the file says nothing."""
    pool = home / "registry" / "pool.yaml"
    with endpoint.running() as asked:
        pool.write_text(POOL.replace("http://127.0.0.1:9/v1", asked.url))
        try:
            words = (litellm(tmp_path, "asking.jsonl"), "--from", "litellm", "--floor", "20pt", "--grade", "10")
            assert "0 answers came" in run(*words, "--ask", "--budget", "0")
            assert not asked.asked
            run(*words)
            assert not asked.asked
            run(*words, "--ask", "--budget", "1")
        finally:
            pool.write_text(POOL)
        with (home / "var" / "what-if" / "asking.grade.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert set(asked.asked) == {row["question"] for row in rows}
        assert all(row["answer_ours"] == row["question"][::-1] for row in rows)


def test_the_next_step_runs_as_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """With the named pool, a judge of it, and the file as it was named; the shell runs each up to the import, which offers the sample."""
    fresh = tmp_path / "fresh"
    (fresh / "registry").mkdir(parents=True)
    (fresh / "registry" / "pool.yaml").write_text("llms: {}\n")
    (fresh / "params.yaml").write_text((home / "params.yaml").read_text())
    (fresh / "my pool.yaml").write_text(POOL)
    monkeypatch.setenv("ROUTEMOA_HOME", str(fresh))
    monkeypatch.chdir(fresh)
    litellm(fresh, "my spend.jsonl")
    run("my spend.jsonl", "--from", "litellm", "--pool", "my pool.yaml")
    commands = written(fresh, "my-spend")["next_steps"]["commands"]
    assert [line.split()[0] for line in commands] == ["cp", "sed", "routemoa", "routemoa", "routemoa"]
    assert commands[-1] == "routemoa what-if --from litellm 'my spend.jsonl' --pool 'my pool.yaml'"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in commands[:3]:
        ran = subprocess.run(["bash", "-ec", line], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Nobody has been asked yet." in ran.stdout
    assert (fresh / "registry" / "pool.yaml").read_text() == POOL
    run("my-spend", "--pool", "my pool.yaml")
    assert written(fresh, "my-spend")["next_steps"]["commands"][-3] == commands[2]
