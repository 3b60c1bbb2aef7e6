"""What goes on when a part fails: `python -m benchmarks.hosts [--case NAME ...]` prints a table, a line for each case.

Two servers in network namespaces of their own behind a real haproxy (deploy/haproxy/haproxy.cfg), a real PostgreSQL and a real MLflow on
others, and six callers with OpenAI's official client, which does not try again by itself. Counted: requests that failed and how, answers
without a record, requests with two records, seconds until a part is out, in again or taken over. Needs Linux, root, haproxy and PostgreSQL.
Exit code 1 where an acknowledged record is missing or there twice, or where nothing should have failed and something did.
"""

import itertools
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmarks.counts import conclude, parser
from benchmarks.hosts_load import Load, loaded
from benchmarks.hosts_world import HOSTS, Hosts, hosts, mlflow, until
from benchmarks.network import DATA, REGISTRY
from benchmarks.server_world import LLMS
from benchmarks.swaps import register

Found = dict[str, Any]
ROSTERS: dict[str, tuple[str, ...]] = {"1": LLMS[:3], "2": LLMS[1:]}
LOADED_S = 2.0  # before and after what happens
AWAY_S = 3.0  # PostgreSQL


def drain(world: Hosts) -> Found:
    """SIGTERM to one host: out, emptied, ended; the other answers meanwhile."""
    with loaded(world) as load:
        settle(load)
        began = time.monotonic()
        world.parts.running["server-one"].send_signal(signal.SIGTERM)
        out_s = until("haproxy takes the host out", lambda: not world.takes("one"))
        world.parts.running.pop("server-one").wait(120)
        ended_s = time.monotonic() - began
        settle(load)
        world.serve("one")
        world.until_ready("one")
        until("haproxy takes it in", lambda: world.takes("one"))
        settle(load)
    return {**load.counted(), "out after, s": round(out_s, 1), "ended after, s": round(ended_s, 1), "nothing may fail": True}


def kill(world: Hosts) -> Found:
    """SIGKILL to one host's server: what ran on it is lost to its caller, nothing else."""
    with loaded(world) as load:
        settle(load)
        world.parts.end("server-one", signal.SIGKILL)
        out_s = until("haproxy takes the host out", lambda: not world.takes("one"))
        settle(load)
        world.serve("one")
        world.until_ready("one")
        until("haproxy takes it in", lambda: world.takes("one"))
        settle(load)
    return {**load.counted(), "out after, s": round(out_s, 1)}


def no_database(world: Hosts) -> Found:
    """One host is taken off the database's wire: what it cannot keep it does not acknowledge, and it comes back by itself."""
    with loaded(world) as load:
        settle(load)
        world.network.cut("one", DATA)
        not_ready_s = world.until_ready("one", 503)
        until("haproxy takes the host out", lambda: not world.takes("one"))
        with world.client("one") as client:
            ended_s = not_ready_s + until("what ran there has ended", lambda: client.get("/admin/scorer").json()["in_flight"] == 0)
            settle(load)
            began = time.monotonic()
            refused = client.post("/v1/chat/completions", json={"model": "one", "messages": [{"role": "user", "content": "hello"}]})
            refused_s = time.monotonic() - began
            lists = client.get("/v1/models").status_code
        world.network.mend("one", DATA)
        back_s = world.until_ready("one")
        until("haproxy takes it in", lambda: world.takes("one"))
        settle(load)
    told = (refused.status_code, refused.json()["error"]["code"], "Retry-After" if "retry-after" in refused.headers else "")
    return {
        **load.counted(),
        "not ready after, s": round(not_ready_s, 1),
        "what ran there has ended after, s": round(ended_s, 1),
        "ready again after, s": round(back_s, 1),
        "a request there gets": " ".join(map(str, told)),
        "refused within, s": round(refused_s, 2),
        "GET /v1/models there": lists,
    }


def no_registry(world: Hosts) -> Found:
    """One host is taken off MLflow's wire: it serves the version it has; promotions reach the other, and it once it is back."""
    with mlflow(world), tempfile.TemporaryDirectory() as folder:
        for seed, roster in enumerate(ROSTERS.values()):
            register(world.settings("one"), Path(folder), roster, seed)
        client = MlflowClient(tracking_uri=world.mlflow_url)
        for host in HOSTS:
            world.follow(host, "registry.sync")
        for version in ("2", "1"):  # until both follow
            _live(world, client, version, HOSTS)
        with loaded(world, rosters=ROSTERS) as load:
            settle(load)
            live_s = [_live(world, client, version, HOSTS) for version in ("2", "1", "2", "1")]
            world.network.cut("one", REGISTRY)
            settle(load)
            reached_s = _live(world, client, "2", ("two",))
            kept = _version(world, "one")
            world.network.mend("one", REGISTRY)
            back_s = until("the host follows again", lambda: _version(world, "one") == "2")
            settle(load)
        for host in HOSTS:
            world.parts.end(f"sync-{host}")
        world.parts.end("mlflow", signal.SIGKILL)
    return {
        **load.counted(),
        "answers of two versions at once": load.mixed,
        "a swap is live on all hosts after, s": [round(each, 1) for each in live_s],
        "cut off, it serves version": kept,
        "the other swaps after, s": round(reached_s, 1),
        "back, it swaps after, s": round(back_s, 1),
        "nothing may fail": True,
    }


def database_killed(world: Hosts, kills: int = 3) -> Found:
    """SIGKILL to PostgreSQL under load, again and again, away for some seconds each time."""
    back_s: list[float] = []
    with loaded(world) as load:
        for _ in range(kills):
            settle(load)
            world.kill_postgres()
            time.sleep(AWAY_S)
            world.start_postgres()
            at = time.monotonic()
            until("a request is answered", lambda at=at: load.answered_begun_at > at)  # type: ignore[misc]
            back_s.append(time.monotonic() - at)
            for each in HOSTS:
                world.until_ready(each)
        settle(load)
    return {**load.counted(), "kills": kills, "away, s": AWAY_S, "answered again after, s": [round(each, 1) for each in back_s]}


def leaders(world: Hosts, times: int = 2) -> Found:
    """The leading worker and the leading monitor are killed, and their host is cut off from the database; the other host's take over."""
    found: Found = {}
    for name, module in (("worker", "registry.worker"), ("monitor", "monitoring.watch")):
        part = module.rpartition(".")[2]
        for host in HOSTS:
            world.follow(host, module)
        until(f"a {name} leads", lambda name=name: world.leader(name))  # type: ignore[misc]
        took_s: dict[str, list[float]] = {"killed": [], "cut off": []}
        for how, _ in itertools.product(took_s, range(times)):
            first = world.leader(name)
            assert first is not None
            other = HOSTS[1 - HOSTS.index(first)]
            until("the other one waits", lambda waiting=f"{part}-{other}": world.waits(waiting))  # type: ignore[misc]
            if how == "killed":
                world.parts.end(f"{part}-{first}", signal.SIGKILL)
            else:
                world.network.cut(first, DATA)
            took_s[how].append(until(f"the other {name} leads", lambda name=name, other=other: world.leader(name) == other))  # type: ignore[misc]
            if how == "killed":
                world.follow(first, module)
            else:
                world.network.mend(first, DATA)
                world.until_ready(first)
        found |= {f"{name} {how}, another leads after, s": [round(each, 1) for each in seconds] for how, seconds in took_s.items()}
        for host in HOSTS:
            world.parts.end(f"{part}-{host}", signal.SIGKILL)
    return found


CASES: dict[str, Callable[[Hosts], Found]] = {
    "one host is told to stop": drain,
    "one host is killed": kill,
    "one host is cut off from the database": no_database,
    "one host is cut off from MLflow": no_registry,
    "PostgreSQL is killed": database_killed,
    "the host that leads is killed or cut off": leaders,
}


def settle(load: Load) -> None:
    """Returns when callers are answered, for a while."""
    began = time.monotonic()
    until("a request is answered", lambda: load.answered_begun_at > began)
    time.sleep(LOADED_S)


def wrong(found: Found) -> int:
    """What may never be."""
    never = ("answers without a record", "requests with two records", "answers of two versions at once")
    return sum(int(found.get(name, 0)) for name in never) + (int(found["failed"]) if found.get("nothing may fail") else 0)


def _live(world: Hosts, client: MlflowClient, version: str, on: tuple[str, ...]) -> float:
    client.set_registered_model_alias(world.settings("one").scorer_name, "champion", version)
    return until(f"version {version} is live", lambda: all(_version(world, host) == version for host in on))


def _version(world: Hosts, host: str) -> str | None:
    with world.client(host) as client:
        found = client.get("/readyz").json()
    version: str | None = found.get("scorer_version")
    return version


def main() -> int:
    """The exit code."""
    command = parser(__doc__)
    command.add_argument("--case", action="append", choices=CASES, help="one of them; all without it")
    arguments = command.parse_args()
    found: dict[str, Found] = {}
    with tempfile.TemporaryDirectory() as folder, hosts(Path(folder)) as world:
        for name in arguments.case or CASES:
            found[name] = CASES[name](world)
            print(name, found[name], file=sys.stderr, flush=True)
    return conclude(found, arguments.out, wrong=sum(map(wrong, found.values())))


if __name__ == "__main__":
    sys.exit(main())
