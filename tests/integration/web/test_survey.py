"""Associations answer the survey by their report link or on the telephone."""

import json
import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from auditor.conclusions.network_view import load_association_view
from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import WebSettings
from auditor.core.reference.survey import load_questions
from auditor.presentation import report_links
from auditor.presentation.reports.text import choose_advice
from auditor.presentation.views.export import ExportRequest, stream_export
from auditor.presentation.views.survey import build_survey
from auditor.runs.erasure import erase_association
from auditor.runs.run import execute_run
from storage.conclusions import Conclusions
from storage.models.audit import Association, AssociationEntry, Contact, Gap, SurveyAnswer
from storage.models.users import Role
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import PUBLIC, anonymous_client, get_text, logged_in_client, read_page

NOW = night_of(0) + timedelta(hours=8)
NAMES = [f"a{number:03}" for number in range(100)]
QUESTIONS = list(load_questions())


@lived
async def app(network):
    """Register a hundred associations with a website."""
    register(network, *(link(name, "website", name) for name in NAMES))
    await execute_run(network, night_of(0))


def answer(app, association, question, value, days=0):
    row = SurveyAnswer(
        association=association,
        question=question,
        answer=value,
        answered_at=NOW + timedelta(days=days),
    )
    app.store.survey_answers.add_all([row])


@contextmanager
def open_report(app, association):
    """Yield a browser that has opened the report link of an association."""
    web = WebSettings(public_url=PUBLIC)
    app.config = app.config.model_copy(update={"web": web})
    _, url = report_links.create_report_link(app.store, app.config, association, "Amina", NOW)
    with anonymous_client(app, NOW) as browser:
        browser.get(url.removeprefix(PUBLIC))
        yield browser


def read_survey(app, days=0):
    refresh_summaries(app.store, app.config)
    return build_survey(app.store, app.config, (NOW + timedelta(days=days)).date())


def find_answer(survey, question, value):
    [found] = (item for item in survey["questions"] if item["question"].code == question)
    return next(item for item in found["answers"] if item["code"] == value)


def test_share_of_an_answer_is_an_interval_as_wide_as_the_silence(app):
    for number, name in enumerate(NAMES[:37]):
        answer(app, name, "training", "yes" if number < 20 else "no")
    survey = read_survey(app)
    assert survey["answered_count"] == 37
    yes = find_answer(survey, "training", "yes")
    assert (yes["low"], yes["high"]) == (20, 83)
    assert yes["high"] - yes["low"] == 63


def test_newest_of_two_answers_counts_and_ends_after_a_year(app):
    answer(app, "a001", "comments", "nobody")
    answer(app, "a001", "comments", "sometimes", days=1)
    assert find_answer(read_survey(app), "comments", "nobody")["count"] == 0
    assert find_answer(read_survey(app), "comments", "sometimes")["count"] == 1


async def test_answer_of_last_year_leaves_with_the_next_check(app):
    answer(app, "a001", "comments", "nobody")
    await execute_run(app, night_of(364))
    assert read_survey(app)["answered_count"] == 1
    await execute_run(app, night_of(366))
    survey = read_survey(app)
    assert survey["answered_count"] == 0
    assert find_answer(survey, "comments", "nobody")["count"] == 0


def test_erased_association_leaves_no_answer(app):
    answer(app, "a001", "example", "yes")
    result = erase_association(app, "a001", "Amina", NOW)
    assert result.stored_data["survey_answer"] == 1
    assert result.is_clean
    assert "survey_answer" not in app.store.erasure.count_stored_data("a002")
    assert read_survey(app)["answered_count"] == 0


def test_registry_counts_for_who_runs_the_channels_until_it_is_answered(app):
    people = AssociationEntry(Association("a001", "A001"), Contact(media_officer="dedicated"))
    columns = ("id", "name", "media_officer")
    app.store.registry.save_registry([people], (), NOW, is_complete=False, present_columns=columns)
    survey = read_survey(app)
    assert survey["registry_count"] == 1
    assert survey["answered_count"] == 0
    assert find_answer(survey, "media_officer", "dedicated")["count"] == 1
    answer(app, "a001", "media_officer", "nobody")
    survey = read_survey(app)
    assert survey["registry_count"] == 0
    assert find_answer(survey, "media_officer", "dedicated")["count"] == 0


def test_readers_and_exports_do_not_get_what_the_registry_says(app):
    people = AssociationEntry(Association("a001", "A001"), Contact(media_officer="dedicated"))
    columns = ("id", "name", "media_officer")
    app.store.registry.save_registry([people], (), NOW, is_complete=False, present_columns=columns)
    with logged_in_client(app, NOW, name="Zineb", role=Role.READER) as client:
        assert "according to the registry" not in read_page(client.get("/en/associations/a001"))
    request = ExportRequest(kind="associations", format="json")
    assert b"dedicated" not in b"".join(stream_export(request, app, NOW))


def test_answers_choose_the_advice(app):
    def load_advice():
        return choose_advice(load_association_view(app.store, app.config, "a001"))

    assert "dedicated_person" in load_advice()
    assert "answer_comments" not in load_advice()
    answer(app, "a001", "media_officer", "dedicated")
    answer(app, "a001", "comments", "nobody")
    assert "dedicated_person" not in load_advice()
    assert "answer_comments" in load_advice()


def test_association_answers_with_one_tap_for_each_question(app):
    with open_report(app, "a001") as browser:
        page = browser.get("/en/report/survey")
        for number, question in enumerate(QUESTIONS, 1):
            text = read_page(page)
            assert f"Question {number} of {len(QUESTIONS)}" in text
            value = re.findall(r'name="answer" value="([^"]+)"', text)[0]
            sent = browser.post("/en/report/survey", data={"question": question, "answer": value})
            page = browser.get(sent.headers["location"])
        assert "Thank you" in read_page(page)
        assert set(load_association_view(app.store, app.config, "a001").answers) == set(QUESTIONS)
        browser.post("/en/report/survey", data={"question": "example", "answer": ""})
        assert "example" not in load_association_view(app.store, app.config, "a001").answers
        sent = browser.post("/en/report/survey", data={"question": "example", "answer": "maybe"})
        assert sent.status_code == 422


def test_repeated_answers_of_a_link_do_not_fill_the_database(app):
    with open_report(app, "a001") as browser:
        for value in ("yes", "no") * 10:
            browser.post("/en/report/survey", data={"question": "example", "answer": value})
    assert app.store.erasure.count_stored_data("a001")["survey_answer"] == 1
    assert load_association_view(app.store, app.config, "a001").answers["example"].answer == "no"


def test_answers_of_a_call_are_undone_with_one_click(app):
    answer(app, "a001", "training", "no")
    data = {"answer": ["", "training:yes", "two_admins:some"]}
    with logged_in_client(app, NOW) as client:
        location = client.post("/en/associations/a001/survey", data=data).headers["location"]
        page = get_text(client, location, "Answers of A001 saved.", "to some")
        view = load_association_view(app.store, app.config, "a001")
        assert view.answers["training"].author
        undo = page.partition('action="/en/undo/')[2].partition('"')[0]
        client.post(f"/en/undo/{undo}")
    answers = load_association_view(app.store, app.config, "a001").answers
    assert {question: row.answer for question, row in answers.items()} == {"training": "no"}


def test_each_number_of_the_survey_opens_its_list(app):
    for name in NAMES[:3]:
        answer(app, name, "recordings", "phones")
    with logged_in_client(app, NOW) as client:
        page = read_page(client.get("/en/survey"))
        links = re.findall(r'href="(/en/associations\?[^"]+)">(\d+)', page)
        assert {"/en/associations?answer=recordings:phones", "/en/associations?answer=none"} <= {
            url for url, _ in links
        }
        for url, number in links:
            get_text(client, url.replace("&amp;", "&"), f"{number} associations")


def test_export_has_a_column_for_each_question(app):
    answer(app, "a001", "training", "yes")
    request = ExportRequest(kind="associations", format="csv", bom=False)
    lines = b"".join(stream_export(request, app, NOW)).decode().splitlines()
    assert lines[0].endswith(",".join(QUESTIONS))
    assert next(line for line in lines if line.startswith("a001,")).endswith(",,yes,,,,")
    request = ExportRequest(kind="associations", format="json")
    items = json.loads(b"".join(stream_export(request, app, NOW)))["items"]
    assert items[1]["answers"]["training"] == "yes"


def save_gaps(app, closings):
    """Store a gap for each of these associations, which opens now and closes after some days."""
    gaps = []
    for name, days in closings.items():
        gap = Gap(name, "facebook", "channel_stale", "medium", NOW, 1, NOW)
        gaps.append(gap if days is None else replace(gap, closed_at=NOW + timedelta(days=days)))
    app.store.conclusions.save(Conclusions(gaps=gaps))


def test_comparison_of_officers_counts_what_was_fixed_in_ninety_days(app):
    dedicated, others = NAMES[:8], NAMES[50:58]
    save_gaps(app, dict.fromkeys(dedicated[:3], 89) | dict.fromkeys(dedicated[3:], 91))
    save_gaps(app, {others[0]: 90} | dict.fromkeys(others[1:]))
    for names, value in ((dedicated[:7], "dedicated"), (others, "nobody")):
        for name in names:
            answer(app, name, "media_officer", value)
    assert [side["share"] for side in read_survey(app, days=90)["officers"]] == [None, 4.2]
    answer(app, dedicated[7], "media_officer", "dedicated")
    assert [side["share"] for side in read_survey(app, days=90)["officers"]] == [12.5, 4.2]
    # each has two missing accounts, too; what is younger than ninety days says nothing yet
    assert [side["gap_count"] for side in read_survey(app, days=89)["officers"]] == [0, 0]
