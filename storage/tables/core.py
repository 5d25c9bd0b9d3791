"""Tables of the registry, runs, conclusions and decisions, and the column types of all tables.

A model that is only read whole (a finding, its evidence) is one JSON text. What is searched,
counted or joined has its own column. The JSON leaves out default values, so the meaning of a
default in the models must not change.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, cast

from pydantic import TypeAdapter
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import relationship
from sqlmodel import Field, Relationship, SQLModel
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from probes.models.finding import FoundLink
from storage.models.audit import AccountStatus, AuditRunState, DecisionKind


class StoredModel(SQLModel):
    """Base of all tables.

    SQLModel does not validate tables, so the validators of their fields are not built. That saves a
    tenth of the time that loading the storage takes (0.09 of 0.85 s CPU, 2026-11).
    """

    model_config = {"defer_build": True}


METADATA = SQLModel.metadata
METADATA.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""Names for every constraint, so that a later revision can drop it on SQLite too."""


PLAIN_JSON = JSON(none_as_null=True)


class JsonModelType(TypeDecorator[Any]):
    """A column type that stores a whole model as JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, model_type: Any) -> None:
        super().__init__()
        self.model_type = model_type

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        """The validator of the model. Building all of them would slow down every command."""
        return TypeAdapter(self.model_type)

    def __repr__(self) -> str:
        return "Text()"

    def process_bind_param(
        self,
        value: Any,
        dialect: Dialect | None,  # noqa: ARG002
    ) -> str | None:  # SQLAlchemy's signature
        """Return the model as JSON, without its default values."""
        if value is None:
            return None
        return self._adapter.dump_json(value, exclude_defaults=True).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        """Return the model. Raises pydantic's ValidationError if the row is damaged."""
        return None if value is None else self._adapter.validate_json(value)


class TextEnumType(TypeDecorator[Any]):
    """A column type that stores a member of a text enumeration as its value."""

    impl = AutoString
    cache_ok = True

    def __init__(self, enum_type: type[StrEnum]) -> None:
        super().__init__()
        self.enum_type = enum_type

    def process_bind_param(
        self,
        value: Any,
        dialect: Dialect,  # noqa: ARG002
    ) -> str | None:  # SQLAlchemy's signature
        """Return the value of the member."""
        return None if value is None else self.enum_type(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        """Return the member. Raises ValueError if the row is damaged."""
        return None if value is None else self.enum_type(value)


def cascading_foreign_key(target: str) -> Any:
    """Return a foreign key that deletes its row together with the row it refers to."""
    return ForeignKey(target, ondelete="CASCADE")


def optional_datetime_column(*, index: bool = False) -> Any:
    """Return a column for a time in UTC that may be NULL."""
    return Field(default=None, sa_type=cast("Any", UTCDateTime), nullable=True, index=index)


def datetime_column() -> Any:
    """Return a column for a time in UTC."""
    return Field(sa_type=cast("Any", UTCDateTime), nullable=False)


def json_model_column(model_type: Any) -> Any:
    """Return a column that stores a whole model as JSON text."""
    return Field(sa_column=Column(JsonModelType(model_type), nullable=False))


def json_column(**field_options: Any) -> Any:
    """Return a column for plain JSON."""
    return Field(sa_column=Column(PLAIN_JSON, nullable=False), **field_options)


def enum_column(enum_type: type[StrEnum]) -> Any:
    """Return a column for a member of a text enumeration."""
    return Field(sa_type=cast("Any", TextEnumType(enum_type)), nullable=False)


def optional_enum_column(enum_type: type[StrEnum]) -> Any:
    """Return a column for a member of a text enumeration that may be NULL."""
    return Field(default=None, sa_type=cast("Any", TextEnumType(enum_type)), nullable=True)


def boolean_column() -> Any:
    """Return a boolean column that is false by default."""
    return Field(sa_column=Column(Boolean, server_default=false(), nullable=False))


class AssociationTable(StoredModel, table=True):
    """An association of the network."""

    __tablename__: ClassVar[Any] = "association"

    id: str = Field(primary_key=True)
    name: str
    name_ar: str | None = None
    name_fr: str | None = None
    region: str | None = Field(default=None, index=True)
    city: str | None = None
    language: str
    tags: list[str] = json_column()
    none_by_choice: list[str] = json_column()
    withdrawn_at: datetime | None = optional_datetime_column()


class ContactTable(StoredModel, table=True):
    """Contact data of an association. There is no row if nothing is known."""

    __tablename__: ClassVar[Any] = "contact"

    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), primary_key=True)
    )
    email: str | None = None
    phone: str | None = None
    media_officer: str | None = None
    note: str | None = None


class AccountTable(StoredModel, table=True):
    """A registered account or link of an association.

    `import_key` is its key, or the typed text if it has no key. An import finds the row by it.
    """

    __tablename__: ClassVar[Any] = "account"
    __table_args__ = (
        UniqueConstraint("association", "column", "channel", "import_key"),
        Index(None, "channel", "key"),
    )

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False)
    )
    column: str
    channel: str
    import_key: str
    typed_text: str
    kind: str
    key: str | None = None
    canonical: str | None = None
    url: str | None = None
    note: str | None = None
    added_at: datetime = datetime_column()
    withdrawn_at: datetime | None = optional_datetime_column()


class AuditLogTable(StoredModel, table=True):
    """An entry of the audit log. Rows are only added, and stay if the association is pruned."""

    __tablename__: ClassVar[Any] = "audit_log"

    id: int | None = Field(default=None, primary_key=True)
    changed_at: datetime = datetime_column()
    author: str
    source: str
    association: str = Field(index=True)
    field: str
    before: str | None = None
    after: str | None = None


class AuditRunTable(StoredModel, table=True):
    """An audit run. `day` is unique, a second protection besides the lock of the run."""

    __tablename__: ClassVar[Any] = "audit_run"

    id: int | None = Field(default=None, primary_key=True)
    day: date = Field(unique=True)
    state: AuditRunState = enum_column(AuditRunState)
    started_at: datetime = datetime_column()
    finished_at: datetime | None = optional_datetime_column()
    unreliable_channels: list[str] = json_column()
    report: dict[str, Any] = json_column()


class DecisionTable(StoredModel, table=True):
    """A decision of a person. Rows are only added."""

    __tablename__: ClassVar[Any] = "decision"

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(
        sa_column=Column(Text, cascading_foreign_key("association.id"), nullable=False, index=True)
    )
    channel: str
    kind: DecisionKind = enum_column(DecisionKind)
    author: str
    reason: str
    decided_at: datetime = datetime_column()
    expires_at: datetime | None = optional_datetime_column()
    account_id: int | None = Field(
        default=None, sa_column=Column(Integer, cascading_foreign_key("account.id"), nullable=True)
    )
    code: str | None = None
    value: str | None = None
    withdrawal: DecisionWithdrawalTable | None = Relationship(
        sa_relationship=relationship(
            "DecisionWithdrawalTable", lazy="joined", uselist=False, viewonly=True
        )
    )


class DecisionWithdrawalTable(StoredModel, table=True):
    """The withdrawal of a decision. Rows are only added."""

    __tablename__: ClassVar[Any] = "decision_withdrawal"

    decision_id: int = Field(
        sa_column=Column(
            Integer, cascading_foreign_key("decision.id"), primary_key=True, autoincrement=False
        )
    )
    author: str
    reason: str
    withdrawn_at: datetime = datetime_column()


def get_table(model: type[SQLModel]) -> Table:
    """Return the SQLAlchemy table of a model."""
    return cast("Table", cast("Any", model).__table__)


ASSOCIATION = get_table(AssociationTable)
CONTACT = get_table(ContactTable)
ACCOUNT = get_table(AccountTable)
AUDIT_LOG = get_table(AuditLogTable)
AUDIT_RUN = get_table(AuditRunTable)
DECISION = get_table(DecisionTable)
DECISION_WITHDRAWAL = get_table(DecisionWithdrawalTable)

ACCOUNT_STATUS = Table(
    "account_status",
    METADATA,
    Column("account_id", Integer, cascading_foreign_key("account.id"), primary_key=True),
    Column("status", JsonModelType(AccountStatus), nullable=False),
)
"""The status of an account, without its check times (`CHECK_TIMES`). Derived."""

GAP = Table(
    "gap",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("association", Text, cascading_foreign_key("association.id"), nullable=False),
    Column("channel", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("code", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("first_seen", UTCDateTime, nullable=False),
    Column("run_count", Integer, nullable=False),
    Column("opened_at", UTCDateTime),
    Column("closed_at", UTCDateTime, index=True),
    Column("params", PLAIN_JSON, nullable=False),
    Column("evidence", PLAIN_JSON, nullable=False),
    Column("is_visible", Boolean, server_default=false(), nullable=False),
    Column("is_reportable", Boolean, server_default=false(), nullable=False),
    Column("sort_rank", Integer, server_default=text("0"), nullable=False),
    UniqueConstraint("association", "channel", "subject", "code", "first_seen"),
    Index(None, "is_visible", "sort_rank", "association", "id"),
    Index(None, "is_visible", "code", "sort_rank", "association", "id"),
    Index(None, "is_visible", "channel", "sort_rank", "association", "id"),
    Index(None, "is_visible", "code", "channel", "sort_rank", "association", "id"),
    Index(None, "is_visible", "opened_at", "id"),
    Index(None, "is_reportable", "sort_rank", "opened_at", "id"),
    Index(None, "is_reportable", "sort_rank", "closed_at", "id"),
)
"""A gap: a rule that matches an association, or matched it. Derived.

`is_reportable`, `is_visible` and `sort_rank` belong to the read model and are written with the
summary. `is_reportable`: the gap is or was open and is not waived, so reports may mention it.
`is_visible`: lists show it. `sort_rank`: the position in lists.
"""

PROPOSAL = Table(
    "proposal",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("association", Text, cascading_foreign_key("association.id"), nullable=False),
    Column("channel", String, nullable=False),
    Column("key", String, nullable=False),
    Column("link", JsonModelType(FoundLink), nullable=False),
    Column("first_seen", UTCDateTime, nullable=False),
    Column("last_seen", UTCDateTime, nullable=False),
    Column("run_count", Integer, nullable=False),
    UniqueConstraint("association", "channel", "key"),
)
"""An account that was found but is not registered. Derived."""
