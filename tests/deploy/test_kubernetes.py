"""deploy/kubernetes, read: what schemas do not say."""

import shutil
import subprocess

import pytest
import yaml

from tests.deploy.manifests import DEPLOY, containers, is_read, manifests, pods


def test_every_file_is_in_the_kustomization() -> None:
    """One that is not listed is never applied."""
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in (DEPLOY / "kubernetes").glob("*.yaml"))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_it() -> None:
    """Everything is in one namespace, and every image has its tag."""
    built = subprocess.run(["kubectl", "kustomize", DEPLOY / "kubernetes"], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    objects = list(yaml.safe_load_all(built.stdout))
    assert len(objects) == len(list(manifests()))
    assert {each["metadata"].get("namespace") for each in objects if each["kind"] != "Namespace"} == {"routemoa"}
    assert "image: routemoa-server:latest" in built.stdout


@pytest.mark.parametrize("name", containers())
def test_every_container_is_confined_and_bounded(name: str) -> None:
    """Nobody's rights, a root that is read-only, and as much memory as it is given."""
    container, pod = containers()[name], pods()[name.partition("/")[0]]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    volumes = {each["name"] for each in pod["volumes"]} | {"project"}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_what_is_set_is_read_and_no_secret_stands_there() -> None:
    """Variables are ones that the code reads; Secrets are named, never written."""
    settings = next(each for each in manifests() if each["metadata"]["name"] == "settings")
    written = dict(settings["data"])
    for container in containers().values():
        written |= {each["name"]: each.get("value", "") for each in container.get("env", [])}
    assert {name for name in written if not is_read(name)} == set()
    assert [
        name for name, value in written.items() if value and any(word in name for word in ("PASSWORD", "SECRET", "KEY", "DATABASE"))
    ] == []
    assert "Secret" not in {each["kind"] for each in manifests()}


def test_a_server_leaves_before_it_stops() -> None:
    """Nothing new is sent to it while it drains, and it is not killed before its drain is over; one stays up whatever is drained."""
    pod = pods()["server"]
    (server,) = pod["containers"]
    told = next(each for each in manifests() if each["metadata"]["name"] == "settings")["data"]
    waits, drain, readiness = int(told["ROUTEMOA_LEAVE_S"]), int(told["ROUTEMOA_DRAIN_S"]), server["readinessProbe"]
    assert waits > readiness["periodSeconds"] * readiness["failureThreshold"]
    assert pod["terminationGracePeriodSeconds"] > waits + drain
    assert {probe: server[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    (budget,) = (each for each in manifests() if each["kind"] == "PodDisruptionBudget")
    (deployment,) = (each for each in manifests() if each["kind"] == "Deployment" and each["metadata"]["name"] == "server")
    assert budget["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]


def test_services_find_their_pods() -> None:
    """By a label that a pod has, and a port that it names."""
    makers = [each for each in manifests() if each["kind"] in {"Deployment", "StatefulSet"}]
    labels = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"] for each in makers}
    for service in (each for each in manifests() if each["kind"] == "Service"):
        (name,) = (name for name, own in labels.items() if own.items() >= service["spec"]["selector"].items())
        ports = {port["name"] for container in pods()[name]["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"].get("ports", [])} <= ports


def test_what_starts_processes_runs_behind_one_that_reaps_them() -> None:
    """A `command` would take the place of the image's entrypoint: a killed retraining would stay as a zombie, and its lock with it."""
    assert 'ENTRYPOINT ["tini", "--"]\nCMD ["python", "-m", "registry.worker"]' in (DEPLOY / "Dockerfile").read_text()
    initial = {each["name"] for pod in pods().values() for each in pod.get("initContainers", [])}
    of_loop = [each for each in containers().values() if each["image"] == "routemoa-loop" and each["name"] not in initial]
    assert len(of_loop) == 3
    assert not any("command" in each for each in of_loop)
    assert all(each["args"][:2] == ["python", "-m"] for each in of_loop)
