"""SSRF protection in a network namespace where every address responds."""

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
NAMESPACE_COMMANDS = (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"])
"""Commands that open a network namespace: as root, or as any user if the kernel allows it."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bed")]


@cache
def find_namespace_command() -> list[str] | None:
    """Return the command that opens a network namespace on this machine, or None."""
    route = (
        "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 "
        "dev lo"
    )
    for command in NAMESPACE_COMMANDS:
        try:
            subprocess.run(
                [*command, "sh", "-c", route], check=True, capture_output=True, timeout=20
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return command
    return None


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that plays cases in their own network and returns their outcomes by id."""
    command = find_namespace_command()
    if command is None:
        pytest.skip("a network namespace cannot be created here (unshare --net, and iproute2)")

    @cache
    def play_in_namespace(who: str, cases: str) -> str:
        file = tmp_path_factory.mktemp("bed") / "cases.json"
        file.write_text(cases, "utf-8")
        arguments = [*command, sys.executable, str(BED), who, str(file)]
        process = subprocess.run(
            arguments, capture_output=True, text=True, timeout=120, check=False
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    def play_cases(who: str, cases: list[Case]) -> list[Case]:
        outcomes = json.loads(play_in_namespace(who, json.dumps(cases)))
        return [case | outcome for case, outcome in zip(cases, outcomes, strict=True)]

    return play_cases


@pytest.fixture(scope="module")
def cases(request: pytest.FixtureRequest) -> list[Case]:
    """Return our own cases, and the recorded ones if they exist."""
    try:
        return made() + recorded(request.getfixturevalue("shared"))
    except pytest.skip.Exception:
        return made()


def list_leaks(played: list[Case]) -> list[tuple[str, str, int]]:
    """Return the forbidden addresses that were reached, however briefly."""
    return [
        (case["id"], address, port)
        for case in played
        for address, port in case["reached"]
        if not is_public_address(ip_address(address)) or port not in ALLOWED_PORTS
    ]


def has_response(case: Case) -> bool:
    return bool(case["outcome"].isdigit())


def select_expected(played: list[Case], expected: str) -> list[Case]:
    selected = [case for case in played if case["expected"] == expected]
    assert selected
    return selected


def check_outcomes(played: list[Case]) -> None:
    """Check the outcomes. A `soft` case may also end at the public address that is part of it."""
    assert list_leaks(played) == []
    assert [case for case in played if case["outcome"].startswith("untyped")] == []
    good, bad = select_expected(played, "allow"), select_expected(played, "deny")
    assert [case["id"] for case in good if not (has_response(case) and case["reached"])] == []
    assert [case["id"] for case in bad if has_response(case) and "soft" not in case] == []


@pytest.mark.fault("F01", "F02", "F03")
def test_no_recorded_trick_connects_to_forbidden_address(play: Any, shared: Path) -> None:
    check_outcomes(play("ours", recorded(shared)))


@pytest.mark.fault("F01", "F02", "F03")
def test_no_spelling_connects_to_forbidden_address(play: Any, cases: list[Case]) -> None:
    """Each block of the table as a literal, a name, a half-resolved name and a redirect."""
    check_outcomes(play("ours", cases))


def test_bed_detects_a_leak(play: Any, cases: list[Case]) -> None:
    """If the guard allows everything, many cases reach their target. Others are not addresses."""
    played = play("open", cases)
    assert len({case for case, *_ in list_leaks(played)}) > len(select_expected(played, "deny")) / 3


def list_proxied_hosts(case: Case) -> set[str]:
    """Return the hosts that were requested from a proxy."""
    return {httpx.URL(head.split(" ")[1]).host for head in case["heard"]}


def list_inward_hosts(names: set[str], known_zone: dict[str, object]) -> list[str]:
    """Return the hosts that lead inward, as a literal or by the name server's first response."""
    return [
        name
        for name in names
        if not all(
            is_public_address(ip_address(address))
            for address in (
                [name] if is_ip_literal(name) else get_first_addresses(known_zone.get(name))
            )
        )
    ]


def is_ip_literal(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


def get_first_addresses(zone_entry: Any) -> list[str]:
    """Return the addresses of a zone at the first lookup."""
    if isinstance(zone_entry, dict):
        return [*zone_entry.get("A", []), *zone_entry.get("AAAA", [])]
    return (zone_entry[0] if zone_entry and isinstance(zone_entry[0], list) else zone_entry) or []


@pytest.mark.fault("F01", "F03")
@pytest.mark.parametrize("who", ["proxied", "judged"])
def test_proxy_never_receives_forbidden_address(play: Any, cases: list[Case], who: str) -> None:
    """Nor a name of one, if a name server is available. Otherwise the proxy must refuse it."""
    played = play(who, cases)
    known_zone = zone(cases) if who == "judged" else {}
    assert {tuple(address) for case in played for address in case["reached"]} == {
        ("11.11.11.11", 3128)
    }
    assert [
        (case["id"], leaks)
        for case in played
        if (leaks := list_inward_hosts(list_proxied_hosts(case), known_zone))
    ] == []
    assert [
        case["id"]
        for case in select_expected(played, "allow")
        if not (has_response(case) and case["heard"])
    ] == []
    inside = {
        case["id"] for case in played if list_inward_hosts(list_proxied_hosts(case), zone(cases))
    }
    assert bool(inside) == (who == "proxied")
