"""Files that are there whole or not at all: written beside, then put in place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Where to write what takes the place of `path` at the end; after an error `path` is as it was. Makes its folder.

    durable: flushed to the disk before it takes the place, so that after a power cut one of the two is there whole. Otherwise a machine
    that loses power may lose both. Of processes that write one path at the same time the last one wins; of threads only one may.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        if durable:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
