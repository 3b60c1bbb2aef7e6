"""Novel queries by what they are: groups of their own, with words and examples, and nothing of the known among them."""

from dataclasses import replace

import numpy as np

from monitoring.drift import groups, window
from monitoring.drift.novelty import novelty
from monitoring.drift.profile import ReferenceProfile

LAW = ("Is a clause on liability valid in this contract?", "Which contract clause limits liability?")
TAX = ("How much income tax is due?", "Is the tax on income due in May?")


def strangers(world, centre: int, n: int, texts: tuple[str, ...], name: str):
    """N queries around a centre of their own, with texts."""
    direction = np.random.default_rng(centre).normal(size=world.centres_CD.shape[1])
    queries = direction / np.linalg.norm(direction) + world.rng.normal(size=(n, len(direction))) * 0.3 / np.sqrt(len(direction))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    records = world.records(n, prefix=name, audited=1.0, tag=False)
    return [replace(record, embedding=queries[at].astype(np.float32), text=texts[at % len(texts)]) for at, record in enumerate(records)]


def test_two_unknown_domains_are_two_groups_with_words_and_examples(world, rules) -> None:
    """Law and tax among usual traffic: the larger first, each with its own words, audits and central queries; known queries are in none."""
    usual = [replace(record, text="Add two and three.") for record in world.records(60)]
    law, tax = strangers(world, 100, 20, LAW, "law"), strangers(world, 200, 12, TAX, "tax")
    found = window.measure([*usual, *law, *tax], world.profile(), rules, scorer_version="1", index=0).groups
    assert [(one.name, one.queries) for one in found[:2]] == [("unknown 1", 20), ("unknown 2", 12)]
    assert {"liability", "contract", "clause"} <= set(found[0].words)
    assert {"tax", "income"} <= set(found[1].words)
    assert {example.decision_id.split("-")[0] for example in found[0].examples} == {"law"}
    assert found[0].examples[0].text in LAW
    assert found[0].audited[0] == 20
    shown = groups.lines(found[0])
    assert shown[0].startswith("unknown 1 (nearest: ")
    assert len(shown) == 5
    assert shown[-1].startswith("    nearest training queries: ")
    assert found[0].growth == (0, 20) or sum(found[0].growth) == 20


def test_without_texts_a_group_still_names_decisions(world, rules) -> None:
    """Words need texts; the decisions that show what it is do not."""
    records = [replace(record, text=None) for record in strangers(world, 100, 20, LAW, "law")]
    (found,) = window.measure([*world.records(60), *records], world.profile(), rules, scorer_version="1", index=0).groups[:1]
    assert found.words == ()
    assert "text not kept" in groups.lines(found)[1]


def test_few_novel_queries_are_no_group(world, rules) -> None:
    """One in twenty is novel anyway."""
    records, profile = world.records(40), world.profile()
    queries = np.array([record.embedding for record in records])
    near = novelty(queries, profile, k=rules.neighbours, quantile=rules.novel_quantile)
    assert isinstance(profile, ReferenceProfile)
    assert groups.group(records, queries, replace(near, threshold=2.0), profile) == ()
