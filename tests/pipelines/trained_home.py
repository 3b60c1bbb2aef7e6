"""A project folder after `pipelines.train`: a synthetic world as its dataset, a small random encoder, everything else real."""

import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from pipelines import assemble, dataset, train
from pipelines.dataset import RosterLLM
from pipelines.project import Project
from tests.scorer import tiny, world

ROOT = Path(__file__).parents[2]
KINDS = ("mathematics", "coding", "reading", "biomedicine")
NEWCOMER = "newcomer"  # an LLM with five labels: too few for the roster


def write_dataset(folder: Path, *, queries: int = 500, seed: int = 0, newcomer: bool = True) -> None:
    """A world's queries as the stage `assemble` writes them; 20 % of the labels are missing, biomedicine is out of domain."""
    folder.mkdir(parents=True, exist_ok=True)
    made = world.world(queries, seed=seed, missing=0.2)
    ids = [f"q{place:04}" for place in range(queries)]
    domains = [KINDS[kind] for kind in made.kinds_Q]
    fixed = {"language": "en", "reference": "1", "grader": "exact", "source": "synthetic", "licence": "MIT"}
    table = pd.DataFrame({"query_id": ids, "text": made.texts, "dataset": domains, "domain": domains, "choices": [[]] * queries, **fixed})
    roster = [*world.ROSTER, *([NEWCOMER] if newcomer else [])]
    labels_QL = np.column_stack([made.labels_QL, np.full(queries, np.nan)])[:, : len(roster)]
    if newcomer:
        labels_QL[:5, -1] = 1.0
    known = [(ids[query], roster[llm], labels_QL[query, llm]) for query, llm in np.argwhere(~np.isnan(labels_QL))]
    labels = pd.DataFrame(known, columns=["query_id", "llm", "score"]).assign(grader="exact", grader_version="1", weight=1.0)
    answers = labels[["query_id", "llm"]].assign(
        input_tokens=50.0, output_tokens=20.0, latency_s=1.0, mean_logprob=-0.5, final_answer=labels["score"].map({1.0: "42", 0.0: "7"})
    )
    answers["cost_usd"] = answers["llm"].map({llm: 1e-5 * (place + 1) for place, llm in enumerate(roster)})
    splits = np.array(["train", "train", "train", "calibration", "validation", "test", "test"])[np.arange(queries) % 7]
    splits = np.where(made.kinds_Q == 3, "ood", splits)
    assembled = assemble.Assembled(
        queries=table,
        labels=labels,
        answers=answers,
        splits=pd.DataFrame({"query_id": ids, "split": splits}),
        roster=tuple(RosterLLM(llm, llm, "active", 0.1 * (place + 1), 0.2) for place, llm in enumerate(roster)),
        unlabelled=(),
    )
    assemble.write(assembled, folder)


def write_params(home: Path, **changes: object) -> None:
    """The project's params.yaml with a small encoder and few groups."""
    yaml = YAML()
    content = yaml.load(ROOT / "params.yaml")
    content["train"] |= {"max_tokens": 32, "groups": 4, "dims": 16, "epochs": 5, **changes}
    content["evaluate"]["bootstrap"] = 50
    yaml.dump(content, home / "params.yaml")


def write_encoder(folder: Path, weights: float = 1.0) -> Path:
    """A random BERT as a local folder, the way `save_pretrained` leaves it; with `weights` 0 every text is nearly the same to it."""
    from transformers import PreTrainedTokenizerFast

    made = tiny.tiny_encoder()
    made.backbone.embeddings.word_embeddings.weight.data *= weights
    made.backbone.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=made.tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return folder


@functools.cache
def _trained() -> Path:
    import atexit

    home = Path(tempfile.mkdtemp(prefix="trained-home-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    write_dataset(Project(home).dataset)
    write_params(home, encoder=str(write_encoder(home / "encoder")))
    train.run(Project(home))
    return home


def trained_home(folder: Path) -> Path:
    """A copy in `folder` of a project whose scorer is trained (once per test process)."""
    return Path(shutil.copytree(_trained(), folder))


def loaded(home: Path) -> dataset.Dataset:
    """Its dataset."""
    return dataset.load(Project(home).dataset)
