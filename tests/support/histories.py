"""Random histories of one association: missing runs, missing accounts, unreliable channels.

They are evaluated with the rules of the packaged config.toml. A run may find anything that a probe
may return.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from auditor.conclusions.run_results import build_evaluation_policy
from auditor.config.schema import find_packaged_config, load_config
from auditor.rules.account_status import ANSWERED_REASONS, UNREACHABLE_REASONS
from auditor.rules.association import evaluate_association
from auditor.rules.association_state import AssociationState, EvaluationTime
from auditor.rules.observation_checks import AbsentRule
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from storage.models.audit import AccountRow, Association, Observation

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
BEFORE = START - timedelta(days=1)
CONFIG = load_config(find_packaged_config(), {})
POLICY = build_evaluation_policy(CONFIG)
NOUR = Association("nour", "Nour")
LINKS = (
    ("website", "https://nour.example/"),
    ("facebook", "https://www.facebook.com/nour"),
    ("facebook", "https://www.facebook.com/nour.agadir"),
    ("twitter", "https://x.com/nour"),
    ("linkedin", "https://www.linkedin.com/company/nour"),
    ("youtube", "https://www.youtube.com/@nour"),
)
ROWS = tuple(
    AccountRow(
        "nour", link, identify.identify_link(link, channel), channel, id=number, added_at=BEFORE
    )
    for number, (channel, link) in enumerate(LINKS, start=1)
)
CHANNELS = sorted({row.channel for row in ROWS})
ABSENT_RULES = [rule for rule in POLICY.rules if isinstance(rule, AbsentRule)]
ABSENCE_CAUSES = {(rule.code, str(reason)) for rule in ABSENT_RULES for reason in rule.reasons}
ABSENCE_REASONS = sorted({reason for rule in ABSENT_RULES for reason in rule.reasons})


@dataclass(frozen=True)
class SimulatedRun:
    """A run: the days until the next one, findings and hours by account id, unreliable channels."""

    days_until_next: int
    findings: dict[int, Finding]
    hours: dict[int, int]
    unreliable_channels: frozenset[str]


UNKNOWN = st.builds(
    Finding,
    st.just(Presence.UNKNOWN),
    st.sampled_from(Reason),
    facts=st.sampled_from([{}, {"tls_error": "expired"}]),
)
REFUSED = UNKNOWN.filter(lambda finding: finding.reason not in UNREACHABLE_REASONS)
ANSWERED = st.builds(
    Finding,
    st.just(Presence.UNKNOWN),
    st.sampled_from(sorted(ANSWERED_REASONS)),
    status=st.sampled_from([200, 401, 403, 429]),
    final_url=st.just("https://nour.example/"),
)
"""Of a server that responded over HTTPS with a valid certificate, without a conclusive page."""
UNREACHABLE = st.builds(
    Finding,
    st.just(Presence.UNKNOWN),
    st.sampled_from(sorted(UNREACHABLE_REASONS)),
    facts=st.sampled_from([{}, {"tls_error": "expired"}]),
)
ABSENT_FINDING = st.builds(
    Finding,
    st.just(Presence.ABSENT),
    st.sampled_from(ABSENCE_REASONS),
    name=st.sampled_from([None, "x"]),
)
ACTIVITIES = st.builds(
    Activity, st.integers(-900, 20).map(lambda day: START + timedelta(days=day)), st.just("feed")
)
FOUND_LINKS = st.lists(
    st.sampled_from(
        [
            FoundLink(row.channel, row.identity.key, row.typed_text, "anchor", ROWS[0].typed_text)
            for row in (
                *ROWS[1:],
                replace(ROWS[5], identity=identify.identify_link("https://www.youtube.com/@amal")),
            )
        ]
    ),
    max_size=3,
).map(tuple)
FACTS = st.fixed_dictionaries(
    {},
    optional={name: st.booleans() for name in ("https", "viewport", "contact", "feed", "noindex")},
)
PRESENT = st.builds(
    Finding,
    st.just(Presence.PRESENT),
    st.sampled_from([None, None, Reason.EMPTY, Reason.PRIVATE, Reason.RENAMED]),
    platform_id=st.sampled_from([None, "11", "99"]),
    name=st.sampled_from([None, "Nour", "Casino"]),
    last_activity=st.none() | ACTIVITIES,
    links=FOUND_LINKS,
    facts=FACTS,
)
ANY_FINDING = st.one_of(UNKNOWN, PRESENT, ABSENT_FINDING, ANSWERED, UNREACHABLE)


UNRELIABLE_CHANNELS = st.sets(st.sampled_from(CHANNELS), max_size=2).map(frozenset)


def simulated_run(finding):
    """Draw a run of such findings. Accounts may be missing, as in an interrupted run."""
    return st.builds(
        SimulatedRun,
        st.integers(1, 5),
        st.dictionaries(st.sampled_from(range(1, len(ROWS) + 1)), finding, max_size=len(ROWS)),
        st.fixed_dictionaries({row.id: st.integers(0, 20) for row in ROWS}),
        UNRELIABLE_CHANNELS,
    )


@st.composite
def partly_unreliable_run(draw, finding):
    """Draw a run of such findings, and of any findings on its unreliable channels."""
    run = draw(simulated_run(finding))
    findings = dict(run.findings)
    for account_id in findings:
        if ROWS[account_id - 1].channel in run.unreliable_channels:
            findings[account_id] = draw(ANY_FINDING)
    return replace(run, findings=findings)


def history(finding, max_size=25):
    return st.lists(simulated_run(finding), max_size=max_size)


def date_runs(runs):
    """Yield the start of each run, its observations by account id, and its unreliable channels."""
    started_at = START
    for run_id, run in enumerate(runs, start=1):
        observations = {}
        for account_id, finding in run.findings.items():
            observed_at = started_at + timedelta(hours=run.hours[account_id], minutes=1)
            observations[account_id] = Observation(account_id, run_id, observed_at, finding)
        yield started_at, observations, run.unreliable_channels
        started_at += timedelta(days=run.days_until_next)


def evaluate_each(runs, rows=ROWS, decisions=(), rules=POLICY):
    """Yield the state of the association after each run."""
    state = AssociationState(NOUR, rows, decisions=decisions)
    for started_at, observations, unreliable_channels in date_runs(runs):
        time = EvaluationTime(started_at, started_at, unreliable_channels)
        state = evaluate_association(state, observations, time, rules, {})
        yield state


def evaluate_all(runs, **options):
    """Return the state of the association after the last run."""
    return [AssociationState(NOUR, ROWS), *evaluate_each(runs, **options)][-1]
