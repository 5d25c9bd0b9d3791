"""What a terminal shows: the network in one screen, or one association's report in plain text. Pure.

What to say before the gaps: what works, and the standing advice that fits. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auditor.config.schema import Config
from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.evaluation.network_view import NetworkOverview
from auditor.evaluation.summary import Coverage
from auditor.i18n.translator import EMPTY_VALUE, MessageValue, Translator
from probes.models.finding import Presence, Reason
from storage.models.audit import AccountState, Gap

MAX_DETAILED_GAPS = 5
"""Gaps told whole; more than five things to do is a list nobody starts (see docs/decisions)."""

PUBLISHING_BANDS = ("active", "slow")
"""Who still publishes; how often the others used to says nothing of today."""


def format_terminal_report(
    overview: NetworkOverview, config: Config, association_id: str | None, language: str | None
) -> str:
    """One association's report, or the network's summary; in the language asked for, or its own."""
    if association_id is None:
        return format_network_summary(overview, Translator(language or "en"), config)
    view = overview.find_association(association_id)
    assert view is not None, association_id
    return format_association_report(view, overview.as_of, language)


def format_association_report(view: AssociationView, as_of: datetime, language: str | None) -> str:
    """One association's report, in the language asked for or its own."""
    return "\n".join(
        _generate_report_lines(view, as_of, Translator(language or view.association.language))
    )


def format_network_summary(
    overview: NetworkOverview, translator: Translator, config: Config
) -> str:
    """Coverage beside the survey, what opened, what closed, what could not be told."""
    parts = [
        _format_headline(overview, config, translator),
        _format_table(_build_coverage_rows(overview.coverage, translator)),
        translator.translate(
            "The survey asked about 160 people; we check associations. Compare with caution."
        ),
        _format_gap_changes(translator.translate("New problems"), overview.opened_gaps, translator),
        _format_gap_changes(
            translator.translate("Fixed problems"), overview.closed_gaps, translator
        ),
        _format_unknown_counts(overview, translator),
    ]
    return "\n\n".join(part for part in parts if part)


def _format_headline(overview: NetworkOverview, config: Config, translator: Translator) -> str:
    name = config.network.display_name(translator.language)
    as_of = translator.translate("On {date}", date=overview.as_of)
    return f"{name} · {as_of}"


def _build_coverage_rows(
    figures: Iterable[Coverage], translator: Translator
) -> Iterator[tuple[str, ...]]:
    yield (
        translator.translate("Channel"),
        translator.translate("Status"),
        translator.translate("Number"),
        translator.translate("Survey"),
    )
    for one in figures:
        survey = (
            translator.format_percent(one.survey / 100) if one.survey is not None else EMPTY_VALUE
        )
        yield (
            translator.channel_name(one.channel),
            format_coverage_interval(one, translator),
            f"{one.confirmed}/{one.associations}",
            survey,
        )


def format_coverage_interval(channel_coverage: Coverage, translator: Translator) -> str:
    """The confirmed share, and how far the unknown ones could take it: "31–35 %"."""
    low, high = (
        translator.format_percent(channel_coverage.low / 100),
        translator.format_percent(channel_coverage.high / 100),
    )
    return low if low == high else f"{low} – {high}"


def _format_gap_changes(title: str, gaps: Iterable[Gap], translator: Translator) -> str:
    titles = Counter(
        translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params).title
        for gap in gaps
    )
    if not titles:
        return translator.format_pair(title, translator.translate("None"))
    lines = [(str(count), said) for said, count in titles.most_common()]
    return f"{title}\n{_format_table(lines, align_first_right=True)}"


def _format_unknown_counts(overview: NetworkOverview, translator: Translator) -> str:
    title = translator.translate("Couldn’t be checked")
    if not overview.unknown_counts:
        return translator.format_pair(title, translator.translate("None"))
    ranked = sorted(
        overview.unknown_counts.items(), key=lambda pair: (-pair[1], pair[0][0], str(pair[0][1]))
    )
    lines = [
        (
            str(count),
            translator.format_pair(
                translator.channel_name(channel), translator.term("cause", str(reason))
            ),
        )
        for (channel, reason), count in ranked
    ]
    return f"{title}\n{_format_table(lines, align_first_right=True)}"


def _format_table(rows: Iterable[tuple[str, ...]], *, align_first_right: bool = False) -> str:
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return "\n".join(
        _format_table_row(row, widths, align_first_right=align_first_right) for row in listed
    )


def _format_table_row(row: tuple[str, ...], widths: list[int], *, align_first_right: bool) -> str:
    first = row[0].rjust(widths[0]) if align_first_right else row[0].ljust(widths[0])
    rest = (cell.ljust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  " + "  ".join([first, *rest]).rstrip()


def _generate_report_lines(
    view: AssociationView, as_of: datetime, translator: Translator
) -> Iterator[str]:
    yield view.association.display_name(translator.language)
    yield translator.translate("On {date}", date=as_of)
    yield translator.label("ui", "not_judgement")
    yield from _generate_strength_lines(
        list(describe_strengths(list_strengths(view, as_of), translator)), translator
    )
    yield from _generate_gap_lines(view, translator)
    yield from _generate_account_lines(view, translator)
    yield from _generate_unchecked_lines(view, translator)


def _generate_strength_lines(sentences: list[str], translator: Translator) -> Iterator[str]:
    if sentences:
        yield ""
        yield translator.label("ui", "strengths")
        yield from (f"  + {said}" for said in sentences)


def describe_strengths(
    found_strengths: Iterable[Strength], translator: Translator
) -> Iterator[str]:
    """Strengths as sentences."""
    for one in found_strengths:
        facts: dict[str, MessageValue] = dict(one.facts)
        if one.code:
            facts["title"] = translator.describe_gap(one.code, one.channel, "info", one.facts).title
        yield translator.label("strength", one.label, **facts)


def _generate_gap_lines(view: AssociationView, translator: Translator) -> Iterator[str]:
    if not view.gaps:
        return
    yield ""
    yield translator.label("ui", "todo")
    for number, gap in enumerate(view.gaps[:MAX_DETAILED_GAPS], 1):
        told = translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params)
        yield ""
        yield f"{number}. {told.title} [{told.severity}]"
        if which := view.distinguishing_url(gap):
            yield f"   {which}"
        yield f"   {told.why}"
        yield f"   {told.evidence}"
        yield f"   {translator.format_pair(translator.label('ui', 'who'), told.actor)}"
        yield f"   {translator.format_pair(translator.label('ui', 'time'), told.effort)}"
        yield from (f"   ☐ {step}" for step in told.steps)
    yield from _generate_further_gap_lines(view.gaps[MAX_DETAILED_GAPS:], translator)


def _generate_further_gap_lines(gaps: Iterable[Gap], translator: Translator) -> Iterator[str]:
    titles = [
        translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params).title
        for gap in gaps
    ]
    if titles:
        yield ""
        yield translator.translate("More to improve")
        yield from (f"  - {title}" for title in titles)


def _generate_account_lines(view: AssociationView, translator: Translator) -> Iterator[str]:
    if not view.accounts:
        return
    yield ""
    yield translator.translate("Accounts")
    for account in view.accounts:
        state = describe_account_state(account, translator)
        line = translator.format_pair(translator.channel_name(account.channel), state)
        yield f"  - {line} · {account.url}"
        last = " · ".join(
            [
                describe_latest_publication(account, translator),
                *describe_activity_source(account, translator),
            ]
        )
        latest_post_label = translator.translate("Latest post")
        yield f"    {translator.format_pair(latest_post_label, last)}"
        if said := describe_link_status(account, translator):
            links_label = translator.translate("Links")
            yield f"    {translator.format_pair(links_label, said)}"


def describe_account_state(account: AccountView, translator: Translator) -> str:
    """Whether an account is there, and why not."""
    if account.reason is Reason.WRONG_TARGET:
        return translator.term("cause", account.reason)
    said = translator.term("account_status", account.state)
    return f"{said} ({translator.term('cause', account.reason)})" if account.reason else said


def describe_latest_publication(account: AccountView, translator: Translator) -> str:
    """When it last published, and what that makes of it."""
    band = translator.term("activity", account.activity_band)
    if account.last_activity is None:
        return band
    told = translator.format_activity_date(account.last_activity)
    return told if account.activity_band == "unknown" else f"{told} ({band})"


def describe_activity_source(account: AccountView, translator: Translator) -> list[str]:
    """What to know of that day: where it comes from, and how often there is one where it goes on."""
    parts = [translator.date_source(account.last_activity.source)] if account.last_activity else []
    if account.rhythm_days and account.activity_band in PUBLISHING_BANDS:
        parts.append(translator.format_rhythm(account.rhythm_days))
    return parts


def describe_link_status(account: AccountView, translator: Translator) -> str:
    """How the site and an account lead to each other; empty where only the registry speaks."""
    silent = account.channel == "website" or account.link_reciprocity == "registry_only"
    return "" if silent else translator.term("link_reciprocity", account.link_reciprocity)


def _generate_unchecked_lines(view: AssociationView, translator: Translator) -> Iterator[str]:
    if not view.unchecked:
        return
    yield ""
    yield translator.label("ui", "unknowns")
    for one in view.unchecked:
        told = translator.describe_gap(one.code, one.channel, "info", one.params)
        yield f"  ? {told.title}. {told.evidence}"


RECENT_PERIOD = timedelta(days=30)
GENERAL_ADVICE = ("dedicated_person", "two_admins", "few_but_alive")
MAX_ADVICE = 3
SERIOUS_SEVERITIES = frozenset({"urgent", "high"})
"""Of a gap on a site with which nobody would say that it works."""


@dataclass(frozen=True, slots=True)
class Strength:
    """A label of the catalogue and its facts; `code` names the gap that was settled, if it is one."""

    label: str
    facts: Mapping[str, MessageValue] = field(default_factory=dict)
    code: str = ""
    channel: str = ""


def list_strengths(view: AssociationView, as_of: datetime) -> list[Strength]:
    """What works well, and what was settled in the last 30 days."""
    return [
        *list_current_strengths(view),
        *(_build_fixed_gap_strength(gap) for gap in list_recently_closed_gaps(view, as_of)),
    ]


def list_current_strengths(view: AssociationView) -> list[Strength]:
    """What works well; where we looked and there is nothing to mend, that."""
    found = list(_find_account_strengths(view))
    looked = any(account.decided_at for account in view.accounts)
    return found if found or view.gaps or not looked else [Strength("no_gap")]


def _find_account_strengths(view: AssociationView) -> Iterator[Strength]:
    for account in view.accounts:
        if account.state is not AccountState.PRESENT:
            continue
        if account.channel == "website":
            yield from _find_website_strength(account, view)
        elif account.activity_band == "active" and account.last_activity:
            told: dict[str, MessageValue] = {
                "channel": account.channel,
                "last_date": account.last_activity,
            }
            yield Strength("channel_active", told)
        if account.link_reciprocity == "reciprocal" and account.channel != "website":
            yield Strength("channel_linked", {"channel": account.channel})


def _find_website_strength(account: AccountView, view: AssociationView) -> Iterator[Strength]:
    """A site works where the newest look saw it, and nothing grave is told of it."""
    grave = any(
        gap.channel == "website" and gap.severity in SERIOUS_SEVERITIES for gap in view.gaps
    )
    if account.latest is Presence.PRESENT and not grave:
        yield Strength("website_ok")


def list_recently_closed_gaps(view: AssociationView, as_of: datetime) -> list[Gap]:
    """The gaps that were settled in the last 30 days and have not come back."""
    still = {(gap.code, gap.channel) for gap in view.gaps}
    return [
        gap
        for gap in view.all_gaps
        if gap.opened_at and gap.closed_at and gap.closed_at >= as_of - RECENT_PERIOD
        if (gap.code, gap.channel) not in still and gap not in view.waived_gaps
    ]


def list_recently_opened_gaps(view: AssociationView, as_of: datetime) -> list[Gap]:
    """The open gaps that were first told of in the last 30 days; none where all are: that is no news."""
    new = [gap for gap in view.gaps if gap.opened_at and gap.opened_at >= as_of - RECENT_PERIOD]
    return new if len(new) < len(view.gaps) else []


def _build_fixed_gap_strength(gap: Gap) -> Strength:
    return Strength("gap_fixed", dict(gap.params), gap.code, gap.channel)


def choose_advice(view: AssociationView) -> list[str]:
    """At most three standing pieces of advice, those that fit its gaps first."""
    codes = {(gap.code, gap.channel) for gap in view.gaps}
    fitting = [
        name
        for name, gap in (
            ("own_website", ("no_website", "website")),
            ("archive_videos", ("channel_missing", "youtube")),
        )
        if gap in codes
    ]
    return [*fitting, *GENERAL_ADVICE][:MAX_ADVICE]
