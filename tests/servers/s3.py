"""A real S3 server process for tests (moto's): `with running(folder) as s3`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.ground import exported
from local.processes import Processes, free_ports
from local.team.storage import BUCKET, Storage
from registry.bucket import Bucket


@dataclass(frozen=True)
class S3:
    """A server, and a bucket on it."""

    storage: Storage
    bucket: str = BUCKET

    @property
    def environment(self) -> dict[str, str]:
        """What S3's clients read: boto3, and so DVC's; MLflow has a variable of its own."""
        return {**self.storage.environment, "AWS_ENDPOINT_URL_S3": self.storage.url}

    def names(self) -> list[str]:
        """What the bucket holds."""
        with exported(self.environment):
            return Bucket(self.bucket).names()


@contextmanager
def running(folder: Path) -> Iterator[S3]:
    """A server with an empty bucket; what it holds is in its memory."""
    with Processes(logs=folder / "logs", home=folder) as processes:
        server = S3(Storage(next(free_ports(5700))))
        server.storage.start(processes)
        yield server
