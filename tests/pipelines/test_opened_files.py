"""What a log comes packed in: gzip and ZIP are read as they stream by, the rest is refused with what unpacks it."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from pipelines.errors import ImportRefused
from pipelines.imports.import_logs import read
from pipelines.logs import progress
from pipelines.user_files import content, json_text, opened
from tests.pipelines.logs import samples

ROWS = samples.lines([samples.LITELLM[0] | {"request_id": f"r{at}"} for at in range(3)])


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return path


def tarred(raw: bytes, mode: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        info = tarfile.TarInfo("log.jsonl")
        info.size = len(raw)
        archive.addfile(info, io.BytesIO(raw))
    return packed.getvalue()


def test_a_zip_archive_of_logs_is_read_file_after_file(tmp_path: Path) -> None:
    """In the order of their names, whatever each is; folders and what macOS adds are none."""
    first, second = ROWS.splitlines(keepends=True)[:1], ROWS.splitlines(keepends=True)[1:]
    files = {"logs/b.json": json.dumps([json.loads(row) for row in second]).encode(), "logs/a.jsonl": "".join(first).encode()}
    path = zipped(tmp_path / "logs.zip", files | {"__MACOSX/._a.jsonl": b"\0\1", "logs/.DS_Store": b"\0\1", "logs/": b""})
    assert [call.call_id for call in read("litellm", [path])[1].calls] == ["r0", "r1", "r2"]
    assert [row.number for row in content.rows(path)] == [1, 2, 3]


def test_an_error_names_the_file_in_the_archive(tmp_path: Path) -> None:
    """Whoever packed fifty wants to know which."""
    path = zipped(tmp_path / "logs.zip", {"logs/a.jsonl": ROWS.encode(), "logs/b.jsonl": b'{"x": 1}\n{"x" 2}\n'})
    with pytest.raises(ImportRefused, match=r"logs\.zip/logs/b\.jsonl: row 2 is not JSON"):
        list(content.rows(path))


def test_a_pipe_is_read_once_and_whole(tmp_path: Path) -> None:
    """`<(zstd -dc log.zst)`: its start is not lost by looking what it is; a name may hold braces."""
    pipe = tmp_path / "{log}"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=(ROWS * 2_000,))
    writing.start()
    assert sum(1 for _ in content.rows(pipe)) == 6_000
    writing.join()


def test_a_name_with_braces_is_told_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In the line that says how far a long file is read."""
    monkeypatch.setattr(progress, "FIRST_S", 0.0)
    path = tmp_path / "a{b}.jsonl"
    path.write_text("".join(samples.lines([samples.LITELLM[0] | {"request_id": f"r{at}"}]) for at in range(600)))
    assert len(read("litellm", [path])[1].calls) == 600
    assert "a{b}.jsonl: 500 rows so far" in capsys.readouterr().err


@pytest.mark.parametrize(
    "raw",
    [
        gzip.compress(ROWS.encode()),
        ROWS.encode("utf-8-sig"),
        ROWS.encode("utf-16"),
        ROWS.replace("\n", "\r\n").encode(),
        json.dumps([json.loads(row) for row in ROWS.splitlines()], indent=2).encode(),
        json.dumps({"data": [json.loads(row) for row in ROWS.splitlines()]}).encode(),
    ],
    ids=["gzip", "byte order mark", "UTF-16", "CRLF", "a list", "a list within an object"],
)
def test_a_log_is_the_same_however_it_is_written(tmp_path: Path, raw: bytes) -> None:
    """Told by what it holds, not by its name."""
    (tmp_path / "log").write_bytes(raw)
    assert [call.call_id for call in read("litellm", [tmp_path / "log"])[1].calls] == ["r0", "r1", "r2"]


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("a.zst", b"\x28\xb5\x2f\xfd" + b"x" * 20, r"compressed by zstd.*zstd -d .*a\.zst"),
        ("a.bz2", bz2.compress(ROWS.encode()), r"compressed by bzip2.*bunzip2 "),
        ("a.xz", lzma.compress(ROWS.encode()), r"compressed by xz.*xz -d "),
        ("a.tar", tarred(ROWS.encode(), "w"), r"a tar archive.*tar xf "),
        ("a.tar.gz", tarred(ROWS.encode(), "w:gz"), r"a tar archive.*tar xf "),
        ("a.gz", gzip.compress(ROWS.encode())[:-20], r"compressed by gzip and damaged or cut off"),
        ("a.zip", b"PK\x03\x04 and no more", r"is an archive and damaged or cut off"),
        ("a.jsonl", b"", r"is empty"),
        ("a.jsonl", ROWS.encode()[:-40], r"row 3 is not JSON \(.*line 3\)\..*may be cut off.*head -n -1 "),
        ("a.jsonl", ROWS.encode() + b'{"id": "\xff"}\n', r"line 4: byte \d+ is not UTF-8"),
        ("a.jsonl", b"[" + ROWS.splitlines()[0].encode(), r"row 2 is not JSON \(a list that does not end"),
        ("a.jsonl", samples.lines(samples.LANGFUSE).encode(), r"row 1 is not of a spend log of LiteLLM"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    """What it is, where it breaks, and the command that unpacks it."""
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(ImportRefused, match=said):
        read("litellm", [tmp_path / name])


def test_a_folder_of_logs_is_named_by_its_files(tmp_path: Path) -> None:
    """A folder is no log."""
    with pytest.raises(ImportRefused, match=r"is a folder.*\*\.jsonl"):
        read("litellm", [tmp_path])


@pytest.mark.parametrize("source", ["opencompass", "llmrouterbench"])
def test_result_files_are_unpacked_first(tmp_path: Path, source: str) -> None:
    """Their folders say which LLM and data set they are of."""
    with pytest.raises(ImportRefused, match=r"is an archive.*unzip .*run\.zip"):
        read(source, [zipped(tmp_path / "run.zip", {"predictions/a/b.json": b"{}"})])


def test_a_workbook_and_an_archive_within_an_archive_are_refused(tmp_path: Path) -> None:
    """Each with its own advice."""
    with pytest.raises(ImportRefused, match=r"Excel workbook.*Save the sheet as CSV"):
        content.read(zipped(tmp_path / "q.zip", {"[Content_Types].xml": b"<x/>"}))
    with pytest.raises(ImportRefused, match=r"inner\.gz in it is packed again.*unzip "):
        content.read(zipped(tmp_path / "r.zip", {"inner.gz": gzip.compress(b"{}")}))
    with pytest.raises(ImportRefused, match="archive without a file"):
        content.read(zipped(tmp_path / "s.zip", {"folder/": b""}))


def test_a_bomb_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive by what it says of itself, gzip by what comes out of it."""
    monkeypatch.setattr(opened, "MOST_UNPACKED", 1 << 20)
    bomb = b'{"a": "' + b" " * (1 << 22) + b'"}'
    with pytest.raises(ImportRefused, match="at most 0 GiB are read of what is packed"):
        content.read(zipped(tmp_path / "bomb.zip", {"log.jsonl": bomb}))
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bomb))
    with pytest.raises(ImportRefused, match="at most 0 GiB are read of what is packed"):
        content.read(tmp_path / "bomb.gz")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_json_comes_out_the_same_in_pieces_of_any_size(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut within words, numbers, escapes and spaces; a list gives its items."""
    monkeypatch.setattr(json_text, "CHUNK", size)
    text = '{"a": "\\u00e9\\\\ \\ud83d\\ude00", "n": -12.5e3, "t": true}\n [ {"b": null} , {"c": [1, 23]} ]\r\n{"d": NaN}'
    rows = list(json_text.rows(tmp_path, io.StringIO(text)))
    assert [list(row) for row in rows] == [["a", "n", "t"], ["b"], ["c"], ["d"]]
    assert rows[0] == {"a": "é\\ 😀", "n": -12500.0, "t": True}
    assert rows[2] == {"c": [1, 23]}
    assert list(json_text.values(tmp_path, io.StringIO("12 345 [6]"))) == [12, 345, [6]]
