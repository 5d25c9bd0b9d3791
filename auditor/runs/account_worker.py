"""Check the accounts of a batch, host by host, and store the observations.

`RunDeadline` says when no further check may begin. One machine and a cluster work alike: both
pass batches to `AccountWorker.check_batches`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from auditor.checking.checker import (
    AccountChecker,
    find_previous_result,
    is_recent_enough,
    to_probe_account,
)
from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.checking.privacy_filter import StorableResult, remove_private_data
from auditor.core.runtime import run_together
from auditor.evidence import BodyStorage, build_evidence
from auditor.protocols import RunContext
from auditor.rules.account_status import was_skipped
from auditor.runs.host_queue import HostQueue, WorkQueue, iter_host_queues
from auditor.runs.plan import API_ROUND, get_host_concurrency
from probes.links import channel_registry
from probes.models.finding import Presence, Reason
from probes.models.http import Page
from probes.models.probe import ProbeResult
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.files.body_store import BodyWriter
from storage.models.audit import AccountRow, AuditRun, Evidence, Observation, PreviousObservation
from storage.observations.observations import ObservationWriter
from storage.runs.plan import PlanBatch, PlannedAccount

Timer = Callable[[], float]
"""A clock in seconds that only runs forward, such as `time.monotonic`."""


class StoppedError(Exception):
    """The run was asked to stop. The next session checks the remaining accounts."""


@dataclass(frozen=True, slots=True)
class RunDeadline:
    """The end of a run before all accounts are checked: its time limit or a request to stop.

    `ends_at` is a value of `timer`, or None if the run has no time limit.
    """

    timer: Timer
    ends_at: float | None = None
    stop_event: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_stopped(self) -> bool:
        """Return True if the run was asked to stop."""
        return self.stop_event.is_set()

    @property
    def is_expired(self) -> bool:
        """Return True if the time limit is over."""
        return self.ends_at is not None and self.timer() >= self.ends_at

    @property
    def should_stop(self) -> bool:
        """Return True if no further check may begin."""
        return self.is_stopped or self.is_expired

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the time limit or a request to stop."""
        if self.ends_at is not None:
            seconds = min(seconds, self.ends_at - self.timer())
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop_event.wait(), max(0.0, seconds))


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
class AccountWorker:
    """Checks the planned accounts of a run and passes the observations to writers.

    `deferred_writer` takes the first observation of an account that the second pass checks again,
    `observation_writer` all others, and `body_writer` the page bodies. `on_progress` is called
    after each account that is finished. `last_deferred_at` is the timer value at which the last
    check was deferred, or 0.
    """

    app: RunContext
    audit_run: AuditRun
    checker: AccountChecker
    circuit_breakers: Mapping[str, CircuitBreaker]
    deadline: RunDeadline
    clock: Callable[[], datetime]
    body_writer: BodyWriter
    observation_writer: ObservationWriter
    deferred_writer: ObservationWriter
    on_progress: Callable[[], None] = lambda: None
    last_deferred_at: float = 0.0

    async def check_batches(
        self, batches: Sequence[PlanBatch], *, second_pass: bool = False
    ) -> None:
        """Check the accounts of the batches, several hosts at a time.

        A slow host occupies at most `MAX_WORKERS_PER_HOST` tasks, so it never blocks the others.
        Accounts of APIs have a task of their own. A check of the second pass is not repeated again.
        """
        store, run = self.app.store, self.audit_run
        api_batches = [batch for batch in batches if batch.round == API_ROUND]
        host_batches = [batch for batch in batches if batch.round != API_ROUND]
        host_queues = iter_host_queues(store, run, host_batches, second_pass=second_pass)
        work_queue = WorkQueue(host_queues)
        account_count = sum(batch.size for batch in host_batches)
        task_count = min(account_count, get_host_concurrency(self.app.config))
        api_tasks = [
            self.check_api_queue(
                HostQueue(store, run, batch, second_pass=second_pass), second_pass=second_pass
            )
            for batch in api_batches
        ]
        host_tasks = [
            self._check_next_queues(work_queue, second_pass=second_pass) for _ in range(task_count)
        ]
        try:
            await run_together(*api_tasks, *host_tasks)
        finally:
            await host_queues.aclose()

    async def _check_next_queues(self, work_queue: WorkQueue, *, second_pass: bool) -> None:
        """Check one host queue after the other until none is left."""
        while not self.deadline.should_stop:
            host_queue = await work_queue.next_queue()
            if host_queue is None:
                break
            await self.check_queue(host_queue, second_pass=second_pass)

    async def check_queue(
        self, host_queue: HostQueue, *, second_pass: bool = False, limit: int | None = None
    ) -> int:
        """Check at most `limit` accounts of a queue, one after the other. Return their number."""
        checked_count = 0
        while not self.deadline.should_stop and checked_count != limit:
            next_accounts = await host_queue.take()
            if not next_accounts:
                break
            planned = next_accounts[0]
            result = await self._run_probe(planned)
            await self._handle_result(planned, result, second_pass=second_pass)
            checked_count += 1
        return checked_count

    async def check_api_queue(
        self, host_queue: HostQueue, *, second_pass: bool = False, limit: int | None = None
    ) -> int:
        """Check at most `limit` accounts of a queue by API, many per call. Return their number."""
        checked_count = 0
        while not self.deadline.should_stop and checked_count != limit:
            chunk_size = API_CHUNK_SIZE
            if limit is not None:
                chunk_size = min(chunk_size, limit - checked_count)
            chunk = await host_queue.take(chunk_size)
            if not chunk:
                break
            results = await self.checker.check_together(
                [to_probe_account(planned.account, planned.status) for planned in chunk]
            )
            for planned, result in zip(chunk, results, strict=True):
                await self._handle_result(planned, result, second_pass=second_pass)
            checked_count += len(chunk)
        return checked_count

    async def _run_probe(self, planned: PlannedAccount) -> ProbeResult:
        """Return the result of one check; no request is sent if the circuit breaker is open."""
        circuit_breaker = self.circuit_breakers.get(planned.account.channel)
        if circuit_breaker:
            skipped_result = circuit_breaker.skip_if_open(planned.account)
            if skipped_result:
                return skipped_result
        previous_result = find_previous_result(
            planned.account,
            planned.last_observation,
            get_probe_version(planned.account),
            self.audit_run.day,
            self._read_body,
        )
        account = to_probe_account(planned.account, planned.status)
        result = await self.checker.check(account, previous_result)
        if circuit_breaker:
            circuit_breaker.record_exchanges(result.exchanges)
        return result

    def _read_body(self, digest: str) -> bytes | None:
        try:
            return self.app.body_store.get(digest)
        except (MissingEvidenceError, DamagedEvidenceError):
            return None

    async def _handle_result(
        self, planned: PlannedAccount, result: ProbeResult, *, second_pass: bool
    ) -> None:
        """Store the result, or defer the account to the second pass."""
        api_budget = self.checker.api_budgets.get(planned.account.channel)
        if api_budget and was_skipped(result.finding):
            # No retry: the budget will still be spent in the second pass.
            api_budget.skipped_count += 1
        elif not second_pass and await self._needs_second_pass(result):
            observation = await self._to_observation(planned, result, will_retry=True)
            await self.deferred_writer.add(observation)
            self.last_deferred_at = self.deadline.timer()
            return
        await self.save_observation(await self._to_observation(planned, result))

    async def save_observation(self, observation: Observation) -> None:
        """Pass an observation to its writer. It is stored for certain after the next flush."""
        await self.observation_writer.add(observation)
        self.on_progress()
        if self.body_writer.is_full:
            await self.observation_writer.flush()

    async def _to_observation(
        self, planned: PlannedAccount, result: ProbeResult, *, will_retry: bool = False
    ) -> Observation:
        """Return the observation to store.

        If the check will be repeated, no body is stored: the second result nearly always replaces
        the first one.
        """
        last_observation = planned.last_observation
        if result.is_unchanged and last_observation is not None and self.audit_run.id is not None:
            return replace(
                last_observation.observation,
                run_id=self.audit_run.id,
                observed_at=_get_observed_at(result, self.clock()),
            )
        filtered_result = await remove_private_data(
            to_probe_account(planned.account, planned.status),
            result,
            self.checker.parser_pool,
            self.checker.api_budgets,
        )
        if will_retry:
            filtered_result = replace(filtered_result, keep_bodies=False)
        return await self._build_observation(planned, filtered_result, self.clock())

    async def _needs_second_pass(self, result: ProbeResult) -> bool:
        """Return True if the second pass may succeed and is allowed to request the links again."""
        is_transient = (
            result.finding.presence is Presence.UNKNOWN
            and result.finding.reason in SECOND_PASS_REASONS
        )
        if not is_transient or not result.exchanges:
            return False
        can_request_again = self.checker.fetcher.can_request_again
        allowed = [
            await can_request_again(exchange.request, exchange.outcome)
            for exchange in result.exchanges
        ]
        return all(allowed)

    async def _build_observation(
        self, planned: PlannedAccount, filtered_result: StorableResult, now: datetime
    ) -> Observation:
        """Return an observation with its evidence.

        A platform generates every response again, so the bodies of two runs differ although they
        say the same. If the result equals an earlier one, the observation refers to that one.
        """
        row, result = planned.account, filtered_result.result
        assert row.id is not None
        assert self.audit_run.id is not None
        observation = Observation(
            row.id,
            self.audit_run.id,
            _get_observed_at(result, now),
            result.finding,
            (),
            get_probe_version(row),
        )
        is_volatile = (
            row.channel != channel_registry.WEBSITE_CHANNEL
            and row.channel not in self.checker.api_budgets
        )
        if is_volatile and planned.status is not None:
            evidence = _build_evidence(filtered_result, None, is_volatile=True)
            previous = await asyncio.to_thread(
                self._find_duplicate, row, replace(observation, evidence=evidence)
            )
            if previous is not None:
                return replace(observation, result_id=previous.result_id)
        evidence = _build_evidence(filtered_result, self.body_writer, is_volatile=is_volatile)
        return replace(observation, evidence=evidence)

    def _find_duplicate(
        self, row: AccountRow, observation: Observation
    ) -> PreviousObservation | None:
        """Return an earlier observation with an equal result and usable evidence, or None."""
        previous = self.app.store.observations.find_equal_result(observation)
        if previous is None or not self._can_reuse_evidence(row, previous):
            return None
        return previous

    def _can_reuse_evidence(self, row: AccountRow, previous: PreviousObservation) -> bool:
        """Return True if the earlier bodies are still stored and not too old."""
        is_fresh = not previous.body_digests or is_recent_enough(
            row, previous.first_observed_at.date(), self.audit_run.day
        )
        return is_fresh and all(digest in self.app.body_store for digest in previous.body_digests)


def _build_evidence(
    filtered_result: StorableResult, bodies: BodyStorage | None, *, is_volatile: bool
) -> tuple[Evidence, ...]:
    """Return the evidence of a result. Bodies are stored only if `bodies` is given."""
    return tuple(
        build_evidence(
            exchange, bodies, is_withheld=not filtered_result.keep_bodies, is_volatile=is_volatile
        )
        for exchange in filtered_result.result.exchanges
    )


@asynccontextmanager
async def open_account_worker(
    app: RunContext,
    run: AuditRun,
    checker: AccountChecker,
    *,
    circuit_breakers: Mapping[str, CircuitBreaker],
    deadline: RunDeadline,
    clock: Callable[[], datetime],
    on_progress: Callable[[], None],
) -> AsyncIterator[AccountWorker]:
    """Open an account worker with its writers. On exit, all its observations are stored."""
    with BodyWriter(app.body_store) as body_writer:
        async with (
            app.store.observations.open_writer(
                before_commit=body_writer.commit
            ) as observation_writer,
            ObservationWriter(app.store.run_plan.save_first_observations) as deferred_writer,
        ):
            yield AccountWorker(
                app=app,
                audit_run=run,
                checker=checker,
                circuit_breakers=circuit_breakers,
                deadline=deadline,
                clock=clock,
                body_writer=body_writer,
                observation_writer=observation_writer,
                deferred_writer=deferred_writer,
                on_progress=on_progress,
            )


def _get_observed_at(result: ProbeResult, now: datetime) -> datetime:
    """Return the time at which the last page was received, or `now` without a page."""
    outcomes = [exchange.outcome for exchange in result.exchanges]
    pages = [outcome for outcome in outcomes if isinstance(outcome, Page)]
    return pages[-1].fetched_at if pages else now


def get_probe_version(row: AccountRow) -> int:
    """Return the version of the probe that checks an account, or 0 for an unknown channel."""
    channel = channel_registry.list_channels().get(row.channel)
    return channel.VERSION if channel else 0
