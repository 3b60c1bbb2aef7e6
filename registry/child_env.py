"""The environment of a child process in which `python`, as dvc.yaml's stages call it, is the one that runs now."""

import os
import sys
from pathlib import Path


def with_this_python() -> dict[str, str]:
    """The variables of this process, the folder of its own interpreter first on PATH."""
    return {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
