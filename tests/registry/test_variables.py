"""ROUTEMOA_* variables that nothing reads."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry import variables
from registry.errors import VariableRefused

ROOT = Path(__file__).parents[2]
PROCESSES = ("serving", "monitoring.watch", "registry.worker", "registry.server")
READ = re.compile(r"ROUTEMOA_\w+")


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of whoever runs this, no `.env`."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("ROUTEMOA_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("process", PROCESSES)
def test_a_misspelt_budget_stops_every_process(process: str, tmp_path: Path) -> None:
    """Before it does anything, in a line that has both names."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROUTEMOA_USD_PER_DYA": "5"}
    done = subprocess.run(
        [sys.executable, "-m", process], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    says = " ".join(done.stderr.split())
    assert done.returncode == 1, says
    assert "ROUTEMOA_USD_PER_DYA is no variable of this release, did you mean ROUTEMOA_USD_PER_DAY? Correct it in the environment" in says
    assert "Traceback" not in says


@pytest.mark.parametrize("line", ["ROUTEMOA_STORE_TXT=true", "routemoa_mixture_k=2", "ROUTEMOA_EXPLORE__SHAER=0.1"])
def test_what_stands_in_env_is_held_to_the_same(line: str, tmp_path: Path) -> None:
    """Fields of parts too, and in any case, as Pydantic reads them."""
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY=x\n{line}\n")
    with pytest.raises(VariableRefused, match=line.partition("=")[0].upper()):
        variables.check()


def test_a_name_that_resembles_none_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be of another release, or of another program that shares the file."""
    monkeypatch.setenv("ROUTEMOA_BENCHMARK_LLM_KEY", "secret")
    monkeypatch.setenv("ROUTEMOA_CONSOLE_PORT", "8070")
    monkeypatch.setenv("ROUTEMOA_MIXTURE__K", "2")
    with capture_logs() as logs:
        variables.check()
    assert [(each["event"], each["variable"]) for each in logs] == [("variable_unknown", "ROUTEMOA_BENCHMARK_LLM_KEY")]
    assert "secret" not in str(logs)


def test_what_resembles_no_setting_only_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third server of haproxy's, a second key of somebody's client: what no settings class reads costs no budget."""
    for name in ("ROUTEMOA_SERVER_3", "ROUTEMOA_KEY2", "ROUTEMOA_KEYS"):
        monkeypatch.setenv(name, "x")
    variables.check()


def test_kubernetes_variables_of_a_service_are_not_ours() -> None:
    """It sets them in every pod: ROUTEMOA_MLFLOW_PORT is near ROUTEMOA_MLFLOW_HOST."""
    of_service = [f"ROUTEMOA_MLFLOW_{name}" for name in ("SERVICE_HOST", "SERVICE_PORT", "PORT", "PORT_5001_TCP_ADDR")]
    assert variables.unknown_of(of_service) == []
    assert variables.unknown_of(of_service[1:]) == ["mlflow_port", "mlflow_port_5001_tcp_addr", "mlflow_service_port"]


def test_every_variable_that_deploy_sets_and_pages_name_is_known() -> None:
    """The table is derived of the settings' classes; what is read elsewhere is in it too."""
    files = [
        *(path for path in (ROOT / "deploy").rglob("*") if path.is_file()),
        *(ROOT / "docs" / "guide").glob("*.md"),
        *(path for room in ("cli", "local", "console", "serving", "registry", "pipelines") for path in (ROOT / room).rglob("*.py")),
    ]
    named = {name for path in files for name in READ.findall(path.read_text(encoding="utf-8", errors="replace"))}
    assert variables.unknown_of(name for name in named if not name.endswith("_")) == [], "one that ends so begins several"
