"""LinkedIn's grammar, and that 999, sign-in pages and 404 say nothing."""

import pytest

from probes import linkedin
from probes.links import identify
from probes.model import Account, Kind, Page, Presence, Reason, drive

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
    f"{LI}/authwall?trk=x&sessionRedirect=https%3A%2F%2Fwww.linkedin.com%2Fcompany%2Famal-rabat%2F": (
        "company/amal-rabat"
    ),
    f"{LI}/uas/login?session_redirect=%2Fcompany%2F123456%2Fadmin%2F": "company/123456",
    f"{LI}/company/association-d%C3%A9veloppement": "company/association-développement",
    f"{LI}/company/%D8%A3%D9%85%D9%84": "company/أمل",
}
PEOPLE = {
    "https://linkedin.com/in/Salma-Amal": "in/salma-amal",
    "https://de.linkedin.com/in/salma_amal/": "in/salma_amal",
    "https://linkedin.com/pub/salma-amal/1/2/3": "in/salma-amal-3002001",
    f"{LI}/mwlite/in/salma-amal": "in/salma-amal",
}
NOBODY = {
    f"{LI}/": Kind.HOME,
    f"{LI}/feed": Kind.HOME,
    f"{LI}/company/": Kind.INVALID,
    f"{LI}/in/": Kind.INVALID,
    f"{LI}/jobs/view/123": Kind.INVALID,
    f"{LI}/company/unavailable/": Kind.INVALID,
    "linkedin.com/company/amal rabat": Kind.INVALID,
    f"{LI}/shareArticle?mini=true&url=https%3A%2F%2Fannour.example": Kind.SHARE,
    f"{LI}/sharing/share-offsite/?url=https%3A%2F%2Fannour.example": Kind.SHARE,
    f"{LI}/search/results/all/?keywords=amal": Kind.SEARCH,
    f"{LI}/feed/update/urn:li:activity:7160000000000000001": Kind.POST,
    f"{LI}/pulse/une-annee-salma-amal": Kind.POST,
    "https://lnkd.in/abc123": Kind.SHORT,
    "https://business.linkedin.com/marketing": Kind.INVALID,
}
ACCOUNT = Account("amal", "", identify(f"{LI}/company/amal-rabat"))


@pytest.mark.parametrize("typed", PAGES)
def test_a_link_names_its_page(typed: str) -> None:
    identity = identify(typed)
    assert (identity.channel, identity.kind, identity.key) == ("linkedin", Kind.PAGE, PAGES[typed])
    assert identity.canonical == f"{LI}/{PAGES[typed]}"


@pytest.mark.parametrize("typed", PEOPLE)
def test_a_person_is_no_organisation(typed: str) -> None:
    identity = identify(typed)
    assert (identity.channel, identity.kind, identity.key) == ("linkedin", Kind.PERSON, PEOPLE[typed])


@pytest.mark.parametrize("typed", NOBODY)
def test_a_link_to_nobody_claims_nobody(typed: str) -> None:
    identity = identify(typed)
    assert (identity.channel, identity.kind, identity.key) == ("linkedin", NOBODY[typed], None)


def test_a_group_is_a_group() -> None:
    assert identify(f"{LI}/groups/1234567/").kind is Kind.GROUP
    assert identify(f"{LI}/groups?gid=1234567").key == "groups/1234567"


def test_an_authwall_address_says_that_it_was_one() -> None:
    wall = f"{LI}/authwall?sessionRedirect=https%3A%2F%2Fwww.linkedin.com%2Fcompany%2Famal-rabat"
    assert identify(wall).note == "wrapped"


@pytest.mark.parametrize(
    ("text", "key"),
    [("company/amal-rabat", "company/amal-rabat"), ("salma-amal", "in/salma-amal"), ("jo", None)],
)
def test_a_bare_name_in_the_linkedin_column(text: str, key: str | None) -> None:
    assert identify(text, "linkedin").key == key


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (Page(f"{LI}/company/amal-rabat", 999), Reason.BLOCKED),
        (Page(f"{LI}/authwall?trk=x", 200, body=b"<title>LinkedIn</title>"), Reason.LOGIN_WALL),
        (Page(f"{LI}/uas/login", 200, body=b"<title>LinkedIn</title>"), Reason.LOGIN_WALL),
        (Page(f"{LI}/checkpoint/challenge/1", 200, body=b"<title>LinkedIn</title>"), Reason.BLOCKED),
        (Page(f"{LI}/company/amal-rabat", 200, body=b"<title>Sign Up | LinkedIn</title>"), Reason.LOGIN_WALL),
        (Page(f"{LI}/company/amal-rabat", 404, body=b"<title>Page not found</title>"), Reason.UNREADABLE),
        (Page(f"{LI}/404/", 200, body=b"<title>Page not found</title>"), Reason.UNREADABLE),
        (Page(f"{LI}/company/unavailable/", 200, body=b"<title>LinkedIn</title>"), Reason.UNREADABLE),
    ],
)
def test_nothing_linkedin_answers_proves_an_absence(page: Page, reason: Reason) -> None:
    finding = drive(linkedin.probe(ACCOUNT), lambda asked: page).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason)
