"""Functions that turn database rows into models, and the parts of queries that they need."""

from collections.abc import Callable, Collection
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select

from probes.models.finding import Identity
from storage.models.audit import (
    CONTACT_METHODS,
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
from storage.models.users import AuditLogEntry
from storage.sanitize import sanitize
from storage.tables.core import (
    ACCOUNT_STATUS,
    ASSOCIATION,
    CONTACT,
    DECISION,
    DECISION_WITHDRAWAL,
    GAP,
)
from storage.tables.runs import CHECK_TIMES

T = TypeVar("T")


def build_mapper(model_type: type[T]) -> Callable[[Any], T]:
    """Return a function that builds a dataclass of a row. Its fields have columns of their name."""
    get_values = attrgetter(*get_field_names(model_type))
    return lambda row: model_type(*get_values(row))


def get_field_names(model_type: Any) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass."""
    return tuple(field.name for field in fields(model_type))


def get_field_values(model: Any, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the values of a dataclass by field, without some fields.

    Unlike `asdict` it copies no value, which was two thirds of the time of a large import.
    """
    names = (name for name in get_field_names(model) if name not in without)
    return {name: getattr(model, name) for name in names}


to_contact = build_mapper(Contact)
to_domain_check = build_mapper(DomainCheck)
to_log_entry = build_mapper(AuditLogEntry)
_to_identity = build_mapper(Identity)

GAP_FIELDS = get_field_names(Gap)
GAP_COLUMNS = list(GAP.c[GAP_FIELDS])
"""The columns of a `Gap`, without those of the read model."""
to_proposal = build_mapper(Proposal)


def to_gap(row: Any) -> Gap:
    """Return the gap of a row that begins with `GAP_COLUMNS`."""
    return Gap(*row[: len(GAP_FIELDS)])


def to_account_row(row: Any) -> AccountRow:
    """Return the account of a row."""
    return AccountRow(
        association=row.association,
        typed_text=row.typed_text,
        identity=_to_identity(row),
        column=row.column,
        id=row.id,
        added_at=row.added_at,
        withdrawn_at=row.withdrawn_at,
    )


WITHDRAWAL_COLUMNS = (
    DECISION_WITHDRAWAL.c.author.label("withdrawn_by"),
    DECISION_WITHDRAWAL.c.reason.label("withdrawn_reason"),
    DECISION_WITHDRAWAL.c.withdrawn_at,
)
SELECT_DECISIONS = select(DECISION, *WITHDRAWAL_COLUMNS).outerjoin(DECISION_WITHDRAWAL)
"""Selects every decision with its withdrawal."""


def to_decision(row: Any) -> Decision:
    """Return the decision of a row of `SELECT_DECISIONS`. A withdrawal ends it early."""
    ends_at, withdrawal = row.expires_at, None
    if row.withdrawn_at is not None:
        withdrawal = DecisionWithdrawal(row.withdrawn_by, row.withdrawn_reason, row.withdrawn_at)
        ends_at = min(filter(None, (ends_at, row.withdrawn_at)))
    return Decision(
        association=row.association,
        channel=row.channel,
        kind=row.kind,
        author=row.author,
        reason=row.reason,
        decided_at=row.decided_at,
        expires_at=ends_at,
        account_id=row.account_id,
        code=row.code,
        value=row.value,
        withdrawal=withdrawal,
        id=row.id,
    )


def to_audit_run(row: Any) -> AuditRun:
    """Return the run of a row."""
    return AuditRun(
        day=row.day,
        state=row.state,
        started_at=row.started_at,
        resumed_at=row.resumed_at,
        finished_at=row.finished_at,
        unreliable_channels=row.unreliable_channels,
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
    flags = zip(CONTACT_METHODS, (row.has_email, row.has_phone), strict=True)
    return Association(
        id=row.id,
        name=row.name,
        name_ar=row.name_ar,
        name_fr=row.name_fr,
        region=row.region,
        city=row.city,
        language=row.language,
        tags=row.tags,
        none_by_choice=row.none_by_choice,
        contact_methods=frozenset(method for method, is_known in flags if is_known),
    )


def to_association_entry(row: Any) -> AssociationEntry:
    """Return the registry entry of a row of `SELECT_ASSOCIATION_ENTRIES`."""
    return AssociationEntry(to_association(row), to_contact(row), row.withdrawn_at)


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


RegionFilter = Collection[str] | None
"""Regions as spelt in the registry. None means all associations, also those without a region."""


def build_region_filter(
    association_column: Any, regions: RegionFilter
) -> tuple[ColumnElement[bool], ...]:
    """Return the condition that the association of a column is in one of these regions."""
    if regions is None:
        return ()
    ids = select(ASSOCIATION.c.id).where(ASSOCIATION.c.region.in_(sanitize(sorted(regions))))
    return (association_column.in_(ids),)
