"""Writes what training made as a scorer artifact (`scorer.artifact`), with the profile that drift is measured against."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mixture.choose.posterior import AgreementPosterior
from pipelines import embeddings
from pipelines.dataset import Dataset
from pipelines.project import Project
from pipelines.training_parts import Parts
from registry.lineage import git_commit
from scorer import text_features
from scorer.types import Floats

if TYPE_CHECKING:
    from scorer.encoder import Encoder
    from scorer.export import Profile
    from scorer.manifest import Manifest
    from scorer.recorded_calls import RecordedCalls
    from scorer.weights import Calibration, HeadWeights

MOST_REFERENCE = 2000  # queries of each kind in the drift profile: 1.5 MB each at 384 dims


def write(
    project: Project,
    parts: Parts,
    encoder: "Encoder",
    *,
    encoder_name: str,
    weights: "HeadWeights",
    calibration: "Calibration",
    posterior: AgreementPosterior,
    recorded_calls: Mapping[str, "RecordedCalls"],
    metrics: dict[str, float],
) -> "Manifest":
    """Writes build/scorer. Its profile holds the queries as a server embeds them (int8), or serving itself would look like drift."""
    from scorer import export

    exported = embeddings.exported(encoder, project.embeddings)
    served = embeddings.int8_encoder(encoder, exported)

    def seen(data: Dataset) -> tuple[Floats, Floats]:
        queries_QD = embeddings.served(served, data.queries["text"].tolist(), project.embeddings)
        return queries_QD[:, : encoder.dims], calibration.probabilities(weights.logits(queries_QD))

    train, held_out = _sample(parts.train), _sample(parts.held_out)
    (queries_RD, scores_RL), (held_queries_HD, held_scores_HL) = seen(train), seen(held_out)
    profile: Profile = export.Profile(
        queries_RD=queries_RD,
        scores_RL=scores_RL,
        domains_R=train.queries["domain"].tolist(),
        held_queries_HD=held_queries_HD,
        held_scores_HL=held_scores_HL,
        held_domains_H=held_out.queries["domain"].tolist(),
    )
    return export.write(
        project.scorer,
        exported=exported,
        weights=weights,
        calibration=calibration,
        answers=asdict(posterior),
        profile=profile,
        recorded_calls=recorded_calls,
        encoder={
            "name": encoder_name,
            "fingerprint": encoder.fingerprint(),
            "max_tokens": encoder.max_tokens,
            "dims": encoder.dims,
            "text_features": text_features.identity() if encoder.text_features else None,
        },
        dataset_sha256=dataset_sha256(project.dataset),
        git_commit=git_commit(project.home) or "",
        metrics=metrics,
    )


def dataset_sha256(folder: Path) -> str:
    """sha256 over the names and contents of the dataset's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sample(data: Dataset) -> Dataset:
    """At most MOST_REFERENCE queries, always the same ones."""
    if len(data.queries) <= MOST_REFERENCE:
        return data
    keep_Q = np.zeros(len(data.queries), dtype=bool)
    keep_Q[np.random.default_rng(0).permutation(len(keep_Q))[:MOST_REFERENCE]] = True
    return data.where(keep_Q)
