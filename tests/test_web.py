"""The web application as a whole: languages, style sheets, and what is answered to whom."""

import pytest
from served import browsing

from auditor.app import App
from auditor.config import Config


@pytest.fixture
def app(tmp_path):
    told = {"storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"}}
    with App.open(Config.model_validate(told)) as opened:
        yield opened


def test_the_door_leads_to_the_networks_language_and_a_page_states_its_direction(app):
    with browsing(app) as client:
        assert client.get("/").headers["location"] == "/ar/"
        assert '<html lang="ar-MA" dir="rtl">' in client.get("/ar/").text
        assert '<html lang="fr" dir="ltr">' in client.get("/fr/").text


def test_a_language_we_do_not_speak_is_not_found(app):
    with browsing(app) as client:
        assert client.get("/de/").status_code == 404
