"""Sites with faults and special sites.

The first part serves pages in place of a site: parked domains, default pages, errors. The second
part serves working sites with one special property: slow, huge, closed to robots, moved, with
unusual links, with posts of the association and of a partner.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from auditor.demo.associations import DemoAssociation, load_demo_associations
from auditor.demo.model import (
    CLOUDFLARE_CHALLENGE_HTML,
    DemoRun,
    FakeRequest,
    FakeResponse,
    html_response,
    redirect_response,
    text_response,
)
from auditor.demo.pages import site, twitter
from auditor.demo.pages.site import PageFrame, PublishingHabit

CPANEL_SUSPENDED_HTML = (
    "<!DOCTYPE html><html><head><title>Account Suspended</title></head><body>"
    "<h1>Account Suspended</h1>"
    "<p>This Account has been suspended.</p><p>Contact your hosting provider for more "
    "information.</p></body></html>"
)
CPANEL_DEFAULT_HTML = (
    "<html><head><title>Default Web Site Page</title></head><body><h1>SORRY!</h1>"
    "<p>If you are the owner of this website, please contact your hosting provider: "
    "webmaster@{host}</p>"
    "<p>It is possible you have reached this page because the IP address has changed.</p></body>"
    "</html>"
)
PARKED_HTML = (
    "<html><head><title>{host} is for sale</title>"
    '<script src="https://www.google.com/adsense/domains/caf.js"></script></head><body>'
    "<h1>{host}</h1><p>This domain is for sale. Buy this domain.</p><p>The Sponsored "
    "Listings displayed above are "
    "served automatically by a third party.</p></body></html>"
)
GAMBLING_HTML = (
    '<html lang="id"><head><title>SLOT GACOR MAXWIN: Situs Slot Online Resmi, Daftar Slot88</title>'
    '<meta name="description" content="Daftar situs judi online slot gacor maxwin, rtp '
    'live, deposit pulsa, qris.">'
    '<link rel="amphtml" href="https://amp-slot.example/"></head><body>'
    "<h1>Situs Judi Online Slot Gacor</h1>"
    '<p>Daftar slot88, togel, bandar, bonus new member, deposit dana.</p><a href="https://amp-slot.example/">LOGIN</a>'
    '<a href="https://amp-slot.example/daftar">DAFTAR</a></body></html>'
)


def respond_404_except_home(
    _association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse | None:
    """Return a 404 page for all paths except the home page, and None for the home page."""
    if request.path == "/":
        return None
    return html_response(
        "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>", 404
    )


def serve_parked_page(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve the page of a domain seller on all paths except robots.txt."""
    if request.path == "/robots.txt":
        return respond_404_except_home(association, request, demo_run) or html_response("")
    return html_response(PARKED_HTML.format(host=association.host))


def serve_suspended_page(
    _association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """Serve the cPanel page for suspended accounts: a redirect to a page with status 200."""
    if request.path == "/cgi-sys/suspendedpage.cgi":
        return html_response(CPANEL_SUSPENDED_HTML)
    return redirect_response("/cgi-sys/suspendedpage.cgi", 302)


def serve_default_page(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve the default page of a hosting account without files."""
    return respond_404_except_home(association, request, demo_run) or html_response(
        CPANEL_DEFAULT_HTML.format(host=association.host)
    )


def serve_under_construction_page(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a page that says the site is under construction."""
    soon, title = (
        ("قريبا", "الموقع قيد الإنشاء")
        if association.language == "ar"
        else ("Bientôt", "Site en construction")
    )
    text = (
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>"
        f"{soon}</p></body></html>"
    )
    return respond_404_except_home(association, request, demo_run) or html_response(text)


def serve_gambling_page(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve the gambling ads of a hijacked site."""
    return respond_404_except_home(association, request, demo_run) or html_response(GAMBLING_HTML)


def serve_soft_404(
    association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """Serve the text of a "not found" page with status 200 on every path."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow:\n")
    title = "الصفحة غير موجودة" if association.language == "ar" else "Page introuvable"
    hint = (
        "لم يتم العثور على الصفحة"
        if association.language == "ar"
        else "Erreur 404 : cette page n’existe pas."
    )
    return html_response(
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{hint}</p></body></html>"
    )


def serve_redirect_loop(
    _association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """Serve two redirects in a circle."""
    if request.path == "/robots.txt":
        return text_response("", 404)
    return redirect_response("/ar/" if request.path == "/" else "/", 302)


def serve_503_error(
    _association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """Serve status 503 on every path except robots.txt."""
    status = 404 if request.path == "/robots.txt" else 503
    return html_response(
        "<html><head><title>503 Service Unavailable</title></head><body>Erreur</body></html>",
        status,
    )


def serve_database_error(
    _association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """Serve the error page of WordPress without a database connection."""
    if request.path == "/robots.txt":
        return text_response("", 404)
    title = "Erreur lors de la connexion à la base de données"
    return html_response(
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>", 500
    )


def serve_429_error(
    _association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """Serve status 429 with a Retry-After of one hour."""
    if request.path == "/robots.txt":
        return text_response("", 404)
    return html_response(
        "<html><head><title>429 Too Many Requests</title></head></html>", 429, retry_after="3600"
    )


def serve_captcha(
    _association: DemoAssociation, request: FakeRequest, _demo_run: DemoRun
) -> FakeResponse:
    """Serve a Cloudflare challenge page."""
    if request.path == "/robots.txt":
        return text_response("", 404)
    return html_response(
        CLOUDFLARE_CHALLENGE_HTML, 403, server="cloudflare", cf_mitigated="challenge"
    )


SiteHandler = Callable[[DemoAssociation, FakeRequest, DemoRun], FakeResponse]

DEFAULT_SITE = site.make_wordpress_site()

SLOW_SITE_DELAY_SECONDS = 1.52
"""Delay of a slow site. The demo sets the limit of the rule to 1.5 seconds (see `play`)."""

CACHE_MARKER = b"<!-- from the cache of its new hosting -->"


def serve_slow_site(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a site with a slow home page, until its hosting changes in the sixth run."""
    response = DEFAULT_SITE(association, request, demo_run)
    if request.path != "/":
        return response
    if demo_run.number <= 5:
        return replace(response, delay_seconds=SLOW_SITE_DELAY_SECONDS)
    return replace(response, body=response.body + CACHE_MARKER)


def serve_huge_page(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a home page of 20 MB."""
    response = DEFAULT_SITE(association, request, demo_run)
    if request.path != "/":
        return response
    # small chunks, because the proxy notices a closed connection only between two chunks
    filler = b"<p>" + b"archive " * 5_000 + b"</p>\n"
    chunk = response.body + filler
    return replace(response, body=chunk, body_repeats=1 + 20_000_000 // len(chunk))


def serve_robots_forbidden_site(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a site whose robots.txt forbids everything. Only the home page can be fetched."""
    if request.path == "/robots.txt":
        return text_response("User-agent: *\nDisallow: /\n")
    if request.path == "/":
        return DEFAULT_SITE(association, request, demo_run)
    return html_response("<title>403 Forbidden</title>", 403)


def make_site_with_footer(
    render_footer: Callable[[DemoAssociation], str],
    render_head: Callable[[DemoAssociation], str] = lambda _: "",
) -> SiteHandler:
    """Return a WordPress site with additional HTML in its footer or head."""

    def respond(
        association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
    ) -> FakeResponse:
        frame = PageFrame(
            footer_html=render_footer(association), head_html=render_head(association)
        )
        return site.make_wordpress_site(frame=frame)(association, request, demo_run)

    return respond


def serve_site_without_social_links(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a site without links to social accounts."""
    frame = PageFrame(profile_urls={"articles": f"https://{association.host}/about"})
    return site.make_wordpress_site(frame=frame)(association, request, demo_run)


def serve_moved_site(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a redirect to the new domain of a site, and the site on the new domain."""
    if request.host == association.host:
        return redirect_response(f"https://{get_moved_host(association)}{request.target}")
    return DEFAULT_SITE(association, request, demo_run)


def get_moved_host(association: DemoAssociation) -> str:
    """Return the new host of a moved site."""
    return f"espace-{association.slug}.org"


def render_youtube_icon(association: DemoAssociation) -> str:
    """Return a footer icon with a link to the association's YouTube channel."""
    return (
        f'<p><a class="yt" href="https://www.youtube.com/@{association.handle}"><img alt="YouTube" '
        'src="/yt.png"></a></p>'
    )


def render_same_as_json_ld(association: DemoAssociation) -> str:
    """Return JSON-LD data with a link to the association's LinkedIn page."""
    return (
        '<script type="application/ld+json">{"@context": "https://schema.org", "@type": "NGO", '
        f'"name": "{association.name_fr}", "url": "{association.site_url}", '
        f'"sameAs": ["https://www.linkedin.com/company/{association.slug}"]}}</script>\n'
    )


def render_theme_credit(_association: DemoAssociation) -> str:
    """Return the credits of a theme, with links to accounts of other organisations."""
    return (
        '<p class="site-info">Fièrement propulsé par <a '
        'href="https://www.facebook.com/WordPresscom">WordPress</a> – '
        'Thème Aneme, réalisé par <a href="https://www.facebook.com/StudioTafrawtPixel">'
        "Studio Tafrawt Pixel</a></p>"
    )


TWITTER_PARTNER_ID = "a055"
LINKEDIN_PARTNER_ID = "a006"
"""Partners whose posts other sites embed, too.

They have no site, and their accounts cannot be read without an API key, so none of these posts is a
clue to their activity.
"""

RECENT_LINKEDIN_HABIT = PublishingHabit(5)
OLD_LINKEDIN_HABIT = PublishingHabit(30, ended_days_ago=200)


def serve_site_with_posts(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a WordPress site that embeds the newest posts of its accounts and of a partner."""
    return _embed_posts(association, request, demo_run, RECENT_LINKEDIN_HABIT)


def serve_site_with_old_posts(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Serve a WordPress site whose embedded LinkedIn post is more than half a year old."""
    return _embed_posts(association, request, demo_run, OLD_LINKEDIN_HABIT)


def _embed_posts(
    association: DemoAssociation,
    request: FakeRequest,
    demo_run: DemoRun,
    linkedin_habit: PublishingHabit,
) -> FakeResponse:
    embeds = []
    if association.twitter:
        partner = _find_association(TWITTER_PARTNER_ID)
        embeds.append(_render_tweet(association, demo_run) + _render_tweet(partner, demo_run))
    if association.linkedin in ("denied", "authwall"):
        partner = _find_association(LINKEDIN_PARTNER_ID)
        for author, habit in ((association, linkedin_habit), (partner, RECENT_LINKEDIN_HABIT)):
            newest_post_at = habit.list_post_dates(demo_run)[0]
            embeds.append(_render_linkedin_link(author, newest_post_at))
    frame = PageFrame(footer_html=f'<div class="posts">{"".join(embeds)}</div>\n')
    return site.make_wordpress_site(frame=frame)(association, request, demo_run)


def _find_association(association_id: str) -> DemoAssociation:
    return next(item for item in load_demo_associations() if item.id == association_id)


def _render_tweet(association: DemoAssociation, demo_run: DemoRun) -> str:
    """Return the embed code of the newest post of an X account."""
    users = twitter.build_twitter_users([association], demo_run)
    posted_at = users[association.twitter_id].newest_post_at
    if posted_at is None:
        return ""
    address = (
        f"https://twitter.com/{association.twitter_handle}/status/"
        f"{twitter.make_post_id(posted_at)}?ref_src=twsrc%5Etfw"
    )
    return (
        f'<blockquote class="twitter-tweet"><p>Rencontre ouverte.</p>&mdash; '
        f'{association.name} <a href="{address}">{posted_at:%d/%m/%Y}</a></blockquote>\n'
    )


def _render_linkedin_link(association: DemoAssociation, posted_at: datetime) -> str:
    """Return a link to a post of a LinkedIn page."""
    number = int(posted_at.timestamp() * 1000) << 22
    address = f"https://www.linkedin.com/posts/{association.slug}_rencontre-activity-{number}-dEm0"
    return f'<p><a href="{address}">Notre rencontre, sur LinkedIn</a></p>\n'
