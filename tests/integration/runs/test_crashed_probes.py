"""A run in which more than half of the probes crash concludes nothing and can be resumed."""

import logging
from datetime import timedelta

import pytest

from auditor.cli.audit import _raise_if_incomplete
from auditor.core.errors import IncompleteRunError
from auditor.core.i18n.translator import Translator
from auditor.presentation.notifications import digest
from auditor.runs.run import execute_run
from auditor.runs.scheduling import SchedulerJob
from probes.models.finding import Reason
from storage.models.audit import AuditRunState
from storage.models.run_report import PROBES_CRASHED
from storage.models.users import Role
from tests.support.mini_network import START, configured, link, night_of, register
from tests.support.web_server import logged_in_client

ROWS = [link(f"a{number}", "facebook", f"a{number}") for number in range(10)]


@pytest.fixture
def app(app, caplog):
    caplog.set_level(logging.CRITICAL, "probes")
    register(app, *ROWS)
    return app


def crash(app, count, others="alive"):
    """Let the probes of this many accounts crash."""
    app.web.answers = {
        row.typed_text: "bug" if number < count else others for number, row in enumerate(ROWS)
    }


@pytest.mark.smoke
@pytest.mark.fault("F85")
async def test_crashed_run_keeps_all_statuses_and_is_announced(app, caplog):
    await execute_run(app, START)
    statuses = list(app.store.statuses.list_account_statuses())
    crash(app, 6, others="gone")
    with caplog.at_level(logging.ERROR, "auditor.runs.state"):
        run = await execute_run(app, night_of(1))
    assert (run.state, run.has_crashed) == (AuditRunState.INCOMPLETE, True)
    assert run.report.interrupted_because == PROBES_CRASHED
    assert (run.report.accounts, run.report.not_reached) == (4, 6)
    assert list(app.store.statuses.list_account_statuses()) == statuses
    assert not app.store.runs.is_evaluated(run.id)
    [line] = [record.message for record in caplog.records if record.name == "auditor.runs.state"]
    assert "the probes of 6 of 10 accounts crashed (ZeroDivisionError: a bug in a probe)" in line
    with pytest.raises(IncompleteRunError, match=PROBES_CRASHED) as refusal:
        _raise_if_incomplete(run)
    assert refusal.value.exit_code == 4
    changes = digest.collect_network_changes(app.store, app.config, run)
    frame = digest.MessageFrame("Our network", "", "")
    mail = digest.digest_text(digest.build_digest(changes, since=START), frame, Translator("en"))
    assert "failed because of an error in the program" in " ".join(mail.intro)
    with logged_in_client(app, night_of(1), name="Reader", role=Role.READER) as client:
        today = client.get("/en/").text
        assert "failed because of an error in the program" in today
        assert "could be checked." not in today
        assert "More than half of the checks failed" in client.get(f"/en/runs/{run.day}").text


async def test_resumed_run_checks_the_crashed_accounts_again(app):
    crash(app, 6)
    crashed = await execute_run(app, START)
    app.web.answers, app.web.asked = {}, []
    run = await execute_run(app, START + timedelta(hours=1))
    assert (run.id, run.state) == (crashed.id, AuditRunState.DONE)
    assert sorted(app.web.asked) == sorted(row.typed_text for row in ROWS[:6])
    assert run.report.present == 10
    assert len(list(app.store.observations.list_observations(run_id=run.id))) == 10


async def test_crash_of_most_canaries_ends_the_run_before_any_account(app):
    canaries = ("https://www.iana.example/", "https://www.un.example/")
    app.config = configured(website=canaries)
    app.web.answers = dict.fromkeys(canaries, "bug")
    run = await execute_run(app, START)
    assert run.has_crashed
    assert set(app.web.asked).isdisjoint(row.typed_text for row in ROWS)
    assert not list(app.store.observations.list_observations(run_id=run.id))


async def test_run_is_done_if_half_of_the_probes_crash_and_stays_recorded(app):
    """The observation of the first night shares its result with the discarded one."""
    crash(app, 5)
    first = await execute_run(app, START)
    assert (first.state, first.has_crashed) == (AuditRunState.DONE, False)
    crash(app, 6)
    await execute_run(app, night_of(1))
    kept = list(app.store.observations.list_observations(run_id=first.id))
    reasons = [observation.finding.reason for observation in kept]
    assert (len(kept), reasons.count(Reason.CRASHED)) == (10, 5)
    app.store.check_integrity()


async def test_schedule_does_not_repeat_a_crashed_run_before_the_next_night(app):
    """It would request every account again each half hour."""
    crash(app, 6)
    days = []

    async def audit_runner(_, now, *, day, stop):
        days.append(day)
        return await execute_run(app, now, day=day, stop=stop)

    moments = [START + timedelta(minutes=1)]
    job = SchedulerJob(app, audit_runner, lambda: moments[-1])
    await job.run_if_due()
    assert job.has_failed
    await job.run_if_due()
    app.web.answers = {}
    moments.append(night_of(1))
    await job.run_if_due()
    assert days == [START.date(), night_of(1).date()]
    assert [run.state for run in app.store.runs.list_all()] == ["incomplete", "done"]
