"""LinkedIn: identification of links, and 999, sign-in pages and 404 prove nothing."""

from datetime import UTC, datetime

import pytest

from probes.channels import linkedin
from probes.links.identify import identify_link
from probes.models.finding import Account, LinkKind, Presence, Reason
from probes.models.http import Page
from probes.models.probe import run_offline

LI = "https://www.linkedin.com"
PAGES = {
    "https://linkedin.com/company/amal-rabat/": "company/amal-rabat",
    "https://ma.linkedin.com/company/amal-rabat": "company/amal-rabat",
    f"{LI}/company/Amal-Rabat/about/?viewAsMember=true": "company/amal-rabat",
    f"{LI}/company/1035000/": "company/1035000",
    f"{LI}/company/123456/admin/dashboard/": "company/123456",
    f"{LI}/school/universite-amal": "school/universite-amal",
    f"{LI}/showcase/amal-jeunes/": "showcase/amal-jeunes",
    f"{LI}/mwlite/company/amal-rabat": "company/amal-rabat",
    f"{LI}/organization-guest/company/amal-rabat?trk=x": "company/amal-rabat",
    f"{LI}/company-beta/123456/": "company/123456",
    f"{LI}/fr/company/amal-rabat": "company/amal-rabat",
    (
        f"{LI}/authwall?trk=x&sessionRedirect="
        "https%3A%2F%2Fwww.linkedin.com%2Fcompany%2Famal-rabat%2F"
    ): "company/amal-rabat",
    f"{LI}/uas/login?session_redirect=%2Fcompany%2F123456%2Fadmin%2F": "company/123456",
    f"{LI}/company/association-d%C3%A9veloppement": "company/association-développement",
    f"{LI}/company/%D8%A3%D9%85%D9%84": "company/أمل",
}
PEOPLE = {
    "https://linkedin.com/in/Salma-Amal": "in/salma-amal",
    "https://de.linkedin.com/in/salma_amal/": "in/salma_amal",
    f"{LI}/mwlite/in/salma-amal": "in/salma-amal",
}
NOBODY = {
    f"{LI}/": LinkKind.HOME,
    f"{LI}/feed": LinkKind.HOME,
    f"{LI}/company/": LinkKind.INVALID,
    f"{LI}/in/": LinkKind.INVALID,
    f"{LI}/jobs/view/123": LinkKind.INVALID,
    f"{LI}/company/unavailable/": LinkKind.INVALID,
    "linkedin.com/company/amal rabat": LinkKind.INVALID,
    f"{LI}/shareArticle?mini=true&url=https%3A%2F%2Fannour.example": LinkKind.SHARE,
    f"{LI}/sharing/share-offsite/?url=https%3A%2F%2Fannour.example": LinkKind.SHARE,
    f"{LI}/search/results/all/?keywords=amal": LinkKind.SEARCH,
    f"{LI}/feed/update/urn:li:activity:7160000000000000001": LinkKind.POST,
    f"{LI}/pulse/une-annee-salma-amal": LinkKind.POST,
    "https://lnkd.in/abc123": LinkKind.SHORT_LINK,
    "https://business.linkedin.com/marketing": LinkKind.INVALID,
}
OTHER_FORMS = {
    **dict.fromkeys(
        (
            *(
                "company/amal-rabat/?locale=fr_FR",
                "company/amal-rabat/fr",
                "fr_FR/company/amal-rabat",
            ),
            *("fr-fr/company/amal-rabat", "comm/company/amal-rabat", "m/company/amal-rabat"),
            *("company/company/amal-rabat", "company/@amal-rabat"),
            *("in/company/amal-rabat", "wukong-web/company/amal-rabat"),
        ),
        "company/amal-rabat",
    ),
    **dict.fromkeys(
        (
            "company/urn:li:fsd_company:123456/",
            "company/urn:li:fs_normalized_company:123456",
            "company/urn%3Ali%3Afs_miniCompany%3A123456",
            "company/urn:li:organization:123456",
        ),
        "company/123456",
    ),
    "sales/company/123456": "company/123456",
    "biz/123456/feed": "company/123456",
    "company/showcase/people/": "company/showcase",
    "company/amal™": "company/amal™",
    "in/%E2%9C%93-salma": "in/✓-salma",
    "public-profile/in/salma-amal": "in/salma-amal",
    "in/in/salma-amal": "in/salma-amal",
    "in/ACoAABcDeFgHiJkLmNoPq": "in/ACoAABcDeFgHiJkLmNoPq",
    "e/gis/123456": "groups/123456",
    "groupItem?view=&gid=123456&item=1": "groups/123456",
}
OWN_PAGES = {
    **dict.fromkeys(
        (
            *(
                "about",
                "legal/user-agreement",
                "jobs/amal-emplois",
                "company/setup/new/",
                "in/edit",
            ),
            *("company/home", "learning", "pulse", "help/linkedin", "premium", "sales/lead/12"),
        ),
        LinkKind.INVALID,
    ),
    "feed/hashtag/amal": LinkKind.SEARCH,
    "learning/amal": LinkKind.POST,
}
ACCOUNT = Account("amal", "", identify_link(f"{LI}/company/amal-rabat"))


@pytest.mark.parametrize("typed", PAGES)
def test_link_identifies_its_page(typed: str) -> None:
    identity = identify_link(typed)
    assert (identity.channel, identity.kind, identity.key) == (
        "linkedin",
        LinkKind.PAGE,
        PAGES[typed],
    )
    assert identity.canonical == f"{LI}/{PAGES[typed]}"


@pytest.mark.parametrize("typed", PEOPLE)
def test_person_is_no_organisation(typed: str) -> None:
    identity = identify_link(typed)
    assert (identity.channel, identity.kind, identity.key) == (
        "linkedin",
        LinkKind.PERSON,
        PEOPLE[typed],
    )


@pytest.mark.parametrize("typed", NOBODY)
def test_link_without_page_has_no_key(typed: str) -> None:
    identity = identify_link(typed)
    assert (identity.channel, identity.kind, identity.key) == ("linkedin", NOBODY[typed], None)


@pytest.mark.parametrize("path", OTHER_FORMS)
def test_unusual_link_identifies_its_page(path: str) -> None:
    identity = identify_link(f"{LI}/{path}")
    assert (identity.channel, identity.key) == ("linkedin", OTHER_FORMS[path])
    assert identity.canonical == f"{LI}/{OTHER_FORMS[path]}"


@pytest.mark.parametrize("path", OWN_PAGES)
def test_page_of_linkedin_itself_is_no_account(path: str) -> None:
    identity = identify_link(f"{LI}/{path}")
    assert (identity.channel, identity.kind, identity.key) == ("linkedin", OWN_PAGES[path], None)


@pytest.mark.parametrize("path", ["company/TODO", "company/your-company", "in/username"])
def test_placeholder_of_a_theme_gets_a_note(path: str) -> None:
    assert identify_link(f"{LI}/{path}").note == "placeholder"


def test_group_is_identified() -> None:
    assert identify_link(f"{LI}/groups/1234567/").kind is LinkKind.GROUP
    assert identify_link(f"{LI}/groups?gid=1234567").key == "groups/1234567"


def test_authwall_address_is_unwrapped_with_a_note() -> None:
    wall = f"{LI}/authwall?sessionRedirect=https%3A%2F%2Fwww.linkedin.com%2Fcompany%2Famal-rabat"
    assert identify_link(wall).note == "wrapped"


@pytest.mark.parametrize(
    ("text", "key"),
    [("company/amal-rabat", "company/amal-rabat"), ("salma-amal", "in/salma-amal"), ("jo", None)],
)
def test_bare_name_in_the_linkedin_column_is_identified(text: str, key: str | None) -> None:
    assert identify_link(text, "linkedin").key == key


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page(f"{LI}/company/amal-rabat", 999), Reason.BLOCKED),
        (Page(f"{LI}/authwall?trk=x", 200, body=b"<title>LinkedIn</title>"), Reason.LOGIN_WALL),
        (Page(f"{LI}/uas/login", 200, body=b"<title>LinkedIn</title>"), Reason.LOGIN_WALL),
        (
            Page(f"{LI}/checkpoint/challenge/1", 200, body=b"<title>LinkedIn</title>"),
            Reason.BLOCKED,
        ),
        (
            Page(f"{LI}/company/amal-rabat", 200, body=b"<title>Sign Up | LinkedIn</title>"),
            Reason.LOGIN_WALL,
        ),
        (
            Page(f"{LI}/company/amal-rabat", 404, body=b"<title>Page not found</title>"),
            Reason.UNREADABLE,
        ),
        (Page(f"{LI}/404/", 200, body=b"<title>Page not found</title>"), Reason.UNREADABLE),
        (
            Page(f"{LI}/company/unavailable/", 200, body=b"<title>LinkedIn</title>"),
            Reason.UNREADABLE,
        ),
    ],
)
def test_no_response_of_linkedin_proves_an_absence(page: Page, reason: Reason) -> None:
    finding = run_offline(linkedin.probe(ACCOUNT), lambda request: page).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason)


GUEST = (
    "<title>Amal Rabat | LinkedIn</title>"
    '<script type="application/ld+json">{"@type": "Organization", "name": "Amal Rabat", '
    '"url": "https://www.linkedin.com/company/amal-rabat"}</script>'
)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (
            "authwall?sessionRedirect=https%3A%2F%2Fwww.linkedin.com%2Fcompany%2Famal-rabat",
            Reason.LOGIN_WALL,
        ),
        ("uas/login?session_redirect=%2Fcompany%2Famal-rabat", Reason.LOGIN_WALL),
        ("login?session_redirect=%2Fcompany%2Famal-rabat", Reason.LOGIN_WALL),
        ("signup/cold-join?session_redirect=%2Fcompany%2Famal-rabat", Reason.LOGIN_WALL),
        ("checkpoint/lg/login-submit", Reason.BLOCKED),
        ("company/unavailable/", Reason.UNREADABLE),
        ("404/", Reason.UNREADABLE),
        ("", Reason.UNREADABLE),
    ],
)
def test_organisation_after_redirect_proves_nothing(path: str, reason: Reason) -> None:
    finding = run_offline(
        linkedin.probe(ACCOUNT), lambda _: Page(f"{LI}/{path}", 200, body=GUEST.encode())
    ).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason)


def test_organisation_on_a_sign_up_page_proves_nothing() -> None:
    body = GUEST.replace("<title>Amal Rabat", "<title>Sign Up").encode()
    page = Page(f"{LI}/company/amal-rabat", 200, body=body)
    finding = run_offline(linkedin.probe(ACCOUNT), lambda _: page).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.LOGIN_WALL)


@pytest.mark.parametrize("host", ["www.linkedin.com", "ma.linkedin.com", "fr.linkedin.com"])
def test_guest_page_on_any_linkedin_host_proves_the_page(host: str) -> None:
    page = Page(f"https://{host}/company/amal-rabat?trk=x", 200, body=GUEST.encode())
    finding = run_offline(linkedin.probe(ACCOUNT), lambda _: page).finding
    assert (finding.presence, finding.reason) == (Presence.PRESENT, None)


@pytest.mark.parametrize(
    ("shown_age", "day"),
    [("3w", "2026-10-30"), ("2 mois", "2026-09-20"), ("3 أسابيع", "2026-10-30")],
)
def test_age_of_newest_post_is_parsed_in_three_languages(shown_age: str, day: str) -> None:
    post = f'<article data-activity-urn="urn:li:activity:share"><time>{shown_age}</time></article>'
    came = datetime(2026, 11, 20, 3, tzinfo=UTC)
    head = {"content-type": "text/html; charset=utf-8"}
    page = Page(f"{LI}/company/amal-rabat", 200, head, (GUEST + post).encode(), came)
    finding = run_offline(linkedin.probe(ACCOUNT), lambda _: page).finding
    assert finding.last_activity is not None
    assert finding.last_activity.format_iso() == day
