"""Every format that `routemoa import --from` reads: what its tool writes comes in whole, and what is damaged is named by its place."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import ImportRefused
from pipelines.imports.import_logs import read
from pipelines.logs import store
from pipelines.logs.call import LoggedCall, LoggedUsage
from pipelines.logs.formats import FORMATS
from pipelines.logs.outcomes import Scale
from tests.pipelines.logs import samples

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
USAGE = LoggedUsage(120, 64, None, 30, 10)


def calls(folder: Path, name: str, **options: Any) -> list[LoggedCall]:
    """What is read of the format's sample."""
    return list(read(name, samples.written(folder, name), **options)[1].calls)


def test_every_format_has_a_sample() -> None:
    """A reader that joins the table is tested here."""
    assert set(FORMATS) == {*samples.ROWS, "opencompass", "llmrouterbench"}


@pytest.mark.parametrize("name", ["litellm", "langfuse", "otlp"])
def test_a_chat_says_everything(tmp_path: Path, name: str) -> None:
    """When, who, which LLM, session, texts, tokens cached and reasoning ones within, and seconds; other rows are no calls."""
    (call,) = calls(tmp_path, name)
    assert (call.at, call.session, call.usage, call.latency_s) == (NOON, "s-1", USAGE, 2.0)
    assert (call.text, call.answer) == ("Be short.\n\nCapital of Norway?", "Oslo")
    assert [message["role"] for message in call.messages or []] == ["system", "user"]
    assert call.key is not None
    assert call.llm == {"otlp": "gpt-4o-mini-2024-07-18"}.get(name, "gpt-4o-mini")
    if name != "otlp":
        assert (call.cost_usd, call.first_token_s) == (0.0003, 0.5)
    if name != "litellm":
        assert (call.outcome, call.outcome_name) == (1.0, "thumbs")


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("litellm", ["calls that failed", "calls that are no chats", "answers from the proxy's own cache, for which no LLM was paid"]),
        ("langfuse", ["observations that are no generations", "generations that failed"]),
        ("otlp", ["spans that are the sum of others", "spans that ask no LLM", "calls that failed"]),
        ("openai-batch", ["requests that failed"]),
        ("sharegpt", ["conversations without a reply to a question"]),
        ("opencompass", ["examples without a prompt (PPL and CLP keep none of their own)"]),
    ],
)
def test_what_is_no_call_is_counted(tmp_path: Path, name: str, left_out: list[str]) -> None:
    """Each reason with its number."""
    assert dict(read(name, samples.written(tmp_path, name))[1].left_out) == dict.fromkeys(left_out, 1)


def test_openai_usage_is_sums(tmp_path: Path) -> None:
    """Tokens of many calls, cached ones within; a batch is a tier of its own; what is not said is not zero."""
    first, second = calls(tmp_path, "openai-usage")
    assert (first.requests, first.tier, first.key) == (5, "batch", "key_1")
    assert first.usage == LoggedUsage(1000, 800, None, 500, None)
    assert first.at == datetime(2026, 10, 1, tzinfo=UTC)
    assert (second.tier, second.usage.cached_tokens) == (None, None)


def test_anthropic_usage_counts_the_cache_apart(tmp_path: Path) -> None:
    """Input is what was fresh, read from the cache and written to it; the two kinds of writing are kept, for they have two prices."""
    (one,) = calls(tmp_path, "anthropic-usage")
    assert (one.usage, one.requests, one.tier) == (LoggedUsage(1000, 800, 100, 500, None), None, "standard")
    assert one.rest["cache_creation"] == {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40}
    assert one.rest["context_window"] == "0-200k"


def test_openrouter_says_a_call_in_three_ways(tmp_path: Path) -> None:
    """A generation by its native tokens, which are billed; a day's activity; a completion with the usage it adds."""
    generation, day, completion = calls(tmp_path, "openrouter")
    assert (generation.usage, generation.cost_usd, generation.latency_s, generation.first_token_s) == (USAGE, 0.0003, 2.0, 0.5)
    assert (day.requests, day.cost_usd, day.usage.input_tokens) == (7, 0.02, 700)
    assert (completion.answer, completion.usage.cached_tokens, completion.cost_usd) == ("Oslo", 2, 0.001)


def test_a_batch_is_joined_by_its_ids(tmp_path: Path) -> None:
    """Requests and results may be two files, in any order; both halves of the price are the batch's."""
    requests, results = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    requests.write_text(samples.lines(samples.BATCH_REQUESTS))
    results.write_text(samples.lines(samples.BATCH))
    (call,) = read("openai-batch", [results, requests])[1].calls
    assert (call.text, call.answer, call.usage, call.tier) == ("Be short.\n\nCapital of Norway?", "Oslo", USAGE, "batch")
    assert next(iter(read("openai-batch", [results])[1].calls)).text is None
    with pytest.raises(ImportRefused, match="holds no call"):
        read("openai-batch", [requests])


def test_a_conversation_is_a_session_of_calls(tmp_path: Path) -> None:
    """Each reply is one, asked with the turns before it."""
    first, second = calls(tmp_path, "sharegpt")
    assert (first.session, second.session) == ("c-1", "c-1")
    assert (first.text, first.answer, second.answer) == ("Capital of Norway?", "Oslo", "Nairobi")
    assert second.text == "Capital of Norway?\n\nOslo\n\nAnd of Kenya?"


def test_llmrouterbench_names_things_by_folders(tmp_path: Path) -> None:
    """Data set and LLM by the path, the newest of two runs, scores as outcomes; its splits are no router's, and that is said."""
    reading = read("llmrouterbench", samples.written(tmp_path, "llmrouterbench"))[1]
    found = {(call.llm, call.call_id): call.outcome for call in reading.calls}
    assert found == {
        ("Qwen-7B", "capitals-1"): 1,
        ("Qwen-7B", "capitals-2"): 0,
        ("Llama-8B", "capitals-1"): 0,
        ("Llama-8B", "capitals-2"): 1,
    }
    assert next(iter(reading.calls)).usage == LoggedUsage(12, None, None, 3, None)
    assert any("splits (test) are those of the data sets" in note for note in reading.notes)
    assert "1 result files of earlier runs are left out." in reading.notes


def test_opencompass_in_all_its_shapes(tmp_path: Path) -> None:
    """Labels by the index of the example, over replicas; by comparing; by the judge's letter; none where nothing grades."""
    reading = read("opencompass", samples.written(tmp_path, "opencompass"))[1]
    marks: dict[str, list[float | None]] = {}
    for call in reading.calls:
        assert call.llm == "acme/chat-7b"
        marks.setdefault(call.dataset or "", []).append(call.outcome)
    assert marks == {"math": [0.5, None, 1.0], "trivia": [1.0, 0.0, 1.0], "open": [1.0], "ungraded": [None, None, None]}
    assert {call.reference for call in reading.calls if call.dataset == "ungraded"} == {"A", "B", "C"}
    assert [call.text for call in reading.calls if call.dataset == "math"] == [
        "Capital of Norway?",
        "Capital of Kenya?",
        "Capital of Peru?",
    ]
    assert reading.notes == ["1 files of judges' own predictions are left out."]


def test_labels_that_are_not_the_metric_are_said(tmp_path: Path) -> None:
    """Whoever misreads a format sees it: the mean of the labels is held against what the file prints."""
    run = samples.opencompass(tmp_path)
    path = run / "results" / "acme" / "chat-7b" / "trivia.json"
    samples.saved(path, json.loads(path.read_text()) | {"accuracy": 10.0})
    notes = read("opencompass", [run])[1].notes
    assert "trivia of acme/chat-7b: its labels average 66.7, its results print 10.0." in notes


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("litellm", ("prompt_tokens", "many"), r"row 1, field 'prompt_tokens': is not a number \(found 'many'\)"),
        ("litellm", ("startTime", "yesterday"), r"row 1, field 'startTime': is no time such as"),
        ("litellm", ("metadata", [1]), r"row 1, field 'metadata': is no object"),
        ("langfuse", ("totalCost", -1), r"row 1, field 'totalCost': is no amount of US dollars \(found '-1'\)"),
        ("langfuse", ("usageDetails", {"input": 1.5}), r"row 1, field 'usageDetails.input': is no whole number"),
        ("openai-batch", ("custom_id", {}), r"row 2, field 'custom_id': is no text"),
        ("sharegpt", ("conversations", 3), r"row 1, field 'conversations': is no list"),
    ],
)
def test_a_damaged_row_is_named_and_may_be_left_out(tmp_path: Path, name: str, damage: tuple[str, Any], said: str) -> None:
    """File, row and field; with --skip-damaged the other rows come in, and how many did not is said."""
    rows = copy.deepcopy(samples.ROWS[name])
    row = next(each for each in rows if damage[0] in each and ("body" not in each))
    good = copy.deepcopy(row)
    row[damage[0]] = damage[1]
    path = tmp_path / "log.jsonl"
    path.write_text(samples.lines(rows))
    with pytest.raises(ImportRefused, match=rf"log\.jsonl: {said}"):
        read(name, [path])
    path.write_text(samples.lines([*rows, good]))
    notes = read(name, [path], skip_damaged=True)[1].notes
    assert any("1 damaged rows are left out; the first is row" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "path", "value", "said"),
    [
        ("openai-usage", ("data", 0, "results", 0, "input_tokens"), None, r"row 1, field 'input_tokens'|is not of"),
        ("openai-usage", ("data", 0, "results", 0, "num_model_requests"), -3, r"row 1, field 'num_model_requests': is no whole number"),
        ("openai-usage", ("data", 0, "start_time"), "soon", r"row 1, field 'start_time': is no time"),
        ("anthropic-usage", ("data", 0, "results", 0, "cache_creation"), 5, r"row 1, field 'cache_creation': is no object"),
        ("openrouter", ("data", "total_cost"), "free", r"row 1, field 'total_cost': is not a number"),
        (
            "otlp",
            ("resourceSpans", 0, "scopeSpans", 0, "spans", 1, "startTimeUnixNano"),
            "x",
            r"row 2, field 'startTimeUnixNano': is no time",
        ),
    ],
)
def test_a_damaged_document_is_named(tmp_path: Path, name: str, path: tuple[Any, ...], value: Any, said: str) -> None:
    """Where rows lie within pages, the row is the bucket's or span's place in the file."""
    rows = copy.deepcopy(samples.ROWS[name])
    holder = rows[0]
    for key in path[:-1]:
        holder = holder[key]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    file = tmp_path / "log.json"
    file.write_text(samples.lines(rows))
    with pytest.raises(ImportRefused, match=said):
        read(name, [file])


@pytest.mark.parametrize("name", ["opencompass", "llmrouterbench"])
def test_a_damaged_result_file_is_named(tmp_path: Path, name: str) -> None:
    """The file among many, and its row; a folder without result files too."""
    (folder,) = samples.written(tmp_path, name)
    if name == "opencompass":
        path = samples.saved(folder / "predictions" / "acme" / "chat-7b" / "math.json", {"0": {"origin_prompt": "x"}, "1": 7})
        said = r"math\.json: row 2, field '1': is no object"
    else:
        record = samples.BENCH["records"][0] | {"score": 2}
        path = samples.saved(folder / "capitals" / "test" / "Qwen-7B" / "20261001_120000.json", {"records": [record]})
        said = r"20261001_120000\.json: row 1, field 'score': is not within 0 and 1 \(found '2'\)"
    with pytest.raises(ImportRefused, match=said):
        read(name, [folder])
    path.write_text("{")
    with pytest.raises(ImportRefused, match=rf"{path.name}: row 1 is not JSON"):
        read(name, [folder])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportRefused, match=r"empty: holds no JSON file"):
        read(name, [tmp_path / "empty"])


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_another_file_is_refused(tmp_path: Path, name: str) -> None:
    """A file of none of the formats is none of this one, and what it lacks is said; an unknown format has near ones."""
    path = samples.saved(tmp_path / "predictions" / "any.json", {"colour": "red"})
    with pytest.raises(ImportRefused, match=r"any\.json"):
        read(name, [path])
    with pytest.raises(ImportRefused, match=f"Did you mean .*{name}"):
        read(f"{name}x", [path])


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_calls_come_back_from_disk(tmp_path: Path, name: str) -> None:
    """What is kept is what was read, whatever a format leaves open."""
    read_ = calls(tmp_path, name)
    store.write(tmp_path / "kept.parquet", read_, name)
    assert store.read(tmp_path / "kept.parquet") == read_


def test_texts_are_redacted_before_they_are_kept(tmp_path: Path) -> None:
    """What a user should not have pasted is in no file of ours; a benchmark's texts stay as they are, for references must match."""
    row = copy.deepcopy(samples.LITELLM[0])
    row |= {
        "messages": [{"role": "user", "content": "Write to jane.doe@example.org"}],
        "proxy_server_request": {"x": "jane.doe@example.org"},
    }
    (tmp_path / "log.jsonl").write_text(samples.lines([row]))
    reading = read("litellm", [tmp_path / "log.jsonl"])[1]
    store.write(tmp_path / "kept.parquet", reading.calls, "litellm")
    (kept,) = store.read(tmp_path / "kept.parquet")
    assert "jane" not in repr(kept)
    assert kept.text == "Write to [email]"
    assert reading.notes == ["1 texts had addresses, numbers or keys in them; these are taken out."]


@pytest.mark.parametrize(
    ("scores", "wanted", "outcome", "said"),
    [
        ([("thumbs", "up")], None, 1.0, ""),
        ([("thumbs", -1)], None, 0.0, ""),
        ([("stars", 4)], None, None, r"stars goes from 4 to 4: no outcome was taken. Say its scale: --score stars=LOW:HIGH"),
        ([("stars", 4)], "stars=1:5", 0.75, ""),
        ([("stars", 9)], "stars=1:5", None, "1 values of stars are no number on its scale"),
        ([("help", 1), ("tone", 0)], None, None, "Several scores, of which none was taken as outcome: help (1), tone (1)."),
        ([("help", 1), ("tone", 0)], "tone", 0.0, ""),
    ],
)
def test_scores_become_outcomes(
    tmp_path: Path, scores: list[tuple[str, Any]], wanted: str | None, outcome: float | None, said: str
) -> None:
    """One score, on a scale that is told or seen; of several none is chosen for whoever brought them."""
    row = samples.LANGFUSE[0] | {"scores": [{"name": name, "value": value} for name, value in scores]}
    (tmp_path / "log.jsonl").write_text(samples.lines([row]))
    reading = read("langfuse", [tmp_path / "log.jsonl"], Scale.of(wanted) if wanted else None)[1]
    assert next(iter(reading.calls)).outcome == outcome
    assert said in " ".join(reading.notes)
    if wanted:
        with pytest.raises(ImportRefused, match="No score is called 'starz'"):
            read("langfuse", [tmp_path / "log.jsonl"], Scale("starz"))


def test_a_scale_has_two_ends() -> None:
    """Words, and a scale from one value to itself, are refused."""
    for text in ("stars=1", "stars=1:1", "stars=a:b"):
        with pytest.raises(ImportRefused, match="is no scale"):
            Scale.of(text)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["\ud83d", "\x00", "1e400", "9" * 30, "[" * 40, '{"a": [1', "nan", "-1", "2026-13-01T00:00:00Z"]),
    st.just([]),
    st.just({}),
    st.just([[{}]]),
    st.just({"messages": [{"role": "user"}], "choices": [None], "key": {}}),
)


def mutated(value: Any, data: st.DataObject) -> Any:
    """`value` with something somewhere in it exchanged, removed or added."""
    choice = data.draw(st.integers(0, 9))
    if choice == 0 or not isinstance(value, dict | list) or not value:
        return data.draw(ODD)
    if isinstance(value, dict):
        key = data.draw(st.sampled_from(sorted(value)))
        if choice == 1:
            return {name: each for name, each in value.items() if name != key}
        return value | {key: mutated(value[key], data)}
    place = data.draw(st.integers(0, len(value) - 1))
    return [*value[:place], *([] if choice == 1 else [mutated(value[place], data)]), *value[place + 1 :]]


@pytest.mark.parametrize("name", sorted(FORMATS))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_file_makes_it_fall_over(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    """Whatever stands in a file, it is read or refused in our own words; what was read can be kept, and comes back."""
    folder = tmp_path_factory.mktemp("fuzz")
    paths = samples.written(folder, name)
    files = sorted(path for path in folder.rglob("*.json*") if path.is_file())
    path = data.draw(st.sampled_from(files))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    text = samples.lines([mutated(row, data) if data.draw(st.booleans()) else row for row in rows])
    path.write_bytes(text.encode()[: data.draw(st.integers(0, len(text))) if data.draw(st.integers(0, 9)) == 0 else None])
    try:
        reading = read(name, paths, skip_damaged=data.draw(st.booleans()))[1]
    except ImportRefused:
        return
    store.write(folder / "kept.parquet", reading.calls, name)
    assert repr(store.read(folder / "kept.parquet")) == repr(list(reading.calls))
