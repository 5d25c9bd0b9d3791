"""The digest tells what changed, the worst first, once, and says nothing where there is nothing to say."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from auditor.checking import checker
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import iter_association_views
from auditor.i18n.translator import Translator
from auditor.notifications.digest import (
    MAX_LISTED_CHANGES,
    GapChange,
    MessageFrame,
    NetworkChanges,
    build_digest,
    digest_subject,
    digest_text,
    list_association_changes,
)
from auditor.notifications.digest import collect_network_changes as told_news
from auditor.rendering.templates import (
    get_html_translator,
    render_html_message,
    render_message,
    render_plain_text,
    shorten_subject,
)
from auditor.rules.score import compute_score
from auditor.runs.run import execute_run
from storage.models.audit import Association, AuditRun, AuditRunState, Gap
from tests.support.mini_network import START as SMALL
from tests.support.mini_network import link, night_of, opened, steps

START = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
NOUR = Association("nour", "Nour", name_ar="جمعية النور", region="Souss-Massa")
AMAL = Association("amal", "Amal <b>", region="Fès-Meknès")
FRAME = MessageFrame("Réseau <i>", "https://in.example", "https://out.example/ar/unsubscribe/abc")


def day(number):
    return START + timedelta(days=number)


def night(number, state=AuditRunState.DONE, blind=()):
    at = day(number)
    return AuditRun(at.date(), state, at, at + timedelta(hours=2), blind)


def gap(opened, closed=None, **more):
    ends = None if closed is None else day(closed)
    down = Gap("nour", "website", "website_down", "high", day(opened), 1, day(opened), ends)
    return replace(down, **more)


def view(*gaps, association=NOUR, waived=()):
    shown = tuple(one for one in gaps if one.closed_at is None and one not in waived)
    return AssociationView(
        association, (), shown, gaps, (), (), compute_score({}), waived_gaps=waived
    )


def news(*views, at=1, before=0, blind=(), blind_before=()):
    moves = tuple(move for one in views for move in list_association_changes(one))
    still = {}
    for one in views:
        still[one.association.region] = still.get(one.association.region, 0) + len(one.gaps)
    return NetworkChanges(night(at, blind=blind), night(before, blind=blind_before), moves, still)


def told(view, until=80):
    """Each move that is told: (opened or not, day)."""
    return [
        (move.is_open, (move.announced_at - START).days)
        for move in list_association_changes(view)
        if move.announced_at <= day(until)
    ]


def test_what_is_urgent_comes_first_then_what_is_new_then_what_was_settled():
    rows = (
        gap(1, severity="low", code="feed_missing"),
        gap(1, severity="urgent", code="website_suspect_content"),
        gap(1, severity="high"),
        gap(0, 1, code="channel_dead", channel="facebook"),
    )
    found = build_digest(news(view(*rows)))
    assert [move.gap.code for move in found.urgent] == ["website_suspect_content"]
    assert [move.gap.code for move in found.new] == ["website_down", "feed_missing"]
    assert [move.gap.code for move in found.closed] == ["channel_dead"]
    assert found.open_gap_count == 3


def test_where_nothing_changed_there_is_no_digest():
    assert build_digest(news(view(gap(0)))) is None
    assert (
        build_digest(news(view(gap(1, severity="urgent"), waived=(gap(1, severity="urgent"),))))
        is None
    )


def test_what_moved_before_the_reader_was_last_told_is_not_told_again():
    rows = news(view(gap(1), gap(4, code="website_slow")), at=5, before=4)
    assert build_digest(rows) is None
    assert [move.gap.code for move in build_digest(rows, since=day(1)).new] == ["website_slow"]
    assert len(build_digest(rows, since=day(0)).new) == 2


def test_what_opened_and_closed_since_then_is_told_as_settled_alone():
    found = build_digest(news(view(gap(2, 4)), at=5), since=day(0))
    assert not found.new
    assert len(found.closed) == 1


def test_a_reader_hears_of_its_regions_alone():
    rows = news(view(gap(1)), view(replace(gap(1), association="amal"), association=AMAL))
    assert build_digest(rows).open_gap_count == 2
    found = build_digest(rows, regions={"Souss-Massa"})
    assert [move.association for move in found.new] == [NOUR]
    assert found.open_gap_count == 1
    assert build_digest(rows, regions={"جهة سوس ماسة"}) == found
    assert build_digest(rows, regions={"Draa"}) is None


def test_a_channel_that_turns_blind_is_told_once_and_named_as_long_as_there_is_news():
    assert build_digest(news(view(), blind=("youtube",))).unreliable_channels == ("youtube",)
    assert build_digest(news(view(), blind=("youtube",), blind_before=("youtube",))) is None
    assert build_digest(
        news(view(gap(1)), blind=("youtube",), blind_before=("youtube",))
    ).unreliable_channels == ("youtube",)


def test_a_night_that_did_not_end_is_told():
    found = build_digest(NetworkChanges(night(1, AuditRunState.INCOMPLETE), None, (), {}))
    text, _ = render_message("en", lambda words: digest_text(found, FRAME, words))
    assert "The check of 2 November 2026 did not finish." in text
    assert digest_subject(found, Translator("en")) == "The check of 2 November 2026 did not finish"


@pytest.mark.parametrize(
    ("rows", "days"),
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
def test_a_gap_that_comes_and_goes_is_told_once_in_thirty_days(rows, days):
    assert told(view(*(gap(opened, closed) for opened, closed in rows))) == days


def test_two_accounts_of_a_channel_are_two_gaps():
    rows = (gap(0, 3, subject="u:nour"), gap(4, subject="u:nour.agadir"))
    assert told(view(*rows)) == [(True, 0), (False, 3), (True, 4)]


def many(number):
    rows = [
        gap(1, association=f"n{at:05}", severity="urgent" if at < 3 else "low")
        for at in range(number)
    ]
    return tuple(GapChange(replace(NOUR, id=row.association), row, True, day(1)) for row in rows)


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_a_message_lists_forty_changes_counts_the_rest_and_stays_small(language):
    found = build_digest(NetworkChanges(night(1), night(0), many(5000), {}))
    text, page = render_message(language, lambda words: digest_text(found, FRAME, words))
    assert page.count("<li ") == MAX_LISTED_CHANGES
    assert text.count("\n- ") == MAX_LISTED_CHANGES
    assert str(5000 - MAX_LISTED_CHANGES) in text.replace("\u202f", "").replace(",", "")
    assert len(page.encode()) < 100_000
    assert len(shorten_subject(digest_subject(found, Translator(language)))) <= 60


@pytest.mark.parametrize(
    ("language", "direction", "begins"),
    [("ar", "rtl", "عاجل: 1"), ("fr", "ltr", "Urgents"), ("en", "ltr", "Urgent: 1")],
)
def test_each_language_has_its_direction_on_the_table_and_no_picture_nor_style_sheet(
    language, direction, begins
):
    found = build_digest(news(view(gap(1, severity="urgent")), blind=("youtube",)))
    page = render_html_message(digest_text(found, FRAME, get_html_translator(language)), language)
    assert f'<table role="presentation" lang="{language}" dir="{direction}"' in page
    assert not any(tag in page for tag in ("<img", "<style", "<link", "<script"))
    assert digest_subject(found, Translator(language)).startswith(begins)


def test_names_are_text_and_never_markup():
    found = build_digest(news(view(replace(gap(1), association="amal"), association=AMAL)))
    page = render_html_message(digest_text(found, FRAME, get_html_translator("en")), "en")
    assert "<bdi>Amal &lt;b&gt;</bdi>" in page
    assert "<title>Réseau &lt;i&gt;: what’s new</title>" in page


def test_a_name_with_a_line_end_stays_on_its_line():
    odd = replace(AMAL, name="Amal\n\n-- \nfaked")
    found = build_digest(news(view(replace(gap(1), association="amal"), association=odd)))
    text = render_plain_text(digest_text(found, FRAME, Translator("en")))
    assert (
        "- Amal -- faked: Your website does not open\n  https://in.example/en/associations/amal"
        in text
    )


def test_a_subject_is_one_line_of_sixty_characters():
    assert shorten_subject("a\r\nBcc: b") == "a Bcc: b"
    assert len(shorten_subject("نقطة " * 40)) <= 60


async def test_what_the_store_tells_of_a_night_is_what_looking_at_everybody_does(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    app = opened(tmp_path)
    rows = [link(name, "facebook", name) for name in ("nour", "amal", "rif")]
    people = [
        Association("nour", "Nour", region="souss massa"),
        Association("amal", "A"),
        NOUR_OF_RIF,
    ]
    app.store.save_registry(people, rows, SMALL - timedelta(hours=1))
    for number in range(12):
        app.web.answers = {rows[0].typed_text: "gone"} if number > 2 else {}
        app.web.answers |= {rows[1].typed_text: "gone" if 1 < number < 8 else "alive"}
        tonight = await execute_run(app, night_of(number))
        found, rebuilt = (
            tell(app.store, app.config, tonight) for tell in (told_news, _by_everybody)
        )
        since = rebuilt.previous_run and rebuilt.previous_run.started_at
        assert _plain(found, since) == _plain(rebuilt, since)
        assert sum(found.open_gaps_by_region.values()) == sum(rebuilt.open_gaps_by_region.values())
        mine = [
            one and one.open_gap_count
            for one in (build_digest(told, regions=["سوس ماسة"]) for told in (found, rebuilt))
        ]
        assert mine[0] == mine[1]
    assert {one for one, _, _ in _plain(found, None)} == {"nour", "amal", "rif"}
    app.store.close()


NOUR_OF_RIF = Association("rif", "Rif", region="Souss-Massa")


def _by_everybody(store, config, night):
    before = store.get_latest_run(AuditRunState.DONE, before_day=night.day)
    moves = [
        move
        for one in iter_association_views(store, config, night.finished_at)
        for move in list_association_changes(one)
    ]
    still = Counter(
        one.association.region
        for one in iter_association_views(store, config, night.finished_at)
        for _ in one.gaps
    )
    return NetworkChanges(night, before, tuple(moves), still)


def _plain(told, since):
    return {
        (move.association.id, move.gap.code, move.is_open)
        for move in told.changes
        if (since is None or move.announced_at > since)
        and move.announced_at <= told.run.started_at
    }
