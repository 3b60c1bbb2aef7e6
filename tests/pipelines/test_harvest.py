"""Served queries that can be graded come back into the pool: once, redacted, with what is known of their answers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mixture.llm import LLM, Decoding, Endpoint, Prompt
from mixture.price import Price
from monitoring.records.redaction import redact
from monitoring.records.reference import Reference
from monitoring.records.store import RecordStore
from pipelines import harvest_cost, params, query_pool, query_selection, tables
from pipelines.errors import TableRefused
from pipelines.graders.query import Query
from pipelines.harvest import Harvest, look, take
from pipelines.harvest_cost import Bill
from pipelines.params import Label
from pipelines.project import Project
from registry.jobs import Jobs
from registry.pool import Pool
from tests.pipelines.served import serve

ROOT = Path(__file__).parents[2]
NOBODY = Label(timeout_s=10, judge=None, reward_model=None, reliability={})
JUDGED = Label(timeout_s=10, judge="first", reward_model=None, reliability={})
OSLO = Reference("exact", "Oslo")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A query pool of one query."""
    made = Project(tmp_path)
    row = dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": "q-1", "text": "What is one and one?", "choices": []}
    query_pool.write([row], made.queries)
    return made


def harvest(project: Project, settings: Label = JUDGED, limit: int | None = None) -> Harvest:
    """What is found, taken in."""
    found = look(project, settings, limit)
    take(project, found)
    return found


def pool_of(project: Project) -> pd.DataFrame:
    return tables.read(project.queries, tables.QUERIES).set_index("text")


def test_new_texts_come_in_once(project: Project) -> None:
    """A text already in the pool, or served twice but for spaces around it, is no new query; a second harvest brings nothing."""
    serve(project.records, "What is one and one?", "Name a river.", " Name a river.\n", "Name a lake.")
    found = harvest(project)
    assert (found.seen, found.with_text, len(found.new)) == (4, 4, 2)
    pool = tables.read(project.queries, tables.QUERIES)
    assert sorted(pool["text"]) == ["Name a lake.", "Name a river.", "What is one and one?"]
    taken = pool[pool["dataset"] == "harvested"]
    assert set(taken["grader"]) == {"judge"}
    assert set(taken["domain"]) == {"mathematics"}
    assert len(tables.read(project.harvested, tables.QUERIES)) == 2
    assert taken["query_id"].is_unique
    before = (project.queries).read_bytes()
    assert not harvest(project).brings_something
    assert (project.queries).read_bytes() == before


def test_case_and_options_make_another_query(project: Project) -> None:
    """What `'ab'.upper()` prints is not what `'AB'.upper()` prints; a text asked with two lists of options is two queries."""
    serve(project.records, "Print 'ab'.", "Print 'AB'.")
    here, there = (Reference("choice", "B", options) for options in (("Rome", "Oslo"), ("Rome", "Bergen")))
    serve(project.records, "Which is in Norway?", outcome=1.0, reference=here)
    serve(project.records, "Which is in Norway?", outcome=0.0, reference=there, llm="second")
    assert len(harvest(project).new) == 4
    rows = tables.read(project.harvested, tables.QUERIES)
    assert rows["query_id"].is_unique
    assert sorted(tuple(each) for each in rows["choices"]) == [(), (), ("Rome", "Bergen"), ("Rome", "Oslo")]
    first, second = (tables.read(project.recorded_labels(llm), tables.LABELS) for llm in ("first", "second"))
    assert set(first["query_id"]).isdisjoint(second["query_id"])
    assert not harvest(project).brings_something


def test_a_text_with_options_is_the_pools_however_it_is_asked(project: Project) -> None:
    """A served text that the pool has with its options is that query; options that come later are those of a harvested text."""
    made = dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": "q-2", "text": "Hot?\nA. yes\nB. no", "choices": ["yes", "no"]}
    query_pool.write([made], project.queries)
    serve(project.records, "Hot?\nA. yes\nB. no", "Cold?\nA. yes\nB. no")
    assert [row["text"] for row in harvest(project).new] == ["Cold?\nA. yes\nB. no"]
    (before,) = harvested_ids(project)
    serve(project.records, "Cold?\nA. yes\nB. no", outcome=1.0, reference=Reference("choice", "A", ("yes", "no")))
    assert (len(harvest(project).new), harvested_ids(project)) == (0, [before])
    assert list(pool_of(project).loc["Cold?\nA. yes\nB. no", "choices"]) == ["yes", "no"]


def test_the_pool_is_put_together_not_read_from_a_stale_file(project: Project) -> None:
    """What `dvc pull` brought is known though data/queries.parquet was written before; packaged queries that are missing are asked for."""
    imported = dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": "q-3", "text": "Name a river.", "choices": [], "source": "import:a"}
    query_pool.write([imported], project.imports / "a.parquet")
    serve(project.records, "Name a river.", "Name a lake.")
    assert [row["text"] for row in harvest(project).new] == ["Name a lake."]
    assert sorted(pool_of(project).index) == ["Name a lake.", "Name a river.", "What is one and one?"]
    query_pool.write_pin(project, [imported, imported])
    with pytest.raises(TableRefused, match=r"Run `python -m pipelines\.queries`"):
        look(project, JUDGED)


def test_looking_changes_nothing(project: Project) -> None:
    """What a harvest would bring is said before anything is written."""
    before = project.queries.read_bytes()
    serve(project.records, "Name a river.", "Name a sea.", outcome=1.0, domain="law")
    serve(project.records, "Name a lake.", domain="sql")
    found = look(project, JUDGED)
    assert str(found) == "3 records, 3 with text: 3 new queries (law 2, sql 1), 2 new labels."
    assert project.queries.read_bytes() == before
    assert not project.harvested.exists()
    assert not project.recorded.exists()


def test_what_nothing_can_grade_stays_out(project: Project) -> None:
    """Without judge and reward model a query needs a reference; a bare score brings neither query nor label, and what to do is said."""
    serve(project.records, "Name a river.", "Name a lake.")
    serve(project.records, "Name a sea.", outcome=1.0)
    found = harvest(project, NOBODY)
    assert (found.new, found.labels, len(found.ungradable), found.brings_something) == ([], {}, 3, False)
    assert "Left out: 3 that nothing would grade. Report references with their outcomes" in str(found)
    rewarding = Label(timeout_s=10, judge=None, reward_model="some/name@1", reliability={})
    assert len(look(project, rewarding).new) == 3


@pytest.mark.parametrize(
    ("reference", "right", "wrong"),
    [
        (OSLO, "oslo.", "Bergen"),
        (Reference("choice", "B", ("Bergen", "Oslo")), "B", "A"),
        (Reference("contains", '["Oslo"]'), "It is Oslo.", "Bergen"),
        (Reference("number", "42"), "42.0", "43"),
        (Reference("math", "\\frac{1}{2}"), "$\\frac{2}{4}$", "$\\frac{1}{4}$"),
    ],
    ids=lambda each: getattr(each, "grader", ""),
)
def test_a_reference_grades_every_llms_answer(project: Project, reference: Reference, right: str, wrong: str) -> None:
    """The row that is written carries grader, reference and options, so that the answers of LLMs that never saw it get a score."""
    from pipelines.label import label

    serve(project.records, "Which?", outcome=0.0, reference=reference, domain="law")
    assert len(harvest(project, NOBODY).new) == 1
    row = pool_of(project).loc["Which?"]
    assert (row["grader"], row["reference"], tuple(row["choices"]), row["domain"]) == (*_parts(reference), "law")
    assert Query.of({**row, "text": "Which?"}).choices == reference.choices
    table = tables.read(project.queries, tables.QUERIES)
    for llm, text, score in (("second", right, 1.0), ("third", wrong, 0.0)):
        answer = dict.fromkeys(tables.ANSWERS.names) | {"query_id": row["query_id"], "llm": llm, "sample": 0, "text": text}
        answered = answer | {"input_tokens": 1, "output_tokens": 1, "asked_at": pd.Timestamp("2026-01-01", tz="UTC"), "asked_with": "?"}
        tables.write(project.answers(llm), pd.DataFrame([answered]), tables.ANSWERS)
        labels = label(project, LLM(llm, llm, Price(1, 1)), table, timeout_s=10)
        assert list(zip(labels["grader"], labels["score"], strict=True)) == [(reference.grader, score)]
    served = tables.read(project.recorded_labels("first"), tables.LABELS)
    assert list(zip(served["grader"], served["score"], strict=True)) == [("outcome", 0.0)]


def _parts(reference: Reference) -> tuple[str, str, tuple[str, ...]]:
    return reference.grader, reference.text, reference.choices


def test_a_reference_that_comes_later_grades_what_was_harvested(project: Project) -> None:
    """A query that came in for a judge is graded by the reference from then on, and by a corrected one; it keeps its id; others stay."""
    serve(project.records, "What is the capital of Norway?")
    harvest(project)
    (before,) = harvested_ids(project)
    serve(project.records, "What is the capital of Norway? ", "What is one and one?", outcome=1.0, reference=Reference("exact", "Bergen"))
    found = harvest(project, NOBODY)
    assert (len(found.new), len(found.regraded)) == (0, 1)
    serve(project.records, "What is the capital of Norway?", outcome=1.0, reference=OSLO)
    assert "1 queries of earlier harvests have a reference now." in str(harvest(project, NOBODY))
    assert not harvest(project, NOBODY).brings_something
    assert list(harvested_ids(project)) == [before]
    for table in (project.queries, project.harvested):
        row = tables.read(table, tables.QUERIES).set_index("query_id").loc[before]
        assert (row["grader"], row["reference"]) == ("exact", "Oslo")
    assert pool_of(project).loc["What is one and one?", "grader"] == "x"


def harvested_ids(project: Project) -> list[str]:
    return list(tables.read(project.harvested, tables.QUERIES)["query_id"])


def test_a_reference_that_may_not_be_kept_grades_nothing(project: Project) -> None:
    """One with an address in it would have to be redacted, and no answer could equal it then; nor does one that cannot be parsed."""
    serve(project.records, "Whom do I write to?", outcome=1.0, reference=Reference("exact", "jane.doe@example.org"))
    serve(project.records, "What is a half?", outcome=1.0, reference=Reference("math", "$$"))
    assert len(harvest(project, NOBODY).ungradable) == 2
    assert len(harvest(project).new) == 2
    assert b"jane" not in project.queries.read_bytes()
    assert set(tables.read(project.harvested, tables.QUERIES)["grader"]) == {"judge"}


def test_a_limit_takes_references_first(project: Project) -> None:
    """The rest is a sample by hash, the same each time, and what is left comes with the next harvest; labels come with their queries."""
    serve(project.records, *(f"Name river {at}." for at in range(5)), outcome=0.5)
    serve(project.records, "What is the capital of Norway?", outcome=1.0, reference=OSLO)
    found = look(project, JUDGED, 3)
    by_hash = query_selection.in_hash_order(row["query_id"] for row in look(project, JUDGED).new if row["grader"] == "judge")
    assert [row["grader"] for row in found.new] == ["exact", "judge", "judge"]
    assert [row["query_id"] for row in found.new[1:]] == by_hash[:2]
    assert (found.beyond_limit, sum(map(len, found.labels.values()))) == (3, 3)
    take(project, found)
    assert len(look(project, JUDGED, 0).new) == 0
    assert [row["query_id"] for row in look(project, JUDGED).new] == by_hash[2:]


def test_rebuilding_the_pool_keeps_the_harvest(project: Project) -> None:
    """pipelines.queries reads data/harvested.parquet: what traffic brought survives a rebuild."""
    serve(project.records, "Name a river.")
    harvest(project)
    assert [row["text"] for row in query_pool.imported_and_harvested(project)] == ["Name a river."]


def test_outcomes_become_labels_of_the_llm_that_answered(project: Project) -> None:
    """Reported outcomes are averaged per query and LLM; syntheses and queries of the old pool get none."""
    serve(project.records, "Name a river.", outcome=1.0)
    serve(project.records, "Name a river. ", outcome=0.5)
    serve(project.records, "Name a lake.", outcome=0.25, llm="second")
    serve(project.records, "Name a sea.", outcome=1.0, llm=None)
    serve(project.records, "What is one and one?", outcome=0.0)
    assert {llm: len(rows) for llm, rows in harvest(project).labels.items()} == {"first": 1, "second": 1}
    label = tables.read(project.recorded_labels("first"), tables.LABELS).to_dict("records")
    assert label == [
        {
            "query_id": pool_of(project).loc["Name a river.", "query_id"],
            "llm": "first",
            "score": 0.75,
            "grader": "outcome",
            "grader_version": "1",
        }
    ]
    assert not harvest(project).brings_something


def test_labels_from_elsewhere_stay(project: Project) -> None:
    """A file of imported labels is added to, not replaced."""
    imported = pd.DataFrame([{"query_id": "q-1", "llm": "first", "score": 0.1, "grader": "import", "grader_version": "1"}])
    tables.write(project.recorded_labels("first"), imported, tables.LABELS)
    serve(project.records, "Name a river.", outcome=1.0)
    harvest(project)
    assert sorted(tables.read(project.recorded_labels("first"), tables.LABELS)["grader"]) == ["import", "outcome"]


def test_without_text_nothing_is_taken_and_it_says_so(project: Project) -> None:
    """Where the operator keeps no prompts there is nothing to harvest; failed requests are left out too."""
    serve(project.records, None, None)
    assert "none with text: nothing to harvest" in str(harvest(project))
    serve(project.records, "Name a river.", status="error")
    assert not harvest(project).brings_something
    project.records.unlink()
    assert str(harvest(project)).startswith("0 records")


def test_texts_are_redacted_before_they_are_kept(project: Project) -> None:
    """What a user should not have pasted never reaches data/."""
    serve(project.records, "Write to jane.doe@example.org about 4111 1111 1111 1111.")
    harvest(project)
    kept = tables.read(project.harvested, tables.QUERIES)["text"]
    assert list(kept) == ["Write to [email] about [card]."]
    assert b"jane" not in (project.queries).read_bytes()


def test_asking_is_priced_by_text_and_recorded_answers(project: Project) -> None:
    """Tokens in by the text as it is sent, tokens out by the LLM's mean answer, else by its limit; who is not asked costs nothing."""
    endpoint = Endpoint("http://127.0.0.1:9/v1", "served")
    known = LLM("first", "First", Price(1.0, 10.0), endpoint, prompt=Prompt(system="x" * 40))
    fresh = LLM("second", "Second", Price(2.0, 0.0), endpoint, decoding=Decoding(max_tokens=50))
    others = (LLM("third", "Third", Price(1, 1)), LLM("fourth", "Fourth", Price(1, 1), endpoint, status="retired"))
    row = {"llm": "first", "sample": 0, "text": "x", "asked_at": pd.Timestamp("2026-01-01", tz="UTC"), "asked_with": "?"}
    answers = [row | {"query_id": f"q-{tokens}", "output_tokens": tokens} for tokens in (10, 30)]
    tables.write(project.recorded_answers("first"), pd.DataFrame(answers, columns=tables.ANSWERS.names), tables.ANSWERS)
    serve(project.records, "a" * 80, "b" * 80, outcome=1.0, reference=OSLO)
    serve(project.records, "c" * 80)
    parsed = params.load(ROOT / "params.yaml")
    pool = Pool((known, fresh, *others))
    by_code = harvest_cost.bills(project, pool, parsed, look(project, NOBODY))
    assert by_code == [
        Bill("first", "answers", 2, 2 * (30 + 8), 2 * 20.0, pytest.approx((76 * 1.0 + 40 * 10.0) / 1e6)),
        Bill("second", "answers", 2, 2 * (20 + 4), 2 * 50.0, pytest.approx(48 * 2.0 / 1e6)),
    ]
    judged = harvest_cost.bills(project, pool, parsed.model_copy(update={"label": JUDGED}), look(project, JUDGED))
    assert [(bill.llm, bill.role, bill.calls) for bill in judged] == [
        ("first", "answers", 3),
        ("second", "answers", 3),
        ("first", "judges", 4),
    ]
    assert judged[-1].output_tokens == 4 * 24
    take(project, look(project, NOBODY))
    assert harvest_cost.bills(project, pool, parsed, look(project, NOBODY)) == []


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("mail a.b+c@mail.example.co.uk now", "mail [email] now"),
        ("call +49 30 1234567 or (555) 123-4567", "call [phone] or [phone]"),
        ("card 4111-1111-1111-1111", "card [card]"),
        ("key sk-abcdefghijklmnop1234", "key [key]"),
        ("key rm-Zy8_abcdefghijklmnopqrstuvwxyz-0123456789AB.", "key [key]."),
        ("token ghp_abcdefghijklmnopqrstuvwxyz0123", "token [key]"),
        ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer [key]"),
        ("my password is hunter2!", "my password is [secret]"),
        ("api_key=abc123", "api_key=[secret]"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [account]"),
        ("host 192.168.1.20 is down", "host [address] is down"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "[key]"),
    ],
)
def test_redaction_finds(text: str, redacted: str) -> None:
    """Each kind of secret is replaced by its kind."""
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "What is 1234567890123456 + 1?",
        "Compute 12345 * 67890 and 3.14159265358979.",
        "The years 1914-1918 and 1939-1945",
        "Solve x^2 - 3x + 2 = 0 for x.",
        "How does password hashing work?",
        "def f(a, b): return a @ b",
        "Type rm -rf build, or rm-safe build.",
        "Version 2.10.3 was released in 2024.",
    ],
)
def test_redaction_leaves(text: str) -> None:
    """Arithmetic, code and dates are not secrets."""
    assert redact(text) == text


def test_a_group_is_harvested_alone(project: Project) -> None:
    """Of these decisions, and others that asked the same; what the rest asked stays out, and what nothing grades is named."""
    serve(project.records, "Name a river.", "Name a lake.", "Name a hill.")
    chosen = [f"Name a lake.-{at}-first-None-None" for at in (1,)]
    found = look(project, JUDGED, of=chosen)
    assert [row["text"] for row in found.new] == ["Name a lake."]
    assert [row["text"] for row in look(project, NOBODY, of=chosen).ungradable] == ["Name a lake."]


def test_a_harvest_job_takes_a_group_in_and_asks_nobody(tmp_path: Path) -> None:
    """The process that the worker starts for it reads the group from the job, brings its queries in and ends with what came."""
    home = tmp_path / "home"
    made = Project(home)
    row = dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": "q-1", "text": "What is one and one?", "choices": []}
    query_pool.write([row], made.queries)
    shutil.copy(ROOT / "params.yaml", home)
    serve(made.records, "What is two and two?", outcome=1.0, reference=Reference("number", "4"))
    serve(made.records, "What is two and three?", outcome=1.0, reference=Reference("number", "5"))
    (wanted, _) = [record.id for record in RecordStore(made.records).scan(0, 2000)]
    jobs = Jobs.in_file(home / "var" / "jobs.db")
    job = jobs.submit("harvest", {"groups": [{"name": "sums", "members": [wanted]}], "harvest": True})
    command = [sys.executable, "-m", "pipelines.retrain", "--job", job.id, "--harvest", "--only-harvest"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ROUTEMOA_HOME": str(home)}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 new queries (mathematics 1), 1 new labels." in done.stdout
    assert len(tables.read(made.harvested, tables.QUERIES)) == 1
