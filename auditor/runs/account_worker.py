"""Check the accounts that the frontier hands out, host by host, and record the observations.

One machine and a worker of a cluster work alike: the first checks all host queues of a pass, the
second those of its job.

A run also asks registries when the domains of websites expire: once for each domain, however many
associations use it, and again after `[domain_expiry] check_every_days`. After a failure that may be
over soon, and when the stated day has passed, the next run asks again. A resumed run repeats no
request, and leaves out the registries that refused. All registries are asked at the same time, and
each for one domain after the other.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial

from auditor.app import App
from auditor.checking.checker import AccountChecker, to_probe_account
from auditor.checking.evidence import build_check_evidence, count_body_bytes
from auditor.checking.privacy_filter import remove_private_data
from auditor.checking.unchanged_results import UnchangedResults
from auditor.core.runtime import run_together
from auditor.rules.account_status import was_skipped
from auditor.rules.context import (
    drop_check_of_other_domain,
    find_website_domain,
    was_expiry_passed_since,
)
from auditor.runs.frontier import Frontier, HostQueue
from auditor.runs.plan import API_ROUND, build_account_filter, get_host_concurrency
from auditor.runs.state import RunDeadline
from probes.links import channel_registry
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.links.domains import find_rdap_service
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import Page
from probes.models.probe import HttpExchange, ProbeResult
from storage.files.body_store import BodyWriter
from storage.models.audit import AccountRow, AuditRun, DomainCheck, Evidence, Observation
from storage.observations.observations import ObservationWriter
from storage.runs.plan import PlanBatch, PlanEntry

SECOND_PASS_REASONS = frozenset(
    {Reason.TIMEOUT, Reason.NETWORK, Reason.SERVER_ERROR, Reason.RATE_LIMITED}
)
"""Failures that may be over in half an hour: the second pass repeats these checks.

After one of them, the next run asks a domain's registry again.
"""

API_CHUNK_SIZE = 500
"""Accounts that are checked together by an API.

These are ten calls of 50 accounts, and their results fit in memory.
"""


@dataclass(slots=True)
class ObservationRecorder:
    """Stores observations and page bodies in batches.

    `deferred` takes the first observation of an account that the second pass checks again, and
    `observations` all others. A stored body is never missing, because `bodies` is committed first.
    """

    bodies: BodyWriter
    observations: ObservationWriter
    deferred: ObservationWriter

    @classmethod
    @asynccontextmanager
    async def open(cls, app: App) -> AsyncIterator[ObservationRecorder]:
        """Open a recorder. On exit, all its observations are stored."""
        save_deferred = app.store.run_plan.save_first_observations
        with BodyWriter(app.body_store) as bodies:
            async with (
                app.store.observations.open_writer(before_commit=bodies.commit) as observations,
                ObservationWriter(save_deferred) as deferred,
            ):
                yield cls(bodies, observations, deferred)

    async def add(self, observation: Observation) -> None:
        """Record an observation. It is stored for certain after the next flush."""
        await self.observations.add(observation)
        if self.bodies.is_full:
            await self.observations.flush()

    async def flush(self) -> None:
        """Store all recorded observations."""
        await self.observations.flush()
        await self.deferred.flush()


@dataclass(slots=True)
class AccountWorker:
    """Checks the accounts of a frontier and passes the observations to the recorder.

    `on_progress` is called after each account that is finished. `last_deferred_at` is the timer
    value at which the last check was deferred, or 0.
    """

    app: App
    frontier: Frontier
    checker: AccountChecker
    recorder: ObservationRecorder
    deadline: RunDeadline
    clock: Callable[[], datetime]
    on_progress: Callable[[], None] = lambda: None
    last_deferred_at: float = 0.0
    unchanged_results: UnchangedResults = field(init=False)

    def __post_init__(self) -> None:
        self.unchanged_results = UnchangedResults(
            self.app.store.observations, self.app.body_store, self.audit_run.day
        )

    @property
    def audit_run(self) -> AuditRun:
        """Return the run that the observations belong to."""
        return self.frontier.audit_run

    async def check_pass(self, *, second_pass: bool = False) -> None:
        """Check all accounts that wait for a pass."""
        await self.check_batches(
            await asyncio.to_thread(self.frontier.list_batches, second_pass=second_pass),
            second_pass=second_pass,
        )

    async def check_batches(
        self, batches: Sequence[PlanBatch], *, second_pass: bool = False
    ) -> None:
        """Check the accounts of batches, several hosts at a time.

        A slow host occupies at most `MAX_TASKS_PER_HOST` tasks, so it never blocks the others.
        Accounts of APIs have a task of their own.
        """
        host_batch_sizes = [batch.size for batch in batches if batch.round != API_ROUND]
        api_count = len(batches) - len(host_batch_sizes)
        task_count = api_count + min(sum(host_batch_sizes), get_host_concurrency(self.app.config))
        next_queue_lock = asyncio.Lock()
        async with aclosing(self.frontier.iter_queues(batches, second_pass=second_pass)) as queues:

            async def check_next_queues() -> None:
                while not self.deadline.should_stop:
                    async with next_queue_lock:
                        host_queue = await anext(queues, None)
                    if host_queue is None:
                        break
                    await self._check_queue(host_queue)

            await run_together(*(check_next_queues() for _ in range(task_count)))

    async def check_queue(self, host_queue: HostQueue) -> None:
        """Check the accounts of a queue, by as many tasks as its host allows."""
        await run_together(*(self._check_queue(host_queue) for _ in range(host_queue.max_tasks)))

    async def _check_queue(self, host_queue: HostQueue) -> None:
        """Check accounts of a queue: one after the other, or by API many per call."""
        while not self.deadline.should_stop:
            entries = await host_queue.take(API_CHUNK_SIZE if host_queue.is_api else 1)
            if not entries:
                break
            if host_queue.is_api:
                results = await self.checker.check_together(list(map(_to_account, entries)))
            else:
                results = [await self._run_probe(entry) for entry in entries]
            for entry, result in zip(entries, results, strict=True):
                await self._handle_result(entry, result, second_pass=host_queue.second_pass)

    async def _run_probe(self, entry: PlanEntry) -> ProbeResult:
        """Return the result of one check; no request is sent if the circuit breaker is open."""
        skipped_result = self.frontier.skip_if_refused(entry.account)
        if skipped_result is not None:
            return skipped_result
        previous_result = self.unchanged_results.find_previous_result(
            entry.account, entry.last_observation, get_probe_version(entry.account)
        )
        result = await self.checker.check(_to_account(entry), previous_result)
        if circuit_breaker := self.frontier.circuit_breakers.get(entry.account.channel):
            circuit_breaker.record_exchanges(result.exchanges)
        return result

    async def _handle_result(
        self, entry: PlanEntry, result: ProbeResult, *, second_pass: bool
    ) -> None:
        """Store the result, or defer the account to the second pass."""
        api_budget = self.checker.api_budgets.get(entry.account.channel)
        if api_budget and was_skipped(result.finding):
            # No retry: the budget will still be spent in the second pass.
            api_budget.skipped_count += 1
        elif not second_pass and await self._needs_second_pass(result):
            await self.recorder.deferred.add(
                await self._to_observation(entry, result, will_retry=True)
            )
            self.last_deferred_at = self.deadline.timer()
            return
        await self._record(await self._to_observation(entry, result))

    async def _record(self, observation: Observation) -> None:
        await self.recorder.add(observation)
        self.on_progress()

    async def save_deferred_observations(self) -> None:
        """Store the first observation of each account that the second pass did not reach."""
        deferred = self.app.store.run_plan.list_first_observations(self.audit_run)
        while (observation := await asyncio.to_thread(next, deferred, None)) is not None:
            await self._record(observation)
        await self.recorder.flush()

    async def _to_observation(
        self, entry: PlanEntry, result: ProbeResult, *, will_retry: bool = False
    ) -> Observation:
        """Return the observation to store. If the result equals an earlier one, it repeats that.

        Many pages are generated again for each request, so the bodies of two runs differ although
        they say the same. If the check will be repeated, no body is stored: the second result
        nearly always replaces the first one.
        """
        last_observation = entry.last_observation
        if result.is_unchanged and last_observation is not None:
            return replace(
                last_observation[1],
                run_id=self.audit_run.id,
                observed_at=_get_observed_at(result, self.clock()),
            )
        row = entry.account
        result, keep_bodies = await remove_private_data(
            _to_account(entry), result, self.checker.parser_pool, self.checker.api_budgets
        )
        build_evidence = partial(
            self._build_evidence,
            result.exchanges,
            is_withheld=will_retry or not keep_bodies,
            is_volatile=(
                row.channel != channel_registry.WEBSITE_CHANNEL
                and row.channel not in self.checker.api_budgets
            ),
        )
        observation = Observation(
            row.id,
            self.audit_run.id,
            _get_observed_at(result, self.clock()),
            result.finding,
            (),
            get_probe_version(row),
        )
        if entry.status is not None:
            evidence = await build_evidence(None)
            equal_result_id = await asyncio.to_thread(
                self.unchanged_results.find_equal_result_id,
                row,
                replace(observation, evidence=evidence),
            )
            if equal_result_id is not None:
                return replace(observation, result_id=equal_result_id)
        evidence = await build_evidence(self.recorder.bodies)
        return replace(observation, evidence=evidence)

    async def _needs_second_pass(self, result: ProbeResult) -> bool:
        """Return True if the second pass may succeed and is allowed to request the links again."""
        finding = result.finding
        if finding.presence is not Presence.UNKNOWN or finding.reason not in SECOND_PASS_REASONS:
            return False
        can_request_again = self.checker.fetcher.can_request_again
        allowed = [
            await can_request_again(exchange.request, exchange.outcome)
            for exchange in result.exchanges
        ]
        return bool(allowed) and all(allowed)

    async def _build_evidence(
        self,
        exchanges: Sequence[HttpExchange],
        bodies: BodyWriter | None,
        *,
        is_withheld: bool,
        is_volatile: bool,
    ) -> tuple[Evidence, ...]:
        """Return the evidence of a result. Bodies are stored only if `bodies` is given."""
        max_body_bytes = self.app.config.storage.max_check_bytes
        build = partial(
            build_check_evidence,
            exchanges,
            bodies,
            max_body_bytes,
            is_withheld=is_withheld,
            is_volatile=is_volatile,
        )
        if count_body_bytes(exchanges) <= max_body_bytes:
            return build()
        return await asyncio.to_thread(build)  # it compresses large bodies


def _to_account(entry: PlanEntry) -> Account:
    return to_probe_account(entry.account, entry.status)


def _get_observed_at(result: ProbeResult, now: datetime) -> datetime:
    """Return the time at which the last page was received, or `now` without a page."""
    for exchange in reversed(result.exchanges):
        if isinstance(exchange.outcome, Page):
            return exchange.outcome.fetched_at
    return now


def get_probe_version(row: AccountRow) -> int:
    """Return the version of the probe that checks an account, or 0 for an unknown channel."""
    channel = channel_registry.list_channels().get(row.channel)
    return channel.VERSION if channel else 0


STOP_REASONS = frozenset({Reason.RATE_LIMITED, Reason.BLOCKED, Reason.ROBOTS, Reason.NETWORK})
"""After a response with one of these, a run asks the registry for no more domains."""


async def check_domains(
    app: App,
    run: AuditRun,
    checker: AccountChecker,
    deadline: RunDeadline,
    clock: Callable[[], datetime],
) -> None:
    """Ask registries for the domains that are due, and store each answer at once."""
    if not app.config.domain_expiry.enabled:
        return
    due_domains = await asyncio.to_thread(list_due_domains, app, run)
    domains_by_service: dict[str, list[str]] = defaultdict(list)
    for domain in due_domains:
        domains_by_service[find_rdap_service(domain) or ""].append(domain)

    async def ask_service(service_domains: Sequence[str]) -> None:
        for domain in service_domains:
            if deadline.should_stop:
                break
            finding = (await checker.check_domain(domain)).finding
            checks = list(_build_domain_checks(domain, due_domains[domain], finding, run, clock()))
            await asyncio.to_thread(app.store.domain_checks.save_domain_checks, checks)
            if finding.reason in STOP_REASONS:
                break

    await run_together(*map(ask_service, domains_by_service.values()))


def list_due_domains(app: App, run: AuditRun) -> dict[str, dict[int, DomainCheck | None]]:
    """Return the domains that a run asks for, each with the newest check of each account on it.

    A check is None if there is none of this domain. The domains with the oldest check come first,
    then they are ordered by account. A domain with an account that has no check comes before all
    others. A run never asks for a domain whose registry has no RDAP service or has refused in this
    run, or for that of a hosting platform.
    """
    should_check = build_account_filter(
        app.store.decisions.list_decisions(), app.config, run.started_at
    )
    checks_by_domain: dict[str, dict[int, DomainCheck | None]] = defaultdict(dict)
    due_days: dict[str, date] = {}
    refusing_services = set()
    for row, stored_check in app.store.domain_checks.list_accounts_with_domain_check(
        WEBSITE_CHANNEL
    ):
        domain = find_website_domain(row)
        service = find_rdap_service(domain)
        if service is None or not should_check(row):
            continue
        check = drop_check_of_other_domain(stored_check, domain)
        checks_by_domain[domain][row.id] = check
        if check is None:
            due_days[domain] = date.min
        elif _is_outdated(check, run, app.config.domain_expiry.check_every_days):
            day = check.checked_at.date()
            due_days[domain] = min(day, due_days.get(domain, day))
        if check is not None and check.run_id == run.id and check.reason in STOP_REASONS:
            refusing_services.add(service)
    # the most domains that a run asks for. The next run begins with the rest.
    domains = sorted(due_days, key=due_days.__getitem__)[:2_000]
    return {
        domain: checks_by_domain[domain]
        for domain in domains
        if find_rdap_service(domain) not in refusing_services
    }


def _is_outdated(check: DomainCheck, run: AuditRun, every_days: int) -> bool:
    if check.run_id == run.id:
        return False  # a resumed run does not ask again
    today = run.started_at.date()
    if (today - check.checked_at.date()).days >= every_days:
        return True
    if check.has_failed:
        return check.reason in SECOND_PASS_REASONS
    return was_expiry_passed_since(check, today)


def _build_domain_checks(
    domain: str,
    previous_checks: Mapping[int, DomainCheck | None],
    finding: Finding,
    run: AuditRun,
    now: datetime,
) -> Iterator[DomainCheck]:
    """Yield the check of each account. After a failure, it repeats the last response."""
    for account_id, previous_check in previous_checks.items():
        previous = previous_check or DomainCheck(account_id, run.id, domain, now)
        if finding.presence is Presence.UNKNOWN:
            yield replace(previous, run_id=run.id, checked_at=now, reason=finding.reason)
            continue
        yield DomainCheck(
            account_id,
            run.id,
            domain,
            now,
            finding.reason,
            answered_at=now,
            expires_on=_parse_fact(finding, "domain_expires_on"),
            other_expiry=_parse_fact(finding, "domain_other_expiry"),
            statuses=str(finding.facts.get("domain_statuses", "")),
        )


def _parse_fact(finding: Finding, name: str) -> date | None:
    day = finding.facts.get(name)
    return date.fromisoformat(str(day)) if day else None
