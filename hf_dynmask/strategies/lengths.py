"""The probabilities of spans of 1, 2, 3, ... units, as lists with a sum of 1."""

from __future__ import annotations

import math

from hf_dynmask.core.checks import checked_fraction, checked_integer, checked_length_probs, checked_positive

_MAX_LENGTH = 1 << 16  # bounds the size of the lists


def geometric_lengths(p: float = 0.2, max_length: int = 10) -> list[float]:
    """`P(n) = p * (1 - p) ** (n - 1)` for n = 1 .. max_length, normalized (Joshi et al. 2020, SpanBERT: mean 3.8).

    Raises:
        ValueError: if `p` is not above 0 and at most 1, or `max_length` is not an integer from 1 to 65,536.

    >>> [round(prob, 3) for prob in geometric_lengths(0.5, 3)]
    [0.571, 0.286, 0.143]
    """
    checked_positive(checked_fraction(p, "p", "Pass 0.2 as in SpanBERT."), "p")
    lengths = range(checked_integer(max_length, "max_length", 1, "It is the length of the longest span.", _MAX_LENGTH))
    return checked_length_probs([p * (1 - p) ** n for n in lengths], "lengths")


def poisson_lengths(mean: float = 3.0, max_length: int = 20) -> list[float]:
    """`P(n) ~ mean ** n / n!` for n = 1 .. max_length (Lewis et al. 2020, BART: mean 3), without empty spans.

    Raises:
        ValueError: if `mean` is not a positive number of at most `max_length`, or `max_length` is not an integer from 1
            to 65,536.

    >>> [round(prob, 3) for prob in poisson_lengths(1.0, 3)]
    [0.6, 0.3, 0.1]
    """
    checked_integer(max_length, "max_length", 1, "It is the length of the longest span.", _MAX_LENGTH)
    if checked_positive(mean, "mean") > max_length:
        raise ValueError(f"`mean` must not exceed `max_length`, but got {mean} and {max_length}. Raise `max_length`.")
    lengths = range(1, max_length + 1)
    return checked_length_probs([math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in lengths], "lengths")


def fixed_lengths(length: int = 3) -> list[float]:
    """All spans have the same `length`.

    Raises:
        ValueError: if `length` is not an integer from 1 to 65,536.

    >>> fixed_lengths(3)
    [0.0, 0.0, 1.0]
    """
    return [0.0] * (checked_integer(length, "length", 1, "It is the length of every span.", _MAX_LENGTH) - 1) + [1.0]
