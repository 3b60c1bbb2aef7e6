"""API keys, kept as hashes with scopes; `routemoa keys` makes, lists and revokes them."""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, get_args

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scorer.atomic_write import replacing
from serving.errors import KeyNameTaken, KeyNameUnknown, KeyRefused, KeysRefused

Scope = Literal["chat", "feedback", "audit", "admin", "metrics"]
SCOPES: tuple[str, ...] = get_args(Scope)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PREFIX = "rm-"  # so that secret scanners and people recognise one
CREATE = "Create one with `routemoa keys create NAME --scope chat`."


class KeyEntry(BaseModel):
    """One key as keys.json holds it; the key itself is kept nowhere.

    usd_per_day, usd_per_month: of UTC days and months. llms: ids of the pool, None for all.
    data_policy: tags of which an LLM must carry one. expires_at, created_at: seconds since the epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...]
    created_at: float
    usd_per_day: Positive | None = None
    usd_per_month: Positive | None = None
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    llms: tuple[str, ...] | None = None
    data_policy: tuple[str, ...] | None = None
    expires_at: float | None = None

    def may_use(self, llm: str) -> bool:
        """Whether this LLM of the pool may answer it."""
        return self.llms is None or llm in self.llms

    @property
    def id(self) -> str:
        """What its spending is booked under: a key that is created anew under the same name begins at nothing."""
        return self.sha256[:16]

    def sees(self, asked_by: str | None) -> bool:
        """Whether it may know of a decision: its own, and with `admin` every one."""
        return asked_by == self.name or "admin" in self.scopes


Entries = tuple[KeyEntry, ...]


class KeyFile(BaseModel):
    """keys.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[KeyEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys in force."""

    entries: tuple[KeyEntry, ...] = ()

    def holder(self, authorization: str | None, now: float) -> KeyEntry:
        """Whose key the Authorization header carries; every entry is compared, in constant time. now: epoch seconds. Raises KeyRefused."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise KeyRefused("No API key was sent.", next_step=f"Send `Authorization: Bearer KEY`. {CREATE}")
        digest = _digest(key.strip())
        matching = None
        for entry in self.entries:
            if hmac.compare_digest(entry.sha256, digest):
                matching = entry
        if matching is None:
            raise KeyRefused("This API key is not known here.", next_step=CREATE)
        if matching.expires_at is not None and matching.expires_at <= now:
            expired = datetime.fromtimestamp(matching.expires_at, UTC)
            raise KeyRefused(f"This API key expired at {expired:%Y-%m-%d %H:%M} UTC.", next_step=CREATE)
        return matching


def read(path: Path) -> Keys:
    """The keys in `path`; none where there is no file. Raises KeysRefused."""
    try:
        return Keys(KeyFile.model_validate_json(path.read_bytes()).keys)
    except FileNotFoundError:
        return Keys()
    except (OSError, ValidationError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else f"{exc.error_count()} faults, first: {exc.errors()[0]['msg']}"
        raise KeysRefused(
            f"{path}: not a file of API keys ({reason}).", next_step="Restore it, or delete it and create keys anew."
        ) from exc


class KeyStore(Protocol):
    """Where keys are made and revoked."""

    def change(self, change: Callable[[Entries], Entries]) -> None:
        """What `change` makes of the keys is in force; nobody else changes them meanwhile. Raises KeysRefused."""


@dataclass(frozen=True, slots=True)
class KeyFileStore:
    """keys.json of a host that shares no database."""

    path: Path

    def change(self, change: Callable[[Entries], Entries]) -> None:
        """As `KeyStore` says; servers follow within their poll interval."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock")):
            write(self.path, change(read(self.path).entries))


def create(where: KeyStore | Path, name: str, scopes: Sequence[str], **limits: Any) -> str:
    """A new key called `name`, returned this once; its hash is added. limits: further fields of KeyEntry.

    Raises KeyNameTaken, KeysRefused. where: a store, or the path of a keys.json.
    """
    key = PREFIX + secrets.token_urlsafe(32)
    try:
        made = {"name": name, "sha256": _digest(key), "scopes": tuple(scopes), "created_at": time.time()}
        entry = KeyEntry.model_validate(made | {field: value for field, value in limits.items() if value is not None})
    except ValidationError as exc:
        field = ".".join(map(str, exc.errors()[0]["loc"]))
        raise KeysRefused(
            f"Key {name!r} with scopes {list(scopes)}: {field}: {exc.errors()[0]['msg']}.", next_step=f"Scopes: {SCOPES}."
        ) from exc

    def with_new(entries: Entries) -> Entries:
        if any(each.name == name for each in entries):
            raise KeyNameTaken(f"A key called {name!r} exists already.", next_step="Choose another name, or revoke that one.", param="name")
        return (*entries, entry)

    _store(where).change(with_new)
    return key


def revoke(where: KeyStore | Path, name: str) -> None:
    """Removes the key called `name`; servers follow within their poll interval. where: as for `create`.

    Raises KeyNameUnknown, KeysRefused.
    """

    def without(entries: Entries) -> Entries:
        left = tuple(entry for entry in entries if entry.name != name)
        if len(left) == len(entries):
            raise KeyNameUnknown(f"No key is called {name!r}.", next_step=f"Known: {', '.join(entry.name for entry in entries) or 'none'}.")
        return left

    _store(where).change(without)


def _store(where: KeyStore | Path) -> KeyStore:
    return KeyFileStore(where) if isinstance(where, Path) else where


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def write(path: Path, entries: Entries) -> None:
    """All keys that there are from now on, for their owner alone to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as partial,
        os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file,
    ):
        file.write(KeyFile(keys=entries).model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
