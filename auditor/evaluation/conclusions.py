"""Collects the conclusions of an evaluation that changed, sorted by what has to be stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Protocol, TypeVar

from auditor.evaluation.summary import select_lasting_params
from auditor.rules.association_state import AssociationState
from storage.models.audit import AccountStatus, CheckTimes, Gap, Proposal

Noun = TypeVar("Noun")


class ResultSink(Protocol[Noun]):
    """A sink for results: a list, or a file if there may be many."""

    def extend(self, batch: Iterable[Noun], /) -> None:
        """Add these results."""
        ...

    def __iter__(self) -> Iterator[Noun]: ...


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
        self._add_statuses(before, after)
        self._add_gaps(before, after)
        self._add_proposals(before, after)

    def _add_statuses(self, before: AssociationState, after: AssociationState) -> None:
        for account, new in after.statuses.items():
            old = before.statuses.get(account)
            if old is new:
                continue
            if old and _get_status_values(old) == _get_status_values(new):
                self.check_times.extend((new.check_times,))
            elif old and _has_only_activity_changed(old, new):
                self.unlisted_statuses.extend((new,))
            else:
                self.statuses.extend((new,))

    def _add_gaps(self, before: AssociationState, after: AssociationState) -> None:
        old_gaps = {gap.id: gap for gap in before.gaps}
        for gap in after.gaps:
            old_gap = old_gaps.get(gap.id)
            if old_gap is None or not _is_listed_alike(old_gap, gap):
                self.gaps.extend((gap,))
            elif gap != old_gap:
                self.continuing_gaps.extend((gap,))

    def _add_proposals(self, before: AssociationState, after: AssociationState) -> None:
        old_proposals = {proposal.id: proposal for proposal in before.proposals}
        for proposal in after.proposals:
            if proposal.id not in old_proposals:
                self.proposals.extend((proposal,))
            elif proposal != old_proposals[proposal.id]:
                self.continuing_proposals.extend((proposal,))


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
