"""Scorer versions of one encoder share it in memory: a version beside another costs little."""

import weakref
from pathlib import Path

import numpy as np

from scorer import artifact, probes, runtime, text_features
from scorer.manifest import ENCODERS, TOKENIZER, Manifest
from scorer.runtime import OnnxEncoder, Precision, RuntimeScorer
from scorer.types import Floats

Fingerprint = tuple[str, str, int, bool]


class Encoders:
    """The encoders of the versions that one worker has loaded."""

    def __init__(self) -> None:
        self._live: weakref.WeakValueDictionary[Fingerprint, OnnxEncoder] = weakref.WeakValueDictionary()

    def load(self, folder: Path, *, precision: Precision) -> RuntimeScorer:
        """As `scorer.runtime.load`, on the encoder of a version that is loaded already where it is the same to the last byte."""
        opened = artifact.open(folder)
        live = self._live.get(_fingerprint(opened.manifest, precision))
        if live is not None:
            scorer = RuntimeScorer(opened, live, precision=precision)
            if probes.difference(scorer.score(opened.probes.texts).scores_QL, opened.probes.scores_PL) <= opened.manifest.tolerance:
                return scorer
        scorer = runtime.load(folder, precision=precision)
        self._live[_fingerprint(opened.manifest, scorer.precision)] = scorer.encoder
        return scorer


def scores_of(scorer: RuntimeScorer, text: str, scored_by: RuntimeScorer, query_D: Floats) -> tuple[Floats, Floats]:
    """scores_L and the embedding of a text that another version embedded as `query_D`; no encoder runs where both have the same."""
    if scorer.encoder is not scored_by.encoder:
        prediction = scorer.score([text])
        return prediction.scores_QL[0], prediction.queries_QD[0]
    vectors_QD = np.asarray(query_D, dtype=np.float32)[None, :]
    if scorer.manifest.text_features:
        vectors_QD = text_features.beside(vectors_QD, [text])
    return scorer.score_embedded(vectors_QD)[0], query_D


def _fingerprint(manifest: Manifest, precision: Precision) -> Fingerprint:
    return manifest.files[ENCODERS[precision]], manifest.files[TOKENIZER], manifest.max_tokens, manifest.text_features
