"""The pages of the documentation, and what is in them: fenced blocks, command lines, links, names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.md"))
GUIDE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "guide").glob("*.md")), *EXAMPLES]
PAGES = [
    ROOT / "ARCHITECTURE.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    *GUIDE[:2],
    *sorted((ROOT / "docs").rglob("*.md")),
    *EXAMPLES,
]
TODAY = [page for page in PAGES if page.name not in {"CHANGELOG.md", "log.md"} and page.parent.name not in {"results", "decisions"}]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
STARTS = ("routemoa ", "python -m ", "make ", "dvc ")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: python (is run), sh (is parsed), text (output), or data."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    """From the root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The fenced blocks of a page, those of one language only where it is named."""
    text = page.read_text(encoding="utf-8")
    found = [Block(page, text[: match.start()].count("\n") + 1, match[1], match[2]) for match in FENCE.finditer(text)]
    return [block for block in found if language in (None, block.language)]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(page: Path) -> Iterator[str]:
    """Its command lines, in sh blocks and in backticks, without comments and without variables set in front."""
    shell = "\n".join(block.code for block in blocks(page, "sh")).replace("\\\n", " ")
    for line in [*shell.splitlines(), *INLINE.findall(prose(page))]:
        for part in re.split(r" && | \| | > ", re.sub(r"(^|\s)#.*", "", line)):
            command = re.sub(r"^(?:[A-Z_]+=\S*\s+)+", "", part.strip().removeprefix("$ "))
            if command.startswith(STARTS) or command in {start.strip() for start in STARTS}:
                yield command


def headings(page: Path) -> set[str]:
    """The anchors that a page's headings make."""
    lines = [line.lstrip("#").strip().lower() for line in prose(page).splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in lines}
