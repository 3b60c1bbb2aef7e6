"""A misspelt name is answered with those it may have meant."""

from scorer.near_matches import did_you_mean, near_matches


def test_near_matches_come_nearest_first() -> None:
    """Few, and none where nothing resembles the name; then all known names are listed."""
    assert near_matches("abcd", ["abxx", "abcx", "zzzz"]) == ["abcx", "abxx"]
    assert len(near_matches("name", [f"name{n}" for n in range(9)])) == 3
    assert did_you_mean("smal", ["small", "large"]) == "Did you mean small?"
    assert did_you_mean("x", ["small", "large"]) == "Known are small, large."
    assert did_you_mean("x", []) == "There is none yet."
