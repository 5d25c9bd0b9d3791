"""The badge: only for who wants one, dated, in three languages, and nothing in it but its own words."""

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from lxml import html

from auditor import report_links
from auditor.checking import checker
from auditor.config.schema import WebSettings
from auditor.reports import publish_site
from auditor.runs.run import execute_run
from storage.models.audit import Association
from tests.support.mini_network import START, configured, link, night_of, opened, steps
from tests.support.web_server import anonymous_client, logged_in_client

LATER = night_of(1) + timedelta(hours=6)
HOSTILE = '<script>alert("1")</script>&'


@pytest.fixture
async def app(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    small = opened(tmp_path, configured())
    people = [Association("nour/1", HOSTILE, tags=("badge",)), Association("shy", "Shy")]
    small.store.save_registry(
        people, [link("nour/1", "website", "nour")], START - timedelta(hours=1)
    )
    await execute_run(small, night_of(1))
    yield small
    small.store.close()


@pytest.mark.parametrize(
    ("language", "direction", "said"),
    [("ar", "rtl", "2 مارس 2026"), ("fr", "ltr", "2 mars 2026"), ("en", "ltr", "2 March 2026")],
)
def test_a_badge_tells_level_and_day_and_escapes_every_name(app, language, direction, said):
    with anonymous_client(app, LATER) as client:
        answer = client.get(f"/badges/nour%2F1/{language}.svg")
    drawn = ET.fromstring(answer.text)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert HOSTILE in drawn[0].text
    assert said in "".join(drawn.itertext())
    assert drawn.find("{*}g").get("direction") == direction
    assert "http" not in answer.text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not list(drawn.iter("{*}script"))


def test_the_folder_of_pages_has_the_same_badges(app, tmp_path):
    publish_site(app, tmp_path / "pages", LATER)
    [folder] = (tmp_path / "pages" / "badges").iterdir()
    with anonymous_client(app, LATER) as client:
        assert (folder / "ar.svg").read_text("utf-8") == client.get("/badges/nour%2F1/ar.svg").text
    assert {path.name for path in folder.iterdir()} == {"ar.svg", "fr.svg", "en.svg"}


def test_nobody_has_a_badge_that_did_not_ask_for_one(app):
    with anonymous_client(app, LATER) as client:
        paths = ("/badges/shy/fr.svg", "/badges/nobody/fr.svg", "/badges/nour%2F1/de.svg")
        assert {client.get(path).status_code for path in paths} == {404}


def test_a_badge_is_kept_for_a_day_and_sent_again_only_when_it_changed(app):
    with anonymous_client(app, LATER) as client:
        first = client.get("/badges/nour%2F1/fr.svg")
        again = client.get(
            "/badges/nour%2F1/fr.svg", headers={"if-none-match": first.headers["etag"]}
        )
    assert first.headers["cache-control"] == "public, max-age=86400"
    assert (again.status_code, again.content) == (304, b"")


def told(app, path, association="nour/1", url="https://reports.example.org"):
    """The code that a page shows, of an association's page or, by its letter, of its own report."""
    app.config = app.config.model_copy(update={"web": WebSettings(public_url=url)})
    with (anonymous_client if path.endswith("/report") else logged_in_client)(app, LATER) as client:
        if path.endswith("/report"):
            _, link = report_links.create_report_link(
                app.store, app.config, association, "Amina", LATER
            )
            client.get(f"/r/{link.rpartition('/')[2]}")
        return [one.text_content() for one in html.fromstring(client.get(path).text).iter("code")]


@pytest.mark.parametrize("path", ["/fr/associations/nour%2F1", "/fr/report"])
def test_whoever_wants_a_badge_finds_the_line_to_put_into_a_site(app, path):
    lines = [html.fromstring(code) for code in told(app, path) if "badges/" in code]
    [french] = [line for line in lines if line.get("src").endswith("/fr.svg")]
    assert french.get("src") == "https://reports.example.org/badges/nour%2F1/fr.svg"
    assert french.get("alt") == f"Présence en ligne, vérifiée par {app.config.network.name}"
    with anonymous_client(app, LATER) as client:
        assert (
            client.get(french.get("src").removeprefix("https://reports.example.org")).status_code
            == 200
        )


@pytest.mark.parametrize("path", ["/fr/associations/shy", "/fr/report"])
def test_nobody_else_finds_one_but_the_coordinator_reads_how_to_ask(app, path):
    assert not [code for code in told(app, path, "shy") if "badges/" in code]
    with logged_in_client(app, LATER) as client:
        assert "ajoutez le mot-clé <bdi>badge</bdi>" in client.get("/fr/associations/shy").text


def test_without_an_address_of_this_server_no_line_is_told(app):
    assert not [
        code for code in told(app, "/fr/associations/nour%2F1", url="") if "badges/" in code
    ]
