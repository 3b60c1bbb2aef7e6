"""A newcomer's five minutes: the commands of the guide, as they stand there, on a log, an export and a result folder; each makes a page."""

import json
import os
import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, blocks

PAGE = ROOT / "docs" / "guide" / "what-would-it-save.md"
MINUTES = 5
HANGS_S = 900.0  # a command takes two seconds of CPU
ASKED = ["Where is order {}?", "Cancel order {}, please.", "Order {} came broken. What now?"]
INSTALLED = ("make install", ". .venv/bin/activate")  # here these tests' own environment stands in; what it takes is on the page


def lines() -> list[str]:
    """Of the first block of commands below the heading."""
    text = PAGE.read_text(encoding="utf-8")
    heading = text[: text.index("## In five minutes")].count("\n") + 1
    return next(block for block in blocks(PAGE, "sh") if block.line > heading).code.splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a clone has of a project, and the logs beside it."""
    for file in ("registry/pool.yaml", "params.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, tmp_path / file)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    start = datetime(2026, 10, 1, tzinfo=UTC)
    whens = [start + timedelta(hours=8 * n) for n in range(90)]
    write(tmp_path / "spend.jsonl", [litellm(n, when) for n, when in enumerate(whens)])
    write(tmp_path / "observations.jsonl", [langfuse(n, when) for n, when in enumerate(whens)])
    opencompass(tmp_path / "outputs" / "default" / "20261001_120000")
    return tmp_path


def cpu_s() -> float:
    """Of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def litellm(n: int, when: datetime) -> dict[str, Any]:
    """A row of LiteLLM's spend log."""
    return {
        "request_id": f"call-{n}",
        "model": "gpt-4o-mini",
        "custom_llm_provider": "openai",
        "session_id": f"chat-{n // 2}",
        "startTime": when.isoformat(),
        "endTime": (when + timedelta(seconds=2)).isoformat(),
        "api_key": "shop",
        "prompt_tokens": 400 + n,
        "completion_tokens": 80,
        "spend": (400 + n) * 0.15e-6 + 80 * 0.6e-6,
        "messages": [{"role": "user", "content": ASKED[n % 3].format(n)}],
        "status": "success",
        "response": {"choices": [{"message": {"role": "assistant", "content": "Let me see."}}]},
    }


def langfuse(n: int, when: datetime) -> dict[str, Any]:
    """An observation of Langfuse's export."""
    return {
        "id": f"o-{n}",
        "traceId": f"t-{n}",
        "sessionId": f"s-{n // 2}",
        "type": "GENERATION",
        "name": "answer",
        "model": "gpt-4o",
        "input": [{"role": "user", "content": ASKED[n % 3].format(n)}],
        "output": {"role": "assistant", "content": "Let me see."},
        "startTime": when.isoformat(),
        "endTime": (when + timedelta(seconds=2)).isoformat(),
        "usageDetails": {"input": 500 + n, "output": 60, "total": 560 + n},
    }


def opencompass(folder: Path) -> None:
    """A run of OpenCompass: predictions and results of two LLMs on one set."""
    for llm, right in (("gpt-4o-mini", 0.5), ("gpt-4o", 0.75)):
        examples = {
            str(n): {"origin_prompt": [{"role": "HUMAN", "prompt": f"What is {n} + {n}?"}], "prediction": str(2 * n), "gold": str(2 * n)}
            for n in range(40)
        }
        details = {str(n): {"pred": str(2 * n), "answer": str(2 * n), "correct": n < 40 * right} for n in range(40)}
        for part, content in (("predictions", examples), ("results", {"accuracy": 100 * right, "details": details})):
            path = folder / part / llm / "sums.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))


def test_the_guides_commands_make_a_page_each(checkout: Path) -> None:
    """Word for word, in less than five minutes of CPU, wherever the machine is; the page says what was spent, and others' prices."""
    said = lines()
    assert said[: len(INSTALLED)] == list(INSTALLED)
    began = cpu_s()
    for line in said[len(INSTALLED) :]:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        environment.pop("ROUTEMOA_HOME", None)
        ran = subprocess.run(
            ["bash", "-ec", line], cwd=checkout, env=environment, capture_output=True, text=True, timeout=HANGS_S, check=False
        )
        assert ran.returncode == 0, ran.stderr
        assert "Not priced" not in ran.stdout
        page = checkout / ran.stdout.rpartition("Written: ")[2].split(",")[0]
        html = page.read_text(encoding="utf-8")
        assert "You spent" in html
        assert "What one LLM alone would have cost on the same tokens" in html
        assert "anthropic-claude-opus-4-5" in html
        assert json.loads(page.with_suffix(".json").read_text())["spent"]["usd"] > 0
    assert len(list((checkout / "var" / "what-if").glob("*.html"))) == len(said) - len(INSTALLED) == 3
    assert cpu_s() - began < 60 * MINUTES
