"""Functions that turn database rows into models, and the columns they need."""

from dataclasses import fields, replace
from typing import Any

from sqlalchemy import func, select

from probes.models.finding import Identity, LinkKind, Reason
from storage.models.audit import (
    AccountRow,
    AccountStatus,
    Association,
    AssociationEntry,
    AuditRun,
    Contact,
    Decision,
    DecisionWithdrawal,
    DomainCheck,
    Gap,
    Proposal,
)
from storage.models.run_report import RunReport
from storage.tables.core import (
    ACCOUNT_STATUS,
    ASSOCIATION,
    CONTACT,
    GAP,
    AuditRunTable,
    DecisionTable,
)
from storage.tables.runs import CHECK_TIMES


def to_account_row(row: Any) -> AccountRow:
    """Return the account of a row."""
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
GAP_COLUMNS = list(GAP.c[GAP_FIELDS])
"""The columns of a `Gap`, without those of the read model."""


def to_gap(row: Any) -> Gap:
    """Return the gap of a row that begins with `GAP_COLUMNS`."""
    return Gap(*row[: len(GAP_FIELDS)])


def to_proposal(row: Any) -> Proposal:
    """Return the proposal of a row."""
    return Proposal(
        association=row.association,
        link=row.link,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        run_count=row.run_count,
        id=row.id,
    )


def to_domain_check(row: Any) -> DomainCheck:
    """Return the domain check of a row."""
    values = dict(row._mapping)  # noqa: SLF001  # public; the underscore keeps it apart from columns
    return DomainCheck(**{**values, "reason": Reason(row.reason) if row.reason else None})


def to_decision(row: DecisionTable) -> Decision:
    """Return the decision of a row. A withdrawal ends it early."""
    decision = Decision(
        association=row.association,
        channel=row.channel,
        kind=row.kind,
        author=row.author,
        reason=row.reason,
        decided_at=row.decided_at,
        expires_at=row.expires_at,
        account_id=row.account_id,
        code=row.code,
        value=row.value,
        id=row.id,
    )
    if row.withdrawal is None:
        return decision
    withdrawal = DecisionWithdrawal(
        row.withdrawal.author, row.withdrawal.reason, row.withdrawal.withdrawn_at
    )
    ends_at = withdrawal.withdrawn_at
    if decision.expires_at is not None:
        ends_at = min(decision.expires_at, ends_at)
    return replace(decision, expires_at=ends_at, withdrawal=withdrawal)


def to_audit_run(row: AuditRunTable) -> AuditRun:
    """Return the run of a row."""
    return AuditRun(
        day=row.day,
        state=row.state,
        started_at=row.started_at,
        finished_at=row.finished_at,
        unreliable_channels=tuple(row.unreliable_channels),
        report=RunReport.model_validate(row.report),
        id=row.id,
    )


_HAS_CONTACT_COLUMNS = (
    (func.coalesce(CONTACT.c.email, "") != "").label("has_email"),
    (func.coalesce(CONTACT.c.phone, "") != "").label("has_phone"),
)
_CONTACT_COLUMNS = (CONTACT.c.email, CONTACT.c.phone, CONTACT.c.media_officer, CONTACT.c.note)
_CONTACT_JOIN = CONTACT.c.association == ASSOCIATION.c.id
SELECT_ASSOCIATIONS = select(ASSOCIATION, *_HAS_CONTACT_COLUMNS).outerjoin(CONTACT, _CONTACT_JOIN)
"""Selects every association and its contact methods, without the addresses and numbers."""
SELECT_ASSOCIATION_ENTRIES = select(
    ASSOCIATION, *_HAS_CONTACT_COLUMNS, *_CONTACT_COLUMNS
).outerjoin(CONTACT, _CONTACT_JOIN)
"""Selects every association with its contact."""


def to_association(row: Any) -> Association:
    """Return the association of a row of one of the two queries above."""
    contact_methods = set()
    if row.has_email:
        contact_methods.add("email")
    if row.has_phone:
        contact_methods.add("phone")
    return Association(
        id=row.id,
        name=row.name,
        name_ar=row.name_ar,
        name_fr=row.name_fr,
        region=row.region,
        city=row.city,
        language=row.language,
        tags=tuple(row.tags),
        none_by_choice=tuple(row.none_by_choice),
        contact_methods=frozenset(contact_methods),
    )


def to_contact(row: Any) -> Contact:
    """Return the contact of a row."""
    return Contact(row.email, row.phone, row.media_officer, row.note)


def to_association_entry(row: Any) -> AssociationEntry:
    """Return the registry entry of a row of `SELECT_ASSOCIATION_ENTRIES`."""
    return AssociationEntry(to_association(row), to_contact(row))


CHECK_TIME_COLUMNS = (CHECK_TIMES.c.checked_at, CHECK_TIMES.c.decided_at)
STATUS_WITH_CHECK_TIMES = ACCOUNT_STATUS.outerjoin(
    CHECK_TIMES, CHECK_TIMES.c.account_id == ACCOUNT_STATUS.c.account_id
)
"""Every account status with its check times."""
SELECT_ACCOUNT_STATUSES = select(ACCOUNT_STATUS, *CHECK_TIME_COLUMNS).select_from(
    STATUS_WITH_CHECK_TIMES
)


def to_account_status(row: Any) -> AccountStatus:
    """Return the account status of a row of `SELECT_ACCOUNT_STATUSES`."""
    status: AccountStatus = row.status
    return replace(status, checked_at=row.checked_at, decided_at=row.decided_at)


def get_field_values(model: Any) -> dict[str, Any]:
    """Return the values of a dataclass by field.

    Unlike `asdict` it copies no value, which was two thirds of the time of a large import.
    """
    return {field.name: getattr(model, field.name) for field in fields(model)}
