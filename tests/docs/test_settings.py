"""The page of settings names every variable."""

import re
from pathlib import Path

from registry import variables

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "settings.md"
NAME = re.compile(r"`(?:ROUTEMOA_|(?=__))([A-Z0-9_]+)`")


def named(page: str) -> set[str]:
    """The variables of a page's tables, without ROUTEMOA_; `__X` after `ROUTEMOA_A__B` is A__X."""
    found = set()
    for line in page.splitlines():
        part = ""
        for name in NAME.findall(line):
            if name.startswith("__"):
                found.add(part + name)
            else:
                found.add(name)
                part = name.partition("__")[0]
    return found


def test_the_page_of_settings_names_every_variable_and_no_other() -> None:
    """Those of the settings' classes; a part as a whole (`ROUTEMOA_MIXTURE`, as JSON) is nobody's way to write it."""
    every = {name.upper() for name in variables.known()}
    parts = {name for name in every if any(other.startswith(f"{name}__") for other in every)}
    assert named(PAGE.read_text(encoding="utf-8")) == every - parts
