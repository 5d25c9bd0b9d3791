"""Queries of domain checks: what registries said about the domains of websites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from probes.models.finding import Reason
from storage.database.connection import Database
from storage.models.audit import AccountRow, DomainCheck
from storage.sanitize import sanitize
from storage.tables.core import ACCOUNT
from storage.tables.mappers import to_account_row
from storage.tables.runs import DOMAIN_CHECK


class DomainCheckQueries:
    """The part of `Store` for domain checks."""

    _database: Database

    def list_accounts_with_domain_check(
        self, channel: str
    ) -> Iterator[tuple[AccountRow, DomainCheck | None]]:
        """Return the listed accounts on a channel, each with its newest domain check, by id."""
        query = select(ACCOUNT).where(
            ACCOUNT.c.channel == channel, ACCOUNT.c.withdrawn_at.is_(None)
        )
        return self._database.stream_pages(query, ACCOUNT.c.id, transform=_add_newest_checks)

    def save_domain_checks(self, checks: Iterable[DomainCheck]) -> None:
        """Store domain checks. One of the same account in the same run replaces the stored one."""
        rows = [asdict(sanitize(check)) for check in checks]
        with self._database.begin_write() as connection:
            self._database.upsert(connection, DOMAIN_CHECK, rows, ("account_id", "run_id"))

    def list_domain_checks(self, association: str) -> list[DomainCheck]:
        """Return all domain checks of an association's accounts, the oldest run first."""
        query = (
            select(DOMAIN_CHECK)
            .join(ACCOUNT, ACCOUNT.c.id == DOMAIN_CHECK.c.account_id)
            .where(ACCOUNT.c.association == association)
            .order_by(DOMAIN_CHECK.c.run_id, DOMAIN_CHECK.c.account_id)
        )
        with self._database.begin_read() as connection:
            return list(map(to_domain_check, connection.execute(query)))


def select_newest_domain_checks(account_ids: Any) -> Select[Any]:
    """Return a query of the newest domain check of each of these accounts (ids or a query)."""
    newest = (
        select(DOMAIN_CHECK.c.account_id, func.max(DOMAIN_CHECK.c.run_id).label("run_id"))
        .where(DOMAIN_CHECK.c.account_id.in_(account_ids))
        .group_by(DOMAIN_CHECK.c.account_id)
        .subquery()
    )
    is_newest = and_(
        DOMAIN_CHECK.c.account_id == newest.c.account_id, DOMAIN_CHECK.c.run_id == newest.c.run_id
    )
    return select(DOMAIN_CHECK).join(newest, is_newest)


def _add_newest_checks(
    connection: Connection, rows: Sequence[Any]
) -> Iterator[tuple[AccountRow, DomainCheck | None]]:
    query = select_newest_domain_checks([row.id for row in rows])
    checks = {row.account_id: to_domain_check(row) for row in connection.execute(query)}
    return ((to_account_row(row), checks.get(row.id)) for row in rows)


def to_domain_check(row: Any) -> DomainCheck:
    """Return the domain check of a row."""
    values = dict(row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
    return DomainCheck(**{**values, "reason": Reason(row.reason) if row.reason else None})
