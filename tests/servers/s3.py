"""A real S3 server process for tests (moto's): `with running(folder) as s3`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from local.processes import Processes, free_ports

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
MOTO = "from moto.server import main; import sys; main(sys.argv[1:])"


@dataclass(frozen=True)
class S3:
    """A server, and a bucket on it."""

    url: str
    bucket: str = "routemoa"

    @property
    def environment(self) -> dict[str, str]:
        """What S3's clients read: boto3, and so DVC's; MLflow has a variable of its own."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url, "AWS_ENDPOINT_URL_S3": self.url, "MLFLOW_S3_ENDPOINT_URL": self.url}

    def names(self) -> list[str]:
        """What the bucket holds."""
        return [each["Key"] for each in self._client().list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def make_bucket(self) -> None:
        """Once."""
        self._client().create_bucket(Bucket=self.bucket)

    def _client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )


@contextmanager
def running(folder: Path) -> Iterator[S3]:
    """A server with an empty bucket; what it holds is in its memory."""
    port = next(free_ports(5700))
    with Processes(logs=folder / "logs", home=folder) as processes:
        processes.start("s3", [sys.executable, "-c", MOTO, "-H", "127.0.0.1", "-p", str(port)], environment={**os.environ, **CREDENTIALS})
        server = S3(f"http://127.0.0.1:{port}")
        processes.wait_until_ready("s3", f"{server.url}/moto-api/", seconds=120)
        server.make_bucket()
        yield server
