"""Which queries say nearly the same."""

from pipelines import near_duplicates


def test_templates_do_not_make_duplicates() -> None:
    """Many queries in the same words with other numbers are different queries; the same query in another frame is not."""
    frame = "Please read the following carefully and give only the final result as a number without any explanation. What is {} plus {}?"
    sums = [frame.format(n, n * n + 3) for n in range(40)]
    assert near_duplicates.pairs(sums) == []
    assert len(set(near_duplicates.groups([*sums, sums[3].upper(), sums[3] + " "]))) == 40


def test_a_chain_of_near_duplicates_is_one_group() -> None:
    """The first and the last of a chain share a group though they are no pair; an unrelated text stays alone."""
    words = [f"word{at}" for at in range(60)]
    chain = [" ".join(words[at : at + 50]) for at in (0, 4, 8)]
    pairs = {(pair.left, pair.right) for pair in near_duplicates.pairs(chain)}
    assert pairs == {(0, 1), (1, 2)}
    first, second, third, other = near_duplicates.groups([*chain, "something else entirely"])
    assert first == second == third != other
