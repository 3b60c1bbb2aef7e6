"""`make check` reads deploy/ with kept tools: a mistake in it fails the check."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.manifests import DEPLOY, ROOT


def lint(tool: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The line of `make check` that runs `tool`, in a copy of the checkout's deploy/."""
    printed = subprocess.run(["make", "-n", "-o", "install", "check"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = (line for line in printed.splitlines() if line.startswith(f".venv/bin/{tool} "))
    command = [str(Path(sys.executable).parent / tool), *shlex.split(line)[1:]]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ))


@pytest.mark.parametrize(
    ("tool", "file", "right", "wrong"),
    [
        ("hadolint", "Dockerfile", "python:3.11-slim-bookworm AS base", "python AS base"),
        ("yamllint", "prometheus/alerts.yaml", "groups:", "groups:\n  \tx:"),
        ("yamllint", "kubernetes/server.yaml", "replicas: 2", "replicas: 2\n  replicas: 3"),
        ("check-jsonschema", "compose.yaml", "stop_grace_period:", "stop_grace_periods:"),
        ("check-jsonschema", "compose.yaml", "condition: service_healthy", "condition: service_is_healthy"),
        ("kubernetes-validate", "kubernetes/server.yaml", "readinessProbe:", "readynessProbe:"),
        ("kubernetes-validate", "kubernetes/server.yaml", "minAvailable: 1", "minAvailable: [1]"),
        ("kubernetes-validate", "kubernetes/worker.yaml", "serviceName: worker", "replica: 1"),
    ],
)
def test_a_mistake_fails_the_check(tmp_path: Path, tool: str, file: str, right: str, wrong: str) -> None:
    """What stands there passes; the same with one mistake does not."""
    copy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets"))
    passed = lint(tool, tmp_path)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong, 1))
    assert lint(tool, tmp_path).returncode != 0
