"""The same templates lead somewhere on the web and in a folder: addresses there, files here, none dead."""

import re
from posixpath import join, normpath

from auditor.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.rendering.templates import StaticSiteLinks, WebAppLinks
from auditor.reports.html import STYLE_SHEETS
from tests.unit.auditor.reports.test_report import CODES, account, gap, view, written

EVERY = tuple(LOCALE_BY_LANGUAGE)


def test_a_published_page_leads_only_to_files_that_are_published():
    folder = {
        **written(view(gaps=map(gap, CODES), accounts=[account()])),
        **dict.fromkeys(STYLE_SHEETS),
    }
    for name, page in folder.items():
        for href in re.findall(r'href="([^"#]+)["#]', page or ""):
            if ":" not in href:
                assert normpath(join(name, "..", href)) in folder, (name, href)


def test_an_address_keeps_its_path_and_query_in_another_language():
    link = WebAppLinks("ar", "/gaps?channel=facebook&page=2")
    assert link.translated_url("fr") == "/fr/gaps?channel=facebook&page=2"
    assert (link.section, link.page_url("gaps"), link.page_url()) == ("gaps", "/ar/gaps", "/ar/")
    assert link.association_url("a/b ?") == "/ar/associations/a%2Fb%20%3F"


def test_a_file_keeps_its_name_in_another_language():
    link = StaticSiteLinks("nour.html", EVERY)
    assert (link.translated_url("fr"), link.page_url(), link.asset_url("app.css")) == (
        "../fr/nour.html",
        "index.html",
        "../app.css",
    )
    assert link.association_url("nour") == "nour.html"


def test_the_version_in_an_address_is_that_of_the_files_contents():
    link = WebAppLinks("ar")
    assert link.asset_url("app.css") == WebAppLinks("fr").asset_url("app.css")
    assert (
        link.asset_url("app.css").partition("?")[2]
        != link.asset_url("pico-rtl.css").partition("?")[2]
    )
