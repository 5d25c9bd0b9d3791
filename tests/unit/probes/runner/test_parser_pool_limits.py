"""The pool starts, fills and replaces workers up to each limit. The workers are simulated."""

import asyncio
import os
import pickle

import pytest

from probes.models.http import Page
from probes.runner.parser_pool import MAX_FAILED_STARTS, MAX_WORKERS, ParserPool
from probes.runner.parser_worker import LENGTH_PREFIX

STEPS = (-1, 0, 1)
PAGE = Page("https://annour.example/", 200)


class SimulatedForkServer:
    """Starts workers that end at once, then some that send their process id and read nothing."""

    def __init__(self, failure_count=0):
        self.failure_count = failure_count
        self.fork_count = 0
        self.worker_sockets = []

    def fork_worker(self, worker_socket):
        self.fork_count += 1
        if self.fork_count <= self.failure_count:
            return
        running = worker_socket.dup()
        self.worker_sockets.append(running)
        process_id = pickle.dumps(os.getpid())
        running.sendall(LENGTH_PREFIX.pack(len(process_id)) + process_id)

    def stop(self):
        for worker_socket in self.worker_sockets:
            worker_socket.close()


async def wait_until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


@pytest.mark.parametrize("step", STEPS)
async def test_each_processor_has_a_worker_up_to_the_limit(monkeypatch, step):
    monkeypatch.setattr(os, "cpu_count", lambda: MAX_WORKERS + step)
    fork_server = SimulatedForkServer()
    async with ParserPool(fork_server=fork_server):
        await asyncio.sleep(0)  # the workers are tasks that start now
        assert fork_server.fork_count == min(MAX_WORKERS, MAX_WORKERS + step)
        fork_server.stop()


@pytest.mark.parametrize("step", STEPS)
async def test_pool_gives_up_after_failed_starts_in_a_row(step):
    """One more failure is not reached, because no further worker is started."""
    fork_server = SimulatedForkServer(MAX_FAILED_STARTS + step)
    async with ParserPool(1, fork_server=fork_server) as pool:
        if step < 0:
            await wait_until(lambda: pool._has_started)
        else:
            with pytest.raises(RuntimeError, match="parser workers cannot be started"):
                await pool.parse(repr, PAGE)
        assert fork_server.fork_count == MAX_FAILED_STARTS
        fork_server.stop()
