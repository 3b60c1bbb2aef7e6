"""Every command line in README, guide and CONTRIBUTING is one that exists, with options that exist."""

import argparse
import importlib.util
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import typer.main
from pages import GUIDE, ROOT, blocks, commands

from cli.main import commands as routemoa
from serving.app import create_app
from serving.settings import ServingSettings

LINES = sorted({command for page in GUIDE for command in commands(page)})
URL = re.compile(r"http://127\.0\.0\.1:8080(/[^\s\"'\\]*)")


class Parsed(Exception):
    """Raised in place of what a command would do."""


@pytest.mark.parametrize("line", LINES)
def test_a_command_parses(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Command, subcommand and options are known; nothing is run. An ending `...` stands for what else is needed."""
    words = shlex.split(line)
    program, rest = words[0], [word for word in words[1:] if word != "..."]
    if program == "make":
        check_make(rest)
    elif program == "dvc":
        check_dvc(rest)
    elif program == "python":
        check_module(rest[1], rest[2:], monkeypatch, whole="..." not in words)
    elif rest and rest != ["--help"]:
        check_routemoa(rest[0], rest[1:], monkeypatch, whole="..." not in words)


def check_make(targets: list[str]) -> None:
    there = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert all(target in there for target in targets if "=" not in target)


def check_dvc(words: list[str]) -> None:
    from dvc.cli.parser import get_main_parser

    get_main_parser().parse_args(words)


def check_routemoa(command: str, words: list[str], monkeypatch: pytest.MonkeyPatch, *, whole: bool) -> None:
    group = typer.main.get_command(routemoa)
    assert command in group.commands
    if command == "import":
        check_module("pipelines.imports.import_command", words, monkeypatch, whole=whole)
        return
    try:
        group.commands[command].make_context(command, words)
    except Exception as exc:
        if whole or type(exc).__name__ != "MissingParameter":
            raise


def check_module(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch, *, whole: bool) -> None:
    """Parses with the module's own parser, where it has one; else no option may be given that it does not spell."""
    if module in {"pytest", "venv", "pip"}:
        return
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{module}.__main__")
    assert spec is not None, f"there is no module {module}"
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    assert "__main__" in source, f"{module} is no command"
    if "parse_args" not in source:
        assert all(word in source for word in words if word.startswith("--"))
        return
    real = argparse.ArgumentParser.parse_args

    def parse(self: argparse.ArgumentParser, args: list[str] | None = None, namespace: argparse.Namespace | None = None) -> None:
        for action in self._actions:
            action.required = action.required and whole
        real(self, words if args is None else args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", [spec.origin, *words])
    with pytest.raises(Parsed):
        runpy.run_module(module, run_name="__main__")


def test_addresses_exist(tmp_path: Path) -> None:
    """Every address of our server that a page asks with curl is one of its routes."""
    asked = {path.partition("?")[0] for page in GUIDE for block in blocks(page, "sh") for path in URL.findall(block.code)}
    app = create_app(ServingSettings(_env_file=None, home=tmp_path))
    known = [re.compile(re.sub(r"\{\w+\}", "[^/]+", path)) for path in app.openapi()["paths"]]
    assert not [path for path in asked if not any(route.fullmatch(path) for route in known)]


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "results").glob("*.md")), ids=lambda page: page.name)
def test_results_can_be_run(page: Path) -> None:
    """A harness that a results page names is in the tree, or the page names the commit that runs it."""
    text = page.read_text(encoding="utf-8")
    gone = {module for module in re.findall(r"benchmarks\.([a-z_]+)", text) if not (ROOT / "benchmarks" / f"{module}.py").is_file()}
    assert not gone - {"yaml"} or "git worktree add ../research abda5bb" in text
