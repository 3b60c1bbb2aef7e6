"""`routemoa llms`, `add-llm`, `set-llm` and `retrain`: what they print, what they write, which job they start."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner

from cli.errors import Unconfirmed
from cli.main import commands
from pipelines import tables
from registry import pool
from registry.errors import JoiningRefused, LLMUnknown, PoolRefused, PriceUnknown
from registry.jobs import Jobs
from tests.cli.command_line import WIDE, output, refusal, usage_error
from tests.mixture.client.misbehaving import completion

CLOSED = "http://127.0.0.1:9/v1"  # nothing listens there
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
def home(home: Path) -> Path:
    """The project with 1,000 queries."""
    ids = [f"q{n}" for n in range(1000)]
    columns = ("text", "dataset", "domain", "language", "reference", "grader", "source", "licence")
    queries = pd.DataFrame({"query_id": ids, "choices": None, **dict.fromkeys(columns, "x")})[tables.QUERIES.names]
    tables.write(home / "data" / "queries.parquet", queries, tables.QUERIES)
    return home


def add(endpoint: str, *options: str) -> tuple[str, ...]:
    """The arguments by which `new` joins on `endpoint`."""
    return ("add-llm", "new", "--base-url", endpoint, "--served-name", "m", *options)


@pytest.mark.parametrize(
    ("options", "trained", "max_training_queries", "says"),
    [
        ((), "row", 400, ("Asking it 400 of 1000 queries costs", "then its row of the scorer is fitted")),
        (("--max-training-queries", "2000"), "row", 2000, ("Asking it 1000 of 1000 queries costs",)),
        (("--full",), "jointly", None, ("Asking it 1000 of 1000 queries costs", "then the whole scorer is trained anew")),
    ],
)
def test_adding_an_llm_says_how_many_queries_it_will_be_asked(
    home: Path, endpoint: str, options: tuple[str, ...], trained: str, max_training_queries: int | None, says: tuple[str, ...]
) -> None:
    """By default few and by its row; `--full` all and the whole scorer; the entry has it in writing, a job waits."""
    printed = output(*add(endpoint, *PRICE, "--yes", *options))
    assert all(part in printed for part in says)
    llm = pool.load(home / "registry" / "pool.yaml").by_id("new")
    assert (llm.trained, llm.max_training_queries) == (trained, max_training_queries)
    (job,) = Jobs.in_file(home / "var" / "jobs.db").list()
    assert job.id in printed


def test_an_llm_joins_only_for_a_price_that_somebody_agreed_to(home: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The price is printed before anything is written; where nobody can be asked it takes --yes, where a person says no nothing changes."""
    file, arguments = home / "registry" / "pool.yaml", add(endpoint, *PRICE, "--max-tokens", "100")
    before = file.read_text()
    unconfirmed = refusal(Unconfirmed, *arguments)
    assert unconfirmed.what == "Nobody is here to agree to that price; new was not added."
    assert "--yes" in unconfirmed.next_step
    assert file.read_text() == before

    monkeypatch.setattr("cli.llms.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    declined = CliRunner().invoke(commands, list(arguments), input="n\n", env=WIDE)
    # 400 queries of one character: 5 tokens each at $0.1 a million; 100 tokens an answer, as nothing is recorded, at $0.2
    price = "Asking it 400 of 1000 queries costs about $0.0082 (2,000 tokens in, 40,000 out, if all answers are that long), at most $0.0082"
    assert price in declined.output
    assert (declined.exit_code, file.read_text()) == (1, before)
    assert not Jobs.in_file(home / "var" / "jobs.db").list()
    agreed = CliRunner().invoke(commands, list(arguments), input="y\n", env=WIDE)
    assert agreed.exit_code == 0, agreed.output
    assert pool.load(file).by_id("new").name == "new"
    assert [job.arguments["llm"] for job in Jobs.in_file(home / "var" / "jobs.db").list()] == ["new"]


def test_a_closed_port_is_one_error(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its retries print nothing: the error says what came of them."""
    assert "does not take connections" in str(refusal(JoiningRefused, *add(CLOSED, *PRICE, "--yes")))
    printed = capfd.readouterr()
    assert "retry" not in printed.out + printed.err


def test_an_llm_is_retired_repriced_and_moved_by_one_command(home: Path) -> None:
    """What is named changes, half an endpoint and nothing at all are refused, and no job is started."""
    file = home / "registry" / "pool.yaml"
    assert output("set-llm", "smollm2-135m", "--status", "retired").startswith(f"smollm2-135m is retired in {file}.\n")
    assert pool.load(file).by_id("smollm2-135m").status == "retired"
    changes = ("--status", "active", *PRICE, "--base-url", "http://127.0.0.1:9/v1", "--served-name", "other")
    assert f"smollm2-135m is active and has another endpoint and price in {file}." in output("set-llm", "smollm2-135m", *changes)
    llm = pool.load(file).by_id("smollm2-135m")
    assert (llm.status, llm.price.output, llm.endpoint and llm.endpoint.served_name) == ("active", 0.2, "other")
    before = file.read_text()
    for wrong in ((), ("--served-name", "m"), ("--input-price", "1"), ("--status", "gone")):
        usage_error("set-llm", "smollm2-135m", *wrong)
    assert file.read_text() == before
    assert not Jobs.in_file(home / "var" / "jobs.db").list()


def test_how_an_llm_judges_is_said_when_it_joins_and_changed_later(home: Path, endpoint: str) -> None:
    """One of three words; another is refused by its name, and nothing is written."""
    joining = add(endpoint, *PRICE, "--no-retrain")
    refused = str(refusal(pool.PoolRefused, *joining, "--self-assessment", "jsonschema"))
    assert "self_assessment" in refused
    assert "jsonschema" in refused
    output(*joining, "--self-assessment", "json_schema")
    assert pool.load(home / "registry" / "pool.yaml").by_id("new").self_assessment == "json_schema"
    printed = output("set-llm", "new", "--self-assessment", "none")
    assert "new has another way to judge in" in printed
    assert "retrain" not in printed
    assert pool.load(home / "registry" / "pool.yaml").by_id("new").self_assessment == "none"


def test_full_retraining_is_one_command(home: Path, endpoint: str) -> None:
    """It says whose mark it removed and starts the job; without `--full` the pool file stays as it is."""
    output(*add(endpoint, *PRICE, "--no-retrain"))
    before = (home / "registry" / "pool.yaml").read_text()
    output("retrain", "--reason", "fresh answers")
    assert (home / "registry" / "pool.yaml").read_text() == before
    assert "Trained with all others from now on: new." in output("retrain", "--full")
    assert pool.load(home / "registry" / "pool.yaml").by_id("new").trained == "jointly"
    assert [job.arguments["reason"] for job in Jobs.in_file(home / "var" / "jobs.db").list()] == ["fresh answers", "a person asked for it"]


def test_the_pool_is_listed_with_addresses_and_prices(home: Path) -> None:
    """Every LLM of the file, whatever stands in it: square brackets are text."""
    pool.change(home / "registry" / "pool.yaml", "smollm2-135m", {"name": "[bold]Small", "endpoint": None, "status": "retired"})
    printed = output("llms")
    for llm in pool.load(home / "registry" / "pool.yaml").llms:
        assert llm.id in printed
    assert "[bold]Small" in printed
    (row,) = [line for line in printed.splitlines() if "smollm2-135m " in line]
    assert "retired" in row
    assert "recorded" in row
    assert "0.01 / 0.02" in row


def test_options_are_written_and_the_rest_is_the_schemas(home: Path, endpoint: str) -> None:
    """What is named stands in the entry; what is not has the schema's default, not one of the command line."""
    options = ("--name", "New one", "--system", "Be brief.", "--max-tokens", "99", "--capability", "json", "--data-policy", "eu")
    output(*add(endpoint, *PRICE, *options, "--no-retrain"))
    llm = pool.load(home / "registry" / "pool.yaml").by_id("new")
    assert (llm.name, llm.prompt.system, llm.decoding.max_tokens, llm.capabilities) == ("New one", "Be brief.", 99, {"json"})
    assert llm.data_policy == {"eu"}
    plain = pool.PoolEntry(name="x", endpoint={"base_url": endpoint, "served_name": "m"}, price={"input": 1, "output": 1}).llm("x")
    assert (llm.decoding.temperature, llm.decoding.seed) == (plain.decoding.temperature, plain.decoding.seed)
    assert (llm.context_window, llm.limits, llm.prompt.suffix) == (plain.context_window, plain.limits, "")
    assert not Jobs.in_file(home / "var" / "jobs.db").list()


@pytest.mark.parametrize("price", [(), ("--input-price", "1"), (*PRICE, "--price-from", "openai/gpt-4o-mini")])
def test_a_price_is_two_numbers_or_a_published_one(home: Path, endpoint: str, price: tuple[str, ...]) -> None:
    """Neither, half or both are refused: an unknown price is never free."""
    assert "--price-from PROVIDER/MODEL" in usage_error(*add(endpoint, *price))


def test_a_published_price_is_taken_by_name(home: Path, endpoint: str) -> None:
    """A known name brings its two numbers, an unknown one is an error with near names, and nothing is written."""
    output(*add(endpoint, "--price-from", "openai/gpt-4o-mini", "--no-retrain"))
    price = pool.load(home / "registry" / "pool.yaml").by_id("new").price
    assert 0 < price.input < price.output
    assert "gpt-4o-mini" in str(refusal(PriceUnknown, "set-llm", "new", "--price-from", "openai/gpt-4o-minni"))
    assert pool.load(home / "registry" / "pool.yaml").by_id("new").price == price


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (("set-llm", "smolm2-135m", "--status", "retired"), LLMUnknown, "Did you mean smollm2-135m"),
        (("add-llm", "New.One", "--base-url", "http://127.0.0.1:9/v1", "--served-name", "m", *PRICE), pool.PoolRefused, "not a slug"),
        (("add-llm", "new", "--base-url", "127.0.0.1:9", "--served-name", "m", *PRICE), pool.PoolRefused, "not an http"),
        (
            ("add-llm", "new", "--base-url", "http://127.0.0.1:9/v1", "--served-name", "m", *PRICE),
            JoiningRefused,
            "does not take connections",
        ),
    ],
)
def test_a_wrong_id_or_address_is_named_and_the_pool_untouched(
    home: Path, arguments: tuple[str, ...], error: type[Exception], says: str
) -> None:
    """The error names what was given, and what to do."""
    before = (home / "registry" / "pool.yaml").read_text()
    assert says in str(refusal(error, *arguments))
    assert (home / "registry" / "pool.yaml").read_text() == before


def test_another_endpoint_does_not_inherit_the_key(home: Path, endpoint: str) -> None:
    """The key variable belongs to the endpoint it was named for: it is not sent to another host unless named again."""
    file = home / "registry" / "pool.yaml"
    moved = ("set-llm", "smollm2-135m", "--base-url", endpoint, "--served-name", "m")
    output(*moved, "--api-key-env", "FIRST_KEY")
    endpoint_before = pool.load(file).by_id("smollm2-135m").endpoint
    output(*moved)
    endpoint_after = pool.load(file).by_id("smollm2-135m").endpoint
    assert endpoint_before is not None
    assert endpoint_after is not None
    assert (endpoint_before.api_key_env, endpoint_after.api_key_env) == ("FIRST_KEY", None)
    usage_error("set-llm", "smollm2-135m", "--api-key-env", "SECOND_KEY")


def test_an_effort_is_named_as_the_llm_joins_and_changed_later(home: Path, endpoint: str) -> None:
    """`--effort` takes a level or a number of tokens; `set-llm` gives another; the list says it."""
    output(*add(endpoint, *PRICE, "--no-retrain", "--effort", "high", "--max-tokens", "2048"))
    file = home / "registry" / "pool.yaml"
    assert pool.load(file).by_id("new").effort == "high"
    assert "(m, effort high)" in output("llms")
    printed = output("set-llm", "new", "--effort", "512", "--effort-way", "chat_template_kwargs")
    assert "another effort and way to be told its effort" in printed
    assert pool.load(file).by_id("new").effort == 512
    assert "effort: 512," in file.read_text()
    assert "'hard' is no effort" in str(refusal(PoolRefused, "set-llm", "new", "--effort", "hard"))
