"""A scorer version's description in MLflow: why it was made, what it is good for, what the gate says, how to promote and restore it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from mixture.llm import LLM
from registry.lineage import Lineage
from registry.version import GateState

SECTION = "\n\n## "
LIMIT = 5_000  # characters; the width of the column in MLflow
SPLITS = {"test": "On test queries", "ood": "On queries of domains it was not trained on", "validation": "On validation queries"}
ROWS = {  # a row of the evaluation -> what a reviewer calls it
    "ours": "**this scorer**",
    "best_single": "always the best single LLM",
    "best_per_dataset": "the best LLM of each dataset",
    "cheapest": "always the cheapest LLM",
    "random": "an LLM at random",
    "kNN": "nearest neighbours",
    "ridge": "linear fit",
    "matrix_factorisation": "matrix factorisation",
    "cluster_lookup": "cluster lookup",
    "oracle": "oracle (knows the labels)",
}
PICTURES = {  # artifact of the run -> its title
    "evaluation/plots/quality-cost.png": "Quality against cost, beside the baselines",
    "evaluation/plots/calibration.png": "Are its scores probabilities?",
    "evaluation/plots/domains.png": "Quality by domain",
}
DOMAINS = "gate/domains.png"  # per domain against the champion; the gate draws it
PROMOTE = """## Promote
Set the alias `champion` on this version (the pencil beside *Aliases*), or run `routemoa promote {number}`. Servers follow within
5 seconds; `routemoa rollback` returns to the champion before. (*Promote model* copies the version into another registered model:
servers follow that one only where `ROUTEMOA_SCORER_NAME` names it.)"""


@dataclass(frozen=True, slots=True)
class Card:
    """What is told of version `number`.

    why: what it was made for. metrics: as in metrics.json. run_id: the run whose `pictures` (artifacts) are shown.
    certificate: its sentence, then a clause a domain. validation: how many expectations of the tables were broken, by severity.
    """

    number: str
    metrics: Mapping[str, Any]
    roster: Sequence[LLM]
    lineage: Lineage
    gate: GateState = "not run"
    reasons: Sequence[str] = ()
    why: str = ""
    run_id: str = ""
    pictures: Sequence[str] = ()
    gate_pictured: bool = False
    certificate: Sequence[str] = ()
    validation: Mapping[str, int] = field(default_factory=dict)

    def write(self) -> str:
        """The card as Markdown of at most LIMIT characters. What does not fit is left out whole: a table, the end of the roster."""
        about = f"Scores a query for {len(self.roster)} LLMs, without asking any of them."
        first = [f"{about} Made because: {self.why}." if self.why else about]
        first += [section_of_gate(self.gate, self.reasons, gate_picture(self.run_id) if self.gate_pictured else "")]
        first += [section_of_certificate(self.certificate)] if self.certificate else []
        last = [_made_from(self.lineage, self.validation), PROMOTE.format(number=self.number)]
        room = LIMIT - sum(len(part) + 2 for part in [*first, *last])
        middle: list[str] = []
        for part in [*_pictures(self.run_id, self.pictures), *_tables(self.metrics), _roster(self.roster)]:
            if len(part) + 2 <= room:
                middle.append(part)
                room -= len(part) + 2
        return "\n\n".join([*first, *middle, *last])[:LIMIT]


def gate_picture(run_id: str) -> str:
    """The gate's picture, as a card shows it."""
    return _picture(run_id, DOMAINS, "By domain, against the champion")


def with_gate(card: str, gate: GateState, reasons: Sequence[str], picture: str = "") -> str:
    """`card` with its gate section replaced; reasons that do not fit are counted."""
    before, _, rest = card.partition("## Gate\n")
    _, following, after = rest.partition("\n\n## ")
    others = [before.strip(), f"## {after}" if following else ""]
    room = LIMIT - sum(len(part) + 2 for part in others if part)
    section = section_of_gate(gate, reasons, picture)
    kept = len(reasons)
    while len(section) > room and kept > 1:
        kept -= 1
        section = section_of_gate(gate, [*reasons[:kept], f"and {len(reasons) - kept} more reasons: `routemoa show`"], picture)
    return "\n\n".join(filter(None, [others[0], section, others[1]]))[:LIMIT]


def with_certificate(card: str, certificate: Sequence[str]) -> str:
    """`card` with its certificate after the gate, in place of one from before; where there is no room the roster and tables give way."""
    parts = [part for part in card.split(SECTION) if not part.startswith("Certificate\n")]
    after_gate = next((at + 1 for at, part in enumerate(parts) if part.removeprefix("## ").startswith("Gate\n")), 1)
    parts.insert(after_gate, section_of_certificate(certificate).removeprefix("## "))
    while len(SECTION.join(parts)) > LIMIT and (spare := [part for part in parts if part.startswith(("Roster\n", "On "))]):
        parts.remove(spare[-1])
    while len(SECTION.join(parts)) > LIMIT and len(certificate) > 1:
        certificate = certificate[:-1]
        parts[after_gate] = section_of_certificate(certificate).removeprefix("## ")
    return SECTION.join(parts)[:LIMIT]


def section_of_certificate(certificate: Sequence[str]) -> str:
    """Its sentence, and the domains' clauses as a list."""
    return "\n".join(["## Certificate", certificate[0], *([""] if certificate[1:] else []), *(f"- {clause}" for clause in certificate[1:])])


def section_of_gate(gate: GateState, reasons: Sequence[str], picture: str = "") -> str:
    """The gate's state, its reasons as a list, and the picture that shows them where it was run."""
    lines = ["## Gate", f"**{gate.capitalize()}**", "", *(f"- {reason}" for reason in reasons)]
    return "\n".join([*lines, *(["", picture] if picture else [])]).rstrip()


def _picture(run_id: str, artifact: str, title: str) -> str:
    """An image that MLflow's own page loads from the run."""
    return f"![{title}](get-artifact?{urlencode({'path': artifact, 'run_uuid': run_id})})" if run_id else ""


def _pictures(run_id: str, shown: Sequence[str]) -> list[str]:
    links = [_picture(run_id, artifact, title) for artifact, title in PICTURES.items() if artifact in shown]
    return ["## Pictures\n" + "\n".join(links)] if any(links) else []


def _tables(metrics: Mapping[str, Any]) -> list[str]:
    """A table for each split that was judged."""
    found = ((title, split, [row for row in ROWS if f"{split}.{row}.quality" in metrics]) for split, title in SPLITS.items())
    return [_table(title, split, rows, metrics) for title, split, rows in found if rows]


def _table(title: str, split: str, rows: Sequence[str], metrics: Mapping[str, Any]) -> str:
    queries = metrics.get(f"{split}.queries")
    lines = [f"## {title}{f' ({queries:.0f})' if queries else ''}", "Mean label of the LLM that is put first, with its 95 % interval.", ""]
    lines += ["| choice by | quality | gain of this scorer | USD per 1,000 queries |", "|---|---|---|---|"]
    for row in rows:
        name = f"{split}.{row}"
        cost = metrics.get(f"{name}.cost_usd")
        cells = [_interval(metrics, f"{name}.quality"), _interval(metrics, f"{split}.gain_over_{row}", "+"), _money(cost)]
        lines.append(f"| {ROWS[row]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(metrics: Mapping[str, Any], name: str, sign: str = "") -> str:
    if name not in metrics:
        return ""
    bounds = [metrics.get(f"{name}.{end}") for end in ("low", "high")]
    text = f"{metrics[name]:{sign}.3f}"
    return text if None in bounds else f"{text} [{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]"


def _money(per_query: float | None) -> str:
    return "unknown" if per_query is None else f"{1000 * per_query:.3g}"


def _roster(roster: Sequence[LLM]) -> str:
    lines = ["## Roster", "| LLM | name | USD per 1M tokens, in / out |", "|---|---|---|"]
    lines += [f"| `{llm.id}` | {llm.name} | {_price(llm)} |" for llm in roster[:20]]
    return "\n".join([*lines, *([f"and {len(roster) - 20} more"] if len(roster) > 20 else [])])


def _made_from(lineage: Lineage, validation: Mapping[str, int]) -> str:
    commit = (
        f"`{lineage.git_commit[:12]}`{' with uncommitted changes' if lineage.git_dirty else ''}" if lineage.git_commit else "not under git"
    )
    lines = [
        "## Made from",
        f"- data `{lineage.query_pool_md5 or 'not under DVC'}` (data.dvc)",
        f"- dataset `{lineage.dataset_md5 or 'not under DVC'}` (dvc.lock, assemble)",
        f"- code {commit}",
        f"- pool `{lineage.pool_hash[:12]}`",
        "- pool.yaml, params.yaml, dvc.lock and data.dvc are the run's artifacts `project/`; the tag `dvc_exp` names the DVC experiment",
    ]
    if validation:
        lines.append(
            f"- tables with {', '.join(f'{count} {name}' for name, count in validation.items())} (validation/report.html of the run)"
        )
    return "\n".join(lines)


def _price(llm: LLM) -> str:
    return f"{llm.price.input:g} / {llm.price.output:g}" if llm.price.known else "unknown"
