"""Stores and reads the decisions of people, and their withdrawals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from operator import attrgetter

from sqlalchemy import insert, select

from storage import consistency
from storage.database.connection import Database
from storage.models.audit import Decision, DecisionWithdrawal
from storage.sanitize import sanitize, to_utc
from storage.tables.core import DECISION, DECISION_WITHDRAWAL
from storage.tables.mappers import SELECT_DECISIONS, to_decision


class DecisionRepository:
    """Stores and reads decisions about accounts, proposals and gaps."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
            rows = connection.execute(
                SELECT_DECISIONS.where(DECISION.c.association.in_(list(association_ids)))
            ).all()
        return sorted(map(to_decision, rows), key=attrgetter("id"))

    def add(self, decision: Decision) -> Decision:
        """Store a decision and return it with its id and the time from which it counts."""
        decision = sanitize(decision)
        with self._database.begin_write() as connection:
            decided_at = consistency.compute_effective_time(connection, decision.decided_at)
            decision = replace(decision, decided_at=decided_at)
            values = asdict(decision)
            del values["id"], values["withdrawal"]
            key = connection.execute(insert(DECISION).values(values)).inserted_primary_key
            consistency.mark_stale(self._database, connection, [decision.association])
        return replace(decision, id=key[0] if key else None)

    def withdraw(self, decision_ids: Iterable[int], withdrawal: DecisionWithdrawal) -> None:
        """Store the withdrawal of these decisions. Each can be withdrawn once."""
        withdrawal = sanitize(withdrawal)
        ids = list(decision_ids)
        with self._database.begin_write() as connection:
            withdrawn_at = consistency.compute_effective_time(connection, withdrawal.withdrawn_at)
            values = asdict(replace(withdrawal, withdrawn_at=withdrawn_at))
            rows = [{"decision_id": decision_id, **values} for decision_id in ids]
            connection.execute(insert(DECISION_WITHDRAWAL), rows)
            query = select(DECISION.c.association).where(DECISION.c.id.in_(ids))
            consistency.mark_stale(self._database, connection, connection.execute(query).scalars())
