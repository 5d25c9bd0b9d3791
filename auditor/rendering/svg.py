"""A figure over the nights, drawn: a line through what was seen, a band up to what could be. Pure.

A night that told nothing is a gap in the line: never zero, and never bridged.

A picture that a telephone reads an address from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import segno
from markupsafe import Markup

SCALE_SPANS_PERCENT = (10, 20, 40, 60, 80, 100)
"""How much of the scale is shown, in percent: never so little that noise looks like news."""

Coordinates = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One night: its label, and the percent confirmed and possible; None where it told nothing."""

    label: str
    low: float | None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class TrendDrawing:
    """SVG paths in a square of 100 by 100, what its height means, and where the survey's line lies.

    `dots` are the nights that stand alone between silent ones, `edge` is the upper end of the band.
    """

    line_path: str
    dots_path: str
    band_path: str
    edge_path: str
    bottom: float
    top: float
    survey_y: float | None

    @property
    def middle(self) -> float:
        """The value at half its height."""
        return (self.bottom + self.top) / 2


def is_flat_trend(points: Sequence[TrendPoint]) -> bool:
    """Whether all nights that told something told the same: words say it better than a line."""
    return len({(point.low, point.high) for point in points if point.low is not None}) <= 1


def draw_trend(
    points: Sequence[TrendPoint], *, survey: float | None = None, is_mirrored: bool = False
) -> TrendDrawing:
    """Draw the nights in order, the first at the side where reading begins."""
    values = [value for point in points for value in (point.low, point.high) if value is not None]
    bottom, top = _choose_scale([*values, *([] if survey is None else [survey])])
    runs = list(_split_segments(points, bottom, top, is_mirrored=is_mirrored))
    return TrendDrawing(
        line_path=" ".join(_format_line_path(lows) for lows, _ in runs),
        dots_path=" ".join(_format_line_path(lows) for lows, _ in runs if len(lows) == 1),
        band_path=" ".join(_format_band_path(lows, highs) for lows, highs in runs if lows != highs),
        edge_path=" ".join(_format_line_path(highs) for lows, highs in runs if lows != highs),
        bottom=bottom,
        top=top,
        survey_y=None if survey is None else _scale_to_y(survey, bottom, top),
    )


def _choose_scale(values: Sequence[float]) -> tuple[float, float]:
    """Even ends around the values, at most 0 and 100."""
    least, most = (min(values), max(values)) if values else (0.0, 100.0)
    for span in SCALE_SPANS_PERCENT:
        bottom = min(least // 10 * 10, 100 - span)
        if most <= bottom + span:
            return bottom, bottom + span
    return 0.0, 100.0


def _split_segments(
    points: Sequence[TrendPoint], bottom: float, top: float, *, is_mirrored: bool
) -> Iterator[tuple[list[Coordinates], list[Coordinates]]]:
    """The unbroken runs, each as the places of what was confirmed and of what could be."""
    last = max(1, len(points) - 1)
    for told, run in groupby(enumerate(points), lambda pair: pair[1].low is not None):
        if not told:
            continue
        lows, highs = [], []
        for number, point in run:
            assert point.low is not None
            across = (last - number if is_mirrored else number) * 100 / last
            lows.append((across, _scale_to_y(point.low, bottom, top)))
            highs.append(
                (across, _scale_to_y(point.low if point.high is None else point.high, bottom, top))
            )
        yield lows, highs


def _scale_to_y(value: float, bottom: float, top: float) -> float:
    return round((top - value) * 100 / (top - bottom), 2)


def _format_line_path(places: Sequence[Coordinates]) -> str:
    """A line that begins with a dot, so that a night alone between two silent ones is seen."""
    return f"M{_format_coordinates(places[0])}h0" + "".join(
        f"L{_format_coordinates(place)}" for place in places[1:]
    )


def _format_band_path(lows: Sequence[Coordinates], highs: Sequence[Coordinates]) -> str:
    return "M" + "L".join(_format_coordinates(place) for place in (*lows, *reversed(highs))) + "Z"


def _format_coordinates(point: Coordinates) -> str:
    return f"{point[0]:.2f} {point[1]:.2f}"


QR_QUIET_ZONE_MODULES = 4
"""Modules of white around a code: without them many telephones do not see it."""


def render_qr_code(address: str) -> Markup:
    """The code of an address as SVG, black and as large as the place it is put in: that must be white."""
    drawn = segno.make(address, error="m", micro=False)
    shape = drawn.svg_inline(
        border=QR_QUIET_ZONE_MODULES, omitsize=True, svgclass=None, lineclass=None
    )
    return Markup(shape)  # noqa: S704  # segno's own paths; the address is in their pattern only
