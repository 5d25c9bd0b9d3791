"""Intervals of shares and of their differences, at a confidence of 95 percent. Pure."""

from math import sqrt

Z = 1.959964
"""The quantile of the normal distribution for 95 percent."""


def compute_wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the interval of a share (Wilson 1927, without a correction), from 0 to 1."""
    share, z2 = count / total, Z * Z
    half_width = Z * sqrt(z2 / (4 * total * total) + share * (1 - share) / total)
    center = share + z2 / (2 * total)
    return (center - half_width) / (1 + z2 / total), (center + half_width) / (1 + z2 / total)


def compute_difference_interval(
    count: int, total: int, other_count: int, other_total: int
) -> tuple[float, float]:
    """Return the interval of the first share minus the other one, from -1 to 1.

    It is Newcombe's method 10 (Statistics in Medicine 17, 1998, 873-890), which also holds for
    small groups.
    """
    share, other_share = count / total, other_count / other_total
    low, high = compute_wilson_interval(count, total)
    other_low, other_high = compute_wilson_interval(other_count, other_total)
    difference = share - other_share
    return (
        difference - sqrt((share - low) ** 2 + (other_high - other_share) ** 2),
        difference + sqrt((high - share) ** 2 + (other_share - other_low) ** 2),
    )
