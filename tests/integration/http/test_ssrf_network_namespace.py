"""SSRF protection in a network namespace where every address responds."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from probes.http.ssrf_guard import ALLOWED_PORTS, is_public_address
from tests.support.hostile_server.tricks import Case, made, recorded, zone

BED = Path(__file__).parents[2] / "support" / "hostile_server" / "bed.py"
ALONE = (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"])
"""How to be alone on a network: as root, or as anybody where the kernel allows it."""

pytestmark = pytest.mark.xdist_group("bed")


@cache
def alone() -> list[str] | None:
    """Return the command that opens a network namespace on this machine, or None."""
    route = (
        "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 "
        "dev lo"
    )
    for way in ALONE:
        try:
            subprocess.run([*way, "sh", "-c", route], check=True, capture_output=True, timeout=20)
        except (OSError, subprocess.SubprocessError):
            continue
        return way
    return None


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that plays cases in their own network and returns their outcomes by id."""
    way = alone()
    if way is None:
        pytest.skip("a network namespace cannot be made here (unshare --net, and iproute2)")

    @cache
    def told(who: str, cases: str) -> str:
        file = tmp_path_factory.mktemp("bed") / "cases.json"
        file.write_text(cases, "utf-8")
        words = [*way, sys.executable, str(BED), who, str(file)]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def played(who: str, cases: list[Case]) -> list[Case]:
        came = json.loads(told(who, json.dumps(cases)))
        return [case | one for case, one in zip(cases, came, strict=True)]

    return played


@pytest.fixture(scope="module")
def cases(request: pytest.FixtureRequest) -> list[Case]:
    """Return our own cases, and the recorded ones if they exist."""
    try:
        return made() + recorded(request.getfixturevalue("shared"))
    except pytest.skip.Exception:
        return made()


def inward(played: list[Case]) -> list[tuple[str, str, int]]:
    """Return the forbidden addresses that were reached, however briefly."""
    return [
        (case["id"], address, port)
        for case in played
        for address, port in case["reached"]
        if not is_public_address(ip_address(address)) or port not in ALLOWED_PORTS
    ]


def answered(case: Case) -> bool:
    return bool(case["outcome"].isdigit())


def of(played: list[Case], expected: str) -> list[Case]:
    found = [case for case in played if case["expected"] == expected]
    assert found
    return found


def judge(played: list[Case]) -> None:
    """Check the outcomes. A `soft` case may also end at the public address that is part of it."""
    assert inward(played) == []
    assert [case for case in played if case["outcome"].startswith("untyped")] == []
    good, bad = of(played, "allow"), of(played, "deny")
    assert [case["id"] for case in good if not (answered(case) and case["reached"])] == []
    assert [case["id"] for case in bad if answered(case) and "soft" not in case] == []


@pytest.mark.fault("F01", "F02", "F03")
def test_no_recorded_trick_connects_to_forbidden_address(play: Any, shared: Path) -> None:
    judge(play("ours", recorded(shared)))


@pytest.mark.slow
@pytest.mark.fault("F01", "F02", "F03")
def test_no_spelling_connects_to_forbidden_address(play: Any, cases: list[Case]) -> None:
    """Each block of the table as a literal, as a name, as a half-resolved name and as a redirect."""
    judge(play("ours", cases))


@pytest.mark.slow
def test_bed_detects_a_leak(play: Any, cases: list[Case]) -> None:
    """If the guard allows everything, many cases reach their target. Others are not addresses."""
    played = play("open", cases)
    assert len({case for case, *_ in inward(played)}) > len(of(played, "deny")) / 3


def hosts(case: Case) -> set[str]:
    """Return the hosts that were requested from a proxy."""
    return {httpx.URL(head.split(" ")[1]).host for head in case["heard"]}


def lie_inward(names: set[str], known: dict[str, object]) -> list[str]:
    """Return the hosts that lead inward, as a literal or by the name server's first response."""
    return [
        name
        for name in names
        if not all(
            is_public_address(ip_address(one))
            for one in ([name] if literal(name) else first(known.get(name)))
        )
    ]


def literal(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


def first(says: Any) -> list[str]:
    """Return the addresses of a zone at the first lookup."""
    if isinstance(says, dict):
        return [*says.get("A", []), *says.get("AAAA", [])]
    return (says[0] if says and isinstance(says[0], list) else says) or []


@pytest.mark.slow
@pytest.mark.fault("F01", "F03")
@pytest.mark.parametrize("who", ["proxied", "judged"])
def test_proxy_never_receives_forbidden_address(play: Any, cases: list[Case], who: str) -> None:
    """Nor a name of one, if a name server is available. Otherwise the proxy must refuse it."""
    played = play(who, cases)
    known = zone(cases) if who == "judged" else {}
    assert {tuple(one) for case in played for one in case["reached"]} == {("11.11.11.11", 3128)}
    assert [(case["id"], told) for case in played if (told := lie_inward(hosts(case), known))] == []
    assert [
        case["id"] for case in of(played, "allow") if not (answered(case) and case["heard"])
    ] == []
    inside = {case["id"] for case in played if lie_inward(hosts(case), zone(cases))}
    assert bool(inside) == (who == "proxied")


# What `ssrfguard` sees otherwise, by a part of the case's link or of what its names answer.
DIFFERENCES = {
    "168.63.129.16": "Azure's host agent: public for IANA, and of no use to anybody outside",
    "::ffff:0:127.0.0.1": "an IPv4 address translated (SIIT); it refuses the mapped and NAT64 ones only",
    "2001:20::1": "ORCHIDv2: of a block that IANA keeps for protocols, and no site's",
    "4000::1": "given to nobody yet, so no site's",
    "under_score": "it refuses an underscore in a name; sites on shared hosts have them",
}


@pytest.mark.slow
@pytest.mark.fault("F01")
def test_second_implementation_differs_only_in_known_cases(play: Any, cases: list[Case]) -> None:
    ours, others = play("ours", cases), play("ssrfguard", cases)
    assert [case for case in others if case["outcome"].startswith("untyped")] == []
    differing = [
        json.dumps([one["url"], one.get("dns"), one.get("redirect")])
        for one, other in zip(ours, others, strict=True)
        if answered(one) != answered(other)
    ]
    assert [case for case in differing if not any(part in case for part in DIFFERENCES)] == []
    assert [part for part in DIFFERENCES if not any(part in case for case in differing)] in (
        [],
        ["under_score"],
    )
