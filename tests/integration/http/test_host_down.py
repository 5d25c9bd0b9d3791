"""Runs with a host that is down."""

import logging
import socket
from dataclasses import replace

import pytest

from auditor.runs.run import execute_run
from probes.http.fetcher import Fetcher, FetchOptions
from probes.models.finding import Finding, Identity, LinkKind, Presence, Reason
from probes.runner.parser_pool import ParserPool
from storage.conclusions import Conclusions
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
    monkeypatch.setattr(small, "create_fetcher", lambda now, *_: Fetcher(FETCH, now))
    monkeypatch.setattr(small, "create_parser_pool", lambda: ParserPool(1))
    yield small
    small.store.close()


@pytest.mark.slow
@pytest.mark.fault("F30")
async def test_down_host_with_500_accounts_gets_few_requests(app, caplog):
    """The accounts were present until the host refused connections for three runs."""
    with caplog.at_level(logging.CRITICAL), socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))  # bound and not listening
        register(app, *(page(number, shut.getsockname()[1]) for number in range(ACCOUNTS)))
        well = AccountStatus(
            0,
            AccountState.PRESENT,
            last_known_finding=Finding(Presence.PRESENT),
            latest_presence=Presence.PRESENT,
        )
        app.store.conclusions.save(
            Conclusions(
                replace(well, account_id=row.id) for row in app.store.registry.list_accounts()
            )
        )
        runs = [await execute_run(app, night_of(day)) for day in (0, 4, 8)]
    for run in runs:
        findings = [
            observation.finding
            for observation in app.store.observations.list_observations(run_id=run.id)
        ]
        assert {(finding.presence, finding.reason) for finding in findings} == {
            (Presence.UNKNOWN, Reason.NETWORK)
        }
        assert (len(findings), run.report.requests <= 10) == (ACCOUNTS, True)
    assert [run.unreliable_channels for run in runs] == [("website",), (), ()]
    statuses = list(app.store.statuses.list_account_statuses())
    assert {(status.state, status.unconfirmed_streak) for status in statuses} == {
        (AccountState.PRESENT, None)
    }
    assert {status.failure_streak.run_count for status in statuses} == {2}
