"""Runs the entries of docs/contributing/adding-a-fingerprint.md."""

import re
import tomllib
from pathlib import Path

import pytest

from probes.classify import fingerprints
from probes.classify.fingerprints import parse_table
from probes.models.finding import Reason
from tests.unit.probes.classify.test_fingerprints import build_page

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "contributing" / "adding-a-fingerprint.md").read_text(encoding="utf-8")
SERVICE_TABLE, STATEMENT_TABLE = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
FINGERPRINTS = tuple(parse_table(tomllib.loads(SERVICE_TABLE)))


@pytest.fixture(autouse=True)
def use_documented_table(monkeypatch: pytest.MonkeyPatch) -> None:
    index = fingerprints._FingerprintIndex(FINGERPRINTS)
    monkeypatch.setattr(fingerprints, "load_fingerprint_index", lambda: index)


@pytest.mark.parametrize(
    ("markup", "url", "reason"),
    [
        ("<title>annour.example - Atlas Host</title>", "https://annour.example/", Reason.PARKED),
        (
            "<p>Ce domaine annour.example attend son site chez Atlas Host</p>",
            "https://annour.example/",
            Reason.PARKED,
        ),
        (
            "<h1>Bienvenue</h1><script src='//cdn.atlas-host.example/parking.js'></script>",
            "https://annour.example/",
            Reason.PARKED,
        ),
        ("<p>Bonjour</p>", "https://parking.atlas-host.example/annour", Reason.PARKED),
        (
            "<title>Atlas Host - compte suspendu</title>",
            "https://annour.example/",
            Reason.SUSPENDED,
        ),
    ],
)
def test_documented_page_is_recognized(markup: str, url: str, reason: Reason) -> None:
    match = fingerprints.find_fingerprint(*build_page(markup, url))
    assert match is not None
    assert (match.fingerprint.service, match.fingerprint.reason) == ("Atlas Host", reason)


def test_documented_statement_matches() -> None:
    [entry] = tomllib.loads(STATEMENT_TABLE)["statements"]
    assert Reason(entry["verdict"]) is Reason.SUSPENDED
    assert re.search(*entry["patterns"], "Le service Atlas est en sommeil", re.IGNORECASE)


def test_documented_fields_are_all_fields() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert documented == set(fingerprints._MATCHERS)
