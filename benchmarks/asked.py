"""What a query pool that grows costs an LLM that joined by its row: `python -m benchmarks.asked FOLDER [--group domain] [--keep train]`.

FOLDER as for benchmarks.scorer. The LLM has answered the training queries that `pipelines.covering` chose of the smaller pool; the table
says how many more it is asked of the larger one, and how many an order by hash would ask. Beside it: how far a mean label on
chosen queries is from that on all.
`--out` gets table.md and results.json.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks import figures, machine, recorded
from benchmarks.choosing import at_random
from pipelines.covering import cover
from scorer.interface import Floats
from scorer.start import Labels

FEW = 220  # training queries of the 400 that a newcomer is asked
GROWN = (0.01, 0.05, 0.1, 0.3)  # by which share the pool grows at random


def growths(kinds_Q: NDArray[np.str_], seed: int) -> dict[str, NDArray[np.int64]]:
    """Which queries come: some at random, or all of a kind."""
    queries = len(kinds_Q)
    some = {f"{share:.0%} more, at random": at_random(queries, round(share / (1 + share) * queries), seed) for share in GROWN}
    return some | {f"all of {kind}": np.flatnonzero(kinds_Q == kind) for kind in sorted(set(kinds_Q))}


def asked(queries_QD: Floats, come: Mapping[str, NDArray[np.int64]], seed: int, few: int = FEW) -> dict[str, dict[str, Any]]:
    """A row a growth: queries that come, how many are asked then, how many of those are new, how many would be asked by hash."""
    rows: dict[str, dict[str, Any]] = {}
    sample = at_random(len(queries_QD), few, [seed, 1])  # of the larger pool, by hash
    for name, new in track(come.items(), description="growing the pool"):
        old = np.setdiff1d(np.arange(len(queries_QD)), new)
        have = old[cover(queries_QD[old], (), few)]
        more = cover(queries_QD, have.tolist(), few, sample.tolist())
        rows[name] = {
            "queries": len(new),
            "asked": len(more),
            "of them new": int(np.isin(more, new).sum()),
            "by hash": int(np.isin(sample, new).sum()),
        }
    return rows


def levels(queries_QD: Floats, labels_QL: Labels, few: int = FEW, draws: int = 200) -> dict[str, dict[str, Any]]:
    """How far LLMs' mean labels on a few queries are from those on all: chosen ones beside random ones, over LLMs (and draws)."""
    drawn = [at_random(len(labels_QL), few, seed) for seed in range(draws)]
    rows = {}
    for name, samples in (("chosen", [np.array(cover(queries_QD, (), few))]), ("random", drawn)):
        off_SL = np.stack([np.nanmean(labels_QL[places], axis=0) - np.nanmean(labels_QL, axis=0) for places in samples])
        rows[name] = {"mean": float(off_SL.mean()), "root mean square": float(np.sqrt((off_SL**2).mean()))}
    return rows


def main() -> None:
    """Embeds, lets the pool grow, writes and prints."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--seed", type=int, default=0, help="of which queries come")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/asked"))
    given = parser.parse_args()
    known = recorded.read(recorded.wanted(given)).take("train")
    rows = asked(known.queries_QD, growths(known.data.queries["dataset"].to_numpy(dtype=str), given.seed), given.seed)
    off = levels(known.queries_QD, known.labels_QL)
    shown = [
        f"`{machine.command(given.folder)}`",
        f"{len(known.queries_QD)} training queries in the larger pool; {FEW} of the smaller one answered.",
        figures.table("what comes", rows),
        "LLMs' mean labels on so few queries less those on all:",
        figures.table("queries", off),
    ]
    machine.write(given.out, shown, {"growth": rows, "levels": off}, ["numpy"])
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
