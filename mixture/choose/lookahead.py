"""Looks ahead: what asking further LLMs the same question is expected to do to the chance that the returned answer is right."""

from collections.abc import Mapping, Sequence

from mixture.choose.posterior import AgreementPosterior, Observation, Voice


def expected_gain(observations: Mapping[str, Observation], further: Sequence[Observation], posterior: AgreementPosterior) -> float:
    """The expected value of asking on, in [0, 1]: the expected value of sample information of decision analysis (Raiffa 1961).

        E[chance of the answer that is best then - chance then of the answer that is best today]

    `further` are LLMs of which only the prior is known, and which will state a final answer. Every way their answers may fall is weighed:
    each repeats a standing answer, most likely one by its own weights, or brings a new one. Where there is no answer yet, today's best is
    what the first of them will say.
    """
    if not further:
        return 0.0
    easiness = further[0].easiness
    standing = [tuple(voices) for voices in posterior.standing(observations.values()).values()]
    values = [posterior.together(voices) for voices in standing]
    prose = [each for each in observations.values() if each.final_answer is None]
    best_in_prose = max((posterior.alone(each, rivalled=True) for each in prose), default=0.0)
    keeps_prose = best_in_prose > max(posterior.chances(values, easiness), default=0.0)
    today = max(range(len(values)), key=values.__getitem__, default=0)

    def gained(standing: list[tuple[Voice, ...]], values: list[float], coming: Sequence[Observation]) -> float:
        chances = posterior.chances(values, easiness)
        if not coming:
            return max(best_in_prose, *chances) - (best_in_prose if keeps_prose else chances[today])
        following, rest = coming[0], coming[1:]
        voice = posterior.voice(following)
        again = repeats(chances, following, standing, posterior)
        expected = (1.0 - sum(again)) * gained([*standing, (voice,)], [*values, posterior.together([voice])], rest)
        for at, chance in enumerate(again):
            seconded = (*standing[at], voice)
            beside = [*standing[:at], seconded, *standing[at + 1 :]], [*values[:at], posterior.together(seconded), *values[at + 1 :]]
            expected += chance * gained(*beside, rest)
        return expected

    return gained(standing, values, further)


def repeats(
    chances: Sequence[float], following: Observation, standing: Sequence[Sequence[Voice]], posterior: AgreementPosterior
) -> list[float]:
    """The chance that an LLM repeats each standing answer.

    Both are right, or it goes along; an LLM whose own weights have answered (another effort of them) says the same again with the chance of
    their kinship. standing: the voices for each answer.
    """
    prior, kinship = following.prior, posterior.kinship
    along = [chance * (prior + posterior.coincidence * (1.0 - prior)) for chance in chances]
    if not kinship or not following.family:
        return along
    own = [any(voice.family == following.family for voice in voices) for voices in standing]
    count = sum(own)
    if not count:
        return along
    return [(1.0 - kinship) * each + (kinship / count if is_own else 0.0) for each, is_own in zip(along, own, strict=True)]
