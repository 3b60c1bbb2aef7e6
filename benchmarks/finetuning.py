"""What fine-tuning the encoder brings: `python -m benchmarks.finetuning FOLDER [--encoder NAME]`.

The encoder's last layers are trained together with the head, from the product's start and by the product's losses, in several ways (how
many layers, which learning rate). Of each way the epoch of least validation cross-entropy counts, and the way of least validation
cross-entropy is chosen; it alone is read on the test split, beside the frozen encoder and the mean of both scorers' logits, over seeds.
A GPU is used where torch sees one; on two CPU cores eight ways take hours. `--out` gets table.md and results.json.
"""

import argparse
import copy
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import figures, machine, outcomes, recorded, systems
from pipelines import params, train
from pipelines.dataset import Dataset
from scorer import calibration, fallback, metrics, training
from scorer.encoder import Encoder
from scorer.errors import RouteMoAError
from scorer.head import Head
from scorer.interface import Floats
from scorer.start import starting_weights
from scorer.training import Embedded, Plan
from scorer.weights import Weights

RESAMPLES = 2000
RATES = (1e-5, 3e-5, 1e-4, 3e-4)
LAYERS = (2, 6)
WARM_UP = 50  # steps over which the encoder's rate grows to its own
ENCODER_DECAY = 0.01
FROZEN, TUNED, BOTH = "frozen", "fine-tuned", "mean of both"


@dataclass(frozen=True, slots=True)
class Way:
    """How the encoder is tuned: its last `layers`, at learning rate `rate`, so many epochs at most."""

    layers: int
    rate: float
    epochs: int

    def __str__(self) -> str:
        return f"last {self.layers} layers at {self.rate:g}"


@dataclass(frozen=True, slots=True)
class Scorer:
    """A trained scorer with its own vectors of each part's queries. validation: its cross-entropy there, before calibration."""

    weights: Weights
    vectors: dict[str, Floats]
    validation: float
    epoch: int
    seconds: float = 0.0

    def logits(self, part: str) -> NDArray[np.float64]:  # noqa: D102
        return self.weights.logits(self.vectors[part])


def frozen(parts: dict[str, Dataset], vectors: dict[str, Floats], plan: Plan) -> Scorer:
    """The product's own training."""
    known, chosen_by = (Embedded(vectors[name], parts[name].labels_QL) for name in ("train", "validation"))
    made = training.train(parts["train"].roster, known, chosen_by, plan)
    return Scorer(made.weights, vectors, made.history[made.best_epoch].validation, made.best_epoch)


@dataclass(frozen=True, slots=True)
class Material:
    """Training queries as texts, with all that a batch's loss needs beside the encoder."""

    texts: list[str]
    looks_QF: Tensor
    labels_QL: Tensor
    groups_Q: Tensor

    @classmethod
    def of(cls, part: Dataset, queries_QD: Floats, dims: int, start: Weights) -> "Material":
        """queries_QD: by the encoder as it was, their looks after the first `dims`; `start` says their groups."""
        texts, labels_QL = part.queries["text"].tolist(), torch.tensor(part.labels_QL, dtype=torch.float32)
        return cls(texts, torch.tensor(queries_QD[:, dims:]), labels_QL, torch.tensor(training.group_of(start, queries_QD)))

    def loss(self, encoder: Encoder, head: Head, batch_B: Tensor, plan: Plan, dice: torch.Generator) -> Tensor:
        """The product's loss of one batch, through the encoder; the head stays on the CPU, it is small."""
        tokens = (tensor.to(_device()) for tensor in encoder.batch([self.texts[place] for place in batch_B.tolist()]))
        queries_BD = torch.cat([encoder(*tokens).cpu(), self.looks_QF[batch_B]], dim=1)
        return training.batch_loss(head, queries_BD, self.labels_QL[batch_B], self.groups_Q[batch_B], plan=plan, dice=dice)


def tuned(encoder: Encoder, parts: dict[str, Dataset], vectors: dict[str, Floats], plan: Plan, way: Way) -> Scorer:
    """A head from the product's start and a copy of `encoder` with its last layers free, trained together; the best epoch of both.

    vectors: by the encoder as it is, of which the start is made.
    """
    began = time.perf_counter()
    torch.manual_seed(plan.seed)  # dropout
    dice = torch.Generator().manual_seed(plan.seed)
    head = Head(starting_weights(parts["train"].roster, vectors["train"], parts["train"].labels_QL, plan.shrinkage, plan.seed))
    material = Material.of(parts["train"], vectors["train"], encoder.dims, head.start)
    encoder = copy.deepcopy(encoder).to(_device())
    moving = free(encoder, way.layers)
    of_head = {"params": list(head.parameters()), "lr": plan.learning_rate, "weight_decay": plan.weight_decay}
    optimizer = torch.optim.AdamW([of_head, {"params": moving, "lr": way.rate, "weight_decay": ENCODER_DECAY}])
    best, step = (float("inf"), 0, head.weights(), copy.deepcopy(encoder.state_dict())), 0
    for epoch in range(way.epochs + 1):
        if epoch:
            encoder.train()
            for batch_B in torch.split(torch.randperm(len(material.texts), generator=dice), plan.batch_size):
                step += 1
                optimizer.param_groups[1]["lr"] = way.rate * min(1.0, step / WARM_UP)
                optimizer.zero_grad()
                torch.autograd.backward(material.loss(encoder, head, batch_B, plan, dice))
                torch.nn.utils.clip_grad_norm_(moving, 1.0)
                optimizer.step()
            encoder.eval()
        reached = training.validation_loss(head, Embedded(_vectors(encoder, parts["validation"]), parts["validation"].labels_QL))
        if reached < best[0]:
            best = (reached, epoch, head.weights(), copy.deepcopy(encoder.state_dict()))
    validation, epoch, weights, state = best
    encoder.load_state_dict(state)
    found = {name: _vectors(encoder, part) for name, part in parts.items()}
    if plan.far_share:
        weights = replace(weights, fallback=fallback.fit(weights, found["train"], found["validation"], plan.seed, plan.far_share))
    return Scorer(weights, found, validation, epoch, time.perf_counter() - began)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def free(encoder: Encoder, layers: int) -> Sequence[torch.nn.Parameter]:
    """The parameters of the last layers; all others are frozen. Raises SystemExit where the encoder has not so many."""
    every: Any = getattr(getattr(encoder.backbone, "encoder", None), "layer", [])
    if not 1 <= layers <= len(every):
        raise SystemExit(f"--layers {layers}: {type(encoder.backbone).__name__} has {len(every)} layers that can be freed.")
    encoder.requires_grad_(False)
    chosen = every[-layers:]
    chosen.requires_grad_(True)
    return list(chosen.parameters())


def _vectors(encoder: Encoder, part: Dataset) -> Floats:
    return encoder.embed(part.queries["text"].tolist(), batch_size=256)


def ways_table(known: Scorer, tried: dict[Way, Scorer], validation: Dataset) -> list[str]:
    """What validation queries say of each way; the frozen encoder first."""
    usual_Q = metrics.quality(known.logits("validation"), validation.labels_QL)
    lines = ["| encoder | best epoch | cross-entropy | quality | gain | seconds |", "|---|---|---|---|---|---|"]
    lines.append(f"| {FROZEN} | {known.epoch} | {known.validation:.4f} | {np.nanmean(usual_Q):.3f} | | |")
    for way, scorer in tried.items():
        quality_Q = metrics.quality(scorer.logits("validation"), validation.labels_QL)
        gain = metrics.difference(quality_Q, usual_Q, resamples=RESAMPLES)
        lines.append(f"| {way} | {scorer.epoch} | {scorer.validation:.4f} | {np.nanmean(quality_Q):.3f} | {gain} | {scorer.seconds:.0f} |")
    return lines


def test_table(pairs: Sequence[tuple[Scorer, Scorer]], parts: dict[str, Dataset]) -> tuple[list[str], dict[str, Any]]:
    """Means over seeds on the test split: frozen, tuned, and the mean of their logits, each calibrated as the product does."""
    test = parts["test"]
    found: dict[str, tuple[list[Any], list[float], list[float]]] = {name: ([], [], []) for name in (FROZEN, TUNED, BOTH)}
    for known, moved in pairs:
        for name, mixed in ((FROZEN, (known,)), (TUNED, (moved,)), (BOTH, (known, moved))):
            logits = {part: np.mean([each.logits(part) for each in mixed], axis=0) for part in ("calibration", "test")}
            scores_QL = calibration.fit(logits["calibration"], parts["calibration"].labels_QL).probabilities(logits["test"])
            qualities, eces, briers = found[name]
            qualities.append(metrics.quality(scores_QL, test.labels_QL))
            eces.append(calibration.ece(scores_QL, test.labels_QL))
            briers.append(calibration.brier(scores_QL, test.labels_QL))
    mean = {name: np.mean(qualities, axis=0) for name, (qualities, _, _) in found.items()}
    lines = ["| on the test split | quality | over frozen | over seeds | ECE, all LLMs together | Brier |", "|---|---|---|---|---|---|"]
    results = {}
    for name, (qualities, eces, briers) in found.items():
        reached = metrics.interval(mean[name], resamples=RESAMPLES)
        gain = metrics.difference(mean[name], mean[FROZEN], resamples=RESAMPLES)
        spread = float(np.std([np.nanmean(quality_Q) for quality_Q in qualities]))
        shown = "" if name == FROZEN else str(gain)
        lines.append(f"| {name} | {reached} | {shown} | {spread:.3f} | {np.mean(eces):.3f} | {np.mean(briers):.4f} |")
        results[name] = {"quality": reached, "gain": gain}
    return lines, figures.as_json(results)


def main() -> None:
    """Tunes each way once, the chosen one for every seed, prints and writes."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--encoder", help="a Hugging Face name or a local folder; that of params.yaml if not given")
    parser.add_argument("--rates", type=_numbers, default=RATES, help="comma-separated learning rates")
    parser.add_argument("--layers", type=_counts, default=LAYERS, help="comma-separated numbers of last layers")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/finetuning"))
    given = parser.parse_args()
    if min(given.seeds, given.epochs) < 1:
        parser.error("--seeds and --epochs must be at least 1.")
    try:
        shown, results = run(given)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    machine.write(given.out, shown, results, ["torch", "transformers", "scikit-learn", "numpy"])
    print("\n\n".join(shown))


def run(given: argparse.Namespace) -> tuple[list[str], dict[str, Any]]:
    """The tables and their figures. Raises RouteMoAError."""
    settings = params.load().train
    if given.encoder:
        settings = settings.model_copy(update={"encoder": given.encoder})
    encoder = train.load_encoder(settings)
    for layers in given.layers:
        free(encoder, layers)
    parts = systems.split(outcomes.read(recorded.wanted(given)))
    encoder.to(_device())
    vectors = {name: _vectors(encoder, part) for name, part in parts.items()}
    plans = [replace(train.plan_of(settings), seed=seed) for seed in range(given.seeds)]
    known = frozen(parts, vectors, plans[0])
    tried: dict[Way, Scorer] = {}
    for layers, rate in product(given.layers, given.rates):
        way = Way(layers, rate, given.epochs)
        tried[way] = tuned(encoder, parts, vectors, plans[0], way)
        print(ways_table(known, {way: tried[way]}, parts["validation"])[-1], flush=True)
    chosen = min(tried, key=lambda way: tried[way].validation)
    pairs = [(known, tried[chosen])]
    pairs += [(frozen(parts, vectors, plan), tuned(encoder, parts, vectors, plan, chosen)) for plan in plans[1:]]
    lines, results = test_table(pairs, parts)
    sizes = ", ".join(f"{len(parts[name].queries)} {name}" for name in outcomes.SHARES)
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    shown = [
        f"`{machine.command(given.folder, Path(given.encoder or ''))}`",
        f"{len(parts['train'].roster)} LLMs; queries: {sizes}; on {where}; {given.seeds} seeds on the test split.",
        "\n".join(ways_table(known, tried, parts["validation"])),
        f"Least validation cross-entropy: {chosen}.",
        "\n".join(lines),
    ]
    return shown, results


def _counts(typed: str) -> tuple[int, ...]:
    return tuple(int(number) for number in typed.split(","))


def _numbers(typed: str) -> tuple[float, ...]:
    return tuple(float(number) for number in typed.split(","))


if __name__ == "__main__":
    main()
