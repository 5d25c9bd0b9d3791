"""SSRF cases: links that lead to a private address directly, through DNS or through a redirect.

A case is a dict with `id`, `url`, `expected` ("allow" or "deny"), `dns` ({"A": […], "AAAA": […]},
or {"seq": […]} with one item for each lookup), and `redirect` (a Location, or "chain").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.hostile_server.server import answer, moved

Case = dict[str, Any]
PUBLIC = "93.184.215.14"
INWARD = """
    0.0.0.0 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.9.9.9 168.63.129.16 169.254.169.254
    172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 240.0.0.1 255.255.255.254
    :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::a00:1
    100::1 2001::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 3fff::1 4000::1 5f00::1 fc00::1
    fd00:ec2::254 fec0::1
"""


def recorded(shared: Path) -> list[Case]:
    """Return the recorded cases from the folder next to the project."""
    lines = (shared / "data" / "ssrf_cases.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def made() -> list[Case]:
    """Return generated cases for each private address.

    The address is a literal, the only or one of two addresses of a name, the second answer of a
    name, or the target of a redirect.
    """
    allowed = {
        "id": "good",
        "url": "http://good.example/",
        "expected": "allow",
        "dns": {"A": [PUBLIC]},
    }
    return [
        allowed,
        *(case for number, address in enumerate(INWARD.split()) for case in _of(number, address)),
    ]


def _of(number: int, address: str) -> Iterator[Case]:
    kind = "A" if ip_address(address).version == 4 else "AAAA"
    literal = address if kind == "A" else f"[{address}]"
    dns: dict[str, dict[str, Any]] = {
        "name": {kind: [address]},
        "half": {"A": [PUBLIC, address]} if kind == "A" else {"A": [PUBLIC], kind: [address]},
        "moved": {"A": [PUBLIC]},
    }
    if kind == "A":
        dns["second"] = {"seq": [{"A": [PUBLIC]}, {"A": [address]}]}
    yield {"id": f"literal {address}", "url": f"http://{literal}/", "expected": "deny"}
    for trick, answers in dns.items():
        case = {"id": f"{trick} {address}", "url": f"http://{trick}{number}.example/"}
        case |= {"dns": answers, "expected": "allow" if trick == "second" else "deny"}
        if trick == "moved":
            case["redirect"] = f"http://{literal}/"
        yield case


def zone(cases: Iterable[Case]) -> dict[str, object]:
    """Return the zone of a DNS server with the names of all cases."""
    names: dict[str, object] = {
        "public.example": [PUBLIC],
        "redirchain.example": [PUBLIC],
        "lo-a.example": ["127.0.0.1"],
    }
    for case in cases:
        answers = case.get("dns", {})
        try:
            host = httpx.URL(case["url"]).raw_host.decode().rstrip(".").lower()
        except httpx.InvalidURL:
            continue
        if "seq" in answers:
            names[host] = [[*step.get("A", []), *step.get("AAAA", [])] for step in answers["seq"]]
        elif answers:
            names.setdefault(host, {"A": answers.get("A", []), "AAAA": answers.get("AAAA", [])})
    return names


class Site:
    """The responses of every address: `ok`, or the redirect of the requested host."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self._targets = {
            case["url"].split("://")[1].split("/")[0].lower(): case["redirect"]
            for case in cases
            if "redirect" in case
        }

    def __call__(self, head: str) -> bytes:
        """Return the response to a request, given its head."""
        path = urlsplit(head.split(" ")[1]).path.removeprefix("/")
        host = head.lower().partition("host: ")[2].split("\r\n")[0].rstrip(".")
        target = self._targets.get(host)
        if target == "chain":
            hop = int(path or 0)
            target = f"/{hop + 1}" if hop < 5 else "http://127.0.0.1/"
        return moved(target.encode()) if target and path != "next" else answer()
