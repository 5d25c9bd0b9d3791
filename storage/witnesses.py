"""Queries of what third parties answered about accounts (`probes.witnesses`).

Answers are only added, because a re-evaluation needs those of each run. Of the requests that got no
answer, only the newest of each account is kept: it says when to ask again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Select, case, delete, false, func, or_, select

from probes.models.finding import LinkKind
from probes.models.witness import WitnessSource
from storage.database.connection import BATCH_SIZE, Database
from storage.models.audit import AccountRow, WitnessRecord
from storage.sanitize import sanitize, to_utc
from storage.tables.core import ACCOUNT, WITNESS_ANSWER
from storage.tables.mappers import to_account_row, to_witness_record

WITNESSED_KINDS = (LinkKind.PAGE, LinkKind.PROFILE)
"""Kinds of links that third parties are asked about: no private persons, and no groups."""


class WitnessRepository:
    """Stores and reads the answers of third parties about accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_accounts_to_witness(
        self,
        source: WitnessSource,
        channels: Collection[str],
        *,
        answered_before: datetime,
        asked_before: datetime,
        excluded_ids: Collection[int | None] = (),
        limit: int,
    ) -> list[AccountRow]:
        """Return the listed accounts to ask about: first those never asked about, then the oldest.

        An account is due if its last answer is from before `answered_before` and the last request
        from before `asked_before`, or if there is none.
        """
        query = _select_due_accounts(source, channels, answered_before, asked_before)
        with (
            self._database.begin_read() as connection,
            connection.execution_options(yield_per=BATCH_SIZE).execute(query) as rows,
        ):
            due = (to_account_row(row) for row in rows if row.id not in excluded_ids)
            return list(islice(due, limit))

    def count_witness_requests(self, source: WitnessSource, run_started_at: datetime) -> int:
        """Return how many accounts a run has asked about so far."""
        query = (
            select(func.count())
            .select_from(WITNESS_ANSWER)
            .where(
                WITNESS_ANSWER.c.source == source.value,
                WITNESS_ANSWER.c.asked_at == to_utc(run_started_at),
            )
        )
        with self._database.begin_read() as connection:
            return int(connection.execute(query).scalar_one())

    def save_witness_record(self, record: WitnessRecord) -> None:
        """Store an answer. It replaces an earlier request of its account without an answer."""
        record = sanitize(record)
        is_replaced = (
            (WITNESS_ANSWER.c.account_id == record.account_id)
            & (WITNESS_ANSWER.c.source == record.source.value)
            & (WITNESS_ANSWER.c.is_answered == false())
        )
        row = {
            "account_id": record.account_id,
            "source": record.source.value,
            "asked_at": record.asked_at,
            "is_answered": record.answer.failure is None,
            "answer": record.answer,
        }
        with self._database.begin_write() as connection:
            connection.execute(delete(WITNESS_ANSWER).where(is_replaced))
            self._database.upsert(
                connection, WITNESS_ANSWER, [row], ("account_id", "source", "asked_at")
            )

    def list_witness_records(self, association: str) -> Iterator[WitnessRecord]:
        """Return the answers about the accounts of an association, by account, source and time."""
        query = select(WITNESS_ANSWER).where(
            WITNESS_ANSWER.c.account_id.in_(
                select(ACCOUNT.c.id).where(ACCOUNT.c.association == association)
            )
        )
        rows = self._database.stream_rows(
            query, WITNESS_ANSWER.c.account_id, WITNESS_ANSWER.c.source, WITNESS_ANSWER.c.asked_at
        )
        return map(to_witness_record, rows)


def _select_due_accounts(
    source: WitnessSource,
    channels: Collection[str],
    answered_before: datetime,
    asked_before: datetime,
) -> Select[Any]:
    answered_at = case((WITNESS_ANSWER.c.is_answered, WITNESS_ANSWER.c.asked_at))
    last_requests = (
        select(
            WITNESS_ANSWER.c.account_id,
            func.max(WITNESS_ANSWER.c.asked_at).label("asked_at"),
            func.max(answered_at).label("answered_at"),
        )
        .where(WITNESS_ANSWER.c.source == source.value)
        .group_by(WITNESS_ANSWER.c.account_id)
        .subquery()
    )
    last = last_requests.c
    return (
        select(ACCOUNT)
        .outerjoin(last_requests, last.account_id == ACCOUNT.c.id)
        .where(
            ACCOUNT.c.withdrawn_at.is_(None),
            ACCOUNT.c.channel.in_(sorted(channels)),
            ACCOUNT.c.kind.in_([kind.value for kind in WITNESSED_KINDS]),
            ACCOUNT.c.key.is_not(None),
            or_(last.asked_at.is_(None), last.asked_at < to_utc(asked_before)),
            or_(last.answered_at.is_(None), last.answered_at < to_utc(answered_before)),
        )
        .order_by(case((last.asked_at.is_(None), 0), else_=1), last.asked_at, ACCOUNT.c.id)
    )
