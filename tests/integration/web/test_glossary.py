"""Words on pages lead to their definition on the glossary page."""

from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from auditor.checking import checker
from auditor.runs.run import execute_run
from storage.models.users import Role
from tests.support.mini_network import link, lived, night_of, register, steps
from tests.support.web_server import logged_in_client

NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
NOW = night_of(0) + timedelta(hours=8)
PAGES_WITH_TERMS = ("", "gaps", "associations", "runs", "meeting", "associations/nour/accounts/1")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@lived
async def app(network):
    register(network, NOUR, SITE, names=["amal"])
    network.web.answers = {NOUR.typed_text: "wall"}
    await execute_run(network, night_of(0))


def load_page(client, path, language):
    response = client.get(f"/{language}/{path}")
    assert response.status_code == 200
    return BeautifulSoup(response.text, "lxml")


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_words_on_pages_lead_to_their_definition(app, language):
    with logged_in_client(app, NOW, name="Omar", role=Role.READER) as client:
        glossary = load_page(client, "glossary", language)
        definitions = {
            f"/{language}/glossary#{entry['id']}": entry.dd.get_text(strip=True)
            for entry in glossary.select("dl.glossary > div")
        }
        for path in PAGES_WITH_TERMS:
            terms = load_page(client, path, language).select("a.term")
            assert terms, path
            titles = {term["href"]: term.get("title") for term in terms}
            assert titles.keys() <= definitions.keys()
            assert set(titles.values()) <= {None, *definitions.values()}


def test_footer_leads_to_the_glossary_only_for_users(app):
    with logged_in_client(app, NOW, name="Omar", role=Role.READER) as client:
        assert load_page(client, "gaps", "en").select('footer a[href="/en/glossary"]')
        client.cookies.clear()
        assert "/en/glossary" not in client.get("/en/login").text


def test_evidence_explains_that_an_account_could_not_be_checked(app):
    with logged_in_client(app, NOW, name="Omar", role=Role.READER) as client:
        pages = [load_page(client, f"associations/nour/accounts/{row}", "en") for row in (1, 2)]
    assert [len(page.select('a.term[href$="#unknown"]')) for page in pages] == [1, 0]
