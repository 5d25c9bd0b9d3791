"""Posts that an association's site links to date its accounts, and never make one look older."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.conclusions.association_view import build_association_view, find_next_change_date
from auditor.conclusions.run_results import build_evaluation_policy
from auditor.config.schema import load_config
from auditor.rules.association import build_rule_context, evaluate_association
from auditor.rules.association_state import AssociationState, EvaluationTime
from auditor.rules.engine import is_gap_open
from auditor.rules.link_reciprocity import POST_NUMBER_SOURCE
from probes.links.post_numbers import LINKED_POSTS_FACT, LinkedPost
from probes.models.finding import (
    Activity,
    DatePrecision,
    Finding,
    Identity,
    LinkKind,
    Presence,
    Reason,
)
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Association,
    Decision,
    DecisionKind,
    Observation,
)

CONFIG = load_config(None, {})
NOW = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
AMAL = Association("amal", "Amal", contact_methods=frozenset({"email"}))
BAND_ORDER = ("dormant", "inactive", "slow", "active")


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def make_row(number: int, channel: str, key: str, kind: LinkKind = LinkKind.PROFILE) -> AccountRow:
    return AccountRow("amal", key, Identity(channel, kind, key), channel, id=number)


SITE = make_row(1, "website", "amal.example", LinkKind.PAGE)
X = make_row(2, "twitter", "amal")
UNKNOWN = AccountStatus(2, latest_presence=Presence.UNKNOWN, checked_at=NOW)


def make_site_status(*posts: LinkedPost) -> AccountStatus:
    facts = {"viewport": True, LINKED_POSTS_FACT: " ".join(map(str, posts))}
    finding = Finding(Presence.PRESENT, facts=facts)
    return AccountStatus(
        1,
        AccountState.PRESENT,
        checked_at=NOW,
        last_known_finding=finding,
        latest_presence=Presence.PRESENT,
        decided_at=NOW,
    )


def make_state(
    *posts: LinkedPost,
    account: AccountRow = X,
    status: AccountStatus = UNKNOWN,
    others: Iterable[AccountRow] = (),
    decisions: Iterable[Decision] = (),
) -> AssociationState:
    return AssociationState(
        AMAL,
        (SITE, account, *others),
        {1: make_site_status(*posts), 2: status},
        decisions=tuple(decisions),
    )


def view_account(state: AssociationState, now: datetime = NOW):
    view = build_association_view(state, CONFIG, EvaluationTime(now, now), {})
    return next(account for account in view.accounts if account.account_id == 2)


def credit(state: AssociationState) -> tuple[str, str | None]:
    """Return the activity band of the account and the source of its date."""
    account = view_account(state)
    return account.activity_band, account.last_activity.source if account.last_activity else None


# --- What counts ---


@pytest.mark.parametrize(
    ("age", "band"), [(0, "active"), (30, "active"), (31, "slow"), (90, "slow")]
)
def test_recent_post_shows_activity(age: int, band: str) -> None:
    state = make_state(LinkedPost("twitter", "amal", days_ago(age)))
    assert credit(state) == (band, POST_NUMBER_SOURCE)


@pytest.mark.parametrize("age", [91, 181, 2_000])
def test_old_post_says_nothing(age: int) -> None:
    assert credit(make_state(LinkedPost("twitter", "amal", days_ago(age)))) == ("unknown", None)


@pytest.mark.parametrize(
    "post", [("twitter", "partner"), ("tiktok", "amal"), ("linkedin", "company/amal")]
)
def test_post_of_another_account_says_nothing(post: tuple[str, str]) -> None:
    assert credit(make_state(LinkedPost(*post, days_ago(1)))) == ("unknown", None)


def test_post_is_no_witness_of_presence() -> None:
    account = view_account(make_state(LinkedPost("twitter", "amal", days_ago(1))))
    assert (account.state, account.since, account.decided_at) == (AccountState.UNKNOWN, None, None)


@pytest.mark.parametrize("key", ["company/amal", "school/amal", "showcase/amal", "in/amal"])
def test_linkedin_post_names_the_slug_of_any_page(key: str) -> None:
    state = make_state(
        LinkedPost("linkedin", "company/amal", days_ago(1)),
        account=make_row(2, "linkedin", key, LinkKind.PAGE),
    )
    assert credit(state) == ("active", POST_NUMBER_SOURCE)


def test_post_of_a_name_that_two_accounts_have_says_nothing() -> None:
    state = make_state(
        LinkedPost("linkedin", "company/amal", days_ago(1)),
        account=make_row(2, "linkedin", "company/amal", LinkKind.PAGE),
        others=[make_row(3, "linkedin", "in/amal", LinkKind.PERSON)],
    )
    assert credit(state) == ("unknown", None)


def test_link_that_names_no_account_gets_no_post() -> None:
    post_link = make_row(2, "twitter", "amal", LinkKind.POST)
    state = make_state(LinkedPost("twitter", "amal", days_ago(1)), account=post_link)
    assert credit(state) == ("unknown", None)


def test_renamed_account_gets_the_posts_of_its_new_name() -> None:
    finding = Finding(Presence.PRESENT, Reason.RENAMED, final_url="https://x.com/amal_new")
    status = AccountStatus(2, AccountState.PRESENT, last_known_finding=finding)
    state = make_state(LinkedPost("twitter", "amal_new", days_ago(1)), status=status)
    assert credit(state) == ("active", POST_NUMBER_SOURCE)


@pytest.mark.parametrize(
    "status",
    [
        AccountStatus(2, AccountState.GONE, Reason.NOT_FOUND),
        AccountStatus(2, AccountState.UNKNOWN, Reason.RENAMED),
    ],
)
def test_name_of_a_lost_account_gets_no_post(status: AccountStatus) -> None:
    state = make_state(LinkedPost("twitter", "amal", days_ago(1)), status=status)
    assert credit(state) == ("unknown", None)


def test_platform_that_shows_no_posts_knows_better() -> None:
    status = AccountStatus(
        2,
        AccountState.PRESENT,
        Reason.EMPTY,
        last_known_finding=Finding(Presence.PRESENT, Reason.EMPTY),
    )
    state = make_state(LinkedPost("twitter", "amal", days_ago(1)), status=status)
    assert credit(state) == ("never", None)


def test_lost_site_shows_no_activity() -> None:
    state = make_state(LinkedPost("twitter", "amal", days_ago(1)))
    lost_site = AccountStatus(1, AccountState.GONE, last_known_finding=Finding(Presence.ABSENT))
    statuses = {**state.statuses, 1: lost_site}
    assert credit(AssociationState(AMAL, state.accounts, statuses)) == ("unknown", None)


# --- Other dates of the account ---


@pytest.mark.parametrize(
    ("own", "precision", "source"),
    [
        (1, DatePrecision.SECOND, "post_id"),
        (10, DatePrecision.DAY, "post_id"),
        (11, DatePrecision.DAY, POST_NUMBER_SOURCE),
        (20, DatePrecision.WEEK, POST_NUMBER_SOURCE),
        (17, DatePrecision.WEEK, "post_id"),
        (41, DatePrecision.MONTH, "post_id"),
        (300, DatePrecision.SECOND, POST_NUMBER_SOURCE),
    ],
)
def test_newer_date_wins_and_a_coarse_one_may_be_as_new(
    own: int, precision: DatePrecision, source: str
) -> None:
    status = AccountStatus(
        2, AccountState.PRESENT, last_activity=Activity(days_ago(own), "post_id", precision)
    )
    state = make_state(LinkedPost("twitter", "amal", days_ago(10)), status=status)
    assert credit(state) == ("active", source)


def test_date_of_a_person_wins_if_it_is_newer() -> None:
    confirmation = Decision(
        "amal",
        "twitter",
        DecisionKind.CONFIRM,
        "coordinator",
        "seen",
        days_ago(1),
        account_id=2,
        value=days_ago(2).date().isoformat(),
    )
    state = make_state(LinkedPost("twitter", "amal", days_ago(10)), decisions=[confirmation])
    assert credit(state) == ("active", "attested")


ACTIVITIES = st.none() | st.builds(
    Activity,
    st.integers(0, 800).map(days_ago),
    st.sampled_from(["posts", "post_id", "attested"]),
    st.sampled_from(DatePrecision),
    st.booleans(),
)
STATUSES = st.builds(
    AccountStatus,
    st.just(2),
    st.sampled_from(AccountState),
    st.sampled_from([None, Reason.EMPTY, Reason.PRIVATE, Reason.RENAMED, Reason.NOT_FOUND]),
    last_activity=ACTIVITIES,
    last_known_finding=st.none()
    | st.builds(
        Finding,
        st.sampled_from(Presence),
        st.sampled_from([None, Reason.EMPTY, Reason.PRIVATE, Reason.RENAMED]),
    ),
)


@given(STATUSES, st.integers(0, 800), st.integers(0, 400))
def test_no_band_is_lower_with_posts(status: AccountStatus, age: int, later: int) -> None:
    """Neither now nor as days pass. Unknown and never stay, or become active or slow."""
    now = NOW + timedelta(days=later)
    state = make_state(LinkedPost("twitter", "amal", days_ago(age)), status=status)
    bands = [
        CONFIG.activity.classify_activity(account.status, now)
        for credited_bands in (None, CONFIG.activity)
        for account in build_rule_context(
            state, EvaluationTime(now, now), {}, bands=credited_bands
        ).accounts_on("twitter")
    ]
    without, with_posts = bands
    if without in BAND_ORDER:
        assert BAND_ORDER.index(with_posts) >= BAND_ORDER.index(without)
    else:
        assert with_posts in (without, "active", "slow")


# --- Rules, lists and re-evaluation ---


def test_next_change_is_the_day_on_which_a_post_becomes_slow_or_says_nothing() -> None:
    state = make_state(LinkedPost("twitter", "amal", days_ago(10)))
    for later, change in [(0, 31), (21, 91)]:
        now = NOW + timedelta(days=later)
        view = build_association_view(state, CONFIG, EvaluationTime(now, now), {})
        expected = (days_ago(10) + timedelta(days=change)).date()
        assert find_next_change_date(view, CONFIG.activity, now) == expected
    assert view_account(state, NOW + timedelta(days=81)).activity_band == "unknown"


def evaluate(site_posts: Iterable[LinkedPost], account_finding: Finding) -> AssociationState:
    """Return the state after 14 runs with the same findings."""
    state = AssociationState(AMAL, (SITE, X))
    site_finding = make_site_status(*site_posts).last_known_finding
    assert site_finding is not None
    for number in range(14):
        run_at = NOW + timedelta(days=number)
        observations = {
            1: Observation(1, number, run_at, site_finding),
            2: Observation(2, number, run_at, account_finding),
        }
        state = evaluate_association(
            state, observations, EvaluationTime(run_at, run_at), build_evaluation_policy(CONFIG), {}
        )
    return state


def list_open_gaps(state: AssociationState) -> set[str]:
    return {gap.code for gap in state.gaps if is_gap_open(gap) and gap.channel == "twitter"}


def test_old_post_alone_opens_no_gap() -> None:
    shell = Finding(Presence.UNKNOWN, Reason.SCRIPT_ONLY, status=200)
    old_post = LinkedPost("twitter", "amal", days_ago(900))
    assert "channel_stale" not in list_open_gaps(evaluate([old_post], shell))


def test_recent_post_keeps_an_account_with_an_old_date_from_being_stale() -> None:
    finding = Finding(Presence.PRESENT, last_activity=Activity(days_ago(900), "post_id"))
    assert "channel_stale" in list_open_gaps(evaluate([], finding))
    recent_post = LinkedPost("twitter", "amal", days_ago(5))
    assert "channel_stale" not in list_open_gaps(evaluate([recent_post], finding))


def test_credited_date_is_part_of_no_stored_status() -> None:
    shell = Finding(Presence.UNKNOWN, Reason.SCRIPT_ONLY, status=200)
    state = evaluate([LinkedPost("twitter", "amal", days_ago(5))], shell)
    assert state.statuses[2].last_activity is None
    assert view_account(state, NOW + timedelta(days=13)).activity_band == "active"
