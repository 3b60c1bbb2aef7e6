"""data.dvc: what DVC tracks and `dvc push` passes on of data/. The user's part is; the texts of packages, in the query pool, are not."""

import hashlib
import json
from pathlib import Path

from ruamel.yaml import YAML

from pipelines.project import Project


def tracked(project: Project) -> list[Path]:
    """The files of data/ that DVC tracks, in order: all but the query pool where .dvcignore names it."""
    files = sorted(path for path in project.data.rglob("*") if path.is_file())
    return [path for path in files if path != project.queries] if _ignores_pool(project) else files


def is_pinned(project: Project) -> bool:
    """Whether data.dvc pins data/ as it is."""
    files = {path: path.relative_to(project.data).as_posix() for path in tracked(project)}
    return project.data_pin.exists() and pinned(project) == folder_md5(files)


def pinned(project: Project) -> str:
    """The hash of data/ in data.dvc."""
    return str(YAML(typ="safe").load(project.data_pin)["outs"][0]["md5"])


def folder_md5(files: dict[Path, str]) -> str:
    """The hash DVC gives a folder holding `files` (path -> name in the folder)."""
    entries = sorted(({"md5": md5(path), "relpath": name} for path, name in files.items()), key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def md5(path: Path) -> str:
    """The hash DVC gives a file."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def let_push(project: Project) -> bool:
    """Takes `push: false` out of data.dvc, as versions before put it there for the packaged queries' sake; whether it was there.

    It stays where DVC does not ignore the file that holds those.
    """
    if not _ignores_pool(project) or not project.data_pin.exists():
        return False
    yaml = YAML(typ="rt")
    pin = yaml.load(project.data_pin)
    (out,) = pin["outs"]
    if out.get("push", True):
        return False
    del out["push"]
    out.pop("desc", None)
    yaml.dump(pin, project.data_pin)
    return True


def _ignores_pool(project: Project) -> bool:
    ignored = project.dvcignore.read_text(encoding="utf-8").splitlines() if project.dvcignore.exists() else []
    return f"/{project.name_of(project.queries)}" in ignored
