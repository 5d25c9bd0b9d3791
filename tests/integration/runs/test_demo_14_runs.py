"""Fourteen runs on the fake web: every status and every gap equals the expected table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

import pytest
import pytest_asyncio

from auditor.app import App
from auditor.config.schema import Config, RetentionSettings
from auditor.demo import play as demo_play
from auditor.demo.account_scenarios import DEFAULT_RUN_COUNT, UNRELIABLE_YOUTUBE_RUN
from auditor.demo.model import DemoRun
from auditor.demo.play import ExpectedValue
from auditor.evaluation.network_view import build_network_overview
from auditor.evaluation.reevaluate import reevaluate
from auditor.reports.html import render_site_pages
from auditor.retention.evidence_pruning import prune_evidence
from auditor.rules.engine import is_gap_open
from auditor.runs import run
from auditor.web.routes.gaps import MAX_LISTED_CHANGES
from storage.models.audit import AuditRunState
from tests.support import output_formats
from tests.support.read_model_consistency import (
    list_dashboard_differences,
    read_tables,
    recount_from_views,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("fourteen nights"),
]  # played once, not once a worker


@dataclass
class Fortnight:
    """The conclusions after each run, in the cells of the expected table."""

    cells: set[ExpectedValue] = field(default_factory=set)
    blind: dict[int, tuple[str, ...]] = field(default_factory=dict)
    states: set[AuditRunState] = field(default_factory=set)
    said: dict[int, dict[str, output_formats.Said]] = field(default_factory=dict)
    apart: dict[int, list[str]] = field(default_factory=dict)
    config: Config | None = None


def after(app: App, number: int) -> set[ExpectedValue]:
    """Return every cell of one run: findings, statuses and open gaps."""
    standings = {standing.account_id: standing for standing in app.store.list_account_statuses()}
    last = app.store.get_latest_run()
    assert last is not None
    looks = {look.account_id: look.finding for look in app.store.list_observations(run_id=last.id)}
    cells = set()
    for row in app.store.list_accounts():
        standing = standings.get(row.id)
        if standing is not None and standing.checked_at is not None:
            look = looks.get(row.id)
            last_seen = standing.latest_presence, standing.latest_reason
            told = words(*((look.presence, look.reason) if look else last_seen))
            cells.add(ExpectedValue(row.association, row.channel, "finding", told, number))
            cells.add(
                ExpectedValue(
                    row.association,
                    row.channel,
                    "status",
                    words(standing.state, standing.reason),
                    number,
                )
            )
    opened = (gap for gap in app.store.list_gaps() if is_gap_open(gap))
    return cells | {
        ExpectedValue(gap.association, gap.channel, "gap", gap.code, number) for gap in opened
    }


def words(*told: object) -> str:
    return " ".join(str(word) for word in told if word)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fortnight(tmp_path_factory):
    """Play the whole demo once.

    The last run is today, because OpenSSL checks certificates against the current date.
    """
    folder, told = tmp_path_factory.mktemp("demo"), Fortnight()
    now = datetime.combine(datetime.now(UTC).date(), time(0, 30), UTC)
    demo_play.prepare_demo_folder(folder)
    async with demo_play.FakeWebProcess(folder / "ca.pem") as web:
        with App.open(demo_play.write_demo_config(folder, web.port)) as app:
            told.config = app.config
            for tonight in demo_play.schedule_demo_runs(DEFAULT_RUN_COUNT, now):
                await play(app, web, folder, tonight, told)
    return told


async def play(
    app: App, web: demo_play.FakeWebProcess, folder, tonight: DemoRun, told: Fortnight
) -> None:
    demo_play.import_demo_spreadsheet(app, folder, tonight)
    await web.switch_to_run(tonight)
    done = await run.execute_run(app, tonight.started_at)
    told.states.add(done.state)
    told.blind[tonight.number] = done.unreliable_channels
    told.cells |= after(app, tonight.number)
    told.said[tonight.number] = {
        "overview": output_formats.by_overview(app, tonight.started_at),
        "terminal": output_formats.by_terminal(folder / "config.toml"),
        "sheet": output_formats.by_sheet(folder / "config.toml"),
        "pages": output_formats.by_pages(app, tonight.started_at),
    }
    later = tonight.started_at + timedelta(hours=9)
    lists = [] if read_tables(app, later) == recount_from_views(app, later) else ["lists"]
    told.apart[tonight.number] = list_dashboard_differences(app, later) + lists


@pytest.mark.asyncio(loop_scope="module")
async def test_every_status_and_gap_is_as_expected(fortnight):
    expected = demo_play.read_expected_values()
    missed = [f"- {row}" for row in demo_play.iter_run_ranges(expected - fortnight.cells)]
    invented = [f"+ {row}" for row in demo_play.iter_run_ranges(fortnight.cells - expected)]
    assert not missed + invented, "\n" + "\n".join(
        sorted(missed + invented, key=lambda line: line[2:])
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_only_the_run_with_the_failing_canary_has_an_unreliable_channel(fortnight):
    assert fortnight.states == {AuditRunState.DONE}
    assert fortnight.blind == {
        n: ("youtube",) if n == UNRELIABLE_YOUTUBE_RUN else ()
        for n in range(1, DEFAULT_RUN_COUNT + 1)
    }


@pytest.mark.parametrize("face", ["terminal", "sheet", "pages"])
@pytest.mark.asyncio(loop_scope="module")
async def test_every_output_agrees_with_the_overview(fortnight, face):
    for number, said in fortnight.said.items():
        told, expected = said[face], said["overview"]
        assert told.coverage == expected.coverage, number
        assert told.levels == expected.levels, number
        assert told.open == expected.open, number
        assert told.news == expected.news, number
        for listed, all_of_them in ((told.opened, expected.opened), (told.closed, expected.closed)):
            assert listed <= all_of_them, number
            assert listed == all_of_them or (
                face == "pages" and listed.total() == MAX_LISTED_CHANGES
            ), number
    assert len(fortnight.said) == DEFAULT_RUN_COUNT


@pytest.mark.asyncio(loop_scope="module")
async def test_pages_agree_with_the_overview(fortnight):
    assert fortnight.apart == {number: [] for number in range(1, DEFAULT_RUN_COUNT + 1)}


@pytest.mark.asyncio(loop_scope="module")
async def test_pruning_and_reevaluation_change_nothing(fortnight):
    """Must be the last test, because it deletes pages. Statuses, gaps and reports stay identical."""
    retention = RetentionSettings(bodies=5, exchanges=8)
    with App.open(fortnight.config.model_copy(update={"retention": retention})) as app:
        now = app.store.get_latest_run().started_at
        before = (
            conclusions(app),
            dict(render_site_pages(build_network_overview(app.store, app.config, now), app.config)),
        )
        told = prune_evidence(app.store, app.body_store, app.config, now + timedelta(hours=9))
        assert told.pruned_observations > 1000
        assert told.bodies > 30
        assert told.stripped_observations > 10, "a look that later nights repeat is not bared"
        assert told.differing_observations < told.pruned_observations / 20
        assert reevaluate(app).changes == []
        after = (
            conclusions(app),
            dict(render_site_pages(build_network_overview(app.store, app.config, now), app.config)),
        )
    assert after == before


def conclusions(app: App) -> list[list[object]]:
    """Return every status, gap and proposal, without the ids of their rows."""
    store = app.store
    rows = [
        [replace(one, id=None) for one in part]
        for part in (store.list_gaps(), store.list_proposals())
    ]
    return [list(store.list_account_statuses()), *(sorted(part, key=repr) for part in rows)]
