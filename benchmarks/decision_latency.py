"""How long a decision takes (text in, scores of every LLM out): `python -m benchmarks.decision_latency [SCORER_FOLDER]`.

Without a folder it measures build/scorer. Every text is new to the cache; CPU time counts, wall time is told.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import percentiles, report
from scorer import runtime

SENTENCE = "the quick brown fox jumps over the lazy dog and asks what the sum of two numbers is"  # a token a word
TOKENS = (16, 64, 128)


def texts(tokens: int, count: int) -> list[str]:
    """`count` different texts of about that many tokens, the two special ones included."""
    dice = np.random.default_rng(tokens)
    return [" ".join(dice.choice(SENTENCE.split(), size=tokens - 2)) for _ in range(count)]


def measure(scorer: runtime.RuntimeScorer, asked: list[str]) -> dict[str, object]:
    """CPU and wall time per decision."""
    cpu, wall = [], []
    for text in asked:
        began, began_wall = time.process_time(), time.perf_counter()
        scorer.score([text])
        cpu.append(time.process_time() - began)
        wall.append(time.perf_counter() - began_wall)
    return {"cpu": percentiles(cpu), "wall": percentiles(wall)}


def main() -> None:
    """Loads at each precision, decides, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scorer", type=Path, nargs="?", default=Path("build/scorer"))
    parser.add_argument("--decisions", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    precisions: tuple[runtime.Precision, ...] = ("int8", "fp32")
    for precision in precisions:
        began = time.process_time()
        scorer = runtime.load(arguments.scorer, precision=precision, threads=arguments.threads)
        found[precision] = {"load_cpu_s": round(time.process_time() - began, 3)}
        for tokens in TOKENS:
            asked = list(dict.fromkeys(texts(tokens, arguments.decisions)))
            found[precision][f"{tokens} tokens"] = measure(scorer, asked)
        scorer.score(asked[-1:])
        found[precision]["cached"] = measure(scorer, asked[-1:] * arguments.decisions)
    facts = {"encoder": scorer.manifest.encoder["name"], "roster": len(scorer.roster), "threads": arguments.threads}
    report({**facts, "decisions": arguments.decisions, **found}, ["onnxruntime", "tokenizers", "numpy"])


if __name__ == "__main__":
    main()
