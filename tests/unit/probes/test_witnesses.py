"""Answers of Wikidata and the web archive: read strictly, and a refusal is never an answer."""

import json
import pickle
from datetime import UTC, date, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from probes import witnesses
from probes.models.finding import Reason
from probes.models.http import FetchError, Page

ENDPOINT = "https://sparql.example/api"
STEPS = (-1, 0, 1)


def build_row(name, value, *, item="Q42", read=None):
    row = {
        "item": {"type": "uri", "value": f"http://www.wikidata.org/entity/{item}"},
        "property": {"type": "uri", "value": f"http://www.wikidata.org/prop/statement/{name}"},
        "value": {"type": "literal", "value": value},
    }
    if read:
        row["read"] = {"type": "literal", "value": f"{read}T00:00:00Z"}
    return row


def read_wikidata(*rows, **page):
    body = json.dumps({"head": {"vars": ["item"]}, "results": {"bindings": rows}}).encode()
    response = Page(ENDPOINT, page.pop("status", 200), body=page.pop("body", body), **page)
    parsed = witnesses.parse_wikidata_page(response)
    return witnesses.read_wikidata_outcome(
        Page(ENDPOINT, response.status, body=response.body, parsed=parsed)
    )


def read_archive(body, status=200):
    response = Page(witnesses.CDX_URL, status, body=body)
    parsed = witnesses.parse_archive_page(response)
    return witnesses.read_archive_outcomes(Page(witnesses.CDX_URL, status, parsed=parsed))


def get_query(request):
    return {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}


def test_wikidata_is_asked_for_every_spelling_of_the_website():
    query = get_query(witnesses.build_wikidata_request("https://www.nour.ma/fr/", ENDPOINT))[
        "query"
    ]
    for scheme in ("http", "https"):
        for host in ("nour.ma", "www.nour.ma"):
            assert f"<{scheme}://{host}/fr/> " in query.replace("}", " ")
            assert f"<{scheme}://{host}/fr> " in query.replace("}", " ")


@pytest.mark.parametrize("path", ["a>b", 'a"b', "a b", "a{b}", "a\\b", "a|b^`", "جمعية"])
def test_address_cannot_leave_its_place_in_the_query(path):
    for url in witnesses.list_website_spellings(f"https://nour.ma/{path}?q={path}"):
        assert not set(' <>"{}|\\^`') & set(url)


@pytest.mark.parametrize(
    ("name", "value", "channel", "key"),
    [
        ("P2013", "Annour.Rabat", "facebook", "u:annourrabat"),
        ("P2013", "Annour-123456789012345", "facebook", "id:123456789012345"),
        ("P2002", "AnnourRabat", "twitter", "annourrabat"),
        ("P4264", "annour", "linkedin", "company/annour"),
        ("P2397", "UC" + "a" * 22, "youtube", "UC" + "a" * 22),
        ("P2003", "annour.rabat", "instagram", "annour.rabat"),
        ("P7085", "annour", "tiktok", "annour"),
    ],
)
def test_each_property_names_an_account_of_its_channel(name, value, channel, key):
    [statement] = read_wikidata(build_row(name, value, read="2024-03-01")).statements
    assert (statement.link.channel, statement.link.key) == (channel, key)
    assert statement.link.page_url == "https://www.wikidata.org/wiki/Q42"
    assert (statement.item_id, statement.referenced_on) == ("Q42", date(2024, 3, 1))


def test_newest_reference_of_a_statement_counts():
    rows = [build_row("P2002", "nour", read=day) for day in ("2020-01-01", "2024-05-06", None)]
    [statement] = read_wikidata(*rows).statements
    assert statement.referenced_on == date(2024, 5, 6)


@pytest.mark.parametrize(
    "row",
    [
        build_row("P856", "https://nour.ma"),
        build_row("P2013", "a/../b"),
        build_row("P2013", "groups/nour"),
        build_row("P2013", ""),
        build_row("P2002", "x" * 200),
        build_row("P2397", "no channel id"),
        build_row("P2002", "nour", item="Q0"),
        {"item": "Q42"},
        {},
        "text",
        None,
    ],
)
def test_unusable_row_is_skipped(row):
    answer = read_wikidata(row, build_row("P2002", "nour"))
    assert [statement.link.key for statement in answer.statements] == ["nour"]


@pytest.mark.parametrize("step", STEPS)
def test_website_of_many_items_identifies_none_of_them(step):
    count = witnesses.MAX_ITEMS + step
    rows = [
        build_row("P2002", f"nour{number}", item=f"Q{number}") for number in range(1, count + 1)
    ]
    assert len(read_wikidata(*rows).statements) == (count if step <= 0 else 0)


@pytest.mark.parametrize("step", STEPS)
def test_first_statements_of_an_answer_are_read(step):
    count = witnesses.MAX_STATEMENTS + step
    rows = [build_row("P2002", f"nour{number}") for number in range(count)]
    assert len(read_wikidata(*rows).statements) == min(witnesses.MAX_STATEMENTS, count)


@pytest.mark.parametrize("step", STEPS)
def test_first_captures_of_an_answer_are_read(step):
    count = witnesses.MAX_CAPTURES + step
    rows = [["timestamp", "original"], *[["20140312101010", "https://nour.ma/"]] * count]
    parsed = witnesses.parse_archive_page(
        Page(witnesses.CDX_URL, 200, body=json.dumps(rows).encode())
    )
    assert len(parsed) == min(witnesses.MAX_CAPTURES, count)


def test_answers_of_a_hostile_witness_are_small():
    """Of responses as large as a page may be: 2 MiB."""
    values = ("é" * 90 + f"{number:06}" for number in range(10_000))
    rows = [build_row("P4264", value, read="2026-01-01") for value in values]
    answer = read_wikidata(*rows)
    assert len(answer.statements) == witnesses.MAX_STATEMENTS
    assert len(pickle.dumps(answer)) < 128 * 1024
    capture = ["20140312101010", "https://nour.ma/" + "a" * 2_500]
    body = json.dumps([["timestamp", "original"], *[capture] * 800]).encode()
    assert len(pickle.dumps(read_archive(body))) < 4 * 1024


def test_item_that_is_not_known_is_an_empty_answer():
    assert read_wikidata() == witnesses.WitnessAnswer()
    assert read_archive(b"[]\n") == witnesses.WitnessAnswer()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1, 2]", b'{"results": []}', b"[" * 100_000])
def test_malformed_response_of_wikidata_is_no_answer(body):
    assert read_wikidata(body=body).failure is Reason.UNREADABLE


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": 1}', b"20140312101010", b"[[\xff"])
def test_malformed_response_of_the_archive_is_no_answer(body):
    assert read_archive(body).failure is Reason.UNREADABLE


def test_truncated_response_is_no_answer():
    assert read_wikidata(truncated=True).failure is Reason.UNREADABLE


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (429, Reason.RATE_LIMITED),
        (403, Reason.BLOCKED),
        (404, Reason.UNREADABLE),
        (503, Reason.SERVER_ERROR),
    ],
)
def test_refusal_is_no_answer(status, reason):
    assert read_wikidata(status=status).failure is reason
    assert read_archive(b"[]", status).failure is reason


def test_network_error_is_no_answer():
    error = FetchError(Reason.TIMEOUT, "20 seconds")
    assert witnesses.read_wikidata_outcome(error).failure is Reason.TIMEOUT
    assert witnesses.read_archive_outcomes(error).failure is Reason.TIMEOUT


def test_oldest_capture_gives_a_date_and_an_address():
    answer = read_archive(
        b'[["timestamp","original"],\n["20140312101010", "http://www.nour.ma:80/"]]'
    )
    assert answer.first_capture == witnesses.ArchiveCapture(
        datetime(2014, 3, 12, 10, 10, 10, tzinfo=UTC),
        "https://web.archive.org/web/20140312101010/http://www.nour.ma:80/",
    )


@pytest.mark.parametrize(
    "row",
    [
        ["2014", "http://nour.ma/"],
        ["20149912101010", "http://nour.ma/"],
        ["20140312101010", "javascript:alert(1)"],
        ["20140312101010", 'http://nour.ma/"><script>'],
        ["20140312101010"],
        "text",
    ],
)
def test_unusable_capture_is_left_out(row):
    body = json.dumps([["timestamp", "original"], row]).encode()
    assert read_archive(body) == witnesses.WitnessAnswer()


def test_newest_capture_is_asked_for_up_to_a_day():
    request = witnesses.build_archive_request(
        "https://nour.ma/?a=b&c", newest=True, until=date(2026, 1, 2)
    )
    query = get_query(request)
    assert (query["url"], query["limit"], query["to"]) == (
        "https://nour.ma/?a=b&c",
        "-1",
        "20260102",
    )
    assert query["filter"] == "statuscode:200"


def test_failed_request_for_the_newest_capture_keeps_the_oldest():
    oldest = Page(
        witnesses.CDX_URL,
        200,
        parsed=(witnesses.ArchiveCapture(datetime(2014, 1, 1, tzinfo=UTC), "https://a.example/"),),
    )
    answer = witnesses.read_archive_outcomes(oldest, FetchError(Reason.TIMEOUT))
    assert (answer.failure, answer.latest_capture) == (None, None)
    assert answer.first_capture is not None


def test_address_with_half_a_character_can_be_asked_for():
    url = "https://nour.ma/\ud800"
    for request in (
        witnesses.build_wikidata_request(url, ENDPOINT),
        witnesses.build_archive_request(url),
    ):
        assert request.url.isascii()
