"""Best single's quality for less, by recorded answers: `python -m benchmarks.thrift FOLDER --prices FILE [--text pred]`.

One routed LLM and the mixture, replayed as in `benchmarks.mixture`, at many worths of a dollar; of those that are good enough the one that
costs least. Good enough is said by held-out queries: at most half a point below always asking the LLM that is best on training queries.
Test queries are replayed at that one worth. The bar is that of `benchmarks.costs`: quality within a point, at half the cost. The cascade's
LLMs and threshold (`benchmarks.cascade`) are chosen for the same.

Last stands another kind of cascade at its luckiest: of all pairs of LLMs that are asked first, the best single one only where they
differ, the cheapest pair within a point, picked by the test labels.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import cascade, machine
from benchmarks.compositions import OURS, ROUTED, SINGLE, System, mean_usd, systems
from benchmarks.costs import BAR, BAR_QUALITY, MARGIN, RESAMPLES, ratio, verdict
from benchmarks.figures import as_json
from benchmarks.mixture import arguments, episodes, fitted, named
from benchmarks.replay import Question, calls, cost, quality
from mixture.agreement import said as says
from mixture.llm import LLM
from mixture.options import Weights
from mixture.posterior import Evidence
from scorer import metrics
from scorer.metrics import Interval

Floats = NDArray[np.float64]
WORTHS = tuple(np.geomspace(0.002, 0.5, 17).tolist())  # of a call of mean cost, in right answers
COMPARED = (ROUTED, "ours without the prior", OURS)
BEST_PAIR = "best pair before the best single (told the labels)"


@dataclass(frozen=True, slots=True)
class Part:
    """Questions and the scorer's priors of their answers [Q, L]."""

    questions: Sequence[Question]
    priors_QL: Floats


@dataclass(frozen=True, slots=True)
class Matched:
    """One system at the worth that was chosen (of a call of mean cost, in right answers; None: not by worth): quality over best single,
    share of its cost.
    """

    worth: float | None
    difference: Interval
    share: Interval
    calls: float


def matched(held: Part, test: Part, means_L: Floats, llms: Sequence[LLM], evidence: Evidence) -> dict[str, Matched | None]:
    """By system; None where it is good enough at no worth. means_L: of the training labels."""

    def rows(part: Part) -> dict[str, System]:
        return {row.name: row for row in systems(part.priors_QL, means_L, llms, evidence, 0.0)}

    def outcome(part: Part, row: System) -> tuple[Floats, Floats, Floats]:
        made = row.decisions(part.questions, llms)
        return quality(part.questions, made), cost(made), calls(made)

    def at(worth: float, row: System) -> System:
        return replace(row, options=replace(row.options, weights=Weights(usd=worth / mean_usd(llms), second=0)))

    def reported(row: System, worth: float | None = None) -> Matched:
        quality_Q, cost_Q, calls_Q = outcome(test, row)
        difference = metrics.difference(quality_Q, single_Q, resamples=RESAMPLES)
        return Matched(worth, difference, ratio(cost_Q, single_cost_Q), float(calls_Q.mean()))

    held_rows, test_rows = rows(held), rows(test)
    least = float(outcome(held, held_rows[SINGLE])[0].mean()) - MARGIN
    single_Q, single_cost_Q, _ = outcome(test, test_rows[SINGLE])
    found: dict[str, Matched | None] = {}
    for name in COMPARED:
        tried = [(worth, *outcome(held, at(worth, held_rows[name]))) for worth in WORTHS]
        good = [(float(cost_Q.mean()), worth) for worth, quality_Q, cost_Q, _ in tried if quality_Q.mean() >= least]
        _, worth = min(good, default=(0.0, None))
        found[name] = None if worth is None else reported(at(worth, test_rows[name]), worth)
    known = episodes(held.questions, held.priors_QL, llms)
    chain = cascade.choose(held.questions, known, llms, evidence, cascade.cheapest_with(least))
    found[cascade.CASCADE] = reported(cascade.cascaded(test.priors_QL, chain, evidence))
    return found


def best_pair(part: Part, means_L: Floats, llms: Sequence[LLM]) -> Matched | None:
    """Of all pairs of LLMs before the one that is best by `means_L`, picked by the labels of `part`: the cheapest within a point of it.

    Where both state one answer it is returned, else the best one's; only questions that the best one answered count, and who has no answer
    on record was asked for nothing. None where no pair is so good.
    """
    names = [llm.id for llm in llms]
    best = int(np.argmax(means_L))
    questions = [question for question in part.questions if names[best] in question.said]
    short = [says({llm: said.text for llm, said in question.said.items()}) for question in questions]
    stated_LQ = [[row.get(name) for row in short] for name in names]
    label_LQ = np.array([[question.labels.get(name, 0.0) for question in questions] for name in names])
    asked_LQ = np.array([[float(name in question.said) for question in questions] for name in names])
    cost_LQ = np.array([[question.said[name].cost_usd if name in question.said else 0.0 for question in questions] for name in names])
    found = []
    for first, second in combinations([at for at in range(len(names)) if at != best], 2):
        agree_Q = np.array([one is not None and one == other for one, other in zip(stated_LQ[first], stated_LQ[second], strict=True)])
        quality_Q = np.where(agree_Q, label_LQ[first], label_LQ[best])
        cost_Q = cost_LQ[first] + cost_LQ[second] + np.where(agree_Q, 0.0, cost_LQ[best])
        calls_Q = asked_LQ[first] + asked_LQ[second] + ~agree_Q
        if questions and quality_Q.mean() - label_LQ[best].mean() >= BAR_QUALITY:
            found.append((cost_Q, quality_Q, calls_Q))
    if not found:
        return None
    cost_Q, quality_Q, calls_Q = min(found, key=lambda each: float(each[0].mean()))
    difference = metrics.difference(quality_Q, label_LQ[best], resamples=RESAMPLES)
    return Matched(None, difference, ratio(cost_Q, cost_LQ[best]), float(calls_Q.mean()))


def table(found: dict[str, Matched | None]) -> str:
    """One row a system, as Markdown."""
    lines = [
        f"| at best single's quality | a call is worth | quality − best single | share of its cost | calls | {BAR} |",
        "|---" * 6 + "|",
    ]
    for name, row in found.items():
        if row is None:
            lines.append(f"| {name} | | | | | missed |")
            continue
        bar = verdict(row.difference, row.share)
        worth = "" if row.worth is None else f"{row.worth:.3f}"
        lines.append(f"| {name} | {worth} | {row.difference} | {row.share} | {row.calls:.2f} | {bar} |")
    return "\n".join(lines)


def main() -> None:
    """Fits, chooses, replays, prints and writes."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/thrift"))
    given = parser.parse_args()
    answered = named(given)
    if not answered.priced:
        sys.exit("No answer's cost is known: name a price file (--prices).")
    known, llms = fitted(answered), answered.llms
    held, test = Part(*known.part("calibration", "validation")), Part(*known.part("test"))
    found = matched(held, test, known.means_L, llms, known.evidence) | {BEST_PAIR: best_pair(test, known.means_L, llms)}
    sizes = f"{len(llms)} LLMs, {len(held.questions)} held-out and {len(test.questions)} test queries."
    shown = [f"`{machine.command(given.folder)}`", sizes, table(found)]
    machine.write(given.out, shown, as_json({name: asdict(row) if row else None for name, row in found.items()}), ["numpy", "scikit-learn"])
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
