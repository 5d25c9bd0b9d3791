"""What is held of a few associations together, each kind in one query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import select

from storage.batching import parts
from storage.conclusions import IS_UNCLOSED
from storage.database.connection import Database
from storage.models.audit import AccountRow, Association, Decision, Gap, Proposal, Standing
from storage.tables.core import ACCOUNT, ASSOCIATION, DECISION, GAP, PROPOSAL, STANDING
from storage.tables.mappers import (
    ASSOCIATIONS,
    DECIDED,
    GAP_COLUMNS,
    STANDINGS,
    account_of,
    association_of,
    decision_of,
    gap_of,
    proposal_of,
    standing_of,
)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Rows of some associations; those the sheet no longer lists are left out. Each in the order of ids."""

    associations: tuple[Association, ...]
    accounts: tuple[AccountRow, ...]
    standings: tuple[Standing, ...]
    proposals: tuple[Proposal, ...]
    gaps: tuple[Gap, ...]
    decisions: tuple[Decision, ...]


class Held:
    """The queries of what is held together. A part of `Store`."""

    _database: Database

    def holdings(self, ids: Collection[str], *, whole: bool = True) -> Holdings:
        """Everything held of these associations, at one moment; without closed gaps unless it is `whole`."""
        named = list(ids)
        gaps = select(*GAP_COLUMNS).where(GAP.c.association.in_(named))
        listed = ASSOCIATION.c.withdrawn_at.is_(None)
        standing = STANDINGS.join(ACCOUNT, ACCOUNT.c.id == STANDING.c.account_id)
        with self._database.reading() as connection:
            people = connection.execute(ASSOCIATIONS.where(ASSOCIATION.c.id.in_(named), listed)).all()
            rows = connection.execute(select(ACCOUNT).where(ACCOUNT.c.association.in_(named))).all()
            told = connection.execute(standing.where(ACCOUNT.c.association.in_(named))).all()
            found = connection.execute(select(PROPOSAL).where(PROPOSAL.c.association.in_(named))).all()
            wanted = gaps if whole else gaps.where(IS_UNCLOSED)
            holes = connection.execute(wanted).all()
            words = connection.execute(DECIDED.where(DECISION.c.association.in_(named))).all()
        return Holdings(
            associations=tuple(sorted(map(association_of, people), key=lambda one: one.id)),
            accounts=tuple(sorted(map(account_of, rows), key=lambda row: row.id or 0)),
            standings=tuple(sorted(map(standing_of, told), key=lambda one: one.account_id)),
            proposals=tuple(sorted(map(proposal_of, found), key=lambda one: one.id or 0)),
            gaps=tuple(sorted(map(gap_of, holes), key=lambda gap: gap.id or 0)),
            decisions=tuple(sorted(map(decision_of, words), key=lambda word: word.id or 0)),
        )

    def words(self, ids: Collection[str]) -> list[Decision]:
        """The decisions of these associations, in the order they were taken down."""
        with self._database.reading() as connection:
            rows = connection.execute(DECIDED.where(DECISION.c.association.in_(list(ids)))).all()
        return sorted(map(decision_of, rows), key=lambda word: word.id or 0)

    def channels_of(self, account_ids: Iterable[int]) -> dict[int, str]:
        """The channels of these accounts, of those that the sheet lists."""
        query = select(ACCOUNT.c.id, ACCOUNT.c.channel).where(ACCOUNT.c.withdrawn_at.is_(None))
        with self._database.reading() as connection:
            return {
                row.id: row.channel
                for some in parts(account_ids)
                for row in connection.execute(query.where(ACCOUNT.c.id.in_(some)))
            }

    def named(self, keys: Iterable[tuple[str, str]]) -> list[AccountRow]:
        """The accounts, withdrawn ones too, that are registered under these pairs of channel and key."""
        by_channel: dict[str, set[str]] = defaultdict(set)
        for channel, key in keys:
            by_channel[channel].add(key)
        rows: list[AccountRow] = []
        with self._database.reading() as connection:
            for channel, several in by_channel.items():
                for some in parts(sorted(several)):
                    query = select(ACCOUNT).where(ACCOUNT.c.channel == channel, ACCOUNT.c.key.in_(some))
                    rows += map(account_of, connection.execute(query))
        return sorted(rows, key=lambda row: row.id or 0)
