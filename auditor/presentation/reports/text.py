"""Format the network summary and the report of an association as plain text for a terminal.

The module also selects the strengths and the general advice that every form of a report shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter

from auditor.conclusions.association_view import AccountView, AssociationView
from auditor.conclusions.network_view import NetworkOverview
from auditor.conclusions.summary import ChannelFigures
from auditor.config.schema import Config
from auditor.core.i18n.translator import EMPTY_VALUE, GapText, MessageValue, Translator
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.context import DomainExpiry
from auditor.rules.engine import was_closed_since, was_opened_since
from auditor.rules.score import LEVEL_THRESHOLDS
from probes.models.finding import LinkKind, Presence, Reason
from storage.models.audit import AccountState, Gap
from storage.models.summaries import ChannelStatus

MAX_DETAILED_GAPS = 5
"""Number of gaps described in full. People do not start on a longer list."""


def format_association_report(view: AssociationView, as_of: datetime, language: str | None) -> str:
    """Return the report of an association, by default in its language."""
    translator = Translator(language or view.association.language)
    strengths = describe_strengths(list_strengths(view, as_of), translator)
    parts = [
        [
            view.association.display_name(translator.language),
            translator.translate("On {date}", date=as_of),
            translator.label("ui", "not_judgement"),
        ],
        [translator.label("ui", "strengths"), *(f"  + {sentence}" for sentence in strengths)],
        *_generate_gap_parts(view, translator),
        [translator.translate("Accounts"), *_generate_account_lines(view, translator)],
        [
            translator.label("ui", "unknowns"),
            *(
                f"  ? {item.title}. {item.evidence}"
                for item in describe_unchecked(view, translator)
            ),
        ],
    ]
    # a title without lines is left out
    return "\n\n".join("\n".join(lines) for lines in parts if len(lines) > 1)


def format_network_summary(overview: NetworkOverview, config: Config, language: str) -> str:
    """Return coverage compared with the survey, new and fixed problems, and unknown accounts."""
    translator = Translator(language)
    name, translate = config.network.display_name(translator.language), translator.translate
    as_of = translate("On {date}", date=overview.as_of)
    shown_figures = list(filter(attrgetter("is_shown"), overview.channels))
    has_survey = any(figures.survey is not None for figures in shown_figures)
    rows: list[tuple[str, ...]] = [
        (translate("Channel"), translate("Status"), translate("Number"), translate("Survey"))
    ]
    for figures in shown_figures:
        survey = EMPTY_VALUE
        if figures.survey is not None:
            survey = translator.format_percent(figures.survey / 100)
        rows.append(
            (
                translator.channel_name(figures.channel),
                format_coverage_interval(figures, translator),
                f"{figures.confirmed_count}/{figures.association_count}",
                survey,
            )
        )
    unknown = Counter[str]()
    ranked = sorted(overview.unknown_counts.items(), key=lambda item: (item[0][0], str(item[0][1])))
    for (channel, reason), count in ranked:
        cause = translator.term("cause", str(reason))
        unknown[translator.format_pair(translator.channel_name(channel), cause)] += count
    opened = Counter(translator.gap_title(gap.code, gap.channel) for gap in overview.opened_gaps)
    closed = Counter(
        translator.gap_title(gap.code, gap.channel, "fixed") for gap in overview.closed_gaps
    )
    caution = "The survey asked about 160 people; we check associations. Compare with caution."
    parts = [
        f"{name} · {as_of}",
        _format_table(rows if has_survey else [row[:-1] for row in rows]),
        *([translate(caution)] if has_survey else []),
        _format_counts(translate("New problems"), opened, translator),
        _format_counts(translate("Fixed problems"), closed, translator),
        _format_counts(translate("Couldn’t be checked"), unknown, translator),
    ]
    return "\n\n".join(parts)


def format_coverage_interval(figures: ChannelFigures, translator: Translator) -> str:
    """Return the confirmed and the possible share, as "31 % – 35 %".

    Return one figure if both are equal.
    """
    low = translator.format_percent(figures.low / 100)
    high = translator.format_percent(figures.high / 100)
    return low if low == high else f"{low} – {high}"


def _format_counts(title: str, counts: Counter[str], translator: Translator) -> str:
    """Return a title with a line for each count, the largest first."""
    if not counts:
        return translator.format_pair(title, translator.translate("None"))
    rows = [(str(count), label) for label, count in counts.most_common()]
    return f"{title}\n{_format_table(rows, align_first_right=True)}"


def _format_table(table: Sequence[tuple[str, ...]], *, align_first_right: bool = False) -> str:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = list(map(str.ljust, row, widths))
        if align_first_right:
            cells[0] = row[0].rjust(widths[0])
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def describe_strengths(strengths: Iterable[Strength], translator: Translator) -> Iterator[str]:
    """Yield a sentence for each strength."""
    for strength in strengths:
        facts: dict[str, MessageValue] = dict(strength.facts)
        if strength.code:
            title = translator.gap_title(strength.code, strength.channel, "fixed")
            facts["title"] = translator.lower_first_letter(title)
        yield translator.label("strength", strength.label, **facts)


def _generate_gap_parts(view: AssociationView, translator: Translator) -> Iterator[list[str]]:
    """Yield the lines of each detailed gap, the first with a heading, and those of all others."""
    for number, gap in enumerate(view.gaps[:MAX_DETAILED_GAPS], 1):
        text = describe_gap(gap, translator)
        details = [
            view.distinguishing_url(gap),
            text.why,
            text.evidence,
            translator.format_pair(translator.label("ui", "who"), text.actor),
            translator.format_pair(translator.label("ui", "time"), text.effort),
            *(f"☐ {step}" for step in text.steps),
        ]
        heading = [translator.label("ui", "todo"), ""] if number == 1 else []
        title = f"{number}. {text.title} [{text.severity}]"
        yield [*heading, title, *(f"   {detail}" for detail in filter(None, details))]
    titles = list_gap_titles(view.gaps[MAX_DETAILED_GAPS:], translator)
    yield [translator.translate("More to improve"), *(f"  - {title}" for title in titles)]


def list_gap_titles(gaps: Iterable[Gap], translator: Translator) -> list[str]:
    """Return the titles of gaps for the association."""
    return [translator.gap_title(gap.code, gap.channel, "association", gap.params) for gap in gaps]


def describe_gap(gap: Gap, translator: Translator) -> GapText:
    """Return the texts of a gap for the association."""
    return translator.describe_gap(gap.code, gap.channel, gap.severity, gap.params, "association")


def describe_unchecked(view: AssociationView, translator: Translator) -> list[GapText]:
    """Return the texts of what could not be checked, for the association."""
    return [
        translator.describe_gap(item.code, item.channel, "info", item.params, "association")
        for item in view.unchecked
    ]


def _generate_account_lines(view: AssociationView, translator: Translator) -> Iterator[str]:
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
    facts = (account.state, account.reason, account.checked_at)
    if facts == (AccountState.UNKNOWN, None, None) and account.kind is not LinkKind.INVALID:
        return translator.term("channel_status", ChannelStatus.NOT_CHECKED)
    status = translator.term("account_status", account.shown_state)
    return f"{status} ({translator.term('cause', account.reason)})" if account.reason else status


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
    if account.rhythm_days and account.activity_band in ("active", "slow"):
        parts.append(translator.format_rhythm(account.rhythm_days))
    return parts


def describe_link_status(account: AccountView, translator: Translator) -> str:
    """Return how the website and an account link to each other.

    Return an empty string for a website, and for an account that only the registry lists.
    """
    if account.channel == "website" or account.link_reciprocity == "registry_only":
        return ""
    return translator.term("link_reciprocity", account.link_reciprocity)


RECENT_PERIOD = timedelta(days=30)
ADVICE_BY_GAP = (
    ("own_website", ("no_website", "website")),
    ("archive_videos", ("channel_missing", "youtube")),
)
"""Codes of advice, each with the code and channel of the gap that it is for."""
ADVICE_BY_ANSWER = (
    ("answer_comments", "comments", ("sometimes", "nobody")),
    ("archive_videos", "recordings", ("disk", "phones")),
)
"""Codes of advice, each with the question and the answers of the survey that it is for."""
GENERAL_ADVICE = ("dedicated_person", "two_admins", "few_but_alive")
FOLLOWED_ADVICE = {
    ("media_officer", "dedicated"): "dedicated_person",
    ("two_admins", "all"): "two_admins",
}
"""Advice that an association follows already, by its answer."""
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
    fixed = [
        Strength("gap_fixed", dict(gap.params), gap.code, gap.channel)
        for gap in list_recently_closed_gaps(view, as_of)
    ]
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
    """Yield strengths of present accounts.

    A website is one if the latest check found it and it has no serious gap, a profile if it is
    active, and if it and the website link each other.
    """
    severities = {gap.severity for gap in view.gaps if gap.channel == "website"}
    for account in view.accounts:
        channel = account.channel
        if account.state is not AccountState.PRESENT:
            continue
        if channel == "website":
            if account.latest_presence is Presence.PRESENT and severities.isdisjoint(
                SERIOUS_SEVERITIES
            ):
                yield Strength("website_ok")
            continue
        if account.activity_band == "active" and account.last_activity:
            yield Strength(
                "channel_active", {"channel": channel, "last_date": account.last_activity}
            )
        if account.link_reciprocity == "reciprocal":
            yield Strength("channel_linked", {"channel": channel})


def list_recently_closed_gaps(view: AssociationView, as_of: datetime) -> list[Gap]:
    """Return the gaps that were fixed in the last 30 days."""
    return list_fixed_gaps(view, as_of - RECENT_PERIOD)


def list_fixed_gaps(view: AssociationView, since: datetime) -> list[Gap]:
    """Return the gaps that were closed since a time and are not open again or waived.

    What an open gap hides is not fixed: a website that is down is not faster.
    """
    catalogue = load_gap_catalogue()
    unfixed = {
        (code, gap.channel) for gap in view.gaps for code in (gap.code, *catalogue[gap.code].hides)
    }
    closed = [gap for gap in view.reportable_gaps if was_closed_since(gap, since)]
    return [gap for gap in closed if (gap.code, gap.channel) not in unfixed]


def describe_level_rise(before: str, now: str, translator: Translator) -> list[tuple[str, str]]:
    """Return the level before and now, each with its heading; nothing if it has not risen."""
    levels = [level for _, level in LEVEL_THRESHOLDS]
    if before not in levels or now not in levels[: levels.index(before)]:
        return []
    return [
        (translator.translate("Level before"), translator.label("level", before)),
        (translator.translate("Level now"), translator.label("level", now)),
    ]


def list_recently_opened_gaps(view: AssociationView, as_of: datetime) -> list[Gap]:
    """Return the open gaps that were opened in the last 30 days.

    Return an empty list if all open gaps are recent, because then the mark carries no information.
    """
    since = as_of - RECENT_PERIOD
    recent_gaps = [gap for gap in view.gaps if was_opened_since(gap, since)]
    return recent_gaps if len(recent_gaps) < len(view.gaps) else []


def choose_advice(view: AssociationView) -> list[str]:
    """Return at most three codes of advice: for open gaps, for answers to the survey, for all."""
    open_gaps = {(gap.code, gap.channel) for gap in view.gaps}
    answers = {question: row.answer for question, row in view.answers.items()}
    followed = {FOLLOWED_ADVICE.get(answer) for answer in answers.items()}
    advice = [
        *(code for code, gap in ADVICE_BY_GAP if gap in open_gaps),
        *(
            code
            for code, question, own_answers in ADVICE_BY_ANSWER
            if answers.get(question) in own_answers
        ),
        *(code for code in GENERAL_ADVICE if code not in followed),
    ]
    # pieces of advice in a report
    return list(dict.fromkeys(advice))[:3]
