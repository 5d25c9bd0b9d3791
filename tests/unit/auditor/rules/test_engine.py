"""Each check of the rules on small examples."""

import subprocess
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from auditor.rules.context import (
    MAX_ANSWER_AGE,
    DomainExpiry,
    EvaluatedAccount,
    MatchOutcome,
    RuleContext,
    find_domain_expiry,
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
    )
    return {(rule_match.channel, rule_match.subject): rule_match for rule_match in matches.values()}


MISSING = {"code": "channel_missing", "check": "undeclared", "channels": ["facebook", "youtube"]}
DEAD = {
    "code": "channel_dead",
    "check": "absent",
    "reasons": ["not_found"],
    "channels": ["facebook"],
}
SITE_GONE = {"code": "website_down", "check": "absent", "reasons": ["not_found"]}
DOWN = {"code": "website_down", "check": "unreachable", "reasons": ["timeout", "network"]}
INSECURE = {"code": "website_insecure", "check": "unreachable", "reasons": ["tls"]}
EMPTY = {"code": "channel_empty", "check": "present_as", "reasons": ["empty"]}
RENAMED = {"code": "channel_renamed", "check": "present_as", "reasons": ["renamed"]}
STALE = {"code": "channel_stale", "check": "older_than", "days": 90}
WRONG_TYPE = {"code": "channel_wrong_type", "check": "kind_is", "kinds": ["person", "group"]}
SOCIAL = {"code": "website_is_social", "check": "column_holds_channel"}
NO_WEBSITE = {"code": "no_website", "check": "undeclared", "channels": ["website"]}
UNLISTED = {"code": "channel_unlisted", "check": "proposed"}
NOT_LINKED = {"code": "channel_not_linked", "check": "not_linked"}
DUPLICATE = {
    "code": "channel_duplicate",
    "check": "duplicate",
    "channels": ["facebook", "linkedin", "youtube"],
}
SHARED = {"code": "channel_shared", "check": "shared"}
BROKEN = {"code": "website_broken_links", "check": "links_to_gone", "channels": ["website"]}
DIFFERS = {"code": "name_mismatch", "check": "name_differs"}
SILENT = {"code": "channel_no_backlink", "check": "no_backlink"}
UNNAMED = {"code": "website_no_identity", "check": "not_named", "channels": ["website"]}
MIXED = {"code": "handles_mixed", "check": "handles_differ"}
LACKS = {"code": "registry_incomplete", "check": "incomplete", "fields": ["name_ar", "email"]}


def build_fact_rule(**condition):
    return {"code": "website_http_only", "check": "fact", "channels": ["website"], **condition}


HTTP_ONLY = build_fact_rule(fact="https", **{"is": False})
EXPIRING = build_fact_rule(fact="certificate_days", below=14)
MOVED = build_fact_rule(fact="moved_to", present=True)

NOUR_PAGE = build_account("facebook", "u:nour")
WALLED_PAGE = build_account("facebook", "u:nour", was_decided_in_run=False)
GONE_PAGE = build_account("facebook", "u:nour", state=AccountState.GONE, reason=Reason.NOT_FOUND)
DOUBTED_PAGE = build_account(
    "facebook",
    "u:nour",
    state=AccountState.PRESENT,
    unconfirmed_streak=Streak("not_found", NOW - timedelta(days=2), NOW, 2),
)
CHANNEL = build_account("youtube", "@nour")
UNREAD_SITE = build_account("website", "nour.example")


def build_found(channel, key, reason=None, *, links=(), name=None, final_url=None, **facts):
    """Return a present account with these facts."""
    finding = Finding(
        Presence.PRESENT, reason, links=links, name=name, final_url=final_url, facts=facts
    )
    return build_account(channel, key, last_known_finding=finding)


def build_failing_site(cause, run_count, days):
    streak = Streak(cause, NOW - timedelta(days=days), NOW, run_count)
    return build_account("website", "nour.example", failure_streak=streak)


def build_blocked_site(checked_at):
    account = build_account(
        "website",
        "nour.example",
        unconfirmed_streak=Streak("not_found", NOW, NOW),
        latest_presence=Presence.UNKNOWN,
        latest_reason=Reason.BLOCKED,
    )
    return replace(account, status=replace(account.status, checked_at=checked_at))


def build_dated_account(days, *, has_date=True, **account_fields):
    newest = Activity(NOW - timedelta(days=days), "feed")
    finding = Finding(Presence.PRESENT, last_activity=newest if has_date else None)
    return build_account(
        "facebook", "u:nour", last_known_finding=finding, last_activity=newest, **account_fields
    )


FACEBOOK = FoundLink(
    "facebook", "u:nour", "https://facebook.example/nour", "anchor", "https://nour.example/"
)
BY_NUMBER = FoundLink("facebook", "id:12", "https://www.facebook.com/profile.php?id=12", "anchor")
TO_PAGE_12 = FoundLink("facebook", "u:page.12", "https://facebook.example/page.12", "footer")
OUR_SITE = FoundLink("website", "nour.example", "https://nour.example/", "profile_link")
OUR_PART = FoundLink("website", "dons.nour.example/aider", "https://dons.nour.example/aider", "bio")
ANOTHER_SITE = FoundLink("website", "donner.example", "https://donner.example/", "profile_link")


def build_site(*links, facts=None, **account_fields):
    facts = {"viewport": True, **(facts or {})}
    finding = Finding(Presence.PRESENT, links=links, facts=facts)
    return build_account("website", "nour.example", last_known_finding=finding, **account_fields)


WALLED_SITE = build_site(was_decided_in_run=False)
UNREAD_CONTACT = {"unread_contact_page": "https://nour.example/contact"}


def propose(link, last_seen=NOW):
    return {"proposals": (Proposal("nour", link, RUN_STARTED_AT, last_seen),)}


OLD_PROPOSAL = propose(FACEBOOK, RUN_STARTED_AT - timedelta(days=1))


def build_profile(*links, **facts):
    return build_found("twitter", "nour", links=links, **{"all_links_resolved": True, **facts})


TAFSOUTINE = build_account("facebook", "u:tafsoutine")
NAMED = {
    "association": Association(
        "taf",
        "Tafsoutine",
        name_ar="جمعية تافسوتين",
        name_fr="Association Tafsoutine",
        contact_methods=frozenset({"email"}),
    )
}


def build_named_site(names, key="bienvenue.example"):
    return build_found("website", key, viewport=True, site_names=names, title="Agir ici")


COUNTED, DOUBTED, UNKNOWN, REMAINS, REMAINS_CONFIRMED, ENDED = (
    MatchOutcome.COUNTED,
    MatchOutcome.DOUBTED,
    MatchOutcome.UNKNOWN,
    MatchOutcome.REMAINS,
    MatchOutcome.REMAINS_CONFIRMED,
    MatchOutcome.ENDED,
)


@dataclass(frozen=True)
class Case:
    """A rule, accounts, and the outcome of each match or facts of the only one."""

    rule: dict
    accounts: list
    expected: dict
    context_fields: dict = field(default_factory=dict)

    def find_matches(self):
        return find_matches(self.rule, *self.accounts, **self.context_fields)


CASES = {
    "a channel without an account": Case(MISSING, [NOUR_PAGE], {"youtube": COUNTED}),
    "a typed none": Case(
        MISSING,
        [NOUR_PAGE, build_account("youtube", None, kind=LinkKind.NONE)],
        {"youtube": COUNTED},
    ),
    "none by choice": Case(MISSING, [NOUR_PAGE], {}, {"none_by_choice": frozenset({"youtube"})}),
    "an invalid cell": Case(
        MISSING, [NOUR_PAGE, build_account("youtube", None, kind=LinkKind.INVALID)], {}
    ),
    "a short link": Case(
        MISSING, [NOUR_PAGE, build_account("youtube", None, kind=LinkKind.SHORT_LINK)], {}
    ),
    "an unconfirmed absence": Case(DEAD, [DOUBTED_PAGE], {"facebook u:nour": DOUBTED}),
    "a confirmed absence whatever the run found": Case(
        DEAD, [replace(GONE_PAGE, was_decided_in_run=False)], {"facebook u:nour": REMAINS_CONFIRMED}
    ),
    "an absence with another reason": Case(
        DEAD,
        [build_account("facebook", "u:nour", state=AccountState.GONE, reason=Reason.SUSPENDED)],
        {},
    ),
    "a failure over two days": Case(
        DOWN, [build_failing_site("timeout", 3, 2)], {"website nour.example": DOUBTED}
    ),
    "a lasting failure": Case(
        DOWN, [build_failing_site("timeout", 4, 3)], {"website nour.example": COUNTED}
    ),
    "a failure with the days of its rule": Case(
        DOWN | {"days": 3}, [build_failing_site("timeout", 9, 3)], {"website nour.example": COUNTED}
    ),
    "a failure with fewer days than its rule": Case(
        DOWN | {"days": 3}, [build_failing_site("timeout", 9, 2)], {"website nour.example": DOUBTED}
    ),
    "a failure of another kind": Case(DOWN, [build_failing_site("tls/expired", 4, 3)], {}),
    "a failure while an absence is doubted": Case(
        DOWN,
        [build_account("website", "nour.example", unconfirmed_streak=Streak("parked", NOW, NOW))],
        {"website nour.example": UNKNOWN},
    ),
    "an absence before a refusal": Case(
        SITE_GONE, [build_blocked_site(NOW)], {"website nour.example": ENDED}
    ),
    "an absence before an older refusal": Case(
        SITE_GONE, [build_blocked_site(NOW - timedelta(days=1))], {"website nour.example": DOUBTED}
    ),
    "a failure before a refusal": Case(DOWN, [build_blocked_site(NOW)], {}),
    "a failure before an older refusal": Case(
        DOWN, [build_blocked_site(NOW - timedelta(days=1))], {"website nour.example": UNKNOWN}
    ),
    "an empty account": Case(
        EMPTY, [build_found("youtube", "@nour", Reason.EMPTY)], {"youtube @nour": COUNTED}
    ),
    "an account with posts": Case(EMPTY, [build_found("youtube", "@nour")], {}),
    "an account of 90 days": Case(STALE, [build_dated_account(90)], {}),
    "an account of 91 days": Case(STALE, [build_dated_account(91)], {"facebook u:nour": COUNTED}),
    "a page without dates": Case(
        STALE, [build_dated_account(200, has_date=False)], {"facebook u:nour": UNKNOWN}
    ),
    "silence in an unknown run": Case(
        STALE, [build_dated_account(91, was_decided_in_run=False)], {"facebook u:nour": REMAINS}
    ),
    "a person": Case(
        WRONG_TYPE,
        [build_account("linkedin", "in/nour", kind=LinkKind.PERSON)],
        {"linkedin in/nour": COUNTED},
    ),
    "a company": Case(WRONG_TYPE, [build_account("linkedin", "company/nour")], {}),
    "a website in its column": Case(SOCIAL, [UNREAD_SITE], {}),
    "a platform in the column of websites": Case(
        NO_WEBSITE, [build_account("facebook", "u:nour", column="website")], {"website": COUNTED}
    ),
    "a platform known from another column": Case(
        MISSING, [build_account("facebook", "u:nour", column="website")], {"youtube": COUNTED}
    ),
    "an unmeasured fact": Case(
        HTTP_ONLY, [build_found("website", "nour.example")], {"website nour.example": UNKNOWN}
    ),
    "an unmeasured move": Case(MOVED, [build_found("website", "nour.example")], {}),
    "a proposal that is registered now": Case(
        UNLISTED, [build_site(), NOUR_PAGE], {}, propose(FACEBOOK)
    ),
    "a disowned proposal": Case(
        UNLISTED,
        [build_site()],
        {},
        propose(FACEBOOK) | {"disowned_accounts": frozenset({("facebook", "u:nour")})},
    ),
    "a proposal that is no longer linked": Case(UNLISTED, [build_site()], {}, OLD_PROPOSAL),
    "a proposal of an unreachable site": Case(
        UNLISTED, [WALLED_SITE], {"facebook u:nour": REMAINS}, OLD_PROPOSAL
    ),
    "a proposal of one of two sites": Case(
        UNLISTED, [build_site(), WALLED_SITE], {"facebook u:nour": REMAINS}, OLD_PROPOSAL
    ),
    "a proposal of a page that was not read": Case(
        UNLISTED, [build_site(facts=UNREAD_CONTACT)], {"facebook u:nour": REMAINS}, OLD_PROPOSAL
    ),
    "a proposal by number beside an unread account": Case(
        UNLISTED,
        [build_site(BY_NUMBER), WALLED_PAGE],
        {"facebook id:12": UNKNOWN},
        propose(BY_NUMBER),
    ),
    "a proposal by number beside another number": Case(
        UNLISTED,
        [build_site(BY_NUMBER), build_account("facebook", "u:nour", aliases=["id:34"])],
        {"facebook id:12": COUNTED},
        propose(BY_NUMBER),
    ),
    "a proposal by number beside a gone account": Case(
        UNLISTED,
        [build_site(BY_NUMBER), GONE_PAGE],
        {"facebook id:12": COUNTED},
        propose(BY_NUMBER),
    ),
    "a proposal by number beside a typed none": Case(
        UNLISTED,
        [build_site(BY_NUMBER), build_account("facebook", None, kind=LinkKind.NONE)],
        {"facebook id:12": COUNTED},
        propose(BY_NUMBER),
    ),
    "a site without a link": Case(
        NOT_LINKED, [build_site(), NOUR_PAGE], {"facebook u:nour": COUNTED}
    ),
    "a site with a link": Case(NOT_LINKED, [build_site(FACEBOOK), NOUR_PAGE], {}),
    "a site with a link by another key": Case(
        NOT_LINKED,
        [build_site(FACEBOOK), build_account("facebook", "id:12", aliases=["u:nour"])],
        {},
    ),
    "an account without a site": Case(NOT_LINKED, [NOUR_PAGE], {}),
    "a site that was not read": Case(
        NOT_LINKED,
        [build_found("website", "nour.example"), NOUR_PAGE],
        {"facebook u:nour": UNKNOWN},
    ),
    "a contact page that was not read": Case(
        NOT_LINKED, [build_site(facts=UNREAD_CONTACT), NOUR_PAGE], {"facebook u:nour": UNKNOWN}
    ),
    "a link beside a contact page that was not read": Case(
        NOT_LINKED, [build_site(FACEBOOK, facts=UNREAD_CONTACT), NOUR_PAGE], {}
    ),
    "a link by number to a handle": Case(
        NOT_LINKED, [build_site(BY_NUMBER), NOUR_PAGE], {"facebook u:nour": UNKNOWN}
    ),
    "a link by number to another number": Case(
        NOT_LINKED,
        [build_site(BY_NUMBER), build_account("facebook", "u:nour", aliases=["id:34"])],
        {"facebook u:nour": COUNTED},
    ),
    "two accounts": Case(
        DUPLICATE, [CHANNEL, build_account("youtube", "@nour2")], {"youtube": COUNTED}
    ),
    "one account by two keys": Case(
        DUPLICATE, [CHANNEL, build_account("youtube", "UCx", aliases=["@nour"])], {}
    ),
    "a gone account beside the present one": Case(
        DUPLICATE, [CHANNEL, build_account("youtube", "@old", state=AccountState.GONE)], {}
    ),
    "a handle and a number": Case(DUPLICATE, [NOUR_PAGE, build_account("facebook", "id:12")], {}),
    "two handles and a number": Case(
        DUPLICATE,
        [NOUR_PAGE, build_account("facebook", "id:12"), build_account("facebook", "u:amal")],
        {"facebook": COUNTED},
    ),
    "a person and a company": Case(
        DUPLICATE,
        [build_account("linkedin", "in/nour"), build_account("linkedin", "company/nour")],
        {"linkedin": COUNTED},
    ),
    "a link to a gone account by another key": Case(
        BROKEN,
        [
            build_site(FACEBOOK),
            build_account(
                "facebook",
                "id:12",
                aliases=["u:nour"],
                state=AccountState.GONE,
                reason=Reason.NOT_FOUND,
            ),
        ],
        {"website nour.example": COUNTED},
    ),
    "a link to an unconfirmed absence": Case(BROKEN, [build_site(FACEBOOK), DOUBTED_PAGE], {}),
    "a link to an unread account": Case(BROKEN, [build_site(FACEBOOK), WALLED_PAGE], {}),
    "links that were not read": Case(BROKEN, [UNREAD_SITE], {"website nour.example": UNKNOWN}),
    "the name with a place": Case(
        DIFFERS, [build_found("facebook", "u:page.12", name="Tafsoutine Tanger")], {}, NAMED
    ),
    "a name in another script": Case(
        DIFFERS,
        [build_found("facebook", "u:page.12", name="ⵜⴰⴼⵙⵓⵜⵉⵏ")],
        {"facebook u:page.12": UNKNOWN},
        NAMED,
    ),
    "no name": Case(
        DIFFERS, [build_found("facebook", "u:page.12")], {"facebook u:page.12": UNKNOWN}, NAMED
    ),
    "another name of an own handle": Case(
        DIFFERS,
        [build_found("facebook", "u:tafsoutinema", name="Radio Soleil")],
        {"facebook u:tafsoutinema": UNKNOWN},
        NAMED,
    ),
    "another name that the site links to": Case(
        DIFFERS,
        [build_site(TO_PAGE_12), build_found("facebook", "u:page.12", name="Reading for All")],
        {"facebook u:page.12": UNKNOWN, "website nour.example": UNKNOWN},
        NAMED,
    ),
    "a profile without a link": Case(
        SILENT, [build_site(), build_profile()], {"twitter nour": COUNTED}
    ),
    "a profile with a link elsewhere": Case(
        SILENT, [build_site(), build_profile(ANOTHER_SITE)], {"twitter nour": COUNTED}
    ),
    "a profile with a link home": Case(
        SILENT, [build_site(), build_profile(ANOTHER_SITE, OUR_SITE)], {}
    ),
    "a profile with a link to a part of the site": Case(
        SILENT, [build_site(), build_profile(OUR_PART)], {}
    ),
    "a profile with a short link": Case(
        SILENT, [build_site(), build_profile(all_links_resolved=False)], {"twitter nour": UNKNOWN}
    ),
    "a channel that may have more links": Case(
        SILENT,
        [build_site(), build_found("youtube", "@nour", links=(ANOTHER_SITE,))],
        {"youtube @nour": UNKNOWN},
    ),
    "a profile beside an unread site": Case(
        SILENT, [UNREAD_SITE, build_profile()], {"twitter nour": UNKNOWN}
    ),
    "a profile without a site": Case(SILENT, [build_profile()], {"twitter nour": UNKNOWN}),
    "a site with other names": Case(
        UNNAMED,
        [build_named_site("Agir ici · Ensemble toujours")],
        {"website bienvenue.example": COUNTED},
        NAMED,
    ),
    "a site with its name": Case(
        UNNAMED, [build_named_site("Agir ici · © 2026 Association Tafsoutine")], {}, NAMED
    ),
    "a site with its Arabic name": Case(
        UNNAMED, [build_named_site("الرئيسية · جمعية تافسوتين")], {}, NAMED
    ),
    "a site with a general name": Case(
        UNNAMED, [build_named_site("Accueil")], {"website bienvenue.example": UNKNOWN}, NAMED
    ),
    "a site with a name in another script": Case(
        UNNAMED,
        [build_named_site("Agir ici · ⵜⴰⴼⵙⵓⵜⵉⵏ")],
        {"website bienvenue.example": UNKNOWN},
        NAMED,
    ),
    "a site without names": Case(
        UNNAMED, [build_named_site("")], {"website bienvenue.example": UNKNOWN}, NAMED
    ),
    "a site with the name in its host": Case(
        UNNAMED,
        [build_named_site("Agir ici", "tafsoutine.example")],
        {"website tafsoutine.example": UNKNOWN},
        NAMED,
    ),
    "handles with one name": Case(
        MIXED,
        [
            TAFSOUTINE,
            build_account("twitter", "tafsoutine_ma"),
            build_account("youtube", "c/tafsoutinetv"),
        ],
        {},
    ),
    "two handles of one channel, which are a duplicate": Case(
        MIXED, [TAFSOUTINE, build_account("facebook", "u:lecturetanger")], {}
    ),
    "a handle and an id": Case(MIXED, [TAFSOUTINE, build_account("youtube", "UC" + "a" * 22)], {}),
    "two numbers": Case(
        MIXED,
        [build_account("facebook", "id:12"), build_account("linkedin", "company/1234567")],
        {},
    ),
    "the handle of a person": Case(
        MIXED, [TAFSOUTINE, build_account("linkedin", "in/karim-b", kind=LinkKind.PERSON)], {}
    ),
    "the handle of a gone account": Case(
        MIXED, [TAFSOUTINE, build_account("twitter", "lecture", state=AccountState.GONE)], {}
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule_matches_with_an_outcome(name):
    matches = CASES[name].find_matches()
    outcomes = {" ".join(key).strip(): match.outcome for key, match in matches.items()}
    assert outcomes == CASES[name].expected


PARAMS = {
    "the cause and the runs of a failure": Case(
        DOWN, [build_failing_site("timeout", 4, 3)], {"cause": "timeout", "run_count": 4}
    ),
    "the cause of a certificate failure": Case(
        INSECURE, [build_failing_site("tls/expired", 4, 3)], {"cause": "expired"}
    ),
    "the new address": Case(
        RENAMED,
        [build_found("youtube", "@nour", Reason.RENAMED, final_url="https://youtube.example/@new")],
        {"new_url": "https://youtube.example/@new"},
    ),
    "age and limit": Case(STALE, [build_dated_account(91)], {"age": 91, "limit": 90}),
    "the channel of the link": Case(
        SOCIAL, [build_account("facebook", "u:nour", column="website")], {"channel": "facebook"}
    ),
    "the last day of a certificate": Case(
        EXPIRING | {"code": "website_cert_expiring"},
        [build_found("website", "nour.example", certificate_days=5)],
        {"expires_on": "2026-03-25"},
    ),
    "page and text of a link": Case(
        UNLISTED,
        [build_site(FACEBOOK)],
        {"found_on": FACEBOOK.page_url, "snippet": FACEBOOK.snippet},
        propose(FACEBOOK),
    ),
    "the other association": Case(
        SHARED,
        [NOUR_PAGE],
        {"other": "amal"},
        {"other_owners": {("facebook", "u:nour"): ("amal",)}},
    ),
    "a dead link": Case(
        BROKEN,
        [build_site(FACEBOOK), GONE_PAGE],
        {"links": FACEBOOK.canonical, "found_on": FACEBOOK.page_url},
    ),
    "both names": Case(
        DIFFERS,
        [build_found("facebook", "u:page.12", name="Radio Soleil")],
        {
            "found": "Radio Soleil",
            "expected": "Tafsoutine / جمعية تافسوتين / Association Tafsoutine",
        },
        NAMED,
    ),
    "the website": Case(
        SILENT, [build_site(), build_profile()], {"website": "https://website.example/nour.example"}
    ),
    "handles": Case(
        MIXED,
        [TAFSOUTINE, build_account("youtube", "@lecture.tanger")],
        {"handles": "tafsoutine · lecture.tanger"},
    ),
}


@pytest.mark.parametrize("name", PARAMS)
def test_match_counts_and_has_its_facts(name):
    [match] = PARAMS[name].find_matches().values()
    facts = {"run_count": match.run_count, **match.params}
    assert (match.outcome, facts) == (COUNTED, facts | PARAMS[name].expected)


@pytest.mark.parametrize(
    ("condition", "facts", "holds"),
    [
        ({"fact": "https", "is": False}, {"https": False}, True),
        ({"fact": "https", "is": False}, {"https": True}, False),
        ({"fact": "certificate_days", "below": 14}, {"certificate_days": 13}, True),
        ({"fact": "certificate_days", "below": 14}, {"certificate_days": 14}, False),
        ({"fact": "certificate_days", "below": 14}, {"certificate_expires_on": "2026-04-02"}, True),
        (
            {"fact": "certificate_days", "below": 14},
            {"certificate_expires_on": "2026-04-03"},
            False,
        ),
        ({"fact": "seconds", "above": 8}, {"seconds": 8.1}, True),
        ({"fact": "seconds", "above": 8}, {"seconds": 8.0}, False),
        ({"fact": "moved_to", "present": True}, {"moved_to": "other.example"}, True),
    ],
)
def test_fact_is_compared(condition, facts, holds):
    """The days of a certificate are counted at the evaluation, if its last day is known."""
    site = build_found("website", "nour.example", **facts)
    assert bool(find_matches(build_fact_rule(**condition), site)) is holds


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (SHARED | {"check": "eval"}, "Input tag 'eval'"),
        (SHARED | {"when": "x"}, "Extra inputs are not permitted"),
        (SHARED | {"code": "channel_unknown"}, "'channel_unknown': a status, not a gap"),
        ({"code": "channel_missing", "check": "undeclared"}, r"channels\s+Field required"),
        (LACKS | {"fields": ["passport"]}, "Input should be 'name_ar'"),
        (build_fact_rule(fact="a"), "a fact rule needs one condition"),
        (build_fact_rule(fact="a", below=1, above=2), "a fact rule needs one condition"),
        (build_fact_rule(below=1), r"fact\s+Field required"),
    ],
)
def test_invalid_rule_is_refused(rule, message):
    with pytest.raises(ValidationError, match=message):
        RULE.validate_python(rule)


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
    matches = apply_rules(RuleContext(NOUR, (gone_account,), NOW, RUN_STARTED_AT), rules)
    assert [rule_match.outcome.confirms for rule_match in matches.values()] == [True]


@pytest.mark.parametrize(
    "rule",
    [
        DEAD,
        DOWN,
        EMPTY,
        STALE,
        HTTP_ONLY | {"channels": ["facebook"]},
        BROKEN,
        DIFFERS,
        SILENT,
        UNNAMED,
        MIXED,
    ],
)
def test_unreadable_accounts_have_only_unknown_matches(rule):
    """Checks that need a conclusive result are unknown for them."""
    walled_site = build_account("website", "nour.example", was_decided_in_run=False)
    for accounts in ([WALLED_PAGE], [walled_site, WALLED_PAGE]):
        matches = find_matches(rule, *accounts).values()
        assert {match.outcome for match in matches} <= {UNKNOWN}


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


@pytest.mark.slow
def test_rules_load_no_html_parser():
    """Every command loads the configuration with the rules; an HTML parser takes 0.1 s."""
    imports = "import sys, auditor.config.schema, auditor.conclusions.association_view"
    script = f"{imports}; sys.exit(bool({{'lxml', 'bs4'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0


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


def test_answer_about_an_earlier_domain_of_the_link_does_not_count():
    check = DomainCheck(1, 1, "old.org", NOW, answered_at=NOW, expires_on=NOW.date())
    expiry = find_domain_expiry(build_account("website", "nour.org").row, {1: check}, {}, NOW)
    assert (expiry.domain, expiry.source, expiry.expires_on) == ("nour.org", "", None)
