"""The digest: the changes of a run as a message to coordinators, most severe first.

A digest announces that the same gap opened, or closed, at most once in 30 days. A gap that opens
and closes repeatedly is announced once as opened and once as closed. If it changes again within 30
days, the change is announced when they are over, provided it still holds. This follows from the
history of the gap alone and does not depend on which messages were sent.

`collect_network_changes` reads the changes, `build_digest` selects those for one recipient, and
`digest_text` writes the message.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from operator import attrgetter

from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import Config
from auditor.core.i18n.translator import Translator
from auditor.core.reference.gap_catalogue import (
    SEVERITIES,
    Voice,
    get_gap_kind,
    get_gap_rank,
    load_gap_catalogue,
)
from auditor.core.reference.places import find_region_code
from auditor.core.rendering.templates import (
    MAX_SUBJECT_CHARS,
    MessageDocument,
    MessageLink,
    MessageListItem,
    WebAppLinks,
    shorten_subject,
)
from storage.models.audit import Association, AuditRun, AuditRunState, Gap, GapKind
from storage.models.summaries import AssociationSummary
from storage.store import Store

DIGEST_KIND = "digest"
MONTHLY_KIND = "monthly"
QUIET_PERIOD = timedelta(days=30)
"""How long a change of a gap is not announced again."""
MAX_LISTED_CHANGES = 40
"""How many changes a message lists. Mail programs cut off longer ones."""
MAX_NAME_CHARS = {"network": 20, "association": 12}
"""How much of the names a subject keeps if it is too long."""


@dataclass(frozen=True, slots=True)
class MessageFrame:
    """The parts that every message has: network name, address of the pages, unsubscribe link.

    `web_url` and `unsubscribe_url` are empty if there is none.
    """

    network_name: str
    web_url: str = ""
    unsubscribe_url: str = ""

    def build_unsubscribe_link(self, translator: Translator) -> MessageLink | None:
        """Return the link that ends the subscription, or None."""
        url = self.unsubscribe_url
        return (translator.translate("Unsubscribe"), url) if url else None


@dataclass(frozen=True, slots=True)
class GapChange:
    """A gap that opened or closed, and when that is announced."""

    association: Association | AssociationSummary
    gap: Gap
    is_open: bool
    announced_at: datetime


NetworkChanges = tuple[AuditRun, AuditRun | None, Sequence[GapChange], Mapping[str | None, int]]
"""A run, the one before it, the changes of all gaps, and the numbers of open gaps by region.

The region None counts associations without a region.
"""


def collect_network_changes(
    store: Store, config: Config, run: AuditRun, since: datetime | None = None
) -> NetworkChanges:
    """Return the changes that a digest of a run may announce.

    `since` is when the recipient got the last digest. If it is None or longer ago than
    QUIET_PERIOD, changes since the previous run are announced. A run that did not finish has no
    changes.
    """
    previous_run = store.runs.get_latest(AuditRunState.DONE, before_day=run.day)
    changes: list[GapChange] = []
    open_gaps_by_region: dict[str | None, int] = {}
    if run.state is AuditRunState.DONE:
        refresh_summaries(store, config)
        history_start = None
        if previous_run is not None:
            # A change that is announced now may have happened QUIET_PERIOD ago.
            times = (previous_run.started_at, run.started_at - QUIET_PERIOD, since)
            history_start = min(filter(None, times)) - QUIET_PERIOD
        for association, gaps in store.gap_search.list_gap_histories(history_start):
            changes += list_gap_changes(association, gaps)
        regions = store.counts.get_group_sizes("region", min_size=1)
        counts_by_region = store.counts.get_facet_counts_by_group(regions, ["has_gaps"])
        for group, counts in counts_by_region.items():
            open_gaps_by_region[group.partition(":")[2]] = counts.get("has_gaps", 0)
        total = store.counts.get_facet_counts(prefix="has_gaps").get("has_gaps", 0)
        open_gaps_by_region[None] = total - sum(open_gaps_by_region.values())
    return run, previous_run, changes, open_gaps_by_region


def list_gap_changes(
    association: Association | AssociationSummary, gaps: Iterable[Gap]
) -> Iterator[GapChange]:
    """Yield all changes of an association that are ever announced."""
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
    transitions: list[tuple[datetime, bool, Gap]] = []
    for gap in gaps:
        for is_open, changed_at in ((True, gap.opened_at), (False, gap.closed_at)):
            if changed_at is not None:
                transitions.append((changed_at, is_open, gap))
    transitions.sort(key=lambda transition: transition[0])
    next_changes = [changed_at for changed_at, _, _ in transitions[1:]]
    last_announced: dict[bool, datetime] = {}
    is_announced_open = False  # the reader knows of no such gap at first
    for (changed_at, is_open, gap), next_changed_at in zip_longest(transitions, next_changes):
        announced_at = changed_at
        if is_open in last_announced:
            announced_at = max(changed_at, last_announced[is_open] + QUIET_PERIOD)
        still_holds = next_changed_at is None or announced_at < next_changed_at
        if is_open is not is_announced_open and still_holds:
            is_announced_open = is_open
            last_announced[is_open] = announced_at
            yield gap, is_open, announced_at


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

    @property
    def is_run_finished(self) -> bool:
        """Return True if the run has finished."""
        return self.run.state is AuditRunState.DONE

    @property
    def change_count(self) -> int:
        """Return the number of changes."""
        return len(self.urgent) + len(self.new) + len(self.closed)

    def list_sections(self) -> list[tuple[str, list[GapChange]]]:
        """Return the names and changes of the lists, with MAX_LISTED_CHANGES in all.

        Accounts that an association does not have yet come last: they must not crowd out what
        broke or was fixed.
        """
        missing = [item for item in self.new if get_gap_kind(item.gap) is GapKind.NO_ACCOUNT]
        lists = {
            "urgent": self.urgent,
            "new": [change for change in self.new if change not in missing],
            "fixed": self.closed,
            "missing": missing,
        }
        sections, remaining = [], MAX_LISTED_CHANGES
        for name, changes in lists.items():
            sections.append((name, list(changes[:remaining])))
            remaining -= len(sections[-1][1])
        return sections


def build_digest(
    network_changes: NetworkChanges,
    *,
    since: datetime | None = None,
    regions: Collection[str] = frozenset(),
) -> Digest | None:
    """Return the digest of a run for a recipient of these regions (of all, if empty).

    Return None if there is nothing to announce. `since` is when the recipient got the last digest
    (default: the start of the previous run). What changes during a run belongs to the next digest.
    A gap that opened and closed again counts as closed. That a gap closed which a new one hides is
    no good news.
    """
    run, previous_run, all_changes, open_gaps_by_region = network_changes
    if since is None and previous_run:
        since = previous_run.started_at
    latest: dict[tuple[str, str, str, str], GapChange] = {}
    for change in sorted(all_changes, key=lambda change: change.announced_at):
        is_due = (since is None or change.announced_at > since) and (
            change.announced_at <= run.as_of
        )
        if is_due and _is_in_regions(change.association.region, regions):
            gap = change.gap
            latest[gap.association, gap.channel, gap.subject, gap.code] = change
    previously_unreliable = previous_run.unreliable_channels if previous_run else ()
    newly_unreliable = set(run.unreliable_channels) - set(previously_unreliable)
    if not latest and not newly_unreliable and run.state is AuditRunState.DONE:
        return None
    changes = sorted(
        latest.values(),
        key=lambda change: (
            get_gap_rank(change.gap),
            *attrgetter("gap.association", "gap.channel", "gap.code")(change),
        ),
    )
    opened = [change for change in changes if change.is_open]
    hidden = {
        (change.gap.association, change.gap.channel, hidden_code)
        for change in opened
        for hidden_code in load_gap_catalogue()[change.gap.code].hides
    }
    closed = (
        change
        for change in changes
        if not change.is_open
        and (change.gap.association, change.gap.channel, change.gap.code) not in hidden
    )
    return Digest(
        run=run,
        since=since,
        urgent=tuple(change for change in opened if change.gap.severity == SEVERITIES[0]),
        new=tuple(change for change in opened if change.gap.severity != SEVERITIES[0]),
        closed=tuple(closed),
        open_gap_count=sum(
            count
            for region, count in open_gaps_by_region.items()
            if _is_in_regions(region, regions)
        ),
    )


def _is_in_regions(region: str | None, regions: Collection[str]) -> bool:
    """Return True if a region is one of these in any spelling, or if `regions` is empty."""
    region_keys = {find_region_code(spelling) or spelling for spelling in regions}
    return not regions or (find_region_code(region) or region) in region_keys


def digest_subject(digest: Digest, network_name: str, translator: Translator) -> str:
    """Return the subject line with the numbers of changes.

    Long names in it are shortened, so a phone shows the numbers.
    """
    names = {"network": network_name, "association": ""}
    if digest.urgent:
        first_association = digest.urgent[0].association
        names["association"] = first_association.display_name(translator.language)
    if len(_write_subject(digest, names, translator)) > MAX_SUBJECT_CHARS:
        names = {part: shorten_subject(name, MAX_NAME_CHARS[part]) for part, name in names.items()}
    return shorten_subject(_write_subject(digest, names, translator))


def _write_subject(digest: Digest, names: Mapping[str, str], translator: Translator) -> str:
    network = names["network"]
    if not digest.is_run_finished:
        key = "digest.subject.incomplete"
        return translator.message(key, network=network, date=digest.run.day)
    counts = {"urgent": len(digest.urgent), "new": len(digest.new), "fixed": len(digest.closed)}
    subject = ""
    for kind, count in counts.items():
        if count and not subject:
            subject = translator.message(f"digest.subject.{kind}", n=count, **names)
        elif count:
            subject += translator.message(f"digest.subject.plus_{kind}", n=count)
    channels = _join_unreliable_channels(digest, translator)
    return subject or translator.message(
        "digest.subject.unreliable", network=network, channels=channels
    )


def _join_unreliable_channels(digest: Digest, translator: Translator) -> str:
    names = translator.join_list(map(translator.channel_name, digest.run.unreliable_channels))
    return str(names)  # one fact, which is isolated as a whole


def digest_text(digest: Digest, frame: MessageFrame, translator: Translator) -> MessageDocument:
    """Return the whole message."""
    headings = {
        "urgent": translator.translate("New urgent problems"),
        "new": translator.translate("New problems"),
        "fixed": translator.translate("Fixed problems"),
        "missing": translator.translate("No known website or account"),
    }
    page_url = frame.web_url and frame.web_url + WebAppLinks(translator.language).page_url("")
    footer = [
        translator.translate(
            "You get this email because you follow {network}.", network=frame.network_name
        )
    ]
    if digest.is_run_finished:  # its hash shows later whether the run report was changed
        report_hash = digest.run.report.compute_hash()
        footer.append(
            translator.translate("Fingerprint of this run report: {digest}", digest=report_hash)
        )
    return MessageDocument(
        title=translator.translate("{network}: what’s new", network=frame.network_name),
        intro=tuple(_generate_intro(digest, translator)),
        sections=tuple(
            (
                headings[name],
                tuple(_build_list_item(change, frame, translator) for change in changes),
            )
            for name, changes in digest.list_sections()
            if changes
        ),
        closing=tuple(_generate_closing(digest, translator)),
        links=((translator.translate("See everything"), page_url),) if page_url else (),
        footer=tuple(footer),
        unsubscribe_link=frame.build_unsubscribe_link(translator),
    )


def _generate_intro(digest: Digest, translator: Translator) -> Iterator[str]:
    day = digest.run.day
    if digest.run.has_crashed:
        yield translator.translate(
            "The check of {date} failed because of an error in the program. Nothing was "
            "concluded; the log has the details.",
            date=day,
        )
    elif not digest.is_run_finished:
        yield translator.translate(
            "The check of {date} did not finish. Its results are kept and the next run "
            "continues it.",
            date=day,
        )
    elif digest.since:
        yield translator.translate("Changes from {since} to {date}:", since=digest.since, date=day)
    else:
        yield translator.translate("Results of the check of {date}:", date=day)
    if digest.is_run_finished and not digest.change_count:
        yield translator.translate("No new problems, none fixed.")


def _generate_closing(digest: Digest, translator: Translator) -> Iterator[str]:
    unlisted_count = digest.change_count - MAX_LISTED_CHANGES
    if unlisted_count > 0:
        yield translator.translate_plural("{n} more change.", "{n} more changes.", unlisted_count)
    if digest.run.unreliable_channels:
        yield translator.translate(
            "Couldn’t be checked: {channels}. Nothing changed there.",
            channels=_join_unreliable_channels(digest, translator),
        )
    if digest.is_run_finished:
        yield translator.translate_plural(
            "{n} open problem in total.", "{n} open problems in total.", digest.open_gap_count
        )


def _build_list_item(
    change: GapChange, frame: MessageFrame, translator: Translator
) -> MessageListItem:
    gap, association = change.gap, change.association
    voice: Voice = "coordinator" if change.is_open else "fixed"
    links = WebAppLinks(translator.language)
    return MessageListItem(
        translator.translate(
            "{association}: {point}",
            association=association.display_name(translator.language),
            point=translator.gap_title(gap.code, gap.channel, voice),
        ),
        url=frame.web_url and frame.web_url + links.association_url(association.id),
    )
