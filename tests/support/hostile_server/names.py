"""A name server on loopback with scripted answers: addresses, NXDOMAIN, SERVFAIL or silence."""

from __future__ import annotations

import asyncio
from collections import Counter
from ipaddress import ip_address
from typing import Self

A, NS, AAAA = 1, 2, 28
TYPES = {A: "A", NS: "NS", AAAA: "AAAA"}
CODES = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}
Says = str | bytes | list[str]


class NameServer(asyncio.DatagramProtocol):
    """A DNS server. `zone` maps a name to its addresses, to an error code, or to "silent".
    Bytes are sent as they are, after the number of the question.

    A dict maps types (A, AAAA, NS) to such answers. A list of lists has one item for each lookup.
    Names that are not in the zone do not exist, except `com`. `asked` counts the lookups by name,
    and `asked_name_servers` those of type NS.
    """

    def __init__(self, zone: dict[str, object]) -> None:
        self.zone: dict[str, object] = {"com": [], **zone}
        self.asked: Counter[str] = Counter()
        self.asked_name_servers: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.address = "{}:{}".format(*self._transport.get_extra_info("sockname"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        await asyncio.sleep(0)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        labels, offset = [], 12
        while data[offset]:
            labels.append(data[offset + 1 : offset + 1 + data[offset]].decode().lower())
            offset += 1 + data[offset]
        question = data[12 : offset + 5]
        kind = int.from_bytes(data[offset + 1 : offset + 3], "big")
        says = self._says(".".join(labels), kind)
        if isinstance(says, bytes):
            self._transport.sendto(data[:2] + says, address)
        elif says != "silent":
            self._transport.sendto(_reply(data[:2], question, kind, says), address)

    def _says(self, name: str, kind: int) -> Says:
        """Return the answer to a question. A list of lists advances with each question for A."""
        says = self.zone.get(name, "NXDOMAIN")
        if isinstance(says, dict):
            says = says.get(TYPES[kind], [])
        if isinstance(says, list) and says and isinstance(says[0], list):
            says = says[min(self.asked[name], len(says) - 1)]
        self.asked[name] += kind == A
        self.asked_name_servers[name] += kind == NS
        return says


def _reply(number: bytes, question: bytes, kind: int, says: Says) -> bytes:
    code = CODES[says] if isinstance(says, str) else 0
    texts = [] if isinstance(says, str) else says
    if kind == NS:
        labels = ([label.encode() for label in text.split(".")] for text in texts)
        records = [b"".join(bytes([len(one)]) + one for one in name) + b"\0" for name in labels]
    else:
        addresses = map(ip_address, texts)
        records = [one.packed for one in addresses if one.version == (4 if kind == A else 6)]
    flags = (0x8180 | code).to_bytes(2, "big")
    counts = b"\x00\x01" + len(records).to_bytes(2, "big") + bytes(4)
    answers = b"".join(
        b"\xc0\x0c"
        + kind.to_bytes(2, "big")
        + b"\x00\x01"
        + bytes(4)
        + len(record).to_bytes(2, "big")
        + record
        for record in records
    )
    return number + flags + counts + question + answers
