"""From new labels to a routable scorer version, encoder and embeddings known: `python -m benchmarks.new_labels [--queries 1000]`.

A project in a temporary folder trains once; then one more LLM brings labels for every query, and the stage `train` runs again in a
process of its own, as after `routemoa add-llm`. Its CPU time, and that of loading the version as a server does, are the figure.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.report import print_json
from pipelines import assemble
from pipelines.dataset import RosterLLM
from pipelines.project import Project
from scorer import runtime

ROOT = Path(__file__).parents[1]
LLMS = 4  # before the new one
TOPICS = {
    "mathematics": "What is {0} times {1}, less {2}? Give the number only.",
    "coding": "Write a Python function that returns every {0}th element of a list after position {1}, at most {2}.",
    "reading": "Anna sold {0} apples on Monday, {1} on Tuesday and {2} on Friday. On which day did she sell the most?",
    "biomedicine": "Which drug lowers blood pressure in patient {0}, aged {1}, with dose {2} mg?",
}


def write_dataset(home: Path, queries: int, llms: int) -> None:
    """`queries` queries over four topics, labels of `llms` LLMs that differ in what they are good at."""
    dice = np.random.default_rng(0)
    topics = dice.integers(len(TOPICS), size=queries)
    names = list(TOPICS)
    ids = [f"q{place:05}" for place in range(queries)]
    fixed = {"language": "en", "reference": "1", "grader": "exact", "source": "synthetic", "licence": "MIT"}
    texts = [TOPICS[names[topic]].format(*dice.integers(2, 9999, size=3)) for topic in topics]
    domains = [names[topic] for topic in topics]
    table = pd.DataFrame({"query_id": ids, "text": texts, "dataset": domains, "domain": domains, "choices": [[]] * queries, **fixed})
    rates = np.random.default_rng(1).uniform(0.2, 0.9, size=(64, len(TOPICS)))[:llms].T
    scores = (dice.random((queries, llms)) < rates[topics]).astype(float)
    rows = [(ids[query], f"llm-{llm}", scores[query, llm]) for query in range(queries) for llm in range(llms)]
    labels = pd.DataFrame(rows, columns=["query_id", "llm", "score"]).assign(grader="exact", grader_version="1", weight=1.0)
    answers = labels[["query_id", "llm"]].assign(
        input_tokens=50.0, output_tokens=20.0, cost_usd=1e-5, latency_s=1.0, mean_logprob=-0.5, said=None
    )
    splits = np.array(["train"] * 11 + ["calibration"] * 2 + ["validation"] * 3 + ["test"] * 4)[np.arange(queries) % 20]
    assembled = assemble.Assembled(
        queries=table,
        labels=labels,
        answers=answers,
        splits=pd.DataFrame({"query_id": ids, "split": splits}),
        roster=tuple(RosterLLM(f"llm-{llm}", f"LLM {llm}", "active", 0.1, 0.2) for llm in range(llms)),
        unlabelled=(),
    )
    folder = Project(home).dataset
    folder.mkdir(parents=True, exist_ok=True)
    assemble.write(assembled, folder)


def train(home: Path) -> dict[str, float]:
    """CPU and wall seconds of `python -m pipelines.train` in `home`, imports included."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "pipelines.train"], cwd=home, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": round(cpu, 2), "wall_s": round(time.perf_counter() - began, 2)}


def main() -> None:
    """Trains cold, adds an LLM, trains again, loads, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="routemoa-benchmark-") as temporary:
        home = Path(temporary)
        shutil.copy(ROOT / "params.yaml", home)
        write_dataset(home, arguments.queries, LLMS)
        cold = train(home)
        write_dataset(home, arguments.queries, LLMS + 1)
        again = train(home)
        trained = json.loads(Project(home).training.read_text())
        began = time.process_time()
        scorer = runtime.load(Project(home).scorer)
        load = {"cpu_s": round(time.process_time() - began, 2)}
    figures = {
        "queries": arguments.queries,
        "roster": list(scorer.roster),
        "first_training": cold,
        "new_labels_to_artifact": {**again, "head_cpu_s": trained["cpu_s"]["head"]},
        "load_and_warm_up": load,
        "new_labels_to_routable_cpu_s": round(again["cpu_s"] + load["cpu_s"], 2),
    }
    print_json(figures, ["torch", "transformers", "onnxruntime", "numpy"])


if __name__ == "__main__":
    main()
