"""The wheel as deploy/Dockerfile builds it, in environments of their own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.serving.world import ROOT

UV = (sys.executable, "-m", "uv")


def wheel(folder: Path) -> Path:
    """Built in `folder` from the files that the Dockerfile copies."""
    source = folder / "source"
    for line in (ROOT / "deploy" / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                source.mkdir(exist_ok=True)
                copy(ROOT / name, source / name)
    command = (*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", folder, source)
    subprocess.run(command, cwd=folder, check=True)
    (made,) = folder.glob("*.whl")
    return made


def installed(made: Path, extras: str, target: Path) -> Path:
    """Its interpreter, in the new environment `target` with the pinned versions. extras: as in the Dockerfile, `[sync,console]`."""
    subprocess.run((*UV, "venv", "--quiet", "--python", sys.executable, target), check=True)
    wheels = os.environ.get("PIP_FIND_LINKS")  # torch for CPUs, as the Makefile finds it
    torch = ("--find-links", wheels) if wheels else ("--torch-backend", "cpu")
    pins = ("--constraint", ROOT / "constraints.txt")
    python = target / "bin" / "python"
    subprocess.run((*UV, "pip", "install", "--quiet", "--python", python, *torch, *pins, f"{made}{extras}"), cwd=made.parent, check=True)
    return python
