"""From rows of the database to models."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from sqlalchemy import func, select

from probes.models.finding import Identity, LinkKind
from storage.models.audit import (
    ASSOCIATION_FIELDS,
    CONTACT_FIELDS,
    CONTACT_METHODS,
    AccountRow,
    AccountStatus,
    Association,
    AssociationEntry,
    AuditRun,
    AuditRunState,
    Contact,
    Decision,
    DecisionKind,
    DecisionWithdrawal,
    Gap,
    Proposal,
)
from storage.models.users import Role, User
from storage.tables.core import (
    ACCOUNT_STATUS,
    ASSOCIATION,
    CONTACT,
    DECISION,
    DECISION_WITHDRAWAL,
    GAP,
    USER,
)
from storage.tables.runs import CHECK_TIMES


def to_account_row(row: Any) -> AccountRow:
    """The link that a row of the account table holds."""
    identity = Identity(row.channel, LinkKind(row.kind), row.key, row.canonical, row.url, row.note)
    return AccountRow(
        association=row.association,
        typed_text=row.typed_text,
        identity=identity,
        column=row.column,
        id=row.id,
        added_at=row.added_at,
        withdrawn_at=row.withdrawn_at,
    )


GAP_FIELDS = tuple(field.name for field in fields(Gap))
GAP_VALUE_FIELDS = tuple(name for name in GAP_FIELDS if name != "id")
GAP_COLUMNS = [GAP.c[name] for name in GAP_FIELDS]
"""Those of the noun."""
WITHDRAWAL_COLUMNS = (
    DECISION_WITHDRAWAL.c.author.label("withdrawal_author"),
    DECISION_WITHDRAWAL.c.reason.label("withdrawal_reason"),
    DECISION_WITHDRAWAL.c.withdrawn_at.label("withdrawn_at"),
)
SELECT_DECISIONS = select(*DECISION.c, *WITHDRAWAL_COLUMNS).outerjoin(
    DECISION_WITHDRAWAL, DECISION_WITHDRAWAL.c.decision_id == DECISION.c.id
)
"""Every decision, beside its withdrawal if there is one."""


def to_gap(row: Any) -> Gap:
    """The gap that a row begins with, whatever else it holds."""
    return Gap(*row[: len(GAP_FIELDS)])


def to_proposal(row: Any) -> Proposal:
    """The proposal that a row holds."""
    return Proposal(
        association=row.association,
        link=row.link,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        run_count=row.run_count,
        id=row.id,
    )


def to_decision(row: Any) -> Decision:
    """The decision that a row of DECIDED holds, with its end."""
    values = dict(row._mapping)  # noqa: SLF001  # public, named so to leave columns their names
    who, why, withdrawn_at = (values.pop(column.name) for column in WITHDRAWAL_COLUMNS)
    decision = Decision(**{**values, "kind": DecisionKind(row.kind)})
    if withdrawn_at is None:
        return decision
    until = min(decision.expires_at or withdrawn_at, withdrawn_at)
    return replace(
        decision, expires_at=until, withdrawal=DecisionWithdrawal(who, why, withdrawn_at)
    )


USER_COLUMNS = [
    column.label(f"owner_{column.name}")
    for column in USER.columns
    if column.name != "normalized_name"
]
"""A user's columns, beside which another table's can be read."""


def to_user(row: Any) -> User:
    """The user of a row that has `COLUMNS`."""
    told = {label.name.removeprefix("owner_"): getattr(row, label.name) for label in USER_COLUMNS}
    return User(**{**told, "role": Role(told["role"]), "regions": tuple(told["regions"])})


def to_audit_run(row: Any) -> AuditRun:
    """The night that a row holds."""
    return AuditRun(
        day=row.day,
        state=AuditRunState(row.state),
        started_at=row.started_at,
        finished_at=row.finished_at,
        unreliable_channels=tuple(row.unreliable_channels),
        receipt=row.receipt,
        id=row.id,
    )


_HAS_CONTACT_COLUMNS = [
    (func.coalesce(CONTACT.c[name], "") != "").label(f"has_{name}") for name in CONTACT_METHODS
]
_CONTACT_COLUMNS = [CONTACT.c[name] for name in CONTACT_FIELDS]
_CONTACT_JOIN = CONTACT.c.association == ASSOCIATION.c.id
SELECT_ASSOCIATIONS = select(ASSOCIATION, *_HAS_CONTACT_COLUMNS).outerjoin(CONTACT, _CONTACT_JOIN)
"""Every association with the ways by which it can be reached; the addresses and numbers are left out."""
SELECT_ASSOCIATION_ENTRIES = select(
    ASSOCIATION, *_HAS_CONTACT_COLUMNS, *_CONTACT_COLUMNS
).outerjoin(CONTACT, _CONTACT_JOIN)
"""Every association with its contact."""


def to_association(row: Any) -> Association:
    """The association that a row of `ASSOCIATIONS` or `MEMBERS` holds."""
    told = row._mapping  # noqa: SLF001  # public, named so to leave columns their names
    facts = {name: told[name] for name in ASSOCIATION_FIELDS}
    facts |= {"tags": tuple(row.tags), "none_by_choice": tuple(row.none_by_choice)}
    reached = frozenset(name for name in CONTACT_METHODS if told[f"has_{name}"])
    return Association(id=row.id, contact_methods=reached, **facts)


def to_contact(row: Any) -> Contact:
    """The contact that a row holds."""
    return Contact(**{name: getattr(row, name) for name in CONTACT_FIELDS})


def to_association_entry(row: Any) -> AssociationEntry:
    """The entry that a row of `MEMBERS` holds."""
    return AssociationEntry(to_association(row), to_contact(row))


CHECK_TIME_COLUMNS = (CHECK_TIMES.c.checked_at, CHECK_TIMES.c.decided_at)
STATUS_WITH_CHECK_TIMES = ACCOUNT_STATUS.outerjoin(
    CHECK_TIMES, CHECK_TIMES.c.account_id == ACCOUNT_STATUS.c.account_id
)
"""Every standing, beside its moments."""
SELECT_ACCOUNT_STATUSES = select(ACCOUNT_STATUS, *CHECK_TIME_COLUMNS).select_from(
    STATUS_WITH_CHECK_TIMES
)


def to_account_status(row: Any) -> AccountStatus:
    """The standing that a row of STANDINGS holds."""
    standing: AccountStatus = row.status
    return replace(standing, checked_at=row.checked_at, decided_at=row.decided_at)
