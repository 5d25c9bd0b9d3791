"""X: identification of links, and empty pages and walls prove nothing."""

import pytest

from probes.channels import twitter
from probes.links.identify import identify_link
from probes.models.finding import Account, Presence, Reason
from probes.models.http import Page
from probes.models.probe import run_offline
from tests.support.findings import verdict

ACCOUNT = Account("amal", "", identify_link("https://twitter.com/Amal_Rabat"))


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
    assert verdict(run_offline(twitter.probe(ACCOUNT), lambda request: page).finding) == (
        Presence.UNKNOWN,
        reason,
    )
