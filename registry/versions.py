"""Scorer versions: registered as challenger, judged, promoted to champion, rolled back; the rules on top of the MLflow door."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import card, mlflow_metrics, pool
from registry.errors import PromotionRefused, VersionUnknown
from registry.lineage import Lineage
from registry.mlflow_door import Door, RunInput
from registry.settings import Settings
from registry.version import (
    CHALLENGER,
    CHAMPION,
    CONTENT_HASH,
    GATE,
    GATE_REASONS,
    OVERRIDE,
    PREVIOUS,
    REFUSED,
    ROLLED_BACK,
    ROSTER,
    GateState,
    Version,
)
from scorer import artifact

if TYPE_CHECKING:
    from registry.gate_rules import GateResult  # it brings scipy, and every `routemoa` command would wait for it


def register(
    scorer_folder: Path,
    evaluation_folder: Path,
    metrics: Mapping[str, Any],
    train: Mapping[str, Any],
    lineage: Lineage,
    *,
    params: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> Version:
    """Registers the artifact as a scorer version and points `challenger` to it; the same content gives the same version.

    metrics, train: contents of metrics.json and train.json. params: what the scorer was trained with.
    Raises ArtifactRefused where the folder is not a sound artifact, LLMUnknown where the pool lacks an LLM of its roster.
    """
    settings = settings or Settings()
    door = _door(settings)
    manifest = artifact.verify(scorer_folder)
    llms = pool.load(settings.pool_file)
    roster = [llms.by_id(llm_id) for llm_id in manifest.roster]
    version = _registered(door, manifest.content_hash)
    if version is None:
        tags = {CONTENT_HASH: manifest.content_hash, ROSTER: ",".join(manifest.roster), **lineage.tags()}
        run_id, artifacts = door.record_run(
            params={**mlflow_metrics.texts(train), **mlflow_metrics.params(params or {})},
            metrics=[*mlflow_metrics.scalars(metrics), *mlflow_metrics.scalars(train, "train/"), *mlflow_metrics.history(train, "train/")],
            tags=tags,
            inputs=[RunInput("query-pool", "data", lineage.query_pool_md5 or lineage.dataset_md5 or "unknown", lineage.tags())],
            folders={"scorer": scorer_folder, **({"evaluation": evaluation_folder} if evaluation_folder.is_dir() else {})},
        )
        version = door.create_version(source=f"{artifacts}/scorer", run_id=run_id, tags=tags, description="")
    description = card.write(
        number=version.version, metrics=metrics, roster=roster, lineage=lineage, gate=version.gate, reasons=version.reasons
    )
    if description != version.description:
        door.annotate(version.version, tags={}, description=description)
    if CHAMPION not in version.aliases:
        door.set_alias(CHALLENGER, version.version)
    return door.version(version.version)


def promote(version: str, *, override: str | None = None, settings: Settings | None = None) -> Version:
    """Points `champion` to `version` and `previous` to the champion before.

    Raises PromotionRefused where the gate has not passed, unless `override` says why it is done all the same (kept as a tag).
    The champion may be promoted again whatever its gate says: somebody made it champion.
    """
    door = _door(settings)
    target, before = door.version(version), door.by_alias(CHAMPION)
    again = before is not None and before.version == target.version
    _check_promotable(target, "it is the champion" if again else override)
    if again:
        update_aliases(target, None, settings=settings)  # an earlier promotion may have stopped half-way
        return door.version(target.version)
    if override and target.gate != "passed":
        door.annotate(target.version, tags={OVERRIDE: override})
    door.set_alias(CHAMPION, target.version)
    update_aliases(target, before, settings=settings)
    return door.version(target.version)


def rollback(*, settings: Settings | None = None) -> Version:
    """Points `champion` back to `previous`; the version left is marked, and is never what a rollback returns to.

    Raises VersionUnknown where there is no previous champion.
    """
    door = _door(settings)
    target, left = door.by_alias(PREVIOUS), door.by_alias(CHAMPION)
    if target is None:
        raise VersionUnknown("There is no previous champion to return to.", next_step="Pick a version from `routemoa list` and promote it.")
    if left is not None and left.version != target.version:
        door.annotate(left.version, tags={ROLLED_BACK: f"to {target.version}"})
    door.set_alias(CHAMPION, target.version)
    door.delete_alias(PREVIOUS)
    return door.version(target.version)


def update_aliases(now: Version, before: Version | None, *, settings: Settings | None = None) -> None:
    """Sets `previous` and clears `challenger` after somebody moved the alias `champion` from `before` to `now`."""
    door = _door(settings)
    for mark in {ROLLED_BACK, REFUSED} & set(now.tags):
        door.delete_tag(now.version, mark)
    if before is not None and before.version != now.version and ROLLED_BACK not in before.tags:
        door.set_alias(PREVIOUS, before.version)
    challenger = door.by_alias(CHALLENGER)
    if challenger is not None and challenger.version == now.version:
        door.delete_alias(CHALLENGER)


def record_gate(version: str, result: "GateResult", *, settings: Settings | None = None) -> Version:
    """Writes the gate's result into the version's tags and description."""
    door = _door(settings)
    target = door.version(version)
    state: GateState = "passed" if result.passed else "failed"
    figures = {f"gate.{name}": f"{value:.6g}" for name, value in result.figures.items() if "." not in name or name.startswith("overall")}
    door.annotate(
        version,
        tags={GATE: state, GATE_REASONS: "\n".join(result.reasons), **figures},
        description=card.with_gate(target.description, state, result.reasons),
    )
    return door.version(version)


def refuse(version: str, reason: str, *, serving: str | None = None, settings: Settings | None = None) -> None:
    """Marks a version whose files a host would not load. serving: the version that serves in its place, to which a rollback returns."""
    door = _door(settings)
    door.annotate(version, tags={REFUSED: reason})
    if serving is not None and serving != version:
        door.set_alias(PREVIOUS, serving)


def champion(*, settings: Settings | None = None) -> Version | None:
    """The version that serves, if there is one."""
    return _door(settings).by_alias(CHAMPION)


def challenger(*, settings: Settings | None = None) -> Version | None:
    """The version that was registered last and waits, if there is one."""
    return _door(settings).by_alias(CHALLENGER)


def list_versions(*, settings: Settings | None = None) -> list[Version]:
    """Every version, the newest first."""
    return _door(settings).versions()


def find(number: str, *, settings: Settings | None = None) -> Version:
    """The version called `number`, or the one an alias of that name points to. Raises VersionUnknown."""
    door = _door(settings)
    if number in {CHAMPION, CHALLENGER, PREVIOUS}:
        version = door.by_alias(number)
        if version is None:
            raise VersionUnknown(f"No scorer version is {number}.", next_step="See `routemoa list`.")
        return version
    return door.version(number)


def download(version: Version | str, target: Path, *, settings: Settings | None = None) -> Path:
    """Copies the files of `version` into `target`; returns the folder that holds them. They are not checked here."""
    door = _door(settings)
    return door.download(door.version(version) if isinstance(version, str) else version, target)


def _door(settings: Settings | None) -> Door:
    settings = settings or Settings()
    return Door(settings.mlflow_url, settings.scorer_name)


def _registered(door: Door, content_hash: str) -> Version | None:
    """The version with this content; one that a host refused does not count: its stored files are not what was registered."""
    return next((one for one in door.versions() if one.content_hash == content_hash and REFUSED not in one.tags), None)


def _check_promotable(target: Version, override: str | None) -> None:
    if REFUSED in target.tags:
        raise PromotionRefused(
            f"Version {target.version} was refused by a host: {target.tags[REFUSED]}", next_step="Register it again (`dvc repro register`)."
        )
    if target.gate == "passed" or override:
        return
    why = " ".join(target.reasons) if target.gate == "failed" else "its gate was not run."
    raise PromotionRefused(
        f"Version {target.version} may not become champion: {why}",
        next_step=f"Run `dvc repro gate`, or `routemoa promote {target.version} --override REASON`; the reason is kept with the version.",
    )
