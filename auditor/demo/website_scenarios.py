"""Scenarios of the sites: what each site serves in each run, and the expected results.

An absence is confirmed after three decisive runs over six days. A site that is lost in run n is
therefore gone from run n + 6. A fault that visitors also see becomes a gap after three days.
See docs/explanations/verdicts.md.
"""

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
from auditor.demo.pages import site, site_variants
from auditor.demo.pages.site import PageFrame, PublishingHabit

SiteHandler = Callable[[DemoAssociation, FakeRequest, DemoRun], FakeResponse]

DEFAULT_SITE = site.make_wordpress_site()


@dataclass(frozen=True, slots=True)
class SiteScenario:
    """The responses of a site, with the results that the audit must find.

    Ranges of runs have a first and a last run, both included. In `unresolvable_runs` the host name
    does not resolve. In `expired_certificate_runs` the certificate is expired. In
    `unresponsive_runs` HTTPS connections time out and HTTP connections are refused.
    `certificate_days` is the lifetime of the certificate after the last run.
    """

    expected: AccountScenario
    handler: SiteHandler = DEFAULT_SITE
    unresolvable_runs: tuple[int, int] | None = None
    expired_certificate_runs: tuple[int, int] | None = None
    unresponsive_runs: tuple[tuple[int, int], ...] = ()
    certificate_days: int = 80
    has_https: bool = True


def is_during(run_range: tuple[int, int] | None, demo_run: DemoRun) -> bool:
    """Return True if the run is in the range, both ends included."""
    return run_range is not None and run_range[0] <= demo_run.number <= run_range[1]


def is_unresponsive(scenario: SiteScenario, demo_run: DemoRun) -> bool:
    """Return True if the site does not respond in this run."""
    return any(is_during(run_range, demo_run) for run_range in scenario.unresponsive_runs)


def make_temporary_site(
    first_run: int, last_run: int, handler: SiteHandler, default_handler: SiteHandler | None = None
) -> SiteHandler:
    """Return a site that uses `handler` from the first to the last run."""
    other_handler = default_handler or DEFAULT_SITE

    def respond(
        association: DemoAssociation, request: FakeRequest, demo_run: DemoRun
    ) -> FakeResponse:
        if is_during((first_run, last_run), demo_run):
            return handler(association, request, demo_run)
        return other_handler(association, request, demo_run)

    return respond


SITE_SCENARIOS = {
    "wordpress_active": SiteScenario(
        make_steady_scenario("a WordPress site with a post every week", "present")
    ),
    "posts_embedded": SiteScenario(
        make_steady_scenario(
            "a WordPress site that embeds posts of its accounts and of a partner", "present"
        ),
        site_variants.serve_site_with_posts,
    ),
    "wordpress_slow": SiteScenario(
        make_steady_scenario("a WordPress site whose newest post is two months old", "present"),
        site.make_wordpress_site(PublishingHabit(12, ended_days_ago=60)),
    ),
    "wordpress_dormant": SiteScenario(
        make_steady_scenario(
            "a WordPress site without a post for more than a year", "present", website_stale=3
        ),
        site.make_wordpress_site(PublishingHabit(12, ended_days_ago=400)),
    ),
    "wordpress_hello": SiteScenario(
        make_steady_scenario(
            "a WordPress site with only the sample post of the installer", "present"
        ),
        site.serve_unused_wordpress,
    ),
    "spip_active": SiteScenario(
        make_steady_scenario("a SPIP site with regular posts", "present"),
        site.make_spip_site(PublishingHabit(7)),
    ),
    "spip_dormant": SiteScenario(
        make_steady_scenario(
            "a SPIP site without a post for more than two years", "present", website_stale=3
        ),
        site.make_spip_site(PublishingHabit(30, ended_days_ago=800)),
    ),
    "wix_active": SiteScenario(
        make_steady_scenario("a Wix site with a blog", "present"), site.serve_wix_site
    ),
    "blogger_active": SiteScenario(
        make_steady_scenario("a blog on Blogger", "present"), site.serve_blogger_site
    ),
    "static_1256": SiteScenario(
        make_steady_scenario(
            "a single page from 2009 in windows-1256",
            "present",
            mobile_unfriendly=2,
            share_preview_missing=2,
            feed_missing=2,
        ),
        site.serve_windows_1256_page,
    ),
    "dead": SiteScenario(
        make_gone_scenario(
            "a domain that was lost before the first run", "no_such_host", "website_domain_lost"
        ),
        unresolvable_runs=(1, FOREVER),
    ),
    "dead_later": SiteScenario(
        make_gone_scenario(
            "a domain that is lost in the fourth run", "no_such_host", "website_domain_lost", 4
        ),
        unresolvable_runs=(4, FOREVER),
    ),
    "dead_renewed": SiteScenario(
        AccountScenario(
            "a domain that is lost in the second run and renewed in the eleventh",
            {1: "present", 2: "absent no_such_host", 11: "present"},
            {1: "present", 8: "gone no_such_host", 12: "present"},
            {"website_domain_lost": (8, 11)},
        ),
        unresolvable_runs=(2, 10),
    ),
    "parked": SiteScenario(
        make_gone_scenario(
            "a parked domain with a page of a domain seller", "parked", "website_parked"
        ),
        make_temporary_site(1, FOREVER, site_variants.serve_parked_page),
    ),
    "suspended": SiteScenario(
        make_gone_scenario(
            "a hosting account that is suspended in the third run, with status 200",
            "suspended",
            "website_down",
            3,
        ),
        make_temporary_site(3, FOREVER, site_variants.serve_suspended_page),
    ),
    "default_page": SiteScenario(
        make_gone_scenario(
            "the default page of the hosting company", "default_page", "website_placeholder"
        ),
        make_temporary_site(1, FOREVER, site_variants.serve_default_page),
    ),
    "under_construction": SiteScenario(
        make_gone_scenario(
            "a page that says the site is under construction", "default_page", "website_placeholder"
        ),
        make_temporary_site(1, FOREVER, site_variants.serve_under_construction_page),
    ),
    "hijacked": SiteScenario(
        make_gone_scenario(
            "a hijacked site with gambling ads from the fifth run",
            "hijacked",
            "website_suspect_content",
            5,
        ),
        make_temporary_site(5, FOREVER, site_variants.serve_gambling_page),
    ),
    "soft_404": SiteScenario(
        make_gone_scenario('a "page not found" text with status 200', "not_found", "website_down"),
        make_temporary_site(1, FOREVER, site_variants.serve_soft_404),
    ),
    "tls_renewed": SiteScenario(
        AccountScenario(
            "an expired certificate that is renewed in the ninth run",
            {1: "unknown tls", 9: "present"},
            {1: "unknown", 9: "present"},
            {"website_insecure": (4, 8)},
        ),
        site_variants.serve_site_with_old_posts,
        expired_certificate_runs=(1, 8),
    ),
    "redirect_loop": SiteScenario(
        AccountScenario(
            "two redirects in a circle from the sixth run",
            {1: "present", 6: "unknown server_error"},
            {1: "present"},
            {"website_down": (9, FOREVER)},
        ),
        make_temporary_site(6, FOREVER, site_variants.serve_redirect_loop),
    ),
    "unwell": SiteScenario(
        AccountScenario(
            "status 503 in two runs",
            {1: "present", 5: "unknown server_error", 7: "present"},
            {1: "present"},
        ),
        make_temporary_site(5, 6, site_variants.serve_503_error),
    ),
    "down_mended": SiteScenario(
        AccountScenario(
            "a database error from the third to the ninth run",
            {1: "present", 3: "unknown server_error", 10: "present"},
            {1: "present"},
            {"website_down": (6, 9)},
        ),
        make_temporary_site(
            3, 9, site_variants.serve_database_error, site_variants.serve_site_with_posts
        ),
    ),
    "rate_limited": SiteScenario(
        AccountScenario(
            "status 429 with Retry-After from the fourth run",
            {1: "present", 4: "unknown rate_limited"},
            {1: "present"},
        ),
        make_temporary_site(4, FOREVER, site_variants.serve_429_error),
    ),
    "captcha": SiteScenario(
        make_steady_scenario("a Cloudflare challenge page", "unknown blocked"),
        site_variants.serve_captcha,
    ),
    "robots_forbid": SiteScenario(
        make_steady_scenario("a robots.txt that forbids everything", "present"),
        site_variants.serve_robots_forbidden_site,
    ),
    "slow": SiteScenario(
        AccountScenario(
            "a site that is slow in five runs, and then changes its hosting",
            {1: "present"},
            {1: "present"},
            {"website_slow": (5, 5)},
        ),
        site_variants.serve_slow_site,
    ),
    "silent": SiteScenario(
        AccountScenario(
            "a server that times out in one run, and in four runs two weeks later",
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
        make_steady_scenario("a site without contact details", "present", no_contact=2),
        site.make_wordpress_site(frame=PageFrame(has_contact=False)),
    ),
    "huge": SiteScenario(
        make_steady_scenario("a home page of 20 MB", "present"), site_variants.serve_huge_page
    ),
    "http_only": SiteScenario(
        make_steady_scenario("a site without HTTPS", "present", website_http_only=2),
        has_https=False,
    ),
    "cert_expiring": SiteScenario(
        AccountScenario(
            "a certificate that expires in less than 14 days from the fourth-last run",
            {1: "present"},
            {1: "present"},
            {"website_cert_expiring": (-3, FOREVER)},
        ),
        certificate_days=9,
    ),
    "noindex": SiteScenario(
        make_steady_scenario(
            "a site with a noindex meta tag", "present", website_hidden_from_search=2
        ),
        site.make_wordpress_site(
            frame=PageFrame(head_html='<meta name="robots" content="noindex, nofollow">\n')
        ),
    ),
    "footer_unlisted": SiteScenario(
        make_steady_scenario("a footer with a link to an unregistered channel", "present"),
        site_variants.make_site_with_footer(site_variants.render_youtube_icon),
    ),
    "jsonld_unlisted": SiteScenario(
        make_steady_scenario("JSON-LD data with an unregistered page", "present"),
        site_variants.make_site_with_footer(lambda _: "", site_variants.render_same_as_json_ld),
    ),
    "theme_credit": SiteScenario(
        make_steady_scenario("a footer with credits of the theme and its maker", "present"),
        site_variants.make_site_with_footer(site_variants.render_theme_credit),
    ),
    "not_linked": SiteScenario(
        make_steady_scenario("a site without links to the accounts", "present"),
        site_variants.serve_site_without_social_links,
    ),
    "moved": SiteScenario(
        make_steady_scenario("a site that redirects to a new domain", "present", website_moved=3),
        site_variants.serve_moved_site,
    ),
}
