"""Users' files as they have them: which bytes are rows, which columns and values are ours, what exports of other tools say."""

import csv
import gzip
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ImportRefused
from pipelines.user_files import content, references, values
from pipelines.user_files.tables import read_answers, read_queries

ROW = '{"question": "A?", "answer": "B"}'


def rows_of(folder: Path, raw: bytes, name: str = "queries.csv") -> list[dict[str, object]]:
    """What a file of these bytes holds."""
    (folder / name).write_bytes(raw)
    return [dict(row.cells) for row in content.read(folder / name).rows]


@pytest.mark.parametrize(
    "raw",
    [
        b"question,answer\nA?,B\n",
        b"\xef\xbb\xbfquestion,answer\r\nA?,B\r\n",
        b"question,answer\rA?,B\r",
        b"sep=;\r\nquestion;answer\r\nA?;B\r\n",
        b'"sep=|"\nquestion|answer\nA?|B',
        b"question\tanswer\nA?\tB\n\n\n",
        "question\tanswer\nA?\tB\n".encode("utf-16"),
        b'question;"answer"\n"A?";B\n;\n',
        b"question,answer,\nA?,B,,,\n",
        b" question ,answer\xc2\xa0\nA?,B\n",
        gzip.compress(b"question,answer\nA?,B\n"),
        gzip.compress(ROW.encode()),
        ROW.encode(),
        f"[{ROW}]".encode(),
        json.dumps(json.loads(ROW), indent=2).encode(),
        json.dumps({"data": [json.loads(ROW)], "meta": {"page": 1}}).encode(),
    ],
)
def test_the_same_row_in_many_files(tmp_path: Path, raw: bytes) -> None:
    """Whatever wrote it: separators, marks of byte order, line ends, compression and JSON's shapes are told by content."""
    assert rows_of(tmp_path, raw) == [{"question": "A?", "answer": "B"}]


def test_data_frames_and_parquet_give_the_same_row(tmp_path: Path) -> None:
    """A Parquet file is known without its name."""
    pd.DataFrame([{"question": "A?", "answer": "B"}]).to_parquet(tmp_path / "export")
    assert [dict(row.cells) for row in content.read(tmp_path / "export").rows] == [{"question": "A?", "answer": "B"}]


@pytest.mark.parametrize(
    ("raw", "row"),
    [
        (b'question;"answer, short";grader\nCapital?;Tokyo;exact\n', {"question": "Capital?", "answer, short": "Tokyo", "grader": "exact"}),
        (b'question,answer\n"He said \\"hi\\" to whom?",B\n', {"question": 'He said "hi" to whom?', "answer": "B"}),
        (b'question,answer\nA 5" pipe?,B\n', {"question": 'A 5" pipe?', "answer": "B"}),
        (b'question,answer\n"One\nTwo?",B\n', {"question": "One\nTwo?", "answer": "B"}),
        (b"question,answer,notes\nA?,B\n", {"question": "A?", "answer": "B", "notes": None}),
        (b"question,answer\nSodium?,NA\n", {"question": "Sodium?", "answer": "NA"}),
        (b"[id],question\n1,A?\n", {"[id]": "1", "question": "A?"}),
    ],
)
def test_tables_that_spreadsheets_and_data_frames_write(tmp_path: Path, raw: bytes, row: dict[str, object]) -> None:
    """The separator is the one that fits the rows; quotes may be escaped; cells left off at a row's end are empty."""
    assert rows_of(tmp_path, raw) == [row]


cells = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=5), st.sampled_from(",;\t|"))
def test_what_csv_can_hold_comes_back(tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, ...]], separator: str) -> None:
    """Any text in any cell, quoted by any writer of CSV, is read as it was; rows without anything are none."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([("question", "answer", "grader"), *table])
    folder = tmp_path_factory.mktemp("csv")
    expected = [dict(zip(("question", "answer", "grader"), (cell or None for cell in row), strict=True)) for row in table if any(row)]
    assert rows_of(folder, text.getvalue().encode()) == expected


@pytest.mark.parametrize(
    ("cell", "score"),
    [
        ("TRUE", 1),
        ("False", 0),
        (True, 1),
        ("1", 1),
        ("0,5", 0.5),
        (" 0.25 ", 0.25),
        ("85%", 0.85),
        ("correct", 1),
        ("No", 0),
        (0.75, 0.75),
    ],
)
def test_scores_as_people_write_them(cell: object, score: float) -> None:
    """Spreadsheets' TRUE, data frames' True, percentages and decimal commas are scores."""
    assert values.score(cell) == score


@pytest.mark.parametrize(
    ("read", "cell", "meant"),
    [
        (values.count, "1,234", 1234),
        (values.count, "12.0", 12),
        (values.usd, "$0.0012", 0.0012),
        (values.usd, "1,234.5", 1234.5),
        (values.number, "12,5", 12.5),
        (values.split, "TEST", "test"),
        (values.split, "Dev", "validation"),
        (values.split, "out-of-domain", "ood"),
        (values.grader, "Unit Tests", "unit_tests"),
        (values.own_id, 1582218195625938945, "1582218195625938945"),
        (values.own_id, 7.0, "7"),
        (values.own_id, " 007 ", "007"),
        (values.reference, 3.0, "3"),
        (values.reference, 0.1, "0.1"),
        (values.reference, True, "true"),
        (values.reply, "cut \ud83d", "cut \ufffd"),
        (values.reply, "", ""),
        (values.query, [{"role": "user", "content": "A?"}], "A?"),
        (
            values.query,
            '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "A?"}]}]',
            "Be brief.\n\nA?",
        ),
    ],
)
def test_values_as_people_write_them(read, cell: object, meant: object) -> None:
    """Numbers with their thousands, closed sets of words in any case, ids as they are, chats as the text that a server scores."""
    assert read(cell) == meant


@pytest.mark.parametrize(
    ("read", "cell", "said"),
    [
        (values.score, "B", "is no score"),
        (values.usd, "1,234", "may be thousands or a decimal comma"),
        (values.split, "held-out", "may be validation, which chooses, or test, which only reports"),
        (values.split, "Eval", "may be validation"),
        (values.split, "tset", "is no split; did you mean test"),
        (values.split, "trian", "is no split; did you mean train"),
        (values.split, "xyz", "known are train, calibration, validation, test, ood"),
        (values.query, "\u200b", "is empty"),
        (values.query, "\u00a0 ", "is empty"),
        (values.query, "A \ud83d?", "half a character"),
        (values.query, "A\0?", "NUL"),
        (values.own_id, 1.582218195625938945e18, "rounded"),
        (values.choices, "yes, no", "is not a list of options"),
        (values.choices, "['x' 'y', 'z']", "is not a list of options"),
        (values.choices, {"text": ["a"], "url": ["b"]}, "is a mapping of text, url, not of letters"),
        (values.choices, ["a", " "], "is empty"),
    ],
)
def test_what_may_be_two_things_is_refused(read, cell: object, said: str) -> None:
    """A word that is in no closed set, a number that may be two, a text that shows nothing: said in words, never guessed."""
    with pytest.raises(ValueError, match=said):
        read(cell)


@pytest.mark.parametrize(
    "cell",
    [
        ["x", "y"],
        '["x", "y"]',
        "['x', 'y']",
        "['x' 'y']",
        "['x'\n 'y']",
        "('x', \"y\")",
        {"A": "x", "B": "y"},
        {"text": ["x", "y"], "label": ["A", "B"]},
        '{"label": ["1", "2"], "text": ["x", "y"]}',
        [{"label": "A", "text": "x"}, {"label": "B", "text": "y"}],
    ],
)
def test_options_as_published_sets_have_them(cell: object) -> None:
    """JSON, Python's and NumPy's print, mappings of labels: always the options' texts in order, never the mapping's keys."""
    assert [text for _, text in values.choices(cell)] == ["x", "y"]


@pytest.mark.parametrize(
    ("reference", "letter"),
    [("B", "B"), ("b", "B"), ("(B)", "B"), ("pear", "B"), ("Pear.", "B"), (["B"], "B"), ("2", "B")],
)
def test_a_reference_names_an_option(reference: object, letter: str) -> None:
    """By its letter, its text, or the label that the set gives it."""
    assert references.of_grader("choice", reference, [("1", "apple"), ("2", "pear")]) == letter


@pytest.mark.parametrize(
    ("grader", "reference", "said"),
    [
        ("choice", "1", "which some count from 0 and some from 1"),
        ("choice", "A", "may be A or B"),
        ("choice", "plum", "none of the letters A to B"),
        ("exact", ["a", "b"], "'contains' takes several"),
        ("contains", {"a": 1}, "no phrase"),
        ("unit_tests", {"prompt": "", "test": ""}, "has no entry_point"),
    ],
)
def test_a_reference_that_its_grader_cannot_take_is_refused(grader: str, reference: object, said: str) -> None:
    """What could be two options, or is of another kind."""
    with pytest.raises(ValueError, match=said):
        references.of_grader(grader, reference, [("", "b"), ("", "A")])


def test_phrases_are_a_list_or_one() -> None:
    """`contains` takes one phrase as well as several; a mapping is stored for the graders that read one."""
    assert references.of_grader("contains", "red", []) == '["red"]'
    assert references.of_grader("contains", ["red", 2], []) == '["red", "2"]'
    assert references.of_grader("contains", '["red"]', []) == '["red"]'
    assert json.loads(references.of_grader("verifier", {"name": "upper_case"}, []) or "") == {"name": "upper_case"}


def test_options_may_have_a_column_each(tmp_path: Path) -> None:
    """A, B, C ... or option1, option2 ... are the options, an empty one at the end is none."""
    (tmp_path / "q.csv").write_text("question,A,B,C,D,answer\nCapital?,x,y,z,,B\n")
    (row,) = read_queries(tmp_path / "q.csv").rows
    assert row.choices == [("", "x"), ("", "y"), ("", "z")]
    (tmp_path / "q.csv").write_text("question,option 1,option 2,answer\nCapital?,x,y,B\n")
    assert read_queries(tmp_path / "q.csv").rows[0].choices == [("", "x"), ("", "y")]


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    """Whoever meant another column as the text sees it."""
    (tmp_path / "q.csv").write_text("input,prompt,answer,note\nctx,Real question?,B,x\n")
    table = read_queries(tmp_path / "q.csv")
    assert (table.rows[0].text, table.notes) == ("Real question?", ("2 columns are not read: input, note.",))


def test_milliseconds_are_seconds(tmp_path: Path) -> None:
    """A column in milliseconds is known by its name; what a table calls no number is none."""
    (tmp_path / "a.csv").write_text("id,model,score,latency_ms,cost\n1,m,1,350,NaN\n")
    (row,) = read_answers(tmp_path / "a.csv").rows
    assert (row.latency_s, row.cost_usd) == (0.35, None)


LITELLM = {
    "request_id": "r1",
    "call_type": "acompletion",
    "model": "gpt-4o-2024-08-06",
    "model_group": "openai/gpt-4o",
    "spend": 0.002,
    "prompt_tokens": 12,
    "completion_tokens": 3,
    "startTime": "2026-05-01T10:00:00+00:00",
    "endTime": "2026-05-01T10:00:01.500000+00:00",
    "messages": [{"role": "user", "content": "A?"}],
    "response": {"choices": [{"message": {"role": "assistant", "content": "B"}}]},
    "status": "success",
}
LANGFUSE = {
    "id": "r1",
    "traceId": "t1",
    "type": "GENERATION",
    "model": "openai/gpt-4o",
    "input": [{"role": "user", "content": "A?"}],
    "output": {"role": "assistant", "content": "B"},
    "startTime": "2026-05-01T10:00:00.000Z",
    "endTime": "2026-05-01T10:00:01.500Z",
    "usageDetails": {"input": 12, "output": 3},
    "totalCost": 0.002,
    "level": "DEFAULT",
}
SHAREGPT = {"id": "r1", "model": "openai/gpt-4o", "conversations": [{"from": "human", "value": "A?"}, {"from": "gpt", "value": "B"}]}
REQUEST = {"custom_id": "r1", "method": "POST", "body": {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "A?"}]}}
RESULT = {
    "id": "batch_1",
    "custom_id": "r1",
    "response": {
        "status_code": 200,
        "body": {
            "model": "openai/gpt-4o",
            "choices": [{"message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3},
        },
    },
    "error": None,
}


@pytest.mark.parametrize(
    ("asked", "answered", "name", "measured"),
    [
        (LITELLM, LITELLM, "a spend log of LiteLLM", (12, 3, 0.002, 1.5)),
        (LANGFUSE, LANGFUSE, "an export of Langfuse", (12, 3, 0.002, 1.5)),
        (SHAREGPT, SHAREGPT, "conversations in ShareGPT's form", (None, None, None, None)),
        (REQUEST, RESULT, "the results of an OpenAI batch", (12, 3, None, None)),
    ],
)
def test_exports_of_other_tools_are_known_by_their_keys(tmp_path: Path, asked: dict, answered: dict, name: str, measured: tuple) -> None:
    """Question, reply, LLM, tokens, cost and time, and a sentence on what the file is."""
    (tmp_path / "q.json").write_text(json.dumps([asked]))
    (tmp_path / "a.jsonl").write_text(json.dumps(answered))
    (query,) = read_queries(tmp_path / "q.json").rows
    table = read_answers(tmp_path / "a.jsonl")
    (answer,) = table.rows
    assert (query.query_id, query.text) == ("r1", "A?")
    assert (answer.query_id, answer.llm, answer.text) == ("r1", "openai/gpt-4o", "B")
    assert (answer.input_tokens, answer.output_tokens, answer.cost_usd, answer.latency_s) == measured
    assert table.notes == (f"a.jsonl is {name}: 1 answers.",)


def test_a_csv_export_has_its_chats_in_cells(tmp_path: Path) -> None:
    """JSON in a cell is read as the chat it is."""
    row = {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in LITELLM.items()}
    pd.DataFrame([row]).to_csv(tmp_path / "a.csv", index=False)
    assert read_queries(tmp_path / "a.csv").rows[0].text == "A?"
    assert read_answers(tmp_path / "a.csv").rows[0].text == "B"


def test_what_an_export_left_out_is_counted(tmp_path: Path) -> None:
    """Failed calls and calls whose texts were not logged are left out by reason; a file with no text at all is refused."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([LANGFUSE, LANGFUSE | {"id": "2", "level": "ERROR"}, LANGFUSE | {"id": "3", "type": "SPAN"}]))
    left_out = "left out: 1 generations that failed; left out: 1 observations that are no generations"
    assert read_answers(path).notes == (f"a.json is an export of Langfuse: 1 answers; {left_out}.",)
    path.write_text(json.dumps([LITELLM | {"messages": {}}]))
    with pytest.raises(ImportRefused, match=r"is a spend log of LiteLLM, and no row of it has a text; left out: 1 calls without messages"):
        read_queries(path)
    path.write_text(json.dumps(RESULT))
    with pytest.raises(ImportRefused, match=r"is the results of an OpenAI batch, in which are no queries"):
        read_queries(path)


def test_the_last_turn_is_asked_and_what_follows_is_the_reply(tmp_path: Path) -> None:
    """Of a longer conversation the query is what a server would score: the turns up to the last question."""
    turns = [("system", "Be brief."), ("human", "A?"), ("gpt", "B"), ("human", "And C?"), ("gpt", "D")]
    row = {"model": "m", "conversations": [{"from": role, "value": text} for role, text in turns]}
    (tmp_path / "chats.json").write_text(json.dumps([row]))
    assert read_queries(tmp_path / "chats.json").rows[0].text == "Be brief.\n\nA?\n\nB\n\nAnd C?"
    assert read_answers(tmp_path / "chats.json").rows[0].text == "D"
