"""Walls are recognised by status, header, address, title and words, and content is not taken for one."""

import pytest

from probes.model import Hop, Page, Reason
from probes.walls import refusal

URL = "https://annour.example/"


def page(status: int = 200, body: str = "", url: str = URL, **headers: str) -> Page:
    return Page(
        url, status, {name.replace("_", "-"): value for name, value in headers.items()}, body.encode()
    )


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, Reason.LOGIN_WALL),
        (403, Reason.BLOCKED),
        (429, Reason.RATE_LIMITED),
        (451, Reason.BLOCKED),
        (999, Reason.BLOCKED),
        (500, Reason.SERVER_ERROR),
        (503, Reason.SERVER_ERROR),
    ],
)
def test_a_status_refuses(status: int, reason: Reason) -> None:
    assert refusal(page(status)) is reason


@pytest.mark.parametrize("status", [404, 410])
def test_not_found_is_no_refusal(status: int) -> None:
    assert refusal(page(status, "<title>Not found</title>")) is None


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (page(200, "x", "https://www.facebook.com/login/?next=x"), Reason.LOGIN_WALL),
        (page(200, "x", "https://www.facebook.com/checkpoint/1/"), Reason.BLOCKED),
        (page(200, "x", "https://consent.youtube.com/m?continue=x"), Reason.CONSENT),
        (page(200, "x", "https://www.google.com/sorry/index?continue=x"), Reason.RATE_LIMITED),
        (page(200, "x", "https://x.com/i/flow/login?redirect=x"), Reason.LOGIN_WALL),
        (page(200, "x", "https://accounts.google.com/v3/signin"), Reason.LOGIN_WALL),
        (page(403, "x", cf_mitigated="challenge"), Reason.BLOCKED),
        (page(503, "x", retry_after="120"), Reason.RATE_LIMITED),
        (page(200, "<title>Just a moment...</title>"), Reason.BLOCKED),
        (page(503, "<title>Attention Required! | Cloudflare</title>"), Reason.BLOCKED),
        (page(200, "<title>Se connecter à Facebook</title>"), Reason.LOGIN_WALL),
        (page(200, "<title>تسجيل الدخول إلى فيسبوك</title>"), Reason.LOGIN_WALL),
        (page(200, "<title>S’identifier | LinkedIn</title>"), Reason.LOGIN_WALL),
        (page(200, "<title>You’re Temporarily Blocked</title>"), Reason.BLOCKED),
        (page(400, "<title>Error</title>Sorry, something went wrong."), Reason.BLOCKED),
        (page(403, "<title>Client challenge</title>/__rd_verify_x?challenge=1"), Reason.BLOCKED),
        (
            page(200, "<script src='/aes.js'></script><script>document.cookie='__test='+x</script>"),
            Reason.BLOCKED,
        ),
        (page(200, "<script>boot()</script>"), Reason.SCRIPT_ONLY),
        (page(200, "You need to enable JavaScript to run this app."), Reason.SCRIPT_ONLY),
        (page(200, ""), Reason.UNREADABLE),
    ],
)
def test_a_wall_is_recognised(found: Page, reason: Reason) -> None:
    assert refusal(found) is reason


def test_a_page_with_content_is_no_wall() -> None:
    text = "<title>Annour</title>" + "<p>Une association du quartier.</p>" * 40
    assert refusal(page(200, text)) is None
    assert refusal(page(200, text + "<p>Please enable JavaScript to see the map.</p>")) is None


def test_a_page_that_was_asked_for_by_a_walls_name_is_itself() -> None:
    asked = Page("https://annour.example/challenge", 200, body=b"<p>Notre challenge</p>" * 90)
    assert refusal(Page(asked.url, 200, body=asked.body, hops=(Hop(asked.url, 200),))) is None
