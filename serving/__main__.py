"""Runs the server until SIGTERM, which lets requests in flight end: `python -m serving`."""

import os
import sys
import tempfile

import uvicorn
from pydantic import ValidationError

from serving.metrics import MULTIPROCESS_DIR
from serving.settings import ServingSettings, in_words


def main() -> None:
    """Starts the workers; settings that cannot be used are one sentence on stderr."""
    try:
        settings = ServingSettings()
    except ValidationError as exc:
        sys.exit(in_words(exc))
    if settings.workers > 1:
        os.environ[MULTIPROCESS_DIR] = tempfile.mkdtemp(prefix="routemoa-metrics-")
    uvicorn.run(
        "serving.app:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=settings.drain_s,
    )


if __name__ == "__main__":
    main()
