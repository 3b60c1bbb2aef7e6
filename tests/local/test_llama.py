"""Real llama.cpp servers with the smallest weights."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from local import llama
from local.errors import ServerFailed
from mixture.client.openai import OpenAIClient
from mixture.client.protocol import Call
from mixture.llm import LLM, Decoding, Endpoint, Prompt
from mixture.price import Price
from pipelines import answer, tables
from pipelines.project import Project

MESSAGES = [
    {"role": "system", "content": "Answer with the final answer only, as short as possible."},
    {"role": "user", "content": "What is the capital of France?"},
]
QUESTION = {"messages": MESSAGES, "max_tokens": 12, "temperature": 0}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(base_url: str, **options: object) -> dict:
    body = json.dumps(QUESTION | options).encode()
    with urllib.request.urlopen(f"{base_url}/chat/completions", data=body, timeout=60) as reply:
        return json.load(reply)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[llama.Handle]:
    """One server for the whole module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTEMOA_HOME", str(tmp_path_factory.mktemp("home")))
        with llama.start("smollm2-135m", free_port()) as running:
            yield running


def test_speaks_the_openai_protocol(server: llama.Handle) -> None:
    """A reply has text, usage and log-probabilities, under the name the pool calls it by."""
    reply = ask(server.base_url, logprobs=True, top_logprobs=1)
    assert "Paris" in reply["choices"][0]["message"]["content"]
    assert reply["model"] == "smollm2-135m"
    assert reply["usage"]["prompt_tokens"] > 10
    assert 0 < reply["usage"]["completion_tokens"] <= 12
    tokens = reply["choices"][0]["logprobs"]["content"]
    assert len(tokens) == reply["usage"]["completion_tokens"]
    assert all(token["logprob"] <= 0 for token in tokens)


def test_prompt_prefix_is_computed_once(server: llama.Handle) -> None:
    """The same prompt again comes from the cache."""
    ask(server.base_url)
    assert ask(server.base_url)["usage"]["prompt_tokens_details"]["cached_tokens"] > 10


def test_writes_a_log(server: llama.Handle) -> None:
    """What the server says goes to its own file, not to our terminal."""
    assert "listens at" in server.log.read_text()


def llm(base_url: str, max_tokens: int = 12) -> LLM:
    endpoint = Endpoint(base_url, "smollm2-135m")
    return LLM("real", "Real", Price(1, 2), endpoint, Prompt("Answer in one short sentence."), Decoding(0.0, max_tokens, 0))


def test_our_client_streams_what_it_asks(server: llama.Handle) -> None:
    """Streamed and whole, a real reply is the same text with the same counts, and its log-probabilities arrive both ways."""

    async def run() -> None:
        call = Call(llm(server.base_url), MESSAGES[1:], {"logprobs": True, "top_logprobs": 1})
        async with OpenAIClient() as client:
            whole = await client.ask(call)
            chunks = [chunk async for chunk in client.stream(call)]
        streamed = chunks[-1].reply
        assert streamed is not None
        assert len(chunks) > 3
        assert "".join(chunk.text for chunk in chunks) == streamed.text == whole.text
        assert (streamed.input_tokens, streamed.output_tokens) == (whole.input_tokens, whole.output_tokens)
        assert whole.mean_logprob is not None
        assert streamed.mean_logprob == pytest.approx(whole.mean_logprob, abs=0.05)
        assert whole.mean_logprob < 0

    asyncio.run(run())


def test_leaving_a_stream_frees_its_slot(server: llama.Handle) -> None:
    """Endless answers that nobody reads any more do not block the server's two slots."""

    async def run() -> None:
        call = Call(llm(server.base_url, 1000), [{"role": "user", "content": "Count from 1 to 500."}])
        async with OpenAIClient() as client:
            for _ in range(4):
                stream = client.stream(call)
                await anext(stream)
                await stream.aclose()
            reply = await asyncio.wait_for(client.ask(Call(llm(server.base_url), MESSAGES[1:])), 20)
        assert reply.text

    asyncio.run(run())


def test_the_answer_stage_buys_real_answers(server: llama.Handle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage writes what a real LLM says, with usage, cost, latency and log-probability."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path))
    shutil.copy(Path(llama.__file__).parents[1] / "params.yaml", tmp_path)
    prompt = {"system": "Answer in one short sentence.", "suffix": ""}
    endpoint = {"base_url": server.base_url, "served_name": "smollm2-135m", "api_key_env": None}
    entry = {"name": "Real", "endpoint": endpoint, "price": {"input": 1, "output": 2}, "prompt": prompt, "decoding": {"max_tokens": 12}}
    (tmp_path / "registry").mkdir()
    YAML().dump({"llms": {"real": entry}}, tmp_path / "registry" / "pool.yaml")
    texts = ("What is the capital of France?", "Name a colour.")
    rows = [dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": text[:4], "text": text, "choices": []} for text in texts]
    tables.write(Project(tmp_path).queries, pd.DataFrame(rows), tables.QUERIES)
    answer.main(["real"])
    frame = tables.read(Project(tmp_path).answers("real"), tables.ANSWERS)
    assert len(frame) == 2
    assert frame["text"].str.len().min() > 0
    assert frame["output_tokens"].between(1, 12).all()
    assert frame["mean_logprob"].between(-10, 0).all()
    assert (frame[["latency_s", "cost_usd"]] > 0).all(axis=None)


def test_busy_port_is_refused_at_once(server: llama.Handle) -> None:
    """A port in use is named before any weights are loaded."""
    port = int(server.base_url.split(":")[2].removesuffix("/v1"))
    with pytest.raises(ServerFailed, match=f"port {port} is busy"), llama.start("smollm2-135m", port):
        pass


def test_missing_and_broken_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there, or is no GGUF, ends the start with the reason instead of a time-out."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path))
    with (
        pytest.raises(ServerFailed, match=r"no weights at .*gone\.gguf"),
        llama.start("smollm2-135m", free_port(), weights=tmp_path / "gone.gguf"),
    ):
        pass
    (tmp_path / "broken.gguf").write_bytes(b"not a GGUF file")
    broken = tmp_path / "broken.gguf"
    with pytest.raises(ServerFailed, match="before it answered"), llama.start("smollm2-135m", free_port(), weights=broken):
        pass


def test_unknown_name_gets_near_ones() -> None:
    """A typing error is answered with the names that were meant."""
    with pytest.raises(ServerFailed, match=r"'smollm2-135' .*Did you mean smollm2-135m"):
        llama.settings("smollm2-135")


def test_unknown_setting_is_refused(tmp_path: Path) -> None:
    """A key that nobody reads is an error, not silence."""
    file = tmp_path / "servers.yaml"
    file.write_text("servers: {a: {weights: w, port: 1, thread: 4}}")
    with pytest.raises(ServerFailed, match="thread"):
        llama.names(file)


def test_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """`kill -9` of whoever started a server leaves no server behind."""
    port = free_port()
    program = (
        "import time; from local import llama\n"
        f"with llama.start('smollm2-135m', {port}) as server:\n"
        "    print(server.process.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "ROUTEMOA_HOME": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(50):
        time.sleep(0.1)
        if not Path(f"/proc/{server}").exists() or " Z " in Path(f"/proc/{server}/stat").read_text():
            return
    os.kill(server, signal.SIGKILL)
    pytest.fail("the server outlived its parent by 5 s")


def test_a_server_that_does_not_answer_in_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the address, the seconds and the log; nothing is left running."""
    monkeypatch.setenv("ROUTEMOA_HOME", str(tmp_path))
    port = free_port()
    with (
        pytest.raises(ServerFailed, match=rf"did not answer at http://127\.0\.0\.1:{port}/health within 0 s.*llama-smollm2-135m\.log"),
        llama.start("smollm2-135m", port, wait_s=0.01),
    ):
        pass
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_command_says_what_is_wrong_without_a_traceback(tmp_path: Path) -> None:
    """Exit code 1 and one line."""
    ended = subprocess.run([sys.executable, "-m", "local.llama", "smollm2"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 1
    assert "No server is called 'smollm2'" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [("servers: {a: {weights: w, port: 0}}", "port"), ("servers: [a]", "servers.yaml"), ("{", "servers.yaml"), ("", "servers.yaml")],
)
def test_a_malformed_file_of_servers_is_named(tmp_path: Path, content: str, says: str) -> None:
    """File and reason, and what to take as an example."""
    file = tmp_path / "servers.yaml"
    file.write_text(content)
    with pytest.raises(ServerFailed, match=rf"{says}(.|\n)*as the entries of the packaged servers\.yaml are"):
        llama.names(file)
    with pytest.raises(ServerFailed, match="gone"):
        llama.names(tmp_path / "gone.yaml")
