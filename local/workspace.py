"""A project of its own, made from a checkout: its code, stages and pool in another folder, with its own git and DVC state."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from local.errors import LocalError
from registry import child_process
from registry.errors import ChildFailed

OVERLAYS = Path(__file__).parent / "overlays"
MARKER = ".routemoa-project"  # in every project made here: nothing is ever removed from a folder without it
NOT_A_PROJECTS = ("tests/", "docs/", ".ci/", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")  # the product's alone
YOURS = ("registry/pool.yaml", "params.yaml", "dvc.lock", "data.dvc", ".dvc/config", "README.md")  # an upgrade leaves them as they are
SETTINGS = "params.yaml"  # an overlay changes single keys of it; every other file of an overlay replaces the project's


def overlay(name: str) -> dict[str, bytes]:
    """The files of a folder of OVERLAYS, by their place in a project."""
    folder = OVERLAYS / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make(source: Path, target: Path, *, layer: Mapping[str, bytes] | None = None) -> Path:
    """Copies what a project needs of what git tracks in `source` to `target` (only files that changed), lays `layer` over it and commits.

    What lies in the checkout untracked is somebody's own, a log of his traffic perhaps, and stays there.

    What was built or recorded in `target` before stays, so that making it again redoes only what changed.
    Raises LocalError where `source` is no checkout, or `target` holds something that was not made here.
    """
    target = target.resolve()
    contents, modes = _wanted(source)
    if layer is not None:
        over = {SETTINGS: laid_over(contents[SETTINGS], layer[SETTINGS])} if SETTINGS in layer else {}
        contents |= {**layer, **over}
    _claim(target)
    for stale in set(_files(target, "--cached", "--others")) - set(contents) - {MARKER}:
        (target / stale).unlink(missing_ok=True)
    for name, content in contents.items():
        _write_if_changed(target / name, content, modes.get(name, 0o644))
    _mark(target, contents)
    _commit(target, f"Project made from {_revision(source)}")
    return target


def upgrade(source: Path, target: Path) -> None:
    """Brings the code and the stages of a project made from another release to those of `source`, and commits; YOURS stay.

    Files that no release brought stay, too. Raises LocalError where `target` was not made here, or has changes that are in no commit.
    """
    if not (target / MARKER).is_file():
        raise LocalError(f"{target} was not made by `routemoa init`.", next_step="A checkout is upgraded by git pull and make install.")
    if changed := _git(target, "status", "--porcelain").strip():
        raise LocalError(f"{target} has changes that are in no commit: {changed.split()[-1]}.", next_step="First commit them there.")
    contents, modes = _wanted(source)
    for stale in set((target / MARKER).read_text().splitlines()) - set(contents) - set(YOURS):
        (target / stale).unlink(missing_ok=True)
    for name in set(contents) - set(YOURS):
        _write_if_changed(target / name, contents[name], modes.get(name, 0o644))
    _mark(target, contents)
    _commit(target, f"Code and stages of {_revision(source)}")


def _wanted(source: Path) -> tuple[dict[str, bytes], dict[str, int]]:
    """The files of a checkout that a project has, and their modes. Raises LocalError where `source` is no checkout."""
    names = [name for name in _files(source, "--cached") if not name.startswith(NOT_A_PROJECTS)]
    contents = {name: (source / name).read_bytes() for name in names} | overlay("project")
    return contents, {name: (source / name).stat().st_mode for name in names}


def _claim(target: Path) -> None:
    """Makes `target` a repository marked as ours; a folder with anything else in it is left alone."""
    if target.exists() and not target.is_dir():
        raise LocalError(f"{target} is no folder.", next_step="Name an empty or new one.")
    if target.exists() and any(target.iterdir()) and not (target / MARKER).exists():
        raise LocalError(f"{target} is not empty and was not made by this command.", next_step="Name an empty or new folder.")
    target.mkdir(parents=True, exist_ok=True)
    (target / MARKER).touch()
    if not (target / ".git").exists():
        _git(target, "init", "--quiet")


def _mark(target: Path, names: Iterable[str]) -> None:
    """Notes which files a release brought: the next one removes those that it lacks, and no other."""
    (target / MARKER).write_text("\n".join(sorted(names)) + "\n")


def _files(folder: Path, *which: str) -> list[str]:
    """Those that are there and git tracks (`--cached`) or neither tracks nor ignores (`--others`)."""
    listed = _git(folder, "ls-files", "-z", "--exclude-standard", *which)
    return [name for name in listed.split("\0") if name and (folder / name).is_file()]


def _write_if_changed(target: Path, content: bytes, mode: int) -> None:
    if target.is_file() and target.read_bytes() == content:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_bytes(content)
    target.chmod(mode)


def laid_over(below: bytes, above: bytes) -> bytes:
    """The parameters of `below` with those of `above` in their place, as YAML."""
    yaml, merged = YAML(typ="safe"), io.BytesIO()
    yaml.default_flow_style = False
    yaml.dump(_merged(yaml.load(below), yaml.load(above)), merged)
    return merged.getvalue()


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {name: _merged(below[name], value) if isinstance(value, dict) else value for name, value in above.items()}
    return {**below, **both}


def _commit(folder: Path, message: str) -> None:
    _sign(folder)
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", message)


def _sign(folder: Path) -> None:
    """Gives the project a name for its commits where its owner gave git none: without one DVC saves no experiment either."""
    for name, value in (("user.name", "routemoa"), ("user.email", "routemoa@localhost")):
        try:
            child_process.output(["git", "config", name], cwd=folder)
        except ChildFailed:
            _git(folder, "config", name, value)


def _revision(folder: Path) -> str:
    return _git(folder, "describe", "--always", "--dirty").strip()


def _git(folder: Path, *arguments: str) -> str:
    try:
        return child_process.output(["git", *arguments], cwd=folder)
    except ChildFailed as exc:
        raise LocalError(f"{folder}: {exc.what}", next_step="Run this in a git checkout of the project, with git on PATH.") from exc
