"""current.json: one schema for the process that writes it and the servers that read it."""

from pathlib import Path

import pytest

from registry import current_version
from registry.current_version import CurrentVersion
from scorer.errors import ArtifactRefused

CURRENT = CurrentVersion(version="7", folder="7-0a1b", published_at="2026-11-29T12:00:00+00:00", content_hash="f" * 64)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every field comes back; a second write takes the place of the first."""
    path = tmp_path / "scorers" / current_version.NAME
    for current in (CurrentVersion(version="6", folder="6"), CURRENT):
        current_version.write(path, current)
        assert current_version.read(path) == current
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "does not name a published scorer"),
        ('{"version": "2", ', "does not name a published scorer"),
        ("[]", "does not name a published scorer"),
        ('{"version": null, "folder": null}', r"does not name a published scorer: version: .*\(found None\); folder: .*\(found None\)"),
        ('{"version": "2"}', "does not name a published scorer: folder is missing"),
        ('{"version": "2", "folder": "../../registry"}', r"folder: is not a plain name \(found '../../registry'\)"),
        ('{"version": "2", "folder": ""}', "folder: is not a plain name"),
        ('{"version": "2", "folder": ".hidden"}', "folder: is not a plain name"),
    ],
)
def test_a_file_that_names_no_version_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """Half a file, none of its fields, or a folder outside: refused with the reason, and what to do."""
    path = tmp_path / current_version.NAME
    path.write_text(content)
    with pytest.raises(ArtifactRefused, match=rf"{message}.*registry\.sync"):
        current_version.read(path)


def test_no_file_means_that_nothing_is_published(tmp_path: Path) -> None:
    """Told apart from a damaged file, and from one that cannot be read."""
    with pytest.raises(ArtifactRefused, match="no scorer is published on this host"):
        current_version.read(tmp_path / current_version.NAME)
    with pytest.raises(ArtifactRefused, match="cannot be read"):
        current_version.read(tmp_path)


def test_fields_of_a_later_release_are_passed_over(tmp_path: Path) -> None:
    """Servers may be older than the process that writes."""
    path = tmp_path / current_version.NAME
    path.write_text('{"version": "7", "folder": "7", "region": "eu"}')
    assert current_version.read(path) == CurrentVersion(version="7", folder="7")
