"""PDF of a report: Arabic text, embedded fonts, tags, and nothing that users typed is compiled."""

import io
from collections import Counter

import pypdf
import pytest
import typst

from auditor.core.reference.gap_catalogue import LANGUAGES
from auditor.presentation.reports import pdf
from auditor.presentation.reports.pdf import render_pdf
from tests.unit.auditor.presentation.reports.test_report import (
    CODES,
    PROPOSAL,
    account,
    gap,
    report,
    view,
)

FULL = view(gaps=map(gap, CODES), accounts=[account()], proposals=[PROPOSAL])
REPORT_URL = "https://reports.example/r/abc"


def render(association_view=FULL, language="ar"):
    page = report(association_view, language, forms=None, is_folded=False, report_url=REPORT_URL)
    return render_pdf(page)


def read_pdf(data):
    return pypdf.PdfReader(io.BytesIO(data))


def iter_structure(node):
    """Yield each element of the structure tree, in reading order."""
    node = node.get_object()
    if isinstance(node, list):
        for child in node:
            yield from iter_structure(child)
    elif isinstance(node, dict):
        if "/S" in node:
            yield node
        yield from iter_structure(node.get("/K", pypdf.generic.NullObject()))


def is_ua(document):
    return b"pdfuaid:part" in document.trailer["/Root"]["/Metadata"].get_object().get_data()


@pytest.fixture(scope="module")
def documents():
    """Return the full report as a PDF in each language."""
    return {language: read_pdf(render(language=language)) for language in LANGUAGES}


def find_marks(page):
    """Return the marks of strengths and steps, each with True if it is on the right."""
    marks = set()

    def visit(chunk, transformation, matrix, _font, _size):
        is_right = transformation[4] + matrix[4] > page.mediabox.width / 2
        marks.update((mark, is_right) for mark in "✓☐" if mark in chunk)

    page.extract_text(visitor_text=visit)
    return marks


def test_five_problems_take_three_pages_from_the_side_where_the_script_starts(documents):
    for language, document in documents.items():
        assert len(document.pages) <= 3
        assert not document.get_fields()
        is_right = language == "ar"
        assert find_marks(document.pages[0]) == {("✓", is_right), ("☐", is_right)}


def test_pdf_embeds_fonts_of_the_package_and_has_language_title_and_text(documents):
    arabic = documents["ar"]
    fonts = [font for page in arabic.pages for font in page["/Resources"]["/Font"].values()]
    names = {str(font.get_object()["/BaseFont"]).partition("+")[2] for font in fonts}
    assert names == {"IBMPlexSansArabic", "IBMPlexSansArabic-Bold", "DejaVuSansMono"}
    assert arabic.trailer["/Root"]["/Lang"] == "ar-MA"
    assert "جمعية النور" in arabic.metadata.title
    text = "\n".join(page.extract_text() for page in arabic.pages)
    assert [word for word in ("النور", "حساباتكم", "التقرير", "منشور") if word not in text] == []


def test_pdf_is_tagged_for_screen_readers(documents):
    arabic = documents["ar"]
    elements = list(iter_structure(arabic.trailer["/Root"]["/StructTreeRoot"]["/K"]))
    tags = Counter(element["/S"] for element in elements)
    assert (bool(arabic.trailer["/Root"]["/MarkInfo"]["/Marked"]), is_ua(arabic)) == (True, True)
    least_counts = {"/H1": 1, "/H2": 4, "/H3": 7, "/L": 8, "/Link": 2, "/Figure": 1}
    assert {tag for tag, count in least_counts.items() if tags[tag] < count} == set()
    assert (tags["/H1"], tags["/LI"]) == (1, tags["/LBody"])
    [figure] = [element for element in elements if element["/S"] == "/Figure"]
    assert figure["/Alt"] == "QR: reports.example/r/abc"


TYPED = [
    '#panic("x")',
    '#read("/etc/passwd")',
    "*a* _b_ `c` = d",
    "$x^2$ @ref <label>",
    "\\u{41} // x /* y */",
    "& < > \" '",
]


@pytest.mark.parametrize("name", TYPED)
def test_text_that_looks_like_code_is_printed_as_it_is(name):
    document = read_pdf(render(view(name), "fr"))
    assert name in document.pages[0].extract_text()
    assert document.metadata.title.startswith(f"{name} · ")


def test_control_characters_are_left_out():
    document = read_pdf(render(view("A\x01\x0b\x7fB\ue000\tC"), "fr"))
    assert document.metadata.title.startswith("AB C · ")
    assert is_ua(document)


def test_character_without_a_font_gives_a_pdf_that_does_not_claim_to_be_accessible(monkeypatch):
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[pdf.TEMPLATES_FOLDER / "fonts"])
    monkeypatch.setattr(pdf, "_load_fonts", lambda: fonts)
    assert is_ua(read_pdf(render()))
    document = read_pdf(render(view("漢字"), "fr"))
    assert "漢字" in document.metadata.title
    assert not is_ua(document)


def test_long_address_stays_on_the_page():
    long = account(url=f"https://{'a' * 200}.example/{'b' * 200}")
    page = read_pdf(render(view(accounts=[long]), "fr")).pages[0]
    lines = [line for line in page.extract_text().splitlines() if {*line} <= {"a", "b"}]
    assert len(lines) >= 4
    assert max(map(len, lines)) <= 90
