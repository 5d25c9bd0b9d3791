"""The pages of an association's own site: the common frame, its footer, and when it publishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from urllib.parse import quote

from auditor.demo.associations import Member
from auditor.demo.model import Tonight

MONTHS = [
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
MOIS = [
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
WORDS = {
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
class Habit:
    """When a site publishes: every so many days until that many days before the last night."""

    every: int = 6
    ended: int = 0
    posts: int = 8

    def dates(self, tonight: Tonight) -> list[datetime]:
        """The moments of its newest posts as of tonight, newest first."""
        all_of_them = [tonight.ago(self.ended + self.every * step + 0.4) for step in range(self.posts)]
        return [moment for moment in all_of_them if moment <= tonight.moment]


@dataclass(frozen=True, slots=True)
class Post:
    """One article of a site."""

    number: int
    title: str
    text: str
    when: datetime
    path: str


def posts(member: Member, habit: Habit, tonight: Tonight) -> list[Post]:
    """The articles a site shows tonight, newest first."""
    words = WORDS[member.language]
    found = []
    for when in habit.dates(tonight):
        number = 1 + (tonight.last - when + timedelta(hours=1)).days
        found.append(
            Post(number, words["post"].format(number), words["text"], when, f"/{when:%Y/%m}/r-{number}/")
        )
    return found


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page has besides its text. All true for a site in good health."""

    generator: str = ""
    feed: str = ""
    head: str = ""
    footer: str = ""
    viewport: bool = True
    contact: bool = True
    preview: bool = True
    profiles: Mapping[str, str] = field(default_factory=dict)


def document(member: Member, body: str, frame: Frame, title: str = "") -> str:
    """A whole page of the site."""
    direction = "rtl" if member.language == "ar" else "ltr"
    return (
        f'<!doctype html>\n<html lang="{member.language}" dir="{direction}">\n<head>\n<meta '
        'charset="utf-8">\n'
        f"<title>{escape(title or member.name)}</title>\n{_head(member, frame)}</head>\n<body>\n"
        f'<header><h1><a href="/">{escape(member.name)}</a></h1>\n<nav><a href="/about">'
        f"{WORDS[member.language]['about']}</a></nav></header>\n<main>{body}</main>\n"
        "<footer>"
        f"{_contact(member, frame)}{_social(frame)}{_share(member)}{frame.footer}</footer>\n</body></html>\n"
    )


def home(member: Member, news: list[Post], frame: Frame, *, dated: bool = True) -> str:
    """The home page with its newest articles."""
    return document(member, _intro(member) + _list(member, news, dated=dated), frame)


def article(member: Member, post: Post, frame: Frame) -> str:
    """One article's page."""
    head = f'{frame.head}<meta property="article:published_time" content="{post.when.isoformat()}">\n'
    inner = f"<article><h2>{post.title}</h2><p>{post.text}</p></article>"
    return document(member, inner, Frame(frame.generator, frame.feed, head), post.title)


def day(moment: datetime, language: str) -> str:
    """A date as a site writes it."""
    month = (MONTHS if language == "ar" else MOIS)[moment.month - 1]
    return f"{moment.day} {month} {moment.year}"


def _intro(member: Member) -> str:
    words = WORDS[member.language]
    return (
        f"<section><p>{words['intro']}</p><p>{escape(member.city)} – {escape(member.region)}</p></section>\n"
    )


def _list(member: Member, news: list[Post], *, dated: bool) -> str:
    def entry(post: Post) -> str:
        stamp = (
            f'<time datetime="{post.when.isoformat()}">{day(post.when, member.language)}</time>'
            if dated
            else ""
        )
        return (
            f'<article><h3><a href="{post.path}">{post.title}</a></h3>{stamp}<p>{post.text}</p></article>\n'
        )

    return f"<section><h2>{WORDS[member.language]['news']}</h2>\n{''.join(map(entry, news))}</section>\n"


def _head(member: Member, frame: Frame) -> str:
    lines = []
    if frame.viewport:
        lines.append('<meta name="viewport" content="width=device-width, initial-scale=1">')
    if frame.generator:
        lines.append(f'<meta name="generator" content="{frame.generator}">')
    if frame.preview:
        lines.append(f'<meta property="og:title" content="{escape(member.name)}">')
        lines.append(f'<meta property="og:image" content="https://{member.host}/logo.png">')
        lines.append(f'<meta name="description" content="{escape(member.name)} – {escape(member.city)}">')
    if frame.feed:
        lines.append(f'<link rel="alternate" type="application/rss+xml" href="{frame.feed}">')
    return "\n".join(lines) + f"\n{frame.head}"


def _contact(member: Member, frame: Frame) -> str:
    if not frame.contact:
        return ""
    words, number = (
        WORDS[member.language],
        f"+212 5 00 00 {member.number // 100:02d} {member.number % 100:02d}",
    )
    return (
        f'<p>{words["contact"]}: <a href="mailto:contact@{member.host}">contact@{member.host}</a> – '
        f'<a href="tel:{number.replace(" ", "")}">{number}</a></p>\n'
    )


def _social(frame: Frame) -> str:
    links = "".join(f'<li><a href="{url}">{channel}</a></li>' for channel, url in frame.profiles.items())
    return f'<ul class="social">{links}</ul>\n' if links else ""


def _share(member: Member) -> str:
    """The share buttons every theme has: they name nobody's account."""
    here = quote(f"https://{member.host}/", safe="")
    return (
        f'<div class="share"><a href="https://www.facebook.com/sharer/sharer.php?u={here}">Partager</a> '
        f'<a href="https://twitter.com/intent/tweet?url={here}">Tweeter</a></div>\n'
    )
