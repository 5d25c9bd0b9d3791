"""The same templates lead somewhere on the web and in a folder: addresses there, files here, none dead."""

import re
from posixpath import join, normpath

from auditor.i18n.catalogs import LOCALES
from auditor.rendering.templates import Address, Folder
from auditor.reports.html import STYLES
from tests.unit.auditor.reports.test_report import CODES, account, gap, view, written

EVERY = tuple(LOCALES)


def test_a_published_page_leads_only_to_files_that_are_published():
    folder = {**written(view(gaps=map(gap, CODES), accounts=[account()])), **dict.fromkeys(STYLES)}
    for name, page in folder.items():
        for href in re.findall(r'href="([^"#]+)["#]', page or ""):
            if ":" not in href:
                assert normpath(join(name, "..", href)) in folder, (name, href)


def test_an_address_keeps_its_path_and_query_in_another_language():
    link = Address("ar", "/gaps?channel=facebook&page=2")
    assert link.tongue("fr") == "/fr/gaps?channel=facebook&page=2"
    assert (link.section, link.page("gaps"), link.page()) == ("gaps", "/ar/gaps", "/ar/")
    assert link.association("a/b ?") == "/ar/associations/a%2Fb%20%3F"


def test_a_file_keeps_its_name_in_another_language():
    link = Folder("nour.html", EVERY)
    assert (link.tongue("fr"), link.page(), link.file("app.css")) == (
        "../fr/nour.html",
        "index.html",
        "../app.css",
    )
    assert link.association("nour") == "nour.html"


def test_the_version_in_an_address_is_that_of_the_files_contents():
    link = Address("ar")
    assert link.file("app.css") == Address("fr").file("app.css")
    assert link.file("app.css").partition("?")[2] != link.file("pico-rtl.css").partition("?")[2]
