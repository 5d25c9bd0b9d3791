"""Whole histories of one association: nights left out, accounts not reached, channels blind.

They are judged by the rules of config.toml itself, and a night may find anything a probe may give.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from auditor.config.schema import find_packaged_config, load_config
from auditor.evaluation.run_results import build_evaluation_policy
from auditor.rules.account_status import ANSWERED_REASONS, UNREACHABLE_REASONS
from auditor.rules.association import AssociationState, EvaluationTime, evaluate_association
from auditor.rules.checks.reachability import AbsentRule
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
ABSENT = [rule for rule in POLICY.rules if isinstance(rule, AbsentRule)]
CAUSES = {(rule.code, str(reason)) for rule in ABSENT for reason in rule.reasons}
LOSSES = sorted({reason for rule in ABSENT for reason in rule.reasons})


@dataclass(frozen=True)
class Tonight:
    """One night: how many days until the next, what was found of whom and at what hour, who was blind."""

    days: int
    findings: dict[int, Finding]
    hours: dict[int, int]
    blind: frozenset[str]


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
"""Of a server that answered, over https with a good certificate, and told nothing."""
TROUBLED = st.builds(
    Finding,
    st.just(Presence.UNKNOWN),
    st.sampled_from(sorted(UNREACHABLE_REASONS)),
    facts=st.sampled_from([{}, {"tls_error": "expired"}]),
)
LOST = st.builds(
    Finding, st.just(Presence.ABSENT), st.sampled_from(LOSSES), name=st.sampled_from([None, "x"])
)
DATED = st.builds(
    Activity, st.integers(-900, 20).map(lambda day: START + timedelta(days=day)), st.just("feed")
)
LEADS = st.lists(
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
SEEN = st.builds(
    Finding,
    st.just(Presence.PRESENT),
    st.sampled_from([None, None, Reason.EMPTY, Reason.PRIVATE, Reason.RENAMED]),
    platform_id=st.sampled_from([None, "11", "99"]),
    name=st.sampled_from([None, "Nour", "Casino"]),
    last_activity=st.none() | DATED,
    links=LEADS,
    facts=FACTS,
)
ANY = st.one_of(UNKNOWN, SEEN, LOST, ANSWERED, TROUBLED)


BLIND = st.sets(st.sampled_from(CHANNELS), max_size=2).map(frozenset)


def night(finding):
    """One night of such findings; an account may be left out, as when a night is interrupted."""
    return st.builds(
        Tonight,
        st.integers(1, 5),
        st.dictionaries(st.sampled_from(range(1, len(ROWS) + 1)), finding, max_size=len(ROWS)),
        st.fixed_dictionaries({row.id: st.integers(0, 20) for row in ROWS}),
        BLIND,
    )


@st.composite
def hidden(draw, finding):
    """A night of `finding` on channels that see, and of anything, absences too, on those that are blind."""
    tonight = draw(night(finding))
    found = {
        number: draw(ANY) if ROWS[number - 1].channel in tonight.blind else one
        for number, one in tonight.findings.items()
    }
    return replace(tonight, findings=found)


def history(finding, most=25):
    return st.lists(night(finding), max_size=most)


def dated(nights):
    """Each night with its beginning and what was observed."""
    began = START
    for number, tonight in enumerate(nights, start=1):
        seen = {
            at: Observation(
                at, number, began + timedelta(hours=tonight.hours[at], minutes=1), finding
            )
            for at, finding in tonight.findings.items()
        }
        yield began, seen, tonight.blind
        began += timedelta(days=tonight.days)


def play(nights, rows=ROWS, decisions=(), rules=POLICY):
    """The dossier after each night."""
    dossier = AssociationState(NOUR, rows, decisions=decisions)
    for began, seen, blind in dated(nights):
        dossier = evaluate_association(
            dossier, seen, EvaluationTime(began, began, blind), rules, {}
        )
        yield dossier


def last(nights, **how):
    return [AssociationState(NOUR, ROWS), *play(nights, **how)][-1]
