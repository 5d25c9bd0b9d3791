"""A month of runs on the fake web, which counts the requests: every result is as expected."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from auditor.app import App
from auditor.conclusions.network_view import build_network_overview
from auditor.conclusions.reevaluate import reevaluate
from auditor.config.schema import Config, RetentionSettings
from auditor.demo import play as demo_play
from auditor.demo.model import UNRELIABLE_YOUTUBE_RUN
from auditor.presentation.reports.html import render_site_pages
from auditor.retention import prune_evidence
from auditor.rules.engine import is_gap_open
from auditor.runs import run
from probes.models.finding import Finding, LinkKind
from storage.models.audit import AccountRow, AuditRun, AuditRunState
from tests.support import output_formats
from tests.support.demo_session import ExpectedValue, iter_run_ranges, read_expected_values
from tests.support.read_model_consistency import (
    list_dashboard_differences,
    read_tables,
    recount_from_views,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("demo runs"),
]

RUN_COUNT = 30
COMPARED_RUNS = {1, UNRELIABLE_YOUTUBE_RUN, RUN_COUNT}
"""The runs after which all outputs are read and compared, because that takes long."""
ACCOUNTS = {LinkKind.PROFILE, LinkKind.PAGE, LinkKind.GROUP, LinkKind.PERSON}


@dataclass(frozen=True)
class RunResults:
    """The conclusions of an audit after one run, in cells, and its requests by URL."""

    run: AuditRun
    cells: set[ExpectedValue]
    checkable: list[AccountRow]
    findings: dict[int, Finding]
    request_counts: Counter[str]

    def count_by_host(self) -> Counter[str]:
        """Return the number of requests by host."""
        counts: Counter[str] = Counter()
        for url, count in self.request_counts.items():
            counts[urlsplit(url).hostname or ""] += count
        return counts

    def list_checkable(self, channel: str) -> list[AccountRow]:
        """Return the accounts of a channel that can be checked."""
        return [row for row in self.checkable if row.channel == channel]


@dataclass
class Audit:
    """An audit with its runs by number, and what its outputs showed after some of them."""

    config: Config
    runs: dict[int, RunResults] = field(default_factory=dict)
    outputs: dict[int, dict[str, output_formats.NetworkOutput]] = field(default_factory=dict)
    differences: dict[int, list[str]] = field(default_factory=dict)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def audit(tmp_path_factory):
    """Play the runs. The last is today: OpenSSL checks certificates against the current date."""
    return await play(tmp_path_factory.mktemp("demo"))


async def play(folder) -> Audit:
    demo_play.prepare_demo_folder(folder)
    now = datetime.combine(datetime.now(UTC).date(), time(0, 30), UTC)
    async with demo_play.FakeWebProcess(folder / "ca.pem") as web:
        with App.open(demo_play.write_demo_config(folder, web.port)) as app:
            audit = Audit(app.config)
            for demo_run in demo_play.schedule_demo_runs(RUN_COUNT, now):
                demo_play.import_demo_spreadsheet(app, folder, demo_run)
                await web.switch_to_run(demo_run)
                finished_run = await run.execute_run(app, demo_run.started_at)
                audit.runs[demo_run.number] = collect_results(
                    app, finished_run, await web.get_request_counts()
                )
                if demo_run.number in COMPARED_RUNS:
                    audit.outputs[demo_run.number] = read_outputs(app, folder, demo_run.started_at)
                    later = demo_run.started_at + timedelta(hours=9)
                    differences = list_dashboard_differences(app, later)
                    if read_tables(app, later) != recount_from_views(app, later):
                        differences.append("lists")
                    audit.differences[demo_run.number] = differences
    return audit


def collect_results(app: App, finished_run: AuditRun, request_counts: Counter[str]) -> RunResults:
    rows = {row.id: row for row in app.store.registry.list_accounts()}
    observations = app.store.observations.list_observations(run_id=finished_run.id)
    findings = {observation.account_id: observation.finding for observation in observations}
    values = {
        (gap.association, gap.channel, "gap", gap.code)
        for gap in app.store.conclusions.list_gaps()
        if is_gap_open(gap)
    }
    for status in app.store.statuses.list_account_statuses():
        if status.checked_at:
            account = rows[status.account_id].association, rows[status.account_id].channel
            finding = findings.get(status.account_id)
            latest = (status.latest_presence, status.latest_reason)
            found = (finding.presence, finding.reason) if finding else latest
            values.add((*account, "finding", join_words(*found)))
            values.add((*account, "status", join_words(status.state, status.reason)))
    return RunResults(
        finished_run,
        {ExpectedValue(*value, finished_run.id) for value in values},
        [row for row in rows.values() if row.identity.kind in ACCOUNTS],
        findings,
        request_counts,
    )


def join_words(*values: object) -> str:
    return " ".join(str(value) for value in values if value)


def read_outputs(app: App, folder, now: datetime) -> dict[str, output_formats.NetworkOutput]:
    config = folder / "config.toml"
    return {
        "overview": output_formats.read_overview(app, now),
        "terminal": output_formats.read_exports(config, output_formats.list_json_rows),
        "csv": output_formats.read_exports(config, output_formats.list_csv_rows),
        "xlsx": output_formats.read_exports(config, output_formats.list_xlsx_rows),
        "today": output_formats.read_today(app, now),
        "grid": output_formats.read_grid(app, now),
        "association pages": output_formats.read_association_pages(app, now),
        "news": output_formats.read_news(app, now),
        "site": output_formats.read_site(app, now),
        "terminal summary": output_formats.read_terminal_summary(app, now),
        "meeting pack": output_formats.read_meeting_pack(app, now),
        "digest": output_formats.read_digest(app, now),
    }


async def test_every_status_and_gap_is_as_expected(audit):
    expected = read_expected_values()
    cells = set().union(*(results.cells for results in audit.runs.values()))
    missed = [f"- {row}" for row in iter_run_ranges(expected - cells)]
    invented = [f"+ {row}" for row in iter_run_ranges(cells - expected)]
    assert missed + invented == []


async def test_every_run_is_done_and_a_channel_is_unreliable_only_if_its_source_fails(audit):
    assert {results.run.state for results in audit.runs.values()} == {AuditRunState.DONE}
    unreliable = {
        number: results.run.unreliable_channels
        for number, results in audit.runs.items()
        if results.run.unreliable_channels
    }
    assert unreliable == {UNRELIABLE_YOUTUBE_RUN: ("youtube",)}


# --- Requests, and their counts in the run report ------------------------------------------------


async def test_run_report_has_the_request_count_of_the_proxy(audit):
    for results in audit.runs.values():
        report, counts = results.run.report.to_json(), results.count_by_host()
        by_host, elsewhere = report["requests_by_host"], report["requests_other_hosts"]
        assert by_host.items() <= counts.items()
        assert (report["requests"], len(by_host) + elsewhere["hosts"]) == (
            counts.total(),
            len(counts),
        )
        assert sum(by_host.values()) + elsewhere["requests"] == counts.total()


async def test_each_account_is_requested_once(audit):
    for results in audit.runs.values():
        for channel in ("facebook", "twitter", "linkedin"):
            registered = Counter(row.identity.canonical for row in results.list_checkable(channel))
            assert all(results.request_counts[url] == count for url, count in registered.items())
        for row in results.list_checkable("youtube"):
            urls = [f"{row.identity.canonical}{tab}" for tab in ("", "/videos", "/streams")]
            counts = [results.request_counts[url] for url in urls]
            assert counts[0] == 1
            assert sum(counts) <= 3


# --- What the outputs show -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "output_name",
    [
        *("terminal", "csv", "xlsx", "today", "grid"),
        *("association pages", "news", "meeting pack", "digest", "site", "terminal summary"),
    ],
)
async def test_every_output_agrees_with_the_overview(audit, output_name):
    for number, outputs in audit.outputs.items():
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
        unused = {
            channel_name
            for (channel_name, status), count in overview.status_counts.items()
            if (status, count) == ("none known", len(overview.levels))
        }
        for name in compared.keys() & {"coverage", "status_counts"}:
            compared[name] = tuple(leave_out_channels(part, unused) for part in compared[name])
        for name, (value, expected) in compared.items():
            if output_name == "digest" and name in {"opened", "closed"}:
                assert value <= expected, (number, name)  # the digest repeats no news
            else:
                assert value == expected, (number, name)


def leave_out_unused(statuses):
    """Return the statuses without unused channels: pages show no unused optional network."""
    return {key: status for key, status in statuses.items() if status != "none known"}


def leave_out_channels(figures, channel_names):
    """Return the figures without these channels. Pages show no channel that no one uses."""
    return {
        key: value
        for key, value in figures.items()
        if channel_names.isdisjoint([key] if isinstance(key, str) else key)
    }


async def test_pages_agree_with_the_overview(audit):
    assert audit.differences == {number: [] for number in COMPARED_RUNS}


async def test_pruning_and_reevaluation_change_nothing(audit):
    """Must be the last test, because it deletes pages."""
    config = audit.config.model_copy(update={"retention": RetentionSettings(bodies=5)})
    with App.open(config) as app:
        now = app.store.runs.get_latest().started_at
        results_before = read_conclusions(app), render_site(app, now)
        pruning = prune_evidence(app.store, app.body_store, app.config, now + timedelta(hours=9))
        assert pruning.pruned_observations > 1000
        assert pruning.bodies > 30
        assert reevaluate(app).changes == []
        assert (read_conclusions(app), render_site(app, now)) == results_before


def read_conclusions(app: App) -> list[list[object]]:
    """Return every status, gap and proposal, without the ids of their rows."""
    gaps, proposals = app.store.conclusions.list_gaps(), app.store.conclusions.list_proposals()
    return [
        list(app.store.statuses.list_account_statuses()),
        sorted((replace(gap, id=None) for gap in gaps), key=repr),
        sorted((replace(proposal, id=None) for proposal in proposals), key=repr),
    ]


def render_site(app: App, now: datetime) -> dict[str, str]:
    overview = build_network_overview(app.store, app.config, now)
    return dict(render_site_pages(overview, app.config))
