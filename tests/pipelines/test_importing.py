"""A user's queries and recorded answers: what comes in, what is refused and how it is said."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import tables
from pipelines.errors import ImportRefused, TableRefused
from pipelines.imports import import_command, llm_names, price_list, recorded_llms
from pipelines.imports.checks import Defaults
from pipelines.imports.importing import import_files
from pipelines.imports.llm_names import slug
from pipelines.imports.report import report
from pipelines.project import Project
from registry import pool
from registry.entry import RESERVED, check_id

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
    assert list(queries.loc["Is fire hot?\nA. yes\nB. no", "choices"]) == ["yes", "no"]
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
        ({"question": " "}, r"q\.csv: row 2, field 'question': is empty"),
        ({"split": "vaildation"}, r"row 2, field 'split': is no split; did you mean validation.*\(found 'vaildation'\)"),
        ({"question": ""}, r"q\.csv: row 2, field 'question': is empty"),
        ({"choices": "yes, no"}, r"row 2, field 'choices': is not a list of options"),
        ({"choices": ""}, r"row 2, field 'choices': is empty; grader 'choice' needs the options"),
        ({"grader": "choise"}, r"row 2, field 'grader': 'choise' is not known; did you mean choice"),
        ({"grader": ""}, r"row 2, field 'grader': is empty while there is a reference"),
        ({"answer": ""}, r"row 2, field 'reference': is empty; grader 'choice' needs one"),
        ({"answer": "Z"}, r"row 2, field 'reference': 'Z' is none of the letters A to B"),
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
        ({"score": "good"}, r"row 1, field 'score': is no score"),
        ({"id": "q9"}, r"row 1, field 'query_id': 'q9' is no query of the queries file or the pool"),
        ({"model": "Other"}, r"row 3, field 'llm': 'other' gives the id 'other', as 'Other' does; rename one"),
        ({"model": "routemoa"}, r"row 1, field 'llm': .*virtual model"),
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
        ("q.csv", b"", r"is empty"),
        ("q.csv", b"title\nx\n", r"no column for field 'text'; it has title.*text or query or prompt"),
        ("q.csv", b"text,grader\nx,y,z\n", r"row 1, field '\*': has more cells"),
        ("q.csv", b"text\n\xff\n", r"is not UTF-8"),
        ("q.jsonl", b'{"text": "a"}\n{"text"\n', r"row 2 is not JSON"),
        ("q.jsonl", b"[1]\n", r"row 1 is a int"),
        ("q.parquet", b"PAR1 no", r"not a Parquet file"),
        ("q.xlsx", b"PK\x03\x04", r"is an Excel workbook.*[Ss]ave the sheet as CSV"),
        ("q.json.gz", b"\x1f\x8b\x08\x00", r"is compressed by gzip and damaged or cut off"),
        ("q.csv", b"text,answer,Answer\na,b,c\n", r"has the column 'answer' twice"),
        ("q.csv", b'text\n"He" said\n', r"line 2: not CSV"),
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
        {"query_id": ids["Is fire hot?\nA. yes\nB. no"], "llm": "x", "score": 1},
        {"query": "what is  6 * 7?", "llm": "x", "score": 0.5},
    ]
    before = (data / "queries.parquet").read_bytes()
    import_files(Project(tmp_path), None, saved(tmp_path / "a.jsonl", rows), Defaults("more"))
    labels = tables.read(data / "recorded/x.labels.parquet", tables.LABELS).set_index("query_id")["score"]
    assert labels.to_dict() == {ids["Is fire hot?\nA. yes\nB. no"]: 1.0, ids["What is 6 * 7?"]: 0.5}
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
        saved(tmp_path / "o.jsonl", [{"id": "z", "text": "What is 6 * 7? "}]),
        saved(tmp_path / "a.jsonl", [{"id": "z", "llm": "x", "score": 1}]),
        Defaults("others"),
    )
    assert (done.new_queries, done.known_queries, done.labels) == (0, 1, 1)
    assert len(tables.read(data / "queries.parquet", tables.QUERIES)) == 3


def test_nothing_of_a_left_out_row_stays(tmp_path):
    """A text with two references keeps the first; the other row's answers, split, id and LLM are left out with it, and named."""
    rows = [
        {"id": "p", "text": "Capital of France?", "reference": "Paris", "split": "train"},
        {"id": "q", "text": "Capital of France? ", "reference": "Lyon", "split": "test"},
    ]
    answered = [
        {"id": "p", "llm": "x", "answer": "Paris"},
        {"id": "q", "llm": "x", "answer": "Lyon"},
        {"id": "q", "llm": "y", "answer": "Lyon"},
        {"id": "p", "llm": "x", "answer": "Rome"},
        {"id": "p", "llm": "z"},
    ]
    files = saved(tmp_path / "q.jsonl", rows), saved(tmp_path / "a.jsonl", answered)
    done = import_files(Project(tmp_path), *files, Defaults("twice", grader="exact"))
    assert (done.contradicted, done.unasked, done.repeated, done.unanswered) == ((2,), (2, 3), (4,), (5,))
    assert set(done.llms) == {"x"}
    assert tables.read(tmp_path / "data/recorded/x.parquet", tables.ANSWERS)["text"].to_list() == ["Paris"]
    assert tables.read(tmp_path / "data/recorded/twice.splits.parquet", tables.SPLITS)["split"].to_list() == ["train"]
    assert tables.read(tmp_path / "data/recorded/twice.ids.parquet", tables.OWN_IDS)["own_id"].to_list() == ["p"]
    (tmp_path / "pool.yaml").write_text("llms: {}\n")
    lines = report(done, tmp_path / "pool.yaml").splitlines()
    assert lines[1:5] == [
        "Left out: row 2 of the queries, with the text of another query and another reference.",
        "Left out: rows 2, 3 of the answers, to queries that are left out.",
        "Left out: row 4 of the answers, with an LLM and a query that an earlier row has.",
        "Left out: row 5 of the answers, with neither a score nor an answer.",
    ]


def pool_of(home: Path) -> pd.DataFrame:
    return tables.read(home / "data/queries.parquet", tables.QUERIES)


def test_case_and_options_make_another_query(tmp_path):
    """What is asked is the text with its options: texts that differ in case, options or their order are different queries, graded apart."""
    rows = [
        {"id": 1, "question": "What does print('AB'.swapcase()) show?", "answer": "ab", "grader": "exact"},
        {"id": 2, "question": "What does print('ab'.swapcase()) show?", "answer": "AB", "grader": "exact"},
        {"id": 3, "question": "Which is a fruit?", "answer": "A", "choices": ["apple", "car"], "grader": "choice"},
        {"id": 4, "question": "Which is a fruit?", "answer": "A", "choices": ["pear", "bus"], "grader": "choice"},
        {"id": 5, "question": "Which is a fruit?", "answer": "car", "choices": ["car", "apple"], "grader": "choice"},
    ]
    answered = [{"id": row["id"], "model": "m", "response": "x"} for row in rows]
    done = import_files(Project(tmp_path), saved(tmp_path / "q.jsonl", rows), saved(tmp_path / "a.jsonl", answered), Defaults("mine"))
    assert (done.new_queries, done.answers, done.repeated) == (5, 5, ())
    queries = pool_of(tmp_path).set_index("text")["reference"]
    assert queries["Which is a fruit?\nA. apple\nB. car"] == queries["Which is a fruit?\nA. pear\nB. bus"] == "A"
    assert queries["Which is a fruit?\nA. car\nB. apple"] == "A"


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        ({"text": "Fruit?", "choices": ["car", "pear"], "reference": "B", "grader": "choice"}, "Fruit?\nA. car\nB. pear"),
        ({"text": "Fruit? A) car  B) pear", "choices": ["car", "pear"], "reference": "B", "grader": "choice"}, "Fruit? A) car  B) pear"),
        ({"text": "Is it car or pear?", "choices": ["car", "pear"], "reference": "B", "grader": "choice"}, "Is it car or pear?"),
        ({"text": "No pear?", "choices": ["no", "pear tree"], "reference": "A", "grader": "choice"}, "No pear?\nA. no\nB. pear tree"),
        ({"text": "Hot?", "choices": ["yes", "no"], "reference": "yes", "grader": "exact"}, "Hot?\nAnswer with one of: yes / no"),
        ({"text": "Hot?", "choices": ["yes", "no"]}, "Hot?\nA. yes\nB. no"),
    ],
)
def test_options_of_their_own_column_are_put_to_the_llm(tmp_path, row, asked):
    """An LLM that is asked sees the options, once: by letter, or to be repeated where the reference is one of them."""
    import_files(Project(tmp_path), saved(tmp_path / "q.jsonl", [row]), None, Defaults("mine"))
    assert pool_of(tmp_path)["text"].to_list() == [asked]


@given(st.lists(st.tuples(st.sampled_from(["What?", "what?", "Why?"]), st.permutations(["x", "y"]), st.booleans()), max_size=6))
def test_a_query_is_its_text_and_options(tmp_path_factory, rows):
    """Each row's own id leads to the query with its text and options, whatever else is in the file; no two queries share an id."""
    home = tmp_path_factory.mktemp("home")
    table = [{"id": n, "text": text, "choices": list(options) if some else []} for n, (text, options, some) in enumerate(rows)]
    if not table:
        return
    import_files(Project(home), saved(home / "q.jsonl", table), None, Defaults("mine"))
    queries = pool_of(home)
    assert queries["query_id"].is_unique
    asked = queries.set_index("query_id")
    own_ids = tables.read(home / "data/recorded/mine.ids.parquet", tables.OWN_IDS).set_index("own_id")["query_id"]
    assert len(own_ids) == len(table)
    for row in table:
        query = asked.loc[own_ids[str(row["id"])]]
        assert (query["text"].splitlines()[0], list(query["choices"])) == (row["text"], row["choices"])


def test_own_ids_survive(tmp_path):
    """Later answers name queries by the ids their owner gave them, under the import's name; another import's ids are its own."""
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", QUERIES), None, NAMED)
    late = saved(tmp_path / "a.jsonl", [{"id": "q1", "model": "late", "score": 1}])
    assert import_files(Project(tmp_path), None, late, Defaults("mine")).labels == 1
    with pytest.raises(ImportRefused, match=r"'q1' is no query of the queries file or the pool"):
        import_files(Project(tmp_path), None, late, Defaults("others"))


@pytest.mark.parametrize(
    ("queries", "answers"),
    [
        (["1", "2"], ["1.0", "2.0"]),
        (["q1", "q2"], ["q1 ", " q2"]),
        (["007", "7"], ["007", "7"]),
        ([2**60 + 1, 2**60 + 2], [2**60 + 1, 2**60 + 2]),
    ],
)
def test_ids_are_the_same_however_they_are_written(tmp_path, queries, answers):
    """Spaces around an id and a data frame's `.0` are form; leading zeros and every digit are the id's own."""
    asked = [{"id": own_id, "text": f"Question {n}?"} for n, own_id in enumerate(queries)]
    scored = [{"id": own_id, "model": "m", "score": n} for n, own_id in enumerate(answers)]
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", asked), saved(tmp_path / "a.csv", scored), Defaults("mine"))
    texts = pool_of(tmp_path).set_index("query_id")["text"]
    labels = tables.read(tmp_path / "data/recorded/m.labels.parquet", tables.LABELS)
    assert {texts[row["query_id"]]: row["score"] for row in labels.to_dict("records")} == {"Question 0?": 0.0, "Question 1?": 1.0}


def test_an_id_and_a_text_of_two_queries_are_refused(tmp_path):
    """Where an answers file numbers its answers, its ids fit queries by accident, and its texts say so; a text of two needs an id."""
    asked = [
        {"id": 1, "text": "A?"},
        {"id": 2, "text": "B?"},
        {"text": "Of?", "choices": ["x", "y"]},
        {"text": "Of?", "choices": ["y", "x"]},
    ]
    queries = saved(tmp_path / "q.jsonl", asked)
    crossed = saved(tmp_path / "a.jsonl", [{"id": 1, "query": "B?", "llm": "m", "score": 1}, {"query": "Of?", "llm": "m", "score": 1}])
    with pytest.raises(
        ImportRefused, match=r"row 1, field 'query_id': '1' is another query.*row 2, field 'query': 'Of\?' is the text of 2 queries"
    ):
        import_files(Project(tmp_path), queries, crossed, Defaults("mine"))


def test_the_grader_option_is_for_rows_with_a_reference(tmp_path):
    """Questions without a reference stay open, beside those that `--grader` grades."""
    rows = [{"text": "Capital of Norway?", "reference": "Oslo"}, {"text": "Write a poem."}]
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", rows), None, Defaults("mine", grader="exact"))
    assert pool_of(tmp_path).set_index("text")["grader"].to_dict() == {"Capital of Norway?": "exact", "Write a poem.": "judge"}
    with pytest.raises(ImportRefused, match=r"--grader: 'exakt' is not known; did you mean exact"):
        import_files(Project(tmp_path), tmp_path / "q.csv", None, Defaults("mine", grader="exakt"))


def test_scores_of_queries_named_by_text_are_grades(tmp_path):
    """A query whose scores come with it needs no grader, whether they name it by id or by text."""
    queries = saved(tmp_path / "q.csv", [{"text": "Capital of Norway?", "reference": "Oslo"}])
    answers = saved(tmp_path / "a.csv", [{"query": "capital of  Norway?", "llm": "m", "score": 1}])
    import_files(Project(tmp_path), queries, answers, Defaults("mine"))
    assert pool_of(tmp_path)["grader"].to_list() == ["recorded"]


def test_importing_again_forgets_splits_and_ids(tmp_path):
    """A corrected file leaves no split or id of the former one; of a text in two splits the one farther from training counts."""
    rows = [
        {"id": "a", "text": "One?", "split": "Train"},
        {"id": "b", "text": "One? ", "split": "TEST"},
        {"id": "c", "text": "Two?", "split": "dev"},
    ]
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", rows), None, Defaults("mine"))
    splits = tables.read(tmp_path / "data/recorded/mine.splits.parquet", tables.SPLITS)
    assert sorted(splits["split"]) == ["test", "validation"]
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", [{"text": "One?"}]), None, Defaults("mine"))
    assert tables.read(tmp_path / "data/recorded/mine.splits.parquet", tables.SPLITS).empty
    assert tables.read(tmp_path / "data/recorded/mine.ids.parquet", tables.OWN_IDS).empty


def test_how_queries_are_split_is_said(tmp_path):
    """A text in train and test is kept from training, counted; what the file leaves open, and what it lacks, is said at once."""
    (tmp_path / "pool.yaml").write_text("llms: {}\n")
    both = [{"text": "One?", "split": "train"}, {"text": "One?", "split": "Test set"}, {"text": "Two?", "split": "train"}]
    done = import_files(Project(tmp_path), saved(tmp_path / "q.csv", both), None, Defaults("mine"))
    assert (dict(done.splits), done.moved, done.unsplit) == ({"test": 1, "train": 1}, 1, 0)
    said = report(done, tmp_path / "pool.yaml")
    assert "Splits as they came: 1 train, 1 test.\n1 texts stand in several splits, and stay in the one farthest from training" in said
    assert "None came for validation: some of train is used for it" in said
    rows = [{"text": "One?", "split": "train"}, {"text": "Two?", "split": "out-of-distribution"}]
    done = import_files(Project(tmp_path), saved(tmp_path / "q.csv", rows), None, Defaults("mine"))
    assert "None came for test: other queries of the pool must be it" in report(done, tmp_path / "pool.yaml")
    rows += [{"text": "Three?", "split": None}]
    done = import_files(Project(tmp_path), saved(tmp_path / "q.csv", rows), None, Defaults("mine"))
    said = report(done, tmp_path / "pool.yaml")
    assert "Splits as they came: 1 train, 1 ood; 1 without one, cut by hash." in said
    assert "None came" not in said


def test_a_query_of_the_pool_with_another_reference_is_left_alone(tmp_path):
    """Answers to a text that the pool knows with another reference are not graded by that one."""
    import_files(Project(tmp_path), saved(tmp_path / "q.csv", [{"text": "Capital?", "reference": "Oslo"}]), None, Defaults("one", "exact"))
    files = (
        saved(tmp_path / "r.csv", [{"id": 1, "text": "Capital?", "reference": "Rome"}, {"id": 2, "text": "New?"}]),
        saved(tmp_path / "a.csv", [{"id": 1, "llm": "m", "answer": "Rome"}, {"id": 2, "llm": "m", "answer": "yes"}]),
    )
    done = import_files(Project(tmp_path), *files, Defaults("two", "exact"))
    assert (done.contradicted, done.unasked, done.answers) == ((1,), (1,), 1)


@pytest.mark.parametrize(
    ("name", "llm_id"),
    [
        ("openai/gpt-4o", "openai-gpt-4o"),
        ("meta-llama/Llama-3.1-8B:free", "meta-llama-llama-3-1-8b-free"),
        ("anthropic.claude-v2:1", "anthropic-claude-v2-1"),
        ("405", "llm-405"),
        ("通义千问", "llm-800ee680"),
    ],
)
def test_vendors_names_are_kept_as_they_are(tmp_path, name, llm_id):
    """The entry is called as the vendor calls it; its id is a slug, with a hash where letters or length do not fit into one."""
    done = import_files(
        Project(tmp_path),
        saved(tmp_path / "q.jsonl", [{"id": 1, "text": "A?"}]),
        saved(tmp_path / "a.jsonl", [{"id": 1, "llm": name, "score": 1}]),
        NAMED,
    )
    assert dict(done.llms) == {llm_id: name}


@given(st.text(min_size=1, max_size=90).filter(str.strip))
def test_every_name_has_an_id(name):
    """Whatever an LLM is called, it can enter the pool under some id, unless that is a virtual model's."""
    llm_id = llm_names.id_of(name)
    assert llm_id in RESERVED or check_id(llm_id) == llm_id


def test_an_llm_of_the_pool_is_known_by_its_served_name(tmp_path):
    """Answers of `openai/gpt-4o` are those of the entry that is served under this name, if it is one."""
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "served_name": "openai/gpt-4o"}
    entry = {"name": "GPT-4o", "endpoint": endpoint, "price": {"input": 1, "output": 1}}
    (tmp_path / "pool.yaml").write_text(
        json.dumps(
            {
                "llms": {
                    "gpt": entry,
                    "gpt-steps": entry | {"name": "In steps"},
                    "mini": entry | {"endpoint": endpoint | {"served_name": "m"}, "name": "Mini"},
                }
            }
        )
    )
    known = llm_names.known_to(pool.load(tmp_path / "pool.yaml"))
    assert known == {
        "gpt": "gpt",
        "GPT-4o": "gpt",
        "gpt-steps": "gpt-steps",
        "In steps": "gpt-steps",
        "mini": "mini",
        "Mini": "mini",
        "m": "mini",
    }


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
    """They keep their name and get the given price; one that nobody said is unknown, never free, and asked for by name."""
    pool_file = tmp_path / "pool.yaml"
    pool_file.write_text("llms: {}\n")
    prices = tmp_path / "prices.yaml"
    prices.write_text("Acme-Chat 2.5: {input: 0.5, output: 1.5}\n")
    names = {"acme-chat-2-5": "Acme-Chat 2.5", "other": "other"}
    said = recorded_llms.add(names, recorded_llms.by_id(price_list.read(prices), {}), pool_file)
    entry = pool.load(pool_file).by_id("acme-chat-2-5")
    assert (entry.name, entry.endpoint, entry.price.input, entry.price.output) == ("Acme-Chat 2.5", None, 0.5, 1.5)
    assert said[0] == "Added acme-chat-2-5 (Acme-Chat 2.5) to pool.yaml as a recorded LLM."
    assert said[1] == "Added other (other) to pool.yaml as a recorded LLM, its price unknown."
    assert said[2].endswith("until its price is said: `routemoa set-llm other --input-price USD --output-price USD`.")
    nobody_said = pool.load(pool_file).by_id("other").price
    assert not nobody_said.known
    assert nobody_said.cost(1, 1) == float("inf")
    assert recorded_llms.add(names, {}, pool_file) == []
    prices.write_text("acme-chat-2-5: {input: 0.7, output: 1.5}\nAcmeChat: {input: 1, output: 1}\n")
    stranger, stays = recorded_llms.add(names, recorded_llms.by_id(price_list.read(prices), {}), pool_file)
    assert stranger == "The price of acmechat is of no LLM in these answers; they are of acme-chat-2-5, other."
    assert stays == "acme-chat-2-5 stays in pool.yaml at 0.5 and 1.5 USD per million tokens; `routemoa set-llm acme-chat-2-5` changes that."
    prices.write_text("other: {input: 0.7, output: 1.5}\n")
    (stays,) = recorded_llms.add(names, price_list.read(prices), pool_file)
    assert stays == "other stays in pool.yaml at a price that nobody said; `routemoa set-llm other` changes that."


def test_a_bad_price_names_llm_and_field(tmp_path):
    """A negative price is refused with its place."""
    (tmp_path / "prices.yaml").write_text("x: {input: -1, output: 1}\n")
    with pytest.raises(TableRefused, match=r"prices\.yaml: x\.input: .*greater than or equal to 0"):
        price_list.read(tmp_path / "prices.yaml")


@given(st.text(max_size=80))
def test_a_slug_is_an_id_or_nothing(name):
    """Whatever a thing is called, its slug has only a-z, 0-9 and inner dashes, and slugging it again changes nothing."""
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
    import_command.main([*files, "--name", "llmrouter", "--add-llms"])
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
