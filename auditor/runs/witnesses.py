"""Ask third parties about registered accounts: Wikidata and the web archive (`[witnesses]`).

A phase of the run after its second pass. It asks about a few accounts per run, and about each one
seldom, so the answers of many runs complete each other. It cannot fail a run: a witness that gives
no answer is asked again a week later, and nothing is concluded from its silence.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from auditor.config.schema import WitnessSettings
from auditor.protocols import RunContext
from auditor.runs.plan import find_disowned_account_ids
from auditor.runs.state import RunDeadline
from probes.http.fetcher import Fetcher
from probes.links import channel_registry
from probes.log import EventLogger
from probes.models.http import FetchError, Page, PageRequest
from probes.models.witness import WitnessAnswer, WitnessSource
from probes.runner.parser_pool import ParserPool
from probes.runner.run import fetch_and_parse
from probes.witnesses import (
    CDX_URL,
    build_archive_request,
    build_wikidata_request,
    read_archive_outcomes,
    read_wikidata_outcome,
)
from storage.errors import StoreError
from storage.models.audit import AccountRow, AccountState, AuditRun, WitnessRecord

logger = EventLogger(__name__)

RETRY_AFTER_DAYS = 7
"""Days after a request without an answer until the next one about the same account."""
MAX_FAILURES_IN_ROW = 3
"""Requests in a row without an answer after which a witness is not asked again in this run."""
SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class WitnessInquiry:
    """The questions of one run to the witnesses that the configuration turns on."""

    app: RunContext
    audit_run: AuditRun
    fetcher: Fetcher
    parsers: ParserPool
    deadline: RunDeadline

    async def execute(self) -> None:
        """Ask the witnesses, both at the same time, and store each answer. Errors are logged.

        It ends at the deadline of the run. The next run, or a resumed one, continues.
        """
        sources = list_enabled_sources(self.app.config.witnesses)
        await asyncio.gather(*map(self._try_source, sources))

    async def _try_source(self, source: WitnessSource) -> None:
        """Ask one witness. A failure is logged and leaves the other witness alone."""
        try:
            await self._ask_source(source)
        except (FetchError, StoreError) as error:
            message = "{witness} cannot be asked in this run: {reason}"
            logger.warning("witness_failed", message, witness=source.value, reason=str(error))
        except Exception as error:  # no answer of a witness may end the run
            message = "asking {witness} ended with an error"
            logger.exception(error, "witness_crashed", message, witness=source.value)

    async def _ask_source(self, source: WitnessSource) -> None:
        settings = self.app.config.witnesses
        endpoint = settings.wikidata_endpoint if source is WitnessSource.WIKIDATA else CDX_URL
        self.fetcher.slow_down_host(endpoint, SECONDS_PER_MINUTE / settings.requests_per_minute)
        asked_count = failure_count = failures_in_row = 0
        for row in await asyncio.to_thread(self._list_due_accounts, source):
            if self.deadline.should_stop or failures_in_row >= MAX_FAILURES_IN_ROW:
                break
            answer = await self._ask(source, row)
            record = WitnessRecord(row.id or 0, source, self.audit_run.started_at, answer)
            await asyncio.to_thread(self.app.store.witnesses.save_witness_record, record)
            asked_count += 1
            failure_count += answer.failure is not None
            failures_in_row = failures_in_row + 1 if answer.failure else 0
        logger.info(
            "witness_asked",
            "{witness} was asked about {asked} accounts and gave no answer about {failed}",
            witness=source.value,
            asked=asked_count,
            failed=failure_count,
        )

    def _list_due_accounts(self, source: WitnessSource) -> list[AccountRow]:
        """Return the accounts that this run still asks about."""
        store, config, run_started_at = self.app.store, self.app.config, self.audit_run.started_at
        asked_count = store.witnesses.count_witness_requests(source, run_started_at)
        channels = set(config.channels)
        if source is WitnessSource.WIKIDATA:
            channels &= {channel_registry.WEBSITE_CHANNEL}
        return store.witnesses.list_accounts_to_witness(
            source,
            channels,
            answered_before=_find_cutoff(run_started_at, config.witnesses.recheck_days),
            asked_before=_find_cutoff(run_started_at, RETRY_AFTER_DAYS),
            excluded_ids=find_disowned_account_ids(
                store.decisions.list_decisions(run_started_at), run_started_at
            ),
            limit=max(0, config.witnesses.accounts_per_run - asked_count),
        )

    async def _ask(self, source: WitnessSource, row: AccountRow) -> WitnessAnswer:
        url = row.identity.canonical or row.identity.url or row.typed_text
        if source is WitnessSource.WIKIDATA:
            endpoint = self.app.config.witnesses.wikidata_endpoint
            return read_wikidata_outcome(await self._fetch(build_wikidata_request(url, endpoint)))
        oldest = await self._fetch(build_archive_request(url))
        if row.channel != channel_registry.WEBSITE_CHANNEL or isinstance(oldest, FetchError):
            return read_archive_outcomes(oldest)
        return read_archive_outcomes(oldest, await self._fetch_newest_capture(row, url))

    async def _fetch_newest_capture(self, row: AccountRow, url: str) -> Page | FetchError:
        """Fetch the newest capture of a site: the one from before its loss, if it is gone.

        What the address shows afterwards is not the association's.
        """
        status = await asyncio.to_thread(self.app.store.statuses.get, row.id or 0)
        until = None
        if status is not None and status.state is AccountState.GONE and status.since:
            until = status.since.date()
        return await self._fetch(build_archive_request(url, newest=True, until=until))

    async def _fetch(self, request: PageRequest) -> Page | FetchError:
        return await fetch_and_parse(request, self.fetcher, self.parsers)


def list_enabled_sources(settings: WitnessSettings) -> list[WitnessSource]:
    """Return the witnesses that the configuration turns on."""
    sources = []
    if settings.wikidata:
        sources.append(WitnessSource.WIKIDATA)
    if settings.web_archive:
        sources.append(WitnessSource.WEB_ARCHIVE)
    return sources


def _find_cutoff(run_started_at: datetime, days: int) -> datetime:
    """Return the time before which a request is old. Dates count, not hours."""
    last_day = run_started_at.astimezone(UTC).date() - timedelta(days=days)
    return datetime.combine(last_day + timedelta(days=1), time.min, UTC)
