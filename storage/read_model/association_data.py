"""What is held of a few associations together, each kind in one query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import select

from storage.batching import split_into_batches
from storage.conclusions import IS_NOT_CLOSED
from storage.database.connection import Database
from storage.models.audit import AccountRow, AccountStatus, Association, Decision, Gap, Proposal
from storage.tables.core import ACCOUNT, ACCOUNT_STATUS, ASSOCIATION, DECISION, GAP, PROPOSAL
from storage.tables.mappers import (
    GAP_COLUMNS,
    SELECT_ACCOUNT_STATUSES,
    SELECT_ASSOCIATIONS,
    SELECT_DECISIONS,
    to_account_row,
    to_account_status,
    to_association,
    to_decision,
    to_gap,
    to_proposal,
)


@dataclass(frozen=True, slots=True)
class AssociationData:
    """Rows of some associations; those the sheet no longer lists are left out. Each in the order of ids."""

    associations: tuple[Association, ...]
    accounts: tuple[AccountRow, ...]
    statuses: tuple[AccountStatus, ...]
    proposals: tuple[Proposal, ...]
    gaps: tuple[Gap, ...]
    decisions: tuple[Decision, ...]


class AssociationDataQueries:
    """The queries of what is held together. A part of `Store`."""

    _database: Database

    def load_association_data(
        self, association_ids: Collection[str], *, include_closed_gaps: bool = True
    ) -> AssociationData:
        """Everything held of these associations, at one moment; without closed gaps unless it is `whole`."""
        named = list(association_ids)
        gaps = select(*GAP_COLUMNS).where(GAP.c.association.in_(named))
        listed = ASSOCIATION.c.withdrawn_at.is_(None)
        standing = SELECT_ACCOUNT_STATUSES.join(
            ACCOUNT, ACCOUNT.c.id == ACCOUNT_STATUS.c.account_id
        )
        with self._database.begin_read() as connection:
            people = connection.execute(
                SELECT_ASSOCIATIONS.where(ASSOCIATION.c.id.in_(named), listed)
            ).all()
            rows = connection.execute(select(ACCOUNT).where(ACCOUNT.c.association.in_(named))).all()
            told = connection.execute(standing.where(ACCOUNT.c.association.in_(named))).all()
            found = connection.execute(
                select(PROPOSAL).where(PROPOSAL.c.association.in_(named))
            ).all()
            wanted = gaps if include_closed_gaps else gaps.where(IS_NOT_CLOSED)
            holes = connection.execute(wanted).all()
            words = connection.execute(
                SELECT_DECISIONS.where(DECISION.c.association.in_(named))
            ).all()
        return AssociationData(
            associations=tuple(sorted(map(to_association, people), key=lambda one: one.id)),
            accounts=tuple(sorted(map(to_account_row, rows), key=lambda row: row.id or 0)),
            statuses=tuple(sorted(map(to_account_status, told), key=lambda one: one.account_id)),
            proposals=tuple(sorted(map(to_proposal, found), key=lambda one: one.id or 0)),
            gaps=tuple(sorted(map(to_gap, holes), key=lambda gap: gap.id or 0)),
            decisions=tuple(sorted(map(to_decision, words), key=lambda word: word.id or 0)),
        )

    def get_decisions_of(self, association_ids: Collection[str]) -> list[Decision]:
        """The decisions of these associations, in the order they were taken down."""
        with self._database.begin_read() as connection:
            rows = connection.execute(
                SELECT_DECISIONS.where(DECISION.c.association.in_(list(association_ids)))
            ).all()
        return sorted(map(to_decision, rows), key=lambda word: word.id or 0)

    def get_account_channels(self, account_ids: Iterable[int]) -> dict[int, str]:
        """The channels of these accounts, of those that the sheet lists."""
        query = select(ACCOUNT.c.id, ACCOUNT.c.channel).where(ACCOUNT.c.withdrawn_at.is_(None))
        with self._database.begin_read() as connection:
            return {
                row.id: row.channel
                for some in split_into_batches(account_ids)
                for row in connection.execute(query.where(ACCOUNT.c.id.in_(some)))
            }

    def find_accounts_by_key(self, keys: Iterable[tuple[str, str]]) -> list[AccountRow]:
        """The accounts, withdrawn ones too, that are registered under these pairs of channel and key."""
        by_channel: dict[str, set[str]] = defaultdict(set)
        for channel, key in keys:
            by_channel[channel].add(key)
        rows: list[AccountRow] = []
        with self._database.begin_read() as connection:
            for channel, several in by_channel.items():
                for some in split_into_batches(sorted(several)):
                    query = select(ACCOUNT).where(
                        ACCOUNT.c.channel == channel, ACCOUNT.c.key.in_(some)
                    )
                    rows += map(to_account_row, connection.execute(query))
        return sorted(rows, key=lambda row: row.id or 0)
