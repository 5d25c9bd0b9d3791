"""Fixes: whatever problem an association fixes, its score and level never fall.

Each fix removes one problem from the state of an association, as a run, an import or a decision
would. The score is that of the report before and after.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from auditor.conclusions.association_view import build_association_view
from auditor.rules.account_status import UNREACHABLE_REASONS
from auditor.rules.association import build_rule_context
from auditor.rules.association_state import AssociationState, EvaluationTime, find_account_owners
from auditor.rules.context import MatchOutcome
from auditor.rules.engine import apply_rules
from auditor.rules.score import LEVEL_THRESHOLDS
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from storage.models.audit import (
    AccountState,
    AccountStatus,
    Decision,
    DecisionKind,
    DomainCheck,
    Gap,
    Proposal,
    Streak,
)
from tests.support.histories import CONFIG, LINKS, NOUR, ROWS, START

NOW = START + timedelta(days=30)
RANKS = {name: rank for rank, (_, name) in enumerate(reversed(LEVEL_THRESHOLDS))}


def build_link(row):
    """Return the link of a site to an account."""
    return FoundLink(row.channel, row.identity.key, row.identity.canonical, "anchor", LINKS[0][1])


ACCOUNT_LINKS = [build_link(row) for row in ROWS[1:]]
FOREIGN_LINK = FoundLink("youtube", "@amal", "https://www.youtube.com/@amal", "anchor", LINKS[0][1])

DATES = st.none() | st.integers(0, 900).map(
    lambda days: Activity(NOW - timedelta(days=days), "feed")
)


def build_gone_status(row, reason=Reason.NOT_FOUND):
    finding = Finding(Presence.ABSENT, reason)
    return AccountStatus(
        row.id, AccountState.GONE, reason, START, NOW, NOW, last_known_finding=finding
    )


def compute_report_score(association_state):
    """Return the score of the report."""
    return build_association_view(
        association_state,
        CONFIG,
        EvaluationTime(NOW, NOW),
        find_account_owners(association_state.accounts, NOW),
    ).score


def assert_not_lower(flawed_state, fixed_state):
    old_score, new_score = compute_report_score(flawed_state), compute_report_score(fixed_state)
    assert new_score.low >= old_score.low
    if old_score.percent is not None and new_score.percent is not None:
        assert new_score.percent >= old_score.percent
        assert RANKS[new_score.level] >= RANKS[old_score.level]


def replace_status(association_state, status):
    return replace(
        association_state, statuses={**association_state.statuses, status.account_id: status}
    )


def replace_finding(status, **changes):
    return replace(status, last_known_finding=replace(status.last_known_finding, **changes))


def draw_account(data, association_state, *account_states):
    rows = [
        row
        for row in association_state.accounts
        if association_state.statuses[row.id].state in account_states
    ]
    assume(rows)
    return data.draw(st.sampled_from(rows))


# --- a fix of every gap: its rule matches before and not after


NAMED_ASSOCIATIONS = [
    replace(NOUR, name="Nour Environnement"),  # its handles contain its name
    replace(NOUR, name="Tafsoutine Azilal"),
]
ARABIC_NAMES = {"Nour Environnement": "نور للبيئة", "Tafsoutine Azilal": "تافسوتين أزيلال"}
NAMES = st.sampled_from(
    [None, *ARABIC_NAMES, *ARABIC_NAMES.values(), "Casino Royal Palace", "ⵜⴰⴼⵙⵓⵜⵉⵏ"]
)
SITE_NAME_FACTS = NAMES.map(lambda name: {"site_names": name} if name else {})
ACCOUNTS = [row for row in ROWS if row.channel != "website"]
WRONG_LINKS = {
    "link_malformed": {"website": "www nour", "facebook": "nour agadir !"},
    "wrong_target": {
        "website": "https://nour.example/statuts.pdf",
        "facebook": "https://www.facebook.com/nour/posts/12",
        "twitter": "https://x.com/nour/status/12",
        "linkedin": "https://www.linkedin.com/feed/",
        "youtube": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    },
}
PERSONAL_LINKS = {
    "facebook": "https://www.facebook.com/groups/nour",
    "linkedin": "https://www.linkedin.com/in/nour",
}
OTHER_LINKS = {
    "website": "https://casino.example/",
    "facebook": "https://www.facebook.com/casino",
    "twitter": "https://x.com/casino",
    "linkedin": "https://www.linkedin.com/company/casino",
    "youtube": "https://www.youtube.com/@casino",
}
RULES = {rule.code for rule in CONFIG.rules}
FLAWED_FACTS = {
    "website_http_only": ("https", False, True),
    "website_cert_expiring": ("certificate_days", 3, 80),
    "mobile_unfriendly": ("viewport", False, True),
    "no_contact": ("contact", False, True),
    "website_hidden_from_search": ("noindex", True, False),
    "share_preview_missing": ("preview", False, True),
    "feed_missing": ("feed", False, True),
    "website_slow": ("seconds", 30.0, 1.0),
    "website_no_identity": ("site_names", "Casino Royal Palace", "Nour Environnement"),
}
LOSSES = {
    "website_domain_lost": Reason.NO_SUCH_HOST,
    "website_parked": Reason.PARKED,
    "website_suspect_content": Reason.HIJACKED,
    "website_placeholder": Reason.DEFAULT_PAGE,
    "website_down": Reason.SUSPENDED,
    "channel_dead": Reason.CLOSED,
    "channel_suspended": Reason.SUSPENDED,
}
TROUBLES = {"website_down": Reason.TIMEOUT, "website_insecure": Reason.TLS}


def find_gap_codes(association_state):
    """Return the gaps that the rules find in a state."""
    evaluation_time = EvaluationTime(NOW, NOW)
    rule_context = build_rule_context(
        association_state,
        evaluation_time,
        {("facebook", "u:nour"): ("nour", "amal")},
        association_state.statuses,
    )
    matches = apply_rules(rule_context, CONFIG.rules)
    return {
        code
        for (_, _, code, _), rule_match in matches.items()
        if rule_match.outcome is not MatchOutcome.UNKNOWN
    }


def replace_account(association_state, row, status):
    """Return the state with one account added or replaced."""
    rows = tuple(account for account in association_state.accounts if account.id != row.id)
    return replace_status(replace(association_state, accounts=(*rows, row)), status)


def replace_site_links(association_state, old, new):
    """Return the state with sites that link to a new address instead of an old one."""
    new_link = build_link(new)
    statuses = {
        account_id: replace_finding(
            status,
            links=tuple(
                new_link if link.key == old.identity.key else link
                for link in status.last_known_finding.links
            ),
        )
        if status.last_known_finding
        else status
        for account_id, status in association_state.statuses.items()
    }
    return replace(association_state, statuses=statuses)


def change_link(row, link):
    return replace(row, typed_text=link, identity=identify.identify_link(link, row.channel))


@st.composite
def draw_present_status(draw, row, **fixed_fields):
    """Draw a present account."""
    facts = st.fixed_dictionaries(
        {"viewport": st.booleans()},
        optional={fact: st.booleans() for fact in ("https", "contact", "feed")},
    )
    fields = {
        "reason": draw(st.sampled_from([None, None, Reason.EMPTY])),
        "name": draw(NAMES),
        "last_activity": draw(DATES),
        "links": tuple(draw(st.lists(st.sampled_from([*ACCOUNT_LINKS, FOREIGN_LINK]), max_size=4)))
        if row.id == 1
        else (),
        "facts": {**draw(facts), **draw(SITE_NAME_FACTS)} if row.channel == "website" else {},
    } | fixed_fields
    if fields["reason"] is Reason.EMPTY:
        fields["last_activity"] = None
    finding = Finding(Presence.PRESENT, **fields)
    return AccountStatus(
        row.id,
        AccountState.PRESENT,
        finding.reason,
        START,
        NOW,
        NOW,
        last_known_finding=finding,
        last_activity=finding.last_activity,
    )


@st.composite
def draw_status(draw, row):
    """Draw the status of an account: unchecked, behind a wall, present, or gone."""
    reason = draw(st.sampled_from([None, None, Reason.EMPTY, Reason.PRIVATE, Reason.RENAMED]))
    walled = {"latest_presence": Presence.UNKNOWN, "latest_reason": Reason.LOGIN_WALL}
    statuses = [
        AccountStatus(row.id),
        AccountStatus(row.id, checked_at=NOW, **walled),
        build_gone_status(row),
        draw(draw_present_status(row, reason=reason)),
        draw(draw_present_status(row)),
    ]
    return draw(st.sampled_from(statuses))


@st.composite
def draw_association(draw):
    """Draw an association with at least one account, with any names and dates."""
    rows = tuple(row for row in ROWS if draw(st.booleans())) or ROWS[:1]
    statuses = {row.id: draw(draw_status(row)) for row in rows}
    return AssociationState(draw(st.sampled_from(NAMED_ASSOCIATIONS)), rows, statuses)


def draw_row(draw, code):
    """Draw the account that a gap is about: the website, or one on a platform."""
    is_website = code == "no_website" or code.startswith("website")
    return ROWS[0] if is_website else draw(st.sampled_from(ACCOUNTS))


def replace_in_both(association_state, row, flawed_status, fixed_status):
    """Return the state with the status of an account before a fix, and after it."""
    return tuple(
        replace_account(association_state, row, status) for status in (flawed_status, fixed_status)
    )


def _fix_lost(draw, association_state, code):
    row = draw_row(draw, code)
    gone_status = build_gone_status(row, LOSSES[code])
    return replace_in_both(association_state, row, gone_status, draw(draw_present_status(row)))


def _fix_unreachable(draw, association_state, code):
    row, reason = ROWS[0], TROUBLES[code]
    trouble = Streak(str(reason), NOW - timedelta(days=9), NOW, 9)
    flawed_status = draw(st.one_of(st.just(AccountStatus(1)), draw_present_status(row)))
    unreachable_status = replace(
        flawed_status,
        failure_streak=trouble,
        checked_at=NOW,
        latest_presence=Presence.UNKNOWN,
        latest_reason=reason,
    )
    fixed_status = draw(draw_present_status(row))
    return replace_in_both(association_state, row, unreachable_status, fixed_status)


def _fix_unreachable_with_new_cause(draw, association_state, code):
    """The gap is open, and the failure has just changed its cause or an absence is doubted."""
    flawed_state, fixed_state = _fix_unreachable(draw, association_state, code)
    new_streak = Streak(str(draw(st.sampled_from(sorted(UNREACHABLE_REASONS)))), NOW, NOW)
    doubt = {"failure_streak": None, "unconfirmed_streak": replace(new_streak, cause="parked")}
    status = replace(
        flawed_state.statuses[1], **draw(st.sampled_from([{"failure_streak": new_streak}, doubt]))
    )
    open_gap = Gap("nour", "website", code, "high", START, 9, START, subject="nour.example")
    closed = replace(fixed_state, gaps=(replace(open_gap, closed_at=NOW),))
    return replace(replace_status(flawed_state, status), gaps=(open_gap,)), closed


def _fix_missing(draw, association_state, code):
    row = draw_row(draw, code)
    flawed_state = without_channel(association_state, row.channel)
    return flawed_state, replace_account(flawed_state, row, draw(draw_status(row)))


def without_channel(association_state, channel):
    rows = tuple(row for row in association_state.accounts if row.channel != channel)
    return replace(association_state, accounts=rows)


def _fix_flaw(draw, association_state, code):
    row, (fact, bad, good) = ROWS[0], FLAWED_FACTS[code]
    site = draw(draw_present_status(row))
    sites = [
        replace_finding(site, facts=site.last_known_finding.facts | {fact: value})
        for value in (bad, good)
    ]
    if code == "website_no_identity":
        association_state = replace(association_state, association=NAMED_ASSOCIATIONS[0])
        row = change_link(row, "https://a.example/")
    return replace_in_both(association_state, row, *sites)


def _fix_silent(draw, association_state, code):
    row, age = draw_row(draw, code), draw(st.integers(400, 900))
    old, new = (Activity(NOW - timedelta(days=days), "feed") for days in (age, 1))
    flawed_status = draw(draw_present_status(row, last_activity=old, reason=None))
    fixed_status = replace(replace_finding(flawed_status, last_activity=new), last_activity=new)
    return replace_in_both(association_state, row, flawed_status, fixed_status)


def _fix_empty(draw, association_state, _):
    row = draw(st.sampled_from(ACCOUNTS))
    fixed_status = draw(draw_present_status(row, reason=None))
    empty = replace_finding(fixed_status, reason=Reason.EMPTY, last_activity=None)
    flawed_status = replace(empty, last_activity=None)
    return replace_in_both(association_state, row, flawed_status, fixed_status)


def _fix_private(draw, association_state, _):
    row = draw(st.sampled_from(ACCOUNTS))
    fixed_status = draw(draw_present_status(row))
    name = draw(st.sampled_from([None, fixed_status.last_known_finding.name]))
    private = replace_finding(fixed_status, reason=Reason.PRIVATE, last_activity=None, name=name)
    flawed_status = replace(private, last_activity=None)
    return replace_in_both(association_state, row, flawed_status, fixed_status)


def _fix_renamed(draw, association_state, code):
    row = draw_row(draw, code)
    new_row = change_link(row, OTHER_LINKS[row.channel])
    fixed_status = draw(draw_present_status(row, reason=None))
    flawed_status = replace_finding(fixed_status, reason=Reason.RENAMED)
    if code == "website_moved":
        facts = fixed_status.last_known_finding.facts | {"moved_to": "casino.example"}
        flawed_status = replace_finding(fixed_status, facts=facts)
    flawed_status = replace_finding(flawed_status, final_url=new_row.identity.canonical)
    return replace_account(association_state, row, flawed_status), replace_account(
        association_state, new_row, fixed_status
    )


def _fix_personal(draw, association_state, _):
    """A page that takes over the name, date and links of the personal or group account."""
    row = draw(st.sampled_from([row for row in ROWS if row.channel in PERSONAL_LINKS]))
    personal = change_link(row, PERSONAL_LINKS[row.channel])
    flawed_status = draw(st.one_of(st.just(AccountStatus(row.id)), draw_present_status(personal)))
    old_finding = flawed_status.last_known_finding
    kept_fields = {"name": draw(st.sampled_from([None, association_state.association.name]))}
    if old_finding:
        kept_fields = {"name": old_finding.name, "reason": old_finding.reason}
        if old_finding.last_activity:
            kept_fields["last_activity"] = old_finding.last_activity
    fixed_status = draw(draw_present_status(row, **kept_fields))
    flawed_association = replace_account(
        replace_site_links(association_state, row, personal), personal, flawed_status
    )
    return flawed_association, replace_account(
        replace_site_links(flawed_association, personal, row), row, fixed_status
    )


def _fix_wrong_link(draw, association_state, code):
    row = draw(st.sampled_from([row for row in ROWS if row.channel in WRONG_LINKS[code]]))
    wrong_row = change_link(row, WRONG_LINKS[code][row.channel])
    return replace_account(association_state, wrong_row, AccountStatus(row.id)), replace_account(
        association_state, row, draw(draw_status(row))
    )


def _fix_wrong_column(draw, association_state, _):
    row = draw(st.sampled_from(ACCOUNTS))
    status = draw(draw_status(row))
    return replace_account(
        association_state, replace(row, column="website"), status
    ), replace_account(association_state, row, status)


def _fix_unlisted(draw, association_state, _):
    row = draw(st.sampled_from(ACCOUNTS))
    flawed_state = replace(
        without_channel(association_state, row.channel),
        proposals=(Proposal("nour", build_link(row), START, NOW, 3),),
    )
    refusal = Decision(
        "nour", row.channel, DecisionKind.DISOWN, "Amina", "no", START, value=row.identity.key
    )
    if draw(st.booleans()):
        return flawed_state, replace(flawed_state, decisions=(refusal,))
    return flawed_state, replace_account(flawed_state, row, draw(draw_status(row)))


def _fix_not_linked(draw, association_state, _):
    row, site = draw(st.sampled_from(ACCOUNTS)), draw(draw_present_status(ROWS[0]))
    links = site.last_known_finding.links
    unlinked_site = replace_finding(site, links=tuple({*links} - {build_link(row)}))
    state = replace_account(association_state, row, draw(draw_present_status(row)))
    linked_site = replace_finding(site, links=(*links, build_link(row)))
    return replace_in_both(state, ROWS[0], unlinked_site, linked_site)


def _fix_dead_links(draw, association_state, _):
    number_link = {
        "facebook": "https://www.facebook.com/profile.php?id=12",
        "youtube": "https://www.youtube.com/channel/UCabcdefghijklmnopqrstuv",
    }
    row = draw(st.sampled_from([row for row in ACCOUNTS if row.channel in number_link]))
    site = draw(draw_present_status(ROWS[0]))
    lost_row = change_link(replace(row, id=98), number_link[row.channel])
    state = replace_account(association_state, lost_row, build_gone_status(lost_row))
    state = replace_account(state, row, draw(draw_present_status(row)))
    links = (*site.last_known_finding.links, build_link(lost_row))
    return replace_in_both(state, ROWS[0], replace_finding(site, links=links), site)


def _fix_wrong_name(draw, association_state, code):
    row = draw_row(draw, code)
    flawed_status = draw(draw_present_status(row, name="Bricolage Services Rapides"))
    fixed_status = replace_finding(flawed_status, name=association_state.association.name)
    row = change_link(row, OTHER_LINKS[row.channel])
    return replace_in_both(association_state, row, flawed_status, fixed_status)


def _fix_mixed_handles(draw, association_state, _):
    row = draw(st.sampled_from(ACCOUNTS))
    other_row, status = change_link(row, OTHER_LINKS[row.channel]), draw(draw_present_status(row))
    remaining = without_channel(association_state, row.channel)
    other_account = next(account for account in ACCOUNTS if account.channel != row.channel)
    remaining = replace_account(remaining, other_account, draw(draw_present_status(other_account)))
    flawed_state = replace_account(replace_site_links(remaining, row, other_row), other_row, status)
    return flawed_state, replace_account(
        replace_site_links(flawed_state, other_row, row), row, status
    )


def _fix_missing_backlink(draw, association_state, _):
    row, site = ROWS[3], draw(draw_present_status(ROWS[0]))
    status = draw(draw_present_status(row, facts={"all_links_resolved": True}))
    home_link = FoundLink("website", "nour.example", LINKS[0][1], "bio", row.typed_text)
    flawed_state = replace_account(replace_account(association_state, ROWS[0], site), row, status)
    linked_status = replace_finding(status, links=(home_link,))
    return flawed_state, replace_status(flawed_state, linked_status)


def _fix_incomplete_entry(_, association_state, __):
    """The added name is the displayed one: another name would reveal a difference."""
    own_association = association_state.association
    completed = replace(
        own_association,
        name_ar=ARABIC_NAMES[own_association.name],
        contact_methods=frozenset({"email"}),
    )
    findings = [status.last_known_finding for status in association_state.statuses.values()]
    displayed_names = {
        name
        for finding in findings
        if finding
        for name in (finding.name, finding.facts.get("site_names"))
    }
    assume(not displayed_names & {*ARABIC_NAMES.values()} - {completed.name_ar})
    return association_state, replace(association_state, association=completed)


def _fix_duplicate(draw, association_state, _):
    """The removed account has nothing that the remaining one lacks."""
    kept_row, duplicate_row, main_status = ROWS[1], ROWS[2], draw(draw_present_status(ROWS[1]))
    old_activity = Activity(NOW - timedelta(days=900), "feed")
    duplicate_status = draw(
        draw_present_status(
            duplicate_row,
            reason=None,
            last_activity=old_activity,
            name=main_status.last_known_finding.name,
        )
    )
    flawed_state = replace_account(
        replace_account(association_state, kept_row, main_status), duplicate_row, duplicate_status
    )
    flawed_state = replace_site_links(
        flawed_state, duplicate_row, change_link(duplicate_row, OTHER_LINKS["twitter"])
    )
    return flawed_state, replace(
        flawed_state, accounts=tuple(row for row in flawed_state.accounts if row != duplicate_row)
    )


def _fix_expiring_domain(draw, association_state, _):
    row = change_link(ROWS[0], "https://nour.org/")
    state = replace_account(association_state, row, draw(draw_present_status(row)))
    return tuple(
        replace(
            state,
            domain_checks={
                row.id: DomainCheck(
                    row.id, 1, "nour.org", NOW, answered_at=NOW, expires_on=NOW.date() + left
                )
            },
        )
        for left in (timedelta(days=draw(st.integers(-30, 60))), timedelta(days=365))
    )


FIXES = {
    **dict.fromkeys(LOSSES, (_fix_lost,)),
    **dict.fromkeys(TROUBLES, (_fix_unreachable, _fix_unreachable_with_new_cause)),
    "website_down": (_fix_lost, _fix_unreachable, _fix_unreachable_with_new_cause),
    **dict.fromkeys(FLAWED_FACTS, (_fix_flaw,)),
    "website_domain_expiring": (_fix_expiring_domain,),
    **dict.fromkeys(["no_website", "channel_missing"], (_fix_missing,)),
    **dict.fromkeys(["website_stale", "channel_stale"], (_fix_silent,)),
    **dict.fromkeys(["website_moved", "channel_renamed"], (_fix_renamed,)),
    **dict.fromkeys(WRONG_LINKS, (_fix_wrong_link,)),
    "channel_empty": (_fix_empty,),
    "channel_private": (_fix_private,),
    "channel_wrong_type": (_fix_personal,),
    "website_is_social": (_fix_wrong_column,),
    "channel_unlisted": (_fix_unlisted,),
    "channel_not_linked": (_fix_not_linked,),
    "website_broken_links": (_fix_dead_links,),
    "name_mismatch": (_fix_wrong_name,),
    "handles_mixed": (_fix_mixed_handles,),
    "channel_no_backlink": (_fix_missing_backlink,),
    "registry_incomplete": (_fix_incomplete_entry,),
    "channel_duplicate": (_fix_duplicate,),
}
SHARED = "channel_shared"
"""Settled between two associations: the one that keeps the account keeps its points."""


def test_every_gap_of_a_rule_has_a_fix():
    assert {*FIXES, SHARED} == RULES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "apply_fix"), [(code, fix) for code, fixes in sorted(FIXES.items()) for fix in fixes]
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_fix_of_a_gap_lowers_the_score(code, apply_fix, data):
    flawed_state, fixed_state = apply_fix(data.draw, data.draw(draw_association()), code)
    is_open = {gap.code for gap in flawed_state.gaps if gap.closed_at is None}
    assert code in find_gap_codes(flawed_state) | is_open
    assert_not_lower(flawed_state, fixed_state)


@given(draw_association(), st.sampled_from(sorted(UNREACHABLE_REASONS)), st.integers(1, 2))
def test_unconfirmed_failure_does_not_lower_the_score(association_state, reason, run_count):
    site = association_state.statuses.get(1) or AccountStatus(1)
    streak = Streak(str(reason), NOW - timedelta(days=run_count - 1), NOW, run_count)
    assert compute_report_score(
        replace_account(association_state, ROWS[0], replace(site, failure_streak=streak))
    ) == compute_report_score(replace_account(association_state, ROWS[0], site))


@given(draw_association(), st.sampled_from(ACCOUNTS))
def test_unreachable_account_neither_earns_nor_costs_points(association_state, row):
    """Unknown results stay out of the fraction, on any channel, however long."""
    without_account = without_channel(association_state, row.channel)
    streak = Streak(str(Reason.TIMEOUT), START, NOW, 30)
    with_account = replace_account(
        without_account,
        row,
        AccountStatus(
            row.id, checked_at=NOW, latest_presence=Presence.UNKNOWN, failure_streak=streak
        ),
    )
    assert compute_report_score(with_account).known <= compute_report_score(without_account).known
    assert compute_report_score(with_account).earned >= compute_report_score(without_account).earned


def decide(kind, channel, row=None, **fields):
    account = row.id if row else None
    return Decision(
        "nour", channel, kind, "Amina", "she called", START, account_id=account, **fields
    )


@given(draw_association(), st.none() | st.integers(1, 2000), st.data())
def test_confirmation_never_lowers_the_score(association_state, days, data):
    row = draw_account(data, association_state, AccountState.GONE, AccountState.UNKNOWN)
    publication_day = None if days is None else (START - timedelta(days=days)).date().isoformat()
    assert_not_lower(
        association_state,
        replace(
            association_state,
            decisions=(decide(DecisionKind.CONFIRM, row.channel, row, value=publication_day),),
        ),
    )


@given(draw_association(), st.sampled_from([DecisionKind.DISOWN, DecisionKind.MOVED]), st.data())
def test_disowned_or_moved_gone_account_never_lowers_the_score(association_state, kind, data):
    row = draw_account(data, association_state, AccountState.GONE)
    assert_not_lower(
        association_state, replace(association_state, decisions=(decide(kind, row.channel, row),))
    )


@given(draw_association(), st.sampled_from([row.channel for row in ROWS]))
def test_channel_unused_by_choice_never_lowers_the_score(association_state, channel):
    assume(channel not in {row.channel for row in association_state.accounts})
    assert_not_lower(
        association_state,
        replace(association_state, decisions=(decide(DecisionKind.NONE_BY_CHOICE, channel),)),
    )
