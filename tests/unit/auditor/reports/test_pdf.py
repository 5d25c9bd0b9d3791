"""The PDF: Arabic comes out as words, in letters of our own, and nothing is fetched to make it."""

import io
import sys

import pypdf
import pytest
from fastapi import APIRouter

from auditor.app import App
from auditor.cli.main import main
from auditor.config.schema import Config
from auditor.reports.pdf import STATIC_BASE_URL, PdfUnavailableError, _fetch_static_file, render_pdf
from auditor.web import app as module
from auditor.web.request_context import PageContext
from tests.support.mini_network import link, opened, register
from tests.support.requirements import needs_pango
from tests.support.web_server import logged_in_client
from tests.unit.auditor.reports.test_report import CODES, NOW, account, gap, report, view

FULL = view(gaps=map(gap, CODES), accounts=[account()])


def read(made):
    return pypdf.PdfReader(io.BytesIO(made))


@pytest.fixture(scope="module")
def arabic():
    return read(
        render_pdf(
            report(FULL, "ar", is_interactive=False, report_url="https://reports.example/r/abc")
        )
    )


@needs_pango
def test_arabic_comes_out_as_words(arabic):
    said = "\n".join(page.extract_text() for page in arabic.pages)
    for words in ("جمعية النور", "على ما يرام", "حساباتكم", "هذا التقرير أداة مساعدة"):
        assert words in said


@needs_pango
def test_it_has_its_letters_its_language_and_its_tags_with_it(arabic):
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in arabic.pages
        for font in page["/Resources"]["/Font"].values()
    }
    assert {name.partition("+")[2] for name in fonts} >= {
        "Plex-Arabic",
        "Plex-Arabic-Bold",
        "Plex-Latin",
    }
    assert arabic.trailer["/Root"]["/Lang"] == "ar-MA"
    assert arabic.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert "جمعية النور" in arabic.metadata.title


@needs_pango
def test_it_fits_a_few_pages_and_has_nothing_to_press(arabic):
    assert len(arabic.pages) <= 5
    assert not arabic.get_fields()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/x.png",
        "file:///etc/passwd",
        f"{STATIC_BASE_URL}../config.py",
        f"{STATIC_BASE_URL}/../../x",
    ],
)
@needs_pango
def test_nothing_but_our_own_files_is_fetched(address):
    with pytest.raises(ValueError, match="not a static file"):
        _fetch_static_file(address)


def test_without_its_library_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(PdfUnavailableError, match="print the page from a browser"):
        render_pdf(report(FULL))


def served_paper(monkeypatch):
    router = APIRouter()

    @router.get("/{language}/report.pdf")
    def paper(asked: PageContext):
        return asked.render_report_pdf(FULL)

    monkeypatch.setattr(module, "ROUTERS", (router,))


@pytest.fixture
def app(tmp_path):
    told = {"storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"}}
    with App.open(Config.model_validate(told)) as held:
        yield held


@needs_pango
def test_the_web_hands_it_out_as_a_file(app, monkeypatch):
    served_paper(monkeypatch)
    with logged_in_client(app, NOW) as client:
        answer = client.get("/fr/report.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == 'attachment; filename="nour.pdf"'
    assert answer.content.startswith(b"%PDF")


def test_where_none_can_be_made_the_web_tells_to_print_instead(app, monkeypatch):
    served_paper(monkeypatch)
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with logged_in_client(app, NOW) as client:
        answer = client.get("/fr/report.pdf")
    assert answer.status_code == 503
    assert "Imprimer" in answer.text


@needs_pango
def test_the_command_writes_one_in_the_associations_language_and_only_of_one(tmp_path, capsys):
    app = opened(tmp_path)
    register(app, link("nour", "website", "nour"))
    app.store.close()
    (tmp_path / "config.toml").write_text(f'[storage]\nfolder = "{tmp_path}"\n', "utf-8")
    ask = ["--config", str(tmp_path / "config.toml"), "report", "--pdf", str(tmp_path / "nour.pdf")]
    assert main(ask) == 2
    assert main([*ask, "nour"]) == 0
    assert "weasyprint" not in capsys.readouterr().err
    assert read((tmp_path / "nour.pdf").read_bytes()).trailer["/Root"]["/Lang"] == "ar-MA"


def test_missing_system_library_gives_one_line_and_nothing_on_standard_output(
    monkeypatch, tmp_path, capfd
):
    broken = (
        "print('could not import some external libraries')\nraise "
        "OSError('cannot load libpango-1.0-0')\n"
    )
    (tmp_path / "weasyprint.py").write_text(broken)
    monkeypatch.delitem(sys.modules, "weasyprint", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PdfUnavailableError, match=r"apt-get install libpango-1\.0-0"):
        render_pdf(report(FULL))
    assert capfd.readouterr().out == ""
