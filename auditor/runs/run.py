"""Execute one audit run, phase by phase: `RunSession` has the phases in their order.

1. prepare: open the fetcher and resume what earlier sessions of the run left;
2. canaries: check accounts whose result is known. Nothing is stored before that;
3. first pass: plan the run and check every account of the frontier;
4. second pass: repeat the checks that failed for a transient reason;
5. evaluate: derive statuses, gaps and summaries;
6. report: store the run report and the final state.

If all canaries of websites are unreachable, the run is skipped. If most probes crash, it is left
incomplete, and nothing is concluded. Results are stored in batches, so a run that was killed
continues with the remaining accounts. How a verdict is reached: docs/explanations/verdicts.md.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from auditor.app import App
from auditor.checking.canaries import Canary, build_canaries, is_offline
from auditor.checking.checker import AccountChecker, check_links, refuse_broken_parsers
from auditor.checking.clock import RESTORE_AFTER_CLOCK, is_dated_in_future, refuse_wrong_clock
from auditor.conclusions import run_results
from auditor.conclusions.run_results import refresh_summaries
from auditor.core import runtime
from auditor.runs.account_worker import AccountWorker, ObservationRecorder, check_domains
from auditor.runs.frontier import Coordinator, Frontier, WorkerCluster
from auditor.runs.state import (
    ProbesCrashedError,
    RequestCounts,
    RunDeadline,
    RunState,
    StoppedError,
    Timer,
    build_finished_report,
    build_interrupted_report,
    build_started_report,
    log_limits,
    refuse_crashed_canaries,
    refuse_crashed_checks,
)
from probes.links import channel_registry
from probes.log import EventLogger
from probes.models.probe import ProbeResult
from storage.errors import LaterRunDoneError, StoreError
from storage.models.audit import AuditRun, AuditRunState
from storage.models.run_report import PROBES_CRASHED, RunCosts, RunReport
from storage.store import Store

logger = EventLogger(__name__)

ProgressCallback = Callable[[int, int], None]
"""Called after each account with the number of checked accounts and the number of all accounts."""
WaitCallback = Callable[[int, datetime], None]
"""Called before the second pass with the number of failed accounts, and when it begins."""


async def execute_run(
    app: App,
    now: datetime,
    *,
    day: date | None = None,
    on_progress: ProgressCallback | None = None,
    on_wait: WaitCallback | None = None,
    stop: asyncio.Event | None = None,
    timer: Timer = time.monotonic,
    cluster: WorkerCluster | None = None,
) -> AuditRun:
    """Execute the run of a UTC day (default: the day of `now`), or resume it if it was interrupted.

    A finished run is returned unchanged. If `stop` is set, no further check begins and the run is
    returned as `incomplete` once the current checks have ended. So is a run in which more than
    half of the probes crashed. A cancelled run is left `incomplete` at once. The wall clock is
    never read: every time is `now` plus the seconds that `timer` has counted.

    Nothing is stored before the canaries are checked. Raises LaterRunDoneError if a run of a later
    day exists, ClockError if the servers of the canaries show that the clock is wrong, and
    StoreError if the storage fails, because a result that cannot be stored must not count.
    """
    assert (cluster is not None) is app.config.cluster.enabled, (
        "pass auditor.cluster.get_worker_cluster(config)"
    )
    runtime.limit_malloc_arenas()
    day = day or now.date()
    _refuse_earlier_day(app, day, now)
    run = app.store.runs.get(day)
    if run is not None and run.state is AuditRunState.DONE:
        return run
    now = _not_before_earlier_runs(app, run, day, now)
    run = run or AuditRun(day, AuditRunState.RUNNING, now)
    ends_at = None
    time_limit = timedelta(hours=app.config.schedule.time_limit_hours)
    if time_limit:  # 0 hours are no limit
        # It counts from the first check of the run, which an earlier session may have made.
        first_check = app.store.observations.get_check_time(run.id, first=True)
        ends_at = timer() + ((first_check or now) + time_limit - now).total_seconds()
    session = RunSession(
        app=app,
        state=RunState.resume(run, app.config),
        started_at=now,
        deadline=RunDeadline(timer, ends_at, stop or asyncio.Event()),
        timer_started_at=timer(),
        on_progress=on_progress or (lambda _checked, _total: None),
        on_wait=on_wait or (lambda _count, _time: None),
        cluster=cluster,
    )
    try:
        return await session.execute()
    except StoppedError:
        return session.report_interrupted("stop requested")
    except ProbesCrashedError:
        return session.report_interrupted(PROBES_CRASHED)
    except BaseException as error:
        if session.is_begun:
            with contextlib.suppress(StoreError):
                session.report_interrupted(type(error).__name__)
        raise


def _refuse_earlier_day(app: App, day: date, now: datetime) -> None:
    """Raise LaterRunDoneError if a run of a later day exists: runs are evaluated in order."""
    latest_run = app.store.runs.get_latest()
    if latest_run is None or latest_run.day <= day:
        return
    failure = f"cannot begin the run for {day}"
    if is_dated_in_future(latest_run, now):
        reason = f"the run for {latest_run.day} is dated in the future"
        raise LaterRunDoneError(failure, reason, RESTORE_AFTER_CLOCK)
    progress = "has finished" if latest_run.state is AuditRunState.DONE else "has begun"
    reason = f"the run for {latest_run.day} {progress}"
    raise LaterRunDoneError(failure, reason, "check the system clock")


def _not_before_earlier_runs(app: App, run: AuditRun | None, day: date, now: datetime) -> datetime:
    """Return `now`, or the end of an earlier run if that is later: the clock may be set back."""
    times = [now]
    previous_run = app.store.runs.get_latest(before_day=day)
    if previous_run is not None:
        last_check = app.store.observations.get_check_time(previous_run.id)
        times.append(previous_run.finished_at or last_check or previous_run.started_at)
    if run is not None:
        times.append(run.as_of)
    return max(times)


@dataclass(slots=True)
class RunSession:
    """One process's work on a run. A run that was interrupted has several sessions.

    `coordinator` is set if several machines share the run. `is_begun` is set as soon as the run is
    stored as running.
    """

    app: App
    state: RunState
    started_at: datetime
    deadline: RunDeadline
    timer_started_at: float
    on_progress: ProgressCallback
    on_wait: WaitCallback
    cluster: WorkerCluster | None
    checker: AccountChecker | None = None
    coordinator: Coordinator | None = None
    is_begun: bool = False

    async def execute(self) -> AuditRun:
        """Execute the phases. Raises StoppedError if the run is to stop before its evaluation."""
        async with self._open_checker() as checker:
            canary_results = await self._check_canaries(checker)
            store, day = self.app.store, self.state.audit_run.day
            close_previous_run(store, day)
            self.state.audit_run = store.runs.begin_or_resume(day, self.started_at)
            self.is_begun = True
            self.state.restore_circuit_breakers(store, self.app.config, canary_results)
            if not self._is_evaluated():
                refuse_crashed_canaries(self.state.canary_readings)
            if is_offline(self.state.canary_readings) and not self._is_evaluated():
                reason = "all canaries of websites are unreachable"
                logger.warning(
                    "run_skipped_offline", "run skipped: no connectivity: {reason}", reason=reason
                )
                return self._report_finished(AuditRunState.SKIPPED)
            run, is_evaluated = self.state.audit_run, self._is_evaluated()
            checks = [self._check_accounts(checker)]
            if not is_evaluated:
                checks.append(
                    check_domains(self.app, run, checker, self.deadline, self.get_current_time)
                )
            await runtime.run_together(*checks)
            if self.deadline.is_stopped:
                raise StoppedError
            if not self._is_evaluated():
                await asyncio.to_thread(refuse_crashed_checks, self.app.store, run)
        await self._evaluate_in_thread()
        log_limits(self.state)
        return self._report_finished(AuditRunState.DONE)

    def get_current_time(self) -> datetime:
        """Return the current time: the start of the session plus the seconds of the timer."""
        return self.started_at + timedelta(seconds=self._get_elapsed_seconds())

    def _get_elapsed_seconds(self) -> float:
        return self.deadline.timer() - self.timer_started_at

    def _is_evaluated(self) -> bool:
        """Return True if an earlier session evaluated the run, so it only has to be finished."""
        return self.app.store.runs.is_evaluated(self.state.audit_run.id)

    # --- Prepare ---------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _open_checker(self) -> AsyncIterator[AccountChecker]:
        """Open the fetcher and the parsers of this session, with the host locks of a cluster."""
        async with contextlib.AsyncExitStack() as stack:
            host_lock = None
            if self.cluster is not None:
                host_lock = await stack.enter_async_context(self.cluster.open_host_lock())
            parsers = await stack.enter_async_context(self.app.create_parser_pool())
            fetcher = await stack.enter_async_context(
                self.app.create_fetcher(self.started_at, host_lock, parsers)
            )
            await refuse_broken_parsers(parsers)
            self.checker = AccountChecker(fetcher, parsers, self.state.api_budgets)
            yield self.checker

    # --- Canaries --------------------------------------------------------------------------------

    async def _check_canaries(self, checker: AccountChecker) -> list[tuple[Canary, ProbeResult]]:
        """Check the canaries of the channels in use: those of an API in batches. Raises ClockError.

        A platform on which no association has an account is not requested at all. The canaries of
        websites always show whether we are online.
        """
        if self.deadline.should_stop:
            return []
        channels_in_use = await asyncio.to_thread(self.app.store.registry.find_channels_in_use)
        day = self.state.audit_run.day
        canaries: list[Canary] = []
        for name, channel in self.app.config.channels.items():
            if name in {channel_registry.WEBSITE_CHANNEL, *channels_in_use}:
                canaries += build_canaries(name, channel.canaries, channel.impossible_account, day)
        canaries.sort(key=lambda canary: canary.channel not in checker.api_budgets)  # APIs first
        links = [(canary.account.typed_text, canary.account.identity) for canary in canaries]
        results = [check.result for check in await check_links(links, checker)]
        refuse_wrong_clock(results)
        return list(zip(canaries, results, strict=True))

    # --- First and second pass -------------------------------------------------------------------

    async def _check_accounts(self, checker: AccountChecker) -> None:
        """Plan the run and check its accounts. In an evaluated run, no account is checked."""
        is_evaluated = self._is_evaluated()
        frontier = Frontier(
            self.app, self.state.audit_run, self.state.circuit_breakers, self.state.api_budgets
        )
        async with contextlib.AsyncExitStack() as stack:
            if self.cluster is not None and not is_evaluated:
                self.coordinator = await stack.enter_async_context(
                    self.cluster.open_coordinator(
                        self.app,
                        frontier,
                        self.deadline,
                        api_budgets=self.state.api_budgets,
                        on_progress=self._report_progress,
                    )
                )
            planned_count = await asyncio.to_thread(frontier.fill)
            # A killed run cannot store its report later.
            store, run = self.app.store, self.state.audit_run
            observed_count = sum(store.observations.count_by_presence(run.id).values())
            started_report = build_started_report(
                run, self.state.canary_readings, self.app.config, planned_count + observed_count
            )
            self.state.audit_run = store.runs.save_open_report(run, started_report)
            self.state.account_count = 0 if is_evaluated else planned_count
            self.on_progress(0, self.state.account_count)
            try:
                if self.state.account_count:
                    await self._run_passes(frontier, checker)
                self.state.not_reached = await asyncio.to_thread(
                    store.run_plan.count_unreached_accounts, run
                )
            finally:
                with contextlib.suppress(StoreError):
                    await asyncio.to_thread(store.run_plan.delete)

    async def _run_passes(self, frontier: Frontier, checker: AccountChecker) -> None:
        """Check all accounts, then repeat the checks that failed for a transient reason.

        Where there is no time for the second pass, the first results count.
        """
        async with ObservationRecorder.open(self.app) as recorder:
            worker = AccountWorker(
                self.app,
                frontier,
                checker,
                recorder,
                self.deadline,
                self.get_current_time,
                self._report_progress,
            )
            await (self.coordinator or worker).check_pass()
            await recorder.flush()
            count = await asyncio.to_thread(frontier.count_remaining, second_pass=True)
            if not count:
                return
            last = worker.last_deferred_at
            seconds_since_failure = self.deadline.timer() - last if last else 0.0
            delay = self.app.config.fetch.second_pass_delay - seconds_since_failure
            if delay > 0:
                starts_at = self.get_current_time() + timedelta(seconds=delay)
                self.on_wait(count, starts_at)
                report = self.state.audit_run.report.with_values(
                    second_pass_at=starts_at, second_pass_accounts=count
                )
                self.state.audit_run = await asyncio.to_thread(
                    self.app.store.runs.save_open_report, self.state.audit_run, report
                )
            await self.deadline.sleep(delay)
            if not self.deadline.should_stop:
                checker.fetcher.start_new_pass()
                await (self.coordinator or worker).check_pass(second_pass=True)
                await recorder.flush()
            if not self.deadline.is_stopped:
                await worker.save_deferred_observations()

    def _report_progress(self, count: int = 1) -> None:
        state = self.state
        releases_before = state.checked_count // runtime.ACCOUNTS_PER_MEMORY_RELEASE
        state.checked_count += count
        if state.checked_count // runtime.ACCOUNTS_PER_MEMORY_RELEASE != releases_before:
            runtime.release_free_memory()
        self.on_progress(state.checked_count, state.account_count)

    # --- Evaluate --------------------------------------------------------------------------------

    async def _evaluate_in_thread(self) -> None:
        """Evaluate the run in a thread.

        A cancellation waits for its end: the conclusions are stored completely or not at all.
        """
        evaluation = asyncio.get_running_loop().run_in_executor(None, self._evaluate)
        while not evaluation.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(evaluation)
        evaluation.result()

    def _evaluate(self) -> None:
        """Find the unreliable channels, and store all conclusions and summaries."""
        store, config = self.app.store, self.app.config
        runtime.release_free_memory()
        run = run_results.save_unreliable_channels(
            store, config, self.state.audit_run, self.state.canary_readings
        )
        self.state.audit_run = run
        run_results.evaluate_run(store, config, run, run.report.unreliable_channels or {})
        runtime.release_free_memory()
        refresh_summaries(store, config)

    # --- Report ----------------------------------------------------------------------------------

    def _report_finished(self, state: AuditRunState) -> AuditRun:
        """Store the final state of a run that is done or skipped, with its report."""
        finished_at = self.get_current_time()
        finished_report = build_finished_report(
            self.app.store,
            self.state.audit_run,
            self.state.canary_readings,
            self.app.config,
            state,
            not_reached_by_channel=self.state.not_reached,
            costs=self._compute_costs(),
            finished_at=finished_at,
        )
        return self._finish(state, finished_report, finished_at)

    def report_interrupted(self, reason: str) -> AuditRun:
        """Store the run as incomplete, with a report of what is known so far."""
        finished_at = self.get_current_time()
        interrupted_report = build_interrupted_report(
            self.app.store,
            self.state.audit_run,
            reason=reason,
            costs=self._compute_costs(),
            finished_at=finished_at,
        )
        return self._finish(AuditRunState.INCOMPLETE, interrupted_report, finished_at)

    def _compute_costs(self) -> RunCosts:
        """Return what this session and the earlier ones have cost."""
        checker = self.checker
        requests = RequestCounts.from_fetcher(checker.fetcher) if checker else RequestCounts()
        if self.coordinator is not None:
            requests = requests.add(self.coordinator.worker_requests)
        return self.state.compute_costs(requests, self._get_elapsed_seconds())

    def _finish(
        self, state: AuditRunState, final_report: RunReport, finished_at: datetime
    ) -> AuditRun:
        run = self.state.audit_run
        return self.app.store.runs.finish(
            run,
            state,
            finished_at,
            unreliable_channels=run.unreliable_channels,
            report=final_report,
        )


def close_previous_run(store: Store, day: date) -> None:
    """Close the newest run before `day` if it was killed, with a report that says so.

    The caller holds the run lock.
    """
    run = store.runs.get_latest(before_day=day)
    if run is None or run.state is not AuditRunState.RUNNING:
        return
    finished_at = store.observations.get_check_time(run.id) or run.started_at
    # If the run was killed after its evaluation, its conclusions count. Only the report is late.
    state = AuditRunState.DONE if store.runs.is_evaluated(run.id) else AuditRunState.INCOMPLETE
    interrupted_report = build_interrupted_report(
        store, run, reason="killed", costs=run.report, finished_at=finished_at
    )
    store.runs.finish(
        run,
        state,
        finished_at,
        unreliable_channels=run.unreliable_channels,
        report=interrupted_report.with_values(state=state.value),
    )
