"""The navigation: six entries, the pages of the current one, and the search."""

from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from storage.models.users import ReplyKind, Role
from storage.tables.communication import Reply
from tests.support.mini_network import link, lived, night_of, register
from tests.support.stored import add_reply
from tests.support.web_server import logged_in_client

NOW = night_of(0) + timedelta(hours=8)
ENTRIES = ["Today", "Associations", "What’s new", "Messages", "Meeting", "Settings"]


@lived
async def app(network):
    register(network, link("nour", "facebook", "nour"), names=["amal"])


def get_page(app, path, **user):
    with logged_in_client(app, NOW, **user) as client:
        return BeautifulSoup(client.get(path).text, "lxml")


def list_links(page, css_class):
    return [element.get_text(" ", strip=True) for element in page.select(f"nav.{css_class} a")]


@pytest.mark.parametrize(
    ("role", "entries", "settings"),
    [
        (Role.ADMIN, ENTRIES, ["Registry", "Users", "Your account", "Glossary"]),
        (Role.COORDINATOR, ENTRIES, ["Registry", "Your account", "Glossary"]),
        (
            Role.READER,
            [name for name in ENTRIES if name != "Messages"],
            ["Your account", "Glossary"],
        ),
    ],
)
def test_each_role_sees_the_entries_that_it_may_open(app, role, entries, settings):
    page = get_page(app, "/en/account", name="Omar", role=role)
    assert page.select('.section-nav form[action="/en/logout"]')
    assert list_links(page, "site-nav") == entries
    assert list_links(page, "section-nav") == settings


@pytest.mark.parametrize(
    ("path", "entry", "is_first_page"),
    [
        ("", "Today", True),
        ("associations/nour", "Associations", True),
        ("gaps", "Associations", False),
        ("groups", "Associations", False),
        ("changes", "What’s new", True),
        ("runs", "What’s new", False),
        ("report-links", "Messages", False),
        ("registry/history", "Settings", True),
    ],
)
def test_page_marks_its_entry(app, path, entry, is_first_page):
    [current] = get_page(app, f"/en/{path}").select(".site-nav a[aria-current]")
    assert current.get_text(strip=True) == entry
    assert current["aria-current"] == ("page" if is_first_page else "true")


def test_entry_counts_the_replies_that_wait(app):
    add_reply(app.store, Reply(association="nour", kind=ReplyKind.DISOWNED, submitted_at=NOW))
    assert get_page(app, "/en/").select_one(".site-nav .count").get_text(strip=True) == "1waiting"
    assert not get_page(app, "/en/", name="Omar", role=Role.READER).select(".site-nav .count")


def test_every_page_has_the_search_for_associations(app):
    [form] = get_page(app, "/en/meeting").select("header search form")
    assert (form["action"], form.input["name"]) == ("/en/associations", "q")
