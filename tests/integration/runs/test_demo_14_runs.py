"""Fourteen runs on the fake web: every status and every gap equals the expected table."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, time, timedelta

import pytest
import pytest_asyncio

from auditor.app import App
from auditor.conclusions.network_view import build_network_overview
from auditor.conclusions.reevaluate import reevaluate
from auditor.config.schema import Config, RetentionSettings
from auditor.core.reference.gap_catalogue import LANGUAGES
from auditor.demo import play as demo_play
from auditor.demo.model import DEFAULT_RUN_COUNT, UNRELIABLE_YOUTUBE_RUN, DemoRun
from auditor.presentation.reports.html import render_site_pages
from auditor.retention import prune_evidence
from auditor.rules.engine import is_gap_open
from auditor.runs import run
from storage.models.audit import AuditRunState
from tests.support import association_texts, output_formats
from tests.support.demo_session import ExpectedValue, iter_run_ranges, read_expected_values
from tests.support.read_model_consistency import (
    list_dashboard_differences,
    read_tables,
    recount_from_views,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("fourteen nights"),
]  # one group, or each pytest worker plays the demo


@dataclass
class DemoResults:
    """The conclusions after each run, in the cells of the expected table."""

    cells: set[ExpectedValue] = field(default_factory=set)
    unreliable_channels: dict[int, tuple[str, ...]] = field(default_factory=dict)
    states: set[AuditRunState] = field(default_factory=set)
    outputs: dict[int, dict[str, output_formats.NetworkOutput]] = field(default_factory=dict)
    differences: dict[int, list[str]] = field(default_factory=dict)
    registry_requests: dict[int, dict[str, int]] = field(default_factory=dict)
    config: Config | None = None


def collect_cells(app: App, number: int) -> set[ExpectedValue]:
    """Return every cell of one run: findings, statuses and open gaps."""
    statuses = {status.account_id: status for status in app.store.statuses.list_account_statuses()}
    last_run = app.store.runs.get_latest()
    assert last_run is not None
    findings = {
        observation.account_id: observation.finding
        for observation in app.store.observations.list_observations(run_id=last_run.id)
    }
    cells = set()
    for row in app.store.registry.list_accounts():
        status = statuses.get(row.id)
        if status is not None and status.checked_at is not None:
            finding = findings.get(row.id)
            latest = status.latest_presence, status.latest_reason
            finding_text = join_words(*((finding.presence, finding.reason) if finding else latest))
            cells.add(ExpectedValue(row.association, row.channel, "finding", finding_text, number))
            cells.add(
                ExpectedValue(
                    row.association,
                    row.channel,
                    "status",
                    join_words(status.state, status.reason),
                    number,
                )
            )
    opened = (gap for gap in app.store.conclusions.list_gaps() if is_gap_open(gap))
    return cells | {
        ExpectedValue(gap.association, gap.channel, "gap", gap.code, number) for gap in opened
    }


def join_words(*values: object) -> str:
    return " ".join(str(value) for value in values if value)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo_results(tmp_path_factory):
    """Play the whole demo once.

    The last run is today, because OpenSSL checks certificates against the current date.
    """
    folder, results = tmp_path_factory.mktemp("demo"), DemoResults()
    now = datetime.combine(datetime.now(UTC).date(), time(0, 30), UTC)
    demo_play.prepare_demo_folder(folder)
    async with demo_play.FakeWebProcess(folder / "ca.pem") as web:
        with App.open(demo_play.write_demo_config(folder, web.port)) as app:
            results.config = app.config
            for demo_run in demo_play.schedule_demo_runs(DEFAULT_RUN_COUNT, now):
                await play(app, web, folder, demo_run, results)
    return results


async def play(
    app: App, web: demo_play.FakeWebProcess, folder, demo_run: DemoRun, results: DemoResults
) -> None:
    demo_play.import_demo_spreadsheet(app, folder, demo_run)
    await web.switch_to_run(demo_run)
    finished_run = await run.execute_run(app, demo_run.started_at)
    results.states.add(finished_run.state)
    request_counts = await web.get_request_counts()
    results.registry_requests[demo_run.number] = {
        url: count for url, count in request_counts.items() if "/domain/" in url
    }
    results.unreliable_channels[demo_run.number] = finished_run.unreliable_channels
    results.cells |= collect_cells(app, demo_run.number)
    results.outputs[demo_run.number] = {
        "overview": output_formats.read_overview(app, demo_run.started_at),
        "terminal": output_formats.read_json_output(folder / "config.toml"),
        "csv": output_formats.read_csv_output(folder / "config.toml"),
        "xlsx": output_formats.read_xlsx_output(folder / "config.toml"),
        "today": output_formats.read_today(app, demo_run.started_at),
        "grid": output_formats.read_grid(app, demo_run.started_at),
        "association pages": output_formats.read_association_pages(app, demo_run.started_at),
        "news": output_formats.read_news(app, demo_run.started_at),
        "meeting pack": output_formats.read_meeting_pack(app, demo_run.started_at),
        "digest": output_formats.read_digest(app, demo_run.started_at),
    }
    later = demo_run.started_at + timedelta(hours=9)
    lists = [] if read_tables(app, later) == recount_from_views(app, later) else ["lists"]
    results.differences[demo_run.number] = list_dashboard_differences(app, later) + lists


@pytest.mark.asyncio(loop_scope="module")
async def test_every_status_and_gap_is_as_expected(demo_results):
    expected = read_expected_values()
    missed = [f"- {row}" for row in iter_run_ranges(expected - demo_results.cells)]
    invented = [f"+ {row}" for row in iter_run_ranges(demo_results.cells - expected)]
    assert not missed + invented, "\n" + "\n".join(
        sorted(missed + invented, key=lambda line: line[2:])
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_only_the_run_with_the_failing_canary_has_an_unreliable_channel(demo_results):
    assert demo_results.states == {AuditRunState.DONE}
    assert demo_results.unreliable_channels == {
        number: ("youtube",) if number == UNRELIABLE_YOUTUBE_RUN else ()
        for number in range(1, DEFAULT_RUN_COUNT + 1)
    }


@pytest.mark.asyncio(loop_scope="module")
async def test_registries_are_asked_once_a_week_and_never_for_ma_names(demo_results):
    asked = demo_results.registry_requests
    urls = {url for requests in asked.values() for url in requests}
    assert urls
    assert all(url.endswith("-maroc.org") for url in urls)
    assert {count for requests in asked.values() for count in requests.values()} == {1}
    assert {number for number, requests in asked.items() if len(requests) > 1} == {1, 8}
    assert sum(len(asked[number]) for number in (2, 9)) == 2, "the one that was refused"


OUTPUTS = (
    "terminal",
    "csv",
    "xlsx",
    "today",
    "grid",
    "association pages",
    "news",
    "meeting pack",
    "digest",
)


@pytest.mark.parametrize("output_name", OUTPUTS)
@pytest.mark.asyncio(loop_scope="module")
async def test_every_output_agrees_with_the_overview(demo_results, output_name):
    for number, outputs in demo_results.outputs.items():
        output, overview = outputs[output_name], outputs["overview"]
        compared = {
            field.name: (value, getattr(overview, field.name))
            for field in fields(output)
            if (value := getattr(output, field.name)) is not None
        }
        if number == 1 and output_name == "news":  # the first run has nothing to compare with
            compared = {"open": compared["open"]}
        if "statuses" in compared:
            compared["statuses"] = tuple(map(leave_out_unused, compared["statuses"]))
        for name, (value, expected) in compared.items():
            if output_name == "digest" and name in {"opened", "closed"}:
                assert value <= expected, (number, name)  # the digest repeats no news
            else:
                assert value == expected, (number, name)
    assert len(demo_results.outputs) == DEFAULT_RUN_COUNT


def leave_out_unused(statuses):
    """Return the statuses without unused channels: pages show no unused optional network."""
    return {key: status for key, status in statuses.items() if status != "none known"}


@pytest.mark.asyncio(loop_scope="module")
async def test_pages_agree_with_the_overview(demo_results):
    assert demo_results.differences == {number: [] for number in range(1, DEFAULT_RUN_COUNT + 1)}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.asyncio(loop_scope="module")
async def test_pages_for_coordinators_do_not_address_the_association(demo_results, language):
    """They say "its website" where the association's own report says "your website"."""
    fragments = association_texts.list_fragments(language)
    with App.open(demo_results.config) as app:
        pages = association_texts.load_coordinator_pages(app, language)
        found = {
            path: [fragment for fragment in fragments if fragment in text]
            for path, text in pages.items()
        }
    assert len(pages) > 100
    assert {path: texts for path, texts in found.items() if texts} == {}


@pytest.mark.asyncio(loop_scope="module")
async def test_pruning_and_reevaluation_change_nothing(demo_results):
    """Must be the last test, because it deletes pages.

    Statuses, gaps and reports stay identical.
    """
    retention = RetentionSettings(bodies=5)
    with App.open(demo_results.config.model_copy(update={"retention": retention})) as app:
        now = app.store.runs.get_latest().started_at
        results_before = (
            conclusions(app),
            dict(render_site_pages(build_network_overview(app.store, app.config, now), app.config)),
        )
        pruning = prune_evidence(app.store, app.body_store, app.config, now + timedelta(hours=9))
        assert pruning.pruned_observations > 1000
        assert pruning.bodies > 30
        assert reevaluate(app).changes == []
        results_after = (
            conclusions(app),
            dict(render_site_pages(build_network_overview(app.store, app.config, now), app.config)),
        )
    assert results_after == results_before


def conclusions(app: App) -> list[list[object]]:
    """Return every status, gap and proposal, without the ids of their rows."""
    store = app.store
    rows = [
        [replace(item, id=None) for item in part]
        for part in (store.conclusions.list_gaps(), store.conclusions.list_proposals())
    ]
    return [
        list(store.statuses.list_account_statuses()),
        *(sorted(part, key=repr) for part in rows),
    ]
