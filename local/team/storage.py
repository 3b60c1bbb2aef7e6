"""An S3 server for one machine (moto's): what it holds is in its memory, and gone when it is stopped."""

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from local.processes import Processes

BUCKET = "routemoa"
COMMAND = "from moto.server import main; import sys; main(sys.argv[1:])"
START_S = 120.0


@dataclass(frozen=True, slots=True)
class Storage:
    """port: where it listens, on this machine alone."""

    port: int
    secret: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def url(self) -> str:
        """Of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What S3's clients read: boto3, and so DVC's; MLflow has a variable of its own."""
        login = {"AWS_ACCESS_KEY_ID": "routemoa", "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": "us-east-1"}
        return {**login, "AWS_ENDPOINT_URL": self.url, "MLFLOW_S3_ENDPOINT_URL": self.url}

    def start(self, processes: Processes) -> None:
        """Returns when it answers and has its bucket. Raises ProcessFailed, StorageFailed."""
        from local.ground import exported
        from registry.bucket import Bucket

        command = [sys.executable, "-c", COMMAND, "-H", "127.0.0.1", "-p", str(self.port)]
        processes.start("s3", command, environment=self.environment)
        processes.wait_until_ready("s3", f"{self.url}/moto-api/", seconds=START_S)
        with exported(self.environment):
            Bucket(BUCKET).make()
