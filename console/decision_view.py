"""A decision, drawn: who was weighed, who was asked layer by layer, what each answered for how much, and why it stopped."""

from collections.abc import Mapping, Sequence
from typing import Any

from nicegui import ui

from console import parts, words
from console.parts import Column
from mixture.replay.explain import REASONS

SNIPPET = 220  # characters of an answer in a table
HOW = {
    "single": "one LLM answered",
    "best": "the answer with the best score was taken",
    "vote": "the answer that most agree on was taken",
    "synthesise": "one answer was written out of several",
}


def ranking(route: Mapping[str, Any]) -> None:
    """What would be decided, as POST /v1/route says it: every LLM with its score, expected cost and seconds, best value first."""
    ranked = {each["llm"]: each for each in route.get("ranked", ())}
    scores, excluded = route["scores"], route.get("excluded", {})
    order = [*ranked, *sorted(set(scores) - set(ranked), key=lambda llm: -scores[llm])]
    chosen = set(route.get("chosen", ()))

    def mark(llm: str) -> str | None:
        if llm in chosen:
            parts.chip("asked", "good")
        elif llm in excluded:
            ui.label(str(excluded[llm])).classes("faint")
        elif ranked.get(llm, {}).get("stepped_over"):
            ui.label("silent lately").classes("faint")
        return None

    columns = (
        Column("LLM", lambda llm: llm, lead=True),
        Column("Promised", lambda llm: _score_bar(scores[llm], llm in chosen)),
        Column("Cost", lambda llm: words.usd(ranked[llm]["cost_usd"]) if llm in ranked else "", number=True),
        Column("Time", lambda llm: words.seconds(ranked[llm]["latency_s"]) if llm in ranked else "", number=True),
        Column("", mark),
    )
    parts.table(columns, order, label="LLMs weighed for this query")


def story(decision: Mapping[str, Any]) -> None:
    """What happened: the layers in order, failures, and the end."""
    failures, layers = decision.get("failures", ()), decision.get("layers", ())
    last = max((place for place, layer in enumerate(layers, 1) if _asked(layer, decision.get("llm"))), default=0)
    for place, layer in enumerate(layers, start=1):
        with parts.box("stack"):
            ui.label(f"Layer {place} · {words.seconds(layer.get('latency_s'))}").classes("faint")
            for run in layer["runs"]:
                _run(run, layer, served=place == last and run["llm"] == decision.get("llm"))
            _failures([each for each in failures if each["layer"] == place])
    _failures([each for each in failures if each["layer"] > len(layers) or each["layer"] == 0])
    if written := decision.get("synthesis"):
        ui.label(f"Written together by {written['llm']}: {words.usd(written['cost_usd'])}, {words.seconds(written['latency_s'])}.")
    why = decision["stopped_because"]
    with parts.box("banner"):
        ui.icon("flag")
        with parts.box("banner-text"):
            ui.label(f"Stopped: {REASONS.get(why, why)}; {HOW.get(decision['aggregation'], decision['aggregation'])}.")
            ui.label(_total(decision)).classes("faint")
    if decision.get("excluded"):
        listed = ", ".join(f"{llm} ({why})" for llm, why in decision["excluded"].items())
        ui.label(f"Not asked: {listed}").classes("faint")


def _asked(layer: Mapping[str, Any], llm: str | None) -> bool:
    return any(run["llm"] == llm for run in layer["runs"])


def _run(run: Mapping[str, Any], layer: Mapping[str, Any], *, served: bool) -> None:
    """One LLM's part: what was expected of it before and after, its votes, cost and time, and how its answer begins."""
    before, after = layer["before"].get(run["llm"]), layer["after"].get(run["llm"])
    with parts.box("run served" if served else "run"):
        with parts.box("row-flex"):
            ui.label(run["llm"]).style("font-weight: 550")
            if served:
                parts.chip("served", "good")
            if run["llm"] == layer.get("judge"):
                parts.chip("judge", "info")
            ui.label(" · ".join(_figures(run, layer))).classes("faint")
        _score_bar(after if after is not None else 0.0, served, f"{words.score(before)} → {words.score(after)}")
        ui.label(_snippet(run.get("text", "")) or "Its answer is not kept.").classes("faint snippet")


def _figures(run: Mapping[str, Any], layer: Mapping[str, Any]) -> list[str]:
    cross = layer.get("cross", {}).get(run["llm"])
    own = [] if run.get("self_score") is None else [f"votes {run['self_score']:.2f} for itself"]
    judged = [] if cross is None else [f"judged {cross:.2f}"]
    return [words.usd(run["cost_usd"]), words.seconds(run["latency_s"]), *own, *judged]


def _failures(failures: Sequence[Mapping[str, Any]]) -> None:
    for failure in failures:
        with parts.box("row-flex").style("flex-wrap: nowrap"):
            parts.chip("failed")
            ui.label(failure.get("what") or f"{failure['llm']}: {failure['error']}").classes("faint")


def _score_bar(score: float, first: bool, about: str | None = None) -> None:
    parts.measured(score, about or words.score(score), "chosen" if first else "")


def _snippet(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SNIPPET else f"{line[: SNIPPET - 1]}…"


def _total(decision: Mapping[str, Any]) -> str:
    tokens = f"{decision['input_tokens']:,} tokens in, {decision['output_tokens']:,} out"
    held = decision.get("unsettled_usd")
    more = f", and at most {words.usd(held)} for calls without a reply" if held else ""
    spent = f"{words.usd(decision['cost_usd'])}{more}, {words.seconds(decision['latency_s'])}"
    return f"{tokens}, {spent}, expected quality {decision['score']:.2f}"
