"""A query's split: its own for good, with its near-duplicates, of which training may not see one and judging another."""

import hashlib
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import splits, tables
from pipelines.errors import TableRefused
from tests.pipelines.test_assemble import SETTINGS, queries, text_of

SHARES = SETTINGS.shares.by_split


@given(ids=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=50))
def test_a_split_follows_from_the_id_alone(ids: list[str]) -> None:
    """The same id has the same split whoever else is there."""
    assert [splits.by_hash(name, SHARES) for name in ids] == [splits.by_hash(name, SHARES) for name in reversed(ids)][::-1]
    assert {splits.by_hash(name, SHARES) for name in ids} <= set(SHARES)


def test_splits_have_their_shares() -> None:
    """Over many ids each split gets its share, within three standard deviations."""
    got = pd.Series([splits.by_hash(f"query-{n}", SHARES) for n in range(20_000)]).value_counts(normalize=True)
    for split, share in SHARES.items():
        assert got[split] == pytest.approx(share, abs=3 * (share * (1 - share) / 20_000) ** 0.5)


def test_a_costly_llms_first_queries_fall_into_every_split() -> None:
    """LLMs are asked in hash order; a prefix of that order holds each split in its share."""
    ids = [f"q-{number}" for number in range(4000)]
    first = sorted(ids, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:600]
    counts = Counter(splits.by_hash(name, SHARES) for name in first)
    assert {split: counts[split] / 600 for split in SHARES} == pytest.approx(SHARES, abs=0.05)


def test_near_duplicates_share_a_split() -> None:
    """However ids hash, a query and its near-twin stand on one side; the others stay where they were."""
    plain = splits.assign(queries(), SETTINGS, {})
    twins = queries(text=[text_of(n % 150) + ("" if n < 150 else " Please explain.") for n in range(200)])
    together = splits.assign(twins, SETTINGS, {})
    first, second = together.iloc[:50].to_numpy(), together.iloc[150:].to_numpy()
    assert (first == second).all()
    assert (plain.iloc[:50].to_numpy() != plain.iloc[150:].to_numpy()).any()
    assert (together.iloc[:150] == plain.iloc[:150]).all()


def test_out_of_domain_stays_apart_with_its_twins() -> None:
    """Out-of-domain queries are in no other split, and a near-twin of one in another domain goes with it."""
    table = queries(text=[text_of(n % 199) for n in range(200)], domain=["law"] * 20 + ["reading"] * 180)
    split = splits.assign(table, SETTINGS, {})
    assert set(split.iloc[:20]) == {"ood"}
    assert split.iloc[199] == "ood"
    assert "ood" not in set(split.iloc[20:199])


def test_splits_that_queries_came_with_are_kept() -> None:
    """A published test split stays the test split; a published training query is trained or calibrated on; twins go where nobody trains."""
    brought = {f"q{n:04d}": "train" if n < 100 else "test" if n < 199 else "validation" for n in range(200)}
    split = splits.assign(queries(), SETTINGS, brought)
    assert set(split.iloc[:100]) == {"train", "calibration"}
    assert set(split.iloc[100:199]) == {"test"}
    twins = queries(text=[text_of(n % 199) for n in range(200)])
    assert splits.assign(twins, SETTINGS, brought | {"q0199": "test"}).iloc[0] == "test"


def test_queries_that_came_as_out_of_domain_are_apart() -> None:
    """`ood` is a split as others are: nothing of it is trained on, whatever its domain."""
    brought = {f"q{n:04d}": "ood" if n < 50 else "train" for n in range(200)}
    split = splits.assign(queries(), SETTINGS, brought)
    assert (split == "ood").tolist() == [n < 50 for n in range(200)]


def test_where_none_came_for_validation_training_queries_choose() -> None:
    """A set with train and test alone leaves something to choose epochs and versions by; its test queries stay test."""
    brought = {f"q{n:04d}": "train" if n < 150 else "test" for n in range(200)}
    split = splits.assign(queries(), SETTINGS, brought)
    assert set(split.iloc[:150]) == {"train", "calibration", "validation"}
    assert set(split.iloc[150:]) == {"test"}


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    """A split of a name that is none is never cut by hash: its test queries would be trained on."""
    tables.write(tmp_path / "old.splits.parquet", pd.DataFrame({"query_id": ["q"], "split": ["held-out"]}), tables.SPLITS)
    with pytest.raises(TableRefused, match=r"q has the split 'held-out'; known are train.*import it again: --name old"):
        splits.read_predefined(tmp_path)


def test_predefined_splits_are_read_from_every_import(tmp_path: Path) -> None:
    """Each import's splits count, the one farther from training for the same query, and a project without imports has none."""
    assert splits.read_predefined(tmp_path) == {}
    for name, split in (("a", "test"), ("b", "train")):
        table = pd.DataFrame({"query_id": ["both", name], "split": split})
        tables.write(tmp_path / f"{name}.splits.parquet", table, tables.SPLITS)
    assert splits.read_predefined(tmp_path) == {"both": "test", "a": "test", "b": "train"}
