"""Logs of any size: calls beyond the first few lie in a file, and come back as they were."""

from pathlib import Path

import pytest

from pipelines.errors import TableRefused
from pipelines.imports.import_logs import read
from pipelines.logs import calls as many
from pipelines.logs import progress, store
from pipelines.logs.calls import Calls, Imported
from pipelines.logs.outcomes import Scale
from tests.pipelines.logs import samples


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three calls are many, two a batch."""
    monkeypatch.setattr(many, "IN_MEMORY", 3)
    monkeypatch.setattr(store, "BATCH", 2)


def log(folder: Path, count: int) -> Path:
    path = folder / "log.jsonl"
    path.write_text(
        samples.lines([samples.LANGFUSE[0] | {"id": f"o{at}", "scores": [{"name": "stars", "value": at}]} for at in range(count)])
    )
    return path


@pytest.mark.parametrize("count", [1, 3, 4, 10])
def test_calls_come_back_in_order_and_more_than_once(tmp_path: Path, count: int) -> None:
    """Whole, and with some fields alone; imported ones too."""
    found = read("langfuse", [log(tmp_path, count)], Scale("stars", 0, 20))[1].calls
    assert [call.call_id for call in found] == [f"o{at}" for at in range(count)]
    assert [call.outcome for call in found] == [at / 20 for at in range(count)]
    assert [call.llm for call in found.only("llm")] == ["gpt-4o-mini"] * count
    store.write(tmp_path / "kept.parquet", found, "langfuse")
    kept = Imported([tmp_path / "kept.parquet"] * 2)
    assert len(kept) == 2 * count
    assert list(kept) == [*found, *found]


def test_a_repeated_row_is_left_out_of_many(tmp_path: Path) -> None:
    """However far apart the two are."""
    path = log(tmp_path, 8)
    path.write_text(path.read_text() * 2)
    reading = read("langfuse", [path], Scale("stars", 0, 20))[1]
    assert len(reading.calls) == 8
    assert reading.left_out["calls that are there before"] == 8


def test_a_damaged_row_is_left_out_of_many(tmp_path: Path) -> None:
    """By its number."""
    path = log(tmp_path, 8)
    path.write_text(path.read_text().replace('"endTime": "2026', '"endTime": "soon', 1))
    reading = read("langfuse", [path], Scale("stars", 0, 20), skip_damaged=True)[1]
    assert [call.call_id for call in reading.calls] == [f"o{at}" for at in range(1, 8)]


def test_a_file_that_was_cut_off_is_no_log(tmp_path: Path) -> None:
    """What stops in the middle leaves the earlier file as it was."""
    path = tmp_path / "kept.parquet"
    store.write(path, read("langfuse", [log(tmp_path, 5)])[1].calls, "langfuse")
    before = path.read_bytes()

    def stopped():
        yield from store.read(path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write(path, stopped(), "langfuse")
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    path.write_bytes(before[:-10])
    with pytest.raises(TableRefused, match="no imported log"):
        store.count(path)


def test_calls_lie_in_a_folder_that_goes_with_them(tmp_path: Path) -> None:
    """Nothing of a log stays behind."""
    kept = Calls(read("langfuse", [log(tmp_path, 5)])[1].calls)
    folder = kept._file.parent
    assert folder.is_dir()
    del kept
    assert not folder.exists()


def test_what_takes_long_says_how_far_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, so that a report can be piped."""
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    assert list(progress.told(range(1200), "log.jsonl: {} rows")) == list(range(1200))
    assert capsys.readouterr().err == "log.jsonl: 500 rows so far\nlog.jsonl: 1,000 rows so far\n"
