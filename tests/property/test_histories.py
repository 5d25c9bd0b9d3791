"""What holds of every history, however the nights went: nobody is accused of what nobody could see."""

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from auditor.checking.canaries import RunChange, find_mass_changes
from auditor.evaluation.reevaluate import reevaluate
from auditor.evaluation.run_results import evaluate_run
from auditor.rules.account_status import UNREACHABLE_REASONS, ConfirmationThresholds
from auditor.rules.association import (
    AssociationState,
    EvaluationTime,
    build_rule_context,
    evaluate_association,
)
from auditor.rules.engine import is_gap_open
from probes.models.finding import Finding, Presence, Reason
from storage.files.body_store import BodyStore
from storage.models.audit import (
    AccountState,
    AccountStatus,
    AuditRunState,
    Decision,
    DecisionKind,
    Observation,
)
from storage.store import Store
from tests.support.histories import (
    ANSWERED,
    ANY,
    BEFORE,
    CAUSES,
    CHANNELS,
    CONFIG,
    LOST,
    NOUR,
    POLICY,
    REFUSED,
    ROWS,
    SEEN,
    START,
    TROUBLED,
    UNKNOWN,
    Tonight,
    dated,
    hidden,
    history,
    last,
    night,
    play,
)
from tests.support.mini_network import Small, Web


def accusations(gaps):
    """The gaps that were ever opened because an account was absent."""
    return [gap for gap in gaps if gap.opened_at and (gap.code, gap.params.get("cause")) in CAUSES]


def standings(dossier):
    return {number: one for number, one in dossier.statuses.items() if one != AccountStatus(number)}


# --- who cannot be seen is not accused


@given(st.lists(hidden(st.one_of(UNKNOWN, SEEN)), max_size=30))
def test_no_history_without_a_seen_absence_makes_anybody_gone_or_accused(nights):
    for dossier in play(nights):
        assert AccountState.GONE not in {one.state for one in dossier.statuses.values()}
        assert not accusations(dossier.gaps)


@given(st.lists(hidden(REFUSED), max_size=30))
def test_of_whom_nothing_was_ever_seen_the_registry_alone_tells(nights):
    """Not even that a site is down: every gap that opens would have opened without a single look."""
    unlooked = play([replace(one, findings={}) for one in nights])
    for dossier, alone in zip(play(nights), unlooked, strict=True):
        opened, of_registry = (
            [gap for gap in one.gaps if is_gap_open(gap)] for one in (dossier, alone)
        )
        assert {(gap.code, gap.subject) for gap in opened} <= {
            (gap.code, gap.subject) for gap in of_registry
        }


@given(history(ANY, 15), st.lists(hidden(UNKNOWN), max_size=15))
def test_what_was_believed_before_the_walls_went_up_is_believed_after(before, walled):
    first, after = last(before), last([*before, *walled])
    for number, standing in first.statuses.items():
        later = after.statuses[number]
        assert (later.state, later.reason, later.since, later.unconfirmed_streak) == (
            *(standing.state, standing.reason, standing.since),
            standing.unconfirmed_streak,
        )
    assert accusations(first.gaps) == accusations(after.gaps)


# --- a site that answers is not down

SITE = ROWS[0].id
QUIET = Tonight(1, {}, dict.fromkeys([row.id for row in ROWS], 0), frozenset())
NIGHTLY = st.one_of(TROUBLED, TROUBLED, TROUBLED, ANSWERED, UNKNOWN, SEEN, LOST)
OF_A_SITE = st.lists(
    st.builds(
        lambda days, blind, seen: replace(QUIET, days=days, blind=frozenset(blind), findings=seen),
        st.integers(1, 3),
        st.sampled_from([(), (), (), ("website",)]),
        st.dictionaries(st.just(SITE), NIGHTLY, min_size=0, max_size=1),
    ),
    max_size=25,
)


def ailing(dossier):
    """The open gaps that tell of a site nobody can reach, and not of one that is gone."""
    health = ("website_down", "website_insecure")
    opened = [gap for gap in dossier.gaps if is_gap_open(gap) and gap.code in health]
    return [gap for gap in opened if (gap.code, gap.params["cause"]) not in CAUSES]


LOOKS = {
    "T": Finding(Presence.UNKNOWN, Reason.TIMEOUT),
    "S": Finding(Presence.UNKNOWN, Reason.TLS, facts={"tls_error": "expired"}),
    "B": Finding(Presence.UNKNOWN, Reason.BLOCKED, status=403, final_url="https://nour.example/"),
    "R": Finding(Presence.UNKNOWN, Reason.ROBOTS),
    "L": Finding(Presence.ABSENT, Reason.NOT_FOUND, status=404),
}


@pytest.mark.parametrize(
    ("looks", "open_on"),
    [
        ("TTTTBBBB", "...x...."),
        ("SSSSBBBB", "...x...."),
        ("TBBBTBBBT", "........."),
        ("SBBBSBBBS", "........."),
        ("TTRRTRRR", "....xxxx"),
        ("TTTTLRRBRL", "...xxxx..."),
    ],
)
def test_a_trouble_to_reach_a_site_is_told_while_no_night_had_its_answer(looks, open_on):
    """T: no answer in time, S: a bad certificate, B: a wall, R: we refused ourselves, L: not found."""
    nights = [replace(QUIET, findings={SITE: LOOKS[one]}) for one in looks]
    assert "".join("x" if ailing(dossier) else "." for dossier in play(nights)) == open_on


@given(OF_A_SITE, ANSWERED)
def test_a_night_on_which_a_site_answered_closes_what_told_that_it_cannot_be_reached(
    nights, answer
):
    tonight = replace(QUIET, findings={SITE: answer})
    assert not ailing(last([*nights, tonight]))


def fits(code, cause):
    """Whether a trouble of this cause is what a gap of this code tells of."""
    return (code == "website_insecure") is (cause is Reason.TLS)


def strings(nights):
    """After each night: the dates on which a site failed since it last answered, for one cause, and that."""
    run, cause = [], None
    for began, seen, blind in dated(nights):
        look = seen[SITE].finding if SITE in seen and "website" not in blind else None
        if look and look.reason in UNREACHABLE_REASONS and look.presence is Presence.UNKNOWN:
            run, cause = (
                ([*run, began.date()] if look.reason is cause else [began.date()]),
                look.reason,
            )
        elif look and (look.presence is not Presence.UNKNOWN or look.status):
            run, cause = [], None
        yield run, cause


@given(OF_A_SITE)
def test_no_gap_of_health_opens_but_for_one_cause_on_nights_without_an_answer_between(nights):
    known = set()
    for dossier, (run, cause) in zip(play(nights), strings(nights), strict=True):
        for gap in ailing(dossier):
            if (gap.code, gap.opened_at) not in known:
                assert len(run) >= POLICY.catalogue[gap.code].confirm_runs
                assert (run[-1] - run[0]).days >= 3
                assert fits(gap.code, cause)
            known.add((gap.code, gap.opened_at))


@given(st.lists(hidden(st.one_of(ANSWERED, REFUSED)), max_size=30))
def test_a_site_that_never_failed_to_answer_is_in_no_trouble(nights):
    assert not any(ailing(dossier) for dossier in play(nights))


# --- how much it takes

CONFIRM = st.builds(
    ConfirmationThresholds,
    failures=st.integers(1, 5),
    days=st.integers(0, 12),
    back=st.integers(1, 3),
)
GONE = [Finding(Presence.ABSENT, reason) for reason in (Reason.NOT_FOUND, Reason.CLOSED)]
PLAIN = st.sampled_from([Finding(Presence.PRESENT), *GONE])


def believed(nights, number, confirm):
    """Whether an account is gone, told another way: by the run of absences since it was last well."""
    run, good, gone = [], 0, False
    for began, seen, blind in dated(nights):
        look = seen.get(number)
        if (
            look is None
            or ROWS[number - 1].channel in blind
            or look.finding.presence is Presence.UNKNOWN
        ):
            continue
        there = look.finding.presence is Presence.PRESENT
        run, good = ([] if there else [*run, began.date()]), (good + 1 if there else 0)
        if gone:
            gone = good < confirm.back
        else:
            gone = len(run) >= confirm.failures and (run[-1] - run[0]).days >= confirm.days
    return gone


@given(history(st.one_of(UNKNOWN, PLAIN), 30), CONFIRM)
def test_an_account_is_gone_after_so_many_absences_over_so_many_days_and_never_before(
    nights, confirm
):
    told = last(nights, rules=replace(POLICY, confirmation_thresholds=confirm))
    for row in ROWS:
        gone = row.id in told.statuses and told.statuses[row.id].state is AccountState.GONE
        assert gone is believed(nights, row.id, confirm)


@given(history(ANY), CONFIRM)
def test_nights_that_told_nothing_leave_no_trace_in_what_is_held_true(nights, confirm):
    """As if they had not been: their looks are taken out, and every standing is the same."""
    rules = replace(POLICY, confirmation_thresholds=confirm)

    def told(at, one, blind):
        return one.presence is not Presence.UNKNOWN and ROWS[at - 1].channel not in blind

    bare = [
        replace(
            one,
            findings={
                at: found for at, found in one.findings.items() if told(at, found, one.blind)
            },
        )
        for one in nights
    ]
    whole, without = last(nights, rules=rules), last(bare, rules=rules)
    for number, standing in whole.statuses.items():
        other = without.statuses.get(number) or AccountStatus(number)
        for field in (
            "state",
            "reason",
            "since",
            "unconfirmed_streak",
            "last_known_finding",
            "decided_at",
            "platform_id",
            "other_account_streak",
        ):
            assert getattr(standing, field) == getattr(other, field)


# --- order, repetition, rebuilding


@given(history(ANY), st.permutations(ROWS))
def test_the_order_of_accounts_changes_nothing(nights, rows):
    one, other = last(nights), last(nights, rows=tuple(rows))
    assert standings(one) == standings(other)

    def told(dossier):
        return {
            (gap.code, gap.channel, gap.subject, gap.opened_at, gap.closed_at)
            for gap in dossier.gaps
        }

    assert told(one) == told(other)


@given(history(ANY, 15))
def test_a_night_that_is_folded_again_changes_nothing_that_is_held_true(nights):
    for (began, seen, blind), after in zip(dated(nights), play(nights), strict=True):
        again = evaluate_association(after, seen, EvaluationTime(began, began, blind), POLICY, {})
        assert again.statuses == after.statuses
        assert again.proposals == after.proposals
        assert {(gap.subject, gap.opened_at) for gap in accusations(again.gaps)} == {
            (gap.subject, gap.opened_at) for gap in accusations(after.gaps)
        }


def kept(folder, nights):
    """The same history in a database, concluded night by night."""
    store = Store.open(f"sqlite:///{folder}/auditor.db")
    app = Small(CONFIG, store, BodyStore(Path(folder) / "archive"), Web())
    store.save_registry([NOUR], ROWS, BEFORE)
    for began, seen, blind in dated(nights):
        begun = store.begin_run(began.date(), began)
        store.record_observations(replace(look, run_id=begun.id) for look in seen.values())
        for _ in range(
            2 if seen else 1
        ):  # as after a death between the conclusions and the night's end
            evaluate_run(store, CONFIG, begun, blind)
        store.finish_run(
            begun,
            AuditRunState.DONE,
            began + timedelta(hours=22),
            unreliable_channels=sorted(blind),
        )
    return app


def slow(examples):
    """Settings for a property of whole databases: few examples, and no hours spent on making one smaller."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    return settings(
        max_examples=examples, phases=phases, suppress_health_check=[HealthCheck.too_slow]
    )


@pytest.mark.slow
@slow(8)
@given(history(ANY, 12))
def test_a_rebuild_is_what_was_concluded_night_by_night(nights):
    with tempfile.TemporaryDirectory() as folder:
        app = kept(folder, nights)
        changes, after = reevaluate(app).changes, list(app.store.list_account_statuses())
        app.store.close()
    assert changes == []
    assert after == ([told for _, told in sorted(last(nights).statuses.items())] if nights else [])


@pytest.mark.slow
@slow(6)
@given(st.lists(hidden(st.one_of(UNKNOWN, SEEN)), max_size=12))
def test_no_rebuild_accuses_anybody_of_what_was_not_seen(nights):
    with tempfile.TemporaryDirectory() as folder:
        app = kept(folder, nights)
        reevaluate(app)
        gaps, states = (
            list(app.store.list_gaps()),
            {one.state for one in app.store.list_account_statuses()},
        )
        app.store.close()
    assert not accusations(gaps)
    assert AccountState.GONE not in states


# --- people's words

KINDS = st.sampled_from(DecisionKind)
WORDS = st.builds(
    lambda kind, row, day, days, channel_wide, value: Decision(
        "nour",
        row.channel,
        kind,
        "Amina",
        "she called",
        START + timedelta(days=day),
        expires_at=START + timedelta(days=day + days),
        account_id=None if channel_wide else row.id,
        value=value,
    ),
    KINDS,
    st.sampled_from(ROWS),
    st.integers(0, 40),
    st.integers(0, 40),
    st.booleans(),
    st.sampled_from([None, "2026-02-20"]),
)


def judged(dossier, now):
    """What any face and rule would see at a moment."""
    told = build_rule_context(dossier, EvaluationTime(now, now), {})
    return (
        [(held.row.id, held.status) for held in told.accounts],
        told.none_by_choice,
        told.moved_channels,
    )


@given(history(ANY), st.lists(WORDS, max_size=4))
def test_a_word_that_has_ended_leaves_what_observations_alone_give(nights, words):
    """Whether it expired or was withdrawn: to the fold both are an end."""
    with_words, without = last(nights, decisions=tuple(words)), last(nights)
    assert with_words.statuses == without.statuses
    ended = max([START, *(word.expires_at for word in words)])
    assert judged(with_words, ended) == judged(without, ended)


# --- blindness


@given(history(ANY, 12), night(ANY), st.sampled_from(CHANNELS))
def test_the_blindness_of_one_channel_moves_nothing_on_another(nights, tonight, blind):
    """Elsewhere everything is as it would have been with open eyes, or as it was before."""
    before = last(nights)
    seeing, unseeing = (
        last([*nights, replace(tonight, blind=frozenset(eyes))]) for eyes in ((), (blind,))
    )
    for row in ROWS:
        one, other = (
            seen.statuses.get(row.id) or AccountStatus(row.id) for seen in (unseeing, seeing)
        )
        if row.channel != blind:
            assert one == other
        else:
            assert one.state is before.statuses.get(row.id, AccountStatus(row.id)).state
    for gap in unseeing.gaps:
        if gap not in before.gaps:
            assert gap.channel != blind
            assert _moved(gap, before) <= _moved(gap, seeing)


def _moved(gap, dossier):
    """What has happened to a gap in a dossier: opened, closed."""
    at = (gap.code, gap.channel, gap.subject, gap.first_seen)
    rows = [
        row for row in dossier.gaps if (row.code, row.channel, row.subject, row.first_seen) == at
    ]
    return {name for row in rows for name in ("opened_at", "closed_at") if getattr(row, name)}


WALLS = st.sampled_from([Reason.LOGIN_WALL, Reason.ROBOTS, Reason.SCRIPT_ONLY, Reason.RATE_LIMITED])
MANY = [replace(ROWS[3], id=number, typed_text=f"https://x.com/n{number}") for number in range(1, 41)]


def walled(day, walls):
    """The looks of one night: everybody is seen on the first, and meets the same wall on all the others."""
    return {
        number: Observation(
            number,
            day,
            START + timedelta(days=day),
            Finding(Presence.UNKNOWN, wall, status=200) if day else Finding(Presence.PRESENT),
        )
        for number, wall in enumerate(walls, start=1)
    }


@given(st.lists(WALLS, min_size=5, max_size=len(MANY)), st.integers(2, 20))
def test_a_wall_that_stays_blinds_its_channel_on_its_first_night_at_most(walls, nights):
    dossier, blind = AssociationState(NOUR, tuple(MANY[: len(walls)])), []
    for day in range(nights):
        seen, began = walled(day, walls), START + timedelta(days=day)
        held = [dossier.statuses.get(at) or AccountStatus(at) for at in seen]
        turns = (RunChange("twitter", one, seen[one.account_id].finding) for one in held)
        blind.append(frozenset(find_mass_changes(turns)))
        dossier = evaluate_association(
            dossier, seen, EvaluationTime(began, began, blind[-1]), POLICY, {}
        )
    assert not any(blind[2:])
    assert {one.state for one in dossier.statuses.values()} == {AccountState.PRESENT}
