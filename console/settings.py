"""Where the console listens and what it talks to: `ROUTEMOA_CONSOLE_*` variables beside the host's own, parsed once."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from registry.settings import Settings as HostSettings


def _words(value: object) -> object:
    return frozenset(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value


class ConsoleSettings(HostSettings):
    """console_hosts: further names by which browsers may reach it, with commas between; any other name is refused (DNS rebinding).

    console_https: it stands behind TLS, so cookies travel by HTTPS only.
    """

    console_host: str = "127.0.0.1"
    console_port: int = Field(default=8070, ge=1, le=65535)
    console_hosts: Annotated[frozenset[str], NoDecode, BeforeValidator(_words)] = frozenset()
    console_https: bool = False
    port: int = Field(default=8080, ge=1, le=65535, description="of the server on this host, where no other is named")
    server_url: str = ""
    evidently_url: str = "http://127.0.0.1:8001"

    @property
    def api_url(self) -> str:
        """The server whose API it shows."""
        return (self.server_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def names(self) -> frozenset[str]:
        """Every host name that a browser may call it by."""
        return frozenset({"localhost", "127.0.0.1", "[::1]", self.console_host}) | self.console_hosts
