"""What a join takes beside its answers, and what commands about versions take: `python -m benchmarks.join_overhead [--llms 10]`.

A copy of this checkout with its bundled queries, a pool of LLMs that are known from recorded scores alone, and a real MLflow server; a
scorer is trained and promoted first. Then one LLM joins whose endpoint answers at once, so that everything its job takes is overhead:
grading its answers, fitting its row, evaluation, registration, the gate. Seconds of CPU are those of the processes that were started (not
of the MLflow server, which runs on), wall seconds those that somebody waits. On a busy machine only CPU says something.
"""

import argparse
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from benchmarks import report
from local import build_results, workspace
from local.stack import stack
from pipelines import tables
from pipelines.project import Project
from registry import child_process, joining

ROOT = Path(__file__).parents[1]
REPEATED = 3  # times that a command is timed; the middle one counts
REPLY: dict[str, Any] = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "The answer is A."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 90, "completion_tokens": 6},
}


class _AtOnce(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(REPLY).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def endpoint() -> Iterator[str]:
    """An LLM that gives every question the same answer, at once."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _AtOnce)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of one command: of the processor, and on the clock."""

    cpu_s: float
    wall_s: float


def timed(home: Path, *command: str) -> Took:
    """`python -m` that command for the project in `home`, its output thrown away."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    child_process.Child().run([sys.executable, "-m", *command], lambda _: None, cwd=home, ROUTEMOA_HOME=str(home))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(round(cpu_s, 2), round(time.monotonic() - began, 2))


def middle(runs: Sequence[Took]) -> Took:
    """The middle one by its CPU."""
    return sorted(runs, key=lambda took: took.cpu_s)[len(runs) // 2]


def make(home: Path, llms: int) -> None:
    """The project: `llms` recorded LLMs, each right on a share of every domain that is its own; bundled queries."""
    workspace.make(ROOT, home)
    project = Project(home)
    pool = {f"llm-{at}": {"name": f"LLM {at}", "endpoint": None, "price": {"input": 0.1, "output": 0.2}} for at in range(llms)}
    YAML().dump({"llms": pool}, home / "registry" / "pool.yaml")
    timed(home, "pipelines.queries")
    queries = tables.read(project.queries, tables.QUERIES)
    dice = np.random.default_rng(0)
    domains = sorted(set(queries["domain"]))
    skills = {llm: dict(zip(domains, dice.uniform(0.3, 0.8, len(domains)), strict=True)) for llm in pool}
    for llm, by_domain in skills.items():
        right = (dice.random(len(queries)) < queries["domain"].map(by_domain)).astype("float64")
        labels = pd.DataFrame({"query_id": queries["query_id"], "score": right}).assign(llm=llm, grader="recorded", grader_version="1")
        tables.write(project.recorded_labels(llm), labels[tables.LABELS.names], tables.LABELS)
    timed(home, "dvc", "add", "--quiet", "data")


def measure(home: Path, llms: int) -> dict[str, Any]:
    """All figures."""
    make(home, llms)
    with endpoint() as base_url, stack(home) as platform:
        platform.start_registry()
        first = timed(home, "pipelines.retrain")
        versions = [build_results.version(home)]
        timed(home, "cli.main", "promote", versions[0], "--override", "a benchmark")
        place = {"base_url": base_url, "served_name": "newcomer", "api_key_env": None}
        entry = joining.with_joining_defaults({"endpoint": place, "price": {"input": 0.1, "output": 0.2}})
        joining.add("newcomer", entry, pool_file=platform.settings.pool_file)
        joined = timed(home, "pipelines.retrain")
        versions.append(build_results.version(home))
        promote = ("cli.main", "promote", versions[-1], "--override", "a benchmark")
        there_and_back = [(timed(home, *promote), timed(home, "cli.main", "rollback")) for _ in range(REPEATED)]
        commands = {
            "list": middle([timed(home, "cli.main", "list") for _ in range(REPEATED)]),
            "promote": middle([there for there, _ in there_and_back]),
            "rollback": middle([back for _, back in there_and_back]),
        }
    return {
        "llms": llms,
        "queries": build_results.query_count(home),
        "first training": first,
        "a join beside them": joined,
        **{f"routemoa {name}": took for name, took in commands.items()},
    }


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llms", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="routemoa-join-") as folder:
        figures = measure(Path(folder) / "project", arguments.llms)
    shown = {name: {"cpu_s": value.cpu_s, "wall_s": value.wall_s} if isinstance(value, Took) else value for name, value in figures.items()}
    report.print_json(shown)


if __name__ == "__main__":
    main()
