"""Parser workers that cannot work are found before a run, and `doctor` reports them."""

import asyncio

import pytest

from auditor import diagnostics
from auditor.checking import checker
from auditor.core.errors import ConfigError
from auditor.runs.run import execute_run
from probes.runner import parser_pool
from probes.runner.parser_pool import ParserPool
from probes.text.charset import MAX_PARSED_BYTES
from tests.support.mini_network import START, link, opened, register, steps

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


@pytest.mark.fault("F86")
async def test_run_refuses_broken_parsers_before_any_request(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    app = opened(tmp_path)
    register(app, link("nour", "website", "nour"))
    app.create_parser_pool = lambda: ParserPool(1, memory_bytes=TOO_LITTLE_MEMORY)
    with pytest.raises(ConfigError) as refusal:
        await execute_run(app, START)
    assert refusal.value.exit_code == 3
    assert app.web.asked == []
    assert app.store.runs.get(START.date()) is None
    app.store.close()


@pytest.mark.fault("F86")
def test_doctor_reports_broken_parsers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def refuse():
        async with ParserPool(1, memory_bytes=TOO_LITTLE_MEMORY) as pool:
            await checker.refuse_broken_parsers(pool)

    for parser_check, state in ((lambda: asyncio.run(refuse()), "fail"), (lambda: None, "ok")):
        results = diagnostics.run_diagnostics(None, START, parser_check=parser_check)
        [result] = [result for result in results if result.check == "reading of pages"]
        assert result.state == state


def test_sample_page_has_the_size_of_a_large_page():
    body = parser_pool.build_sample_body()
    assert 0.9 * MAX_PARSED_BYTES < len(body) < MAX_PARSED_BYTES
