"""A cell with one link is recognised without being split, and gives the same link."""

import re
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st

from probes.links import cells

PARTS = """
    https:// http:// www. @ / . - _ = ? % ~ + : & ; , | ( [ ' amal facebook x.com facebook.com
    twitter youtu.be .ma agenda 12 amal.ma/https https/ http جمعية é site url x
"""


@given(st.lists(st.sampled_from(PARTS.split()), max_size=8).map("".join))
@example("x.com@amal")
@example("facebook")
@example("twitter/x")
@example("annour.ma/https://amal.ma")
def test_recognised_link_is_what_splitting_gives(cell):
    links = cells.split_links(cell)
    with mock.patch.object(cells, "_SINGLE_LINK", re.compile("(?!)")):
        assert cells.split_links(cell) == links
