"""Checks accounts with the API of their platform if a key is set, else with their pages.

The module also checks links for `auditor check`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from probes.channels.website.rdap import probe_domain
from probes.http.fetcher import Fetcher
from probes.http.host_state import HostLockError
from probes.links import channel_registry, identify
from probes.links.domains import DNS_SCHEME
from probes.log import EventLogger
from probes.models.finding import (
    ACCOUNT_KINDS,
    Account,
    Finding,
    Identity,
    LinkKind,
    Presence,
    Reason,
)
from probes.models.http import FetchError, Page
from probes.models.probe import HttpExchange, ProbeGenerator, ProbeResult
from probes.runner.api_batcher import ApiBudget, ApiRequestBatcher
from probes.runner.parser_pool import ParserPool
from probes.runner.run import PreviousResult, build_crashed_result, revalidate, run_probe
from storage.models.audit import AccountRow, AccountStatus
from storage.models.run_report import ApiUsage

logger = EventLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountChecker:
    """A fetcher, a parser pool, and API budgets for the channels with a key."""

    fetcher: Fetcher
    parser_pool: ParserPool
    api_budgets: Mapping[str, ApiBudget] = field(default_factory=dict)

    async def check(
        self, account: Account, previous_result: PreviousResult | None = None
    ) -> ProbeResult:
        """Check one account, or revalidate its previous result. A crash of a probe is a finding."""
        generator = create_probe(account)
        if previous_result is None:
            check = run_probe(generator, self.fetcher, self.parser_pool)
        else:
            check = revalidate(previous_result, generator, self.fetcher, self.parser_pool)
        return await _catch_failure(check, account.identity.canonical or account.channel)

    async def check_domain(self, domain: str) -> ProbeResult:
        """Ask the registry of a domain. A crash of the probe is a finding."""
        return await _catch_failure(
            run_probe(probe_domain(domain), self.fetcher, self.parser_pool), domain
        )

    async def check_together(self, accounts: Sequence[Account]) -> list[ProbeResult]:
        """Check accounts of channels with an API in as few calls as possible."""
        batcher = ApiRequestBatcher(self.fetcher, self.parser_pool, self.api_budgets.values())
        return await batcher.run_probes(
            [create_probe(account, self.api_budgets) for account in accounts]
        )


async def _catch_failure(check: Awaitable[ProbeResult], subject: str) -> ProbeResult:
    """Return the result of a check. An error or a crash gives an unknown finding."""
    try:
        return await check
    except FetchError as fetch_error:
        return ProbeResult(Finding(Presence.UNKNOWN, fetch_error.reason, detail=fetch_error.detail))
    except HostLockError:
        raise
    except Exception as error:  # a bug in one probe must not end the run
        logger.exception(error, "probe_crashed", "the probe crashed on {account}", account=subject)
        return build_crashed_result(error)


def create_api_budgets(
    config: Config, earlier_usage: Mapping[str, ApiUsage] = MappingProxyType({})
) -> dict[str, ApiBudget]:
    """Return the API budgets of the audited channels that have a key.

    `earlier_usage` is that of earlier sessions of the run.
    """
    budgets = {}
    for name, channel in config.channels.items():
        channel_api = channel_registry.get_channel_api(name)
        if not channel.api_key or not channel_api:
            continue
        limit = channel_api.default_budget if channel.api_budget is None else channel.api_budget
        spent = float(earlier_usage[name].cost) if name in earlier_usage else 0.0
        budgets[name] = ApiBudget(
            channel_api, channel.api_key.get_secret_value(), limit, spent=spent
        )
    return budgets


def find_api_only_hosts(config: Config) -> frozenset[str]:
    """Return the hosts of the platforms that are only requested by their API."""
    names = (name for name, channel in config.channels.items() if channel.api_key)
    return frozenset(host for name in names for host in channel_registry.get_channel(name).HOSTS)


def create_probe(account: Account, api_channels: Iterable[str] = ()) -> ProbeGenerator:
    """Return the probe of a registered link, with the API for channels that have a key.

    A link that names no account makes no request.
    """
    account = yield from identify.resolve_short_link(account)
    identity = account.identity
    if identity.key is None or identity.kind not in ACCOUNT_KINDS:
        return Finding(
            Presence.UNKNOWN,
            Reason.WRONG_TARGET,
            final_url=identity.url,
            detail=f"{identity.kind}: names no account",
        )
    module = channel_registry.get_channel(identity.channel)
    probe = module.probe_api if identity.channel in api_channels else module.probe  # type: ignore[attr-defined]
    return (yield from probe(account))


def to_probe_account(row: AccountRow, status: AccountStatus | None) -> Account:
    """Return a registered account with the known facts of its status."""
    finding = status.last_known_finding if status else None
    if status is not None and finding is not None:
        finding = replace(finding, links=(), platform_id=status.platform_id or finding.platform_id)
    return Account(row.association, row.typed_text, row.identity, finding)


UNREQUESTED_REASONS = frozenset(
    {
        Reason.ROBOTS,
        Reason.UNSAFE_ADDRESS,
        Reason.NOT_CONFIGURED,
        Reason.NO_SUCH_HOST,
        Reason.WRONG_TARGET,
    }
)
"""Reasons for which the last URL was not requested, unless a proxy responded."""


@dataclass(frozen=True, slots=True)
class LinkCheck:
    """The result of checking one link; `identity` is that of the target for a short link."""

    typed: str
    identity: Identity
    result: ProbeResult

    @property
    def request_count(self) -> int:
        """Return the number of requests with redirects, without robots.txt.

        An API call counts for each account, even if it is made for many.
        """
        return sum(map(_count_requests, self.result.exchanges))


def resolve_identity(identity: Identity, result: ProbeResult) -> Identity:
    """Return the identity a check ended with: that of its target for a short link."""
    if identity.kind is not LinkKind.SHORT_LINK:
        return identity
    target = result.finding.final_url
    if result.exchanges:
        outcome = result.exchanges[0].outcome
        parsed = outcome.parsed if isinstance(outcome, Page) else None
        target = str(parsed or outcome.url or target or "")
    return identify.identify_link(target) if target else identity


def _count_requests(exchange: HttpExchange) -> int:
    if exchange.request.url.startswith(DNS_SCHEME):
        return 0
    outcome = exchange.outcome
    is_last_unrequested = (
        isinstance(outcome, FetchError)
        and outcome.reason in UNREQUESTED_REASONS
        and outcome.status is None
    )
    hop_count = len(outcome.hops)
    return hop_count if is_last_unrequested else max(1, hop_count)


async def check_links(
    links: Sequence[tuple[str, Identity]],
    checker: AccountChecker,
    on_done: Callable[[], None] = lambda: None,
    concurrency: int = 64,
) -> list[LinkCheck]:
    """Check links at the same time and return the results in the order of the links.

    A crash of a probe is a finding (`crashed`) of that link only.
    """
    slots = asyncio.Semaphore(concurrency)
    results: dict[int, ProbeResult] = {}

    async def check_one(index: int, account: Account) -> None:
        async with slots:
            results[index] = await checker.check(account)
        on_done()

    async def check_batch(batch: Mapping[int, Account]) -> None:
        batch_results = await checker.check_together(list(batch.values()))
        for index, result in zip(batch, batch_results, strict=True):
            results[index] = result
            on_done()

    api_accounts: dict[int, Account] = {}
    single_checks = []
    for index, (text, identity) in enumerate(links):
        account = Account("", text, identity)
        if account.channel in checker.api_budgets:
            api_accounts[index] = account
        else:
            single_checks.append(check_one(index, account))
    await asyncio.gather(check_batch(api_accounts), *single_checks)
    return [
        LinkCheck(text, resolve_identity(identity, results[index]), results[index])
        for index, (text, identity) in enumerate(links)
    ]


async def refuse_broken_parsers(parser_pool: ParserPool) -> None:
    """Raise ConfigError if the parser processes cannot work: each page would be unreadable."""
    fault = await parser_pool.find_fault()
    if fault:
        raise ConfigError(
            "parser processes cannot parse a large page",
            fault,
            "start the auditor without LD_PRELOAD and limits of memory (ulimit -v, MemoryMax) "
            "below 1 GiB",
        )
