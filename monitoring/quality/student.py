"""Quantiles of Student's distribution without scipy, which a server does without."""

from statistics import NormalDist

FEWEST = 3.0  # degrees of freedom from which on the expansion is right to a hundredth


def quantile(probability: float, degrees: float) -> float:
    """The value below which Student's variable lies with this probability (above .5); the Cornish-Fisher expansion in 1 / degrees.

    Abramowitz & Stegun 1964, 26.7.5. Fewer than FEWEST degrees count as that many.
    """
    z, n = NormalDist().inv_cdf(probability), max(degrees, FEWEST)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / n + second / n**2 + third / n**3 + fourth / n**4
