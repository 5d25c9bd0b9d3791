"""Sites by the engine that serves them: WordPress with feed and REST, SPIP, Wix, Blogger, a static page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from html import escape

from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight, as_json, page, plain, xml
from auditor.demo.pages.site import Frame, Habit, Post, article, day, document, home, posts

Site = Callable[[Member, Request, Tonight], Answer]


def wordpress(habit: Habit | None = None, frame: Frame | None = None) -> Site:
    """A WordPress of these habits; a frame's true fields are kept, its generator and feed are WordPress's."""
    habit, wanted = habit or Habit(), frame or Frame()

    def answer(member: Member, request: Request, tonight: Tonight) -> Answer:
        dressed = replace(
            wanted,
            generator="WordPress 6.8.2",
            feed="/feed/",
            head='<link rel="https://api.w.org/" href="/wp-json/">\n'
            f'<link rel="stylesheet" href="/wp-content/themes/aneme/style.css">\n{wanted.head}',
            profiles=wanted.profiles or member.profiles(),
        )
        return _wordpress(member, request, posts(member, habit, tonight), dressed)

    return answer


def _wordpress(member: Member, request: Request, news: list[Post], frame: Frame) -> Answer:
    if request.path == "/":
        return page(home(member, news, frame), link='</wp-json/>; rel="https://api.w.org/"')
    if request.path.startswith("/feed"):
        return xml(rss(member, news, "https://wordpress.org/?v=6.8.2"))
    if request.path == "/wp-json/wp/v2/posts" or "rest_route" in request.query:
        return as_json([_rest(member, post) for post in news[:1]])
    if request.path == "/robots.txt":
        return plain(f"User-agent: *\nDisallow: /wp-admin/\nSitemap: https://{member.host}/wp-sitemap.xml\n")
    if request.path == "/wp-sitemap.xml":
        return xml(_sitemap(member, ["/", *(post.path for post in news)]), "application/xml")
    return _inner(member, request, news, frame)


def hello_world(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A WordPress that was installed and never used: its one post is the installer's."""
    when = tonight.ago(700)
    title = "أهلاً بالعالم !" if member.language == "ar" else "Bonjour tout le monde !"
    first = Post(1, title, "Bienvenue sur WordPress. Ceci est votre premier article.", when, "/hello-world/")
    frame = Frame("WordPress 6.1", "/feed/", '<link rel="https://api.w.org/" href="/wp-json/">\n')
    return _wordpress(member, request, [first], replace(frame, profiles=member.profiles()))


def spip(habit: Habit) -> Site:
    """A SPIP, common among French-speaking associations: its feed is /spip.php?page=backend."""

    def answer(member: Member, request: Request, tonight: Tonight) -> Answer:
        news = posts(member, habit, tonight)
        frame = Frame("SPIP 4.3.6", "/spip.php?page=backend", profiles=member.profiles())
        if request.path == "/spip.php" and request.query.get("page") == "backend":
            return xml(rss(member, news, "SPIP"))
        if request.path == "/":
            return page(home(member, news, frame), composed_by="SPIP 4.3.6 @ www.spip.net")
        return _inner(member, request, news, frame)

    return answer


def wix(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A Wix site with a blog: /blog-feed.xml."""
    news = posts(member, Habit(9), tonight)
    script = '<script src="https://static.wixstatic.com/thunderbolt.js"></script>\n'
    frame = Frame("Wix.com Website Builder", "/blog-feed.xml", script, profiles=member.profiles())
    if request.path == "/blog-feed.xml":
        return xml(rss(member, news, "RSS for Node"))
    if request.path == "/":
        return page(home(member, news, frame), x_wix_request_id="1764000000.1")
    return _inner(member, request, news, frame)


def blogger(member: Member, request: Request, tonight: Tonight) -> Answer:
    """A Blogger blog: /feeds/posts/default, as Atom and as JSON."""
    news = posts(member, Habit(8), tonight)
    script = "<script>_WidgetManager._Init('//www.blogger.com/rearrange');</script>\n"
    frame = Frame("blogger", "/feeds/posts/default?alt=rss", script, profiles=member.profiles())
    if request.path.startswith("/feeds/posts/default"):
        return _blogger_feed(member, request, news)
    if request.path == "/":
        return page(home(member, news, frame))
    return _inner(member, request, news, frame)


def static_1256(member: Member, request: Request, tonight: Tonight) -> Answer:
    """One page of 2009, in windows-1256 by its own word only: no viewport, no feed, no preview picture."""
    if request.path != "/":
        return Answer(
            404, b"<html><head><title>404 Not Found</title></head><body>Not Found</body></html>", "text/html"
        )
    links = "".join(f'<a href="{url}">{channel}</a> ' for channel, url in member.profiles().items())
    text = (
        '<html dir="rtl"><head><meta http-equiv="Content-Type" content="text/html; charset=windows-1256">'
        f"<title>{member.name_ar}</title></head><body bgcolor=white><center><h2>"
        f"{member.name_ar}</h2></center>"
        f"<p>جمعية محلية يعمل أعضاؤها متطوعين إلى جانب المدرسة ودار الشباب والجماعة.</p>"
        f"<h3>أخبار الجمعية</h3><p>{day(tonight.ago(35), 'ar')}: نظمت الجمعية لقاء مفتوحا بدار الشباب.</p>"
        f'<p>للاتصال: <a href="mailto:contact@{member.host}">contact@{member.host}</a></p>'
        f"{links}</body></html>"
    )
    return Answer(200, text.encode("windows-1256"), "text/html")


def rss(member: Member, news: list[Post], generator: str) -> str:
    """An RSS 2.0 feed."""
    items = "".join(
        f"<item><title>{escape(post.title)}</title><link>https://{member.host}{post.path}</link>"
        f"<pubDate>{format_datetime(post.when)}</pubDate><description>{escape(post.text)}</description></item>\n"
        for post in news
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel><title>'
        f"{escape(member.name)}</title>"
        f"<link>https://{member.host}/</link><generator>{generator}</generator>\n{items}</channel></rss>\n"
    )


def _inner(member: Member, request: Request, news: list[Post], frame: Frame) -> Answer:
    for post in news:
        if request.path == post.path:
            return page(article(member, post, frame))
    if request.path == "/robots.txt":
        return plain("User-agent: *\nDisallow:\n")
    missing = "الصفحة غير موجودة" if member.language == "ar" else "Page introuvable"
    return page(document(member, f"<h2>{missing}</h2>", frame, missing), 404)


def _rest(member: Member, post: Post) -> dict[str, object]:
    gmt = _gmt(post.when)
    return {
        "id": post.number + (0 if post.path == "/hello-world/" else 100),
        "date_gmt": gmt,
        "modified_gmt": gmt,
        "slug": post.path.strip("/").rsplit("/", 1)[-1],
        "link": f"https://{member.host}{post.path}",
        "title": {"rendered": post.title},
    }


def _gmt(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _sitemap(member: Member, paths: list[str]) -> str:
    urls = "".join(f"<url><loc>https://{member.host}{path}</loc></url>" for path in paths)
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'


def _blogger_feed(member: Member, request: Request, news: list[Post]) -> Answer:
    alt = request.query.get("alt")
    if alt == "rss":
        return xml(rss(member, news, "Blogger"))
    if alt == "json":
        entries = [{"title": {"$t": post.title}, "published": {"$t": post.when.isoformat()}} for post in news]
        return as_json({"feed": {"openSearch$totalResults": {"$t": str(len(news))}, "entry": entries}})
    entries_xml = "".join(
        f"<entry><title>{escape(post.title)}</title><published>{post.when.isoformat()}</published>"
        f'<updated>{post.when.isoformat()}</updated><link rel="alternate" href="https://{member.host}{post.path}"/>'
        "</entry>"
        for post in news
    )
    text = (
        f'<feed xmlns="http://www.w3.org/2005/Atom"><title>{escape(member.name)}</title>{entries_xml}</feed>'
    )
    return xml(text, "application/atom+xml; charset=utf-8")
