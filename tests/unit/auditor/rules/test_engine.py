"""Each check of the rules on small examples."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.context import EvaluatedAccount, RuleContext, may_be_same_account
from auditor.rules.engine import AnyRule, apply_rules
from probes.models.finding import Activity, Finding, FoundLink, Identity, LinkKind, Presence, Reason
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Association,
    Proposal,
    Streak,
)

NOW = datetime(2026, 3, 20, 1, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=5)
NOUR = Association("nour", "Association Nour")
RULE = TypeAdapter(AnyRule)


def held(
    channel,
    key,
    *,
    kind=LinkKind.PAGE,
    column=None,
    tonight=True,
    last_known_finding=None,
    aliases=(),
    **standing,
):
    standing.setdefault(
        "state", AccountState.PRESENT if last_known_finding else AccountState.UNKNOWN
    )
    identity = Identity(channel, kind, key, f"https://{channel}.example/{key}")
    row = AccountRow("nour", key or "typed", identity, channel if column is None else column, id=1)
    return EvaluatedAccount(
        row,
        AccountStatus(1, last_known_finding=last_known_finding, checked_at=NOW, **standing),
        tonight,
        frozenset(aliases),
    )


def signs(rule, *accounts, association=NOUR, **case):
    """Return the matches of one rule by channel and subject."""
    told = apply_rules(
        RuleContext(association, accounts, NOW, BEGAN, **case),
        [RULE.validate_python(rule)],
        load_gap_catalogue(),
    )
    return {(one.rule_match.channel, one.rule_match.subject): one.rule_match for one in told}


MISSING = {"code": "channel_missing", "check": "undeclared", "channels": ["facebook", "youtube"]}


def test_channel_without_an_account_is_missing():
    seen = signs(MISSING, held("facebook", "u:nour"))
    assert list(seen) == [("youtube", "")]


def test_typed_none_is_missing_but_a_choice_is_not():
    nothing = held("youtube", None, kind=LinkKind.NONE)
    assert ("youtube", "") in signs(MISSING, nothing)
    assert ("youtube", "") not in signs(MISSING, nothing, none_by_choice=frozenset({"youtube"}))


@pytest.mark.parametrize("kind", [LinkKind.INVALID, LinkKind.SHORT_LINK])
def test_cell_that_may_be_an_account_is_not_missing(kind):
    assert ("youtube", "") not in signs(MISSING, held("youtube", None, kind=kind))


DEAD = {
    "code": "channel_dead",
    "check": "absent",
    "reasons": ["not_found"],
    "channels": ["facebook"],
}


def test_unconfirmed_absence_matches_without_confirmation():
    doubt = Streak("not_found", NOW - timedelta(days=2), NOW, 2)
    one = signs(
        DEAD, held("facebook", "u:nour", state=AccountState.PRESENT, unconfirmed_streak=doubt)
    )["facebook", "u:nour"]
    assert (one.holds, one.is_confirmed) == (True, False)


def test_confirmed_absence_matches_whatever_the_run_found():
    gone = held(
        "facebook", "u:nour", state=AccountState.GONE, reason=Reason.NOT_FOUND, tonight=False
    )
    one = signs(DEAD, gone)["facebook", "u:nour"]
    assert (one.holds, one.is_confirmed) == (True, True)


def test_absence_with_another_reason_does_not_match():
    assert not signs(
        DEAD, held("facebook", "u:nour", state=AccountState.GONE, reason=Reason.SUSPENDED)
    )


DOWN = {"code": "website_down", "check": "unreachable", "reasons": ["timeout", "network"]}


def trouble(cause, nights, days):
    return held(
        "website",
        "nour.example",
        failure_streak=Streak(cause, NOW - timedelta(days=days), NOW, nights),
    )


def test_failure_that_spans_too_few_days_is_not_confirmed():
    assert signs(DOWN, trouble("timeout", 3, 2))["website", "nour.example"].is_confirmed is False


def test_lasting_failure_is_confirmed_by_the_catalogue():
    one = signs(DOWN, trouble("timeout", 4, 3))["website", "nour.example"]
    assert (one.is_confirmed, one.run_count) == (None, 4)


def test_certificate_failure_has_its_cause():
    rule = {"code": "website_insecure", "check": "unreachable", "reasons": ["tls"]}
    assert (
        signs(rule, trouble("tls/expired", 4, 3))["website", "nour.example"].params["cause"]
        == "expired"
    )
    assert not signs(DOWN, trouble("tls/expired", 4, 3))


def test_failure_is_unknown_while_an_absence_is_doubted():
    doubted = held("website", "nour.example", unconfirmed_streak=Streak("parked", NOW, NOW))
    assert signs(DOWN, doubted)["website", "nour.example"].holds is None


@pytest.mark.parametrize("looked", [NOW, NOW - timedelta(days=1)])
def test_refusal_ends_the_failure_and_keeps_the_doubt(looked):
    wall = {"latest_presence": Presence.UNKNOWN, "latest_reason": Reason.BLOCKED}
    met = held("website", "nour.example", unconfirmed_streak=Streak("not_found", NOW, NOW), **wall)
    walled = replace(met, status=replace(met.status, checked_at=looked))
    absent = {"code": "website_down", "check": "absent", "reasons": ["not_found"]}
    one = signs(absent, walled)["website", "nour.example"]
    assert (one.is_confirmed, one.has_ended) == (False, looked == NOW)
    assert bool(signs(DOWN, walled)) is (looked != NOW)


EMPTY = {"code": "channel_empty", "check": "present_as", "reasons": ["empty"]}


def test_empty_account_matches():
    empty = held("youtube", "@nour", last_known_finding=Finding(Presence.PRESENT, Reason.EMPTY))
    assert signs(EMPTY, empty)["youtube", "@nour"].holds is True
    assert not signs(EMPTY, held("youtube", "@nour", last_known_finding=Finding(Presence.PRESENT)))


def test_renamed_account_has_its_new_url():
    rule = {"code": "channel_renamed", "check": "present_as", "reasons": ["renamed"]}
    known = Finding(Presence.PRESENT, Reason.RENAMED, final_url="https://youtube.example/@new")
    one = signs(rule, held("youtube", "@nour", last_known_finding=known))["youtube", "@nour"]
    assert one.params["new_url"] == "https://youtube.example/@new"


STALE = {"code": "channel_stale", "check": "older_than", "days": 90}


def dated(days, *, shown=True, **more):
    newest = Activity(NOW - timedelta(days=days), "feed")
    known = Finding(Presence.PRESENT, last_activity=newest if shown else None)
    return held("facebook", "u:nour", last_known_finding=known, last_activity=newest, **more)


def test_silent_account_matches_after_its_days():
    assert not signs(STALE, dated(90))
    one = signs(STALE, dated(91))["facebook", "u:nour"]
    assert (one.params["age"], one.params["limit"], one.is_decided) == (91, 90, True)


def test_page_without_dates_is_not_silent():
    assert signs(STALE, dated(200, shown=False))["facebook", "u:nour"].holds is None


def test_unknown_run_does_not_count_for_silence():
    assert signs(STALE, dated(91, tonight=False))["facebook", "u:nour"].is_decided is False


def test_person_and_group_are_the_wrong_type():
    rule = {"code": "channel_wrong_type", "check": "kind_is", "kinds": ["person", "group"]}
    assert signs(rule, held("linkedin", "in/nour", kind=LinkKind.PERSON))
    assert not signs(rule, held("linkedin", "company/nour"))


def test_platform_link_in_the_website_column_matches():
    rule = {"code": "website_is_social", "check": "column_holds_channel"}
    one = signs(rule, held("facebook", "u:nour", column="website"))["website", "u:nour"]
    assert one.params["channel"] == "facebook"
    assert not signs(rule, held("website", "nour.example"))


def test_platform_link_in_the_website_column_is_no_website():
    rule = {"code": "no_website", "check": "undeclared", "channels": ["website"]}
    social = held("facebook", "u:nour", column="website")
    assert signs(rule, social)
    assert ("facebook", "") not in signs(MISSING, social)


def fact(**test):
    return {"code": "website_http_only", "check": "fact", "channels": ["website"], **test}


@pytest.mark.parametrize(
    ("test", "value", "holds"),
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
def test_fact_is_compared(test, value, holds):
    known = Finding(Presence.PRESENT, facts={test["fact"]: value})
    assert (
        bool(signs(fact(**test), held("website", "nour.example", last_known_finding=known)))
        is holds
    )


def test_unmeasured_fact_is_unknown():
    unmeasured = held("website", "nour.example", last_known_finding=Finding(Presence.PRESENT))
    assert (
        signs(fact(fact="https", **{"is": False}), unmeasured)["website", "nour.example"].holds
        is None
    )
    assert not signs(fact(fact="moved_to", present=True), unmeasured)


@pytest.mark.parametrize(("until", "holds"), [("2026-04-02", True), ("2026-04-03", False)])
def test_certificate_days_are_counted_at_evaluation(until, holds):
    known = Finding(Presence.PRESENT, facts={"certificate_expires_on": until})
    rule = fact(fact="certificate_days", below=14)
    assert bool(signs(rule, held("website", "nour.example", last_known_finding=known))) is holds


def test_last_day_of_a_certificate_is_a_parameter():
    known = Finding(Presence.PRESENT, facts={"certificate_days": 5})
    rule = fact(fact="certificate_days", below=14) | {"code": "website_cert_expiring"}
    told = signs(rule, held("website", "nour.example", last_known_finding=known))[
        "website", "nour.example"
    ]
    assert told.params["expires_on"] == "2026-03-25"


@pytest.mark.parametrize(
    "test", [{"fact": "a"}, {"fact": "a", "below": 1, "above": 2}, {"below": 1}]
)
def test_fact_rule_needs_exactly_one_condition(test):
    with pytest.raises(ValidationError):
        RULE.validate_python(fact(**test))


FACEBOOK = FoundLink(
    "facebook", "u:nour", "https://facebook.example/nour", "anchor", "https://nour.example/"
)
UNLISTED = {"code": "channel_unlisted", "check": "proposed"}


def site(*links, **more):
    known = Finding(Presence.PRESENT, links=links, facts={"viewport": True})
    return held("website", "nour.example", last_known_finding=known, **more)


def test_unregistered_account_on_the_site_is_proposed():
    proposal = Proposal("nour", FACEBOOK, BEGAN, NOW)
    one = signs(UNLISTED, site(FACEBOOK), proposals=(proposal,))["facebook", "u:nour"]
    assert (one.is_decided, one.params["found_on"]) == (True, "https://nour.example/")


def test_proposal_ends_when_registered_disowned_or_unlinked():
    proposal = Proposal("nour", FACEBOOK, BEGAN, NOW)
    assert not signs(UNLISTED, site(), held("facebook", "u:nour"), proposals=(proposal,))
    assert not signs(
        UNLISTED,
        site(),
        proposals=(proposal,),
        disowned_accounts=frozenset({("facebook", "u:nour")}),
    )
    old = Proposal("nour", FACEBOOK, BEGAN, BEGAN - timedelta(days=1))
    assert not signs(UNLISTED, site(), proposals=(old,))
    assert (
        signs(UNLISTED, site(tonight=False), proposals=(old,))["facebook", "u:nour"].is_decided
        is False
    )


NOT_LINKED = {"code": "channel_not_linked", "check": "not_linked"}


def test_site_without_link_to_an_account_matches():
    assert ("facebook", "u:nour") in signs(NOT_LINKED, site(), held("facebook", "u:nour"))
    assert not signs(NOT_LINKED, site(FACEBOOK), held("facebook", "u:nour"))
    assert not signs(NOT_LINKED, site(FACEBOOK), held("facebook", "id:12", aliases=["u:nour"]))
    assert not signs(NOT_LINKED, held("facebook", "u:nour"))


def test_unread_site_is_unknown_for_links():
    walled = held("website", "nour.example", last_known_finding=Finding(Presence.PRESENT))
    assert signs(NOT_LINKED, walled, held("facebook", "u:nour"))["facebook", "u:nour"].holds is None


def test_two_accounts_on_a_channel_are_a_duplicate_unless_they_are_the_same():
    rule = {"code": "channel_duplicate", "check": "duplicate", "channels": ["youtube"]}
    assert signs(rule, held("youtube", "@nour"), held("youtube", "@nour2"))
    assert not signs(rule, held("youtube", "@nour"), held("youtube", "UCx", aliases=["@nour"]))
    assert not signs(
        rule, held("youtube", "@nour"), held("youtube", "@old", state=AccountState.GONE)
    )


def test_account_of_two_associations_is_shared():
    rule = {"code": "channel_shared", "check": "shared"}
    shared = {("facebook", "u:nour"): ("amal",)}
    assert (
        signs(rule, held("facebook", "u:nour"), other_owners=shared)["facebook", "u:nour"].params[
            "other"
        ]
        == "amal"
    )


def test_two_rules_of_one_gap_give_one_candidate():
    rules = [
        RULE.validate_python(DOWN),
        RULE.validate_python({**DEAD, "code": "website_down", "channels": []}),
    ]
    gone = held(
        "website",
        "nour.example",
        state=AccountState.GONE,
        reason=Reason.NOT_FOUND,
        unconfirmed_streak=Streak("present", NOW, NOW),
    )
    told = apply_rules(RuleContext(NOUR, (gone,), NOW, BEGAN), rules, load_gap_catalogue())
    assert [one.rule_match.is_confirmed for one in told] == [True]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"code": "no_such_gap", "check": "shared"}, "no such gap in"),
        ({"code": "channel_unknown", "check": "shared"}, "a status"),
        ({"code": "channel_missing", "check": "undeclared"}, "no channels"),
    ],
)
def test_invalid_rules_are_refused_at_load(rule, says):
    with pytest.raises(ValueError, match=says):
        RULE.validate_python(rule).try_on_sample(load_gap_catalogue())


@pytest.mark.parametrize(
    "rule", [{"code": "a", "check": "eval"}, {"code": "a", "check": "shared", "when": "x"}]
)
def test_unknown_check_is_refused(rule):
    with pytest.raises(ValidationError):
        RULE.validate_python(rule)


def test_unreadable_account_has_only_certain_matches():
    """No check that needs a conclusive result says anything about it."""
    walled = held("facebook", "u:nour", tonight=False)
    looks = [
        DEAD,
        DOWN,
        EMPTY,
        STALE,
        fact(fact="https", **{"is": False}) | {"channels": ["facebook"]},
    ]
    assert all(one.holds is None for rule in looks for one in signs(rule, walled).values())


BY_NUMBER = FoundLink("facebook", "id:12", "https://www.facebook.com/profile.php?id=12", "anchor")


def test_link_by_id_may_lead_to_an_account_with_a_handle():
    one = signs(NOT_LINKED, site(BY_NUMBER), held("facebook", "u:nour"))["facebook", "u:nour"]
    assert one.holds is None
    told = signs(NOT_LINKED, site(BY_NUMBER), held("facebook", "u:nour", aliases=["id:34"]))
    assert told["facebook", "u:nour"].holds is True


def test_id_and_handle_are_an_unknown_duplicate():
    rule = {"code": "channel_duplicate", "check": "duplicate", "channels": ["facebook", "linkedin"]}
    two = held("facebook", "u:nour"), held("facebook", "id:12")
    assert not signs(rule, *two)
    assert signs(rule, *two, held("facebook", "u:amal"))["facebook", ""].holds is True
    a_person = held("linkedin", "in/nour"), held("linkedin", "company/nour")
    assert signs(rule, *a_person)["linkedin", ""].holds is True


@pytest.mark.parametrize(
    ("one", "other", "may"),
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
def test_keys_that_cannot_be_compared_may_be_the_same_account(one, other, may):
    assert may_be_same_account({one}, {other}) is may


def test_site_behind_a_wall_keeps_its_known_links():
    old = Proposal("nour", FACEBOOK, BEGAN, BEGAN - timedelta(days=1))
    walled = site(tonight=False)
    assert (
        signs(UNLISTED, site(), walled, proposals=(old,))["facebook", "u:nour"].is_decided is False
    )


def test_proposal_has_page_and_text_of_its_link():
    proposal = Proposal("nour", FACEBOOK, BEGAN, NOW)
    params = signs(UNLISTED, site(FACEBOOK), proposals=(proposal,))["facebook", "u:nour"].params
    assert (params["found_on"], params["snippet"]) == (FACEBOOK.page_url, FACEBOOK.snippet)


def test_account_that_may_be_registered_is_unknown():
    by_number = Proposal("nour", BY_NUMBER, BEGAN, NOW)
    walled = held("facebook", "u:nour", tonight=False)
    assert (
        signs(UNLISTED, site(BY_NUMBER), walled, proposals=(by_number,))["facebook", "id:12"].holds
        is None
    )
    other = held("facebook", "u:nour", aliases=["id:34"])
    assert (
        signs(UNLISTED, site(BY_NUMBER), other, proposals=(by_number,))["facebook", "id:12"].holds
        is True
    )
    gone = held("facebook", "u:nour", state=AccountState.GONE, reason=Reason.NOT_FOUND)
    assert (
        signs(UNLISTED, site(BY_NUMBER), gone, proposals=(by_number,))["facebook", "id:12"].holds
        is True
    )
    none_typed = held("facebook", None, kind=LinkKind.NONE)
    told = signs(UNLISTED, site(BY_NUMBER), none_typed, proposals=(by_number,))
    assert told["facebook", "id:12"].holds is True


def withheld(*links, **more):
    """Return a site whose contact page could not be read."""
    facts = {"viewport": True, "unread_contact_page": "https://nour.example/contact"}
    known = Finding(Presence.PRESENT, links=links, facts=facts)
    return held("website", "nour.example", last_known_finding=known, **more)


def test_unread_contact_page_makes_links_unknown():
    one = signs(NOT_LINKED, withheld(), held("facebook", "u:nour"))["facebook", "u:nour"]
    assert one.holds is None
    assert not signs(NOT_LINKED, withheld(FACEBOOK), held("facebook", "u:nour"))


def test_proposal_from_an_unread_page_stays():
    old = Proposal("nour", FACEBOOK, BEGAN, BEGAN - timedelta(days=1))
    one = signs(UNLISTED, withheld(), proposals=(old,))["facebook", "u:nour"]
    assert (one.holds, one.is_decided) == (True, False)


BROKEN = {"code": "website_broken_links", "check": "links_to_gone", "channels": ["website"]}


def test_site_with_link_to_a_gone_account_has_the_dead_link():
    gone = held("facebook", "u:nour", state=AccountState.GONE, reason=Reason.NOT_FOUND)
    one = signs(BROKEN, site(FACEBOOK), gone)["website", "nour.example"]
    assert (one.params["links"], one.params["found_on"]) == (FACEBOOK.canonical, FACEBOOK.page_url)
    by_name = held(
        "facebook", "id:12", aliases=["u:nour"], state=AccountState.GONE, reason=Reason.NOT_FOUND
    )
    assert signs(BROKEN, site(FACEBOOK), by_name)


def test_link_to_an_unconfirmed_absence_is_not_broken():
    doubt = Streak("not_found", NOW - timedelta(days=2), NOW, 2)
    assert not signs(
        BROKEN,
        site(FACEBOOK),
        held("facebook", "u:nour", state=AccountState.PRESENT, unconfirmed_streak=doubt),
    )
    assert not signs(BROKEN, site(FACEBOOK), held("facebook", "u:nour", tonight=False))
    assert signs(BROKEN, held("website", "nour.example"))["website", "nour.example"].holds is None


DIFFERS = {"code": "name_mismatch", "check": "name_differs"}
NAMED = Association(
    "taf",
    "Tafsoutine",
    name_ar="جمعية تافسوتين",
    name_fr="Association Tafsoutine",
    contact_methods=frozenset({"email"}),
)


def called(name, key="u:page.12", **more):
    return held("facebook", key, last_known_finding=Finding(Presence.PRESENT, name=name), **more)


def test_account_with_another_name_has_both_names():
    one = signs(DIFFERS, called("Radio Soleil"), association=NAMED)["facebook", "u:page.12"]
    assert one.params["found"] == "Radio Soleil"
    assert one.params["expected"] == "Tafsoutine / جمعية تافسوتين / Association Tafsoutine"


def test_matching_or_comparable_name_does_not_match_the_rule():
    assert not signs(DIFFERS, called("Tafsoutine Tanger"), association=NAMED)
    for unsure in (called("ⵜⴰⴼⵙⵓⵜⵉⵏ"), called(None), called("Radio Soleil", key="u:tafsoutinema")):
        [one] = signs(DIFFERS, unsure, association=NAMED).values()
        assert one.holds is None


def test_linked_account_may_have_a_name_in_another_language():
    linked = FoundLink("facebook", "u:page.12", "https://facebook.example/page.12", "footer")
    told = signs(DIFFERS, site(linked), called("Reading for All"), association=NAMED)
    assert told["facebook", "u:page.12"].holds is None


SILENT = {"code": "channel_no_backlink", "check": "no_backlink"}
OUR_SITE = FoundLink("website", "nour.example", "https://nour.example/", "profile_link")
ANOTHER_SITE = FoundLink("website", "donner.example", "https://donner.example/", "profile_link")


def profile(*links, **facts):
    known = Finding(Presence.PRESENT, links=links, facts={"all_links_resolved": True, **facts})
    return held("twitter", "nour", last_known_finding=known)


@pytest.mark.parametrize("links", [(), (ANOTHER_SITE,)])
def test_account_without_link_to_the_site_matches(links):
    one = signs(SILENT, site(), profile(*links))["twitter", "nour"]
    assert one.params["website"] == "https://website.example/nour.example"


def test_account_with_link_to_any_part_of_the_site_does_not_match():
    part = FoundLink(
        "website", "dons.nour.example/aider", "https://dons.nour.example/aider", "profile_link"
    )
    assert not signs(SILENT, site(), profile(ANOTHER_SITE, OUR_SITE))
    assert not signs(SILENT, site(), profile(part))


def test_backlink_is_unknown_without_all_links_or_a_site():
    for accounts in (
        (site(), profile(all_links_resolved=False)),
        (
            site(),
            held(
                "youtube",
                "@nour",
                last_known_finding=Finding(Presence.PRESENT, links=(ANOTHER_SITE,)),
            ),
        ),
        (held("website", "nour.example"), profile()),
        (profile(),),
    ):
        assert all(one.holds is None for one in signs(SILENT, *accounts).values())


UNNAMED = {"code": "website_no_identity", "check": "not_named", "channels": ["website"]}


def says(text, key="bienvenue.example"):
    known = Finding(
        Presence.PRESENT, facts={"viewport": True, "site_names": text, "title": "Agir ici"}
    )
    return held("website", key, last_known_finding=known)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Agir ici · Ensemble toujours", True),
        ("Agir ici · © 2026 Association Tafsoutine", False),
        ("الرئيسية · جمعية تافسوتين", False),
        ("Accueil", None),
        ("Agir ici · ⵜⴰⴼⵙⵓⵜⵉⵏ", None),
        ("", None),
    ],
)
def test_site_without_the_name_matches_only_if_comparable(text, holds):
    told = [one.holds for one in signs(UNNAMED, says(text), association=NAMED).values()]
    assert told == ([] if holds is False else [holds])


def test_site_with_the_name_in_its_host_does_not_match():
    [one] = signs(UNNAMED, says("Agir ici", "tafsoutine.example"), association=NAMED).values()
    assert one.holds is None


MIXED = {"code": "handles_mixed", "check": "handles_differ"}


def test_handles_without_similarity_match():
    one = signs(MIXED, held("facebook", "u:tafsoutine"), held("youtube", "@lecture.tanger"))["", ""]
    assert (one.channel, one.params["handles"]) == ("", "tafsoutine · lecture.tanger")


@pytest.mark.parametrize(
    "accounts",
    [
        [
            held("facebook", "u:tafsoutine"),
            held("twitter", "tafsoutine_ma"),
            held("youtube", "c/tafsoutinetv"),
        ],
        [
            held("facebook", "u:tafsoutine"),
            held("facebook", "u:lecturetanger"),
        ],  # a duplicate, told as such
        [held("facebook", "u:tafsoutine"), held("youtube", "UC" + "a" * 22)],
        [held("facebook", "id:12"), held("linkedin", "company/1234567")],
        [held("facebook", "u:tafsoutine"), held("linkedin", "in/karim-b", kind=LinkKind.PERSON)],
        [held("facebook", "u:tafsoutine"), held("twitter", "lecture", state=AccountState.GONE)],
    ],
    ids=["one name", "one channel", "an id", "numbers", "a person", "a lost one"],
)
def test_ids_people_and_gone_accounts_have_no_handle(accounts):
    assert not signs(MIXED, *accounts)


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
    told = signs(LACKS, association=association)
    assert [one.params["fields"] for one in told.values()] == ([fields] if fields else [])


def test_unknown_field_is_refused():
    with pytest.raises(ValidationError):
        RULE.validate_python({**LACKS, "fields": ["passport"]})


@pytest.mark.parametrize("rule", [BROKEN, DIFFERS, SILENT, UNNAMED, MIXED])
def test_names_and_links_behind_a_wall_are_unknown(rule):
    walled = [
        held("website", "nour.example", tonight=False),
        held("facebook", "u:nour", tonight=False),
    ]
    assert all(one.holds is None for one in signs(rule, *walled).values())


def test_rules_load_no_html_parser():
    """Every command loads the configuration with the rules; an HTML parser takes 0.1 s."""
    loaded = "import sys, auditor.config.schema, auditor.evaluation.association_view"
    spy = f"{loaded}; sys.exit(bool({{'lxml', 'bs4'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", spy], check=False, timeout=60).returncode == 0
