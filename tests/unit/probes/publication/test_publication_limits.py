"""Publications are searched up to each limit of a page, and their dates are believed up to one."""

from datetime import UTC, datetime, timedelta

import pytest

from probes.parsing.html import Document
from probes.parsing.html_walker import TextNode
from probes.publication.dateline import MAX_TEXT_NODES, iter_dateline_dates
from probes.publication.latest import MAX_CLOCK_SKEW, is_credible_date
from probes.publication.metadata import MAX_MARKUP_CHARS, guess_dates

STEPS = (-1, 0, 1)
URL = "https://annour.example/n/x"
NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
DATE_TEXT = "Publié le 3 mars 2025"


@pytest.mark.parametrize("step", STEPS)
def test_dateline_is_searched_in_the_first_texts_of_a_page(step):
    filling = [TextNode("Menu", "p", "", "main")] * (MAX_TEXT_NODES + step - 2)
    nodes = [*filling, TextNode("Le bilan", "h1", "", "main"), TextNode(DATE_TEXT, "p", "", "main")]
    document = Document(URL, title="Le bilan", headings=("Le bilan",), text_nodes=tuple(nodes))
    assert [text for text, _ in iter_dateline_dates(document)] == [DATE_TEXT] * (step <= 0)


@pytest.mark.parametrize("step", STEPS)
def test_date_is_guessed_from_the_beginning_of_the_markup(step):
    """The day is near the beginning, and what marks it as published ends at the limit."""
    start = '<html><head><meta property="article:published_time" content="2025-03-04"></head><p>'
    mark = 'data-date="2025-03-04'
    filling = " " * (MAX_MARKUP_CHARS - len(start) - len(mark) + step)
    markup = f'{start}{filling}{mark}">'
    assert guess_dates(URL, [], [NOW], markup) == ["2025-03-04" if step <= 0 else None]


@pytest.mark.parametrize("step", STEPS)
def test_date_may_be_a_little_in_the_future(step):
    date_time = NOW + MAX_CLOCK_SKEW + timedelta(seconds=step)
    assert is_credible_date(date_time, NOW) is (step <= 0)
