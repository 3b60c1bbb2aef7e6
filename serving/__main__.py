"""Runs the server until SIGTERM, which lets requests in flight end: `python -m serving`."""

import os
import sys
import tempfile

import uvicorn
from pydantic import ValidationError
from uvicorn.config import STARTUP_FAILURE

HUNG_AFTER_S = 30  # that a worker does not answer its supervisor; on a busy machine a start takes seconds


def main() -> None:
    """Starts the workers; settings that cannot be used are one sentence on stderr."""
    from registry import variables
    from registry.errors import VariableRefused
    from serving.front import logs  # here, for a worker process imports this module before its supervisor can know that it lives
    from serving.front.connection import allow_files
    from serving.settings import ServingSettings, in_words

    try:
        settings = ServingSettings()
    except ValidationError as exc:
        sys.exit(in_words(exc))
    logs.configure()
    try:
        variables.check()
    except VariableRefused as exc:
        sys.exit(str(exc))
    allow_files(2 * settings.connections.most)
    config = uvicorn.Config(
        "serving.app:from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http="serving.front.connection:Connection",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=settings.connections.idle_s,
        timeout_graceful_shutdown=settings.drain_s,
        timeout_worker_healthcheck=HUNG_AFTER_S,
    )
    started = _several(config) if settings.workers > 1 else _one(config)
    if not started:
        sys.exit(STARTUP_FAILURE)


def _one(config: uvicorn.Config) -> bool:
    server = uvicorn.Server(config)
    server.run()
    return server.started


def _several(config: uvicorn.Config) -> bool:
    """Their figures for /metrics meet in a folder that prometheus_client has to know before it is imported."""
    with tempfile.TemporaryDirectory(prefix="routemoa-metrics-") as folder:
        from serving.settings import MULTIPROCESS_DIR

        os.environ[MULTIPROCESS_DIR] = folder
        from serving.events import Events
        from serving.front.supervisor import Supervisor
        from serving.worker.metrics import Metrics

        supervisor = Supervisor(config, [config.bind_socket()], Events(Metrics().note))
        supervisor.run()
        return not supervisor.failed


if __name__ == "__main__":
    main()
