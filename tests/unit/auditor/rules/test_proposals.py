"""Proposals: accounts on an association's site, with page and text, and never again if disowned."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auditor.config.schema import load_config
from auditor.evaluation.association_view import build_association_view
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.association import EvaluationPolicy, evaluate_association
from auditor.rules.association_state import AssociationState, EvaluationTime
from auditor.rules.engine import is_gap_open
from auditor.rules.proposals import MAX_PROPOSALS
from probes.models.finding import Finding, FoundLink, Identity, LinkKind, Presence, Reason
from probes.models.witness import WIKIDATA_SOURCE, WikidataStatement, WitnessAnswer, WitnessSource
from storage.models.audit import (
    AccountRow,
    Association,
    Decision,
    DecisionKind,
    Observation,
    WitnessRecord,
)

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


HANDLE, ITEM_URL = "@nour", "https://www.wikidata.org/wiki/Q42"


def build_named_link(key=HANDLE):
    return FoundLink("youtube", key, f"https://www.youtube.com/{key}", WIKIDATA_SOURCE, ITEM_URL)


def record_statement(key=HANDLE, asked_at=START, failure=None):
    statements = () if failure else (WikidataStatement(build_named_link(key), "Q42"),)
    answer = WitnessAnswer(failure, statements)
    return WitnessRecord(1, WitnessSource.WIKIDATA, asked_at, answer)


def evaluate_with_witnesses(*records, links=(), rows=(SITE,), state=None, owners=None, day=0):
    """Return the state after one run with these answers."""
    run_at = START + timedelta(days=day)
    state = replace(state or AssociationState(NOUR, rows), witness_records=records)
    finding = Finding(Presence.PRESENT, links=tuple(links), facts={"viewport": True})
    return evaluate_association(
        state,
        {1: Observation(1, day, run_at, finding)},
        EvaluationTime(run_at, run_at),
        POLICY,
        owners or {},
    )


def test_account_that_wikidata_names_is_proposed_and_is_no_gap():
    state = None
    for day in range(5):
        state = evaluate_with_witnesses(record_statement(), state=state, day=day)
    [proposal] = state.proposals
    assert (proposal.is_from_wikidata, proposal.wikidata_item_id) == (True, "Q42")
    assert (proposal.first_seen, proposal.last_seen, proposal.run_count) == (START, START, 1)
    assert "channel_unlisted" not in {gap.code for gap in state.gaps}


def test_registered_account_is_not_proposed_because_wikidata_names_it():
    rows = (SITE, build_account(HANDLE))
    assert not evaluate_with_witnesses(record_statement(), rows=rows).proposals


def test_account_of_another_association_is_not_proposed():
    owners = {("youtube", HANDLE): ("amal",)}
    assert not evaluate_with_witnesses(record_statement(), owners=owners).proposals


def test_link_of_the_site_counts_more_than_wikidata():
    site_link = build_link(HANDLE)
    [both] = evaluate_with_witnesses(record_statement(), links=[site_link]).proposals
    named = evaluate_with_witnesses(record_statement())
    [later] = evaluate_with_witnesses(
        record_statement(), links=[site_link], state=named, day=1
    ).proposals
    assert both.link == later.link == site_link
    assert later.first_seen == START + timedelta(days=1)


def test_answer_counts_from_the_run_that_asked():
    assert not evaluate_with_witnesses(
        record_statement(asked_at=START + timedelta(days=1))
    ).proposals


def test_silence_keeps_the_proposal():
    silent = record_statement(asked_at=START + timedelta(days=90), failure=Reason.TIMEOUT)
    state = evaluate_with_witnesses(record_statement())
    after = evaluate_with_witnesses(record_statement(), silent, state=state, day=90)
    assert after.proposals == state.proposals


def test_newer_answer_updates_the_day_of_the_proposal():
    state = evaluate_with_witnesses(record_statement())
    newer = record_statement(asked_at=START + timedelta(days=90))
    [proposal] = evaluate_with_witnesses(record_statement(), newer, state=state, day=91).proposals
    assert (proposal.last_seen, proposal.run_count) == (START + timedelta(days=90), 2)
