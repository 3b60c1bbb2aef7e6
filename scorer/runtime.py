"""The scorer in a serving process: numpy, onnxruntime, tokenizers and safetensors; never torch, transformers or pandas."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scorer import artifact, artifact_checks, text_features
from scorer.artifact import NEXT, Manifest
from scorer.errors import ArtifactRefused, ScorerError
from scorer.texts import tail
from scorer.types import Floats, Prediction
from scorer.weights import Calibration, Weights

Precision = Literal["int8", "fp32"]
SLOWER = ["SkipLayerNormFusion"]  # onnxruntime's fused kernel is not vectorised: a fifth of a decision's time on CPU


class OnnxEncoder:
    """Texts to vectors by ONNX Runtime, one text a run: in int8 a neighbour in the batch would change the rounding.

    looks: whether a text's looks stand after its unit-norm embedding (`scorer.text_features`).
    """

    def __init__(self, graph: bytes, tokenizer: bytes, *, max_tokens: int, threads: int = 1, looks: bool = False) -> None:
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
        self._looks = looks

    def embed(self, texts: Sequence[str]) -> Floats:
        """queries_QD, one row per text."""
        queries_QD = np.stack([self._embed(text) for text in texts])
        return text_features.beside(queries_QD, texts) if self._looks else queries_QD

    def _embed(self, text: str) -> Floats:
        ids = self._tokenizer.encode(tail(text, self._max_tokens)).ids
        if not ids:
            raise ScorerError(f"the tokenizer finds nothing in {text[:40]!r}.", next_step="Send a query with some text in it.")
        inputs = {"input_ids": np.array([ids], dtype=np.int64), "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
        outputs = self._session.run(None, {name: value for name, value in inputs.items() if name in self._inputs})
        return np.asarray(outputs[0][0], dtype=np.float32)


class RuntimeScorer:
    """A verified artifact in memory: `scorer.types.Scorer`, safe to call from several threads.

    The embeddings and scores of the last `cache` distinct texts are kept (by hash: no text stays in memory).
    """

    def __init__(
        self,
        manifest: Manifest,
        encoder: OnnxEncoder,
        weights: Weights,
        calibration: Calibration,
        *,
        answers: Mapping[str, float] | None = None,
        cache: int = 4096,
    ) -> None:
        self.manifest = manifest
        self.answers = dict(answers or {})  # constants of `mixture.choose.posterior.AgreementPosterior`, none in an artifact without them
        self._encoder = encoder
        self._weights = weights
        self._calibration = calibration
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

    Raises ArtifactRefused where a file is not sound, or the graph does not do what the manifest says.
    """
    manifest = artifact.verify(folder)
    scorer = RuntimeScorer(
        manifest,
        load_encoder(folder, manifest, precision=precision, threads=threads),
        artifact_checks.read_weights(folder, manifest),
        artifact_checks.read_calibration(folder, manifest),
        answers=artifact_checks.read_answers(folder),
        cache=cache,
    )
    _warm_up(folder, scorer)
    return scorer


def load_encoder(folder: Path, manifest: Manifest, *, precision: Precision, threads: int = 1) -> OnnxEncoder:
    """The encoder of a verified artifact."""
    name = artifact.ENCODERS[precision]
    try:
        return OnnxEncoder(
            artifact.read_checked(folder, manifest, name),
            artifact.read_checked(folder, manifest, artifact.TOKENIZER),
            max_tokens=manifest.max_tokens,
            threads=threads,
            looks=manifest.looks,
        )
    except ArtifactRefused:
        raise
    except Exception as exc:  # onnxruntime and tokenizers raise bare Exceptions for files they cannot read
        raise ArtifactRefused(f"{folder / name} or {artifact.TOKENIZER}: cannot be loaded ({exc}).", next_step=NEXT) from exc


def reference(folder: Path) -> dict[str, Any]:
    """The artifact's profile for drift: arrays by the names in `scorer.artifact`'s docstring."""
    return artifact_checks.read_reference(folder, artifact.verify(folder))


def _warm_up(folder: Path, scorer: RuntimeScorer) -> None:
    """One decision at load: a graph of the wrong shape is refused here, not at a user's first query."""
    try:
        first = scorer.score(["Is this scorer ready?"])
    except Exception as exc:
        raise ArtifactRefused(f"{folder}: its encoder cannot embed a sentence ({exc}).", next_step=NEXT) from exc
    dims = scorer.manifest.dims
    if first.queries_QD.shape != (1, dims) or not np.isfinite(first.scores_QL).all():
        raise ArtifactRefused(f"{folder}: an embedding of shape {first.queries_QD.shape}, not (1, {dims}), or not finite.", next_step=NEXT)
