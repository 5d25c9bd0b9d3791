"""Pages of platforms that differ but give the same finding are stored once."""

from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.checking.checker import FULL_CHECK_EVERY_DAYS
from auditor.config.schema import ChannelSettings
from auditor.evaluation import reevaluate
from auditor.runs.run import execute_run
from probes.models.finding import Presence
from tests.support.mini_network import link, lived, night_of, register, steps
from tests.support.web_server import logged_in_client

NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    monkeypatch.setattr(reevaluate, "probe_steps_for", steps)


@lived
async def app(small):
    """Run five audits: every page but the last gives the same finding in other bytes."""
    register(small, NOUR, SITE)
    for day in range(5):
        small.web.answers = {
            NOUR.typed_text: "gone" if day == 4 else f"hello, visitor {day}",
            SITE.typed_text: f"<p>Our news of {day}</p>",
        }
        await execute_run(small, night_of(day))


def seen(app, row):
    account = next(
        held.id for held in app.store.list_accounts() if held.typed_text == row.typed_text
    )
    return list(app.store.list_observations(account_id=account))


async def test_page_of_a_platform_is_stored_if_its_finding_is_new(app):
    looks = seen(app, NOUR)
    assert [look.is_repeat for look in looks] == [False, True, True, True, False]
    assert [look.observed_at.date() for look in looks] == [night_of(day).date() for day in range(5)]
    bodies = [app.body_store.get(look.evidence[0].digest) for look in looks]
    assert bodies == [b"hello, visitor 0"] * 4 + [b"gone"]
    assert looks[-1].finding.presence is Presence.ABSENT
    assert len(list(app.body_store.list_digests())) == 2 + 5


async def test_page_of_a_site_is_stored_in_each_run_with_a_change(app):
    looks = seen(app, SITE)
    assert not any(look.is_repeat for look in looks)
    assert len({look.evidence[0].digest for look in looks}) == 5


async def test_reevaluation_finds_what_the_runs_found(app):
    done = reevaluate.reevaluate(app)
    assert not done.changes
    assert done.replayed_count == 10


async def test_finding_that_returns_is_the_same_observation_again(app):
    app.web.answers = {NOUR.typed_text: "hello again"}
    await execute_run(app, night_of(5))
    last = seen(app, NOUR)[-1]
    assert last.is_repeat
    assert last.first_observed_at == seen(app, NOUR)[0].observed_at


async def more(app, *days, answer="hello once more"):
    for day in days:
        app.web.answers = {NOUR.typed_text: answer}
        await execute_run(app, night_of(day))
    return seen(app, NOUR)[-len(days) :]


async def test_page_missing_from_the_store_is_stored_again(app):
    app.body_store.remove(seen(app, NOUR)[0].evidence[0].digest)
    first, second = await more(app, 5, 6)
    assert (first.is_repeat, second.is_repeat) == (False, True)
    assert app.body_store.get(second.evidence[0].digest) == b"hello once more"


async def test_page_is_stored_again_after_four_weeks(app):
    looks = await more(app, *range(5, 5 + 2 * FULL_CHECK_EVERY_DAYS))
    anew = [look.observed_at.date() for look in looks if not look.is_repeat]
    assert len(anew) == 2
    assert anew[1] - anew[0] == timedelta(days=FULL_CHECK_EVERY_DAYS)
    assert not reevaluate.reevaluate(app).changes


async def test_api_responses_are_stored_unchanged(app):
    keyed = app.config.channels | {"facebook": ChannelSettings(api_key="a key")}
    app.config = app.config.model_copy(update={"channels": keyed})
    (look,) = await more(app, 5)
    assert look.finding.presence is Presence.PRESENT
    assert not look.evidence[0].is_volatile
    assert not look.is_repeat


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Same result as on <bdi>1 March 2026, 00:30</bdi>"),
        ("fr", "Même résultat que le <bdi>1er mars 2026 à 00:30</bdi>"),
        ("ar", "النتيجة نفسها كما في "),
    ],
)
async def test_evidence_page_says_from_which_run_its_page_is(app, language, said):
    account = seen(app, NOUR)[0].account_id
    with logged_in_client(app, night_of(4) + timedelta(hours=8)) as client:
        address = f"/{language}/associations/nour/accounts/{account}?run=2026-03-0"
        told = [client.get(f"{address}{day}").text for day in (1, 3, 5)]
    assert [said in one for one in told] == [False, True, False]


async def test_evidence_has_its_original_date_and_observation_its_own(app):
    account = seen(app, NOUR)[0].account_id
    with logged_in_client(app, night_of(4) + timedelta(hours=8)) as client:
        page = client.get(f"/en/associations/nour/accounts/{account}?run=2026-03-03").text
    looked, came = (
        page.split(f"<dt>{name}</dt>")[1].split("</dd>")[0] for name in ("Checked", "Time")
    )
    assert "3 March 2026" in looked
    assert "1 March 2026" in came
