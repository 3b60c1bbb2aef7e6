"""What can go wrong with the LLM pool, scorer versions and the MLflow server behind them."""

from collections.abc import Sequence

from scorer.errors import RouteMoAError


class RegistryError(RouteMoAError):
    """Anything wrong with who exists: LLMs, scorer versions, aliases."""


class PoolRefused(RegistryError):
    """A pool file or entry that is not what its schema says; names file, entry, field and value."""


class LLMUnknown(RegistryError):
    """An id that the pool does not hold; names the near ones."""


class VariableRefused(RegistryError):
    """Environment variables that nothing reads, each near one that is read; names both."""


class RegistryUnreachable(RegistryError):
    """MLflow does not answer; names its URL."""


class RegistryFailed(RegistryError):
    """MLflow answered, and refused or could not do what was asked. code: MLflow's word for it, such as RESOURCE_DOES_NOT_EXIST."""

    def __init__(self, what: str, *, next_step: str = "", code: str = "") -> None:
        super().__init__(what, next_step=next_step)
        self.code = code


class VersionUnknown(RegistryError):
    """A scorer version or alias that MLflow does not hold."""


class PromotionRefused(RegistryError):
    """A scorer version that may not become champion: its gate failed, was never run, or its files were refused."""


class ShadowRefused(RegistryError):
    """A scorer version that may not score beside the champion: it is the champion, or its files were refused."""


class CanaryRefused(RegistryError):
    """A scorer version that may not answer a share of the traffic, or a plan for it that is none."""


class LineageMissing(RegistryError):
    """Something a registered scorer must be traced to (data hash, git commit) cannot be read."""


class PriceUnknown(RegistryError):
    """A provider or model whose price nobody has published; names the near ones."""


class PriceListRefused(RegistryError):
    """A list of prices that cannot be read, or is none."""


class JoiningRefused(RegistryError):
    """An LLM that may not join: its key is missing, it is there already under another id, or it does not answer."""


class ProbeFailed(JoiningRefused):
    """An LLM that may not join because of what its endpoint said to the probe; `error` is the class of that, `status` its HTTP status."""

    def __init__(self, what: str, *, next_step: str = "", error: str, status: int | None) -> None:
        super().__init__(what, next_step=next_step)
        self.error = error
        self.status = status


class DatabaseFailed(RegistryError):
    """A database, a file or a server, that does not do what it is asked; what was begun left nothing."""


class StorageFailed(RegistryError):
    """S3 does not answer, or refused; names the bucket."""


class BackupFailed(RegistryError):
    """A backup that could not be taken, is damaged, or has no place to go to."""


class JobRefused(RegistryError):
    """A job that cannot be taken: an unknown kind, a file that cannot hold it, a second worker."""


class JobUnknown(RegistryError):
    """An id that no job has; names the near ones."""


class JobEnded(RegistryError):
    """A job that cannot be cancelled any more: it ended, or it is about to."""


class JobFailed(RegistryError):
    """A job's process ended badly; says its last words."""


class ChildFailed(RegistryError):
    """A child process that ended badly, could not be started, or took too long.

    code: its exit code, None where it did not end by itself. lines: the last ones it wrote.
    """

    def __init__(self, what: str, *, next_step: str = "", code: int | None = None, lines: Sequence[str] = ()) -> None:
        super().__init__(what, next_step=next_step)
        self.code = code
        self.lines = tuple(lines)


class ExtraMissing(RegistryError):
    """A command that needs more than the core, where only the core is installed; names what lacks and the extra that brings it."""
