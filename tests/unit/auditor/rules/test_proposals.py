"""Proposals: accounts on an association's site, with page and text, and never again if disowned."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.config.schema import load_config
from auditor.evaluation.association_view import build_association_view
from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.association import (
    AssociationState,
    EvaluationPolicy,
    EvaluationTime,
    evaluate_association,
)
from auditor.rules.engine import is_gap_open
from probes.models.finding import Finding, FoundLink, Identity, LinkKind, Presence, Reason
from storage.models.audit import AccountRow, Association, Decision, DecisionKind, Observation

CONFIG = load_config(None, {})
POLICY = EvaluationPolicy(
    CONFIG.confirm, CONFIG.rules, load_gap_catalogue(), frozenset(CONFIG.channels)
)
START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
NOUR = Association("nour", "Nour", name_ar="جمعية نور", contact_methods=frozenset({"email"}))
SITE = AccountRow(
    "nour", "nour.example", Identity("website", LinkKind.PAGE, "nour.example"), "website", id=1
)
CHANNEL = "UC" + "a" * 22


def link(key):
    return FoundLink(
        "youtube",
        key,
        f"https://www.youtube.com/{key}",
        "footer",
        "https://nour.example/contact",
        "YouTube",
    )


def account(key):
    return AccountRow("nour", key, Identity("youtube", LinkKind.PROFILE, key), "youtube", id=2)


def nights(key, *, registered=None, profile=None, decisions=(), count=3):
    """Return the state after runs in which the site linked to `key`, and its view."""
    rows = (SITE,) if registered is None else (SITE, account(registered))
    dossier = AssociationState(NOUR, rows, decisions=tuple(decisions))
    for at in range(count):
        when = START + timedelta(days=at)
        findings = {
            1: Finding(Presence.PRESENT, links=(link(key),), facts={"viewport": True}),
            2: profile,
        }
        seen = {
            number: Observation(number, at, when, finding)
            for number, finding in findings.items()
            if finding
        }
        dossier = evaluate_association(dossier, seen, EvaluationTime(when, when), POLICY, {})
    return dossier, build_association_view(dossier, CONFIG, EvaluationTime(when, when), {})


def unlisted(dossier):
    return [
        gap.subject for gap in dossier.gaps if gap.code == "channel_unlisted" and is_gap_open(gap)
    ]


def test_proposal_keeps_page_and_text_of_its_link():
    dossier, shown = nights("@nour")
    [proposal] = shown.proposals
    assert (proposal.link.page_url, proposal.link.snippet) == (
        "https://nour.example/contact",
        "YouTube",
    )
    assert (proposal.run_count, unlisted(dossier)) == (3, ["@nour"])


def no(kind=DecisionKind.DISOWN, **of):
    return Decision("nour", "youtube", kind, "Amina", "a namesake", START - timedelta(days=1), **of)


def test_disowned_account_is_never_proposed_again():
    dossier, shown = nights("@nour", decisions=[no(value="@nour")])
    assert (list(shown.proposals), unlisted(dossier)) == ([], [])


def test_disowned_account_is_not_proposed_under_another_name():
    profile = Finding(Presence.PRESENT, platform_id=CHANNEL)
    dossier, shown = nights(
        CHANNEL, registered="@nour", profile=profile, decisions=[no(account_id=2)]
    )
    assert (list(shown.proposals), unlisted(dossier)) == ([], [])


@pytest.mark.parametrize(
    ("linked", "profile"),
    [
        (CHANNEL, Finding(Presence.PRESENT, platform_id=CHANNEL)),
        (
            "@nouveau",
            Finding(Presence.PRESENT, Reason.RENAMED, final_url="https://www.youtube.com/@nouveau"),
        ),
        (CHANNEL, None),
        (CHANNEL, Finding(Presence.UNKNOWN, Reason.CONSENT)),
    ],
    ids=["its number", "its new name", "a number nobody has seen", "a number behind a wall"],
)
def test_registered_account_is_not_proposed_under_another_name(linked, profile):
    dossier, shown = nights(linked, registered="@nour", profile=profile)
    assert (list(shown.proposals), unlisted(dossier)) == ([], [])


def test_moved_account_is_proposed_at_its_new_address():
    profile = Finding(
        Presence.PRESENT, Reason.RENAMED, final_url="https://www.youtube.com/@nouveau"
    )
    moved = no(DecisionKind.MOVED, account_id=2)
    _, shown = nights("@nouveau", registered="@nour", profile=profile, decisions=[moved])
    assert [proposal.link.key for proposal in shown.proposals] == ["@nouveau"]


def test_additional_account_is_proposed():
    dossier, _ = nights("@autre", registered="@nour", profile=Finding(Presence.PRESENT))
    assert unlisted(dossier) == ["@autre"]
