"""Phone numbers are normalized for links; timestamps have one form."""

from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest

from auditor.core.formatting import (
    build_json_document,
    build_whatsapp_url,
    format_optional_timestamp,
    get_dialable_number,
    normalize_phone,
)
from probes.models.finding import Activity


@pytest.mark.parametrize(
    "phone",
    [
        "0612345678",
        "06 12 34 56 78",
        "06.12.34.56.78",
        "06-12-34-56-78",
        "+212612345678",
        "+212 (0)6 12 34 56 78",
        "+212 06 12 34 56 78",
        "00212612345678",
        "00 212 6 12 34 56 78",
        "212612345678",
        "2120612345678",
        "612345678",
        "٠٦١٢٣٤٥٦٧٨",
        "\u202a+212 612\u00a0345\u00a0678\u202c",
        "Tél : 06 12 34 56 78",
        "06 12 34 56 78 / 05 37 00 00 00",
        "06 12 34 56 78 ou 07 00 00 00 00",
        "0612345678 أو 0700000000",
    ],
)
def test_moroccan_number_is_normalized(phone):
    assert normalize_phone(phone) == "212612345678"


@pytest.mark.parametrize(
    ("phone", "known"),
    [
        ("0712345678", "212712345678"),
        ("0537123456", "212537123456"),
        ("+33 6 12 34 56 78", "33612345678"),
        ("0033 6 12 34 56 78", "33612345678"),
        ("+1 (202) 555-0143", "12025550143"),
    ],
)
def test_foreign_number_needs_an_international_prefix(phone, known):
    assert normalize_phone(phone) == known


@pytest.mark.parametrize(
    "phone",
    [
        None,
        "",
        "none",
        "06 12",
        "0112345678",
        "33612345678",
        "+212 12",
        "+0612345678",
        "1" * 30,
        "@",
    ],
)
def test_invalid_number_is_none(phone):
    assert normalize_phone(phone) is None


def test_whatsapp_url_contains_number_and_text():
    text = "السلام عليكم، & bienvenue?\nhttps://reports.example.org/r/x"
    link = urlsplit(build_whatsapp_url("0612345678", text))
    assert (link.scheme, link.netloc, link.path) == ("https", "wa.me", "/212612345678")
    assert parse_qs(link.query) == {"text": [text]}
    assert build_whatsapp_url("", text) is None


@pytest.mark.parametrize(
    ("phone", "number"),
    [
        ("06 12 34 56 78 / 05 37 00 00 00", "+212612345678"),
        ("٠٦١٢٣٤٥٦٧٨", "+212612345678"),
        ("+212 (0)537-00-00-00", "+212537000000"),
        ("141", "141"),
        ("none", ""),
    ],
)
def test_dialable_number_is_that_of_the_first_number(phone, number):
    assert get_dialable_number(phone) == number


def test_timestamp_is_in_utc_without_fraction():
    noon = datetime(2026, 11, 1, 12, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    document = build_json_document([{"at": noon, "inner": {"at": noon}, "list": [noon]}], noon)
    expected = "2026-11-01T11:00:00Z"
    assert format_optional_timestamp(noon) == Activity(noon, "feed").format_iso() == expected
    assert (format_optional_timestamp(None), document.count(f'"{expected}"')) == (None, 4)
