"""What run reports state, also those of interrupted and killed runs."""

import asyncio
import shutil
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions import reevaluate
from auditor.runs.run import execute_run
from storage.models.audit import AuditRunState
from storage.models.run_report import RunReport
from tests.support.mini_network import interrupt_run, link, night_of, opened, register, steps

pytestmark = pytest.mark.usefixtures("simple_probe")
NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "website", "amal")


@pytest.fixture(scope="module")
def folder_with_runs(tmp_path_factory):
    """Return a folder with three runs and an interrupted fourth."""
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checker, "create_probe", steps)
        asyncio.run(_play(folder))
    return folder


async def _play(folder):
    app = opened(folder)
    register(app, NOUR, AMAL)
    for night in range(3):
        await execute_run(app, night_of(night))
    app.web.answers = {AMAL.typed_text: "hang"}
    await interrupt_run(app, night_of(3), 1)
    app.store.close()


@pytest.fixture
def app(folder_with_runs, tmp_path):
    shutil.copytree(folder_with_runs, tmp_path, dirs_exist_ok=True)
    small = opened(tmp_path)
    yield small
    small.store.close()


def test_interrupted_run_has_a_report_with_the_reason(app):
    report = app.store.runs.get(night_of(3).date()).report.to_json()
    assert (report["state"], report["interrupted_because"]) == ("incomplete", "CancelledError")
    assert (report["accounts"], report["accounts_due"], report["not_reached"]) == (1, 2, 1)
    assert "opened_gaps" not in report


async def test_resumed_run_has_a_report_without_interruption(app):
    done = await execute_run(app, night_of(3) + timedelta(hours=1))
    assert done.report.to_json().keys().isdisjoint({"interrupted_because", "accounts_due"})
    assert (done.report.state, done.not_reached_count) == ("done", 0)


@pytest.mark.parametrize("is_new_run", [True, False])
async def test_killed_run_gets_a_report_from_the_next_run(app, is_new_run):
    """A killed run writes no end; the next run does, and evaluates nothing of it."""
    if is_new_run:
        await execute_run(app, night_of(4))
    day = night_of(5 if is_new_run else 3).date()
    interrupted = app.store.runs.begin_or_resume(day, night_of(5 if is_new_run else 3))
    await execute_run(app, night_of(6), day=night_of(6).date())
    killed = app.store.runs.get(day)
    assert (killed.state, killed.report.interrupted_because) == (AuditRunState.INCOMPLETE, "killed")
    assert killed.report.accounts == (0 if is_new_run else 1)
    assert killed.finished_at >= interrupted.started_at


def test_rebuild_changes_no_report(app):
    before = [run.report.to_json() for run in app.store.runs.list_all()]
    reevaluate.reevaluate(app)
    assert [run.report.to_json() for run in app.store.runs.list_all()] == before


def test_stored_report_keeps_its_hash(app):
    """The hash of the mail is that of the downloaded report."""
    report = app.store.runs.get(night_of(1).date()).report
    again = RunReport.model_validate(report.to_json())
    assert (again.to_json(), again.compute_hash()) == (report.to_json(), report.compute_hash())
    assert report.with_values(present=99).compute_hash() != report.compute_hash()
