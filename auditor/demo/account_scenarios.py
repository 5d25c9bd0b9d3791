"""What happens to an account over the nights, and what a careful reader concludes of it.

Every situation declares its own truth, for somebody without keys and for somebody with them, reasoned
from the pages it shows and DESIGN §5, never from what the auditor printed. Nights count from 1. A mapping
by night says what is true from that night on.
The social channels are here; the sites are in `sites`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

LAST = 14
"""The demo plays so many nights; the scripts go on for as long as they are played."""

EVER = 10_000
"""A night that is never reached: what lasts until it, lasts."""

BLIND_NIGHT = 6
"""The night on which YouTube answers 404 to everybody, the canaries among them."""

IMPORT_NIGHT = 9
"""Before this night the coordinator imports the sheet again, with one correction."""

TROUBLED = {"youtube": (12, "rate_limited"), "twitter": (9, "server_error"), "facebook": (10, "server_error")}
"""The night on which a channel's interface is in trouble, and what its accounts are then unknown for."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One script. `tells` is what happens; `sees` what each night's look says (`presence reason`).

    `holds` is what is held true (`state reason`); `gaps` gives for each code the first and the last
    night on which the gap is open, one below zero counted back from the last night that is played.
    `keyed` is what is true for somebody with a key of the platform's interface; None: the same.
    """

    tells: str
    sees: Mapping[int, str]
    holds: Mapping[int, str]
    gaps: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    keyed: Situation | None = None

    def at(self, night: int) -> tuple[str, str]:
        """What is seen and what is held on a night."""
        return _from(self.sees, night), _from(self.holds, night)

    def with_a_key(self) -> Situation:
        """The truth for somebody with a key."""
        return self.keyed or self

    def open_on(self, night: int, nights: int) -> Iterator[str]:
        """The gaps that are open on one of so many nights."""
        for code, (first, last) in self.gaps.items():
            if (first if first > 0 else nights + first) <= night <= last:
                yield code


def _from(told: Mapping[int, str], night: int) -> str:
    return told[max(first for first in told if first <= night)]


def steady(tells: str, sees: str, keyed: Situation | None = None, **gaps: int) -> Situation:
    """A situation that does not change; a gap is given with the night it opens, and stays open."""
    presence, _, reason = sees.partition(" ")
    holds = f"present {reason}".strip() if presence == "present" else "unknown"
    return Situation(tells, {1: sees}, {1: holds}, _lasting(gaps), keyed)


def gone(tells: str, reason: str, code: str, first: int = 1) -> Situation:
    """An account that is gone from that night on: held gone six days later, and told by a gap."""
    before = {1: "present"} if first > 1 else {}
    held = before or {1: "unknown"}
    return Situation(
        tells,
        {**before, first: f"absent {reason}"},
        {**held, first + 6: f"gone {reason}"},
        _lasting({code: first + 6}),
    )


def _lasting(gaps: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    return {code: (first, EVER) for code, first in gaps.items()}


THERE = steady("it is there, and says when it last published", "present")
SILENT = steady("it is there, and its newest post is over a year old", "present", channel_stale=3)

FACEBOOK = {
    "active": steady("a page that Facebook shows, with a post of this week", "present"),
    "slow": steady("a page whose newest post is two months old", "present"),
    "dormant": steady("a page whose newest of several posts is a year old", "present", channel_stale=3),
    "plain": steady("a page that Facebook shows without its posts", "present"),
    "bare": steady("a page in good health, typed as a bare handle", "present"),
    "in_site_column": steady("a page typed in the column of the website", "present"),
    "login_wall": steady("Facebook asks for a login, every night", "unknown login_wall", THERE),
    "shell": steady("Facebook sends a shell in which nothing can be read", "unknown unreadable", SILENT),
    "hidden": steady(
        "the text that Facebook shows for hidden and for deleted pages alike, here for a hidden one; its "
        "interface does not tell them apart either, where a name is still somebody's",
        "unknown unreadable",
    ),
    "deleted": steady(
        "the same text for a page that was deleted, whose name is nobody's any more",
        "unknown unreadable",
        gone("the interface knows no such name", "not_found", "channel_dead"),
    ),
    "restricted": steady(
        "the same text for a page that is kept from visitors without an account, and deleted later",
        "unknown unreadable",
        Situation(
            "the interface shows it until the sixteenth night; then its name is nobody's, and its number is "
            "answered as a hidden page's is: it may live on under another name, and nothing moves",
            {1: "present", 16: "unknown unreadable"},
            {1: "present"},
        ),
    ),
    "challenge": steady("Facebook lets browsers think", "unknown blocked", THERE),
    "group": steady(
        "a group and not a page, of which nothing is shown",
        "unknown unreadable",
        steady("the interface tells of pages alone", "unknown not_configured", channel_wrong_type=1),
        channel_wrong_type=1,
    ),
    "shared": steady("the page of a sister association, which registers it too", "present"),
    "duplicate": steady(
        "two pages, the older of which was left behind three years ago",
        "present",
        channel_duplicate=2,
        channel_stale=3,
    ),
    "post_link": steady(
        "a link to a post, whose address names its owner", "unknown wrong_target", wrong_target=2
    ),
    "share_button": steady(
        "the address of a share button: nobody's account", "unknown wrong_target", wrong_target=2
    ),
    "renamed": steady(
        "the page took a new name and the old one leads to it", "present renamed", channel_renamed=2
    ),
    "walled_later": Situation(
        "a page that Facebook stops showing on the eighth night: our limit, and nothing moves",
        {1: "present", 8: "unknown login_wall"},
        {1: "present"},
        keyed=THERE,
    ),
    "challenged_later": Situation(
        "a page that is refused to robots from the tenth night on",
        {1: "present", 10: "unknown blocked"},
        {1: "present"},
        keyed=THERE,
    ),
}

SAME = "X sends the same script for every name; "

TWITTER = {
    "shell": steady(f"{SAME}behind it somebody posts", "unknown script_only", THERE),
    "active": steady(f"{SAME}behind it somebody posts every other day", "unknown script_only", THERE),
    "dormant": steady(
        f"{SAME}behind it nobody has posted for four years",
        "unknown script_only",
        steady("and it does not lead to the site", "present", channel_stale=3, channel_no_backlink=2),
    ),
    "empty": steady(
        f"{SAME}behind it nobody ever posted",
        "unknown script_only",
        steady("an account without a post", "present empty", channel_empty=3),
    ),
    "protected": steady(
        f"{SAME}behind it are posts that followers alone may read",
        "unknown script_only",
        steady("a protected account", "present private", channel_private=3),
    ),
    "deleted": steady(
        f"{SAME}behind it is nobody any more",
        "unknown script_only",
        gone("the interface knows no such name", "not_found", "channel_dead"),
    ),
    "suspended": steady(
        f"{SAME}X suspends the account on the fifth night and takes that back on the twentieth",
        "unknown script_only",
        Situation(
            "it is held gone six days later, for the night without an answer counts for nothing",
            {1: "present", 5: "absent suspended", 20: "present"},
            {1: "present", 11: "gone suspended", 21: "present"},
            {"channel_suspended": (11, 20)},
        ),
    ),
    "renamed": steady(
        f"{SAME}the account takes another name on the fifth night",
        "unknown script_only",
        Situation(
            "by its number it is found again",
            {1: "present", 5: "present renamed"},
            {1: "present", 5: "present renamed"},
            {"channel_renamed": (6, EVER)},
        ),
    ),
    "moved_host": steady(
        "an address on twitter.com, which is the same account on x.com", "unknown script_only", THERE
    ),
    "bare": steady("a bare handle in its own column", "unknown script_only", THERE),
    "blocked": steady("Cloudflare stands before X", "unknown blocked", THERE),
    "intent": steady("the address of a tweet button", "unknown wrong_target", wrong_target=2),
    "malformed": steady(
        "a name that X cannot have, for the dot in it: nothing to look at", "", link_malformed=1
    ),
}

LINKEDIN = {
    "denied": steady("999, LinkedIn's no to robots", "unknown blocked"),
    "authwall": steady("LinkedIn asks to sign up", "unknown login_wall"),
    "guest": steady("a page for guests, with a post of two weeks ago", "present"),
    "guest_dormant": steady(
        "a page for guests, whose newest of several posts is two years old", "present", channel_stale=3
    ),
    "person": steady("a person's profile where a page should be", "unknown blocked", channel_wrong_type=1),
}

YOUTUBE = {
    "active": Situation(
        "a channel that publishes; a consent page stands before it on one night",
        {1: "present", BLIND_NIGHT: "absent not_found", 7: "present", 11: "unknown consent", 12: "present"},
        {1: "present"},
        keyed=THERE,
    ),
    "empty": Situation(
        "a channel that never published, which YouTube says in so many words",
        {1: "present empty", BLIND_NIGHT: "absent not_found", 7: "present empty"},
        {1: "present empty"},
        {"channel_empty": (3, EVER)},
        steady("a channel without a video", "present empty", channel_empty=3),
    ),
    "terminated": Situation(
        "a channel that YouTube closes on the third night; six days later it is believed",
        {1: "present", 3: "absent suspended", BLIND_NIGHT: "absent not_found", 7: "absent suspended"},
        {1: "present", 9: "gone suspended"},
        {"channel_suspended": (9, EVER)},
        gone("the interface leaves it out, and does not say why", "not_found", "channel_dead", 3),
    ),
    "renamed": Situation(
        "a channel with a new handle, to which the old one leads; its newest video is three years old",
        {1: "present renamed", BLIND_NIGHT: "absent not_found", 7: "present renamed"},
        {1: "present renamed"},
        {"channel_renamed": (2, EVER), "channel_stale": (3, EVER)},
        steady("the same, told by the interface", "present renamed", channel_renamed=2, channel_stale=3),
    ),
    "added": Situation(
        "a channel found in the site's footer, which the coordinator registers before the ninth night",
        {1: "", IMPORT_NIGHT: "present"},
        {1: "", IMPORT_NIGHT: "present"},
    ),
}
