"""Opens a user's file whatever it is packed in: as it is, compressed by gzip, or several files in a ZIP archive; read as it streams by.

What else it may be packed in is refused with what unpacks it.
"""

import codecs
import gzip
import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from pipelines.errors import ImportRefused

HEAD = 512  # bytes that tell what a file is
MOST_UNPACKED = 1 << 35  # bytes of one file or archive when unpacked, 32 GiB: a bomb is refused and not read to its end
CHUNK = 1 << 20
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError)
WORKBOOKS = {".xlsx", ".xlsm", ".ods"}

_BYTE_ORDER_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_UNPACKED_BY = (  # (how it begins, where, what it is, what unpacks it)
    (b"\x28\xb5\x2f\xfd", 0, "compressed by zstd", "zstd -d {}"),
    (b"BZh", 0, "compressed by bzip2", "bunzip2 {}"),
    (b"\xfd7zXZ\x00", 0, "compressed by xz", "xz -d {}"),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", "7z x {}"),
    (b"ustar", 257, "a tar archive", "tar xf {}"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or one of an archive: `head` is how it begins. open: its bytes from the start, unpacked."""

    path: Path
    name: str
    head: bytes
    open: Callable[[], BinaryIO]

    @property
    def encoding(self) -> str:
        """As its byte order mark says, else UTF-8."""
        return next((name for mark, name in _BYTE_ORDER_MARKS if self.head.startswith(mark)), "utf-8")

    @property
    def shown(self) -> Path:
        """What it is called in an error: a file of an archive as if that were a folder."""
        return self.path if self.name == self.path.name else self.path / self.name

    def text(self) -> TextIO:
        """Its text from the start; line ends are as they are."""
        return io.TextIOWrapper(self.open(), self.encoding, newline="")


def parts(path: Path) -> Iterator[Part]:
    """The file at `path`, or the files in the archive there; what a pipe brings is kept in a file meanwhile. Raises ImportRefused."""
    if path.is_dir():
        raise ImportRefused(f"{path}: is a folder.", next_step=f"Name the files in it: {path}/*.jsonl")
    if path.exists() and not path.is_file():
        with tempfile.NamedTemporaryFile(prefix="routemoa-pipe-") as kept:
            with path.open("rb") as piped:
                shutil.copyfileobj(piped, kept)
            kept.flush()
            yield from parts(Path(kept.name))
        return
    with readable(path):
        head = _head(lambda: path.open("rb"))
        archive, packed = head.startswith(_ZIP), head.startswith(_GZIP)
        if packed:
            head = _head(lambda: _gunzipped(path))
    if not head:
        raise ImportRefused(f"{path}: is empty.", next_step="Export it again.")
    if archive:
        if path.suffix.lower() in WORKBOOKS:
            raise ImportRefused(f"{path}: is an Excel workbook.", next_step="Save the sheet as CSV (UTF-8).")
        yield from _inside(path)
        return
    _refuse_packed(path, path.name, head)
    yield Part(path, path.name, head, (lambda: _gunzipped(path)) if packed else (lambda: path.open("rb")))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What goes wrong with the file in here is an ImportRefused."""
    try:
        yield
    except DAMAGED as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise ImportRefused(f"{path}: cannot be read ({exc.strerror or exc}).", next_step="Check the path.") from exc
        with path.open("rb") as raw:
            what = "is compressed by gzip and" if raw.read(2) == _GZIP else "is an archive and"
        raise ImportRefused(f"{path}: {what} damaged or cut off ({exc}).", next_step="Write or fetch it again.") from exc


def misencoded(part: Part) -> ImportRefused:
    """Where the first byte is that the part's encoding does not have."""
    decoder = codecs.getincrementaldecoder(part.encoding)()
    at, lines = 0, 1
    with part.open() as raw:
        while True:
            chunk = raw.read(CHUNK)
            kept = decoder.getstate()[0]
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as exc:
                place, lines = at - len(kept) + exc.start, lines + (kept + chunk)[: exc.start].count(b"\n")
                what = f"{part.shown}, line {lines}: byte {place} is not {part.encoding.removesuffix('-sig').upper()}."
                return ImportRefused(what, next_step="Save the file as UTF-8.")
            if not chunk:
                raise AssertionError(part.name)
            at, lines = at + len(chunk), lines + chunk.count(b"\n")


def _inside(path: Path) -> Iterator[Part]:
    """The files in a ZIP archive, by name. Raises ImportRefused where it is a workbook, encrypted, too large or holds archives."""
    with readable(path), zipfile.ZipFile(path) as archive:
        files = [each for each in archive.infolist() if not each.is_dir() and not _hidden(each.filename)]
        if any(each.filename == "[Content_Types].xml" for each in files):
            raise ImportRefused(f"{path}: is an Excel workbook.", next_step="Save the sheet as CSV (UTF-8).")
        if any(each.flag_bits & 1 for each in files):
            raise ImportRefused(f"{path}: is encrypted.", next_step=f"Unpack it and name its files: unzip {path}")
        if (size := sum(each.file_size for each in files)) > MOST_UNPACKED:
            raise _too_large(path, size)
        if not files:
            raise ImportRefused(f"{path}: is an archive without a file.", next_step="Pack it again.")
    for each in sorted(files, key=lambda info: info.filename):

        def opened(name: str = each.filename) -> BinaryIO:
            return io.BufferedReader(_Bounded(zipfile.ZipFile(path).open(name), path))  # the member holds the archive open

        with readable(path):
            head = _head(opened)
        if head.startswith((_GZIP, _ZIP)):
            raise ImportRefused(f"{path}: {each.filename} in it is packed again.", next_step=f"Unpack it and name its files: unzip {path}")
        _refuse_packed(path, each.filename, head)
        yield Part(path, each.filename, head, opened)


def _hidden(name: str) -> bool:
    """What a system puts beside people's files when it packs a folder."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _refuse_packed(path: Path, name: str, head: bytes) -> None:
    for magic, at, what, command in _UNPACKED_BY:
        if head[at:].startswith(magic):
            inside = f"{name} in it " if name != path.name else ""
            raise ImportRefused(f"{path}: {inside}is {what}.", next_step=f"Unpack it and name what was in it: {command.format(path)}")


def _gunzipped(path: Path) -> BinaryIO:
    return io.BufferedReader(_Bounded(gzip.open(path), path))


def _head(opened: Callable[[], BinaryIO]) -> bytes:
    with opened() as raw:
        return raw.read(HEAD)


def _too_large(path: Path, size: int) -> ImportRefused:
    what = f"{path}: is {size >> 30} GiB when it is unpacked; at most {MOST_UNPACKED >> 30} GiB are read of what is packed."
    return ImportRefused(what, next_step="Unpack it, look what it is, and name its files.")


class _Bounded(io.RawIOBase):
    """The bytes of `inner`, as long as there are no more than MOST_UNPACKED."""

    def __init__(self, inner: object, path: Path) -> None:
        self._inner, self._path, self._count = inner, path, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Raises ImportRefused past the bound."""
        chunk: bytes = self._inner.read(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(chunk)] = chunk
        self._count += len(chunk)
        if self._count > MOST_UNPACKED:
            raise _too_large(self._path, self._count)
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._inner.close()  # type: ignore[attr-defined]
        super().close()
