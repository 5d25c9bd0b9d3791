"""Thirty runs on the fake web, without API keys and with all of them, never contradict each other.

Each audit has its own fake web, which counts the requests.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from auditor.app import App
from auditor.demo import model
from auditor.demo import play as demo_play
from auditor.demo.account_scenarios import API_FAILURES, UNRELIABLE_YOUTUBE_RUN
from auditor.demo.model import DemoRun
from auditor.demo.play import WITH_KEYS_RUN_COUNT, ExpectedValue
from auditor.rules.account_status import PRECISION_SLACK_DAYS
from auditor.rules.engine import is_gap_open
from auditor.runs import run
from probes.links import channel_registry
from probes.models.finding import Activity, Finding, LinkKind, Presence
from storage.models.audit import AccountRow, AccountState, AccountStatus, AuditRun
from tests.integration.runs.test_demo_14_runs import after

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("thirty nights"),
]

ACCOUNTS = {LinkKind.PROFILE, LinkKind.PAGE, LinkKind.GROUP, LinkKind.PERSON}
CANARIES = 3  # of a social channel of the demo: two that exist and one that cannot
Named = tuple[str, str, str]
"""An account in both audits: its association, its channel, its key."""


@dataclass(frozen=True)
class Told:
    """The conclusions of one audit after one run, and its requests."""

    night: AuditRun
    rows: Mapping[Named, AccountRow]
    standings: Mapping[Named, AccountStatus]
    findings: Mapping[Named, Finding]
    gaps: frozenset[tuple[str, Named]]
    asked: Counter[str]

    @property
    def decided(self) -> set[Named]:
        return {
            name
            for name, standing in self.standings.items()
            if standing.state is not AccountState.UNKNOWN
        }

    def hosts(self) -> Counter[str]:
        """Return the number of requests by host."""
        counted: Counter[str] = Counter()
        for url, times in self.asked.items():
            counted[urlsplit(url).hostname or ""] += times
        return counted

    def on(self, channel: str) -> list[AccountRow]:
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
    nights: dict[int, Told] = field(default_factory=dict)


@dataclass
class Month:
    """The two audits of the same month."""

    without: Audit
    with_keys: Audit

    def pairs(self):
        """Return the two audits of each run."""
        return [
            (at, self.without.nights[at], self.with_keys.nights[at]) for at in self.without.nights
        ]

    def accounts(self):
        """Return each account after each run, in both audits."""
        for at, one, other in self.pairs():
            for name in one.standings.keys() & other.standings.keys():
                yield at, name, one, other


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def month(tmp_path_factory):
    """Play both audits concurrently.

    The last run is today, because OpenSSL checks certificates against the current date.
    """
    now = datetime.combine(datetime.now(UTC).date(), time(0, 30), UTC)
    nights = demo_play.schedule_demo_runs(WITH_KEYS_RUN_COUNT, now)
    folders = tmp_path_factory.mktemp("without"), tmp_path_factory.mktemp("with")
    told = await asyncio.gather(
        play(folders[0], nights, {}), play(folders[1], nights, model.build_api_key_environ())
    )
    return Month(*told)


async def play(folder, nights: list[DemoRun], environ: Mapping[str, str]) -> Audit:
    demo_play.prepare_demo_folder(folder)
    async with demo_play.FakeWebProcess(folder / "ca.pem") as web:
        with App.open(demo_play.write_demo_config(folder, web.port, environ)) as app:
            audit = Audit(
                frozenset(rule.code for rule in app.config.rules if rule.check == "absent")
            )
            for tonight in nights:
                demo_play.import_demo_spreadsheet(app, folder, tonight)
                await web.switch_to_run(tonight)
                done = await run.execute_run(app, tonight.started_at)
                audit.cells |= after(app, tonight.number)
                audit.nights[tonight.number] = told(app, done, await web.get_request_counts())
    return audit


def told(app: App, done: AuditRun, asked: Counter[str]) -> Told:
    rows = {row.id: row for row in app.store.list_accounts()}
    names = {
        at: (row.association, row.channel, row.identity.key or row.typed_text)
        for at, row in rows.items()
    }
    return Told(
        done,
        {names[at]: row for at, row in rows.items()},
        {names[one.account_id]: one for one in app.store.list_account_statuses() if one.checked_at},
        {
            names[look.account_id]: look.finding
            for look in app.store.list_observations(run_id=done.id)
        },
        frozenset(
            (gap.code, (gap.association, gap.channel, gap.subject))
            for gap in app.store.list_gaps()
            if is_gap_open(gap)
        ),
        asked,
    )


def different(expected: set[ExpectedValue], cells: set[ExpectedValue]) -> str:
    missed = [f"- {row}" for row in demo_play.iter_run_ranges(expected - cells)]
    invented = [f"+ {row}" for row in demo_play.iter_run_ranges(cells - expected)]
    return "\n".join(sorted(missed + invented, key=lambda line: line[2:]))


# --- Each is the careful reader's ----------------------------------------------------------------


async def test_without_keys_every_status_and_gap_is_as_expected(month):
    assert (
        different(demo_play.compute_expected_values(WITH_KEYS_RUN_COUNT), month.without.cells) == ""
    )


async def test_with_keys_every_status_and_gap_is_as_expected(month):
    assert (
        different(
            demo_play.read_expected_values(demo_play.EXPECTED_VALUES_WITH_KEYS_PATH),
            month.with_keys.cells,
        )
        == ""
    )


# --- They never contradict each other ------------------------------------------------------------


async def test_present_in_one_audit_is_never_gone_in_the_other(month):
    against = {AccountState.PRESENT, AccountState.GONE}
    contradicted = [
        (at, name)
        for at, name, one, other in month.accounts()
        if {one.standings[name].state, other.standings[name].state} == against
    ]
    assert not contradicted


async def test_platform_id_and_name_agree(month):
    told = [
        (one.findings[name], other.findings[name])
        for _, name, one, other in month.accounts()
        if name in one.findings and name in other.findings
    ]
    for what in ("platform_id", "name", "followers"):
        both = [(getattr(a, what), getattr(b, what)) for a, b in told]
        known = [pair for pair in both if None not in pair]
        assert known
        assert all(a == b for a, b in known), what
    ids = [
        (one.standings[name].platform_id, other.standings[name].platform_id)
        for _, name, one, other in month.accounts()
    ]
    assert all(a == b for a, b in ids if a and b)


async def test_publication_dates_agree(month):
    compared: Counter[str] = Counter()
    for at, name, one, other in month.accounts():
        looks = [told.findings.get(name) for told in (one, other)]
        dates = [look.last_activity for look in looks if look and look.last_activity]
        if len(dates) == 2:
            compared[name[1]] += 1
            assert agree(*dates), (at, name, dates)
    assert {"facebook", "youtube"} <= compared.keys()


def agree(one: Activity, other: Activity) -> bool:
    """Return True if two dates may be the same: a coarse one is one unit late or one day early at most."""
    slack = max(PRECISION_SLACK_DAYS.get(date.precision, 1) for date in (one, other))
    return abs(one.published_at - other.published_at) <= timedelta(days=slack + 1)


async def test_absent_in_one_audit_is_never_present_in_the_other(month):
    wrong = [
        (at, code, name)
        for at, one, other in month.pairs()
        for told, against in ((one, other), (other, one))
        for code, name in told.gaps
        if code in month.without.absences
        and (code, name)
        not in against.gaps  # a site that is there and does not answer is down for both
        and name in against.standings
        and against.standings[name].state is AccountState.PRESENT
    ]
    assert month.without.absences
    assert not wrong


# --- A key sees more, and is never blind for the pages' sake --------------------------------------


async def test_run_with_keys_decides_more_accounts(month):
    for at, one, other in month.pairs():
        assert one.decided < other.decided, at


async def test_channel_with_key_is_unreliable_only_when_its_api_fails(month):
    for at, one, other in month.pairs():
        assert set(other.night.unreliable_channels) <= {
            channel for channel, (bad, _) in API_FAILURES.items() if bad == at
        }
        assert set(one.night.unreliable_channels) == (
            {"youtube"} if at == UNRELIABLE_YOUTUBE_RUN else set()
        )


async def test_failing_api_makes_accounts_unknown_and_changes_no_status(month):
    for channel, (bad, reason) in API_FAILURES.items():
        before, told = month.with_keys.nights[bad - 1], month.with_keys.nights[bad]
        asked = [
            name
            for name in told.findings
            if name[1] == channel and told.rows[name] in told.on(channel)
        ]
        looked = [
            told.findings[name] for name in asked if told.findings[name].reason != "not_configured"
        ]
        assert {(look.presence, look.reason) for look in looked} == {(Presence.UNKNOWN, reason)}
        known = [name for name in asked if name in before.standings]
        assert all(told.standings[name].state == before.standings[name].state for name in known)
        assert {gap for gap in told.gaps if gap[1][1] == channel} >= {
            gap for gap in before.gaps if gap[1][1] == channel and gap[0] != "channel_missing"
        }


# --- What is asked, and what the receipt says of it ----------------------------------------------


async def test_receipt_has_the_request_count_of_the_proxy(month):
    for audit in (month.without, month.with_keys):
        for at, told in audit.nights.items():
            receipt, counted = told.night.receipt, told.hosts()
            assert receipt["requests"] == counted.total(), at
            assert receipt["requests_by_host"].items() <= counted.items(), at
            elsewhere = receipt["requests_other_hosts"]
            assert len(receipt["requests_by_host"]) + elsewhere["hosts"] == len(counted), at
            assert (
                sum(receipt["requests_by_host"].values()) + elsewhere["requests"] == counted.total()
            ), at


async def test_without_keys_each_account_is_requested_once(month):
    for told in month.without.nights.values():
        for channel in ("facebook", "twitter", "linkedin"):
            registered = Counter(row.identity.canonical for row in told.on(channel))
            assert all(told.asked[url] == times for url, times in registered.items())
        for row in told.on("youtube"):
            own = str(row.identity.canonical)
            assert sum(told.asked[url] for url in (own, f"{own}/videos", f"{own}/streams")) <= 3
            assert told.asked[own] == 1
        assert not told.hosts().keys() & {
            channel_registry.get_channel_api(channel).host for channel in API_FAILURES
        }


async def test_with_key_no_page_of_the_platform_is_requested(month):
    interfaces = {channel_registry.get_channel_api(channel).host for channel in API_FAILURES}
    for told in month.with_keys.nights.values():
        pages = told.hosts().keys() - interfaces
        assert {channel_registry.find_channel_by_host(host) for host in pages}.isdisjoint(
            API_FAILURES
        )
        assert interfaces <= told.hosts().keys()


async def test_apis_are_called_as_rarely_as_possible(month):
    for at, told in month.with_keys.nights.items():
        hosts, spoilt = told.hosts(), len(troubled(told, "facebook"))
        youtube, twitter, facebook = (
            len(told.on(name)) for name in ("youtube", "twitter", "facebook")
        )
        assert hosts["www.googleapis.com"] <= math.ceil(youtube / 50) + 2 * (youtube + CANARIES), at
        if at != API_FAILURES["twitter"][0]:  # then it is asked again at the end of the night
            assert hosts["api.x.com"] <= 2 * math.ceil(twitter / 100) + 1, at
        if at != API_FAILURES["facebook"][0]:
            assert (
                hosts["graph.facebook.com"] <= 2 * math.ceil(facebook / 50) + 2 * spoilt + CANARIES
            ), at


def troubled(told: Told, channel: str) -> list[Named]:
    """Return the accounts that make a call fail for others."""
    found = {name: look for name, look in told.findings.items() if name[1] == channel}
    return [name for name, look in found.items() if look.presence is not Presence.PRESENT]
