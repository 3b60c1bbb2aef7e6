"""A project made from a checkout."""

import subprocess
from pathlib import Path

import pytest
import yaml

from local import workspace
from local.errors import LocalError


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with one tracked, one added, one untracked and one ignored file, and parameters."""
    home = tmp_path / "checkout"
    home.mkdir()
    (home / ".gitignore").write_text("ignored\n")
    (home / "tracked").write_text("a")
    (home / "params.yaml").write_bytes((workspace.OVERLAYS.parents[1] / "params.yaml").read_bytes())
    subprocess.run(["git", "init", "-q"], cwd=home, check=True)
    subprocess.run(["git", "add", "-A"], cwd=home, check=True)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "first"], cwd=home, check=True)
    (home / "new").write_text("b")
    subprocess.run(["git", "add", "new"], cwd=home, check=True)
    (home / "spend.jsonl").write_text("what customers asked")
    (home / "ignored").write_text("c")
    return home


def add_all(checkout: Path) -> None:
    """What lies there is tracked from now on."""
    (checkout / "spend.jsonl").unlink()
    subprocess.run(["git", "add", "-A"], cwd=checkout, check=True)


def test_a_project_has_what_git_knows_and_its_own_history(checkout: Path, tmp_path: Path) -> None:
    """Tracked files travel, untracked and ignored ones do not, and the project is a committed repository."""
    made = workspace.make(checkout, tmp_path / "made")
    assert (made / "tracked").read_text() == "a"
    assert (made / "new").read_text() == "b"
    assert not (made / "ignored").exists()
    assert not (made / "spend.jsonl").exists()
    log = subprocess.run(["git", "log", "--oneline"], cwd=made, capture_output=True, text=True, check=True)
    assert "Project made from" in log.stdout


def test_what_is_the_products_alone_stays_there(checkout: Path, tmp_path: Path) -> None:
    """Tests and documentation of the platform are not a user's; a README of the project's own is there."""
    for name in (
        "tests/test_it.py",
        "docs/guide/README.md",
        ".ci/run",
        "CHANGELOG.md",
        "README.md",
        "scorer/trust.py",
    ):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("the product's")
    add_all(checkout)
    made = workspace.make(checkout, tmp_path / "made")
    there = {path.relative_to(made).parts[0] for path in made.rglob("*")}
    assert there == {".git", ".gitignore", workspace.MARKER, "README.md", "new", "params.yaml", "scorer", "tracked"}
    assert (made / "README.md").read_text().startswith("# A RouteMoA project")


def test_an_upgrade_brings_code_and_leaves_the_rest(checkout: Path, tmp_path: Path) -> None:
    """New code comes, code that is gone goes; pool, parameters and a user's own files stay; one commit says what changed."""
    for name in ("registry/pool.yaml", "registry/old.py", "registry/kept.py"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("release 1\n")
    add_all(checkout)
    made = workspace.make(checkout, tmp_path / "made")
    (checkout / "registry/old.py").unlink()
    for name in ("registry/pool.yaml", "registry/kept.py", "registry/new.py"):
        (checkout / name).write_text("release 2\n")
    subprocess.run(["git", "add", "-A"], cwd=checkout, check=True)
    (made / "registry/pool.yaml").write_text("mine\n")
    (made / "registry/my_own.py").write_text("mine\n")
    with pytest.raises(LocalError, match="has changes that are in no commit: "):
        workspace.upgrade(checkout, made)
    subprocess.run(["git", "add", "-A"], cwd=made, check=True)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "mine"], cwd=made, check=True)
    workspace.upgrade(checkout, made)
    texts = {path.name: path.read_text() for path in (made / "registry").iterdir()}
    assert texts == {"pool.yaml": "mine\n", "kept.py": "release 2\n", "new.py": "release 2\n", "my_own.py": "mine\n"}
    changed = subprocess.run(["git", "show", "--name-only", "--format="], cwd=made, capture_output=True, text=True, check=True)
    assert changed.stdout.split() == [workspace.MARKER, "registry/kept.py", "registry/new.py", "registry/old.py"]
    with pytest.raises(LocalError, match="was not made by"):
        workspace.upgrade(made, checkout)


def test_making_it_again_keeps_what_was_built(checkout: Path, tmp_path: Path) -> None:
    """A file the checkout ignores survives; a changed file follows; a vanished one goes; an unchanged one is not touched."""
    made = workspace.make(checkout, tmp_path / "made")
    (made / "ignored").write_text("built")
    (made / "tracked").write_text("changed by the demo")
    before = (made / "params.yaml").stat().st_mtime_ns
    (checkout / "new").unlink()
    workspace.make(checkout, tmp_path / "made")
    assert (made / "ignored").read_text() == "built"
    assert (made / "tracked").read_text() == "a"
    assert not (made / "new").exists()
    assert (made / "params.yaml").stat().st_mtime_ns == before


def test_an_overlay_changes_single_parameters(checkout: Path, tmp_path: Path) -> None:
    """Keys the overlay names change, the others keep the project's value; the overlay's pool replaces the project's."""
    made = workspace.make(checkout, tmp_path / "made", layer=workspace.overlay("small"))
    params = yaml.safe_load((made / "params.yaml").read_text())
    assert params["answer"]["retries"] == 3
    assert (
        params["answer"]["max_queries"]
        == yaml.safe_load((workspace.OVERLAYS / "small" / "params.yaml").read_text())["answer"]["max_queries"]
    )
    assert (made / "registry" / "pool.yaml").exists()


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    """Says which git command failed and what to do."""
    (tmp_path / "plain").mkdir()
    with pytest.raises(LocalError, match="git checkout of the project"):
        workspace.make(tmp_path / "plain", tmp_path / "made")


def test_a_folder_with_something_else_in_it_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    """Whoever names a folder of theirs loses nothing."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    with pytest.raises(LocalError, match="not made by this command"):
        workspace.make(checkout, theirs)
    assert (theirs / "thesis.txt").read_text() == "years of work"


def test_without_git_nothing_is_made(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that git is missing, not that a file is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(LocalError, match=r"`git ls-files .*` could not be started: No such file or directory.*with git on PATH"):
        workspace.make(checkout, tmp_path / "made")
    assert not (tmp_path / "made").exists()
