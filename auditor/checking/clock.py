"""The clock of runs: which day's run is due, and whether this machine's clock is right.

The clock is compared with the `Date` headers of web servers. All times are in UTC, where each day
has every hour once.

A run takes its date from the clock, and a run with a false date spoils what follows: its backups
and its deletions by age count from that date, and no run of an earlier day can follow it.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import chain
from urllib.parse import urlsplit

from auditor.config.schema import ScheduleSettings
from auditor.core.errors import ClockError
from probes.log import EventLogger
from probes.models.http import Page
from probes.models.probe import ProbeResult
from storage.models.audit import AuditRun, AuditRunState

logger = EventLogger(__name__)

CLOCK_TOLERANCE = timedelta(hours=1)
"""How far the clock may be off before a run is refused, and a run counts as dated in the future."""


RESTORE_AFTER_CLOCK = "a check of this machine's clock, then `auditor restore` with an older backup"
"""What resolves a run that is dated in the future."""

FUTURE_RUN = "it is dated in the future, so no other run can begin"

SET_CLOCK = "set the clock, for example with `timedatectl set-ntp true`, then `auditor run`"


def measure_skew(pages: Iterable[Page], min_hosts: int = 1) -> timedelta | None:
    """Return how far this clock is ahead of the hosts', or None if too few of them give a date.

    More than half of the hosts are off by that much or more, so one wrong server changes nothing.
    """
    by_host: dict[str, timedelta] = {}
    for page in pages:
        skew = _compute_skew(page)
        if skew is not None:
            by_host.setdefault(urlsplit(page.url).hostname or "", skew)
    if len(by_host) < max(1, min_hosts):
        return None
    smallest_first = sorted(by_host.values(), key=abs)
    return smallest_first[(len(smallest_first) - 1) // 2]


def is_clock_wrong(skew: timedelta) -> bool:
    """Return True if the clock is so far off that a run would have a false date."""
    return abs(skew) > CLOCK_TOLERANCE


def refuse_wrong_clock(results: Iterable[ProbeResult]) -> None:
    """Raise ClockError if several hosts agree that the clock is wrong."""
    exchanges = chain.from_iterable(result.exchanges for result in results)
    pages = [exchange.outcome for exchange in exchanges if isinstance(exchange.outcome, Page)]
    # hosts that must give a date before a run is refused: one server's clock may be wrong
    skew = measure_skew(pages, 2)
    if skew is not None and is_clock_wrong(skew):
        skew_text = describe_skew(skew)
        logger.error(
            "clock_wrong",
            "this machine's clock is {skew} the web's: no run started",
            skew=skew_text,
        )
        raise ClockError(
            "cannot begin the audit run",
            f"this machine's clock is {skew_text} the clocks of the web",
            SET_CLOCK,
        )


def is_dated_in_future(run: AuditRun, now: datetime) -> bool:
    """Return True if a run began later than `now`, because the clock was ahead then."""
    return run.started_at - now > CLOCK_TOLERANCE


def describe_skew(skew: timedelta) -> str:
    """Return a skew as `3.0 hours ahead of` or `2 days behind`."""
    direction = "ahead of" if skew > timedelta() else "behind"
    hours = abs(skew).total_seconds() / 3600
    if hours < 48:
        return f"{hours:.1f} hours {direction}"
    return f"{hours / 24:.0f} days {direction}"


def _compute_skew(page: Page) -> timedelta | None:
    """Return how far this clock was ahead of the server's; `Age` is a cached response's age."""
    try:
        date = parsedate_to_datetime(page.headers.get("date", ""))
        age = timedelta(seconds=int(page.headers.get("age", "0")))
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:  # RFC 5322 writes UTC as -0000 where the sender's zone is not known
        date = date.replace(tzinfo=UTC)
    return page.fetched_at - date - age


def find_due_day(schedule: ScheduleSettings, now: datetime) -> date | None:
    """Return the UTC day whose run may start now: after its time, within the catch-up period."""
    begins = _get_last_start_time(schedule, now)
    return begins.date() if now - begins < timedelta(hours=schedule.catch_up_hours) else None


def find_interrupted_day(
    run: AuditRun | None, schedule: ScheduleSettings, now: datetime
) -> date | None:
    """Return the current UTC day if its run was begun and not finished; it is always resumed."""
    if run is None or run.state in {AuditRunState.DONE, AuditRunState.SKIPPED}:
        return None
    return run.day if run.day == _get_last_start_time(schedule, now).date() else None


def find_delayed_day(
    run: AuditRun | None, schedule: ScheduleSettings, now: datetime
) -> date | None:
    """Return the UTC day whose run waits because an earlier run has not finished, or None."""
    if run is None or run.state is not AuditRunState.RUNNING:
        return None
    day = _get_last_start_time(schedule, now).date()
    return day if day > run.day else None


def find_next_start_time(
    run: AuditRun | None, schedule: ScheduleSettings, now: datetime
) -> datetime | None:
    """Return when the next run starts on schedule. `run` is the newest one.

    A day has one run: if that of the coming start has finished, the next one is a day later.
    Returns None if no run can begin, because the newest one is dated in the future.
    """
    if run is not None and is_dated_in_future(run, now):
        return None
    begins = _get_last_start_time(schedule, now) + timedelta(days=1)
    if run is not None and run.state is AuditRunState.DONE and run.day >= begins.date():
        begins += timedelta(days=1)
    return begins


def _get_last_start_time(schedule: ScheduleSettings, now: datetime) -> datetime:
    """Return the latest time at which a run was to start."""
    begins = datetime.combine(now.date(), schedule.start_time, UTC)
    if begins > now:
        begins -= timedelta(days=1)
    return begins


def find_second_pass(run: AuditRun | None, now: datetime) -> tuple[int, datetime] | None:
    """Return how many failed accounts a waiting run checks again, and when. None if none waits."""
    if run is None or run.state is not AuditRunState.RUNNING:
        return None
    count, starts_at = run.report.second_pass_accounts, run.report.second_pass_at
    return (count, starts_at) if count and starts_at and starts_at > now else None
