"""The period of listed changes. The first run changes nothing: there is nothing to compare with."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from storage.store import Store


@dataclass(frozen=True, slots=True)
class ChangePeriod:
    """The period from the start of a UTC day until now.

    `first_run_day` is the day of the first run, if the period begins after it only because the run
    is left out; else None.
    """

    since: date
    first_run_day: date | None = None

    @property
    def start(self) -> datetime:
        """Return the first moment of the period."""
        return datetime.combine(self.since, time(), UTC)

    def has_begun(self, now: datetime) -> bool:
        """Return False if there was no run yet that can be compared with the first one."""
        return self.start <= now


def find_change_period(store: Store, since: date) -> ChangePeriod:
    """Return the period since a day, without the first run."""
    first_run = store.runs.get_first_evaluated()
    if first_run is None:
        return ChangePeriod(since)
    first_run_day = first_run.started_at.date()
    if since > first_run_day:
        return ChangePeriod(since)
    return ChangePeriod(first_run_day + timedelta(days=1), first_run_day)
