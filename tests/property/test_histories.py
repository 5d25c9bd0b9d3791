"""Properties of every history: no account is reported as gone without an observed absence."""

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from auditor.checking.canaries import find_mass_changes
from auditor.conclusions.reevaluate import reevaluate
from auditor.conclusions.run_results import evaluate_run
from auditor.rules.account_status import UNREACHABLE_REASONS, ConfirmationThresholds
from auditor.rules.association import build_rule_context, evaluate_association
from auditor.rules.association_state import AssociationState, EvaluationTime
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
    ABSENCE_CAUSES,
    ABSENT_FINDING,
    ANSWERED,
    ANY_FINDING,
    BEFORE,
    CHANNELS,
    CONFIG,
    NOUR,
    POLICY,
    PRESENT,
    REFUSED,
    ROWS,
    START,
    UNKNOWN,
    UNREACHABLE,
    SimulatedRun,
    date_runs,
    evaluate_all,
    evaluate_each,
    history,
    partly_unreliable_run,
    simulated_run,
)
from tests.support.mini_network import Small, Web

FEWER_EXAMPLES = settings(max_examples=settings.default.max_examples // 2)
"""For properties whose examples evaluate up to thirty runs."""


def list_absence_gaps(gaps):
    """Return the gaps that ever opened because an account was absent."""
    return [
        gap
        for gap in gaps
        if gap.opened_at and (gap.code, gap.params.get("cause")) in ABSENCE_CAUSES
    ]


def list_known_statuses(state):
    return {id_: status for id_, status in state.statuses.items() if status != AccountStatus(id_)}


# --- unobserved accounts


@FEWER_EXAMPLES
@given(st.lists(partly_unreliable_run(st.one_of(UNKNOWN, PRESENT)), max_size=30))
def test_no_account_is_gone_without_an_observed_absence(runs):
    for state in evaluate_each(runs):
        assert AccountState.GONE not in {status.state for status in state.statuses.values()}
        assert not list_absence_gaps(state.gaps)


@FEWER_EXAMPLES
@given(st.lists(partly_unreliable_run(REFUSED), max_size=30))
def test_unobserved_accounts_open_only_gaps_of_the_registry(runs):
    """Every gap that opens would also open without any observation."""
    unobserved = evaluate_each([replace(run, findings={}) for run in runs])
    for state, alone in zip(evaluate_each(runs), unobserved, strict=True):
        opened, of_registry = (
            [gap for gap in item.gaps if is_gap_open(gap)] for item in (state, alone)
        )
        assert {(gap.code, gap.subject) for gap in opened} <= {
            (gap.code, gap.subject) for gap in of_registry
        }


@FEWER_EXAMPLES
@given(history(ANY_FINDING, 15), st.lists(partly_unreliable_run(UNKNOWN), max_size=15))
def test_inconclusive_runs_change_no_gap_of_an_absence(first_runs, inconclusive_runs):
    first, last = evaluate_all(first_runs), evaluate_all([*first_runs, *inconclusive_runs])
    assert list_absence_gaps(first.gaps) == list_absence_gaps(last.gaps)


# --- unreachable sites

SITE = ROWS[0].id
EMPTY_RUN = SimulatedRun(1, {}, dict.fromkeys([row.id for row in ROWS], 0), frozenset())
SITE_FINDINGS = st.one_of(
    UNREACHABLE, UNREACHABLE, UNREACHABLE, ANSWERED, UNKNOWN, PRESENT, ABSENT_FINDING
)
SITE_RUNS = st.lists(
    st.builds(
        lambda days, unreliable, findings: replace(
            EMPTY_RUN,
            days_until_next=days,
            unreliable_channels=frozenset(unreliable),
            findings=findings,
        ),
        st.integers(1, 3),
        st.sampled_from([(), (), (), ("website",)]),
        st.dictionaries(st.just(SITE), SITE_FINDINGS, min_size=0, max_size=1),
    ),
    max_size=25,
)


def list_unreachable_gaps(state):
    """Return the open gaps of a site that cannot be reached, without those of an absent one."""
    health = ("website_down", "website_insecure")
    opened = [gap for gap in state.gaps if is_gap_open(gap) and gap.code in health]
    return [gap for gap in opened if (gap.code, gap.params["cause"]) not in ABSENCE_CAUSES]


FINDINGS = {
    "T": Finding(Presence.UNKNOWN, Reason.TIMEOUT),
    "S": Finding(Presence.UNKNOWN, Reason.TLS, facts={"tls_error": "expired"}),
    "B": Finding(Presence.UNKNOWN, Reason.BLOCKED, status=403, final_url="https://nour.example/"),
    "R": Finding(Presence.UNKNOWN, Reason.ROBOTS),
    "L": Finding(Presence.ABSENT, Reason.NOT_FOUND, status=404),
}


@pytest.mark.parametrize(
    ("letters", "open_on"),
    [
        ("TTTTBBBB", "...x...."),
        ("SSSSBBBB", "...x...."),
        ("TBBBTBBBT", "........."),
        ("SBBBSBBBS", "........."),
        ("TTRRTRRR", "....xxxx"),
        ("TTTTLRRBRL", "...xxxx..."),
    ],
)
def test_unreachable_site_has_an_open_gap_until_it_responds(letters, open_on):
    """T: timeout, S: bad certificate, B: blocked, R: refused by robots.txt, L: not found."""
    runs = [replace(EMPTY_RUN, findings={SITE: FINDINGS[letter]}) for letter in letters]
    assert (
        "".join("x" if list_unreachable_gaps(state) else "." for state in evaluate_each(runs))
        == open_on
    )


@given(SITE_RUNS, ANSWERED)
def test_response_closes_the_gaps_of_an_unreachable_site(runs, finding):
    run = replace(EMPTY_RUN, findings={SITE: finding})
    assert not list_unreachable_gaps(evaluate_all([*runs, run]))


def list_failure_days(runs):
    """Yield, after each run, the days of consecutive failures of one cause, and the cause."""
    failure_days, cause = [], None
    for started_at, observations, unreliable in date_runs(runs):
        observation = (
            observations[SITE].finding
            if SITE in observations and "website" not in unreliable
            else None
        )
        if (
            observation
            and observation.reason in UNREACHABLE_REASONS
            and observation.presence is Presence.UNKNOWN
        ):
            failure_days, cause = (
                (
                    [*failure_days, started_at.date()]
                    if observation.reason is cause
                    else [started_at.date()]
                ),
                observation.reason,
            )
        elif observation and (observation.presence is not Presence.UNKNOWN or observation.status):
            failure_days, cause = [], None
        yield failure_days, cause


@given(SITE_RUNS)
def test_unreachable_gap_opens_only_after_consecutive_failures_of_one_cause(runs):
    known_openings = set()
    for state, (failure_days, cause) in zip(
        evaluate_each(runs), list_failure_days(runs), strict=True
    ):
        for gap in list_unreachable_gaps(state):
            if (gap.code, gap.opened_at) not in known_openings:
                assert len(failure_days) >= POLICY.catalogue[gap.code].confirm_runs
                assert (failure_days[-1] - failure_days[0]).days >= 3
                assert (gap.code == "website_insecure") is (cause is Reason.TLS)
            known_openings.add((gap.code, gap.opened_at))


@given(st.lists(partly_unreliable_run(st.one_of(ANSWERED, REFUSED)), max_size=30))
def test_site_that_always_responds_has_no_unreachable_gap(runs):
    assert not any(list_unreachable_gaps(state) for state in evaluate_each(runs))


# --- confirmation

CONFIRM = st.builds(
    ConfirmationThresholds,
    failures=st.integers(1, 5),
    days=st.integers(0, 12),
    recoveries=st.integers(1, 3),
)
GONE = [Finding(Presence.ABSENT, reason) for reason in (Reason.NOT_FOUND, Reason.CLOSED)]
PLAIN_FINDINGS = st.sampled_from([Finding(Presence.PRESENT), *GONE])


def is_gone(runs, number, confirm):
    """Return whether an account is gone, computed from its absences since it was last present."""
    absence_days, good_runs, account_is_gone = [], 0, False
    for started_at, observations, unreliable in date_runs(runs):
        observation = observations.get(number)
        if (
            observation is None
            or ROWS[number - 1].channel in unreliable
            or observation.finding.presence is Presence.UNKNOWN
        ):
            continue
        is_present = observation.finding.presence is Presence.PRESENT
        absence_days, good_runs = (
            ([] if is_present else [*absence_days, started_at.date()]),
            (good_runs + 1 if is_present else 0),
        )
        if account_is_gone:
            account_is_gone = good_runs < confirm.recoveries
        else:
            account_is_gone = (
                len(absence_days) >= confirm.failures
                and (absence_days[-1] - absence_days[0]).days >= confirm.days
            )
    return account_is_gone


@given(history(st.one_of(UNKNOWN, PLAIN_FINDINGS), 30), CONFIRM)
def test_account_is_gone_exactly_after_the_configured_absences(runs, confirm):
    state = evaluate_all(runs, rules=replace(POLICY, confirmation_thresholds=confirm))
    for row in ROWS:
        account_is_gone = (
            row.id in state.statuses and state.statuses[row.id].state is AccountState.GONE
        )
        assert account_is_gone is is_gone(runs, row.id, confirm)


@given(history(ANY_FINDING), CONFIRM)
def test_inconclusive_observations_do_not_change_a_status(runs, confirm):
    """Without these observations every status is the same."""
    rules = replace(POLICY, confirmation_thresholds=confirm)

    def is_conclusive(account_id, finding, unreliable):
        return (
            finding.presence is not Presence.UNKNOWN
            and ROWS[account_id - 1].channel not in unreliable
        )

    conclusive_runs = [
        replace(
            run,
            findings={
                account_id: finding
                for account_id, finding in run.findings.items()
                if is_conclusive(account_id, finding, run.unreliable_channels)
            },
        )
        for run in runs
    ]
    complete, reduced = evaluate_all(runs, rules=rules), evaluate_all(conclusive_runs, rules=rules)
    for account_id, status in complete.statuses.items():
        reduced_status = reduced.statuses.get(account_id) or AccountStatus(account_id)
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
            assert getattr(status, field) == getattr(reduced_status, field)


# --- order, repetition, rebuilding


@FEWER_EXAMPLES
@given(history(ANY_FINDING), st.permutations(ROWS))
def test_order_of_accounts_changes_nothing(runs, rows):
    complete, reordered_state = evaluate_all(runs), evaluate_all(runs, rows=tuple(rows))
    assert list_known_statuses(complete) == list_known_statuses(reordered_state)

    def list_gap_times(state):
        return {
            (gap.code, gap.channel, gap.subject, gap.opened_at, gap.closed_at) for gap in state.gaps
        }

    assert list_gap_times(complete) == list_gap_times(reordered_state)


@FEWER_EXAMPLES
@given(history(ANY_FINDING, 15))
def test_evaluating_a_run_twice_changes_no_status(runs):
    for (started_at, observations, unreliable), state in zip(
        date_runs(runs), evaluate_each(runs), strict=True
    ):
        repeated = evaluate_association(
            state, observations, EvaluationTime(started_at, started_at, unreliable), POLICY, {}
        )
        assert repeated.statuses == state.statuses
        assert repeated.proposals == state.proposals
        assert {(gap.subject, gap.opened_at) for gap in list_absence_gaps(repeated.gaps)} == {
            (gap.subject, gap.opened_at) for gap in list_absence_gaps(state.gaps)
        }


def store_history(folder, runs):
    """Return an app whose database has the history, evaluated after each run."""
    store = Store.open(f"sqlite:///{folder}/auditor.db")
    app = Small(CONFIG, store, BodyStore(Path(folder) / "archive"), Web())
    store.registry.save_registry([NOUR], ROWS, BEFORE)
    for started_at, observations, unreliable in date_runs(runs):
        run = store.runs.begin_or_resume(started_at.date(), started_at)
        store.observations.record(
            replace(observation, run_id=run.id) for observation in observations.values()
        )
        # Twice, as after a crash between the conclusions and the end of the run.
        for _ in range(2 if observations else 1):
            evaluate_run(store, CONFIG, run, unreliable)
        store.runs.finish(
            run,
            AuditRunState.DONE,
            started_at + timedelta(hours=22),
            unreliable_channels=sorted(unreliable),
        )
    return app


def slow(examples):
    """Return settings for slow properties: few examples, and no shrinking."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    return settings(
        max_examples=examples, phases=phases, suppress_health_check=[HealthCheck.too_slow]
    )


CONSENT_PAGE = Finding(Presence.UNKNOWN, Reason.CONSENT)
"""A first finding that leaves the status of an account as it is before any run."""


@pytest.mark.slow
@slow(8)
@given(history(ANY_FINDING, 12))
@example([replace(EMPTY_RUN, findings={SITE: CONSENT_PAGE})])
def test_reevaluation_equals_the_evaluation_of_each_run(runs):
    with tempfile.TemporaryDirectory() as folder:
        app = store_history(folder, runs)
        changes, statuses = (
            reevaluate(app).changes,
            list(app.store.statuses.list_account_statuses()),
        )
        app.store.close()
    assert changes == []
    assert statuses == (
        [status for _, status in sorted(evaluate_all(runs).statuses.items())] if runs else []
    )


# --- decisions

KINDS = st.sampled_from(DecisionKind)
DECISIONS = st.builds(
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


def build_visible_state(state, now):
    """Return what rules and reports see at a time."""
    context = build_rule_context(state, EvaluationTime(now, now), {})
    return (
        [(account.row.id, account.status) for account in context.accounts],
        context.none_by_choice,
        context.moved_channels,
    )


@FEWER_EXAMPLES
@given(history(ANY_FINDING), st.lists(DECISIONS, max_size=4))
def test_ended_decision_has_no_effect(runs, decisions):
    """It may have expired or been withdrawn: the evaluation sees only an end."""
    with_decisions, without = evaluate_all(runs, decisions=tuple(decisions)), evaluate_all(runs)
    assert with_decisions.statuses == without.statuses
    ended = max([START, *(decision.expires_at for decision in decisions)])
    assert build_visible_state(with_decisions, ended) == build_visible_state(without, ended)


# --- unreliable channels


@given(history(ANY_FINDING, 12), simulated_run(ANY_FINDING), st.sampled_from(CHANNELS))
def test_unreliable_channel_changes_nothing_on_other_channels(runs, run, unreliable):
    """On other channels everything is as with a reliable channel, or as before."""
    old_state = evaluate_all(runs)
    with_reliable, with_unreliable = (
        evaluate_all([*runs, replace(run, unreliable_channels=frozenset(channels))])
        for channels in ((), (unreliable,))
    )
    for row in ROWS:
        status, reliable_status = (
            state.statuses.get(row.id) or AccountStatus(row.id)
            for state in (with_unreliable, with_reliable)
        )
        if row.channel != unreliable:
            assert status == reliable_status
        else:
            assert status.state is old_state.statuses.get(row.id, AccountStatus(row.id)).state
    for gap in with_unreliable.gaps:
        if gap not in old_state.gaps:
            assert gap.channel != unreliable
            assert _list_changes(gap, old_state) <= _list_changes(gap, with_reliable)


def _list_changes(gap, state):
    """Return whether a gap opened or closed, as names of its times."""
    gap_key = (gap.code, gap.channel, gap.subject, gap.first_seen)
    rows = [
        row for row in state.gaps if (row.code, row.channel, row.subject, row.first_seen) == gap_key
    ]
    return {name for row in rows for name in ("opened_at", "closed_at") if getattr(row, name)}


WALLS = st.sampled_from([Reason.LOGIN_WALL, Reason.ROBOTS, Reason.SCRIPT_ONLY, Reason.RATE_LIMITED])
MANY = [
    replace(ROWS[3], id=number, typed_text=f"https://x.com/n{number}") for number in range(1, 41)
]


def observe_walls(day, walls):
    """Return the observations of a day. From the second day on every account is behind a wall."""
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
def test_lasting_wall_makes_its_channel_unreliable_in_its_first_run_at_most(walls, runs):
    state, unreliable = AssociationState(NOUR, tuple(MANY[: len(walls)])), []
    for day in range(runs):
        observations, started_at = observe_walls(day, walls), START + timedelta(days=day)
        statuses = [state.statuses.get(id_) or AccountStatus(id_) for id_ in observations]
        changes = [
            ("twitter", status, observations[status.account_id].finding) for status in statuses
        ]
        unreliable.append(frozenset(find_mass_changes(changes)))
        state = evaluate_association(
            state, observations, EvaluationTime(started_at, started_at, unreliable[-1]), POLICY, {}
        )
    assert not any(unreliable[2:])
    assert {status.state for status in state.statuses.values()} == {AccountState.PRESENT}
