"""Fixes: whatever problem an association fixes, its score and level never fall.

Each fix removes one problem from the state of an association, as a run, an import or a decision
would. The score is that of the report before and after.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from auditor.evaluation.association_view import build_association_view
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import UNREACHABLE_REASONS
from auditor.rules.association import (
    AssociationState,
    EvaluationTime,
    build_rule_context,
    find_account_owners,
)
from auditor.rules.engine import apply_rules
from auditor.rules.score import LEVEL_THRESHOLDS
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Decision,
    DecisionKind,
    Gap,
    Proposal,
    Streak,
)
from tests.support.histories import CONFIG, LINKS, NOUR, ROWS, START

NOW = START + timedelta(days=30)
RANKS = {name: rank for rank, (_, name) in enumerate(reversed(LEVEL_THRESHOLDS))}
HEALTH = ("https", "contact", "viewport", "feed")
LEADS = [
    FoundLink(row.channel, row.identity.key, row.identity.canonical, "anchor", LINKS[0][1])
    for row in ROWS[1:]
]
FOREIGN = FoundLink("youtube", "@amal", "https://www.youtube.com/@amal", "anchor", LINKS[0][1])

DATES = st.none() | st.integers(0, 900).map(
    lambda days: Activity(NOW - timedelta(days=days), "feed")
)


@st.composite
def held(draw, row):
    """Draw the status of an account: unchecked, behind a wall, present, doubted, or gone."""
    state = draw(st.sampled_from(AccountState))
    seen = Finding(
        Presence.PRESENT,
        draw(st.sampled_from([None, None, Reason.EMPTY, Reason.PRIVATE, Reason.RENAMED])),
        last_activity=draw(DATES),
        links=tuple(draw(st.lists(st.sampled_from([*LEADS, FOREIGN]), max_size=4)))
        if row.id == 1
        else (),
        facts=draw(st.fixed_dictionaries({}, optional={fact: st.booleans() for fact in HEALTH})),
    )
    if state is AccountState.GONE:
        lost = Finding(Presence.ABSENT, Reason.NOT_FOUND)
        return AccountStatus(
            row.id, state, Reason.NOT_FOUND, START, NOW, NOW, last_known_finding=lost
        )
    if state is AccountState.UNKNOWN:
        return AccountStatus(
            row.id,
            checked_at=NOW,
            latest_presence=Presence.UNKNOWN,
            latest_reason=Reason.LOGIN_WALL,
        )
    newest = None if seen.reason is Reason.EMPTY else seen.last_activity
    return AccountStatus(
        row.id, state, seen.reason, START, NOW, NOW, last_known_finding=seen, last_activity=newest
    )


@st.composite
def association(draw):
    """Draw the state of an association with some accounts and proposals."""
    rows = tuple(row for row in ROWS if draw(st.booleans()))
    found = draw(st.sets(st.sampled_from([*LEADS, FOREIGN]), max_size=2)) if ROWS[0] in rows else ()
    proposals = tuple(Proposal("nour", one, START, NOW, 3) for one in sorted(found, key=str))
    return AssociationState(NOUR, rows, {row.id: draw(held(row)) for row in rows}, proposals)


def told(dossier):
    """Return the score of the report."""
    return build_association_view(
        dossier, CONFIG, EvaluationTime(NOW, NOW), find_account_owners(dossier.accounts, NOW)
    ).score


def no_lower(before, after):
    one, other = told(before), told(after)
    assert other.low >= one.low
    if one.percent is not None and other.percent is not None:
        assert other.percent >= one.percent
        assert RANKS[other.level] >= RANKS[one.level]


def standing(dossier, row):
    return dossier.statuses[row.id]


def put(dossier, changed):
    return replace(dossier, statuses={**dossier.statuses, changed.account_id: changed})


def seen_as(dossier, row, **more):
    """Return the state with another finding of one present account."""
    one = standing(dossier, row)
    known = replace(one.last_known_finding, **more)
    newest = known.last_activity or one.last_activity
    return put(
        dossier, replace(one, last_known_finding=known, reason=known.reason, last_activity=newest)
    )


def one_of(data, dossier, *states):
    rows = [row for row in dossier.accounts if standing(dossier, row).state in states]
    assume(rows)
    return data.draw(st.sampled_from(rows))


@given(association(), st.data())
def test_returned_account_never_lowers_the_score(dossier, data):
    row = one_of(data, dossier, AccountState.GONE)
    back = data.draw(held(row).filter(lambda one: one.state is AccountState.PRESENT))
    links_kept = replace(back, last_known_finding=replace(back.last_known_finding, links=()))
    for after in (back, links_kept):
        no_lower(dossier, put(dossier, after))


def with_a_site(dossier, *found):
    """Return the state with a readable site that links to these accounts."""
    rows = dossier.accounts if ROWS[0] in dossier.accounts else (ROWS[0], *dossier.accounts)
    known = Finding(Presence.PRESENT, links=found, facts={"viewport": True})
    site = AccountStatus(
        1, AccountState.PRESENT, None, START, NOW, NOW, Presence.PRESENT, last_known_finding=known
    )
    return put(replace(dossier, accounts=rows), site)


LED = st.sets(st.sampled_from(range(len(LEADS))), max_size=4).map(
    lambda at: [LEADS[one] for one in sorted(at)]
)


@given(association(), LED, st.sampled_from(LEADS))
def test_link_from_the_site_never_lowers_the_score(dossier, found, added):
    no_lower(with_a_site(dossier, *found), with_a_site(dossier, *found, added))


@given(association(), st.sampled_from(HEALTH), st.data())
def test_healthy_site_never_lowers_the_score(dossier, fact, data):
    row = one_of(data, dossier, AccountState.PRESENT)
    known = standing(dossier, row).last_known_finding
    no_lower(dossier, seen_as(dossier, row, facts={**known.facts, fact: True}))


@given(association(), st.data())
def test_new_publication_never_lowers_the_score(dossier, data):
    row = one_of(data, dossier, AccountState.PRESENT)
    reason = standing(dossier, row).last_known_finding.reason
    fresh = Activity(NOW - timedelta(days=1), "feed")
    reason = None if reason is Reason.EMPTY else reason
    no_lower(dossier, seen_as(dossier, row, last_activity=fresh, reason=reason))


@given(association(), st.data())
def test_first_account_on_a_channel_never_lowers_the_score(dossier, data):
    missing = [row for row in ROWS if row.channel not in {one.channel for one in dossier.accounts}]
    assume(missing)
    row, dossier = data.draw(st.sampled_from(missing)), replace(dossier, proposals=())
    rows = replace(dossier, accounts=(*dossier.accounts, row))
    for one in (
        AccountStatus(row.id),
        data.draw(held(row).filter(lambda one: one.state is AccountState.PRESENT)),
    ):
        no_lower(dossier, put(rows, one))


@given(association(), LED, st.sampled_from([*LEADS, FOREIGN]))
def test_accepted_proposal_never_lowers_the_score(dossier, found, link):
    assume(link.key not in {row.identity.key for row in dossier.accounts})
    named = identify.identify_link(link.canonical)
    row = AccountRow("nour", link.canonical, named, link.channel, id=99, added_at=START)
    site = with_a_site(dossier, *found, link)
    proposed = replace(site, proposals=(Proposal("nour", link, START, NOW, 3),))
    no_lower(
        proposed, put(replace(proposed, accounts=(*proposed.accounts, row)), AccountStatus(99))
    )


# --- a fix of every gap: its rule matches before and not after


CALLED = [
    replace(NOUR, name="Nour Environnement"),  # its user names hold its name
    replace(NOUR, name="Tafsoutine Azilal"),
]
IN_ARABIC = {"Nour Environnement": "نور للبيئة", "Tafsoutine Azilal": "تافسوتين أزيلال"}
NAMES = st.sampled_from([None, *IN_ARABIC, *IN_ARABIC.values(), "Casino Royal Palace", "ⵜⴰⴼⵙⵓⵜⵉⵏ"])
SAYS = NAMES.map(lambda name: {"site_names": name} if name else {})
ACCOUNTS = [row for row in ROWS if row.channel != "website"]
WRONG = {
    "link_malformed": {"website": "www nour", "facebook": "nour agadir !"},
    "wrong_target": {
        "website": "https://nour.example/statuts.pdf",
        "facebook": "https://www.facebook.com/nour/posts/12",
        "twitter": "https://x.com/nour/status/12",
        "linkedin": "https://www.linkedin.com/feed/",
        "youtube": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    },
}
PERSONAL = {
    "facebook": "https://www.facebook.com/groups/nour",
    "linkedin": "https://www.linkedin.com/in/nour",
}
OTHER = {
    "website": "https://casino.example/",
    "facebook": "https://www.facebook.com/casino",
    "twitter": "https://x.com/casino",
    "linkedin": "https://www.linkedin.com/company/casino",
    "youtube": "https://www.youtube.com/@casino",
}
RULES = {rule.code for rule in CONFIG.rules}
FLAWS = {
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


def judged(dossier):
    """Return the gaps that the rules find in a state."""
    now = EvaluationTime(NOW, NOW)
    rule_context = build_rule_context(
        dossier, now, {("facebook", "u:nour"): ("nour", "amal")}, dossier.statuses
    )
    return {
        one.code
        for one in apply_rules(rule_context, CONFIG.rules, load_gap_catalogue())
        if one.rule_match.holds
    }


def put_row(dossier, row, one):
    """Return the state with one account added or replaced."""
    rows = tuple(other for other in dossier.accounts if other.id != row.id)
    return put(replace(dossier, accounts=(*rows, row)), one)


def leading(dossier, old, new):
    """Return the state with sites that link to a new address instead of an old one."""
    at = new.identity
    link = FoundLink(new.channel, at.key, at.canonical, "anchor", LINKS[0][1])
    standings = {
        number: replace(
            one,
            last_known_finding=replace(
                one.last_known_finding, links=tuple(_led(one.last_known_finding.links, old, link))
            ),
        )
        if one.last_known_finding
        else one
        for number, one in dossier.statuses.items()
    }
    return replace(dossier, statuses=standings)


def _led(found, old, link):
    return (
        link if (one.channel, one.key) == (old.channel, old.identity.key) else one for one in found
    )


def typed(row, link):
    return replace(row, typed_text=link, identity=identify.identify_link(link, row.channel))


@st.composite
def seen(draw, row, **given):
    """Draw a present account."""
    facts = st.fixed_dictionaries(
        {"viewport": st.booleans()},
        optional={at: st.booleans() for at in ("https", "contact", "feed")},
    )
    told = {
        "reason": draw(st.sampled_from([None, None, Reason.EMPTY])),
        "name": draw(NAMES),
        "last_activity": draw(DATES),
        "links": tuple(draw(st.lists(st.sampled_from([*LEADS, FOREIGN]), max_size=4)))
        if row.id == 1
        else (),
        "facts": {**draw(facts), **draw(SAYS)} if row.channel == "website" else {},
    } | given
    if told["reason"] is Reason.EMPTY:
        told["last_activity"] = None
    known = Finding(Presence.PRESENT, **told)
    return AccountStatus(
        row.id,
        AccountState.PRESENT,
        known.reason,
        START,
        NOW,
        NOW,
        last_known_finding=known,
        last_activity=known.last_activity,
    )


@st.composite
def presence(draw):
    """Draw an association with at least one account, with any names and dates."""
    rows = tuple(row for row in ROWS if draw(st.booleans())) or ROWS[:1]
    standings = {row.id: draw(st.one_of(held(row), seen(row))) for row in rows}
    return AssociationState(draw(st.sampled_from(CALLED)), rows, standings)


def a_row(draw, *channels):
    return draw(st.sampled_from([row for row in ROWS if row.channel in channels]))


def _lost(draw, dossier, code):
    row = a_row(draw, "website") if code.startswith("website") else draw(st.sampled_from(ACCOUNTS))
    lost = Finding(Presence.ABSENT, LOSSES[code])
    gone = AccountStatus(
        row.id, AccountState.GONE, LOSSES[code], START, NOW, NOW, last_known_finding=lost
    )
    return put_row(dossier, row, gone), put_row(dossier, row, draw(seen(row)))


def _out_of_reach(draw, dossier, code):
    row, reason = ROWS[0], TROUBLES[code]
    trouble = Streak(str(reason), NOW - timedelta(days=9), NOW, 9)
    before = draw(st.one_of(st.just(AccountStatus(1)), seen(row)))
    tonight = replace(
        before,
        failure_streak=trouble,
        checked_at=NOW,
        latest_presence=Presence.UNKNOWN,
        latest_reason=reason,
    )
    return put_row(dossier, row, tonight), put_row(dossier, row, draw(seen(row)))


def _out_of_reach_by_another_cause(draw, dossier, code):
    """The gap is open, and the failure has just changed its cause or an absence is doubted."""
    before, after = _out_of_reach(draw, dossier, code)
    new = Streak(str(draw(st.sampled_from(sorted(UNREACHABLE_REASONS)))), NOW, NOW)
    doubt = {"failure_streak": None, "unconfirmed_streak": replace(new, cause="parked")}
    one = replace(before.statuses[1], **draw(st.sampled_from([{"failure_streak": new}, doubt])))
    row = Gap("nour", "website", code, "high", START, 9, START, subject="nour.example")
    closed = replace(after, gaps=(replace(row, closed_at=NOW),))
    return replace(put(before, one), gaps=(row,)), closed


def _missing(draw, dossier, code):
    row = a_row(draw, "website") if code == "no_website" else draw(st.sampled_from(ACCOUNTS))
    rows = tuple(account for account in dossier.accounts if account.channel != row.channel)
    before = replace(dossier, accounts=rows)
    return before, put_row(before, row, draw(st.one_of(held(row), seen(row))))


def _flawed(draw, dossier, code):
    fact, bad, good = FLAWS[code]
    site = draw(seen(ROWS[0]))
    facts = [site.last_known_finding.facts | {fact: to} for to in (bad, good)]
    sites = [
        replace(site, last_known_finding=replace(site.last_known_finding, facts=one))
        for one in facts
    ]
    if code == "website_no_identity":
        dossier = replace(dossier, association=CALLED[0])
    row = typed(ROWS[0], "https://a.example/") if code == "website_no_identity" else ROWS[0]
    return tuple(put_row(dossier, row, one) for one in sites)


def _silent(draw, dossier, code):
    row = a_row(draw, "website") if code == "website_stale" else draw(st.sampled_from(ACCOUNTS))
    old, new = (
        Activity(NOW - timedelta(days=days), "feed") for days in (draw(st.integers(400, 900)), 1)
    )
    before = draw(seen(row, last_activity=old, reason=None))
    after = replace(
        before,
        last_known_finding=replace(before.last_known_finding, last_activity=new),
        last_activity=new,
    )
    return put_row(dossier, row, before), put_row(dossier, row, after)


def _empty(draw, dossier, _):
    row = draw(st.sampled_from(ACCOUNTS))
    after = draw(seen(row, reason=None, last_activity=draw(DATES)))
    empty = replace(after.last_known_finding, reason=Reason.EMPTY, last_activity=None)
    return put_row(
        dossier, row, replace(after, last_known_finding=empty, last_activity=None)
    ), put_row(dossier, row, after)


def _private(draw, dossier, _):
    row = draw(st.sampled_from(ACCOUNTS))
    after = draw(seen(row))
    shown = draw(st.sampled_from([None, after.last_known_finding.name]))
    shut = replace(after.last_known_finding, reason=Reason.PRIVATE, last_activity=None, name=shown)
    before = replace(after, last_known_finding=shut, last_activity=None)
    return put_row(dossier, row, before), put_row(dossier, row, after)


def _renamed(draw, dossier, code):
    row = ROWS[0] if code == "website_moved" else draw(st.sampled_from(ACCOUNTS))
    new, after = typed(row, OTHER[row.channel]), draw(seen(row, reason=None))
    moved = {"final_url": new.identity.canonical}
    if code == "website_moved":
        moved |= {"facts": after.last_known_finding.facts | {"moved_to": "casino.example"}}
    else:
        moved |= {"reason": Reason.RENAMED}
    before = replace(after, last_known_finding=replace(after.last_known_finding, **moved))
    return put_row(dossier, row, before), put_row(dossier, new, after)


def _personal(draw, dossier, _):
    """A page that takes over the name, date and links of the personal or group account."""
    row = a_row(draw, *PERSONAL)
    personal = typed(row, PERSONAL[row.channel])
    before = draw(st.one_of(st.just(AccountStatus(row.id)), seen(personal)))
    had = before.last_known_finding
    named = {"name": draw(st.sampled_from([None, dossier.association.name]))}
    kept = {"name": had.name, "reason": had.reason} if had else named
    kept |= {"last_activity": had.last_activity} if had and had.last_activity else {}
    after = draw(seen(row, **kept))
    old = put_row(leading(dossier, row, personal), personal, before)
    return old, put_row(leading(old, personal, row), row, after)


def _wrong(draw, dossier, code):
    channel = draw(st.sampled_from(sorted(WRONG[code])))
    row = a_row(draw, channel)
    wrong = typed(row, WRONG[code][channel])
    after = draw(st.one_of(held(row), seen(row)))
    return put_row(dossier, wrong, AccountStatus(row.id)), put_row(dossier, row, after)


def _in_the_wrong_column(draw, dossier, _):
    row = draw(st.sampled_from(ACCOUNTS))
    one = draw(st.one_of(held(row), seen(row)))
    return put_row(dossier, replace(row, column="website"), one), put_row(dossier, row, one)


def _unlisted(draw, dossier, _):
    row = draw(st.sampled_from(ACCOUNTS))
    rows = tuple(one for one in dossier.accounts if one.channel != row.channel)
    link = next(one for one in LEADS if one.key == row.identity.key)
    before = replace(dossier, accounts=rows, proposals=(Proposal("nour", link, START, NOW, 3),))
    refused = Decision(
        "nour", row.channel, DecisionKind.DISOWN, "Amina", "no", START, value=row.identity.key
    )
    if draw(st.booleans()):
        return before, replace(before, decisions=(refused,))
    return before, put_row(before, row, draw(st.one_of(held(row), seen(row))))


def _not_linked(draw, dossier, _):
    row, site = draw(st.sampled_from(ACCOUNTS)), draw(seen(ROWS[0]))
    link = next(one for one in LEADS if one.key == row.identity.key)
    others = tuple(one for one in site.last_known_finding.links if one != link)
    before = put_row(
        dossier,
        ROWS[0],
        replace(site, last_known_finding=replace(site.last_known_finding, links=others)),
    )
    before = put_row(before, row, draw(seen(row)))
    return before, seen_as(before, ROWS[0], links=(*others, link))


def _dead_links(draw, dossier, _):
    row, site = draw(st.sampled_from([ROWS[1], ROWS[2], ROWS[5]])), draw(seen(ROWS[0]))
    numbers = {
        "facebook": "https://www.facebook.com/profile.php?id=12",
        "youtube": "https://www.youtube.com/channel/UCabcdefghijklmnopqrstuv",
    }
    lost = typed(replace(row, id=98), numbers[row.channel])
    dead = FoundLink(
        lost.channel, lost.identity.key, lost.identity.canonical, "anchor", LINKS[0][1]
    )
    gone = Finding(Presence.ABSENT, Reason.NOT_FOUND)
    after = put_row(
        dossier,
        lost,
        AccountStatus(
            98, AccountState.GONE, Reason.NOT_FOUND, START, NOW, NOW, last_known_finding=gone
        ),
    )
    after = put_row(put_row(after, ROWS[0], site), row, draw(seen(row)))
    return seen_as(after, ROWS[0], links=(*site.last_known_finding.links, dead)), after


def _misnamed(draw, dossier, _):
    row = draw(st.sampled_from(ACCOUNTS))
    row = typed(row, OTHER[row.channel])
    before = draw(seen(row, name="Bricolage Services Rapides"))
    after = replace(
        before, last_known_finding=replace(before.last_known_finding, name=dossier.association.name)
    )
    return put_row(dossier, row, before), put_row(dossier, row, after)


def _mixed(draw, dossier, _):
    row = draw(st.sampled_from(ACCOUNTS))
    mixed, one = typed(row, OTHER[row.channel]), draw(seen(row))
    rest = replace(
        dossier, accounts=tuple(each for each in dossier.accounts if each.channel != row.channel)
    )
    other = next(each for each in ACCOUNTS if each.channel != row.channel)
    rest = put_row(rest, other, draw(seen(other)))
    before = put_row(leading(rest, row, mixed), mixed, one)
    return before, put_row(leading(before, mixed, row), row, one)


def _no_way_back(draw, dossier, _):
    row, site = ROWS[3], draw(seen(ROWS[0]))
    told = draw(seen(row, facts={"all_links_resolved": True}))
    home = FoundLink("website", "nour.example", LINKS[0][1], "bio", row.typed_text)
    before = put_row(put_row(dossier, ROWS[0], site), row, told)
    return before, seen_as(before, row, links=(home,))


def _incomplete(_, dossier, __):
    """The added name is the one they show: another would reveal that theirs differ."""
    mine = dossier.association
    whole = replace(mine, name_ar=IN_ARABIC[mine.name], contact_methods=frozenset({"email"}))
    theirs = [
        status.last_known_finding.name
        for status in dossier.statuses.values()
        if status.last_known_finding
    ]
    says = [
        status.last_known_finding.facts.get("site_names")
        for status in dossier.statuses.values()
        if status.last_known_finding
    ]
    assume(not {*theirs, *says} & {*IN_ARABIC.values()} - {whole.name_ar})
    return dossier, replace(dossier, association=whole)


def _duplicate(draw, dossier, _):
    """The removed account has nothing that the remaining one lacks."""
    kept, given_up, main = ROWS[1], ROWS[2], draw(seen(ROWS[1]))
    long_ago = Activity(NOW - timedelta(days=900), "feed")
    less = draw(
        seen(given_up, reason=None, last_activity=long_ago, name=main.last_known_finding.name)
    )
    before = put_row(put_row(dossier, kept, main), given_up, less)
    before = leading(before, given_up, typed(given_up, OTHER["twitter"]))
    return before, replace(
        before, accounts=tuple(row for row in before.accounts if row != given_up)
    )


MENDS = {
    **dict.fromkeys(LOSSES, (_lost,)),
    **dict.fromkeys(
        TROUBLES,
        (
            _out_of_reach,
            _out_of_reach_by_another_cause,
        ),
    ),
    "website_down": (
        _lost,
        _out_of_reach,
        _out_of_reach_by_another_cause,
    ),
    **dict.fromkeys(FLAWS, (_flawed,)),
    **dict.fromkeys(["no_website", "channel_missing"], (_missing,)),
    **dict.fromkeys(["website_stale", "channel_stale"], (_silent,)),
    **dict.fromkeys(["website_moved", "channel_renamed"], (_renamed,)),
    **dict.fromkeys(WRONG, (_wrong,)),
    "channel_empty": (_empty,),
    "channel_private": (_private,),
    "channel_wrong_type": (_personal,),
    "website_is_social": (_in_the_wrong_column,),
    "channel_unlisted": (_unlisted,),
    "channel_not_linked": (_not_linked,),
    "website_broken_links": (_dead_links,),
    "name_mismatch": (_misnamed,),
    "handles_mixed": (_mixed,),
    "channel_no_backlink": (_no_way_back,),
    "registry_incomplete": (_incomplete,),
    "channel_duplicate": (_duplicate,),
}
SHARED = "channel_shared"
"""Settled between two associations: the one that keeps the account keeps its points."""


def test_every_gap_of_a_rule_has_a_fix():
    assert {*MENDS, SHARED} == RULES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "mend"), [(code, mend) for code, mends in sorted(MENDS.items()) for mend in mends]
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_fix_of_a_gap_lowers_the_score(code, mend, data):
    before, after = mend(data.draw, data.draw(presence()), code)
    is_open = {gap.code for gap in before.gaps if gap.closed_at is None}
    assert code in judged(before) | is_open
    no_lower(before, after)


@given(presence(), st.sampled_from(sorted(UNREACHABLE_REASONS)), st.integers(1, 2))
def test_unconfirmed_failure_does_not_lower_the_score(dossier, reason, nights):
    site = dossier.statuses.get(1) or AccountStatus(1)
    trouble = Streak(str(reason), NOW - timedelta(days=nights - 1), NOW, nights)
    assert told(put_row(dossier, ROWS[0], replace(site, failure_streak=trouble))) == told(
        put_row(dossier, ROWS[0], site)
    )


@given(presence(), st.sampled_from(ACCOUNTS))
def test_unreachable_account_neither_earns_nor_costs_points(dossier, row):
    """Unknown results stay out of the fraction, on any channel, however long."""
    alone = replace(
        dossier,
        accounts=tuple(account for account in dossier.accounts if account.channel != row.channel),
    )
    trouble = Streak(str(Reason.TIMEOUT), START, NOW, 30)
    walled = put_row(
        alone,
        row,
        AccountStatus(
            row.id, checked_at=NOW, latest_presence=Presence.UNKNOWN, failure_streak=trouble
        ),
    )
    assert told(walled).known <= told(alone).known
    assert told(walled).earned >= told(alone).earned


def word(kind, channel, row=None, **more):
    account = row.id if row else None
    return Decision("nour", channel, kind, "Amina", "she called", START, account_id=account, **more)


@given(association(), st.none() | st.integers(1, 2000), st.data())
def test_confirmation_never_lowers_the_score(dossier, days, data):
    row = one_of(data, dossier, AccountState.GONE, AccountState.UNKNOWN)
    seen = None if days is None else (START - timedelta(days=days)).date().isoformat()
    no_lower(
        dossier,
        replace(dossier, decisions=(word(DecisionKind.CONFIRM, row.channel, row, value=seen),)),
    )


@given(association(), st.sampled_from([DecisionKind.DISOWN, DecisionKind.MOVED]), st.data())
def test_disowned_or_moved_gone_account_never_lowers_the_score(dossier, kind, data):
    row = one_of(data, dossier, AccountState.GONE)
    no_lower(dossier, replace(dossier, decisions=(word(kind, row.channel, row),)))


@given(association(), st.sampled_from([row.channel for row in ROWS]))
def test_channel_unused_by_choice_never_lowers_the_score(dossier, channel):
    assume(channel not in {row.channel for row in dossier.accounts})
    no_lower(dossier, replace(dossier, decisions=(word(DecisionKind.NONE_BY_CHOICE, channel),)))
