"""What happens to an account over the fourteen nights, and what a careful reader concludes of it.

Every situation declares its own truth, reasoned from the pages it shows and DESIGN §5, never from what
the auditor printed. Nights count from 1. A mapping by night says what is true from that night on.
The social channels are here; the sites are in `sites`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LAST = 14
"""The scripts are written for so many nights."""

BLIND_NIGHT = 6
"""The night on which YouTube answers 404 to everybody, the canaries among them."""

IMPORT_NIGHT = 9
"""Before this night the coordinator imports the sheet again, with one correction."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One script. `tells` is what happens; `sees` what each night's look says (`presence reason`).

    `holds` is what is held true (`state reason`); `gaps` gives for each code the first and the last
    night on which the gap is open.
    """

    tells: str
    sees: Mapping[int, str]
    holds: Mapping[int, str]
    gaps: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def at(self, night: int) -> tuple[str, str]:
        """What is seen and what is held on a night."""
        return _from(self.sees, night), _from(self.holds, night)


def _from(told: Mapping[int, str], night: int) -> str:
    return told[max(first for first in told if first <= night)]


def steady(tells: str, sees: str, **gaps: int) -> Situation:
    """A situation that does not change; a gap is given with the night it opens, and stays open."""
    presence, _, reason = sees.partition(" ")
    holds = f"present {reason}".strip() if presence == "present" else "unknown"
    return Situation(tells, {1: sees}, {1: holds}, {code: (first, LAST) for code, first in gaps.items()})


FACEBOOK = {
    "active": steady("a page that Facebook shows, with a post of this week", "present"),
    "slow": steady("a page whose newest post is two months old", "present"),
    "dormant": steady("a page whose newest of several posts is a year old", "present", channel_stale=3),
    "plain": steady("a page that Facebook shows without its posts", "present"),
    "bare": steady("a page in good health, typed as a bare handle", "present"),
    "in_site_column": steady("a page typed in the column of the website", "present"),
    "login_wall": steady("Facebook asks for a login, every night", "unknown login_wall"),
    "shell": steady("Facebook sends a shell in which nothing can be read", "unknown unreadable"),
    "restricted": steady(
        "the text that Facebook shows for hidden and for deleted pages alike", "unknown unreadable"
    ),
    "challenge": steady("Facebook lets browsers think", "unknown blocked"),
    "group": steady(
        "a group and not a page, of which nothing is shown", "unknown unreadable", channel_wrong_type=1
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
    ),
    "challenged_later": Situation(
        "a page that is refused to robots from the tenth night on",
        {1: "present", 10: "unknown blocked"},
        {1: "present"},
    ),
}

TWITTER = {
    "shell": steady("X sends the same script for every name", "unknown script_only"),
    "moved_host": steady(
        "an address on twitter.com, which is the same account on x.com", "unknown script_only"
    ),
    "bare": steady("a bare handle in its own column", "unknown script_only"),
    "blocked": steady("Cloudflare stands before X", "unknown blocked"),
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
    ),
    "empty": Situation(
        "a channel that never published, which YouTube says in so many words",
        {1: "present empty", BLIND_NIGHT: "absent not_found", 7: "present empty"},
        {1: "present empty"},
        {"channel_empty": (3, LAST)},
    ),
    "terminated": Situation(
        "a channel that YouTube closes on the third night; six days later it is believed",
        {1: "present", 3: "absent suspended", BLIND_NIGHT: "absent not_found", 7: "absent suspended"},
        {1: "present", 9: "gone suspended"},
        {"channel_suspended": (9, LAST)},
    ),
    "renamed": Situation(
        "a channel with a new handle, to which the old one leads; its newest video is three years old",
        {1: "present renamed", BLIND_NIGHT: "absent not_found", 7: "present renamed"},
        {1: "present renamed"},
        {"channel_renamed": (2, LAST), "channel_stale": (3, LAST)},
    ),
    "added": Situation(
        "a channel found in the site's footer, which the coordinator registers before the ninth night",
        {1: "", IMPORT_NIGHT: "present"},
        {1: "", IMPORT_NIGHT: "present"},
    ),
}
