"""The number in the address of a post gives its time, and only a plausible time.

`post_numbers.csv` has numbers with the time that the platform's own page or API gave. For most of
LinkedIn's it is the time that the publishing program recorded, because most published data computes
the time from the number.
"""

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.links import post_numbers
from probes.links.post_numbers import LinkedPost
from probes.models.finding import DatePrecision

NOW = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
CHANNELS = ("twitter", "linkedin", "tiktok", "instagram")
X_POST = "1212092628029698048"
X_POST_AT = datetime(2019, 12, 31, 19, 26, 16, tzinfo=UTC)

RECORDED_PAIRS_FILE = Path(__file__).parents[3] / "fixtures" / "data" / "post_numbers.csv"
MAX_SECONDS_EARLY = {"twitter": 1, "linkedin": 1, "tiktok": 60, "instagram": 86_400}
PAIR_COUNTS = {"twitter": 25, "linkedin": 28, "tiktok": 24, "instagram": 25}


def read_recorded_pairs() -> list[dict[str, str]]:
    with RECORDED_PAIRS_FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_link(url: str, label: str = "", now: datetime = NOW) -> LinkedPost | None:
    posts = post_numbers.read_post_links([(url, label)])
    return next(iter(post_numbers.select_newest_posts(posts, now)), None)


# --- The time in a number ---


@pytest.mark.parametrize("pair", read_recorded_pairs(), ids=lambda pair: pair["number"])
def test_number_gives_the_recorded_time(pair: dict[str, str]) -> None:
    decoded = post_numbers.decode_post_number(pair["channel"], pair["number"])
    assert decoded is not None
    seconds_early = (datetime.fromisoformat(pair["published_at"]) - decoded).total_seconds()
    assert 0 <= seconds_early <= MAX_SECONDS_EARLY[pair["channel"]]


def test_recorded_pairs_are_counted() -> None:
    channels = [pair["channel"] for pair in read_recorded_pairs()]
    assert {channel: channels.count(channel) for channel in CHANNELS} == PAIR_COUNTS


def test_precision_is_a_day_where_a_post_may_be_prepared_before() -> None:
    assert {channel: post_numbers.get_date_precision(channel) for channel in CHANNELS} == {
        "twitter": DatePrecision.SECOND,
        "linkedin": DatePrecision.SECOND,
        "tiktok": DatePrecision.DAY,
        "instagram": DatePrecision.DAY,
    }


@pytest.mark.parametrize("channel", CHANNELS)
def test_random_digits_of_another_length_give_nothing(channel: str) -> None:
    """Digits of the right length may be a number: one in eight of X's decodes to a past time."""
    generator = random.Random(2026)
    valid_lengths = {"twitter": range(15, 20), "instagram": (11,)}.get(channel, (19,))
    lengths = [length for length in range(41) if length not in valid_lengths]
    for _ in range(10_000):
        digits = "".join(generator.choices("0123456789", k=generator.choice(lengths)))
        assert post_numbers.decode_post_number(channel, digits) is None


def test_digits_are_no_shortcode_of_instagram() -> None:
    generator = random.Random(2026)
    for _ in range(10_000):
        digits = "".join(generator.choices("0123456789", k=11))
        assert post_numbers.decode_post_number("instagram", digits) is None


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    "number",
    [
        "",
        "20",
        "29700859247",  # the last number that X counted
        "0" * 19,
        f"0{X_POST[:-1]}",
        f"-{X_POST[:-1]}",
        f" {X_POST[:-1]}",
        "١٢١٢٠٩٢٦٢٨٠٢٩٦٩٨٠٤٨",
        "9" * 40,
        "A" * 11,
        "_" * 11,
    ],
)
def test_malformed_number_gives_nothing(channel: str, number: str) -> None:
    assert post_numbers.decode_post_number(channel, number) is None


@given(st.sampled_from([*CHANNELS, "facebook", ""]), st.text())
def test_any_text_gives_a_plausible_time_or_nothing(channel: str, number: str) -> None:
    decoded = post_numbers.decode_post_number(channel, number)
    assert decoded is None or decoded.year >= 2010


# --- Links ---


@pytest.mark.parametrize(
    ("url", "label", "account"),
    [
        (f"https://x.com/a/status/{X_POST}", "", ("twitter", "a")),
        (f"https://twitter.com/Amal_R/statuses/{X_POST}?s=20", "", ("twitter", "amal_r")),
        (f"http://www.Twitter.com/amal/status/{X_POST}", "", ("twitter", "amal")),
        (f"https://mobile.twitter.com/amal/status/{X_POST}/photo/1", "", ("twitter", "amal")),
        (
            "https://www.linkedin.com/posts/amal-rabat_ecole-activity-7130970523353706496-x1Yz",
            "",
            ("linkedin", "company/amal-rabat"),
        ),
        (
            "https://fr.linkedin.com/posts/amal_ugcPost-6850898786781339649-mM20?trk=x",
            "",
            ("linkedin", "company/amal"),
        ),
        ("https://www.tiktok.com/@Amal/video/7206382937372134662", "", ("tiktok", "amal")),
        ("https://www.instagram.com/amal/p/Chunk8-jurw/", "", ("instagram", "amal")),
        ("https://www.instagram.com/amal/reel/Chunk8-jurw/", "", ("instagram", "amal")),
        (
            "https://www.instagram.com/p/Chunk8-jurw/?utm_source=ig_embed",
            "Une publication partagée par Amal Rabat (@Amal.Rabat)",
            ("instagram", "amal.rabat"),
        ),
    ],
)
def test_post_link_names_account_and_time(url: str, label: str, account: tuple[str, str]) -> None:
    post = read_link(url, label)
    assert post is not None
    assert (post.channel, post.key) == account


def test_post_of_the_last_hours_of_2019_is_dated_to_the_second() -> None:
    assert read_link(f"https://x.com/a/status/{X_POST}") == LinkedPost("twitter", "a", X_POST_AT)


@pytest.mark.parametrize(
    "url",
    [
        "https://x.com/jack/status/20",
        f"https://x.com/i/web/status/{X_POST}",
        f"https://x.com/i/status/{X_POST}",
        f"https://x.com/amal/status/{X_POST}9999",
        f"https://x.com/amal/lists/{X_POST}",
        f"https://x.com/intent/tweet?in_reply_to={X_POST}",
        f"https://example.org/amal/status/{X_POST}",
        "https://www.linkedin.com/feed/update/urn:li:activity:7130970523353706496/",
        "https://www.linkedin.com/pulse/amal-7130970523353706496",
        "https://www.linkedin.com/posts/amal_activity-713097052335370649-x",
        "https://www.tiktok.com/embed/v2/7206382937372134662",
        "https://www.tiktok.com/@amal",
        "https://www.instagram.com/p/Chunk8-jurw/",
        "https://www.instagram.com/stories/amal/2724343156064789461",
        "https://www.facebook.com/amal/posts/7130970523353706496",
    ],
)
def test_link_without_account_or_time_gives_nothing(url: str) -> None:
    assert read_link(url) is None


def test_number_of_the_future_gives_nothing_before_its_time() -> None:
    url = f"https://x.com/a/status/{X_POST}"
    assert read_link(url, now=X_POST_AT - timedelta(seconds=1)) is None
    assert read_link(url, now=X_POST_AT) is not None


def test_newest_post_of_each_account_is_selected() -> None:
    posts = [
        LinkedPost("twitter", "amal", NOW - timedelta(days=9)),
        LinkedPost("twitter", "amal", NOW - timedelta(days=2)),
        LinkedPost("twitter", "nour", NOW - timedelta(days=1)),
        LinkedPost("twitter", "amal", NOW + timedelta(seconds=1)),
    ]
    assert post_numbers.select_newest_posts(posts, NOW) == [posts[2], posts[1]]


# --- The fact ---


KEYS = st.from_regex(r"[\w.&'’,+#-]{1,40}", fullmatch=True)
POSTS = st.builds(
    LinkedPost,
    st.sampled_from(CHANNELS),
    KEYS | KEYS.map("company/{}".format),
    st.integers(0, 5_000_000).map(lambda age: NOW - timedelta(seconds=100 * age)),
)


@given(st.lists(POSTS, max_size=5))
def test_fact_keeps_every_post(posts: list[LinkedPost]) -> None:
    assert post_numbers.parse_linked_posts(" ".join(map(str, posts))) == posts


def test_part_of_another_form_is_no_post() -> None:
    day = "2026-11-01T10:00:00Z"
    text = f"twitter:amal=yesterday  x facebook:amal={day} twitter:nour={day}"
    assert [post.key for post in post_numbers.parse_linked_posts(text)] == ["nour"]
