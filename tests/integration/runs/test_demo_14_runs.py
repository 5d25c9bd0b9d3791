"""Fourteen nights on the practice web, every standing and every gap beside the careful reader's table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

import pytest
import pytest_asyncio

from auditor.app import App
from auditor.config.schema import Config, Keep
from auditor.demo import play as demo_play
from auditor.demo.account_scenarios import BLIND_NIGHT, LAST
from auditor.demo.model import Tonight
from auditor.demo.play import Cell
from auditor.evaluation.network_view import overview
from auditor.evaluation.reevaluate import rejudge
from auditor.reports.html import pages
from auditor.retention.evidence_pruning import thin
from auditor.rules.engine import is_open
from auditor.runs import run
from auditor.web.routes.gaps import LISTED
from storage.models.audit import NightState
from tests.support import output_formats
from tests.support.read_model_consistency import apart, recounted, tabled

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fourteen nights")]  # played once, not once a worker


@dataclass
class Fortnight:
    """What the auditor held after each night, in the cells of the table."""

    cells: set[Cell] = field(default_factory=set)
    blind: dict[int, tuple[str, ...]] = field(default_factory=dict)
    states: set[NightState] = field(default_factory=set)
    said: dict[int, dict[str, output_formats.Said]] = field(default_factory=dict)
    apart: dict[int, list[str]] = field(default_factory=dict)
    config: Config | None = None


def after(app: App, number: int) -> set[Cell]:
    """Every cell of one night: what was seen, what is held, what is open."""
    standings = {standing.account_id: standing for standing in app.store.standings()}
    last = app.store.last_night()
    assert last is not None
    looks = {look.account_id: look.finding for look in app.store.observations(night_id=last.id)}
    cells = set()
    for row in app.store.accounts():
        standing = standings.get(row.id)
        if standing is not None and standing.checked_at is not None:
            look = looks.get(row.id)
            last_seen = standing.latest, standing.latest_reason
            told = words(*((look.presence, look.reason) if look else last_seen))
            cells.add(Cell(row.association, row.channel, "seen", told, number))
            cells.add(
                Cell(row.association, row.channel, "held", words(standing.state, standing.reason), number)
            )
    opened = (gap for gap in app.store.gaps() if is_open(gap))
    return cells | {Cell(gap.association, gap.channel, "gap", gap.code, number) for gap in opened}


def words(*told: object) -> str:
    return " ".join(str(word) for word in told if word)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fortnight(tmp_path_factory):
    """The whole demo, once; its last night is today, as OpenSSL judges certificates by today."""
    folder, told = tmp_path_factory.mktemp("demo"), Fortnight()
    now = datetime.combine(datetime.now(UTC).date(), time(0, 30), UTC)
    demo_play.prepare(folder)
    async with demo_play.PracticeWeb(folder / "ca.pem") as web:
        with App.open(demo_play.configured(folder, web.port)) as app:
            told.config = app.config
            for tonight in demo_play.calendar(LAST, now):
                await play(app, web, folder, tonight, told)
    return told


async def play(app: App, web: demo_play.PracticeWeb, folder, tonight: Tonight, told: Fortnight) -> None:
    demo_play.import_tonight(app, folder, tonight)
    await web.play(tonight)
    done = await run.run(app, tonight.moment)
    told.states.add(done.state)
    told.blind[tonight.number] = done.blind
    told.cells |= after(app, tonight.number)
    told.said[tonight.number] = {
        "overview": output_formats.by_overview(app, tonight.moment),
        "terminal": output_formats.by_terminal(folder / "config.toml"),
        "sheet": output_formats.by_sheet(folder / "config.toml"),
        "pages": output_formats.by_pages(app, tonight.moment),
    }
    later = tonight.moment + timedelta(hours=9)
    lists = [] if tabled(app, later) == recounted(app, later) else ["lists"]
    told.apart[tonight.number] = apart(app, later) + lists


@pytest.mark.asyncio(loop_scope="module")
async def test_every_standing_and_every_gap_of_every_night_is_the_careful_reader_s(fortnight):
    expected = demo_play.read()
    missed = [f"- {row}" for row in demo_play.rows(expected - fortnight.cells)]
    invented = [f"+ {row}" for row in demo_play.rows(fortnight.cells - expected)]
    assert not missed + invented, "\n" + "\n".join(sorted(missed + invented, key=lambda line: line[2:]))


@pytest.mark.asyncio(loop_scope="module")
async def test_only_the_night_of_the_failing_canary_is_blind(fortnight):
    assert fortnight.states == {NightState.DONE}
    assert fortnight.blind == {n: ("youtube",) if n == BLIND_NIGHT else () for n in range(1, LAST + 1)}


@pytest.mark.parametrize("face", ["terminal", "sheet", "pages"])
@pytest.mark.asyncio(loop_scope="module")
async def test_every_face_says_what_the_overview_says_every_night(fortnight, face):
    for number, said in fortnight.said.items():
        told, expected = said[face], said["overview"]
        assert told.coverage == expected.coverage, number
        assert told.levels == expected.levels, number
        assert told.open == expected.open, number
        assert told.news == expected.news, number
        for listed, all_of_them in ((told.opened, expected.opened), (told.closed, expected.closed)):
            assert listed <= all_of_them, number
            assert listed == all_of_them or (face == "pages" and listed.total() == LISTED), number
    assert len(fortnight.said) == LAST


@pytest.mark.asyncio(loop_scope="module")
async def test_the_pages_and_the_overview_never_disagree(fortnight):
    assert fortnight.apart == {number: [] for number in range(1, LAST + 1)}


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_is_told_otherwise_after_thinning_and_a_rebuild(fortnight):
    """The last of these tests, as it removes pages. Standings, gaps and reports are the same to the byte."""
    keep = Keep(bodies=5, exchanges=8)
    with App.open(fortnight.config.model_copy(update={"keep": keep})) as app:
        now = app.store.last_night().started_at
        before = conclusions(app), dict(pages(overview(app.store, app.config, now), app.config))
        told = thin(app.store, app.archive, app.config, now + timedelta(hours=9))
        assert told.looks > 1000
        assert told.bodies > 30
        assert told.exchanges > 10, "a look that later nights repeat is not bared"
        assert told.otherwise < told.looks / 20
        assert rejudge(app).changes == []
        after = conclusions(app), dict(pages(overview(app.store, app.config, now), app.config))
    assert after == before


def conclusions(app: App) -> list[list[object]]:
    """Every standing, gap and proposal, without the numbers of its rows."""
    store = app.store
    rows = [[replace(one, id=None) for one in part] for part in (store.gaps(), store.proposals())]
    return [list(store.standings()), *(sorted(part, key=repr) for part in rows)]
