"""PDF of a report: Arabic text, embedded fonts, tags, and no external resources."""

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


def read_pdf(data):
    return pypdf.PdfReader(io.BytesIO(data))


@pytest.fixture(scope="module")
def arabic():
    url = "https://reports.example/r/abc"
    return read_pdf(render_pdf(report(FULL, "ar", is_interactive=False, report_url=url)))


@needs_pango
def test_arabic_text_can_be_extracted(arabic):
    text = "\n".join(page.extract_text() for page in arabic.pages)
    for phrase in ("جمعية النور", "على ما يرام", "حساباتكم", "هذا التقرير أداة مساعدة"):
        assert phrase in text


@needs_pango
def test_pdf_embeds_fonts_and_has_language_and_tags(arabic):
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
def test_pdf_has_few_pages_and_no_form_fields(arabic):
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
def test_only_static_files_of_the_package_are_loaded(address):
    with pytest.raises(ValueError, match="not a static file"):
        _fetch_static_file(address)


def test_missing_weasyprint_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(PdfUnavailableError, match="print the page from a browser"):
        render_pdf(report(FULL))


def serve_pdf(monkeypatch):
    router = APIRouter()

    @router.get("/{language}/report.pdf")
    def download_report(context: PageContext):
        return context.render_report_pdf(FULL)

    monkeypatch.setattr(module, "ROUTERS", (router,))


@pytest.fixture
def app(tmp_path):
    settings = {"storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"}}
    with App.open(Config.model_validate(settings)) as opened_app:
        yield opened_app


@needs_pango
def test_web_serves_pdf_as_download(app, monkeypatch):
    serve_pdf(monkeypatch)
    with logged_in_client(app, NOW) as client:
        response = client.get("/fr/report.pdf")
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["content-disposition"] == 'attachment; filename="nour.pdf"'
    assert response.content.startswith(b"%PDF")


def test_web_suggests_printing_if_no_pdf_can_be_made(app, monkeypatch):
    serve_pdf(monkeypatch)
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with logged_in_client(app, NOW) as client:
        response = client.get("/fr/report.pdf")
    assert response.status_code == 503
    assert "Imprimer" in response.text


@needs_pango
def test_command_writes_pdf_of_one_association_in_its_language(tmp_path, capsys):
    app = opened(tmp_path)
    register(app, link("nour", "website", "nour"))
    app.store.close()
    (tmp_path / "config.toml").write_text(f'[storage]\nfolder = "{tmp_path}"\n', "utf-8")
    config, pdf = str(tmp_path / "config.toml"), tmp_path / "nour.pdf"
    arguments = ["--config", config, "report", "--pdf", str(pdf)]
    assert main(arguments) == 2
    assert main([*arguments, "nour"]) == 0
    assert "weasyprint" not in capsys.readouterr().err
    assert read_pdf(pdf.read_bytes()).trailer["/Root"]["/Lang"] == "ar-MA"


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
