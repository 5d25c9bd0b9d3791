"""Each check of the rules on small examples."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.context import (
    MAX_ANSWER_AGE,
    DomainExpiry,
    EvaluatedAccount,
    MatchOutcome,
    RuleContext,
    is_answer_usable,
    may_be_same_account,
)
from auditor.rules.engine import AnyRule, apply_rules
from probes.models.finding import Activity, Finding, FoundLink, Identity, LinkKind, Presence, Reason
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Association,
    DomainCheck,
    Proposal,
    Streak,
)

NOW = datetime(2026, 3, 20, 1, tzinfo=UTC)
RUN_STARTED_AT = NOW - timedelta(minutes=5)
NOUR = Association("nour", "Association Nour")
RULE = TypeAdapter(AnyRule)


def build_account(
    channel,
    key,
    *,
    kind=LinkKind.PAGE,
    column=None,
    was_decided_in_run=True,
    last_known_finding=None,
    aliases=(),
    **status_fields,
):
    status_fields.setdefault(
        "state", AccountState.PRESENT if last_known_finding else AccountState.UNKNOWN
    )
    identity = Identity(channel, kind, key, f"https://{channel}.example/{key}")
    row = AccountRow("nour", key or "typed", identity, channel if column is None else column, id=1)
    return EvaluatedAccount(
        row,
        AccountStatus(1, last_known_finding=last_known_finding, checked_at=NOW, **status_fields),
        was_decided_in_run,
        frozenset(aliases),
    )


def find_matches(rule, *accounts, association=NOUR, **context_fields):
    """Return the matches of one rule by channel and subject."""
    matches = apply_rules(
        RuleContext(association, accounts, NOW, RUN_STARTED_AT, **context_fields),
        [RULE.validate_python(rule)],
        load_gap_catalogue(),
    )
    return {(rule_match.channel, rule_match.subject): rule_match for rule_match in matches.values()}


MISSING = {"code": "channel_missing", "check": "undeclared", "channels": ["facebook", "youtube"]}


def test_channel_without_an_account_is_missing():
    matches = find_matches(MISSING, build_account("facebook", "u:nour"))
    assert list(matches) == [("youtube", "")]


def test_typed_none_is_missing_but_a_choice_is_not():
    typed_none = build_account("youtube", None, kind=LinkKind.NONE)
    assert ("youtube", "") in find_matches(MISSING, typed_none)
    assert ("youtube", "") not in find_matches(
        MISSING, typed_none, none_by_choice=frozenset({"youtube"})
    )


@pytest.mark.parametrize("kind", [LinkKind.INVALID, LinkKind.SHORT_LINK])
def test_cell_that_may_be_an_account_is_not_missing(kind):
    assert ("youtube", "") not in find_matches(MISSING, build_account("youtube", None, kind=kind))


DEAD = {
    "code": "channel_dead",
    "check": "absent",
    "reasons": ["not_found"],
    "channels": ["facebook"],
}


def test_unconfirmed_absence_matches_without_confirmation():
    doubt = Streak("not_found", NOW - timedelta(days=2), NOW, 2)
    match = find_matches(
        DEAD,
        build_account("facebook", "u:nour", state=AccountState.PRESENT, unconfirmed_streak=doubt),
    )["facebook", "u:nour"]
    assert match.outcome is MatchOutcome.DOUBTED


def test_confirmed_absence_matches_whatever_the_run_found():
    gone_account = build_account(
        "facebook",
        "u:nour",
        state=AccountState.GONE,
        reason=Reason.NOT_FOUND,
        was_decided_in_run=False,
    )
    match = find_matches(DEAD, gone_account)["facebook", "u:nour"]
    assert match.outcome is MatchOutcome.REMAINS_CONFIRMED


def test_absence_with_another_reason_does_not_match():
    assert not find_matches(
        DEAD, build_account("facebook", "u:nour", state=AccountState.GONE, reason=Reason.SUSPENDED)
    )


DOWN = {"code": "website_down", "check": "unreachable", "reasons": ["timeout", "network"]}


def build_failing_site(cause, run_count, days):
    return build_account(
        "website",
        "nour.example",
        failure_streak=Streak(cause, NOW - timedelta(days=days), NOW, run_count),
    )


def test_failure_that_spans_too_few_days_is_not_confirmed():
    assert (
        find_matches(DOWN, build_failing_site("timeout", 3, 2))["website", "nour.example"].outcome
        is MatchOutcome.DOUBTED
    )


def test_lasting_failure_is_confirmed_by_the_catalogue():
    match = find_matches(DOWN, build_failing_site("timeout", 4, 3))["website", "nour.example"]
    assert (match.outcome, match.run_count) == (MatchOutcome.COUNTED, 4)


def test_certificate_failure_has_its_cause():
    rule = {"code": "website_insecure", "check": "unreachable", "reasons": ["tls"]}
    assert (
        find_matches(rule, build_failing_site("tls/expired", 4, 3))[
            "website", "nour.example"
        ].params["cause"]
        == "expired"
    )
    assert not find_matches(DOWN, build_failing_site("tls/expired", 4, 3))


def test_failure_is_unknown_while_an_absence_is_doubted():
    doubted = build_account(
        "website", "nour.example", unconfirmed_streak=Streak("parked", NOW, NOW)
    )
    assert find_matches(DOWN, doubted)["website", "nour.example"].outcome is MatchOutcome.UNKNOWN


@pytest.mark.parametrize("checked_at", [NOW, NOW - timedelta(days=1)])
def test_refusal_ends_the_failure_and_keeps_the_doubt(checked_at):
    blocked_fields = {"latest_presence": Presence.UNKNOWN, "latest_reason": Reason.BLOCKED}
    account = build_account(
        "website",
        "nour.example",
        unconfirmed_streak=Streak("not_found", NOW, NOW),
        **blocked_fields,
    )
    blocked = replace(account, status=replace(account.status, checked_at=checked_at))
    absent = {"code": "website_down", "check": "absent", "reasons": ["not_found"]}
    match = find_matches(absent, blocked)["website", "nour.example"]
    expected = MatchOutcome.ENDED if checked_at == NOW else MatchOutcome.DOUBTED
    assert match.outcome is expected
    assert bool(find_matches(DOWN, blocked)) is (checked_at != NOW)


EMPTY = {"code": "channel_empty", "check": "present_as", "reasons": ["empty"]}


def test_empty_account_matches():
    empty = build_account(
        "youtube", "@nour", last_known_finding=Finding(Presence.PRESENT, Reason.EMPTY)
    )
    assert find_matches(EMPTY, empty)["youtube", "@nour"].outcome is MatchOutcome.COUNTED
    assert not find_matches(
        EMPTY, build_account("youtube", "@nour", last_known_finding=Finding(Presence.PRESENT))
    )


def test_renamed_account_has_its_new_url():
    rule = {"code": "channel_renamed", "check": "present_as", "reasons": ["renamed"]}
    finding = Finding(Presence.PRESENT, Reason.RENAMED, final_url="https://youtube.example/@new")
    match = find_matches(rule, build_account("youtube", "@nour", last_known_finding=finding))[
        "youtube", "@nour"
    ]
    assert match.params["new_url"] == "https://youtube.example/@new"


STALE = {"code": "channel_stale", "check": "older_than", "days": 90}


def build_dated_account(days, *, has_date=True, **account_fields):
    newest = Activity(NOW - timedelta(days=days), "feed")
    finding = Finding(Presence.PRESENT, last_activity=newest if has_date else None)
    return build_account(
        "facebook", "u:nour", last_known_finding=finding, last_activity=newest, **account_fields
    )


def test_silent_account_matches_after_its_days():
    assert not find_matches(STALE, build_dated_account(90))
    match = find_matches(STALE, build_dated_account(91))["facebook", "u:nour"]
    assert (match.params["age"], match.params["limit"], match.outcome) == (
        91,
        90,
        MatchOutcome.COUNTED,
    )


def test_page_without_dates_is_not_silent():
    assert (
        find_matches(STALE, build_dated_account(200, has_date=False))["facebook", "u:nour"].outcome
        is MatchOutcome.UNKNOWN
    )


def test_unknown_run_does_not_count_for_silence():
    assert (
        find_matches(STALE, build_dated_account(91, was_decided_in_run=False))[
            "facebook", "u:nour"
        ].outcome
        is MatchOutcome.REMAINS
    )


def test_person_and_group_are_the_wrong_type():
    rule = {"code": "channel_wrong_type", "check": "kind_is", "kinds": ["person", "group"]}
    assert find_matches(rule, build_account("linkedin", "in/nour", kind=LinkKind.PERSON))
    assert not find_matches(rule, build_account("linkedin", "company/nour"))


def test_platform_link_in_the_website_column_matches():
    rule = {"code": "website_is_social", "check": "column_holds_channel"}
    match = find_matches(rule, build_account("facebook", "u:nour", column="website"))[
        "website", "u:nour"
    ]
    assert match.params["channel"] == "facebook"
    assert not find_matches(rule, build_account("website", "nour.example"))


def test_platform_link_in_the_website_column_is_no_website():
    rule = {"code": "no_website", "check": "undeclared", "channels": ["website"]}
    social = build_account("facebook", "u:nour", column="website")
    assert find_matches(rule, social)
    assert ("facebook", "") not in find_matches(MISSING, social)


def build_fact_rule(**condition):
    return {"code": "website_http_only", "check": "fact", "channels": ["website"], **condition}


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ({"fact": "https", "is": False}, False, True),
        ({"fact": "https", "is": False}, True, False),
        ({"fact": "certificate_days", "below": 14}, 13, True),
        ({"fact": "certificate_days", "below": 14}, 14, False),
        ({"fact": "seconds", "above": 8}, 8.1, True),
        ({"fact": "seconds", "above": 8}, 8.0, False),
        ({"fact": "moved_to", "present": True}, "other.example", True),
    ],
)
def test_fact_is_compared(condition, value, holds):
    finding = Finding(Presence.PRESENT, facts={condition["fact"]: value})
    assert (
        bool(
            find_matches(
                build_fact_rule(**condition),
                build_account("website", "nour.example", last_known_finding=finding),
            )
        )
        is holds
    )


def test_unmeasured_fact_is_unknown():
    unmeasured = build_account(
        "website", "nour.example", last_known_finding=Finding(Presence.PRESENT)
    )
    assert (
        find_matches(build_fact_rule(fact="https", **{"is": False}), unmeasured)[
            "website", "nour.example"
        ].outcome
        is MatchOutcome.UNKNOWN
    )
    assert not find_matches(build_fact_rule(fact="moved_to", present=True), unmeasured)


@pytest.mark.parametrize(("expires_on", "holds"), [("2026-04-02", True), ("2026-04-03", False)])
def test_certificate_days_are_counted_at_evaluation(expires_on, holds):
    finding = Finding(Presence.PRESENT, facts={"certificate_expires_on": expires_on})
    rule = build_fact_rule(fact="certificate_days", below=14)
    assert (
        bool(
            find_matches(rule, build_account("website", "nour.example", last_known_finding=finding))
        )
        is holds
    )


def test_last_day_of_a_certificate_is_a_parameter():
    finding = Finding(Presence.PRESENT, facts={"certificate_days": 5})
    rule = build_fact_rule(fact="certificate_days", below=14) | {"code": "website_cert_expiring"}
    match = find_matches(
        rule, build_account("website", "nour.example", last_known_finding=finding)
    )["website", "nour.example"]
    assert match.params["expires_on"] == "2026-03-25"


@pytest.mark.parametrize(
    "condition", [{"fact": "a"}, {"fact": "a", "below": 1, "above": 2}, {"below": 1}]
)
def test_fact_rule_needs_exactly_one_condition(condition):
    with pytest.raises(ValidationError):
        RULE.validate_python(build_fact_rule(**condition))


FACEBOOK = FoundLink(
    "facebook", "u:nour", "https://facebook.example/nour", "anchor", "https://nour.example/"
)
UNLISTED = {"code": "channel_unlisted", "check": "proposed"}


def build_site(*links, **account_fields):
    finding = Finding(Presence.PRESENT, links=links, facts={"viewport": True})
    return build_account("website", "nour.example", last_known_finding=finding, **account_fields)


def test_unregistered_account_on_the_site_is_proposed():
    proposal = Proposal("nour", FACEBOOK, RUN_STARTED_AT, NOW)
    match = find_matches(UNLISTED, build_site(FACEBOOK), proposals=(proposal,))[
        "facebook", "u:nour"
    ]
    assert (match.outcome, match.params["found_on"]) == (
        MatchOutcome.COUNTED,
        "https://nour.example/",
    )


def test_proposal_ends_when_registered_disowned_or_unlinked():
    proposal = Proposal("nour", FACEBOOK, RUN_STARTED_AT, NOW)
    assert not find_matches(
        UNLISTED, build_site(), build_account("facebook", "u:nour"), proposals=(proposal,)
    )
    assert not find_matches(
        UNLISTED,
        build_site(),
        proposals=(proposal,),
        disowned_accounts=frozenset({("facebook", "u:nour")}),
    )
    old_proposal = Proposal("nour", FACEBOOK, RUN_STARTED_AT, RUN_STARTED_AT - timedelta(days=1))
    assert not find_matches(UNLISTED, build_site(), proposals=(old_proposal,))
    assert (
        find_matches(UNLISTED, build_site(was_decided_in_run=False), proposals=(old_proposal,))[
            "facebook", "u:nour"
        ].outcome
        is MatchOutcome.REMAINS
    )


NOT_LINKED = {"code": "channel_not_linked", "check": "not_linked"}


def test_site_without_link_to_an_account_matches():
    assert ("facebook", "u:nour") in find_matches(
        NOT_LINKED, build_site(), build_account("facebook", "u:nour")
    )
    assert not find_matches(NOT_LINKED, build_site(FACEBOOK), build_account("facebook", "u:nour"))
    assert not find_matches(
        NOT_LINKED, build_site(FACEBOOK), build_account("facebook", "id:12", aliases=["u:nour"])
    )
    assert not find_matches(NOT_LINKED, build_account("facebook", "u:nour"))


def test_unread_site_is_unknown_for_links():
    walled = build_account("website", "nour.example", last_known_finding=Finding(Presence.PRESENT))
    assert (
        find_matches(NOT_LINKED, walled, build_account("facebook", "u:nour"))[
            "facebook", "u:nour"
        ].outcome
        is MatchOutcome.UNKNOWN
    )


def test_two_accounts_on_a_channel_are_a_duplicate_unless_they_are_the_same():
    rule = {"code": "channel_duplicate", "check": "duplicate", "channels": ["youtube"]}
    assert find_matches(rule, build_account("youtube", "@nour"), build_account("youtube", "@nour2"))
    assert not find_matches(
        rule, build_account("youtube", "@nour"), build_account("youtube", "UCx", aliases=["@nour"])
    )
    assert not find_matches(
        rule,
        build_account("youtube", "@nour"),
        build_account("youtube", "@old", state=AccountState.GONE),
    )


def test_account_of_two_associations_is_shared():
    rule = {"code": "channel_shared", "check": "shared"}
    shared = {("facebook", "u:nour"): ("amal",)}
    assert (
        find_matches(rule, build_account("facebook", "u:nour"), other_owners=shared)[
            "facebook", "u:nour"
        ].params["other"]
        == "amal"
    )


def test_two_rules_of_one_gap_give_one_candidate():
    rules = [
        RULE.validate_python(DOWN),
        RULE.validate_python({**DEAD, "code": "website_down", "channels": []}),
    ]
    gone_account = build_account(
        "website",
        "nour.example",
        state=AccountState.GONE,
        reason=Reason.NOT_FOUND,
        unconfirmed_streak=Streak("present", NOW, NOW),
    )
    matches = apply_rules(
        RuleContext(NOUR, (gone_account,), NOW, RUN_STARTED_AT), rules, load_gap_catalogue()
    )
    assert [rule_match.outcome.confirms for rule_match in matches.values()] == [True]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"code": "channel_unknown", "check": "shared"}, "a status"),
        ({"code": "channel_missing", "check": "undeclared"}, "channels"),
    ],
)
def test_invalid_rules_are_refused_at_load(rule, message):
    with pytest.raises(ValueError, match=message):
        RULE.validate_python(rule)


@pytest.mark.parametrize(
    "rule", [{"code": "a", "check": "eval"}, {"code": "a", "check": "shared", "when": "x"}]
)
def test_unknown_check_is_refused(rule):
    with pytest.raises(ValidationError):
        RULE.validate_python(rule)


def test_unreadable_account_has_only_certain_matches():
    """Checks that need a conclusive result are unknown for it."""
    walled = build_account("facebook", "u:nour", was_decided_in_run=False)
    rules = [
        DEAD,
        DOWN,
        EMPTY,
        STALE,
        build_fact_rule(fact="https", **{"is": False}) | {"channels": ["facebook"]},
    ]
    assert all(
        match.outcome is MatchOutcome.UNKNOWN
        for rule in rules
        for match in find_matches(rule, walled).values()
    )


BY_NUMBER = FoundLink("facebook", "id:12", "https://www.facebook.com/profile.php?id=12", "anchor")


def test_link_by_id_may_lead_to_an_account_with_a_handle():
    match = find_matches(NOT_LINKED, build_site(BY_NUMBER), build_account("facebook", "u:nour"))[
        "facebook", "u:nour"
    ]
    assert match.outcome is MatchOutcome.UNKNOWN
    other_matches = find_matches(
        NOT_LINKED, build_site(BY_NUMBER), build_account("facebook", "u:nour", aliases=["id:34"])
    )
    assert other_matches["facebook", "u:nour"].outcome is MatchOutcome.COUNTED


def test_id_and_handle_are_an_unknown_duplicate():
    rule = {"code": "channel_duplicate", "check": "duplicate", "channels": ["facebook", "linkedin"]}
    accounts = build_account("facebook", "u:nour"), build_account("facebook", "id:12")
    assert not find_matches(rule, *accounts)
    assert (
        find_matches(rule, *accounts, build_account("facebook", "u:amal"))["facebook", ""].outcome
        is MatchOutcome.COUNTED
    )
    with_person = build_account("linkedin", "in/nour"), build_account("linkedin", "company/nour")
    assert find_matches(rule, *with_person)["linkedin", ""].outcome is MatchOutcome.COUNTED


@pytest.mark.parametrize(
    ("key", "other_key", "may_be_same"),
    [
        ("u:nour", "id:12", True),
        ("u:nour", "u:amal", False),
        ("nour", "id:12", True),
        ("company/nour", "company/12", True),
        ("company/nour", "company/amal", False),
        ("company/nour", "school/nour", True),
        ("in/nour", "company/12", False),
        ("group:nour", "id:12", False),
        ("@nour", "UCabc", True),
        ("@nour", "@amal", False),
        ("c/nour", "user/nour", True),
    ],
)
def test_keys_that_cannot_be_compared_may_be_the_same_account(key, other_key, may_be_same):
    assert may_be_same_account({key}, {other_key}) is may_be_same


def test_site_behind_a_wall_keeps_its_known_links():
    old_proposal = Proposal("nour", FACEBOOK, RUN_STARTED_AT, RUN_STARTED_AT - timedelta(days=1))
    walled = build_site(was_decided_in_run=False)
    assert (
        find_matches(UNLISTED, build_site(), walled, proposals=(old_proposal,))[
            "facebook", "u:nour"
        ].outcome
        is MatchOutcome.REMAINS
    )


def test_proposal_has_page_and_text_of_its_link():
    proposal = Proposal("nour", FACEBOOK, RUN_STARTED_AT, NOW)
    params = find_matches(UNLISTED, build_site(FACEBOOK), proposals=(proposal,))[
        "facebook", "u:nour"
    ].params
    assert (params["found_on"], params["snippet"]) == (FACEBOOK.page_url, FACEBOOK.snippet)


def test_account_that_may_be_registered_is_unknown():
    by_number = Proposal("nour", BY_NUMBER, RUN_STARTED_AT, NOW)
    walled = build_account("facebook", "u:nour", was_decided_in_run=False)
    assert (
        find_matches(UNLISTED, build_site(BY_NUMBER), walled, proposals=(by_number,))[
            "facebook", "id:12"
        ].outcome
        is MatchOutcome.UNKNOWN
    )
    other_account = build_account("facebook", "u:nour", aliases=["id:34"])
    assert (
        find_matches(UNLISTED, build_site(BY_NUMBER), other_account, proposals=(by_number,))[
            "facebook", "id:12"
        ].outcome
        is MatchOutcome.COUNTED
    )
    gone_account = build_account(
        "facebook", "u:nour", state=AccountState.GONE, reason=Reason.NOT_FOUND
    )
    assert (
        find_matches(UNLISTED, build_site(BY_NUMBER), gone_account, proposals=(by_number,))[
            "facebook", "id:12"
        ].outcome
        is MatchOutcome.COUNTED
    )
    none_typed = build_account("facebook", None, kind=LinkKind.NONE)
    matches = find_matches(UNLISTED, build_site(BY_NUMBER), none_typed, proposals=(by_number,))
    assert matches["facebook", "id:12"].outcome is MatchOutcome.COUNTED


def build_site_with_unread_page(*links, **account_fields):
    """Return a site whose contact page could not be read."""
    facts = {"viewport": True, "unread_contact_page": "https://nour.example/contact"}
    finding = Finding(Presence.PRESENT, links=links, facts=facts)
    return build_account("website", "nour.example", last_known_finding=finding, **account_fields)


def test_unread_contact_page_makes_links_unknown():
    match = find_matches(
        NOT_LINKED, build_site_with_unread_page(), build_account("facebook", "u:nour")
    )["facebook", "u:nour"]
    assert match.outcome is MatchOutcome.UNKNOWN
    assert not find_matches(
        NOT_LINKED, build_site_with_unread_page(FACEBOOK), build_account("facebook", "u:nour")
    )


def test_proposal_from_an_unread_page_stays():
    old_proposal = Proposal("nour", FACEBOOK, RUN_STARTED_AT, RUN_STARTED_AT - timedelta(days=1))
    match = find_matches(UNLISTED, build_site_with_unread_page(), proposals=(old_proposal,))[
        "facebook", "u:nour"
    ]
    assert match.outcome is MatchOutcome.REMAINS


BROKEN = {"code": "website_broken_links", "check": "links_to_gone", "channels": ["website"]}


def test_site_with_link_to_a_gone_account_has_the_dead_link():
    gone_account = build_account(
        "facebook", "u:nour", state=AccountState.GONE, reason=Reason.NOT_FOUND
    )
    match = find_matches(BROKEN, build_site(FACEBOOK), gone_account)["website", "nour.example"]
    assert (match.params["links"], match.params["found_on"]) == (
        FACEBOOK.canonical,
        FACEBOOK.page_url,
    )
    by_name = build_account(
        "facebook", "id:12", aliases=["u:nour"], state=AccountState.GONE, reason=Reason.NOT_FOUND
    )
    assert find_matches(BROKEN, build_site(FACEBOOK), by_name)


def test_link_to_an_unconfirmed_absence_is_not_broken():
    doubt = Streak("not_found", NOW - timedelta(days=2), NOW, 2)
    assert not find_matches(
        BROKEN,
        build_site(FACEBOOK),
        build_account("facebook", "u:nour", state=AccountState.PRESENT, unconfirmed_streak=doubt),
    )
    assert not find_matches(
        BROKEN, build_site(FACEBOOK), build_account("facebook", "u:nour", was_decided_in_run=False)
    )
    assert (
        find_matches(BROKEN, build_account("website", "nour.example"))[
            "website", "nour.example"
        ].outcome
        is MatchOutcome.UNKNOWN
    )


DIFFERS = {"code": "name_mismatch", "check": "name_differs"}
NAMED = Association(
    "taf",
    "Tafsoutine",
    name_ar="جمعية تافسوتين",
    name_fr="Association Tafsoutine",
    contact_methods=frozenset({"email"}),
)


def build_named_account(name, key="u:page.12", **account_fields):
    return build_account(
        "facebook", key, last_known_finding=Finding(Presence.PRESENT, name=name), **account_fields
    )


def test_account_with_another_name_has_both_names():
    match = find_matches(DIFFERS, build_named_account("Radio Soleil"), association=NAMED)[
        "facebook", "u:page.12"
    ]
    assert match.params["found"] == "Radio Soleil"
    assert match.params["expected"] == "Tafsoutine / جمعية تافسوتين / Association Tafsoutine"


def test_matching_or_comparable_name_does_not_match_the_rule():
    assert not find_matches(DIFFERS, build_named_account("Tafsoutine Tanger"), association=NAMED)
    for account in (
        build_named_account("ⵜⴰⴼⵙⵓⵜⵉⵏ"),
        build_named_account(None),
        build_named_account("Radio Soleil", key="u:tafsoutinema"),
    ):
        [match] = find_matches(DIFFERS, account, association=NAMED).values()
        assert match.outcome is MatchOutcome.UNKNOWN


def test_linked_account_may_have_a_name_in_another_language():
    linked = FoundLink("facebook", "u:page.12", "https://facebook.example/page.12", "footer")
    matches = find_matches(
        DIFFERS, build_site(linked), build_named_account("Reading for All"), association=NAMED
    )
    assert matches["facebook", "u:page.12"].outcome is MatchOutcome.UNKNOWN


SILENT = {"code": "channel_no_backlink", "check": "no_backlink"}
OUR_SITE = FoundLink("website", "nour.example", "https://nour.example/", "profile_link")
ANOTHER_SITE = FoundLink("website", "donner.example", "https://donner.example/", "profile_link")


def build_profile(*links, **facts):
    finding = Finding(Presence.PRESENT, links=links, facts={"all_links_resolved": True, **facts})
    return build_account("twitter", "nour", last_known_finding=finding)


@pytest.mark.parametrize("links", [(), (ANOTHER_SITE,)])
def test_account_without_link_to_the_site_matches(links):
    match = find_matches(SILENT, build_site(), build_profile(*links))["twitter", "nour"]
    assert match.params["website"] == "https://website.example/nour.example"


def test_account_with_link_to_any_part_of_the_site_does_not_match():
    part = FoundLink(
        "website", "dons.nour.example/aider", "https://dons.nour.example/aider", "profile_link"
    )
    assert not find_matches(SILENT, build_site(), build_profile(ANOTHER_SITE, OUR_SITE))
    assert not find_matches(SILENT, build_site(), build_profile(part))


def test_backlink_is_unknown_without_all_links_or_a_site():
    for accounts in (
        (build_site(), build_profile(all_links_resolved=False)),
        (
            build_site(),
            build_account(
                "youtube",
                "@nour",
                last_known_finding=Finding(Presence.PRESENT, links=(ANOTHER_SITE,)),
            ),
        ),
        (build_account("website", "nour.example"), build_profile()),
        (build_profile(),),
    ):
        assert all(
            match.outcome is MatchOutcome.UNKNOWN
            for match in find_matches(SILENT, *accounts).values()
        )


UNNAMED = {"code": "website_no_identity", "check": "not_named", "channels": ["website"]}


def build_site_with_names(text, key="bienvenue.example"):
    finding = Finding(
        Presence.PRESENT, facts={"viewport": True, "site_names": text, "title": "Agir ici"}
    )
    return build_account("website", key, last_known_finding=finding)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Agir ici · Ensemble toujours", [MatchOutcome.COUNTED]),
        ("Agir ici · © 2026 Association Tafsoutine", []),
        ("الرئيسية · جمعية تافسوتين", []),
        ("Accueil", [MatchOutcome.UNKNOWN]),
        ("Agir ici · ⵜⴰⴼⵙⵓⵜⵉⵏ", [MatchOutcome.UNKNOWN]),
        ("", [MatchOutcome.UNKNOWN]),
    ],
)
def test_site_without_the_name_matches_only_if_comparable(text, expected):
    results = [
        match.outcome
        for match in find_matches(UNNAMED, build_site_with_names(text), association=NAMED).values()
    ]
    assert results == expected


def test_site_with_the_name_in_its_host_does_not_match():
    [match] = find_matches(
        UNNAMED, build_site_with_names("Agir ici", "tafsoutine.example"), association=NAMED
    ).values()
    assert match.outcome is MatchOutcome.UNKNOWN


MIXED = {"code": "handles_mixed", "check": "handles_differ"}


def test_handles_without_similarity_match():
    match = find_matches(
        MIXED,
        build_account("facebook", "u:tafsoutine"),
        build_account("youtube", "@lecture.tanger"),
    )["", ""]
    assert (match.channel, match.params["handles"]) == ("", "tafsoutine · lecture.tanger")


@pytest.mark.parametrize(
    "accounts",
    [
        [
            build_account("facebook", "u:tafsoutine"),
            build_account("twitter", "tafsoutine_ma"),
            build_account("youtube", "c/tafsoutinetv"),
        ],
        [
            build_account("facebook", "u:tafsoutine"),
            build_account("facebook", "u:lecturetanger"),
        ],  # a duplicate, which is another gap
        [build_account("facebook", "u:tafsoutine"), build_account("youtube", "UC" + "a" * 22)],
        [build_account("facebook", "id:12"), build_account("linkedin", "company/1234567")],
        [
            build_account("facebook", "u:tafsoutine"),
            build_account("linkedin", "in/karim-b", kind=LinkKind.PERSON),
        ],
        [
            build_account("facebook", "u:tafsoutine"),
            build_account("twitter", "lecture", state=AccountState.GONE),
        ],
    ],
    ids=["same_name", "same_channel", "id", "numbers", "person", "gone"],
)
def test_ids_people_and_gone_accounts_have_no_handle(accounts):
    assert not find_matches(MIXED, *accounts)


LACKS = {"code": "registry_incomplete", "check": "incomplete", "fields": ["name_ar", "email"]}


@pytest.mark.parametrize(
    ("association", "fields"),
    [
        (Association("a", "Nour"), "name_ar email"),
        (Association("a", "جمعية نور", contact_methods=frozenset({"phone"})), None),
        (Association("a", "Nour", name_ar="جمعية نور", contact_methods=frozenset({"email"})), None),
        (Association("a", "Nour", contact_methods=frozenset({"email"})), "name_ar"),
    ],
)
def test_incomplete_entry_matches(association, fields):
    matches = find_matches(LACKS, association=association)
    assert [match.params["fields"] for match in matches.values()] == ([fields] if fields else [])


def test_unknown_field_is_refused():
    with pytest.raises(ValidationError):
        RULE.validate_python({**LACKS, "fields": ["passport"]})


@pytest.mark.parametrize("rule", [BROKEN, DIFFERS, SILENT, UNNAMED, MIXED])
def test_names_and_links_behind_a_wall_are_unknown(rule):
    walled = [
        build_account("website", "nour.example", was_decided_in_run=False),
        build_account("facebook", "u:nour", was_decided_in_run=False),
    ]
    assert all(
        match.outcome is MatchOutcome.UNKNOWN for match in find_matches(rule, *walled).values()
    )


def test_rules_load_no_html_parser():
    """Every command loads the configuration with the rules; an HTML parser takes 0.1 s."""
    imports = "import sys, auditor.config.schema, auditor.conclusions.association_view"
    script = f"{imports}; sys.exit(bool({{'lxml', 'bs4'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("lasted_days", "outcome"),
    [(2, MatchOutcome.DOUBTED), (3, MatchOutcome.COUNTED), (4, MatchOutcome.COUNTED)],
)
def test_failure_needs_the_days_of_its_rule(lasted_days, outcome):
    [match] = find_matches(
        {**DOWN, "days": 3}, build_failing_site("timeout", 9, lasted_days)
    ).values()
    assert match.outcome is outcome


@pytest.mark.parametrize(("age_days", "is_silent"), [(89, False), (90, False), (91, True)])
def test_account_may_be_silent_for_the_days_of_the_rule(age_days, is_silent):
    assert bool(find_matches({**STALE, "days": 90}, build_dated_account(age_days))) is is_silent


@pytest.mark.parametrize(
    ("condition", "matching_values"), [({"below": 14}, [13]), ({"above": 14}, [15])]
)
def test_number_of_a_rule_is_itself_no_gap(condition, matching_values):
    rule = build_fact_rule(fact="seconds", **condition)
    matching = []
    for value in (13, 14, 15):
        finding = Finding(Presence.PRESENT, facts={"seconds": value})
        if find_matches(rule, build_account("website", "a.example", last_known_finding=finding)):
            matching.append(value)
    assert matching == matching_values


@pytest.mark.parametrize(
    ("days_left", "severity"),
    [
        (61, None),
        (60, "medium"),
        (59, "medium"),
        (31, "medium"),
        (30, "high"),
        (29, "high"),
        (8, "high"),
        (7, "urgent"),
        (6, "urgent"),
    ],
)
def test_severity_changes_at_the_days_of_the_rule(days_left, severity):
    rule = {"code": "website_domain_expiring", "check": "domain_expires", "days": [60, 30, 7]}
    expires_on = RUN_STARTED_AT.date() + timedelta(days=days_left)
    expiries = {1: DomainExpiry("nour.example", "registry", expires_on=expires_on)}
    site = build_account("website", "nour.example")
    matches = find_matches(rule, site, domain_expiries=expiries).values()
    assert [match.severity for match in matches] == ([severity] if severity else [])


@pytest.mark.parametrize(("excess", "is_usable"), [(-1, True), (0, True), (1, False)])
def test_answer_of_a_registry_counts_for_four_weeks(excess, is_usable):
    check = DomainCheck(
        1,
        1,
        "nour.example",
        NOW,
        answered_at=NOW - MAX_ANSWER_AGE - timedelta(seconds=excess),
        expires_on=NOW.date() + timedelta(days=9),
    )
    assert is_answer_usable(check, NOW) is is_usable
