"""A stored model in an environment of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from registry import mlflow_model
from scorer import runtime
from tests.scorer import tiny

PREDICT = """
import json, sys
import mlflow.pyfunc
scores = mlflow.pyfunc.load_model(sys.argv[1]).predict(["What is 2 + 2?"])
print(json.dumps({"scores": scores, "heavy": [name for name in ("torch", "transformers", "scipy", "sklearn") if name in sys.modules]}))
"""


@pytest.mark.long
@pytest.mark.slow
def test_a_model_predicts_in_an_environment_of_its_own_requirements(tmp_path: Path) -> None:
    """Nothing of this checkout is there: what the model stores and asks for is enough, and gives the scores that a server gives."""
    artifact = tiny.tiny_artifact(tmp_path / "scorer")
    mlflow_model.save(artifact, tmp_path / "model", run_id="r" * 32, model_id="m-1", metadata={})
    python = tmp_path / "environment" / "bin" / "python"
    install = ("pip", "install", "-p", str(python), "-r", str(tmp_path / "model" / "requirements.txt"))
    for command in (("venv", str(tmp_path / "environment")), install):
        subprocess.run([sys.executable, "-m", "uv", "-q", *command], check=True, cwd=tmp_path)
    done = subprocess.run(
        [str(python), "-c", PREDICT, str(tmp_path / "model")], cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["heavy"] == []
    here = runtime.load(artifact)
    np.testing.assert_allclose([list(said["scores"][0].values())], here.score(["What is 2 + 2?"]).scores_QL, atol=1e-6)
    assert list(said["scores"][0]) == list(here.roster)
