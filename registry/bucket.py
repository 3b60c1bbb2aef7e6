"""Files kept in S3: `python -m registry.bucket NAME` makes a bucket. `AWS_*` variables name the server and log in."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from registry import extras
from registry.errors import StorageFailed
from scorer.errors import RouteMoAError

SCHEME = "s3"


@dataclass(frozen=True)
class Bucket:
    """What lies in a bucket below `prefix`. endpoint: of a server that is not the one AWS_ENDPOINT_URL names, nor Amazon's.

    Raises StorageFailed where the server refuses or does not answer, ExtraMissing without `routemoa[s3]`.
    """

    name: str
    prefix: str = ""
    endpoint: str | None = None

    @classmethod
    def at(cls, url: str, endpoint: str | None = None) -> "Bucket":
        """The place that `s3://BUCKET/PREFIX` names."""
        parts = urlsplit(url)
        if parts.scheme != SCHEME or not parts.netloc:
            raise StorageFailed(f"{url} is no place in S3.", next_step="Write s3://BUCKET/PREFIX.")
        return cls(parts.netloc, parts.path.strip("/"), endpoint)

    def make(self) -> bool:
        """Makes the bucket; whether it was not there. Whoever may use it need not be allowed to list all others."""
        with self._failing():
            from botocore.exceptions import ClientError

            try:
                self._client.head_bucket(Bucket=self.name)
            except ClientError as exc:
                if exc.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
                    raise
                self._client.create_bucket(Bucket=self.name)
                return True
            return False

    def names(self) -> list[str]:
        """Every object's key, without the prefix; what consoles leave for an empty folder, a key with a slash at its end, is none."""
        start = f"{self.prefix}/" if self.prefix else ""
        with self._failing():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=start)
            keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return [key.removeprefix(start) for key in keys if not key.endswith("/")]

    def download(self, folder: Path) -> int:
        """Copies everything into `folder`; how many objects."""
        keys = self.names()
        with self._failing():
            for key in keys:
                target = folder / key
                if not target.resolve().is_relative_to(folder.resolve()):
                    raise StorageFailed(
                        f"s3://{self.name}: the key {key!r} would be written outside of {folder}.",
                        next_step="No platform wrote it: find out who did, and remove it.",
                    )
                target.parent.mkdir(parents=True, exist_ok=True)
                self._client.download_file(self.name, self._key(key), str(target))
        return len(keys)

    def upload(self, folder: Path) -> int:
        """Copies every file of `folder` into it; how many."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        with self._failing():
            for path in files:
                self._client.upload_file(str(path), self.name, self._key(path.relative_to(folder).as_posix()))
        return len(files)

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    @cached_property
    def _client(self) -> Any:
        extras.need("s3")
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        extras.need("s3")
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError) as exc:
            next_step = "See AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and whether the server runs."
            raise StorageFailed(f"s3://{self.name}: {exc}", next_step=next_step) from exc


def main() -> None:
    """Exit code 1 with a sentence where it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m registry.bucket", description=__doc__)
    parser.add_argument("name")
    bucket = Bucket(parser.parse_args().name)
    try:
        print(f"s3://{bucket.name} " + ("is made" if bucket.make() else "is there"))
    except RouteMoAError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
