"""Parser workers that cannot work are found before a run, and `doctor` reports them."""

import asyncio
import errno

import pytest

from auditor.checking import checker
from auditor.cli import main
from auditor.cluster.worker import ClusterWorker
from auditor.core.errors import ConfigError
from auditor.runs import diagnostics
from auditor.runs.check_now import RecheckRefusedError, RecheckService
from auditor.runs.run import execute_run
from probes.runner import parser_pool
from probes.runner.parser_pool import ParserPool
from probes.text.charset import MAX_PARSED_BYTES
from tests.support.mini_network import START, link, opened, register, steps
from tests.support.web_server import logged_in_client

TOO_LITTLE_MEMORY = 60 << 20
"""Less than the modules of a worker take."""


@pytest.mark.fault("F86")
async def test_workers_with_the_real_limits_can_parse_a_large_page():
    async with ParserPool(1) as pool:
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


async def test_page_that_is_read_in_part_is_a_fault(monkeypatch):
    """lxml returned an empty page without an error where an allocator had taken the memory."""
    monkeypatch.setattr(parser_pool, "SAMPLE_LINKS", parser_pool.SAMPLE_LINKS + 1)
    async with ParserPool(1) as pool:
        assert await pool.find_fault() == "2500 of 2501 links of a sample were found"


async def test_slow_machine_is_no_fault():
    async with ParserPool(1, timeout=0.001) as pool:
        assert await pool.find_fault() == ""


@pytest.mark.fault("F86")
async def test_workers_get_no_allocator_that_reserves_memory(monkeypatch):
    """Python 3.11 does not start at all with an unknown allocator."""
    monkeypatch.setenv("PYTHONMALLOC", "mimalloc")
    async with ParserPool(1) as pool:
        assert await pool.find_fault() == ""


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
    assert refusal.value.exit_code == 3
    assert app.web.asked == []
    assert app.store.runs.get(START.date()) is None


@pytest.mark.fault("F86")
def test_recheck_refuses_broken_parsers_before_any_request(app, caplog):
    with pytest.raises(RecheckRefusedError) as refusal:
        RecheckService().recheck_association(app, "nour", START)
    assert str(refusal.value) == "parsers_broken"
    assert app.web.asked == []
    [record] = caplog.records
    assert record.event == "recheck_refused"
    assert "cannot parse a large page" in record.getMessage()
    with logged_in_client(app, START) as client:
        response = client.post("/en/associations/nour/checks", follow_redirects=True)
    assert "The server cannot read pages now." in response.text


@pytest.mark.fault("F86")
async def test_worker_refuses_broken_parsers_before_any_job(app):
    worker = ClusterWorker(app, asyncio.Event(), lambda: START)
    with pytest.raises(ConfigError, match="parser processes cannot parse a large page"):
        await worker.run()
    assert app.web.asked == []


@pytest.mark.fault("F86")
def test_check_refuses_broken_parsers_before_any_request(monkeypatch, capsys):
    def open_pool():
        return ParserPool(1, memory_bytes=TOO_LITTLE_MEMORY)

    monkeypatch.setattr("auditor.app.create_parser_pool", open_pool)
    assert main.main(["check", "http://127.0.0.1:9/"]) == 3
    output, errors = capsys.readouterr()
    assert output == ""
    assert "parser processes cannot parse a large page" in errors


@pytest.mark.fault("F86")
def test_doctor_reports_broken_parsers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def refuse():
        async with ParserPool(1, memory_bytes=TOO_LITTLE_MEMORY) as pool:
            await checker.refuse_broken_parsers(pool)

    def fail_to_start():
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    checks = (
        (lambda: asyncio.run(refuse()), "fail"),
        (fail_to_start, "fail"),
        (lambda: None, "ok"),
    )
    for parser_check, state in checks:
        results = diagnostics.run_diagnostics(None, START, parser_check=parser_check)
        [result] = [result for result in results if result.check == "reading of pages"]
        assert result.state == state


def test_sample_page_has_the_size_of_a_large_page():
    body = parser_pool.build_sample_body()
    assert 0.9 * MAX_PARSED_BYTES < len(body) < MAX_PARSED_BYTES
