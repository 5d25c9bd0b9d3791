"""Dates posts of X, LinkedIn, TikTok and Instagram by the number in their address. Pure.

The platforms build the number of a post from the time at which it is made. A link to a post is
therefore dated without a request. The date is a lower bound for the account: it published at least
then, and perhaps later.

The account in an address is what the page says. X opens a post under any name before `/status/`
(lapcatsoftware.com 2018), and LinkedIn writes the names of people and of pages in the same way. So
a dated link never proves that an account exists.

Measured on the pairs of `tests/fixtures/data/post_numbers.csv`: X and LinkedIn are exact to the
second, TikTok is 1 to 37 seconds early, and Instagram up to 12 minutes, because a post may be
prepared before it is published.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter

from probes.links import identify, normalize
from probes.models.finding import DatePrecision, LinkKind

LINKED_POSTS_FACT = "linked_posts"
"""The fact of a website with the newest dated post of each account that its page links to.

It is a text, in which spaces separate the posts.
"""

_SHORTCODE_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SHORTCODE_VALUES = {digit: value for value, digit in enumerate(_SHORTCODE_DIGITS)}
_MAX_TIMESTAMP = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_PLATFORM_PATTERN = re.compile(
    r"https?://(?:[\w.-]*\.)?(?:twitter|x|linkedin|tiktok|instagram)\.com/", re.IGNORECASE
)
_POST_PATH_PATTERN = re.compile(r"/(?:status(?:es)?|posts|video|photo|p|reels?|tv)/")
# The username in the text of an embedded post: `A post shared by Amal (@amal)`.
_INSTAGRAM_AUTHOR_PATTERN = re.compile(r"\(@([A-Za-z0-9_][A-Za-z0-9_.]{0,29})\)\s*$")
_FACT_PART_PATTERN = re.compile(r"([a-z]+):([^\s=]+)=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")


@dataclass(frozen=True, slots=True)
class LinkedPost:
    """A post that a page links to: its channel, the account in its address, and its time in UTC."""

    channel: str
    key: str
    published_at: datetime

    def __str__(self) -> str:
        """Return the post as part of a fact: `twitter:amal=2026-11-01T10:00:00Z`."""
        return f"{self.channel}:{self.key}={self.published_at:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class _NumberScheme:
    """The form of a platform's numbers: the time in units since an epoch, then other bits.

    `link_pattern` finds the number in the path of a post. `earliest` is the first day with such
    numbers, and `time_shift` the number of the other bits. `precision` is that of the date of
    publication. `parse_number` returns the number, which may be in another base.
    """

    number_pattern: re.Pattern[str]
    link_pattern: re.Pattern[str]
    earliest: datetime
    time_shift: int
    epoch_ms: int = 0
    ms_per_unit: int = 1
    precision: DatePrecision = DatePrecision.SECOND
    parse_number: Callable[[str], int] = int


def _parse_shortcode(shortcode: str) -> int:
    number = 0
    for digit in shortcode:
        number = number * 64 + _SHORTCODE_VALUES[digit]
    return number


_SCHEMES = {
    # Before 2010-11-04 X counted its posts (twitter-archive/snowflake, 2010).
    "twitter": _NumberScheme(
        number_pattern=re.compile(r"[1-9][0-9]{14,18}"),
        link_pattern=re.compile(r"/status(?:es)?/([0-9]+)(?:/|$)"),
        earliest=datetime(2010, 11, 4, tzinfo=UTC),
        time_shift=22,
        epoch_ms=1_288_834_974_657,
    ),
    # `activity`, `share` and `ugcPost` are numbered alike (linkedin-timestamp-extractor, 2024).
    "linkedin": _NumberScheme(
        number_pattern=re.compile(r"[1-9][0-9]{18}"),
        link_pattern=re.compile(r"/posts/[^/]+[-_](?:activity|share|ugcPost)-([0-9]+)(?:[-/]|$)"),
        earliest=datetime(2010, 1, 1, tzinfo=UTC),
        time_shift=22,
    ),
    # Since the predecessor musical.ly (dfir.blog, 2021).
    "tiktok": _NumberScheme(
        number_pattern=re.compile(r"[1-9][0-9]{18}"),
        link_pattern=re.compile(r"/@[^/]+/(?:video|photo)/([0-9]+)/?$"),
        earliest=datetime(2014, 8, 1, tzinfo=UTC),
        time_shift=32,
        ms_per_unit=1000,
        precision=DatePrecision.DAY,
    ),
    # The shortcode is the number in base 64. Posts before 2016 have shorter ones, and private
    # posts longer ones.
    "instagram": _NumberScheme(
        number_pattern=re.compile(r"[A-Za-z0-9_-]{11}"),
        link_pattern=re.compile(r"/(?:p|reels?|tv)/([A-Za-z0-9_-]+)/?$"),
        earliest=datetime(2015, 11, 1, tzinfo=UTC),
        time_shift=23,
        epoch_ms=1_314_220_021_721,
        precision=DatePrecision.DAY,
        parse_number=_parse_shortcode,
    ),
}


def decode_post_number(channel: str, number: str) -> datetime | None:
    """Return the time in a post's number, in UTC and whole seconds, or None.

    None for a number of another form and for times before the platform had such numbers. Times in
    the future are returned; the caller knows what time it is.
    """
    scheme = _SCHEMES.get(channel)
    if scheme is None or not scheme.number_pattern.fullmatch(number):
        return None
    value = scheme.parse_number(number)
    timestamp = ((value >> scheme.time_shift) * scheme.ms_per_unit + scheme.epoch_ms) // 1000
    if not scheme.earliest.timestamp() <= timestamp < _MAX_TIMESTAMP:
        return None
    return datetime.fromtimestamp(timestamp, UTC)


def get_date_precision(channel: str) -> DatePrecision:
    """Return how exact the dates of a channel's posts are."""
    return _SCHEMES[channel].precision


def read_post_links(links: Iterable[tuple[str, str]]) -> Iterator[LinkedPost]:
    """Yield the dated posts among the links of a page, which are pairs of address and text.

    The text counts because an embedded post of Instagram names its account only there. Posts with a
    time in the future are yielded, too.
    """
    for url, link_text in links:
        # Most links of a page are no posts, and identifying a link takes a hundred times as long.
        if not (_PLATFORM_PATTERN.match(url) and _POST_PATH_PATTERN.search(url)):
            continue
        identity = identify.identify_link(url)
        scheme = _SCHEMES.get(identity.channel)
        if identity.kind is not LinkKind.POST or scheme is None:
            continue
        number = scheme.link_pattern.search(normalize.parse_url(identity.url or url).path)
        published_at = number and decode_post_number(identity.channel, number[1])
        key = identity.key
        if not key and identity.channel == "instagram":
            author = _INSTAGRAM_AUTHOR_PATTERN.search(link_text)
            key = author and author[1].lower()
        if published_at and key:
            yield LinkedPost(identity.channel, key, published_at)


def select_newest_posts(posts: Iterable[LinkedPost], now: datetime) -> list[LinkedPost]:
    """Return the newest post of each account up to `now`, newest first."""
    newest_by_account: dict[tuple[str, str], LinkedPost] = {}
    for post in sorted(posts, key=attrgetter("published_at")):
        if post.published_at <= now:
            newest_by_account[post.channel, post.key] = post
    ordered = sorted(newest_by_account.values(), key=attrgetter("channel", "key"))
    ordered.sort(key=attrgetter("published_at"), reverse=True)
    # the most accounts in the fact. A page with more embeds the posts of many others.
    return ordered[:30]


def parse_linked_posts(text: str) -> list[LinkedPost]:
    """Return the posts in the text of a fact. Parts of another form or channel are left out."""
    matches = filter(None, map(_FACT_PART_PATTERN.fullmatch, text.split(" ")))
    posts = [LinkedPost(match[1], match[2], datetime.fromisoformat(match[3])) for match in matches]
    return [post for post in posts if post.channel in _SCHEMES]
