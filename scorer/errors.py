"""The root of every error this platform raises on purpose; each package's `errors.py` grows one branch of it."""

from collections.abc import Callable, Mapping
from typing import Any


class RouteMoAError(Exception):
    """Something the user can act on: says what is wrong, with the offending value, and what to do next."""

    def __init__(self, what: str, *, next_step: str = "") -> None:
        super().__init__(f"{what} {next_step}".strip())
        self.what = what
        self.next_step = next_step

    def __reduce__(self) -> tuple[Callable[..., "RouteMoAError"], tuple[Any, ...]]:
        """How an error leaves the process that works for another: as it is, whatever its class takes to be made."""
        return _as_it_was, (type(self), self.args, dict(vars(self)))


def _as_it_was(kind: type[RouteMoAError], args: tuple[Any, ...], state: Mapping[str, Any]) -> RouteMoAError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


class ScorerError(RouteMoAError):
    """Anything wrong with a scorer: its data, its artifact or its input."""


class ArtifactRefused(ScorerError):
    """A scorer artifact whose files are missing, malformed, unsafe or not the ones its manifest names."""


class NothingPublished(ArtifactRefused):
    """No scorer version has come to this host yet."""


class TrainingError(ScorerError):
    """Training cannot start (too few labels) or cannot go on (a loss that is not a number)."""


class EncoderUnknown(ScorerError):
    """An encoder that cannot be loaded: no such name or folder, or files transformers does not read."""


class ExportFailed(ScorerError):
    """A trained encoder that does not survive the way to ONNX."""
