"""The scenarios of `scenarios.toml`, and the runs in which something happens to everybody.

An absence is confirmed after three decisive runs over six days: a site that is lost in run n is
gone from run n + 6. A fault that visitors also see becomes a gap after three days. See
docs/explanations/verdicts.md.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli

from auditor.demo.model import DemoRun, PublishingHabit

DEFAULT_RUN_COUNT = 14
"""Number of runs of the demo. Scenarios support any number of runs."""

UNRELIABLE_YOUTUBE_RUN = 6
"""The run in which YouTube responds with 404 to all requests, also for canaries."""

SECOND_IMPORT_RUN = 9
"""The run before which the coordinator imports the corrected spreadsheet."""

API_FAILURES = {
    "youtube": (12, "rate_limited"),
    "twitter": (9, "server_error"),
    "facebook": (10, "server_error"),
}
"""The run in which the API of a channel fails, and the resulting reason."""

SLOW_SITE_DELAY_SECONDS = 1.52
"""Delay of a slow site. The demo sets the limit of the rule to 1.5 seconds (see `play`)."""


@dataclass(frozen=True, slots=True)
class SiteScenario:
    """The pages and faults of a site, run by run.

    In `unresolvable_runs` the host name does not resolve. In `expired_certificate_runs` the
    certificate is expired. In `unresponsive_runs` HTTPS connections time out and HTTP connections
    are refused. `certificate_days` is the lifetime of the certificate after the last run. `head`
    and `footer` name templates. With `linkedin_posts`, the site embeds posts.
    """

    system: str = "wordpress"
    page: str = ""
    posts: dict[str, int] = field(default_factory=dict)
    linkedin_posts: dict[str, int] | None = None
    fault: str = ""
    fault_runs: tuple[int, ...] = (1,)
    unresolvable_runs: tuple[int, ...] = ()
    expired_certificate_runs: tuple[int, ...] = ()
    unresponsive_runs: tuple[tuple[int, ...], ...] = ()
    slow_runs: tuple[int, ...] = ()
    certificate_days: int = 80
    home_bytes: int = 0
    head: str = ""
    footer: str = ""
    robots: str = ""
    has_contact: bool = True
    has_https: bool = True
    has_profile_links: bool = True
    has_sample_post: bool = False
    is_moved: bool = False

    def is_unresponsive(self, demo_run: DemoRun) -> bool:
        """Return True if the site does not respond in this run."""
        return any(is_during(run_range, demo_run) for run_range in self.unresponsive_runs)


def is_during(run_range: tuple[int, ...], demo_run: DemoRun) -> bool:
    """Return True if the run is in the range of a first and, if it ends, a last run."""
    if not run_range or demo_run.number < run_range[0]:
        return False
    return len(run_range) == 1 or demo_run.number <= run_range[1]


def list_post_dates(scenario: dict[str, Any], demo_run: DemoRun, **default: int) -> list[Any]:
    """Return the times of the posts of an account that exist in this run, newest first."""
    return PublishingHabit(**scenario.get("posts", default)).list_post_dates(demo_run)


SCENARIOS: dict[str, dict[str, dict[str, Any]]] = tomli.loads(
    Path(__file__).with_name("scenarios.toml").read_text(encoding="utf-8")
)
"""The scenarios by channel and name, the `systems` and `faults` of sites, and the `domains`."""

SITE_SCENARIOS = {name: SiteScenario(**entry) for name, entry in SCENARIOS["website"].items()}
