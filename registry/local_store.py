"""Scorers published on this host: `var/scorers/FOLDER` holds one version's checked files, `current.json` says which serves."""

import os
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from registry import current_version, pool, versions
from registry.current_version import CANARY_NAME, SHADOW_NAME, CurrentVersion, Published, PublishedCanary
from registry.settings import Settings
from registry.version import CERTIFICATE_JSON, Version
from scorer import artifact
from scorer.errors import ArtifactRefused

KEEP = 5
GRACE_S = 60.0  # a server may still be reading a folder that is no longer current
INCOMING = ".incoming-"


def current(var: Path) -> CurrentVersion | None:
    """The published version; None before the first. A damaged file counts as none: the next look at the registry publishes again."""
    return _read(CurrentVersion, var / "scorers" / current_version.NAME)


def publish(version: Version, settings: Settings) -> Path:
    """Downloads `version`, checks it as a server would, and makes it current; returns its folder.

    Raises ArtifactRefused where its files are unsound or not the registered ones, LLMUnknown where the pool lacks an LLM of its
    roster, RegistryError where it cannot be downloaded, OSError where it cannot be stored. What was current stays so.
    """
    published = store(version, settings)
    scorers = settings.var / "scorers"
    current_version.write(scorers / current_version.NAME, published)
    _prune(scorers)
    return scorers / published.folder


def store(version: Version, settings: Settings) -> CurrentVersion:
    """Downloads and checks `version` without making anything of it; what names it in a file. Raises as `publish`."""
    scorers = settings.var / "scorers"
    scorers.mkdir(parents=True, exist_ok=True)
    folder = scorers / version.version
    if not _holds(folder, version):
        incoming = Path(tempfile.mkdtemp(dir=scorers, prefix=INCOMING))
        try:
            downloaded = versions.download(version, incoming, settings=settings)
            try:
                _check(downloaded, version, settings)
            except ArtifactRefused as exc:  # the folder it lies in is gone when somebody reads this
                raise ArtifactRefused(exc.what.replace(str(downloaded), f"version {version.version}"), next_step=exc.next_step) from exc
            if folder.exists():  # another registry's version of that number, or damaged since
                folder = scorers / f"{version.version}-{version.content_hash[:12]}"
                shutil.rmtree(folder, ignore_errors=True)
            downloaded.rename(folder)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    else:
        _check(folder, version, settings)
    os.utime(folder)
    return CurrentVersion(
        version=version.version,
        folder=folder.name,
        published_at=datetime.now(UTC).isoformat(timespec="seconds"),
        content_hash=version.content_hash,
        certificate=version.tags.get(CERTIFICATE_JSON, ""),
    )


def beside(var: Path) -> tuple[CurrentVersion | None, PublishedCanary | None]:
    """The published shadow and canary; a damaged file counts as none."""
    return _read(CurrentVersion, var / "scorers" / SHADOW_NAME), _read(PublishedCanary, var / "scorers" / CANARY_NAME)


def sweep(var: Path) -> None:
    """Removes what an interrupted download left behind."""
    for left in (var / "scorers").glob(f"{INCOMING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _holds(folder: Path, version: Version) -> bool:
    try:
        return artifact.verify(folder).content_hash == version.content_hash
    except (ArtifactRefused, OSError):
        return False


def _check(folder: Path, version: Version, settings: Settings) -> None:
    from scorer import runtime

    manifest = runtime.load(folder).manifest
    if manifest.content_hash != version.content_hash:
        raise ArtifactRefused(
            f"Version {version.version}: its files are sound, but not the ones that were registered "
            f"(content {manifest.content_hash[:12]}, registered {version.content_hash[:12] or 'without a hash'}).",
            next_step="Register it again (`dvc repro register`).",
        )
    llms = pool.load(settings.pool_file)
    for llm_id in manifest.roster:
        llms.by_id(llm_id)


def _prune(scorers: Path) -> None:
    """Keeps the KEEP folders used last, and those that files name."""
    kinds = ((CurrentVersion, current_version.NAME), (CurrentVersion, SHADOW_NAME), (PublishedCanary, CANARY_NAME))
    named = {found.folder for kind, name in kinds if (found := _read(kind, scorers / name)) is not None}
    folders = sorted(
        (path for path in scorers.iterdir() if path.is_dir() and not path.name.startswith(".")), key=lambda path: -path.stat().st_mtime
    )
    for old in folders[KEEP:]:
        if old.name not in named and time.time() - old.stat().st_mtime > GRACE_S:
            shutil.rmtree(old, ignore_errors=True)


def _read(kind: type[Published], path: Path) -> Published | None:
    try:
        return current_version.read_as(kind, path)
    except ArtifactRefused:
        return None
