"""deploy/compose.yaml, read: what it names is there, what it sets is read by somebody, and no secret stands in it."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from registry import extras
from tests.deploy.manifests import COMPOSE, DEPLOY, OURS, ROOT, is_read, make_secrets


def test_every_part_of_the_platform_is_in_it() -> None:
    """Two servers behind a balancer, and whatever the guide lists as a process."""
    assert {"server", "sync", "worker", "monitor", "console", "mlflow", "bucket", "database"} == set(OURS)
    assert {"postgres", "s3", "redis", "balancer", "prometheus", "grafana"} == set(COMPOSE["services"]) - set(OURS)
    assert COMPOSE["services"]["server"]["deploy"]["replicas"] == 2


def test_what_is_set_is_read(tmp_path: Path) -> None:
    """A variable that nobody reads is a spelling mistake that nobody notices."""
    secrets = make_secrets(tmp_path / "secrets")
    named = {name for service in OURS.values() for name in service.get("environment", {})}
    named |= {name for service in OURS.values() for file in service.get("env_file", []) for name in secrets[file]}
    assert len(named) >= 12
    assert {name for name in named if not is_read(name)} == set()
    assert not is_read("ROUTEMOA_DATABASE")
    assert not is_read("MLFLOW_SERVER_ALLOWED_HOST")


def test_no_secret_stands_in_it() -> None:
    """Passwords and keys come from files that are in no commit."""
    for service in COMPOSE["services"].values():
        assert [name for name in service.get("environment", {}) if re.search(r"PASSWORD|SECRET|KEY|TOKEN|DATABASE", name)] == []
    ignored = subprocess.run(["git", "check-ignore", "deploy/secrets/routemoa.env"], cwd=ROOT, capture_output=True, check=False)
    assert ignored.returncode == 0


def test_secrets_are_made_once_and_agree(tmp_path: Path) -> None:
    """Each file is this user's alone, a second run changes nothing, and a file made anew has the password that the others have."""
    folder = tmp_path / "secrets"
    first = make_secrets(folder)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.env")} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "routemoa.env").unlink()
    (folder / "s3.env").unlink()
    assert make_secrets(folder) == first
    password = first["secrets/postgres.env"]["ROUTEMOA_PASSWORD"]
    assert f":{password}@" in first["secrets/routemoa.env"]["ROUTEMOA_DATABASE_URL"]
    assert set(first) >= {file for service in COMPOSE["services"].values() for file in service.get("env_file", [])}


def test_files_that_it_mounts_are_there() -> None:
    """A path that is not there would be made, as an empty folder, and mounted."""
    sources = [
        each.partition(":")[0] for service in COMPOSE["services"].values() for each in service.get("volumes", []) if each.startswith("./")
    ]
    assert len(sources) >= 5
    assert [source for source in sources if not (DEPLOY / source).exists()] == []


def test_images_are_built_of_extras_that_there_are() -> None:
    """And of targets that the Dockerfile has."""
    stages = re.findall(r"^FROM .* AS (\w+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    for service in OURS.values():
        assert set(service["build"]["args"]["EXTRAS"].strip("[]").split(",")) <= set(extras.names())
        assert service["build"]["target"] in stages


def test_what_is_waited_for_can_be_waited_for() -> None:
    """A service that others wait for in health has a check of its own; one whose end they wait for is not started again."""
    for service in COMPOSE["services"].values():
        for other, on in service.get("depends_on", {}).items():
            waited = COMPOSE["services"][other]
            if on["condition"] == "service_healthy":
                assert "test" in waited["healthcheck"], other
            if on["condition"] == "service_completed_successfully":
                assert waited["restart"] == "no", other


def test_our_parts_are_confined() -> None:
    """A root that is read-only, no capability, nobody's rights; and they outlive the drain."""
    for name, service in OURS.items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
    server = COMPOSE["services"]["server"]
    takes = int(server["environment"]["ROUTEMOA_LEAVE_S"]) + int(server["environment"]["ROUTEMOA_DRAIN_S"])
    assert int(server["stop_grace_period"].removesuffix("s")) > takes


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
def test_the_balancers_file_is_one() -> None:
    """Read by what will read it."""
    checked = subprocess.run(["haproxy", "-c", "-f", DEPLOY / "haproxy" / "compose.cfg"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus)")
def test_prometheus_reads_its_file() -> None:
    """With the rules that it names."""
    checked = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", "prometheus.yml"],
        cwd=DEPLOY / "prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
