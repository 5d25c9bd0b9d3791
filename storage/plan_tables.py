"""The plan of the night that goes on: derived when it begins, taken away when it ends."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer
from sqlmodel import Field, SQLModel

from storage.model import Observation
from storage.tables import Noun, reference, table_of


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
