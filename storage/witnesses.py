"""Stores and reads the answers of third parties about accounts (`probes.witnesses`).

Answers are only added, because a re-evaluation needs those of each run. Of the requests that got no
answer, only the newest of each account is kept: it says when to ask again.
"""

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlmodel import case, col, delete, false, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from probes.models.finding import LinkKind
from probes.models.witness import WitnessSource
from storage.database.connection import Repository
from storage.models.audit import AccountRow, WitnessRecord
from storage.sanitize import to_utc
from storage.tables.core import AccountTable, WitnessAnswerTable
from storage.tables.mappers import to_account_row, to_witness_record

WITNESSED_KINDS = (LinkKind.PAGE, LinkKind.PROFILE)
"""Kinds of links that third parties are asked about: no private persons, and no groups."""


class WitnessRepository(Repository):
    """Stores and reads the answers of third parties about accounts."""

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
        query = query.limit(limit + len(excluded_ids))
        with self._database.begin_read_session() as session:
            accounts = session.exec(query).all()
        due = [to_account_row(account) for account in accounts if account.id not in excluded_ids]
        return due[:limit]

    def count_witness_requests(self, source: WitnessSource, run_started_at: datetime) -> int:
        """Return how many accounts a run has asked about so far."""
        query = select(func.count(col(WitnessAnswerTable.account_id))).where(
            WitnessAnswerTable.source == source.value,
            WitnessAnswerTable.asked_at == to_utc(run_started_at),
        )
        with self._database.begin_read_session() as session:
            return session.exec(query).one()

    def save_witness_record(self, record: WitnessRecord) -> None:
        """Store an answer. It replaces an earlier request of its account without an answer."""
        row = WitnessAnswerTable(
            account_id=record.account_id,
            source=record.source.value,
            asked_at=to_utc(record.asked_at),
            is_answered=record.answer.failure is None,
            answer=record.answer,
        )
        replaced = delete(WitnessAnswerTable).where(
            col(WitnessAnswerTable.account_id) == row.account_id,
            col(WitnessAnswerTable.source) == row.source,
            col(WitnessAnswerTable.is_answered) == false(),
        )
        with self._database.begin_write_session() as session:
            session.exec(replaced)
            session.merge(row)

    def list_witness_records(self, association: str) -> Iterator[WitnessRecord]:
        """Return the answers about the accounts of an association, by account, source and time."""
        accounts = select(AccountTable.id).where(AccountTable.association == association)
        query = select(WitnessAnswerTable)
        query = query.where(col(WitnessAnswerTable.account_id).in_(accounts))
        key = (
            WitnessAnswerTable.account_id,
            WitnessAnswerTable.source,
            WitnessAnswerTable.asked_at,
        )
        return map(to_witness_record, self._database.stream_models(query, *key))


def _select_due_accounts(
    source: WitnessSource,
    channels: Collection[str],
    answered_before: datetime,
    asked_before: datetime,
) -> SelectOfScalar[AccountTable]:
    asked_at = col(WitnessAnswerTable.asked_at)
    answered_at = case((col(WitnessAnswerTable.is_answered), asked_at))
    last_requests = (
        select(
            WitnessAnswerTable.account_id,
            func.max(asked_at).label("asked_at"),
            func.max(answered_at).label("answered_at"),
        )
        .where(WitnessAnswerTable.source == source.value)
        .group_by(col(WitnessAnswerTable.account_id))
        .subquery()
    )
    last = last_requests.c
    kinds = [kind.value for kind in WITNESSED_KINDS]
    return (
        select(AccountTable)
        .outerjoin(last_requests, last.account_id == AccountTable.id)
        .where(
            col(AccountTable.withdrawn_at).is_(None),
            col(AccountTable.channel).in_(sorted(channels)),
            col(AccountTable.kind).in_(kinds),
            col(AccountTable.key).is_not(None),
            or_(last.asked_at.is_(None), last.asked_at < to_utc(asked_before)),
            or_(last.answered_at.is_(None), last.answered_at < to_utc(answered_before)),
        )
        .order_by(case((last.asked_at.is_(None), 0), else_=1), last.asked_at, col(AccountTable.id))
    )
