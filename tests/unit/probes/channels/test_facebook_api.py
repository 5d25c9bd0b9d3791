"""Facebook's Graph API is trusted if it shows a page or names one that does not exist."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.channels import facebook
from probes.channels.facebook.api import parse_pages_response, parse_posts_response
from probes.models.finding import Account, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page
from probes.models.probe import ProbeResult, run_offline
from tests.support.api_responses import JSON, ago, page, played, queries, remembered

LINK = "https://www.facebook.com/Jamiya.Annour"
NUMBER = "104000000000001"
OTHER = "104000000000002"
BY_ID = f"https://www.facebook.com/profile.php?id={NUMBER}"
SPENT = FetchError(Reason.RATE_LIMITED, "tonight's budget of 200 lookups is spent")


def _node(page_id: str = NUMBER, **changes: object) -> dict[str, object]:
    return {
        "id": page_id,
        "name": "Jamiya Annour",
        "username": "jamiyaannour",
        "link": "https://www.facebook.com/jamiyaannour/",
        "fan_count": 900,
        "followers_count": 1200,
        "is_published": True,
        "website": "www.annour.example, https://www.facebook.com/elsewhere",
    } | changes


def _named(page_id: str = NUMBER, **changes: object) -> Page:
    return page({"Jamiya.Annour": _node(page_id, **changes)})


def _numbered(requested_id: str = NUMBER, page_id: str | None = None, **changes: object) -> Page:
    return page({requested_id: _node(page_id or requested_id, **changes)})


def _posts(page_id: str, *dates: datetime | str) -> Page:
    timestamps = [
        date if isinstance(date, str) else date.strftime("%Y-%m-%dT%H:%M:%S+0000") for date in dates
    ]
    return page(
        {
            page_id: {
                "id": page_id,
                "published_posts": {"data": [{"created_time": date} for date in timestamps]},
            }
        }
    )


NO_POST = _posts(NUMBER)


def _error(code: int, message: str = "No.", subcode: int | None = None, status: int = 400) -> Page:
    extra = {} if subcode is None else {"error_subcode": subcode}
    return page(
        {"error": {"message": message, "type": "OAuthException", "code": code, **extra}}, status
    )


def _gone(*names: str) -> Page:
    return _error(
        803, f"(#803) Some of the aliases you requested do not exist: {','.join(names)}", status=404
    )


def _hidden(page_id: str) -> Page:
    message = (
        f"Unsupported get request. Object with ID '{page_id}' does not "
        f"exist, cannot be loaded due to missing"
    )
    return _error(100, f"{message} permissions, or does not support this operation", 33)


def _migrated(old: str, new: str) -> Page:
    return _error(
        21, f"(#21) Page ID {old} was migrated to page ID {new}.  Please update your API calls."
    )


def _account(link: str = LINK, known_id: str | None = None, name: str = "Nadi Chabab") -> Account:
    return remembered(Account("annour", link, facebook.identify(link)), known_id, name)


def _probe(
    *responses: Page | FetchError,
    link: str = LINK,
    known_id: str | None = None,
    name: str = "Nadi Chabab",
) -> ProbeResult:
    return played(facebook.probe_api(_account(link, known_id, name)), *responses)


# --- API calls ---


def test_page_is_requested_by_typed_name_with_up_to_fifty_others() -> None:
    first, second = _probe(_named(), NO_POST).exchanges
    assert first.request.url == (
        "https://graph.facebook.com/v25.0/?ids=Jamiya.Annour"
        "&fields=id,name,username,link,is_published,website"
    )
    for call in (first.request.api_call, second.request.api_call):
        assert call is not None
        assert (call.joined_parameter, call.max_values, call.estimate_cost(50)) == ("ids", 50, 50)
    assert first.request.parser is not second.request.parser


def test_page_registered_by_id_is_requested_by_id() -> None:
    result = _probe(_numbered(), NO_POST, link=BY_ID)
    assert [query["ids"] for query in queries(result)] == [NUMBER, NUMBER]
    assert queries(result)[1]["fields"] == "published_posts.limit(5){created_time}"
    assert result.finding.presence is Presence.PRESENT


def test_group_and_person_are_not_requested() -> None:
    group = _probe(link="https://www.facebook.com/groups/annour")
    assert (group.exchanges, group.finding.reason) == ((), Reason.NOT_CONFIGURED)
    assert group.finding.detail == "Facebook's API covers pages only, not a group"
    person = _account()
    person = replace(person, identity=replace(person.identity, kind=LinkKind.PERSON))
    result = played(facebook.probe_api(person))
    assert (result.exchanges, result.finding.presence, result.finding.reason) == (
        (),
        Presence.UNKNOWN,
        Reason.NOT_CONFIGURED,
    )


@pytest.mark.parametrize(
    "link",
    [
        "https://www.facebook.com/sharer.php?u=x",
        "https://fb.watch/abc/",
        f"{LINK}/posts/123456789012",
    ],
)
def test_link_without_page_is_not_requested(link: str) -> None:
    result = _probe(link=link, known_id=NUMBER)
    assert (result.exchanges, result.finding.reason) == ((), Reason.WRONG_TARGET)


# --- What is there ---


def test_finding_has_website_and_newest_post_and_no_figures() -> None:
    finding = _probe(_named(), _posts(NUMBER, ago(days=20), ago(days=6), ago(days=13))).finding
    assert (finding.presence, finding.reason, finding.name) == (
        Presence.PRESENT,
        None,
        "Jamiya Annour",
    )
    assert (finding.platform_id, finding.facts) == (NUMBER, {})
    assert finding.final_url == "https://www.facebook.com/jamiyaannour"
    assert [(link.channel, link.key) for link in finding.links] == [("website", "annour.example")]
    assert finding.last_activity is not None
    assert (finding.last_activity.published_at, finding.last_activity.source) == (
        ago(days=6),
        "posts",
    )


def test_page_without_username_is_shown_by_id() -> None:
    finding = _probe(_numbered(username=None), NO_POST, link=BY_ID).finding
    assert (finding.reason, finding.final_url) == (None, BY_ID)


def test_unpublished_page_is_private_and_posts_are_not_requested() -> None:
    finding = _probe(_named(is_published=False)).finding
    assert (finding.presence, finding.reason) == (Presence.PRESENT, Reason.PRIVATE)


@pytest.mark.parametrize("username", ["jamiyaannour", "JamiyaAnnour", "jamiya.annour", "", None, 5])
def test_full_stops_and_capitals_make_no_other_name(username: object) -> None:
    assert _probe(_named(username=username), NO_POST).finding.reason is None


def test_other_username_is_renamed() -> None:
    finding = _probe(_named(username="annour.maroc"), NO_POST).finding
    assert (finding.presence, finding.reason, finding.detail) == (
        Presence.PRESENT,
        Reason.RENAMED,
        "answers as annour.maroc",
    )


def test_pages_of_one_call_are_told_apart() -> None:
    both = page({"Jamiya.Annour": _node(), "NadiChabab": _node(OTHER, username="nadichabab")})
    assert _probe(both, NO_POST).finding.platform_id == NUMBER
    assert (
        _probe(both, _posts(OTHER), link="https://www.facebook.com/nadichabab").finding.platform_id
        == OTHER
    )
    left_out = _probe(both, link="https://www.facebook.com/left.out").finding
    assert (left_out.presence, left_out.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)


def test_page_with_the_name_error_is_no_error() -> None:
    response = page({"error": _node(username="error")})
    identity = replace(
        _account().identity, key="u:error", canonical="https://www.facebook.com/error"
    )
    result = played(facebook.probe_api(Account("annour", "error", identity)), response, NO_POST)
    assert result.finding.presence is Presence.PRESENT


# --- Names and numbers that part ---


def test_taken_name_is_renamed_to_the_known_page() -> None:
    finding = _probe(
        _named(OTHER), _numbered(username="annour.maroc"), NO_POST, known_id=NUMBER
    ).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.PRESENT,
        Reason.RENAMED,
        NUMBER,
    )
    assert finding.detail == "another page answers under this name"
    assert finding.final_url == "https://www.facebook.com/annour.maroc"


UNANSWERED = [_hidden(NUMBER), _error(4), page({}), SPENT]


@pytest.mark.parametrize("number", UNANSWERED)
def test_other_id_and_display_name_is_another_page(number: Page | FetchError) -> None:
    finding = _probe(_named(OTHER), number, _posts(OTHER), known_id=NUMBER).finding
    assert (finding.presence, finding.reason) == (Presence.PRESENT, Reason.RENAMED)
    assert (finding.detail, finding.platform_id) == ("another page answers under this name", OTHER)


@pytest.mark.parametrize("number", UNANSWERED)
def test_second_id_with_same_display_name_is_the_same_page(number: Page | FetchError) -> None:
    finding = _probe(
        _named(OTHER), number, _posts(OTHER), known_id=NUMBER, name="JAMIYA  Annour"
    ).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.PRESENT,
        None,
        OTHER,
    )


def test_two_ids_of_one_page_are_no_rename() -> None:
    finding = _probe(
        _named(OTHER), _numbered(NUMBER, OTHER), _posts(OTHER), known_id=NUMBER
    ).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.PRESENT,
        None,
        NUMBER,
    )


def test_registered_id_that_answers_with_another_is_no_rename() -> None:
    for known_id in (NUMBER, OTHER, "7", None):
        finding = _probe(
            _numbered(NUMBER, OTHER), _posts(OTHER), link=BY_ID, known_id=known_id
        ).finding
        assert (finding.presence, finding.reason) == (Presence.PRESENT, None)


@pytest.mark.parametrize("known_id", [None, NUMBER])
def test_merged_page_proves_nothing_and_is_named(known_id: str | None) -> None:
    finding = _probe(_migrated(NUMBER, OTHER), link=BY_ID, known_id=known_id).finding
    assert finding.presence is Presence.UNKNOWN
    assert f"was migrated to page ID {OTHER}" in finding.detail


# --- What is not there ---


@pytest.mark.parametrize(
    "listed_name", ["Jamiya.Annour", "jamiyaannour", "someone, JAMIYA.ANNOUR."]
)
def test_unknown_name_is_not_found(listed_name: str) -> None:
    finding = _probe(_gone(listed_name)).finding
    assert (finding.presence, finding.reason, finding.status) == (
        Presence.ABSENT,
        Reason.NOT_FOUND,
        404,
    )
    assert finding.final_url == LINK


def test_only_listed_names_are_not_found() -> None:
    response = _gone("other.one", "other.two")
    assert parse_pages_response(response).item_errors.keys() == {"other.one", "other.two"}
    finding = _probe(response).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)
    assert (
        _probe(_error(803, "Some of the aliases you requested do not exist")).finding.presence
        is Presence.UNKNOWN
    )


def test_given_up_name_of_existing_page_is_renamed() -> None:
    finding = _probe(
        _gone("Jamiya.Annour"), _numbered(username="annour.maroc"), NO_POST, known_id=NUMBER
    ).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.PRESENT,
        Reason.RENAMED,
        NUMBER,
    )
    assert finding.final_url == "https://www.facebook.com/annour.maroc"
    merged = _probe(_gone("Jamiya.Annour"), _migrated(NUMBER, OTHER), known_id=NUMBER).finding
    assert merged.presence is Presence.UNKNOWN


def test_unknown_name_with_hidden_id_proves_nothing() -> None:
    """100/33 means deleted, hidden or not for this app: a name may have been given up."""
    finding = _probe(_gone("Jamiya.Annour"), _hidden(NUMBER), known_id=NUMBER).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)
    assert "cannot be loaded due to missing" in finding.detail


def test_unknown_name_and_id_are_not_found() -> None:
    finding = _probe(_gone("Jamiya.Annour"), _gone(NUMBER), known_id=NUMBER).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.ABSENT,
        Reason.NOT_FOUND,
        NUMBER,
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (SPENT, Reason.RATE_LIMITED),
        (_error(4), Reason.RATE_LIMITED),
        (_error(190), Reason.NOT_CONFIGURED),
        (_error(2, status=500), Reason.SERVER_ERROR),
        (page({}), Reason.UNREADABLE),
    ],
)
def test_unknown_name_proves_nothing_without_answer_for_its_id(
    number: Page | FetchError, reason: Reason
) -> None:
    finding = _probe(_gone("Jamiya.Annour"), number, known_id=NUMBER).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason)


@pytest.mark.parametrize("link", [LINK, BY_ID])
def test_hidden_page_is_not_absent(link: str) -> None:
    hidden = _hidden("Jamiya.Annour" if link == LINK else NUMBER)
    response = parse_pages_response(hidden)
    assert (response.is_single_item_error, len(response.item_errors), response.refusal) == (
        True,
        1,
        None,
    )
    finding = _probe(hidden, link=link).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)


def test_name_of_a_person_is_not_absent() -> None:
    error = _error(803, "(#803) Cannot query users by their username (Jamiya.Annour)")
    finding = _probe(error).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.NOT_CONFIGURED)
    response = parse_pages_response(error)
    assert (response.refusal, response.is_single_item_error, set(response.item_errors)) == (
        None,
        True,
        {"jamiya.annour"},
    )


# --- Errors ---

_REFUSALS = [(code, Reason.NOT_CONFIGURED) for code in (10, 102, 190, 200)] + [
    (code, Reason.RATE_LIMITED) for code in (4, 17, 32, 368, 613, 80_001, 80_004, 80_014)
]


@pytest.mark.parametrize(("code", "reason"), _REFUSALS)
def test_refused_key_or_limit_refuses_the_api(code: int, reason: Reason) -> None:
    refusal = parse_pages_response(_error(code, "Not today")).refusal
    assert refusal == (reason, "Not today")
    finding = _probe(_error(code, status=403)).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_error(1), Reason.SERVER_ERROR),
        (_error(2), Reason.SERVER_ERROR),
        (_error(7, status=500), Reason.SERVER_ERROR),
        (page(b"", 503), Reason.SERVER_ERROR),
        (_error(100), Reason.UNREADABLE),
        (_error(21, "moved somewhere"), Reason.UNREADABLE),
        (_error(9, status=403), Reason.BLOCKED),
        (
            page(
                {
                    "error": {
                        "message": "Some of the aliases you requested do not exist: Jamiya.Annour"
                    }
                },
                404,
            ),
            None,
        ),
        (page({"error": "x"}, 400), None),
        (page({"id": NUMBER, "name": "x"}), None),
        (page({"Jamiya.Annour": [NUMBER]}), None),
        (page([_node()]), None),
        (
            page(
                b"<html><title>Hello</title><body>A long welcome from a captive portal</body>"
                b"</html>"
            ),
            None,
        ),
        (replace(_gone("Jamiya.Annour"), truncated=True), None),
    ],
)
def test_other_errors_prove_nothing_and_refuse_nothing(error: Page, reason: Reason | None) -> None:
    response = parse_pages_response(error)
    assert (response.refusal, response.is_single_item_error) == (None, False)
    finding = _probe(error).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason or Reason.UNREADABLE)


# --- The newest post ---


@pytest.mark.parametrize(
    "error_reason",
    [
        _error(
            10,
            "(#10) To use 'Page Public Content Access', your use of this endpoint must be "
            "reviewed.",
        ),
        _error(200, "(#200) Permissions error"),
        _error(4, "(#4) Application request limit reached"),
        _hidden(NUMBER),
        _error(100, "(#100) Tried accessing nonexisting field (published_posts)"),
        page(b"", 500),
        page({"x": 1}),
        _posts(OTHER, ago(days=1)),
        SPENT,
    ],
)
def test_error_for_posts_costs_only_the_date(error_reason: Page | FetchError) -> None:
    finding = _probe(_named(), error_reason).finding
    assert (finding.presence, finding.reason, finding.last_activity) == (
        Presence.PRESENT,
        None,
        None,
    )
    assert finding.detail


def test_forbidden_posts_do_not_refuse_the_api_but_a_limit_does() -> None:
    assert parse_posts_response(_error(10)).refusal is None
    assert parse_posts_response(_error(10)).is_single_item_error is False
    assert parse_posts_response(_error(4)).refusal is not None


def test_future_posts_and_invalid_dates_are_ignored() -> None:
    response = _posts(
        NUMBER,
        ago(days=-30),
        ago(days=3),
        "yesterday",
        "",
        "2026-11-19",
        "1999-01-01T00:00:00+0000",
    )
    newest = _probe(_named(), response).finding.last_activity
    assert newest is not None
    assert newest.published_at == ago(days=3)


def test_page_without_posts_is_not_empty() -> None:
    finding = _probe(_named(), NO_POST).finding
    assert (finding.reason, finding.last_activity, finding.facts) == (None, None, {})


# --- No answer is too strange ---

_NODE = st.fixed_dictionaries(
    {"id": st.sampled_from([NUMBER, OTHER]) | JSON},
    optional=dict.fromkeys(
        (
            "name",
            "username",
            "fan_count",
            "followers_count",
            "is_published",
            "website",
            "published_posts",
        ),
        JSON,
    ),
)
_ERROR = st.fixed_dictionaries(
    {"code": st.sampled_from([803, 21, 100, 10, 4, 1]) | JSON},
    optional={
        "message": st.sampled_from(
            [
                "aliases you requested do not exist: Jamiya.Annour",
                f"Page ID {NUMBER} was migrated to page ID 5",
            ]
        )
        | JSON,
        "error_subcode": st.just(33) | JSON,
    },
)
_SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "Jamiya.Annour": _NODE | JSON,
        NUMBER: _NODE | JSON,
        OTHER: _NODE | JSON,
        "error": _ERROR,
    },
)


@given(
    data=_SHAPED | JSON,
    status=st.sampled_from([200, 200, 400, 403, 404, 500]),
    link=st.sampled_from([LINK, BY_ID]),
    known_id=st.sampled_from([None, NUMBER, OTHER, ""]),
)
def test_probe_accepts_any_response(
    data: object, status: int, link: str, known_id: str | None
) -> None:
    response = page(data, status)
    result = run_offline(
        facebook.probe_api(_account(link, known_id)),
        lambda request: replace(response, url=request.url),
    )
    assert len(result.exchanges) <= 3
    if result.finding.presence is Presence.ABSENT:
        assert data["error"]["code"] == 803
    if result.finding.last_activity:
        assert result.finding.last_activity.published_at <= ago(days=-1)
