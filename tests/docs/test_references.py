"""What a page points to is there: links, files in backticks, settings, parameters."""

import re
from pathlib import Path

import pytest
import yaml
from pages import INLINE, LINK, PAGES, ROOT, TODAY, headings, name, prose
from pydantic import BaseModel

from console.settings import ConsoleSettings
from serving.settings import ServingSettings

FILE = re.compile(r"(?:[\w.-]+/)+[\w.-]+\.(?:py|md|yaml|toml|svg)|(?:[a-z_]+/)+")
MADE = ("build/", "var/", "data/", ".demo/", "seed/", ".venv/")  # at run time
VARIABLE = re.compile(r"ROUTEMOA_[A-Z_]+")
ELSEWHERE = {"ROUTEMOA_MIXTURE__"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links(page: Path) -> None:
    """A relative link points to a file, and its anchor to a heading there."""
    for link in LINK.findall(prose(page)):
        if link.startswith(("http:", "https:")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name(page)} points to {link}"
        assert not anchor or anchor in headings(target), f"{name(page)} points to {link}"


@pytest.mark.parametrize("page", TODAY, ids=name)
def test_named_files(page: Path) -> None:
    """A file or folder in backticks is there, or made at run time."""
    named = {span for span in INLINE.findall(prose(page)) if FILE.fullmatch(span) and not span.startswith(MADE)}
    assert not [span for span in named if not (ROOT / span).exists() and not (page.parent / span).exists()]


@pytest.mark.parametrize("page", TODAY, ids=name)
def test_settings(page: Path) -> None:
    """A variable `ROUTEMOA_...` is one that a setting reads."""
    named = set(VARIABLE.findall(page.read_text(encoding="utf-8"))) - ELSEWHERE
    assert not named - variables(ServingSettings, "ROUTEMOA_") - variables(ConsoleSettings, "ROUTEMOA_")


@pytest.mark.parametrize("page", TODAY, ids=name)
def test_parameters(page: Path) -> None:
    """A parameter `section.name` in backticks is in params.yaml."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    spans = (re.fullmatch(r"(\w+)\.(\w+)(?:[:=.].*)?", span) for span in INLINE.findall(prose(page)))
    named = {(match[1], match[2]) for match in spans if match and match[1] in params}
    assert not [pair for pair in named if pair[1] not in params[pair[0]] and not (ROOT / "pipelines" / f"{pair[1]}.py").exists()]


def variables(model: type[BaseModel], prefix: str) -> set[str]:
    """The environment variables that fill `model`, nested ones after two underscores."""
    names: set[str] = set()
    for field, info in model.model_fields.items():
        names.add(f"{prefix}{field.upper()}")
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            names |= variables(info.annotation, f"{prefix}{field.upper()}__")
    return names
