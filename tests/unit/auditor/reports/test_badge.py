"""Badges: opt-in, dated, in three languages, without external resources."""

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from lxml import html

from auditor import report_links
from auditor.checking import checker
from auditor.config.schema import WebSettings
from auditor.reports.html import publish_site
from auditor.runs.run import execute_run
from storage.models.audit import Association
from tests.support.mini_network import START, configured, link, night_of, opened, steps
from tests.support.web_server import anonymous_client, logged_in_client

LATER = night_of(1) + timedelta(hours=6)
HOSTILE = '<script>alert("1")</script>&'


@pytest.fixture
async def app(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    small = opened(tmp_path, configured())
    associations = [Association("nour/1", HOSTILE, tags=("badge",)), Association("shy", "Shy")]
    accounts = [link("nour/1", "website", "nour")]
    small.store.registry.save_registry(associations, accounts, START - timedelta(hours=1))
    await execute_run(small, night_of(1))
    yield small
    small.store.close()


@pytest.mark.parametrize(
    ("language", "direction", "date"),
    [("ar", "rtl", "2 مارس 2026"), ("fr", "ltr", "2 mars 2026"), ("en", "ltr", "2 March 2026")],
)
def test_badge_shows_level_and_date_and_escapes_the_name(app, language, direction, date):
    with anonymous_client(app, LATER) as client:
        response = client.get(f"/badges/nour%2F1/{language}.svg")
    svg = ET.fromstring(response.text)
    assert response.headers["content-type"] == "image/svg+xml"
    assert HOSTILE in svg[0].text
    assert date in "".join(svg.itertext())
    assert svg.find("{*}g").get("direction") == direction
    assert "http" not in response.text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not list(svg.iter("{*}script"))


def test_static_site_has_the_same_badges(app, tmp_path):
    publish_site(app, tmp_path / "pages", LATER)
    [folder] = (tmp_path / "pages" / "badges").iterdir()
    with anonymous_client(app, LATER) as client:
        assert (folder / "ar.svg").read_text("utf-8") == client.get("/badges/nour%2F1/ar.svg").text
    assert {path.name for path in folder.iterdir()} == {"ar.svg", "fr.svg", "en.svg"}


def test_association_without_the_tag_has_no_badge(app):
    with anonymous_client(app, LATER) as client:
        paths = ("/badges/shy/fr.svg", "/badges/nobody/fr.svg", "/badges/nour%2F1/de.svg")
        assert {client.get(path).status_code for path in paths} == {404}


def test_badge_is_cached_for_a_day_and_revalidated(app):
    with anonymous_client(app, LATER) as client:
        first = client.get("/badges/nour%2F1/fr.svg")
        again = client.get(
            "/badges/nour%2F1/fr.svg", headers={"if-none-match": first.headers["etag"]}
        )
    assert first.headers["cache-control"] == "public, max-age=86400"
    assert (again.status_code, again.content) == (304, b"")


def code_on_page(app, path, association="nour/1", url="https://reports.example.org"):
    """Return the texts of `code` elements on a page of the web application.

    A report is opened with a report link, any other page by a user who is logged in.
    """
    app.config = app.config.model_copy(update={"web": WebSettings(public_url=url)})
    is_report = path.endswith("/report")
    open_client = anonymous_client if is_report else logged_in_client
    with open_client(app, LATER) as client:
        if is_report:
            _, report_url = report_links.create_report_link(
                app.store, app.config, association, "Amina", LATER
            )
            client.get(f"/r/{report_url.rpartition('/')[2]}")
        page = html.fromstring(client.get(path).text)
    return [element.text_content() for element in page.iter("code")]


@pytest.mark.parametrize("path", ["/fr/associations/nour%2F1", "/fr/report"])
def test_pages_show_the_html_that_embeds_the_badge(app, path):
    lines = [html.fromstring(code) for code in code_on_page(app, path) if "badges/" in code]
    [french] = [line for line in lines if line.get("src").endswith("/fr.svg")]
    assert french.get("src") == "https://reports.example.org/badges/nour%2F1/fr.svg"
    assert french.get("alt") == f"Présence en ligne, vérifiée par {app.config.network.name}"
    badge_path = french.get("src").removeprefix("https://reports.example.org")
    with anonymous_client(app, LATER) as client:
        assert client.get(badge_path).status_code == 200


@pytest.mark.parametrize("path", ["/fr/associations/shy", "/fr/report"])
def test_coordinator_reads_how_to_enable_a_badge(app, path):
    assert not [code for code in code_on_page(app, path, "shy") if "badges/" in code]
    with logged_in_client(app, LATER) as client:
        assert "ajoutez le mot-clé <bdi>badge</bdi>" in client.get("/fr/associations/shy").text


def test_badge_html_needs_a_public_url(app):
    codes = code_on_page(app, "/fr/associations/nour%2F1", url="")
    assert not [code for code in codes if "badges/" in code]
