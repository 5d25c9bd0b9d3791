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
from auditor.evaluation.network_view import Overview
from auditor.evaluation.summary import Coverage
from auditor.i18n.wording import NOTHING, Fact, Wording
from probes.models.finding import Presence, Reason
from storage.models.audit import Gap, State

FULL = 5
"""Gaps told whole; more than five things to do is a list nobody starts (see docs/decisions)."""

LIVELY = ("active", "slow")
"""Who still publishes; how often the others used to says nothing of today."""


def told(overview: Overview, config: Config, association: str | None, language: str | None) -> str:
    """One association's report, or the network's summary; in the language asked for, or its own."""
    if association is None:
        return summary(overview, Wording(language or "en"), config)
    view = overview.association(association)
    assert view is not None, association
    return report(view, overview.as_of, language)


def report(view: AssociationView, as_of: datetime, language: str | None) -> str:
    """One association's report, in the language asked for or its own."""
    return "\n".join(_report(view, as_of, Wording(language or view.association.language)))


def summary(overview: Overview, words: Wording, config: Config) -> str:
    """Coverage beside the survey, what opened, what closed, what could not be told."""
    parts = [
        _headline(overview, config, words),
        _table(_coverage(overview.coverage, words)),
        words.say("The survey asked some 160 people; we observe associations: compare with care."),
        _moved(words.say("Opened"), overview.opened, words),
        _moved(words.say("Closed"), overview.closed, words),
        _untold(overview, words),
    ]
    return "\n\n".join(part for part in parts if part)


def _headline(overview: Overview, config: Config, words: Wording) -> str:
    name = config.network.shown(words.language)
    as_of = words.say("As of {date}", date=overview.as_of)
    return f"{name} · {as_of}"


def _coverage(figures: Iterable[Coverage], words: Wording) -> Iterator[tuple[str, ...]]:
    yield words.say("Channel"), words.say("Seen"), words.say("Counted"), words.say("Survey")
    for one in figures:
        survey = words.percent(one.survey / 100) if one.survey is not None else NOTHING
        yield words.channel(one.channel), interval(one, words), f"{one.confirmed}/{one.associations}", survey


def interval(one: Coverage, words: Wording) -> str:
    """The confirmed share, and how far the unknown ones could take it: "31–35 %"."""
    low, high = words.percent(one.low / 100), words.percent(one.high / 100)
    return low if low == high else f"{low} – {high}"


def _moved(title: str, rows: Iterable[Gap], words: Wording) -> str:
    titles = Counter(words.gap(gap.code, gap.channel, gap.severity, gap.params).title for gap in rows)
    if not titles:
        return words.pair(title, words.say("Nothing"))
    lines = [(str(count), said) for said, count in titles.most_common()]
    return f"{title}\n{_table(lines, numbers=True)}"


def _untold(overview: Overview, words: Wording) -> str:
    title = words.say("Could not be told")
    if not overview.untold:
        return words.pair(title, words.say("Nothing"))
    ranked = sorted(overview.untold.items(), key=lambda pair: (-pair[1], pair[0][0], str(pair[0][1])))
    lines = [
        (str(count), words.pair(words.channel(channel), words.term("cause", str(reason))))
        for (channel, reason), count in ranked
    ]
    return f"{title}\n{_table(lines, numbers=True)}"


def _table(rows: Iterable[tuple[str, ...]], *, numbers: bool = False) -> str:
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return "\n".join(_line(row, widths, numbers=numbers) for row in listed)


def _line(row: tuple[str, ...], widths: list[int], *, numbers: bool) -> str:
    first = row[0].rjust(widths[0]) if numbers else row[0].ljust(widths[0])
    rest = (cell.ljust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  " + "  ".join([first, *rest]).rstrip()


def _report(view: AssociationView, as_of: datetime, words: Wording) -> Iterator[str]:
    yield view.association.shown(words.language)
    yield words.say("As of {date}", date=as_of)
    yield words.label("ui", "not_judgement")
    yield from _strong(list(spoken(strengths(view, as_of), words)), words)
    yield from _todo(view, words)
    yield from _account_lines(view, words)
    yield from _unchecked(view, words)


def _strong(sentences: list[str], words: Wording) -> Iterator[str]:
    if sentences:
        yield ""
        yield words.label("ui", "strengths")
        yield from (f"  + {said}" for said in sentences)


def spoken(found: Iterable[Strength], words: Wording) -> Iterator[str]:
    """Strengths as sentences."""
    for one in found:
        facts: dict[str, Fact] = dict(one.facts)
        if one.code:
            facts["title"] = words.gap(one.code, one.channel, "info", one.facts).title
        yield words.label("strength", one.label, **facts)


def _todo(view: AssociationView, words: Wording) -> Iterator[str]:
    if not view.gaps:
        return
    yield ""
    yield words.label("ui", "todo")
    for number, gap in enumerate(view.gaps[:FULL], 1):
        told = words.gap(gap.code, gap.channel, gap.severity, gap.params)
        yield ""
        yield f"{number}. {told.title} [{told.severity}]"
        if which := view.which(gap):
            yield f"   {which}"
        yield f"   {told.why}"
        yield f"   {told.evidence}"
        yield f"   {words.pair(words.label('ui', 'who'), told.who)}"
        yield f"   {words.pair(words.label('ui', 'time'), told.time)}"
        yield from (f"   ☐ {step}" for step in told.steps)
    yield from _further(view.gaps[FULL:], words)


def _further(rows: Iterable[Gap], words: Wording) -> Iterator[str]:
    titles = [words.gap(gap.code, gap.channel, gap.severity, gap.params).title for gap in rows]
    if titles:
        yield ""
        yield words.say("Other points")
        yield from (f"  - {title}" for title in titles)


def _account_lines(view: AssociationView, words: Wording) -> Iterator[str]:
    if not view.accounts:
        return
    yield ""
    yield words.say("Accounts")
    for account in view.accounts:
        yield f"  - {words.pair(words.channel(account.channel), state(account, words))} · {account.url}"
        last = " · ".join([newest(account, words), *behind(account, words)])
        yield f"    {words.pair(words.say('Last publication'), last)}"
        if said := linked(account, words):
            yield f"    {words.pair(words.say('Links'), said)}"


def state(account: AccountView, words: Wording) -> str:
    """Whether an account is there, and why not."""
    if account.reason is Reason.WRONG_TARGET:
        return words.term("cause", account.reason)
    said = words.term("standing", account.state)
    return f"{said} ({words.term('cause', account.reason)})" if account.reason else said


def newest(account: AccountView, words: Wording) -> str:
    """When it last published, and what that makes of it."""
    band = words.term("activity", account.activity)
    if account.last_activity is None:
        return band
    told = words.published(account.last_activity)
    return told if account.activity == "unknown" else f"{told} ({band})"


def behind(account: AccountView, words: Wording) -> list[str]:
    """What to know of that day: where it comes from, and how often there is one where it goes on."""
    parts = [words.source(account.last_activity.source)] if account.last_activity else []
    if account.rhythm_days and account.activity in LIVELY:
        parts.append(words.rhythm(account.rhythm_days))
    return parts


def linked(account: AccountView, words: Wording) -> str:
    """How the site and an account lead to each other; empty where only the registry speaks."""
    silent = account.channel == "website" or account.linked == "registry_only"
    return "" if silent else words.term("linked", account.linked)


def _unchecked(view: AssociationView, words: Wording) -> Iterator[str]:
    if not view.unchecked:
        return
    yield ""
    yield words.label("ui", "unknowns")
    for one in view.unchecked:
        told = words.gap(one.code, one.channel, "info", one.params)
        yield f"  ? {told.title}. {told.evidence}"


LATELY = timedelta(days=30)
ALWAYS = ("dedicated_person", "two_admins", "few_but_alive")
SHOWN = 3
GRAVE = frozenset({"urgent", "high"})
"""Of a gap on a site with which nobody would say that it works."""


@dataclass(frozen=True, slots=True)
class Strength:
    """A label of the catalogue and its facts; `code` names the gap that was settled, if it is one."""

    label: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    code: str = ""
    channel: str = ""


def strengths(view: AssociationView, as_of: datetime) -> list[Strength]:
    """What works well, and what was settled in the last 30 days."""
    return [*working(view), *(_praise(gap) for gap in settled(view, as_of))]


def working(view: AssociationView) -> list[Strength]:
    """What works well; where we looked and there is nothing to mend, that."""
    found = list(_accounts(view))
    looked = any(account.decided_at for account in view.accounts)
    return found if found or view.gaps or not looked else [Strength("no_gap")]


def _accounts(view: AssociationView) -> Iterator[Strength]:
    for account in view.accounts:
        if account.state is not State.PRESENT:
            continue
        if account.channel == "website":
            yield from _works(account, view)
        elif account.activity == "active" and account.last_activity:
            told: dict[str, Fact] = {"channel": account.channel, "last_date": account.last_activity}
            yield Strength("channel_active", told)
        if account.linked == "reciprocal" and account.channel != "website":
            yield Strength("channel_linked", {"channel": account.channel})


def _works(account: AccountView, view: AssociationView) -> Iterator[Strength]:
    """A site works where the newest look saw it, and nothing grave is told of it."""
    grave = any(gap.channel == "website" and gap.severity in GRAVE for gap in view.gaps)
    if account.latest is Presence.PRESENT and not grave:
        yield Strength("website_ok")


def settled(view: AssociationView, as_of: datetime) -> list[Gap]:
    """The gaps that were settled in the last 30 days and have not come back."""
    still = {(gap.code, gap.channel) for gap in view.gaps}
    return [
        gap
        for gap in view.all_gaps
        if gap.opened_at and gap.closed_at and gap.closed_at >= as_of - LATELY
        if (gap.code, gap.channel) not in still and gap not in view.waived
    ]


def appeared(view: AssociationView, as_of: datetime) -> list[Gap]:
    """The open gaps that were first told of in the last 30 days; none where all are: that is no news."""
    new = [gap for gap in view.gaps if gap.opened_at and gap.opened_at >= as_of - LATELY]
    return new if len(new) < len(view.gaps) else []


def _praise(gap: Gap) -> Strength:
    return Strength("gap_fixed", dict(gap.params), gap.code, gap.channel)


def advice(view: AssociationView) -> list[str]:
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
    return [*fitting, *ALWAYS][:SHOWN]
