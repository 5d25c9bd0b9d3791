"""The registry in the browser: taken as a sheet, on a real server."""

import pytest
from served import NOW, browsing
from small import opened

from auditor import roster
from auditor.registry import read
from auditor.wording import Wording
from probes import links
from storage.model import AccountRow, Association

NOUR = Association("nour", "جمعية النور", city="=1+1", language="ar", media_officer="volunteer")
AMAL = Association("amal", "<b>Amal</b>", language="fr", none_by_choice=("twitter",))
LINKS = [
    AccountRow(who, typed, links.identify(typed, channel), channel)
    for who, channel, typed in [
        ("nour", "facebook", "https://www.facebook.com/nour.agadir"),
        ("amal", "website", "https://amal.ma/"),
    ]
]


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path)
    small.store.save_registry([NOUR, AMAL], LINKS, NOW)
    yield small
    small.store.close()


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
@pytest.mark.parametrize("form", ["csv", "xlsx", "csv?delimiter=;"])
def test_the_sheet_that_a_page_leads_to_is_in_its_language_and_changes_nothing(app, tmp_path, language, form):
    with browsing(app) as client:
        assert f'href="/{language}/registry.xlsx"' in client.get(f"/{language}/registry").text
        answer = client.get(f"/{language}/registry.{form}")
    assert f"registry-{NOW.date()}" in answer.headers["content-disposition"]
    path = tmp_path / f"sheet.{form[:4].strip('?')}"
    path.write_bytes(answer.content)
    reading = read(path)
    assert not app.store.save_registry(reading.associations, reading.accounts, NOW)
    if form == "csv":
        assert answer.text.lstrip("\ufeff").startswith(roster.heading("id", Wording(language)) + ",")


def test_a_page_tells_how_many_are_registered(app):
    with browsing(app) as client:
        assert "2 associations are registered." in client.get("/en/registry").text.replace(
            "<bdi>", ""
        ).replace("</bdi>", "")
