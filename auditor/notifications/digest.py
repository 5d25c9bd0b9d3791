"""The digest: the changes of a run as a message to coordinators, most severe first.

A digest announces that the same gap opened, or closed, at most once in 30 days. A gap that opens
and closes repeatedly is announced once as opened and once as closed. If it changes again within 30
days, the change is announced when they are over, provided it still holds. This follows from the
history of the gap alone and does not depend on which messages were sent.

`collect_network_changes` reads the changes, `build_digest` selects those for one recipient, and
`digest_text` writes the message.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import filterfalse, zip_longest

from auditor.config.schema import Config
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import iter_association_views
from auditor.evaluation.run_results import refresh_summaries
from auditor.i18n.translator import Translator
from auditor.reference.gap_catalogue import (
    SEVERITIES,
    Voice,
    get_gap_kind,
    get_gap_rank,
    load_gap_catalogue,
)
from auditor.reference.regions import find_region_code
from auditor.rendering.templates import (
    MAX_SUBJECT_CHARS,
    MessageDocument,
    MessageLink,
    MessageListItem,
    MessageSection,
    WebAppLinks,
    collapse_line_breaks,
    shorten_subject,
)
from storage.models.audit import Association, AuditRun, AuditRunState, Gap, GapKind
from storage.models.summaries import AssociationSummary
from storage.store import Store


@dataclass(frozen=True, slots=True)
class MessageFrame:
    """The parts that every message has: network name, address of the pages, unsubscribe link.

    `web_url` and `unsubscribe_url` are empty if there is none.
    """

    network_name: str
    web_url: str = ""
    unsubscribe_url: str = ""

    def get_page_url(self, translator: Translator, name: str = "") -> str:
        """Return the URL of a page, or "" without `web_url`."""
        return self.web_url and self.web_url + WebAppLinks(translator.language).page_url(name)

    def get_association_url(self, translator: Translator, identifier: str) -> str:
        """Return the URL of an association's page, or "" without `web_url`."""
        links = WebAppLinks(translator.language)
        return self.web_url and self.web_url + links.association_url(identifier)


MIN_NETWORK_CHARACTERS, MIN_ASSOCIATION_CHARACTERS = 12, 8
"""How much of the names a subject keeps, however long the rest is."""


def digest_subject(run_digest: Digest, network_name: str, translator: Translator) -> str:
    """Return the subject line with the numbers of changes.

    Long names in it are shortened, so a phone shows the numbers.
    """
    network, association = collapse_line_breaks(network_name), ""
    if run_digest.urgent:
        first_association = run_digest.urgent[0].association
        association = collapse_line_breaks(first_association.display_name(translator.language))
    subject = _write_subject(run_digest, network, association, translator)
    network = _shorten_name(network, len(subject) - MAX_SUBJECT_CHARS, MIN_NETWORK_CHARACTERS)
    subject = _write_subject(run_digest, network, association, translator)
    excess = len(subject) - MAX_SUBJECT_CHARS
    association = _shorten_name(association, excess, MIN_ASSOCIATION_CHARACTERS)
    return shorten_subject(_write_subject(run_digest, network, association, translator))


def _shorten_name(name: str, excess: int, min_characters: int) -> str:
    """Return a name that is shorter by `excess` characters, or by as many as it may lose."""
    if excess <= 0 or len(name) <= min_characters:
        return name
    return f"{name[: max(len(name) - excess - 1, min_characters)].rstrip()}…"


def _write_subject(
    run_digest: Digest, network: str, association: str, translator: Translator
) -> str:
    if not run_digest.is_run_finished:
        return translator.message(
            "digest.subject.incomplete", network=network, date=run_digest.run.day
        )
    counts = {
        "urgent": len(run_digest.urgent),
        "new": len(run_digest.new),
        "fixed": len(run_digest.closed),
    }
    kinds = [kind for kind, count in counts.items() if count]
    if not kinds:
        channels = _join_channel_names(run_digest.unreliable_channels, translator)
        return translator.message("digest.subject.unreliable", network=network, channels=channels)
    first, *others = kinds
    subject = translator.message(
        f"digest.subject.{first}", n=counts[first], network=network, association=association
    )
    for kind in others:
        subject += translator.message(f"digest.subject.plus_{kind}", n=counts[kind])
    return subject


def digest_text(run_digest: Digest, frame: MessageFrame, translator: Translator) -> MessageDocument:
    """Return the whole message."""
    headings = {
        "urgent": translator.translate("New urgent problems"),
        "new": translator.translate("New problems"),
        "fixed": translator.translate("Fixed problems"),
        "missing": translator.translate("No website or account yet"),
    }
    sections = []
    for name, changes in run_digest.sections:
        if changes:
            items = (_build_list_item(change, frame, translator) for change in changes)
            sections.append(MessageSection(headings[name], tuple(items)))
    return MessageDocument(
        title=translator.translate("{network}: what’s new", network=frame.network_name),
        intro=tuple(_generate_intro(run_digest, translator)),
        sections=tuple(sections),
        closing=tuple(_generate_closing(run_digest, translator)),
        links=(MessageLink(translator.translate("See everything"), frame.get_page_url(translator)),)
        if frame.web_url
        else (),
        footer=(
            translator.translate(
                "You get this email because you follow {network}.", network=frame.network_name
            ),
            *_generate_run_report_note(run_digest, translator),
        ),
        unsubscribe_link=MessageLink(translator.translate("Unsubscribe"), frame.unsubscribe_url)
        if frame.unsubscribe_url
        else None,
    )


def _generate_intro(run_digest: Digest, translator: Translator) -> Iterator[str]:
    day = run_digest.run.day
    if run_digest.run.has_crashed:
        yield translator.translate(
            "The check of {date} failed because of an error in the program. Nothing was "
            "concluded; the log has the details.",
            date=day,
        )
    elif not run_digest.is_run_finished:
        yield translator.translate(
            "The check of {date} did not finish. Its results are kept and the next run "
            "continues it.",
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
            "{n} open problem in total.", "{n} open problems in total.", run_digest.open_gap_count
        )


def _generate_run_report_note(run_digest: Digest, translator: Translator) -> Iterator[str]:
    """Yield the hash of the run report, which shows later whether the run report was changed."""
    if run_digest.is_run_finished:
        yield translator.translate(
            "Fingerprint of this run report: {digest}", digest=run_digest.run.report.compute_hash()
        )


def _join_channel_names(channels: Sequence[str], translator: Translator) -> str:
    separator = "، " if translator.language == "ar" else ", "
    return separator.join(map(translator.channel_name, channels))


def _build_list_item(
    change: GapChange, frame: MessageFrame, translator: Translator
) -> MessageListItem:
    gap, association = change.gap, change.association
    voice = Voice.COORDINATOR if change.is_open else Voice.FIXED
    title = translator.gap_title(gap.code, gap.channel, voice)
    return MessageListItem(
        translator.translate(
            "{association}: {point}",
            association=association.display_name(translator.language),
            point=title,
        ),
        url=frame.get_association_url(translator, association.id),
    )


QUIET_PERIOD = timedelta(days=30)
"""How long a change of a gap is not announced again."""


@dataclass(frozen=True, slots=True)
class GapChange:
    """A gap that opened or closed, and when that is announced."""

    association: Association | AssociationSummary
    gap: Gap
    is_open: bool
    announced_at: datetime


@dataclass(frozen=True, slots=True)
class NetworkChanges:
    """The changes of all gaps up to a run."""

    run: AuditRun
    previous_run: AuditRun | None
    changes: tuple[GapChange, ...]
    open_gaps_by_region: Mapping[str | None, int]


def collect_network_changes(
    store: Store, config: Config, run: AuditRun, since: datetime | None = None
) -> NetworkChanges:
    """Return the changes that a digest of a run may announce.

    `since` is when the recipient got the last digest. If it is None or longer ago than
    QUIET_PERIOD, changes since the previous run are announced. A run that did not finish has no
    changes.
    """
    previous_run = store.runs.get_latest(AuditRunState.DONE, before_day=run.day)
    if run.state is not AuditRunState.DONE:
        return NetworkChanges(run, previous_run, (), {})
    if store.runs.get_latest_evaluated() != run:
        return _rebuild_network_changes(store, config, run, previous_run)
    refresh_summaries(store, config)
    histories = store.gap_search.list_gap_histories(_find_history_start(run, previous_run, since))
    changes: list[GapChange] = []
    for association, gaps in histories:
        changes += _list_gap_changes(association, gaps)
    return NetworkChanges(run, previous_run, tuple(changes), _count_open_gaps_by_region(store))


def _find_history_start(
    run: AuditRun, previous_run: AuditRun | None, since: datetime | None
) -> datetime | None:
    """Return the time from which gap histories are needed, or None for all.

    A change that is announced now may have happened QUIET_PERIOD ago.
    """
    if previous_run is None:
        return None
    oldest_announced = min(previous_run.started_at, run.started_at - QUIET_PERIOD)
    if since:
        oldest_announced = min(oldest_announced, since)
    return oldest_announced - QUIET_PERIOD


def _rebuild_network_changes(
    store: Store, config: Config, run: AuditRun, previous_run: AuditRun | None
) -> NetworkChanges:
    """Return the changes of a run that is not the newest: evaluate every association as of then."""
    changes: list[GapChange] = []
    open_gaps_by_region: Counter[str | None] = Counter()
    for view in iter_association_views(store, config, run.finished_at or run.started_at):
        changes += list_association_changes(view)
        open_gaps_by_region[view.association.region] += len(view.gaps)
    return NetworkChanges(run, previous_run, tuple(changes), open_gaps_by_region)


def _count_open_gaps_by_region(store: Store) -> dict[str | None, int]:
    """Return the number of open gaps by region; None counts associations without a region."""
    regions = store.counts.get_group_sizes("region", min_size=1)
    counts_by_group = store.counts.get_facet_counts_by_group(regions, ["has_gaps"])
    by_region: dict[str | None, int] = {}
    for group, counts in counts_by_group.items():
        by_region[group.partition(":")[2]] = counts.get("has_gaps", 0)
    total = store.counts.get_facet_counts(prefix="has_gaps").get("has_gaps", 0)
    return {**by_region, None: total - sum(by_region.values())}


def list_association_changes(view: AssociationView) -> Iterator[GapChange]:
    """Return all changes of an association that are ever announced. Waived gaps are left out."""
    return _list_gap_changes(view.association, view.reportable_gaps)


def _list_gap_changes(
    association: Association | AssociationSummary, gaps: Iterable[Gap]
) -> Iterator[GapChange]:
    rows_by_gap: dict[tuple[str, str, str], list[Gap]] = defaultdict(list)
    for gap in gaps:
        rows_by_gap[gap.channel, gap.subject, gap.code].append(gap)
    for rows in rows_by_gap.values():
        for gap, is_open, announced_at in _select_announcements(rows):
            yield GapChange(association, gap, is_open, announced_at)


def _select_announcements(gaps: Iterable[Gap]) -> Iterator[tuple[Gap, bool, datetime]]:
    """Yield what is announced about one gap: its row, True if it opened, and when.

    `gaps` are all rows of the same gap, one for each time it opened.
    """
    transitions = sorted(_list_transitions(gaps), key=lambda transition: transition[2])
    next_changes = [changed_at for _, _, changed_at in transitions[1:]]
    last_announced: dict[bool, datetime] = {}
    is_announced_open = False  # the reader knows of no such gap at first
    for (gap, is_open, changed_at), next_changed_at in zip_longest(transitions, next_changes):
        announced_at = changed_at
        if is_open in last_announced:
            announced_at = max(changed_at, last_announced[is_open] + QUIET_PERIOD)
        still_holds = next_changed_at is None or announced_at < next_changed_at
        if is_open is not is_announced_open and still_holds:
            is_announced_open = is_open
            last_announced[is_open] = announced_at
            yield gap, is_open, announced_at


def _list_transitions(gaps: Iterable[Gap]) -> Iterator[tuple[Gap, bool, datetime]]:
    """Yield each opening (True) and closing (False) of a gap with its time."""
    for gap in gaps:
        assert gap.opened_at is not None
        yield gap, True, gap.opened_at
        if gap.closed_at:
            yield gap, False, gap.closed_at


MAX_LISTED_CHANGES = 40
"""How many changes a message lists. Mail programs cut off longer ones."""


@dataclass(frozen=True, slots=True)
class Digest:
    """The changes from `since` to the start of a run for one recipient.

    `open_gap_count` counts all open gaps of the recipient's regions.
    """

    run: AuditRun
    since: datetime | None
    urgent: tuple[GapChange, ...] = ()
    new: tuple[GapChange, ...] = ()
    closed: tuple[GapChange, ...] = ()
    open_gap_count: int = 0
    unreliable_channels: tuple[str, ...] = ()

    @property
    def is_run_finished(self) -> bool:
        """Return True if the run has finished."""
        return self.run.state is AuditRunState.DONE

    @property
    def sections(self) -> tuple[tuple[str, tuple[GapChange, ...]], ...]:
        """Return the names and changes of the lists, with MAX_LISTED_CHANGES in all.

        Accounts that an association does not have yet come last: they must not crowd out what
        broke or was fixed.
        """
        lists = (
            ("urgent", self.urgent),
            ("new", tuple(filterfalse(_is_without_account, self.new))),
            ("fixed", self.closed),
            ("missing", tuple(filter(_is_without_account, self.new))),
        )
        sections = []
        remaining = MAX_LISTED_CHANGES
        for name, changes in lists:
            listed = changes[:remaining]
            sections.append((name, listed))
            remaining -= len(listed)
        return tuple(sections)

    @property
    def unlisted_count(self) -> int:
        """Return how many changes the message does not list."""
        return max(0, len(self.urgent) + len(self.new) + len(self.closed) - MAX_LISTED_CHANGES)


def _is_without_account(change: GapChange) -> bool:
    return get_gap_kind(change.gap) is GapKind.NO_ACCOUNT


def build_digest(
    network_changes: NetworkChanges,
    *,
    since: datetime | None = None,
    regions: Collection[str] = frozenset(),
) -> Digest | None:
    """Return the digest of a run for a recipient of these regions (of all, if empty).

    Return None if there is nothing to announce. `since` is when the recipient got the last digest
    (default: the start of the previous run). What changes during a run belongs to the next digest.
    """
    run, previous_run = network_changes.run, network_changes.previous_run
    if since is None and previous_run:
        since = previous_run.started_at
    changes = [
        change
        for change in network_changes.changes
        if (since is None or change.announced_at > since)
        and change.announced_at <= run.started_at
        and _is_in_regions(change.association.region, regions)
    ]
    previously_unreliable = previous_run.unreliable_channels if previous_run else ()
    newly_unreliable = set(run.unreliable_channels) - set(previously_unreliable)
    if not changes and not newly_unreliable and run.state is AuditRunState.DONE:
        return None
    latest_changes = sorted(_keep_latest_changes(changes), key=_get_list_position)
    hidden = set(_iter_hidden_gaps(latest_changes))
    urgent: list[GapChange] = []
    new: list[GapChange] = []
    closed: list[GapChange] = []
    for change in latest_changes:
        if change.is_open:
            (urgent if change.gap.severity == SEVERITIES[0] else new).append(change)
        elif _identify_gap(change) not in hidden:
            closed.append(change)
    return Digest(
        run=run,
        since=since,
        urgent=tuple(urgent),
        new=tuple(new),
        closed=tuple(closed),
        open_gap_count=_count_open_gaps(network_changes, regions),
        unreliable_channels=run.unreliable_channels,
    )


def _count_open_gaps(network_changes: NetworkChanges, regions: Collection[str]) -> int:
    gap_counts = network_changes.open_gaps_by_region
    return sum(gap_counts[region] for region in gap_counts if _is_in_regions(region, regions))


def _iter_hidden_gaps(changes: Iterable[GapChange]) -> Iterator[tuple[str, str, str]]:
    """Yield the gaps that new ones hide. That they closed is no good news."""
    for change in changes:
        if not change.is_open:
            continue
        association, channel, code = _identify_gap(change)
        for hidden_code in load_gap_catalogue()[code].hides:
            yield association, channel, hidden_code


def _identify_gap(change: GapChange) -> tuple[str, str, str]:
    return change.gap.association, change.gap.channel, change.gap.code


def _is_in_regions(region: str | None, regions: Collection[str]) -> bool:
    """Return True if a region is one of these in any spelling, or if `regions` is empty."""
    if not regions:
        return True
    region_keys = {find_region_code(spelling) or spelling for spelling in regions}
    return (find_region_code(region) or region) in region_keys


def _keep_latest_changes(changes: Collection[GapChange]) -> list[GapChange]:
    """Return the latest change of each gap: one that opened and closed again counts as closed."""
    latest: dict[tuple[str, str, str, str], GapChange] = {}
    for change in sorted(changes, key=lambda change: change.announced_at):
        gap = change.gap
        latest[gap.association, gap.channel, gap.subject, gap.code] = change
    return list(latest.values())


def _get_list_position(change: GapChange) -> tuple[int, str, str, str]:
    gap = change.gap
    return get_gap_rank(gap), gap.association, gap.channel, gap.code
