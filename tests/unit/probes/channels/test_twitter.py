"""X: identification of links, and empty pages and walls prove nothing."""

import pytest

from probes.channels import twitter
from probes.links.identify import identify_link
from probes.models.finding import Account, LinkKind, Presence, Reason
from probes.models.http import Page
from probes.models.probe import run_offline

ACCOUNTS = {
    "https://twitter.com/Amal_Rabat": "amal_rabat",
    "https://twitter.com/@Amal_Rabat": "amal_rabat",
    "https://twitter.com/#!/Amal_Rabat": "amal_rabat",
    "https://x.com/Amal_Rabat?s=19": "amal_rabat",
    "https://twitter.com/Amal_Rabat#anchor": "amal_rabat",
    "https://twitter.com/Amal_Rabat/lists": "amal_rabat",
    "https://twitter.com/Amal_Rabat/with_replies": "amal_rabat",
    "https://mobile.twitter.com/amal_rabat": "amal_rabat",
    "https://www.x.com/amal_rabat": "amal_rabat",
    "https://twitter.com/intent/user?screen_name=amal_rabat": "amal_rabat",
    "https://twitter.com/intent/follow?screen_name=amal_rabat&ref_src=twsrc%5Etfw": "amal_rabat",
    "https://twitter.com/i/user/2240000001": "id:2240000001",
    "https://x.com/intent/user?user_id=2240000001": "id:2240000001",
    "https://x.com/i/flow/login?redirect_after_login=%2Famal_rabat": "amal_rabat",
}
NOBODY = {
    "https://twitter.com/": LinkKind.HOME,
    "https://x.com": LinkKind.HOME,
    "https://twitter.com/#": LinkKind.HOME,
    "https://twitter.com/home": LinkKind.HOME,
    (
        "https://twitter.com/intent/tweet?url=https%3A%2F%2Fannour.example&via=amal_rabat"
    ): LinkKind.SHARE,
    "https://twitter.com/share?url=https%3A%2F%2Fannour.example": LinkKind.SHARE,
    "https://twitter.com/hashtag/Amal?src=hashtag_click": LinkKind.SEARCH,
    "https://twitter.com/search?q=amal&src=typed_query": LinkKind.SEARCH,
    "https://twitter.com/i/lists/1550000000000000001": LinkKind.INVALID,
    "https://twitter.com/settings": LinkKind.INVALID,
    "https://twitter.com/association.amal": LinkKind.INVALID,
    "https://twitter.com/a_handle_longer_than_fifteen": LinkKind.INVALID,
    "https://twitter.com/amal_rabat/status/abc": LinkKind.INVALID,
    "https://developer.x.com/en": LinkKind.INVALID,
    "https://t.co/AbC123": LinkKind.SHORT_LINK,
    "https://twitter.com/i/events/1910000000000000001": LinkKind.POST,
}
# Hosts, languages and forms that people paste.
OTHER_FORMS = {
    "https://fr.twitter.com/amal_rabat": "amal_rabat",
    "https://twitter.com/no/status/1284000000000000001": "no",
    "https://twitter.com/@@amal_rabat": "amal_rabat",
    "https://twitter.com/#!/@amal_rabat/statuses/1284000000000000001": "amal_rabat",
    "https://x.com/i/redirect?url=https%3A%2F%2Ftwitter.com%2Famal_rabat%3Fcn%3Dx": "amal_rabat",
    "https://platform.twitter.com/widgets/follow_button.html?screen_name=amal_rabat": "amal_rabat",
    "https://x.com/amal_rabat/article/1910000000000000001": "amal_rabat",
}
OWN_PAGES = {
    "https://x.com/en/tos": LinkKind.INVALID,
    "https://x.com/logged_out": LinkKind.INVALID,
    "https://twitter.com/mentions": LinkKind.INVALID,
    "https://twitter.com/similar_to/amal_rabat": LinkKind.INVALID,
    "https://twitter.com/goodies": LinkKind.INVALID,
    "https://help.x.com/en": LinkKind.INVALID,
}
ACCOUNT = Account("amal", "", identify_link("https://twitter.com/Amal_Rabat"))


@pytest.mark.parametrize("typed", ACCOUNTS)
def test_link_identifies_its_account(typed: str) -> None:
    identity = identify_link(typed)
    assert (identity.channel, identity.kind, identity.key) == (
        "twitter",
        LinkKind.PROFILE,
        ACCOUNTS[typed],
    )


@pytest.mark.parametrize("typed", NOBODY)
def test_link_without_account_has_no_key(typed: str) -> None:
    identity = identify_link(typed)
    assert (identity.channel, identity.kind, identity.key) == ("twitter", NOBODY[typed], None)


@pytest.mark.parametrize("typed", OTHER_FORMS)
def test_unusual_link_identifies_its_account(typed: str) -> None:
    assert (identify_link(typed).channel, identify_link(typed).key) == (
        "twitter",
        OTHER_FORMS[typed],
    )


@pytest.mark.parametrize("typed", OWN_PAGES)
def test_page_of_x_itself_is_no_account(typed: str) -> None:
    assert (identify_link(typed).kind, identify_link(typed).key) == (OWN_PAGES[typed], None)


def test_post_names_its_owner_and_is_no_account() -> None:
    identity = identify_link("https://twitter.com/Amal_Rabat/status/1284000000000000001?s=20")
    assert (identity.kind, identity.key, identity.note) == (LinkKind.POST, "amal_rabat", "derived")


def test_canonical_url_is_on_x_with_the_typed_handle() -> None:
    assert (
        identify_link("mobile.twitter.com/Amal_Rabat/media").canonical == "https://x.com/Amal_Rabat"
    )


@pytest.mark.parametrize(
    "text",
    [
        *("@Amal_Rabat", "Amal_Rabat", "/amal_rabat", "twitter.com @amal_rabat"),
        *("Amal de Rabat @Amal_Rabat", "AmalRabat@Amal_Rabat", "Amal (@Amal_Rabat)"),
    ],
)
def test_bare_handle_in_the_x_column_is_identified(text: str) -> None:
    assert identify_link(text, "twitter").key == "amal_rabat"


@pytest.mark.parametrize(
    "text",
    [
        *("Amal Rabat", "amal@rabat", "a_handle_longer_than_fifteen", "#amal", "home"),
        *("@amal.ma", "Marché @ Rabat", "Amal Rabat @a_handle_longer_than_fifteen"),
    ],
)
def test_impossible_handle_is_none(text: str) -> None:
    assert identify_link(text, "twitter").key is None


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page("https://x.com/Amal_Rabat", 404), Reason.UNREADABLE),
        (
            Page("https://x.com/Amal_Rabat", 200, body=b"<p>This account doesn't exist</p>"),
            Reason.UNREADABLE,
        ),
        (
            Page("https://x.com/Amal_Rabat", 200, body=b"<p>Account suspended</p>"),
            Reason.UNREADABLE,
        ),
        (Page("https://x.com/i/flow/login", 200, body=b"<title>X</title>"), Reason.LOGIN_WALL),
        (Page("https://x.com/account/access", 200, body=b"<title>X</title>"), Reason.BLOCKED),
        (Page("https://x.com/Amal_Rabat", 403, {"cf-mitigated": "challenge"}), Reason.BLOCKED),
        (Page("https://x.com/Amal_Rabat", 429), Reason.RATE_LIMITED),
        (
            Page("https://x.com/Amal_Rabat", 200, body=b"<p>JavaScript is not available.</p>"),
            Reason.SCRIPT_ONLY,
        ),
        (Page("https://x.com/Amal_Rabat", 200), Reason.UNREADABLE),
    ],
)
def test_no_response_of_x_proves_an_absence(page: Page, reason: Reason) -> None:
    finding = run_offline(twitter.probe(ACCOUNT), lambda request: page).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason)
