"""Nested JSON becomes what MLflow holds."""

from hypothesis import given
from hypothesis import strategies as st

from registry import mlflow_metrics
from registry.mlflow_runs import MetricValue

CONTENT = {
    "test": {"hit": 0.9, "count": 3},
    "passed": True,
    "encoder": "tiny",
    "roster": ["a", "b"],
    "loss": [2.0, 1.0],
    "history": [{"loss": 1.0, "note": "x"}, {"loss": 0.5}],
    "nothing": None,
}


def test_numbers_are_named_by_their_path() -> None:
    """A truth value is no number; lists are histories."""
    assert mlflow_metrics.scalars(CONTENT, "run/") == [MetricValue("run/test/hit", 0.9), MetricValue("run/test/count", 3.0)]


def test_lists_are_steps() -> None:
    """Of numbers, or of mappings of numbers: one step an entry, from 0; a list of texts has none."""
    assert mlflow_metrics.history(CONTENT, "train/") == [
        MetricValue("train/loss", 2.0, 0),
        MetricValue("train/loss", 1.0, 1),
        MetricValue("train/history/loss", 1.0, 0),
        MetricValue("train/history/loss", 0.5, 1),
    ]


def test_texts_and_parameters() -> None:
    """Texts, truth values and lists of texts; parameters are every value as text."""
    assert mlflow_metrics.texts(CONTENT) == {"passed": "True", "encoder": "tiny", "roster": "a,b"}
    assert mlflow_metrics.params({"train": {"seed": 0, "groups": [1, 2]}, "judge": None}) == {
        "train/seed": "0",
        "train/groups": "1,2",
        "judge": "None",
    }


names = st.text("abc", min_size=1, max_size=3)
nested = st.recursive(
    st.one_of(st.floats(allow_nan=False), st.integers(-5, 5), st.booleans(), st.text(max_size=3)),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, nested, max_size=4))
def test_each_leaf_is_a_metric_or_a_text(content: dict[str, object]) -> None:
    """Nothing is written twice, nothing is lost."""
    numbers, texts = mlflow_metrics.scalars(content), mlflow_metrics.texts(content)
    assert {one.name for one in numbers} | set(texts) == set(mlflow_metrics.params(content))
    assert not {one.name for one in numbers} & set(texts)
