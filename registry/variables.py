"""Which ROUTEMOA_* variables there are, so that a misspelt one stops what starts instead of leaving it, say, without a budget."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pkgutil import resolve_name

import structlog
from pydantic import BaseModel
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

from registry.errors import VariableRefused
from registry.settings import Settings

PREFIX = "routemoa_"
# named, not imported: they lie above, and a process looks only as far as it must
CLASSES = ("registry.settings:Settings", "serving.settings:ServingSettings", "console.settings:ConsoleSettings")
# read by stages of a job, by callers as the console shows them, by deploy/'s PostgreSQL, by deploy/haproxy
ELSEWHERE = frozenset({"parent_run", "reason", "key", "password", "bind", "server_1", "server_2"})
ALIKE = 0.85  # of difflib's ratio: finds 98 % of slips of one character, and takes one in eight of our own names for another
SERVICE = "_service_host"  # ends what Kubernetes sets for a service, beside further names that begin alike

log = structlog.get_logger("variables")


def check() -> None:
    """Looks at the environment and at `.env`: a name near a known one is refused, any other that is unknown is a warning.

    A slip may be a budget that is not kept, so it stops the start; a name that resembles none is rather of another release or program that
    shares the file, and must not. Raises VariableRefused.
    """
    unknown = unknown_of({*EnvSettingsSource(Settings).env_vars, *DotEnvSettingsSource(Settings).env_vars})
    every = known() if unknown else []
    near = {name: alike[0] for name in unknown if (alike := get_close_matches(name, every, n=1, cutoff=ALIKE))}
    for name in unknown:
        if name not in near:
            log.warning("variable_unknown", variable=_written(name), effect="none")
    if near:
        slips = (f"{_written(name)} is no variable of this release, did you mean {_written(meant)}?" for name, meant in near.items())
        raise VariableRefused(" ".join(slips), next_step="Correct it in the environment or in .env, or take it out.")


def unknown_of(names: Iterable[str]) -> list[str]:
    """Those of `names` that begin with ROUTEMOA_ and that nothing reads, in lower case, without the prefix."""
    ours = {name.lower().removeprefix(PREFIX) for name in names if name.lower().startswith(PREFIX)}
    services = tuple(f"{name.removesuffix(SERVICE)}_" for name in ours if name.endswith(SERVICE))
    left = {name for name in ours - ELSEWHERE if not name.startswith(services)}
    for place in CLASSES:
        if left:
            left -= set(_fields(resolve_name(place)))
    return sorted(left)


def known() -> list[str]:
    """Every name that a settings class reads, in lower case, without the prefix: what a slip may have cost something."""
    return sorted({name for place in CLASSES for name in _fields(resolve_name(place))})


def _fields(settings: type[BaseModel], before: str = "") -> Iterator[str]:
    for name, field in settings.model_fields.items():
        yield before + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{before}{name}__")


def _written(name: str) -> str:
    return (PREFIX + name).upper()
