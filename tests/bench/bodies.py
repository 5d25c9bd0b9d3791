"""What the farm's sites say: pages as WordPress makes them, and their feeds, in Arabic, French and English.

Every site's text is its own (seeded by its number), so that no page is another's: what is kept once by its
digest, or read once, would flatter whoever does so.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape

TODAY = datetime(2026, 11, 20, 9, tzinfo=UTC)
SMALL, USUAL, LARGE = 4_700, 61_000, 250_000
"""Bytes of a page: a plain one, a home page, and one of a long list."""

LANGUAGES = ("fr", "ar", "fr", "ar", "en")
WORDS = {
    "fr": (
        "association atelier jeunes femmes quartier caravane soutien scolaire médiathèque "
        "bénévoles formation village coopérative santé solidarité projet rencontre journée "
        "sensibilisation environnement culture partenaires commune programme enfants "
        "alphabétisation forum région inscription activités annonce de la pour avec dans une les "
        "des sur cette année et ses leurs membres réunion rapport bilan remise prix"
    ),
    "ar": (
        "جمعية ورشة شباب نساء حي قافلة دعم مدرسي مكتبة متطوعون تكوين قرية تعاونية صحة تضامن مشروع "
        "لقاء يوم تحسيس بيئة ثقافة شركاء جماعة برنامج أطفال محو الأمية منتدى جهة تسجيل أنشطة "
        "إعلان من في على مع هذه السنة و التي الذين أعضاء اجتماع تقرير حصيلة جائزة توزيع الماء "
        "الجبل الساحل"
    ),
    "en": (
        "association workshop youth women district caravan school support library volunteers "
        "training village cooperative health solidarity project meeting day awareness environment "
        "culture partners council programme children literacy forum region registration "
        "activities notice of the for with in a on this year and their members report review "
        "award water mountain coast"
    ),
}
SAID = {
    "fr": (
        "Accueil",
        "Qui sommes-nous",
        "Contact",
        "Lire la suite",
        "Tous droits réservés",
        "Page introuvable",
    ),
    "ar": (
        "الرئيسية",
        "من نحن",
        "اتصل بنا",
        "اقرأ المزيد",
        "جميع الحقوق محفوظة",
        "الصفحة غير موجودة",
    ),
    "en": ("Home", "About us", "Contact", "Read more", "All rights reserved", "Page not found"),
}
THEME = (
    "<style id='theme'>:root{--wp--preset--color--black:#000;--wp--preset--spacing--40:1rem}"
    ".wp-block-group{margin:0}.entry-title{font-weight:700}</style>"
    '<script>window._wpemojiSettings={"baseUrl":"/images/core/emoji/15.0.3/72x72/","ext":".png"};</script>'
)


@dataclass(frozen=True, slots=True)
class Author:
    """One site: its name, and the dice that write it. Its links name no host: it is served as many."""

    number: int

    @property
    def language(self) -> str:
        """What the site is written in."""
        return LANGUAGES[self.number % len(LANGUAGES)]

    @property
    def name(self) -> str:
        """The association's name, which is the site's."""
        dice = random.Random(self.number)
        return f"{' '.join(dice.sample(WORDS[self.language].split()[:20], 3)).capitalize()} {self.number}"

    def dice(self, page: str) -> random.Random:
        """The dice of one page: the same every time."""
        return random.Random(f"{self.number} {page}")

    def sentence(self, dice: random.Random, words: int) -> str:
        """So many words."""
        return " ".join(dice.choices(WORDS[self.language].split(), k=words)).capitalize()

    def published(self, post: int) -> datetime:
        """When one of its posts came out: the first is the newest, the sites' rhythms differ."""
        return TODAY - timedelta(
            days=self.number % 97 + post * (3 + self.number % 9), hours=self.number % 11
        )


def page(author: Author, path: str, size: int = SMALL) -> bytes:
    """A page of so many bytes, near enough."""
    dice, said = author.dice(path), SAID[author.language]
    head, foot = _head(author, path), _foot(author, said)
    parts, length, post = [], len(head.encode()) + len(foot.encode()), 0
    while length < size or not parts:
        parts.append(_article(author, dice, post, said))
        length, post = length + len(parts[-1].encode()), post + 1
    return (head + "".join(parts) + foot).encode()


def missing(author: Author) -> bytes:
    """What the site says where there is nothing."""
    said = SAID[author.language]
    body = f"<h1 class='page-title'>{said[5]}</h1><p>{author.sentence(author.dice('404'), 20)}</p>"
    return (
        _head(author, "/404", title=said[5]) + f"<main>{body}</main>" + _foot(author, said)
    ).encode()


def _head(author: Author, path: str, title: str = "") -> str:
    said, name = SAID[author.language], escape(author.name)
    direction = " dir='rtl'" if author.language == "ar" else ""
    menu = "".join(
        f"<li class='menu-item menu-item-type-post_type menu-item-{n}'><a href='{at}'>{text}</a></li>"
        for n, (at, text) in enumerate(
            (("/", said[0]), ("/qui-sommes-nous/", said[1]), ("/contact/", said[2]))
        )
    )
    known = json.dumps(
        {
            "@context": "https://schema.org",
            "@type": "Organization",
            "name": author.name,
            "url": "/",
        },
        ensure_ascii=False,
    )
    shown = title or (said[0] if path == "/" else author.sentence(author.dice(path), 4))
    return (
        f"<!doctype html><html lang='{author.language}'{direction}><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width, initial-scale=1'><title>{shown} – {name}</title>"
        f"<meta name='description' content='{author.sentence(author.dice('about'), 14)}'>"
        f"<meta property='og:site_name' content='{name}'><meta property='og:title' content='{shown}'>"
        f"<meta name='generator' content='WordPress 6.8.1'><link rel='canonical' href='{path}'>"
        f"<link rel='alternate' type='application/rss+xml' title='{name}' href='/feed/'>"
        f"<script type='application/ld+json'>{known}</script>{THEME}</head>"
        f"<body class='wp-embed-responsive'><header class='site-header'><a class='site-title' href='/'>"
        f"{name}</a><nav><ul class='menu'>{menu}</ul></nav></header><main class='wp-block-group'>"
    )


def _article(author: Author, dice: random.Random, post: int, said: tuple[str, ...]) -> str:
    at, link = author.published(post), f"/{author.published(post):%Y/%m}/article-{post}/"
    title = author.sentence(dice, 7)
    text = "".join(f"<p class='has-text'>{author.sentence(dice, 38)}.</p>" for _ in range(2))
    return (
        f"<article id='post-{post}' class='post type-post status-publish format-standard hentry'>"
        f"<h2 class='entry-title'><a href='{link}' rel='bookmark'>{title}</a></h2><div class='entry-meta'>"
        f"<time class='entry-date published' datetime='{at.isoformat()}'>{at:%d/%m/%Y}</time></div>"
        f"<figure><img loading='lazy' width='300' src='/wp-content/uploads/{post}.jpg' alt=''></figure>"
        f"<div class='entry-content'>{text}<a class='more-link' href='{link}'>{said[3]}</a></div></article>"
    )


def _foot(author: Author, said: tuple[str, ...]) -> str:
    handle = f"assoc{author.number:04}"
    hosts = ("www.facebook.com/", "x.com/", "www.linkedin.com/company/", "www.youtube.com/@")
    icons = "".join(
        f"<a class='wp-social-link' href='https://{host}{handle}' rel='me'><span></span></a>"
        for host in hosts
    )
    return (
        f"</main><footer class='site-footer'>{icons}<p>{said[4]} © {author.name}</p>"
        f"<a href='mailto:contact@{handle}.example.org'>contact@{handle}.example.org</a></footer>"
        "<script src='/wp-includes/js/wp-embed.min.js' defer></script></body></html>"
    )


def rss(author: Author) -> bytes:
    """Ten posts as WordPress feeds them, about 15 KB."""
    dice = author.dice("rss")
    items = "".join(
        f"<item><title>{author.sentence(dice, 7)}</title><link>/article-{n}/</link>"
        f"<pubDate>{format_datetime(author.published(n))}</pubDate><dc:creator><![CDATA[admin]]></dc:creator>"
        f"<guid isPermaLink='false'>/?p={n}</guid>"
        f"<description><![CDATA[<p>{author.sentence(dice, 120)}</p>]]></description></item>"
        for n in range(10)
    )
    return (
        "<?xml version='1.0' encoding='UTF-8'?><rss version='2.0' xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        f"<channel><title>{author.name}</title><link>/</link><language>{author.language}</language>"
        f"<generator>https://wordpress.org/?v=6.8.1</generator>{items}</channel></rss>"
    ).encode()


def atom(author: Author) -> bytes:
    """The same in Atom, as other systems feed them."""
    dice = author.dice("atom")
    entries = "".join(
        f"<entry><title>{author.sentence(dice, 7)}</title><id>/{n}</id>"
        f"<link href='/article-{n}/'/><published>{author.published(n).isoformat()}</published>"
        f"<updated>{author.published(n).isoformat()}</updated>"
        f"<summary>{author.sentence(dice, 120)}</summary></entry>"
        for n in range(15)
    )
    return (
        "<?xml version='1.0' encoding='utf-8'?><feed xmlns='http://www.w3.org/2005/Atom'>"
        f"<title>{author.name}</title><id>/</id><updated>{author.published(0).isoformat()}</updated>"
        f"{entries}</feed>"
    ).encode()


ROBOTS = b"User-agent: *\nDisallow: /wp-admin/\nAllow: /wp-admin/admin-ajax.php\n"
