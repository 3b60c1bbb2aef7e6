"""Pinned packages: real wheels, downloaded by the real pip from a local folder."""

import hashlib
import threading
import zipfile
from pathlib import Path

import pytest

from pipelines import packages
from pipelines.errors import PackageRefused, PackageUnreachable
from pipelines.packages import Package, Pin, SplitPackage, fetch


def wheel(folder: Path, project: str, files: dict[str, bytes], version: str = "1.0") -> Path:
    """A wheel that pip accepts, holding `files`."""
    name = project.replace("-", "_")
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as zipped:
        for member, content in files.items():
            zipped.writestr(member, content)
        zipped.writestr(f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n")
        zipped.writestr(
            f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        zipped.writestr(f"{name}-{version}.dist-info/RECORD", "")
    return path


def pin(content: bytes) -> Pin:
    return Pin(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder that is all pip sees."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def toy(index) -> Package:
    wheel(index, "routemoa-toy", {"toy/data/a.txt": b"aaa", "toy/data/unused.bin": b"x" * 1000})
    return Package(
        name="toy", project="routemoa-toy", version="1.0", licence="MIT", strip="toy/data", files={"toy/data/a.txt": pin(b"aaa")}
    )


def three_parts(index: Path) -> SplitPackage:
    contents = [b"first" * 10, b"second" * 10, b"third" * 3]
    for number, content in enumerate(contents, start=1):
        wheel(index, f"routemoa-part{number}", {f"part{number}/part{number:02d}.bin": content})
    return SplitPackage(
        name="joined",
        project="routemoa-part{number}",
        version="1.0",
        licence="MIT",
        member="part{number}/part{number:02d}.bin",
        file="weights.gguf",
        bytes=len(b"".join(contents)),
        sha256=hashlib.sha256(b"".join(contents)).hexdigest(),
        parts=tuple(hashlib.sha256(content).hexdigest() for content in contents),
    )


def test_only_the_pinned_files_are_kept(toy, tmp_path):
    """The cache holds what is used, without the archive or the folder inside it."""
    folder = fetch(toy, tmp_path / "cache")
    assert (folder / "a.txt").read_bytes() == b"aaa"
    assert [path.name for path in folder.rglob("*")] == ["a.txt"]
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_a_cached_package_needs_no_index(toy, index, tmp_path):
    """Downloaded once, used offline for ever."""
    first = fetch(toy, tmp_path / "cache")
    next(index.glob("*.whl")).unlink()
    assert fetch(toy, tmp_path / "cache") == first


def test_another_file_than_the_pinned_one_is_refused(toy, tmp_path):
    """A file whose hash differs never reaches the cache."""
    wrong = toy.model_copy(update={"files": {"toy/data/a.txt": pin(b"bbb")}})
    with pytest.raises(PackageRefused, match=r"toy/data/a\.txt has sha256 .* pinned is"):
        fetch(wrong, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("a.txt"))


def test_a_missing_member_is_refused(toy, tmp_path):
    """An archive without the pinned file is another archive."""
    wrong = toy.model_copy(update={"files": {"toy/data/b.txt": pin(b"b")}})
    with pytest.raises(PackageRefused, match=r"cannot read toy/data/b\.txt"):
        fetch(wrong, tmp_path / "cache")


@pytest.mark.usefixtures("index")
def test_offline_says_what_to_do(tmp_path):
    """Without the index the error names the package, pip's words and the next step."""
    absent = Package(name="absent", project="routemoa-absent", version="9.9", licence="MIT", files={"a": pin(b"")})
    with pytest.raises(PackageUnreachable, match=r"routemoa-absent==9\.9.*pip config list"):
        fetch(absent, tmp_path / "cache")


def test_a_pip_that_leaves_no_wheel_is_an_error_of_ours(tmp_path, monkeypatch):
    """Where pip says all is well and the folder is empty, the package is named."""
    monkeypatch.setattr("pipelines.packages.child_process.output", lambda command: "")
    with pytest.raises(PackageUnreachable, match=r"no wheel of routemoa-absent==9\.9"):
        packages._download("routemoa-absent", "9.9", tmp_path)


def test_a_truncated_cache_is_downloaded_again(toy, tmp_path):
    """A file of another size than the pinned one is not used."""
    folder = fetch(toy, tmp_path / "cache")
    (folder / "a.txt").write_bytes(b"a")
    assert (fetch(toy, tmp_path / "cache") / "a.txt").read_bytes() == b"aaa"


def test_parts_are_joined(index, tmp_path):
    """A file cut over packages comes out whole, and no part stays behind."""
    folder = fetch(three_parts(index), tmp_path / "cache")
    assert (folder / "weights.gguf").read_bytes() == b"first" * 10 + b"second" * 10 + b"third" * 3
    assert [path.name for path in folder.iterdir()] == ["weights.gguf"]


def test_a_stopped_download_goes_on_after_its_last_whole_part(index, tmp_path):
    """Part 1 is not fetched twice: it may even be gone from the index."""
    parts = three_parts(index)
    first, second = (index / f"routemoa_part{number}-1.0-py3-none-any.whl" for number in (1, 2))
    second.rename(tmp_path / second.name)
    with pytest.raises(PackageUnreachable, match="routemoa-part2"):
        fetch(parts, tmp_path / "cache")
    (tmp_path / second.name).rename(second)
    first.unlink()
    assert (fetch(parts, tmp_path / "cache") / "weights.gguf").stat().st_size == parts.bytes


def test_a_joined_archive_leaves_its_pinned_files_alone(index, tmp_path):
    """Parts of a zip file: of what is in it the pinned files are kept, without their folder; the zip file is not."""
    archive = tmp_path / "whole.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("toy/config.json", "{}")
        zipped.writestr("toy/1_Pooling/config.json", "{ }")
        zipped.writestr("toy/unused.bin", "x" * 100)
    content = archive.read_bytes()
    halves = [content[:150], content[150:]]
    for number, half in enumerate(halves, start=1):
        wheel(index, f"routemoa-zip{number}", {f"zip{number}/toy.zip.{number}": half})
    cut = SplitPackage(
        name="toy",
        project="routemoa-zip{number}",
        version="1.0",
        licence="MIT",
        member="zip{number}/toy.zip.{number}",
        file="toy.zip",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        parts=tuple(hashlib.sha256(half).hexdigest() for half in halves),
        strip="toy",
        files={"toy/config.json": pin(b"{}"), "toy/1_Pooling/config.json": pin(b"{ }")},
    )
    folder = fetch(cut, tmp_path / "cache")
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == ["1_Pooling/config.json", "config.json"]
    for half in index.glob("*.whl"):
        half.unlink()
    assert fetch(cut, tmp_path / "cache") == folder
    wrong = cut.model_copy(update={"files": {"toy/config.json": pin(b"[]")}})
    for number, half in enumerate(halves, start=1):
        wheel(index, f"routemoa-zip{number}", {f"zip{number}/toy.zip.{number}": half})
    with pytest.raises(PackageRefused, match=r"toy/config\.json has sha256"):
        fetch(wrong, tmp_path / "other")
    assert not (tmp_path / "other/packages/toy-1.0/toy.zip").exists()


def test_a_wrong_part_is_refused_and_not_joined(index, tmp_path):
    """The part that is not the pinned one is named; what was right before it stays."""
    parts = three_parts(index)
    wheel(index, "routemoa-part2", {"part2/part02.bin": b"tampered"})
    with pytest.raises(PackageRefused, match=r"part2/part02\.bin has sha256"):
        fetch(parts, tmp_path / "cache")
    assert (tmp_path / "cache/packages/joined-1.0/weights.gguf.partial").read_bytes() == b"first" * 10


def test_two_callers_at_once_get_the_same_whole_folder(toy, tmp_path):
    """The second waits for the first instead of downloading into it."""
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(toy, tmp_path / "cache"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert (found[0] / "a.txt").read_bytes() == b"aaa"


def test_an_unknown_name_gets_near_matches():
    """A typing error is answered with what was meant."""
    with pytest.raises(PackageRefused, match=r"No pinned package 'smollm2-135'.*smollm2-135m"):
        packages.weights("smollm2-135")


def test_the_pins_are_those_of_the_named_weights():
    """The large weights' hashes are the contract: their uploader is unknown."""
    split = packages.pins().split
    assert split["qwen2.5-coder-0.5b"].sha256 == "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
    assert split["qwen2.5-coder-1.5b"].sha256 == "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
    assert [len(split[name].parts) for name in ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")] == [6, 22]
    mpnet = split["all-mpnet-base-v2"].files["all-mpnet-base-v2/model.safetensors"]
    assert mpnet.sha256 == "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"  # that of its publisher's repository


def test_the_default_encoder_comes_out_of_its_package():
    """The packaged MiniLM is the one everybody has: same weights, with tokenizer and licence."""
    try:
        folder = packages.encoder_folder("all-MiniLM-L6-v2")
    except PackageUnreachable as exc:
        pytest.skip(str(exc))
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    assert found == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert {"config.json", "tokenizer.json", "vocab.txt"} <= {path.name for path in folder.iterdir()}
    assert list(folder.rglob("LICENSE"))
