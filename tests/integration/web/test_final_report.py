"""The final report of a project compares two days, and says what it cannot say."""

import re
import shutil
from datetime import timedelta

import pytest

from auditor.conclusions.reevaluate import reevaluate
from auditor.core.errors import InputError
from auditor.presentation.reports.final_report import format_final_report, render_final_report
from auditor.presentation.views.final_report import build_final_report, find_period
from auditor.runs.erasure import erase_association
from auditor.runs.run import execute_run
from storage.communication.workshops import Workshop
from storage.models.audit import Association, SurveyAnswer
from storage.models.users import ChangeOrigin, FollowUpKind, Role
from storage.tables.communication import FollowUp
from tests.support.mini_network import link, lived, night_of, opened, register
from tests.support.web_server import get_text, logged_in_client, read_page

NOW = night_of(9) + timedelta(hours=8)
NAMES = ("a", "b", "c")
PAGES = {name: link(name, "facebook", f"page-{name}") for name in (*NAMES, "new")}
FIRST, LAST = night_of(0).date(), night_of(9).date()


@lived
async def app(network):
    """Three pages are seen; one breaks, and one association joins with a page."""
    rows = [PAGES[name] for name in NAMES]
    register(network, *rows)
    for day in (0, 1):
        await execute_run(network, night_of(day))
    network.web.answers[PAGES["c"].typed_text] = "gone"
    network.store.registry.save_registry(
        [Association(name, name.title()) for name in (*NAMES, "new")],
        [*rows, PAGES["new"]],
        night_of(2),
        origin=ChangeOrigin("Amina", "import"),
    )
    for day in (2, 3, 5, 9):
        await execute_run(network, night_of(day))
    called = {"kind": FollowUpKind.CALLED, "author": "Amina", "occurred_at": night_of(4)}
    network.store.follow_ups.add(FollowUp(association="c", **called))


def build(app, first=FIRST, last=LAST, tag=""):
    return build_final_report(
        app.store, app.config, find_period(app.store, first, last, NOW.date()), tag
    )


def get_facebook(report):
    [channel] = [item for item in report["channels"] if item["after"].channel == "facebook"]
    return channel


def test_association_that_joined_later_is_in_no_difference(app):
    report = build(app)
    facebook = get_facebook(report)
    assert [item.id for item in report["joined"]] == ["new"]
    assert (facebook["before"].confirmed_count, facebook["after"].confirmed_count) == (3, 3)
    assert (facebook["cohort_before"], facebook["cohort_after"]) == (3, 2)
    assert facebook["broken"] == 1
    assert report["missing_days"] == [night_of(day).date() for day in (4, 6, 7, 8)]
    assert report["contact_counts"] == {FollowUpKind.CALLED: 1}


def test_problems_of_the_first_check_are_no_change(app):
    report = build(app)
    opened = [row for rows, _ in report["lists"]["opened"].values() for row in rows]
    assert FIRST not in {row.gap.opened_at.date() for row in opened}
    assert not any(channel["closed"] for channel in report["channels"])


def test_same_document_twice_and_on_another_machine(app, tmp_path):
    def render(app):
        return render_final_report(build(app), app.config, "ar")

    copy = tmp_path / "copy"
    shutil.copytree(app.data_folder, copy, ignore=shutil.ignore_patterns("copy"))
    other = opened(copy)
    assert render(app) == render(app) == render(other)
    other.store.close()


def test_both_ends_follow_the_rules_of_now(app):
    rules = [rule for rule in app.config.rules if rule.code != "channel_dead"]
    app.config = app.config.model_copy(update={"rules": tuple(rules)})
    reevaluate(app)
    facebook = get_facebook(build(app))
    assert facebook["broken"] == 0


def test_each_number_opens_its_list(app):
    with logged_in_client(app, NOW) as client:
        page = get_text(client, f"/en/final-report?from={FIRST}&to={LAST}", "Final report", "3 → 2")
        numbers = re.findall(r'<a href="([^"]+)">(\d+)</a>', page)
        seen = "/en/associations?channel=facebook&amp;state=seen&amp;tag="
        assert [url for url, _ in numbers] == [seen, "#opened-facebook", "#contacts"]
        for url, number in numbers:
            if url.startswith("#"):
                section = page.partition(f'id="{url[1:]}"')[2].partition("</ul>")[0]
                assert section.count("<li>") >= int(number), (url, number)
            else:
                read_page(client.get(url.replace("&amp;", "&")))
        response = client.get(f"/en/final-report.pdf?from={FIRST}&to={LAST}")
        assert response.content.startswith(b"%PDF")


def test_period_without_a_check_says_so(app):
    with logged_in_client(app, NOW) as client:
        get_text(client, "/en/final-report?from=2019-01-01&to=2019-02-01", "There is no check")
        read_page(client.get("/en/final-report.pdf?from=2019-01-01&to=2019-02-01"), status=404)


def test_text_of_the_command_has_a_line_for_each_channel(app):
    text = format_final_report(render_final_report(build(app), app.config, "en"))
    assert re.search(r"^Facebook · 3 100% · 3 75%", text, re.MULTILINE), text
    assert "1 association joined (New)" in text


def test_days_are_not_compared_after_an_erasure(app):
    erase_association(app, "b", "Amina", NOW)
    report = build(app)
    assert not report["is_comparable"]
    assert get_facebook(report)["cohort_before"] is None
    with logged_in_client(app, NOW) as client:
        get_text(client, f"/en/final-report?from={FIRST}&to={LAST}", "or one was erased")


def test_contacts_and_workshops_are_those_of_the_region(app):
    held = Workshop(night_of(3).date(), "Secret of Fes", "", None)
    app.store.workshops.invite(["c"], held, "Amina", night_of(3))
    with logged_in_client(app, NOW, name="Idris", role=Role.COORDINATOR, regions=("x",)) as client:
        page = get_text(client, f"/en/final-report?from={FIRST}&to={LAST}", "No contact was noted.")
    assert "Secret of Fes" not in page


def test_withdrawn_consent_is_named_no_more_even_if_summaries_are_stale(app):
    def answer(value):
        row = SurveyAnswer(association="a", question="example", answer=value, answered_at=NOW)
        app.store.survey_answers.add_all([row])

    answer("yes")
    assert [row.id for row in build(app)["examples"]] == ["a"]
    app.store.registry.save_registry(
        [Association(f"n{number:03}", "N") for number in range(300)], (), NOW, is_complete=False
    )
    answer("no")
    assert build(app)["examples"] == []


def test_nights_without_a_check_after_the_last_one_are_named(app):
    later = NOW + timedelta(days=3)
    period = find_period(app.store, FIRST, LAST + timedelta(days=9), later.date())
    missing = build_final_report(app.store, app.config, period)["missing_days"]
    assert missing[-1] >= LAST + timedelta(days=2)
    with pytest.raises(InputError):
        find_period(app.store, LAST + timedelta(days=1), LAST + timedelta(days=9), later.date())
