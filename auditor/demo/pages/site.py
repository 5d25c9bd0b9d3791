"""The pages of an association's own site: the common frame, its footer, and when it publishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from urllib.parse import quote

from auditor.demo.associations import DemoAssociation
from auditor.demo.model import DemoRun

ARABIC_MONTHS = [
    "يناير",
    "فبراير",
    "مارس",
    "أبريل",
    "ماي",
    "يونيو",
    "يوليوز",
    "غشت",
    "شتنبر",
    "أكتوبر",
    "نونبر",
    "دجنبر",
]  # as Morocco names them
FRENCH_MONTHS = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
]
SITE_TEXTS = {
    "ar": {
        "news": "آخر الأخبار",
        "contact": "اتصلوا بنا",
        "about": "من نحن",
        "post": "لقاء مفتوح مع الساكنة رقم {}",
        "text": "نظمت الجمعية لقاءً مفتوحًا بدار الشباب حضره متطوعون وأسر من الحي، وقدمت خلاله حصيلة الموسم.",
        "intro": "جمعية محلية يعمل أعضاؤها متطوعين منذ سنوات إلى جانب المدرسة ودار الشباب والجماعة.",
    },
    "fr": {
        "news": "Actualités",
        "contact": "Nous contacter",
        "about": "Qui sommes-nous",
        "post": "Rencontre ouverte avec les habitants n° {}",
        "text": "L’association a tenu une rencontre ouverte à la maison des jeunes, avec des "
        "bénévoles et des "
        "familles du quartier, et y a présenté le bilan de la saison.",
        "intro": "Association locale dont les membres travaillent bénévolement depuis des "
        "années avec l’école, "
        "la maison des jeunes et la commune.",
    },
}


@dataclass(frozen=True, slots=True)
class PublishingHabit:
    """When a site publishes: every so many days until that many days before the last night."""

    interval_days: int = 6
    ended_days_ago: int = 0
    post_count: int = 8

    def list_post_dates(self, demo_run: DemoRun) -> list[datetime]:
        """The moments of its newest posts as of tonight, newest first."""
        all_of_them = [
            demo_run.days_before_last_run(self.ended_days_ago + self.interval_days * step + 0.4)
            for step in range(self.post_count)
        ]
        return [moment for moment in all_of_them if moment <= demo_run.started_at]


@dataclass(frozen=True, slots=True)
class SitePost:
    """One article of a site."""

    number: int
    title: str
    text: str
    published_at: datetime
    path: str


def build_site_posts(
    association: DemoAssociation, habit: PublishingHabit, demo_run: DemoRun
) -> list[SitePost]:
    """The articles a site shows tonight, newest first."""
    words = SITE_TEXTS[association.language]
    found = []
    for when in habit.list_post_dates(demo_run):
        number = 1 + (demo_run.last_run_at - when + timedelta(hours=1)).days
        found.append(
            SitePost(
                number,
                words["post"].format(number),
                words["text"],
                when,
                f"/{when:%Y/%m}/r-{number}/",
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class PageFrame:
    """What a page has besides its text. All true for a site in good health."""

    generator: str = ""
    feed_url: str = ""
    head_html: str = ""
    footer_html: str = ""
    has_viewport: bool = True
    has_contact: bool = True
    has_share_preview: bool = True
    profile_urls: Mapping[str, str] = field(default_factory=dict)


def render_page(
    association: DemoAssociation, body_html: str, frame: PageFrame, title: str = ""
) -> str:
    """A whole page of the site."""
    direction = "rtl" if association.language == "ar" else "ltr"
    return (
        f'<!doctype html>\n<html lang="{association.language}" dir="{direction}">\n<head>\n<meta '
        'charset="utf-8">\n'
        f"<title>{escape(title or association.name)}</title>"
        f"\n{_render_head(association, frame)}</head>\n<body>\n"
        f'<header><h1><a href="/">{escape(association.name)}</a></h1>\n<nav><a href="/about">'
        f"{SITE_TEXTS[association.language]['about']}</a></nav></header>\n<main>{body_html}</main>\n"
        "<footer>"
        f"{_render_contact(association, frame)}{_render_social_links(frame)}"
        f"{_render_share_buttons(association)}{frame.footer_html}</footer>\n</body></html>\n"
    )


def render_home_page(
    association: DemoAssociation,
    site_posts: list[SitePost],
    frame: PageFrame,
    *,
    show_dates: bool = True,
) -> str:
    """The home page with its newest articles."""
    return render_page(
        association,
        _render_intro(association)
        + _render_post_list(association, site_posts, show_dates=show_dates),
        frame,
    )


def render_article_page(association: DemoAssociation, post: SitePost, frame: PageFrame) -> str:
    """One article's page."""
    head = (
        f'{frame.head_html}<meta property="article:published_time" '
        f'content="{post.published_at.isoformat()}">\n'
    )
    inner = f"<article><h2>{post.title}</h2><p>{post.text}</p></article>"
    return render_page(
        association, inner, PageFrame(frame.generator, frame.feed_url, head), post.title
    )


def format_site_date(moment: datetime, language: str) -> str:
    """A date as a site writes it."""
    month = (ARABIC_MONTHS if language == "ar" else FRENCH_MONTHS)[moment.month - 1]
    return f"{moment.day} {month} {moment.year}"


def _render_intro(association: DemoAssociation) -> str:
    words = SITE_TEXTS[association.language]
    return (
        f"<section><p>{words['intro']}</p><p>{escape(association.city)} – "
        f"{escape(association.region)}</p></section>\n"
    )


def _render_post_list(
    association: DemoAssociation, site_posts: list[SitePost], *, show_dates: bool
) -> str:
    def entry(post: SitePost) -> str:
        stamp = (
            (
                f'<time datetime="{post.published_at.isoformat()}">'
                f"{format_site_date(post.published_at, association.language)}</time>"
            )
            if show_dates
            else ""
        )
        return (
            f'<article><h3><a href="{post.path}">{post.title}</a></h3>'
            f"{stamp}<p>{post.text}</p></article>\n"
        )

    return (
        f"<section><h2>{SITE_TEXTS[association.language]['news']}</h2>"
        f"\n{''.join(map(entry, site_posts))}</section>\n"
    )


def _render_head(association: DemoAssociation, frame: PageFrame) -> str:
    lines = []
    if frame.has_viewport:
        lines.append('<meta name="viewport" content="width=device-width, initial-scale=1">')
    if frame.generator:
        lines.append(f'<meta name="generator" content="{frame.generator}">')
    if frame.has_share_preview:
        lines.append(f'<meta property="og:title" content="{escape(association.name)}">')
        lines.append(f'<meta property="og:image" content="https://{association.host}/logo.png">')
        lines.append(
            f'<meta name="description" content="{escape(association.name)} – {escape(association.city)}">'
        )
    if frame.feed_url:
        lines.append(f'<link rel="alternate" type="application/rss+xml" href="{frame.feed_url}">')
    return "\n".join(lines) + f"\n{frame.head_html}"


def _render_contact(association: DemoAssociation, frame: PageFrame) -> str:
    if not frame.has_contact:
        return ""
    words, number = (
        SITE_TEXTS[association.language],
        f"+212 5 00 00 {association.number // 100:02d} {association.number % 100:02d}",
    )
    return (
        f"<p>{words['contact']}: <a "
        f'href="mailto:contact@{association.host}">contact@{association.host}</a> – '
        f'<a href="tel:{number.replace(" ", "")}">{number}</a></p>\n'
    )


def _render_social_links(frame: PageFrame) -> str:
    links = "".join(
        f'<li><a href="{url}">{channel}</a></li>' for channel, url in frame.profile_urls.items()
    )
    return f'<ul class="social">{links}</ul>\n' if links else ""


def _render_share_buttons(association: DemoAssociation) -> str:
    """The share buttons every theme has: they name nobody's account."""
    here = quote(f"https://{association.host}/", safe="")
    return (
        f'<div class="share"><a href="https://www.facebook.com/sharer/sharer.php?u={here}">Partager</a> '
        f'<a href="https://twitter.com/intent/tweet?url={here}">Tweeter</a></div>\n'
    )
