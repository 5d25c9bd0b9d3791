"""Thirty runs on the fake web, without API keys and with all of them, never contradict each other.

Each audit has its own fake web, which counts the requests.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from auditor.app import App
from auditor.conclusions.run_results import assemble_association_states
from auditor.demo import play as demo_play
from auditor.demo.model import API_FAILURES, UNRELIABLE_YOUTUBE_RUN, DemoRun
from auditor.rules.account_status import PRECISION_SLACK_DAYS
from auditor.rules.association import build_rule_context
from auditor.rules.association_state import EvaluationTime
from auditor.rules.engine import is_gap_open
from auditor.runs import run
from probes.links import channel_registry
from probes.models.finding import Activity, Finding, LinkKind, Presence
from storage.models.audit import AccountRow, AccountState, AccountStatus, AuditRun
from tests.integration.runs.test_demo_14_runs import collect_cells
from tests.support.demo_session import (
    EXPECTED_VALUES_OF_30_RUNS_PATH,
    EXPECTED_VALUES_WITH_KEYS_PATH,
    LONG_RUN_COUNT,
    ExpectedValue,
    build_api_key_environ,
    iter_run_ranges,
    read_expected_values,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("thirty nights"),
]

ACCOUNTS = {LinkKind.PROFILE, LinkKind.PAGE, LinkKind.GROUP, LinkKind.PERSON}
CANARIES = 3  # of a social channel of the demo: two that exist and one that cannot
AccountName = tuple[str, str, str]
"""An account in both audits: its association, its channel, its key."""


@dataclass(frozen=True)
class RunResults:
    """The conclusions of one audit after one run, and its requests.

    `bands` are the activity bands without and with the posts that sites link to.
    """

    run: AuditRun
    rows: Mapping[AccountName, AccountRow]
    statuses: Mapping[AccountName, AccountStatus]
    findings: Mapping[AccountName, Finding]
    gaps: frozenset[tuple[str, AccountName]]
    request_counts: Counter[str]
    bands: Mapping[AccountName, tuple[str, str]]

    @property
    def decided_accounts(self) -> set[AccountName]:
        return {
            name
            for name, status in self.statuses.items()
            if status.state is not AccountState.UNKNOWN
        }

    def count_by_host(self) -> Counter[str]:
        """Return the number of requests by host."""
        counts: Counter[str] = Counter()
        for url, count in self.request_counts.items():
            counts[urlsplit(url).hostname or ""] += count
        return counts

    def list_checkable(self, channel: str) -> list[AccountRow]:
        """Return the accounts of a channel that can be checked."""
        return [
            row
            for row in self.rows.values()
            if row.channel == channel and row.identity.kind in ACCOUNTS
        ]


@dataclass
class Audit:
    """One of the two audits, with all its runs."""

    absences: frozenset[str] = frozenset()
    cells: set[ExpectedValue] = field(default_factory=set)
    runs: dict[int, RunResults] = field(default_factory=dict)


@dataclass
class AuditPair:
    """The two audits of the same month."""

    without: Audit
    with_keys: Audit

    def pairs(self):
        """Return the two audits of each run."""
        return [
            (number, self.without.runs[number], self.with_keys.runs[number])
            for number in self.without.runs
        ]

    def accounts(self):
        """Return each account after each run, in both audits."""
        for number, without, with_keys in self.pairs():
            for name in without.statuses.keys() & with_keys.statuses.keys():
                yield number, name, without, with_keys


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def audits(tmp_path_factory):
    """Play both audits concurrently.

    The last run is today, because OpenSSL checks certificates against the current date.
    """
    now = datetime.combine(datetime.now(UTC).date(), time(0, 30), UTC)
    demo_runs = demo_play.schedule_demo_runs(LONG_RUN_COUNT, now)
    folders = tmp_path_factory.mktemp("without"), tmp_path_factory.mktemp("with")
    results = await asyncio.gather(
        play(folders[0], demo_runs, {}), play(folders[1], demo_runs, build_api_key_environ())
    )
    return AuditPair(*results)


async def play(folder, demo_runs: list[DemoRun], environ: Mapping[str, str]) -> Audit:
    demo_play.prepare_demo_folder(folder)
    async with demo_play.FakeWebProcess(folder / "ca.pem") as web:
        with App.open(demo_play.write_demo_config(folder, web.port, environ)) as app:
            audit = Audit(
                frozenset(rule.code for rule in app.config.rules if rule.check == "absent")
            )
            for demo_run in demo_runs:
                demo_play.import_demo_spreadsheet(app, folder, demo_run)
                await web.switch_to_run(demo_run)
                finished_run = await run.execute_run(app, demo_run.started_at)
                audit.cells |= collect_cells(app, demo_run.number)
                audit.runs[demo_run.number] = collect_results(
                    app, finished_run, await web.get_request_counts()
                )
    return audit


def collect_results(app: App, finished_run: AuditRun, request_counts: Counter[str]) -> RunResults:
    rows = {row.id: row for row in app.store.registry.list_accounts()}
    names = {
        account_id: (row.association, row.channel, row.identity.key or row.typed_text)
        for account_id, row in rows.items()
    }
    return RunResults(
        finished_run,
        {names[account_id]: row for account_id, row in rows.items()},
        {
            names[status.account_id]: status
            for status in app.store.statuses.list_account_statuses()
            if status.checked_at
        },
        {
            names[observation.account_id]: observation.finding
            for observation in app.store.observations.list_observations(run_id=finished_run.id)
        },
        frozenset(
            (gap.code, (gap.association, gap.channel, gap.subject))
            for gap in app.store.conclusions.list_gaps()
            if is_gap_open(gap)
        ),
        request_counts,
        {names[account_id]: bands for account_id, bands in classify_accounts(app, finished_run)},
    )


def classify_accounts(app: App, finished_run: AuditRun) -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield the activity band of each account, without and with the posts that sites link to."""
    started_at, activity_bands = finished_run.started_at, app.config.activity
    data = app.store.conclusions.load_association_data(
        [item.id for item in app.store.registry.list_associations()]
    )
    for state in assemble_association_states(data["associations"], data):
        contexts = [
            build_rule_context(state, EvaluationTime(started_at, started_at), {}, bands=bands)
            for bands in (None, activity_bands)
        ]
        for pair in zip(*(context.accounts for context in contexts), strict=True):
            without, with_posts = (
                activity_bands.classify_activity(account.status, started_at) for account in pair
            )
            yield pair[0].row.id or 0, (without, with_posts)


def describe_differences(expected: set[ExpectedValue], cells: set[ExpectedValue]) -> str:
    missed = [f"- {row}" for row in iter_run_ranges(expected - cells)]
    invented = [f"+ {row}" for row in iter_run_ranges(cells - expected)]
    return "\n".join(sorted(missed + invented, key=lambda line: line[2:]))


# --- Each audit has the expected results ---------------------------------------------------------


async def test_without_keys_every_status_and_gap_is_as_expected(audits):
    assert (
        describe_differences(
            read_expected_values(EXPECTED_VALUES_OF_30_RUNS_PATH), audits.without.cells
        )
        == ""
    )


async def test_with_keys_every_status_and_gap_is_as_expected(audits):
    assert (
        describe_differences(
            read_expected_values(EXPECTED_VALUES_WITH_KEYS_PATH), audits.with_keys.cells
        )
        == ""
    )


# --- The audits never contradict each other ------------------------------------------------------


async def test_present_in_one_audit_is_never_gone_in_the_other(audits):
    contradiction = {AccountState.PRESENT, AccountState.GONE}
    contradicted = [
        (number, name)
        for number, name, without, with_keys in audits.accounts()
        if {without.statuses[name].state, with_keys.statuses[name].state} == contradiction
    ]
    assert not contradicted


async def test_platform_id_and_name_agree(audits):
    findings = [
        (without.findings[name], with_keys.findings[name])
        for _, name, without, with_keys in audits.accounts()
        if name in without.findings and name in with_keys.findings
    ]
    for field_name in ("platform_id", "name"):
        pairs = [(getattr(a, field_name), getattr(b, field_name)) for a, b in findings]
        known_pairs = [pair for pair in pairs if None not in pair]
        assert known_pairs
        assert all(a == b for a, b in known_pairs), field_name
    ids = [
        (without.statuses[name].platform_id, with_keys.statuses[name].platform_id)
        for _, name, without, with_keys in audits.accounts()
    ]
    assert all(a == b for a, b in ids if a and b)


async def test_publication_dates_agree(audits):
    compared: Counter[str] = Counter()
    for number, name, without, with_keys in audits.accounts():
        findings = [results.findings.get(name) for results in (without, with_keys)]
        dates = [finding.last_activity for finding in findings if finding and finding.last_activity]
        if len(dates) == 2:
            compared[name[1]] += 1
            assert dates_agree(*dates), (number, name, dates)
    assert {"facebook", "youtube"} <= compared.keys()


def dates_agree(first: Activity, second: Activity) -> bool:
    """Return True if two dates may be the same.

    A coarse date is at most one unit late or one day early.
    """
    slack = max(PRECISION_SLACK_DAYS.get(date.precision, 1) for date in (first, second))
    return abs(first.published_at - second.published_at) <= timedelta(days=slack + 1)


async def test_absent_in_one_audit_is_never_present_in_the_other(audits):
    contradictions = [
        (number, code, name)
        for number, without, with_keys in audits.pairs()
        for results, other_results in ((without, with_keys), (with_keys, without))
        for code, name in results.gaps
        if code in audits.without.absences
        and (code, name) not in other_results.gaps  # an unreachable site is down in both audits
        and name in other_results.statuses
        and other_results.statuses[name].state is AccountState.PRESENT
    ]
    assert audits.without.absences
    assert not contradictions


# --- Posts that sites link to ---------------------------------------------------------------------

BAND_ORDER = ("dormant", "inactive", "slow", "active")
PLANTED_POSTS = {"linkedin": {"a094"}, "twitter": {"a100"}}
"""Associations whose site embeds a recent post of an account that cannot be read without a key."""


async def test_no_activity_band_is_lower_with_linked_posts(audits):
    for audit in (audits.without, audits.with_keys):
        for number, results in audit.runs.items():
            changed = {name: pair for name, pair in results.bands.items() if pair[0] != pair[1]}
            for name, (without, with_posts) in changed.items():
                if without in BAND_ORDER:
                    order = BAND_ORDER.index(with_posts), BAND_ORDER.index(without)
                    assert order[0] > order[1], (number, name)
                else:
                    assert without == "unknown", (number, name)
                    assert with_posts in ("slow", "active"), (number, name)


async def test_unknown_activity_falls_by_the_planted_posts(audits):
    for number, results in audits.without.runs.items():
        for channel, planted in PLANTED_POSTS.items():
            unknown_sets = [
                {
                    name[0]
                    for name, pair in results.bands.items()
                    if name[1] == channel and pair[position] == "unknown"
                }
                for position in (0, 1)
            ]
            assert unknown_sets[0] - unknown_sets[1] == planted, number
            assert unknown_sets[1] < unknown_sets[0], number


# --- A key gives more results, and does not depend on the pages ----------------------------------


async def test_run_with_keys_decides_more_accounts(audits):
    for number, without, with_keys in audits.pairs():
        assert without.decided_accounts < with_keys.decided_accounts, number


async def test_channel_with_key_is_unreliable_only_when_its_api_fails(audits):
    for number, without, with_keys in audits.pairs():
        assert set(with_keys.run.unreliable_channels) <= {
            channel for channel, (failing_run, _) in API_FAILURES.items() if failing_run == number
        }
        assert set(without.run.unreliable_channels) == (
            {"youtube"} if number == UNRELIABLE_YOUTUBE_RUN else set()
        )


async def test_failing_api_makes_accounts_unknown_and_changes_no_status(audits):
    for channel, (failing_run, reason) in API_FAILURES.items():
        earlier, results = (
            audits.with_keys.runs[failing_run - 1],
            audits.with_keys.runs[failing_run],
        )
        names = [
            name
            for name in results.findings
            if name[1] == channel and results.rows[name] in results.list_checkable(channel)
        ]
        findings = [
            results.findings[name]
            for name in names
            if results.findings[name].reason != "not_configured"
        ]
        assert {(finding.presence, finding.reason) for finding in findings} == {
            (Presence.UNKNOWN, reason)
        }
        known_names = [name for name in names if name in earlier.statuses]
        assert all(
            results.statuses[name].state == earlier.statuses[name].state for name in known_names
        )
        assert {gap for gap in results.gaps if gap[1][1] == channel} >= {
            gap for gap in earlier.gaps if gap[1][1] == channel and gap[0] != "channel_missing"
        }


# --- Requests, and their counts in the run report ------------------------------------------------


async def test_run_report_has_the_request_count_of_the_proxy(audits):
    for audit in (audits.without, audits.with_keys):
        for number, results in audit.runs.items():
            report, counts = results.run.report.to_json(), results.count_by_host()
            assert report["requests"] == counts.total(), number
            assert report["requests_by_host"].items() <= counts.items(), number
            elsewhere = report["requests_other_hosts"]
            assert len(report["requests_by_host"]) + elsewhere["hosts"] == len(counts), number
            assert (
                sum(report["requests_by_host"].values()) + elsewhere["requests"] == counts.total()
            ), number


async def test_without_keys_each_account_is_requested_once(audits):
    for results in audits.without.runs.values():
        for channel in ("facebook", "twitter", "linkedin"):
            registered = Counter(row.identity.canonical for row in results.list_checkable(channel))
            assert all(results.request_counts[url] == count for url, count in registered.items())
        for row in results.list_checkable("youtube"):
            page_url = str(row.identity.canonical)
            assert (
                sum(
                    results.request_counts[url]
                    for url in (page_url, f"{page_url}/videos", f"{page_url}/streams")
                )
                <= 3
            )
            assert results.request_counts[page_url] == 1
        assert not results.count_by_host().keys() & {
            channel_registry.get_channel_api(channel).host for channel in API_FAILURES
        }


async def test_with_key_no_page_of_the_platform_is_requested(audits):
    api_hosts = {channel_registry.get_channel_api(channel).host for channel in API_FAILURES}
    for results in audits.with_keys.runs.values():
        page_hosts = results.count_by_host().keys() - api_hosts
        assert {channel_registry.find_channel_by_host(host) for host in page_hosts}.isdisjoint(
            API_FAILURES
        )
        assert api_hosts <= results.count_by_host().keys()


async def test_apis_are_called_as_rarely_as_possible(audits):
    for number, results in audits.with_keys.runs.items():
        hosts, troubled_count = results.count_by_host(), len(list_troubled(results, "facebook"))
        youtube, twitter, facebook = (
            len(results.list_checkable(name)) for name in ("youtube", "twitter", "facebook")
        )
        assert hosts["www.googleapis.com"] <= math.ceil(youtube / 50) + 2 * (youtube + CANARIES), (
            number
        )
        if number != API_FAILURES["twitter"][0]:  # then it is requested again in the second pass
            assert hosts["api.x.com"] <= 2 * math.ceil(twitter / 100) + 1, number
        if number != API_FAILURES["facebook"][0]:
            assert (
                hosts["graph.facebook.com"]
                <= 2 * math.ceil(facebook / 50) + 2 * troubled_count + CANARIES
            ), number


def list_troubled(results: RunResults, channel: str) -> list[AccountName]:
    """Return the accounts that make a call fail for others."""
    findings = {name: finding for name, finding in results.findings.items() if name[1] == channel}
    return [name for name, finding in findings.items() if finding.presence is not Presence.PRESENT]
