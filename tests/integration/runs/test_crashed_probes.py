"""A run in which more than half of the probes crash concludes nothing and can be resumed."""

import logging
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.cli.audit import _raise_if_incomplete
from auditor.core.errors import IncompleteRunError
from auditor.core.i18n.translator import Translator
from auditor.presentation.notifications import digest
from auditor.presentation.notifications.digest import collect_network_changes
from auditor.runs.run import execute_run
from auditor.runs.scheduling import SchedulerJob
from probes.models.finding import Presence, Reason
from storage.models.audit import AccountState, AuditRunState
from storage.models.run_report import PROBES_CRASHED
from storage.models.users import Role
from tests.support.mini_network import START, configured, link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client

ROWS = [link(f"a{number}", "facebook", f"a{number}") for number in range(10)]


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@pytest.fixture
def app(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, "probes")
    small_app = opened(tmp_path)
    register(small_app, *ROWS)
    yield small_app
    small_app.store.close()


def crash(app, count):
    """Let the probes of this many accounts crash."""
    app.web.answers = {row.typed_text: "bug" for row in ROWS[:count]}


def get_states(app):
    return {
        row.typed_text: status.state
        for row in app.store.registry.list_accounts()
        if (status := app.store.statuses.get(row.id))
    }


@pytest.mark.fault("F85")
@pytest.mark.parametrize(("count", "state"), [(4, "done"), (5, "done"), (6, "incomplete")])
async def test_run_is_done_up_to_half_of_crashed_probes(app, count, state):
    crash(app, count)
    run = await execute_run(app, START)
    assert run.state == state
    assert run.has_crashed is (state == "incomplete")


@pytest.mark.fault("F85")
async def test_crashed_run_keeps_all_statuses(app):
    await execute_run(app, START)
    states = get_states(app)
    assert set(states.values()) == {AccountState.PRESENT}
    app.web.answers = {row.typed_text: "gone" for row in ROWS}
    crash(app, 6)
    run = await execute_run(app, night_of(1))
    assert (run.state, run.report.interrupted_because) == (AuditRunState.INCOMPLETE, PROBES_CRASHED)
    assert run.report.accounts == 4
    assert run.report.not_reached == 6
    assert get_states(app) == states
    assert not app.store.runs.is_evaluated(run.id)


@pytest.mark.fault("F85")
async def test_resumed_run_checks_the_crashed_accounts_again(app):
    crash(app, 6)
    crashed = await execute_run(app, START)
    app.web.answers, app.web.asked = {}, []
    run = await execute_run(app, START + timedelta(hours=1))
    assert (run.id, run.state) == (crashed.id, AuditRunState.DONE)
    assert sorted(app.web.asked) == sorted(row.typed_text for row in ROWS[:6])
    assert run.report.present == 10
    observations = list(app.store.observations.list_observations(run_id=run.id))
    assert len(observations) == 10
    assert {observation.finding.presence for observation in observations} == {Presence.PRESENT}


@pytest.mark.fault("F85")
async def test_next_night_runs_after_a_crashed_run(app):
    crash(app, 10)
    await execute_run(app, START)
    app.web.answers = {}
    run = await execute_run(app, night_of(1))
    assert run.state is AuditRunState.DONE
    assert app.store.runs.get(START.date()).state is AuditRunState.INCOMPLETE


@pytest.mark.fault("F85")
async def test_crash_of_most_canaries_ends_the_run_before_any_account(tmp_path, app):
    canaries = ("https://www.iana.example/", "https://www.un.example/")
    app.config = configured(website=canaries)
    app.web.answers = dict.fromkeys(canaries, "bug")
    run = await execute_run(app, START)
    assert run.has_crashed
    assert set(app.web.asked).isdisjoint(row.typed_text for row in ROWS)
    assert not list(app.store.observations.list_observations(run_id=run.id))


@pytest.mark.fault("F85")
async def test_crashed_run_has_exit_code_4_and_one_log_line(app, caplog):
    crash(app, 6)
    with caplog.at_level(logging.ERROR, "auditor.runs.state"):
        run = await execute_run(app, START)
    with pytest.raises(IncompleteRunError) as refusal:
        _raise_if_incomplete(run)
    assert refusal.value.exit_code == 4
    assert PROBES_CRASHED in str(refusal.value)
    [line] = [record.message for record in caplog.records if record.name == "auditor.runs.state"]
    assert "the probes of 6 of 10 accounts crashed (ZeroDivisionError: a bug in a probe)" in line


@pytest.mark.fault("F85")
async def test_repeated_crash_of_an_earlier_night_stays_recorded(app):
    """The observation of the first night shares its result with the discarded one."""
    crash(app, 5)
    first = await execute_run(app, START)
    crash(app, 6)
    await execute_run(app, night_of(1))
    kept = list(app.store.observations.list_observations(run_id=first.id))
    reasons = [observation.finding.reason for observation in kept]
    assert (len(kept), reasons.count(Reason.CRASHED)) == (10, 5)
    assert app.store.check_integrity() is None


@pytest.mark.fault("F85")
async def test_crashed_run_is_announced_and_shown_on_the_pages(app):
    await execute_run(app, START)
    crash(app, 6)
    run = await execute_run(app, night_of(1))
    translator = Translator("en")
    changes = collect_network_changes(app.store, app.config, run)
    network_digest = digest.build_digest(changes, since=START)
    frame = digest.MessageFrame("Our network", "", "")
    assert "failed because of an error in the program" in " ".join(
        digest.digest_text(network_digest, frame, translator).intro
    )
    with logged_in_client(app, night_of(1), name="Reader", role=Role.READER) as client:
        today = client.get("/en/").text
        assert "failed because of an error in the program" in today
        assert "could be checked." not in today
        assert "More than half of the checks failed" in client.get(f"/en/runs/{run.day}").text


@pytest.mark.fault("F85")
async def test_schedule_does_not_repeat_a_crashed_run(app):
    """It would request every account again each half hour."""
    crash(app, 6)
    days = []

    async def audit_runner(_, now, *, day, stop):
        days.append(day)
        return await execute_run(app, now, day=day, stop=stop)

    job = SchedulerJob(app, audit_runner, lambda: START + timedelta(minutes=1))
    await job.run_if_due()
    assert job.has_failed
    await job.run_if_due()
    assert days == [START.date()]
