"""The scripts of the sites: what each shows on which night, and what a careful reader concludes.

An absence is believed after three decisive nights spread over six days: lost on night n, it is held
gone from night n + 6. Trouble that visitors meet too is told when it has lasted three days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auditor.demo.account_scenarios import EVER, Situation, gone, steady
from auditor.demo.associations import Member
from auditor.demo.model import Answer, Request, Tonight
from auditor.demo.pages import site_engines, site_variants
from auditor.demo.pages.site import Frame, Habit

Site = Callable[[Member, Request, Tonight], Answer]

USUAL = site_engines.wordpress()


@dataclass(frozen=True, slots=True)
class Script:
    """A site's truth beside what it shows.

    `missing` are the first and last night on which its name does not resolve, `expired` those of a
    certificate that has ended, `silent` those on which nothing answers on its secure port and its plain one
    is shut. `days` is how long its certificate is good after the last night.
    """

    truth: Situation
    show: Site = USUAL
    missing: tuple[int, int] | None = None
    expired: tuple[int, int] | None = None
    silent: tuple[tuple[int, int], ...] = ()
    days: int = 80
    https: bool = True


def during(nights: tuple[int, int] | None, tonight: Tonight) -> bool:
    """Whether tonight is among these nights, both ends included."""
    return nights is not None and nights[0] <= tonight.number <= nights[1]


def is_silent(script: Script, tonight: Tonight) -> bool:
    """Whether nothing answers tonight."""
    return any(during(nights, tonight) for nights in script.silent)


def between(first: int, last: int, then: Site, otherwise: Site | None = None) -> Site:
    """A site that shows something else from the first to the last night."""
    usual = otherwise or USUAL

    def show(member: Member, request: Request, tonight: Tonight) -> Answer:
        return (then if during((first, last), tonight) else usual)(member, request, tonight)

    return show


SITES = {
    "wordpress_active": Script(steady("a WordPress that publishes every week", "present")),
    "wordpress_slow": Script(
        steady("a WordPress whose newest article is two months old", "present"),
        site_engines.wordpress(Habit(12, ended=60)),
    ),
    "wordpress_dormant": Script(
        steady("a WordPress that has been silent for over a year", "present", website_stale=3),
        site_engines.wordpress(Habit(12, ended=400)),
    ),
    "wordpress_hello": Script(
        steady("a WordPress with the installer's article only: nothing was ever published", "present"),
        site_engines.hello_world,
    ),
    "spip_active": Script(steady("a SPIP that publishes", "present"), site_engines.spip(Habit(7))),
    "spip_dormant": Script(
        steady("a SPIP that has been silent for over two years", "present", website_stale=3),
        site_engines.spip(Habit(30, ended=800)),
    ),
    "wix_active": Script(steady("a Wix site with a blog", "present"), site_engines.wix),
    "blogger_active": Script(steady("a blog on Blogger", "present"), site_engines.blogger),
    "static_1256": Script(
        steady(
            "one page of 2009 in windows-1256",
            "present",
            mobile_unfriendly=2,
            share_preview_missing=2,
            feed_missing=2,
        ),
        site_engines.static_1256,
    ),
    "dead": Script(
        gone("a domain that was lost before the first night", "no_such_host", "website_domain_lost"),
        missing=(1, EVER),
    ),
    "dead_later": Script(
        gone("a domain that is lost on the fourth night", "no_such_host", "website_domain_lost", 4),
        missing=(4, EVER),
    ),
    "dead_renewed": Script(
        Situation(
            "a domain lost on the second night and renewed on the eleventh; two good nights bring it back",
            {1: "present", 2: "absent no_such_host", 11: "present"},
            {1: "present", 8: "gone no_such_host", 12: "present"},
            {"website_domain_lost": (8, 11)},
        ),
        missing=(2, 10),
    ),
    "parked": Script(
        gone("a seller's page at the address", "parked", "website_parked"),
        between(1, EVER, site_variants.parked),
    ),
    "suspended": Script(
        gone("the hosting is suspended on the third night, with status 200", "suspended", "website_down", 3),
        between(3, EVER, site_variants.suspended),
    ),
    "default_page": Script(
        gone("the hosting's own first page", "default_page", "website_placeholder"),
        between(1, EVER, site_variants.default_page),
    ),
    "under_construction": Script(
        gone("a page that promises a site", "default_page", "website_placeholder"),
        between(1, EVER, site_variants.under_construction),
    ),
    "hijacked": Script(
        gone("gambling advertising from the fifth night on", "hijacked", "website_suspect_content", 5),
        between(5, EVER, site_variants.gambling),
    ),
    "soft_404": Script(
        gone("status 200 for a page that says it is not there", "not_found", "website_down"),
        between(1, EVER, site_variants.soft_404),
    ),
    "tls_renewed": Script(
        Situation(
            "a certificate that had expired, renewed on the ninth night",
            {1: "unknown tls", 9: "present"},
            {1: "unknown", 9: "present"},
            {"website_insecure": (4, 8)},
        ),
        expired=(1, 8),
    ),
    "redirect_loop": Script(
        Situation(
            "redirects that lead to each other from the sixth night on",
            {1: "present", 6: "unknown server_error"},
            {1: "present"},
            {"website_down": (9, EVER)},
        ),
        between(6, EVER, site_variants.loop),
    ),
    "unwell": Script(
        Situation(
            "503 for two nights, then well",
            {1: "present", 5: "unknown server_error", 7: "present"},
            {1: "present"},
        ),
        between(5, 6, site_variants.unavailable),
    ),
    "down_mended": Script(
        Situation(
            "a database that is gone from the third night and back on the tenth",
            {1: "present", 3: "unknown server_error", 10: "present"},
            {1: "present"},
            {"website_down": (6, 9)},
        ),
        between(3, 9, site_variants.broken),
    ),
    "rate_limited": Script(
        Situation(
            "429 with an hour to wait, from the fourth night on: our limit",
            {1: "present", 4: "unknown rate_limited"},
            {1: "present"},
        ),
        between(4, EVER, site_variants.too_many),
    ),
    "captcha": Script(steady("a wall that lets browsers think", "unknown blocked"), site_variants.captcha),
    "robots_forbid": Script(
        steady("a robots.txt that forbids everything", "present"), site_variants.closed_to_robots
    ),
    "slow": Script(
        Situation(
            "a site that is slow for five nights, which is told on the fifth; then its hosting is changed",
            {1: "present"},
            {1: "present"},
            {"website_slow": (5, 5)},
        ),
        site_variants.slow,
    ),
    "silent": Script(
        Situation(
            "a server that does not answer in time for one night, and for four nights two weeks later",
            {1: "present", 4: "unknown timeout", 5: "present", 20: "unknown timeout", 24: "present"},
            {1: "present"},
            {"website_down": (23, 23)},
        ),
        silent=((4, 4), (20, 23)),
    ),
    "no_contact": Script(
        steady("a site that nobody can write to or ring up", "present", no_contact=2),
        site_engines.wordpress(frame=Frame(contact=False)),
    ),
    "huge": Script(steady("a home page of 20 MB", "present"), site_variants.huge),
    "http_only": Script(
        steady("a site without a secure address", "present", website_http_only=2), https=False
    ),
    "cert_expiring": Script(
        Situation(
            "a certificate with less than 14 days left from four nights before the last on",
            {1: "present"},
            {1: "present"},
            {"website_cert_expiring": (-3, EVER)},
        ),
        days=9,
    ),
    "noindex": Script(
        steady("a site that asks search engines to leave it out", "present", website_hidden_from_search=2),
        site_engines.wordpress(frame=Frame(head='<meta name="robots" content="noindex, nofollow">\n')),
    ),
    "footer_unlisted": Script(
        steady("its footer leads to a channel that nobody registered", "present"),
        site_variants.with_footer(site_variants.youtube_icon),
    ),
    "jsonld_unlisted": Script(
        steady("its JSON-LD names a page that nobody registered", "present"),
        site_variants.with_footer(lambda _: "", site_variants.same_as),
    ),
    "theme_credit": Script(
        steady("a footer that credits the theme and its maker: nobody's channel", "present"),
        site_variants.with_footer(site_variants.credit),
    ),
    "not_linked": Script(
        steady("a site that leads to none of its accounts", "present"), site_variants.unlinked
    ),
    "moved": Script(
        steady("an address that leads to a new one", "present", website_moved=3), site_variants.moved
    ),
}
