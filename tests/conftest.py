"""What more than one package's tests share: one real MLflow server for the session, and no example with a stopwatch."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.mlflow_server import MLflow, running

# A busy machine can be a hundred times slower for a moment; the test's own timeout ends what hangs.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflow]:
    """The server."""
    with running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server
