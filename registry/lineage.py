"""Where a scorer comes from: DVC's hashes of its data, the code's git commit, the pool it was made for."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from registry import child_process
from registry.errors import ChildFailed, LineageMissing


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a scorer version is traced to; None where the project does not know (no DVC file yet, not under git).

    query_pool_md5: DVC's hash of data/. dataset_md5: DVC's hash of build/dataset. pool_hash: sha256 of pool.yaml.
    git_dirty: tracked files differed from the commit, other than those that have a hash here.
    """

    query_pool_md5: str | None
    dataset_md5: str | None
    pool_hash: str
    git_commit: str | None
    git_dirty: bool

    def tags(self) -> dict[str, str]:
        """As MLflow tags; what is None has none."""
        tags = {
            "query_pool_md5": self.query_pool_md5,
            "dataset_md5": self.dataset_md5,
            "pool_hash": self.pool_hash,
            "git_commit": self.git_commit,
            "git_dirty": str(self.git_dirty).lower(),
        }
        return {key: value for key, value in tags.items() if value is not None}


def trace(home: Path, pool_file: Path) -> Lineage:
    """The lineage of what lies in the project at `home` now.

    Raises LineageMissing where a DVC file is malformed or the pool cannot be read.
    """
    try:
        pool_hash = hashlib.sha256(pool_file.read_bytes()).hexdigest()
    except OSError as exc:
        raise LineageMissing(f"{pool_file}: cannot be read ({exc.strerror}).", next_step="Run from the project's root.") from exc
    # these have hashes of their own here, and every join and harvest changes them: they say nothing about the code
    hashed = [path.relative_to(home) for path in (home / "dvc.lock", home / "data.dvc", pool_file) if path.is_relative_to(home)]
    changed = _git(home, "status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{path.as_posix()}" for path in hashed))
    return Lineage(
        query_pool_md5=_hash(home / "data.dvc", "outs", 0, "md5"),
        dataset_md5=_hash(home / "dvc.lock", "stages", "assemble", "outs", 0, "md5"),
        pool_hash=pool_hash,
        git_commit=git_commit(home),
        git_dirty=bool(changed),
    )


def _hash(path: Path, *keys: str | int) -> str | None:
    if not path.exists():
        return None
    try:
        value: Any = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        for key in keys:
            value = value[key]
    except (KeyError, IndexError):
        return None  # the stage has not run under DVC yet
    except (OSError, YAMLError, TypeError, UnicodeDecodeError) as exc:
        raise LineageMissing(f"{path}: not a DVC file ({exc}).", next_step="Restore it with git, then run `dvc repro`.") from exc
    return str(value)


def git_commit(home: Path) -> str | None:
    """The commit that the code at `home` is at, None outside a git repository."""
    return _git(home, "rev-parse", "HEAD")


def source(home: Path) -> dict[str, str]:
    """The code at `home` as MLflow's own tags for a run: commit, branch and repository, without whatever login its address holds."""
    found = {
        "mlflow.source.git.commit": git_commit(home),
        "mlflow.source.git.branch": _git(home, "branch", "--show-current"),
        "mlflow.source.git.repoURL": re.sub(r"//[^/@]*@", "//", _git(home, "remote", "get-url", "origin") or ""),
    }
    return {"mlflow.source.name": "pipelines.train", "mlflow.source.type": "LOCAL", **{key: value for key, value in found.items() if value}}


def untracked(home: Path, files: Sequence[Path]) -> list[str]:
    """Those of `files`, as named from `home`, that are new to git there."""
    names = [path.relative_to(home).as_posix() for path in files if path.exists() and path.is_relative_to(home)]
    return [name for name in names if (_git(home, "status", "--porcelain", "--", name) or "").startswith("??")]


def _git(home: Path, *arguments: str) -> str | None:
    try:
        return child_process.output(["git", *arguments], cwd=home, timeout_s=30).strip()
    except ChildFailed:
        return None
