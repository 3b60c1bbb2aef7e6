"""params.yaml is read once, whole, and refuses what no stage reads."""

from pathlib import Path

import pytest

from pipelines import params
from pipelines.errors import ParamsRefused

ROOT = Path(__file__).parents[2]


def _changed(tmp_path: Path, old: str, new: str) -> Path:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_the_projects_file_is_accepted() -> None:
    """The params.yaml we ship parses, and sections carry its values."""
    loaded = params.load(ROOT / "params.yaml")
    assert loaded.label.timeout_s == 10
    assert sum(loaded.assemble.shares.by_split.values()) == pytest.approx(1)
    assert 0 <= loaded.validate_.min_coverage <= 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("timeout_s:", "timeout:", r"label\.timeout is not a known key, did you mean timeout_s"),
        ("timeout_s: 10", "timeout_s: ten", r"label\.timeout_s: .*found 'ten'"),
        ("validate:", "validat:", r"validat is not a known key, did you mean validate"),
        ("judge: 0.25", "judg: 0.25", r"label\.reliability\.judg.*'judge'"),
        ("judge: 0.25", "judge: 0.0", r"label\.reliability\.judge.*greater than 0"),
        ("train: 0.55", "train: 0.95", r"assemble\.shares: .*add up to 1\.4, not 1"),
        ("test: 0.20", "tests: 0.20", r"assemble\.shares\.tests is not a known key, did you mean test"),
        ("  retries: 3", "", r"answer\.retries is missing"),
        ("learning_rate: 0.0003", "learning_rate: .nan", r"train\.learning_rate"),
        ("encoder: packaged:all-MiniLM-L6-v2", "encoder: []", r"train\.encoder"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    """An unknown, missing or ill-typed key is refused by its dotted name, with near matches."""
    with pytest.raises(ParamsRefused, match=message):
        params.load(_changed(tmp_path, old, new))


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("packaged:all-MiniLM-L6-v2", ["packaged:all-MiniLM-L6-v2"]),
        ("[small, {name: large, prompt: 'query: '}]", ["small", "large with 'query: '"]),
    ],
)
def test_one_encoder_or_several(tmp_path: Path, written: str, names: list[str]) -> None:
    """A name is one to choose from; a list keeps its order, the simplest first."""
    changed = _changed(tmp_path, "encoder: packaged:all-MiniLM-L6-v2", f"encoder: {written}")
    assert list(map(str, params.load(changed).train.encoders)) == names


def test_an_unreadable_file_says_where_to_run(tmp_path: Path) -> None:
    """A missing or broken file is refused with the path and a next step."""
    with pytest.raises(ParamsRefused, match="project's root"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("answer: [", encoding="utf-8")
    with pytest.raises(ParamsRefused, match="check the YAML"):
        params.load(tmp_path / "params.yaml")
