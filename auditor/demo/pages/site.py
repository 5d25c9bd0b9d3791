"""Pages of an association's site: layout, header, footer, posts and their dates."""

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
]  # names used in Morocco
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
    """How often an account publishes, and how many days before the last run it stopped."""

    interval_days: int = 6
    ended_days_ago: int = 0
    post_count: int = 8

    def list_post_dates(self, demo_run: DemoRun) -> list[datetime]:
        """Return the times of the posts that exist in this run, newest first."""
        post_dates = [
            demo_run.days_before_last_run(self.ended_days_ago + self.interval_days * step + 0.4)
            for step in range(self.post_count)
        ]
        return [moment for moment in post_dates if moment <= demo_run.started_at]


@dataclass(frozen=True, slots=True)
class SitePost:
    """A post of a site."""

    number: int
    title: str
    text: str
    published_at: datetime
    path: str


def build_site_posts(
    association: DemoAssociation, habit: PublishingHabit, demo_run: DemoRun
) -> list[SitePost]:
    """Return the posts that a site shows in this run, newest first."""
    texts = SITE_TEXTS[association.language]
    posts = []
    for published_at in habit.list_post_dates(demo_run):
        number = 1 + (demo_run.last_run_at - published_at + timedelta(hours=1)).days
        title = texts["post"].format(number)
        path = f"/{published_at:%Y/%m}/r-{number}/"
        posts.append(SitePost(number, title, texts["text"], published_at, path))
    return posts


@dataclass(frozen=True, slots=True)
class PageFrame:
    """The parts of a page around its text. The defaults are those of a site without gaps."""

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
    """Return a complete HTML page of the site."""
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
    """Return the home page with the newest posts."""
    post_list = _render_post_list(association, site_posts, show_dates=show_dates)
    return render_page(association, _render_intro(association) + post_list, frame)


def render_article_page(association: DemoAssociation, post: SitePost, frame: PageFrame) -> str:
    """Return the page of a post."""
    head = (
        f'{frame.head_html}<meta property="article:published_time" '
        f'content="{post.published_at.isoformat()}">\n'
    )
    body = f"<article><h2>{post.title}</h2><p>{post.text}</p></article>"
    return render_page(
        association, body, PageFrame(frame.generator, frame.feed_url, head), post.title
    )


def format_site_date(moment: datetime, language: str) -> str:
    """Return a date in words, as sites write it."""
    months = ARABIC_MONTHS if language == "ar" else FRENCH_MONTHS
    return f"{moment.day} {months[moment.month - 1]} {moment.year}"


def _render_intro(association: DemoAssociation) -> str:
    texts = SITE_TEXTS[association.language]
    return (
        f"<section><p>{texts['intro']}</p><p>{escape(association.city)} – "
        f"{escape(association.region)}</p></section>\n"
    )


def _render_post_list(
    association: DemoAssociation, site_posts: list[SitePost], *, show_dates: bool
) -> str:
    articles = []
    for post in site_posts:
        date_html = ""
        if show_dates:
            date = format_site_date(post.published_at, association.language)
            date_html = f'<time datetime="{post.published_at.isoformat()}">{date}</time>'
        articles.append(
            f'<article><h3><a href="{post.path}">{post.title}</a></h3>'
            f"{date_html}<p>{post.text}</p></article>\n"
        )
    heading = SITE_TEXTS[association.language]["news"]
    return f"<section><h2>{heading}</h2>\n{''.join(articles)}</section>\n"


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
            f'<meta name="description" content="{escape(association.name)} – '
            f'{escape(association.city)}">'
        )
    if frame.feed_url:
        lines.append(f'<link rel="alternate" type="application/rss+xml" href="{frame.feed_url}">')
    return "\n".join(lines) + f"\n{frame.head_html}"


def _render_contact(association: DemoAssociation, frame: PageFrame) -> str:
    if not frame.has_contact:
        return ""
    label = SITE_TEXTS[association.language]["contact"]
    number = f"+212 5 00 00 {association.number // 100:02d} {association.number % 100:02d}"
    return (
        f"<p>{label}: <a "
        f'href="mailto:contact@{association.host}">contact@{association.host}</a> – '
        f'<a href="tel:{number.replace(" ", "")}">{number}</a></p>\n'
    )


def _render_social_links(frame: PageFrame) -> str:
    links = "".join(
        f'<li><a href="{url}">{channel}</a></li>' for channel, url in frame.profile_urls.items()
    )
    return f'<ul class="social">{links}</ul>\n' if links else ""


def _render_share_buttons(association: DemoAssociation) -> str:
    """Return the share buttons that many themes have. They link to no account."""
    page_url = quote(f"https://{association.host}/", safe="")
    return (
        '<div class="share">'
        f'<a href="https://www.facebook.com/sharer/sharer.php?u={page_url}">Partager</a> '
        f'<a href="https://twitter.com/intent/tweet?url={page_url}">Tweeter</a></div>\n'
    )
