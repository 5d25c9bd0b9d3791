"""Each id that the import accepts has pages, and the links of pages lead to them."""

import re
from html import unescape
from typing import get_args, get_type_hints

import pytest

from auditor.core.rendering.templates import WebAppLinks
from auditor.registry.existing_entries import RESERVED_ID_ENDINGS, is_usable_id
from storage.models.audit import Association
from tests.support.all_routes import list_all_routes
from tests.support.web_server import get_text

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


REGISTRY = ([Association(one, f"Name of {one!r};") for one in ("x", "a", "a/b", *USABLE_IDS)],)


@pytest.mark.parametrize("association_id", USABLE_IDS)
def test_usable_id_has_pages(client, association_id):
    assert is_usable_id(association_id)
    url = WebAppLinks("en").association_url(association_id)
    quoted = url.removeprefix("/en/associations/")
    paths = [f"/en/{page}/{quoted}" for page in ("registry/entries", "registry/erase")]
    form = f"{url}/decisions?kind=none_by_choice&channel=facebook"
    for path in (url, form, *paths, f"/en/report-links/{quoted}"):
        assert f"Name of {association_id!r};" in unescape(get_text(client, path)), path


@pytest.mark.parametrize("association_id", UNUSABLE_IDS)
def test_unusable_id_is_recognised(association_id):
    assert not is_usable_id(association_id)


def test_reserved_endings_are_those_of_the_routes():
    endings = set()
    for route in list_all_routes():
        if tail := re.search(r"{association:path}/([^/{]+)", route.path):
            endings.add(tail[1])
        elif route.path.endswith("{association:path}/{action}"):
            endings.update(get_args(get_type_hints(route.endpoint)["action"]))
    assert endings == RESERVED_ID_ENDINGS
