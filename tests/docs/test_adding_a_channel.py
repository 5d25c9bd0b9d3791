"""The walk through adding a channel is true: its code is a channel, and sees the page it records."""

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
from tests.unit.probes.channels.test_recorded_pages import answers, told

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "contributing" / "adding-a-channel.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def written(kind: str, nth: int = 0) -> str:
    return str([text for name, text in BLOCKS if name == kind][nth])


@pytest.fixture(scope="module")
def bluesky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelModule]:
    """The module of the page, loaded as if it lay in `probes/`."""
    source = tmp_path_factory.mktemp("probes") / "bluesky.py"
    source.write_text(written("python"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("probes.bluesky_of_the_docs", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield cast("ChannelModule", module)
    del sys.modules[spec.name]


def test_the_written_module_is_a_channel(bluesky: ChannelModule) -> None:
    assert bluesky.NAME == "bluesky"
    assert bluesky.HOSTS
    assert all(callable(getattr(bluesky, function)) for function in EVERY_CHANNEL_FUNCTION)


def test_the_written_module_leans_on_nothing_it_may_not() -> None:
    assert_imports_are_pure("bluesky", written("python"))


def test_the_written_page_is_read_as_it_says(bluesky: ChannelModule, tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text(written("json"), encoding="utf-8")
    recorded: dict[str, Any] = tomllib.loads(written("toml", 2))
    link = recorded["link"]
    account = Account("test", link, bluesky.identify(link, link))
    finding = run_offline(bluesky.probe(account), answers(recorded, tmp_path)).finding
    assert told(finding, recorded["expect"]) == recorded["expect"]


def answered(bluesky: ChannelModule, tmp_path: Path, **exchange: Any) -> Presence:
    """What the written channel concludes from one answer of the interface."""
    recorded: dict[str, Any] = tomllib.loads(written("toml", 2))
    asked = {"url": recorded["exchanges"][0]["url"], **exchange}
    named = bluesky.identify_bare("@Jamiya-Annour.bsky.social")
    assert named is not None
    steps = bluesky.probe(Account("test", "@jamiya-annour.bsky.social", named))
    return run_offline(
        steps, answers({**recorded, "exchanges": [asked]}, tmp_path)
    ).finding.presence


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 503, 999])
def test_the_written_channel_never_takes_a_refusal_for_an_absence(
    bluesky: ChannelModule, tmp_path: Path, status: int
) -> None:
    assert answered(bluesky, tmp_path, status=status) is Presence.UNKNOWN
    assert answered(bluesky, tmp_path, status=status, text="<p>Not found</p>") is Presence.UNKNOWN


def test_the_written_channel_believes_the_interfaces_own_word(
    bluesky: ChannelModule, tmp_path: Path
) -> None:
    said = '{"error": "InvalidRequest", "message": "Profile not found"}'
    assert answered(bluesky, tmp_path, status=400, text=said) is Presence.ABSENT
    assert answered(bluesky, tmp_path, status=503, text=said) is Presence.UNKNOWN


def test_the_written_grammar_tells_accounts_from_posts(bluesky: ChannelModule) -> None:
    told_of = {
        "https://bsky.app/profile/Annour.bsky.social": (LinkKind.PROFILE, "annour.bsky.social"),
        "https://bsky.app/profile/annour.ma/post/3kx": (LinkKind.POST, "annour.ma"),
        "https://bsky.app/profile/an_nour": (LinkKind.INVALID, None),
        "https://bsky.app/search": (LinkKind.INVALID, None),
        "https://bsky.app/": (LinkKind.HOME, None),
    }
    for link, expected in told_of.items():
        identity = bluesky.identify(link, link)
        assert (identity.kind, identity.key) == expected


def test_the_written_configuration_loads() -> None:
    config = pytest.importorskip("auditor.config.schema")
    written_down = tomllib.loads(written("toml"))
    config.ChannelConfig.model_validate(written_down["channels"]["bluesky"])
    config.Config.model_validate(written_down)


def test_the_written_words_are_in_every_language_of_the_others() -> None:
    words = tomllib.loads(
        (DOCS.parent / "auditor" / "reference" / "gaps.toml").read_text(encoding="utf-8")
    )
    new = tomllib.loads(written("toml", 1))["labels"]["channel"]["bluesky"]
    assert new.keys() == words["labels"]["channel"]["youtube"].keys()
