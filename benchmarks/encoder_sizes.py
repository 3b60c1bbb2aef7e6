"""What an encoder's size costs on a CPU: `python -m benchmarks.encoder_sizes`.

The encoder of params.yaml and one of mDeBERTa-v3-base's shape, RouteMoA's own, drawn at random: weights change no time, and a vocabulary
is looked up in. They are exported as the product exports, the large one also for longer texts (for shorter ones it is cut,
`scorer.distances`), and asked texts of so many tokens, one after the other. CPU time of one thread counts; told are wall time with two
threads and, of one thread's wall time, onnxruntime's matrix products as exported (its profile). `--out` gets table.md and results.json.
"""

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import machine, precision
from pipelines import params, train
from scorer import artifact, export
from scorer.encoder import Encoder
from scorer.runtime import SLOWER, OnnxEncoder

TOKENS = (64, 128)
LONGEST = (128, 512)  # tokens that the large one is exported for
PROFILED = 50
BARS = {("BertModel", 128, "int8", 64): 9.0, ("DebertaV2Model", 128, "int8", 128): 85.0}  # milliseconds of CPU


def of_mdeberta_size(like: Encoder, max_tokens: int) -> Encoder:
    """A random encoder of mDeBERTa-v3-base's shape, with the tokenizer of `like`, for texts of so many tokens."""
    from transformers import DebertaV2Config, DebertaV2Model

    config = DebertaV2Config(
        vocab_size=like.tokenizer.get_vocab_size(),
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=512,
        relative_attention=True,
        position_buckets=256,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        type_vocab_size=0,
    )
    return Encoder(DebertaV2Model(config), like.tokenizer, max_tokens=max_tokens, pooling="first")


@dataclass(frozen=True, slots=True)
class Timed:
    """One encoder, exported for `longest` tokens, one graph and length: medians, CPU milliseconds of one thread and wall milliseconds with
    two; products_ms: mean wall milliseconds of one thread in matrix products.
    """

    encoder: str
    million_weights: float
    longest: int
    graph: str
    tokens: int
    cpu_ms: float
    products_ms: float
    wall_ms: float

    @property
    def cells(self) -> str:
        """As a row of Markdown, with the bar where there is one."""
        bar = BARS.get((self.encoder, self.longest, self.graph, self.tokens))
        verdict = "" if bar is None else f"≤ {bar:g}: {'met' if self.cpu_ms <= bar else 'missed'}"
        what = f"{self.encoder} | {self.million_weights:.0f} | {self.longest} | {self.graph} | {self.tokens}"
        return f"| {what} | {self.cpu_ms:.1f} | {self.products_ms:.1f} | {self.wall_ms:.1f} | {verdict} |"


def products_ms(graph: bytes, tokens: int, folder: Path) -> float:
    """Milliseconds that one thread spends in a graph's matrix products, reading so many tokens; the profile goes to `folder`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER)
    ids = np.ones((1, tokens), dtype=np.int64)
    for _ in range(PROFILED):
        session.run(None, {entry.name: ids for entry in session.get_inputs()})
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [event for event in events if event["name"].endswith("_kernel_time")]
    return sum(float(event["dur"]) for event in kernels if "MatMul" in event["args"]["op_name"]) / 1000 / PROFILED


def timed(encoder: Encoder) -> list[Timed]:
    """Each precision at each length."""
    inside = sum(weight.numel() for name, weight in encoder.backbone.named_parameters() if "word_embeddings" not in name) / 1e6
    found = []
    with tempfile.TemporaryDirectory() as folder:
        export.export_encoder(encoder, Path(folder))
        tokenizer = (Path(folder) / artifact.TOKENIZER).read_bytes()
        for name, file in sorted(artifact.ENCODERS.items(), reverse=True):
            graph = (Path(folder) / file).read_bytes()
            one, two = (OnnxEncoder(graph, tokenizer, max_tokens=encoder.max_tokens, threads=threads) for threads in (1, 2))
            for tokens in TOKENS:
                times = (
                    precision.encoder_ms(one, tokens),
                    products_ms(graph, tokens, Path(folder)),
                    precision.encoder_ms(two, tokens, clock=time.perf_counter),
                )
                found.append(Timed(type(encoder.backbone).__name__, inside, encoder.max_tokens, name, tokens, *times))
    return found


def main() -> None:
    """Exports both, asks, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks/encoder-sizes"))
    given = parser.parse_args()
    usual = train.load_encoder(params.load().train)
    columns = ("encoder", "million weights in layers", "for tokens", "graph", "tokens", "CPU ms", "in products ms", "two threads ms", "bar")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    found = [row for encoder in (usual, *(of_mdeberta_size(usual, longest) for longest in LONGEST)) for row in timed(encoder)]
    lines += [row.cells for row in found]
    facts = machine.facts()
    shown = [
        f"`{machine.command()}`",
        "\n".join(lines),
        f"{facts['processor']}, {facts['cores']} cores, load {facts['load_1_min']}; medians.",
    ]
    machine.write(given.out, shown, {"rows": [asdict(row) for row in found]}, ["onnxruntime", "transformers"])
    print("\n\n".join(shown))


if __name__ == "__main__":
    main()
