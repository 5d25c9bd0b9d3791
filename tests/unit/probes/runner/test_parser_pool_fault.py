"""Parser workers that cannot work are found before a run, and `doctor` reports them."""

import errno
from collections import Counter
from unittest.mock import Mock

import pytest

from auditor.checking import checker
from auditor.cli import main
from auditor.core.errors import ConfigError
from auditor.runs import diagnostics
from auditor.runs.run import execute_run
from probes.models.finding import Presence, Reason
from probes.models.http import PageRequest
from probes.models.probe import present_finding
from probes.runner.parser_pool import ParserPool
from storage.models.audit import AuditRunState
from tests.support.killer_page import read
from tests.support.mini_network import START, link, night_of, opened, register, steps

pytestmark = pytest.mark.slow  # processes

TOO_LITTLE_MEMORY = 60 << 20
"""Less than the modules of a worker take."""


@pytest.mark.fault("F86")
@pytest.mark.parametrize(
    ("limits", "allocator"), [({}, "pymalloc"), ({"timeout": 0.001}, "pymalloc"), ({}, "mimalloc")]
)
async def test_workers_with_the_real_limits_can_parse_a_large_page(monkeypatch, limits, allocator):
    """A slow machine is no fault. Python 3.11 does not start at all with an unknown allocator."""
    monkeypatch.setenv("PYTHONMALLOC", allocator)
    async with ParserPool(1, **limits) as pool:
        assert await pool.find_fault() == ""
        await checker.refuse_broken_parsers(pool)


@pytest.mark.fault("F86")
async def test_workers_with_too_little_memory_are_found():
    async with ParserPool(1, memory_bytes=TOO_LITTLE_MEMORY) as pool:
        assert await pool.find_fault() in {
            "parsing took too much memory",
            "the parser process ended",
            "parser workers cannot be started",
        }
        with pytest.raises(ConfigError, match="parser processes cannot parse a large page"):
            await checker.refuse_broken_parsers(pool)


@pytest.fixture
def app(tmp_path, monkeypatch):
    """An app whose parser processes have too little memory."""
    monkeypatch.setattr(checker, "create_probe", steps)
    opened_app = opened(tmp_path)
    register(opened_app, link("nour", "website", "nour"))
    opened_app.create_parser_pool = lambda: ParserPool(1, memory_bytes=TOO_LITTLE_MEMORY)
    yield opened_app
    opened_app.store.close()


@pytest.mark.fault("F86")
async def test_run_refuses_broken_parsers_before_any_request(app):
    with pytest.raises(ConfigError) as refusal:
        await execute_run(app, START)
    assert (refusal.value.exit_code, app.web.asked) == (3, [])
    assert app.store.runs.get(START.date()) is None


@pytest.mark.fault("F86")
def test_check_refuses_broken_parsers_before_any_request(monkeypatch, capsys):
    def open_pool():
        return ParserPool(1, memory_bytes=TOO_LITTLE_MEMORY)

    monkeypatch.setattr("auditor.app.create_parser_pool", open_pool)
    assert main.main(["check", "http://127.0.0.1:9/"]) == 3
    output, errors = capsys.readouterr()
    assert (output, "parser processes cannot parse a large page" in errors) == ("", True)


@pytest.mark.fault("F86")
@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ConfigError("parser processes cannot parse a large page"), "fail"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "fail"),
        (None, "ok"),
    ],
)
def test_doctor_reports_broken_parsers(tmp_path, monkeypatch, error, state):
    monkeypatch.chdir(tmp_path)
    results = diagnostics.run_diagnostics(None, START, parser_check=Mock(side_effect=error))
    assert [result.state for result in results if result.check == "reading of pages"] == [state]


# --- A page that kills its parser affects no other account ---


def read_steps(account, keyed=()):
    page = yield PageRequest(account.identity.canonical, parser=read)
    return present_finding(page, name=page.parsed)


@pytest.mark.fault("F53")
async def test_page_that_kills_its_parser_is_unreadable_and_others_are_checked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(checker, "create_probe", read_steps)
    app = opened(tmp_path)
    rows = [link(f"a{number}", "website", f"a{number}") for number in range(6)]
    register(app, *rows)
    app.web.answers = {rows[2].typed_text: "poison"}
    app.create_parser_pool = lambda: ParserPool(1)
    for number in range(2):
        app.web.asked.clear()
        run = await execute_run(app, night_of(number))
        findings = [
            observation.finding
            for observation in app.store.observations.list_observations(run_id=run.id)
        ]
        assert run.state is AuditRunState.DONE
        assert Counter((finding.presence, finding.reason) for finding in findings) == {
            (Presence.PRESENT, None): 5,
            (Presence.UNKNOWN, Reason.UNREADABLE): 1,
        }
        assert app.web.asked.count(rows[2].typed_text) == 1
    app.store.close()
