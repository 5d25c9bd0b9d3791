"""What happens to an account over the nights, and what a careful reader concludes of it.

Every situation declares its own truth, for somebody without keys and for somebody with them, reasoned
from the pages it shows and DESIGN §5, never from what the auditor printed. Nights count from 1. A mapping
by night says what is true from that night on.
The social channels are here; the sites are in `sites`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

DEFAULT_RUN_COUNT = 14
"""The demo plays so many nights; the scripts go on for as long as they are played."""

FOREVER = 10_000
"""A night that is never reached: what lasts until it, lasts."""

UNRELIABLE_YOUTUBE_RUN = 6
"""The night on which YouTube answers 404 to everybody, the canaries among them."""

SECOND_IMPORT_RUN = 9
"""Before this night the coordinator imports the sheet again, with one correction."""

API_FAILURES = {
    "youtube": (12, "rate_limited"),
    "twitter": (9, "server_error"),
    "facebook": (10, "server_error"),
}
"""The night on which a channel's interface is in trouble, and what its accounts are then unknown for."""


@dataclass(frozen=True, slots=True)
class AccountScenario:
    """One script. `tells` is what happens; `sees` what each night's look says (`presence reason`).

    `holds` is what is held true (`state reason`); `gaps` gives for each code the first and the last
    night on which the gap is open, one below zero counted back from the last night that is played.
    `keyed` is what is true for somebody with a key of the platform's interface; None: the same.
    """

    description: str
    findings_by_run: Mapping[int, str]
    statuses_by_run: Mapping[int, str]
    gap_run_ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    with_api_key: AccountScenario | None = None

    def expected_at(self, run_number: int) -> tuple[str, str]:
        """What is seen and what is held on a night."""
        return _get_value_at_run(self.findings_by_run, run_number), _get_value_at_run(
            self.statuses_by_run, run_number
        )

    def select_api_scenario(self) -> AccountScenario:
        """The truth for somebody with a key."""
        return self.with_api_key or self

    def iter_open_gaps(self, run_number: int, total_runs: int) -> Iterator[str]:
        """The gaps that are open on one of so many nights."""
        for code, (first, last) in self.gap_run_ranges.items():
            if (first if first > 0 else total_runs + first) <= run_number <= last:
                yield code


def _get_value_at_run(values_by_run: Mapping[int, str], run_number: int) -> str:
    return values_by_run[max(first for first in values_by_run if first <= run_number)]


def make_steady_scenario(
    description: str, finding: str, with_api_key: AccountScenario | None = None, **gaps: int
) -> AccountScenario:
    """A situation that does not change; a gap is given with the night it opens, and stays open."""
    presence, _, reason = finding.partition(" ")
    holds = f"present {reason}".strip() if presence == "present" else "unknown"
    return AccountScenario(
        description, {1: finding}, {1: holds}, _open_until_end(gaps), with_api_key
    )


def make_gone_scenario(
    description: str, reason: str, gap_code: str, first_run: int = 1
) -> AccountScenario:
    """An account that is gone from that night on: held gone six days later, and told by a gap."""
    before = {1: "present"} if first_run > 1 else {}
    held = before or {1: "unknown"}
    return AccountScenario(
        description,
        {**before, first_run: f"absent {reason}"},
        {**held, first_run + 6: f"gone {reason}"},
        _open_until_end({gap_code: first_run + 6}),
    )


def _open_until_end(gaps: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    return {code: (first, FOREVER) for code, first in gaps.items()}


ACTIVE_SCENARIO = make_steady_scenario("it is there, and says when it last published", "present")
STALE_SCENARIO = make_steady_scenario(
    "it is there, and its newest post is over a year old", "present", channel_stale=3
)

FACEBOOK_SCENARIOS = {
    "active": make_steady_scenario(
        "a page that Facebook shows, with a post of this week", "present"
    ),
    "slow": make_steady_scenario("a page whose newest post is two months old", "present"),
    "dormant": make_steady_scenario(
        "a page whose newest of several posts is a year old", "present", channel_stale=3
    ),
    "plain": make_steady_scenario("a page that Facebook shows without its posts", "present"),
    "bare": make_steady_scenario("a page in good health, typed as a bare handle", "present"),
    "in_site_column": make_steady_scenario("a page typed in the column of the website", "present"),
    "login_wall": make_steady_scenario(
        "Facebook asks for a login, every night", "unknown login_wall", ACTIVE_SCENARIO
    ),
    "shell": make_steady_scenario(
        "Facebook sends a shell in which nothing can be read", "unknown unreadable", STALE_SCENARIO
    ),
    "hidden": make_steady_scenario(
        "the text that Facebook shows for hidden and for deleted pages alike, here for a hidden one; its "
        "interface does not tell them apart either, where a name is still somebody's",
        "unknown unreadable",
    ),
    "deleted": make_steady_scenario(
        "the same text for a page that was deleted, whose name is nobody's any more",
        "unknown unreadable",
        make_gone_scenario("the interface knows no such name", "not_found", "channel_dead"),
    ),
    "restricted": make_steady_scenario(
        "the same text for a page that is kept from visitors without an account, and deleted later",
        "unknown unreadable",
        AccountScenario(
            "the interface shows it until the sixteenth night; then its name is nobody's, and its number is "
            "answered as a hidden page's is: it may live on under another name, and nothing moves",
            {1: "present", 16: "unknown unreadable"},
            {1: "present"},
        ),
    ),
    "challenge": make_steady_scenario(
        "Facebook lets browsers think", "unknown blocked", ACTIVE_SCENARIO
    ),
    "group": make_steady_scenario(
        "a group and not a page, of which nothing is shown",
        "unknown unreadable",
        make_steady_scenario(
            "the interface tells of pages alone", "unknown not_configured", channel_wrong_type=1
        ),
        channel_wrong_type=1,
    ),
    "shared": make_steady_scenario(
        "the page of a sister association, which registers it too", "present"
    ),
    "duplicate": make_steady_scenario(
        "two pages, the older of which was left behind three years ago",
        "present",
        channel_duplicate=2,
        channel_stale=3,
    ),
    "post_link": make_steady_scenario(
        "a link to a post, whose address names its owner", "unknown wrong_target", wrong_target=2
    ),
    "share_button": make_steady_scenario(
        "the address of a share button: nobody's account", "unknown wrong_target", wrong_target=2
    ),
    "renamed": make_steady_scenario(
        "the page took a new name and the old one leads to it", "present renamed", channel_renamed=2
    ),
    "walled_later": AccountScenario(
        "a page that Facebook stops showing on the eighth night: our limit, and nothing moves",
        {1: "present", 8: "unknown login_wall"},
        {1: "present"},
        with_api_key=ACTIVE_SCENARIO,
    ),
    "challenged_later": AccountScenario(
        "a page that is refused to robots from the tenth night on",
        {1: "present", 10: "unknown blocked"},
        {1: "present"},
        with_api_key=ACTIVE_SCENARIO,
    ),
}

SAME_SHELL_PREFIX = "X sends the same script for every name; "

TWITTER_SCENARIOS = {
    "shell": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}behind it somebody posts", "unknown script_only", ACTIVE_SCENARIO
    ),
    "active": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}behind it somebody posts every other day",
        "unknown script_only",
        ACTIVE_SCENARIO,
    ),
    "dormant": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}behind it nobody has posted for four years",
        "unknown script_only",
        make_steady_scenario(
            "and it does not lead to the site", "present", channel_stale=3, channel_no_backlink=2
        ),
    ),
    "empty": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}behind it nobody ever posted",
        "unknown script_only",
        make_steady_scenario("an account without a post", "present empty", channel_empty=3),
    ),
    "protected": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}behind it are posts that followers alone may read",
        "unknown script_only",
        make_steady_scenario("a protected account", "present private", channel_private=3),
    ),
    "deleted": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}behind it is nobody any more",
        "unknown script_only",
        make_gone_scenario("the interface knows no such name", "not_found", "channel_dead"),
    ),
    "suspended": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}X suspends the account on the fifth night and takes that back on the twentieth",
        "unknown script_only",
        AccountScenario(
            "it is held gone six days later, for the night without an answer counts for nothing",
            {1: "present", 5: "absent suspended", 20: "present"},
            {1: "present", 11: "gone suspended", 21: "present"},
            {"channel_suspended": (11, 20)},
        ),
    ),
    "renamed": make_steady_scenario(
        f"{SAME_SHELL_PREFIX}the account takes another name on the fifth night",
        "unknown script_only",
        AccountScenario(
            "by its number it is found again",
            {1: "present", 5: "present renamed"},
            {1: "present", 5: "present renamed"},
            {"channel_renamed": (6, FOREVER)},
        ),
    ),
    "moved_host": make_steady_scenario(
        "an address on twitter.com, which is the same account on x.com",
        "unknown script_only",
        ACTIVE_SCENARIO,
    ),
    "bare": make_steady_scenario(
        "a bare handle in its own column", "unknown script_only", ACTIVE_SCENARIO
    ),
    "blocked": make_steady_scenario(
        "Cloudflare stands before X", "unknown blocked", ACTIVE_SCENARIO
    ),
    "intent": make_steady_scenario(
        "the address of a tweet button", "unknown wrong_target", wrong_target=2
    ),
    "malformed": make_steady_scenario(
        "a name that X cannot have, for the dot in it: nothing to look at", "", link_malformed=1
    ),
}

LINKEDIN_SCENARIOS = {
    "denied": make_steady_scenario("999, LinkedIn's no to robots", "unknown blocked"),
    "authwall": make_steady_scenario("LinkedIn asks to sign up", "unknown login_wall"),
    "guest": make_steady_scenario("a page for guests, with a post of two weeks ago", "present"),
    "guest_dormant": make_steady_scenario(
        "a page for guests, whose newest of several posts is two years old",
        "present",
        channel_stale=3,
    ),
    "person": make_steady_scenario(
        "a person's profile where a page should be", "unknown blocked", channel_wrong_type=1
    ),
}

YOUTUBE_SCENARIOS = {
    "active": AccountScenario(
        "a channel that publishes; a consent page stands before it on one night",
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
        "a channel that never published, which YouTube says in so many words",
        {1: "present empty", UNRELIABLE_YOUTUBE_RUN: "absent not_found", 7: "present empty"},
        {1: "present empty"},
        {"channel_empty": (3, FOREVER)},
        make_steady_scenario("a channel without a video", "present empty", channel_empty=3),
    ),
    "terminated": AccountScenario(
        "a channel that YouTube closes on the third night; six days later it is believed",
        {
            1: "present",
            3: "absent suspended",
            UNRELIABLE_YOUTUBE_RUN: "absent not_found",
            7: "absent suspended",
        },
        {1: "present", 9: "gone suspended"},
        {"channel_suspended": (9, FOREVER)},
        make_gone_scenario(
            "the interface leaves it out, and does not say why", "not_found", "channel_dead", 3
        ),
    ),
    "renamed": AccountScenario(
        "a channel with a new handle, to which the old one leads; its newest video is three years old",
        {1: "present renamed", UNRELIABLE_YOUTUBE_RUN: "absent not_found", 7: "present renamed"},
        {1: "present renamed"},
        {"channel_renamed": (2, FOREVER), "channel_stale": (3, FOREVER)},
        make_steady_scenario(
            "the same, told by the interface", "present renamed", channel_renamed=2, channel_stale=3
        ),
    ),
    "added": AccountScenario(
        "a channel found in the site's footer, which the coordinator registers before the ninth night",
        {1: "", SECOND_IMPORT_RUN: "present"},
        {1: "", SECOND_IMPORT_RUN: "present"},
    ),
}
