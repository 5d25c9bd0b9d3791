"""How a night is done by many machines. `[cluster]` of the config."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class Cluster(BaseModel):
    """Whether `auditor worker`s do the night, over PostgreSQL, and how they share it.

    A worker is at `jobs` jobs at once and is heard of every `heartbeat` seconds; what one is at that was not
    heard of for `stalled_after` seconds is given to another. `wave` jobs wait in the queue at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    jobs: int = Field(default=10, ge=1, le=200)
    heartbeat: float = Field(default=10, gt=0, le=600)
    stalled_after: float = Field(default=60, gt=0, le=3600)
    wave: int = Field(default=2000, ge=1, le=10_000)

    @model_validator(mode="after")
    def _outlasts_the_heartbeat(self) -> Cluster:
        if self.stalled_after < 2 * self.heartbeat:
            told = {"near": "three times the heartbeat"}
            raise PydanticCustomError("nameless", "stalled_after is less than two heartbeats", told)
        return self
