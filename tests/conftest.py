"""What more than one package's tests share: one real MLflow server for the session, and no example with a stopwatch."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.mlflow_server import MLflow, running
from tests.servers.postgres import Postgres
from tests.servers.postgres import running as postgres_running

# A busy machine can be a hundred times slower for a moment; the test's own timeout ends what hangs.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflow]:
    """The server."""
    with running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server of the session."""
    with postgres_running() as server:
        yield server


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """An empty database of this test's own."""
    return postgres.create_for_tests()


@pytest.fixture(params=["sqlite", "postgres"])
def either_url(request: pytest.FixtureRequest) -> str:
    """The same tests on a host of its own, without a URL, and on one that shares an empty database."""
    url: str = request.getfixturevalue("database_url") if request.param == "postgres" else ""
    return url
