"""Which rows of the pool answer a request that says how hard to think."""

from collections.abc import Sequence

from mixture.choose.ranking import Candidate


def narrowed(candidates: Sequence[Candidate], effort: str) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Of each family the rows of this effort, all of its rows where it has none; and LLM id -> why, of those left out."""
    families = {each.family for each in candidates if each.llm.effort == effort}
    left_out = [each.llm.id for each in candidates if each.family in families and each.llm.effort != effort]
    kept = tuple(each for each in candidates if each.llm.id not in left_out)
    return kept, dict.fromkeys(left_out, f"reasoning_effort is {effort}, and its weights are in the pool at that effort")
