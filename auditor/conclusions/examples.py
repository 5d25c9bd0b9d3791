"""Examples of accounts that work: of associations that agreed to be shown, and of institutions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from itertools import islice
from operator import attrgetter

from auditor.conclusions.association_view import AccountView, AssociationView
from auditor.conclusions.network_view import load_association_view
from auditor.conclusions.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.conclusions.summary import find_groups
from auditor.config.schema import Config, ExampleSettings
from auditor.core.reference.gap_catalogue import get_gap_kind
from probes.models.finding import EARLIEST_DATETIME, Presence
from storage.models.audit import Association, GapKind
from storage.models.summaries import NETWORK_GROUP, ChannelStatus
from storage.store import Store

CONSENT_FACET = "answer:example:yes"
READ_CANDIDATES = 100
"""Associations of a group whose latest posts are compared."""
TRIED_CANDIDATES = 10
"""Of these, how many with the newest posts are looked at."""
DOUBTFUL_KINDS = frozenset({GapKind.BROKEN, GapKind.SILENT})
"""Kinds of problems that an example may have on no account of its channel."""
KEPT_EXAMPLES = 2
"""Examples of a group that are kept: one is for all others, and the second for that one."""


@dataclass(frozen=True, slots=True)
class Example:
    """An account that works, and who has it; `association_id` is empty for an institution."""

    owner: Association | ExampleSettings
    url: str
    association_id: str = ""


@dataclass
class ExampleFinder:
    """Finds examples for reports that are made now. It reads those of a group once."""

    store: Store
    config: Config
    _examples: dict[tuple[str, str], list[Example]] = field(default_factory=dict)

    def find(self, association: Association, channel: str) -> Example | None:
        """Return an example for an association, or None.

        It is of its region, else of a tag, else of the network, else an institution.
        """
        tags = find_groups(None, association.tags)
        region = find_groups(association.region, ()) if association.region else set()
        for group in (*region, *sorted(tags), NETWORK_GROUP):
            for example in self._load_examples(channel, group):
                if example.association_id != association.id:
                    return example
        for settings in self.config.examples:
            if settings.channel == channel:
                return Example(settings, settings.url)
        return None

    def _load_examples(self, channel: str, group: str) -> list[Example]:
        if (channel, group) not in self._examples:
            found = self._iter_examples(channel, group) if self._has_consent else iter(())
            self._examples[channel, group] = list(islice(found, KEPT_EXAMPLES))
        return self._examples[channel, group]

    @cached_property
    def _has_consent(self) -> bool:
        refresh_summaries(self.store, self.config, max_stale=MAX_STALE_WHILE_READING)
        return bool(self.store.counts.get_facet_counts(prefix=CONSENT_FACET))

    @cached_property
    def _run_started_at(self) -> datetime:
        run = self.store.runs.get_latest_evaluated()
        return run.started_at if run else EARLIEST_DATETIME

    def _iter_examples(self, channel: str, group: str) -> Iterator[Example]:
        """Yield the examples of a group, the latest post first, as they are now."""
        facets = {CONSENT_FACET, f"status:{channel}:{ChannelStatus.PRESENT}"} | ({group} - {""})
        rows = self.store.search.list_summaries(facets, limit=READ_CANDIDATES).rows
        posts = [(row.channels[channel].last_activity or date.min, row.id) for row in rows]
        for _, id_ in sorted(posts, reverse=True)[:TRIED_CANDIDATES]:
            view = load_association_view(self.store, self.config, id_)
            if view and (account := find_exemplary_account(view, channel, self._run_started_at)):
                yield Example(view.association, account.url, view.association.id)


def find_exemplary_account(
    view: AssociationView, channel: str, run_started_at: datetime
) -> AccountView | None:
    """Return the active account that the newest run saw, or None. Pure.

    Nothing on the channel may be broken, silent or to watch, and the association must agree.
    """
    consent = view.answers.get("example")
    if consent is None or consent.answer != "yes":
        return None
    doubtful = [gap for gap in view.gaps if get_gap_kind(gap) in DOUBTFUL_KINDS]
    if channel in map(attrgetter("channel"), (*doubtful, *view.watched_gaps)):
        return None
    for account in view.accounts_on(channel):
        is_seen = account.latest_presence is Presence.PRESENT and not account.is_attested
        is_new = account.checked_at is not None and account.checked_at >= run_started_at
        if is_seen and is_new and account.activity_band == "active":
            return account
    return None
