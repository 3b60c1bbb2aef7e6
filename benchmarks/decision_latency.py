"""How long a decision takes (text in, scores of every LLM out): `python -m benchmarks.decision_latency [SCORER_FOLDER]`.

Without a folder it measures build/scorer. Every text is new to the cache; the bars are for CPU time, wall time stands beside it.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.report import percentiles, print_json
from scorer import runtime

SENTENCE = "the quick brown fox jumps over the lazy dog and asks what the sum of two numbers is"  # a token a word
TOKENS = (16, 64, 128)
DECISIONS = 300  # of each length


def texts(tokens: int, count: int) -> list[str]:
    """`count` different texts of about that many tokens, the two special ones included."""
    random = np.random.default_rng(tokens)
    return [" ".join(random.choice(SENTENCE.split(), size=tokens - 2)) for _ in range(count)]


def measure(scorer: runtime.RuntimeScorer, queries: list[str]) -> dict[str, object]:
    """CPU and wall time per decision."""
    cpu, wall = [], []
    for text in queries:
        began, began_wall = time.process_time(), time.perf_counter()
        scorer.score([text])
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - began_wall)
    return {"cpu": percentiles(cpu), "wall": percentiles(wall)}


def main() -> None:
    """Loads at each precision, decides, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scorer", type=Path, nargs="?", default=Path("build/scorer"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    figures: dict[str, dict[str, object]] = {}
    precisions: tuple[runtime.Precision, ...] = ("int8", "fp32")
    for precision in precisions:
        began = time.process_time()
        scorer = runtime.load(arguments.scorer, precision=precision, threads=arguments.threads)
        figures[precision] = {"load_cpu_s": round(time.process_time() - began, 3)}
        for tokens in TOKENS:
            queries = list(dict.fromkeys(texts(tokens, DECISIONS)))
            figures[precision][f"{tokens} tokens"] = measure(scorer, queries)
        scorer.score(queries[-1:])
        figures[precision]["cached"] = measure(scorer, queries[-1:] * DECISIONS)
    setting = {"encoder": scorer.manifest.encoder["name"], "roster": len(scorer.roster), "threads": arguments.threads}
    print_json({**setting, "decisions": DECISIONS, **figures}, ["onnxruntime", "tokenizers", "numpy"])


if __name__ == "__main__":
    main()
