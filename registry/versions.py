"""Scorer versions: registered as challenger, judged, listed, fetched (promoted and rolled back: registry.promotion)."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import card, mlflow_metrics, mlflow_runs, pool
from registry.errors import VersionUnknown
from registry.lineage import Lineage
from registry.mlflow_door import Door
from registry.mlflow_runs import RunInput
from registry.settings import Settings
from registry.version import (
    CHALLENGER,
    CHAMPION,
    CONTENT_HASH,
    GATE,
    GATE_REASONS,
    PREVIOUS,
    REFUSED,
    ROSTER,
    GateState,
    Version,
)

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
    from scorer import artifact  # numpy with it, and `routemoa list` would wait for that

    settings = settings or Settings()
    door = Door.of(settings)
    manifest = artifact.verify(scorer_folder)
    llms = pool.load(settings.pool_file)
    roster = [llms.by_id(llm_id) for llm_id in manifest.roster]
    version = _registered(door, manifest.content_hash)
    if version is None:
        tags = {CONTENT_HASH: manifest.content_hash, ROSTER: ",".join(manifest.roster), **lineage.tags()}
        run_id, artifacts = mlflow_runs.record(
            door.url,
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


def record_gate(version: str, result: "GateResult", *, settings: Settings | None = None) -> Version:
    """Writes the gate's result into the version's tags and description."""
    door = Door.of(settings)
    target = door.version(version)
    state: GateState = "passed" if result.passed else "failed"
    figures = {f"gate.{name}": f"{value:.6g}" for name, value in result.figures.items() if "." not in name or name.startswith("overall")}
    door.annotate(
        version,
        tags={GATE: state, GATE_REASONS: "\n".join(result.reasons), **figures},
        description=card.with_gate(target.description, state, result.reasons),
    )
    return door.version(version)


def champion(*, settings: Settings | None = None) -> Version | None:
    """The version that serves, if there is one."""
    return Door.of(settings).by_alias(CHAMPION)


def challenger(*, settings: Settings | None = None) -> Version | None:
    """The version that was registered last and waits, if there is one."""
    return Door.of(settings).by_alias(CHALLENGER)


def list_versions(*, settings: Settings | None = None) -> list[Version]:
    """Every version, the newest first."""
    return Door.of(settings).versions()


def find(number: str, *, settings: Settings | None = None) -> Version:
    """The version called `number`, or the one an alias of that name points to. Raises VersionUnknown."""
    door = Door.of(settings)
    if number in {CHAMPION, CHALLENGER, PREVIOUS}:
        version = door.by_alias(number)
        if version is None:
            raise VersionUnknown(f"No scorer version is {number}.", next_step="See `routemoa list`.")
        return version
    return door.version(number)


def download(version: Version | str, target: Path, *, settings: Settings | None = None) -> Path:
    """Copies the files of `version` into `target`; returns the folder that holds them. They are not checked here."""
    door = Door.of(settings)
    return door.download(door.version(version) if isinstance(version, str) else version, target)


def _registered(door: Door, content_hash: str) -> Version | None:
    """The version with this content; one that a host refused does not count: its stored files are not what was registered."""
    return next((one for one in door.versions() if one.content_hash == content_hash and REFUSED not in one.tags), None)
