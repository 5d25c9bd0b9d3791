"""Loads all data of several associations, each kind in one query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from operator import attrgetter

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
    """The data of several associations without withdrawn ones. Each part is sorted by id."""

    associations: tuple[Association, ...]
    accounts: tuple[AccountRow, ...]
    statuses: tuple[AccountStatus, ...]
    proposals: tuple[Proposal, ...]
    gaps: tuple[Gap, ...]
    decisions: tuple[Decision, ...]


class AssociationDataQueries:
    """The part of `Store` that loads data of several associations at once."""

    _database: Database

    def load_association_data(
        self, association_ids: Collection[str], *, include_closed_gaps: bool = True
    ) -> AssociationData:
        """Return all data of these associations as of one time."""
        ids = list(association_ids)
        is_listed = ASSOCIATION.c.withdrawn_at.is_(None)
        statuses = SELECT_ACCOUNT_STATUSES.join(
            ACCOUNT, ACCOUNT.c.id == ACCOUNT_STATUS.c.account_id
        )
        gaps = select(*GAP_COLUMNS).where(GAP.c.association.in_(ids))
        if not include_closed_gaps:
            gaps = gaps.where(IS_NOT_CLOSED)
        queries = (
            SELECT_ASSOCIATIONS.where(ASSOCIATION.c.id.in_(ids), is_listed),
            select(ACCOUNT).where(ACCOUNT.c.association.in_(ids)),
            statuses.where(ACCOUNT.c.association.in_(ids)),
            select(PROPOSAL).where(PROPOSAL.c.association.in_(ids)),
            gaps,
            SELECT_DECISIONS.where(DECISION.c.association.in_(ids)),
        )
        with self._database.begin_read() as connection:
            rows = [connection.execute(query).all() for query in queries]
        get_id, get_account_id = attrgetter("id"), attrgetter("account_id")
        return AssociationData(
            associations=tuple(sorted(map(to_association, rows[0]), key=get_id)),
            accounts=tuple(sorted(map(to_account_row, rows[1]), key=get_id)),
            statuses=tuple(sorted(map(to_account_status, rows[2]), key=get_account_id)),
            proposals=tuple(sorted(map(to_proposal, rows[3]), key=get_id)),
            gaps=tuple(sorted(map(to_gap, rows[4]), key=get_id)),
            decisions=tuple(sorted(map(to_decision, rows[5]), key=get_id)),
        )

    def get_decisions_of(self, association_ids: Collection[str]) -> list[Decision]:
        """Return the decisions of these associations in the order of their ids."""
        with self._database.begin_read() as connection:
            rows = connection.execute(
                SELECT_DECISIONS.where(DECISION.c.association.in_(list(association_ids)))
            ).all()
        return sorted(map(to_decision, rows), key=attrgetter("id"))

    def get_account_channels(self, account_ids: Iterable[int]) -> dict[int, str]:
        """Return the channels of those of these accounts that are listed, by account id."""
        query = select(ACCOUNT.c.id, ACCOUNT.c.channel).where(ACCOUNT.c.withdrawn_at.is_(None))
        with self._database.begin_read() as connection:
            channels: dict[int, str] = {}
            for batch in split_into_batches(account_ids):
                for row in connection.execute(query.where(ACCOUNT.c.id.in_(batch))):
                    channels[row.id] = row.channel
        return channels

    def find_accounts_by_key(self, keys: Iterable[tuple[str, str]]) -> list[AccountRow]:
        """Return the accounts with these pairs of channel and key, also withdrawn ones."""
        keys_by_channel: dict[str, set[str]] = defaultdict(set)
        for channel, key in keys:
            keys_by_channel[channel].add(key)
        accounts: list[AccountRow] = []
        with self._database.begin_read() as connection:
            for channel, channel_keys in keys_by_channel.items():
                query = select(ACCOUNT).where(ACCOUNT.c.channel == channel)
                for batch in split_into_batches(sorted(channel_keys)):
                    rows = connection.execute(query.where(ACCOUNT.c.key.in_(batch)))
                    accounts += map(to_account_row, rows)
        return sorted(accounts, key=attrgetter("id"))
