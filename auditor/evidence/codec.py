"""Evidence: what a look asked and got, as it is kept, and as it is played to a probe again."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Protocol

from probes.models.http import Ask, Hop, NoPage, Page
from probes.models.probe import Answers, Exchange
from storage.models.audit import Evidence, Observation
from storage.observations.deduplication import dated


class Bodies(Protocol):
    """Where bodies lie, by digest."""

    def put(self, body: bytes) -> str:
        """Keep a body; give its digest."""
        ...

    def get(self, digest: str) -> bytes:
        """The body of a digest. Raises a StoreError where it is not there."""
        ...


UNKEPT = frozenset({"set-cookie", "set-cookie2"})
"""Headers that are never kept: a session that was offered to us is nobody's evidence."""


def kept(
    exchange: Exchange, bodies: Bodies | None, *, withheld: bool = False, fleeting: bool = False
) -> Evidence:
    """One exchange as evidence; its body goes to the archive, unless it is withheld, or there is none."""
    ask, answer = exchange.ask, exchange.answer
    if isinstance(answer, NoPage):
        return Evidence(
            url=ask.url,
            status=answer.status,
            final_url=answer.url,
            reason=answer.reason,
            hops=_hops(answer.hops),
            detail=answer.detail,
            insecure=ask.insecure,
            registered=ask.registered,
            fleeting=fleeting,
        )
    digest = bodies.put(answer.body) if bodies is not None and answer.body and not withheld else None
    return Evidence(
        url=ask.url,
        status=answer.status,
        final_url=answer.url,
        digest=digest,
        headers={name: value for name, value in answer.headers.items() if name not in UNKEPT},
        hops=_hops(answer.hops),
        truncated=answer.truncated,
        insecure=ask.insecure,
        seconds=answer.seconds,
        certificate_expires=answer.certificate_expires,
        fetched_at=answer.fetched_at,
        withheld=bool(answer.body) and withheld,
        registered=ask.registered,
        came=answer.digest if digest and answer.digest not in ("", digest) else None,
        fleeting=fleeting,
    )


def _hops(hops: Sequence[Hop]) -> tuple[tuple[str, int], ...]:
    return tuple((hop.url, hop.status) for hop in hops)


def as_read(look: Observation) -> tuple[Evidence, ...]:
    """What a look rests on, dated as it came: where it is only as before, that was when it was first seen."""
    if look.since is None or not look.as_before:
        return look.evidence
    return dated(look.evidence, look.since - look.observed_at)


def thinned(piece: Evidence) -> Evidence:
    """An exchange without what only a probe reads; the question, the status and the digest are left."""
    return Evidence(
        url=piece.url,
        status=piece.status,
        final_url=piece.final_url,
        reason=piece.reason,
        digest=piece.digest,
        insecure=piece.insecure,
        fetched_at=piece.fetched_at,
        withheld=piece.withheld,
        thinned=True,
    )


class NotKeptError(LookupError):
    """A probe asks for a page that was not asked for then, or not kept: this look cannot be played again."""


def replay(evidence: Sequence[Evidence], bodies: Bodies) -> Answers:
    """The answers of one look, given again in the order they came. Raises NotKeptError, StoreError."""
    waiting: dict[tuple[str, bool], deque[Evidence]] = defaultdict(deque)
    if any(piece.thinned for piece in evidence):
        raise NotKeptError("what came was thinned away")
    for piece in evidence:
        waiting[piece.url, piece.insecure].append(piece)

    def answer(ask: Ask) -> Page | NoPage:
        line = waiting[ask.url, ask.insecure]
        if not line:
            raise NotKeptError(ask.url)
        return _again(line.popleft(), bodies)

    return answer


def _again(piece: Evidence, bodies: Bodies) -> Page | NoPage:
    if piece.withheld:
        raise NotKeptError(piece.url)
    return answer_of(piece, bodies.get(piece.digest) if piece.digest else b"")


def answer_of(piece: Evidence, body: bytes = b"", digest: str = "") -> Page | NoPage:
    """What an exchange was answered with, with this body, whose digest is told where it is wanted."""
    hops = tuple(Hop(url, status) for url, status in piece.hops)
    if piece.reason is not None or piece.fetched_at is None:
        assert piece.reason is not None
        return NoPage(piece.reason, piece.detail, status=piece.status, url=piece.final_url, hops=hops)
    return Page(
        url=piece.final_url or piece.url,
        status=piece.status or 0,
        headers=piece.headers,
        body=body,
        fetched_at=piece.fetched_at,
        hops=hops,
        truncated=piece.truncated,
        seconds=piece.seconds,
        certificate_expires=piece.certificate_expires,
        insecure=piece.insecure,
        digest=digest,
    )
