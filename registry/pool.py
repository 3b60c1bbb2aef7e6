"""Which LLMs exist: `registry/pool.yaml` parsed at the edge into frozen LLMs, and grown one entry at a time."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from mixture.llm import LLM
from registry.entry import SECRET_FIELDS, PoolEntry, check_id
from registry.errors import LLMUnknown, PoolRefused
from registry.validation_errors import explain
from scorer.atomic_write import replacing
from scorer.near_matches import did_you_mean

LOCK_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Pool:
    """Every LLM we know, in file order."""

    llms: tuple[LLM, ...]

    @property
    def active(self) -> tuple[LLM, ...]:
        """The LLMs that are asked, trained on and routed to: all but the retired ones."""
        return tuple(llm for llm in self.llms if llm.status != "retired")

    def by_id(self, llm_id: str) -> LLM:
        """The LLM called `llm_id`.

        Raises LLMUnknown, naming near ids.
        """
        for llm in self.llms:
            if llm.id == llm_id:
                return llm
        next_step = did_you_mean(llm_id, [llm.id for llm in self.llms])
        raise LLMUnknown(f"No LLM of the pool is called {llm_id!r}.", next_step=next_step)


def load(path: Path) -> Pool:
    """The pool in the file at `path`.

    Raises PoolRefused naming file, entry, field and value of everything that is wrong.
    """
    entries = _entries(path, _read(path))
    return Pool(tuple(_validate(path, llm_id, entry) for llm_id, entry in entries.items()))


def append(path: Path, llm_id: str, entry: Mapping[str, Any]) -> LLM:
    """Adds `entry` under `llm_id` as the last line of the pool file; comments and layout stay, readers see the old file or the new one.

    One line, so that a merge of two branches that each add an LLM holds both entries whole: lines that are alike cannot be shared.

    Raises PoolRefused where the entry is malformed, the id is taken, the file itself is refused, or another process keeps it locked.
    """
    path = path.resolve()
    llm = _validate(path, llm_id, entry)
    with held(path):
        document = _read(path)
        entries = _entries(path, document)
        if llm_id in entries:
            raise PoolRefused(f"{path}: llms.{llm_id} already exists.", next_step="Choose another id, or edit that entry.")
        for other_id, other in entries.items():
            _validate(path, other_id, other)
        entries[llm_id] = _laid_out(PoolEntry.model_validate(entry).spelled_out())
        entries[llm_id].fa.set_flow_style()
        document["llms"] = entries
        _replace(path, document)
    return llm


def change(path: Path, llm_id: str, fields: Mapping[str, Any]) -> LLM:
    """Replaces these fields of an entry, whole; everything else in the file stays as it is written.

    Raises LLMUnknown, and PoolRefused where the entry would be malformed, the file is refused, or another process keeps it locked.
    """
    path = path.resolve()
    with held(path):
        document = _read(path)
        entries = _entries(path, document)
        if llm_id not in entries:
            load(path).by_id(llm_id)
        llm = _validate(path, llm_id, {**entries[llm_id], **fields})
        entries[llm_id].update(_laid_out(fields))
        _replace(path, document)
    return llm


def train_jointly(path: Path) -> tuple[str, ...]:
    """Takes `trained: row` out of every entry, so that the next training is of all LLMs together; returns the ids that had it.

    Raises PoolRefused where the file is refused or another process keeps it locked.
    """
    path = path.resolve()
    with held(path):
        document = _read(path)
        entries = _entries(path, document)
        by_row = tuple(llm_id for llm_id, entry in entries.items() if _validate(path, llm_id, entry).trained == "row")
        for llm_id in by_row:
            del entries[llm_id]["trained"]
        if by_row:
            _replace(path, document)
    return by_row


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile. Raises PoolRefused where another process keeps it locked."""
    path = path.resolve()  # a link and what it leads to are one file
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=LOCK_WAIT_S)
    except Timeout as exc:
        raise PoolRefused(f"{path}: another process holds its lock; it is as it was.", next_step="Try again in a moment.") from exc
    try:
        yield
    finally:
        lock.release()


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1 << 24  # a line is never folded: an append must not touch the lines above it, and a new entry is one line
    yaml.representer.add_representer(type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml


def _read(path: Path) -> CommentedMap:
    try:
        document = _yaml().load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise PoolRefused(
            f"{path}: cannot be read ({exc.strerror}).", next_step="Run from the project's root, or set ROUTEMOA_HOME."
        ) from exc
    except MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark is not None else "?"
        problem = (exc.problem or str(exc)).splitlines()[0]
        raise PoolRefused(f"{path}, line {line}: not valid YAML: {problem}.", next_step="Correct that line.") from exc
    except (YAMLError, UnicodeDecodeError) as exc:
        raise PoolRefused(f"{path}: not valid YAML: {exc}.", next_step="Correct the file.") from exc
    if not isinstance(document, CommentedMap) or set(document) != {"llms"}:
        content = sorted(map(str, document)) if isinstance(document, CommentedMap) else type(document).__name__
        raise PoolRefused(f"{path}: expected one key `llms`, found {content}.", next_step="Write the entries under `llms:`.")
    return document


def _entries(path: Path, document: CommentedMap) -> CommentedMap:
    entries = document["llms"]
    if entries is None:
        return CommentedMap()
    if not isinstance(entries, CommentedMap):
        raise PoolRefused(f"{path}: llms is a {type(entries).__name__}, not a mapping from id to entry.", next_step="Write `ID: {...}`.")
    return entries


def _validate(path: Path, llm_id: Any, entry: Any) -> LLM:
    try:
        check_id(llm_id)
    except ValueError as exc:
        raise PoolRefused(f"{path}: llms.{llm_id}: {exc}", next_step="Rename the entry.") from exc
    try:
        return PoolEntry.model_validate(entry).llm(str(llm_id))  # a quoted id is a string of YAML's own, which no JSON is written with
    except ValidationError as exc:
        wrong = explain(exc, PoolEntry, where=f"llms.{llm_id}", secret=SECRET_FIELDS)
        raise PoolRefused(f"{path}: {wrong}", next_step="Correct the entry.") from exc


def _laid_out(entry: Mapping[str, Any]) -> CommentedMap:
    """`entry` as the file's own entries look: one line a field."""
    laid_out = CommentedMap(entry)
    for key, value in entry.items():
        if isinstance(value, Mapping):
            laid_out[key] = CommentedMap(value)
            laid_out[key].fa.set_flow_style()
        elif isinstance(value, list):
            laid_out[key] = CommentedSeq(value)
            laid_out[key].fa.set_flow_style()
    return laid_out


def _replace(path: Path, document: CommentedMap) -> None:
    try:
        with replacing(path, durable=True) as partial:
            _yaml().dump(document, partial)
            shutil.copymode(path, partial)
    except OSError as exc:
        raise PoolRefused(
            f"{path}: cannot be written ({exc.strerror}); it is as it was.", next_step="Check space and permissions."
        ) from exc
