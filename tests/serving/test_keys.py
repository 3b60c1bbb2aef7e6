"""API keys are made and revoked in a file, or in a database that hosts share: the same rules."""

from pathlib import Path

import pytest

from serving.access import keys, shared_keys
from serving.errors import KeyNameTaken, KeyNameUnknown, KeyRefused, KeysRefused
from serving.settings import ServingSettings
from tests.servers.postgres import Postgres


def host(home: Path, url: str) -> ServingSettings:
    return ServingSettings(_env_file=None, home=home, database_url=url)


def test_one_name_is_given_once(either_url: str, tmp_path: Path) -> None:
    """A key works until it is revoked; names and scopes are checked."""
    settings = host(tmp_path, either_url)
    store = shared_keys.store(settings)
    key = keys.create(store, "ci", ("chat",), usd_per_day=1.5)
    holder = keys.read(settings.keys_file).holder(f"Bearer {key}", 0.0)
    assert (holder.scopes, holder.usd_per_day) == (("chat",), 1.5)
    with pytest.raises(KeyNameTaken, match="exists already"):
        keys.create(store, "ci", ("chat",))
    with pytest.raises(KeysRefused, match="scopes"):
        keys.create(store, "odd", ("root",))
    keys.create(store, "second", ("chat",))
    keys.revoke(store, "ci")
    assert [entry.name for entry in keys.read(settings.keys_file).entries] == ["second"]
    with pytest.raises(KeyRefused, match="not known"):
        keys.read(settings.keys_file).holder(f"Bearer {key}", 0.0)
    with pytest.raises(KeyNameUnknown, match="Known: second"):
        keys.revoke(store, "ci")


def test_another_host_follows_and_goes_on_alone(database_url: str, postgres: Postgres, tmp_path: Path) -> None:
    """What one host makes another one's file has after a refresh; while the database is away that file is in force."""
    here, there = host(tmp_path / "a", database_url), host(tmp_path / "b", database_url)
    key = keys.create(shared_keys.store(here), "ci", ("chat",))
    assert not there.keys_file.exists()
    shared_keys.refresh(there)
    assert keys.read(there.keys_file).holder(f"Bearer {key}", 0.0).name == "ci"
    assert there.keys_file.stat().st_mode & 0o777 == 0o600
    postgres.kill()
    try:
        with pytest.raises(KeysRefused, match=r"not followed: PostgreSQL 127\.0\.0\.1"):
            shared_keys.refresh(there)
        with pytest.raises(KeysRefused, match="cannot be changed"):
            keys.revoke(shared_keys.store(here), "ci")
    finally:
        postgres.start()
    assert keys.read(there.keys_file).holder(f"Bearer {key}", 0.0).name == "ci"
    keys.revoke(shared_keys.store(here), "ci")
    shared_keys.refresh(there)
    assert keys.read(there.keys_file).entries == ()
