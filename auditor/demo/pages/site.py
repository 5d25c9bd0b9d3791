"""Pages of an association's site: layout, posts and their dates, as publishing systems make them.

The systems are WordPress, SPIP, Wix, Blogger, and a static page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from html import escape
from operator import attrgetter
from urllib.parse import quote

from auditor.demo.associations import DemoAssociation
from auditor.demo.model import (
    DemoRun,
    FakeRequest,
    FakeResponse,
    html_response,
    json_response,
    text_response,
    xml_response,
)

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
        "text": (
            "نظمت الجمعية لقاءً مفتوحًا بدار الشباب حضره متطوعون وأسر من الحي، وقدمت خلاله حصيلة "
            "الموسم."
        ),
        "intro": (
            "جمعية محلية يعمل أعضاؤها متطوعين منذ سنوات إلى جانب المدرسة ودار الشباب والجماعة."
        ),
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
    """The interval at which an account publishes, and the days before the last run it stopped."""

    interval_days: int = 6
    ended_days_ago: int = 0
    post_count: int = 8

    def list_post_dates(self, demo_run: DemoRun) -> list[datetime]:
        """Return the times of the posts that exist in this run, newest first."""
        post_dates = []
        for step in range(self.post_count):
            days = self.ended_days_ago + self.interval_days * step + 0.4
            published_at = demo_run.days_before_last_run(days)
            if published_at <= demo_run.started_at:
                post_dates.append(published_at)
        return post_dates


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
        f'<a href="tel:{number.replace(" ", "")}">{number}</a> – '
        f'<a href="https://wa.me/{number.replace(" ", "")[1:]}">WhatsApp</a></p>\n'
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
        f'<a href="https://twitter.com/intent/tweet?url={page_url}">Tweeter</a> '
        f'<a href="https://api.whatsapp.com/send?text={page_url}">WhatsApp</a> '
        f'<a href="https://t.me/share/url?url={page_url}">Telegram</a></div>\n'
    )


SiteHandler = Callable[[DemoAssociation, FakeRequest, DemoRun], FakeResponse]


def make_wordpress_site(
    habit: PublishingHabit | None = None, frame: PageFrame | None = None
) -> SiteHandler:
    """Return a WordPress site with a feed and a REST API. It sets the generator of `frame`."""
    habit, base_frame = habit or PublishingHabit(), frame or PageFrame()

    def respond(
        association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
    ) -> FakeResponse:
        wordpress_frame = replace(
            base_frame,
            generator="WordPress 6.8.2",
            feed_url="/feed/",
            head_html='<link rel="https://api.w.org/" href="/wp-json/">\n'
            '<link rel="stylesheet" href="/wp-content/themes/aneme/style.css">\n'
            f"{base_frame.head_html}",
            profile_urls=base_frame.profile_urls or association.get_profile_urls(),
        )
        posts = build_site_posts(association, habit, demo_run)
        return _respond_wordpress(association, request, posts, wordpress_frame)

    return respond


def _respond_wordpress(
    association: DemoAssociation, request: FakeRequest, site_posts: list[SitePost], frame: PageFrame
) -> FakeResponse:
    if request.path == "/":
        return html_response(
            render_home_page(association, site_posts, frame),
            link='</wp-json/>; rel="https://api.w.org/"',
        )
    if request.path.startswith("/feed"):
        return xml_response(render_rss(association, site_posts, "https://wordpress.org/?v=6.8.2"))
    if request.path == "/wp-json/wp/v2/posts" or "rest_route" in request.query:
        return json_response([_build_rest_post(association, post) for post in site_posts[:1]])
    if request.path == "/robots.txt":
        return text_response(
            f"User-agent: *\nDisallow: /wp-admin/\nSitemap: https://{association.host}/wp-sitemap.xml\n"
        )
    if request.path == "/wp-sitemap.xml":
        return xml_response(
            _render_sitemap(association, ["/", *map(attrgetter("path"), site_posts)]),
            "application/xml",
        )
    return _respond_inner_page(association, request, site_posts, frame)


def serve_unused_wordpress(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return a WordPress page of a site that has only the sample post of the installer."""
    published_at = demo_run.days_before_last_run(700)
    title = "أهلاً بالعالم !" if association.language == "ar" else "Bonjour tout le monde !"
    text = "Bienvenue sur WordPress. Ceci est votre premier article."
    sample_post = SitePost(1, title, text, published_at, "/hello-world/")
    frame = PageFrame(
        "WordPress 6.1",
        "/feed/",
        '<link rel="https://api.w.org/" href="/wp-json/">\n',
        profile_urls=association.get_profile_urls(),
    )
    return _respond_wordpress(association, request, [sample_post], frame)


def make_spip_site(habit: PublishingHabit) -> SiteHandler:
    """Return a SPIP site, common among French-speaking associations. It has a feed."""

    def respond(
        association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
    ) -> FakeResponse:
        posts = build_site_posts(association, habit, demo_run)
        frame = PageFrame(
            "SPIP 4.3.6", "/spip.php?page=backend", profile_urls=association.get_profile_urls()
        )
        if request.path == "/spip.php" and request.query.get("page") == "backend":
            return xml_response(render_rss(association, posts, "SPIP"))
        if request.path == "/":
            return html_response(
                render_home_page(association, posts, frame), composed_by="SPIP 4.3.6 @ www.spip.net"
            )
        return _respond_inner_page(association, request, posts, frame)

    return respond


def serve_wix_site(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a Wix site with a blog and its feed, /blog-feed.xml."""
    posts = build_site_posts(association, PublishingHabit(9), demo_run)
    script = '<script src="https://static.wixstatic.com/thunderbolt.js"></script>\n'
    frame = PageFrame(
        "Wix.com Website Builder",
        "/blog-feed.xml",
        script,
        profile_urls=association.get_profile_urls(),
    )
    if request.path == "/blog-feed.xml":
        return xml_response(render_rss(association, posts, "RSS for Node"))
    if request.path == "/":
        return html_response(
            render_home_page(association, posts, frame), x_wix_request_id="1764000000.1"
        )
    return _respond_inner_page(association, request, posts, frame)


def serve_blogger_site(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a Blogger site with its feed, /feeds/posts/default, as RSS, Atom and JSON."""
    posts = build_site_posts(association, PublishingHabit(8), demo_run)
    script = "<script>_WidgetManager._Init('//www.blogger.com/rearrange');</script>\n"
    frame = PageFrame(
        "blogger",
        "/feeds/posts/default?alt=rss",
        script,
        profile_urls=association.get_profile_urls(),
    )
    if request.path.startswith("/feeds/posts/default"):
        return _respond_blogger_feed(association, request, posts)
    if request.path == "/":
        return html_response(render_home_page(association, posts, frame))
    return _respond_inner_page(association, request, posts, frame)


def serve_windows_1256_page(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a single page from 2009 in windows-1256, without viewport, feed and preview image.

    Only a meta tag declares the encoding.
    """
    if request.path != "/":
        return FakeResponse(
            404,
            b"<html><head><title>404 Not Found</title></head><body>Not Found</body></html>",
            "text/html",
        )
    links = "".join(
        f'<a href="{url}">{channel}</a> ' for channel, url in association.get_profile_urls().items()
    )
    text = (
        '<html dir="rtl"><head><meta http-equiv="Content-Type" content="text/html; '
        'charset=windows-1256">'
        f"<title>{association.name_ar}</title></head><body bgcolor=white><center><h2>"
        f"{association.name_ar}</h2></center>"
        f"<p>جمعية محلية يعمل أعضاؤها متطوعين إلى جانب المدرسة ودار الشباب والجماعة.</p>"
        f"<h3>أخبار الجمعية</h3><p>"
        f"{format_site_date(demo_run.days_before_last_run(35), 'ar')}:"
        " نظمت الجمعية لقاء مفتوحا بدار الشباب.</p>"
        f'<p>للاتصال: <a href="mailto:contact@{association.host}">contact@{association.host}</a>'
        "</p>"
        f"{links}</body></html>"
    )
    return FakeResponse(200, text.encode("windows-1256"), "text/html")


def render_rss(association: DemoAssociation, site_posts: list[SitePost], generator: str) -> str:
    """Return an RSS 2.0 feed."""
    items = "".join(
        f"<item><title>{escape(post.title)}</title><link>https://{association.host}{post.path}</link>"
        f"<pubDate>{format_datetime(post.published_at)}</pubDate><description>{escape(post.text)}</description></item>\n"
        for post in site_posts
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>'
        f"{escape(association.name)}</title>"
        f"<link>https://{association.host}/</link><generator>{generator}</generator>\n{items}</channel></rss>\n"
    )


def _respond_inner_page(
    association: DemoAssociation, request: FakeRequest, site_posts: list[SitePost], frame: PageFrame
) -> FakeResponse:
    for post in site_posts:
        if request.path == post.path:
            return html_response(render_article_page(association, post, frame))
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow:\n")
    missing = "الصفحة غير موجودة" if association.language == "ar" else "Page introuvable"
    return html_response(render_page(association, f"<h2>{missing}</h2>", frame, missing), 404)


def _build_rest_post(association: DemoAssociation, post: SitePost) -> dict[str, object]:
    gmt = _format_gmt(post.published_at)
    return {
        "id": post.number + (0 if post.path == "/hello-world/" else 100),
        "date_gmt": gmt,
        "modified_gmt": gmt,
        "slug": post.path.strip("/").rsplit("/", 1)[-1],
        "link": f"https://{association.host}{post.path}",
        "title": {"rendered": post.title},
    }


def _format_gmt(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _render_sitemap(association: DemoAssociation, paths: list[str]) -> str:
    urls = "".join(f"<url><loc>https://{association.host}{path}</loc></url>" for path in paths)
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'


def _respond_blogger_feed(
    association: DemoAssociation, request: FakeRequest, site_posts: list[SitePost]
) -> FakeResponse:
    alt = request.query.get("alt")
    if alt == "rss":
        return xml_response(render_rss(association, site_posts, "Blogger"))
    if alt == "json":
        entries = [
            {"title": {"$t": post.title}, "published": {"$t": post.published_at.isoformat()}}
            for post in site_posts
        ]
        return json_response(
            {"feed": {"openSearch$totalResults": {"$t": str(len(site_posts))}, "entry": entries}}
        )
    entries_xml = "".join(
        f"<entry><title>{escape(post.title)}</title><published>{post.published_at.isoformat()}</published>"
        f'<updated>{post.published_at.isoformat()}</updated><link rel="alternate" href="https://{association.host}{post.path}"/>'
        "</entry>"
        for post in site_posts
    )
    text = f'<feed xmlns="http://www.w3.org/2005/Atom"><title>{escape(association.name)}</title>{entries_xml}</feed>'
    return xml_response(text, "application/atom+xml; charset=utf-8")
