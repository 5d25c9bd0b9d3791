"""Facebook: identification of links, and no response is taken for an absence."""

from datetime import UTC, datetime

import pytest

from probes.channels import facebook
from probes.links.identify import identify_link
from probes.models.finding import Account, Presence, Reason
from probes.models.http import FetchError, Page
from probes.models.probe import run_offline

FB = "https://www.facebook.com"
ACCOUNT = Account("amal", "", identify_link(f"{FB}/Amal.Rabat"))


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


def test_absence_title_with_account_markers_proves_nothing() -> None:
    title = "<title>This page isn't available | Facebook</title>"
    assert found_of(f"{FB}/Amal.Rabat", title + NAMED + MARKED) == (
        Presence.UNKNOWN,
        Reason.UNREADABLE,
    )


def test_sign_in_form_on_a_shown_page_is_ignored() -> None:
    body = f"<title>Amal Rabat</title>{NAMED}{MARKED}<form id='login_form'>"
    assert found_of(f"{FB}/Amal.Rabat", body) == (Presence.PRESENT, None)
