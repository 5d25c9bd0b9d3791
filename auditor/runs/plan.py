"""The plan of a night: which accounts are worth a look, and when the turn of each comes.

In which order a night looks: who was not reached before comes first, and hosts are asked side by side.

A host's accounts are asked one after the other in a few lanes, those of a platform, with all its hosts, in
one, so that its refusals are counted in order. Small hosts are taken in parcels, by the hash of their name.

How long a night will take, told before it begins: from what is registered, the rests of hosts, the window.

It counts rests alone, which hold up platforms, and very many sites; what a host takes to answer comes on top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from math import ceil, inf
from typing import Any
from urllib.parse import urlsplit

from auditor.checking.checker import create_api_budgets
from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.config.schema import Config
from auditor.protocols import RunContext
from auditor.rules.account_status import select_decisions_in_force
from auditor.rules.association import DISOWNING_DECISION_KINDS
from probes.http.fetcher import PLATFORM_DELAY_JITTER
from probes.links import channel_registry
from probes.models.finding import LinkKind
from probes.runner.api_batcher import ApiBudget
from storage.models.audit import AccountRow, AccountStatus, AuditRun, AuditRunState, Decision
from storage.runs.plan import PlanBatch, PlanPosition, compute_host_bucket
from storage.store import Store

UNCHECKED_KINDS = frozenset({LinkKind.NONE, LinkKind.INVALID})


def create_run_plan(
    app: RunContext,
    run: AuditRun,
    circuit_breakers: Mapping[str, CircuitBreaker],
    api_channels: Collection[str],
) -> None:
    """Write the plan of a night: of every account that it has still to look at, where it stands.

    Of a concluded night these are the ones that it left out: what was listed since is not its own.
    """
    store, config = app.store, app.config
    before = store.get_latest_run(AuditRunState.DONE, before_day=run.day)
    order = CheckPriority.for_run(
        run,
        before,
        active_days=config.activity.active,
        circuit_breakers=circuit_breakers,
        api_channels=api_channels,
    )
    rows = iter_unchecked_accounts(app, run)
    if run.id is not None and store.is_run_evaluated(run.id):
        rows = (row for row in rows if row.added_at and row.added_at <= run.started_at)
    store.replace_plan(
        _iter_plan_positions(order, rows, store.list_account_statuses()), MAX_BATCH_ACCOUNTS
    )


def _iter_plan_positions(
    priority: CheckPriority, rows: Iterable[AccountRow], account_statuses: Iterable[AccountStatus]
) -> Iterator[PlanPosition]:
    """The place of each account. Both come in the order of the accounts' numbers."""
    held = iter(account_statuses)
    one = next(held, None)
    for row in rows:
        number = row.id or 0
        while one is not None and one.account_id < number:
            one = next(held, None)
        yield priority.compute_position(
            row, one if one is not None and one.account_id == number else None
        )


def iter_unchecked_accounts(app: RunContext, run: AuditRun) -> Iterator[AccountRow]:
    """The accounts worth a look that a night has not looked at, in the order of their numbers."""
    decisions = app.store.list_decisions(run.started_at)
    return select_accounts_to_check(
        app.store.list_pending_accounts(run), decisions, app.config, run.started_at
    )


def select_accounts_to_check(
    rows: Iterable[AccountRow], decisions: Iterable[Decision], config: Config, now: datetime
) -> Iterator[AccountRow]:
    """The accounts that are looked at: on audited channels, linked, and not disowned."""
    words = (word for word in decisions if word.kind in DISOWNING_DECISION_KINDS)
    disowned = {word.account_id for word in select_decisions_in_force(words, now)}
    return (
        row
        for row in rows
        if row.channel in config.channels
        and row.identity.kind not in UNCHECKED_KINDS
        and row.id not in disowned
    )


MAX_WORKERS_PER_HOST = 3
"""How many workers one host may hold: while one page is read and kept the next may be on its way."""

HOSTS_PER_CONNECTION = 5
"""Hosts looked at for each request that may be under way: a site takes some six, with a rest before each."""

MAX_BATCH_ACCOUNTS = 200
"""So many accounts are one parcel; a host of more has one to itself."""

MIN_CLUSTER_BATCHES = 30
"""So many parcels at least are made for workers, as far as there are accounts: the last one ends soon."""

API_BUCKET_NAME = "desk"
"""The spot of all accounts that are asked for at interfaces: their calls are joined there."""

API_ROUND, PLATFORM_ROUND, WEBSITE_ROUND = range(3)
"""The rounds: interfaces and platforms take longest and are begun first; then sites, the latest first."""

MAX_OVERDUE_DAYS = 30
"""Days; who has waited longer, or was never looked at, is as late as can be."""

SECONDS_PER_MINUTE = 60.0
MAX_OVERDUE_MINUTES = 2**29 - 1
ACCOUNT_ID_BITS = 32


@dataclass(frozen=True, slots=True)
class CheckPriority:
    """By what the order of a night is made: the last concluded night, and where each platform begins.

    `keyed` are the channels asked by their interface. Who published since `fresh` is likely to have changed.
    """

    previous_run: AuditRun | None
    active_since: datetime
    circuit_breakers: Mapping[str, CircuitBreaker] = field(default_factory=dict)
    api_channels: Collection[str] = ()

    @classmethod
    def for_run(
        cls,
        run: AuditRun,
        previous_run: AuditRun | None,
        *,
        active_days: int,
        circuit_breakers: Mapping[str, CircuitBreaker],
        api_channels: Collection[str],
    ) -> CheckPriority:
        """The order of a night; `days` is for how long an account is called active."""
        return cls(
            previous_run,
            run.started_at - timedelta(days=active_days),
            circuit_breakers,
            api_channels,
        )

    def compute_position(
        self, row: AccountRow, account_status: AccountStatus | None
    ) -> PlanPosition:
        """Where an account stands."""
        number, late = row.id or 0, compute_overdue_seconds(account_status, self.previous_run)
        if row.channel in self.api_channels:
            return PlanPosition(
                API_ROUND,
                compute_host_bucket(API_BUCKET_NAME),
                _build_rank(late, _get_decided_minute(account_status)),
                number,
            )
        if row.channel != channel_registry.WEBSITE_CHANNEL:
            late *= compute_change_weight(account_status, self.active_since)
            rank = _build_rank(late, self._compute_platform_rank(row.channel, number))
            return PlanPosition(PLATFORM_ROUND, compute_host_bucket(row.channel), rank, number)
        days = ceil(min(late / 86400, MAX_OVERDUE_DAYS))
        return PlanPosition(
            WEBSITE_ROUND + MAX_OVERDUE_DAYS - days,
            compute_host_bucket(f"//{get_account_host(row)}"),
            _build_rank(late, number),
            number,
        )

    def _compute_platform_rank(self, channel: str, account_id: int) -> int:
        one = self.circuit_breakers.get(channel)
        passed, account_id = one.sort_key(account_id) if one else (False, account_id)
        return (passed << ACCOUNT_ID_BITS) + account_id


def get_host_concurrency(config: Config) -> int:
    """How many hosts are looked at together; most of them rest, where hosts do. A worker's job has fewer."""
    rest = (
        config.fetch.host_delay and not config.cluster.enabled
    )  # a worker has several jobs at a time
    return config.fetch.concurrency * (HOSTS_PER_CONNECTION if rest else 1)


def compute_overdue_seconds(
    account_status: AccountStatus | None, previous_run: AuditRun | None
) -> float:
    """For how many seconds an account was not looked at, beyond the last concluded night.

    0 for all that it reached; one never looked at has waited longest.
    """
    if previous_run is None:
        return 0.0
    seen: datetime | None = account_status.checked_at if account_status else None
    return inf if seen is None else max(0.0, (previous_run.started_at - seen).total_seconds())


def compute_change_weight(account_status: AccountStatus | None, active_since: datetime) -> int:
    """How likely a look is to change what is held, as a weight of the waiting: all come, some come oftener.

    3 where something is to be confirmed, 2 where something was published since `fresh`, else 1.
    """
    if account_status is None:
        return 1
    if (
        account_status.unconfirmed_streak
        or account_status.failure_streak
        or account_status.other_account_streak
    ):
        return 3
    last = account_status.last_activity
    return 2 if last is not None and last.published_at >= active_since else 1


def _build_rank(overdue_seconds: float, tie_breaker: int) -> int:
    """Who has waited longest first (to the minute), then by this number of at most 33 bits."""
    return (
        (MAX_OVERDUE_MINUTES - int(min(overdue_seconds / SECONDS_PER_MINUTE, MAX_OVERDUE_MINUTES)))
        << (ACCOUNT_ID_BITS + 1)
    ) + tie_breaker


def _get_decided_minute(account_status: AccountStatus | None) -> int:
    """What was longest undecided is asked first: where a budget ends the night, others come tomorrow."""
    decided = account_status.decided_at if account_status else None
    return max(0, int(decided.timestamp() / SECONDS_PER_MINUTE)) if decided else 0


def get_account_host(row: AccountRow) -> str:
    """The host of a link, empty where it has none."""
    try:
        return urlsplit(row.identity.url or row.identity.canonical or "").hostname or ""
    except ValueError:
        return ""


def compute_batch_size(account_count: int) -> int:
    """How many accounts are one parcel where workers share a night: few of few, so that all have some."""
    return max(1, min(MAX_BATCH_ACCOUNTS, account_count // MIN_CLUSTER_BATCHES))


def build_batches(
    host_buckets: Iterable[tuple[int, int, int]], max_accounts: int = MAX_BATCH_ACCOUNTS
) -> list[PlanBatch]:
    """The accounts that wait at each spot as shards: those of a round together, the largest of them first."""
    return sorted(
        _pack_batches(host_buckets, max_accounts), key=lambda shard: (shard.round, -shard.size)
    )


def _pack_batches(
    host_buckets: Iterable[tuple[int, int, int]], max_accounts: int
) -> Iterator[PlanBatch]:
    open_: PlanBatch | None = None
    for number, spot, size in host_buckets:
        fits = (
            open_ and number == open_.round >= WEBSITE_ROUND and open_.size + size <= max_accounts
        )
        if open_ and fits:
            open_ = PlanBatch(number, open_.first_bucket, spot, open_.size + size)
            continue
        if open_:
            yield open_
        open_ = PlanBatch(number, spot, spot, size)
    if open_:
        yield open_


DEFAULT_REQUESTS_PER_SITE = 6.0
"""Requests that a site takes, until a night told how many."""


@dataclass(frozen=True, slots=True)
class ChannelForecast:
    """What a channel's accounts will take.

    `busiest` are those that have to be asked one after the other: all of a platform, of sites those of the
    host that has most, or all where one machine cannot look at them side by side. `seconds` is the rest
    between two requests (then divided by how many are), `requests` how many an account takes.
    `nights` are as many as the window, or the budget of the interface, makes of it; so many of the
    busiest as `per_night` are reached in each, None where nothing limits them.
    """

    channel: str
    accounts: int
    sequential_accounts: int
    seconds_per_request: float
    requests_per_account: float
    hours: float
    runs: int
    accounts_per_run: int | None

    def to_dict(self) -> dict[str, Any]:
        """The item of `run --forecast --json`."""
        return asdict(self)


def forecast_channels(config: Config, store: Store, now: datetime) -> list[ChannelForecast]:
    """The outlook of each audited channel, of the longest first."""
    accounts, hosts = Counter[str](), Counter[str]()
    for row in select_accounts_to_check(store.list_accounts(), store.list_decisions(), config, now):
        accounts[row.channel] += 1
        hosts[get_account_host(row)] += row.channel == channel_registry.WEBSITE_CHANNEL
    last = store.get_latest_run(AuditRunState.DONE)
    busiest = {channel_registry.WEBSITE_CHANNEL: max(hosts.values(), default=0)}
    told = [
        _forecast_channel(config, channel, count, busiest.get(channel, count), last)
        for channel, count in accounts.items()
    ]
    return sorted(told, key=lambda one: (-one.hours, one.channel))


def _forecast_channel(
    config: Config, channel: str, accounts: int, sequential_accounts: int, last_run: AuditRun | None
) -> ChannelForecast:
    if purse := create_api_budgets(config).get(channel):
        return _forecast_api_channel(channel, accounts, purse, last_run)
    rest, each, places = config.fetch.host_delay, 1.0, get_host_concurrency(config)
    if channel != channel_registry.WEBSITE_CHANNEL:
        rest, each = (
            config.fetch.effective_platform_delay * (1 + PLATFORM_DELAY_JITTER / 2),
            _average_requests_per_account(last_run, channel),
        )
    elif (
        not config.cluster.enabled
        and accounts * (taken := _average_requests_per_site(last_run))
        > sequential_accounts * places
    ):
        sequential_accounts, rest, each = accounts, rest / places, taken
    hours, window = sequential_accounts * rest * each / 3600, config.schedule.time_limit_hours
    most = int(window * 3600 / (rest * each) + 1e-6) if window and rest else None
    nights = max(1, ceil(sequential_accounts / max(1, most))) if most is not None else 1
    return ChannelForecast(
        channel,
        accounts,
        sequential_accounts,
        round(rest, 3),
        round(each, 2),
        round(hours, 1),
        nights,
        most,
    )


def _forecast_api_channel(
    channel: str, accounts: int, api_budget: ApiBudget, last_run: AuditRun | None
) -> ChannelForecast:
    """Of an interface its budget is the limit: a look costs what it cost in the last night."""
    spent = _get_receipt_mapping(last_run, "apis").get(channel) or {}
    looked = sum((_get_receipt_mapping(last_run, "channels").get(channel) or {}).values())
    asked = looked - int(spent.get("skipped") or 0)
    cost = float(spent.get("cost") or 0) / asked if asked > 0 else 0.0
    most = int(api_budget.limit / cost) if cost else None
    nights = max(1, ceil(accounts / max(1, most))) if most is not None else 1
    return ChannelForecast(channel, accounts, accounts, 0.0, 0.0, 0.0, nights, most)


def _average_requests_per_account(last_run: AuditRun | None, channel: str) -> float:
    """How many requests an account of a platform took in the last night; one, where that told of none."""
    looked = sum((_get_receipt_mapping(last_run, "channels").get(channel) or {}).values())
    hosts = _get_receipt_mapping(last_run, "requests_by_host")
    asked = sum(
        count
        for host, count in hosts.items()
        if channel_registry.find_channel_by_host(host) == channel
    )
    return max(1.0, asked / looked) if looked else 1.0


def _average_requests_per_site(last_run: AuditRun | None) -> float:
    """How many requests a site took in the last night."""
    looked = sum(
        (
            _get_receipt_mapping(last_run, "channels").get(channel_registry.WEBSITE_CHANNEL) or {}
        ).values()
    )
    asked = int(_get_receipt_mapping(last_run, "requests_other_hosts").get("requests") or 0)
    return max(1.0, asked / looked) if looked and asked else DEFAULT_REQUESTS_PER_SITE


def _get_receipt_mapping(last_run: AuditRun | None, name: str) -> Mapping[str, Any]:
    told = last_run.receipt.get(name) if last_run else None
    return told if isinstance(told, dict) else {}
