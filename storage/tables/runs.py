"""What workers on many machines share while a night goes on; taken away when it ends.

The plan of the night that goes on: derived when it begins, taken away when it ends.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel

from storage.models.audit import Observation
from storage.tables.core import (
    Noun,
    flag_column,
    instant_column,
    json_column,
    moment_column,
    reference,
    table_of,
)


class SweepTable(SQLModel, table=True):
    """The night that workers are at: until when, what they have told, and by what they know the folder."""

    __tablename__: ClassVar[Any] = "sweep"

    night_id: int = Field(
        sa_column=Column(Integer, reference("night.id"), primary_key=True, autoincrement=False)
    )
    ends_at: datetime | None = instant_column()
    is_closed: bool = flag_column()
    mark: str
    told: dict[str, Any] = json_column()


class TurnTable(SQLModel, table=True):
    """When a host may be asked again, by the number of its name, and whether somebody asks it.

    On PostgreSQL it is not logged.
    """

    __tablename__: ClassVar[Any] = "turn"

    host: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    free_at: datetime = moment_column()
    is_asked: bool = flag_column()


SWEEP = table_of(SweepTable)
TURN = table_of(TurnTable)


class PlanTable(SQLModel, table=True):
    """One account that the night is to look at, and when: by round, by place, by rank.

    A place is a host or a platform, as a number. `look` is a first look after which a second is to be made.
    """

    __tablename__: ClassVar[Any] = "plan"
    __table_args__ = (Index("ix_plan_order", "round", "spot", "rank", "account_id"),)

    account_id: int = Field(
        sa_column=Column(Integer, reference("account.id"), primary_key=True, autoincrement=False)
    )
    round: int
    spot: int = Field(sa_column=Column(BigInteger, nullable=False))
    rank: int = Field(sa_column=Column(BigInteger, nullable=False))
    look: Observation | None = Field(default=None, sa_column=Column(Noun(Observation), nullable=True))


PLAN = table_of(PlanTable)
(ORDER,) = PLAN.indexes
"""By which the plan is read; it is made when the plan is written, for then it is sorted once."""
