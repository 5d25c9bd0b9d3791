"""Runs, scenarios, requests, responses and pages of the fake web, and the API keys that it accepts.

`scenarios.toml` has the scenarios, `pages/` a template for each page. The API keys are invented and
not secret. An absence is confirmed after three decisive runs over six days: a site that is lost in
run n is gone from run n + 6. A fault that visitors also see becomes a gap after three days. See
docs/explanations/verdicts.md.
"""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jinja2
import tomli

HTML_CONTENT_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class DemoRun:
    """The audit run that is played: its number from 1, the number of runs, and its start (UTC)."""

    number: int
    total_runs: int
    started_at: datetime

    @property
    def last_run_at(self) -> datetime:
        """Return the start of the last run. All dates on the fake web are relative to it."""
        return self.started_at + timedelta(days=self.total_runs - self.number)

    def days_before_last_run(self, days: float) -> datetime:
        """Return the moment `days` before the last run. It is the same in every run."""
        return self.last_run_at - timedelta(days=days)

    def to_json(self) -> str:
        """Return the run as one line for the fake web process."""
        return json.dumps(
            {
                "run": self.number,
                "total_runs": self.total_runs,
                "started_at": self.started_at.isoformat(),
            }
        )

    @classmethod
    def from_json(cls, line: str) -> DemoRun:
        """Parse a line of `to_json`. Raise ValueError or KeyError if it is invalid."""
        fields = json.loads(line)
        return cls(
            int(fields["run"]),
            int(fields["total_runs"]),
            datetime.fromisoformat(fields["started_at"]),
        )


DEFAULT_RUN_COUNT = 14
"""Number of runs of the demo. Scenarios support any number of runs."""

UNRELIABLE_YOUTUBE_RUN = 6
"""The run in which YouTube responds with 404 to all requests, also for canaries."""

SECOND_IMPORT_RUN = 9
"""The run before which the coordinator imports the corrected spreadsheet."""

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
    fault_runs: tuple[int, ...] = ()
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


def list_post_dates(
    scenario: Mapping[str, Any], demo_run: DemoRun, **default: int
) -> list[datetime]:
    """Return the times of the posts of an account that exist in this run, newest first.

    The `posts` of a scenario are the interval at which it publishes, the days before the last run
    at which it stopped, and how many posts it shows.
    """
    standard = {"interval_days": 6, "ended_days_ago": 0, "count": 8}
    posts = {**standard, **scenario.get("posts", default)}
    newest, interval = posts["ended_days_ago"] + 0.4, posts["interval_days"]
    post_dates = [
        demo_run.days_before_last_run(newest + interval * step) for step in range(posts["count"])
    ]
    return [posted_at for posted_at in post_dates if posted_at <= demo_run.started_at]


SCENARIOS: dict[str, dict[str, dict[str, Any]]] = tomli.loads(
    Path(__file__).with_name("scenarios.toml").read_text(encoding="utf-8")
)
"""The scenarios by channel and name, the `systems` and `faults` of sites, and the `domains`."""

SITE_SCENARIOS = {name: SiteScenario(**entry) for name, entry in SCENARIOS["website"].items()}


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """A parsed request. The host (without port) and header names are in lower case."""

    scheme: str
    host: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return the absolute URL."""
        return f"{self.scheme}://{self.host}{self.target}"

    @property
    def path(self) -> str:
        """Return the decoded path without the query."""
        return unquote(urlsplit(self.target).path) or "/"

    @property
    def query(self) -> dict[str, str]:
        """Return the first value of each query parameter by name."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True, slots=True)
class FakeResponse:
    """A response of the fake web.

    The body is sent `body_repeats` times. The first byte is sent after `delay_seconds`.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = HTML_CONTENT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    body_repeats: int = 1


def text_response(
    text: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = HTML_CONTENT_TYPE,
) -> FakeResponse:
    """Return an HTML page, or another text."""
    return FakeResponse(status, text.encode(), content_type, headers or {})


def redirect_response(url: str, status: int = 301) -> FakeResponse:
    """Return a redirect to a URL."""
    return FakeResponse(status, b"", headers={"location": url})


def json_response(value: object, status: int = 200) -> FakeResponse:
    """Return a JSON document."""
    return FakeResponse(
        status, json.dumps(value, ensure_ascii=False).encode(), "application/json; charset=utf-8"
    )


NO_SUCH_HOST_RESPONSE = FakeResponse(
    502, b"no such host", headers={"proxy-status": "demo; error=dns_error; rcode=NXDOMAIN"}
)
"""The only proxy response that proves that a host name does not exist (RFC 9209)."""

CONNECTION_REFUSED_RESPONSE = FakeResponse(
    502, b"connection refused", headers={"proxy-status": "demo; error=connection_refused"}
)
CONNECTION_TIMEOUT_RESPONSE = FakeResponse(
    504, b"", headers={"proxy-status": "demo; error=connection_timeout"}, delay_seconds=60.0
)
"""A firewall that drops packets. Most clients time out before the proxy responds."""


MONTH_NAMES = {
    "ar": (  # as in Morocco
        "يناير", "فبراير", "مارس", "أبريل", "ماي", "يونيو",
        "يوليوز", "غشت", "شتنبر", "أكتوبر", "نونبر", "دجنبر",
    ),
    "fr": (
        "janvier", "février", "mars", "avril", "mai", "juin",
        "juillet", "août", "septembre", "octobre", "novembre", "décembre",
    ),
}  # fmt: skip
AGE_UNIT_DAYS = {"year": 365.0, "month": 30.0, "week": 7.0, "day": 1.0, "hour": 1 / 24}
AGE_FORMS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {unit: (f"{{}} {unit} ago", *[f"{{}} {unit}s ago"] * 3) for unit in AGE_UNIT_DAYS},
    "fr": {
        "year": ("il y a {} an", *["il y a {} ans"] * 3),
        "month": ("il y a {} mois",) * 4,
        "week": ("il y a {} semaine", *["il y a {} semaines"] * 3),
        "day": ("il y a {} jour", *["il y a {} jours"] * 3),
        "hour": ("il y a {} heure", *["il y a {} heures"] * 3),
    },
    "ar": {
        "year": ("قبل سنة واحدة", "قبل سنتين (2)", "قبل {} سنوات", "قبل {} سنة"),
        "month": ("قبل شهر واحد", "قبل شهرين (2)", "قبل {} أشهر", "قبل {} شهرًا"),
        "week": ("قبل أسبوع واحد", "قبل أسبوعين (2)", "قبل {} أسابيع", "قبل {} أسبوعًا"),
        "day": ("قبل يوم واحد", "قبل يومين (2)", "قبل {} أيام", "قبل {} يومًا"),
        "hour": ("قبل ساعة واحدة", "قبل ساعتين (2)", "قبل {} ساعات", "قبل {} ساعة"),
    },
}
"""The texts of an age by language and unit: for 1, 2, 3 to 10, and more."""


def format_age(published_at: datetime, now: datetime, language: str) -> str:
    """Return the age of a video in words, as YouTube shows it: one unit, rounded down."""
    days = (now - published_at) / timedelta(days=1)
    unit = next((unit for unit, length in AGE_UNIT_DAYS.items() if days >= length), "hour")
    count = max(1, int(days / AGE_UNIT_DAYS[unit]))
    return AGE_FORMS[language][unit][bisect((1, 2, 10), count - 1)].format(count)


def format_site_date(moment: datetime, language: str) -> str:
    """Return a date in words, as sites write it."""
    return f"{moment.day} {MONTH_NAMES[language][moment.month - 1]} {moment.year}"


_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("pages")),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update(
    format_age=format_age, format_datetime=format_datetime, format_site_date=format_site_date
)


def render_page(template_name: str, **values: object) -> str:
    """Return a page of `pages/`."""
    return _TEMPLATES.get_template(template_name).render(values)
