"""A channel without a finite list of hosts: an example that is not shipped."""

import re
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from auditor.registry.importer import parse_registry_spreadsheet
from probes.links import channel_registry, identify
from probes.links.identify import identify_link
from probes.models.finding import Identity, LinkKind

NAME = "mastodon"
_HANDLE = re.compile(r"@?(\w+)@((?:[a-z0-9-]+\.)+[a-z]{2,24})", re.IGNORECASE)
_PATH = re.compile(r"/@(\w+)/?")


def _build_account(user: str, host: str) -> Identity:
    user, host = user.lower(), host.lower()
    return Identity(NAME, LinkKind.PROFILE, f"{user}@{host}", f"https://{host}/@{user}")


def _identify(url: str) -> Identity:
    parts = urlsplit(url)
    match = _PATH.fullmatch(parts.path)
    if match is None or not parts.hostname:
        return Identity(NAME, LinkKind.INVALID, url=url)
    return _build_account(match[1], parts.hostname)


def _identify_bare(text: str) -> Identity:
    match = _HANDLE.fullmatch(text.strip())
    return _build_account(match[1], match[2]) if match else Identity(NAME, LinkKind.INVALID)


MASTODON = SimpleNamespace(
    NAME=NAME,
    HOSTS=frozenset(),
    VERSION=1,
    ANY_HOST=True,
    identify=_identify,
    identify_bare=_identify_bare,
)
KEY = "annour@social.annour.example"


@pytest.fixture(autouse=True)
def mastodon(monkeypatch):
    """Let the registry of channels know the example."""
    channels = {**channel_registry.list_channels(), NAME: MASTODON}
    for module in (channel_registry, identify):
        monkeypatch.setattr(module, "list_channels", lambda: channels)


@pytest.mark.parametrize(
    ("typed", "kind", "key"),
    [
        ("https://social.annour.example/@Annour", LinkKind.PROFILE, KEY),
        ("social.annour.example/@annour", LinkKind.PROFILE, KEY),
        ("@annour@social.annour.example", LinkKind.PROFILE, KEY),
        ("https://social.annour.example/about", LinkKind.INVALID, None),
        ("https://twiter.com/annour", LinkKind.INVALID, None),
    ],
)
def test_link_on_any_host_is_identified_in_the_column_of_its_channel(typed, kind, key):
    identity = identify_link(typed, NAME)
    assert (identity.kind, identity.key) == (kind, key)


def test_link_without_column_is_a_website():
    link = "https://social.annour.example/@annour"
    assert identify_link(link).channel == "website"
    assert identify_link(link, "facebook").note == "other_site"


def test_link_of_a_platform_belongs_to_it_in_any_column():
    assert identify_link("https://www.facebook.com/annour", NAME).channel == "facebook"


def test_canonical_address_identifies_the_same_account():
    canonical = identify_link("@annour@social.annour.example", NAME).canonical
    assert identify_link(canonical, NAME).key == KEY


def test_spreadsheet_with_a_column_of_the_channel_is_imported(tmp_path):
    sheet = tmp_path / "registry.csv"
    sheet.write_text("name,mastodon\nAnnour,https://social.annour.example/@annour\n")
    [account] = parse_registry_spreadsheet(sheet).accounts
    assert (account.identity.channel, account.identity.key) == (NAME, KEY)
