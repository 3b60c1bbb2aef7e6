"""How a benchmark that counts ends: its figures as JSON and as a table of two columns, and the exit code."""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import report


def parser(description: str | None) -> argparse.ArgumentParser:
    """With `--out FOLDER`, which gets table.md and results.json."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--out", type=Path)
    return made


def conclude(found: Mapping[str, Any], out: Path | None, *, wrong: int) -> int:
    """Prints and writes what was found; 1 where anything is wrong."""
    if out is not None:
        load = ("load of the machine, 1 minute", report.machine()["load_1_min"])
        report.write(out, [report.table(["counted", "found"], [*_rows(found), load])], found)
    report.print_json(found)
    return int(wrong > 0)


def body(**fields: Any) -> bytes:
    """A request's JSON; a question that the tiny scorer knows, unless `messages` says another."""
    return json.dumps({"messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}], **fields}).encode()


def _rows(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{before}{name}: ")
        else:
            yield before + name.replace("_", " "), ", ".join(map(str, value)) if isinstance(value, list) else str(value)
