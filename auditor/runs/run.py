"""Run the phases of one audit run: canaries, checks, second pass, evaluation, receipt.

If both test websites are unreachable, the run is skipped. Results are stored in batches, so a run that
was killed continues with the accounts that are left. After the deadline no further account is checked.
A run that is never continued is closed when the next one starts, with a signed receipt that says so.
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
from auditor.core import runtime
from auditor.evaluation import run_results
from auditor.evaluation.run_results import refresh_summaries
from auditor.protocols import RunContext
from auditor.receipts import receipt
from auditor.receipts.signing import SigningKey
from auditor.runs import plan
from auditor.runs.account_worker import AccountWorker, open_account_worker
from auditor.runs.plan import MAX_BATCH_ACCOUNTS, build_batches, compute_batch_size
from auditor.runs.process import RunDeadline, StoppedError, Timer
from probes.http.host_state import HostLock
from probes.log import EventLogger
from probes.models.finding import Finding
from probes.models.probe import ProbeResult
from probes.runner.api_batcher import ApiBudget
from storage.errors import LaterRunDoneError, StoreError
from storage.models.audit import AuditRun, AuditRunState
from storage.runs.plan import PlanBatch

logger = EventLogger(__name__)

CanaryReadings = Sequence[tuple[Canary, Finding]]

ProgressCallback = Callable[[int, int], None]
"""Is told, after each account, how many are done and how many there are."""


class Coordinator(Protocol):
    """Has workers check the accounts of one run. It is used as an async context."""

    worker_results: dict[str, Any]
    """What the workers counted."""

    async def check_batches(
        self, batches: Sequence[PlanBatch], *, second_pass: bool = False
    ) -> None:
        """Have them all checked."""
        ...

    async def __aenter__(self) -> Self:
        """Begin."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, and leave no job."""
        ...


class WorkerCluster(Protocol):
    """The machines that share a run; `auditor.cluster.get_worker_cluster` returns the configured ones."""

    def open_host_lock(self) -> AbstractAsyncContextManager[HostLock]:
        """The host locks that they share. Raises ConfigError."""
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
        """What has them work. Raises ConfigError."""
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
    """Do the night of a UTC day (today's, unless one is given), or go on with it where it was left.

    A night that is done is given back as it is. Once `stop` is set nothing more is begun, and the night is
    given back `incomplete` when what is under way has ended; one that is cancelled is left so at once. The
    wall clock is read nowhere: moments are `now` and what `timer` has counted since.

    Nothing is written before the canaries have answered. Raises LaterRunDoneError if there is a run for a
    later day, ClockError if the canaries' servers say that the clock is wrong, ConfigError if the receipt
    cannot be signed, and StoreError if the storage fails: what cannot be kept must not be counted.
    """
    assert (cluster is not None) is app.config.cluster.enabled, (
        "hand it auditor.cluster.get_worker_cluster(config)"
    )
    runtime.limit_malloc_arenas()
    day = day or now.date()
    seal = app.open_signing_key()
    _refuse_earlier_day(app, day, now)
    night = app.store.get_run(day)
    if night is not None and night.state is AuditRunState.DONE:
        return night
    now = _not_before_earlier_runs(app, night, day, now)
    night = night or AuditRun(day, AuditRunState.RUNNING, now)
    closing = RunDeadline(timer, _compute_end_time(app, night, now, timer), stop or asyncio.Event())
    session = _RunSession(
        app, night, now, on_progress or (lambda _done, _all: None), seal, closing, timer(), cluster
    )
    try:
        return await session.execute()
    except StoppedError:
        return session.finish_interrupted("told to stop")
    except BaseException as trouble:
        if session.is_begun:
            with contextlib.suppress(StoreError):
                session.finish_interrupted(type(trouble).__name__)
        raise


def _refuse_earlier_day(app: RunContext, day: date, now: datetime) -> None:
    """Raise LaterRunDoneError: receipts are a chain, and that of a later run would follow none."""
    newest = app.store.get_latest_run()
    if newest is None or newest.day <= day:
        return
    what = f"cannot begin the run for {day}"
    if is_dated_in_future(newest, now):
        why = f"the run for {newest.day} is dated in the future"
        raise LaterRunDoneError(what, why, DISCARD_FUTURE)
    how = "has finished" if newest.state is AuditRunState.DONE else "has begun"
    raise LaterRunDoneError(what, f"the run for {newest.day} {how}", "check the system clock")


def _not_before_earlier_runs(
    app: RunContext, run: AuditRun | None, day: date, now: datetime
) -> datetime:
    """Return `now`, or the end of an earlier run if that is later: the clock may be set back."""
    before = app.store.get_latest_run(before_day=day)
    moments = [now]
    if before is not None and before.id is not None:
        last_check = app.store.get_last_check_time(before.id)
        moments.append(before.finished_at or last_check or before.started_at)
    if run is not None:
        moments.append(run.started_at)
    return max(moments)


def _compute_end_time(app: RunContext, run: AuditRun, now: datetime, timer: Timer) -> float | None:
    """When its window is over, by the timer. It opens with the session that looks at the first account."""
    window = timedelta(hours=app.config.schedule.time_limit_hours)
    if not window:
        return None
    opened = app.store.get_first_check_time(run.id) if run.id is not None else None
    return timer() + ((opened or now) + window - now).total_seconds()


@dataclass(slots=True)
class _RunSession:
    """One run of one night; a night that was interrupted has several."""

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
        """The moment, counted from `now` by the timer: a night has no other."""
        return self.session_started_at + timedelta(seconds=self._get_elapsed_seconds())

    def _get_elapsed_seconds(self) -> float:
        return self.deadline.timer() - self.timer_started_at

    def collect_costs(self) -> dict[str, object]:
        """What this session and the ones before it have cost."""
        eyes = self.checker
        requests, hosts = (
            (eyes.fetcher.request_count, eyes.fetcher.requests_by_host) if eyes else (0, {})
        )
        others = eyes.fetcher.count_other_hosts() if eyes else 0
        calls = receipt.add_api_cost(self.audit_run.receipt, eyes.api_budgets if eyes else {})
        retries = eyes.fetcher.retry_count if eyes else 0
        told = receipt.add_session_cost(
            self.audit_run.receipt,
            requests,
            hosts,
            self._get_elapsed_seconds(),
            retries=retries,
            other_hosts=others,
        )
        if self.coordinator:
            told = receipt.add_worker_cost(told, self.coordinator.worker_results)
        return told | calls | circuit_breaker.build_opened_circuits_field(self.circuit_breakers)

    async def execute(self) -> AuditRun:
        """Canaries, accounts, conclusions."""
        config = self.app.config
        async with (
            self._open_host_lock() as shared,
            self.app.create_parser_pool() as readers,
            self.app.create_fetcher(self.session_started_at, shared, readers) as fetcher,
        ):
            eyes = self.checker = AccountChecker(
                fetcher,
                readers,
                create_api_budgets(config, receipt.read_api_cost(self.audit_run.receipt)),
            )
            results = [] if self.deadline.should_stop else await self._check_canaries(eyes)
            refuse_wrong_clock(result for _, result in results)
            self._begin(eyes, results)
            readings = [(canary, result.finding) for canary, result in results]
            if is_offline(readings) and not self._is_concluded():
                return self._finish_skipped(readings)
            await self._check_accounts(eyes, readings)
            if self.deadline.is_stopped:
                raise StoppedError
        return await self._conclude_in_thread(readings)

    def _begin(
        self, checker: AccountChecker, canary_results: Iterable[tuple[Canary, ProbeResult]]
    ) -> None:
        """Write down that the run has begun, and close the one before if it was killed."""
        store, day = self.app.store, self.audit_run.day
        close_previous_run(self.app, day, self.signing_key)
        self.audit_run = store.begin_run(day, self.session_started_at)
        self.is_begun = True
        self.circuit_breakers = circuit_breaker.load_circuit_breakers(
            self.app.config, store, self.audit_run, checker.api_budgets
        )
        for canary, result in canary_results:
            if canary.channel in self.circuit_breakers:
                self.circuit_breakers[canary.channel].record_canary(result.exchanges)

    @contextlib.asynccontextmanager
    async def _open_host_lock(self) -> AsyncIterator[HostLock | None]:
        """The host locks that machines share, where there are several."""
        if self.cluster is None:
            yield None
            return
        async with self.cluster.open_host_lock() as shared:
            yield shared

    async def _conclude_in_thread(self, canary_readings: CanaryReadings) -> AuditRun:
        """Conclude beside the loop. An interruption waits: conclusions are drawn whole or not at all."""
        work = asyncio.get_running_loop().run_in_executor(None, self._conclude, canary_readings)
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(work)
        return work.result()

    async def _check_canaries(self, checker: AccountChecker) -> list[tuple[Canary, ProbeResult]]:
        config = self.app.config
        named = [
            canary
            for name, channel in config.channels.items()
            for canary in build_canaries(
                name, channel.canaries, channel.impossible_account, self.audit_run.day
            )
        ]
        keyed = [canary for canary in named if canary.channel in checker.api_budgets]
        free = [canary for canary in named if canary.channel not in checker.api_budgets]
        together, alone = await asyncio.gather(
            checker.check_together([canary.account for canary in keyed]),
            asyncio.gather(*(checker.check(canary.account) for canary in free)),
        )
        return list(zip(keyed + free, [*together, *alone], strict=True))

    async def _check_accounts(
        self, checker: AccountChecker, canary_readings: CanaryReadings
    ) -> None:
        """Look at everybody who is due; once a night is concluded, nobody is any more."""
        store, is_concluded = self.app.store, self._is_concluded()
        async with contextlib.AsyncExitStack() as stack:
            if self.cluster is not None and not is_concluded:
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
            due = await asyncio.to_thread(store.count_planned_accounts, self.audit_run)
            self._save_run_facts(canary_readings, due)
            self.account_count = 0 if is_concluded else due
            self.on_progress(0, self.account_count)
            try:
                if self.account_count:
                    await self._run_account_worker(checker)
                self.not_reached = await asyncio.to_thread(
                    store.count_unreached_accounts, self.audit_run
                )
            finally:
                with contextlib.suppress(StoreError):
                    await asyncio.to_thread(store.delete_plan)

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
        ) as watch:
            await self._run_passes(watch)

    async def _run_passes(self, worker: AccountWorker) -> None:
        """Look at everybody, then again at what failed for a passing reason.

        What there is no time for stays as it was seen.
        """
        store, audit = (
            self.app.store,
            self.coordinator.check_batches if self.coordinator else worker.check_batches,
        )
        await audit(await self._load_batches(second_pass=False))
        await worker.deferred_writer.flush()
        if not await asyncio.to_thread(
            store.count_planned_accounts, self.audit_run, second_pass=True
        ):
            return
        passed = self.deadline.timer() - worker.last_deferred_at if worker.last_deferred_at else 0.0
        await self.deadline.sleep(self.app.config.fetch.second_pass_delay - passed)
        if not self.deadline.should_stop:
            worker.checker.fetcher.start_new_pass()
            await audit(await self._load_batches(second_pass=True), second_pass=True)
            await worker.observation_writer.flush()
        if not self.deadline.is_stopped:
            waiting = store.list_first_observations(self.audit_run)
            while (seen := await asyncio.to_thread(next, waiting, None)) is not None:
                await worker.save_observation(seen)
            await worker.observation_writer.flush()

    async def _load_batches(self, *, second_pass: bool) -> list[PlanBatch]:
        store, night = self.app.store, self.audit_run
        most = compute_batch_size(self.account_count) if self.coordinator else MAX_BATCH_ACCOUNTS
        return await asyncio.to_thread(
            lambda: build_batches(store.count_by_host_bucket(night, second_pass=second_pass), most)
        )

    def _report_progress(self, count: int = 1) -> None:
        if (
            self.checked_count // runtime.ACCOUNTS_PER_MEMORY_RELEASE
            != (self.checked_count + count) // runtime.ACCOUNTS_PER_MEMORY_RELEASE
        ):
            runtime.release_free_memory()
        self.checked_count += count
        self.on_progress(self.checked_count, self.account_count)

    def _save_run_facts(self, canary_readings: CanaryReadings, waiting_count: int) -> None:
        """Write down what a night that is killed could not tell: what it is done by, and how many are due."""
        store, night = self.app.store, self.audit_run
        seen = sum(store.count_by_presence(night.id).values()) if night.id is not None else 0
        facts = receipt.build_started_receipt(
            store, night, canary_readings, self.app.config, waiting_count + seen
        )
        self.audit_run = run_results.save_run_facts(store, night, canary_readings, facts)

    def _finish_skipped(self, canary_readings: CanaryReadings) -> AuditRun:
        reason = "both test websites are unreachable"
        logger.warning(
            "run_skipped_offline", "run skipped: no connectivity: {reason}", reason=reason
        )
        ended, config = self.get_current_time(), self.app.config
        told = receipt.build_skipped_receipt(
            self.app.store,
            self.audit_run,
            canary_readings,
            config,
            cost=self.collect_costs(),
            finished_at=ended,
        )
        return self._finish_run(
            AuditRunState.SKIPPED, told, ended, self.audit_run.unreliable_channels
        )

    def _is_concluded(self) -> bool:
        """Whether an earlier session drew the conclusions: then the night only has to be ended."""
        return self.audit_run.id is not None and self.app.store.is_run_evaluated(self.audit_run.id)

    def _conclude(self, canary_readings: CanaryReadings) -> AuditRun:
        store, config = self.app.store, self.app.config
        runtime.release_free_memory()
        with runtime.reduce_garbage_collection():
            self.audit_run, unreliable_channels = run_results.save_unreliable_channels(
                store, config, self.audit_run, canary_readings
            )
            run_results.evaluate_run(store, config, self.audit_run, unreliable_channels)
            runtime.release_free_memory()
            refresh_summaries(store, config)
        for channel, reason in unreliable_channels.items():
            message = "channel {channel} is unreliable in this run: {reason}; its statuses are kept"
            logger.warning("channel_unreliable", message, channel=channel, reason=reason)
        if not_reached := sum(self.not_reached.values()):
            message = (
                "deadline reached: {not_reached} accounts were not "
                "checked; the next run checks them first"
            )
            logger.warning("run_deadline_reached", message, not_reached=not_reached)
        ended = self.get_current_time()
        told = receipt.build_finished_receipt(
            store,
            self.audit_run,
            canary_readings,
            config,
            unreliable_channels=unreliable_channels,
            not_reached_by_channel=self.not_reached,
            cost=self.collect_costs(),
            finished_at=ended,
        )
        return self._finish_run(AuditRunState.DONE, told, ended, unreliable_channels)

    def finish_interrupted(self, reason: str) -> AuditRun:
        """Leave the night incomplete, with what its receipt can tell by now."""
        ended, store = self.get_current_time(), self.app.store
        told = receipt.build_interrupted_receipt(
            store, self.audit_run, reason=reason, cost=self.collect_costs(), finished_at=ended
        )
        return self._finish_run(
            AuditRunState.INCOMPLETE, told, ended, self.audit_run.unreliable_channels
        )

    def _finish_run(
        self,
        state: AuditRunState,
        receipt_facts: Mapping[str, object],
        ended_at: datetime,
        unreliable_channels: Iterable[str] = (),
    ) -> AuditRun:
        former = receipt.find_former_key(
            self.app.store, self.audit_run, self.signing_key.public_key
        )
        receipt_facts = self.signing_key.sign_receipt({**receipt_facts, **former})
        return self.app.store.finish_run(
            self.audit_run,
            state,
            ended_at,
            unreliable_channels=sorted(unreliable_channels),
            receipt=receipt_facts,
        )


def close_previous_run(app: RunContext, day: date, signing_key: SigningKey) -> None:
    """Close the newest night before a day, where it is still open. The caller holds the lock of nights."""
    store = app.store
    night = store.get_latest_run(before_day=day)
    if night is None or receipt.is_chain_link(night):
        return
    if night.state is not AuditRunState.RUNNING:
        night = store.begin_run(night.day, night.started_at)
    ended = (
        store.get_last_check_time(night.id) if night.id is not None else None
    ) or night.started_at
    spent = receipt.select_carried_fields(night)
    told = receipt.build_interrupted_receipt(
        store, night, reason="killed", cost=spent, finished_at=ended
    )
    told |= receipt.find_former_key(store, night, signing_key.public_key)
    # One that died when its conclusions were kept is judged by, so it is done: only the word of it is late.
    state = (
        AuditRunState.DONE if store.is_run_evaluated(night.id or 0) else AuditRunState.INCOMPLETE
    )
    told["state"] = state.value
    store.finish_run(
        night,
        state,
        ended,
        unreliable_channels=sorted(night.unreliable_channels),
        receipt=signing_key.sign_receipt(told),
    )
