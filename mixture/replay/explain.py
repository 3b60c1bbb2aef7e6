"""Prints a decision as a readable tree: who was asked, what came back, what it cost, why it stopped, how the answer was made.

python -m mixture.replay.explain DECISION.json  # as GET /v1/decisions/ID or a chat with `explain` returns it; - reads standard input
python -m mixture.replay.explain --replay DECISION.json    # then decides again from it; exit code 1 where that comes to something else
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from mixture.choose.session_words import in_words
from mixture.decision import Decision, Failure, Layer, Run
from mixture.errors import MixtureError
from mixture.replay.replay import differences

LONGEST_TEXT = 100  # characters of an answer shown on its line
REASONS = {
    "single": "one LLM was to answer",
    "agreement": "the answers agree",
    "unchanged": "the layer changed no answer",
    "threshold": "an answer is good enough",
    "gain": "another layer is expected to cost more than it brings",
    "layers": "no more layers are allowed",
    "deadline": "there is no time for another layer",
    "budget": "there is no money for another layer",
    "nobody": "nobody is left to ask",
    "failed": "everybody asked in the last layer failed",
    "passed through": "the request named the LLM",
}


class DecisionUnreadable(MixtureError):
    """A file that holds no decision."""


def tree(decision: Decision) -> Tree:
    """The decision as a rich tree."""
    author = decision.llm or "a synthesis"
    root = Tree(Text(f"{author}, by {decision.aggregation}, expected quality {decision.score:.2f}: {_shown(decision.text)}", style="bold"))
    for at, layer in enumerate(decision.layers, start=1):
        _add_layer(root.add(Text(f"layer {at}, {layer.latency_s:.2f} s")), layer, [each for each in decision.failures if each.layer == at])
    for failure in decision.failures:
        if failure.layer > len(decision.layers):
            root.add(_failed(failure))
    root.add(Text(f"stopped: {REASONS.get(decision.stopped_because, decision.stopped_because)}"))
    if decision.session is not None:
        root.add(Text(f"session: {in_words(decision.session, decision.llm)}"))
    if decision.aggregation == "synthesise" or any(each.layer == 0 for each in decision.failures):
        _add_synthesis(root.add(Text("synthesis")), decision)
    for failure in decision.retried:
        root.add(Text(f"tried again: {failure.error}: {failure.what}", style="dim"))
    for llm, why in decision.excluded.items():
        root.add(Text(f"not asked: {llm}, {why}", style="dim"))
    root.add(Text(_total(decision)))
    return root


def load(text: str) -> Decision:
    """The decision in a JSON text: alone, a record's, or a chat completion's that was asked to explain. Raises DecisionUnreadable."""
    try:
        tree = json.loads(text)
        tree = tree.get("routemoa", tree)
        tree = tree.get("decision", tree)
        if _is_older(tree):
            what = "The decision was recorded by an older version, whose records can no longer be drawn."
            raise DecisionUnreadable(what, next_step="Draw it with the version that recorded it.")
        return Decision.from_dict(tree)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as exc:
        what = f"No decision can be read: {type(exc).__name__}: {exc}."
        next_step = 'Give JSON as GET /v1/decisions/ID returns it, or a chat completion asked with {"routemoa": {"explain": true}}.'
        raise DecisionUnreadable(what, next_step=next_step) from exc


def main(arguments: Sequence[str]) -> int:
    """Prints the decision in the file named by the last argument."""
    again = arguments[:1] == ["--replay"]
    if len(arguments) != 1 + again or arguments[-1] in {"-h", "--help"}:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        text = sys.stdin.read() if arguments[-1] == "-" else Path(arguments[-1]).read_text(encoding="utf-8")
        decision = load(text)
        Console().print(tree(decision))
        if again:
            return _replayed(decision)
    except OSError as exc:
        print(f"{exc.filename}: {exc.strerror}. Save what GET /v1/decisions/ID returns and name that file.", file=sys.stderr)
        return 1
    except MixtureError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _is_older(tree: Mapping[str, Any]) -> bool:
    """Whether a decision has the keys of before the snapshot and the peer scores had names of their own."""
    runs = [run for layer in tree.get("layers", ()) for run in layer.get("runs", ())]
    return any("given" in each for each in (tree, *runs))


def _replayed(decision: Decision) -> int:
    """Prints where deciding again differs. Raises CannotReplay."""
    differing = differences(decision)
    print("\n".join(["replayed: not the same decision", *differing]) if differing else "replayed: the same decision")
    return int(bool(differing))


def _add_layer(branch: Tree, layer: Layer, failures: Sequence[Failure]) -> None:
    for run in layer.runs:
        moved = f"{layer.before[run.llm]:.2f} → {layer.after[run.llm]:.2f}"
        line = branch.add(Text(f"{run.llm}  {moved}  {_judgement(run)}{_cost(run)}: {_shown(run.text)}"))
        if run.peer_scores:
            line.add(Text(f"scores {_scores(run.peer_scores)}" + (" (these count)" if run.llm == layer.judge else ""), style="dim"))
    for failure in failures:
        branch.add(_failed(failure))


def _add_synthesis(branch: Tree, decision: Decision) -> None:
    if decision.synthesis is not None:
        branch.add(Text(f"{decision.synthesis.llm}  {_cost(decision.synthesis)}: {_shown(decision.synthesis.text)}"))
    for failure in decision.failures:
        if failure.layer == 0:
            branch.add(_failed(failure))


def _failed(failure: Failure) -> Text:
    return Text(f"failed: {failure.error}: {failure.what}", style="red")


def _judgement(run: Run) -> str:
    return "" if run.self_score is None else f"self {run.self_score:.2f}  "


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{llm} {score:.2f}" for llm, score in scores.items())


def _cost(run: Run) -> str:
    return f"{run.input_tokens}+{run.output_tokens} tokens, {run.cost_usd:.2g} USD, {run.latency_s:.2f} s"


def _total(decision: Decision) -> str:
    unsettled = f", and at most {decision.unsettled_usd:.2g} USD for calls without a reply" if decision.unsettled_usd else ""
    tokens = f"{decision.input_tokens}+{decision.output_tokens} tokens"
    return f"total: {tokens}, {decision.cost_usd:.2g} USD{unsettled}, {decision.latency_s:.2f} s"


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
