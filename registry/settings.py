"""Where things run on this host: read once from the environment, at the edge."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`ROUTEMOA_*` variables, from the environment or the project's `.env`.

    `home` is the project (pool, params, DVC repo); everything made at run time lives in `home/var`.
    """

    model_config = SettingsConfigDict(env_prefix="ROUTEMOA_", frozen=True, extra="ignore", env_file=".env")

    home: Annotated[Path, AfterValidator(Path.absolute)] = Field(default_factory=Path.cwd)
    cache: Path = Path.home() / ".cache" / "routemoa"
    database_url: SecretStr = SecretStr("")  # PostgreSQL that all hosts share; without it files in `var`
    mlflow_url: str = "http://127.0.0.1:5001"
    mlflow_host: str = "127.0.0.1"  # where our own MLflow server listens, at the port of `mlflow_url`
    mlflow_database: SecretStr = SecretStr("")  # where our own MLflow server keeps versions: an SQLAlchemy URL, SQLite in `var` without one
    mlflow_artifacts: str = ""  # where it keeps files: a folder or `s3://BUCKET/...`, in `var` without one
    executor: str = "local"  # where stages do the work that grows (`pipelines.executor`): here, or on a `ray` cluster
    scorer_name: str = "routemoa-scorer"
    reports: Path | None = None  # where the monitor's pages and Evidently's workspace lie: a folder that hosts share, `var` without one
    learning: Literal["off", "bandit"] = "off"  # between retrainings: whether outcomes correct the scorer's scores (`monitoring.learning`)
    learning_feedback: float = Field(default=0.25, ge=0, le=1)  # what a reported outcome counts there beside an audit's
    notify: SecretStr = SecretStr("")  # whom `registry.notices` tells

    @property
    def var(self) -> Path:
        """State of this host: MLflow's database, records, jobs, published scorers, reports, logs."""
        return self.home / "var"

    @property
    def report_pages(self) -> Path:
        """The monitor's pages; figures are in `var` on every host (`monitoring.looks`)."""
        return (self.reports or self.var) / "reports"

    @property
    def evidently_workspace(self) -> Path:
        """Evidently's projects and runs."""
        return (self.reports or self.var) / "evidently"

    @property
    def pool_file(self) -> Path:
        """Which LLMs exist."""
        return self.home / "registry" / "pool.yaml"
