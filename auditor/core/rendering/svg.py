"""Draw trend charts, strips of checks, the map of regions and QR codes as SVG.

A trend has a line for confirmed values and a band up to possible values. A run without a value is a
break in the line: it is not drawn as zero and not bridged.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import segno
from markupsafe import Markup

TrendPoint = tuple[str, float | None, float | None]
"""The label of one run, and its values in percent: confirmed and possible.

The first value is None if the run has none, the second one if it is the same.
"""

SCALE_SPANS_PERCENT = (10, 20, 40, 60, 80, 100)
"""Allowed heights of the scale, in percent. The minimum keeps noise from looking like a change."""


def is_flat_trend(points: Sequence[TrendPoint]) -> bool:
    """Return True if all values are equal. Then a sentence replaces the chart."""
    return len({point[1:] for point in points if point[1] is not None}) <= 1


def draw_trend(
    points: Sequence[TrendPoint], *, survey: float | None = None, is_mirrored: bool = False
) -> dict[str, Any]:
    """Return the drawing of runs in order. `is_mirrored` puts the first run on the right.

    It has SVG paths in a square of 100 by 100, and the scale. `dots_path` has the isolated runs
    between runs without a value. `edge_path` is the upper edge of the band. `bottom`, `middle` and
    `top` are the values of the scale. `survey_y` is the position of the survey's line, or None.
    """
    values = [value for point in points for value in point[1:]]
    bottom, top = _choose_scale([value for value in (survey, *values) if value is not None])
    last_index = max(1, len(points) - 1)
    lines, dots, bands, edges = [], [], [], []

    def scale(value: float) -> float:
        return round((top - value) * 100 / (top - bottom), 2)

    for has_value, segment in groupby(enumerate(points), lambda pair: pair[1][1] is not None):
        if not has_value:
            continue
        lows, highs = [], []
        for index, (_, low, high) in segment:
            assert low is not None
            x = (last_index - index if is_mirrored else index) * 100 / last_index
            lows.append(f"{x:.2f} {scale(low):.2f}")
            highs.append(f"{x:.2f} {scale(low if high is None else high):.2f}")
        lines.append(_format_line_path(lows))
        if len(lows) == 1:
            dots.append(lines[-1])
        if lows != highs:
            bands.append(f"M{'L'.join([*lows, *reversed(highs)])}Z")
            edges.append(_format_line_path(highs))
    return {
        "line_path": " ".join(lines),
        "dots_path": " ".join(dots),
        "band_path": " ".join(bands),
        "edge_path": " ".join(edges),
        "bottom": bottom,
        "middle": (bottom + top) / 2,
        "top": top,
        "survey_y": None if survey is None else scale(survey),
    }


def _choose_scale(values: Sequence[float]) -> tuple[float, float]:
    """Return round ends of a scale that includes all values, between 0 and 100."""
    minimum, maximum = min(values, default=0.0), max(values, default=100.0)
    for span in SCALE_SPANS_PERCENT:
        bottom = min(minimum // 10 * 10, 100 - span)
        if maximum <= bottom + span:
            return bottom, bottom + span
    return 0.0, 100.0


def _format_line_path(points: Sequence[str]) -> str:
    """Return the path of a line. It begins with a dot to make a single point visible."""
    return "L".join([f"M{points[0]}h0", *points[1:]])


@lru_cache(maxsize=1024)
def draw_strip(states: Sequence[str]) -> Markup:
    """Return a strip of checks, the oldest first: a path for each series of the same state.

    The style sheet draws each path as dashes, one for each check, and its height depends on
    the state. A check without a state leaves a hole. The strip is hidden from screen readers.
    """
    paths, start = Markup(), 0
    for state, series in groupby(states):
        # the width of a check in a strip. The style sheet leaves a quarter of it empty.
        width = 4 * len(list(series))
        if state:
            paths += Markup('<path class="{}" d="M{} 5h{}"/>').format(state, start, width)
        start += width
    return STRIP_SVG.format(start, paths)


@lru_cache(maxsize=1024, typed=True)
def draw_icon(name: str, style: str, text: str = "") -> Markup:
    """Return an icon of `_status.html` with a class, then a text for screen readers.

    It is cached, because a grid has 800 icons of few kinds.
    """
    return ICON_SVG.format(style, name) + (HIDDEN_TEXT.format(text) if text else "")


ICON_SVG = Markup('<svg class="icon {}" aria-hidden="true"><use href="#i-{}"/></svg>')
HIDDEN_TEXT = Markup('<span class="unseen">{}</span>')
STRIP_SVG = Markup(
    '<svg class="strip" viewBox="0 0 {} 10" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
)

REGION_TILES: Mapping[str, tuple[float, float]] = {
    "tanger-tetouan-al-hoceima": (210, 0),
    "oriental": (280, 0),
    "rabat-sale-kenitra": (140, 50),
    "fes-meknes": (210, 50),
    "casablanca-settat": (140, 100),
    "beni-mellal-khenifra": (210, 100),
    "draa-tafilalet": (280, 100),
    "souss-massa": (70, 150),
    "marrakech-safi": (140, 150),
    "laayoune-sakia-el-hamra": (0, 200),
    "guelmim-oued-noun": (70, 200),
    "dakhla-oued-ed-dahab": (0, 250),
}
"""The corner of each region's tile on a map of 350 by 300. Neighbours on the ground are near."""


def render_qr_code(address: str) -> Markup:
    """Return a QR code as black SVG without a background. It takes the size of its container."""
    code = segno.make(address, error="m", micro=False)
    svg = code.svg_inline(
        # width of the white border in modules. Many phones cannot read a code without it.
        border=4,
        omitsize=True,
        svgclass=None,
        lineclass=None,
    )
    return Markup(svg)  # noqa: S704  # the SVG has segno's paths only, not the text of the address
