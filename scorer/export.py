"""Writing a trained scorer as an artifact: the encoder as ONNX (fp32, int8), the rest as safetensors, JSON and plain arrays."""

import copy
import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scorer import artifact, manifest, probes
from scorer.artifact_files import SHAPES, Probes
from scorer.errors import ExportFailed
from scorer.machine import this_machine
from scorer.manifest import ENCODERS, TOKENIZER, Manifest
from scorer.recorded_calls import RecordedCalls, as_json
from scorer.runtime import OnnxEncoder, Precision
from scorer.types import Floats
from scorer.weights import Calibration, HeadWeights

if TYPE_CHECKING:
    import onnx

    from scorer.encoder import Encoder

OPSET = 20  # the first with a GELU of its own: five operators and a twentieth of an embedding's time less
BLOCK = 128  # inputs of a feed-forward matrix that share a scale
FAR = 0.02  # mean 1 - cosine between int8 and fp32 embeddings of the probe texts from which on more of the matrices go by block
INT8_ARITHMETIC = 4  # onnxruntime's accuracy_level: activations in int8 too, one scale per block of each row
EXPORT_VERSION = 4  # raise it when the graphs written here change


def identity() -> str:
    """What an exported encoder depends on beside its weights: this exporter and the libraries it calls."""
    from importlib.metadata import version

    versions = [version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime", "transformers")]
    return hashlib.sha256(json.dumps([EXPORT_VERSION, OPSET, *versions]).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Profile:
    """What drift is measured against; the names of reference.npz (scorer/artifact.py)."""

    queries_RD: Floats
    scores_RL: Floats
    domains_R: list[str]
    held_queries_HD: Floats
    held_scores_HL: Floats
    held_domains_H: list[str]

    def arrays(self) -> dict[str, Any]:
        """The arrays of reference.npz."""
        return {
            "queries_RD": self.queries_RD.astype(np.float16),
            "scores_RL": self.scores_RL.astype(np.float32),
            "domains_R": np.array(self.domains_R, dtype=str),
            "held_queries_HD": self.held_queries_HD.astype(np.float16),
            "held_scores_HL": self.held_scores_HL.astype(np.float32),
            "held_domains_H": np.array(self.held_domains_H, dtype=str),
        }


def export_encoder(encoder: "Encoder", folder: Path) -> None:
    """encoder.onnx, encoder.int8.onnx and tokenizer.json in `folder`: (input_ids, attention_mask) -> unit-norm embedding.

    Raises ExportFailed where the graph cannot be made, or does not agree with the encoder to 1e-4.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoder.tokenizer.save(str(folder / TOKENIZER))
    try:
        _export_graph(encoder, folder / ENCODERS["fp32"])
        for by_block in (_first_half, _all):
            _quantise(folder / ENCODERS["fp32"], folder / ENCODERS["int8"], by_block)
            if _apart(encoder, folder) < FAR:
                break
    except Exception as exc:  # torch.onnx and onnxruntime raise many kinds
        raise ExportFailed(f"{type(encoder.backbone).__name__}: {exc}", next_step="Choose an encoder ONNX can express.") from exc
    _check_agreement(encoder, folder)


def write(
    folder: Path,
    *,
    exported: Path,
    weights: HeadWeights,
    calibration: Calibration,
    answers: Mapping[str, float] | None = None,
    profile: Profile,
    recorded_calls: Mapping[str, RecordedCalls] | None = None,
    encoder: Mapping[str, Any],
    dataset_sha256: str = "",
    git_commit: str = "",
    metrics: Mapping[str, float] | None = None,
) -> Manifest:
    """An artifact in `folder` (replaced whole) from the encoder files in `exported` and everything else; verified before it is returned."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".scorer-") as temporary:
        made = Path(temporary) / "scorer"
        made.mkdir(mode=0o755)
        for name in (*ENCODERS.values(), TOKENIZER):
            shutil.copyfile(exported / name, made / name)
        _write_weights(made / manifest.WEIGHTS, weights)
        fitted = zip(weights.roster, calibration.slope_L.tolist(), calibration.intercept_L.tolist(), strict=True)
        fits = {"llms": {llm: {"slope": slope, "intercept": start} for llm, slope, start in fitted}, "answers": dict(answers or {})}
        _write_json(made / manifest.CALIBRATION, fits)
        _write_json(made / manifest.ROSTER, {"llms": list(weights.roster)})
        np.savez(made / manifest.REFERENCE, allow_pickle=False, **profile.arrays())
        probed, difference = _probe(exported, encoder, weights, calibration)
        _write_json(made / manifest.PROBES, probed.as_json(weights.roster))
        _write_json(made / manifest.RECORDED_CALLS, as_json(recorded_calls or {}))
        manifest.write_manifest(
            made,
            roster=weights.roster,
            encoder=encoder,
            int8={"difference": difference, "tolerance": probes.tolerance(difference), "machine": asdict(this_machine())},
            dataset_sha256=dataset_sha256,
            git_commit=git_commit,
            metrics=metrics or {},
        )
        written = artifact.verify(made)
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)
    return written


def _write_weights(path: Path, weights: HeadWeights) -> None:
    from safetensors.numpy import save_file

    arrays = {name: getattr(weights, name) for name in SHAPES if name != "softness"} | {"softness": np.array([weights.softness])}
    if weights.trust is not None:
        numbers = np.array([weights.trust.offset, weights.trust.slope])
        arrays |= {"landmarks_MD": weights.trust.landmarks_MD, "trust": numbers, "spread_L": weights.trust.spread_L}
    save_file({name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}, path)
    path.chmod(0o644)  # safetensors writes 0600: a server under another user could not read it


def _probe(exported: Path, encoder: Mapping[str, Any], weights: HeadWeights, calibration: Calibration) -> tuple[Probes, float]:
    """The probe texts with their fp32 scores, and how far int8 scores are from those on this machine."""

    def scores(precision: Precision) -> Floats:
        graph, tokenizer = (exported / ENCODERS[precision]).read_bytes(), (exported / TOKENIZER).read_bytes()
        beside = encoder.get("text_features") is not None
        onnx_encoder = OnnxEncoder(graph, tokenizer, max_tokens=encoder["max_tokens"], text_features=beside)
        return calibration.probabilities(weights.logits(onnx_encoder.embed(probes.TEXTS)))

    fp32_PL = scores("fp32")
    return Probes(probes.TEXTS, fp32_PL), round(probes.difference(scores("int8"), fp32_PL), 4)


def _export_graph(encoder: "Encoder", path: Path) -> None:
    import onnx
    import torch

    from scorer.trim_deberta import without_unused

    encoder = without_unused(encoder)
    if next(encoder.parameters()).device.type != "cpu":
        encoder = copy.deepcopy(encoder).to("cpu")
    ids, mask = encoder.batch(["an example of some length for tracing", "a shorter one"])
    shapes = {0: torch.export.Dim("queries", min=1, max=4096), 1: torch.export.Dim("tokens", min=2, max=encoder.max_tokens)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter, which its caller can do nothing about
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        logging.getLogger("onnxscript").setLevel(logging.ERROR)
        program = torch.onnx.export(
            encoder,
            (ids, mask),
            input_names=["input_ids", "attention_mask"],
            output_names=["query_QD"],
            dynamic_shapes={"input_ids": shapes, "attention_mask": shapes},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ExportFailed("torch.onnx.export returned nothing.")
    onnx.save(program.model_proto, str(path))


def _quantise(source: Path, target: Path, by_block: Callable[[list[str]], list[str]]) -> None:
    """Dynamic int8: weights per channel, activations at run time; of the feed-forward matrices those that `by_block` names in blocks.

    What enters a feed-forward matrix has outliers, and one scale for all of it drowns the rest. A scale per block of each row costs
    time. In MiniLM it is well spent for the first half of them, and buys little for the later half and for attention's matrices. In MPNet
    the later layers need it too: 1 - cosine to fp32 is .082 without, .0024 with, for a quarter more time.

    The encoder's weights are kept within 7 bits (`reduce_range`). Processors without VNNI add two products of an unsigned and a signed
    byte in 16 signed bits: 2 * 255 * 127 does not fit, 2 * 255 * 64 = 32,640 does. With all 8 bits the sum saturates, without any error.
    """
    import onnx

    with root_logger_as_it_is():
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
        from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as temporary, root_logger_as_it_is(logging.ERROR):  # they warn on it about a step we do take
        inferred, blocked = Path(temporary) / "inferred.onnx", Path(temporary) / "blocked.onnx"
        quant_pre_process(str(source), str(inferred), skip_symbolic_shape=True)
        graph = onnx.load(str(inferred))
        products, feed_forward = _products(graph)
        others = [name for name in products if name not in by_block(feed_forward)]
        quantiser = MatMulNBitsQuantizer(
            graph, bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=INT8_ARITHMETIC, nodes_to_exclude=others
        )
        quantiser.process()
        quantiser.model.save_model_to_file(str(blocked), False)
        quantize_dynamic(str(blocked), str(target), weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)


@contextmanager
def root_logger_as_it_is(level: int | None = None) -> Iterator[None]:
    """Puts the root logger's level and handlers back at the end; until then it logs from `level` on, where one is given.

    The quantisers of onnxruntime call logging.basicConfig when they are imported: whoever exports would print their messages ever after.
    """
    root = logging.getLogger()
    before, handlers = root.level, root.handlers[:]
    if level is not None:
        root.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(before)
        root.handlers = handlers


def _products(graph: "onnx.ModelProto") -> tuple[list[str], list[str]]:
    """Names of all matrix products, and of those with a constant matrix that changes the width: a feed-forward block has two."""
    shapes = {matrix.name: tuple(matrix.dims) for matrix in graph.graph.initializer}
    products = [(node.name, shapes.get(node.input[1], ())) for node in graph.graph.node if node.op_type == "MatMul"]
    return [name for name, _ in products], [name for name, shape in products if len(shape) == 2 and shape[0] != shape[1]]


def _first_half(feed_forward: list[str]) -> list[str]:
    return feed_forward[: (len(feed_forward) + 1) // 2]


def _all(feed_forward: list[str]) -> list[str]:
    return feed_forward


def _apart(encoder: "Encoder", folder: Path) -> float:
    """Mean 1 - cosine between the embeddings of the probe texts in int8 and in fp32."""
    tokenizer = (folder / TOKENIZER).read_bytes()
    int8_PD, fp32_PD = (
        OnnxEncoder((folder / ENCODERS[precision]).read_bytes(), tokenizer, max_tokens=encoder.max_tokens).embed(probes.TEXTS)
        for precision in ("int8", "fp32")
    )
    return float(1 - (int8_PD * fp32_PD).sum(axis=1).mean())


def _check_agreement(encoder: "Encoder", folder: Path) -> None:
    texts = ["What is 2 + 2?", "Explain, in a few words, why the sky is blue. " * 20, "é"]
    tokenizer = (folder / TOKENIZER).read_bytes()
    exported = OnnxEncoder(
        (folder / ENCODERS["fp32"]).read_bytes(), tokenizer, max_tokens=encoder.max_tokens, text_features=encoder.text_features
    )
    apart = float(np.abs(exported.embed(texts) - encoder.embed(texts)).max())
    if not apart < 1e-4:
        raise ExportFailed(
            f"the ONNX graph's embeddings differ from the encoder's by {apart:.2g}.", next_step="Report it with the encoder's name."
        )


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
