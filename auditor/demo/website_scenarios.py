"""The scripts of the sites: what each shows on which night, and what a careful reader concludes.

An absence is believed after three decisive nights spread over six days: lost on night n, it is held
gone from night n + 6. Trouble that visitors meet too is told when it has lasted three days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from auditor.demo.account_scenarios import (
    FOREVER,
    AccountScenario,
    make_gone_scenario,
    make_steady_scenario,
)
from auditor.demo.associations import DemoAssociation
from auditor.demo.model import DemoRun, FakeRequest, FakeResponse
from auditor.demo.pages import site_engines, site_variants
from auditor.demo.pages.site import PageFrame, PublishingHabit

SiteHandler = Callable[[DemoAssociation, FakeRequest, DemoRun], FakeResponse]

DEFAULT_SITE = site_engines.make_wordpress_site()


@dataclass(frozen=True, slots=True)
class SiteScenario:
    """A site's truth beside what it shows.

    `missing` are the first and last night on which its name does not resolve, `expired` those of a
    certificate that has ended, `silent` those on which nothing answers on its secure port and its plain one
    is shut. `days` is how long its certificate is good after the last night.
    """

    expected: AccountScenario
    handler: SiteHandler = DEFAULT_SITE
    unresolvable_runs: tuple[int, int] | None = None
    expired_certificate_runs: tuple[int, int] | None = None
    unresponsive_runs: tuple[tuple[int, int], ...] = ()
    certificate_days: int = 80
    has_https: bool = True


def is_during(run_range: tuple[int, int] | None, demo_run: DemoRun) -> bool:
    """Whether tonight is among these nights, both ends included."""
    return run_range is not None and run_range[0] <= demo_run.number <= run_range[1]


def is_unresponsive(scenario: SiteScenario, demo_run: DemoRun) -> bool:
    """Whether nothing answers tonight."""
    return any(is_during(nights, demo_run) for nights in scenario.unresponsive_runs)


def make_temporary_site(
    first_run: int, last_run: int, handler: SiteHandler, default_handler: SiteHandler | None = None
) -> SiteHandler:
    """A site that shows something else from the first to the last night."""
    usual = default_handler or DEFAULT_SITE

    def show(member: DemoAssociation, request: FakeRequest, tonight: DemoRun) -> FakeResponse:
        return (handler if is_during((first_run, last_run), tonight) else usual)(
            member, request, tonight
        )

    return show


SITE_SCENARIOS = {
    "wordpress_active": SiteScenario(
        make_steady_scenario("a WordPress that publishes every week", "present")
    ),
    "wordpress_slow": SiteScenario(
        make_steady_scenario("a WordPress whose newest article is two months old", "present"),
        site_engines.make_wordpress_site(PublishingHabit(12, ended_days_ago=60)),
    ),
    "wordpress_dormant": SiteScenario(
        make_steady_scenario(
            "a WordPress that has been silent for over a year", "present", website_stale=3
        ),
        site_engines.make_wordpress_site(PublishingHabit(12, ended_days_ago=400)),
    ),
    "wordpress_hello": SiteScenario(
        make_steady_scenario(
            "a WordPress with the installer's article only: nothing was ever published", "present"
        ),
        site_engines.serve_unused_wordpress,
    ),
    "spip_active": SiteScenario(
        make_steady_scenario("a SPIP that publishes", "present"),
        site_engines.make_spip_site(PublishingHabit(7)),
    ),
    "spip_dormant": SiteScenario(
        make_steady_scenario(
            "a SPIP that has been silent for over two years", "present", website_stale=3
        ),
        site_engines.make_spip_site(PublishingHabit(30, ended_days_ago=800)),
    ),
    "wix_active": SiteScenario(
        make_steady_scenario("a Wix site with a blog", "present"), site_engines.serve_wix_site
    ),
    "blogger_active": SiteScenario(
        make_steady_scenario("a blog on Blogger", "present"), site_engines.serve_blogger_site
    ),
    "static_1256": SiteScenario(
        make_steady_scenario(
            "one page of 2009 in windows-1256",
            "present",
            mobile_unfriendly=2,
            share_preview_missing=2,
            feed_missing=2,
        ),
        site_engines.serve_windows_1256_page,
    ),
    "dead": SiteScenario(
        make_gone_scenario(
            "a domain that was lost before the first night", "no_such_host", "website_domain_lost"
        ),
        unresolvable_runs=(1, FOREVER),
    ),
    "dead_later": SiteScenario(
        make_gone_scenario(
            "a domain that is lost on the fourth night", "no_such_host", "website_domain_lost", 4
        ),
        unresolvable_runs=(4, FOREVER),
    ),
    "dead_renewed": SiteScenario(
        AccountScenario(
            "a domain lost on the second night and renewed on the eleventh; two good nights bring it back",
            {1: "present", 2: "absent no_such_host", 11: "present"},
            {1: "present", 8: "gone no_such_host", 12: "present"},
            {"website_domain_lost": (8, 11)},
        ),
        unresolvable_runs=(2, 10),
    ),
    "parked": SiteScenario(
        make_gone_scenario("a seller's page at the address", "parked", "website_parked"),
        make_temporary_site(1, FOREVER, site_variants.serve_parked_page),
    ),
    "suspended": SiteScenario(
        make_gone_scenario(
            "the hosting is suspended on the third night, with status 200",
            "suspended",
            "website_down",
            3,
        ),
        make_temporary_site(3, FOREVER, site_variants.serve_suspended_page),
    ),
    "default_page": SiteScenario(
        make_gone_scenario("the hosting's own first page", "default_page", "website_placeholder"),
        make_temporary_site(1, FOREVER, site_variants.serve_default_page),
    ),
    "under_construction": SiteScenario(
        make_gone_scenario("a page that promises a site", "default_page", "website_placeholder"),
        make_temporary_site(1, FOREVER, site_variants.serve_under_construction_page),
    ),
    "hijacked": SiteScenario(
        make_gone_scenario(
            "gambling advertising from the fifth night on", "hijacked", "website_suspect_content", 5
        ),
        make_temporary_site(5, FOREVER, site_variants.serve_gambling_page),
    ),
    "soft_404": SiteScenario(
        make_gone_scenario(
            "status 200 for a page that says it is not there", "not_found", "website_down"
        ),
        make_temporary_site(1, FOREVER, site_variants.serve_soft_404),
    ),
    "tls_renewed": SiteScenario(
        AccountScenario(
            "a certificate that had expired, renewed on the ninth night",
            {1: "unknown tls", 9: "present"},
            {1: "unknown", 9: "present"},
            {"website_insecure": (4, 8)},
        ),
        expired_certificate_runs=(1, 8),
    ),
    "redirect_loop": SiteScenario(
        AccountScenario(
            "redirects that lead to each other from the sixth night on",
            {1: "present", 6: "unknown server_error"},
            {1: "present"},
            {"website_down": (9, FOREVER)},
        ),
        make_temporary_site(6, FOREVER, site_variants.serve_redirect_loop),
    ),
    "unwell": SiteScenario(
        AccountScenario(
            "503 for two nights, then well",
            {1: "present", 5: "unknown server_error", 7: "present"},
            {1: "present"},
        ),
        make_temporary_site(5, 6, site_variants.serve_503_error),
    ),
    "down_mended": SiteScenario(
        AccountScenario(
            "a database that is gone from the third night and back on the tenth",
            {1: "present", 3: "unknown server_error", 10: "present"},
            {1: "present"},
            {"website_down": (6, 9)},
        ),
        make_temporary_site(3, 9, site_variants.serve_database_error),
    ),
    "rate_limited": SiteScenario(
        AccountScenario(
            "429 with an hour to wait, from the fourth night on: our limit",
            {1: "present", 4: "unknown rate_limited"},
            {1: "present"},
        ),
        make_temporary_site(4, FOREVER, site_variants.serve_429_error),
    ),
    "captcha": SiteScenario(
        make_steady_scenario("a wall that lets browsers think", "unknown blocked"),
        site_variants.serve_captcha,
    ),
    "robots_forbid": SiteScenario(
        make_steady_scenario("a robots.txt that forbids everything", "present"),
        site_variants.serve_robots_forbidden_site,
    ),
    "slow": SiteScenario(
        AccountScenario(
            "a site that is slow for five nights, which is told on the fifth; then its hosting is changed",
            {1: "present"},
            {1: "present"},
            {"website_slow": (5, 5)},
        ),
        site_variants.serve_slow_site,
    ),
    "silent": SiteScenario(
        AccountScenario(
            "a server that does not answer in time for one night, and for four nights two weeks later",
            {
                1: "present",
                4: "unknown timeout",
                5: "present",
                20: "unknown timeout",
                24: "present",
            },
            {1: "present"},
            {"website_down": (23, 23)},
        ),
        unresponsive_runs=((4, 4), (20, 23)),
    ),
    "no_contact": SiteScenario(
        make_steady_scenario("a site that nobody can write to or ring up", "present", no_contact=2),
        site_engines.make_wordpress_site(frame=PageFrame(has_contact=False)),
    ),
    "huge": SiteScenario(
        make_steady_scenario("a home page of 20 MB", "present"), site_variants.serve_huge_page
    ),
    "http_only": SiteScenario(
        make_steady_scenario("a site without a secure address", "present", website_http_only=2),
        has_https=False,
    ),
    "cert_expiring": SiteScenario(
        AccountScenario(
            "a certificate with less than 14 days left from four nights before the last on",
            {1: "present"},
            {1: "present"},
            {"website_cert_expiring": (-3, FOREVER)},
        ),
        certificate_days=9,
    ),
    "noindex": SiteScenario(
        make_steady_scenario(
            "a site that asks search engines to leave it out",
            "present",
            website_hidden_from_search=2,
        ),
        site_engines.make_wordpress_site(
            frame=PageFrame(head_html='<meta name="robots" content="noindex, nofollow">\n')
        ),
    ),
    "footer_unlisted": SiteScenario(
        make_steady_scenario("its footer leads to a channel that nobody registered", "present"),
        site_variants.make_site_with_footer(site_variants.render_youtube_icon),
    ),
    "jsonld_unlisted": SiteScenario(
        make_steady_scenario("its JSON-LD names a page that nobody registered", "present"),
        site_variants.make_site_with_footer(lambda _: "", site_variants.render_same_as_json_ld),
    ),
    "theme_credit": SiteScenario(
        make_steady_scenario(
            "a footer that credits the theme and its maker: nobody's channel", "present"
        ),
        site_variants.make_site_with_footer(site_variants.render_theme_credit),
    ),
    "not_linked": SiteScenario(
        make_steady_scenario("a site that leads to none of its accounts", "present"),
        site_variants.serve_site_without_social_links,
    ),
    "moved": SiteScenario(
        make_steady_scenario("an address that leads to a new one", "present", website_moved=3),
        site_variants.serve_moved_site,
    ),
}
