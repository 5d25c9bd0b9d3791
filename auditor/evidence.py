"""Evidence: what a look asked and got, as it is kept, and as it is played to a probe again.

What a look rests on, as a person reads it: what was asked, what came, and the words that stood there.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from probes.models.finding import NEVER, Finding
from probes.models.http import Ask, Hop, NoPage, Page
from probes.models.probe import Answers, Exchange
from probes.parsing.html import clean, decoded, document, looks_like_html
from probes.text.language import folded
from storage.errors import StoreError
from storage.models.audit import Evidence, Observation
from storage.observations.rows import dated


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


READ = 64 * 1024
"""Bytes of a body that are read for its title and first words; a page is shown within a moment."""
QUOTED = 400
"""Characters of a page's own words that are shown."""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One exchange. `title`, `words`, and all that is `said`, are the page's own, from the archived body.

    `body` is kept; lost where the archive does not hold it any more; withheld where it shows private people;
    none where no body came.
    """

    piece: Evidence
    body: str = "none"
    title: str = ""
    words: str = ""
    said: str = field(default="", repr=False)

    def quotes(self, finding: Finding) -> bool:
        """Whether this is the page that a finding was made of, and the finding's detail stands in it."""
        judged = finding.final_url == (self.piece.final_url or self.piece.url)
        return judged and bool(finding.detail) and folded(finding.detail) in folded(self.said)

    @property
    def led(self) -> tuple[tuple[str, int], ...]:
        """The redirects on the way: each address and the status it gave, the last answer left out."""
        return self.piece.hops[:-1]


def exhibits(evidence: Iterable[Evidence], bodies: Bodies) -> Iterator[Exhibit]:
    """Each exchange of a look, with what its archived body says."""
    for piece in evidence:
        yield _exhibit(piece, bodies)


def _exhibit(piece: Evidence, bodies: Bodies) -> Exhibit:
    if piece.digest is None:
        return Exhibit(piece, "withheld" if piece.withheld else "none")
    try:
        body = bodies.get(piece.digest)
    except StoreError:
        return Exhibit(piece, "lost")
    page = Page(
        piece.final_url or piece.url, piece.status or 0, piece.headers, body[:READ], piece.fetched_at or NEVER
    )
    if not looks_like_html(page):
        return Exhibit(piece, "kept", said=clean(decoded(page), READ))
    said = document(page)
    return Exhibit(piece, "kept", clean(said.title), clean(said.text, QUOTED), f"{said.title}\n{said.text}")


def quotes(finding: Finding, shown: Iterable[Exhibit]) -> bool:
    """Whether a finding's detail is the page's own words; any other is a reader's note, in English."""
    return any(one.quotes(finding) for one in shown)
