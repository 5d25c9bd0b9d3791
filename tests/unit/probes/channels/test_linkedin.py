"""LinkedIn: identification of links, and 999, sign-in pages and 404 prove nothing."""

from datetime import UTC, datetime

import pytest

from probes.channels import linkedin
from probes.links.identify import identify_link
from probes.models.finding import Account, Presence, Reason
from probes.models.http import Page
from probes.models.probe import run_offline
from tests.support.findings import verdict

LI = "https://www.linkedin.com"
ACCOUNT = Account("amal", "", identify_link(f"{LI}/company/amal-rabat"))


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
    assert verdict(run_offline(linkedin.probe(ACCOUNT), lambda request: page).finding) == (
        Presence.UNKNOWN,
        reason,
    )


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
    assert verdict(
        run_offline(
            linkedin.probe(ACCOUNT), lambda _: Page(f"{LI}/{path}", 200, body=GUEST.encode())
        ).finding
    ) == (Presence.UNKNOWN, reason)


def test_organisation_on_a_sign_up_page_proves_nothing() -> None:
    body = GUEST.replace("<title>Amal Rabat", "<title>Sign Up").encode()
    page = Page(f"{LI}/company/amal-rabat", 200, body=body)
    assert verdict(run_offline(linkedin.probe(ACCOUNT), lambda _: page).finding) == (
        Presence.UNKNOWN,
        Reason.LOGIN_WALL,
    )


@pytest.mark.parametrize("host", ["www.linkedin.com", "ma.linkedin.com", "fr.linkedin.com"])
def test_guest_page_on_any_linkedin_host_proves_the_page(host: str) -> None:
    page = Page(f"https://{host}/company/amal-rabat?trk=x", 200, body=GUEST.encode())
    assert verdict(run_offline(linkedin.probe(ACCOUNT), lambda _: page).finding) == (
        Presence.PRESENT,
        None,
    )


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
