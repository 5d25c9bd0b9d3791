"""A badge for an association's own pages: its level and the day it was checked, for those that want one."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from markupsafe import escape

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.i18n.wording import Wording
from auditor.rendering.templates import render
from storage.models.audit import Association

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


def address(config: Config, association: Association, language: str) -> str:
    """Where other sites find its badge; empty where it wants none, or this server has no public address."""
    base = config.web.public_url
    if not base or not is_wanted(association):
        return ""
    return f"{base}/badge/{quote(association.id, safe='')}/{language}.svg"


def snippet(config: Config, association: Association, language: str) -> str:
    """The HTML that shows the badge on its own site; empty where it has no address."""
    words, source = Wording(language), address(config, association, language)
    if not source:
        return ""
    said = words.say("Presence on the networks, checked by {network}", network=config.network.shown(language))
    return f'<img src="{escape(source)}" width="300" height="64" alt="{escape(said)}">'
