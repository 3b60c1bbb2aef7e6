"""Whom a process works for."""

import getpass
import os
import pwd

import pytest

from registry import os_user


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as any uid; nothing that a person does there fails for want of its name."""
    assert os_user.name() == getpass.getuser()
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    taken = {each.pw_uid for each in pwd.getpwall()}
    nobody = next(uid for uid in range(2_000_000, 3_000_000) if uid not in taken)
    monkeypatch.setattr(os, "getuid", lambda: nobody)
    assert os_user.name() == "unknown"
