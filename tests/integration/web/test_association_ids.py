"""Each id that the import accepts has pages, and the links of pages lead to them."""

import re
from typing import get_args, get_type_hints

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.core.rendering.templates import WebAppLinks
from auditor.registry.existing_entries import MAX_ID_CHARACTERS, RESERVED_ID_ENDINGS, is_usable_id
from storage.models.audit import Association
from tests.support.all_routes import list_all_routes
from tests.support.web_server import NOW, logged_in_client

USABLE_IDS = (
    "x/decide",
    "123/2020",
    "decisions",
    "create",
    "a b",
    "100%",
    "a%2Fb",
    "%2e%2e",
    "a?b",
    "a#b",
    "a&b=c",
    "...",
    "a..b",
    "a\\b",
    "جمعية",
    "a;b",
    "report.pdf",
    "x/fr.svg",
    "a+b",
)
UNUSABLE_IDS = (
    ".",
    "..",
    "a/../b",
    "../b",
    "a//b",
    "/a",
    "a/",
    "x/decisions",
    "x/follow-ups",
    "x/checks",
    "x/create",
    "x/renew",
    "x/revoke",
    "x/accounts/3",
    "x/decisions/y",
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    settings = {"storage": {"folder": folder, "url": f"sqlite:///{folder}/auditor.db"}}
    with App.open(Config.model_validate(settings)) as app:
        ids = ("x", "a", "a/b", "b", *USABLE_IDS)
        associations = [
            Association(association_id, f"Name number {number};")
            for number, association_id in enumerate(ids)
        ]
        app.store.registry.save_registry(associations, [], NOW)
        with logged_in_client(app) as client:
            yield client


@pytest.mark.parametrize("association_id", USABLE_IDS)
def test_usable_id_has_pages(client, association_id):
    assert is_usable_id(association_id)
    name = f"Name number {4 + USABLE_IDS.index(association_id)};"
    links = WebAppLinks("en")
    page_url = links.association_url(association_id)
    quoted = page_url.removeprefix("/en/associations/")
    for path in (
        page_url,
        f"{page_url}/decisions?kind=none_by_choice&channel=facebook",
        f"/en/registry/entries/{quoted}",
        f"/en/registry/erase/{quoted}",
        f"/en/report-links/{quoted}",
    ):
        response = client.get(path, follow_redirects=True)
        assert (response.status_code, name in response.text) == (200, True), path


@pytest.mark.parametrize("association_id", UNUSABLE_IDS)
def test_unusable_id_is_recognised(association_id):
    assert not is_usable_id(association_id)


@pytest.mark.parametrize(("excess", "is_usable"), [(-1, True), (0, True), (1, False)])
def test_id_has_a_longest_length(excess, is_usable):
    assert is_usable_id("x" * (MAX_ID_CHARACTERS + excess)) is is_usable


def test_reserved_endings_are_those_of_the_routes():
    endings = set()
    for route in list_all_routes():
        if tail := re.search(r"{association:path}/([^/{]+)", route.path):
            endings.add(tail[1])
        elif route.path.endswith("{association:path}/{action}"):
            endings.update(get_args(get_type_hints(route.endpoint)["action"]))
    assert endings == RESERVED_ID_ENDINGS
