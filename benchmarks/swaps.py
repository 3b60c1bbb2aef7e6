"""Swaps of the champion under load: `python -m benchmarks.swaps [--swaps 100]`.

A real MLflow server holds two scorer versions of different rosters; `registry.sync` and `python -m serving` follow its alias, which is set
as the MLflow UI sets it, again and again. Eight callers ask one request after the other, whole and streamed. Counted: requests that were
not answered, answers whose version, scores and LLM are not of one version, and seconds from the alias until the first answer of the new
one. Exit code 1 where a request failed or mixed two versions.
"""

import asyncio
import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmarks.counts import body, conclude, parser
from benchmarks.raw_http import Answer, connected
from benchmarks.server_world import LLMS, ROOT, Server, project, serving, tiny_scorer, until, upstream
from registry import versions
from registry.lineage import Lineage
from registry.settings import Settings

CALLERS = 8
BETWEEN_S = 0.05
SETTLED_S = 0.5  # from one version's first answer to the next swap
ROSTERS = {"1": LLMS[:3], "2": LLMS[1:]}
LINEAGE = Lineage(query_pool_md5="0" * 32, dataset_md5="0" * 32, pool_hash="0" * 64, git_commit="0" * 40, git_dirty=False)


@dataclass
class Seen:
    """What the callers saw. versions: the latest beginning of an answered request, by the version that answered it."""

    ends: Counter[str] = field(default_factory=Counter)
    versions: dict[str, float] = field(default_factory=dict)
    stopping: bool = False

    async def call(self, server: Server, place: int) -> None:
        """One caller."""
        async with connected(server.port, server.key) as connection:
            while not self.stopping:
                began = time.monotonic()
                model = ("routemoa-single", "routemoa")[place // 2 % 2]
                answer = await connection.ask(body(model=model, stream=place % 2 == 1, routemoa={"explain": True}))
                self.note(answer, began)
                await asyncio.sleep(BETWEEN_S)

    def note(self, answer: Answer, began: float) -> None:
        """Takes in one answer."""
        if not answer.complete:
            self.ends[f"failed: {answer.status}"] += 1
            return
        trees = [json.loads(each) for each in answer.events if each != "[DONE]"] if answer.is_stream else [json.loads(answer.content)]
        facts = next(tree["routemoa"] for tree in trees if "routemoa" in tree)
        version, roster = facts["scorer_version"], ROSTERS[facts["scorer_version"]]
        whole = tuple(facts["scores"]) == roster and {facts["llm"] or roster[0], *facts["asked"]} <= set(roster)
        self.ends["answered" if whole else "mixed"] += 1
        self.versions[version] = max(began, self.versions.get(version, 0.0))


async def run(swaps: int) -> dict[str, Any]:
    """The alias goes to and fro."""
    mlflow = importlib.import_module("tests.mlflow_server")
    with tempfile.TemporaryDirectory() as folder, mlflow.running(Path(folder) / "mlflow") as registry:
        home = Path(folder) / "project"
        async with upstream() as behind:
            key = project(home, behind.base_url)
            shutil.rmtree(home / "var" / "scorers")  # here the registry publishes, and its version 1 is another one
            settings = Settings(_env_file=None, home=home, mlflow_url=registry.url)
            for seed, roster in enumerate(ROSTERS.values()):
                await asyncio.to_thread(register, settings, Path(folder), roster, seed)
            client = MlflowClient(tracking_uri=registry.url)
            promote = partial(client.setregistered_model_alias, settings.scorer_name, "champion")
            promote("1")
            with _sync(home, registry.url), serving(home, key) as server:
                await server.ready()
                return await _swapped(server, promote, swaps)


@contextlib.contextmanager
def _sync(home: Path, mlflow_url: str) -> Generator[None]:
    """`registry.sync` of this host."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROUTEMOA_HOME": str(home), "ROUTEMOA_MLFLOW_URL": mlflow_url}
    with (home / "sync.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "registry.sync"], cwd=home, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def _swapped(server: Server, promote: Callable[[str], None], swaps: int) -> dict[str, Any]:
    seen, live_s = Seen(), []
    async with asyncio.TaskGroup() as group:
        for place in range(CALLERS):
            group.create_task(seen.call(server, place))
        for number in range(swaps):
            version, at = ("2", "1")[number % 2], time.monotonic()
            await asyncio.to_thread(promote, version)
            await until(partial(_answered, seen, version, at), 180)
            live_s.append(time.monotonic() - at)
            await asyncio.sleep(SETTLED_S)
            if number % 10 == 9:
                print(f"{number + 1} swaps, {dict(seen.ends)}", file=sys.stderr, flush=True)
        seen.stopping = True
    ordered = sorted(live_s)
    return {
        "swaps": len(live_s),
        "requests": seen.ends.total(),
        "failed": sum(count for end, count in seen.ends.items() if end.startswith("failed")),
        "mixed": seen.ends["mixed"],
        "live after, s": {"p50": round(ordered[len(ordered) // 2], 2), "max": round(ordered[-1], 2)},
        "live after more than 5 s": sum(each > 5 for each in live_s),
    }


async def _answered(seen: Seen, version: str, at: float) -> bool:
    return seen.versions.get(version, 0.0) > at


def register(settings: Settings, folder: Path, roster: tuple[str, ...], seed: int) -> None:
    """A version of a random little scorer."""
    scorer, evaluation = folder / f"scorer-{seed}", folder / "evaluation"
    tiny_scorer(scorer, roster, seed)
    evaluation.mkdir(exist_ok=True)
    (evaluation / "baselines.csv").write_text("policy,quality\nours,0.5\n")
    versions.register(scorer, evaluation, {"test.ours.quality": 0.5}, {"encoder": "tiny"}, LINEAGE, params={}, settings=settings)


def main() -> int:
    """The exit code."""
    command = parser(__doc__)
    command.add_argument("--swaps", type=int, default=100)
    arguments = command.parse_args()
    found = asyncio.run(run(arguments.swaps))
    return conclude(found, arguments.out, wrong=found["failed"] + found["mixed"])


if __name__ == "__main__":
    sys.exit(main())
