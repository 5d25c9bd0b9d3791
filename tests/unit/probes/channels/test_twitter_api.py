"""X's API is trusted if it describes an account or explains its absence by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.channels import twitter
from probes.channels.twitter import parse_users_response
from probes.models.finding import Account, Presence, Reason
from probes.models.http import FetchError, Page
from probes.models.probe import ProbeResult, run_offline
from tests.support.api_responses import JSON, ago, page, played, queries, remembered

LINK = "https://twitter.com/JamiyaAnnour"
NUMBER = "1234567890"
NOT_FOUND = "https://api.twitter.com/2/problems/resource-not-found"


def _post(when: datetime) -> str:
    """The number of a post written then."""
    return str((int(when.timestamp() * 1000) - 1_288_834_974_657) << 22)


def _user(**changes: object) -> dict[str, object]:
    return {
        "id": NUMBER,
        "username": "JamiyaAnnour",
        "name": "Jamiya Annour",
        "public_metrics": {"followers_count": 310, "tweet_count": 55},
        "protected": False,
        "most_recent_post_id": _post(ago(days=4)),
        "url": "https://t.co/abcdefghij",
        "entities": {"url": {"urls": [{"expanded_url": "https://www.annour.example/"}]}},
    } | changes


def _build_error(value: str, title: str, detail: str, **changes: object) -> dict[str, object]:
    parameters = {
        "value": value,
        "resource_id": value,
        "resource_type": "user",
        "parameter": "usernames",
    }
    return {**parameters, "title": title, "detail": detail, "type": NOT_FOUND, **changes}


def _missing(value: str, **changes: object) -> dict[str, object]:
    return _build_error(
        value, "Not Found Error", f"Could not find user with usernames: [{value}].", **changes
    )


def _suspended(value: str, **changes: object) -> dict[str, object]:
    return _build_error(value, "Forbidden", f"User has been suspended: [{value}].", **changes)


def _users(*users: object, **more: object) -> Page:
    return page({"data": list(users), **more})


def _build_problem(status: int, problem: str, **more: object) -> Page:
    kind = f"https://api.twitter.com/2/problems/{problem}" if problem else "about:blank"
    return page(
        {"title": "No", "detail": "Not today.", "type": kind, "status": status, **more}, status
    )


def _account(link: str = LINK, known_id: str | None = None) -> Account:
    return remembered(Account("annour", link, twitter.identify(link)), known_id)


def _probe(
    *responses: Page | FetchError, link: str = LINK, known_id: str | None = None
) -> ProbeResult:
    return played(twitter.probe_api(_account(link, known_id)), *responses)


BY_ID = "https://x.com/i/user/1234567890"


# --- API calls ---


def test_handle_is_requested_with_up_to_a_hundred_others_for_1_5_cents() -> None:
    (only,) = _probe(_users(_user())).exchanges
    call = only.request.api_call
    assert call is not None
    assert only.request.url.startswith(
        "https://api.x.com/2/users/by?usernames=jamiyaannour&user.fields=created_at,"
    )
    assert only.request.url.endswith("&expansions=most_recent_post_id")
    assert (call.joined_parameter, call.max_values) == ("usernames", 100)
    assert call.estimate_cost(100) == pytest.approx(1.5)


@pytest.mark.parametrize(("link", "known_id"), [(LINK, NUMBER), (BY_ID, None), (BY_ID, "77")])
def test_known_id_is_requested_instead(link: str, known_id: str | None) -> None:
    result = _probe(_users(_user()), link=link, known_id=known_id)
    assert queries(result)[0]["ids"] == NUMBER
    assert result.exchanges[0].request.api_call.joined_parameter == "ids"
    assert (result.finding.presence, result.finding.reason) == (Presence.PRESENT, None)


@pytest.mark.parametrize(
    "link", ["https://x.com/annour/status/1", "https://x.com/home", "https://x.com/search?q=a"]
)
def test_link_without_account_is_not_requested(link: str) -> None:
    result = _probe(link=link, known_id=NUMBER)
    assert (result.exchanges, result.finding.reason) == ((), Reason.WRONG_TARGET)


# --- What is there ---


def test_finding_has_website_and_newest_post_and_no_figures() -> None:
    finding = _probe(_users(_user())).finding
    assert (finding.presence, finding.reason, finding.name) == (
        Presence.PRESENT,
        None,
        "Jamiya Annour",
    )
    assert finding.platform_id == NUMBER
    assert "post_count" not in finding.facts
    assert finding.final_url == "https://x.com/JamiyaAnnour"
    assert [(link.channel, link.key) for link in finding.links] == [("website", "annour.example")]
    assert finding.last_activity is not None
    assert finding.last_activity.source == "post_id"
    assert abs((finding.last_activity.published_at - ago(days=4)).total_seconds()) < 2


@pytest.mark.parametrize(
    ("entities", "url", "sites", "all_resolved"),
    [
        (
            {"description": {"urls": [{"expanded_url": "https://annour.example"}]}},
            "",
            ["annour.example"],
            True,
        ),
        ({"url": {"urls": [{"expanded_url": "https://bit.ly/3xYz"}]}}, "https://t.co/a", [], False),
        (
            {"url": {"urls": [{"expanded_url": "https://linktr.ee/annour"}]}},
            "",
            ["linktr.ee/annour"],
            False,
        ),
        ({}, "https://t.co/a", [], False),
        ({}, "", [], True),
        (None, None, [], True),
    ],
    ids=["in its text", "a short link", "a page of links", "never expanded", "none", "untold"],
)
def test_links_are_all_resolved_unless_one_is_short(
    entities: object, url: object, sites: list[str], all_resolved: bool
) -> None:
    finding = _probe(_users(_user(entities=entities, url=url))).finding
    assert [link.key for link in finding.links] == sites
    assert finding.facts["all_links_resolved"] is all_resolved


def test_newest_post_is_read_from_the_old_field_too() -> None:
    user = _user(most_recent_post_id=None, most_recent_tweet_id=_post(ago(days=8)))
    assert _probe(_users(user)).finding.last_activity is not None


@pytest.mark.parametrize(
    "number", [None, "", "x", "29999999999", _post(ago(days=-9)), "9" * 40, 10**30, -5, [], True]
)
def test_post_without_time_or_in_the_future_is_no_date(number: object) -> None:
    finding = _probe(_users(_user(most_recent_post_id=number))).finding
    assert (finding.presence, finding.last_activity) == (Presence.PRESENT, None)


def test_protected_account_is_private() -> None:
    assert _probe(_users(_user(protected=True))).finding.reason is Reason.PRIVATE


def test_account_without_posts_is_empty() -> None:
    figures = {"followers_count": 3, "tweet_count": 0}
    finding = _probe(_users(_user(public_metrics=figures, most_recent_post_id=None))).finding
    assert (finding.presence, finding.reason) == (Presence.PRESENT, Reason.EMPTY)
    assert _probe(_users(_user(public_metrics=None))).finding.reason is None


def test_other_handle_of_the_known_id_is_renamed() -> None:
    finding = _probe(_users(_user(username="AnnourMaroc")), known_id=NUMBER).finding
    assert (finding.presence, finding.reason) == (Presence.PRESENT, Reason.RENAMED)
    assert (finding.detail, finding.final_url) == (
        "answers as @AnnourMaroc",
        "https://x.com/AnnourMaroc",
    )


def test_id_that_leads_to_its_handle_is_no_rename() -> None:
    assert _probe(_users(_user(username="AnnourMaroc")), link=BY_ID).finding.reason is None


def test_taken_handle_is_renamed_without_data_of_the_other_account() -> None:
    lost = page({"errors": [_missing(NUMBER, parameter="ids")]})
    finding = _probe(lost, _users(_user(id="999")), known_id=NUMBER).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.PRESENT,
        Reason.RENAMED,
        "999",
    )
    assert finding.detail == "another account answers under this name: 999 Jamiya Annour"
    assert (finding.last_activity, finding.links) == (None, ())


# --- What is not there ---


def test_errors_distinguish_missing_and_suspended() -> None:
    response = page({"errors": [_missing("jamiyaannour"), _suspended("NadiChabab")]})
    missing, suspended = (
        _probe(response, link=f"https://x.com/{name}").finding
        for name in ("JamiyaAnnour", "nadichabab")
    )
    assert (missing.presence, missing.reason) == (Presence.ABSENT, Reason.NOT_FOUND)
    assert (suspended.presence, suspended.reason) == (Presence.ABSENT, Reason.SUSPENDED)
    assert suspended.detail == "Forbidden: User has been suspended: [NadiChabab]."
    assert suspended.final_url == "https://x.com/nadichabab"


def test_accounts_of_one_call_are_distinguished() -> None:
    response = _users(_user(), _user(id="2", username="other"), errors=[_missing("gone_one")])
    assert _probe(response).finding.presence is Presence.PRESENT
    assert _probe(response, link="https://x.com/gone_one").finding.presence is Presence.ABSENT
    left_out = _probe(response, link="https://x.com/left_out").finding
    assert (left_out.presence, left_out.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)


def test_missing_id_is_requested_by_handle_too() -> None:
    lost = page({"errors": [_missing(NUMBER, parameter="ids")]})
    finding = _probe(lost, page({"errors": [_missing("jamiyaannour")]}), known_id=NUMBER).finding
    assert (finding.presence, finding.reason, finding.platform_id) == (
        Presence.ABSENT,
        Reason.NOT_FOUND,
        NUMBER,
    )
    spent = FetchError(Reason.RATE_LIMITED, "tonight's budget of 2 USD is spent")
    assert _probe(lost, spent, known_id=NUMBER).finding.presence is Presence.UNKNOWN


def test_suspended_id_needs_no_second_request() -> None:
    finding = _probe(
        page({"errors": [_suspended(NUMBER, parameter="ids")]}), known_id=NUMBER
    ).finding
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.SUSPENDED)


def test_forbidden_account_is_not_absent() -> None:
    fault = _build_error(
        "jamiyaannour", "Authorization Error", "Sorry, you are not authorized to see the user."
    )
    finding = _probe(page({"errors": [fault]})).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.BLOCKED)


def test_error_about_a_post_is_not_about_the_account() -> None:
    about_post = _missing(NUMBER, resource_type="tweet", parameter="most_recent_post_id")
    assert (
        _probe(_users(_user(), errors=[about_post]), known_id=NUMBER).finding.presence
        is Presence.PRESENT
    )
    finding = _probe(page({"errors": [about_post]}), link=BY_ID).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)


def test_name_with_error_words_is_no_error() -> None:
    finding = _probe(
        page({"errors": [_missing("suspended")]}), link="https://x.com/suspended"
    ).finding
    assert finding.reason is Reason.NOT_FOUND
    barred = _build_error("not_found", "Authorization Error", "You may not see [not_found].")
    finding = _probe(page({"errors": [barred]}), link="https://x.com/not_found").finding
    assert finding.reason is Reason.BLOCKED


def test_account_in_the_data_is_present_despite_errors() -> None:
    assert (
        _probe(_users(_user(), errors=[_suspended("jamiyaannour")])).finding.presence
        is Presence.PRESENT
    )


@pytest.mark.parametrize(
    "response",
    [
        page({}),
        page({"data": {}}),
        page({"data": [], "errors": []}),
        page({"data": [{"id": 3, "username": "jamiyaannour"}, {"id": "3"}, None]}),
        page(
            {
                "errors": [
                    {"value": 7},
                    "x",
                    {"resource_id": "jamiyaannour", "resource_type": "tweet"},
                ]
            }
        ),
        page([]),
        page(b"{" * 5_000),
        page(
            b"<html><title>X</title><body>Hello, and welcome to this network of ours.</body></html>"
        ),
        replace(page({"errors": [_missing("jamiyaannour")]}), truncated=True),
    ],
)
def test_response_without_accounts_proves_nothing(response: Page) -> None:
    finding = _probe(response).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)


# --- Errors ---


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (_build_problem(401, ""), Reason.NOT_CONFIGURED),
        (page(b"", 401), Reason.NOT_CONFIGURED),
        (_build_problem(402, "credits"), Reason.NOT_CONFIGURED),
        (_build_problem(403, "client-forbidden"), Reason.NOT_CONFIGURED),
        (_build_problem(403, "unsupported-authentication"), Reason.NOT_CONFIGURED),
        (_build_problem(429, "usage-capped"), Reason.RATE_LIMITED),
        (_build_problem(403, "usage-capped"), Reason.RATE_LIMITED),
        (_build_problem(429, "rate-limit-exceeded"), Reason.RATE_LIMITED),
        (page(b"", 429), Reason.RATE_LIMITED),
    ],
)
def test_refused_key_cap_or_credits_refuse_the_api(error: Page, reason: Reason) -> None:
    refusal = parse_users_response(error).refusal
    assert refusal is not None
    assert refusal[0] is reason
    assert (_probe(error).finding.presence, _probe(error).finding.reason) == (
        Presence.UNKNOWN,
        reason,
    )


@pytest.mark.parametrize(
    ("error", "reason", "of_one"),
    [
        (
            _build_problem(400, "invalid-request", errors=[{"message": "x"}]),
            Reason.UNREADABLE,
            True,
        ),
        (_build_problem(403, ""), Reason.BLOCKED, False),
        (_build_problem(404, ""), Reason.UNREADABLE, False),
        (_build_problem(503, ""), Reason.SERVER_ERROR, False),
        (page(b"over capacity", 503), Reason.SERVER_ERROR, False),
        (page(b"<title>Just a moment...</title>", 403), Reason.BLOCKED, False),
    ],
)
def test_other_errors_prove_nothing_and_refuse_nothing(
    error: Page, reason: Reason, of_one: bool
) -> None:
    response = parse_users_response(error)
    assert (response.is_single_item_error, response.refusal) == (of_one, None)
    assert (_probe(error).finding.presence, _probe(error).finding.reason) == (
        Presence.UNKNOWN,
        reason,
    )


def test_status_404_that_names_the_account_counts_like_200() -> None:
    error = page({"errors": [_missing("jamiyaannour", parameter="username")]}, 404)
    assert parse_users_response(error).item_errors.keys() == {"jamiyaannour"}
    assert _probe(error).finding.reason is Reason.NOT_FOUND


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_absence_text_in_a_refusal_proves_nothing(status: int) -> None:
    error = page({"errors": [_missing("jamiyaannour"), _suspended("jamiyaannour")]}, status)
    assert _probe(error).finding.presence is Presence.UNKNOWN


# --- No answer is too strange ---

_USER = st.fixed_dictionaries(
    {
        "id": st.sampled_from([NUMBER, "9"]) | JSON,
        "username": st.sampled_from(["JamiyaAnnour", "x"]) | JSON,
    },
    optional=dict.fromkeys(
        ("name", "public_metrics", "most_recent_post_id", "entities", "url", "protected"), JSON
    ),
)
_FAULT = st.fixed_dictionaries(
    {"value": st.sampled_from([NUMBER, "jamiyaannour"]) | JSON},
    optional={
        "title": JSON,
        "detail": JSON,
        "resource_type": st.just("user") | JSON,
        "parameter": JSON,
    },
)
_SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "data": st.lists(_USER, max_size=3) | JSON,
        "errors": st.lists(_FAULT | JSON, max_size=3) | JSON,
        "type": JSON,
        "detail": JSON,
    },
)


@given(
    data=_SHAPED | JSON,
    status=st.sampled_from([200, 200, 400, 403, 404, 500]),
    link=st.sampled_from([LINK, BY_ID]),
    known_id=st.sampled_from([None, NUMBER, "9", ""]),
)
def test_probe_accepts_any_response(
    data: object, status: int, link: str, known_id: str | None
) -> None:
    response = page(data, status)
    result = run_offline(
        twitter.probe_api(_account(link, known_id)),
        lambda request: replace(response, url=request.url),
    )
    assert len(result.exchanges) <= 2
    if status in (403, 500):
        assert result.finding.presence is not Presence.ABSENT
    if result.finding.last_activity:
        assert result.finding.last_activity.published_at <= ago(days=-1)
