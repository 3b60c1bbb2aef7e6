"""Which scope opens which address; what stands in no line here is closed."""

from collections.abc import Iterable

from serving.access.keys import KeyEntry, Keys, Scope
from serving.errors import ScopeMissing, ServingError

NOBODY = Keys()  # the keys in force before any are read
PUBLIC = frozenset({"/", "/livez", "/readyz", "/docs", "/openapi.json"})  # the last two say what the source says
# The first prefix that fits decides.
SCOPES: tuple[tuple[str, Scope], ...] = (
    ("/v1/feedback", "feedback"),
    ("/v1/audits", "audit"),
    ("/v1/", "chat"),
    ("/admin/", "admin"),
    ("/metrics", "metrics"),
)


def scope_of(path: str) -> Scope | None:
    """The scope that opens `path`; None where no line names it."""
    return next((scope for prefix, scope in SCOPES if path.startswith(prefix)), None)


def check(holder: KeyEntry, path: str) -> None:
    """Raises ScopeMissing where the key's scopes do not open `path`; an address that nobody named is left to end as not found."""
    needed = scope_of(path)
    if needed is not None and needed not in holder.scopes:
        raise ScopeMissing(
            f"The key {holder.name!r} has the scopes {', '.join(holder.scopes)}; {path} needs {needed!r}.",
            next_step=f"Create one with `routemoa keys create NAME --scope {needed}`.",
        )


def check_routes(paths: Iterable[str]) -> None:
    """Raises ServingError for a route that neither is public nor needs a scope: it would be open to every key."""
    for path in paths:
        if path not in PUBLIC and scope_of(path) is None:
            raise ServingError(f"The route {path} has no scope.", next_step="Name it in serving/access/scopes.py.")
