"""A badge for an association's own pages: its level and the day it was checked, for those that want one."""

from __future__ import annotations

from datetime import datetime

from auditor.templating import render
from auditor.view import AssociationView
from auditor.wording import Wording
from storage.model import Association

TAG = "badge"
"""Who wants a badge has this tag in the registry; nobody else has one."""


def is_wanted(association: Association) -> bool:
    """Whether the association chose to show a badge."""
    return TAG in association.tags


def badge(view: AssociationView, checked_at: datetime, language: str) -> str:
    """The badge as SVG, in a language. Pure."""
    words = Wording(language)
    return render(
        "badge.svg",
        language,
        name=view.association.shown(language),
        level=words.label("level", view.score.level),
        checked=words.say("Presence checked on {day}", day=checked_at),
    )
