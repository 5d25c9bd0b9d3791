"""Runs the code of docs/contributing/adding-a-channel.md as a channel."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from probes.models.finding import Account, LinkKind, Presence
from probes.models.probe import ChannelModule, run_offline
from tests.unit.probes.channels.test_channel_contract import (
    EVERY_CHANNEL_FUNCTION,
    assert_imports_are_pure,
)
from tests.unit.probes.channels.test_recorded_pages import build_responder, to_expectation

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "contributing" / "adding-a-channel.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def read_block(kind: str, index: int = 0) -> str:
    """Return a code block of the page by its language and index."""
    return str([text for name, text in BLOCKS if name == kind][index])


@pytest.fixture(scope="module")
def bluesky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelModule]:
    """Return the page's module as if it were in `probes.channels`."""
    source = tmp_path_factory.mktemp("probes") / "bluesky.py"
    source.write_text(read_block("python"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("probes.bluesky_of_the_docs", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield cast("ChannelModule", module)
    del sys.modules[spec.name]


def test_documented_module_is_a_channel(bluesky: ChannelModule) -> None:
    assert bluesky.NAME == "bluesky"
    assert bluesky.HOSTS
    assert all(callable(getattr(bluesky, function)) for function in EVERY_CHANNEL_FUNCTION)


def test_documented_module_imports_are_pure() -> None:
    assert_imports_are_pure("bluesky", read_block("python"))


def test_documented_page_gives_the_expected_finding(bluesky: ChannelModule, tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text(read_block("json"), encoding="utf-8")
    recorded: dict[str, Any] = tomllib.loads(read_block("toml", 2))
    link = recorded["link"]
    account = Account("test", link, bluesky.identify(link))
    finding = run_offline(bluesky.probe(account), build_responder(recorded, tmp_path)).finding
    assert to_expectation(finding, recorded["expect"]) == recorded["expect"]


def probe_response(bluesky: ChannelModule, tmp_path: Path, **exchange: Any) -> Presence:
    """Return the presence that the channel concludes from one API response."""
    recorded: dict[str, Any] = tomllib.loads(read_block("toml", 2))
    response = {"url": recorded["exchanges"][0]["url"], **exchange}
    identity = bluesky.identify_bare("@Jamiya-Annour.bsky.social")
    account = Account("test", "@jamiya-annour.bsky.social", identity)
    responder = build_responder({**recorded, "exchanges": [response]}, tmp_path)
    return run_offline(bluesky.probe(account), responder).finding.presence


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 503, 999])
def test_documented_channel_never_takes_a_refusal_for_an_absence(
    bluesky: ChannelModule, tmp_path: Path, status: int
) -> None:
    assert probe_response(bluesky, tmp_path, status=status) is Presence.UNKNOWN
    assert (
        probe_response(bluesky, tmp_path, status=status, text="<p>Not found</p>")
        is Presence.UNKNOWN
    )


def test_documented_channel_trusts_the_message_of_the_api(
    bluesky: ChannelModule, tmp_path: Path
) -> None:
    message = '{"error": "InvalidRequest", "message": "Profile not found"}'
    assert probe_response(bluesky, tmp_path, status=400, text=message) is Presence.ABSENT
    assert probe_response(bluesky, tmp_path, status=503, text=message) is Presence.UNKNOWN


def test_documented_channel_identifies_accounts_and_posts(bluesky: ChannelModule) -> None:
    expected_identities = {
        "https://bsky.app/profile/Annour.bsky.social": (LinkKind.PROFILE, "annour.bsky.social"),
        "https://bsky.app/profile/annour.ma/post/3kx": (LinkKind.POST, "annour.ma"),
        "https://bsky.app/profile/an_nour": (LinkKind.INVALID, None),
        "https://bsky.app/search": (LinkKind.SEARCH, None),
        "https://bsky.app/about": (LinkKind.INVALID, None),
        "https://bsky.app/": (LinkKind.HOME, None),
    }
    for link, expected in expected_identities.items():
        identity = bluesky.identify(link)
        assert (identity.kind, identity.key) == expected


def test_documented_configuration_loads() -> None:
    config = pytest.importorskip("auditor.config.schema")
    documented = tomllib.loads(read_block("toml"))
    config.ChannelSettings.model_validate(documented["channels"]["bluesky"])
    config.Config.model_validate(documented)


def test_documented_name_is_in_every_language() -> None:
    catalogue = (DOCS.parent / "auditor" / "core" / "reference" / "gaps.toml").read_text(
        encoding="utf-8"
    )
    labels = tomllib.loads(catalogue)["labels"]["channel"]
    documented = tomllib.loads(read_block("toml", 1))["labels"]["channel"]["bluesky"]
    assert documented.keys() == labels["youtube"].keys()
