"""PDF of a report: Arabic text, embedded fonts, tags, and nothing that users typed is compiled."""

import io
import re
import sys
from collections import Counter

import pypdf
import pytest
import typst

from auditor.cli.main import main
from auditor.presentation.reports import pdf
from auditor.presentation.reports.pdf import PdfUnavailableError, parse_report_page, render_pdf
from tests.support.mini_network import link, opened, register
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


def extract_text(document):
    return "\n".join(page.extract_text() for page in document.pages)


def iter_fonts(document):
    for page in document.pages:
        for font in page["/Resources"]["/Font"].values():
            yield font.get_object()


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


def find_x(page, text):
    """Return the first horizontal position of a text, in points from the left."""
    found = []

    def visit(chunk, transformation, matrix, _font, _size):
        if text in chunk:
            found.append(transformation[4] + matrix[4])

    page.extract_text(visitor_text=visit)
    return found[0]


@pytest.fixture(scope="module")
def arabic():
    return read_pdf(render())


def test_arabic_words_can_be_extracted(arabic):
    text = extract_text(arabic)
    for word in ("النور", "حساباتكم", "التقرير", "منشور"):
        assert word in text


def test_arabic_letters_have_their_shapes(arabic):
    shapes = Counter()
    for font in iter_fonts(arabic):
        mapping = font["/ToUnicode"].get_data().decode()
        shapes.update(code.lower() for code in re.findall(r"<\w+> <(\w{4})>", mapping))
    assert shapes["0639"] >= 3  # ain at the start, in the middle and at the end of a word


@pytest.mark.parametrize(("language", "is_right"), [("ar", True), ("fr", False)])
def test_lists_start_where_the_script_starts(language, is_right):
    page = read_pdf(render(language=language)).pages[0]
    middle = page.mediabox.width / 2
    assert (find_x(page, "✓") > middle) is is_right
    assert (find_x(page, "☐") > middle) is is_right


def test_latin_name_in_arabic_text_keeps_its_order():
    text = extract_text(
        read_pdf(render(view("x", accounts=[account(url="https://x.com/a_B-2.c")])))
    )
    assert "x.com/a_B-2.c" in text


def test_pdf_embeds_fonts_of_the_package_and_has_language_and_title(arabic):
    names = {str(font["/BaseFont"]).partition("+")[2] for font in iter_fonts(arabic)}
    assert names == {"IBMPlexSansArabic", "IBMPlexSansArabic-Bold", "DejaVuSansMono"}
    assert arabic.trailer["/Root"]["/Lang"] == "ar-MA"
    assert "جمعية النور" in arabic.metadata.title


def test_pdf_is_tagged_for_screen_readers(arabic):
    elements = list(iter_structure(arabic.trailer["/Root"]["/StructTreeRoot"]["/K"]))
    tags = Counter(element["/S"] for element in elements)
    assert arabic.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert is_ua(arabic)
    assert tags["/H1"] == 1
    assert tags["/H2"] >= 4
    assert tags["/H3"] >= 7
    assert tags["/L"] >= 8
    assert tags["/LI"] == tags["/LBody"] == tags["/Lbl"] > 20
    assert tags["/Link"] >= 2
    [figure] = [element for element in elements if element["/S"] == "/Figure"]
    assert figure["/Alt"] == "QR: reports.example/r/abc"


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_five_problems_take_three_pages_without_form_fields(language):
    document = read_pdf(render(language=language))
    assert len(document.pages) <= 3
    assert not document.get_fields()


def test_same_report_gives_the_same_file():
    assert render() == render()


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
    assert name in extract_text(document)
    assert document.metadata.title.startswith(f"{name} · ")


def test_association_without_a_name_has_a_report():
    assert "Niveau" in extract_text(read_pdf(render(view(""), "fr")))


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


def test_page_is_read_with_the_white_space_of_a_browser():
    page = """<!doctype html>
    <html lang="fr"><head><meta charset="utf-8"><title>A &amp; B</title></head>
    <body>
    <p class="soft x">  un  <bdi dir="ltr"><a href="/b">deux</a></bdi>
      trois<br> quatre</p>
    <svg viewBox="0 0 1 1"><path d="M0 0"/></svg>
    </body></html>"""
    parsed = parse_report_page(page)
    [paragraph, drawing] = parsed["body"]
    assert (parsed["title"], parsed["language"], parsed["region"]) == ("A & B", "fr", None)
    assert paragraph["classes"] == ["soft", "x"]
    one, two, three, line_break, four = paragraph["children"]
    assert (one, three, line_break["tag"], four) == ("un ", " trois", "br", "quatre")
    assert two["children"][0]["href"] == "/b"
    assert drawing["svg"] == (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><path d="M0 0"/></svg>'
    )


def test_missing_typst_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(PdfUnavailableError, match="print the page from a browser"):
        render_pdf(report(FULL))


def test_command_writes_pdf_of_one_association_in_its_language(tmp_path, capsys):
    app = opened(tmp_path)
    register(app, link("nour", "website", "nour"))
    app.store.close()
    (tmp_path / "config.toml").write_text(f'[storage]\nfolder = "{tmp_path}"\n', "utf-8")
    config, pdf = str(tmp_path / "config.toml"), tmp_path / "nour.pdf"
    arguments = ["--config", config, "report", "--pdf", str(pdf)]
    assert main(arguments) == 2
    assert main([*arguments, "nour"]) == 0
    assert capsys.readouterr().out == ""
    assert read_pdf(pdf.read_bytes()).trailer["/Root"]["/Lang"] == "ar-MA"
