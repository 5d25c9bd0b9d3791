"""Mending: whatever trouble an association removes, its score and level never fall.

Each mend takes one trouble out of what is held of an association, as a night, an import or a person's word
would do; the score before and after is that of the report.
"""

from dataclasses import replace
from datetime import timedelta

from histories import CONFIG, LINKS, NOUR, ROWS, START
from hypothesis import assume, given
from hypothesis import strategies as st

from auditor.score import LEVELS
from auditor.settle import Dossier, Moment, owners_of
from auditor.view import view
from probes import links
from probes.model import Activity, Finding, FoundLink, Presence, Reason
from storage.model import AccountRow, Decision, DecisionKind, Proposal, Standing, State

NOW = START + timedelta(days=30)
RANKS = {name: rank for rank, (_, name) in enumerate(reversed(LEVELS))}
HEALTH = ("https", "contact", "viewport", "feed")
LEADS = [
    FoundLink(row.channel, row.identity.key, row.identity.canonical, "anchor", LINKS[0][1])
    for row in ROWS[1:]
]
FOREIGN = FoundLink("youtube", "@amal", "https://www.youtube.com/@amal", "anchor", LINKS[0][1])

DATES = st.none() | st.integers(0, 900).map(lambda days: Activity(NOW - timedelta(days=days), "feed"))


@st.composite
def held(draw, row):
    """What is held true of one account: never looked at, walled, present in any health, doubted, gone."""
    state = draw(st.sampled_from(State))
    seen = Finding(
        Presence.PRESENT,
        draw(st.sampled_from([None, None, Reason.EMPTY, Reason.PRIVATE, Reason.RENAMED])),
        last_activity=draw(DATES),
        links=tuple(draw(st.lists(st.sampled_from([*LEADS, FOREIGN]), max_size=4))) if row.id == 1 else (),
        facts=draw(st.fixed_dictionaries({}, optional={fact: st.booleans() for fact in HEALTH})),
    )
    if state is State.GONE:
        lost = Finding(Presence.ABSENT, Reason.NOT_FOUND)
        return Standing(row.id, state, Reason.NOT_FOUND, START, NOW, NOW, known=lost)
    if state is State.UNKNOWN:
        return Standing(row.id, checked_at=NOW, latest=Presence.UNKNOWN, latest_reason=Reason.LOGIN_WALL)
    newest = None if seen.reason is Reason.EMPTY else seen.last_activity
    return Standing(row.id, state, seen.reason, START, NOW, NOW, known=seen, last_activity=newest)


@st.composite
def association(draw):
    """Everything held of an association: some of the accounts, some proposals."""
    rows = tuple(row for row in ROWS if draw(st.booleans()))
    found = draw(st.sets(st.sampled_from([*LEADS, FOREIGN]), max_size=2)) if ROWS[0] in rows else ()
    proposals = tuple(Proposal("nour", one, START, NOW, 3) for one in sorted(found, key=str))
    return Dossier(NOUR, rows, {row.id: draw(held(row)) for row in rows}, proposals)


def told(dossier):
    """The score of a report."""
    return view(dossier, CONFIG, Moment(NOW, NOW), owners_of(dossier.accounts, NOW)).score


def no_lower(before, after):
    one, other = told(before), told(after)
    assert other.low >= one.low
    if one.percent is not None and other.percent is not None:
        assert other.percent >= one.percent
        assert RANKS[other.level] >= RANKS[one.level]


def standing(dossier, row):
    return dossier.standings[row.id]


def put(dossier, changed):
    return replace(dossier, standings={**dossier.standings, changed.account_id: changed})


def seen_as(dossier, row, **more):
    """The same, with another thing seen of one present account."""
    one = standing(dossier, row)
    known = replace(one.known, **more)
    newest = known.last_activity or one.last_activity
    return put(dossier, replace(one, known=known, reason=known.reason, last_activity=newest))


def one_of(data, dossier, *states):
    rows = [row for row in dossier.accounts if standing(dossier, row).state in states]
    assume(rows)
    return data.draw(st.sampled_from(rows))


@given(association(), st.data())
def test_an_account_that_is_there_again_lowers_nothing(dossier, data):
    row = one_of(data, dossier, State.GONE)
    back = data.draw(held(row).filter(lambda one: one.state is State.PRESENT))
    links_kept = replace(back, known=replace(back.known, links=()))
    for after in (back, links_kept):
        no_lower(dossier, put(dossier, after))


def with_a_site(dossier, *found):
    """The same with a site that was read and leads to these accounts."""
    rows = dossier.accounts if ROWS[0] in dossier.accounts else (ROWS[0], *dossier.accounts)
    known = Finding(Presence.PRESENT, links=found, facts={"viewport": True})
    site = Standing(1, State.PRESENT, None, START, NOW, NOW, Presence.PRESENT, known=known)
    return put(replace(dossier, accounts=rows), site)


LED = st.sets(st.sampled_from(range(len(LEADS))), max_size=4).map(
    lambda at: [LEADS[one] for one in sorted(at)]
)


@given(association(), LED, st.sampled_from(LEADS))
def test_a_link_from_the_site_lowers_nothing(dossier, found, added):
    no_lower(with_a_site(dossier, *found), with_a_site(dossier, *found, added))


@given(association(), st.sampled_from(HEALTH), st.data())
def test_a_healthy_site_lowers_nothing(dossier, fact, data):
    row = one_of(data, dossier, State.PRESENT)
    known = standing(dossier, row).known
    no_lower(dossier, seen_as(dossier, row, facts={**known.facts, fact: True}))


@given(association(), st.data())
def test_a_new_publication_lowers_nothing(dossier, data):
    row = one_of(data, dossier, State.PRESENT)
    reason = standing(dossier, row).known.reason
    fresh = Activity(NOW - timedelta(days=1), "feed")
    reason = None if reason is Reason.EMPTY else reason
    no_lower(dossier, seen_as(dossier, row, last_activity=fresh, reason=reason))


@given(association(), st.data())
def test_an_account_on_a_channel_that_had_none_lowers_nothing(dossier, data):
    missing = [row for row in ROWS if row.channel not in {one.channel for one in dossier.accounts}]
    assume(missing)
    row, dossier = data.draw(st.sampled_from(missing)), replace(dossier, proposals=())
    rows = replace(dossier, accounts=(*dossier.accounts, row))
    for one in (Standing(row.id), data.draw(held(row).filter(lambda one: one.state is State.PRESENT))):
        no_lower(dossier, put(rows, one))


@given(association(), LED, st.sampled_from([*LEADS, FOREIGN]))
def test_a_proposal_that_is_accepted_lowers_nothing(dossier, found, link):
    assume(link.key not in {row.identity.key for row in dossier.accounts})
    named = links.identify(link.canonical)
    row = AccountRow("nour", link.canonical, named, link.channel, id=99, added_at=START)
    site = with_a_site(dossier, *found, link)
    proposed = replace(site, proposals=(Proposal("nour", link, START, NOW, 3),))
    no_lower(proposed, put(replace(proposed, accounts=(*proposed.accounts, row)), Standing(99)))


def word(kind, channel, row=None, **more):
    account = row.id if row else None
    return Decision("nour", channel, kind, "Amina", "she called", START, account_id=account, **more)


@given(association(), st.none() | st.integers(1, 2000), st.data())
def test_what_a_person_attests_lowers_nothing(dossier, days, data):
    row = one_of(data, dossier, State.GONE, State.UNKNOWN)
    seen = None if days is None else (START - timedelta(days=days)).date().isoformat()
    no_lower(dossier, replace(dossier, decisions=(word(DecisionKind.ATTEST, row.channel, row, value=seen),)))


@given(association(), st.sampled_from([DecisionKind.NOT_OURS, DecisionKind.MOVED]), st.data())
def test_a_lost_account_that_is_not_theirs_or_elsewhere_lowers_nothing(dossier, kind, data):
    row = one_of(data, dossier, State.GONE)
    no_lower(dossier, replace(dossier, decisions=(word(kind, row.channel, row),)))


@given(association(), st.sampled_from([row.channel for row in ROWS]))
def test_doing_without_a_channel_lowers_nothing(dossier, channel):
    assume(channel not in {row.channel for row in dossier.accounts})
    no_lower(dossier, replace(dossier, decisions=(word(DecisionKind.NONE_BY_CHOICE, channel),)))
