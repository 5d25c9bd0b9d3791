"""Scenarios of the social accounts: what happens in which run, and the expected results.

Each scenario declares its expected results, without and with an API key. They are derived from
the served pages and from docs/explanations/verdicts.md, never from the auditor's output. Runs
count from 1. In a mapping by run, a value is valid from its run until the next one.
The scenarios of the sites are in `website_scenarios`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

DEFAULT_RUN_COUNT = 14
"""Number of runs of the demo. Scenarios support any number of runs."""

FOREVER = 10_000
"""A run number that is never reached. A range that ends with it does not end."""

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


@dataclass(frozen=True, slots=True)
class AccountScenario:
    """A scenario with its expected results.

    `findings_by_run` has the finding of each run ("presence reason"), `statuses_by_run` the
    account status ("state reason"). `gap_run_ranges` has the first and last run in which a gap is
    open. A negative first run counts back from the last run. `with_api_key` has the results with
    an API key. None means that they are the same.
    """

    description: str
    findings_by_run: Mapping[int, str]
    statuses_by_run: Mapping[int, str]
    gap_run_ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    with_api_key: AccountScenario | None = None

    def expected_at(self, run_number: int) -> tuple[str, str]:
        """Return the expected finding and account status of a run."""
        finding = _get_value_at_run(self.findings_by_run, run_number)
        return finding, _get_value_at_run(self.statuses_by_run, run_number)

    def select_api_scenario(self) -> AccountScenario:
        """Return the scenario with an API key."""
        return self.with_api_key or self

    def iter_open_gaps(self, run_number: int, total_runs: int) -> Iterator[str]:
        """Yield the codes of the gaps that are open in a run."""
        for code, (first, last) in self.gap_run_ranges.items():
            first_run = first if first > 0 else total_runs + first
            if first_run <= run_number <= last:
                yield code


def _get_value_at_run(values_by_run: Mapping[int, str], run_number: int) -> str:
    return values_by_run[max(first for first in values_by_run if first <= run_number)]


def make_steady_scenario(
    description: str, finding: str, with_api_key: AccountScenario | None = None, **gaps: int
) -> AccountScenario:
    """Return a scenario that does not change. Each gap opens in its run and stays open."""
    presence, _, reason = finding.partition(" ")
    status = f"present {reason}".strip() if presence == "present" else "unknown"
    return AccountScenario(
        description, {1: finding}, {1: status}, _open_until_end(gaps), with_api_key
    )


def make_gone_scenario(
    description: str, reason: str, gap_code: str, first_run: int = 1
) -> AccountScenario:
    """Return a scenario of an account that is absent from a run, and gone six days later."""
    before = {1: "present"} if first_run > 1 else {}
    initial_status = before or {1: "unknown"}
    return AccountScenario(
        description,
        {**before, first_run: f"absent {reason}"},
        {**initial_status, first_run + 6: f"gone {reason}"},
        _open_until_end({gap_code: first_run + 6}),
    )


def _open_until_end(gaps: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    return {code: (first, FOREVER) for code, first in gaps.items()}


ACTIVE_SCENARIO = make_steady_scenario("an account with recent posts", "present")
STALE_SCENARIO = make_steady_scenario(
    "an account whose newest post is more than a year old", "present", channel_stale=3
)

FACEBOOK_SCENARIOS = {
    "active": make_steady_scenario("a public page with a post of this week", "present"),
    "slow": make_steady_scenario("a page whose newest post is two months old", "present"),
    "dormant": make_steady_scenario(
        "a page whose newest post is a year old", "present", channel_stale=3
    ),
    "plain": make_steady_scenario("a public page that Facebook shows without posts", "present"),
    "bare": make_steady_scenario("a public page, entered as a handle", "present"),
    "in_site_column": make_steady_scenario(
        "a page that is entered in the website column", "present"
    ),
    "login_wall": make_steady_scenario(
        "a login page in every run", "unknown login_wall", ACTIVE_SCENARIO
    ),
    "shell": make_steady_scenario(
        "a page without readable content", "unknown unreadable", STALE_SCENARIO
    ),
    "hidden": make_steady_scenario(
        "a hidden page: Facebook shows the same text for hidden and deleted pages, and the API "
        "does not distinguish them if the name exists",
        "unknown unreadable",
    ),
    "deleted": make_steady_scenario(
        "a deleted page with the same text",
        "unknown unreadable",
        make_gone_scenario("the API does not know the name", "not_found", "channel_dead"),
    ),
    "restricted": make_steady_scenario(
        "a page with the same text that is restricted first, and deleted later",
        "unknown unreadable",
        AccountScenario(
            "the API shows the page until the sixteenth run; after that the name does not exist, "
            "but the id may have a new name: the status does not change",
            {1: "present", 16: "unknown unreadable"},
            {1: "present"},
        ),
    ),
    "challenge": make_steady_scenario(
        "a challenge page of Facebook", "unknown blocked", ACTIVE_SCENARIO
    ),
    "group": make_steady_scenario(
        "a group, without readable content",
        "unknown unreadable",
        make_steady_scenario(
            "the API supports only pages", "unknown not_configured", channel_wrong_type=1
        ),
        channel_wrong_type=1,
    ),
    "shared": make_steady_scenario("a page that two associations register", "present"),
    "duplicate": make_steady_scenario(
        "two pages, the older one without posts for three years",
        "present",
        channel_duplicate=2,
        channel_stale=3,
    ),
    "post_link": make_steady_scenario(
        "a link to a post of a page", "unknown wrong_target", wrong_target=2
    ),
    "share_button": make_steady_scenario(
        "the address of a share button", "unknown wrong_target", wrong_target=2
    ),
    "renamed": make_steady_scenario(
        "a renamed page; the old name redirects to it", "present renamed", channel_renamed=2
    ),
    "walled_later": AccountScenario(
        "a page that Facebook shows only after login from the eighth run",
        {1: "present", 8: "unknown login_wall"},
        {1: "present"},
        with_api_key=ACTIVE_SCENARIO,
    ),
    "challenged_later": AccountScenario(
        "a page that Facebook refuses to robots from the tenth run",
        {1: "present", 10: "unknown blocked"},
        {1: "present"},
        with_api_key=ACTIVE_SCENARIO,
    ),
}

SAME_SHELL_PREFIX = "the script page that X serves for every name; "

TWITTER_SCENARIOS = {
    "shell": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}the account has posts", "unknown script_only", ACTIVE_SCENARIO
    ),
    "active": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}the account posts every other day",
        "unknown script_only",
        ACTIVE_SCENARIO,
    ),
    "dormant": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}the last post is four years old",
        "unknown script_only",
        make_steady_scenario(
            "an old account without a link to the site",
            "present",
            channel_stale=3,
            channel_no_backlink=2,
        ),
    ),
    "empty": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}the account has no posts",
        "unknown script_only",
        make_steady_scenario("an account without posts", "present empty", channel_empty=3),
    ),
    "protected": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}only followers can read the posts",
        "unknown script_only",
        make_steady_scenario("a protected account", "present private", channel_private=3),
    ),
    "deleted": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}the account is deleted",
        "unknown script_only",
        make_gone_scenario("the API does not know the name", "not_found", "channel_dead"),
    ),
    "suspended": make_steady_scenario(
        (
            f"{SAME_SHELL_PREFIX}X suspends the account in the fifth run and restores it in the "
            "twentieth"
        ),
        "unknown script_only",
        AccountScenario(
            "the account is gone six days later; the run with an API failure does not count",
            {1: "present", 5: "absent suspended", 20: "present"},
            {1: "present", 11: "gone suspended", 21: "present"},
            {"channel_suspended": (11, 20)},
        ),
    ),
    "renamed": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}the account is renamed in the fifth run",
        "unknown script_only",
        AccountScenario(
            "the API finds the account by its id",
            {1: "present", 5: "present renamed"},
            {1: "present", 5: "present renamed"},
            {"channel_renamed": (6, FOREVER)},
        ),
    ),
    "moved_host": make_steady_scenario(
        "a link to twitter.com, for the same account on x.com",
        "unknown script_only",
        ACTIVE_SCENARIO,
    ),
    "bare": make_steady_scenario(
        "a handle in the Twitter column", "unknown script_only", ACTIVE_SCENARIO
    ),
    "blocked": make_steady_scenario(
        "a Cloudflare challenge page", "unknown blocked", ACTIVE_SCENARIO
    ),
    "intent": make_steady_scenario(
        "the address of a tweet button", "unknown wrong_target", wrong_target=2
    ),
    "malformed": make_steady_scenario(
        "a name with a dot, which X does not allow; not checked", "", link_malformed=1
    ),
}

LINKEDIN_SCENARIOS = {
    "denied": make_steady_scenario(
        "status 999, with which LinkedIn refuses robots", "unknown blocked"
    ),
    "authwall": make_steady_scenario(
        "a LinkedIn page that asks the visitor to sign up", "unknown login_wall"
    ),
    "guest": make_steady_scenario("a public page with a post two weeks old", "present"),
    "guest_dormant": make_steady_scenario(
        "a public page whose newest post is two years old", "present", channel_stale=3
    ),
    "person": make_steady_scenario(
        "the profile of a person instead of a page", "unknown blocked", channel_wrong_type=1
    ),
}

YOUTUBE_SCENARIOS = {
    "active": AccountScenario(
        "an active channel, with a consent page in one run",
        {
            1: "present",
            UNRELIABLE_YOUTUBE_RUN: "absent not_found",
            7: "present",
            11: "unknown consent",
            12: "present",
        },
        {1: "present"},
        with_api_key=ACTIVE_SCENARIO,
    ),
    "empty": AccountScenario(
        "a channel without videos, as its page says",
        {1: "present empty", UNRELIABLE_YOUTUBE_RUN: "absent not_found", 7: "present empty"},
        {1: "present empty"},
        {"channel_empty": (3, FOREVER)},
        make_steady_scenario("a channel without a video", "present empty", channel_empty=3),
    ),
    "terminated": AccountScenario(
        "a channel that YouTube terminates in the third run; it is gone six days later",
        {
            1: "present",
            3: "absent suspended",
            UNRELIABLE_YOUTUBE_RUN: "absent not_found",
            7: "absent suspended",
        },
        {1: "present", 9: "gone suspended"},
        {"channel_suspended": (9, FOREVER)},
        make_gone_scenario(
            "the API omits the channel without a reason", "not_found", "channel_dead", 3
        ),
    ),
    "renamed": AccountScenario(
        "a channel with a new handle, whose newest video is three years old",
        {1: "present renamed", UNRELIABLE_YOUTUBE_RUN: "absent not_found", 7: "present renamed"},
        {1: "present renamed"},
        {"channel_renamed": (2, FOREVER), "channel_stale": (3, FOREVER)},
        make_steady_scenario(
            "the same result from the API", "present renamed", channel_renamed=2, channel_stale=3
        ),
    ),
    "added": AccountScenario(
        "a channel from the site's footer, registered before the ninth run",
        {1: "", SECOND_IMPORT_RUN: "present"},
        {1: "", SECOND_IMPORT_RUN: "present"},
    ),
}

UNREGISTERED_SCENARIO = AccountScenario(
    "an account that only the association's site links to",
    {1: ""},
    {1: ""},
    {"channel_unlisted": (2, FOREVER)},
)

INSTAGRAM_SCENARIOS = {
    "wall": make_steady_scenario("a redirect to the login page", "unknown login_wall"),
    "shown": make_steady_scenario("a page that names the account", "present"),
    "shell": make_steady_scenario("a page of scripts", "unknown unreadable"),
    "deleted": make_steady_scenario(
        "the same page of scripts for an account that does not exist", "unknown unreadable"
    ),
    "post_only": make_steady_scenario("the link of a post", "unknown wrong_target", wrong_target=2),
    "unregistered": UNREGISTERED_SCENARIO,
}

TIKTOK_SCENARIOS = {
    "active": make_steady_scenario("a profile embed with recent videos", "present"),
    "stale": make_steady_scenario(
        "a profile embed whose newest video is a year old", "present", channel_stale=3
    ),
    "embed_ended": make_steady_scenario("no embed, but oEmbed names the account", "present"),
    "private": make_steady_scenario(
        "an embed that says that the account is private", "present private", channel_private=3
    ),
    "private_page": make_steady_scenario(
        "a profile page that says that the account is private", "present private", channel_private=3
    ),
    "region": make_steady_scenario(
        "a profile page that is not shown in the region", "unknown unreadable"
    ),
    "walled": make_steady_scenario("a challenge page for each request", "unknown blocked"),
    "deleted": make_gone_scenario(
        "oEmbed and the profile page know no such account", "not_found", "channel_dead"
    ),
}

WHATSAPP_SCENARIOS = {
    "channel": make_steady_scenario("a page that names the channel", "present"),
    "unnamed": make_steady_scenario("a page that names no channel", "unknown unreadable"),
    "limited": make_steady_scenario("too many requests", "unknown rate_limited"),
    "phone": make_steady_scenario(
        "a wa.me link with a telephone number", "unknown wrong_target", wrong_target=2
    ),
    "send_link": make_steady_scenario(
        "a link that writes to a telephone number", "unknown wrong_target", wrong_target=2
    ),
    "phone_number": make_steady_scenario(
        "a telephone number in the column", "unknown wrong_target", wrong_target=2
    ),
    "group_invite": make_steady_scenario(
        "an invitation to a group", "unknown wrong_target", channel_wrong_type=1
    ),
    "unregistered": UNREGISTERED_SCENARIO,
}

TELEGRAM_SCENARIOS = {
    "active": make_steady_scenario("a channel with recent posts", "present"),
    "stale": make_steady_scenario(
        "a channel whose newest post is a year old", "present", channel_stale=3
    ),
    "contact": make_steady_scenario(
        "the page of an unused name or of a hidden person", "unknown unreadable"
    ),
    "invite": make_steady_scenario(
        "an invitation to a private group", "unknown private", channel_wrong_type=1
    ),
}
