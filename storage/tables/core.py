"""Tables of the registry, runs, conclusions and decisions, and the column types of all tables.

A model that is only read whole (a finding, its evidence) is one JSON text. What is searched,
counted or joined has its own column. The JSON leaves out default values, so the meaning of a
default in the models must not change.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

from probes.models.finding import FoundLink, LinkKind
from storage.models.audit import AccountStatus, AuditRunState, DecisionKind

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Names for every constraint, so that a later revision can drop it on SQLite too."""


PLAIN_JSON = JSON(none_as_null=True)


class UTCDateTime(TypeDecorator[datetime]):
    """A column type that stores an aware time in UTC. SQLite stores no time zone.

    SQLModel has the same type, but importing it loads the whole of SQLModel.
    """

    impl = DateTime
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(timezone=True)

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:  # SQLAlchemy's signature
        """Return the time in UTC. Raises ValueError if it has no time zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time to store needs a time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy's signature
        """Return the time in UTC."""
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


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


class JsonTupleType(TypeDecorator[Any]):
    """A column type that stores a tuple of texts as plain JSON."""

    impl = JSON
    cache_ok = True

    def __repr__(self) -> str:
        return "JSON()"

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's signature
        """Return the tuple."""
        return None if value is None else tuple(value)


class TextEnumType(TypeDecorator[Any]):
    """A column type that stores a member of a text enumeration as its value."""

    impl = String
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


ASSOCIATION = Table(
    "association",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("name_ar", String),
    Column("name_fr", String),
    Column("region", String, index=True),
    Column("city", String),
    Column("language", String, nullable=False),
    Column("tags", JsonTupleType, nullable=False),
    Column("none_by_choice", JsonTupleType, nullable=False),
    Column("withdrawn_at", UTCDateTime),
    # for SQLite, which takes a full index for rows without a value; naming PostgreSQL here would
    # load its dialect
    Index(None, "withdrawn_at", sqlite_where=text("withdrawn_at IS NOT NULL")),
)
"""An association of the network."""

CONTACT = Table(
    "contact",
    METADATA,
    Column("association", Text, cascading_foreign_key("association.id"), primary_key=True),
    Column("email", String),
    Column("phone", String),
    Column("media_officer", String),
    Column("note", String),
)
"""Contact data of an association. There is no row if nothing is known."""

IDS_ARE_USED_ONCE = {"sqlite_autoincrement": True}
"""Options of a table whose ids wait in confirmations and open pages.

SQLite would give the id of an erased row to the next one, and Undo would then concern that.
"""

ACCOUNT = Table(
    "account",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("association", Text, cascading_foreign_key("association.id"), nullable=False),
    Column("column", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("import_key", String, nullable=False),
    Column("typed_text", String, nullable=False),
    Column("kind", TextEnumType(LinkKind), nullable=False),
    Column("key", String),
    Column("canonical", String),
    Column("url", String),
    Column("note", String),
    Column("added_at", UTCDateTime, nullable=False),
    Column("withdrawn_at", UTCDateTime),
    UniqueConstraint("association", "column", "channel", "import_key"),
    Index(None, "channel", "key"),
)
"""A registered account or link of an association.

`import_key` is its key, or the typed text if it has no key. An import finds the row by it.
"""

AUDIT_LOG = Table(
    "audit_log",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("changed_at", UTCDateTime, nullable=False, index=True),
    Column("author", String, nullable=False),
    Column("source", String, nullable=False),
    Column("association", String, nullable=False, index=True),
    Column("field", String, nullable=False),
    Column("before", String),
    Column("after", String),
)
"""An entry of the audit log. Rows are only added, and stay if the association is pruned."""

AUDIT_RUN = Table(
    "audit_run",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("day", Date, nullable=False, unique=True),
    Column("state", TextEnumType(AuditRunState), nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("resumed_at", UTCDateTime),
    Column("finished_at", UTCDateTime),
    Column("unreliable_channels", JsonTupleType, nullable=False),
    Column("report", PLAIN_JSON, nullable=False),
)
"""An audit run. `day` is unique, a second protection besides the lock of the run."""

DECISION = Table(
    "decision",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column(
        "association", Text, cascading_foreign_key("association.id"), nullable=False, index=True
    ),
    Column("channel", String, nullable=False),
    Column("kind", TextEnumType(DecisionKind), nullable=False),
    Column("author", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("decided_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime),
    Column("account_id", Integer, cascading_foreign_key("account.id")),
    Column("code", String),
    Column("value", String),
)
"""A decision of a person. Rows are only added."""

DECISION_WITHDRAWAL = Table(
    "decision_withdrawal",
    METADATA,
    Column(
        "decision_id",
        Integer,
        cascading_foreign_key("decision.id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("author", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("withdrawn_at", UTCDateTime, nullable=False),
)
"""The withdrawal of a decision. Rows are only added."""

SURVEY_ANSWER = Table(
    "survey_answer",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column(
        "association", Text, cascading_foreign_key("association.id"), nullable=False, index=True
    ),
    Column("question", String, nullable=False),
    Column("answer", String, nullable=False),
    Column("answered_at", UTCDateTime, nullable=False),
    Column("author", String, nullable=False),
    Column("report_link_id", Integer),
    Index(None, "question", "association"),
    sqlite_autoincrement=True,  # their ids wait in confirmations, see IDS_ARE_USED_ONCE
)
"""An answer of an association to a question of the survey."""

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
    Index(None, "code", "channel", "association"),
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
