"""Drop the figures and responses of official APIs when their terms say so.

The terms are in the channel modules (`ApiTerms`). After each run the figures that are about to be
too old are dropped from the database, and the responses from the body store. Backups are written
without them. See docs/decisions/0032.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from auditor.config.schema import ChannelSettings, Config
from auditor.protocols import EvaluationContext
from probes.links import channel_registry
from probes.log import EventLogger
from probes.models.finding import EARLIEST_DATETIME, LATEST_DATETIME
from probes.models.http import PlatformApi
from storage.api_data import ApiDataLimit, DroppedApiData, drop_from_copy
from storage.errors import StoreError
from storage.files.body_store import BodyStore
from storage.models.audit import AuditRun

logger = EventLogger(__name__)

DAY = timedelta(days=1)
SAFETY_MARGIN = 2 * DAY
"""How much earlier data is dropped: the next run ends within a day and a few hours, and one night
may be skipped."""


@dataclass(frozen=True, slots=True)
class ApiRetention:
    """The days for which figures and responses of a channel's API are kept; None for ever."""

    channel: str
    api: PlatformApi
    figure_days: int | None
    response_days: int | None

    def build_limit(self, get_time: Callable[[int | None], datetime]) -> ApiDataLimit:
        """Return what the store drops: what is older than `get_time` of the days it is kept."""
        return ApiDataLimit(
            self.channel,
            self.api.host,
            self.api.terms.figures,
            get_time(self.figure_days),
            get_time(self.response_days),
            self.api.terms.deletes_removed_profiles,
        )


def list_api_retentions(config: Config) -> list[ApiRetention]:
    """Return the days of each API: those of `[retention] api_data`, or fewer by its terms."""
    retentions = []
    for channel in channel_registry.list_channels():
        api = channel_registry.get_channel_api(channel)
        if api is None:
            continue
        figure_days = _get_smaller(config.retention.api_data or None, get_max_days(config, channel))
        response_days = _get_smaller(figure_days, api.terms.max_response_days)
        retentions.append(ApiRetention(channel, api, figure_days, response_days))
    return retentions


def get_max_days(config: Config, channel: str) -> int | None:
    """Return the days that the terms of a channel's API allow, or None without a limit.

    An operator who accepted the amendment for derived metrics has no limit.
    """
    api = channel_registry.get_channel_api(channel)
    if api is None or config.channels.get(channel, ChannelSettings()).derived_metrics:
        return None
    return api.terms.max_days


def _get_smaller(days: int | None, other_days: int | None) -> int | None:
    return min((count for count in (days, other_days) if count is not None), default=None)


def build_limits(
    config: Config, now: datetime, latest_run: AuditRun | None, margin: timedelta = SAFETY_MARGIN
) -> list[ApiDataLimit]:
    """Return what is dropped now: what gets too old within the margin.

    What the run of the last 24 hours received stays until the next run.
    """
    newest = LATEST_DATETIME
    if latest_run is not None and now - latest_run.started_at < DAY:
        newest = latest_run.started_at

    def subtract(days: int | None) -> datetime:
        if days is None:
            return EARLIEST_DATETIME
        return min(now - timedelta(days=days) + margin, newest)

    return [retention.build_limit(subtract) for retention in list_api_retentions(config)]


def build_copy_limits(config: Config) -> list[ApiDataLimit]:
    """Return what copies of the database do not contain: everything that is kept for a while."""
    return [retention.build_limit(_get_copy_limit) for retention in list_api_retentions(config)]


def _get_copy_limit(days: int | None) -> datetime:
    return EARLIEST_DATETIME if days is None else LATEST_DATETIME


def drop_expired_api_data(
    context: EvaluationContext,
    now: datetime,
    body_stores: tuple[BodyStore, ...],
    *,
    rewrite_large_file: bool = False,
) -> DroppedApiData:
    """Drop what is old enough. If anything was, rewrite the database file. Raises StoreError.

    Unless `rewrite_large_file`, a large file keeps its content and only its log is emptied. SQLite
    overwrites dropped figures with zeros anyway, but a row that it moved earlier may have left a
    trace.
    """
    store = context.store
    limits = build_limits(context.config, now, store.runs.get_latest())

    def remove_body(digest: str) -> None:
        for body_store in body_stores:
            body_store.remove(digest)

    dropped = store.api_data.drop_api_data(limits, remove_body)
    if dropped.removed_account_ids:
        # slow to load, and every command loads this module for the backups
        from auditor.evaluation.run_results import refresh_summaries  # noqa: PLC0415

        refresh_summaries(store, context.config)
    if dropped.result_count:
        store.vacuum_database(log_only=store.is_large and not rewrite_large_file)
    for file in list_old_databases(store.database_file):
        try:
            drop_from_copy(file, limits)
        except StoreError as error:
            logger.warning("api_data_not_dropped", "{reason}", reason=str(error))
    return dropped


def list_old_databases(database: Path | None) -> Iterator[Path]:
    """Yield the copies that upgrades and restores left next to a SQLite database."""
    if database is not None:
        for file in sorted(database.parent.glob(f"{database.name}.before-*")):
            if not file.name.endswith(("-wal", "-shm", "-journal")):
                yield file
