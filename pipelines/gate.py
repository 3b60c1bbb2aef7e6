"""Compares the registered challenger with the champion on the validation split: `python -m pipelines.gate`."""

import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import certify, comparison, dataset, embeddings, json_files, params, plots, scorer_run
from pipelines.dataset import Dataset
from pipelines.project import Project, stage_settings
from registry import gate_rules, join_rules, notices, promotion, versions
from registry.gate_rules import GateResult, ValidationLabels, ValidationScores
from registry.settings import Settings
from registry.version import CERTIFICATE, Version
from scorer import artifact_files, metrics, runtime
from scorer.errors import ArtifactRefused, RouteMoAError
from scorer.machine import this_machine
from scorer.metrics import Interval, Values
from scorer.types import Floats

TIMED = 50  # queries whose decisions are timed
RESAMPLES = 1_000  # of a domain's interval, for the picture


@dataclass(frozen=True, slots=True)
class Compared:
    """What the gate says, and the realised quality per domain that it rests on. beside: the champion, or the best single LLM."""

    result: GateResult
    domains: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    beside: str = ""


def decide(settings: Settings) -> tuple[GateResult, Version, Version | None]:
    """The gate's result for the registered version, with that version and the champion; written to gate.json and to MLflow.

    The version's certificate is written with it. It does not decide on the gate: it is what the version may promise once it serves.
    """
    project = Project(settings.home)
    number = str(json_files.read(project.registered, "register")["version"])
    challenger = versions.find(number, settings=settings)
    champion = promotion.in_force(versions.list_versions(settings=settings))
    judged_before = challenger.gate != "not run"
    if champion is not None and champion.version == challenger.version:
        result = gate_rules.same_version(number)
    else:
        compared = compare(settings, champion)
        result = compared.result
        with tempfile.TemporaryDirectory(prefix="routemoa-gate-") as folder:
            picture = Path(folder) / "domains.png"
            if compared.domains:
                plots.domains(picture, compared.domains, ("this scorer", compared.beside))
            challenger = versions.record_gate(
                number, result, files=[picture] if compared.domains else [], tables=domains_table(compared), settings=settings
            )
    certificate = certify.run(settings)
    challenger = versions.record_certificate(number, certificate, settings=settings)
    judged = {**asdict(result), "version": number, "champion": champion.version if champion else None}
    json_files.write(project.gate, {**judged, "certificate": certificate.as_dict()})
    if not judged_before and (champion is None or champion.version != number):
        notices.send(settings, f"scorer version {number} waits", _notice(result, challenger, settings))
    return result, challenger, champion


def _notice(result: GateResult, challenger: Version, settings: Settings) -> str:
    """What somebody who may promote the challenger is told of it."""
    page = f"{settings.mlflow_url}/#/models/{settings.scorer_name}/versions/{challenger.version}"
    said = result.summary or (result.reasons[0] if result.reasons else "")
    made = f"Made because: {challenger.tags.get('reason', 'somebody trained it')}."
    return f"{made} Its gate {'passed' if result.passed else 'failed'}: {said}\n{page}\nPromote: routemoa promote {challenger.version}"


def compare(settings: Settings, champion: Version | None) -> Compared:
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
    quality_Q = gate_rules.realised_quality(challenger, labels)

    def as_the_first(*why: str) -> Compared:
        result = gate_rules.decide(challenger, None, labels, margin=margin)
        single_Q = labels.labels_QL[:, gate_rules.best_single(labels)]
        domains = by_domain(labels, quality_Q, single_Q, "best single LLM")
        return Compared(replace(result, reasons=(*why, *result.reasons)), domains, "best single LLM")

    if champion is None:
        return as_the_first()
    try:
        with tempfile.TemporaryDirectory(prefix="routemoa-gate-") as folder:
            downloaded = versions.download(champion, Path(folder), settings=settings)
            in_use = scored(downloaded, validation, project.embeddings)
    except ArtifactRefused as refused:  # no server of this code serves it either; else an upgrade could never be followed by a training
        return as_the_first(
            f"Champion {champion.version} cannot be read ({refused.what}), so the challenger is judged as if it were the first."
        )
    decide = join_rules.decide if join_rules.newcomers(challenger, in_use) else gate_rules.decide
    beside = f"champion {champion.version}"
    domains = by_domain(labels, quality_Q, gate_rules.realised_quality(in_use, labels), beside)
    return Compared(decide(challenger, in_use, labels, margin=margin), domains, beside)


def by_domain(labels: ValidationLabels, ours_Q: Values, theirs_Q: Values, beside: str) -> dict[str, dict[str, Interval]]:
    """The realised quality of both in each domain with a query where both choices are labelled."""
    both_Q, found = np.isfinite(ours_Q) & np.isfinite(theirs_Q), {}
    for domain in sorted(set(labels.domains_Q[both_Q].tolist())):
        inside_Q = both_Q & (labels.domains_Q == domain)
        found[f"{domain} ({inside_Q.sum()})"] = {
            name: metrics.interval(values_Q[inside_Q], resamples=RESAMPLES)
            for name, values_Q in (("this scorer", ours_Q), (beside, theirs_Q))
        }
    return found


def domains_table(compared: Compared) -> dict[str, dict[str, list[Any]]]:
    """The same as a table for the run, in words."""
    if not compared.domains:
        return {}
    table: dict[str, list[Any]] = {"domain (queries)": list(compared.domains)}
    for name in ("this scorer", compared.beside):
        qualities = [row[name] for row in compared.domains.values()]
        table[f"quality, {name}"] = [one.mean for one in qualities]
        table[f"95 % interval, {name}"] = [f"{one.low:.3f} to {one.high:.3f}" for one in qualities]
    return {"gate/domains": table}


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
    settings = stage_settings()
    try:
        with scorer_run.noting_failure(settings, "gate"):
            result, challenger, champion = decide(settings)
    except RouteMoAError as exc:
        sys.exit(str(exc))
    against = f"champion {champion.version}" if champion else "no champion yet"
    print(f"Gate {'passed' if result.passed else 'failed'} for scorer version {challenger.version} ({against}):")
    for reason in result.reasons:
        print(f"- {reason}")
    for line in challenger.tags.get(CERTIFICATE, "").splitlines():
        print(f"- {line}")
    if result.summary:
        print(f"{result.summary[0].upper()}{result.summary[1:]}.")


if __name__ == "__main__":
    main()
