"""Queries of the audit log: who changed what in the registry. Entries outlive their association."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select

from storage.database.connection import Database
from storage.models.users import AuditLogEntry
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import to_utc
from storage.tables.communication import AUDIT_LOG


class AuditLogRepository:
    """Reads the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def group_changes_by_association(
        self, since: datetime | None = None
    ) -> dict[str, list[AuditLogEntry]]:
        """Return the entries since a time by association, the newest first.

        Without a time, return all entries of the associations of which anything was ever changed or
        removed. If something was only added, the times of its rows are enough.
        """
        query = select(AUDIT_LOG).order_by(AUDIT_LOG.c.id.desc())
        if since is not None:
            query = query.where(AUDIT_LOG.c.changed_at > to_utc(since))
        else:
            lost = select(AUDIT_LOG.c.association).where(AUDIT_LOG.c.before.is_not(None))
            query = query.where(AUDIT_LOG.c.association.in_(lost))
        changes: dict[str, list[AuditLogEntry]] = {}
        with self._database.begin_read() as connection:
            for row in connection.execute(query):
                changes.setdefault(row.association, []).append(_to_log_entry(row))
        return changes

    def list_audit_log(
        self,
        association: str | None = None,
        *,
        before_id: int | None = None,
        after_id: int | None = None,
        limit: int | None = 100,
        regions: RegionFilter = None,
    ) -> list[AuditLogEntry]:
        """Return a page of entries, the newest first: those before and after these ids.

        They are those of all associations, of regions, or of one. With regions, entries of removed
        associations are left out, because their region is unknown.
        """
        query = select(AUDIT_LOG).order_by(AUDIT_LOG.c.id.desc()).limit(limit)
        query = query.where(*build_region_filter(AUDIT_LOG.c.association, regions))
        if association is not None:
            query = query.where(AUDIT_LOG.c.association == association)
        if before_id is not None:
            query = query.where(AUDIT_LOG.c.id < before_id)
        if after_id is not None:
            query = query.where(AUDIT_LOG.c.id > after_id)
        with self._database.begin_read() as connection:
            return [_to_log_entry(row) for row in connection.execute(query)]

    def get_entry(self, entry_id: int, *, regions: RegionFilter = None) -> AuditLogEntry | None:
        """Return an entry, or None if it does not exist or is not about these regions."""
        query = select(AUDIT_LOG).where(AUDIT_LOG.c.id == entry_id)
        query = query.where(*build_region_filter(AUDIT_LOG.c.association, regions))
        with self._database.begin_read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _to_log_entry(row)

    def find_preceding_log_id(self, entry: AuditLogEntry) -> int:
        """Return the id of the newest entry before one that another action wrote, or 0.

        All entries of one action, such as an import, have the same time and author, and are
        written together.
        """
        is_other_action = or_(
            AUDIT_LOG.c.changed_at != to_utc(entry.changed_at), AUDIT_LOG.c.author != entry.author
        )
        query = select(AUDIT_LOG.c.id).where(AUDIT_LOG.c.id < entry.id, is_other_action)
        with self._database.begin_read() as connection:
            found = connection.execute(query.order_by(AUDIT_LOG.c.id.desc()).limit(1)).scalar()
        return found or 0

    def count(
        self, *, after_id: int, up_to_id: int, regions: RegionFilter = None
    ) -> tuple[int, int]:
        """Return how many entries are between two ids, and of how many associations."""
        query = select(func.count(), func.count(AUDIT_LOG.c.association.distinct()))
        query = query.where(AUDIT_LOG.c.id > after_id, AUDIT_LOG.c.id <= up_to_id)
        query = query.where(*build_region_filter(AUDIT_LOG.c.association, regions))
        with self._database.begin_read() as connection:
            entry_count, association_count = connection.execute(query).one()
        return entry_count, association_count


def append_audit_log(connection: Connection, log_entries: Iterable[AuditLogEntry]) -> None:
    """Add entries in the transaction that makes the changes."""
    rows = [
        {
            "changed_at": entry.changed_at,
            "author": entry.author,
            "source": entry.source,
            "association": entry.association,
            "field": entry.field,
            "before": entry.before,
            "after": entry.after,
        }
        for entry in log_entries
    ]
    if rows:
        connection.execute(insert(AUDIT_LOG), rows)


def _to_log_entry(row: Any) -> AuditLogEntry:
    return AuditLogEntry(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
