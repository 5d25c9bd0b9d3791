"""Memory and time of hostile responses, measured in a separate process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.hostile_server.server import Hostile

APPETITE = Path(__file__).parents[2] / "support" / "hostile_server" / "appetite.py"
BODIES = ("endless", "endlesschunks", "fatredirect")
COMPRESSED = ("bomb", "deflatebomb", "gzipgzip", "codings", "brotli", "zstd")
FLOODS = ("headerflood", "hugeheader", "chunkextension", "trailerflood")
pytestmark = pytest.mark.slow

MAX_MIB = {**dict.fromkeys(BODIES, 8), **dict.fromkeys(COMPRESSED, 16), **dict.fromkeys(FLOODS, 4)}
"""Memory limit of each response, in MiB."""


async def measure_costs() -> list[dict[str, Any]]:
    async with Hostile() as server:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(APPETITE),
            str(server.port),
            *MAX_MIB,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await child.communicate()
    outcomes: list[dict[str, Any]] = json.loads(out)
    return outcomes


@pytest.fixture(scope="module")
def costs() -> dict[str, dict[str, Any]]:
    return {cost["name"]: cost for cost in asyncio.run(measure_costs())}


@pytest.mark.fault("F09", "F10", "F11")
@pytest.mark.parametrize("name", MAX_MIB)
def test_hostile_response_is_cheap(costs: dict[str, dict[str, Any]], name: str) -> None:
    """A quarter of a gigabyte is decompressed in well under a second.

    The limit is for a busy machine.
    """
    cost = costs[name]
    assert cost["mib"] < MAX_MIB[name], cost
    assert cost["seconds"] < 5, cost


@pytest.mark.fault("F09", "F10", "F11")
def test_each_hostile_response_has_its_outcome(costs: dict[str, dict[str, Any]]) -> None:
    outcomes = {name: cost["outcome"].split("/")[0] for name, cost in costs.items()}
    truncated, unreadable = (
        ("endless", "endlesschunks", "fatredirect", "bomb", "deflatebomb"),
        COMPRESSED[2:],
    )
    assert outcomes == {
        **dict.fromkeys(truncated, "200"),
        **dict.fromkeys(unreadable, "unreadable"),
        **dict.fromkeys(FLOODS, "network"),
    }
