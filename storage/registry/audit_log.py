"""The registry's audit trail: who changed what, from what to what. It outlives what it tells of."""

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
    """The queries of the trail. A part of `Store`."""

    _database: Database

    def group_changes_by_association(
        self, since: datetime | None = None
    ) -> dict[str, list[AuditLogEntry]]:
        """The lines since a moment by association, the newest first.

        Without one, every line of the associations of which anything was ever changed or left: what was only
        ever added is told by the moments of its rows.
        """
        query = select(AUDIT_LOG).order_by(AUDIT_LOG.c.id.desc())
        if since is not None:
            query = query.where(AUDIT_LOG.c.changed_at > to_utc(since))
        else:
            lost = select(AUDIT_LOG.c.association).where(AUDIT_LOG.c.before.is_not(None))
            query = query.where(AUDIT_LOG.c.association.in_(lost))
        told: dict[str, list[AuditLogEntry]] = {}
        with self._database.begin_read() as connection:
            for row in connection.execute(query):
                told.setdefault(row.association, []).append(_to_log_entry(row))
        return told

    def list_audit_log(
        self,
        association: str | None = None,
        *,
        before_id: int | None = None,
        limit: int | None = 100,
        regions: RegionFilter = None,
    ) -> list[AuditLogEntry]:
        """The newest lines first, of everybody, of regions or of one association: those before this id.

        Of regions, what tells of an association that is no longer there is left out: nobody knows where it
        was.
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
    """Add lines, in the transaction that makes the changes."""
    rows = [
        {
            "changed_at": line.changed_at,
            "author": line.author,
            "source": line.source,
            "association": line.association,
            "field": line.field,
            "before": line.before,
            "after": line.after,
        }
        for line in log_entries
    ]
    if rows:
        connection.execute(insert(AUDIT_LOG), rows)


def _to_log_entry(row: Any) -> AuditLogEntry:
    return AuditLogEntry(**row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
