"""Served queries come back into the pool: once, redacted, with what is known of their answers."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines import queries, tables
from pipelines.harvest import harvest
from pipelines.project import Project
from pipelines.redaction import redact
from tests.pipelines.served import serve


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A query pool of one query."""
    made = Project(tmp_path)
    row = dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": "q-1", "text": "What is one and one?", "choices": []}
    queries.write([row], made.queries)
    return made


def test_new_texts_come_in_once(project: Project) -> None:
    """A text already in the pool, or served twice up to case and spacing, is no new query; a second harvest brings nothing."""
    serve(project.records, "What is one and one?", "Name a river.", "name  a RIVER.", "Name a lake.")
    found = harvest(project)
    assert (found.seen, found.with_text, found.new_queries) == (4, 4, 2)
    pool = tables.read(project.queries, tables.QUERIES)
    assert sorted(pool["text"]) == ["Name a lake.", "Name a river.", "What is one and one?"]
    taken = pool[pool["dataset"] == "harvested"]
    assert set(taken["grader"]) == {"judge"}
    assert set(taken["domain"]) == {"mathematics"}
    assert len(tables.read(project.harvested, tables.QUERIES)) == 2
    before = (project.queries).read_bytes()
    assert not harvest(project).changed
    assert (project.queries).read_bytes() == before


def test_rebuilding_the_pool_keeps_the_harvest(project: Project) -> None:
    """pipelines.queries reads data/harvested.parquet: what traffic brought survives a rebuild."""
    serve(project.records, "Name a river.")
    harvest(project)
    assert [row["text"] for row in queries.imported_and_harvested(project)] == ["Name a river."]


def test_outcomes_become_labels_of_the_llm_that_answered(project: Project) -> None:
    """Reported outcomes are averaged per query and LLM; syntheses and queries of the old pool get none."""
    serve(project.records, "Name a river.", outcome=1.0)
    serve(project.records, "Name a river. ", outcome=0.5)
    serve(project.records, "Name a lake.", outcome=0.25, llm="second")
    serve(project.records, "Name a sea.", outcome=1.0, llm=None)
    serve(project.records, "What is one and one?", outcome=0.0)
    assert harvest(project).new_labels == 2
    label = tables.read(project.recorded_labels("first"), tables.LABELS).to_dict("records")
    pool = tables.read(project.queries, tables.QUERIES).set_index("text")
    assert label == [
        {"query_id": pool.loc["Name a river.", "query_id"], "llm": "first", "score": 0.75, "grader": "outcome", "grader_version": "1"}
    ]
    assert not harvest(project).changed


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
    assert not harvest(project).changed
    project.records.unlink()
    assert str(harvest(project)).startswith("0 records")


def test_texts_are_redacted_before_they_are_kept(project: Project) -> None:
    """What a user should not have pasted never reaches data/."""
    serve(project.records, "Write to jane.doe@example.org about 4111 1111 1111 1111.")
    harvest(project)
    kept = tables.read(project.harvested, tables.QUERIES)["text"]
    assert list(kept) == ["Write to [email] about [card]."]
    assert b"jane" not in (project.queries).read_bytes()


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
