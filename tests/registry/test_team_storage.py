"""Our MLflow server on PostgreSQL and S3: versions are registered, found, promoted, published and survive both being restarted."""

from collections.abc import Callable, Iterator

import pytest

from registry import promotion, versions
from registry.settings import Settings
from registry.sync import Sync
from registry.version import Version
from scorer import artifact
from tests.mlflow_server import MLflow, running
from tests.servers import postgres, s3

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(900)]  # MLflow makes its tables in PostgreSQL: half a minute


@pytest.fixture(scope="module")
def database() -> Iterator[postgres.Postgres]:
    """An empty PostgreSQL."""
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """An empty S3."""
    with s3.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory, database: postgres.Postgres, storage: s3.S3) -> Iterator[MLflow]:
    """In the place of the session's server, which keeps everything on this disk."""
    home = tmp_path_factory.mktemp("team")
    where = {"mlflow_database": database.create("mlflow"), "mlflow_artifacts": f"s3://{storage.bucket}/mlflow"}
    with running(home, more=storage.environment, **where) as server:
        yield server


def test_a_version_goes_through_postgresql_and_s3(
    settings: Settings, register: Callable[..., Version], mlflow: MLflow, database: postgres.Postgres, storage: s3.S3
) -> None:
    """Registered, promoted, published on a host that knows MLflow's address alone; also after server and database were killed."""
    version = register(0)
    assert any(name.startswith("mlflow/") and name.endswith("scorer.safetensors") for name in storage.names())
    assert not list(mlflow.artifacts.rglob("scorer.safetensors"))
    promotion.promote(version.version, override="the first", settings=settings)
    Sync(settings).step(0.0)
    assert artifact.verify(settings.var / "scorers" / version.version).content_hash == version.content_hash

    mlflow.kill()
    database.kill()
    database.start()
    mlflow.start()
    assert versions.find("champion", settings=settings).content_hash == version.content_hash
    assert register(1).version == "2"
