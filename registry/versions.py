"""Scorer versions: registered as challenger, judged, listed, fetched (promoted and rolled back: registry.promotion)."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import card, headline, mlflow_metrics, mlflow_runs, pool
from registry.errors import RegistryError, VersionUnknown
from registry.lineage import Lineage
from registry.mlflow_door import Door
from registry.mlflow_runs import MetricValue, RunContent
from registry.run_state import Runs
from registry.settings import Settings
from registry.version import (
    ALIASES,
    ARTIFACT,
    CANARY,
    CERTIFICATE,
    CERTIFICATE_JSON,
    CHALLENGER,
    CHAMPION,
    CONTENT_HASH,
    DVC_EXPERIMENT,
    GATE,
    GATE_FAILING,
    GATE_REASONS,
    REASON,
    REFUSED,
    ROSTER,
    SHADOW,
    VALIDATION,
    GateState,
    Version,
    resolve,
)

if TYPE_CHECKING:
    from registry.certificate import Certificate  # it brings numpy, and every `routemoa` command would wait for it
    from registry.gate_rules import GateResult  # it brings scipy

LONGEST_NAME = 120  # of a run, in characters


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept with a version for those who review and restore it, beside its figures.

    run_id: the run that its training began; None: there is none, and one is made. reason: what its training was asked for; empty: by hand.
    content: datasets, tables and files of the run. validation: how many expectations were broken, by severity. tags: more of the run's.
    """

    run_id: str | None = None
    reason: str = ""
    content: RunContent = field(default_factory=RunContent)
    validation: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def register(
    scorer_folder: Path,
    evaluation_folder: Path,
    metrics: Mapping[str, Any],
    train: Mapping[str, Any],
    lineage: Lineage,
    *,
    params: Mapping[str, Any] | None = None,
    record: Callable[[Sequence[Version], Sequence[str]], Record] | None = None,
    settings: Settings | None = None,
) -> Version:
    """Registers the artifact as a scorer version and points `challenger` to it; the same content gives the same version.

    metrics, train: contents of metrics.json and train.json. params: what the scorer was trained with. record: called for a new version,
    with those that exist (the newest first) and its roster.
    Raises ArtifactRefused where the folder is not a sound artifact, LLMUnknown where the pool lacks an LLM of its roster.
    """
    from scorer import artifact  # numpy with it, and `routemoa list` would wait for that

    settings = settings or Settings()
    door = Door.of(settings)
    manifest = artifact.verify(scorer_folder)
    llms = pool.load(settings.pool_file)
    roster = [llms.by_id(llm_id) for llm_id in manifest.roster]
    existing = door.versions()
    version = _registered(existing, manifest.content_hash)
    if version is None:
        kept = record(existing, manifest.roster) if record else Record()
        tags = {
            CONTENT_HASH: manifest.content_hash,
            ROSTER: ",".join(manifest.roster),
            REASON: reason_of(manifest.roster, lineage, existing, kept.reason),
            **{f"{VALIDATION}.{name}": str(count) for name, count in kept.validation.items()},
            **lineage.tags(),
        }
        content = replace(
            kept.content,
            params={**mlflow_metrics.texts(train), **mlflow_metrics.params(params or {})},
            metrics=[*_headline(metrics, train), *mlflow_metrics.history(_losses(train), "train/")],
            folders={**kept.content.folders, **({"evaluation": evaluation_folder} if evaluation_folder.is_dir() else {})},
        )
        version = _new_version(door, scorer_folder, content, tags=tags, of_run={**tags, **kept.tags}, run_id=kept.run_id)
    pictures = [name for name in card.PICTURES if (evaluation_folder.parent / name).is_file()]
    description = card.Card(
        version.version,
        metrics,
        roster,
        lineage,
        gate=version.gate,
        reasons=version.reasons,
        why=version.tags.get(REASON, ""),
        run_id=version.run_id,
        pictures=pictures,
        certificate=tuple(filter(None, version.tags.get(CERTIFICATE, "").split("\n"))),
        gate_pictured=card.gate_picture(version.run_id) in version.description,
        validation=_broken_expectations(version),
    ).write()
    if description != version.description:
        door.annotate(version.version, tags={}, description=description)
    if CHAMPION not in version.aliases:
        door.set_alias(CHALLENGER, version.version)
    return door.version(version.version)


def reason_of(roster: Sequence[str], lineage: Lineage, existing: Sequence[Version], asked: str = "") -> str:
    """Why there is one more version, in a few words: who joined or left since the version before, what was asked for, what else changed."""
    if not existing:
        return "the first scorer"
    before = existing[0]
    joined = [llm for llm in roster if llm not in before.roster]
    left = [llm for llm in before.roster if llm not in roster]
    said = [f"{_listed(names)} {verb}" for names, verb in ((joined, "joined"), (left, "left")) if names]
    if said:
        return ", ".join(said)
    if asked:
        return asked
    tags = lineage.tags()
    changed = [
        name for key, name in (("dataset_md5", "other labels or queries"), ("git_commit", "other code")) if _differs(tags, before, key)
    ]
    return ", ".join(changed[:1]) or "trained again"


def record_gate(
    version: str,
    result: "GateResult",
    *,
    files: Sequence[Path] = (),
    tables: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    settings: Settings | None = None,
) -> Version:
    """Writes the gate's result into the version's tags and description, and with `files` and `tables` into its run, which it ends."""
    settings = settings or Settings()
    door = Door.of(settings)
    target = door.version(version)
    state: GateState = "passed" if result.passed else "failed"
    figures = {f"gate.{name}": f"{value:.6g}" for name, value in result.figures.items() if "." not in name or name.startswith("overall")}
    verdict = {GATE: state, GATE_REASONS: "\n".join(result.reasons), GATE_FAILING: "\n".join(result.failing)}
    _end_run(door, target.run_id, headline.of_the_gate(result.figures), verdict, RunContent(files={"gate": files}, tables=tables or {}))
    door.annotate(
        version,
        tags={**verdict, **figures},
        description=card.with_gate(target.description, state, result.reasons, card.gate_picture(target.run_id) if files else ""),
    )
    return door.version(version)


def record_certificate(version: str, certificate: "Certificate", *, settings: Settings | None = None) -> Version:
    """Writes the certificate into the version's tags and description."""
    door = Door.of(settings)
    target = door.version(version)
    lines = [certificate.sentence(), *certificate.by_domain()]
    tags = {CERTIFICATE: "\n".join(lines), CERTIFICATE_JSON: certificate.as_json()}
    door.annotate(version, tags=tags, description=card.with_certificate(target.description, lines))
    return door.version(version)


def note_experiment(version: str, name: str, *, settings: Settings | None = None) -> None:
    """Has the version carry the name of the DVC experiment that restores its state."""
    Door.of(settings).annotate(version, tags={DVC_EXPERIMENT: name})


def champion(*, settings: Settings | None = None) -> Version | None:
    """The version that serves, if there is one."""
    return Door.of(settings).by_alias(CHAMPION)


def challenger(*, settings: Settings | None = None) -> Version | None:
    """The version that was registered last and waits, if there is one."""
    return Door.of(settings).by_alias(CHALLENGER)


def followed(*, settings: Settings | None = None) -> dict[str, Version]:
    """The versions that hosts load, by alias: `champion`, `shadow` and `canary`, those that there are."""
    door = Door.of(settings)
    aliases, existing = door.aliases(), {}
    for alias in (CHAMPION, SHADOW, CANARY):
        number = resolve(alias, aliases)
        if number is not None:
            with contextlib.suppress(VersionUnknown):  # deleted since
                existing[alias] = door.version(number)
    return existing


def list_versions(*, settings: Settings | None = None) -> list[Version]:
    """Every version, the newest first."""
    return Door.of(settings).versions()


def find(number: str, *, settings: Settings | None = None) -> Version:
    """The version called `number`, or the one an alias of that name points to. Raises VersionUnknown."""
    door = Door.of(settings)
    if number in ALIASES:
        version = door.by_alias(number)
        if version is None:
            raise VersionUnknown(f"No scorer version is {number}.", next_step="See `routemoa list`.")
        return version
    return door.version(number)


def download(version: Version | str, target: Path, *, settings: Settings | None = None) -> Path:
    """Copies the files of `version` into `target`; returns the folder that holds them. They are not checked here."""
    door = Door.of(settings)
    return door.download(door.version(version) if isinstance(version, str) else version, target)


def _registered(existing: Sequence[Version], content_hash: str) -> Version | None:
    """The version with this content; one that a host refused does not count: its stored files are not what was registered."""
    return next((one for one in existing if one.content_hash == content_hash and REFUSED not in one.tags), None)


def _new_version(
    door: Door, scorer_folder: Path, content: RunContent, *, tags: Mapping[str, str], of_run: Mapping[str, str], run_id: str | None
) -> Version:
    """Fills the run that the training began, or one made now, stores the model, and has a version point to it."""
    runs, named = Runs(door.url), f"scorer: {tags[REASON]}"[:LONGEST_NAME]
    if run_id is not None and runs.exists(run_id):
        runs.go_on(run_id)
        runs.tag(run_id, of_run)
    else:
        run_id = runs.begin(named, of_run)
    try:
        stored = mlflow_runs.store_model(
            door.url, run_id, scorer_folder, name=door.name, tags={key: tags[key] for key in (CONTENT_HASH, ROSTER)}, params=content.params
        )
        mlflow_runs.fill(door.url, run_id, content, model_id=stored.model_id)
        tags = {**tags, ARTIFACT: stored.artifact}
        version = door.create_version(source=stored.source, run_id=run_id, tags=tags, description="", model_id=stored.model_id)
        runs.go_on(run_id, f"scorer {version.version}: {tags[REASON]}"[:LONGEST_NAME])
    except BaseException as exc:
        with contextlib.suppress(RegistryError):
            runs.end(run_id, "FAILED", f"register: {exc}")
        raise
    runs.end(run_id, "FINISHED")
    return version


def _end_run(door: Door, run_id: str, figures: Mapping[str, float], tags: Mapping[str, str], content: RunContent) -> None:
    """Writes what the gate found into the version's run and ends it; one that somebody deleted stays so."""
    runs = Runs(door.url)
    if not runs.exists(run_id):
        return
    runs.log(run_id, figures, tags)
    if any(content.files.values()) or content.tables:
        mlflow_runs.fill(door.url, run_id, content)
    runs.end(run_id, "FINISHED")


def _broken_expectations(version: Version) -> dict[str, int]:
    """By severity, as its tags have them."""
    prefix = f"{VALIDATION}."
    return {name.removeprefix(prefix): int(count) for name, count in version.tags.items() if name.startswith(prefix)}


def _headline(metrics: Mapping[str, Any], train: Mapping[str, Any]) -> list[MetricValue]:
    figures = {**headline.of_a_run(metrics), **headline.of_training(train)}
    return [MetricValue(name, value) for name, value in figures.items()]


def _losses(train: Mapping[str, Any]) -> dict[str, Any]:
    """The history of a training without its epochs' numbers, which are the steps."""
    return {"history": [{name: value for name, value in one.items() if name != "epoch"} for one in train.get("history", [])]}


def _differs(tags: Mapping[str, str], before: Version, key: str) -> bool:
    return key in tags and tags[key] != before.tags.get(key)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"
