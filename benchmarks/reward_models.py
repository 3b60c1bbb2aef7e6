"""The scorer on labels of other graders: `python -m benchmarks.reward_models FOLDER --llms a,b,... [--group domain]`.

Where nobody has a reference, labels come from a reward model. FOLDER's recorded answers have both a text and a checked label, so the
labels can be swapped and what comes of it be judged by the checked ones. Two reward models are trained from the packaged encoder on
checked answers to some of the training queries: one on answers of these LLMs, one on answers of FOLDER's other LLMs. Each labels the
answers to other training queries through the pipeline's own grader (`pipelines.graders.reward_model`), as does consensus: the share of
the other LLMs whose final answer (column `pred`) is the same, which needs neither reference nor model. A scorer is trained on each kind
of label alone and read once on the test queries. Reward models see the last characters of an answer: long reasoning does not fit them.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks import machine, recorded, said
from benchmarks.figures import RESAMPLES, as_json, auroc, table
from benchmarks.judging import auroc_by_query
from benchmarks.recorded import Outcomes
from benchmarks.replay import Question
from benchmarks.sensitivity import Change, fitted
from pipelines import embeddings, packages, params, train
from pipelines.dataset import Dataset
from pipelines.graders import reward_model
from pipelines.graders.query import Query
from scorer import calibration, metrics
from scorer.errors import RouteMoAError

Labels = NDArray[np.float64]
Pair = tuple[str, str]

ENCODER = "all-MiniLM-L6-v2"
MOST_TOKENS = 192  # of query and answer together
LAST_CHARACTERS = 300  # of an answer
ANSWERS = 3  # to each query that a reward model learns from
TUNED = ("encoder.layer.4.", "encoder.layer.5.", "pooler.", "classifier.")  # the rest of the encoder stays as it is
EPOCHS, BATCH, RATE = 2, 16, 2e-4
CHECKED = "checked against the reference"


@dataclass(frozen=True, slots=True)
class Told:
    """Answers with checked labels: what a reward model learns from."""

    pairs: list[Pair]
    labels: list[float]

    def name(self) -> str:
        """A hash of it: a model taught otherwise is another one."""
        return hashlib.sha256(json.dumps([self.pairs, self.labels]).encode()).hexdigest()[:12]


def told(questions: Sequence[Question], seed: int = 0) -> Told:
    """ANSWERS drawn answers to each question."""
    dice = np.random.default_rng(seed)
    pairs, labels = list[Pair](), list[float]()
    for question in questions:
        llms = sorted(question.said)
        for llm in dice.permutation(llms)[:ANSWERS]:
            pairs.append((question.text, tail(question, llm)))
            labels.append(question.labels[llm])
    return Told(pairs, labels)


def tail(question: Question, llm: str) -> str:
    """The end of an LLM's answer, as the reward models see it."""
    return question.said[llm].text[-LAST_CHARACTERS:]


def trained(known: Told, folder: Path, seed: int = 0) -> Path:
    """A reward model as a folder that the pipeline's grader takes: the packaged encoder's last layers and a head, by cross-entropy."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    base = packages.encoder_folder(ENCODER)
    tokenizer = AutoTokenizer.from_pretrained(base, model_max_length=MOST_TOKENS)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    for name, weight in model.named_parameters():
        weight.requires_grad = any(part in name for part in TUNED)
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=RATE)
    model.train()
    dice = np.random.default_rng(seed)
    with Progress(disable=not sys.stderr.isatty()) as progress:
        shown = progress.add_task(folder.name, total=EPOCHS * len(known.pairs))
        for _ in range(EPOCHS):
            order = dice.permutation(len(known.pairs))
            for start in range(0, len(order), BATCH):
                places = order[start : start + BATCH]
                queries, answers = zip(*(known.pairs[at] for at in places), strict=True)
                batch = tokenizer(list(queries), list(answers), truncation=True, padding=True, return_tensors="pt")
                logits = model(**batch).logits[:, 0]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([known.labels[at] for at in places]))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                progress.advance(shown, len(places))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def rewarded(folder: Path, questions: Sequence[Question], roster: Sequence[str]) -> Labels:
    """labels_QL by the reward model in `folder`, NaN where an LLM did not answer; kept in the folder."""
    places = [(at, column, llm) for at, question in enumerate(questions) for column, llm in enumerate(roster) if llm in question.said]
    answers = [(Query(str(at), questions[at].text, "reward_model"), tail(questions[at], llm)) for at, _, llm in places]
    rewards = reward_model.grade(reward_model.load(str(folder)), answers, folder / "scores.jsonl")
    labels_QL = np.full((len(questions), len(roster)), np.nan)
    for (at, column, _), result in zip(places, rewards.graded, strict=True):
        labels_QL[at, column] = np.nan if result.score is None else result.score
    return labels_QL


def consensus(stated: Sequence[Question], roster: Sequence[str]) -> Labels:
    """labels_QL: the share of the other LLMs that state the same final answer; 0 for who states none."""
    labels_QL = np.full((len(stated), len(roster)), np.nan)
    for at, question in enumerate(stated):
        for column, llm in enumerate(roster):
            if llm in question.said:
                own, others = question.said[llm].text, [question.said[other].text for other in question.said if other != llm]
                same = [float(other == own) for other in others]
                labels_QL[at, column] = np.mean(same) if same and own.startswith("Answer: ") else 0.0
    return labels_QL


def agreement(labels_QL: Labels, checked_QL: Labels) -> dict[str, Any]:
    """How well labels order answers by checked ones: all answers together, and of one query only (mean over queries with both kinds)."""
    known_QL = ~np.isnan(labels_QL) & ~np.isnan(checked_QL)
    owner, _ = np.nonzero(known_QL)
    right_N = checked_QL[known_QL] > 0.5
    within = [
        auroc(labels_L[known_L], checked_L[known_L] > 0.5)
        for labels_L, checked_L, known_L in zip(labels_QL, checked_QL, known_QL, strict=True)
        if 0 < (checked_L[known_L] > 0.5).mean() < 1
    ]
    _, dense = np.unique(owner, return_inverse=True)
    return {
        "AUROC": auroc_by_query(dense.tolist(), right_N.tolist(), labels_QL[known_QL].tolist()),
        "within a query": metrics.interval(np.array(within), resamples=RESAMPLES),
    }


def judged(seen: Outcomes, labels_QL: Labels, test: Outcomes, change: Change) -> tuple[Labels, dict[str, Any]]:
    """Quality per test query of a scorer trained on `labels_QL` of the queries `seen`, its ECE, and the best single LLM by them."""
    data = seen.data
    swapped = Dataset(data.queries, data.llms, labels_QL, data.cost_QL, data.latency_QL, data.logprob_QL, data.splits_Q)
    made, fixed = fitted(Outcomes(swapped, seen.queries_QD), change)
    scores_QL = fixed.probabilities(made.weights.logits(test.queries_QD))
    quality_Q = metrics.quality(scores_QL, test.labels_QL)
    single_Q = test.labels_QL[:, int(np.nanmean(labels_QL, axis=0).argmax())]
    return quality_Q, {
        "quality": metrics.interval(quality_Q, resamples=RESAMPLES),
        "best single by these labels": float(np.nanmean(single_Q)),
        "ECE": calibration.ece(scores_QL, test.labels_QL),
    }


def main() -> None:
    """Trains reward models, labels, trains scorers, prints and writes."""
    parser = recorded.arguments(__doc__ or "")
    parser.add_argument("--text", default="response", help="column with the answers' texts")
    parser.add_argument("--teach", type=int, default=1500, help="training queries for the reward models")
    parser.add_argument("--label", type=int, default=700, help="further training queries, labelled by each grader for the scorer")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/reward-models"))
    given = parser.parse_args()
    try:
        shown, results = run(given)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    machine.write(given.out, shown, as_json(results), ["torch", "transformers", "numpy"])
    print("\n\n".join(shown))


def run(given: argparse.Namespace) -> tuple[list[str], dict[str, Any]]:
    """The tables and their figures. Raises RouteMoAError."""
    wanted = recorded.wanted(given)
    answered = said.read(wanted, given.text)
    stated = said.read(wanted, "pred")
    strangers = said.read(replace(wanted, llms=(), without=(*wanted.llms, *wanted.without)), given.text)
    data = answered.data
    order = np.random.default_rng(0).permutation(np.flatnonzero(data.splits_Q == "train"))
    teach, label = np.sort(order[: given.teach]), np.sort(order[given.teach : given.teach + given.label])
    taught = set(data.queries["query_id"].iloc[teach])
    foreign = [each for each, name in zip(strangers.questions, strangers.data.queries["query_id"], strict=True) if name in taught]
    models = {
        "reward model, taught by these LLMs' answers": told([answered.questions[at] for at in teach]),
        "reward model, taught by other LLMs' answers": told(foreign),
    }
    questions = [answered.questions[at] for at in label]
    checked_QL = data.labels_QL[label]
    labels: dict[str, Labels] = {CHECKED: checked_QL}
    for name, known in models.items():
        folder = given.out / f"model-{known.name()}"
        labels[name] = rewarded(folder if (folder / "config.json").exists() else trained(known, folder), questions, data.roster)
    labels["consensus of the LLMs"] = consensus([stated.questions[at] for at in label], data.roster)

    settings = params.load().train
    everything = Outcomes(data, embeddings.trained_on(train.load_encoder(settings), data.queries["text"].tolist()))
    seen, test = everything.where(np.isin(np.arange(len(data.splits_Q)), label)), everything.take("test")
    change = Change("", train.plan_of(settings))
    found = {name: judged(seen, labels_QL, test, change) for name, labels_QL in labels.items()}
    rows: dict[str, dict[str, Any]] = {}
    for name, (quality_Q, figures) in found.items():
        difference = "" if name == CHECKED else metrics.difference(quality_Q, found[CHECKED][0], resamples=RESAMPLES)
        rows[name] = agreement(labels[name], checked_QL) | figures | {"against checked": difference}
    single_Q = test.labels_QL[:, int(np.nanmean(data.take("train").labels_QL, axis=0).argmax())]
    shown = [
        f"`{machine.command(given.folder)}`",
        f"{len(data.roster)} LLMs; reward models: {given.teach} queries, {ANSWERS} answers each; labels: all to {len(label)} queries.",
        f"{len(test.queries_QD)} test queries; best single LLM (chosen on all training labels) {np.nanmean(single_Q):.3f}.",
        table("labels", rows),
    ]
    return shown, rows


if __name__ == "__main__":
    main()
