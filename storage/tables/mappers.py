"""From rows of the database to models."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from sqlalchemy import func, select

from probes.models.finding import Identity, Kind
from storage.models.audit import (
    ASSOCIATION_FIELDS,
    CONTACT_FIELDS,
    REACHES,
    AccountRow,
    Association,
    Contact,
    Decision,
    DecisionKind,
    Gap,
    Member,
    Night,
    NightState,
    Proposal,
    Standing,
    Withdrawal,
)
from storage.models.users import Role, User
from storage.tables.core import ASSOCIATION, CONTACT, DECISION, GAP, STANDING, USER, WITHDRAWAL
from storage.tables.runs import CHECKED


def account_of(row: Any) -> AccountRow:
    """The link that a row of the account table holds."""
    identity = Identity(row.channel, Kind(row.kind), row.key, row.canonical, row.url, row.note)
    return AccountRow(
        association=row.association,
        typed=row.typed,
        identity=identity,
        column=row.column,
        id=row.id,
        added_at=row.added_at,
        withdrawn_at=row.withdrawn_at,
    )


TOLD = tuple(field.name for field in fields(Gap))
KEPT = tuple(name for name in TOLD if name != "id")
GAP_COLUMNS = [GAP.c[name] for name in TOLD]
"""Those of the noun."""
WITHDRAWN = (
    WITHDRAWAL.c.who.label("withdrawn_by"),
    WITHDRAWAL.c.why.label("withdrawn_why"),
    WITHDRAWAL.c.withdrawn_at.label("withdrawn_at"),
)
DECIDED = select(*DECISION.c, *WITHDRAWN).outerjoin(WITHDRAWAL, WITHDRAWAL.c.decision_id == DECISION.c.id)
"""Every decision, beside its withdrawal if there is one."""


def gap_of(row: Any) -> Gap:
    """The gap that a row begins with, whatever else it holds."""
    return Gap(*row[: len(TOLD)])


def proposal_of(row: Any) -> Proposal:
    """The proposal that a row holds."""
    return Proposal(
        association=row.association,
        link=row.link,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        nights=row.nights,
        id=row.id,
    )


def decision_of(row: Any) -> Decision:
    """The decision that a row of DECIDED holds, with its end."""
    values = dict(row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
    who, why, withdrawn_at = (values.pop(column.name) for column in WITHDRAWN)
    decision = Decision(**{**values, "kind": DecisionKind(row.kind)})
    if withdrawn_at is None:
        return decision
    until = min(decision.until or withdrawn_at, withdrawn_at)
    return replace(decision, until=until, withdrawn=Withdrawal(who, why, withdrawn_at))


COLUMNS = [column.label(f"their_{column.name}") for column in USER.columns if column.name != "key"]
"""A user's columns, beside which another table's can be read."""


def user_of(row: Any) -> User:
    """The user of a row that has `COLUMNS`."""
    told = {label.name.removeprefix("their_"): getattr(row, label.name) for label in COLUMNS}
    return User(**{**told, "role": Role(told["role"]), "regions": tuple(told["regions"])})


def night_of(row: Any) -> Night:
    """The night that a row holds."""
    return Night(
        day=row.day,
        state=NightState(row.state),
        started_at=row.started_at,
        finished_at=row.finished_at,
        blind=tuple(row.blind),
        receipt=row.receipt,
        id=row.id,
    )


_REACHED = [(func.coalesce(CONTACT.c[name], "") != "").label(f"reached_{name}") for name in REACHES]
_PEOPLE = [CONTACT.c[name] for name in CONTACT_FIELDS]
_OWN = CONTACT.c.association == ASSOCIATION.c.id
ASSOCIATIONS = select(ASSOCIATION, *_REACHED).outerjoin(CONTACT, _OWN)
"""Every association with the ways by which it can be reached; the addresses and numbers are left out."""
MEMBERS = select(ASSOCIATION, *_REACHED, *_PEOPLE).outerjoin(CONTACT, _OWN)
"""Every association with its contact."""


def association_of(row: Any) -> Association:
    """The association that a row of `ASSOCIATIONS` or `MEMBERS` holds."""
    told = row._mapping  # noqa: SLF001  # public, named so to leave columns their names
    facts = {name: told[name] for name in ASSOCIATION_FIELDS}
    facts |= {"tags": tuple(row.tags), "none_by_choice": tuple(row.none_by_choice)}
    reached = frozenset(name for name in REACHES if told[f"reached_{name}"])
    return Association(id=row.id, reached=reached, **facts)


def contact_of(row: Any) -> Contact:
    """The contact that a row holds."""
    return Contact(**{name: getattr(row, name) for name in CONTACT_FIELDS})


def member_of(row: Any) -> Member:
    """The entry that a row of `MEMBERS` holds."""
    return Member(association_of(row), contact_of(row))


MOMENTS = (CHECKED.c.checked_at, CHECKED.c.decided_at)
STOOD = STANDING.outerjoin(CHECKED, CHECKED.c.account_id == STANDING.c.account_id)
"""Every standing, beside its moments."""
STANDINGS = select(STANDING, *MOMENTS).select_from(STOOD)


def standing_of(row: Any) -> Standing:
    """The standing that a row of STANDINGS holds."""
    standing: Standing = row.standing
    return replace(standing, checked_at=row.checked_at, decided_at=row.decided_at)
