"""`routemoa` as a test calls it: what it prints, or the error it ends with."""

from typing import TypeVar

from typer.testing import CliRunner

from cli.main import commands

Error = TypeVar("Error", bound=Exception)
WIDE = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}


def output(*arguments: str, width: int = 200, keys: str | None = None) -> str:
    """What `routemoa ARGUMENTS` prints on a terminal of `width` characters where `keys` are pressed; it must end well."""
    result = CliRunner().invoke(commands, list(arguments), input=keys, env={**WIDE, "COLUMNS": str(width)}, prog_name="routemoa")
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result.output


def refusal(kind: type[Error], *arguments: str) -> Error:
    """The error that `routemoa ARGUMENTS` ends with."""
    result = CliRunner().invoke(commands, list(arguments), env=WIDE, prog_name="routemoa")
    assert isinstance(result.exception, kind), f"{result.output}{result.exception!r}"
    return result.exception


def usage_error(*arguments: str) -> str:
    """What `routemoa ARGUMENTS` prints where it cannot be called so."""
    result = CliRunner().invoke(commands, list(arguments), env=WIDE, prog_name="routemoa")
    assert result.exit_code == 2, result.output
    return result.output
