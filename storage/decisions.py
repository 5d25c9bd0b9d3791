"""Stores and reads the decisions of people, and their withdrawals."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select

from storage import consistency
from storage.database.connection import Repository
from storage.models.audit import Decision, DecisionWithdrawal
from storage.sanitize import sanitize, to_utc
from storage.tables.core import DECISION, DECISION_WITHDRAWAL
from storage.tables.mappers import SELECT_DECISIONS, get_field_values, to_decision


class DecisionRepository(Repository):
    """Stores and reads decisions about accounts, proposals and gaps."""

    def list_decisions(
        self, as_of: datetime | None = None, *, association: str | None = None
    ) -> Iterator[Decision]:
        """Return the decisions made until `as_of`, also ended ones, in the order of their ids."""
        query = SELECT_DECISIONS
        if as_of is not None:
            query = query.where(DECISION.c.decided_at <= to_utc(as_of))
        if association is not None:
            query = query.where(DECISION.c.association == association)
        return map(to_decision, self._database.stream_rows(query, DECISION.c.id))

    def get_decisions_of(self, association_ids: Collection[str]) -> list[Decision]:
        """Return the decisions of these associations in the order of their ids."""
        with self._database.begin_read() as connection:
            return load_decisions(connection, association_ids)

    def add(self, decision: Decision) -> Decision:
        """Store a decision and return it with its id and the time from which it counts."""
        with self._database.begin_write() as connection:
            decided_at = consistency.compute_effective_time(connection, decision.decided_at)
            decision = sanitize(replace(decision, decided_at=decided_at))
            values = get_field_values(decision)
            del values["id"], values["withdrawal"]
            insert = DECISION.insert().values(values).returning(DECISION.c.id)
            decision_id = connection.execute(insert).scalar_one()
            consistency.mark_stale(self._database, connection, [decision.association])
        return replace(decision, id=decision_id)

    def withdraw(self, decision_ids: Iterable[int], withdrawal: DecisionWithdrawal) -> None:
        """Store the withdrawal of these decisions. Each can be withdrawn once."""
        ids = list(decision_ids)
        if not ids:
            return
        with self._database.begin_write() as connection:
            withdrawn_at = consistency.compute_effective_time(connection, withdrawal.withdrawn_at)
            values = get_field_values(sanitize(replace(withdrawal, withdrawn_at=withdrawn_at)))
            rows = [{"decision_id": decision_id, **values} for decision_id in ids]
            connection.execute(DECISION_WITHDRAWAL.insert(), rows)
            query = select(DECISION.c.association).where(DECISION.c.id.in_(ids))
            consistency.mark_stale(self._database, connection, connection.scalars(query))


def load_decisions(connection: Connection, association_ids: Collection[str]) -> list[Decision]:
    """Return the decisions of these associations in the order of their ids."""
    query = SELECT_DECISIONS.where(DECISION.c.association.in_(association_ids))
    return list(map(to_decision, connection.execute(query.order_by(DECISION.c.id))))
