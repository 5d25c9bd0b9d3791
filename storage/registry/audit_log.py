"""Queries of the audit log: who changed what in the registry. Entries outlive their association."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from storage.database.connection import Database
from storage.models.users import AuditLogEntry
from storage.registry.regions import RegionFilter, build_region_filter
from storage.sanitize import to_utc
from storage.tables.communication import AUDIT_LOG


class AuditLogQueries:
    """The part of `Store` for the audit log."""

    _database: Database

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
        limit: int | None = 100,
        regions: RegionFilter = None,
    ) -> list[AuditLogEntry]:
        """Return a page of entries, the newest first: those before this id.

        They are those of all associations, of regions, or of one. With regions, entries of removed
        associations are left out, because their region is unknown.
        """
        query = select(AUDIT_LOG).order_by(AUDIT_LOG.c.id.desc()).limit(limit)
        query = query.where(*build_region_filter(AUDIT_LOG.c.association, regions))
        if association is not None:
            query = query.where(AUDIT_LOG.c.association == association)
        if before_id is not None:
            query = query.where(AUDIT_LOG.c.id < before_id)
        with self._database.begin_read() as connection:
            return [_to_log_entry(row) for row in connection.execute(query)]


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
