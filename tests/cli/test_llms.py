"""`routemoa add-llm` and `routemoa retrain`: what they say, what they write, which job they start."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from cli.main import commands
from pipelines import tables
from registry import pool
from registry.jobs import Jobs
from tests.mixture.client.misbehaving import completion

ROOT = Path(__file__).parents[2]
PRICE = ("--input-price", "0.1", "--output-price", "0.2")


class Ready(BaseHTTPRequestHandler):
    """An endpoint that answers its probe."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(completion("ready")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the pool we ship and 1,000 queries."""
    (tmp_path / "registry").mkdir()
    shutil.copy(ROOT / "registry" / "pool.yaml", tmp_path / "registry" / "pool.yaml")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    ids = [f"q{n}" for n in range(1000)]
    columns = ("text", "dataset", "domain", "language", "reference", "grader", "source", "licence")
    queries = pd.DataFrame({"query_id": ids, "choices": None, **dict.fromkeys(columns, "x")})[tables.QUERIES.names]
    tables.write(tmp_path / "data" / "queries.parquet", queries, tables.QUERIES)
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path))
    return tmp_path


def said(*arguments: str) -> Result:
    result = CliRunner().invoke(commands, list(arguments))
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(
    ("options", "trained", "max_training_queries", "says"),
    [
        ((), "row", 400, "It is to be asked 400 of 1000 queries of the pool; then its row of the scorer is fitted"),
        (("--max-training-queries", "2000"), "row", 2000, "It is to be asked 1000 of 1000"),
        (("--full",), "jointly", None, "It is to be asked 1000 of 1000 queries of the pool; then the whole scorer is trained anew"),
    ],
)
def test_adding_an_llm_says_how_many_queries_it_will_be_asked(
    home: Path, endpoint: str, options: tuple[str, ...], trained: str, max_training_queries: int | None, says: str
) -> None:
    """By default few and by its row; `--full` all and the whole scorer; the entry has it in writing, a job waits."""
    told = said("add-llm", "new", "--base-url", endpoint, "--served-name", "m", *PRICE, *options).output
    assert says in told
    llm = pool.load(home / "registry" / "pool.yaml").by_id("new")
    assert (llm.trained, llm.max_training_queries) == (trained, max_training_queries)
    (job,) = Jobs(home / "var" / "jobs.db").list()
    assert job.id in told


def test_an_llm_is_retired_repriced_and_moved_by_one_command(home: Path) -> None:
    """What is named changes, half an endpoint and nothing at all are refused, and no job is started."""
    file = home / "registry" / "pool.yaml"
    assert "has another status in" in said("set-llm", "smollm2-135m", "--status", "retired").output
    assert pool.load(file).by_id("smollm2-135m").status == "retired"
    said("set-llm", "smollm2-135m", "--status", "active", *PRICE, "--base-url", "http://127.0.0.1:9/v1", "--served-name", "other")
    llm = pool.load(file).by_id("smollm2-135m")
    assert (llm.status, llm.price.output, llm.endpoint and llm.endpoint.served_name) == ("active", 0.2, "other")
    before = file.read_text()
    for wrong in ((), ("--served-name", "m"), ("--input-price", "1"), ("--status", "gone")):
        assert CliRunner().invoke(commands, ["set-llm", "smollm2-135m", *wrong]).exit_code == 2
    assert file.read_text() == before
    assert not Jobs(home / "var" / "jobs.db").list()


def test_how_an_llm_judges_is_said_when_it_joins_and_changed_later(home: Path, endpoint: str) -> None:
    """One of three words; another is refused by its name, and nothing is written."""
    joining = ("add-llm", "new", "--base-url", endpoint, "--served-name", "m", *PRICE, "--no-retrain")
    refused = CliRunner().invoke(commands, [*joining, "--self-assessment", "jsonschema"])
    assert isinstance(refused.exception, pool.PoolRefused)
    assert "self_assessment" in str(refused.exception)
    assert "jsonschema" in str(refused.exception)
    said(*joining, "--self-assessment", "json_schema")
    assert pool.load(home / "registry" / "pool.yaml").by_id("new").self_assessment == "json_schema"
    told = said("set-llm", "new", "--self-assessment", "none").output
    assert "new has another way to judge in" in told
    assert "retrain" not in told
    assert pool.load(home / "registry" / "pool.yaml").by_id("new").self_assessment == "none"


def test_full_retraining_is_one_command(home: Path, endpoint: str) -> None:
    """It says whose mark it removed and starts the job; without `--full` the pool file stays as it is."""
    said("add-llm", "new", "--base-url", endpoint, "--served-name", "m", *PRICE, "--no-retrain")
    before = (home / "registry" / "pool.yaml").read_text()
    said("retrain", "--reason", "fresh answers")
    assert (home / "registry" / "pool.yaml").read_text() == before
    assert "Trained with all others from now on: new." in said("retrain", "--full").output
    assert pool.load(home / "registry" / "pool.yaml").by_id("new").trained == "jointly"
    assert [job.arguments["reason"] for job in Jobs(home / "var" / "jobs.db").list()] == ["fresh answers", "a person asked for it"]
