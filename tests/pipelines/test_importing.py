"""A user's queries and recorded answers: what comes in, what is refused and how it is said."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import importing, recorded_llms, tables
from pipelines.errors import ImportRefused
from pipelines.import_checks import Defaults, slug
from pipelines.importing import import_files, report
from pipelines.project import Project
from registry import pool

SHARED = Path(__file__).parents[3] / "shared" / "data" / "llmrouter_dc"
QUERIES = [
    {"id": "q1", "question": "What is 6 * 7?", "answer": "42", "grader": "number", "split": "train"},
    {"id": "q2", "question": "Is fire hot?", "answer": "A", "grader": "choice", "choices": ["yes", "no"], "split": "val"},
    {"id": "q3", "question": "Tell me about Graz.", "answer": None, "grader": None, "split": "test"},
]
ANSWERS = [
    {"id": "q1", "model": "Acme-Chat 2.5", "score": 1.0, "response": "42", "output_tokens": 2},
    {"id": "q2", "model": "Acme-Chat 2.5", "score": 0.0, "response": None, "output_tokens": None},
    {"id": "q3", "model": "other", "score": None, "response": "It is in Styria.", "output_tokens": 5},
]
NAMED = Defaults("mine", domain="home")


def saved(path: Path, rows: list[dict]) -> Path:
    """`rows` as CSV, JSONL or Parquet by the path's suffix, as a user's tools write them."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        frame = pd.DataFrame(rows)
        if "choices" in frame:
            frame["choices"] = [json.dumps(row.get("choices")) if row.get("choices") else "" for row in rows]
        frame.to_csv(path, index=False)
    return path


def content(data: Path) -> dict[str, bytes]:
    return {path.relative_to(data).as_posix(): path.read_bytes() for path in data.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_brings_the_same_tables(tmp_path, suffix):
    """CSV, JSONL and Parquet of the same rows give the same queries, labels and answers."""
    data = tmp_path / "data"
    done = import_files(Project(tmp_path), saved(tmp_path / f"q{suffix}", QUERIES), saved(tmp_path / f"a{suffix}", ANSWERS), NAMED)
    assert (done.new_queries, done.labels, done.answers) == (3, 2, 2)
    assert dict(done.llms) == {"acme-chat-2-5": "Acme-Chat 2.5", "other": "other"}
    queries = tables.read(data / "queries.parquet", tables.QUERIES).set_index("text")
    assert queries.loc["What is 6 * 7?", "reference"] == "42"
    assert list(queries.loc["Is fire hot?", "choices"]) == ["yes", "no"]
    assert queries.loc["Tell me about Graz.", "grader"] == "judge"
    assert set(queries["domain"]) == {"home"}
    labels = tables.read(data / "recorded/acme-chat-2-5.labels.parquet", tables.LABELS)
    assert sorted(labels["score"]) == [0.0, 1.0]
    answers = tables.read(data / "recorded/other.parquet", tables.ANSWERS)
    assert answers[["query_id", "text", "output_tokens"]].to_numpy().tolist() == [
        [queries.loc["Tell me about Graz.", "query_id"], "It is in Styria.", 5]
    ]
    assert answers["input_tokens"].isna().all()
    splits = pq.read_table(data / "recorded/mine.splits.parquet").to_pandas()
    assert sorted(splits["split"]) == ["test", "train", "validation"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": " "}, r"q\.csv: row 2, field 'question': .*pattern"),
        ({"question": ""}, r"q\.csv: row 2, field 'question': is empty"),
        ({"choices": "yes, no"}, r"row 2, field 'choices': is not a JSON list"),
        ({"choices": ""}, r"row 2, field 'choices': is empty; grader 'choice' needs the options"),
        ({"grader": "choise"}, r"row 2, field 'grader': 'choise' is not known; did you mean choice"),
        ({"grader": ""}, r"row 2, field 'grader': is empty while there is a reference"),
        ({"answer": ""}, r"row 2, field 'reference': is empty; grader 'choice' needs one"),
        ({"answer": "Z"}, r"row 2, field 'reference': grader choice: reference 'Z' is none of the letters"),
        ({"answer": "many", "grader": "number"}, r"row 2, field 'reference': grader number: reference 'many' is not one number"),
        ({"id": "q1"}, r"row 2, field 'query_id': 'q1' is already that of row 1"),
    ],
)
def test_a_bad_query_is_named_by_file_row_and_field(tmp_path, change, said):
    """The error points at the cell, and nothing is written."""
    frame = pd.read_csv(saved(tmp_path / "q.csv", QUERIES), dtype=str, keep_default_na=False)
    for column, value in change.items():
        frame.loc[1, column] = value
    frame.to_csv(tmp_path / "q.csv", index=False)
    with pytest.raises(ImportRefused, match=said):
        import_files(Project(tmp_path), tmp_path / "q.csv", None, NAMED)
    assert not content(tmp_path / "data")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": 1.5}, r"a\.jsonl: row 1, field 'score': .*less than or equal to 1 \(found '1\.5'\)"),
        ({"score": "good"}, r"row 1, field 'score': .*valid number"),
        ({"score": None, "response": None}, r"row 1, field 'score': is empty, and so is the answer's text"),
        ({"id": "q9"}, r"row 1, field 'query_id': 'q9' is no query of the queries file or the pool"),
        ({"model": "Other"}, r"row 3, field 'llm': 'other' gives the id 'other', as 'Other' does; rename one"),
        ({"model": "routemoa"}, r"row 1, field 'llm': .*virtual model"),
        ({"model": "日本"}, r"row 1, field 'llm': .*not a slug"),
        ({"output_tokens": -1}, r"row 1, field 'output_tokens': .*greater than or equal to 0"),
    ],
)
def test_a_bad_answer_is_named_and_leaves_everything_as_it_was(tmp_path, change, said):
    """A later import that is refused does not touch what an earlier one brought."""
    data = tmp_path / "data"
    queries = saved(tmp_path / "q.jsonl", QUERIES)
    import_files(Project(tmp_path), queries, None, NAMED)
    before = content(data)
    with pytest.raises(ImportRefused, match=said):
        import_files(Project(tmp_path), queries, saved(tmp_path / "a.jsonl", [{**ANSWERS[0], **change}, *ANSWERS[1:]]), NAMED)
    assert content(data) == before


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("q.csv", b"", r"has no rows"),
        ("q.csv", b"title\nx\n", r"no column for field 'text'; it has title.*text or query or prompt"),
        ("q.csv", b"text,grader\nx,y,z\n", r"row 1, field '\*': has more cells"),
        ("q.csv", b"text\n\xff\n", r"is not UTF-8"),
        ("q.jsonl", b'{"text": "a"}\n{"text"\n', r"row 2 is not JSON"),
        ("q.jsonl", b"[1]\n", r"row 1 is a list"),
        ("q.parquet", b"PAR1 no", r"not a Parquet file"),
        ("q.xlsx", b"", r"\.xlsx is not known.*\.csv"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, text, said):
    """Broken, empty or foreign files give a sentence, not a traceback."""
    (tmp_path / name).write_bytes(text)
    with pytest.raises(ImportRefused, match=said):
        import_files(Project(tmp_path), tmp_path / name, None, NAMED)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_csv_of_a_spreadsheet_elsewhere_is_read(tmp_path, separator):
    """Semicolons and tabs separate too; commas in cells stay."""
    header, cells = ["id", "question", "answer", "grader"], ["q1", "Say a, b; or c.", "a, b", "exact"]
    lines = [separator.join(header), separator.join(f'"{cell}"' for cell in cells)]
    (tmp_path / "q.csv").write_text("\n".join(lines) + "\n")
    import_files(Project(tmp_path), tmp_path / "q.csv", None, NAMED)
    (row,) = tables.read(tmp_path / "data" / "queries.parquet", tables.QUERIES).to_dict("records")
    assert (row["text"], row["reference"]) == ("Say a, b; or c.", "a, b")


def test_a_missing_file_is_named(tmp_path):
    """The path is in the message."""
    with pytest.raises(ImportRefused, match=r"nowhere\.csv: cannot be read \(No such file"):
        import_files(Project(tmp_path), tmp_path / "nowhere.csv", None, NAMED)


def test_many_complaints_are_counted(tmp_path):
    """The first five are named and the rest counted."""
    rows = [{"text": "", "id": str(number)} for number in range(12)]
    with pytest.raises(ImportRefused, match=r"row 5, field 'text': is empty; and 7 more"):
        import_files(Project(tmp_path), saved(tmp_path / "q.jsonl", rows), None, NAMED)


def test_the_same_name_again_replaces_its_queries_and_no_others(tmp_path):
    """A corrected file is imported over itself; what other imports brought stays."""
    data = tmp_path / "data"
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", QUERIES), None, NAMED)
    import_files(Project(tmp_path), saved(tmp_path / "o.csv", [{"text": "Another?"}]), None, Defaults("others"))
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", QUERIES[:1]), None, NAMED)
    assert sorted(tables.read(data / "queries.parquet", tables.QUERIES)["text"]) == ["Another?", "What is 6 * 7?"]


def test_answers_alone_find_queries_by_id_and_by_text(tmp_path):
    """Answers to queries of the pool need no queries file: the pool's id or the query's text links them."""
    data = tmp_path / "data"
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", QUERIES), None, NAMED)
    ids = tables.read(data / "queries.parquet", tables.QUERIES).set_index("text")["query_id"]
    rows = [
        {"query_id": ids["Is fire hot?"], "llm": "x", "score": 1},
        {"query": "what is  6 * 7?", "llm": "x", "score": 0.5},
    ]
    before = (data / "queries.parquet").read_bytes()
    import_files(Project(tmp_path), None, saved(tmp_path / "a.jsonl", rows), Defaults("more"))
    labels = tables.read(data / "recorded/x.labels.parquet", tables.LABELS).set_index("query_id")["score"]
    assert labels.to_dict() == {ids["Is fire hot?"]: 1.0, ids["What is 6 * 7?"]: 0.5}
    assert (data / "queries.parquet").read_bytes() == before


def test_a_later_import_adds_to_an_llms_answers(tmp_path):
    """Two files about one LLM are one recording; for the same query the later one wins."""
    data = tmp_path / "data"
    queries = saved(tmp_path / "q.jsonl", QUERIES)
    import_files(Project(tmp_path), queries, saved(tmp_path / "a.jsonl", ANSWERS), NAMED)
    again = [{**ANSWERS[0], "score": 0.25}, {"id": "q3", "model": "Acme-Chat 2.5", "score": 0.75}]
    import_files(Project(tmp_path), queries, saved(tmp_path / "b.jsonl", again), NAMED)
    labels = tables.read(data / "recorded/acme-chat-2-5.labels.parquet", tables.LABELS)
    assert sorted(labels["score"]) == [0.0, 0.25, 0.75]


def test_a_text_already_in_the_pool_is_not_a_new_query(tmp_path):
    """The pool's query keeps its id; the outcome is linked to it."""
    data = tmp_path / "data"
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", QUERIES), None, NAMED)
    done = import_files(
        Project(tmp_path),
        saved(tmp_path / "o.jsonl", [{"id": "z", "text": "WHAT is 6 * 7?"}]),
        saved(tmp_path / "a.jsonl", [{"id": "z", "llm": "x", "score": 1}]),
        Defaults("others"),
    )
    assert (done.new_queries, done.known_queries, done.labels) == (0, 1, 1)
    assert len(tables.read(data / "queries.parquet", tables.QUERIES)) == 3


def test_what_is_left_out_is_named(tmp_path):
    """A text with two references keeps the first, an LLM with two outcomes for a query too; the report names the rows."""
    rows = [
        {"id": "p", "text": "Capital of France?", "reference": "Paris"},
        {"id": "q", "text": "capital of  france?", "reference": "Lyon"},
    ]
    given = [{"id": "p", "llm": "x", "answer": "Paris"}, {"id": "q", "llm": "x", "answer": "Lyon"}]
    files = saved(tmp_path / "q.jsonl", rows), saved(tmp_path / "a.jsonl", given)
    done = import_files(Project(tmp_path), *files, Defaults("twice", grader="exact"))
    assert (done.contradicted, done.repeated) == ((2,), (2,))
    (tmp_path / "pool.yaml").write_text("llms: {}\n")
    said = report(done, tmp_path / "pool.yaml")
    assert "Left out: row 2 of the queries, with the text of an earlier row and another reference." in said
    assert "Left out: row 2 of the answers, with an LLM and a query that an earlier row has." in said


def test_who_will_be_asked_is_said(tmp_path):
    """Whoever brings queries to a pool with endpoints learns whom `dvc repro` asks."""
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "served_name": "x", "api_key_env": None}
    price = {"input": 0, "output": 0}
    entries = {
        "here": {"name": "Here", "endpoint": endpoint, "price": price},
        "gone": {"name": "Gone", "endpoint": endpoint, "price": price, "status": "retired"},
        "known": {"name": "Known", "endpoint": None, "price": price},
    }
    (tmp_path / "pool.yaml").write_text(json.dumps({"llms": entries}))
    done = import_files(Project(tmp_path), saved(tmp_path / "q.csv", QUERIES), None, NAMED)
    assert "asks the LLMs with an endpoint what they have no answer to: here. " in report(done, tmp_path / "pool.yaml")


def test_an_imports_name_is_a_slug(tmp_path):
    """The name becomes a file's name: a path in it is refused."""
    with pytest.raises(ImportRefused, match=r"'\.\./up' is not a slug.*'up'"):
        import_files(Project(tmp_path), saved(tmp_path / "q.csv", QUERIES), None, Defaults("../up"))


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    """When writing fails half-way no file of the import is in place."""
    data = tmp_path / "data"
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", QUERIES), None, NAMED)
    before, real, calls = content(data), pq.write_table, []

    def full(table, path, **options):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device", str(path))
        real(table, path, **options)

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ImportRefused, match=r"Cannot write .*No space left on device"):
        import_files(Project(tmp_path), saved(tmp_path / "q2.csv", QUERIES[:2]), saved(tmp_path / "a.jsonl", ANSWERS[:2]), NAMED)
    assert content(data) == before


def test_recorded_llms_join_the_pool_without_an_endpoint(tmp_path):
    """They keep their name, get the given price, and an unknown price is said aloud."""
    pool_file = tmp_path / "pool.yaml"
    pool_file.write_text("llms: {}\n")
    prices = tmp_path / "prices.yaml"
    prices.write_text("Acme-Chat 2.5: {input: 0.5, output: 1.5}\n")
    names = {"acme-chat-2-5": "Acme-Chat 2.5", "other": "other"}
    said = recorded_llms.add(names, recorded_llms.read_prices(prices), pool_file)
    entry = pool.load(pool_file).by_id("acme-chat-2-5")
    assert (entry.name, entry.endpoint, entry.price.input, entry.price.output) == ("Acme-Chat 2.5", None, 0.5, 1.5)
    assert "price unknown" not in said[0]
    assert "price unknown, written as 0" in said[1]
    assert recorded_llms.add(names, {}, pool_file) == []
    prices.write_text("acme-chat-2-5: {input: 0.7, output: 1.5}\nAcmeChat: {input: 1, output: 1}\n")
    stranger, stays = recorded_llms.add(names, recorded_llms.read_prices(prices), pool_file)
    assert stranger == "The price of acmechat is of no LLM in these answers; they are of acme-chat-2-5, other."
    assert stays == "acme-chat-2-5 stays in pool.yaml at 0.5 and 1.5 USD per million tokens; `routemoa set-llm acme-chat-2-5` changes that."


def test_a_bad_price_names_llm_and_field(tmp_path):
    """A negative price is refused with its place."""
    (tmp_path / "prices.yaml").write_text("x: {input: -1, output: 1}\n")
    with pytest.raises(ImportRefused, match=r"prices\.yaml: x\.input: .*greater than or equal to 0"):
        recorded_llms.read_prices(tmp_path / "prices.yaml")


@given(st.text(max_size=80))
def test_a_slug_is_an_id_or_nothing(name):
    """Whatever an LLM is called, its id has only a-z, 0-9 and inner dashes, and slugging it again changes nothing."""
    made = slug(name)
    assert made == "" or (made[0].isalnum() and set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-"))
    assert slug(made) == made


def test_the_shared_outcomes_come_in_by_the_same_command(tmp_path, monkeypatch, capsys):
    """Real recorded outcomes: every query, label, LLM name and split arrives, and the LLMs join the pool."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not on this machine")
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry/pool.yaml").write_text("llms: {}\n")
    monkeypatch.chdir(tmp_path)
    files = ["--queries", str(SHARED / "queries.parquet"), "--answers", str(SHARED / "outcomes.parquet")]
    importing.main([*files, "--name", "llmrouter", "--add-llms"])
    assert "53901 labels and 0 answers of 9 LLMs" in capsys.readouterr().out
    given_queries, outcomes = (pd.read_parquet(SHARED / name) for name in ("queries.parquet", "outcomes.parquet"))
    queries = tables.read(Path("data/queries.parquet"), tables.QUERIES)
    assert set(queries["domain"]) == set(given_queries["domain"])
    assert len(queries) >= 0.99 * len(given_queries)  # a few texts come twice
    assert {llm.name for llm in pool.load(Path("registry/pool.yaml")).llms} == set(outcomes["llm"])
    splits = pq.read_table("data/recorded/llmrouter.splits.parquet").to_pandas()
    assert set(splits["query_id"]) == set(queries["query_id"])
    for name, slugged in (("gemma-2-9b-it", "gemma-2-9b-it"), ("llama-3.1-8b-instruct", "llama-3-1-8b-instruct")):
        labels = tables.read(Path(f"data/recorded/{slugged}.labels.parquet"), tables.LABELS)
        assert labels["score"].mean() == pytest.approx(outcomes.loc[outcomes["llm"] == name, "score"].mean(), abs=0.002)
