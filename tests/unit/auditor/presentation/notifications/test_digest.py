"""Tests of the digest: which changes it announces, to whom, and how often."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auditor.conclusions.association_view import AssociationView
from auditor.core.i18n.translator import Translator
from auditor.core.rendering.templates import render_message, render_plain_text, shorten_subject
from auditor.presentation.notifications.digest import (
    MAX_LISTED_CHANGES,
    GapChange,
    MessageFrame,
    build_digest,
    digest_subject,
    digest_text,
    list_gap_changes,
)
from auditor.rules.score import compute_score
from storage.models.audit import Association, AuditRun, AuditRunState, Gap

START = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
NOUR = Association("nour", "Nour", name_ar="جمعية النور", region="Souss-Massa")
AMAL = Association("amal", "Amal <b>", region="Fès-Meknès")
FRAME = MessageFrame("Réseau <i>", "https://in.example", "https://out.example/ar/unsubscribe/abc")


def day(number):
    return START + timedelta(days=number)


def build_run(number, state=AuditRunState.DONE, unreliable_channels=()):
    started_at = day(number)
    finished_at = started_at + timedelta(hours=2)
    return AuditRun(started_at.date(), state, started_at, finished_at, unreliable_channels)


def build_gap(opened_day, closed_day=None, **changes):
    opened_at = day(opened_day)
    closed_at = None if closed_day is None else day(closed_day)
    gap = Gap("nour", "website", "website_down", "high", opened_at, 1, opened_at, closed_at)
    return replace(gap, **changes)


def build_view(*gaps, association=NOUR, waived=()):
    visible = tuple(gap for gap in gaps if gap.closed_at is None and gap not in waived)
    return AssociationView(
        association, (), visible, gaps, (), (), compute_score({}), waived_gaps=waived
    )


def list_changes(view):
    return list_gap_changes(view.association, view.reportable_gaps)


def build_changes(*views, run_day=1, previous_day=0, unreliable=(), previously_unreliable=()):
    """Return the changes of these associations up to the run of `run_day`."""
    changes = tuple(change for view in views for change in list_changes(view))
    open_gaps_by_region = Counter()
    for view in views:
        open_gaps_by_region[view.association.region] += len(view.gaps)
    return (
        build_run(run_day, unreliable_channels=unreliable),
        build_run(previous_day, unreliable_channels=previously_unreliable),
        changes,
        open_gaps_by_region,
    )


def test_digest_lists_urgent_then_new_then_closed_gaps():
    gaps = (
        build_gap(1, severity="low", code="feed_missing"),
        build_gap(1, severity="urgent", code="website_suspect_content"),
        build_gap(1, severity="high"),
        build_gap(0, 1, code="channel_dead", channel="facebook"),
    )
    digest = build_digest(build_changes(build_view(*gaps)))
    assert [change.gap.code for change in digest.urgent] == ["website_suspect_content"]
    assert [change.gap.code for change in digest.new] == ["website_down", "feed_missing"]
    assert [change.gap.code for change in digest.closed] == ["channel_dead"]
    assert digest.open_gap_count == 3


@pytest.mark.parametrize(
    "view",
    [build_view(build_gap(0)), build_view(build_gap(1), waived=(build_gap(1),))],
    ids=["old", "waived"],
)
def test_there_is_no_digest_without_changes(view):
    assert build_digest(build_changes(view)) is None


def test_changes_before_the_last_digest_are_not_announced_again():
    view = build_view(build_gap(1), build_gap(4, code="website_slow"))
    changes = build_changes(view, run_day=5, previous_day=4)
    assert build_digest(changes) is None
    for since, codes in ((1, ["website_slow"]), (0, ["website_down", "website_slow"])):
        digest = build_digest(changes, since=day(since))
        assert sorted(change.gap.code for change in digest.new) == codes


def test_digest_is_limited_to_the_regions_of_the_recipient():
    changes = build_changes(
        build_view(build_gap(1)),
        build_view(replace(build_gap(1), association="amal"), association=AMAL),
    )
    assert build_digest(changes).open_gap_count == 2
    digest = build_digest(changes, regions={"Souss-Massa"})
    assert [change.association for change in digest.new] == [NOUR]
    assert digest.open_gap_count == 1
    assert build_digest(changes, regions={"جهة سوس ماسة"}) == digest
    assert build_digest(changes, regions={"Draa"}) is None


@pytest.mark.parametrize(
    ("gaps", "previous", "named"),
    [((), (), True), ((), ("youtube",), False), ((build_gap(1),), ("youtube",), True)],
)
def test_unreliable_channel_is_announced_once_and_named_in_every_digest(gaps, previous, named):
    view, unreliable = build_view(*gaps), ("youtube",)
    changes = build_changes(view, unreliable=unreliable, previously_unreliable=previous)
    digest = build_digest(changes)
    assert (digest and digest.run.unreliable_channels) == (unreliable if named else None)


def test_incomplete_run_is_announced():
    digest = build_digest((build_run(1, AuditRunState.INCOMPLETE), None, (), {}))
    text, _ = render_message("en", lambda translator: digest_text(digest, FRAME, translator))
    assert "The check of 2 November 2026 did not finish." in text
    subject = digest_subject(digest, "Forum", Translator("en"))
    assert subject == "Forum: the check of 2 November 2026 did not finish"


@pytest.mark.parametrize(
    ("periods", "announcements"),
    [
        ([(0, None)], [(True, 0)]),
        ([(0, 3)], [(True, 0), (False, 3)]),
        ([(0, 3), (6, 9), (12, 15)], [(True, 0), (False, 3)]),
        ([(0, 3), (6, None)], [(True, 0), (False, 3), (True, 30)]),
        ([(0, 3), (6, 9), (40, None)], [(True, 0), (False, 3), (True, 40)]),
        ([(0, 40), (45, None)], [(True, 0), (False, 40), (True, 45)]),
        (
            [(0, 3), (29, 31), (50, None)],
            [(True, 0), (False, 3), (True, 30), (False, 33), (True, 60)],
        ),
    ],
)
def test_flapping_gap_is_announced_once_in_thirty_days(periods, announcements):
    assert [
        (change.is_open, (change.announced_at - START).days)
        for change in list_changes(
            build_view(*(build_gap(opened, closed) for opened, closed in periods))
        )
        if change.announced_at <= day(80)
    ] == announcements


@pytest.mark.parametrize("language", ["ar", "en"])
def test_message_lists_forty_changes_and_counts_the_others(language):
    gaps = [
        build_gap(1, association=f"n{number:05}", severity="urgent" if number < 3 else "low")
        for number in range(5000)
    ]
    changes = [GapChange(replace(NOUR, id=gap.association), gap, True, day(1)) for gap in gaps]
    digest = build_digest((build_run(1), build_run(0), tuple(changes), {}))
    text, page = render_message(language, lambda translator: digest_text(digest, FRAME, translator))
    assert page.count("<li ") == text.count("\n- ") == MAX_LISTED_CHANGES
    assert str(5000 - MAX_LISTED_CHANGES) in re.sub("[.,]", "", text)
    assert len(page.encode()) < 100_000


@pytest.mark.parametrize(
    ("urgent", "new", "fixed", "language", "subject"),
    [
        (1, 0, 0, "en", "Forum: 1 urgent problem, Nour"),
        (1, 2, 1, "en", "Forum: 1 urgent problem, Nour, 2 new, 1 fixed"),
        (2, 0, 3, "en", "Forum: 2 urgent problems, 3 fixed"),
        (0, 1, 1, "en", "Forum: 1 new problem, 1 fixed"),
        (0, 0, 1, "en", "Forum: good news, 1 problem fixed"),
        (0, 2, 0, "fr", "Forum\u00a0: 2 nouveaux problèmes"),
        (1, 1, 2, "fr", "Forum\u00a0: 1 problème urgent, Nour, 1 nouveau, 2 réglés"),
        (0, 0, 2, "fr", "Forum\u00a0: bonne nouvelle, 2 problèmes réglés"),
        (1, 2, 0, "ar", "Forum: مشكل عاجل واحد، جمعية النور، مشكلان جديدان"),
        (2, 1, 3, "ar", "Forum: مشكلان عاجلان، مشكل جديد، عولجت 3 مشاكل"),
        (0, 11, 0, "ar", "Forum: 11 مشكلًا جديدًا"),
        (0, 0, 2, "ar", "Forum: خبر سار، عولج مشكلان"),
        (0, 100, 0, "ar", "Forum: 100 مشكل جديد"),
    ],
)
def test_subject_counts_urgent_new_and_fixed_problems(urgent, new, fixed, language, subject):
    changes = [
        *(build_gap(1, subject=f"u{number}", severity="urgent") for number in range(urgent)),
        *(build_gap(1, subject=f"n{number}") for number in range(new)),
        *(
            build_gap(0, 1, channel=channel, code="channel_stale")
            for channel in ("facebook", "youtube", "twitter")[:fixed]
        ),
    ]
    for index in range(urgent + new):  # a website that is down hides a missing feed
        changes[index] = replace(changes[index], code="website_stale")
    digest = build_digest(build_changes(build_view(*changes)))
    assert digest_subject(digest, "Forum", Translator(language)) == subject


def test_gap_that_a_new_one_hides_is_not_announced_as_fixed():
    view = build_view(build_gap(1), build_gap(0, 1, code="website_slow"))
    digest = build_digest(build_changes(view))
    assert [change.gap.code for change in digest.new] == ["website_down"]
    assert digest.closed == ()


def test_accounts_that_do_not_exist_yet_come_after_what_broke_and_what_was_fixed():
    gaps = [
        build_gap(1, code="channel_missing", channel="facebook"),
        build_gap(1, code="channel_stale", channel="youtube"),
        build_gap(0, 1, code="website_insecure"),
    ]
    digest = build_digest(build_changes(build_view(*gaps)))
    text = render_plain_text(digest_text(digest, FRAME, Translator("en")))
    headings = re.findall(
        "^(New problems|Fixed problems|No known website or account)$", text, re.MULTILINE
    )
    assert headings == ["New problems", "Fixed problems", "No known website or account"]
    assert "- Nour: The security warning has gone\n" in text


def test_subject_is_one_line_of_at_most_sixty_characters():
    assert shorten_subject("a\r\nBcc: b") == "a Bcc: b"
    assert len(shorten_subject("نقطة " * 40)) <= 60
