"""A scorer artifact as an MLflow model that anybody loads: code, signature, example and pinned requirements around the same folder.

Models from code: MLflow stores `registry/scorer_pyfunc.py` and the package `scorer` as files. Nothing is pickled.
"""

import contextlib
import io
import logging
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import scorer

EXAMPLE = ["What is 17 * 23?", "Write a Python function that reverses a list."]
# what `predict` imports, and nothing that trains: no torch, no transformers, no pandas but MLflow's own need of it
NEEDED = ("mlflow-skinny", "pandas", "numpy", "onnxruntime", "tokenizers", "safetensors")
CODE = Path(__file__).with_name("scorer_pyfunc.py")
QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_UV_AUTO_DETECT": "false"}


def requirements() -> list[str]:
    """The packages that prediction needs, at the versions that are installed here."""
    return [f"{name}=={version(name)}" for name in NEEDED]


def save(artifact: Path, folder: Path, *, run_id: str, model_id: str, metadata: Mapping[str, Any]) -> str:
    """Writes the MLflow model of `artifact` into `folder`; returns the place of the artifact's files within it.

    MLflow loads it once meanwhile, to see that it answers its example.
    """
    os.environ.update(QUIET)
    import mlflow.pyfunc
    from mlflow.models import Model

    with _quietly():
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(CODE),
            artifacts={"scorer": str(artifact)},
            code_paths=[str(Path(scorer.__path__[0]))],
            input_example=EXAMPLE,
            pip_requirements=requirements(),
            mlflow_model=Model(run_id=run_id, model_id=model_id),
            metadata=dict(metadata),
        )
    return f"artifacts/{artifact.name}"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keeps to ourselves what MLflow says while it saves: pip missing beside uv, a run of `predict`."""
    talkative = logging.getLogger("mlflow")
    before = talkative.level
    talkative.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        talkative.setLevel(before)
