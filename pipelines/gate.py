"""Compares the registered challenger with the champion on the validation split: `python -m pipelines.gate`."""

import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pipelines import comparison, dataset, embeddings, json_files, params
from pipelines.dataset import Dataset
from pipelines.project import Project, stage_settings
from registry import gate_rules, join_rules, promotion, versions
from registry.gate_rules import GateResult, ValidationLabels, ValidationScores
from registry.settings import Settings
from registry.version import Version
from scorer import artifact_files, runtime
from scorer.errors import ArtifactRefused, RouteMoAError
from scorer.machine import this_machine
from scorer.types import Floats

TIMED = 50  # queries whose decisions are timed


def decide(settings: Settings) -> tuple[GateResult, Version, Version | None]:
    """The gate's result for the registered version, with that version and the champion; written to gate.json and to MLflow."""
    project = Project(settings.home)
    number = str(json_files.read(project.registered, "register")["version"])
    challenger = versions.find(number, settings=settings)
    champion = promotion.in_force(versions.list_versions(settings=settings))
    if champion is not None and champion.version == challenger.version:
        result = gate_rules.same_version(number)
    else:
        result = compare(settings, champion)
        challenger = versions.record_gate(number, result, settings=settings)
    json_files.write(project.gate, {**asdict(result), "version": number, "champion": champion.version if champion else None})
    return result, challenger, champion


def compare(settings: Settings, champion: Version | None) -> GateResult:
    """Scores the validation queries with both, as served, and judges."""
    project = Project(settings.home)
    validation = dataset.load(project.dataset).take("validation")
    labels = ValidationLabels(
        validation.roster,
        validation.labels_QL,
        validation.queries["domain"].to_numpy(dtype=np.str_),
        comparison.expected_cost(validation),
    )
    margin = params.load(project.params).gate.margin
    challenger = scored(project.scorer, validation, project.embeddings, full=True)
    if champion is None:
        return gate_rules.decide(challenger, None, labels, margin=margin)
    try:
        with tempfile.TemporaryDirectory(prefix="routemoa-gate-") as folder:
            downloaded = versions.download(champion, Path(folder), settings=settings)
            in_use = scored(downloaded, validation, project.embeddings)
    except ArtifactRefused as refused:  # no server of this code serves it either; else an upgrade could never be followed by a training
        why = f"Champion {champion.version} cannot be read ({refused.what}), so the challenger is judged as if it were the first."
        result = gate_rules.decide(challenger, None, labels, margin=margin)
        return replace(result, reasons=(why, *result.reasons))
    decide = join_rules.decide if join_rules.newcomers(challenger, in_use) else gate_rules.decide
    return decide(challenger, in_use, labels, margin=margin)


def scored(folder: Path, data: Dataset, cache: Path, *, full: bool = False) -> ValidationScores:
    """The artifact in `folder` as served here on the queries of `data`, embeddings from `cache`; `full`: by the fp32 encoder too."""
    texts = data.queries["text"].tolist()
    served = runtime.load(folder, cache=0)

    def scores(precision: runtime.Precision, loaded: runtime.OnnxEncoder | None = None) -> Floats:
        return served.score_embedded(embeddings.as_served(folder, served.manifest, precision, cache, loaded=loaded)(texts))

    times_ms = []
    for text in texts[:TIMED]:
        before = time.process_time()
        served.score([text])
        times_ms.append(1000 * (time.process_time() - before))
    return ValidationScores(
        roster=served.roster,
        scores_QL=scores(served.precision, served.encoder),
        full_scores_QL=scores("fp32") if full else None,
        decision_ms=float(np.median(times_ms)),
        machine=str(this_machine()),
        precision_note=served.precision_note,
        domains=frozenset(artifact_files.read_reference(folder, served.manifest)["domains_R"].tolist()),
    )


def main() -> None:
    """Judges, and prints every reason; a failed gate is a finding, not an error."""
    try:
        result, challenger, champion = decide(stage_settings())
    except RouteMoAError as exc:
        sys.exit(str(exc))
    against = f"champion {champion.version}" if champion else "no champion yet"
    print(f"Gate {'passed' if result.passed else 'failed'} for scorer version {challenger.version} ({against}):")
    for reason in result.reasons:
        print(f"- {reason}")
    if result.summary:
        print(f"{result.summary[0].upper()}{result.summary[1:]}.")


if __name__ == "__main__":
    main()
