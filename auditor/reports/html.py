"""An association's own report as one page: what works, what to do next, what could not be told.

It carries its own style and asks for nothing else, so that it opens on an old telephone and a weak line;
the same page is served, published, printed and made into a PDF.

A folder of static pages: the network, and each association in each language. No script.

The same templates, the same Overview as every other face; any web server or a memory stick can carry it.

A badge for an association's own pages: its level and the day it was checked, for those that want one.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import escape

from auditor.config.schema import Config
from auditor.decisions.replies import Refusal
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import Overview, overview
from auditor.i18n.wording import Wording
from auditor.rendering import svg
from auditor.rendering.templates import Folder, Link, file_name, render, words_of
from auditor.reports import text
from auditor.reports.text import advice, appeared, settled, working
from auditor.rules.score import WEIGHTS
from storage.models.audit import Association, Gap
from storage.models.users import Reply

if TYPE_CHECKING:
    from auditor.protocols import Memory


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


STYLES = ("pico.min.css", "pico-rtl.css", "app.css")
Progress = Callable[[int, int], None]


def publish(app: Memory, folder: Path, now: datetime, *, progress: Progress | None = None) -> int:
    """Write the pages, each whole or not at all; returns how many. Raises OSError."""
    seen = overview(app.store, app.config, now)
    wanted = sum(is_wanted(view.association) for view in seen.associations)
    total = 1 + len(app.config.report.languages) * (1 + len(seen.associations) + wanted)
    written = 0
    for name in STYLES:
        _write(folder / name, files("auditor.web").joinpath("static", name).read_text("utf-8"))
    for name, told in chain(pages(seen, app.config), badges(seen, app.config)):
        _write(folder / name, told)
        written += 1
        if progress:
            progress(written, total)
    return written


def _write(path: Path, told: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(told, "utf-8")
    unfinished.replace(path)


def pages(seen: Overview, config: Config) -> Iterator[tuple[str, str]]:
    """Every page by its name in the folder. Pure."""
    languages = config.report.languages
    yield "index.html", render("language_index.html", languages[0], config=config)
    for language in languages:
        front = Folder("index.html", languages)
        yield (
            f"{language}/index.html",
            render("network.html", language, seen=seen, config=config, link=front, as_of=seen.as_of),
        )
        for view in seen.associations:
            name = file_name(view.association.id)
            yield f"{language}/{name}", report(view, config, seen.as_of, Folder(name, languages), language)


def badges(seen: Overview, config: Config) -> Iterator[tuple[str, str]]:
    """The badges of the associations that want one, once there is something to tell. Pure."""
    for view in seen.associations:
        if seen.since and is_wanted(view.association):
            stem = file_name(view.association.id).removesuffix(".html")
            for language in config.report.languages:
                yield f"badge/{stem}/{language}.svg", badge(view, seen.since, language)


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
