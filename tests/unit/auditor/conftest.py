"""A mail server for the tests that send messages."""

import pytest

from tests.support.smtp_and_http_servers import mail_server


@pytest.fixture
def mailbox():
    """Run a mail server and return what it has received."""
    with mail_server() as running:
        yield running
