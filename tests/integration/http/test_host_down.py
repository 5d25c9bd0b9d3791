"""Runs with a host that is down."""

import logging
import socket
from dataclasses import replace

import pytest

from auditor.runs.run import execute_run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.models.finding import Finding, Identity, LinkKind, Presence, Reason
from probes.runner.parser_pool import ParserPool
from storage.models.audit import AccountRow, AccountState, AccountStatus
from tests.support.mini_network import configured, night_of, opened, register

ACCOUNTS = 500
FETCH = FetchOptions(
    allow_networks=("127.0.0.0/8",), host_delay=0, second_pass_delay=0, max_retries=0
)


def page(number, port):
    url = f"http://127.0.0.1:{port}/association-{number}"
    return AccountRow(
        f"a{number}", url, Identity("website", LinkKind.PAGE, url, url, url), "website"
    )


@pytest.fixture
def app(tmp_path, monkeypatch):
    small = opened(tmp_path, configured().model_copy(update={"fetch": FETCH}))
    monkeypatch.setattr(
        small, "create_fetcher", lambda now, _turns=None: Fetcher(FETCH, now), raising=False
    )
    monkeypatch.setattr(small, "create_parser_pool", lambda: ParserPool(1), raising=False)
    yield small
    small.store.close()


@pytest.mark.slow
@pytest.mark.fault("F30")
async def test_down_host_with_500_accounts_gets_few_requests(app, caplog):
    """They were well until it refused every connection, for three nights over a week."""
    with caplog.at_level(logging.CRITICAL), socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))  # bound and not listening
        register(app, *(page(number, shut.getsockname()[1]) for number in range(ACCOUNTS)))
        well = AccountStatus(
            0,
            AccountState.PRESENT,
            last_known_finding=Finding(Presence.PRESENT),
            latest_presence=Presence.PRESENT,
        )
        app.store.save_conclusions(
            replace(well, account_id=row.id) for row in app.store.list_accounts()
        )
        nights = [await execute_run(app, night_of(day)) for day in (0, 4, 8)]
    for night in nights:
        looks = [look.finding for look in app.store.list_observations(run_id=night.id)]
        assert {(one.presence, one.reason) for one in looks} == {(Presence.UNKNOWN, Reason.NETWORK)}
        assert (len(looks), night.receipt["requests"] <= 10) == (ACCOUNTS, True)
    assert [night.unreliable_channels for night in nights] == [("website",), (), ()]
    held = list(app.store.standings())
    assert {(one.state, one.doubt) for one in held} == {(AccountState.PRESENT, None)}
    assert {one.trouble.nights for one in held} == {
        2
    }  # it is the host's trouble, told as such in time
