"""A page that kills its parser worker affects no other account."""

import pytest

from auditor.checking import checker
from auditor.runs.run import execute_run
from probes.models.finding import Presence, Reason
from probes.models.http import PageRequest
from probes.models.probe import present_finding
from probes.runner.parser_pool import ParserPool
from storage.models.audit import AuditRunState
from tests.support.killer_page import read
from tests.support.mini_network import link, night_of, opened, register


def steps(account, keyed=()):
    page = yield PageRequest(account.identity.canonical, parser=read)
    return present_finding(page, name=page.parsed)


@pytest.mark.fault("F53")
async def test_page_that_kills_its_parser_is_unreadable_and_others_are_checked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(checker, "create_probe", steps)
    app = opened(tmp_path)
    rows = [link(f"a{number}", "website", f"a{number}") for number in range(6)]
    register(app, *rows)
    app.web.answers = {rows[2].typed_text: "poison"}
    app.create_parser_pool = lambda: ParserPool(1)
    for number in range(2):
        app.web.asked.clear()
        run = await execute_run(app, night_of(number))
        findings = {
            observation.account_id: observation.finding
            for observation in app.store.observations.list_observations(run_id=run.id)
        }
        failed = [
            finding for finding in findings.values() if finding.presence is not Presence.PRESENT
        ]
        assert (run.state, len(findings)) == (AuditRunState.DONE, 6)
        assert [(finding.presence, finding.reason) for finding in failed] == [
            (Presence.UNKNOWN, Reason.UNREADABLE)
        ]
        assert app.web.asked.count(rows[2].typed_text) == 1
    app.store.close()
