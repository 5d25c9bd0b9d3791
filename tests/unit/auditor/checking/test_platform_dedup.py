"""Tests of deduplication: pages of a platform that give the same finding are stored once."""

from datetime import timedelta

import pytest

from auditor.checking import evidence as evidence_module
from auditor.checking.unchanged_results import FULL_CHECK_EVERY_DAYS
from auditor.conclusions import reevaluate, replay
from auditor.config.schema import ChannelSettings
from auditor.runs.run import execute_run
from probes.models.finding import Presence
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import logged_in_client

pytestmark = pytest.mark.usefixtures("simple_probe")
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")


@lived
async def app(small):
    """Run five audits: every page but the latest gives the same finding in other bytes."""
    register(small, NOUR, SITE)
    for day in range(5):
        small.web.answers = {
            NOUR.typed_text: "gone" if day == 4 else f"hello, visitor {day}",
            SITE.typed_text: f"<p>Our news of {day}</p>",
        }
        await execute_run(small, night_of(day))


def list_observations(app, row):
    accounts = app.store.registry.list_accounts()
    [account_id] = [account.id for account in accounts if account.typed_text == row.typed_text]
    return list(app.store.observations.list_observations(account_id=account_id))


async def test_page_of_a_platform_is_stored_if_its_finding_is_new(app):
    observations = list_observations(app, NOUR)
    assert [observation.is_repeat for observation in observations] == [
        False,
        True,
        True,
        True,
        False,
    ]
    observed_days = [observation.observed_at.date() for observation in observations]
    assert observed_days == [night_of(day).date() for day in range(5)]
    bodies = [app.body_store.get(observation.evidence[0].digest) for observation in observations]
    assert bodies == [b"hello, visitor 0"] * 4 + [b"gone"]
    assert observations[-1].finding.presence is Presence.ABSENT
    assert len(list(app.body_store.list_digests())) == 2 + 1


async def test_changed_page_of_a_site_is_not_stored_if_its_finding_is_equal(app):
    observations = list_observations(app, SITE)
    assert [observation.is_repeat for observation in observations] == [False] + [True] * 4
    assert len({observation.evidence[0].digest for observation in observations}) == 1


async def run_days(app, *days):
    """Run more audits with an unchanged finding in other bytes. Return their observations."""
    for day in days:
        app.web.answers = {NOUR.typed_text: f"hello on day {day}"}
        await execute_run(app, night_of(day))
    return list_observations(app, NOUR)[-len(days) :]


@pytest.mark.slow
async def test_page_is_stored_again_after_four_weeks(app):
    observations = await run_days(app, *range(5, 5 + 2 * FULL_CHECK_EVERY_DAYS))
    first_day, second_day = (
        observation.observed_at.date() for observation in observations if not observation.is_repeat
    )
    assert second_day - first_day == timedelta(days=FULL_CHECK_EVERY_DAYS)
    assert len({observation.result_id for observation in observations}) == 3
    assert len({observation.evidence[0].digest for observation in observations}) == 3
    assert not reevaluate.reevaluate(app).changes


@pytest.mark.slow
async def test_each_stored_page_is_replayed_for_its_own_runs(app, monkeypatch):
    await run_days(app, *range(5, 5 + FULL_CHECK_EVERY_DAYS))
    pages = {item.evidence[0].digest for item in list_observations(app, NOUR)}
    replayed = set()

    def replay_answers(evidence, body_storage):
        replayed.update(exchange.digest for exchange in evidence)
        return evidence_module.replay_answers(evidence, body_storage)

    monkeypatch.setattr(replay, "replay_answers", replay_answers)
    assert not reevaluate.reevaluate(app).changes
    assert pages <= replayed


async def test_api_responses_are_stored_unchanged(app):
    channels = app.config.channels | {"facebook": ChannelSettings(api_key="a key")}
    app.config = app.config.model_copy(update={"channels": channels})
    (observation,) = await run_days(app, 5)
    assert observation.finding.presence is Presence.PRESENT
    assert not observation.evidence[0].is_volatile
    assert not observation.is_repeat


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Same result as on <bdi>1 March 2026, 00:30</bdi>"),
        ("fr", "Même résultat que le <bdi>1er mars 2026 à 00:30</bdi>"),
        ("ar", "النتيجة نفسها كما في "),
    ],
)
async def test_evidence_page_says_from_which_run_its_page_is(app, language, text):
    account_id = list_observations(app, NOUR)[0].account_id
    with logged_in_client(app, night_of(4) + timedelta(hours=8)) as client:
        url = f"/{language}/associations/nour/accounts/{account_id}"
        pages = [client.get(f"{url}?run=2026-03-0{day}").text for day in (1, 3, 5)]
    assert [text in page for page in pages] == [False, True, False]
