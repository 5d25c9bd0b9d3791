"""The watch: looks at the accounts of a shard, host by host, and keeps what it sees.

One machine and many work alike: whoever is fed with shards audits each of them by `Watch.audit`.

Checking one association again at once, when somebody asks: politely, one at a time, changing nothing.

What is seen so is shown and forgotten. It is no observation: those belong to nights, which distrust what
their canaries contradict, and a check that is asked for has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock

from auditor.checking.checker import (
    AccountChecker,
    create_api_budgets,
    find_previous_result,
    is_recent_enough,
    to_probe_account,
)
from auditor.checking.circuit_breaker import CircuitBreaker, load_circuit_breakers
from auditor.checking.privacy_filter import StorableResult, remove_private_data
from auditor.core.errors import RunLockedError
from auditor.core.runtime import run_together
from auditor.evidence import (
    BodyStorage,
    EvidenceView,
    build_evidence,
    build_fresh_evidence_views,
    is_detail_quoted,
)
from auditor.protocols import LockableRunContext, RunContext
from auditor.receipts.receipt import read_api_cost
from auditor.rules.account_status import was_skipped
from auditor.runs.host_queue import HostQueue, WorkQueue, iter_host_queues
from auditor.runs.plan import API_ROUND, get_host_concurrency, select_accounts_to_check
from auditor.runs.process import RunDeadline
from probes.links import channel_registry
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import Page
from probes.models.probe import ProbeResult
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.files.body_store import BodyWriter
from storage.models.audit import (
    AccountRow,
    AuditRun,
    AuditRunState,
    Evidence,
    Observation,
    PreviousObservation,
)
from storage.observations.observations import ObservationWriter
from storage.observations.rows import duplicate_of
from storage.runs.plan import PlanBatch, PlannedAccount

TRANSIENT_REASONS = frozenset(
    {Reason.TIMEOUT, Reason.NETWORK, Reason.SERVER_ERROR, Reason.RATE_LIMITED}
)
"""Troubles that may be over in half an hour: their accounts get a second look at the end."""

API_CHUNK_SIZE = 500
"""How many accounts are at a desk together: ten calls of 50, and what is kept of them fits in memory."""


@dataclass(slots=True)
class AccountWorker:
    """Who looks. What fails for a passing reason is held back by `later`, all else goes to `writer`.

    `bodies` is where pages go. `kept` is told after each account that is done with; `failed_at` is when the
    last one was held back.
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
        """Look at the accounts of the shards: one host that answers slowly holds a few workers, never all.

        The desk has a worker of its own. With `again` they are looked at for the second and last time.
        """
        store, night = self.app.store, self.audit_run
        desk = [shard for shard in batches if shard.round == API_ROUND]
        others = [shard for shard in batches if shard.round != API_ROUND]
        source = iter_host_queues(store, night, others, second_pass=second_pass)
        feed = WorkQueue(source)
        workers = min(sum(shard.size for shard in others), get_host_concurrency(self.app.config))
        try:
            await run_together(
                *(
                    self.check_api_queue(
                        HostQueue(store, night, shard, second_pass=second_pass),
                        second_pass=second_pass,
                    )
                    for shard in desk
                ),
                *(self._check_next_queues(feed, second_pass=second_pass) for _ in range(workers)),
            )
        finally:
            await source.aclose()

    async def _check_next_queues(self, work_queue: WorkQueue, *, second_pass: bool) -> None:
        while not self.deadline.should_stop and (lane := await work_queue.next_queue()) is not None:
            await self.check_queue(lane, second_pass=second_pass)

    async def check_queue(
        self, host_queue: HostQueue, *, second_pass: bool = False, limit: int | None = None
    ) -> int:
        """Look at the accounts of a lane one after the other, at most so many; give how many there were."""
        done = 0
        while (
            not self.deadline.should_stop and done != limit and (taken := await host_queue.take())
        ):
            await self._handle_result(
                taken[0], await self._run_probe(taken[0]), second_pass=second_pass
            )
            done += 1
        return done

    async def check_api_queue(
        self, host_queue: HostQueue, *, second_pass: bool = False, limit: int | None = None
    ) -> int:
        """Look at the accounts of a lane at the desk, many at a time, as `follow` does."""
        done = 0
        while not self.deadline.should_stop and done != limit:
            several = await host_queue.take(
                API_CHUNK_SIZE if limit is None else min(API_CHUNK_SIZE, limit - done)
            )
            if not several:
                break
            looks = await self.checker.check_together(
                [to_probe_account(one.account, one.status) for one in several]
            )
            for one, seen in zip(several, looks, strict=True):
                await self._handle_result(one, seen, second_pass=second_pass)
            done += len(several)
        return done

    async def _run_probe(self, planned: PlannedAccount) -> ProbeResult:
        """The look at one account, unless its platform is left alone tonight."""
        platform = self.circuit_breakers.get(planned.account.channel)
        if platform and (left_out := platform.skip_if_open(planned.account)):
            return left_out
        before = find_previous_result(
            planned.account,
            planned.last_observation,
            get_probe_version(planned.account),
            self.audit_run.day,
            self._read_body,
        )
        seen = await self.checker.check(to_probe_account(planned.account, planned.status), before)
        if platform:
            platform.record_exchanges(seen.exchanges)
        return seen

    def _read_body(self, digest: str) -> bytes | None:
        try:
            return self.app.body_store.get(digest)
        except (MissingEvidenceError, DamagedEvidenceError):
            return None

    async def _handle_result(
        self, planned: PlannedAccount, result: ProbeResult, *, second_pass: bool
    ) -> None:
        purse = self.checker.api_budgets.get(planned.account.channel)
        if purse and was_skipped(result.finding):  # half an hour later there is no more in it
            purse.skipped_count += 1
        elif not second_pass and await self._should_retry(result):
            await self.deferred_writer.add(
                await self._to_observation(planned, result, will_retry=True)
            )
            self.last_deferred_at = self.deadline.timer()
            return
        await self.save_observation(await self._to_observation(planned, result))

    async def save_observation(self, observation: Observation) -> None:
        """Keep what was seen of an account; that it is written is known when the writer was flushed."""
        await self.observation_writer.add(observation)
        self.on_progress()
        if self.body_writer.is_full:
            await self.observation_writer.flush()

    async def _to_observation(
        self, planned: PlannedAccount, result: ProbeResult, *, will_retry: bool = False
    ) -> Observation:
        """A look as it is kept: of a first one, after which a second is nearly always made, no page."""
        if (
            result.is_unchanged
            and planned.last_observation is not None
            and self.audit_run.id is not None
        ):
            return replace(
                planned.last_observation.observation,
                run_id=self.audit_run.id,
                observed_at=_get_observed_at(result, self.clock()),
            )
        account = to_probe_account(planned.account, planned.status)
        shown = await remove_private_data(
            account, result, self.checker.parser_pool, self.checker.api_budgets
        )
        shown = replace(shown, keep_bodies=False) if will_retry else shown
        return await self._build_observation(planned, shown, self.clock())

    async def _should_retry(self, result: ProbeResult) -> bool:
        """Whether a trouble may be over by the second pass, and the links may be asked for again then."""
        passing = (
            result.finding.presence is Presence.UNKNOWN
            and result.finding.reason in TRANSIENT_REASONS
        )
        again = self.checker.fetcher.can_request_again
        return (
            passing
            and bool(result.exchanges)
            and all([await again(one.request, one.outcome) for one in result.exchanges])
        )

    async def _build_observation(
        self, planned: PlannedAccount, filtered_result: StorableResult, now: datetime
    ) -> Observation:
        """A look as it is kept: of a platform, whose answers are all others, what tells something new."""
        row, seen = planned.account, filtered_result.result
        assert row.id is not None
        assert self.audit_run.id is not None
        look = Observation(
            row.id,
            self.audit_run.id,
            _get_observed_at(seen, now),
            seen.finding,
            (),
            get_probe_version(row),
        )
        fleeting = (
            row.channel != channel_registry.WEBSITE_CHANNEL
            and row.channel not in self.checker.api_budgets
        )
        if fleeting and planned.status is not None:
            bare = replace(look, evidence=_build_evidence(filtered_result, None, is_fleeting=True))
            before = await asyncio.to_thread(self._find_duplicate, row, bare)
            if before is not None:
                return duplicate_of(look, before)
        return replace(
            look, evidence=_build_evidence(filtered_result, self.body_writer, is_fleeting=fleeting)
        )

    def _find_duplicate(
        self, row: AccountRow, observation: Observation
    ) -> PreviousObservation | None:
        """The earlier look that said the same, where its pages may stand for tonight's."""
        before = self.app.store.find_equal_result(observation)
        return before if before is not None and self._can_reuse_evidence(row, before) else None

    def _can_reuse_evidence(self, row: AccountRow, previous: PreviousObservation) -> bool:
        """Whether the pages of an earlier look may stand for tonight's: they are there, and not too old."""
        young = not previous.body_digests or is_recent_enough(
            row, previous.first_observed_at.date(), self.audit_run.day
        )
        return young and all(digest in self.app.body_store for digest in previous.body_digests)


def _build_evidence(
    filtered_result: StorableResult, bodies: BodyStorage | None, *, is_fleeting: bool
) -> tuple[Evidence, ...]:
    """What came, with its bodies where they are kept."""
    return tuple(
        build_evidence(
            exchange, bodies, is_withheld=not filtered_result.keep_bodies, is_fleeting=is_fleeting
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
    """Who looks, with where pages and looks go: leaving it, everything that was seen is written."""
    with BodyWriter(app.body_store) as bodies:
        async with (
            app.store.open_observation_writer(before_commit=bodies.commit) as writer,
            ObservationWriter(app.store.save_first_observations) as later,
        ):
            yield AccountWorker(
                app=app,
                audit_run=run,
                checker=checker,
                circuit_breakers=circuit_breakers,
                deadline=deadline,
                clock=clock,
                body_writer=bodies,
                observation_writer=writer,
                deferred_writer=later,
                on_progress=on_progress,
            )


def _get_observed_at(result: ProbeResult, now: datetime) -> datetime:
    """When a look was: when its last page came."""
    pages = [
        exchange.outcome for exchange in result.exchanges if isinstance(exchange.outcome, Page)
    ]
    return pages[-1].fetched_at if pages else now


def get_probe_version(row: AccountRow) -> int:
    """The version of the probe that looks at an account."""
    channel = channel_registry.list_channels().get(row.channel)
    return channel.VERSION if channel else 0


RECHECK_INTERVAL = timedelta(minutes=10)
"""How long an association is left alone after a check; as long is what was seen shown."""

RECHECK_TIMEOUT_SECONDS = 45.0
"""Seconds that one account may take: somebody is waiting for the page."""


class RecheckRefusal(StrEnum):
    """Why nothing is checked now."""

    BUSY = "busy"
    RECENTLY_CHECKED = "recently_checked"
    RUN_IN_PROGRESS = "run_in_progress"


class RecheckRefusedError(Exception):
    """The association cannot be checked now. `why` says whether that may change in a moment."""

    def __init__(self, reason: RecheckRefusal) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AccountRecheck:
    """One account as it was just seen."""

    account: AccountRow
    finding: Finding
    evidence_views: tuple[EvidenceView, ...]

    @property
    def has_page_quote(self) -> bool:
        """Whether what told it are the page's own words."""
        return is_detail_quoted(self.finding, self.evidence_views)


@dataclass(frozen=True, slots=True)
class AssociationRecheck:
    """What a check saw, and when."""

    checked_at: datetime
    accounts: tuple[AccountRecheck, ...]


@dataclass(slots=True)
class RecheckService:
    """The checks of the last minutes. One is made at a time, whoever asks; it is safe among threads."""

    _lock: Lock = field(default_factory=Lock)
    _recent_rechecks: dict[str, AssociationRecheck] = field(default_factory=dict)

    def find_recent(self, association: str, now: datetime) -> AssociationRecheck | None:
        """The check of an association that is still worth showing."""
        made = self._recent_rechecks.get(association)
        return made if made is not None and now - made.checked_at < RECHECK_INTERVAL else None

    def recheck_association(
        self, app: LockableRunContext, association: str, now: datetime
    ) -> AssociationRecheck:
        """Look at an association's accounts. Raises NotNowError."""
        if not self._lock.acquire(blocking=False):
            raise RecheckRefusedError(RecheckRefusal.BUSY)
        try:
            self._recent_rechecks = {
                name: made
                for name, made in self._recent_rechecks.items()
                if now - made.checked_at < RECHECK_INTERVAL
            }
            if association in self._recent_rechecks:
                raise RecheckRefusedError(RecheckRefusal.RECENTLY_CHECKED)
            if _is_run_in_progress(app):
                raise RecheckRefusedError(RecheckRefusal.RUN_IN_PROGRESS)
            made = AssociationRecheck(
                now, tuple(asyncio.run(_recheck_accounts(app, association, now)))
            )
            self._recent_rechecks[association] = made
            return made
        finally:
            self._lock.release()


def _is_run_in_progress(app: LockableRunContext) -> bool:
    """Whether a night is going on: platforms are asked by one of us at a time."""
    last = app.store.get_latest_run()
    if last is None or last.state is not AuditRunState.RUNNING:
        return False
    try:
        with app.hold_run_lock():
            return False
    except RunLockedError:
        return True


async def _recheck_accounts(
    app: RunContext, association: str, now: datetime
) -> list[AccountRecheck]:
    decisions = app.store.list_decisions(association=association)
    rows = list(
        select_accounts_to_check(app.store.list_accounts(association), decisions, app.config, now)
    )
    standings = {
        standing.account_id: standing for standing in app.store.list_account_statuses(association)
    }
    accounts = [to_probe_account(row, standings.get(row.id or 0)) for row in rows]
    tonight = app.store.get_run(now.date())
    async with (
        app.create_parser_pool() as readers,
        app.create_fetcher(now, parsers=readers) as fetcher,
    ):
        eyes = AccountChecker(
            fetcher,
            readers,
            create_api_budgets(app.config, read_api_cost(tonight.receipt) if tonight else None),
        )
        left_alone = (
            load_circuit_breakers(app.config, app.store, tonight, eyes.api_budgets)
            if tonight
            else {}
        )
        looks = await asyncio.gather(
            *(
                _run_probe_with_timeout(row, account, eyes, left_alone)
                for row, account in zip(rows, accounts, strict=True)
            )
        )
        return [
            AccountRecheck(
                row, look.finding, tuple(await build_fresh_evidence_views(look.exchanges, readers))
            )
            for row, look in zip(rows, looks, strict=True)
        ]


async def _run_probe_with_timeout(
    row: AccountRow,
    account: Account,
    checker: AccountChecker,
    circuit_breakers: Mapping[str, CircuitBreaker],
) -> ProbeResult:
    """One look, unless its platform is left alone tonight."""
    platform = circuit_breakers.get(row.channel)
    if platform and (left_out := platform.skip_if_open(row)):
        return left_out
    try:
        async with asyncio.timeout(RECHECK_TIMEOUT_SECONDS):
            if row.channel in checker.api_budgets:
                return (await checker.check_together([account]))[0]
            return await checker.check(account)
    except TimeoutError:
        return ProbeResult(Finding(Presence.UNKNOWN, Reason.TIMEOUT))
