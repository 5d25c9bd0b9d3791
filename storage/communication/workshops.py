"""Workshops: follow-ups of the kinds `invited` and `attended` with the same day, title and problem.

How many of the associations that had the problem on that day fixed it is read from the gaps.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, true
from sqlmodel import Session, col, delete
from sqlmodel import select as select_models

from storage.database.sessions import ModelRepository
from storage.errors import ChangedMeanwhileError
from storage.models.users import WORKSHOP_KINDS, FollowUpKind
from storage.read_model.association_search import build_member_filter
from storage.sanitize import to_utc
from storage.tables.communication import FOLLOW_UP, FollowUp
from storage.tables.core import GAP
from storage.tables.mappers import RegionFilter, build_region_filter

WORKSHOP_COLUMNS = (FOLLOW_UP.c.due_date, FOLLOW_UP.c.text, FOLLOW_UP.c.channel, FOLLOW_UP.c.code)


@dataclass(frozen=True, slots=True)
class Workshop:
    """A workshop about a problem, if one was chosen; without a channel it is about any channel.

    `id` is that of its first follow-up. The counts are those of associations.
    """

    day: date
    title: str
    channel: str
    code: str | None
    id: int = 0
    invited_count: int = 0
    attended_count: int = 0


FixedCounts = dict[str, tuple[int, int]]
"""How many associations had a problem, and how many fixed it: `attended`, `absent`, `others`."""


class WorkshopRepository(ModelRepository):
    """Stores and reads workshops."""

    def invite(
        self, associations: Collection[str], workshop: Workshop, author: str, now: datetime
    ) -> list[int]:
        """Store invitations of those who are not invited yet, and return their ids."""
        with self.begin_write_session() as session:
            invited = set(session.exec(_select_associations(workshop, FollowUpKind.INVITED)))
            return _add(
                session,
                [
                    _build_entry(workshop, id_, FollowUpKind.INVITED, author, now)
                    for id_ in associations
                    if id_ not in invited
                ],
            )

    def save_attendance(
        self,
        workshop: Workshop,
        attended: Collection[str],
        absent: Collection[str],
        author: str,
        now: datetime,
    ) -> tuple[list[int], list[FollowUp]]:
        """Store who came and who did not. Return the ids of new entries, and removed entries.

        Those who are in neither collection stay as they are.
        """
        with self.begin_write_session() as session:
            known = set(session.exec(_select_associations(workshop, FollowUpKind.ATTENDED)))
            is_removed = and_(
                *_build_conditions(workshop, FollowUpKind.ATTENDED),
                FOLLOW_UP.c.association.in_(absent),
            )
            removed = session.exec(select_models(FollowUp).where(is_removed)).all()
            copies = [FollowUp(**entry.model_dump(exclude={"id"})) for entry in removed]
            session.exec(delete(FollowUp).where(is_removed))
            added = [
                _build_entry(workshop, id_, FollowUpKind.ATTENDED, author, now)
                for id_ in attended
                if id_ not in known
            ]
            return _add(session, added), copies

    def undo(
        self, workshop: Workshop, added_ids: Collection[int], removed: Sequence[FollowUp] = ()
    ) -> None:
        """Remove new entries, and add removed ones again.

        Raises ChangedMeanwhileError if an entry is gone, if an association has come whose
        invitation would be removed, or if an entry to add is there already.
        """
        is_added = col(FollowUp.id).in_(added_ids)
        with self.begin_write_session() as session:
            attended = set(session.exec(_select_associations(workshop, FollowUpKind.ATTENDED)))
            added = session.exec(select_models(FollowUp).where(is_added).with_for_update()).all()
            invited = {row.association for row in added if row.kind is FollowUpKind.INVITED}
            restored = {row.association for row in removed}
            if len(added) < len(added_ids) or attended & (invited | restored):
                raise ChangedMeanwhileError
            session.exec(delete(FollowUp).where(is_added))
            session.add_all(removed)

    def list_workshops(
        self,
        *,
        workshop_id: int | None = None,
        since: date | None = None,
        until: date | None = None,
        regions: RegionFilter = None,
        group: str = "",
        limit: int = 50,
    ) -> list[Workshop]:
        """Return workshops, the latest first, or the one with an entry of this id.

        With `group`, the facet of a tag, only its associations count.
        """
        query = select(
            *WORKSHOP_COLUMNS,
            func.min(FOLLOW_UP.c.id),
            *(func.sum(case((FOLLOW_UP.c.kind == kind, 1), else_=0)) for kind in WORKSHOP_KINDS),
        ).where(
            FOLLOW_UP.c.kind.in_(WORKSHOP_KINDS),
            *build_member_filter(FOLLOW_UP.c.association, regions, group),
        )
        if workshop_id is not None:
            entry = FOLLOW_UP.alias()
            is_same = [
                entry.c[column.name].is_not_distinct_from(column) for column in WORKSHOP_COLUMNS
            ]
            is_chosen = and_(entry.c.id == workshop_id, entry.c.kind.in_(WORKSHOP_KINDS), *is_same)
            query = query.where(select(entry.c.id).where(is_chosen).exists())
        if since is not None:
            query = query.where(FOLLOW_UP.c.due_date >= since)
        if until is not None:
            query = query.where(FOLLOW_UP.c.due_date <= until)
        order = (FOLLOW_UP.c.due_date.desc(), func.min(FOLLOW_UP.c.id).desc())
        query = query.group_by(*WORKSHOP_COLUMNS).order_by(*order)
        return self._load_all(query.limit(limit), lambda row: Workshop(*row))

    def list_invited(self, workshop: Workshop, *, regions: RegionFilter = None) -> dict[str, bool]:
        """Return the ids of all who were invited or came, each with whether it came."""
        is_own = and_(
            *_build_conditions(workshop, *WORKSHOP_KINDS),
            *build_region_filter(FOLLOW_UP.c.association, regions),
        )
        came = func.max(case((FOLLOW_UP.c.kind == FollowUpKind.ATTENDED, 1), else_=0))
        query = select(FOLLOW_UP.c.association, came).where(is_own)
        query = query.group_by(FOLLOW_UP.c.association)
        return {id_: bool(is_attended) for id_, is_attended in self._load_all(query, tuple)}

    def count_fixed(
        self,
        workshop: Workshop,
        periods: Sequence[int],
        *,
        regions: RegionFilter = None,
        group: str = "",
    ) -> list[FixedCounts]:
        """Return who had the problem on the day of a workshop, and who fixed it in these days.

        There are counts for each of the periods, in days. A problem that is open again is not
        fixed. One that was waived or closed by a decision does not count at all. With `group`, the
        facet of a tag, only its associations count.
        """
        ends_at = to_utc(datetime.combine(workshop.day, time(), UTC)) + timedelta(days=1)
        was_open = and_(
            GAP.c.code == workshop.code,
            GAP.c.channel == workshop.channel if workshop.channel else true(),
            GAP.c.opened_at < ends_at,
            or_(GAP.c.closed_at.is_(None), GAP.c.closed_at >= ends_at),
            GAP.c.is_reportable,
            *build_member_filter(GAP.c.association, regions, group),
        )
        # An association has fixed the problem if it has on each of its accounts.
        owners = (
            select(
                GAP.c.association.label("id"),
                *(
                    func.min(
                        case((_was_fixed_until(ends_at + timedelta(days=days)), 1), else_=0)
                    ).label(f"fixed_{days}")
                    for days in periods
                ),
            )
            .where(was_open)
            .group_by(GAP.c.association)
            .subquery()
        )
        part = case(
            (owners.c.id.in_(_select_associations(workshop, FollowUpKind.ATTENDED)), "attended"),
            (owners.c.id.in_(_select_associations(workshop, FollowUpKind.INVITED)), "absent"),
            else_="others",
        )
        sums = [func.sum(owners.c[f"fixed_{days}"]) for days in periods]
        counts: list[FixedCounts] = [
            dict.fromkeys(("attended", "absent", "others"), (0, 0)) for _ in periods
        ]
        query = select(part, func.count(), *sums).group_by(part)
        for name, count, *fixed_counts in self._load_all(query, tuple):
            for period_counts, fixed_count in zip(counts, fixed_counts, strict=True):
                period_counts[name] = count, fixed_count
        return counts


def _was_fixed_until(until: datetime) -> ColumnElement[bool]:
    later = GAP.alias()
    is_open_again = (
        select(later.c.id)
        .where(
            *(later.c[name] == GAP.c[name] for name in ("association", "channel", "code")),
            later.c.opened_at > GAP.c.closed_at,
            later.c.opened_at < until,
        )
        .exists()
    )
    return and_(GAP.c.closed_at < until, ~is_open_again)


def _build_entry(
    workshop: Workshop, association: str, kind: FollowUpKind, author: str, now: datetime
) -> FollowUp:
    return FollowUp(
        association=association,
        kind=kind,
        author=author,
        occurred_at=now,
        text=workshop.title,
        due_date=workshop.day,
        channel=workshop.channel,
        code=workshop.code,
    )


def _add(session: Session, entries: Sequence[FollowUp]) -> list[int]:
    session.add_all(entries)
    session.flush()
    return [entry.id for entry in entries]


def _build_conditions(workshop: Workshop, *kinds: FollowUpKind) -> Iterator[ColumnElement[bool]]:
    yield FOLLOW_UP.c.kind.in_(kinds)
    values = (workshop.day, workshop.title, workshop.channel, workshop.code)
    for column, value in zip(WORKSHOP_COLUMNS, values, strict=True):
        yield column.is_not_distinct_from(value)


def _select_associations(workshop: Workshop, kind: FollowUpKind) -> Any:
    return select_models(FollowUp.association).where(*_build_conditions(workshop, kind))
