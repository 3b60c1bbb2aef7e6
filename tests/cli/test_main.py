"""The command itself: its help, its errors, what it loads."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand as Command
from typer.core import TyperGroup as Group

from cli import main
from tests.cli.command_line import output, usage_error

ALL = typer.main.get_command(main.commands)
COMMANDS = ("demo", "up", "llms", "add-llm", "set-llm", "list", "show", "promote", "rollback")
COMMANDS += ("verdict", "report", "audits", "grade", "quality", "import", "harvest", "jobs", "cancel", "retrain", "installed", "results")
COMMANDS += ("what-if", "evaluate-policy", "shadow", "canary", "init", "backup", "restore", "savings", "example")


def test_help_lists_every_command() -> None:
    """A stranger sees all that can be done, each with a sentence."""
    text = output("--help")
    assert {command.name or command.callback.__name__ for command in main.commands.registered_commands} == set(COMMANDS)
    for name in COMMANDS:
        (line,) = [line for line in text.splitlines() if line.strip("│ ").startswith(f"{name} ")]
        assert len(line.strip("│ ").split()) > 4, line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_anywhere(nowhere: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` needs no project and makes nothing."""
    if name == "import":  # argparse's, which exits by itself
        with pytest.raises(SystemExit, match="0"):
            sys.modules["cli.data"].import_(type("Context", (), {"args": ["--help"]}))
        text = capsys.readouterr().out
    else:
        text = output(name, "--help")
    assert f"routemoa {name}" in text
    assert not list(nowhere.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("lst",), "No such command 'lst'"),
        (("show", "1", "2"), "unexpected extra argument"),
        (("promote",), "Missing argument 'VERSION'"),
        (("retrain", "--ful"), "No such option"),
    ],
)
def test_a_typing_error_is_named_without_a_traceback(arguments: tuple[str, ...], says: str) -> None:
    """Exit code 2 and what was wrong."""
    assert says.lower() in " ".join(usage_error(*arguments).split()).lower()


def test_an_error_is_two_lines_and_exit_code_1(nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong and what to do next, on standard error; square brackets in it are printed, not read as markup."""
    strange = nowhere / "[red]folder"
    strange.mkdir()
    monkeypatch.setenv("ROUTEMOA_HOME", str(strange))
    monkeypatch.setattr(sys, "argv", ["routemoa", "llms"])
    with pytest.raises(SystemExit) as ended:
        main.app()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (1, "")
    error, next_step = printed.err.splitlines()
    assert error.startswith(f"error {strange} is no RouteMoA project")
    assert next_step.startswith("next  Run this in ")


def test_help_loads_no_heavy_library() -> None:
    """Whoever looks up an option does not wait for MLflow, pandas or scipy."""
    heavy = ("mlflow", "pandas", "scipy", "numpy", "pyarrow", "evidently", "torch", "onnxruntime", "fastapi")
    program = f"import sys, cli.main; print([name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert loaded.stdout.strip() == "[]"


def test_versions_are_looked_up_and_promoted_without_mlflows_package() -> None:
    """`list`, `promote` and `rollback` speak to MLflow without its package, and need nothing of training, serving or the gate."""
    heavy = ("mlflow", "requests", "scipy", "pandas", "numpy", "pyarrow", "evidently", "torch", "onnxruntime", "registry.gate_rules")
    program = f"import sys, cli.main, registry.versions, registry.promotion; print([name for name in {heavy!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert loaded.stdout.strip() == "[]"


def every_command(group: Group, *above: str) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Each command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, Group):
            yield from every_command(command, *above, name)
        if not isinstance(command, Group) or command.invoke_without_command:
            yield (*above, name), command


@pytest.mark.parametrize(("words", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in every_command(ALL)])
def test_help_has_an_example_that_can_be_typed(words: tuple[str, ...], command: Command) -> None:
    """It begins with the command's own words, and its options and arguments exist."""
    examples = re.findall(r"`routemoa ([^`]+)`", " ".join((command.help or "").partition("Example")[2].split()))
    assert examples
    for example in examples:
        typed = shlex.split(example)
        assert tuple(typed[: len(words)]) == words
        command.make_context(" ".join(words), typed[len(words) :])
