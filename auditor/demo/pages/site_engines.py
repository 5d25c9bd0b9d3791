"""Sites of common publishing systems: WordPress, SPIP, Wix, Blogger, and a static page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from html import escape

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
from auditor.demo.pages.site import (
    PageFrame,
    PublishingHabit,
    SitePost,
    build_site_posts,
    format_site_date,
    render_article_page,
    render_home_page,
    render_page,
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
            _render_sitemap(association, ["/", *(post.path for post in site_posts)]),
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
        '<html dir="rtl"><head><meta http-equiv="Content-Type" content="text/html; charset=windows-1256">'
        f"<title>{association.name_ar}</title></head><body bgcolor=white><center><h2>"
        f"{association.name_ar}</h2></center>"
        f"<p>جمعية محلية يعمل أعضاؤها متطوعين إلى جانب المدرسة ودار الشباب والجماعة.</p>"
        f"<h3>أخبار الجمعية</h3><p>"
        f"{format_site_date(demo_run.days_before_last_run(35), 'ar')}:"
        " نظمت الجمعية لقاء مفتوحا بدار الشباب.</p>"
        f'<p>للاتصال: <a href="mailto:contact@{association.host}">contact@{association.host}</a></p>'
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
