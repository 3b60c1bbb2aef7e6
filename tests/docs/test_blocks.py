"""The code of README and guide runs, and what is shown as code says what it is."""

from pathlib import Path

import pytest
from pages import GUIDE, PAGES, Block, blocks, name
from world import Running

from mixture.choose import strategies

LANGUAGES = {"python", "sh", "text", "yaml", "csv", "json", "toml", "mermaid"}
RUN = [page for page in GUIDE if blocks(page, "python")]


@pytest.mark.parametrize("page", RUN, ids=name)
def test_python_blocks_run(page: Path, server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The python blocks of a page run one after the other in one namespace, against a server of ours; what they register goes again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(strategies, "STRATEGIES", dict(strategies.STRATEGIES))
    namespace: dict[str, object] = {"__name__": "__docs__"}
    for block in blocks(page, "python"):
        code = block.code.replace("http://127.0.0.1:8080", server.url).replace("rm-...", server.key)
        exec(compile(code, str(block), "exec"), namespace)


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page)], ids=str)
def test_a_block_names_its_language(block: Block) -> None:
    """A reader, and this test, can tell code from output: output is `text`."""
    assert block.language in LANGUAGES


def test_the_readme_is_short() -> None:
    """Somebody who has never heard of us reads it in three minutes."""
    assert len(GUIDE[0].read_text(encoding="utf-8").splitlines()) <= 120
