"""Identification of typed links, handles and cells."""

import json
import tomllib
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from time import process_time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.links import channel_registry, identify, normalize
from probes.links import identify as links_identify
from probes.links.cells import split_links
from probes.links.identify import identify_link
from probes.models.finding import Account, Presence, Reason
from probes.models.http import Page
from probes.models.probe import present_finding, run_offline
from storage.sanitize import sanitize as stored

CASES = Path(__file__).parent / "cases"
ADDRESSES = tomllib.loads((CASES / "addresses.toml").read_text("utf-8"))
GROUPS = tomllib.loads((CASES / "identities.toml").read_text("utf-8"))["groups"]


def clean_url(typed: str) -> str | None:
    url = normalize.extract_url(normalize.repair_link_text(typed))
    return url and identify.unwrap_url(url)


def describe(typed: str, column: str | None) -> str:
    identity = identify_link(typed, column)
    note = f" | {identity.note}" if identity.note else ""
    return f"{identity.channel} {identity.kind} {identity.key or '-'}{note}"


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group["name"])
def test_typed_text_identifies_its_account(group: dict[str, Any]) -> None:
    column = group.get("column")
    assert {typed: describe(typed, column) for typed in group["cases"]} == group["cases"]


@pytest.mark.parametrize(
    ("table", "function"),
    [
        ("cleaned", clean_url),
        ("canonical", lambda typed: identify_link(typed).canonical),
        ("requested", lambda typed: identify_link(typed, "website").url),
        ("cells", split_links),
    ],
)
def test_address_is_cleaned_and_split(table: str, function: Callable[[str], object]) -> None:
    assert {typed: function(typed) for typed in ADDRESSES[table]} == ADDRESSES[table]


# --- An address pasted where a name belongs ---


@pytest.mark.parametrize("prefix", ["x.com/", "https://x.com/", "facebook.com/pages/facebook.com/"])
def test_urls_pasted_many_times_are_not_followed_forever(prefix: str) -> None:
    assert identify_link(prefix * 600 + "annour").channel in {"twitter", "facebook"}


# --- URL grammar of each platform ---


@pytest.mark.parametrize("sign", ["\x80", "%C2%80", "\x9b", "%E2%80%AE", "%00", "\udc80"])
def test_control_character_is_no_part_of_a_website_key(sign: str) -> None:
    """The store removes these characters, so a key with one would match no account later."""
    identity = identify_link(f"https://nour.example/a{sign}b")
    assert identity.key == "nour.example/ab"
    assert stored(identity) is identity


# --- Short links are followed ---


def test_short_link_is_resolved_with_one_request() -> None:
    requests = []

    def probe() -> Any:
        account = yield from links_identify.resolve_short_link(
            Account("annour", "", identify_link("https://fb.me/3xAmpl"))
        )
        requests.append(account.identity.key)
        return present_finding(Page("", 200))

    final = "https://www.facebook.com/login/?next=https%3A%2F%2Fwww.facebook.com%2Famalrabat"
    look = run_offline(probe(), lambda request: Page(final, 200))
    assert requests == ["u:amalrabat"]
    assert [exchange.request.is_registered_link for exchange in look.exchanges] == [True]


@pytest.mark.parametrize(
    "body",
    [
        b'<noscript><meta http-equiv="refresh" content="0;URL=https://x.com/annour_ma"></noscript>',
        b'<a data-tracking-control-name="external_url_click" class="a" href="https://x.com/annour_ma">x</a>',
    ],
)
def test_interstitial_page_gives_its_target(body: bytes) -> None:
    assert (
        links_identify.parse_interstitial_target(Page("https://lnkd.in/3xAmpl", 200, body=body))
        == "https://x.com/annour_ma"
    )


def test_ordinary_link_is_not_resolved() -> None:
    account = Account("annour", "", identify_link("https://x.com/annour_ma"))
    with pytest.raises(StopIteration) as end:
        next(links_identify.resolve_short_link(account))
    assert end.value.value is account


def test_short_link_to_no_account_has_no_account_kind() -> None:
    account = Account("annour", "", identify_link("https://fb.me/3xAmpl"))
    look = run_offline(
        channel_registry.get_channel("facebook").probe(account),
        lambda request: Page("https://www.facebook.com/watch/?v=1", 200),
    )
    assert (look.finding.presence, look.finding.reason) == (Presence.UNKNOWN, Reason.WRONG_TARGET)


# --- Nothing makes it raise ---

PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "http",
                "s",
                ":",
                "//",
                "://",
                "/",
                "@",
                "\\",
                "#",
                "!",
                "?",
                "&",
                "=",
                "%",
                "[",
                "]",
                "(",
                ")",
                " ",
            ),
            *(
                "facebook.com",
                "x.com",
                "linkedin.com",
                "youtube.com",
                "l.php?u=",
                "pages",
                "profile.php?id=",
            ),
            *(
                "groups",
                "in",
                "company",
                "123456789012",
                "annour",
                ".ma",
                ".",
                "é",
                "Ã©",
                '=HYPERLINK("',
                "www.",
            ),
            *(
                "²",
                "℀",
                "﹕",
                "ⓕ",
                "%2F",
                "xn--",
                ";",
                ",",
                "authwall?sessionRedirect=",
                "login?next=",
                "status",
                "\n",
                "\u202b",
            ),
            *("intent/user?screen_name=", "web.archive.org/web/2020/", "\x00", "\ud800"),
            *(
                "instagram.com",
                "t.me",
                "tiktok.com/@",
                "user:pw@",
                "[::1]",
                "[fe80::1%25eth0]",
                ":80",
                ":99999",
            ),
            *(
                "%25",
                "%252F",
                "%23",
                "%40",
                "%E2%80%8B",
                "xn--99999999999999999999",
                "xn--mgbc0a9azcg",
            ),
            *("\u200f", "\u0301", "\u2126", "。", "．", "ﬁ", "İ", "١٢", "جمعية", "…", "·", "@amal"),
            *(
                "Instagram: ",
                " sur Facebook",
                "(Twitter)",
                "c/",
                "channel/UC",
                "posts/a_b",
                "home.php#!/",
                "fr_FR/",
                "company/",
                "%3Fid=",
            ),
        ]
    ),
    max_size=14,
).map("".join)


@given(
    typed=st.text(max_size=80) | PIECES,
    column=st.sampled_from([None, *channel_registry.list_channels()]),
)
@example(typed="http://[", column=None)
@example(typed="http://a.ma:²/", column="website")
@example(typed="https://annour℀.ma/", column=None)
@example(typed="https://annour﹕x.ma/", column="facebook")
def test_no_text_raises(typed: str, column: str | None) -> None:
    identity = identify_link(typed, column)
    assert identity.key != ""
    assert identity.channel in channel_registry.list_channels()
    clean_url(typed)
    split_links(typed)


@given(typed=PIECES, column=st.sampled_from([None, *channel_registry.list_channels()]))
@example(typed="www.//", column="linkedin")
@example(typed="https://annour.ma/agenda.?", column=None)
@example(typed="//[::1]#?%2F", column="website")
@example(typed="https://www.youtube.com/user/annour:/", column=None)
@example(typed="@annour·[::1]", column="youtube")
@example(typed="groups/annour.#x", column="facebook")
@example(typed="@fr_FR", column="facebook")
@example(typed="@m.me", column="facebook")
@example(typed="@www.facebook.com", column="facebook")
@example(typed="@www.instagram.com", column="instagram")
@example(typed="@www.tiktok.com", column="tiktok")
@example(typed="@www.youtube.com", column="youtube")
@example(typed="user/%2Fyoutu.be", column="youtube")
@example(typed="https://xn--mgbc0a9azcgx.ma/", column=None)
def test_canonical_url_identifies_the_same_account(typed: str, column: str | None) -> None:
    identity = identify_link(typed, column)
    if identity.canonical:
        second_identity = identify_link(identity.canonical)
        assert (second_identity.channel, second_identity.key) == (identity.channel, identity.key)
        assert second_identity.canonical == identity.canonical


ORDINARY = st.from_regex(
    r"https?://(?:[a-z0-9-]{1,8}\.){1,3}(?:ma|org|com"
    r"|xn--x)(?:[/?#][A-Za-z0-9._~/@?=&#%+:;,!-]{0,30})?",
    fullmatch=True,
)


@given(typed=ORDINARY)
@example(typed="https://ww.annour.ma/a?b=1")
@example(typed="https://wwww.annour.ma/a?b=1")
@example(typed="https://www.facebook/a")
def test_url_is_found_between_words(typed: str) -> None:
    short_cut = clean_url(typed)
    # A typing error in `www.` is corrected in both, unless the URL is valid as it is.
    if "ww." not in typed:
        assert clean_url(f"notre site : {typed}") == short_cut


@given(url=ORDINARY | PIECES)
@example(url="https://annour.ma?a=1#b?c#d")
@example(url="https://annour.ma:99999/[x]")
def test_parse_url_agrees_with_urlsplit(url: str) -> None:
    try:
        expected = urlsplit(url)
    except ValueError:
        expected = urlsplit("")
    assert normalize.parse_url(url) == expected


@given(query=st.text("ab=&+%2C3é;", max_size=20))
def test_parse_query_agrees_with_parse_qsl(query: str) -> None:
    assert normalize.parse_query(query) == {
        name: values[0] for name, values in parse_qs(query).items()
    }


@given(typed=PIECES)
@example(typed="&amp;amp;amal.ma/?a=1&amp;amp;b=2")
@example(typed="https://annour.ma/\u200fÃ\u0192Â©\u202b")
@example(typed="https://annour.ma# sur Facebook")
def test_clean_url_is_unchanged(typed: str) -> None:
    cleaned = clean_url(typed)
    if cleaned is not None:
        assert clean_url(cleaned) == cleaned


@pytest.mark.parametrize("column", [None, "facebook", "youtube"])
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a ",
            "a.",
            "@a ",
            "https://",
            "x: ",
            "Facebook: ",
            "&amp;",
            "Ã©",
            "(",
            "#!/",
            "%25",
            "\u202b",
            "\ud800",
        ),
        *("xn--a.", "ma,", "\x00", "https://l.facebook.com/l.php?u=", "[a](", "https%3A%2F%2F"),
    ],
)
def test_million_characters_are_identified_quickly(piece: str, column: str | None) -> None:
    text = piece * (1_000_000 // len(piece))
    started = process_time()
    assert (
        identify_link(text, column).key is None
        or len(identify_link(text, column).key or "") < normalize.MAX_CELL_CHARS
    )
    clean_url(text)
    split_links(text)
    assert process_time() - started < 2


def test_link_cases_of_other_projects(shared: Path) -> None:
    spec = spec_from_file_location("score_links", shared / "tools" / "score_links.py")
    assert spec is not None
    assert spec.loader is not None
    score = module_from_spec(spec)
    spec.loader.exec_module(score)
    cases = [
        json.loads(line)
        for line in (shared / "data" / "link_cases.jsonl").read_text("utf-8").splitlines()
    ]
    wrong = [case["input"] for case in cases if not _right(score.same, case)]
    assert len(wrong) <= len(cases) // 100, wrong


def _right(same: Any, case: dict[str, Any]) -> bool:
    identity = identify_link(case["input"], case["channel"])
    if case["kind"] == "profile":
        return identity.channel == case["channel"] and same(
            case["channel"], identity.key, case["key"]
        )
    claims = identity.key is not None and identity.kind in ("profile", "page", "person")
    return not claims or bool(same(case["channel"], identity.key, case["owner"]))
