"""The scorer in a serving process: numpy, onnxruntime, tokenizers and safetensors; never torch, transformers or pandas."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np

from scorer import artifact, probes, text_features
from scorer.artifact import Artifact
from scorer.errors import ArtifactRefused, ScorerError
from scorer.machine import this_machine
from scorer.manifest import ENCODERS, NEXT, TOKENIZER, Manifest, read_checked
from scorer.texts import tail
from scorer.types import Floats, Prediction

Precision = Literal["int8", "fp32"]
log = logging.getLogger(__name__)
SLOWER = ["SkipLayerNormFusion"]  # onnxruntime's fused kernel is not vectorised: a fifth of a decision's time on CPU


class OnnxEncoder:
    """Texts to vectors by ONNX Runtime, one text a run: in int8 a neighbour in the batch would change the rounding.

    text_features: whether features of the text follow its unit-norm embedding (`scorer.text_features`).
    """

    def __init__(self, graph: bytes, tokenizer: bytes, *, max_tokens: int, threads: int = 1, text_features: bool = False) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOWER)
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_str(tokenizer.decode("utf-8"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens, direction="left")
        self._max_tokens = max_tokens
        self._text_features = text_features

    def embed(self, texts: Sequence[str]) -> Floats:
        """queries_QD, one row per text."""
        queries_QD = np.stack([self._embed(text) for text in texts])
        return text_features.beside(queries_QD, texts) if self._text_features else queries_QD

    def _embed(self, text: str) -> Floats:
        ids = self._tokenizer.encode(tail(text, self._max_tokens)).ids
        if not ids:
            raise ScorerError(f"the tokenizer finds nothing in {text[:40]!r}.", next_step="Send a query with some text in it.")
        inputs = {"input_ids": np.array([ids], dtype=np.int64), "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
        outputs = self._session.run(None, {name: value for name, value in inputs.items() if name in self._inputs})
        return np.asarray(outputs[0][0], dtype=np.float32)


class RuntimeScorer:
    """A verified artifact in memory; safe to call from several threads.

    precision: of the encoder that answers. precision_note: why that is not the precision asked for, empty where it is.
    The embeddings and scores of the last `cache` distinct texts are kept (by hash: no text stays in memory).
    """

    def __init__(self, opened: Artifact, encoder: OnnxEncoder, *, precision: Precision, cache: int = 4096) -> None:
        self.manifest = opened.manifest
        self.answers = dict(opened.answers)  # constants of `mixture.choose.posterior.AgreementPosterior`, none in an artifact without them
        self.recorded_calls = dict(opened.recorded_calls)  # what answers took by LLM id; not of an LLM without recorded ones
        self.precision: Precision = precision
        self.precision_note = ""
        self._encoder = encoder
        self._weights = opened.weights
        self._calibration = opened.calibration
        self._cache: OrderedDict[bytes, tuple[Floats, Floats]] = OrderedDict()
        self._cache_size = cache
        self._lock = threading.Lock()

    @property
    def roster(self) -> tuple[str, ...]:
        """LLM ids in the order of the scores' columns."""
        return self.manifest.roster

    @property
    def encoder(self) -> OnnxEncoder:
        """What embeds the texts."""
        return self._encoder

    def score(self, texts: Sequence[str]) -> Prediction:
        """Calibrated scores and embeddings of `texts`."""
        if not texts:
            raise ScorerError("no query to score.", next_step="Send at least one text.")
        rows = [self._row(text) for text in texts]
        return Prediction(scores_QL=np.stack([scores for scores, _ in rows]), queries_QD=np.stack([query for _, query in rows]))

    def score_embedded(self, queries_QD: Floats) -> Floats:
        """scores_QL of queries whose vectors are known already."""
        return self._calibration.probabilities(self._weights.logits(queries_QD))

    def _row(self, text: str) -> tuple[Floats, Floats]:
        key = sha256(text.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        query_D = self._encoder.embed([text])[0]
        row = self.score_embedded(query_D[None, :])[0], query_D[: self.manifest.dims]
        with self._lock:
            self._cache[key] = row
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)
        return row


def load(folder: Path, *, precision: Precision = "int8", threads: int = 1, cache: int = 4096) -> RuntimeScorer:
    """The scorer in `folder`, verified, warmed up and ready. `threads` are ONNX Runtime's within one decision.

    Where this machine's int8 scores of the artifact's probes are farther from the fp32 ones than its manifest allows, it is served in
    fp32, with a warning in the log and in `precision_note`.
    Raises ArtifactRefused where a file is not sound, or the graph does not do what the manifest says.
    """
    opened = artifact.open(folder)
    tolerance = opened.manifest.tolerance

    def loaded(precision: Precision) -> tuple[RuntimeScorer, float]:
        encoder = load_encoder(folder, opened.manifest, precision=precision, threads=threads)
        scorer = RuntimeScorer(opened, encoder, precision=precision, cache=cache)
        return scorer, _probed(opened, scorer)

    scorer, difference = loaded(precision)
    if difference <= tolerance:
        return scorer
    fault = f"{precision} scores are off by {difference:.3f} on {this_machine()}, allowed are {tolerance:.3f}"
    if precision == "int8":
        scorer, difference = loaded("fp32")
        if difference <= tolerance:
            scorer.precision_note = f"{fault}: served in fp32."
            log.warning("%s: %s", folder, scorer.precision_note)
            return scorer
        fault += f", and fp32 scores by {difference:.3f}"
    raise ArtifactRefused(f"{folder}: {fault}.", next_step=NEXT)


def load_encoder(folder: Path, manifest: Manifest, *, precision: Precision, threads: int = 1) -> OnnxEncoder:
    """The encoder of a verified artifact."""
    name = ENCODERS[precision]
    try:
        return OnnxEncoder(
            read_checked(folder, manifest, name),
            read_checked(folder, manifest, TOKENIZER),
            max_tokens=manifest.max_tokens,
            threads=threads,
            text_features=manifest.text_features,
        )
    except ArtifactRefused:
        raise
    except Exception as exc:  # onnxruntime and tokenizers raise bare Exceptions for files they cannot read
        raise ArtifactRefused(f"{folder / name} or {TOKENIZER}: cannot be loaded ({exc}).", next_step=NEXT) from exc


def _probed(opened: Artifact, scorer: RuntimeScorer) -> float:
    """How far `scorer` is from the fp32 scores of the probes. Its first decisions: a graph of the wrong shape is refused here."""
    folder, dims = opened.folder, opened.manifest.dims
    try:
        prediction = scorer.score(opened.probes.texts)
    except Exception as exc:
        raise ArtifactRefused(f"{folder}: its encoder cannot embed a sentence ({exc}).", next_step=NEXT) from exc
    if prediction.queries_QD.shape != (len(opened.probes.texts), dims):
        raise ArtifactRefused(f"{folder}: its embeddings have {prediction.queries_QD.shape[1]} dims, not {dims}.", next_step=NEXT)
    return probes.difference(prediction.scores_QL, opened.probes.scores_PL)
