"""What tracing costs a pass-through request: `python -m benchmarks.tracing [--requests 2000] [--rounds 5]` prints JSON.

CPU of the server process per request, its sending thread included, with four connections kept busy: off; on, each request two spans; on,
where the caller does not keep the trace; and on with a collector that is not there. The ways take turns, `--rounds` times; the median and
the range over rounds are printed. The collector takes everything at once, in a process of its own.
"""

import argparse
import multiprocessing
import re
import statistics
import urllib.request
from collections.abc import Mapping
from typing import Any

from benchmarks.pass_through import Running, answer_always, running
from benchmarks.raw_http import free_ports
from benchmarks.report import print_json

BAR_MS = 0.7  # of a whole pass-through request


def measure(requests: int, rounds: int) -> dict[str, Any]:
    """CPU in milliseconds per request, by way; spans by what became of them."""
    (port,), (nobody,) = free_ports(1), free_ports(1)
    collector = multiprocessing.get_context("spawn").Process(target=answer_always, args=(port,), daemon=True)
    collector.start()
    ways: Mapping[str, dict[str, str]] = {
        "off": {},
        "on": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"},
        "on, one in ten kept": {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_TRACES_SAMPLER": "traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.1",
        },
        "on, nobody listens": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{nobody}"},
    }
    took_ms: dict[str, list[float]] = {way: [] for way in ways}
    memory_mb: dict[str, float] = {}
    spans: dict[str, dict[str, int]] = {}
    try:
        for _ in range(rounds):
            for way, variables in ways.items():
                with running(variables=variables) as made:
                    took_ms[way].append(1000 * made.cpu_s(requests) / requests)
                    memory_mb[way] = round(made.server.memory_info().rss / 1e6, 1)
                    spans[way] = _spans(made)
    finally:
        collector.terminate()
        collector.join()
    return {
        "requests": requests,
        "rounds": rounds,
        "cpu_ms_per_request": {way: _summary(values) for way, values in took_ms.items()},
        "worker_memory_mb": memory_mb,
        "spans_of_the_last_round": spans,
        "bar_ms_off": BAR_MS,
    }


def _summary(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "least": round(min(values), 3), "most": round(max(values), 3)}


def _spans(made: Running) -> dict[str, int]:
    asked = urllib.request.Request(f"http://127.0.0.1:{made.down}/metrics", headers={"Authorization": f"Bearer {made.key}"})
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310  an address of our own making
        text = answer.read().decode()
    return {result: int(float(count)) for result, count in re.findall(r'routemoa_spans_total{result="(\w+)"} (\S+)', text)}


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print_json(measure(arguments.requests, arguments.rounds), ["opentelemetry-sdk"])


if __name__ == "__main__":
    main()
