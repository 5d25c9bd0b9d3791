"""Execute one audit run: canaries, checks, second pass, witnesses, evaluation, receipt.

Start with `execute_run`; `_RunSession` has the phases in their order. If both test websites are
unreachable, the run is skipped. Results are stored in batches, so a run that was killed continues
with the remaining accounts. How a verdict is reached: docs/explanations/verdicts.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self

from auditor.checking import circuit_breaker
from auditor.checking.canaries import Canary, build_canaries, is_offline
from auditor.checking.checker import AccountChecker, create_api_budgets
from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.checking.clock import DISCARD_FUTURE, is_dated_in_future, refuse_wrong_clock
from auditor.checking.shared_bodies import create_domain_counter
from auditor.core import runtime
from auditor.evaluation import run_results
from auditor.evaluation.run_results import refresh_summaries
from auditor.protocols import RunContext
from auditor.receipts import receipt
from auditor.receipts.receipt import CanaryReadings
from auditor.receipts.signing import SigningKey
from auditor.runs import plan
from auditor.runs.account_worker import (
    AccountWorker,
    RunDeadline,
    StoppedError,
    Timer,
    open_account_worker,
)
from auditor.runs.domain_checks import check_domains
from auditor.runs.plan import MAX_BATCH_ACCOUNTS, build_batches, compute_batch_size
from auditor.runs.witnesses import WitnessInquiry
from probes.http.host_state import HostLock
from probes.links import channel_registry
from probes.log import EventLogger
from probes.models.probe import ProbeResult
from probes.runner.api_batcher import ApiBudget
from storage.errors import LaterRunDoneError, StoreError
from storage.models.audit import AuditRun, AuditRunState
from storage.runs.plan import PlanBatch

logger = EventLogger(__name__)

ProgressCallback = Callable[[int, int], None]
"""Called after each account with the number of checked accounts and the number of all accounts."""


class Coordinator(Protocol):
    """Distributes the accounts of one run to workers. Used as an async context manager."""

    worker_results: dict[str, Any]
    """The counts and costs that the workers reported."""

    async def check_batches(
        self, batches: Sequence[PlanBatch], *, second_pass: bool = False
    ) -> None:
        """Have the workers check all accounts of the batches."""
        ...

    async def __aenter__(self) -> Self:
        """Open the job queue."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the job queue and leave no job in it."""
        ...


class WorkerCluster(Protocol):
    """The machines that share a run.

    `auditor.cluster.get_worker_cluster` returns the configured ones.
    """

    def open_host_lock(self) -> AbstractAsyncContextManager[HostLock]:
        """Open the host locks that the machines share. Raises ConfigError."""
        ...

    def create_coordinator(
        self,
        app: RunContext,
        run: AuditRun,
        deadline: RunDeadline,
        *,
        circuit_breakers: Mapping[str, CircuitBreaker],
        api_budgets: Mapping[str, ApiBudget],
        on_progress: Callable[[int], None],
    ) -> Coordinator:
        """Return the coordinator of a run. Raises ConfigError."""
        ...


async def execute_run(
    app: RunContext,
    now: datetime,
    *,
    day: date | None = None,
    on_progress: ProgressCallback | None = None,
    stop: asyncio.Event | None = None,
    timer: Timer = time.monotonic,
    cluster: WorkerCluster | None = None,
) -> AuditRun:
    """Execute the run of a UTC day (default: the day of `now`), or resume it if it was interrupted.

    A finished run is returned unchanged. If `stop` is set, no further check begins and the run is
    returned as `incomplete` once the current checks have ended. A cancelled run is left
    `incomplete` at once. The wall clock is never read: every time is `now` plus the seconds that
    `timer` has counted.

    Nothing is stored before the canaries are checked. Raises LaterRunDoneError if a run of a later
    day exists, ClockError if the servers of the canaries show that the clock is wrong, ConfigError
    if the receipt cannot be signed, and StoreError if the storage fails, because a result that
    cannot be stored must not count.
    """
    assert (cluster is not None) is app.config.cluster.enabled, (
        "pass auditor.cluster.get_worker_cluster(config)"
    )
    runtime.limit_malloc_arenas()
    day = day or now.date()
    signing_key = app.open_signing_key()
    _refuse_earlier_day(app, day, now)
    run = app.store.runs.get(day)
    if run is not None and run.state is AuditRunState.DONE:
        return run
    now = _not_before_earlier_runs(app, run, day, now)
    run = run or AuditRun(day, AuditRunState.RUNNING, now)
    deadline = RunDeadline(timer, _compute_end_time(app, run, now, timer), stop or asyncio.Event())
    session = _RunSession(
        app=app,
        audit_run=run,
        session_started_at=now,
        on_progress=on_progress or (lambda _checked, _total: None),
        signing_key=signing_key,
        deadline=deadline,
        timer_started_at=timer(),
        cluster=cluster,
    )
    try:
        return await session.execute()
    except StoppedError:
        return session.finish_interrupted("stop requested")
    except BaseException as error:
        if session.is_begun:
            with contextlib.suppress(StoreError):
                session.finish_interrupted(type(error).__name__)
        raise


def _refuse_earlier_day(app: RunContext, day: date, now: datetime) -> None:
    """Raise LaterRunDoneError if a run of a later day exists.

    Each receipt refers to the previous one, so no run can be inserted before another.
    """
    latest_run = app.store.runs.get_latest()
    if latest_run is None or latest_run.day <= day:
        return
    failure = f"cannot begin the run for {day}"
    if is_dated_in_future(latest_run, now):
        reason = f"the run for {latest_run.day} is dated in the future"
        raise LaterRunDoneError(failure, reason, DISCARD_FUTURE)
    progress = "has finished" if latest_run.state is AuditRunState.DONE else "has begun"
    reason = f"the run for {latest_run.day} {progress}"
    raise LaterRunDoneError(failure, reason, "check the system clock")


def _not_before_earlier_runs(
    app: RunContext, run: AuditRun | None, day: date, now: datetime
) -> datetime:
    """Return `now`, or the end of an earlier run if that is later: the clock may be set back."""
    times = [now]
    previous_run = app.store.runs.get_latest(before_day=day)
    if previous_run is not None and previous_run.id is not None:
        last_check = app.store.observations.get_last_check_time(previous_run.id)
        times.append(previous_run.finished_at or last_check or previous_run.started_at)
    if run is not None:
        times.append(run.started_at)
    return max(times)


def _compute_end_time(app: RunContext, run: AuditRun, now: datetime, timer: Timer) -> float | None:
    """Return the timer value at which the time limit of the run ends, or None without a limit.

    The limit counts from the first check of the run, which an earlier session may have made.
    """
    time_limit = timedelta(hours=app.config.schedule.time_limit_hours)
    if not time_limit:
        return None
    first_check = (
        app.store.observations.get_first_check_time(run.id) if run.id is not None else None
    )
    time_left = (first_check or now) + time_limit - now
    return timer() + time_left.total_seconds()


@dataclass(slots=True)
class _RunSession:
    """One process's work on a run. A run that was interrupted has several sessions.

    `coordinator` is set if several machines share the run. `is_begun` is set as soon as the run is
    stored as running. `not_reached` counts by channel the accounts that the run did not check.
    """

    app: RunContext
    audit_run: AuditRun
    session_started_at: datetime
    on_progress: ProgressCallback
    signing_key: SigningKey
    deadline: RunDeadline
    timer_started_at: float
    cluster: WorkerCluster | None
    checker: AccountChecker | None = None
    coordinator: Coordinator | None = None
    circuit_breakers: Mapping[str, CircuitBreaker] = field(default_factory=dict)
    account_count: int = 0
    checked_count: int = 0
    not_reached: Mapping[str, int] = field(default_factory=dict)
    is_begun: bool = False

    def get_current_time(self) -> datetime:
        """Return the current time: the start of the session plus the seconds of the timer."""
        return self.session_started_at + timedelta(seconds=self._get_elapsed_seconds())

    def _get_elapsed_seconds(self) -> float:
        return self.deadline.timer() - self.timer_started_at

    def collect_costs(self) -> dict[str, object]:
        """Return what this session and the earlier ones have cost, for the receipt."""
        saved_receipt = self.audit_run.receipt
        if self.checker is None:
            costs = receipt.add_session_cost(
                saved_receipt, 0, {}, self._get_elapsed_seconds(), retries=0, other_hosts=0
            )
            api_costs = receipt.add_api_cost(saved_receipt, {})
        else:
            fetcher = self.checker.fetcher
            costs = receipt.add_session_cost(
                saved_receipt,
                fetcher.request_count,
                fetcher.requests_by_host,
                self._get_elapsed_seconds(),
                retries=fetcher.retry_count,
                other_hosts=fetcher.count_other_hosts(),
            )
            api_costs = receipt.add_api_cost(saved_receipt, self.checker.api_budgets)
        if self.coordinator:
            costs = receipt.add_worker_cost(costs, self.coordinator.worker_results)
        circuits = circuit_breaker.build_opened_circuits_field(self.circuit_breakers)
        return costs | api_costs | circuits

    async def execute(self) -> AuditRun:
        """Check the canaries, check the accounts, evaluate the results and finish the run."""
        config = self.app.config
        async with (
            self._open_host_lock() as host_lock,
            self.app.create_parser_pool() as parsers,
            self.app.create_fetcher(self.session_started_at, host_lock, parsers) as fetcher,
        ):
            api_budgets = create_api_budgets(config, receipt.read_api_cost(self.audit_run.receipt))
            count_domains = create_domain_counter(self.app.store, self.audit_run.started_at)
            checker = self.checker = AccountChecker(fetcher, parsers, api_budgets, count_domains)
            canary_results = (
                [] if self.deadline.should_stop else await self._check_canaries(checker)
            )
            refuse_wrong_clock(result for _, result in canary_results)
            self._begin(checker, canary_results)
            canary_readings = [(canary, result.finding) for canary, result in canary_results]
            if is_offline(canary_readings) and not self._is_evaluated():
                return self._finish_skipped(canary_readings)
            await runtime.run_together(
                self._check_accounts(checker, canary_readings), self._check_domains(checker)
            )
            if self.deadline.is_stopped:
                raise StoppedError
        return await self._evaluate_in_thread(canary_readings)

    def _begin(
        self, checker: AccountChecker, canary_results: Iterable[tuple[Canary, ProbeResult]]
    ) -> None:
        """Store that the run has begun, and close the previous run if it was killed."""
        store, day = self.app.store, self.audit_run.day
        close_previous_run(self.app, day, self.signing_key)
        self.audit_run = store.runs.begin_or_resume(day, self.session_started_at)
        self.is_begun = True
        self.circuit_breakers = circuit_breaker.load_circuit_breakers(
            self.app.config, store, self.audit_run, checker.api_budgets
        )
        for canary, result in canary_results:
            if canary.channel in self.circuit_breakers:
                self.circuit_breakers[canary.channel].record_canary(result.exchanges)

    @contextlib.asynccontextmanager
    async def _open_host_lock(self) -> AsyncIterator[HostLock | None]:
        """Open the host locks that the machines of a cluster share; None on one machine."""
        if self.cluster is None:
            yield None
            return
        async with self.cluster.open_host_lock() as host_lock:
            yield host_lock

    async def _evaluate_in_thread(self, canary_readings: CanaryReadings) -> AuditRun:
        """Evaluate and finish the run in a thread.

        A cancellation waits for its end: the conclusions are stored completely or not at all.
        """
        loop = asyncio.get_running_loop()
        evaluation = loop.run_in_executor(None, self._evaluate_and_finish, canary_readings)
        while not evaluation.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(evaluation)
        return evaluation.result()

    async def _check_canaries(self, checker: AccountChecker) -> list[tuple[Canary, ProbeResult]]:
        """Check the canaries of the channels in use: those of an API in batches.

        A platform on which no association has an account is not requested at all.
        """
        channels_in_use = {
            channel_registry.WEBSITE_CHANNEL,  # its canaries show whether we are online
            *await asyncio.to_thread(self.app.store.registry.find_channels_in_use),
        }
        canaries: list[Canary] = []
        for name, channel in self.app.config.channels.items():
            if name in channels_in_use:
                canaries += build_canaries(
                    name, channel.canaries, channel.impossible_account, self.audit_run.day
                )
        api_canaries = [canary for canary in canaries if canary.channel in checker.api_budgets]
        page_canaries = [canary for canary in canaries if canary.channel not in checker.api_budgets]
        api_results, page_results = await asyncio.gather(
            checker.check_together([canary.account for canary in api_canaries]),
            asyncio.gather(*(checker.check(canary.account) for canary in page_canaries)),
        )
        return list(zip(api_canaries + page_canaries, [*api_results, *page_results], strict=True))

    async def _check_accounts(
        self, checker: AccountChecker, canary_readings: CanaryReadings
    ) -> None:
        """Plan the run and check its accounts. In an evaluated run, no account is checked."""
        store, is_evaluated = self.app.store, self._is_evaluated()
        async with contextlib.AsyncExitStack() as stack:
            if self.cluster is not None and not is_evaluated:
                self.coordinator = await stack.enter_async_context(
                    self._create_coordinator(self.cluster, checker)
                )
            await asyncio.to_thread(
                plan.create_run_plan,
                self.app,
                self.audit_run,
                self.circuit_breakers,
                frozenset(checker.api_budgets),
            )
            planned_count = await asyncio.to_thread(
                store.run_plan.count_planned_accounts, self.audit_run
            )
            self._save_run_facts(canary_readings, planned_count)
            self.account_count = 0 if is_evaluated else planned_count
            self.on_progress(0, self.account_count)
            try:
                if self.account_count:
                    await self._run_account_worker(checker)
                if not is_evaluated:
                    await self._ask_witnesses(checker)
                self.not_reached = await asyncio.to_thread(
                    store.run_plan.count_unreached_accounts, self.audit_run
                )
            finally:
                with contextlib.suppress(StoreError):
                    await asyncio.to_thread(store.run_plan.delete)

    async def _check_domains(self, checker: AccountChecker) -> None:
        """Ask registries for the domains that are due, unless the run is evaluated."""
        if not self._is_evaluated():
            await check_domains(
                self.app, self.audit_run, checker, self.deadline, self.get_current_time
            )

    def _create_coordinator(self, cluster: WorkerCluster, checker: AccountChecker) -> Coordinator:
        return cluster.create_coordinator(
            self.app,
            self.audit_run,
            self.deadline,
            circuit_breakers=self.circuit_breakers,
            api_budgets=checker.api_budgets,
            on_progress=self._report_progress,
        )

    async def _run_account_worker(self, checker: AccountChecker) -> None:
        async with open_account_worker(
            self.app,
            self.audit_run,
            checker,
            circuit_breakers=self.circuit_breakers,
            deadline=self.deadline,
            clock=self.get_current_time,
            on_progress=self._report_progress,
        ) as account_worker:
            await self._run_passes(account_worker)

    async def _ask_witnesses(self, checker: AccountChecker) -> None:
        inquiry = WitnessInquiry(
            self.app, self.audit_run, checker.fetcher, checker.parser_pool, self.deadline
        )
        await inquiry.execute()

    async def _run_passes(self, worker: AccountWorker) -> None:
        """Check all accounts, then repeat the checks that failed for a transient reason.

        If there is no time for the second pass, the results of the first one count.
        """
        check_batches = self.coordinator.check_batches if self.coordinator else worker.check_batches
        await check_batches(await self._load_batches(second_pass=False))
        await worker.deferred_writer.flush()
        deferred_count = await asyncio.to_thread(
            self.app.store.run_plan.count_planned_accounts, self.audit_run, second_pass=True
        )
        if not deferred_count:
            return
        await self._wait_for_second_pass(worker)
        if not self.deadline.should_stop:
            worker.checker.fetcher.start_new_pass()
            await check_batches(await self._load_batches(second_pass=True), second_pass=True)
            await worker.observation_writer.flush()
        if not self.deadline.is_stopped:
            await self._save_first_observations(worker)

    async def _wait_for_second_pass(self, worker: AccountWorker) -> None:
        """Wait until the last failure is old enough to try again, or until the deadline."""
        seconds_since_failure = 0.0
        if worker.last_deferred_at:
            seconds_since_failure = self.deadline.timer() - worker.last_deferred_at
        await self.deadline.sleep(self.app.config.fetch.second_pass_delay - seconds_since_failure)

    async def _save_first_observations(self, worker: AccountWorker) -> None:
        """Store the first observation of each account that the second pass did not reach."""
        first_observations = self.app.store.run_plan.list_first_observations(self.audit_run)
        while True:
            observation = await asyncio.to_thread(next, first_observations, None)
            if observation is None:
                break
            await worker.save_observation(observation)
        await worker.observation_writer.flush()

    async def _load_batches(self, *, second_pass: bool) -> list[PlanBatch]:
        store, run = self.app.store, self.audit_run
        max_accounts = MAX_BATCH_ACCOUNTS
        if self.coordinator:
            max_accounts = compute_batch_size(self.account_count)
        return await asyncio.to_thread(
            lambda: build_batches(
                store.run_plan.count_by_host_bucket(run, second_pass=second_pass), max_accounts
            )
        )

    def _report_progress(self, count: int = 1) -> None:
        releases_before = self.checked_count // runtime.ACCOUNTS_PER_MEMORY_RELEASE
        self.checked_count += count
        if self.checked_count // runtime.ACCOUNTS_PER_MEMORY_RELEASE != releases_before:
            runtime.release_free_memory()
        self.on_progress(self.checked_count, self.account_count)

    def _save_run_facts(self, canary_readings: CanaryReadings, waiting_count: int) -> None:
        """Store versions, canary results and the number of due accounts.

        They are stored before the first check, because a killed run cannot store them later.
        """
        store, run = self.app.store, self.audit_run
        observed_count = 0
        if run.id is not None:
            observed_count = sum(store.observations.count_by_presence(run.id).values())
        facts = receipt.build_started_receipt(
            store, run, canary_readings, self.app.config, waiting_count + observed_count
        )
        self.audit_run = run_results.save_run_facts(store, run, canary_readings, facts)

    def _finish_skipped(self, canary_readings: CanaryReadings) -> AuditRun:
        reason = "both test websites are unreachable"
        logger.warning(
            "run_skipped_offline", "run skipped: no connectivity: {reason}", reason=reason
        )
        finished_at = self.get_current_time()
        receipt_fields = receipt.build_skipped_receipt(
            self.app.store,
            self.audit_run,
            canary_readings,
            self.app.config,
            cost=self.collect_costs(),
            finished_at=finished_at,
        )
        return self._finish_run(
            AuditRunState.SKIPPED, receipt_fields, finished_at, self.audit_run.unreliable_channels
        )

    def _is_evaluated(self) -> bool:
        """Return True if an earlier session evaluated the run, so it only has to be finished."""
        return self.audit_run.id is not None and self.app.store.runs.is_evaluated(self.audit_run.id)

    def _evaluate_and_finish(self, canary_readings: CanaryReadings) -> AuditRun:
        """Find the unreliable channels, store all conclusions and sign the receipt."""
        store, config = self.app.store, self.app.config
        runtime.release_free_memory()
        with runtime.reduce_garbage_collection():
            self.audit_run, unreliable_channels = run_results.save_unreliable_channels(
                store, config, self.audit_run, canary_readings
            )
            run_results.evaluate_run(store, config, self.audit_run, unreliable_channels)
            runtime.release_free_memory()
            refresh_summaries(store, config)
        self._log_limits(unreliable_channels)
        finished_at = self.get_current_time()
        receipt_fields = receipt.build_finished_receipt(
            store,
            self.audit_run,
            canary_readings,
            config,
            unreliable_channels=unreliable_channels,
            not_reached_by_channel=self.not_reached,
            cost=self.collect_costs(),
            finished_at=finished_at,
        )
        return self._finish_run(
            AuditRunState.DONE, receipt_fields, finished_at, unreliable_channels
        )

    def _log_limits(self, unreliable_channels: Mapping[str, str]) -> None:
        """Log the unreliable channels and the number of accounts that were not reached."""
        for channel, reason in unreliable_channels.items():
            message = "channel {channel} is unreliable in this run: {reason}; its statuses are kept"
            logger.warning("channel_unreliable", message, channel=channel, reason=reason)
        if not_reached := sum(self.not_reached.values()):
            message = (
                "deadline reached: {not_reached} accounts were not "
                "checked; the next run checks them first"
            )
            logger.warning("run_deadline_reached", message, not_reached=not_reached)

    def finish_interrupted(self, reason: str) -> AuditRun:
        """Store the run as incomplete, with a receipt of what is known so far."""
        finished_at = self.get_current_time()
        receipt_fields = receipt.build_interrupted_receipt(
            self.app.store,
            self.audit_run,
            reason=reason,
            cost=self.collect_costs(),
            finished_at=finished_at,
        )
        return self._finish_run(
            AuditRunState.INCOMPLETE,
            receipt_fields,
            finished_at,
            self.audit_run.unreliable_channels,
        )

    def _finish_run(
        self,
        state: AuditRunState,
        receipt_fields: Mapping[str, object],
        finished_at: datetime,
        unreliable_channels: Iterable[str] = (),
    ) -> AuditRun:
        """Sign the receipt and store the final state of the run."""
        former_key = receipt.find_former_key(
            self.app.store, self.audit_run, self.signing_key.public_key
        )
        return self.app.store.runs.finish(
            self.audit_run,
            state,
            finished_at,
            unreliable_channels=sorted(unreliable_channels),
            receipt=self.signing_key.sign_receipt({**receipt_fields, **former_key}),
        )


def close_previous_run(app: RunContext, day: date, signing_key: SigningKey) -> None:
    """Close the newest run before `day` if it was killed, with a signed receipt that says so.

    The caller holds the run lock.
    """
    store = app.store
    run = store.runs.get_latest(before_day=day)
    if run is None or receipt.is_chain_link(run):
        return
    if run.state is not AuditRunState.RUNNING:
        run = store.runs.begin_or_resume(run.day, run.started_at)
    last_check = store.observations.get_last_check_time(run.id) if run.id is not None else None
    finished_at = last_check or run.started_at
    receipt_fields = receipt.build_interrupted_receipt(
        store,
        run,
        reason="killed",
        cost=receipt.select_carried_fields(run),
        finished_at=finished_at,
    )
    receipt_fields |= receipt.find_former_key(store, run, signing_key.public_key)
    # If the run was killed after its evaluation, its conclusions count. Only the receipt is late.
    is_evaluated = store.runs.is_evaluated(run.id or 0)
    state = AuditRunState.DONE if is_evaluated else AuditRunState.INCOMPLETE
    receipt_fields["state"] = state.value
    store.runs.finish(
        run,
        state,
        finished_at,
        unreliable_channels=sorted(run.unreliable_channels),
        receipt=signing_key.sign_receipt(receipt_fields),
    )
