"""Which executor a process has."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.errors import PipelineError
from pipelines.executor import door
from pipelines.executor.local import LocalExecutor

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    door.chosen.cache_clear()
    yield
    door.chosen.cache_clear()


def test_the_default_is_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable nothing changes."""
    monkeypatch.delenv("ROUTEMOA_EXECUTOR", raising=False)
    assert isinstance(door.chosen(), LocalExecutor)


def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the value and what it may have meant."""
    monkeypatch.setenv("ROUTEMOA_EXECUTOR", "rya")
    with pytest.raises(PipelineError, match=r"ROUTEMOA_EXECUTOR is 'rya'\. Did you mean ray\?"):
        door.chosen()


def test_a_missing_ray_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing falls back to this process in silence."""
    monkeypatch.setenv("ROUTEMOA_EXECUTOR", "ray")
    monkeypatch.setattr(door, "find_spec", lambda _: None)
    with pytest.raises(PipelineError, match=r"not installed here\. Install the extra: pip install 'routemoa\[ray\]'"):
        door.chosen()


def test_the_local_executor_gives_all_items_in_one_go() -> None:
    """As the stages did before there were executors."""
    shards: list[list[int]] = []

    def work(items: list[int]) -> Iterator[tuple[int, int]]:
        shards.append(items)
        yield from ((place, item * item) for place, item in enumerate(items))

    assert list(LocalExecutor().map(work, [3, 1, 2], size=1)) == [(0, 9), (1, 1), (2, 4)]
    assert shards == [[3, 1, 2]]


def test_ray_is_imported_where_it_is_chosen_alone() -> None:
    """Neither a stage nor a serving worker has it otherwise."""
    program = "import sys, pipelines.answer, pipelines.label, pipelines.embeddings, serving.app; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)
