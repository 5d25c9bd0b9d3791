"""Under a problem, a report shows a working account of an association that agreed to it."""

from datetime import timedelta

import pytest

from auditor.conclusions.examples import ExampleFinder
from auditor.config.schema import ExampleSettings, WebSettings
from auditor.presentation import report_links
from auditor.presentation.reports.html import publish_site
from auditor.runs.run import execute_run
from storage.conclusions import Conclusions
from storage.models.audit import Association, Gap, SurveyAnswer
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import PUBLIC, anonymous_client

NOW = night_of(1) + timedelta(hours=8)
PLACES = {"far": ("Souss-Massa", ()), "near": ("Rabat-Salé-Kénitra", ())}
LIVING = {name: link(name, "youtube", name) for name in ("far", "near", "tagged")}
NAMES = [f"a{number:02}" for number in range(97)]
INSTITUTION = ExampleSettings(channel="youtube", name="Library", url="https://library.example/")


@lived
async def app(network):
    """Three associations have a living channel, in different places; a hundred have none."""
    register(network, *LIVING.values(), names=NAMES)
    register_places(network, PLACES | {"tagged": ("Fès-Meknès", ("forum",))})
    network.web.answers = {row.typed_text: "fresh" for row in LIVING.values()}
    for day in (0, 1):
        await execute_run(network, night_of(day))
    network.web.answers = {}


def register_places(app, places):
    rows = [
        Association(name, name.title(), region=region, tags=tags)
        for name, (region, tags) in places.items()
    ]
    app.store.registry.save_registry(
        rows, (), NOW, is_complete=False, present_columns=("id", "name", "region", "tags")
    )


def agree(app, *names, answer="yes"):
    rows = [
        SurveyAnswer(association=name, question="example", answer=answer, answered_at=NOW)
        for name in names
    ]
    app.store.survey_answers.add_all(rows)


def find_owner(app, region=None, tags=()):
    association = Association("a00", "A00", region=region, tags=tags)
    example = ExampleFinder(app.store, app.config).find(association, "youtube")
    return example and example.owner.name


def read_report(app, association="a00"):
    web = WebSettings(public_url=PUBLIC)
    app.config = app.config.model_copy(update={"web": web})
    _, url = report_links.create_report_link(app.store, app.config, association, "Amina", NOW)
    with anonymous_client(app, NOW) as browser:
        browser.get(url.removeprefix(PUBLIC))
        return browser.get("/en/report").text


def test_example_is_of_the_region_then_of_the_tag_then_of_the_network(app):
    assert find_owner(app, "Rabat-Salé-Kénitra", ("forum",)) is None
    agree(app, *LIVING)
    assert find_owner(app, "Rabat-Salé-Kénitra", ("forum",)) == "Near"
    assert find_owner(app, "Drâa-Tafilalet", ("forum",)) == "Tagged"
    agree(app, "near", "tagged", answer="no")
    assert find_owner(app, "Rabat-Salé-Kénitra", ("forum",)) == "Far"
    agree(app, "far", answer="no")
    app.config = app.config.model_copy(update={"examples": (INSTITUTION,)})
    assert find_owner(app) == "Library"


def test_nobody_is_their_own_example(app):
    agree(app, "near")
    near = app.store.registry.get_association("near")
    assert ExampleFinder(app.store, app.config).find(near, "youtube") is None


def test_withdrawn_consent_is_on_no_page_that_is_made_later(app):
    agree(app, "far")
    assert "An example that works: <bdi>Far" in read_report(app)
    agree(app, "far", answer="no")
    assert "An example that works" not in read_report(app)


def test_example_has_no_broken_account_on_its_channel(app):
    agree(app, "far")
    broken = Gap("far", "youtube", "channel_dead", "high", NOW, 1, NOW, subject="@old")
    app.store.conclusions.save(Conclusions(gaps=[broken]))
    assert find_owner(app) is None


async def test_suspect_example_is_gone_that_night(app):
    agree(app, "far")
    app.web.answers[LIVING["far"].typed_text] = "gone"
    await execute_run(app, night_of(2))
    assert find_owner(app) is None


async def test_account_that_was_not_seen_tonight_is_no_example(app):
    agree(app, "far")
    app.web.answers[LIVING["far"].typed_text] = "wall"
    await execute_run(app, night_of(2))
    assert find_owner(app) is None


@pytest.mark.slow
def test_without_consent_no_report_names_another_association(app, tmp_path):
    publish_site(app, tmp_path / "pages", NOW)
    reports = {path: path.read_text("utf-8") for path in (tmp_path / "pages").rglob("*/*.html")}
    reports = {path: text for path, text in reports.items() if path.stem != "index"}
    assert len(reports) == 300
    for path, text in reports.items():
        assert not [name for name in LIVING if name.title() in text and path.stem != name]
