"""Proposals: accounts on an association's site, with page and text, and never again if disowned."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auditor.conclusions.association_view import build_association_view
from auditor.config.schema import load_config
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.association import MAX_PROPOSALS, EvaluationPolicy, evaluate_association
from auditor.rules.association_state import AssociationState, EvaluationTime
from auditor.rules.engine import is_gap_open
from probes.models.finding import Finding, FoundLink, Identity, LinkKind, Presence, Reason
from storage.models.audit import AccountRow, Association, Decision, DecisionKind, Observation

CONFIG = load_config(None, {})
POLICY = EvaluationPolicy(
    CONFIG.confirm, CONFIG.activity, CONFIG.rules, load_gap_catalogue(), frozenset(CONFIG.channels)
)
START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
NOUR = Association("nour", "Nour", name_ar="جمعية نور", contact_methods=frozenset({"email"}))
SITE = AccountRow(
    "nour", "nour.example", Identity("website", LinkKind.PAGE, "nour.example"), "website", id=1
)
CHANNEL = "UC" + "a" * 22


def build_link(key):
    return FoundLink(
        "youtube",
        key,
        f"https://www.youtube.com/{key}",
        "footer",
        "https://nour.example/contact",
        "YouTube",
    )


def build_account(key):
    return AccountRow("nour", key, Identity("youtube", LinkKind.PROFILE, key), "youtube", id=2)


def run_evaluations(key, *, registered=None, profile=None, decisions=(), count=3):
    """Return the state after runs in which the site linked to `key`, and its view."""
    rows = (SITE,) if registered is None else (SITE, build_account(registered))
    state = AssociationState(NOUR, rows, decisions=tuple(decisions))
    for day in range(count):
        run_at = START + timedelta(days=day)
        findings = {
            1: Finding(Presence.PRESENT, links=(build_link(key),), facts={"viewport": True}),
            2: profile,
        }
        observations = {
            number: Observation(number, day, run_at, finding)
            for number, finding in findings.items()
            if finding
        }
        state = evaluate_association(
            state, observations, EvaluationTime(run_at, run_at), POLICY, {}
        )
    return state, build_association_view(state, CONFIG, EvaluationTime(run_at, run_at), {})


def run_evaluation(state, day, *keys):
    """Return the state after a run in which the site links to accounts, and the view."""
    run_at = START + timedelta(days=day)
    finding = Finding(Presence.PRESENT, links=tuple(map(build_link, keys)))
    evaluation_time = EvaluationTime(run_at, run_at)
    state = evaluate_association(
        state, {1: Observation(1, day, run_at, finding)}, evaluation_time, POLICY, {}
    )
    return state, build_association_view(state, CONFIG, evaluation_time, {})


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_accounts_without_a_decision_are_proposed_up_to_the_limit(step):
    count = MAX_PROPOSALS + step
    state, view = run_evaluation(
        AssociationState(NOUR, (SITE,)), 0, *(f"@nour{number}" for number in range(count))
    )
    assert len(state.proposals) == len(view.proposals) == min(MAX_PROPOSALS, count)
    assert view.has_most_proposals is (step >= 0)


def test_site_that_links_to_other_accounts_in_each_run_adds_no_rows_for_ever():
    """After 40 runs there were 600 proposals and 600 problems (2026-11)."""
    state = AssociationState(NOUR, (SITE,))
    for day in range(40):
        state, view = run_evaluation(state, day, *(f"@nour{day}n{n}" for n in range(15)))
    assert len(state.proposals) == MAX_PROPOSALS
    assert len(state.gaps) < MAX_PROPOSALS + 10
    known = view.proposals[0].link.key
    state, view = run_evaluation(state, 40, "@new", known)
    assert view.proposals[0].run_count == 2
    disown = Decision(
        "nour",
        "youtube",
        DecisionKind.DISOWN,
        "Amina",
        "not ours",
        START + timedelta(days=40, hours=1),
        value=known,
    )
    state, view = run_evaluation(replace(state, decisions=(disown,)), 41, "@new", "@newer")
    assert {"@new", "@newer"} & {row.link.key for row in view.proposals} == {"@new"}


def list_unlisted_subjects(state):
    return [
        gap.subject for gap in state.gaps if gap.code == "channel_unlisted" and is_gap_open(gap)
    ]


def test_proposal_keeps_page_and_text_of_its_link():
    state, view = run_evaluations("@nour")
    [proposal] = view.proposals
    assert (proposal.link.page_url, proposal.link.snippet) == (
        "https://nour.example/contact",
        "YouTube",
    )
    assert (proposal.run_count, list_unlisted_subjects(state)) == (3, ["@nour"])


def refuse(kind=DecisionKind.DISOWN, **subject):
    return Decision(
        "nour", "youtube", kind, "Amina", "a namesake", START - timedelta(days=1), **subject
    )


def test_disowned_account_is_never_proposed_again():
    state, view = run_evaluations("@nour", decisions=[refuse(value="@nour")])
    assert (list(view.proposals), list_unlisted_subjects(state)) == ([], [])


def test_disowned_account_is_not_proposed_under_another_name():
    profile = Finding(Presence.PRESENT, platform_id=CHANNEL)
    state, view = run_evaluations(
        CHANNEL, registered="@nour", profile=profile, decisions=[refuse(account_id=2)]
    )
    assert (list(view.proposals), list_unlisted_subjects(state)) == ([], [])


@pytest.mark.parametrize(
    ("linked_key", "profile"),
    [
        (CHANNEL, Finding(Presence.PRESENT, platform_id=CHANNEL)),
        (
            "@nouveau",
            Finding(Presence.PRESENT, Reason.RENAMED, final_url="https://www.youtube.com/@nouveau"),
        ),
        (CHANNEL, None),
        (CHANNEL, Finding(Presence.UNKNOWN, Reason.CONSENT)),
    ],
    ids=["own_id", "new_handle", "unknown_id", "id_behind_login_wall"],
)
def test_registered_account_is_not_proposed_under_another_name(linked_key, profile):
    state, view = run_evaluations(linked_key, registered="@nour", profile=profile)
    assert (list(view.proposals), list_unlisted_subjects(state)) == ([], [])


def test_moved_account_is_proposed_at_its_new_address():
    profile = Finding(
        Presence.PRESENT, Reason.RENAMED, final_url="https://www.youtube.com/@nouveau"
    )
    decision = refuse(DecisionKind.MOVED, account_id=2)
    _, view = run_evaluations("@nouveau", registered="@nour", profile=profile, decisions=[decision])
    assert [proposal.link.key for proposal in view.proposals] == ["@nouveau"]


def test_additional_account_is_proposed():
    state, _ = run_evaluations("@autre", registered="@nour", profile=Finding(Presence.PRESENT))
    assert list_unlisted_subjects(state) == ["@autre"]
