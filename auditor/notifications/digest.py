"""The digest: what a coordinator should hear at the end of a night, the worst first. Pure.

The digest in words. Pure.

What moved in the network, and what of it is news: nobody is told twice within 30 days that one gap opened.

A gap that opens and closes by turns is told once as opened and once as closed. Where it moves again within 30
days of that, the rest is silence; if it still stands so when they are over, that is told then. Which
messages went out does not matter for this: it follows from the gap's own history.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import iter_association_views
from auditor.evaluation.run_results import refresh_summaries
from auditor.i18n.translator import Translator
from auditor.receipts.receipt import hash_canonical_json as receipt_digest
from auditor.receipts.signing import get_receipt_public_key
from auditor.reference.gap_catalogue import SEVERITIES
from auditor.reference.regions import find_region_code
from auditor.rendering.templates import (
    MessageDocument,
    MessageLink,
    MessageListItem,
    MessageSection,
    WebAppLinks,
)
from storage.models.audit import Association, AuditRun, AuditRunState, Gap
from storage.models.summaries import AssociationSummary
from storage.store import Store


@dataclass(frozen=True, slots=True)
class MessageFrame:
    """What stands around every message: the network's name, where the web's pages are, how it is ended.

    `web` and `stop` are addresses, empty where there is none.
    """

    network_name: str
    web_url: str = ""
    unsubscribe_url: str = ""

    def get_page_url(self, translator: Translator, name: str = "") -> str:
        """The address of a page of the web; empty where there is none."""
        return self.web_url and self.web_url + WebAppLinks(translator.language).page_url(name)

    def get_association_url(self, translator: Translator, identifier: str) -> str:
        """The address of an association's page; empty where there is none."""
        return self.web_url and self.web_url + WebAppLinks(translator.language).association_url(
            identifier
        )


def digest_subject(run_digest: Digest, translator: Translator) -> str:
    """The subject: what moved, as numbers."""
    numbers = {
        "urgent": len(run_digest.urgent),
        "new": len(run_digest.new),
        "settled": len(run_digest.closed),
    }
    if not run_digest.is_run_finished:
        return translator.translate("The check of {date} did not finish", date=run_digest.night.day)
    if run_digest.urgent:
        return translator.translate("Urgent: {urgent} · new: {new} · fixed: {settled}", **numbers)
    if run_digest.new or run_digest.closed:
        return translator.translate("New: {new} · fixed: {settled}", **numbers)
    return translator.translate(
        "Check of {date}: some accounts couldn’t be checked", date=run_digest.night.day
    )


def digest_text(run_digest: Digest, frame: MessageFrame, translator: Translator) -> MessageDocument:
    """The whole message."""
    names = {
        "urgent": translator.translate("New urgent problems"),
        "new": translator.translate("New problems"),
        "fixed": translator.translate("Fixed problems"),
    }
    return MessageDocument(
        title=translator.translate("{network}: what’s new", network=frame.network_name),
        intro=tuple(_generate_intro(run_digest, translator)),
        sections=tuple(
            MessageSection(
                names[name], tuple(_build_list_item(move, frame, translator) for move in moves)
            )
            for name, moves in run_digest.sections
            if moves
        ),
        closing=tuple(_generate_closing(run_digest, translator)),
        links=(MessageLink(translator.translate("See everything"), frame.get_page_url(translator)),)
        if frame.web_url
        else (),
        footer=(
            translator.translate(
                "You get this email because you follow {network}.",
                network=frame.network_name,
            ),
            *_generate_receipt_note(run_digest, translator),
        ),
        unsubscribe_link=MessageLink(translator.translate("Unsubscribe"), frame.unsubscribe_url)
        if frame.unsubscribe_url
        else None,
    )


def _generate_intro(run_digest: Digest, translator: Translator) -> Iterator[str]:
    day = run_digest.night.day
    if not run_digest.is_run_finished:
        yield translator.translate(
            "The check of {date} did not finish. Its results are kept and the next run continues it.",
            date=day,
        )
    elif run_digest.since:
        yield translator.translate(
            "Changes from {since} to {date}:", since=run_digest.since, date=day
        )
    else:
        yield translator.translate("Results of the check of {date}:", date=day)
    if run_digest.is_run_finished and not (
        run_digest.urgent or run_digest.new or run_digest.closed
    ):
        yield translator.translate("No new problems, none fixed.")


def _generate_closing(run_digest: Digest, translator: Translator) -> Iterator[str]:
    if run_digest.unlisted_count:
        yield translator.translate_plural(
            "{n} more change.", "{n} more changes.", run_digest.unlisted_count
        )
    if run_digest.unreliable_channels:
        yield translator.translate(
            "Couldn’t be checked: {channels}. Nothing changed there.",
            channels=_join_channel_names(run_digest.unreliable_channels, translator),
        )
    if run_digest.is_run_finished:
        yield translator.translate_plural(
            "{n} open problem in total.",
            "{n} open problems in total.",
            run_digest.open_gap_count,
        )


def _generate_receipt_note(run_digest: Digest, translator: Translator) -> Iterator[str]:
    """The digest of the night's receipt: whoever keeps this message can tell if that night is taken out."""
    if run_digest.is_run_finished and get_receipt_public_key(run_digest.night.receipt):
        yield translator.translate(
            "Fingerprint of this run report: {digest}",
            digest=receipt_digest(run_digest.night.receipt),
        )


def _join_channel_names(channels: Sequence[str], translator: Translator) -> str:
    return ("، " if translator.language == "ar" else ", ").join(
        map(translator.channel_name, channels)
    )


def _build_list_item(
    change: GapChange, frame: MessageFrame, translator: Translator
) -> MessageListItem:
    gap, association = change.gap, change.association
    title = translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params).title
    return MessageListItem(
        translator.translate(
            "{association}: {point}",
            association=association.display_name(translator.language),
            point=title,
        ),
        url=frame.get_association_url(translator, association.id),
    )


QUIET_PERIOD = timedelta(days=30)
"""How long nothing more is told of a gap that was told of."""


@dataclass(frozen=True, slots=True)
class GapChange:
    """A gap that opened, or closed, and when that is told."""

    association: Association | AssociationSummary
    gap: Gap
    is_open: bool
    announced_at: datetime


@dataclass(frozen=True, slots=True)
class NetworkChanges:
    """What moved in the whole network until a night. `still` counts the open gaps by region."""

    night: AuditRun
    previous_run: AuditRun | None
    changes: tuple[GapChange, ...]
    open_gaps_by_region: Mapping[str | None, int]


def collect_network_changes(
    store: Store, config: Config, run: AuditRun, since: datetime | None = None
) -> NetworkChanges:
    """What there is to tell at the end of a night to whoever was last told at a moment, or later.

    Who was told more than QUIET ago, or never, is told from the night before on. A night that was not
    concluded has moved nothing.
    """
    before = store.get_latest_run(AuditRunState.DONE, before_day=run.day)
    if run.state is not AuditRunState.DONE:
        return NetworkChanges(run, before, (), {})
    if store.get_latest_evaluated_run() != run:
        return _rebuild_network_changes(store, config, run, before)
    refresh_summaries(store, config)
    # What is told now for the first time may have moved QUIET ago.
    moments = [
        one for one in (since, before and before.started_at, run.started_at - QUIET_PERIOD) if one
    ]
    known = store.list_gap_histories(min(moments) - QUIET_PERIOD if before else None)
    moves = tuple(
        move for association, gaps in known for move in _list_gap_changes(association, gaps)
    )
    return NetworkChanges(run, before, moves, _count_open_gaps_by_region(store))


def _rebuild_network_changes(
    store: Store, config: Config, run: AuditRun, previous_run: AuditRun | None
) -> NetworkChanges:
    """The same of a night that is not the newest: everybody is looked at as of then."""
    moves: list[GapChange] = []
    still: Counter[str | None] = Counter()
    for view in iter_association_views(store, config, run.finished_at or run.started_at):
        moves += list_association_changes(view)
        still[view.association.region] += len(view.gaps)
    return NetworkChanges(run, previous_run, tuple(moves), still)


def _count_open_gaps_by_region(store: Store) -> dict[str | None, int]:
    regions = store.get_group_sizes("region", min_size=1)
    told = store.get_facet_counts_by_group(regions, ["has_gaps"])
    by_region: dict[str | None, int] = {
        cohort.partition(":")[2]: sums.get("has_gaps", 0) for cohort, sums in told.items()
    }
    return {
        **by_region,
        None: store.get_facet_counts(prefix="has_gaps").get("has_gaps", 0)
        - sum(by_region.values()),
    }


def list_association_changes(view: AssociationView) -> Iterator[GapChange]:
    """What is ever told of an association's gaps; waived ones are no news. Pure."""
    return _list_gap_changes(
        view.association,
        (gap for gap in view.all_gaps if gap.opened_at and gap not in view.waived_gaps),
    )


def _list_gap_changes(
    association: Association | AssociationSummary, gaps: Iterable[Gap]
) -> Iterator[GapChange]:
    rows: dict[tuple[str, str, str], list[Gap]] = defaultdict(list)
    for gap in gaps:
        rows[gap.channel, gap.subject, gap.code].append(gap)
    for several in rows.values():
        yield from (GapChange(association, *told) for told in _select_announcements(several))


def _select_announcements(gaps: Iterable[Gap]) -> Iterator[tuple[Gap, bool, datetime]]:
    """The news of one gap's rows: each with whether it opened, and when that is told."""
    turns = sorted(_list_transitions(gaps), key=lambda turn: turn[2])
    last: dict[bool, datetime] = {}
    said = False  # what the reader believes: no such gap
    for (gap, is_open, at), (_, _, ends) in zip(
        turns, [*turns[1:], (None, None, None)], strict=True
    ):
        when = max(at, last[is_open] + QUIET_PERIOD) if is_open in last else at
        if is_open is not said and (ends is None or when < ends):
            said, last[is_open] = is_open, when
            yield gap, is_open, when


def _list_transitions(gaps: Iterable[Gap]) -> Iterator[tuple[Gap, bool, datetime]]:
    for gap in gaps:
        assert gap.opened_at is not None
        yield gap, True, gap.opened_at
        if gap.closed_at:
            yield gap, False, gap.closed_at


MAX_LISTED_CHANGES = 40
"""How many gaps a message lists; a longer one is not read, and mail programs cut it off."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What moved after `since` until the night, by what it asks of the reader.

    `still` counts what is open in all. `blind` are the channels on which nothing could be told tonight.
    """

    night: AuditRun
    since: datetime | None
    urgent: tuple[GapChange, ...] = ()
    new: tuple[GapChange, ...] = ()
    closed: tuple[GapChange, ...] = ()
    open_gap_count: int = 0
    unreliable_channels: tuple[str, ...] = ()

    @property
    def is_run_finished(self) -> bool:
        """Whether the night came to its end."""
        return self.night.state is AuditRunState.DONE

    @property
    def sections(self) -> tuple[tuple[str, tuple[GapChange, ...]], ...]:
        """The three lists in their order, cut to what a message lists, each with its name."""
        everything = iter([*self.urgent, *self.new, *self.closed])
        listed = set(map(id, islice(everything, MAX_LISTED_CHANGES)))
        named = (("urgent", self.urgent), ("new", self.new), ("fixed", self.closed))
        return tuple(
            (name, tuple(move for move in rows if id(move) in listed)) for name, rows in named
        )

    @property
    def unlisted_count(self) -> int:
        """How many moves a message does not list."""
        return max(0, len(self.urgent) + len(self.new) + len(self.closed) - MAX_LISTED_CHANGES)


def build_digest(
    network_changes: NetworkChanges,
    *,
    since: datetime | None = None,
    regions: Collection[str] = frozenset(),
) -> Digest | None:
    """The digest of a night for someone who hears of these regions (of all, if empty); None for no news.

    `since` is when that reader was last told; the night before otherwise. What moves while a night
    goes on belongs to the next one.
    """
    night, before = network_changes.night, network_changes.previous_run
    if since is None and before:
        since = before.started_at
    moves = [
        move
        for move in network_changes.changes
        if (since is None or move.announced_at > since)
        and move.announced_at <= night.started_at
        and _is_in_regions(move.association.region, regions)
    ]
    newly_blind = set(night.unreliable_channels) - set(before.unreliable_channels if before else ())
    if not moves and not newly_blind and night.state is AuditRunState.DONE:
        return None
    opened = sorted(
        (move for move in _keep_latest_changes(moves) if move.is_open), key=_severity_sort_key
    )
    return Digest(
        night=night,
        since=since,
        urgent=tuple(move for move in opened if move.gap.severity == SEVERITIES[0]),
        new=tuple(move for move in opened if move.gap.severity != SEVERITIES[0]),
        closed=tuple(
            sorted(
                (move for move in _keep_latest_changes(moves) if not move.is_open),
                key=_severity_sort_key,
            )
        ),
        open_gap_count=sum(
            count
            for region, count in network_changes.open_gaps_by_region.items()
            if _is_in_regions(region, regions)
        ),
        unreliable_channels=night.unreliable_channels,
    )


def _is_in_regions(region: str | None, regions: Collection[str]) -> bool:
    """Whether a region is among these, whichever way either is spelt."""
    return not regions or (find_region_code(region) or region) in {
        find_region_code(one) or one for one in regions
    }


def _keep_latest_changes(changes: Collection[GapChange]) -> list[GapChange]:
    """Of each gap the newest move alone: what opened and closed since then is told as closed."""
    newest: dict[tuple[str, str, str, str], GapChange] = {}
    for move in sorted(changes, key=lambda move: move.announced_at):
        gap = move.gap
        newest[gap.association, gap.channel, gap.subject, gap.code] = move
    return list(newest.values())


def _severity_sort_key(change: GapChange) -> tuple[int, str, str, str]:
    gap = change.gap
    return SEVERITIES.index(gap.severity), gap.association, gap.channel, gap.code
