"""The wheel, installed without the checkout: it serves from the core alone, and names the extra that anything else needs."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.install import built
from tests.serving import faulty_upstream
from tests.serving.world import ROOT, World

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Core:
    """An environment that holds the wheel and what its core requires, used away from the checkout."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, *command: str, home: Path) -> subprocess.CompletedProcess[str]:
        """One of its commands, in the project at `home`."""
        line = [str(self.folder / "bin" / command[0]), *command[1:]]
        environment = {**os.environ, "PYTHONPATH": "", "ROUTEMOA_HOME": str(home), "COLUMNS": "200"}
        return subprocess.run(line, cwd=home, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Core:
    """Built from the files that the Dockerfile copies, with the pinned versions."""
    folder = tmp_path_factory.mktemp("wheel")
    built.installed(built.wheel(folder), "", folder / "core")
    return Core(folder / "core")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A project with a scorer published, and an upstream."""
    with faulty_upstream.running() as base_url:
        made = World(tmp_path_factory.mktemp("home") / "project", base_url)
        made.publish("1")
        yield made


def test_the_core_serves(core: Core, world: World) -> None:
    """A description of every route and a routed answer come from an environment without torch, mlflow and the checkout."""
    with world.served(python=core.python) as server, server.client() as client:
        page = client.get("/docs")
        assert page.status_code == 200
        assert "/v1/messages" in page.text
        answered = client.post(
            "/v1/chat/completions", json={"model": "routemoa-single", "messages": [{"role": "user", "content": "what is the sum ?"}]}
        )
        assert answered.status_code == 200, answered.text
        assert client.get(f"/v1/decisions/{answered.headers['x-routemoa-decision']}").status_code == 200


def test_the_core_is_small(core: Core, world: World) -> None:
    """At most 60 packages, no torch, and the command that says so."""
    listed = subprocess.run((*built.UV, "pip", "freeze", "--python", core.python), capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    packages = {line.partition("=")[0].partition(" ")[0] for line in listed if line}
    assert len(packages) <= 60
    assert not packages & {"torch", "transformers", "mlflow", "pandas", "scipy", "evidently", "dvc"}
    said = core.run("routemoa", "installed", home=world.home)
    assert f"the core {len(packages)} " in " ".join(said.stdout.split())


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("routemoa", "verdict"), "monitor"),
        (("routemoa", "report"), "monitor"),
        (("routemoa", "import", "queries.csv"), "train"),
        (("routemoa", "harvest"), "train"),
        (("routemoa", "up"), "train,monitor,console"),
        (("routemoa", "demo"), "demo"),
        (("python", "-m", "registry.sync"), "sync"),
        (("python", "-m", "registry.worker"), "train"),
        (("python", "-m", "registry.server"), "train"),
        (("python", "-m", "monitoring.watch", "--once"), "monitor"),
        (("python", "-m", "local.llama", "smollm2-135m"), "demo"),
    ],
)
def test_what_the_core_lacks_is_named(core: Core, world: World, command: tuple[str, ...], extra: str) -> None:
    """Exit code 1, no traceback, and what to install."""
    ended = core.run(*command, home=world.home)
    assert ended.returncode == 1
    assert f"pip install 'routemoa[{extra}]'" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [("routemoa", "llms"), ("routemoa", "jobs"), ("routemoa", "keys", "list")])
def test_what_the_core_has_works(core: Core, world: World, command: tuple[str, ...]) -> None:
    """Pool, jobs and keys need no extra."""
    ended = core.run(*command, home=world.home)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_wheel_holds_its_data(core: Core, world: World) -> None:
    """Every YAML file and page that a module reads beside itself is there."""
    listing = core.run("python", "-c", "import serving, pathlib; print(pathlib.Path(serving.__file__).parents[1])", home=world.home)
    site = Path(listing.stdout.strip())
    assert site.is_relative_to(core.folder)
    kept = subprocess.run(
        ["git", "ls-files", "--", "local/*.yaml", "pipelines/*.yaml", "console/*.css"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "console/style.css" in kept
    assert [name for name in kept if not (site / name).is_file()] == []
