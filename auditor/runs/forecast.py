"""Forecast how long a run takes, from the registered accounts, the crawl delays and the time limit.

Only crawl delays and API budgets count. They limit platforms, and registries with very many
websites. The response times of hosts come on top.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from math import ceil
from typing import Any

from auditor.checking.checker import create_api_budgets
from auditor.config.schema import Config
from auditor.runs.plan import get_account_host, get_host_concurrency, select_accounts_to_check
from probes.http.fetcher import PLATFORM_DELAY_JITTER
from probes.links import channel_registry
from probes.runner.api_batcher import ApiBudget
from storage.models.audit import AuditRunState
from storage.models.run_report import ApiUsage, RunReport
from storage.store import Store

DEFAULT_REQUESTS_PER_SITE = 6.0
"""Requests that a website takes, until a finished run gives a measured average."""

SECONDS_PER_HOUR = 3600
ROUNDING_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ChannelForecast:
    """The time that the accounts of a channel take.

    `sequential_accounts` are checked one after the other: all accounts of a platform, or those of
    the website host with the most. If one machine cannot check all websites side by side, these are
    all websites, and `seconds_per_request` is divided by the number of concurrent hosts.

    `runs` is how many runs reach all sequential accounts, given the time limit or the API budget.
    `accounts_per_run` is how many of them one run reaches, or None if nothing limits it.
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
        """Return the item of `run --forecast --json`."""
        return asdict(self)


def forecast_channels(config: Config, store: Store, now: datetime) -> list[ChannelForecast]:
    """Return the forecast of each audited channel, the longest first."""
    accounts_by_channel = Counter[str]()
    websites_by_host = Counter[str]()
    for row in select_accounts_to_check(
        store.registry.list_accounts(), store.decisions.list_decisions(), config, now
    ):
        accounts_by_channel[row.channel] += 1
        if row.channel == channel_registry.WEBSITE_CHANNEL:
            websites_by_host[get_account_host(row)] += 1
    last_run = store.runs.get_latest(AuditRunState.DONE)
    report = last_run.report if last_run else RunReport()
    forecasts = []
    for channel, account_count in accounts_by_channel.items():
        sequential_accounts = account_count
        if channel == channel_registry.WEBSITE_CHANNEL:
            sequential_accounts = max(websites_by_host.values())
        forecasts.append(
            _forecast_channel(config, channel, account_count, sequential_accounts, report)
        )
    return sorted(forecasts, key=lambda forecast: (-forecast.hours, forecast.channel))


def _forecast_channel(
    config: Config, channel: str, accounts: int, sequential_accounts: int, report: RunReport
) -> ChannelForecast:
    api_budget = create_api_budgets(config).get(channel)
    if api_budget:
        return _forecast_api_channel(channel, accounts, api_budget, report)
    seconds_per_request = config.fetch.host_delay
    requests_per_account = 1.0
    if channel != channel_registry.WEBSITE_CHANNEL:
        seconds_per_request = config.fetch.effective_platform_delay * (
            1 + PLATFORM_DELAY_JITTER / 2
        )
        requests_per_account = _average_requests_per_account(report, channel)
    elif not config.cluster.enabled:
        concurrency = get_host_concurrency(config)
        requests_per_site = _average_requests_per_site(report)
        if accounts * requests_per_site > sequential_accounts * concurrency:
            # The number of websites limits the run, not the host with the most websites.
            sequential_accounts = accounts
            seconds_per_request /= concurrency
            requests_per_account = requests_per_site
    seconds_per_account = seconds_per_request * requests_per_account
    hours = sequential_accounts * seconds_per_account / SECONDS_PER_HOUR
    time_limit_hours = config.schedule.time_limit_hours
    accounts_per_run = None
    if time_limit_hours and seconds_per_request:
        time_limit_seconds = time_limit_hours * SECONDS_PER_HOUR
        accounts_per_run = int(time_limit_seconds / seconds_per_account + ROUNDING_TOLERANCE)
    return ChannelForecast(
        channel,
        accounts,
        sequential_accounts,
        round(seconds_per_request, 3),
        round(requests_per_account, 2),
        round(hours, 1),
        _count_runs(sequential_accounts, accounts_per_run),
        accounts_per_run,
    )


def _forecast_api_channel(
    channel: str, accounts: int, api_budget: ApiBudget, report: RunReport
) -> ChannelForecast:
    """Return the forecast of a channel with an API: its budget is the only limit.

    An account costs what it cost on average in the last run.
    """
    usage = report.apis.get(channel, ApiUsage())
    checked_by_api = _count_checked(report, channel) - usage.skipped
    cost_per_account = 0.0
    if checked_by_api > 0:
        cost_per_account = usage.cost / checked_by_api
    accounts_per_run = int(api_budget.limit / cost_per_account) if cost_per_account else None
    runs = _count_runs(accounts, accounts_per_run)
    return ChannelForecast(channel, accounts, accounts, 0.0, 0.0, 0.0, runs, accounts_per_run)


def _count_runs(accounts: int, accounts_per_run: int | None) -> int:
    if accounts_per_run is None:
        return 1
    return max(1, ceil(accounts / max(1, accounts_per_run)))


def _average_requests_per_account(report: RunReport, channel: str) -> float:
    """Return how many requests an account of a platform took in the last run, or 1 if unknown."""
    checked = _count_checked(report, channel)
    if not checked:
        return 1.0
    requests = sum(
        count
        for host, count in report.requests_by_host.items()
        if channel_registry.find_channel_by_host(host) == channel
    )
    return max(1.0, requests / checked)


def _average_requests_per_site(report: RunReport) -> float:
    """Return how many requests a website took in the last run, or the default if unknown."""
    checked = _count_checked(report, channel_registry.WEBSITE_CHANNEL)
    requests = report.requests_other_hosts.requests
    return max(1.0, requests / checked) if checked and requests else DEFAULT_REQUESTS_PER_SITE


def _count_checked(report: RunReport, channel: str) -> int:
    """Return how many accounts of a channel the last run checked."""
    return sum(report.channels.get(channel, {}).values())
