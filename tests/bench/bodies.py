"""Generated pages and feeds of the farm's sites, as WordPress writes them, in three languages.

The text of each site is different and follows from its number. Equal pages would favour programs
that store or parse equal bodies only once.
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
"""Bytes of a plain page, a home page, and a page with a long list."""


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
LABELS = {
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
    """The generator of one site. Its links contain no host, because it is served under many."""

    number: int

    @property
    def language(self) -> str:
        """Return the language of the site."""
        return LANGUAGES[self.number % len(LANGUAGES)]

    @property
    def name(self) -> str:
        """Return the name of the association and of its site."""
        random_source = random.Random(self.number)
        name_words = random_source.sample(WORDS[self.language].split()[:20], 3)
        return f"{' '.join(name_words).capitalize()} {self.number}"

    def create_random(self, page: str) -> random.Random:
        """Return the random generator of one page, which always has the same seed."""
        return random.Random(f"{self.number} {page}")

    def write_sentence(self, random_source: random.Random, word_count: int) -> str:
        """Return a sentence of `word_count` random words."""
        words = random_source.choices(WORDS[self.language].split(), k=word_count)
        return " ".join(words).capitalize()

    def get_published_at(self, post: int) -> datetime:
        """Return the publication time of a post. Post 0 is the newest; intervals differ by site."""
        return TODAY - timedelta(
            days=self.number % 97 + post * (3 + self.number % 9), hours=self.number % 11
        )


def build_page(author: Author, path: str, size: int = SMALL) -> bytes:
    """Return a page of about `size` bytes."""
    random_source, labels = author.create_random(path), LABELS[author.language]
    head, foot = _head(author, path), _foot(author, labels)
    parts, length, post = [], len(head.encode()) + len(foot.encode()), 0
    while length < size or not parts:
        parts.append(_article(author, random_source, post, labels))
        length, post = length + len(parts[-1].encode()), post + 1
    return (head + "".join(parts) + foot).encode()


def build_missing_page(author: Author) -> bytes:
    """Return the page with which the site answers an unknown path."""
    labels = LABELS[author.language]
    text = author.write_sentence(author.create_random("404"), 20)
    body = f"<h1 class='page-title'>{labels[5]}</h1><p>{text}</p>"
    return (
        _head(author, "/404", title=labels[5]) + f"<main>{body}</main>" + _foot(author, labels)
    ).encode()


def _head(author: Author, path: str, title: str = "") -> str:
    labels, name = LABELS[author.language], escape(author.name)
    direction = " dir='rtl'" if author.language == "ar" else ""
    menu = "".join(
        (
            f"<li class='menu-item menu-item-type-post_type menu-item-{n}'>"
            f"<a href='{link}'>{text}</a></li>"
        )
        for n, (link, text) in enumerate(
            (("/", labels[0]), ("/qui-sommes-nous/", labels[1]), ("/contact/", labels[2]))
        )
    )
    organization = json.dumps(
        {
            "@context": "https://schema.org",
            "@type": "Organization",
            "name": author.name,
            "url": "/",
        },
        ensure_ascii=False,
    )
    shown_title = title or (
        labels[0] if path == "/" else author.write_sentence(author.create_random(path), 4)
    )
    return (
        f"<!doctype html><html lang='{author.language}'{direction}><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{shown_title} – {name}</title>"
        "<meta name='description' "
        f"content='{author.write_sentence(author.create_random('about'), 14)}'>"
        f"<meta property='og:site_name' content='{name}'>"
        f"<meta property='og:title' content='{shown_title}'>"
        f"<meta name='generator' content='WordPress 6.8.1'><link rel='canonical' href='{path}'>"
        f"<link rel='alternate' type='application/rss+xml' title='{name}' href='/feed/'>"
        f"<script type='application/ld+json'>{organization}</script>{THEME}</head>"
        "<body class='wp-embed-responsive'><header class='site-header'>"
        "<a class='site-title' href='/'>"
        f"{name}</a><nav><ul class='menu'>{menu}</ul></nav></header><main class='wp-block-group'>"
    )


def _article(
    author: Author, random_source: random.Random, post: int, labels: tuple[str, ...]
) -> str:
    published_at, link = (
        author.get_published_at(post),
        f"/{author.get_published_at(post):%Y/%m}/article-{post}/",
    )
    title = author.write_sentence(random_source, 7)
    text = "".join(
        f"<p class='has-text'>{author.write_sentence(random_source, 38)}.</p>" for _ in range(2)
    )
    return (
        f"<article id='post-{post}' class='post type-post status-publish format-standard hentry'>"
        f"<h2 class='entry-title'><a href='{link}' rel='bookmark'>{title}</a></h2>"
        "<div class='entry-meta'>"
        f"<time class='entry-date published' datetime='{published_at.isoformat()}'>"
        f"{published_at:%d/%m/%Y}</time></div>"
        f"<figure><img loading='lazy' width='300' src='/wp-content/uploads/{post}.jpg' alt=''>"
        "</figure>"
        f"<div class='entry-content'>{text}<a class='more-link' href='{link}'>{labels[3]}</a></div>"
        "</article>"
    )


def _foot(author: Author, labels: tuple[str, ...]) -> str:
    handle = f"assoc{author.number:04}"
    hosts = ("www.facebook.com/", "x.com/", "www.linkedin.com/company/", "www.youtube.com/@")
    icons = "".join(
        f"<a class='wp-social-link' href='https://{host}{handle}' rel='me'><span></span></a>"
        for host in hosts
    )
    return (
        f"</main><footer class='site-footer'>{icons}<p>{labels[4]} © {author.name}</p>"
        f"<a href='mailto:contact@{handle}.example.org'>contact@{handle}.example.org</a></footer>"
        "<script src='/wp-includes/js/wp-embed.min.js' defer></script></body></html>"
    )


def build_rss(author: Author) -> bytes:
    """Return an RSS feed of ten posts as WordPress writes it, about 15 KB."""
    random_source = author.create_random("rss")
    items = "".join(
        f"<item><title>{author.write_sentence(random_source, 7)}</title><link>/article-{n}/</link>"
        f"<pubDate>{format_datetime(author.get_published_at(n))}</pubDate><dc:creator><![CDATA[admin]]></dc:creator>"
        f"<guid isPermaLink='false'>/?p={n}</guid>"
        f"<description><![CDATA[<p>{author.write_sentence(random_source, 120)}</p>]]></description>"
        "</item>"
        for n in range(10)
    )
    return (
        "<?xml version='1.0' encoding='UTF-8'?><rss version='2.0' xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        f"<channel><title>{author.name}</title><link>/</link><language>{author.language}</language>"
        f"<generator>https://wordpress.org/?v=6.8.1</generator>{items}</channel></rss>"
    ).encode()


def build_atom(author: Author) -> bytes:
    """Return an Atom feed of fifteen posts, as other systems write it."""
    random_source = author.create_random("atom")
    entries = "".join(
        f"<entry><title>{author.write_sentence(random_source, 7)}</title><id>/{n}</id>"
        f"<link href='/article-{n}/'/><published>"
        f"{author.get_published_at(n).isoformat()}</published>"
        f"<updated>{author.get_published_at(n).isoformat()}</updated>"
        f"<summary>{author.write_sentence(random_source, 120)}</summary></entry>"
        for n in range(15)
    )
    return (
        "<?xml version='1.0' encoding='utf-8'?><feed xmlns='http://www.w3.org/2005/Atom'>"
        f"<title>{author.name}</title><id>/</id><updated>{author.get_published_at(0).isoformat()}</updated>"
        f"{entries}</feed>"
    ).encode()


ROBOTS = b"User-agent: *\nDisallow: /wp-admin/\nAllow: /wp-admin/admin-ajax.php\n"
