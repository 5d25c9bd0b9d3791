"""Tests of the digest: which changes it announces, to whom, and how often."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.network_view import iter_association_views
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import LANGUAGES, load_gap_catalogue
from auditor.core.rendering.templates import (
    MAX_SUBJECT_CHARS,
    SIGNATURE_MARK,
    get_html_translator,
    render_html_message,
    render_message,
    render_plain_text,
    shorten_subject,
)
from auditor.presentation.notifications.digest import (
    MAX_LISTED_CHANGES,
    GapChange,
    MessageFrame,
    build_digest,
    collect_network_changes,
    digest_subject,
    digest_text,
    list_gap_changes,
)
from auditor.rules.score import compute_score
from auditor.runs.run import execute_run
from probes.links.channel_registry import list_channels
from storage.models.audit import Association, AuditRun, AuditRunState, Gap
from tests.support import mini_network
from tests.support.mini_network import link, night_of, opened, steps

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


def list_announcements(view, until=80):
    """Return the announced changes as pairs: True if the gap opened, and the day."""
    return [
        (change.is_open, (change.announced_at - START).days)
        for change in list_changes(view)
        if change.announced_at <= day(until)
    ]


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


def test_there_is_no_digest_without_changes():
    assert build_digest(build_changes(build_view(build_gap(0)))) is None
    assert (
        build_digest(
            build_changes(
                build_view(
                    build_gap(1, severity="urgent"), waived=(build_gap(1, severity="urgent"),)
                )
            )
        )
        is None
    )


def test_changes_before_the_last_digest_are_not_announced_again():
    changes = build_changes(
        build_view(build_gap(1), build_gap(4, code="website_slow")), run_day=5, previous_day=4
    )
    assert build_digest(changes) is None
    assert [change.gap.code for change in build_digest(changes, since=day(1)).new] == [
        "website_slow"
    ]
    assert len(build_digest(changes, since=day(0)).new) == 2


def test_gap_that_opened_and_closed_is_announced_as_closed_only():
    digest = build_digest(build_changes(build_view(build_gap(2, 4)), run_day=5), since=day(0))
    assert not digest.new
    assert len(digest.closed) == 1


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


def test_unreliable_channel_is_announced_once_and_named_in_every_digest():
    assert build_digest(
        build_changes(build_view(), unreliable=("youtube",))
    ).run.unreliable_channels == ("youtube",)
    assert (
        build_digest(
            build_changes(build_view(), unreliable=("youtube",), previously_unreliable=("youtube",))
        )
        is None
    )
    assert build_digest(
        build_changes(
            build_view(build_gap(1)), unreliable=("youtube",), previously_unreliable=("youtube",)
        )
    ).run.unreliable_channels == ("youtube",)


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
    assert (
        list_announcements(build_view(*(build_gap(opened, closed) for opened, closed in periods)))
        == announcements
    )


def test_gaps_of_two_accounts_are_announced_separately():
    gaps = (build_gap(0, 3, subject="u:nour"), build_gap(4, subject="u:nour.agadir"))
    assert list_announcements(build_view(*gaps)) == [(True, 0), (False, 3), (True, 4)]


def build_many_changes(count):
    gaps = [
        build_gap(1, association=f"n{number:05}", severity="urgent" if number < 3 else "low")
        for number in range(count)
    ]
    return tuple(GapChange(replace(NOUR, id=gap.association), gap, True, day(1)) for gap in gaps)


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_message_lists_forty_changes_and_counts_the_others(language):
    digest = build_digest((build_run(1), build_run(0), build_many_changes(5000), {}))
    text, page = render_message(language, lambda translator: digest_text(digest, FRAME, translator))
    assert page.count("<li ") == MAX_LISTED_CHANGES
    assert text.count("\n- ") == MAX_LISTED_CHANGES
    assert str(5000 - MAX_LISTED_CHANGES) in text.replace("\u202f", "").replace(",", "")
    assert len(page.encode()) < 100_000
    assert len(digest_subject(digest, "Forum", Translator(language))) <= 60


@pytest.mark.parametrize(("language", "direction"), [("ar", "rtl"), ("fr", "ltr"), ("en", "ltr")])
def test_html_has_text_direction_and_no_images_or_style_sheets(language, direction):
    digest = build_digest(
        build_changes(build_view(build_gap(1, severity="urgent")), unreliable=("youtube",))
    )
    page = render_html_message(digest_text(digest, FRAME, get_html_translator(language)), language)
    assert f'<table role="presentation" lang="{language}" dir="{direction}"' in page
    assert not any(tag in page for tag in ("<img", "<style", "<link", "<script"))


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
        *(build_gap(0, 1, subject=f"f{number}", code="feed_missing") for number in range(fixed)),
    ]
    if urgent or new:  # a website that is down hides a missing feed
        changes = [replace(gap, code="website_stale") for gap in changes[: urgent + new]] + (
            changes[urgent + new :]
        )
    digest = build_digest(build_changes(build_view(*changes)))
    assert digest_subject(digest, "Forum", Translator(language)) == subject


def test_subject_of_a_digest_without_changes_names_the_unreliable_channels():
    digest = build_digest(build_changes(build_view(), unreliable=("youtube", "facebook")))
    subject = digest_subject(digest, "Forum", Translator("en"))
    assert subject == "Forum: YouTube, Facebook couldn’t be checked last night"


def test_long_name_of_the_network_leaves_room_for_the_numbers():
    digest = build_digest(
        build_changes(build_view(build_gap(1), build_gap(0, 1, code="no_contact")))
    )
    network = "Réseau national des associations\nde développement rural et de montagne"
    subject = digest_subject(digest, network, Translator("fr"))
    assert subject.startswith("Réseau national des")
    assert subject.endswith("…\u00a0: 1 nouveau problème")
    assert len(subject) <= 60


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
    headings = ["New problems", "Fixed problems", "No website or account yet"]
    positions = [text.index(f"\n{heading}\n") for heading in headings]
    assert positions == sorted(positions)
    assert "- Nour: The security warning has gone\n" in text
    assert len(digest.new) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_digest_does_not_address_the_coordinator_as_the_association(language):
    translator = Translator(language)
    for code, definition in load_gap_catalogue().definitions.items():
        gaps = [
            build_gap(1, code=code, channel=channel, subject=channel, severity="low")
            for channel in (list_channels() if definition.scope == "channel" else ["website"])
        ]
        digest = build_digest(build_changes(build_view(*gaps)))
        text = render_plain_text(digest_text(digest, FRAME, translator))
        items, _, _ = text.partition(SIGNATURE_MARK)
        lines = [line for line in items.splitlines() if line.startswith("- ")]
        assert len(lines) == len(gaps)
        assert not re.search(r"\b(your?|votre|vos|vous)\b", items, re.IGNORECASE)
        for gap in gaps:
            title = translator.gap_title(code, gap.channel, "coordinator")
            assert any(line.endswith(title) for line in lines)


def test_names_are_escaped():
    digest = build_digest(
        build_changes(build_view(replace(build_gap(1), association="amal"), association=AMAL))
    )
    page = render_html_message(digest_text(digest, FRAME, get_html_translator("en")), "en")
    assert "<bdi>Amal &lt;b&gt;</bdi>" in page
    assert "<title>Réseau &lt;i&gt;: what’s new</title>" in page


def test_line_break_in_a_name_becomes_a_space():
    two_line_name = replace(AMAL, name="Amal\n\n-- \nfaked")
    digest = build_digest(
        build_changes(
            build_view(replace(build_gap(1), association="amal"), association=two_line_name)
        )
    )
    text = render_plain_text(digest_text(digest, FRAME, Translator("en")))
    assert (
        "- Amal -- faked: Its website does not open\n  https://in.example/en/associations/amal"
        in text
    )


def test_subject_is_one_line_of_at_most_sixty_characters():
    assert shorten_subject("a\r\nBcc: b") == "a Bcc: b"
    assert len(shorten_subject("نقطة " * 40)) <= 60


async def test_stored_changes_equal_those_of_evaluating_all_associations(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    app = opened(tmp_path)
    accounts = [link(name, "facebook", name) for name in ("nour", "amal", "rif")]
    associations = [
        Association("nour", "Nour", region="souss massa"),
        Association("amal", "A"),
        Association("rif", "Rif", region="Souss-Massa"),
    ]
    app.store.registry.save_registry(
        associations, accounts, mini_network.START - timedelta(hours=1)
    )
    for number in range(12):
        app.web.answers = {accounts[0].typed_text: "gone"} if number > 2 else {}
        app.web.answers |= {accounts[1].typed_text: "gone" if 1 < number < 8 else "alive"}
        run = await execute_run(app, night_of(number))
        collected = collect_network_changes(app.store, app.config, run)
        rebuilt = evaluate_all_associations(app.store, app.config, run)
        since = rebuilt[1] and rebuilt[1].started_at
        assert simplify(collected, since) == simplify(rebuilt, since)
        assert sum(collected[3].values()) == sum(rebuilt[3].values())
        regional_counts = [
            digest and digest.open_gap_count
            for digest in (
                build_digest(changes, regions=["سوس ماسة"]) for changes in (collected, rebuilt)
            )
        ]
        assert regional_counts[0] == regional_counts[1]
    assert {association for association, _, _ in simplify(collected, None)} == {
        "nour",
        "amal",
        "rif",
    }
    app.store.close()


def evaluate_all_associations(store, config, run):
    """Return the changes of a run by evaluating every association."""
    previous_run = store.runs.get_latest(AuditRunState.DONE, before_day=run.day)
    changes = []
    open_gaps_by_region = Counter()
    for view in iter_association_views(store, config, run.finished_at):
        changes += list_changes(view)
        open_gaps_by_region[view.association.region] += len(view.gaps)
    return run, previous_run, changes, open_gaps_by_region


def simplify(network_changes, since):
    """Return association, code and direction of the changes since a time."""
    return {
        (change.association.id, change.gap.code, change.is_open)
        for change in network_changes[2]
        if (since is None or change.announced_at > since)
        and change.announced_at <= network_changes[0].started_at
    }


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_message_counts_the_changes_that_it_does_not_list(step):
    count = MAX_LISTED_CHANGES + step
    digest = build_digest((build_run(1), build_run(0), build_many_changes(count), {}))
    listed_count = sum(len(changes) for _, changes in digest.list_sections())
    text = render_plain_text(digest_text(digest, FRAME, Translator("en")))
    assert listed_count == min(count, MAX_LISTED_CHANGES)
    assert ("1 more change." in text) is (step > 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_long_subject_is_cut_and_marked(step):
    subject = "x" * (MAX_SUBJECT_CHARS + step)
    assert shorten_subject(subject) == (subject if step <= 0 else f"{subject[:-2]}…")
