"""Format the network summary and the report of an association as plain text for a terminal.

The module also selects the strengths and the general advice that every form of a report shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter

from auditor.config.schema import Config
from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.evaluation.network_view import NetworkOverview
from auditor.evaluation.summary import Coverage
from auditor.i18n.translator import EMPTY_VALUE, GapText, MessageValue, Translator
from auditor.reference.gap_catalogue import Voice, load_gap_catalogue
from auditor.rules.domain_expiry import DomainExpiry
from auditor.rules.engine import was_closed_since, was_opened_since
from probes.models.finding import LinkKind, Presence, Reason
from storage.models.audit import AccountState, Gap
from storage.models.summaries import ChannelStatus

MAX_DETAILED_GAPS = 5
"""Number of gaps described in full. People do not start on a longer list (see docs/decisions)."""

PUBLISHING_BANDS = ("active", "slow")
"""Bands of accounts that still publish. Only for them the publication rhythm is shown."""


def format_terminal_report(
    overview: NetworkOverview, config: Config, association_id: str | None, language: str | None
) -> str:
    """Return the report of an association, or the network summary if `association_id` is None.

    The default language is that of the association, and English for the summary.
    """
    if association_id is None:
        return format_network_summary(overview, Translator(language or "en"), config)
    view = overview.find_association(association_id)
    assert view is not None, association_id
    return format_association_report(view, overview.as_of, language)


def format_association_report(view: AssociationView, as_of: datetime, language: str | None) -> str:
    """Return the report of an association, by default in its language."""
    translator = Translator(language or view.association.language)
    return "\n".join(_generate_report_lines(view, as_of, translator))


def format_network_summary(
    overview: NetworkOverview, translator: Translator, config: Config
) -> str:
    """Return coverage compared with the survey, new and fixed problems, and unknown accounts."""
    parts = [
        _format_headline(overview, config, translator),
        _format_table(_build_coverage_rows(overview.coverage, translator)),
        translator.translate(
            "The survey asked about 160 people; we check associations. Compare with caution."
        ),
        _format_gap_changes(
            translator.translate("New problems"),
            overview.opened_gaps,
            Voice.COORDINATOR,
            translator,
        ),
        _format_gap_changes(
            translator.translate("Fixed problems"), overview.closed_gaps, Voice.FIXED, translator
        ),
        _format_unknown_counts(overview, translator),
    ]
    return "\n\n".join(filter(None, parts))


def _format_headline(overview: NetworkOverview, config: Config, translator: Translator) -> str:
    name = config.network.display_name(translator.language)
    as_of = translator.translate("On {date}", date=overview.as_of)
    return f"{name} · {as_of}"


def _build_coverage_rows(
    coverages: Iterable[Coverage], translator: Translator
) -> Iterator[tuple[str, ...]]:
    yield (
        translator.translate("Channel"),
        translator.translate("Status"),
        translator.translate("Number"),
        translator.translate("Survey"),
    )
    for coverage in coverages:
        if not coverage.is_shown:
            continue
        survey = EMPTY_VALUE
        if coverage.survey is not None:
            survey = translator.format_percent(coverage.survey / 100)
        yield (
            translator.channel_name(coverage.channel),
            format_coverage_interval(coverage, translator),
            f"{coverage.confirmed}/{coverage.associations}",
            survey,
        )


def format_coverage_interval(channel_coverage: Coverage, translator: Translator) -> str:
    """Return the confirmed and the possible share, as "31 % – 35 %".

    Return one figure if both are equal.
    """
    low = translator.format_percent(channel_coverage.low / 100)
    high = translator.format_percent(channel_coverage.high / 100)
    return low if low == high else f"{low} – {high}"


def _format_gap_changes(
    title: str, gaps: Iterable[Gap], voice: Voice, translator: Translator
) -> str:
    counts_by_title = Counter(translator.gap_title(gap.code, gap.channel, voice) for gap in gaps)
    if not counts_by_title:
        return translator.format_pair(title, translator.translate("None"))
    return f"{title}\n{_format_counts(counts_by_title.most_common())}"


def _format_counts(labelled_counts: Iterable[tuple[str, int]]) -> str:
    rows = [(str(count), label) for label, count in labelled_counts]
    return _format_table(rows, align_first_right=True)


def _format_unknown_counts(overview: NetworkOverview, translator: Translator) -> str:
    title = translator.translate("Couldn’t be checked")
    if not overview.unknown_counts:
        return translator.format_pair(title, translator.translate("None"))
    ranked = sorted(
        overview.unknown_counts.items(), key=lambda pair: (-pair[1], pair[0][0], str(pair[0][1]))
    )
    counts = []
    for (channel, reason), count in ranked:
        cause = translator.term("cause", str(reason))
        label = translator.format_pair(translator.channel_name(channel), cause)
        counts.append((label, count))
    return f"{title}\n{_format_counts(counts)}"


def _format_table(rows: Iterable[tuple[str, ...]], *, align_first_right: bool = False) -> str:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = list(map(str.ljust, row, widths))
        if align_first_right:
            cells[0] = row[0].rjust(widths[0])
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def _generate_report_lines(
    view: AssociationView, as_of: datetime, translator: Translator
) -> Iterator[str]:
    yield view.association.display_name(translator.language)
    yield translator.translate("On {date}", date=as_of)
    yield translator.label("ui", "not_judgement")
    strengths = describe_strengths(list_strengths(view, as_of), translator)
    yield from _generate_strength_lines(list(strengths), translator)
    yield from _generate_gap_lines(view, translator)
    yield from _generate_account_lines(view, translator)
    yield from _generate_unchecked_lines(view, translator)


def _generate_strength_lines(sentences: list[str], translator: Translator) -> Iterator[str]:
    if sentences:
        yield ""
        yield translator.label("ui", "strengths")
        for sentence in sentences:
            yield f"  + {sentence}"


def describe_strengths(strengths: Iterable[Strength], translator: Translator) -> Iterator[str]:
    """Yield a sentence for each strength."""
    for strength in strengths:
        facts: dict[str, MessageValue] = dict(strength.facts)
        if strength.code:
            facts["title"] = translator.gap_title(strength.code, strength.channel, Voice.FIXED)
        yield translator.label("strength", strength.label, **facts)


def _generate_gap_lines(view: AssociationView, translator: Translator) -> Iterator[str]:
    if not view.gaps:
        return
    yield ""
    yield translator.label("ui", "todo")
    for number, gap in enumerate(view.gaps[:MAX_DETAILED_GAPS], 1):
        gap_text = describe_gap(gap, translator)
        yield ""
        yield f"{number}. {gap_text.title} [{gap_text.severity}]"
        if account_url := view.distinguishing_url(gap):
            yield f"   {account_url}"
        yield f"   {gap_text.why}"
        yield f"   {gap_text.evidence}"
        yield f"   {translator.format_pair(translator.label('ui', 'who'), gap_text.actor)}"
        yield f"   {translator.format_pair(translator.label('ui', 'time'), gap_text.effort)}"
        for step in gap_text.steps:
            yield f"   ☐ {step}"
    yield from _generate_further_gap_lines(view.gaps[MAX_DETAILED_GAPS:], translator)


def _generate_further_gap_lines(gaps: Iterable[Gap], translator: Translator) -> Iterator[str]:
    titles = list_gap_titles(gaps, translator)
    if titles:
        yield ""
        yield translator.translate("More to improve")
        for title in titles:
            yield f"  - {title}"


def list_gap_titles(gaps: Iterable[Gap], translator: Translator) -> list[str]:
    """Return the titles of gaps for the association."""
    return [translator.gap_title(gap.code, gap.channel, Voice.ASSOCIATION) for gap in gaps]


def describe_gap(gap: Gap, translator: Translator) -> GapText:
    """Return the texts of a gap for the association."""
    return translator.describe_gap(
        gap.code, gap.channel, gap.severity, gap.params, Voice.ASSOCIATION
    )


def describe_unchecked(view: AssociationView, translator: Translator) -> list[GapText]:
    """Return the texts of what could not be checked, for the association."""
    texts = []
    for item in view.unchecked:
        voice = Voice.ASSOCIATION
        texts.append(translator.describe_gap(item.code, item.channel, "info", item.params, voice))
    return texts


def _generate_account_lines(view: AssociationView, translator: Translator) -> Iterator[str]:
    if not view.accounts:
        return
    yield ""
    yield translator.translate("Accounts")
    for account in view.accounts:
        state = describe_account_state(account, translator)
        line = translator.format_pair(translator.channel_name(account.channel), state)
        yield f"  - {line} · {account.url}"
        publication = describe_latest_publication(account, translator)
        source = describe_activity_source(account, translator)
        latest_post = " · ".join([publication, *source])
        latest_post_label = translator.translate("Latest post")
        yield f"    {translator.format_pair(latest_post_label, latest_post)}"
        if link_status := describe_link_status(account, translator):
            links_label = translator.translate("Links")
            yield f"    {translator.format_pair(links_label, link_status)}"
        if account.domain_expiry is not None:
            domain_label = translator.translate("Domain name")
            expiry = _describe_domain_expiry(account.domain_expiry, translator)
            yield f"    {translator.format_pair(domain_label, expiry)}"


def _describe_domain_expiry(expiry: DomainExpiry, translator: Translator) -> str:
    """Return when a domain expires, as the macro `domain_expiry` of the pages does."""
    parts = [expiry.domain]
    if expiry.expires_on is not None:
        if expiry.has_expired:
            parts.append(translator.translate("expired on {date}", date=expiry.expires_on))
        else:
            parts.append(translator.translate("expires on {date}", date=expiry.expires_on))
    if expiry.other_expiry is not None:
        parts.append(
            translator.translate("the domain registry also names {date}", date=expiry.other_expiry)
        )
    if expiry.status:
        parts.append(translator.term("domain_status", expiry.status))
    if expiry.source and expiry.cause:
        parts.append(translator.term("cause", expiry.cause))
    if expiry.source == "registry":
        parts.append(
            translator.translate("according to the domain registry on {date}", date=expiry.known_at)
        )
    elif expiry.source == "stated":
        parts.append(translator.translate("stated on {date}", date=expiry.known_at))
    else:
        cause = translator.term("cause", expiry.cause)
        parts.append(translator.translate("couldn’t be checked: {cause}", cause=cause))
    return " · ".join(parts)


def describe_account_state(account: AccountView, translator: Translator) -> str:
    """Return the status of an account with its reason, if it has one."""
    if account.reason is Reason.WRONG_TARGET:
        return translator.term("cause", account.reason)
    if _awaits_first_check(account):
        return translator.term("channel_status", ChannelStatus.NOT_CHECKED)
    status = translator.term("account_status", account.state)
    return f"{status} ({translator.term('cause', account.reason)})" if account.reason else status


def _awaits_first_check(account: AccountView) -> bool:
    if account.kind is LinkKind.INVALID or account.reason is not None:
        return False
    return account.state is AccountState.UNKNOWN and account.checked_at is None


def describe_latest_publication(account: AccountView, translator: Translator) -> str:
    """Return the date of the latest publication and the activity band."""
    band = translator.term("activity", account.activity_term)
    if account.last_activity is None:
        return band
    date = translator.format_activity_date(account.last_activity)
    return date if account.activity_band == "unknown" else f"{date} ({band})"


def describe_activity_source(account: AccountView, translator: Translator) -> list[str]:
    """Return the source of the latest publication date, and the rhythm of accounts that publish."""
    parts = []
    if account.last_activity:
        parts.append(translator.date_source(account.last_activity.source))
    if account.rhythm_days and account.activity_band in PUBLISHING_BANDS:
        parts.append(translator.format_rhythm(account.rhythm_days))
    return parts


def describe_link_status(account: AccountView, translator: Translator) -> str:
    """Return how the website and an account link to each other.

    Return an empty string for a website, and for an account that only the registry lists.
    """
    if account.channel == "website" or account.link_reciprocity == "registry_only":
        return ""
    return translator.term("link_reciprocity", account.link_reciprocity)


def _generate_unchecked_lines(view: AssociationView, translator: Translator) -> Iterator[str]:
    if not view.unchecked:
        return
    yield ""
    yield translator.label("ui", "unknowns")
    for item_text in describe_unchecked(view, translator):
        yield f"  ? {item_text.title}. {item_text.evidence}"


RECENT_PERIOD = timedelta(days=30)
ADVICE_BY_GAP = (
    ("own_website", ("no_website", "website")),
    ("archive_videos", ("channel_missing", "youtube")),
)
"""Codes of advice, each with the code and channel of the gap that it is for."""
GENERAL_ADVICE = ("dedicated_person", "two_admins", "few_but_alive")
ADVICE_COUNT = 3
"""Further pieces of advice in a report."""
SERIOUS_SEVERITIES = frozenset({"urgent", "high"})
"""Severities of website gaps that contradict the statement that the website works."""


@dataclass(frozen=True, slots=True)
class Strength:
    """A strength of an association: a label of the catalogue and its facts.

    For a fixed gap, `code` and `channel` are those of the gap.
    """

    label: str
    facts: Mapping[str, MessageValue] = field(default_factory=dict)
    code: str = ""
    channel: str = ""


def list_strengths(view: AssociationView, as_of: datetime) -> list[Strength]:
    """Return what works well and which gaps were fixed in the last 30 days."""
    fixed = map(_build_fixed_gap_strength, list_recently_closed_gaps(view, as_of))
    return [*list_current_strengths(view), *fixed]


def list_current_strengths(view: AssociationView) -> list[Strength]:
    """Return what works well.

    If nothing else is found, having no gap is a strength, provided that an account was checked.
    """
    strengths = list(_find_account_strengths(view))
    is_checked = any(map(attrgetter("decided_at"), view.accounts))
    if is_checked and not strengths and not view.gaps:
        strengths.append(Strength("no_gap"))
    return strengths


def _find_account_strengths(view: AssociationView) -> Iterator[Strength]:
    for account in view.accounts:
        if account.state is not AccountState.PRESENT:
            continue
        if account.channel == "website":
            yield from _find_website_strength(account, view)
        else:
            yield from _find_profile_strengths(account)


def _find_profile_strengths(account: AccountView) -> Iterator[Strength]:
    """Yield a strength if an account is active, and one if it and the website link each other."""
    if account.activity_band == "active" and account.last_activity:
        facts: dict[str, MessageValue] = {
            "channel": account.channel,
            "last_date": account.last_activity,
        }
        yield Strength("channel_active", facts)
    if account.link_reciprocity == "reciprocal":
        yield Strength("channel_linked", {"channel": account.channel})


def _find_website_strength(account: AccountView, view: AssociationView) -> Iterator[Strength]:
    """Yield a strength if the latest check found the website and it has no serious gap."""
    severities = {gap.severity for gap in view.gaps if gap.channel == "website"}
    has_serious_gap = not severities.isdisjoint(SERIOUS_SEVERITIES)
    if account.latest is Presence.PRESENT and not has_serious_gap:
        yield Strength("website_ok")


def list_recently_closed_gaps(view: AssociationView, as_of: datetime) -> list[Gap]:
    """Return the gaps that were fixed in the last 30 days."""
    return list_fixed_gaps(view, as_of - RECENT_PERIOD)


def list_fixed_gaps(view: AssociationView, since: datetime) -> list[Gap]:
    """Return the gaps that were closed since a time and are not open again or waived.

    A gap that an open one hides is not fixed: a website that is down is not faster.
    """
    unfixed = set(_iter_unfixed_keys(view.gaps))
    closed = [gap for gap in view.reportable_gaps if was_closed_since(gap, since)]
    return [gap for gap in closed if (gap.code, gap.channel) not in unfixed]


def _iter_unfixed_keys(open_gaps: Iterable[Gap]) -> Iterator[tuple[str, str]]:
    """Yield the code and channel of each open gap and of the gaps that it hides."""
    catalogue = load_gap_catalogue()
    for gap in open_gaps:
        for code in (gap.code, *catalogue[gap.code].hides):
            yield code, gap.channel


def list_recently_opened_gaps(view: AssociationView, as_of: datetime) -> list[Gap]:
    """Return the open gaps that were opened in the last 30 days.

    Return an empty list if all open gaps are recent, because then the mark carries no information.
    """
    since = as_of - RECENT_PERIOD
    recent_gaps = [gap for gap in view.gaps if was_opened_since(gap, since)]
    return recent_gaps if len(recent_gaps) < len(view.gaps) else []


def _build_fixed_gap_strength(gap: Gap) -> Strength:
    return Strength("gap_fixed", dict(gap.params), gap.code, gap.channel)


def choose_advice(view: AssociationView) -> list[str]:
    """Return at most three codes of advice. Advice for open gaps comes first."""
    open_gaps = {(gap.code, gap.channel) for gap in view.gaps}
    specific_advice = [advice for advice, gap in ADVICE_BY_GAP if gap in open_gaps]
    return [*specific_advice, *GENERAL_ADVICE][:ADVICE_COUNT]
