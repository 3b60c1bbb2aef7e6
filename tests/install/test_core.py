"""What the core installs suffices for what the core runs, and an extra that lacks is named."""

import ast
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from local import installed
from registry import extras
from registry.errors import ExtraMissing

ROOT = Path(__file__).parents[2]
OURS = ("cli", "console", "local", "mixture", "monitoring", "pipelines", "registry", "scorer", "serving")
ROOTS = (
    "serving.__main__",
    "serving.app",
    "cli.main",
    "registry.sync",
    "registry.worker",
    "monitoring.watch",
    "console.__main__",
)


def file_of(module: str) -> Path | None:
    """Its source, where it is one of ours."""
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imports_at_start(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported as soon as this one is: what stands in functions or below TYPE_CHECKING is not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports_at_start(node)


def reached(roots: tuple[str, ...]) -> dict[str, str]:
    """Other people's import packages that importing `roots` imports from our code, and the file of ours that does."""
    foreign: dict[str, str] = {}
    waiting, seen = list(roots), set[str]()
    while waiting:
        module = waiting.pop()
        if module in seen or (file := file_of(module)) is None:
            continue
        seen.add(module)
        waiting.append(module.rpartition(".")[0])
        for name in imports_at_start(ast.parse(file.read_text())):
            if name.partition(".")[0] in OURS:
                waiting.append(name)
            else:
                foreign[name.partition(".")[0]] = str(file.relative_to(ROOT))
    return foreign


def test_the_core_imports_what_it_declares() -> None:
    """Server, keys, command line and the services start with the core's own dependencies alone; none comes by way of another package."""
    declared = {canonicalize_name(required.name) for required in extras.brought("")}
    owners = metadata.packages_distributions()
    foreign = {name: file for name, file in reached(ROOTS).items() if name in owners}
    assert {"fastapi", "numpy", "typer"} <= set(foreign)
    undeclared = {name: file for name, file in foreign.items() if not declared & set(map(canonicalize_name, owners[name]))}
    assert undeclared == {}


def test_an_import_of_an_extra_would_be_seen() -> None:
    """The walk goes through our own modules: training starts with pandas and torch."""
    assert {"pandas", "torch"} <= set(reached(("pipelines.train", "scorer.training")))


def test_no_package_of_the_core_is_under_the_gpl() -> None:
    """Whoever passes a server on owes nobody its source: MPL for two files is all the copyleft there is."""
    core = installed.weight("")
    assert core is not None
    assert len(core.packages) <= 60
    assert {name: text for name, text in installed.copyleft(core.packages).items() if "MPL" not in text} == {}


def test_our_import_packages_are_nobody_elses() -> None:
    """No package of the whole product, with every extra, brings a folder of our names."""
    assert installed.clashes() == {}


def test_copyleft_is_recognised() -> None:
    """DVC's libraries are under it, and are in no server."""
    assert set(installed.copyleft(["grandalf", "pygit2", "numpy"])) == {"grandalf", "pygit2"}


def test_an_extra_holds_those_it_names() -> None:
    """`train` brings what `sync` brings, `demo` what both do."""
    names = {extra: {required.name for required in extras.brought(extra)} for extra in extras.names()}
    assert "mlflow-skinny" in names["sync"] & names["train"] & names["demo"]
    assert "torch" not in names["sync"] | names["monitor"] | names["s3"]
    assert "fastapi" not in names["train"]


def test_an_extra_that_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what is not there and what to type."""
    version = metadata.version

    def without_scipy(name: str) -> str:
        if name == "scipy":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    extras.need("train", "monitor")
    monkeypatch.setattr(metadata, "version", without_scipy)
    extras.need("sync")
    with pytest.raises(ExtraMissing, match=r"^Not installed: scipy\. pip install 'routemoa\[train,monitor\]'$"):
        extras.need("train", "monitor")


def test_the_image_is_made_from_the_packages_of_the_wheel() -> None:
    """The Dockerfile copies each of them, the build context holds each of them, and nothing runs as root."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) == set(OURS)
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    context = (ROOT / ".dockerignore").read_text().splitlines()
    for name in packages:
        assert f"COPY {name} {name}" in lines
        assert f"!{name}" in context
    images = [part.splitlines() for part in "\n".join(lines).split("\nFROM ")[2:]]
    assert {
        image[0].partition(" AS ")[2]: [line for line in image if line.startswith("USER ")] for image in images if "CMD" in str(image)
    } == {
        "loop": ["USER 10001"],
        "server": ["USER 10001"],
    }
