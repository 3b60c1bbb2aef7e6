"""Where the platform's parts listen, as `.env` tells every command of the project; MLflow may be somebody else's server."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import dotenv
from rich.console import Console

from local.processes import free_ports
from registry.settings import Settings

# Written by demos of before: the server refuses the renamed ones (CHANGELOG.md), and a copied project would write into the old folder.
STALE = ("ROUTEMOA_HOME", *(f"ROUTEMOA_MIXTURE__{name}" for name in ("USD", "SECOND", "DEEPEN", "RANKING", "HEADROOM")))
PORTS = {"mlflow": 5001, "server": 8080, "evidently": 8001, "console": 8070}
MLFLOW_URL = "ROUTEMOA_MLFLOW_URL"
OWN_ADDRESS = Path("var") / "mlflow" / "address"  # of the server we started: another one in `.env` is somebody's


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the platform's parts listen."""

    mlflow: str
    server: str
    evidently: str
    console: str

    def as_environment(self) -> dict[str, str]:
        """The variables by which every command run in the project finds them."""
        return {
            "ROUTEMOA_MLFLOW_URL": self.mlflow,
            "ROUTEMOA_PORT": str(urlsplit(self.server).port),
            "ROUTEMOA_EVIDENTLY_URL": self.evidently,
            "ROUTEMOA_CONSOLE_URL": self.console,
            "ROUTEMOA_CONSOLE_PORT": str(urlsplit(self.console).port),
        }


def choose(registry: str | None) -> Addresses:
    """Ports that nothing listens on; MLflow at `registry` where that names one."""
    chosen = {name: free(f"http://127.0.0.1:{port}") for name, port in PORTS.items()}
    return Addresses(**(chosen | ({"mlflow": registry} if registry else {})))


def named_registry(home: Path) -> str | None:
    """The MLflow server that ROUTEMOA_MLFLOW_URL names, exported or in `.env`; None where there is none but what we wrote there."""
    written, exported = dotenv.dotenv_values(home / ".env").get(MLFLOW_URL), os.environ.get(MLFLOW_URL)
    own, ours = home / OWN_ADDRESS, None
    if own.exists():
        ours = own.read_text(encoding="utf-8").strip()
    elif (home / "var" / "mlflow" / "mlflow.db").exists() and urlsplit(written or "").hostname == "127.0.0.1":
        ours = written  # an earlier release wrote it, and no address beside its database
    named = exported or (written if written != ours else None)
    if exported and written not in {None, ours, exported}:
        Console().print(f"{MLFLOW_URL} is exported as {exported}; .env said {written}, and now says the same.", highlight=False)
    return named.rstrip("/") if named and named != ours else None


def settings(home: Path, addresses: Addresses, *, own_registry: bool) -> Settings:
    """The project's settings, once its `.env` says where the parts listen."""
    if own_registry:
        (home / OWN_ADDRESS).parent.mkdir(parents=True, exist_ok=True)
        (home / OWN_ADDRESS).write_text(addresses.mlflow, encoding="utf-8")
    variables = addresses.as_environment()
    write_env(home, variables)
    os.environ.update({name: value for name, value in variables.items() if name in os.environ})  # exported ones count before `.env`
    return Settings(_env_file=home / ".env", home=home, mlflow_url=addresses.mlflow)


@contextmanager
def exported_as(addresses: Addresses) -> Iterator[None]:
    """Says where an exported address is another than the one chosen, which holds meanwhile, here and in every process started from here."""
    before = {name: os.environ[name] for name in addresses.as_environment() if name in os.environ}
    for name, value in addresses.as_environment().items():
        if before.get(name, value).rstrip("/") != value:
            Console().print(f"{name} is exported as {before[name]}; this project uses {value}. Unset it in other shells.", highlight=False)
    try:
        yield
    finally:
        os.environ.update(before)


def free(address: str) -> str:
    """`address`, or the same with the next port that nothing listens on."""
    return f"http://127.0.0.1:{next(free_ports(urlsplit(address).port or PORTS['server']))}"


def write_env(home: Path, variables: Mapping[str, str]) -> None:
    """Writes `variables` into the project's `.env`; every other line stays but those of STALE names."""
    for name in dotenv.dotenv_values(home / ".env").keys() & set(STALE):
        dotenv.unset_key(home / ".env", name)
    for name, value in variables.items():
        dotenv.set_key(home / ".env", name, value, quote_mode="auto")
