"""Files in S3, against a real S3 server process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.bucket import Bucket
from registry.errors import StorageFailed
from tests.servers import s3

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    """An S3 server of this module's own."""
    with s3.running(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(server: s3.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its clients read."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


def test_what_is_uploaded_is_downloaded(tmp_path: Path) -> None:
    """Below one prefix, with folders; what lies beside it stays out."""
    (tmp_path / "from" / "models" / "1").mkdir(parents=True)
    (tmp_path / "from" / "models" / "1" / "a.bin").write_bytes(b"\0" * 100)
    (tmp_path / "from" / "note").write_text("x")
    place, other = Bucket.at("s3://kept/mlflow/"), Bucket.at("s3://kept/mlflow2")
    assert (place.make(), place.make()) == (True, False)
    assert (place.upload(tmp_path / "from"), other.upload(tmp_path / "from" / "models")) == (2, 1)
    assert sorted(place.names()) == ["models/1/a.bin", "note"]
    assert place.download(tmp_path / "to") == 2
    assert (tmp_path / "to" / "models" / "1" / "a.bin").read_bytes() == b"\0" * 100


def test_a_folder_that_a_console_made_is_no_file(tmp_path: Path, server: s3.S3) -> None:
    """Its key ends with a slash; what lies in it is copied."""
    place = Bucket("consoles")
    place.make()
    for key in ("models/", "models/a.bin"):
        place._client.put_object(Bucket="consoles", Key=key, Body=b"")
    assert place.download(tmp_path) == 1
    assert (tmp_path / "models" / "a.bin").is_file()


def test_a_bucket_is_looked_for_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that may use one bucket seldom may list all."""
    place = Bucket("mine")

    def refused(**_: object) -> None:
        raise AssertionError("asked for all buckets")

    monkeypatch.setattr(place._client, "list_buckets", refused)
    assert (place.make(), place.make()) == (True, False)


def test_a_key_does_not_lead_out_of_the_folder(tmp_path: Path, server: s3.S3) -> None:
    """Whoever can write into a bucket does not thereby write elsewhere on this disk."""
    place = Bucket("traversal")
    place.make()
    place._client.put_object(Bucket="traversal", Key="../../escaped", Body=b"x")
    with pytest.raises(StorageFailed, match=r"the key '\.\./\.\./escaped' would be written outside"):
        place.download(tmp_path / "a" / "b")
    assert not (tmp_path / "escaped").exists()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """The bucket and where to look."""
    with pytest.raises(StorageFailed, match=r"^s3://nowhere: .*NoSuchBucket.* See AWS_ENDPOINT_URL"):
        Bucket("nowhere").download(tmp_path)
    with pytest.raises(StorageFailed, match=r"^/srv/files is no place in S3\. Write s3://BUCKET/PREFIX\.$"):
        Bucket.at("/srv/files")


def test_the_command_makes_it_once() -> None:
    """As a service that runs before MLflow does."""
    said = [
        subprocess.run([sys.executable, "-m", "registry.bucket", "by-command"], capture_output=True, text=True, check=True) for _ in "ab"
    ]
    assert [each.stdout for each in said] == ["s3://by-command is made\n", "s3://by-command is there\n"]
