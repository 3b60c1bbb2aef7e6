"""Looks ahead: what asking further LLMs the same question is expected to do to the chance that the returned answer is right."""

from collections.abc import Mapping, Sequence

from mixture.choose.posterior import AgreementPosterior, Observation, Voice


def expected_gain(heard: Mapping[str, Observation], further: Sequence[Observation], evidence: AgreementPosterior) -> float:
    """What may be won by changing one's mind: E[chance of the best answer - chance of today's best answer], in [0, 1].

    Both chances are those after the LLMs `further`, of which the prior is known, have stated an answer too; every way their answers may
    fall is weighed: each repeats a stated answer or brings a new one. Where nobody has answered yet, today's best is what the first of
    them will say.
    """
    if not further:
        return 0.0
    ease = further[0].ease
    standing = [tuple(voices) for voices in evidence.standing(heard.values()).values()]
    values = [evidence.together(voices) for voices in standing]
    prose = [each for each in heard.values() if each.said is None]
    best_in_prose = max((evidence.alone(each, rivalled=True) for each in prose), default=0.0)
    keeps_prose = best_in_prose > max(evidence.chances(values, ease), default=0.0)
    today = max(range(len(values)), key=values.__getitem__, default=0)

    def gained(standing: list[tuple[Voice, ...]], values: list[float], coming: Sequence[Observation]) -> float:
        chances = evidence.chances(values, ease)
        if not coming:
            return max(best_in_prose, *chances) - (best_in_prose if keeps_prose else chances[today])
        following, rest = coming[0], coming[1:]
        voice = evidence.voice(following)
        again = repeats(chances, following.prior, evidence.coincidence)
        expected = (1.0 - sum(again)) * gained([*standing, (voice,)], [*values, evidence.together([voice])], rest)
        for at, chance in enumerate(again):
            seconded = (*standing[at], voice)
            beside = [*standing[:at], seconded, *standing[at + 1 :]], [*values[:at], evidence.together(seconded), *values[at + 1 :]]
            expected += chance * gained(*beside, rest)
        return expected

    return gained(standing, values, further)


def repeats(chances: Sequence[float], prior: float, coincidence: float) -> list[float]:
    """The chance that an LLM says again what each standing answer says: that is right and so is it, or it goes along."""
    return [chance * (prior + coincidence * (1.0 - prior)) for chance in chances]
