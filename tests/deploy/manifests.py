"""What deploy/ says, as the tests of it read it."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow.environment_variables
import yaml
from mlflow.environment_variables import _EnvironmentVariable

from registry import variables

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
# read by boto3, and by DVC through it; by git and DVC; by Kubernetes' own manifests
OTHERS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "PROJECT_GIT"}


def manifests() -> Iterator[dict[str, Any]]:
    """Every object of deploy/kubernetes."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())


def pods() -> dict[str, dict[str, Any]]:
    """The pods that they make, by the name of what makes them."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in manifests() if each["kind"] in {"Deployment", "StatefulSet"}
    }


def containers() -> dict[str, dict[str, Any]]:
    """Of every pod, by pod and name."""
    return {
        f"{pod}/{each['name']}": each for pod, spec in pods().items() for each in [*spec.get("initContainers", []), *spec["containers"]]
    }


def is_read(variable: str) -> bool:
    """Whether the platform, or what it starts, reads an environment variable of that name."""
    if variable in OTHERS:
        return True
    if variable.startswith("ROUTEMOA_"):
        return not variables.unknown_of([variable])
    known = vars(mlflow.environment_variables).values()
    return variable in {each.name for each in known if isinstance(each, _EnvironmentVariable)}


def make_secrets(folder: Path) -> Mapping[str, dict[str, str]]:
    """What deploy/secrets.sh makes in `folder`: file -> variables."""
    subprocess.run([DEPLOY / "secrets.sh", folder], check=True, capture_output=True)
    made: dict[str, dict[str, str]] = {}
    for path in folder.glob("*.env"):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        made[f"secrets/{path.name}"] = dict(line.partition("=")[::2] for line in lines)
    return made
