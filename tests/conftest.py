"""What more than one package's tests share: one real MLflow server for the session."""

from collections.abc import Iterator

import pytest

from tests.mlflow_server import MLflow, running


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflow]:
    """The server."""
    with running(tmp_path_factory.mktemp("mlflow")) as server:
        yield server
