"""What MLflow runs of a scorer version: stored as code beside the artifact (`registry.mlflow_model`), so nothing of ours is pickled."""

from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from scorer import runtime


class ScorerVersion(PythonModel):  # type: ignore[misc]  # MLflow is not typed
    """`mlflow.pyfunc.load_model("models:/routemoa-scorer@champion").predict(["a query"])`: a score in [0, 1] for each LLM."""

    def load_context(self, context: Any) -> None:
        """Opens the artifact, which is checked as a server checks it."""
        self._scorer = runtime.load(Path(context.artifacts["scorer"]))

    def predict(self, model_input: list[str]) -> list[dict[str, float]]:
        """For each query the score of each LLM: how likely it is to answer well."""
        scores_QL = self._scorer.score(model_input).scores_QL
        return [dict(zip(self._scorer.roster, map(float, scores_L), strict=True)) for scores_L in scores_QL]


set_model(ScorerVersion())
