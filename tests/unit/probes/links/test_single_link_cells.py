"""A cell with one link is recognised without being split, and gives the same link."""

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
    assert cells.split_links(cell) == cells._split_cell(cell)


def test_ordinary_links_are_not_split(monkeypatch):
    monkeypatch.setattr(cells, "_split_cell", None)
    for link in ("https://www.facebook.com/amal.rabat", "@amal", "amal.ma", "http://amal.ma/?p=1"):
        assert cells.split_links(link) == [link]
