"""Weights from the Hugging Face hub: a hub of the test's own, real client."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines import embeddings, hub, packages, params
from pipelines.errors import PackageUnreachable
from pipelines.hub import HubFile
from pipelines.packages import SplitPackage
from scorer.errors import EncoderUnknown
from tests.pipelines.trained_home import write_encoder

CONTENT = b"weights" * 1000


class _Hub(BaseHTTPRequestHandler):
    """Serves CONTENT as weights.gguf of any repository, as the hub does: size and hash in headers."""

    def do_HEAD(self) -> None:
        self.head()

    def do_GET(self) -> None:
        self.head()
        if self.path.endswith("weights.gguf"):
            self.wfile.write(CONTENT)

    def head(self) -> None:
        self.send_response(200 if self.path.endswith("/resolve/main/weights.gguf") else 404)
        self.send_header("content-length", str(len(CONTENT) if self.path.endswith("weights.gguf") else 0))
        self.send_header("etag", f'"{hashlib.sha256(CONTENT).hexdigest()}"')
        self.send_header("x-repo-commit", "c" * 40)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The hub's address, set for its client."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    yield url
    server.shutdown()
    server.server_close()


def wanted(content: bytes = CONTENT, file: str = "weights.gguf") -> SplitPackage:
    """Weights that the hub has; no index has their packages."""
    return SplitPackage(
        name="weights",
        project="routemoa-nowhere{number}",
        version="1.0",
        licence="MIT",
        member="x",
        file="weights.gguf",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        parts=("0" * 64,),
        hub=HubFile(repo="some/weights", file=file),
    )


@pytest.mark.usefixtures("endpoint")
def test_weights_come_from_the_hub_first(tmp_path: Path) -> None:
    """No package is asked for; only the file stays."""
    folder = packages.fetch(wanted(), tmp_path)
    assert (folder / "weights.gguf").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["weights.gguf"]


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("other", [wanted(CONTENT + b"!"), wanted(b"W" + CONTENT[1:]), wanted(file="none.gguf")])
def test_another_file_is_not_taken(other: SplitPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another size, of another hash, or not there: the packages are asked."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(PackageUnreachable):
        packages.fetch(other, tmp_path)
    assert not list(tmp_path.rglob("weights.gguf"))


def test_a_hub_out_of_reach_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing raised, nothing left behind."""
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    assert hub.download(HubFile(repo="some/weights", file="weights.gguf"), 1, tmp_path) is None
    assert not list(tmp_path.iterdir())


def named(encoder: str) -> params.Train:
    """The project's settings with another encoder."""
    return params.load(Path("params.yaml")).train.model_copy(update={"encoder": encoder})


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's client has nothing."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.usefixtures("empty_cache")
def test_an_encoder_on_a_hub_out_of_reach_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No retries: what was asked for, that the hub does not answer, and what can be set instead."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        EncoderUnknown, match=r"BAAI/bge-small-en-v1\.5.*out of reach.*packaged:all-MiniLM-L6-v2, packaged:all-mpnet-base-v2"
    ):
        embeddings.load_encoder(named("BAAI/bge-small-en-v1.5"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderUnknown, match="HF_HUB_OFFLINE is set"):
        embeddings.load_encoder(named("../no/such folder"))


def test_an_encoder_that_was_fetched_before_needs_no_hub(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder in the client's cache is read where the hub does not answer."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    snapshot = empty_cache / "models--some--encoder" / "snapshots" / ("c" * 40)
    write_encoder(snapshot)
    refs = empty_cache / "models--some--encoder" / "refs"
    refs.mkdir()
    (refs / "main").write_text("c" * 40)
    assert embeddings.load_encoder(named("some/encoder")).dims == 32
