"""Stores and reads the decisions of people, and their withdrawals."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sqlmodel import Session, col, select

from storage import consistency
from storage.database.connection import Repository
from storage.models.audit import Decision, DecisionWithdrawal
from storage.sanitize import to_utc
from storage.tables.core import DecisionTable, DecisionWithdrawalTable
from storage.tables.mappers import to_decision


class DecisionRepository(Repository):
    """Stores and reads decisions about accounts, proposals and gaps."""

    def list_decisions(
        self, as_of: datetime | None = None, *, association: str | None = None
    ) -> Iterator[Decision]:
        """Return the decisions made until `as_of`, also ended ones, in the order of their ids."""
        query = select(DecisionTable)
        if as_of is not None:
            query = query.where(DecisionTable.decided_at <= to_utc(as_of))
        if association is not None:
            query = query.where(DecisionTable.association == association)
        return map(to_decision, self._database.stream_models(query, DecisionTable.id))

    def get_decisions_of(self, association_ids: Collection[str]) -> list[Decision]:
        """Return the decisions of these associations in the order of their ids."""
        with self._database.begin_read_session() as session:
            return load_decisions(session, association_ids)

    def add(self, decision: Decision) -> Decision:
        """Store a decision and return it with its id and the time from which it counts."""
        with self._database.begin_write_session() as session:
            connection = session.connection()
            row = DecisionTable(
                association=decision.association,
                channel=decision.channel,
                kind=decision.kind,
                author=decision.author,
                reason=decision.reason,
                decided_at=consistency.compute_effective_time(connection, decision.decided_at),
                expires_at=decision.expires_at,
                account_id=decision.account_id,
                code=decision.code,
                value=decision.value,
            )
            session.add(row)
            session.flush()
            consistency.mark_stale(self._database, connection, [row.association])
            return to_decision(row)

    def withdraw(self, decision_ids: Iterable[int], withdrawal: DecisionWithdrawal) -> None:
        """Store the withdrawal of these decisions. Each can be withdrawn once."""
        with self._database.begin_write_session() as session:
            connection = session.connection()
            ids = list(decision_ids)
            withdrawn_at = consistency.compute_effective_time(connection, withdrawal.withdrawn_at)
            for decision_id in ids:
                session.add(
                    DecisionWithdrawalTable(
                        decision_id=decision_id,
                        author=withdrawal.author,
                        reason=withdrawal.reason,
                        withdrawn_at=withdrawn_at,
                    )
                )
            query = select(DecisionTable.association).where(col(DecisionTable.id).in_(ids))
            consistency.mark_stale(self._database, connection, session.exec(query))


def load_decisions(session: Session, association_ids: Collection[str]) -> list[Decision]:
    """Return the decisions of these associations in the order of their ids."""
    query = select(DecisionTable).where(col(DecisionTable.association).in_(association_ids))
    return list(map(to_decision, session.exec(query.order_by(col(DecisionTable.id)))))
