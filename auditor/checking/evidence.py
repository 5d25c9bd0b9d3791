"""Evidence of an observation: exchanges as they are stored, replayed and shown."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap
from operator import attrgetter

from probes.links import channel_registry, normalize
from probes.models.finding import Finding, shorten_text
from probes.models.http import READ_HEADERS, FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange, Responder
from probes.parsing.html import extract_page_text
from probes.runner.parser_pool import ParserPool
from probes.text.language import fold_text
from storage.errors import StoreError
from storage.files.body_store import BodyStore, BodyWriter, compress_body
from storage.models.audit import Evidence

STORED_HEADERS = READ_HEADERS | {"etag", "last-modified"}
"""The headers that a replay or the next request needs. No others are stored."""

MAX_EVIDENCE_CHARS = 128 * 1024
"""Characters of addresses, headers, redirects and names that are stored of one check."""

MAX_SHORT_TEXT_CHARS = 500
"""Characters of an address or detail of a response for which a check has no space left."""


def build_check_evidence(
    exchanges: Sequence[HttpExchange],
    bodies: BodyWriter | None,
    max_body_bytes: int,
    *,
    is_withheld: bool = False,
    is_volatile: bool = False,
) -> tuple[Evidence, ...]:
    """Return the exchanges of a check as evidence. What does not fit is left out and marked.

    Bodies are stored only if `bodies` is given, and withheld ones never. They count with
    their compressed size, or uncompressed if that is certain to fit.
    """
    counts_uncompressed = count_body_bytes(exchanges) <= max_body_bytes
    remaining_chars = MAX_EVIDENCE_CHARS
    pieces = []
    for exchange in exchanges:
        outcome = exchange.outcome
        size = 0
        if isinstance(outcome, Page) and not is_withheld and not is_api_url(exchange.request.url):
            body = outcome.body
            size = len(body) if counts_uncompressed or not body else len(compress_body(body))
        is_cut = size > max_body_bytes
        if not is_cut:
            max_body_bytes -= size
        evidence = build_evidence(
            exchange,
            None if bodies is None or is_cut else bodies.put,
            is_withheld=is_withheld,
            is_volatile=is_volatile,
            is_cut=is_cut,
        )
        if count_evidence_chars(evidence) > remaining_chars:
            final_url = evidence.final_url
            evidence = replace(
                evidence,
                url=shorten_text(evidence.url, MAX_SHORT_TEXT_CHARS),
                final_url=final_url and shorten_text(final_url, MAX_SHORT_TEXT_CHARS),
                detail=shorten_text(evidence.detail, MAX_SHORT_TEXT_CHARS),
                headers={},
                hops=(),
                certificate_names=(),
                is_cut=True,
            )
        remaining_chars = max(0, remaining_chars - count_evidence_chars(evidence))
        pieces.append(evidence)
    return tuple(pieces)


def count_body_bytes(exchanges: Iterable[HttpExchange]) -> int:
    """Return the bytes of all bodies."""
    outcomes = (exchange.outcome for exchange in exchanges)
    return sum(len(outcome.body) for outcome in outcomes if isinstance(outcome, Page))


def count_evidence_chars(evidence: Evidence) -> int:
    """Return the number of characters of all texts that a server chose."""
    count = len(evidence.url) + len(evidence.final_url or "") + len(evidence.detail)
    count += sum(map(len, evidence.headers)) + sum(map(len, evidence.headers.values()))
    count += sum(map(len, evidence.certificate_names))
    return count + sum(len(url) for url, _ in evidence.hops)


def build_evidence(
    exchange: HttpExchange,
    store_body: Callable[[bytes], str] | None,
    *,
    is_withheld: bool = False,
    is_volatile: bool = False,
    is_cut: bool = False,
) -> Evidence:
    """Return an exchange as evidence; its body is stored unless it is withheld or empty.

    `store_body` returns the digest of a body. The response of an official API is always withheld.
    """
    ask, answer = exchange.request, exchange.outcome
    is_withheld = is_withheld or is_api_url(ask.url)
    if isinstance(answer, FetchError):
        return Evidence(
            url=ask.url,
            status=answer.status,
            final_url=answer.url,
            reason=answer.reason,
            hops=_to_hop_pairs(answer.hops),
            detail=answer.detail,
            insecure=ask.insecure,
            is_registered_link=ask.is_registered_link,
            is_volatile=is_volatile,
        )
    digest = None
    if store_body is not None and answer.body and not is_withheld:
        digest = store_body(answer.body)
    received_digest = answer.digest if digest and answer.digest not in ("", digest) else None
    return Evidence(
        url=ask.url,
        status=answer.status,
        final_url=answer.url if answer.url != ask.url else None,
        digest=digest,
        headers={name: answer.headers[name] for name in STORED_HEADERS & answer.headers.keys()},
        hops=_to_hop_pairs(answer.hops) if len(answer.hops) > 1 else (),
        truncated=answer.truncated,
        insecure=ask.insecure,
        elapsed_seconds=answer.elapsed_seconds,
        certificate_expires=answer.certificate_expires,
        # Platforms have certificates with a hundred names, and no probe reads them.
        certificate_names=() if is_volatile else answer.certificate_names,
        fetched_at=answer.fetched_at,
        is_withheld=bool(answer.body) and is_withheld,
        is_registered_link=ask.is_registered_link,
        received_digest=received_digest,
        is_volatile=is_volatile,
        is_cut=is_cut,
    )


def is_api_url(url: str) -> bool:
    """Return True if a URL is one of an official API of a platform."""
    return normalize.get_host(url) in channel_registry.list_api_hosts()


def _to_hop_pairs(hops: Sequence[Hop]) -> tuple[tuple[str, int], ...]:
    return tuple((hop.url, hop.status) for hop in hops)


class ReplayError(LookupError):
    """A probe asks for a page that was not requested or not stored; it cannot be replayed."""


def replay_answers(evidence: Sequence[Evidence], body_store: BodyStore) -> Responder:
    """Return a responder with the recorded responses. Raises ReplayError, StoreError."""
    waiting: dict[tuple[str, bool], deque[Evidence]] = defaultdict(deque)
    if any(exchange.is_cut for exchange in evidence):
        raise ReplayError("a part of the response was not stored")
    for exchange in evidence:
        waiting[exchange.url, exchange.insecure].append(exchange)

    def answer(request: PageRequest) -> Page | FetchError:
        pending = waiting[request.url, request.insecure]
        if not pending:
            raise ReplayError(request.url)
        exchange = pending.popleft()
        if exchange.is_withheld:
            raise ReplayError(exchange.url)
        body = body_store.get(exchange.digest) if exchange.digest else b""
        return rebuild_answer(exchange, body)

    return answer


def rebuild_answer(evidence: Evidence, body: bytes = b"", digest: str = "") -> Page | FetchError:
    """Return the page or error of an exchange with this body, and its digest if given."""
    if evidence.reason is not None:
        return FetchError(
            evidence.reason,
            evidence.detail,
            status=evidence.status,
            url=evidence.final_url,
            hops=tuple(starmap(Hop, evidence.hops)),
        )
    return _rebuild_page(evidence, body, digest)


def _rebuild_page(evidence: Evidence, body: bytes, digest: str = "") -> Page:
    assert evidence.fetched_at is not None
    assert evidence.status is not None
    return Page(
        url=evidence.page_url,
        status=evidence.status,
        headers=evidence.headers,
        body=body,
        fetched_at=evidence.fetched_at,
        hops=tuple(starmap(Hop, evidence.hops or [(evidence.page_url, evidence.status)])),
        truncated=evidence.truncated,
        elapsed_seconds=evidence.elapsed_seconds,
        certificate_expires=evidence.certificate_expires,
        certificate_names=evidence.certificate_names,
        insecure=evidence.insecure,
        digest=digest,
    )


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """One exchange as people see it, with title, excerpt and text of the stored body.

    `body_state` is stored, missing (no longer in the body store), withheld (it shows private
    people), api (responses of an official API are not stored), cut (the check had stored too much)
    or none (there was no body).
    """

    evidence: Evidence
    body_state: str = "none"
    title: str = ""
    excerpt: str = ""
    page_text: str = field(default="", repr=False)

    @property
    def redirects(self) -> tuple[tuple[str, int], ...]:
        """Return the redirects: each URL and its status, without the final response."""
        return self.evidence.hops[:-1]


def build_evidence_views(
    evidence: Iterable[Evidence], body_store: BodyStore
) -> Iterator[EvidenceView]:
    """Yield a view of each exchange of an observation."""
    for exchange in evidence:
        page = _load_page_start(exchange, body_store.get)
        if isinstance(page, Page):
            yield EvidenceView(exchange, "stored", *extract_page_text(page))
        else:
            yield page


async def build_fresh_evidence_views(
    exchanges: Iterable[HttpExchange], parser_pool: ParserPool
) -> list[EvidenceView]:
    """Return a view of each exchange of a check that is not stored. Workers parse the pages."""
    bodies: dict[str, bytes] = {}

    def store_body(body: bytes) -> str:
        digest = BodyStore.compute_digest(body)
        bodies[digest] = body
        return digest

    views = []
    for exchange in exchanges:
        evidence = build_evidence(exchange, store_body)
        page = _load_page_start(evidence, bodies.__getitem__)
        if isinstance(page, EvidenceView):
            views.append(page)
            continue
        try:
            text = await parser_pool.parse(extract_page_text, page)
        except FetchError:  # the worker was stopped
            text = ("", "", "")
        views.append(EvidenceView(evidence, "stored", *text))
    return views


def _load_page_start(evidence: Evidence, read_body: Callable[[str], bytes]) -> Page | EvidenceView:
    """Return the start of a stored page, or the view of an exchange without a stored page."""
    if evidence.digest is None:
        state = "cut" if evidence.is_cut else "none"
        if evidence.is_withheld:
            state = "api" if is_api_url(evidence.url) else "withheld"
        return EvidenceView(evidence, state)
    try:
        body = read_body(evidence.digest)
    except StoreError:
        return EvidenceView(evidence, "missing")
    # bytes of a body that are read for title and excerpt, so that a page is fast
    return _rebuild_page(evidence, body[: 64 * 1024])


def is_detail_quoted(finding: Finding, evidence_views: Iterable[EvidenceView]) -> bool:
    """Return True if the detail of a finding is a text of the page.

    Other details are notes in English.
    """
    views = (view for view in evidence_views if view.evidence.page_url == finding.final_url)
    page_texts = map(fold_text, map(attrgetter("page_text"), views))
    detail = fold_text(finding.detail)
    return bool(detail) and any(detail in text for text in page_texts)
