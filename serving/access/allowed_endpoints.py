"""What an admin key may register: LLMs at hosts, and with key variables, that somebody with access to this machine has named."""

from collections.abc import Collection
from urllib.parse import urlsplit

from registry.errors import JoiningRefused
from registry.pool import Pool

PORTS = {"http": 80, "https": 443}


def check(base_url: str, variable: str | None, *, pool: Pool, hosts: Collection[str], variables: Collection[str]) -> None:
    """Raises JoiningRefused for an address or a key variable that nobody named.

    Allowed are those in `pool`, each of its variables only at the address where the pool uses it, and beside them `variables` and `hosts`
    (`api.example.com`, `127.0.0.1:8101`, `*.example.com`; with a port only that one).
    """
    address = _address(base_url)
    endpoints = [llm.endpoint for llm in pool.llms if llm.endpoint is not None]
    if address not in {_address(each.base_url) for each in endpoints} and not any(_fits(address, host) for host in hosts):
        host, port = address
        raise JoiningRefused(
            f"No LLM may be registered at {host}:{port}: no LLM of the pool is there, and ROUTEMOA_ADMIN_HOSTS does not name it.",
            next_step="Name the host there and restart the server, or register the LLM on the server's machine: routemoa add-llm.",
        )
    here = {each.api_key_env for each in endpoints if _address(each.base_url) == address}
    if variable is not None and variable not in here and variable not in variables:
        raise JoiningRefused(
            f"{variable} may not be sent there: no LLM of the pool there uses it, and ROUTEMOA_ADMIN_KEY_VARIABLES does not name it.",
            next_step="Name the variable there and restart the server, or register the LLM on the server's machine: routemoa add-llm.",
        )


def _address(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    return (parts.hostname or "").rstrip("."), parts.port or PORTS.get(parts.scheme, 0)


def _fits(address: tuple[str, int], allowed: str) -> bool:
    host, port = address
    parts = urlsplit(f"//{allowed}")
    name = (parts.hostname or "").rstrip(".")
    same = host.endswith(name[1:]) if name.startswith("*.") else host == name
    return same and parts.port in {None, port}
