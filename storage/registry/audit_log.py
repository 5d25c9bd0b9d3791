"""The audit log: who changed what in the registry. Entries outlive their association."""

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter, itemgetter

from sqlalchemy import Connection, and_, func, or_, select

from storage.database.connection import Repository
from storage.models.users import WHOLE_ASSOCIATION_FIELD, AuditLogEntry
from storage.sanitize import to_utc
from storage.tables.core import AUDIT_LOG
from storage.tables.mappers import RegionFilter, build_region_filter, get_field_values, to_log_entry

NEWEST_FIRST = AUDIT_LOG.c.id.desc()


class AuditLogRepository(Repository):
    """Reads the audit log."""

    def group_changes_by_association(
        self, since: datetime | None = None
    ) -> dict[str, list[AuditLogEntry]]:
        """Return the entries since a time by association, the newest first.

        Without a time, return all entries of the associations of which anything was ever changed or
        removed. If something was only added, the times of its rows are enough.
        """
        query = select(AUDIT_LOG).order_by(NEWEST_FIRST)
        if since is not None:
            query = query.where(AUDIT_LOG.c.changed_at > to_utc(since))
        else:
            associations = select(AUDIT_LOG.c.association).where(AUDIT_LOG.c.before.is_not(None))
            query = query.where(AUDIT_LOG.c.association.in_(associations))
        changes: dict[str, list[AuditLogEntry]] = {}
        for entry in self._load_all(query, to_log_entry):
            changes.setdefault(entry.association, []).append(entry)
        return changes

    def group_membership_changes(
        self, since: datetime, tag: str, *, limit: int
    ) -> dict[str, list[AuditLogEntry]]:
        """Return entries since a time by association, the newest first: who joined and who left.

        With a tag, entries about associations that got or lost it are included. If there are more
        than `limit`, some are missing.
        """
        is_membership = AUDIT_LOG.c.field == WHOLE_ASSOCIATION_FIELD
        if tag:
            values = (AUDIT_LOG.c.before, AUDIT_LOG.c.after)
            has_tag = or_(*(value.contains(tag, autoescape=True) for value in values))
            is_membership |= and_(AUDIT_LOG.c.field == "tags", has_tag)
        query = select(AUDIT_LOG).where(AUDIT_LOG.c.changed_at > to_utc(since), is_membership)
        entries = self._load_all(query.limit(limit), to_log_entry)
        changes: dict[str, list[AuditLogEntry]] = {}
        for entry in sorted(entries, key=attrgetter("id"), reverse=True):
            changes.setdefault(entry.association, []).append(entry)
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
        query = select(AUDIT_LOG).order_by(NEWEST_FIRST).limit(limit)
        query = query.where(*build_region_filter(AUDIT_LOG.c.association, regions))
        if association is not None:
            query = query.where(AUDIT_LOG.c.association == association)
        if before_id is not None:
            query = query.where(AUDIT_LOG.c.id < before_id)
        if after_id is not None:
            query = query.where(AUDIT_LOG.c.id > after_id)
        return self._load_all(query, to_log_entry)

    def get_entry(self, entry_id: int, *, regions: RegionFilter = None) -> AuditLogEntry | None:
        """Return an entry, or None if it does not exist or is not about these regions."""
        query = select(AUDIT_LOG).where(AUDIT_LOG.c.id == entry_id)
        query = query.where(*build_region_filter(AUDIT_LOG.c.association, regions))
        return self._load_first(query, to_log_entry)

    def find_preceding_log_id(self, entry: AuditLogEntry) -> int:
        """Return the id of the newest entry before one that another action wrote, or 0.

        All entries of one action, such as an import, have the same time and author, and are
        written together.
        """
        is_other_action = or_(
            AUDIT_LOG.c.changed_at != to_utc(entry.changed_at), AUDIT_LOG.c.author != entry.author
        )
        query = select(AUDIT_LOG.c.id).where(AUDIT_LOG.c.id < entry.id, is_other_action)
        return self._load_first(query.order_by(NEWEST_FIRST), itemgetter(0)) or 0

    def count(
        self, *, after_id: int, up_to_id: int, regions: RegionFilter = None
    ) -> tuple[int, int]:
        """Return how many entries are between two ids, and of how many associations."""
        entry_id, association = AUDIT_LOG.c.id, AUDIT_LOG.c.association
        query = select(func.count(entry_id), func.count(association.distinct()))
        query = query.where(entry_id > after_id, entry_id <= up_to_id)
        query = query.where(*build_region_filter(association, regions))
        return self._load_first(query, tuple) or (0, 0)


def append_audit_log(connection: Connection, log_entries: Iterable[AuditLogEntry]) -> None:
    """Add entries in the transaction that makes the changes. An import adds very many at once."""
    rows = [get_field_values(entry, without={"id"}) for entry in log_entries]
    if rows:
        connection.execute(AUDIT_LOG.insert(), rows)
