"""The calendar of domains to renew is valid iCalendar (RFC 5545), and its entries are stable."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from auditor.core.i18n.translator import Translator
from auditor.presentation.views.export import (
    DOMAIN_GAP,
    MAX_LINE_BYTES,
    _fold,
    build_domain_calendar,
)
from storage.models.audit import Gap

NOW = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)
GAP = Gap(
    "nour",
    "website",
    DOMAIN_GAP,
    "high",
    NOW,
    opened_at=NOW,
    subject="nour.org",
    params={
        "url": "https://nour.org/",
        "domain": "nour.org",
        "expires_on": "2026-12-20",
        "registry_on": "2026-11-28",
    },
)
NAME = "جمعية النور؛ Nour, Rabat; \\ et l’Oriental " * 3


def parse_calendar(content):
    """Return the components as (name, properties), after checks of RFC 5545 §3.1 and §3.6."""
    assert content.endswith(b"\r\n")
    physical_lines = content[:-2].split(b"\r\n")
    assert all(0 < len(line) <= 75 and b"\n" not in line for line in physical_lines)
    for line in physical_lines:
        line.decode()  # no character is split
    lines = content.decode().replace("\r\n ", "").split("\r\n")[:-1]
    stack, components = [], []
    for line in lines:
        name, value = re.fullmatch(r"([A-Z-]+)(?:;[A-Z]+=[\w/-]+)*:(.*)", line).groups()
        if name == "BEGIN":
            stack.append((value, {}))
        elif name == "END":
            component = stack.pop()
            assert component[0] == value
            components.append(component)
        else:
            assert name not in stack[-1][1], "each of these occurs at most once"
            stack[-1][1][name] = value
    assert not stack
    assert components[-1][0] == "VCALENDAR"
    assert {"VERSION", "PRODID"} <= components[-1][1].keys()
    assert len(components) > 1, "a calendar has a component"
    for kind, properties in components:
        if kind == "VEVENT":
            assert {"UID", "DTSTAMP", "DTSTART"} <= properties.keys()
            assert re.fullmatch(r"\d{8}T\d{6}Z", properties["DTSTAMP"])
        if kind == "VALARM":
            assert {"ACTION", "TRIGGER", "DESCRIPTION"} <= properties.keys()
    return components


def list_events(*gaps, language="en", name=NAME):
    calendar = build_domain_calendar([(name, gap) for gap in gaps], Translator(language), NOW)
    return [properties for kind, properties in parse_calendar(calendar) if kind == "VEVENT"]


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_entry_is_valid_in_each_language(language):
    (event,) = list_events(GAP, language=language)
    assert (event["DTSTART"], event["DTEND"]) == ("20261220", "20261221")


def test_text_is_escaped():
    (event,) = list_events(GAP, name="a,b;c\\d")
    assert event["SUMMARY"] == "Renew nour.org (a\\,b\\;c\\\\d)"
    assert "according to the domain registry on 28 November 2026\\n" in event["DESCRIPTION"]


def test_calendar_without_entries_is_valid():
    assert list_events() == []


def test_id_of_an_entry_is_stable():
    later = replace(GAP, severity="urgent", params={**GAP.params, "expires_on": "2027-12-20"})
    other = replace(GAP, association="amal")
    ids = [event["UID"] for event in list_events(GAP, later, other)]
    assert ids[0] == ids[1] != ids[2]


def test_lost_domain_without_a_date_is_listed_on_the_day_it_was_found():
    params = {"domain": "nour.org", "domain_status": "pending_delete", "registry_on": "2026-11-28"}
    (event,) = list_events(replace(GAP, params=params))
    assert event["DTSTART"] == "20261128"


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_line_up_to_the_limit_is_not_folded(step):
    line = "x" * (MAX_LINE_BYTES + step)
    assert _fold(line).count(b"\r\n") == (1 if step <= 0 else 2)
