"""Facebook: identification of links, and no response is taken for an absence."""

from datetime import UTC, datetime

import pytest

from probes.channels import facebook
from probes.links.identify import identify_link
from probes.models.finding import Account, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page
from probes.models.probe import run_offline

FB = "https://www.facebook.com"
ACCOUNTS = {
    "http://facebook.com/amalrabat/": "u:amalrabat",
    "https://fb.com/amalrabat": "u:amalrabat",
    "https://facebook.com/Amal.Rabat": "u:amalrabat",
    "fr-FR.facebook.com/amal.rabat.92?rc=p&__tn__=R": "u:amalrabat92",
    "https://web.facebook.com/amalrabat?_rdc=1&_rdr": "u:amalrabat",
    f"{FB}/amalrabat?locale=ar_AR&mibextid=x": "u:amalrabat",
    f"{FB}/amalrabat/about": "u:amalrabat",
    f"{FB}/pg/amalrabat/photos/": "u:amalrabat",
    f"{FB}/profile.php?id=100000000000001&rc=p": "id:100000000000001",
    f"{FB}/profile.php?id=398600": "id:398600",
    f"{FB}/100000000000001": "id:100000000000001",
    f"{FB}/people/Amal-Rabat/100000000000001": "id:100000000000001",
    f"{FB}/people/%D8%A3%D9%85%D9%84/100000000000001/": "id:100000000000001",
    f"{FB}/pages/Amal-Rabat/190000000000001?sk=info": "id:190000000000001",
    f"{FB}/pages/category/Nonprofit-Organization/Amal-123456789012345/": "id:123456789012345",
    f"{FB}/p/Association-Amal-61550000000001/": "id:61550000000001",
    f"{FB}/Association-Amal-1234567890123456/": "id:1234567890123456",
    (
        f"{FB}/plugins/page.php?href=https%3A%2F%2Fwww.facebook.com%2Famalrabat&tabs=timeline"
    ): "u:amalrabat",
    f"{FB}/login/?next=https%3A%2F%2Fwww.facebook.com%2Famalrabat%2F": "u:amalrabat",
    f"{FB}/home.php#!/pages/Amal/123456789012": "id:123456789012",
    f"{FB}/#!/amalrabat": "u:amalrabat",
    "https://m.me/amalrabat": "u:amalrabat",
    f"{FB}/groups/AmalRabat": "group:amalrabat",
    f"{FB}/groups/100000000000002/posts/2830000000000001/": "group:100000000000002",
}
POSTS = {
    f"{FB}/amalrabat/posts/420000000000001": "u:amalrabat",
    f"{FB}/100000000000001/posts/190000000000001": "id:100000000000001",
    f"{FB}/permalink.php?story_fbid=135000000000001&id=590000000000001": "id:590000000000001",
    (
        "https://m.facebook.com/story.php?story_fbid=117000000000001&id=360000000000001"
    ): "id:360000000000001",
    f"{FB}/photo.php?fbid=145000000000001&id=590000000000001&set=a.1": "id:590000000000001",
    f"{FB}/photo.php?fbid=102000000000001": None,
    f"{FB}/watch/?v=310000000000001": None,
    f"{FB}/reel/310000000000001": None,
    f"{FB}/events/310000000000001": None,
    f"{FB}/share/p/1AbCdEfGhI/": None,
    "https://fb.watch/1AbCdEfGhI/": None,
}
NOBODY = {
    f"{FB}/": LinkKind.HOME,
    "https://facebook.com/#": LinkKind.HOME,
    f"{FB}/home.php": LinkKind.HOME,
    f"{FB}/sharer/sharer.php?u=https%3A%2F%2Fannour.example": LinkKind.SHARE,
    f"{FB}/sharer.php?u=https%3A%2F%2Fannour.example": LinkKind.SHARE,
    f"{FB}/dialog/share?app_id=1": LinkKind.SHARE,
    f"{FB}/search/top?q=amal": LinkKind.SEARCH,
    f"{FB}/share/1AbCdEfGhI/": LinkKind.SHORT_LINK,
    "https://fb.me/47574": LinkKind.SHORT_LINK,
    f"{FB}/profile.php": LinkKind.INVALID,
    f"{FB}/marketplace": LinkKind.INVALID,
    f"{FB}/groups": LinkKind.INVALID,
    f"{FB}/pages/Amal-Rabat": LinkKind.INVALID,
    "http://facebook.com/amal[rabat": LinkKind.INVALID,
    f"{FB}/Amal Rabat": LinkKind.INVALID,
    f"{FB}/{'a' * 51}": LinkKind.INVALID,
    "https://developers.facebook.com/docs": LinkKind.INVALID,
}
OTHER_HOSTS = (
    *("m", "mbasic", "touch", "mtouch", "x", "0", "zero", "free", "web", "business", "fr-fr"),
    *("ar", "fr-fr.m", "m.fr-fr", "www.fr-fr"),
)
OTHER_FORMS = {
    f"{FB}/fr-fr/amalrabat": "u:amalrabat",
    f"{FB}/fr_FR/amalrabat/about": "u:amalrabat",
    f"{FB}/ar/amalrabat": "u:amalrabat",
    f"{FB}/@amalrabat": "u:amalrabat",
    f"{FB}/amal.org": "u:amalorg",
    f"{FB}/profile.php?id=61550000000001/": "id:61550000000001",
    f"{FB}/profile.php?id=61550000000001?mibextid=ZbWKwL": "id:61550000000001",
    f"{FB}/pages/123456789012/photos": "id:123456789012",
    f"{FB}/pages/category/Nonprofit-Organization/amalrabat/": "u:amalrabat",
    f"{FB}/pages/Pourquoi%3F/123456789012": "id:123456789012",
    f"{FB}/v19.0/plugins/page.php?href=https%3A%2F%2Fwww.facebook.com%2Famalrabat": "u:amalrabat",
    f"{FB}/watch/amalrabat/310000000000001": "u:amalrabat",
    f"{FB}/watch/amalrabat/": "u:amalrabat",
    f"{FB}/?next=https%3A%2F%2Fwww.facebook.com%2Famalrabat": "u:amalrabat",
    f"{FB}/index.php?next=%2Famalrabat": "u:amalrabat",
    f"{FB}/widgets/like.php?href=http%3A%2F%2Fwww.facebook.com%2Famalrabat": "u:amalrabat",
    "https://p-upload.facebook.com/amalrabat/": "u:amalrabat",
    f"{FB}/notes/amalrabat/rapport/310000000000001": "u:amalrabat",
    f"{FB}/note.php?note_id=310000000000001&id=590000000000001": "id:590000000000001",
}
OWN_PAGES = {
    **dict.fromkeys(
        (
            *("about", "help", "policies", "policies_center", "policy", "explore", "feed", "watch"),
            *("business", "intent", "pages/create", "legal", "jobs", "creators", "latest/home"),
            *("index.html", "favicon.ico", "fr_FR/sdk.js", "connect/login", "communitystandards"),
            *("groups/feed", "groups/discover", "fundraiser/31", "insights/amalrabat", "user/amal"),
        ),
        LinkKind.INVALID,
    ),
    "event.php?eid=310000000000001": LinkKind.POST,
    "watch/live/?v=310000000000001": LinkKind.POST,
    "watch/310000000000001/": LinkKind.POST,
    "messages/": LinkKind.INVALID,
    "profile.php?id=6155 0000000001": LinkKind.INVALID,
    "g/AbCdEfGh": LinkKind.SHORT_LINK,
    "people/Amal/pfbid0AbCdEfGhIjKl/": LinkKind.SHORT_LINK,
    "fr-fr/": LinkKind.HOME,
    "widgets/like.php": LinkKind.SHARE,
}
OTHER_OWN_PAGES = {
    "https://m.me/j/AbCdEfGh/": LinkKind.INVALID,
    "https://www.messenger.com/features": LinkKind.INVALID,
    "https://graph.facebook.com/amalrabat": LinkKind.INVALID,
    "https://on.fb.me/AbCdEf": LinkKind.SHORT_LINK,
    "https://fb.com/l/AbCdEf": LinkKind.SHORT_LINK,
}
ACCOUNT = Account("amal", "", identify_link(f"{FB}/Amal.Rabat"))


@pytest.mark.parametrize("typed", ACCOUNTS)
def test_link_identifies_its_account(typed: str) -> None:
    identity = identify_link(typed)
    assert (identity.channel, identity.key) == ("facebook", ACCOUNTS[typed])
    assert identity.kind in {LinkKind.PROFILE, LinkKind.PAGE, LinkKind.GROUP}


@pytest.mark.parametrize("typed", POSTS)
def test_post_is_no_account_but_may_name_its_owner(typed: str) -> None:
    assert (identify_link(typed).kind, identify_link(typed).key) == (LinkKind.POST, POSTS[typed])


@pytest.mark.parametrize("typed", NOBODY)
def test_link_without_account_has_no_key(typed: str) -> None:
    identity = identify_link(typed)
    assert (identity.channel, identity.kind, identity.key) == ("facebook", NOBODY[typed], None)


@pytest.mark.parametrize("subdomain", OTHER_HOSTS)
def test_mobile_and_language_hosts_show_the_same_page(subdomain: str) -> None:
    assert identify_link(f"https://{subdomain}.facebook.com/amalrabat").key == "u:amalrabat"


@pytest.mark.parametrize("typed", OTHER_FORMS)
def test_unusual_link_identifies_its_account(typed: str) -> None:
    assert identify_link(typed).key == OTHER_FORMS[typed]


@pytest.mark.parametrize("path", OWN_PAGES)
def test_page_of_facebook_itself_is_no_account(path: str) -> None:
    identity = identify_link(f"{FB}/{path}")
    assert (identity.channel, identity.kind, identity.key) == ("facebook", OWN_PAGES[path], None)


@pytest.mark.parametrize("typed", OTHER_OWN_PAGES)
def test_other_host_of_facebook_shows_no_account(typed: str) -> None:
    assert (identify_link(typed).kind, identify_link(typed).key) == (OTHER_OWN_PAGES[typed], None)


def test_canonical_url_keeps_the_name_as_typed() -> None:
    assert identify_link("facebook.com/Amal.Rabat?ref=x").canonical == f"{FB}/Amal.Rabat"
    assert (
        identify_link(f"{FB}/pages/Amal/190000000000001").canonical
        == f"{FB}/profile.php?id=190000000000001"
    )
    assert identify_link("m.facebook.com/groups/AmalRabat/").canonical == f"{FB}/groups/AmalRabat"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Amal.Rabat", "u:amalrabat"),
        ("/amalrabat", "u:amalrabat"),
        ("groups/amal", "group:amal"),
        ("profile.php?id=61550000000001", "id:61550000000001"),
        ("/amal.rabat?fref=ts&__tn__=R", "u:amalrabat"),
        ("@amal.ma", "u:amalma"),
        ("جمعية", "u:جمعية"),
    ],
)
def test_bare_name_in_the_facebook_column_is_identified(text: str, key: str) -> None:
    assert identify_link(text, "facebook").key == key


@pytest.mark.parametrize(
    "text",
    [
        *("Association Amal", "amal!", "a/b", "notifications", "facebook", "#a"),
        *("www.facebook.amal", "fr_FR", "@facebook.com", "@m.me"),
    ],
)
def test_impossible_name_is_none(text: str) -> None:
    assert identify_link(text, "facebook").key is None


@pytest.mark.parametrize("status", [200, 404, 410, 500])
@pytest.mark.parametrize(
    "body",
    [
        "<title>Facebook</title>This content isn't available right now",
        (
            "<title>Page Not Found</title>The link you followed may be broken, or the page was "
            "removed."
        ),
        "<title>Facebook</title>Cette page n’est pas disponible",
        "<title>فيسبوك</title>هذا المحتوى غير متوفر حاليًا",
        '<title>Facebook</title><meta property="og:title" content="Facebook">',
    ],
)
def test_no_message_of_facebook_proves_an_absence(status: int, body: str) -> None:
    finding = run_offline(
        facebook.probe(ACCOUNT), lambda request: Page(request.url, status, body=body.encode())
    ).finding
    assert finding.presence is Presence.UNKNOWN
    assert finding.reason in {Reason.UNREADABLE, Reason.SERVER_ERROR}


def test_registered_page_is_requested_once() -> None:
    result = run_offline(facebook.probe(ACCOUNT), lambda request: FetchError(Reason.TIMEOUT))
    assert [(e.request.url, e.request.is_registered_link) for e in result.exchanges] == [
        (f"{FB}/Amal.Rabat", True)
    ]
    assert result.finding.reason is Reason.TIMEOUT


def test_page_on_another_host_proves_nothing() -> None:
    body = b'<meta property="og:title" content="Amal Rabat">'
    finding = run_offline(
        facebook.probe(ACCOUNT), lambda request: Page("https://portal.example/", 200, body=body)
    ).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.UNREADABLE)


@pytest.mark.parametrize(
    ("posted", "last"),
    [
        (["2026-10-30"], "2026-10-30T00:00:00Z"),
        (["2025-11-12"], None),
        (["2025-11-12", "2025-11-12"], None),
        (["2024-02-01", "2025-11-12"], "2025-11-12T00:00:00Z"),
    ],
    ids=["recent", "perhaps pinned", "the same twice", "several"],
)
def test_single_old_post_proves_no_inactivity(posted: list[str], last: str | None) -> None:
    """A page shows one post as a rule, and it may be a pinned one (RSS-Bridge 2026-08)."""
    moments = [int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) for day in posted]
    body = '<meta property="og:title" content="Amal Rabat">' + "".join(
        f'<script>{{"creation_time":{moment}}}</script>' for moment in moments
    )
    came = datetime(2026, 11, 20, 3, tzinfo=UTC)
    finding = run_offline(
        facebook.probe(ACCOUNT),
        lambda request: Page(request.url, 200, body=body.encode(), fetched_at=came),
    ).finding
    assert finding.presence is Presence.PRESENT
    assert (finding.last_activity.format_iso() if finding.last_activity else None) == last
    assert ("pinned" in finding.detail) is (last is None)


MARKED = '<script>{"__isProfile":"User","userID":"61550000000001"}</script>'
NAMED = '<meta property="og:title" content="Amal Rabat">'


def found_of(url: str, body: str) -> tuple[Presence, Reason | None]:
    page = Page(url, 200, {"content-type": "text/html; charset=utf-8"}, body.encode())
    finding = run_offline(facebook.probe(ACCOUNT), lambda request: page).finding
    return finding.presence, finding.reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("login/?next=https%3A%2F%2Fwww.facebook.com%2FAmal.Rabat", Reason.LOGIN_WALL),
        ("login.php?next=https%3A%2F%2Fwww.facebook.com%2FAmal.Rabat", Reason.LOGIN_WALL),
        ("login/web/", Reason.LOGIN_WALL),
        ("cookie/consent/?next=x", Reason.CONSENT),
        ("checkpoint/1/", Reason.BLOCKED),
        ("", Reason.UNREADABLE),
        ("recover/initiate", Reason.UNREADABLE),
    ],
)
def test_markers_after_redirect_to_a_wall_prove_nothing(path: str, reason: Reason) -> None:
    outcome = found_of(f"{FB}/{path}", f"<title>Amal Rabat</title>{NAMED}{MARKED}")
    assert outcome == (Presence.UNKNOWN, reason)


@pytest.mark.parametrize(
    "title",
    [
        "Facebook",
        "Facebook – log in or sign up",
        "Log in or sign up to view",
        "Log into Facebook | Facebook",
        "Se connecter à Facebook",
        "Facebook – Connexion ou inscription",
        "Connexion | Facebook",
        "Connectez-vous ou inscrivez-vous pour afficher le contenu",
        "تسجيل الدخول إلى فيسبوك",
        "فيسبوك – تسجيل الدخول أو الاشتراك",
        "فيسبوك",
        "This content isn’t available right now",
        "Page introuvable",
        "Contenu introuvable | Facebook",
        "Cette page n’est plus disponible",
        "هذا المحتوى غير متاح حاليًا",
        "هذه الصفحة غير متاحة",
        "الصفحة غير موجودة",
    ],
)
def test_title_of_wall_or_absence_is_no_name(title: str) -> None:
    bodies = [
        f'<title>Facebook</title><meta property="og:title" content="{title}">',
        f"<title>{title}</title>{MARKED}",
        f'<title>{title}</title><meta property="og:title" content="{title}">{MARKED}',
    ]
    assert [found_of(f"{FB}/Amal.Rabat", body)[0] for body in bodies] == [Presence.UNKNOWN] * 3


@pytest.mark.parametrize("name", ["Connexion Citoyenne", "Error 404 Théâtre", "جمعية تسجيل"])
def test_name_that_begins_like_a_wall_title_is_accepted(name: str) -> None:
    assert (
        found_of(f"{FB}/Amal.Rabat", f'<meta property="og:title" content="{name}">')[0] == "present"
    )


def test_absence_title_with_account_markers_proves_nothing() -> None:
    title = "<title>This page isn't available | Facebook</title>"
    assert found_of(f"{FB}/Amal.Rabat", title + NAMED + MARKED) == (
        Presence.UNKNOWN,
        Reason.UNREADABLE,
    )


def test_sign_in_form_on_a_shown_page_is_ignored() -> None:
    body = f"<title>Amal Rabat</title>{NAMED}{MARKED}<form id='login_form'>"
    assert found_of(f"{FB}/Amal.Rabat", body) == (Presence.PRESENT, None)


def test_request_to_facebook_accepts_english() -> None:
    result = run_offline(facebook.probe(ACCOUNT), lambda request: FetchError(Reason.TIMEOUT))
    assert result.exchanges[0].request.headers["Accept-Language"] == "en-US,en;q=0.9"
