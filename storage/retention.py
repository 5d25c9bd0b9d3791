"""Erasure and retention: counts, lists and deletes the personal data of an association.

The rows of an association are found by the columns of the tables: those that name it, one of its
accounts or one of its decisions, and the messages that were sent to it. A new table is found by the
same columns; `docs/guides/privacy.md` has to name it, too.

Personal data is also deleted when its retention period ends, even if the association is still in
the registry.
"""

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Text,
    delete,
    func,
    or_,
    select,
    type_coerce,
    update,
)

from probes.models.finding import Presence
from storage.communication.messages import SUBSCRIPTION_COUNT_KEY
from storage.database.connection import BATCH_SIZE, Repository
from storage.models.audit import CONTACT_FIELDS
from storage.models.users import ERASE_SOURCE, WHOLE_ASSOCIATION_FIELD, AuditLogEntry
from storage.observations.rows import IN_ANY_RUN
from storage.read_model import consistency, summaries
from storage.registry import audit_log
from storage.sanitize import sanitize
from storage.tables.communication import (
    COMPLETED_STEP,
    FOLLOW_UP,
    REPLY,
    REPORT_LINK,
    SENT_MESSAGE,
    SUBSCRIPTION,
    SUBSCRIPTION_REQUEST,
)
from storage.tables.core import (
    ACCOUNT,
    ACCOUNT_STATUS,
    ASSOCIATION,
    AUDIT_LOG,
    CONTACT,
    DECISION,
    DECISION_WITHDRAWAL,
    GAP,
    METADATA,
    JsonModelType,
)
from storage.tables.runs import OBSERVATION, PROBE_RESULT

PROFILE_REMOVED_FACT = "profile_removed"
"""The fact of a finding whose profile was erased because the platform removed the account."""
DIGEST_JSON_PATTERN = re.compile(r'"digest":"([0-9a-f]{64})"')
MONTH_PREFIX_LENGTH = len("2026-11 ") + 1
"""The position of the association's id in the occasion of a monthly report."""


class ErasureRepository(Repository):
    """Erases all data of an association or its contact."""

    def count_stored_data(
        self,
        association: str,
        excluded_addresses: Collection[str] = (),
        *,
        contact_only: bool = False,
    ) -> dict[str, int]:
        """Return the rows of an association by table, also of a pruned one, or of its contact.

        Messages to `excluded_addresses` are not counted, because they belong to others too.
        """
        stored_data = _select_stored_data(
            association, excluded_addresses, contact_only=contact_only
        )
        with self._database.begin_read() as connection:
            return _count_rows(connection, stored_data)

    def find_exclusive_bodies(self, association: str) -> set[str]:
        """Return the digests of bodies that only its evidence names. All evidence is read."""
        accounts = select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
        with self._database.begin_read() as connection:
            digests = set(_read_digests(connection, PROBE_RESULT.c.account_id.in_(accounts)))
            others = _read_digests(connection, PROBE_RESULT.c.account_id.not_in(accounts))
            return digests.difference(others) if digests else digests

    def list_stored_rows(
        self, association: str, excluded_addresses: Collection[str] = ()
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every stored row of an association with its table's name, without token hashes."""
        for table, condition in _select_stored_data(association, excluded_addresses):
            columns: list[ColumnElement[Any]] = []
            models = set()
            for column in table.c:
                if isinstance(column.type, JsonModelType):
                    models.add(column.name)
                    columns.append(type_coerce(column, Text).label(column.name))
                elif column.name != "token_hash":
                    columns.append(column)
            query = select(*columns).where(condition).order_by(*table.primary_key.columns)
            with self._database.begin_read() as connection:
                streaming = connection.execution_options(yield_per=BATCH_SIZE)
                for row in streaming.execute(query).mappings():
                    yield table.name, {**row, **{name: json.loads(row[name]) for name in models}}

    def erase_association(
        self,
        association: str,
        log_entry: AuditLogEntry,
        groups: Collection[str],
        excluded_addresses: Collection[str] = (),
    ) -> None:
        """Erase all data of an association in one transaction. `log_entry` is what remains.

        The facet counts of `groups` are erased too if no other association is in the group, because
        they would describe this association alone. The counts of all other groups stay.
        """
        with self._database.begin_write() as connection:
            self._database.lock_count(connection, SUBSCRIPTION_COUNT_KEY)
            # Gaps of others that name this one are about an account that both list.
            is_named = GAP.c.params["other"].as_string() == association
            query = select(GAP.c.association).where(is_named, GAP.c.association != association)
            consistency.mark_stale(
                self._database, connection, connection.execute(query).scalars().all()
            )
            summaries.remove_summaries(self._database, connection, [association])
            connection.execute(delete(GAP).where(is_named))
            _delete_rows(connection, _select_stored_data(association, excluded_addresses))
            summaries.erase_counts_of_empty_groups(connection, groups)
            _append_erasure_entry(connection, log_entry)

    def erase_contact(
        self, association: str, log_entry: AuditLogEntry, excluded_addresses: Collection[str] = ()
    ) -> None:
        """Erase the contact of an association, its log entries and its subscriptions."""
        contact_data = _select_stored_data(association, excluded_addresses, contact_only=True)
        with self._database.begin_write() as connection:
            self._database.lock_count(connection, SUBSCRIPTION_COUNT_KEY)
            _delete_rows(connection, contact_data)
            consistency.mark_stale(self._database, connection, [association])
            _append_erasure_entry(connection, log_entry)

    def erase_removed_profiles(self, channel: str, api_host: str) -> int:
        """Erase what an API said about accounts that it no longer knows. Return their number.

        Presence, reason, id and date stay. In gaps, the address of the account replaces the texts.
        """
        status = type_coerce(ACCOUNT_STATUS.c.status, Text)
        absent_accounts = select(ACCOUNT_STATUS.c.account_id).where(
            status.like('%"last_known_finding":{"presence":"absent"%')
        )
        removed_profiles = (
            select(PROBE_RESULT.c.id, PROBE_RESULT.c.account_id, PROBE_RESULT.c.finding)
            .join(ACCOUNT, ACCOUNT.c.id == PROBE_RESULT.c.account_id)
            .where(
                ACCOUNT.c.channel == channel,
                PROBE_RESULT.c.account_id.in_(absent_accounts),
                PROBE_RESULT.c.presence == Presence.PRESENT.value,
                type_coerce(PROBE_RESULT.c.evidence, Text).like(f'%"url":"https://{api_host}/%'),
                type_coerce(PROBE_RESULT.c.finding, Text).not_like(f'%"{PROFILE_REMOVED_FACT}":%'),
            )
        )
        with self._database.begin_write() as connection:
            texts_by_account: dict[int, set[str]] = defaultdict(set)
            for row in connection.execute(removed_profiles).all():
                finding = row.finding
                texts_by_account[row.account_id] |= {finding.name or "", finding.detail} - {""}
                bare = replace(
                    finding, name=None, links=(), facts={PROFILE_REMOVED_FACT: True}, detail=""
                )
                # Without a fingerprint, no later observation repeats the result.
                values = {"finding": bare, "fingerprint": None}
                change = update(PROBE_RESULT).where(PROBE_RESULT.c.id == row.id)
                connection.execute(change.values(values))
            for account_id, texts in texts_by_account.items():
                _erase_texts_of_gaps(connection, account_id, texts)
            consistency.mark_stale_by_account(self._database, connection, texts_by_account)
        return len(texts_by_account)

    def list_erased_ids(self, erased_field: str = WHOLE_ASSOCIATION_FIELD) -> set[str]:
        """Return the digests of erased associations, or the ids of those whose field was erased."""
        query = select(AUDIT_LOG.c.association).where(
            AUDIT_LOG.c.source == ERASE_SOURCE, AUDIT_LOG.c.field == erased_field
        )
        with self._database.begin_read() as connection:
            return set(connection.execute(query).scalars())

    def get_last_erasure_time(self) -> datetime | None:
        """Return when an association was last erased, or None."""
        query = select(func.max(AUDIT_LOG.c.changed_at)).where(
            AUDIT_LOG.c.source == ERASE_SOURCE, AUDIT_LOG.c.field == WHOLE_ASSOCIATION_FIELD
        )
        with self._database.begin_read() as connection:
            return connection.execute(query).scalar()


def _erase_texts_of_gaps(connection: Connection, account_id: int, texts: Collection[str]) -> None:
    """Replace texts of a profile by the address of the account, as gaps without them have it."""
    address = func.coalesce(ACCOUNT.c.canonical, ACCOUNT.c.url, ACCOUNT.c.typed_text)
    query = (
        select(GAP.c.id, GAP.c.params, GAP.c.evidence, address.label("address"))
        .join(ACCOUNT, (ACCOUNT.c.association == GAP.c.association))
        .where(ACCOUNT.c.id == account_id, ACCOUNT.c.channel == GAP.c.channel)
    )
    for gap in connection.execute(query).all():
        changes = {}
        for column, values in (("params", gap.params), ("evidence", gap.evidence)):
            changes[column] = {
                name: gap.address if value in texts else value for name, value in values.items()
            }
        connection.execute(update(GAP).where(GAP.c.id == gap.id).values(changes))


def read_erased_ids(file: Path, erased_field: str = WHOLE_ASSOCIATION_FIELD) -> frozenset[str]:
    """Return what `list_erased_ids` returns for a SQLite file.

    The result is empty if the database cannot be read.
    """
    query = "SELECT association FROM audit_log WHERE source = ? AND field = ?"
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as raw,
    ):
        return frozenset(map(itemgetter(0), raw.execute(query, (ERASE_SOURCE, erased_field))))
    return frozenset()


def _delete_rows(
    connection: Connection, tables: Sequence[tuple[Table, ColumnElement[bool]]]
) -> None:
    for table, condition in reversed(tables):
        connection.execute(delete(table).where(condition))


def _append_erasure_entry(connection: Connection, log_entry: AuditLogEntry) -> None:
    changed_at = consistency.compute_effective_time(connection, log_entry.changed_at)
    audit_log.append_audit_log(connection, [sanitize(replace(log_entry, changed_at=changed_at))])


def _select_stored_data(
    association: str, excluded_addresses: Collection[str], *, contact_only: bool = False
) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return every table with data of an association, and the condition for its rows.

    A table comes before the tables that refer to it.
    """
    if contact_only:
        tables = [CONTACT, AUDIT_LOG, SUBSCRIPTION, SUBSCRIPTION_REQUEST, SENT_MESSAGE]
    else:
        tables = [
            table
            for table in METADATA.sorted_tables
            if table in {ASSOCIATION, DECISION_WITHDRAWAL}
            or "association" in table.c
            or "account_id" in table.c
        ]
        tables.append(SENT_MESSAGE)
    selected = []
    for table in tables:
        condition = _build_owner_condition(table, association, excluded_addresses)
        if contact_only and table is AUDIT_LOG:
            condition &= AUDIT_LOG.c.field.in_(CONTACT_FIELDS)
        selected.append((table, condition))
    return selected


def _build_owner_condition(
    table: Table, association: str, excluded_addresses: Collection[str]
) -> ColumnElement[bool]:
    if table is ASSOCIATION:
        return ASSOCIATION.c.id == association
    if table is SENT_MESSAGE:
        return _build_message_condition(table, association, excluded_addresses)
    if "association" in table.c:
        is_own: ColumnElement[bool] = table.c.association == association
        return is_own
    if table is DECISION_WITHDRAWAL:
        return DECISION_WITHDRAWAL.c.decision_id.in_(
            select(DECISION.c.id).where(DECISION.c.association == association)
        )
    is_of_account: ColumnElement[bool] = table.c.account_id.in_(
        select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
    )
    return is_of_account & IN_ANY_RUN if table is OBSERVATION else is_of_account


def _build_message_condition(
    table: Table, association: str, excluded_addresses: Collection[str]
) -> ColumnElement[bool]:
    """Return the condition for messages about an association, and to addresses of it alone."""
    other_subscription = SUBSCRIPTION.alias()
    shared_addresses = select(other_subscription.c.address).where(
        other_subscription.c.association != association
    )
    own_addresses = select(SUBSCRIPTION.c.address).where(
        SUBSCRIPTION.c.association == association,
        SUBSCRIPTION.c.address.not_in(list(excluded_addresses)),
        SUBSCRIPTION.c.address.not_in(shared_addresses),
    )
    is_to_association: ColumnElement[bool] = table.c.recipient.in_(own_addresses)
    return is_to_association | (func.substr(table.c.occasion, MONTH_PREFIX_LENGTH) == association)


def _read_digests(connection: Connection, where: ColumnElement[bool]) -> Iterator[str]:
    query = select(type_coerce(PROBE_RESULT.c.evidence, Text)).where(where)
    for evidence in connection.execution_options(yield_per=BATCH_SIZE).execute(query).scalars():
        yield from DIGEST_JSON_PATTERN.findall(evidence)


class RetentionRepository(Repository):
    """Deletes data whose retention has ended."""

    def delete_expired_data(
        self, cutoffs: Mapping[str, datetime], *, dry_run: bool = False
    ) -> dict[str, int]:
        """Delete data that is older than the cutoff of its kind. Return the rows by table.

        A kind without a cutoff is kept. The age is counted for `contacts` from when the association
        was withdrawn, for `report_links` from when they ended, for `replies` from their review, for
        `subscriptions` from when they were ended, and for `subscription_requests` from when they
        were made. `audit_log` applies to entries about contacts. Other entries stay, because a
        re-evaluation uses the registry as of each run.
        """
        limits = sanitize(cutoffs)
        if dry_run:
            with self._database.begin_read() as connection:
                return _count_rows(connection, _select_expired_data(limits))
        with self._database.begin_write() as connection:
            if "contacts" in limits:
                query = select(CONTACT.c.association).where(
                    _build_withdrawn_condition(CONTACT, limits["contacts"])
                )
                associations = connection.execute(query).scalars()
                consistency.mark_stale(self._database, connection, associations)
            row_counts = {}
            for table, condition in _select_expired_data(limits):
                if table is REPORT_LINK:  # its replies are kept
                    link_ids = select(REPORT_LINK.c.id).where(condition)
                    detach = update(REPLY).where(REPLY.c.report_link_id.in_(link_ids))
                    connection.execute(detach.values(report_link_id=None))
                if count := connection.execute(delete(table).where(condition)).rowcount:
                    row_counts[table.name] = count
        return row_counts


def _count_rows(
    connection: Connection, tables: Iterable[tuple[Table, ColumnElement[bool]]]
) -> dict[str, int]:
    """Return the number of matching rows by table, without tables that have none."""
    row_counts = {}
    for table, condition in tables:
        query = select(func.count()).select_from(table).where(condition)
        if count := connection.execute(query).scalar_one():
            row_counts[table.name] = count
    return row_counts


def _select_expired_data(
    cutoffs: Mapping[str, datetime],
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Yield each table once, with the condition for its expired rows."""
    log_conditions = []
    if before := cutoffs.get("contacts"):
        yield CONTACT, _build_withdrawn_condition(CONTACT, before)
        log_conditions.append(_build_withdrawn_condition(AUDIT_LOG, before))
    if before := cutoffs.get("report_links"):
        ended_at = func.coalesce(REPORT_LINK.c.revoked_at, REPORT_LINK.c.expires_at)
        yield REPORT_LINK, ended_at < before
    if before := cutoffs.get("replies"):
        yield REPLY, REPLY.c.reviewed_at < before
        yield COMPLETED_STEP, COMPLETED_STEP.c.completed_at < before
    if before := cutoffs.get("follow_ups"):
        is_over = or_(FOLLOW_UP.c.due_date.is_(None), FOLLOW_UP.c.due_date < before.date())
        yield FOLLOW_UP, (FOLLOW_UP.c.occurred_at < before) & is_over
    if before := cutoffs.get("subscriptions"):
        # A coordinator's ended subscription stays: without it the configuration would send the
        # digest.
        is_ended = SUBSCRIPTION.c.is_wanted.is_(False) & (SUBSCRIPTION.c.association != "")
        yield SUBSCRIPTION, is_ended & (SUBSCRIPTION.c.changed_at < before)
    if before := cutoffs.get("subscription_requests"):
        yield SUBSCRIPTION_REQUEST, SUBSCRIPTION_REQUEST.c.requested_at <= before
    if before := cutoffs.get("messages"):
        yield SENT_MESSAGE, SENT_MESSAGE.c.sent_at < before
    if before := cutoffs.get("audit_log"):
        log_conditions.append(AUDIT_LOG.c.changed_at < before)
    if log_conditions:
        yield AUDIT_LOG, AUDIT_LOG.c.field.in_(CONTACT_FIELDS) & or_(*log_conditions)


def _build_withdrawn_condition(table: Table, cutoff: datetime) -> ColumnElement[bool]:
    return table.c.association.in_(
        select(ASSOCIATION.c.id).where(ASSOCIATION.c.withdrawn_at < cutoff)
    )
