"""Summaries of associations for lists, figures of the network, and filters. Pure.

A summary is derived from the view of an association and evaluates nothing itself. Every figure of a
channel, on pages, in exports and in the trend, counts the status that `summarize_channel` returns.
Lists, exports and meeting packs use the same filter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from operator import itemgetter

from auditor.conclusions.association_view import (
    OFFICER_QUESTION,
    REGISTRY,
    AccountView,
    AssociationView,
)
from auditor.config.schema import Config
from auditor.core.reference.gap_catalogue import get_gap_kind, get_gap_rank
from auditor.core.reference.places import find_region_code, list_region_names, list_town_names
from auditor.registry.columns import normalize_label
from probes.links.channel_registry import is_optional_channel
from probes.models.finding import FactValue, LinkKind
from probes.text.language import fold_text
from storage.models.audit import (
    SEVERITIES,
    AccountState,
    Association,
    Gap,
    GapKind,
    compute_gap_rank,
)
from storage.models.summaries import (
    TITLE_PARAMS,
    WATCH_FACET,
    AssociationSummary,
    ChannelStatus,
    ChannelSummary,
    OpenGap,
    SummaryRecord,
)

ARABIC_PREFIXES = ("ولل", "وال", "بال", "كال", "فال", "ال", "لل")
"""The article, alone and joined with "and", "in", "like", "so" and "for". The longest are first."""


def build_summary_record(
    view: AssociationView, channels: Iterable[str], valid_until: date | None = None
) -> SummaryRecord:
    """Return the record of a view to store, for these audited channels and until `valid_until`."""
    summary = build_summary(view, channels)
    # The openings and closings of gaps by day and code, and the open gaps by kind.
    changes: Counter[str] = Counter()
    for change, changed_at, gap in view.iter_gap_changes():
        changes[f"{change}:{changed_at.date()}:{gap.code}@{gap.channel}"] += 1
    for gap in view.gaps:
        changes[f"open:{get_gap_kind(gap)}"] += 1
    # How fast problems are fixed, by who runs the channels.
    if officer := summary.answers.get(OFFICER_QUESTION):
        for gap in view.reportable_gaps:
            opened_at = gap.opened_at or gap.first_seen
            is_fixed = gap.closed_at is not None and gap.closed_at - opened_at <= FIXING_PERIOD
            changes[f"fixed:{opened_at.date()}:{officer}:{'yes' if is_fixed else 'no'}"] += 1
    return SummaryRecord(
        summary=summary,
        facets=build_facets(summary),
        urgency=compute_urgency_rank(summary.gaps),
        sort_name=" ".join(normalize_words(summary.name)),
        search_terms=tuple(sorted(extract_search_words(summary))),
        reportable_gap_ranks={
            gap.id: get_gap_rank(gap) for gap in view.reportable_gaps if gap.id is not None
        },
        visible_gap_ids=frozenset(gap.id for gap in view.gaps if gap.id is not None),
        gap_change_counts=changes,
        valid_until=valid_until,
    )


def build_summary(view: AssociationView, channels: Iterable[str]) -> AssociationSummary:
    """Return the summary of a view."""
    association, score = view.association, view.score
    change_times = [changed_at for _, changed_at, _ in view.iter_gap_changes()]
    return AssociationSummary(
        id=association.id,
        name=association.name,
        name_ar=association.name_ar,
        name_fr=association.name_fr,
        region=association.region,
        city=association.city,
        language=association.language,
        tags=association.tags,
        level=score.level,
        channels={channel: summarize_channel(view, channel) for channel in channels},
        gaps=tuple(map(_summarize_gap, view.gaps)),
        watched=tuple(map(_summarize_gap, view.watched_gaps)),
        proposal_count=len(view.proposals),
        answers={question: row.answer for question, row in view.answers.items()},
        is_officer_registered=any(row.author == REGISTRY for row in view.answers.values()),
        unchecked=(
            *view.iter_unknown_checks(),
            *((gap.channel, "unconfirmed") for gap in view.watched_gaps),
        ),
        changed_at=max(change_times, default=None),
        is_checked=view.is_checked,
    )


def _summarize_gap(gap: Gap) -> OpenGap:
    first_seen = gap.first_seen.replace(microsecond=0)  # lists show the day
    params = select_title_params(gap.params)
    return OpenGap(gap.code, gap.channel, gap.severity, first_seen, params)


STATUSES_BY_WEIGHT = (
    ChannelStatus.PRESENT,
    ChannelStatus.SILENT,
    ChannelStatus.ATTESTED,
    ChannelStatus.BY_CHOICE,
    ChannelStatus.UNKNOWN,
    ChannelStatus.NOT_CHECKED,
    ChannelStatus.BROKEN,
    ChannelStatus.NONE,
)
"""The first status of its accounts, or of its choice, is that of an association on a channel."""
STATUS_GROUPS = {
    "declared": frozenset(ChannelStatus) - {ChannelStatus.NONE, ChannelStatus.BY_CHOICE},
    "seen": frozenset({ChannelStatus.PRESENT, ChannelStatus.SILENT}),
}
"""Groups of statuses that filters select together: an account is registered, or seen to work."""
FIXING_PERIOD = timedelta(days=90)
"""How soon a problem must be fixed to count as such in the comparison of the survey."""
NO_ANSWER_FACET = "answer:none"
"""The facet of associations that have answered no question of the survey."""
STATUS_BY_STATE = {
    AccountState.PRESENT: ChannelStatus.PRESENT,
    AccountState.UNKNOWN: ChannelStatus.UNKNOWN,
    AccountState.GONE: ChannelStatus.BROKEN,
}
POSSIBLE_ACCOUNT_KINDS = {LinkKind.SHORT_LINK, LinkKind.INVALID}
"""Kinds of links without a key that may lead to an account all the same."""


def summarize_channel(view: AssociationView, channel: str) -> ChannelSummary:
    """Return the status of an association on one channel, and its last activity there.

    The best account decides, then the open gaps of the channel as a whole.
    """
    accounts = view.accounts_on(channel)
    statuses = [find_account_status(view, account) for account in accounts]
    possible_statuses = {ChannelStatus.NONE, *statuses}
    if channel in view.none_by_choice:
        possible_statuses.add(ChannelStatus.BY_CHOICE)
    if channel in view.moved_channels:
        possible_statuses.add(ChannelStatus.UNKNOWN)
    best_status = min(possible_statuses, key=STATUSES_BY_WEIGHT.index)
    activity_days = [
        account.last_activity.published_at.date()
        for account, status in zip(accounts, statuses, strict=True)
        if status is best_status and account.last_activity
    ]
    gaps = (gap for gap in view.gaps if gap.channel == channel and not view.find_account(gap))
    return ChannelSummary(apply_open_gaps(best_status, gaps), max(activity_days, default=None))


def find_account_status(view: AssociationView, account: AccountView) -> ChannelStatus:
    """Return the status of an account: its open gaps decide, then its state."""
    status = ChannelStatus.ATTESTED if account.is_attested else STATUS_BY_STATE[account.state]
    if account.key is None and account.kind not in POSSIBLE_ACCOUNT_KINDS:
        status = ChannelStatus.NONE
    # A run cannot check an invalid link.
    elif status is ChannelStatus.UNKNOWN and account.kind is not LinkKind.INVALID:
        status = status if account.checked_at else ChannelStatus.NOT_CHECKED
    return apply_open_gaps(status, (gap for gap in view.gaps if view.find_account(gap) is account))


def apply_open_gaps(status: ChannelStatus, gaps: Iterable[Gap]) -> ChannelStatus:
    """Return the status that open gaps give a channel or account with this status without them."""
    kinds = set(map(get_gap_kind, gaps))
    if GapKind.BROKEN in kinds:
        return ChannelStatus.BROKEN
    if GapKind.SILENT in kinds and status is ChannelStatus.PRESENT:
        return ChannelStatus.SILENT
    return status


def select_title_params(params: Mapping[str, FactValue]) -> dict[str, FactValue]:
    """Return the parameters of a gap that its title uses."""
    return {name: value for name, value in params.items() if name in TITLE_PARAMS}


def build_facets(summary: AssociationSummary) -> dict[str, int]:
    """Return the strings that find an association, with their weight in counts."""
    facets = dict.fromkeys(_iter_facets(summary), 1)
    if summary.proposal_count:
        facets["has_proposals"] = summary.proposal_count
    if summary.gaps:
        facets["has_gaps"] = len(summary.gaps)
    elif summary.is_checked and f"any:{ChannelStatus.NOT_CHECKED}" not in facets:
        facets["no_gaps"] = 1
    else:
        facets["not_checked"] = 1
    return facets


def _iter_facets(summary: AssociationSummary) -> Iterator[str]:
    yield f"level:{summary.level}"
    yield from find_groups(summary.region, summary.tags)
    if summary.city:
        yield f"city:{summary.city}"
    yield from _iter_status_facets(summary)
    yield from _iter_answer_facets(summary)
    for gap in summary.gaps:
        for facet in (f"kind:{get_gap_kind(gap)}", f"gap:{gap.code}"):
            yield facet
            yield f"{facet}@{gap.channel}"
        yield f"gap_channel:{gap.channel}"
    if summary.watched and not any(get_gap_kind(gap) is GapKind.BROKEN for gap in summary.gaps):
        yield WATCH_FACET


def _iter_status_facets(summary: AssociationSummary) -> Iterator[str]:
    for channel, channel_summary in summary.channels.items():
        status = channel_summary.status
        yield f"status:{channel}:{status}"
        for name, statuses in STATUS_GROUPS.items():
            if status in statuses:
                yield f"status:{channel}:{name}"
        # On an optional channel nothing is missing.
        if status is not ChannelStatus.NONE or not is_optional_channel(channel):
            yield f"any:{status}"
    for channel, reason in summary.unchecked:
        unchecked_channel = summary.channels.get(channel)
        if reason and unchecked_channel and unchecked_channel.status is ChannelStatus.UNKNOWN:
            yield f"unchecked:{channel}:{reason}"


def _iter_answer_facets(summary: AssociationSummary) -> Iterator[str]:
    for question, answer in summary.answers.items():
        yield f"answer:{question}:{answer}"
    if summary.is_officer_registered:
        yield f"answer:{OFFICER_QUESTION}:{REGISTRY}"
    # The association gave all answers but that of the registry.
    if len(summary.answers) - summary.is_officer_registered == 0:
        yield NO_ANSWER_FACET


def find_groups(region: str | None, tags: Iterable[str]) -> set[str]:
    """Return the groups of an association besides the network."""
    groups = {f"tag:{tag}" for tag in tags}
    if region:
        groups.add(f"region:{get_region_key(region)}")
    return groups


def get_region_key(region: str) -> str:
    """Return the key of a region: the code of an official region, or the typed text."""
    return find_region_code(region) or region


def compute_urgency_rank(gaps: Iterable[Gap | OpenGap]) -> int:
    """Return a rank that is lower for more gaps of the first kind and severity, and so on.

    The rank has one decimal digit for each kind and severity: 9 without such gaps, down to 0. Gaps
    of optional channels do not count.
    """
    counts = Counter(get_gap_rank(gap) for gap in gaps if not is_optional_channel(gap.channel))
    rank = 0
    for kind, severity in product(GapKind, SEVERITIES[:-1]):  # the last one is of statuses
        rank = rank * 10 + 9 - min(counts[compute_gap_rank(kind, severity)], 9)
    return rank


def extract_search_words(summary: AssociationSummary | Association) -> set[str]:
    """Return the search words of names, id and tags, and of town and region in all languages.

    Arabic words are also there without their article.
    """
    texts = (
        *(summary.id, summary.name, summary.name_ar, summary.name_fr),
        *list_town_names(summary.city),
        *list_region_names(summary.region),
        *summary.tags,
    )
    words: set[str] = set()
    for text in filter(None, texts):
        words.update(normalize_words(text))
    return words.union(map(strip_article, words))


def parse_search_query(text: str) -> set[str]:
    """Return the words of a search; each must be the beginning of a word of the association."""
    return set(map(strip_article, normalize_words(text)))


def normalize_words(text: str) -> list[str]:
    """Return the words without case, accents, vowel marks and letter variants."""
    return normalize_label(fold_text(text)).split()


def strip_article(word: str) -> str:
    """Return an Arabic word without its article, unless only a letter would remain."""
    for prefix in ARABIC_PREFIXES:
        if word.startswith(prefix) and len(word) > len(prefix) + 1:
            return word.removeprefix(prefix)
    return word


def is_search_match(summary: AssociationSummary | Association, search_words: Iterable[str]) -> bool:
    """Return True if every search word is the beginning of a word of the association."""
    own_words = extract_search_words(summary)
    for search_word in search_words:
        if not any(word.startswith(search_word) for word in own_words):
            return False
    return True


BAR_STATUSES = (
    ChannelStatus.PRESENT,
    ChannelStatus.SILENT,
    ChannelStatus.ATTESTED,
    ChannelStatus.UNKNOWN,
    ChannelStatus.BROKEN,
)
"""The statuses that a bar shows, from its start. The rest of the bar is empty."""


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """Numbers of associations on one channel by status; the sum is the size of the network.

    `reasons` are why the channel could not be checked, the most frequent first; an association
    with several accounts may count in several. `survey` is the percentage in the survey:
    associations as they see themselves.
    """

    channel: str
    counts: Mapping[ChannelStatus, int]
    reasons: tuple[tuple[str, int], ...] = ()
    survey: float | None = None

    @property
    def association_count(self) -> int:
        """Return the number of all associations."""
        return sum(self.counts.values())

    @property
    def confirmed_count(self) -> int:
        """Return the number of associations whose account was seen to work, silent or not."""
        return self.counts[ChannelStatus.PRESENT] + self.counts[ChannelStatus.SILENT]

    @property
    def low(self) -> float:
        """Return the coverage: the percentage of associations whose account was seen to work."""
        return to_percent(self.confirmed_count, self.association_count)

    @property
    def high(self) -> float:
        """Return the percentage if every account that was not seen and is not broken worked."""
        unseen = (ChannelStatus.ATTESTED, ChannelStatus.UNKNOWN, ChannelStatus.NOT_CHECKED)
        possible_count = self.confirmed_count + sum(self.counts[status] for status in unseen)
        return to_percent(possible_count, self.association_count)

    @property
    def is_optional(self) -> bool:
        """Return True for a channel that no association is expected to have."""
        return is_optional_channel(self.channel)

    @property
    def is_shown(self) -> bool:
        """Return False for an optional channel on which no association has an account."""
        without = self.counts[ChannelStatus.NONE] + self.counts[ChannelStatus.BY_CHOICE]
        return not self.is_optional or without < self.association_count

    @property
    def segments(self) -> list[tuple[ChannelStatus, float, float]]:
        """Return the parts of the bar that are not empty: status, start and width in percent."""
        segments, start = [], 0.0
        for status in BAR_STATUSES:
            width = to_percent(self.counts[status], self.association_count)
            if width:
                segments.append((status, round(start, 1), width))
            start += width
        return segments


def build_channel_figures(counts: Mapping[str, int], config: Config) -> tuple[ChannelFigures, ...]:
    """Return the figures of each channel in the order of the configuration.

    `counts` are the counts of the facets of a group.
    """
    figures = []
    for channel in config.channels:
        statuses = {status: counts.get(f"status:{channel}:{status}", 0) for status in ChannelStatus}
        prefix = f"unchecked:{channel}:"
        reasons = [
            (facet.removeprefix(prefix), count)
            for facet, count in counts.items()
            if facet.startswith(prefix)
        ]
        reasons.sort(key=lambda reason: (-reason[1], reason[0]))
        survey = config.survey.figures.get(channel)
        figures.append(ChannelFigures(channel, statuses, tuple(reasons), survey))
    return tuple(figures)


def compute_channel_figures(
    views: Iterable[AssociationView], config: Config
) -> tuple[ChannelFigures, ...]:
    """Return the figures of each channel from the views of all associations."""
    counts: Counter[str] = Counter()
    for view in views:
        counts.update(build_facets(build_summary(view, config.channels)))
    return build_channel_figures(counts, config)


def to_percent(part: int, whole: int) -> float:
    """Return a share in percent with one decimal; 0 if the whole is 0."""
    return round(100 * part / whole, 1) if whole else 0.0


NO_GAPS = "none"
"""The value of a filter by kind that selects associations without problems."""


@dataclass(frozen=True, slots=True)
class AssociationFilter:
    """A filter of associations; an empty text does not filter.

    `gap_kind` is the kind and `gap` the code of an open gap. `state` is a `ChannelStatus`, or with
    a channel a group of them (`STATUS_GROUPS`). With a channel all three are about it, else about
    any channel. `NO_GAPS` as `gap_kind` is about all channels. `channel` alone selects associations
    with an open gap on it. `reason` is why the channel could not be checked; without a channel it
    selects nothing. `answer` is a question of the survey and an answer (`training:yes`), or `none`
    for associations without any. `q` are beginnings of words of the names, the id, town, region or
    tags.
    """

    region: str = ""
    tag: str = ""
    level: str = ""
    gap_kind: str = ""
    gap: str = ""
    channel: str = ""
    state: str = ""
    reason: str = ""
    answer: str = ""
    q: str = ""

    def select_views(
        self, views: Iterable[AssociationView], channels: Iterable[str]
    ) -> Iterator[AssociationView]:
        """Yield the matching associations."""
        audited = list(channels)
        return (view for view in views if self.is_match(build_summary(view, audited)))

    def is_match(self, summary: AssociationSummary) -> bool:
        """Return True if an association matches."""
        return self.facets <= build_facets(summary).keys() and is_search_match(
            summary, self.search_words
        )

    @property
    def facets(self) -> frozenset[str]:
        """Return the facets that an association must have.

        What is about a channel is about any channel if none is given.
        """
        status, suffix = "any", ""
        if self.channel:
            status, suffix = f"status:{self.channel}", f"@{self.channel}"
        of_channel = {
            (status, self.state, ""),
            (f"unchecked:{self.channel}", self.reason, ""),
            ("kind", self.gap_kind, suffix),
            ("gap", self.gap, suffix),
        }
        of_any = {
            ("region", get_region_key(self.region), ""),
            ("tag", self.tag, ""),
            ("level", self.level, ""),
            ("answer", self.answer, ""),
        }
        facets = {f"{name}:{value}{suffix}" for name, value, suffix in of_any | of_channel if value}
        if self.gap_kind == NO_GAPS:
            facets = facets - {f"kind:{NO_GAPS}{suffix}"} | {"no_gaps"}
        if self.channel and not any(map(itemgetter(1), of_channel)):
            facets.add(f"gap_channel:{self.channel}")
        return frozenset(facets)

    @property
    def search_words(self) -> set[str]:
        """Return the normalised search words."""
        return parse_search_query(self.q)
