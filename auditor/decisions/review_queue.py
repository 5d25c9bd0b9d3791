"""What waits for the coordinator: the associations' replies, and accounts that were found on their sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from auditor.config.schema import Config
from auditor.decisions.replies import is_gone
from auditor.evaluation.association_view import view
from auditor.evaluation.refresh import A_FEW, NOBODY, refresh
from auditor.evaluation.run_results import assembled, present
from auditor.reference.gap_catalogue import catalogue
from storage.models.audit import AccountRow, Association, Gap, Proposal
from storage.models.communication import Reply
from storage.registry.regions import Regions
from storage.store import Store

AT_ONCE = 25
"""Proposals that are looked through together: a page of them, for most are still to be settled."""
FARTHEST = 300
"""Proposals that are looked through for one page; where all of them are settled, the next page goes on."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reply that nobody has answered: whose it is, and the account or the gap that it is about.

    `is_gone` tells that the account is held to be gone.
    """

    reply: Reply
    association: Association | None
    account: AccountRow | None
    gap: Gap | None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An account that nobody has called an association's own or somebody else's yet."""

    proposal: Proposal
    association: Association


def waiting(store: Store, *, after: int = 0, limit: int = 20, regions: Regions = None) -> list[Waiting]:
    """A page of the replies that wait, the oldest first: those after this one."""
    rows = store.waiting_replies(after=after, limit=limit, regions=regions)
    return [_waiting(store, reply) for reply in rows]


def _waiting(store: Store, reply: Reply) -> Waiting:
    account = store.account(reply.account_id) if reply.account_id else None
    return Waiting(
        reply=reply,
        association=store.association(reply.association),
        account=account,
        gap=_gap(store, reply),
        is_gone=account is not None and is_gone(store, account),
    )


def _gap(store: Store, reply: Reply) -> Gap | None:
    if reply.code not in catalogue().entries:
        return None
    rows = list(store.gaps(reply.association, channel=reply.channel, code=reply.code))
    return rows[-1] if rows else None


def found(
    store: Store,
    config: Config,
    now: datetime,
    *,
    after: int = 0,
    limit: int = 20,
    regions: Regions = None,
) -> tuple[list[Found], int]:
    """A page of the found accounts, the oldest first, and after which the next page begins (0: no more)."""
    refresh(store, config, most=A_FEW)
    listed: list[Found] = []
    for _ in range(0, FARTHEST, AT_ONCE):
        batch = store.found_accounts(after=after, limit=AT_ONCE, regions=regions)
        listed += _unsettled(store, config, batch, now)
        if len(listed) > limit:
            return listed[:limit], listed[limit - 1].proposal.id or 0
        if len(batch) < AT_ONCE:
            return listed, 0
        after = batch[-1].id or 0
    return listed, after


def _unsettled(store: Store, config: Config, rows: Sequence[Proposal], now: datetime) -> list[Found]:
    """Those that an association's page would ask about, too."""
    held = store.holdings({row.association for row in rows}, whole=False)
    moment = present(store, now)
    seen = [view(dossier, config, moment, NOBODY) for dossier in assembled(held.associations, held)]
    asked = {row.id: one.association for one in seen for row in one.proposals}
    return [Found(row, asked[row.id]) for row in rows if row.id in asked]
