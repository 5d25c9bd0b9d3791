"""Render the report of an association as HTML, and the static site.

A report is one page with an inline style and no other resources, so it opens on old phones and slow
connections. The same page is served, published, printed and converted to PDF. The static site has
the network page and all reports in each language, without scripts.
"""

from __future__ import annotations

import fcntl
import os
import re
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from importlib.resources import files
from itertools import starmap
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.examples import ExampleFinder
from auditor.conclusions.network_view import (
    NetworkOverview,
    build_network_overview,
    find_change_period,
)
from auditor.conclusions.replies import ReplyRefusal, select_completed_steps
from auditor.conclusions.summary import summarize_channel
from auditor.config.schema import Config
from auditor.core.form_limits import MAX_PLACE_CHARS
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import SEVERITIES, get_gap_kind
from auditor.core.reference.survey import load_questions
from auditor.core.rendering import svg
from auditor.core.rendering.templates import (
    PageLinks,
    StaticSiteLinks,
    build_report_file_name,
    get_html_translator,
    render_template,
)
from auditor.presentation.reports import text
from auditor.presentation.reports.text import (
    choose_advice,
    list_current_strengths,
    list_recently_opened_gaps,
)
from auditor.rules.score import POINT_WEIGHTS
from probes.models.finding import FoundLink
from storage.files.durable_files import delete_on_error
from storage.models.audit import Gap, GapKind
from storage.models.summaries import ChannelStatus
from storage.models.users import ReplyKind, ReplyOutcome
from storage.tables.communication import CompletedStep, Reply

if TYPE_CHECKING:
    from auditor.app import App


CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


MAX_TYPED_CHARACTERS = 500
"""A refused value comes back to its form in the address, but not a longer one."""
REFUSED_VALUES = {
    "invalid_address",
    "invalid_day",
    "invalid_expiry",
    "invalid_post",
    "invalid_post_day",
    "missing_text",
}
"""Refusals that are shown in the form, because a field of it has to be corrected."""


class ReportNotice(BaseModel):
    """The result of a form, shown `at` the fragment of a gap, account or proposal.

    Either `done` or `error` is set. `kind` is the refused reply and `typed` its value, so that the
    form has it again.
    """

    at: str = Field(default="", max_length=MAX_PLACE_CHARS)
    done: Literal["sent", "withdrawn", "steps_saved"] | None = None
    error: ReplyRefusal | None = None
    kind: ReplyKind | None = None
    typed: str = Field(default="", max_length=MAX_TYPED_CHARACTERS)

    @property
    def is_about_value(self) -> bool:
        """Return True if the notice belongs into the form of the refused reply."""
        return self.error in REFUSED_VALUES and self.kind is not None


ReportPoint = dict[str, Any]
"""A gap that the report describes in full. `anchor` is its fragment in the address.

`tag` says what kind of problem it is, and that it is urgent. `color_class` is the severity whose
color and mark a folded gap has, by its kind.
"""

COLOR_CLASSES = {GapKind.BROKEN: "high", GapKind.SILENT: "medium"}
"""The colors of the kinds; the others are advice."""


@dataclass(frozen=True, slots=True)
class ReportForms:
    """The state of the forms of a report. A report without it has no forms.

    `replies` and `completed_steps` are those so far. The report link is valid until `expires_at`;
    without it the report has nothing to share. What improved is listed since `news_since`, when the
    level was `level_before`.
    """

    replies: Sequence[Reply] = ()
    completed_steps: Sequence[CompletedStep] = ()
    notice: ReportNotice | None = None
    expires_at: datetime | None = None
    news_since: datetime | None = None
    level_before: str = ""

    @property
    def visible_replies(self) -> list[Reply]:
        """Return the replies that were not withdrawn, the oldest first."""
        kept = (reply for reply in self.replies if reply.outcome is not ReplyOutcome.WITHDRAWN)
        return sorted(kept, key=attrgetter("submitted_at"))

    def build_share_text(self, report_url: str, language: str) -> str:
        """Return the text that sends the link to others, or "" if there is nothing to share."""
        if not report_url or not self.expires_at:
            return ""
        translator = Translator(language)
        return translator.message("whatsapp.share", day=self.expires_at, url=report_url)


def build_gap_anchor(gap: Gap) -> str:
    """Return the fragment of a gap, which stays the same while other gaps come and go."""
    subject = f"-{sha256(gap.subject.encode()).hexdigest()[:8]}" if gap.subject else ""
    return f"gap-{gap.channel or 'all'}-{gap.code}{subject}"


def build_proposal_anchor(link: FoundLink) -> str:
    """Return the fragment of a found account. The id of its row changes with a re-evaluation."""
    return f"proposal-{link.channel}-{sha256((link.key or '').encode()).hexdigest()[:8]}"


def render_report(
    view: AssociationView,
    config: Config,
    as_of: datetime,
    links: PageLinks,
    language: str,
    *,
    examples: ExampleFinder | None = None,
    forms: ReportForms | None = None,
    report_url: str = "",
    pdf_url: str = "",
    is_folded: bool = True,
) -> str:
    """Return the HTML page of a report in one language.

    Without `examples`, no account of others is shown under a problem. With `forms`, the association
    can reply and tick steps. `report_url`, if not empty, is printed
    as a QR code, and offered for sharing if there are forms. `pdf_url` is the address of the PDF.
    Without `is_folded`, everything is open, for paper.
    """
    translator, is_interactive = get_html_translator(language), forms is not None
    forms = forms or ReportForms()
    points = _build_points(view, translator, forms)
    question = Translator(language).translate(
        "Hello, this is {association}. We have a question about our report.",
        association=view.association.display_name(language),
    )
    share_text = forms.build_share_text(report_url, language)
    return render_template(
        "report.html",
        language,
        view=view,
        config=config,
        updated_at=as_of,
        links=links,
        is_interactive=is_interactive,
        is_folded=is_folded,
        replies=forms.visible_replies,
        notice=forms.notice,
        build_proposal_anchor=build_proposal_anchor,
        places={  # the fragments at which the result of a form can be shown
            *(point["anchor"] for point in points),
            *(f"account-{account.account_id}" for account in view.accounts),
            *(f"unchecked-{account.account_id}" for account in view.accounts),
            *(build_proposal_anchor(proposal.link) for proposal in view.proposals),
        },
        strengths=list(text.describe_strengths(list_current_strengths(view), translator)),
        points=points,
        question_count=len(load_questions()),
        find_example=examples.find if examples else lambda _association, _channel: None,
        further_titles=text.list_gap_titles(view.gaps[text.MAX_DETAILED_GAPS :], translator),
        unchecked=list(zip(view.unchecked, text.describe_unchecked(view, translator), strict=True)),
        **_build_news(view, forms, as_of, Translator(language)),
        opened_gaps=list_recently_opened_gaps(view, as_of),
        channel_points=sum_channel_points(config.unmixed_channels),
        advice=choose_advice(view),
        describe_account_state=text.describe_account_state,
        describe_activity_source=text.describe_activity_source,
        describe_link_status=text.describe_link_status,
        qr_code=svg.render_qr_code(report_url) if report_url else "",
        report_url=report_url,
        share_text=share_text,
        share_whatsapp_url=f"https://wa.me/?text={quote(share_text, safe='')}",
        contact_whatsapp_url=config.network.build_contact_whatsapp_url(question),
        pdf_url=pdf_url,
        parse_promise_day=parse_promise_day,
    )


def _build_news(
    view: AssociationView, forms: ReportForms, as_of: datetime, translator: Translator
) -> dict[str, Any]:
    """Return what improved since the last visit, and the text to share it."""
    since = forms.news_since or as_of - text.RECENT_PERIOD
    card = build_card(view, since, forms.level_before, translator)
    news_text = translator.message(
        "whatsapp.better",
        association=card["name"],
        since=since,
        level="\n".join(starmap(translator.format_pair, card["levels"])),
        fixed="\n".join(map("✓ {}".format, card["fixed"])),
    )
    return {
        "news_since": since,
        "news": card,
        "news_text": news_text,
        "news_whatsapp_url": f"https://wa.me/?text={quote(news_text, safe='')}",
    }


def build_card(
    view: AssociationView, since: datetime, level_before: str, translator: Translator
) -> dict[str, Any]:
    """Return what improved since a time, in the language of the reader, for a page or a picture.

    `fixed` are sentences, and `works` names of channels. `levels` has the level before and now if
    it has risen.
    """
    fixed = text.list_fixed_gaps(view, since)
    working_channels = [
        channel
        for channel in dict.fromkeys(map(attrgetter("channel"), view.accounts))
        if summarize_channel(view, channel).status is ChannelStatus.PRESENT
    ]
    return {
        "language": translator.language,
        "title": translator.translate("Better since {date}", date=since),
        "name": view.association.display_name(translator.language),
        "levels": text.describe_level_rise(level_before, view.score.level, translator),
        "fixed": [translator.gap_title(gap.code, gap.channel, "fixed") for gap in fixed],
        "works": list(map(translator.channel_name, working_channels)),
    }


def _build_points(
    view: AssociationView, translator: Translator, forms: ReportForms
) -> list[ReportPoint]:
    """Return the gaps that are described in full. The one of the notice is open, or the first."""
    gaps = view.gaps[: text.MAX_DETAILED_GAPS]
    anchors = list(map(build_gap_anchor, gaps))
    open_anchor = forms.notice.at if forms.notice else ""
    if open_anchor not in anchors and anchors:
        open_anchor = anchors[0]
    points = []
    for gap, anchor in zip(gaps, anchors, strict=True):
        kind = translator.label("gap_kind", get_gap_kind(gap))
        color_class = COLOR_CLASSES.get(get_gap_kind(gap), "low")
        if gap.severity == SEVERITIES[0]:
            color_class = gap.severity
            kind = f"{translator.label('severity', gap.severity)} · {kind}"
        point = {
            "gap": gap,
            "text": text.describe_gap(gap, translator),
            "tag": kind,
            "anchor": anchor,
            "color_class": color_class,
            "is_open": anchor == open_anchor,
            "completed_steps": select_completed_steps(gap, forms.completed_steps),
        }
        points.append(point)
    return points


def parse_promise_day(reply: Reply) -> date | str:
    """Return the date of a promise, or its text if it is not a date."""
    try:
        return date.fromisoformat(reply.value or "")
    except ValueError:
        return reply.value or ""


def sum_channel_points(unmixed_channels: Collection[str] = ()) -> Mapping[str, int]:
    """Return how many points each channel contributes: 100 in all, less without some activity."""
    points: dict[str, int] = {}
    for item, weight in POINT_WEIGHTS.items():
        channel, _, name = item.partition(".")
        if name != "active" or channel not in unmixed_channels:
            points[channel] = points.get(channel, 0) + weight
    return points


def build_report_csp(html_text: str) -> str:
    """Return the Content-Security-Policy of a report, which allows its inline style only."""
    style = re.search(r"<style>(.*?)</style>", html_text, re.DOTALL)
    assert style is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    return CONTENT_SECURITY_POLICY.format(digest=digest)


MANIFEST, UNFINISHED_PAGE = ".published", ".unfinished"
"""Files beside the pages: the names of the pages, and the page that is being written."""
STYLE_SHEETS = ("pico.min.css", "pico-rtl.css", "app.css")
ProgressCallback = Callable[[int, int], None]


def publish_site(
    app: App, folder: Path, now: datetime, *, on_progress: ProgressCallback | None = None
) -> int:
    """Write the static site to a folder and return the number of pages.

    Each file is written atomically. Pages that an earlier call wrote are deleted if they are no
    longer part of the site, such as those of an erased association; `MANIFEST` has their names.
    Raises OSError.
    """
    _, week_start, _ = find_change_period(app.store, now.date() - timedelta(days=6))
    overview = build_network_overview(app.store, app.config, now, since=week_start)
    total = 1 + len(app.config.report.languages) * (1 + len(overview.associations))
    written: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    with _lock_folder(folder), (folder / MANIFEST).open("a+", encoding="utf-8") as manifest:
        manifest.seek(0)
        published = set(re.findall(r"^(?:[a-z]{2}/)?[^/\n]+\.html$", manifest.read(), re.MULTILINE))
        for name in STYLE_SHEETS:
            _write_page(
                folder, name, files("auditor.web").joinpath("static", name).read_text("utf-8")
            )
        examples = ExampleFinder(app.store, app.config)
        for name, content in render_site_pages(overview, app.config, examples):
            if name not in published:
                manifest.write(f"{name}\n")
                manifest.flush()
            _write_page(folder, name, content)
            written.append(name)
            if on_progress:
                on_progress(len(written), total)
        for name in published.difference(written):
            (folder / name).unlink(missing_ok=True)
        _write_page(folder, MANIFEST, "".join(f"{name}\n" for name in written))
    return len(written)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """Let a second call wait, so that two do not write the same files.

    The folder is locked, because the manifest in it is replaced.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_page(folder: Path, name: str, content: str) -> None:
    path, unfinished = folder / name, folder / UNFINISHED_PAGE
    path.parent.mkdir(exist_ok=True)
    with delete_on_error(unfinished):
        unfinished.write_text(content, "utf-8")
        unfinished.replace(path)


def render_site_pages(
    network_overview: NetworkOverview, config: Config, examples: ExampleFinder | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the file name and the HTML of each page of the static site."""
    languages = config.report.languages
    yield "index.html", render_template("language_index.html", languages[0], config=config)
    for language in languages:
        network_page = render_template(
            "network.html",
            language,
            overview=network_overview,
            config=config,
            links=StaticSiteLinks("index.html", languages),
            updated_at=network_overview.as_of,
        )
        yield f"{language}/index.html", network_page
        for view in network_overview.associations:
            name = build_report_file_name(view.association.id)
            links = StaticSiteLinks(name, languages)
            report = render_report(
                view, config, network_overview.as_of, links, language, examples=examples
            )
            yield f"{language}/{name}", report
