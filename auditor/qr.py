"""A picture that a telephone reads an address from."""

from __future__ import annotations

import segno
from markupsafe import Markup

QUIET = 4
"""Modules of white around a code: without them many telephones do not see it."""


def code(address: str) -> Markup:
    """The code of an address as SVG, black and as large as the place it is put in: that must be white."""
    drawn = segno.make(address, error="m", micro=False)
    shape = drawn.svg_inline(border=QUIET, omitsize=True, svgclass=None, lineclass=None)
    return Markup(shape)  # noqa: S704  # segno's own paths; the address is in their pattern only
