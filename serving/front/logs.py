"""How this process logs: one JSON object a line on standard error, no prompts, no keys."""

import logging
import sys

import structlog


def configure() -> None:
    """For the process's whole life; each uvicorn worker is one."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
