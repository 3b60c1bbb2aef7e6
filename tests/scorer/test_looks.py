"""What a text looks like, in numbers that stand after its embedding."""

import numpy as np
import pytest

from scorer import looks


def of(text: str) -> dict[str, float]:
    return dict(zip(looks.NAMES, looks.counted(text).tolist(), strict=True))


def test_what_is_counted() -> None:
    seen = of("Which?\nA. 12\nB) x = $y$\n(C) def f")
    assert seen["question marks"] == pytest.approx(np.log(2))
    assert seen["choices"] == pytest.approx(np.log(4))
    assert seen["words"] == pytest.approx(np.log1p(10))
    assert seen["digits"] == pytest.approx(2 / 33)
    assert seen["capitals"] == pytest.approx(4 / 33)
    assert seen["lines"] == pytest.approx(3 / 33)
    assert (seen["def"], seen["backslash"], seen["dollar"]) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize("text", ["", "é", "中文" * 50, "\ud800", "\n" * 9, "9" * 100_000, "🙂🙂"])
def test_any_text_has_looks_within_bounds(text: str) -> None:
    found_F = looks.looks(text)
    assert found_F.shape == (len(looks.NAMES),)
    assert np.abs(found_F).max() <= looks.FURTHEST * looks.WEIGHT / len(looks.NAMES) ** 0.5 + 1e-6


def test_the_end_of_a_long_text_counts() -> None:
    assert np.array_equal(looks.counted("x" * 50_000 + "y" * looks.LONGEST), looks.counted("y" * looks.LONGEST))


def test_a_query_does_not_depend_on_its_neighbours() -> None:
    queries_QD = np.eye(3, dtype=np.float32)
    texts = ["What is 2 + 2?", "def f(x):", "Explain."]
    together = looks.beside(queries_QD, texts)
    assert together.shape == (3, 3 + len(looks.NAMES))
    for place, text in enumerate(texts):
        assert np.array_equal(together[place : place + 1], looks.beside(queries_QD[place : place + 1], [text]))
