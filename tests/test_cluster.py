"""Many machines do the night that one machine does: everybody once, told in the same bytes."""

import shutil

import cluster
import pytest
from small import START, configured, link, night_of, opened, register, steps

from auditor import eyes, rejudge
from auditor.night import run
from auditor.overview import overview
from auditor.report.pages import pages
from probes.model import NoPage, Reason
from storage.model import NightState

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgresql")]


@pytest.fixture(scope="module")
def server():
    with cluster.served() as running:
        yield running


@pytest.fixture
def url(server):
    return cluster.database(server)


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    for module in (eyes, rejudge):
        monkeypatch.setattr(module, "steps", steps)


def network(app):
    rows = [link(f"a{number:02}", "website", f"a{number:02}") for number in range(30)]
    rows += [link(f"a{number:02}", "facebook", f"a{number:02}") for number in range(30)]
    register(app, *rows)
    app.web.answers = {
        rows[1].typed: "gone",
        rows[2].typed: NoPage(Reason.TIMEOUT, "silence"),
        rows[3].typed: [NoPage(Reason.TIMEOUT, "silence"), "alive"],
        rows[31].typed: "gone",
        rows[32].typed: "wall",
        rows[4].typed: "linked",
    }


def looks(app):
    rows = {row.id: row.typed for row in app.store.accounts()}
    days = {night.id: night.day for night in app.store.nights()}
    return sorted(
        (days[look.night_id], rows[look.account_id], look.observed_at, str(look.finding))
        for look in app.store.observations()
    )


async def nights(app, count=3):
    return [await run(app, night_of(day), timer=lambda: 0.0) for day in range(count)]


@pytest.mark.fault("F48")
async def test_many_machines_tell_in_the_same_bytes_what_one_tells(url, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    one, many = opened(here, configured()), cluster.far(there, url)
    one.web = cluster.Frozen()
    for app in (one, many):
        network(app)
    alone = await nights(one)
    for key in here.glob("receipts.*"):
        shutil.copy(key, there)
    async with cluster.at_work(many, 2, clock=lambda: START, timer=lambda: 0.0):
        together = await nights(many)
    assert [night.state for night in together] == [NightState.DONE] * 3
    assert looks(many) == looks(one)
    assert [night.receipt for night in together] == [night.receipt for night in alone]
    told = [dict(pages(overview(app.store, app.config, night_of(3)), app.config)) for app in (one, many)]
    assert told[0] == told[1]
    assert rejudge.rejudge(many, dry_run=True).changes == []
    one.store.close()
    many.store.close()
