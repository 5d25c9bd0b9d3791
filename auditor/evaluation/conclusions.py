"""Collects the conclusions of an evaluation that changed, sorted by what has to be stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Protocol, TypeVar

from auditor.evaluation.summary import select_lasting_params
from auditor.rules.association_state import AssociationState
from storage.models.audit import AccountStatus, CheckTimes, Gap, Proposal

Result = TypeVar("Result")
ListedRow = TypeVar("ListedRow", Gap, Proposal)


class ResultSink(Protocol[Result]):
    """A sink for results: a list, or a file if there may be many."""

    def extend(self, batch: Iterable[Result], /) -> None:
        """Add these results."""
        ...

    def __iter__(self) -> Iterator[Result]: ...


@dataclass(slots=True)
class Conclusions:
    """The results of an evaluation to store: only what changed.

    `check_times` are those of statuses that did not change otherwise. `unlisted_statuses` changed
    only in a relative activity, which no list shows. `continuing_gaps` and `continuing_proposals`
    look the same as before in lists.
    """

    statuses: ResultSink[AccountStatus] = field(default_factory=list)
    gaps: ResultSink[Gap] = field(default_factory=list)
    proposals: ResultSink[Proposal] = field(default_factory=list)
    check_times: ResultSink[CheckTimes] = field(default_factory=list)
    unlisted_statuses: ResultSink[AccountStatus] = field(default_factory=list)
    continuing_gaps: ResultSink[Gap] = field(default_factory=list)
    continuing_proposals: ResultSink[Proposal] = field(default_factory=list)

    def add_changes(self, before: AssociationState, after: AssociationState) -> None:
        """Add the changes of one association."""
        for account_id, status in after.statuses.items():
            self._add_status(before.statuses.get(account_id), status)
        for old_gap, gap in _pair_by_id(before.gaps, after.gaps):
            self._add_gap(old_gap, gap)
        for old_proposal, proposal in _pair_by_id(before.proposals, after.proposals):
            self._add_proposal(old_proposal, proposal)

    def _add_status(self, old: AccountStatus | None, new: AccountStatus) -> None:
        """Add the status of an account, unless it is the old one."""
        if old is None:
            self.statuses.extend((new,))
        elif old is new:
            return
        elif _get_status_values(old) == _get_status_values(new):
            self.check_times.extend((new.check_times,))
        elif _has_only_activity_changed(old, new):
            self.unlisted_statuses.extend((new,))
        else:
            self.statuses.extend((new,))

    def _add_gap(self, old: Gap | None, new: Gap) -> None:
        """Add a gap, unless it equals the old one with its id."""
        if old is None or not _is_listed_alike(old, new):
            self.gaps.extend((new,))
        elif old != new:
            self.continuing_gaps.extend((new,))

    def _add_proposal(self, old: Proposal | None, new: Proposal) -> None:
        """Add a proposal, unless it equals the old one with its id."""
        if old is None:
            self.proposals.extend((new,))
        elif old != new:
            self.continuing_proposals.extend((new,))


def _pair_by_id(
    old_rows: Iterable[ListedRow], new_rows: Iterable[ListedRow]
) -> Iterator[tuple[ListedRow | None, ListedRow]]:
    """Yield each new row with the old one that has its id, or None."""
    old_by_id = {row.id: row for row in old_rows}
    for row in new_rows:
        yield old_by_id.get(row.id), row


_get_status_values = attrgetter(
    *(column.name for column in fields(AccountStatus) if column.name not in CheckTimes._fields)
)
"""Return the values of a status without its check times."""


def _has_only_activity_changed(old: AccountStatus, new: AccountStatus) -> bool:
    """Return True if only a relative date changed: "6 months ago" moves every day."""
    old_finding, new_finding = old.last_known_finding, new.last_known_finding
    if old_finding is None or new_finding is None:
        return False
    if old_finding.last_activity is None or new_finding.last_activity is None:
        return False
    new_with_old_activity = replace(
        new, last_known_finding=replace(new_finding, last_activity=old_finding.last_activity)
    )
    return _get_status_values(old) == _get_status_values(new_with_old_activity)


_get_listed_gap_values = attrgetter(
    "channel", "subject", "code", "severity", "first_seen", "opened_at", "closed_at"
)


def _is_listed_alike(old: Gap, new: Gap) -> bool:
    """Return True if lists show a gap unchanged; they do not show its evidence and run count."""
    if _get_listed_gap_values(old) != _get_listed_gap_values(new):
        return False
    return select_lasting_params(old.params) == select_lasting_params(new.params)
