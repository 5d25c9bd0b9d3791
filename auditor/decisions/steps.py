"""Steps towards fixing a gap that associations tick in their reports.

A tick is what the association says. It changes no status and closes no gap: the next run checks.
"""

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from auditor.core.form_limits import (
    MAX_ADDRESS_CHARS,
    MAX_CHANNEL_CHARS,
    MAX_CODE_CHARS,
    MAX_PLACE_CHARS,
    MAX_TICKED_STEPS,
)
from auditor.decisions.replies import ReplyRefusal, ReplyRefusedError, find_gap
from auditor.evaluation.association_view import AssociationView
from auditor.reference.gap_catalogue import LANGUAGES, load_gap_catalogue
from storage.models.audit import Gap
from storage.store import Store
from storage.tables.communication import CompletedStep


class StepsForm(BaseModel):
    """The ticked steps of a gap as they were submitted; `step` are numbers from 1."""

    model_config = ConfigDict(frozen=True)

    at: str = Field(default="", max_length=MAX_PLACE_CHARS)
    gap_code: str = Field(default="", max_length=MAX_CODE_CHARS)
    channel: str = Field(default="", max_length=MAX_CHANNEL_CHARS)
    subject: str = Field(default="", max_length=MAX_ADDRESS_CHARS)
    step: list[int] = Field(default=[], max_length=MAX_TICKED_STEPS)


def save_completed_steps(
    store: Store, view: AssociationView, form: StepsForm, now: datetime
) -> None:
    """Store which steps of a gap are ticked.

    Raises ReplyRefusedError if the gap is not in the report.
    """
    gap = find_gap(view, form.gap_code, form.channel, form.subject)
    if gap is None:
        raise ReplyRefusedError(ReplyRefusal.UNKNOWN_SUBJECT)
    step_count = len(load_gap_catalogue()[gap.code].get_steps(gap.channel, LANGUAGES[0]))
    store.completed_steps.save(gap, set(form.step).intersection(range(1, step_count + 1)), now)


def select_completed_steps(gap: Gap, completed_steps: Iterable[CompletedStep]) -> frozenset[int]:
    """Return the numbers of the steps of a gap that are ticked since it was first seen."""
    sign, steps = (gap.channel, gap.code, gap.subject), set()
    for row in completed_steps:
        is_of_gap = (row.channel, row.code, row.subject) == sign
        if is_of_gap and row.completed_at >= gap.first_seen:
            steps.add(row.step)
    return frozenset(steps)
