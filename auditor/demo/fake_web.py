"""The fake web behind the proxy: the response of each host in each run.

The sites are those of publishing systems and faulty servers.

A host that no association and no platform has does not exist.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from auditor.demo.associations import (
    ALL_DEMO_CHANNELS,
    ASSOCIATIONS,
    CANARIES,
    DemoAssociation,
    load_demo_associations,
)
from auditor.demo.domain_registry import REGISTRY_HOST, SUCCESSOR_HOST, respond_domain_registry
from auditor.demo.model import (
    CONNECTION_REFUSED_RESPONSE,
    CONNECTION_TIMEOUT_RESPONSE,
    NO_SUCH_HOST_RESPONSE,
    SCENARIOS,
    SITE_SCENARIOS,
    SLOW_SITE_DELAY_SECONDS,
    DemoRun,
    FakeRequest,
    FakeResponse,
    SiteScenario,
    is_during,
    json_response,
    list_post_dates,
    redirect_response,
    render_page,
    text_response,
)
from auditor.demo.platforms import PLATFORMS, ROBOTS_BY_HOST, build_twitter_user, make_post_id

HOST_ALIASES = {
    "facebook.com": "www.facebook.com",
    "m.facebook.com": "www.facebook.com",
    "twitter.com": "x.com",
    "linkedin.com": "www.linkedin.com",
    "youtube.com": "www.youtube.com",
    "instagram.com": "www.instagram.com",
    "tiktok.com": "www.tiktok.com",
    "whatsapp.com": "www.whatsapp.com",
}
HANDLERS = {
    **PLATFORMS,
    REGISTRY_HOST: ("website", respond_domain_registry),
    SUCCESSOR_HOST: ("website", respond_domain_registry),
}
PLATFORM_HOSTS = frozenset(HANDLERS | HOST_ALIASES)


class FakeWeb:
    """The sites and platform accounts of the associations."""

    def __init__(self) -> None:
        associations = (*load_demo_associations(), *CANARIES)
        self._accounts = {
            channel: {
                name: association
                for association in associations
                for name in association.list_account_names(channel)
            }
            for channel in ALL_DEMO_CHANNELS
        }

    def find_tunnel_refusal(self, host: str, demo_run: DemoRun) -> FakeResponse | None:
        """Return an error if the host does not exist, does not respond or has no HTTPS."""
        if host in PLATFORM_HOSTS:
            return None
        site = self._find_site(host, demo_run)
        if site is None:
            return NO_SUCH_HOST_RESPONSE
        if not site.is_unresponsive(demo_run):
            return None if site.has_https else CONNECTION_REFUSED_RESPONSE
        return (
            CONNECTION_REFUSED_RESPONSE if host.startswith("www.") else CONNECTION_TIMEOUT_RESPONSE
        )

    def get_certificate_expiry(self, host: str, demo_run: DemoRun) -> datetime:
        """Return the expiry of the host's certificate, before the first run if it is expired."""
        site = self._find_site(host, demo_run) or SiteScenario()
        if is_during(site.expired_certificate_runs, demo_run):
            return demo_run.days_before_last_run(demo_run.total_runs + 3)
        # TLS has the clock of this machine: certificates of the months before are valid today, too.
        days = site.certificate_days if demo_run.number > 0 else 365
        return demo_run.last_run_at + timedelta(days=days)

    def respond(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        """Return the response to a request."""
        if alias := HOST_ALIASES.get(request.host):
            return redirect_response(f"https://{alias}{request.target}")
        if request.path == "/robots.txt" and request.host in ROBOTS_BY_HOST:
            return text_response(ROBOTS_BY_HOST[request.host], content_type=PLAIN_TYPE)
        if request.host in HANDLERS:
            channel, handler = HANDLERS[request.host]
            return handler(self._accounts[channel], request, demo_run)
        return self._respond_site(request, demo_run)

    def _respond_site(self, request: FakeRequest, demo_run: DemoRun) -> FakeResponse:
        site, host = self._find_site(request.host, demo_run), request.host.removeprefix("www.")
        if site is None:
            return NO_SUCH_HOST_RESPONSE
        if request.path == "/favicon.ico":
            return text_response("", 404)
        if site.is_unresponsive(demo_run):
            return CONNECTION_REFUSED_RESPONSE  # port 80 is closed
        scheme = "https" if site.has_https else request.scheme
        if (request.scheme, request.host) != (scheme, host):
            return redirect_response(f"{scheme}://{host}{request.target}")
        return respond_site(self._accounts["website"][host], request, demo_run)

    def _find_site(self, host: str, demo_run: DemoRun) -> SiteScenario | None:
        """Return the site of a host, or None if the name does not resolve in this run."""
        association = self._accounts["website"].get(host.removeprefix("www."))
        site = SITE_SCENARIOS[association.website] if association else None
        return None if site is None or is_during(site.unresolvable_runs, demo_run) else site


# --- The sites of the associations ---

SITE_TEXTS = {
    "ar": {
        "news": "آخر الأخبار",
        "contact": "اتصلوا بنا",
        "about": "من نحن",
        "missing": "الصفحة غير موجودة",
        "sample": "أهلاً بالعالم !",
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
        "missing": "Page introuvable",
        "sample": "Bonjour tout le monde !",
        "post": "Rencontre ouverte avec les habitants n° {}",
        "text": "L’association a tenu une rencontre ouverte à la maison des jeunes, avec des "
        "bénévoles et des familles du quartier, et y a présenté le bilan de la saison.",
        "intro": "Association locale dont les membres travaillent bénévolement depuis des "
        "années avec l’école, la maison des jeunes et la commune.",
    },
}
PLAIN_TYPE = "text/plain; charset=utf-8"
TWITTER_PARTNER_ID = "a055"
LINKEDIN_PARTNER_ID = "a006"
"""Partners whose posts other sites embed, too.

They have no site, and their accounts cannot be read without an API key, so none of these posts is a
clue to their activity.
"""


@dataclass(frozen=True, slots=True)
class SitePost:
    """A post of a site."""

    number: int
    title: str
    text: str
    published_at: datetime
    path: str


def respond_site(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
) -> FakeResponse:
    """Return the response of an association's site in this run."""
    site, is_home = SITE_SCENARIOS[association.website], request.path == "/"
    if is_during(site.fault_runs, demo_run):
        return _respond_fault(association, request, SCENARIOS["faults"][site.fault])
    if site.is_moved and request.host == association.host:
        return redirect_response(f"https://{association.moved_host}{request.target}")
    if site.robots and request.path == "/robots.txt":
        return text_response(site.robots, content_type=PLAIN_TYPE)
    if site.page:  # the only page, without viewport, feed and preview
        status, template = (200, site.page) if is_home else (404, "not_found.html")
        text = render_page(template, association=association, run=demo_run)
        return FakeResponse(status, text.encode("windows-1256"), "text/html")
    response = _respond_system(association, request, demo_run, site)
    return _change_home_page(response, site, demo_run) if is_home else response


def _change_home_page(
    response: FakeResponse, site: SiteScenario, demo_run: DemoRun
) -> FakeResponse:
    """Return the home page of a site that is slow or huge, or the same page."""
    if is_during(site.slow_runs, demo_run):
        response = replace(response, delay_seconds=SLOW_SITE_DELAY_SECONDS)
    elif site.slow_runs:
        response = replace(
            response, body=response.body + b"<!-- from the cache of its new hosting -->"
        )
    elif site.home_bytes:
        # small chunks, because the proxy notices a closed connection only between two chunks
        chunk = response.body + b"<p>" + b"archive " * 5_000 + b"</p>\n"
        response = replace(response, body=chunk, body_repeats=1 + site.home_bytes // len(chunk))
    return response


def _respond_fault(
    association: DemoAssociation, request: FakeRequest, fault: dict[str, Any]
) -> FakeResponse:
    """Return the page that a server shows in place of a site, or a redirect to it."""
    if request.path == "/robots.txt":
        return text_response("", 404, content_type=PLAIN_TYPE)
    if request.path != "/" and "is_home_only" in fault:
        return text_response(render_page("not_found.html"), 404)
    location = fault.get("location", request.path)
    if request.path != location:
        return redirect_response(location, 302)
    if "page" not in fault:
        return redirect_response("/", 302)
    return text_response(
        render_page(fault["page"], association=association),
        fault.get("status", 200),
        fault.get("headers"),
    )


def _respond_system(
    association: DemoAssociation, request: FakeRequest, demo_run: DemoRun, site: SiteScenario
) -> FakeResponse:
    """Return a page, the feed, the sitemap or a REST response of a publishing system."""
    system, posts = SCENARIOS["systems"][site.system], list_site_posts(association, site, demo_run)
    values = {"association": association, "site": site, "system": system, "posts": posts}
    texts = SITE_TEXTS[association.language]
    values |= _build_embeds(association, site, demo_run)
    if request.path == "/":
        return text_response(
            render_page("site_home.html", texts=texts, **values), headers=system.get("headers")
        )
    if request.target == system["feed_url"]:
        return text_response(
            render_page("feed.xml", **values), content_type="application/rss+xml; charset=utf-8"
        )
    if request.path == "/robots.txt":
        return text_response(
            system.get("robots", "User-agent: *\nDisallow:\n").format(host=association.host),
            content_type=PLAIN_TYPE,
        )
    if (site.system, request.path) == ("wordpress", "/wp-json/wp/v2/posts"):
        newest = posts[0]
        published_at = f"{newest.published_at:%Y-%m-%dT%H:%M:%S}"
        rest_post = {
            "id": newest.number + 100,
            "date_gmt": published_at,
            "modified_gmt": published_at,
            "slug": newest.path.strip("/").rsplit("/", 1)[-1],
            "link": f"https://{association.host}{newest.path}",
            "title": {"rendered": newest.title},
        }
        return json_response([rest_post])
    if (site.system, request.path) == ("wordpress", "/wp-sitemap.xml"):
        return text_response(render_page("sitemap.xml", **values), content_type="application/xml")
    values["title"], template, status = texts["missing"], "site.html", 404
    for post in posts:
        if request.path == post.path:
            values |= {"post": post, "title": post.title}
            template, status = "site_article.html", 200
    return text_response(render_page(template, texts=texts, **values), status)


def list_site_posts(
    association: DemoAssociation, site: SiteScenario, demo_run: DemoRun
) -> list[SitePost]:
    """Return the posts that a site shows in this run, newest first."""
    texts = SITE_TEXTS[association.language]
    if site.has_sample_post:
        text = "Bienvenue sur WordPress. Ceci est votre premier article."
        published_at = demo_run.days_before_last_run(700)
        return [SitePost(1, texts["sample"], text, published_at, "/hello-world/")]
    posts = []
    for published_at in list_post_dates({"posts": site.posts}, demo_run):
        number = 1 + (demo_run.last_run_at - published_at + timedelta(hours=1)).days
        path = f"/{published_at:%Y/%m}/r-{number}/"
        posts.append(
            SitePost(number, texts["post"].format(number), texts["text"], published_at, path)
        )
    return posts


def _build_embeds(
    association: DemoAssociation, site: SiteScenario, demo_run: DemoRun
) -> dict[str, list[Any]]:
    """Return the newest posts of the association's accounts and of a partner."""
    tweets: list[tuple[DemoAssociation, datetime, str]] = []
    linkedin_links: list[str] = []
    if site.linkedin_posts is None:
        return {}
    if association.twitter:
        for author in (association, ASSOCIATIONS[TWITTER_PARTNER_ID]):
            if posted_at := build_twitter_user(author, demo_run)["newest_post_at"]:
                url = f"https://twitter.com/{author.twitter_handle}/status/"
                url += f"{make_post_id(posted_at)}?ref_src=twsrc%5Etfw"
                tweets.append((author, posted_at, url))
    if association.linkedin in ("denied", "authwall"):
        partner = ASSOCIATIONS[LINKEDIN_PARTNER_ID]
        for author, habit in ((association, site.linkedin_posts), (partner, {"interval_days": 5})):
            posted_at = list_post_dates({"posts": habit}, demo_run)[0]
            number = int(posted_at.timestamp() * 1000) << 22
            linkedin_links.append(
                f"https://www.linkedin.com/posts/{author.slug}_rencontre-activity-{number}-dEm0"
            )
    return {"tweets": tweets, "linkedin_links": linkedin_links}
