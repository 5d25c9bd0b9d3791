"""Links of the web application and of the static site."""

import re
from posixpath import join, normpath

from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.core.rendering.templates import StaticSiteLinks, WebAppLinks
from auditor.presentation.reports.html import STYLE_SHEETS
from tests.unit.auditor.presentation.reports.test_report import (
    CODES,
    account,
    gap,
    render_site,
    view,
)

LANGUAGES = tuple(LOCALE_BY_LANGUAGE)


def test_published_pages_link_only_to_published_files():
    folder = {
        **render_site(view(gaps=map(gap, CODES), accounts=[account()])),
        **dict.fromkeys(STYLE_SHEETS),
    }
    for name, page in folder.items():
        for href in re.findall(r'href="([^"#]+)["#]', page or ""):
            if ":" not in href:
                assert normpath(join(name, "..", href)) in folder, (name, href)


def test_translated_url_keeps_path_and_query():
    link = WebAppLinks("ar", "/gaps?channel=facebook&page=2")
    assert link.translated_url("fr") == "/fr/gaps?channel=facebook&page=2"
    assert (link.section, link.page_url("gaps"), link.page_url()) == ("gaps", "/ar/gaps", "/ar/")
    assert link.association_url("a/b ?") == "/ar/associations/a%2Fb%20%3F"


def test_translated_file_keeps_its_name():
    link = StaticSiteLinks("nour.html", LANGUAGES)
    assert (link.translated_url("fr"), link.page_url(), link.asset_url("app.css")) == (
        "../fr/nour.html",
        "index.html",
        "../app.css",
    )
    assert link.association_url("nour") == "nour.html"


def test_asset_version_depends_on_the_contents():
    link = WebAppLinks("ar")
    assert link.asset_url("app.css") == WebAppLinks("fr").asset_url("app.css")
    assert (
        link.asset_url("app.css").partition("?")[2]
        != link.asset_url("pico-rtl.css").partition("?")[2]
    )
