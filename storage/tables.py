"""The tables, as SQLModel classes. Nothing outside `storage` sees them: `Store` takes and gives nouns.

Whole nouns that are only ever read whole (a finding, its evidence) are one JSON text each; what is
searched, counted or joined has a column of its own. A noun's defaults are not written, so a default
in the models must never change its meaning.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar, cast

from pydantic import TypeAdapter
from sqlalchemy import JSON, BigInteger, Column, Dialect, ForeignKey, Integer, Table, Text, TypeDecorator
from sqlalchemy import UniqueConstraint as Unique
from sqlmodel import Field, SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from probes.model import Finding, FoundLink, Scalar
from storage.model import Evidence, Standing

METADATA = SQLModel.metadata
METADATA.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, so that a later revision can drop it on SQLite too."""


class Noun(TypeDecorator[Any]):
    """A column that holds a whole noun as JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.shape = shape
        self._adapter: TypeAdapter[Any] = TypeAdapter(shape)

    def __repr__(self) -> str:
        return "Text()"

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002  # SQLAlchemy's
        """Write the noun, without its defaults."""
        return None if value is None else self._adapter.dump_json(value, exclude_defaults=True).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy's
        """Read the noun again. Raises pydantic's ValidationError where it is none (a damaged row)."""
        return None if value is None else self._adapter.validate_json(value)


def _to(place: str) -> Any:
    return ForeignKey(place, ondelete="CASCADE")


def _instant(*, index: bool = False) -> Any:
    return Field(default=None, sa_type=cast("Any", UTCDateTime), nullable=True, index=index)


def _moment() -> Any:
    return Field(sa_type=cast("Any", UTCDateTime), nullable=False)


def _noun(shape: Any) -> Any:
    return Field(sa_column=Column(Noun(shape), nullable=False))


def _json() -> Any:
    return Field(sa_column=Column(JSON(none_as_null=True), nullable=False))


class AssociationTable(SQLModel, table=True):
    """One organisation."""

    __tablename__: ClassVar[Any] = "association"

    id: str = Field(primary_key=True)
    name: str
    name_ar: str | None = None
    name_fr: str | None = None
    region: str | None = None
    city: str | None = None
    language: str
    email: str | None = None
    phone: str | None = None
    tags: list[str] = _json()
    none_by_choice: list[str] = _json()
    media_officer: str | None = None
    note: str | None = None
    withdrawn_at: datetime | None = _instant()


class AccountTable(SQLModel, table=True):
    """One registered link. `mark` is its key, or the typed text where it has none: a re-import's handle."""

    __tablename__: ClassVar[Any] = "account"
    __table_args__ = (Unique("association", "column", "channel", "mark"),)

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(sa_column=Column(Text, _to("association.id"), nullable=False))
    column: str
    channel: str
    mark: str
    typed: str
    kind: str
    key: str | None = None
    canonical: str | None = None
    url: str | None = None
    note: str | None = None
    added_at: datetime = _moment()
    withdrawn_at: datetime | None = _instant()


class NightTable(SQLModel, table=True):
    """One night. `day` is unique: the second belt beside the run's lock."""

    __tablename__: ClassVar[Any] = "night"

    id: int | None = Field(default=None, primary_key=True)
    day: date = Field(unique=True)
    state: str
    started_at: datetime = _moment()
    finished_at: datetime | None = _instant()
    blind: list[str] = _json()
    receipt: dict[str, Any] = _json()


class ObservationTable(SQLModel, table=True):
    """One finding with its evidence. One for each account and night; never changed."""

    __tablename__: ClassVar[Any] = "observation"
    __table_args__ = (Unique("account_id", "night_id"),)

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    account_id: int = Field(sa_column=Column(Integer, _to("account.id"), nullable=False))
    night_id: int = Field(sa_column=Column(Integer, _to("night.id"), nullable=False, index=True))
    observed_at: datetime = _moment()
    presence: str
    finding: Finding = _noun(Finding)
    evidence: tuple[Evidence, ...] = _noun(tuple[Evidence, ...])
    probe_version: int


class StandingTable(SQLModel, table=True):
    """What is held true of an account. Derived."""

    __tablename__: ClassVar[Any] = "standing"

    account_id: int = Field(
        sa_column=Column(Integer, _to("account.id"), primary_key=True, autoincrement=False)
    )
    standing: Standing = _noun(Standing)


class GapTable(SQLModel, table=True):
    """A rule that holds, or held. Derived."""

    __tablename__: ClassVar[Any] = "gap"
    __table_args__ = (Unique("association", "channel", "subject", "code", "first_seen"),)

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(sa_column=Column(Text, _to("association.id"), nullable=False))
    channel: str
    subject: str
    code: str
    severity: str
    first_seen: datetime = _moment()
    nights: int
    opened_at: datetime | None = _instant()
    closed_at: datetime | None = _instant(index=True)
    params: dict[str, Scalar] = _json()
    evidence: dict[str, Scalar] = _json()


class ProposalTable(SQLModel, table=True):
    """An account nobody registered. Derived."""

    __tablename__: ClassVar[Any] = "proposal"
    __table_args__ = (Unique("association", "channel", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(sa_column=Column(Text, _to("association.id"), nullable=False))
    channel: str
    key: str
    link: FoundLink = _noun(FoundLink)
    first_seen: datetime = _moment()
    last_seen: datetime = _moment()
    nights: int


class DecisionTable(SQLModel, table=True):
    """A person's word. Only ever added to."""

    __tablename__: ClassVar[Any] = "decision"

    id: int | None = Field(default=None, primary_key=True)
    association: str = Field(sa_column=Column(Text, _to("association.id"), nullable=False, index=True))
    channel: str
    kind: str
    who: str
    why: str
    decided_at: datetime = _moment()
    until: datetime | None = _instant()
    account_id: int | None = Field(default=None, sa_column=Column(Integer, _to("account.id"), nullable=True))
    code: str | None = None
    value: str | None = None


class WithdrawalTable(SQLModel, table=True):
    """The end of a person's word before its time. Only ever added to."""

    __tablename__: ClassVar[Any] = "withdrawal"

    decision_id: int = Field(
        sa_column=Column(Integer, _to("decision.id"), primary_key=True, autoincrement=False)
    )
    who: str
    why: str
    withdrawn_at: datetime = _moment()


def _table(model: type[SQLModel]) -> Table:
    return cast("Table", cast("Any", model).__table__)


ASSOCIATION = _table(AssociationTable)
ACCOUNT = _table(AccountTable)
NIGHT = _table(NightTable)
OBSERVATION = _table(ObservationTable)
STANDING = _table(StandingTable)
GAP = _table(GapTable)
PROPOSAL = _table(ProposalTable)
DECISION = _table(DecisionTable)
WITHDRAWAL = _table(WithdrawalTable)
