"""Runs the code of docs/contributing/adding-a-channel.md as a channel."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from probes.models.finding import Account, Finding, LinkKind, Presence
from probes.models.probe import ChannelModule, run_offline
from tests.unit.probes.channels.test_recorded_pages import build_responder, to_expectation

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "contributing" / "adding-a-channel.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def read_block(kind: str, index: int = 0) -> str:
    """Return a code block of the page by its language and index."""
    return str([text for name, text in BLOCKS if name == kind][index])


RECORDED: dict[str, Any] = tomllib.loads(read_block("toml", 2))


@pytest.fixture(scope="module")
def bluesky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelModule]:
    """Return the page's module as if it were in `probes.channels`."""
    source = tmp_path_factory.mktemp("probes") / "bluesky.py"
    source.write_text(read_block("python"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(source.parent)
        yield cast("ChannelModule", importlib.import_module("bluesky"))
    del sys.modules["bluesky"]


def test_documented_module_is_a_channel(bluesky: ChannelModule) -> None:
    assert (bluesky.NAME, bool(bluesky.HOSTS)) == ("bluesky", True)
    identity = bluesky.identify_bare("@Jamiya-Annour.bsky.social")
    assert (identity.kind, identity.key) == (LinkKind.PROFILE, "jamiya-annour.bsky.social")


def probe_recorded(bluesky: ChannelModule, folder: Path, *exchanges: dict[str, Any]) -> Finding:
    """Return what the channel concludes from the page's recorded exchange, or from another."""
    (folder / "there.json").write_text(read_block("json"), encoding="utf-8")
    url = RECORDED["exchanges"][0]["url"]
    others = [{"url": url, **exchange} for exchange in exchanges]
    recorded = {**RECORDED, "exchanges": others or RECORDED["exchanges"]}
    account = Account("test", recorded["link"], bluesky.identify(recorded["link"]))
    return run_offline(bluesky.probe(account), build_responder(recorded, folder)).finding


def test_documented_page_gives_the_expected_finding(bluesky: ChannelModule, tmp_path: Path) -> None:
    finding = probe_recorded(bluesky, tmp_path)
    assert to_expectation(finding, RECORDED["expect"]) == RECORDED["expect"]


NO_PROFILE = '{"error": "InvalidRequest", "message": "Profile not found"}'


@pytest.mark.parametrize(
    ("status", "text", "presence"),
    [
        *((status, "", Presence.UNKNOWN) for status in (400, 401, 403, 404, 429, 503, 999)),
        (404, "<p>Not found</p>", Presence.UNKNOWN),
        (503, NO_PROFILE, Presence.UNKNOWN),
        (400, NO_PROFILE, Presence.ABSENT),
    ],
)
def test_documented_channel_takes_only_the_message_of_the_api_for_an_absence(
    bluesky: ChannelModule, tmp_path: Path, status: int, text: str, presence: Presence
) -> None:
    exchange = {"status": status, "text": text}
    assert probe_recorded(bluesky, tmp_path, exchange).presence is presence


@pytest.mark.parametrize(
    ("link", "kind", "key"),
    [
        ("https://bsky.app/profile/Annour.bsky.social", LinkKind.PROFILE, "annour.bsky.social"),
        ("https://bsky.app/profile/annour.ma/post/3kx", LinkKind.POST, "annour.ma"),
        ("https://bsky.app/profile/an_nour", LinkKind.INVALID, None),
        ("https://bsky.app/search", LinkKind.SEARCH, None),
        ("https://bsky.app/about", LinkKind.INVALID, None),
        ("https://bsky.app/", LinkKind.HOME, None),
    ],
)
def test_documented_channel_identifies_accounts_and_posts(
    bluesky: ChannelModule, link: str, kind: LinkKind, key: str | None
) -> None:
    identity = bluesky.identify(link)
    assert (identity.kind, identity.key) == (kind, key)
