"""An association's own report as one page: what works, what to do next, what could not be told.

It carries its own style and asks for nothing else, so that it opens on an old telephone and a weak line;
the same page is served, published, printed and made into a PDF.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from auditor.config.schema import Config
from auditor.decisions.replies import Refusal
from auditor.evaluation.association_view import AssociationView
from auditor.rendering import svg
from auditor.rendering.links import Link
from auditor.rendering.templates import render, words_of
from auditor.reports import text
from auditor.reports.badge import snippet
from auditor.reports.strengths import advice, appeared, settled, working
from auditor.rules.score import WEIGHTS
from storage.models.audit import Gap
from storage.models.communication import Reply

FULL = text.FULL
POLICY = (
    "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True, slots=True)
class Replies:
    """What an association has already said, by what it is about, oldest first."""

    said: Sequence[Reply] = ()

    def of_account(self, account_id: int) -> list[Reply]:
        """About one registered link."""
        return [reply for reply in self.said if reply.account_id == account_id and reply.code is None]

    def of_gap(self, gap: Gap) -> list[Reply]:
        """About one gap."""
        return [reply for reply in self.said if (reply.code, reply.channel) == (gap.code, gap.channel)]

    def of_found(self, key: str) -> list[Reply]:
        """About an account that was found and that nobody registered."""
        return [reply for reply in self.said if reply.value == key and reply.account_id is None]


def report(
    view: AssociationView,
    config: Config,
    as_of: datetime,
    link: Link,
    language: str,
    *,
    live: bool = False,
    replies: Sequence[Reply] = (),
    thanked: bool = False,
    refused: Refusal | None = None,
    address: str = "",
    pdf: str = "",
) -> str:
    """The report in a language, whole. Pure.

    A `live` one can be answered to: `replies` are the answers so far, `thanked` follows one, `refused` one
    that could not be taken. `address` is where it is found online, for the QR code on paper; `pdf` is where
    its PDF is.
    """
    words = words_of(language)
    return render(
        "report.html",
        language,
        view=view,
        config=config,
        as_of=as_of,
        link=link,
        live=live,
        replies=Replies(sorted(replies, key=lambda reply: reply.said_at)),
        thanked=thanked,
        refused=refused,
        strengths=list(text.spoken(working(view), words)),
        todo=[(gap, words.gap(gap.code, gap.channel, gap.severity, gap.params)) for gap in view.gaps],
        full=FULL,
        unchecked=[words.gap(one.code, one.channel, "info", one.params) for one in view.unchecked],
        settled=[words.gap(gap.code, gap.channel, gap.severity, gap.params) for gap in settled(view, as_of)],
        appeared=[
            words.gap(gap.code, gap.channel, gap.severity, gap.params) for gap in appeared(view, as_of)
        ],
        points=points(),
        advice=advice(view),
        face=text,
        square=svg.code(address) if address else "",
        address=address,
        pdf=pdf,
        due=due,
        badge=snippet(config, view.association, language) if live else "",
    )


def due(reply: Reply) -> date | str:
    """The day of a promise; what stands there where it is none."""
    try:
        return date.fromisoformat(reply.value or "")
    except ValueError:
        return reply.value or ""


def points() -> Mapping[str, int]:
    """How many of the 100 points each channel has."""
    channels = dict.fromkeys(item.partition(".")[0] for item in WEIGHTS)
    return {
        channel: sum(weight for item, weight in WEIGHTS.items() if item.startswith(f"{channel}."))
        for channel in channels
    }


def policy(told: str) -> str:
    """The Content-Security-Policy of a report: its own style, and nothing from anywhere."""
    style = re.search(r"<style>(.*?)</style>", told, re.DOTALL)
    assert style is not None
    return POLICY.format(digest=b64encode(sha256(style[1].encode()).digest()).decode())
