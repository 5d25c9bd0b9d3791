"""All that is kept of one association: told, and erased so that no page of the file holds it any more.

What an association's rows are is read off the tables themselves: those that name it, those that name one of
its accounts or decisions, and the messages that went to it. A table that is added later is found by the same
names, and `docs/guides/privacy.md` has to name its columns.

What people left behind goes when its time is over, whoever is still in the registry.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    or_,
    select,
    type_coerce,
    update,
)

from storage import consistency
from storage.database import sqlite_file
from storage.database.connection import BATCH_SIZE, Database
from storage.models.audit import CONTACT_FIELDS, AuditRunState
from storage.models.users import ERASE_SOURCE, AuditLogEntry
from storage.models.users import WHOLE_ASSOCIATION_FIELD as WHOLE
from storage.observations.rows import IN_ANY_RUN
from storage.read_model import summaries
from storage.registry import audit_log
from storage.sanitize import sanitize
from storage.tables.communication import (
    AUDIT_LOG,
    FAILED_MESSAGE,
    FOLLOW_UP,
    REPLY,
    REPORT_LINK,
    SENT_MESSAGE,
    SUBSCRIPTION,
)
from storage.tables.core import (
    ACCOUNT,
    ASSOCIATION,
    AUDIT_RUN,
    CONTACT,
    DECISION,
    DECISION_WITHDRAWAL,
    GAP,
    METADATA,
    JsonModelType,
)
from storage.tables.runs import OBSERVATION, PROBE_RESULT
from storage.tables.summaries import ASSOCIATION_FACET, RUN_FACET_COUNT

BODY_KIND = "body"
DIGEST_JSON_PATTERN = re.compile(r'"digest":"([0-9a-f]{64})"')
CHAINED_RUN_STATES = (AuditRunState.DONE.value, AuditRunState.SKIPPED.value)
"""The nights whose receipts are links of the chain, and are never changed."""
MONTH_PREFIX_LENGTH = len("2026-11 ") + 1
"""Where an association stands in the occasion of its monthly report."""
MESSAGE_TABLES = (SENT_MESSAGE, FAILED_MESSAGE)
"""The tables that tell of messages; whose they were is told by the subscriptions."""


@dataclass(frozen=True, slots=True)
class ErasureSummary:
    """What is kept of an association: how many rows of each table, and the bodies that its looks rest on.

    `bodies` are digests of the archive that only its looks name, `shared` those that others name, too.
    """

    row_counts: Mapping[str, int]
    exclusive_bodies: frozenset[str] = frozenset()
    shared_bodies: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.row_counts)

    def list_counts(self) -> Iterator[tuple[str, int]]:
        """How much there is of each kind: of each table, and of bodies."""
        yield from self.row_counts.items()
        if self.exclusive_bodies:
            yield BODY_KIND, len(self.exclusive_bodies)


class AssociationErasure:
    """The queries of erasing. A part of `Store`."""

    _database: Database

    def summarize_stored_data(
        self,
        association: str,
        excluded_addresses: Collection[str] = (),
        *,
        contact_only: bool = False,
        indexed_only: bool = False,
    ) -> ErasureSummary:
        """How much is kept of an association, also of one that was pruned; or of its `contact` alone.

        Messages to `spared` addresses are not counted as its own: they are somebody else's, too. At a glance
        is told only what an index finds: neither messages nor bodies, for which everybody's would be read.
        """
        with self._database.begin_read() as connection:
            places = _select_stored_data(association, excluded_addresses, contact_only=contact_only)
            places = [place for place in places if not indexed_only or _is_indexed(place[0])]
            counts = {
                table.name: connection.execute(
                    select(func.count()).select_from(table).where(where)
                ).scalar_one()
                for table, where in places
            }
            rows = {name: count for name, count in counts.items() if count}
            is_seen = not contact_only and not indexed_only and "probe_result" in rows
            own, shared = (
                _find_bodies(connection, association) if is_seen else (frozenset(), frozenset())
            )
        return ErasureSummary(rows, own, shared)

    def list_stored_rows(
        self, association: str, excluded_addresses: Collection[str] = ()
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every row that is kept of an association, with its table's name; hashes of tokens are left out."""
        for table, where in _select_stored_data(association, excluded_addresses):
            columns = [_select_as_text(column) for column in table.c if column.name != "token_hash"]
            key = list(table.primary_key.columns)
            with self._database.begin_read() as connection:
                rows = connection.execution_options(yield_per=BATCH_SIZE)
                for row in rows.execute(select(*columns).where(where).order_by(*key)):
                    yield table.name, _to_dict(row, table)

    def erase_association(
        self,
        association: str,
        log_entry: AuditLogEntry,
        groups: Collection[str],
        excluded_addresses: Collection[str] = (),
    ) -> None:
        """Erase all that is kept of an association, in one transaction; `line` is all that the trail keeps.

        Of `cohorts`, the groups that it belonged to, the figures go as well where nobody else is in them:
        they would tell of nobody but it. The network's and every other group's stay.
        """
        with self._database.begin_write() as connection:
            _remove_from_read_model(self._database, connection, association)
            connection.execute(delete(GAP).where(_build_named_in_gap_condition(association)))
            for table, where in reversed(_select_stored_data(association, excluded_addresses)):
                connection.execute(delete(table).where(where))
            _erase_empty_groups(connection, groups)
            _erase_requested_hosts(connection)
            dated = replace(
                log_entry,
                changed_at=consistency.compute_effective_time(connection, log_entry.changed_at),
            )
            audit_log.append_audit_log(connection, [sanitize(dated)])

    def erase_contact(
        self, association: str, log_entry: AuditLogEntry, excluded_addresses: Collection[str] = ()
    ) -> None:
        """Erase an association's contact, what the trail tells of it, and its subscriptions."""
        with self._database.begin_write() as connection:
            for table, where in reversed(
                _select_stored_data(association, excluded_addresses, contact_only=True)
            ):
                connection.execute(delete(table).where(where))
            consistency.mark_stale(self._database, connection, [association])
            dated = replace(
                log_entry,
                changed_at=consistency.compute_effective_time(connection, log_entry.changed_at),
            )
            audit_log.append_audit_log(connection, [sanitize(dated)])

    def list_erased_ids(self, erased_field: str = WHOLE) -> set[str]:
        """The marks of the associations that were erased, or the ids of those that lost `what` of theirs."""
        query = select(AUDIT_LOG.c.association).where(
            AUDIT_LOG.c.source == ERASE_SOURCE, AUDIT_LOG.c.field == erased_field
        )
        with self._database.begin_read() as connection:
            return set(connection.execute(query).scalars())

    def get_last_erasure_time(self) -> datetime | None:
        """When an association was last erased."""
        query = select(func.max(AUDIT_LOG.c.changed_at)).where(
            AUDIT_LOG.c.source == ERASE_SOURCE, AUDIT_LOG.c.field == WHOLE
        )
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar()

    def vacuum_database(self) -> bool:
        """Write the file anew, without what was erased; False where somebody still reads an older moment.

        PostgreSQL does so in its own time. Raises StoreError: no room for a second copy.
        """
        return self._database.file is None or sqlite_file.vacuum_file(self._database.file)


def read_erased_ids(file: Path) -> frozenset[str]:
    """The marks of whom a SQLite database's associations were forgotten; none where it cannot be read."""
    query = "SELECT association FROM audit_log WHERE source = ? AND field = ?"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as raw,
    ):
        return frozenset(row[0] for row in raw.execute(query, (ERASE_SOURCE, WHOLE)))
    return frozenset()


def _select_stored_data(
    association: str, excluded_addresses: Collection[str], *, contact_only: bool = False
) -> list[tuple[Table, ColumnElement[bool]]]:
    """Every table that keeps something of an association, and where; those first that others refer to."""
    if contact_only:
        fields = AUDIT_LOG.c.field.in_(CONTACT_FIELDS)
        return [
            (CONTACT, CONTACT.c.association == association),
            (AUDIT_LOG, (AUDIT_LOG.c.association == association) & fields),
            *(
                (table, _build_owner_condition(table, association, excluded_addresses))
                for table in (SUBSCRIPTION, *MESSAGE_TABLES)
            ),
        ]
    others = [table for table in METADATA.sorted_tables if _refers_to_association(table)]
    return [
        (table, _build_owner_condition(table, association, excluded_addresses))
        for table in (*others, *MESSAGE_TABLES)
    ]


def _refers_to_association(table: Table) -> bool:
    return table in {ASSOCIATION, DECISION_WITHDRAWAL} or not {
        "association",
        "account_id",
    }.isdisjoint(table.c.keys())


def _is_indexed(table: Table) -> bool:
    """Whether an association's rows are found without reading everybody's."""
    unique = (one.columns for one in table.constraints if isinstance(one, UniqueConstraint))
    keys = (table.primary_key.columns, *(one.columns for one in table.indexes), *unique)
    first = {next(iter(key)).name for key in keys}
    return table is ASSOCIATION or not first.isdisjoint(
        {"association", "account_id", "decision_id"}
    )


def _build_owner_condition(
    table: Table, association: str, excluded_addresses: Collection[str]
) -> ColumnElement[bool]:
    if table is ASSOCIATION:
        return ASSOCIATION.c.id == association
    if table in MESSAGE_TABLES:
        return _build_message_condition(table, association, excluded_addresses)
    if "association" in table.c:
        own: ColumnElement[bool] = table.c.association == association
        return own
    if table is DECISION_WITHDRAWAL:
        return DECISION_WITHDRAWAL.c.decision_id.in_(
            select(DECISION.c.id).where(DECISION.c.association == association)
        )
    accounts: ColumnElement[bool] = table.c.account_id.in_(
        select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
    )
    return accounts & IN_ANY_RUN if table is OBSERVATION else accounts


def _build_named_in_gap_condition(association: str) -> ColumnElement[bool]:
    """Another association's gap that names this one: the account that both of them list."""
    other: ColumnElement[bool] = GAP.c.params["other"].as_string() == association
    return other


def _build_message_condition(
    table: Table, association: str, excluded_addresses: Collection[str]
) -> ColumnElement[bool]:
    """The messages of an association, and all others that went to addresses that are nobody else's."""
    other = SUBSCRIPTION.alias()
    shared = select(other.c.address).where(other.c.association != association)
    own = select(SUBSCRIPTION.c.address).where(
        SUBSCRIPTION.c.association == association,
        SUBSCRIPTION.c.address.not_in(list(excluded_addresses)),
        SUBSCRIPTION.c.address.not_in(shared),
    )
    theirs: ColumnElement[bool] = table.c.recipient.in_(own)
    return (
        theirs
        if table is FAILED_MESSAGE
        else theirs | (func.substr(table.c.occasion, MONTH_PREFIX_LENGTH) == association)
    )


def _find_bodies(connection: Connection, association: str) -> tuple[frozenset[str], frozenset[str]]:
    """The bodies that only its looks name, and those that others' name, too. It reads all evidence."""
    accounts = select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
    named = frozenset(_read_digests(connection, PROBE_RESULT.c.account_id.in_(accounts)))
    others = (
        _read_digests(connection, PROBE_RESULT.c.account_id.not_in(accounts)) if named else iter(())
    )
    shared = frozenset(digest for digest in others if digest in named)
    return named - shared, shared


def _read_digests(connection: Connection, where: ColumnElement[bool]) -> Iterator[str]:
    query = select(type_coerce(PROBE_RESULT.c.evidence, Text)).where(where)
    for told in connection.execution_options(yield_per=BATCH_SIZE).execute(query).scalars():
        yield from DIGEST_JSON_PATTERN.findall(told)


def _remove_from_read_model(database: Database, connection: Connection, association: str) -> None:
    """Take it out of the summaries and sums, and let those be made anew whose gaps named it."""
    others = (
        connection.execute(
            select(GAP.c.association).where(_build_named_in_gap_condition(association))
        )
        .scalars()
        .all()
    )
    consistency.mark_stale(database, connection, set(others) - {association})
    summaries.remove_summaries(database, connection, [association])


def _erase_empty_groups(connection: Connection, groups: Collection[str]) -> None:
    """Erase the figures of groups that nobody is in."""
    peopled = set(
        connection.execute(
            select(ASSOCIATION_FACET.c.facet).where(ASSOCIATION_FACET.c.facet.in_(list(groups)))
        ).scalars()
    )
    connection.execute(
        delete(RUN_FACET_COUNT).where(RUN_FACET_COUNT.c.group_name.in_(set(groups) - peopled))
    )


def _erase_requested_hosts(connection: Connection) -> None:
    """Let nights that were never ended forget whom they asked: what is signed names platforms' alone."""
    rows = connection.execute(
        select(AUDIT_RUN.c.id, AUDIT_RUN.c.receipt).where(
            AUDIT_RUN.c.state.not_in(CHAINED_RUN_STATES)
        )
    ).all()
    for row in rows:
        if row.receipt.get("requests_by_host") and "signature" not in row.receipt:
            bare = {**row.receipt, "requests_by_host": {}}
            connection.execute(
                update(AUDIT_RUN).where(AUDIT_RUN.c.id == row.id).values(receipt=bare)
            )


def _select_as_text(column: Column[Any]) -> ColumnElement[Any]:
    """A column as it is told: a noun as the text that is kept."""
    return (
        type_coerce(column, Text).label(column.name)
        if isinstance(column.type, JsonModelType)
        else column
    )


def _to_dict(row: Any, table: Table) -> dict[str, Any]:
    told = dict(row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
    nouns = {column.name for column in table.c if isinstance(column.type, JsonModelType)}
    return {name: json.loads(value) if name in nouns else value for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class RetentionCutoffs:
    """The moments before which each kind of what people left behind goes; None: it stays.

    `contacts` counts from when the association left the sheet, `letters` from when they ended, `replies` from
    their answer, `subscriptions` from when they were ended. `trail` is what the trail tells of contacts: its
    other lines stay, for a rebuild judges each night by the sheet of then.
    """

    contacts: datetime | None = None
    report_links: datetime | None = None
    replies: datetime | None = None
    follow_ups: datetime | None = None
    subscriptions: datetime | None = None
    messages: datetime | None = None
    audit_log: datetime | None = None


class RetentionQueries:
    """The queries of what is over. A part of `Store`."""

    _database: Database

    def delete_expired_data(
        self, cutoffs: RetentionCutoffs, *, dry_run: bool = False
    ) -> dict[str, int]:
        """Erase what is older than its kind may be, and say how many rows of each table that was."""
        limits = sanitize(cutoffs)
        if dry_run:
            with self._database.begin_read() as connection:
                return _count_expired_rows(connection, limits)
        with self._database.begin_write() as connection:
            if limits.contacts:
                left = select(CONTACT.c.association).where(
                    _build_withdrawn_condition(CONTACT, limits.contacts)
                )
                consistency.mark_stale(
                    self._database, connection, connection.execute(left).scalars()
                )
            told = {}
            for table, where in _select_expired_data(limits):
                if table is REPORT_LINK:
                    _detach_replies(connection, where)
                told[table.name] = connection.execute(delete(table).where(where)).rowcount
        return {name: count for name, count in told.items() if count}


def _detach_replies(connection: Connection, link_condition: ColumnElement[bool]) -> None:
    """Let replies stay whose letter goes."""
    letters = select(REPORT_LINK.c.id).where(link_condition)
    connection.execute(
        update(REPLY).where(REPLY.c.report_link_id.in_(letters)).values(report_link_id=None)
    )


def _count_expired_rows(connection: Connection, cutoffs: RetentionCutoffs) -> dict[str, int]:
    told = {
        table.name: connection.execute(
            select(func.count()).select_from(table).where(where)
        ).scalar_one()
        for table, where in _select_expired_data(cutoffs)
    }
    return {name: count for name, count in told.items() if count}


def _select_expired_data(cutoffs: RetentionCutoffs) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Each table, once, with what of it is over."""
    if cutoffs.contacts:
        yield CONTACT, _build_withdrawn_condition(CONTACT, cutoffs.contacts)
    if cutoffs.report_links:
        yield (
            REPORT_LINK,
            func.coalesce(REPORT_LINK.c.revoked_at, REPORT_LINK.c.expires_at)
            < cutoffs.report_links,
        )
    if cutoffs.replies:
        yield REPLY, REPLY.c.reviewed_at < cutoffs.replies
    if cutoffs.follow_ups:
        day = cutoffs.follow_ups.date()
        is_over = or_(FOLLOW_UP.c.due_date.is_(None), FOLLOW_UP.c.due_date < day)
        yield FOLLOW_UP, (FOLLOW_UP.c.occurred_at < cutoffs.follow_ups) & is_over
    if cutoffs.subscriptions:
        # who is in the configuration gets the digest unless it is kept that they do not want it
        ended = SUBSCRIPTION.c.is_wanted.is_(False) & (SUBSCRIPTION.c.association != "")
        yield SUBSCRIPTION, ended & (SUBSCRIPTION.c.changed_at < cutoffs.subscriptions)
    if cutoffs.messages:
        yield SENT_MESSAGE, SENT_MESSAGE.c.sent_at < cutoffs.messages
        yield FAILED_MESSAGE, FAILED_MESSAGE.c.attempted_at < cutoffs.messages
    if lines := _build_log_conditions(cutoffs):
        yield AUDIT_LOG, AUDIT_LOG.c.field.in_(CONTACT_FIELDS) & or_(*lines)


def _build_log_conditions(cutoffs: RetentionCutoffs) -> list[ColumnElement[bool]]:
    """By what lines of the trail that tell of contacts are over: by their own age, or with the contact."""
    own = [AUDIT_LOG.c.changed_at < cutoffs.audit_log] if cutoffs.audit_log else []
    return own + (
        [_build_withdrawn_condition(AUDIT_LOG, cutoffs.contacts)] if cutoffs.contacts else []
    )


def _build_withdrawn_condition(table: Table, cutoff: datetime) -> ColumnElement[bool]:
    left = select(ASSOCIATION.c.id).where(ASSOCIATION.c.withdrawn_at < cutoff)
    return table.c.association.in_(left)
