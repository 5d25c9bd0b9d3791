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
from test_contract import EVERY_CHANNEL_FUNCTION, assert_leans_on_nothing_impure
from test_probes import answers, told

from probes.model import Account, Channel, Kind, Presence, drive

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "adding-a-channel.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def written(kind: str, nth: int = 0) -> str:
    return str([text for name, text in BLOCKS if name == kind][nth])


@pytest.fixture(scope="module")
def instagram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Channel]:
    """The module of the page, loaded as if it lay in `probes/`."""
    source = tmp_path_factory.mktemp("probes") / "instagram.py"
    source.write_text(written("python"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("probes.instagram_of_the_docs", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield cast("Channel", module)
    del sys.modules[spec.name]


def test_the_written_module_is_a_channel(instagram: Channel) -> None:
    assert instagram.NAME == "instagram"
    assert instagram.HOSTS
    assert all(callable(getattr(instagram, function)) for function in EVERY_CHANNEL_FUNCTION)


def test_the_written_module_leans_on_nothing_it_may_not() -> None:
    assert_leans_on_nothing_impure("instagram", written("python"))


def test_the_written_page_is_read_as_it_says(instagram: Channel, tmp_path: Path) -> None:
    (tmp_path / "active.html").write_text(written("html"), encoding="utf-8")
    recorded: dict[str, Any] = tomllib.loads(written("toml", 2))
    link = f"https://{recorded['link']}"
    account = Account("test", link, instagram.identify(link, link))
    finding = drive(instagram.probe(account), answers(recorded, tmp_path)).finding
    assert told(finding, recorded["expect"]) == recorded["expect"]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503, 999])
def test_the_written_channel_never_takes_a_refusal_for_an_absence(instagram: Channel, status: int) -> None:
    named = instagram.identify_bare("@jamiya.annour")
    assert named is not None
    recorded = {
        "fetched_at": tomllib.loads(written("toml", 2))["fetched_at"],
        "exchanges": [{"url": named.canonical, "status": status}],
    }
    steps = instagram.probe(Account("test", "@jamiya.annour", named))
    assert drive(steps, answers(recorded, DOCS)).finding.presence is Presence.UNKNOWN


def test_the_written_grammar_tells_accounts_from_posts(instagram: Channel) -> None:
    told_of = {
        "https://www.instagram.com/annour/p/x/": (Kind.POST, "annour"),
        "https://www.instagram.com/p/x/": (Kind.POST, None),
        "https://instagr.am/Annour": (Kind.PROFILE, "annour"),
        "https://www.instagram.com/an-nour/": (Kind.INVALID, None),
        "https://www.instagram.com/": (Kind.HOME, None),
    }
    for link, expected in told_of.items():
        identity = instagram.identify(link, link)
        assert (identity.kind, identity.key) == expected


def test_the_written_configuration_loads() -> None:
    config = pytest.importorskip("auditor.config")
    written_down = tomllib.loads(written("toml"))
    config.ChannelConfig.model_validate(written_down["channels"]["instagram"])
    config.Config.model_validate(written_down)


def test_the_written_words_are_in_every_language_of_the_others() -> None:
    words = tomllib.loads((DOCS.parent / "auditor/words/gaps.toml").read_text(encoding="utf-8"))
    new = tomllib.loads(written("toml", 1))["labels"]["channel"]["instagram"]
    assert new.keys() == words["labels"]["channel"]["youtube"].keys()
