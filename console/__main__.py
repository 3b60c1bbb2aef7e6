"""`python -m console`: the web page, at `ROUTEMOA_CONSOLE_HOST` and `ROUTEMOA_CONSOLE_PORT`, of the server at `ROUTEMOA_SERVER_URL`."""

import os
import sys

from pydantic import ValidationError

from console.settings import ConsoleSettings
from registry import extras
from registry.errors import ExtraMissing
from registry.validation_errors import explain


def main() -> None:
    """Says in a sentence why it cannot start."""
    try:
        extras.need("console")
        settings = ConsoleSettings()
    except ExtraMissing as exc:
        sys.exit(str(exc))
    except ValidationError as exc:
        sys.exit(f"Settings: {explain(exc, ConsoleSettings)} A variable is called ROUTEMOA_ and this name in capitals.")
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # where a test started us, NiceGUI would think that it is under test itself
    from console.app import run

    run(settings)


if __name__ == "__main__":
    main()
