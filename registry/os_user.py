"""Whom this process works for, as records of what people did say it."""

import getpass


def name() -> str:
    """The name of the operating system's user; `unknown` where a container's has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
