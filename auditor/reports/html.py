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
from auditor.decisions.replies import ReplyRefusal
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import NetworkOverview, build_network_overview
from auditor.i18n.translator import Translator
from auditor.rendering import svg
from auditor.rendering.templates import (
    PageLinks,
    StaticSiteLinks,
    build_report_file_name,
    get_html_translator,
    render_template,
)
from auditor.reports import text
from auditor.reports.text import (
    choose_advice,
    list_current_strengths,
    list_recently_closed_gaps,
    list_recently_opened_gaps,
)
from auditor.rules.score import POINT_WEIGHTS
from storage.models.audit import Association, Gap
from storage.models.users import Reply

if TYPE_CHECKING:
    from auditor.protocols import EvaluationContext


MAX_DETAILED_GAPS = text.MAX_DETAILED_GAPS
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True, slots=True)
class ReportReplies:
    """What an association has already said, by what it is about, oldest first."""

    replies: Sequence[Reply] = ()

    def list_for_account(self, account_id: int) -> list[Reply]:
        """About one registered link."""
        return [
            reply for reply in self.replies if reply.account_id == account_id and reply.code is None
        ]

    def list_for_gap(self, gap: Gap) -> list[Reply]:
        """About one gap."""
        return [
            reply
            for reply in self.replies
            if (reply.code, reply.channel) == (gap.code, gap.channel)
        ]

    def list_for_proposal(self, key: str) -> list[Reply]:
        """About an account that was found and that nobody registered."""
        return [reply for reply in self.replies if reply.value == key and reply.account_id is None]


def render_report(
    view: AssociationView,
    config: Config,
    as_of: datetime,
    links: PageLinks,
    language: str,
    *,
    is_interactive: bool = False,
    replies: Sequence[Reply] = (),
    is_reply_sent: bool = False,
    refusal: ReplyRefusal | None = None,
    report_url: str = "",
    pdf_url: str = "",
) -> str:
    """The report in a language, whole. Pure.

    A `live` one can be answered to: `replies` are the answers so far, `thanked` follows one, `refused` one
    that could not be taken. `address` is where it is found online, for the QR code on paper; `pdf` is where
    its PDF is.
    """
    words = get_html_translator(language)
    return render_template(
        "report.html",
        language,
        view=view,
        config=config,
        updated_at=as_of,
        links=links,
        is_interactive=is_interactive,
        replies=ReportReplies(sorted(replies, key=lambda reply: reply.submitted_at)),
        is_reply_sent=is_reply_sent,
        refusal=refusal,
        strengths=list(text.describe_strengths(list_current_strengths(view), words)),
        gaps=[
            (gap, words.describe_gap(gap.code, gap.channel, gap.severity, gap.params))
            for gap in view.gaps
        ],
        max_detailed_gaps=MAX_DETAILED_GAPS,
        unchecked=[
            words.describe_gap(one.code, one.channel, "info", one.params) for one in view.unchecked
        ],
        closed_gaps=[
            words.describe_gap(gap.code, gap.channel, gap.severity, gap.params)
            for gap in list_recently_closed_gaps(view, as_of)
        ],
        opened_gaps=[
            words.describe_gap(gap.code, gap.channel, gap.severity, gap.params)
            for gap in list_recently_opened_gaps(view, as_of)
        ],
        channel_points=sum_channel_points(),
        advice=choose_advice(view),
        describe_account_state=text.describe_account_state,
        describe_activity_source=text.describe_activity_source,
        describe_link_status=text.describe_link_status,
        qr_code=svg.render_qr_code(report_url) if report_url else "",
        report_url=report_url,
        pdf_url=pdf_url,
        parse_promise_day=parse_promise_day,
        badge_html=build_badge_html(config, view.association, language) if is_interactive else "",
    )


def parse_promise_day(reply: Reply) -> date | str:
    """The day of a promise; what stands there where it is none."""
    try:
        return date.fromisoformat(reply.value or "")
    except ValueError:
        return reply.value or ""


def sum_channel_points() -> Mapping[str, int]:
    """How many of the 100 points each channel has."""
    channels = dict.fromkeys(item.partition(".")[0] for item in POINT_WEIGHTS)
    return {
        channel: sum(
            weight for item, weight in POINT_WEIGHTS.items() if item.startswith(f"{channel}.")
        )
        for channel in channels
    }


def build_report_csp(html_text: str) -> str:
    """The Content-Security-Policy of a report: its own style, and nothing from anywhere."""
    style = re.search(r"<style>(.*?)</style>", html_text, re.DOTALL)
    assert style is not None
    return CONTENT_SECURITY_POLICY.format(
        digest=b64encode(sha256(style[1].encode()).digest()).decode()
    )


STYLE_SHEETS = ("pico.min.css", "pico-rtl.css", "app.css")
ProgressCallback = Callable[[int, int], None]


def publish_site(
    app: EvaluationContext,
    folder: Path,
    now: datetime,
    *,
    on_progress: ProgressCallback | None = None,
) -> int:
    """Write the pages, each whole or not at all; returns how many. Raises OSError."""
    seen = build_network_overview(app.store, app.config, now)
    wanted = sum(wants_badge(view.association) for view in seen.associations)
    total = 1 + len(app.config.report.languages) * (1 + len(seen.associations) + wanted)
    written = 0
    for name in STYLE_SHEETS:
        _write_page(folder / name, files("auditor.web").joinpath("static", name).read_text("utf-8"))
    for name, told in chain(render_site_pages(seen, app.config), render_badges(seen, app.config)):
        _write_page(folder / name, told)
        written += 1
        if on_progress:
            on_progress(written, total)
    return written


def _write_page(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(content, "utf-8")
    unfinished.replace(path)


def render_site_pages(
    network_overview: NetworkOverview, config: Config
) -> Iterator[tuple[str, str]]:
    """Every page by its name in the folder. Pure."""
    languages = config.report.languages
    yield "index.html", render_template("language_index.html", languages[0], config=config)
    for language in languages:
        front = StaticSiteLinks("index.html", languages)
        yield (
            f"{language}/index.html",
            render_template(
                "network.html",
                language,
                overview=network_overview,
                config=config,
                links=front,
                updated_at=network_overview.as_of,
            ),
        )
        for view in network_overview.associations:
            name = build_report_file_name(view.association.id)
            yield (
                f"{language}/{name}",
                render_report(
                    view, config, network_overview.as_of, StaticSiteLinks(name, languages), language
                ),
            )


def render_badges(network_overview: NetworkOverview, config: Config) -> Iterator[tuple[str, str]]:
    """The badges of the associations that want one, once there is something to tell. Pure."""
    for view in network_overview.associations:
        if network_overview.since and wants_badge(view.association):
            stem = build_report_file_name(view.association.id).removesuffix(".html")
            for language in config.report.languages:
                yield (
                    f"badges/{stem}/{language}.svg",
                    render_badge(view, network_overview.since, language),
                )


BADGE_TAG = "badge"
"""Who wants a badge has this tag in the registry; nobody else has one."""


def wants_badge(association: Association) -> bool:
    """Whether the association chose to show a badge."""
    return BADGE_TAG in association.tags


def render_badge(view: AssociationView, checked_at: datetime, language: str) -> str:
    """The badge as SVG, in a language. Pure."""
    words = Translator(language)
    return render_template(
        "badge.svg",
        language,
        name=view.association.display_name(language),
        level=words.label("level", view.score.level),
        checked_text=words.translate("Online presence checked on {day}", day=checked_at),
    )


def build_badge_url(config: Config, association: Association, language: str) -> str:
    """Where other sites find its badge; empty where it wants none, or this server has no public address."""
    base = config.web.public_url
    if not base or not wants_badge(association):
        return ""
    return f"{base}/badges/{quote(association.id, safe='')}/{language}.svg"


def build_badge_html(config: Config, association: Association, language: str) -> str:
    """The HTML that shows the badge on its own site; empty where it has no address."""
    words, source = Translator(language), build_badge_url(config, association, language)
    if not source:
        return ""
    said = words.translate(
        "Online presence, checked by {network}", network=config.network.display_name(language)
    )
    return f'<img src="{escape(source)}" width="300" height="64" alt="{escape(said)}">'
