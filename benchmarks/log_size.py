"""What a what-if and an import of a log of LiteLLM take by its number of calls: `python -m benchmarks.log_size [10000 100000 1000000]`.

The log is made in a temporary folder: questions and answers of 200 to 2,000 characters, a fifth of the questions one of 200 that repeat,
chats of one to four turns, 5.8 KB a call. Commands run in a project of the shipped parameters without a scorer, so nothing but money is
told. CPU and peak memory are those of the command; left behind: what it wrote, in bytes a call.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report

ROOT = Path(__file__).parents[1]
POOL = ROOT / "examples" / "cloud-zoo" / "pool.yaml"
LLMS = (("gpt-4o-mini", "openai", 0.15, 0.6), ("gpt-4o", "openai", 2.5, 10.0), ("claude-3-5-haiku-20241022", "anthropic", 0.8, 4.0))
WORDS = (
    "order",
    "invoice",
    "refund",
    "customer",
    "deploy",
    "python",
    "error",
    "explain",
    "sort",
    "energy",
    "contract",
    "please",
    "how",
    "why",
)
COMMANDS = {
    "what-if": ("what-if", "--from", "litellm", "LOG", "--pool", str(POOL)),
    "import": ("import", "--from", "litellm", "LOG"),
    "what-if of the import": ("what-if", "spend", "--pool", str(POOL)),
}
COLUMNS = ("calls", "log, MB", "command", "CPU, s", "peak, MiB", "left behind, bytes a call")


def rows(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of a spend log, as a proxy that keeps prompts writes them."""
    dice = np.random.default_rng(seed)
    block = " ".join(dice.choice(WORDS, 40_000))

    def text() -> str:
        size = int(dice.integers(200, 2_000))
        at = int(dice.integers(len(block) - size))
        return f"{dice.integers(10**9)} {block[at : at + size]}"

    repeated, started = [text() for _ in range(200)], datetime(2026, 10, 1, tzinfo=UTC)
    session, turns, chat = "", 0, list[dict[str, str]]()
    for number in range(count):
        if not turns:
            session, turns, chat = f"chat-{number}", int(dice.choice([1, 1, 1, 2, 3, 4])), [{"role": "system", "content": "Be helpful."}]
        asked = repeated[int(dice.integers(200))] if dice.random() < 0.2 else text()
        answer, (llm, provider, price_in, price_out) = text(), LLMS[int(dice.choice(3, p=[0.6, 0.3, 0.1]))]
        chat = [*chat, {"role": "user", "content": asked}]
        sent, written = sum(len(each["content"]) for each in chat) // 4, len(answer) // 4
        at, told = started + timedelta(seconds=2.6 * number), {"role": "assistant", "content": answer}
        yield {
            "request_id": f"chatcmpl-{number}",
            "call_type": "acompletion",
            "api_key": f"key-{dice.integers(50)}",
            "spend": (sent * price_in + written * price_out) / 1e6,
            "prompt_tokens": sent,
            "completion_tokens": written,
            "startTime": at.isoformat(),
            "endTime": (at + timedelta(seconds=2)).isoformat(),
            "model": llm,
            "custom_llm_provider": provider,
            "session_id": session,
            "cache_hit": "False",
            "metadata": json.dumps({"usage_object": {"prompt_tokens": sent, "completion_tokens": written}}),
            "messages": chat,
            "response": {"choices": [{"index": 0, "finish_reason": "stop", "message": told}]},
            "status": "success",
        }
        chat, turns = [*chat, told], turns - 1


def measured(command: tuple[str, ...], home: Path) -> tuple[float, float]:
    """CPU seconds and peak MiB of a command. Raises RuntimeError where it fails."""
    words = [sys.executable, "-c", "from cli.main import app; app()", *command]
    with subprocess.Popen(words, cwd=ROOT, env=os.environ | {"ROUTEMOA_HOME": str(home)}, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(" ".join(command))
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def size(folder: Path) -> int:
    """Bytes of the files in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calls", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    table = []
    for count in parser.parse_args().calls:
        with tempfile.TemporaryDirectory(prefix="routemoa-log-size-") as made:
            home, log = Path(made) / "home", Path(made) / "spend.jsonl"
            (home / "registry").mkdir(parents=True)
            shutil.copy(ROOT / "registry" / "pool.yaml", home / "registry")
            shutil.copy(ROOT / "params.yaml", home)
            (home / ".routemoa-project").touch()
            with log.open("w") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows(count))
            for name, command in COMMANDS.items():
                before = size(home)
                seconds, peak = measured(tuple(str(log) if word == "LOG" else word for word in command), home)
                left = max(size(home) - before, 0) / count
                table.append((f"{count:,}", f"{log.stat().st_size / 1e6:,.0f}", name, f"{seconds:.1f}", f"{peak:,.0f}", f"{left:,.0f}"))
    print(report.table(COLUMNS, table))


if __name__ == "__main__":
    main()
