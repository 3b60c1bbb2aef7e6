"""Where a scorer comes from: DVC's hashes, the git commit, the pool; what is unknown is unknown, what is broken is refused."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from registry.errors import LineageMissing
from registry.lineage import trace

DATA = "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: data\n"
LOCK = "stages:\n  assemble:\n    outs:\n    - path: build/dataset\n      md5: fedcba9876543210fedcba9876543210.dir\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project with a pool and no more."""
    (tmp_path / "pool.yaml").write_text("llms: {}\n")
    return tmp_path


def git(home: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", "-C", str(home), *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def commit(home: Path) -> str:
    """A repository of what lies in `home`; returns its commit."""
    git(home, "init", "-q")
    git(home, "add", "-A")
    git(home, "commit", "-q", "-m", "all")
    return git(home, "rev-parse", "HEAD")


def test_everything_is_traced(home: Path) -> None:
    """Both of DVC's hashes, the pool's bytes, the commit; as tags they are texts."""
    (home / "data.dvc").write_text(DATA)
    (home / "dvc.lock").write_text(LOCK)
    head = commit(home)
    tags = trace(home, home / "pool.yaml").tags()
    assert sorted(tags.values()) == sorted(
        [
            "0123456789abcdef0123456789abcdef.dir",
            "fedcba9876543210fedcba9876543210.dir",
            hashlib.sha256(b"llms: {}\n").hexdigest(),
            head,
            "false",
        ]
    )


def test_what_is_not_there_yet_has_no_tag(home: Path) -> None:
    """Before the first `dvc add` and `dvc repro`, and outside git, only the pool is known."""
    (home / "dvc.lock").write_text("stages: {}\n")
    lineage = trace(home, home / "pool.yaml")
    assert (lineage.git_commit, lineage.git_dirty) == (None, False)
    assert set(lineage.tags()) == {"pool_hash", "git_dirty"}


def test_changed_code_is_dirty_and_what_has_a_hash_is_not(home: Path) -> None:
    """A join writes the pool, a harvest data.dvc, the pipeline dvc.lock: each has its own hash. What git does not track says nothing."""
    (home / "code.py").write_text("x = 1\n")
    (home / "dvc.lock").write_text(LOCK)
    (home / "data.dvc").write_text(DATA)
    commit(home)
    for name in ("dvc.lock", "data.dvc", "pool.yaml"):
        (home / name).write_text((home / name).read_text() + "# again\n")
    (home / "untracked.txt").write_text("x")
    assert not trace(home, home / "pool.yaml").git_dirty
    (home / "code.py").write_text("x = 2\n")
    assert trace(home, home / "pool.yaml").git_dirty


@pytest.mark.parametrize(("name", "content"), [("data.dvc", "outs: [\n"), ("data.dvc", "[]\n"), ("dvc.lock", "stages: 3\n")])
def test_a_malformed_dvc_file_is_refused(home: Path, name: str, content: str) -> None:
    """A scorer is not registered with a lineage that was guessed."""
    (home / name).write_text(content)
    with pytest.raises(LineageMissing, match=rf"(?s){name}: not a DVC file .*Restore it with git"):
        trace(home, home / "pool.yaml")


def test_a_pool_that_cannot_be_read_is_refused(home: Path) -> None:
    """The file and what to do are named."""
    with pytest.raises(LineageMissing, match=r"nowhere\.yaml: cannot be read .*project's root"):
        trace(home, home / "nowhere.yaml")
