"""The tables of benchmarks.scorer_sets: rows beside each other, promises, and what every default gains on each set."""

from typing import Any

import numpy as np

from benchmarks import promises, report

SINGLE, TOLD, OURS = "best single", "lookup by tag, told", "ours"
Results = dict[str, dict[str, Any]]  # by set, what `benchmarks.scorer_sets.measured` found, as JSON has it


def table(results: Results) -> list[str]:
    """Markdown: quality of every row on every set, the promises, and what each default gains where it was not chosen."""
    sizes = [f"- {name}: {one['LLMs']} LLMs; queries: {_counts(one['queries'])}; {one['chosen'][0]}" for name, one in results.items()]
    blocks = ["\n".join(sizes)]
    for where, said in (("in", "In domain"), ("out", "Out of domain")):
        names = dict.fromkeys(name for one in results.values() for name in one[where])
        blocks.append(f"**{said}** (in brackets ours − this)")
        blocks.append(report.table(["row", *results], ([name, *(_cell(one[where], name) for one in results.values())] for name in names)))
    blocks.append(promises.table({name: one["promises"] for name, one in results.items()}))
    blocks.append("Gain over the defaults on training queries (standard error): by random folds; with kinds left out too.")
    gains = (
        [name, *("{:+.3f} ({:.3f}), {:+.3f} ({:.3f})".format(*one["defaults"][name]) for one in results.values())]
        for name in _alternatives(results)
    )
    return [*blocks, report.table(["instead", *results], gains), carried_over(results)]


def summary(results: Results) -> str:
    """Ours in and out of domain beside the best single LLM, a told lookup and the best other row (which its test queries flatter)."""
    columns = ["set (test queries)", "", "best single LLM", "ours", "over that one", "told lookup, ours − it", "best other row, ours − it"]
    lines = [
        [f"{name} ({one['queries']['test']:,})", said, *_beside(one[where])]
        for name, one in results.items()
        for where, said in (("in", "in domain"), ("out", "out of domain"))
    ]
    return report.table(columns, lines)


def unseen(results: Results) -> str:
    """Ours on kinds of queries left out of training: quality, promises and doubt."""
    columns = ["set (test queries)", "best single LLM", "ours", "over that one", "best other row, ours − it"]
    columns += ["promised", "promises off by > .2", "AUROC of doubt"]
    lines = []
    for name, one in results.items():
        single, ours, gain, _, other = _beside(one["out"])
        promises_out = one["promises"]["out"]
        found = [promises_out[key] for key in ("promised", "off", "auroc")]
        lines.append(
            [f"{name} ({one['queries']['test']:,})", single, ours, gain, other, *(np.nan if each is None else each for each in found)]
        )
    return report.table(columns, lines)


def _beside(rows: dict[str, Any]) -> list[str]:
    single, told_row = rows[SINGLE], rows[TOLD]
    others = {name: row for name, row in rows.items() if name not in (SINGLE, TOLD, OURS)}
    best = max(others, key=lambda name: others[name][0][0])
    away = "{:+.3f} [{:.3f}, {:.3f}]"
    return [
        f"{single[0][0]:.3f}",
        f"**{rows[OURS][0][0]:.3f}**",
        away.format(*single[1]),
        f"{told_row[0][0]:.3f}, {away.format(*told_row[1])}",
        f"{best} {others[best][0][0]:.3f}, {away.format(*others[best][1])}",
    ]


def _cell(rows: dict[str, Any], name: str) -> str:
    if name not in rows:
        return ""
    quality, gain = rows[name]
    return f"{quality[0]:.3f}" if name == OURS else "{:.3f} ({:+.3f} [{:.3f}, {:.3f}])".format(quality[0], *gain)


def _counts(queries: dict[str, int]) -> str:
    return ", ".join(f"{count} {split}" for split, count in queries.items())


def carried_over(results: Results) -> str:
    """Leave one set out: what the others would have chosen, and what that gains on it."""

    def gain(one: dict[str, Any], way: str) -> float:
        return float(one["defaults"][way][2])

    lines = []
    for name, one in results.items():
        others = [other for left, other in results.items() if left != name]
        if others:
            means = {way: float(np.mean([gain(other, way) for other in others])) for way in _alternatives(results)}
            best = max(means, key=lambda way: means[way])
            carried = [best, gain(one, best)] if means[best] > 0 else ["the defaults", 0.0]
            lines.append([name, *carried, one["chosen"][0]])
    return report.table(["set", "the others' best", "its gain here", "chosen here"], lines)


def _alternatives(results: Results) -> list[str]:
    return list(next(iter(results.values()))["defaults"])
