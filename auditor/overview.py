"""The one read model: the whole network as of a moment. Every face renders it and none asks the store.

It says what is known, since when, and how far what is unknown could take it; it punishes nobody for a
night on which nothing could be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from auditor import gaps
from auditor.case import ACCOUNT_KINDS, Case, Held, was_read
from auditor.catalogue import catalogue
from auditor.conclude import dossiers, owners_at
from auditor.config import Config
from auditor.rejudge import History
from auditor.score import Score, points, score
from auditor.settle import Dossier, Moment, Owners, case
from auditor.standing import in_force
from probes.model import Activity, FoundLink, Kind, Presence, Reason, Scalar
from storage.model import Association, Decision, DecisionKind, Gap, Night, NightState, Proposal, State
from storage.store import Store


@dataclass(frozen=True, slots=True)
class AccountView:
    """One registered link as a face shows it.

    `linked` is reciprocal, site_only, profile_only, registry_only or contradicted. `latest` is the newest
    look, which may have told nothing while `state` keeps the last decided word. `doubt` says that
    absences were seen and are not yet confirmed.
    """

    account_id: int
    channel: str
    column: str
    typed: str
    kind: Kind
    key: str | None
    url: str
    state: State
    since: datetime | None
    reason: Reason | None
    last_activity: Activity | None
    activity: str
    linked: str
    checked_at: datetime | None
    decided_at: datetime | None
    latest: Presence | None
    latest_reason: Reason | None
    name: str | None = None
    followers: int | None = None
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A status, never a gap: what could not be told, or is not asked because the association chose so."""

    channel: str
    code: str
    params: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssociationView:
    """One association. `gaps` are the open ones no other hides, gravest first; `all_gaps` has every row.

    `waived` are the rows a person said need not be told; they are no news to anybody.
    """

    association: Association
    accounts: tuple[AccountView, ...]
    gaps: tuple[Gap, ...]
    all_gaps: tuple[Gap, ...]
    proposals: tuple[Proposal, ...]
    unchecked: tuple[Unchecked, ...]
    score: Score
    none_by_choice: frozenset[str] = frozenset()
    waived: tuple[Gap, ...] = ()

    def on(self, channel: str) -> list[AccountView]:
        """Its accounts on a channel."""
        return [account for account in self.accounts if account.channel == channel]


@dataclass(frozen=True, slots=True)
class Coverage:
    """The network's figure on one channel: percent confirmed, and how far the unknown ones could take it.

    `survey` is what people said when asked, in percent: of associations as they see themselves, not as
    they are observed.
    """

    channel: str
    associations: int
    confirmed: int
    unknown: int
    gone: int
    missing: int
    by_choice: int
    survey: float | None = None

    @property
    def low(self) -> float:
        """Percent of the associations with a confirmed account."""
        return _percent(self.confirmed, self.associations)

    @property
    def high(self) -> float:
        """Percent of them if every account that could not be told were there."""
        return _percent(self.confirmed + self.unknown, self.associations)


@dataclass(frozen=True, slots=True)
class Overview:
    """The network as of a moment.

    `opened` and `closed` are the gaps that moved since `since` (the newest concluded night, unless
    another moment is asked for); `untold` counts the accounts whose last look told nothing, by channel
    and reason.
    """

    as_of: datetime
    since: datetime | None
    night: Night | None
    counts: Mapping[tuple[str, Presence], int]
    associations: tuple[AssociationView, ...]
    coverage: tuple[Coverage, ...]
    opened: tuple[Gap, ...]
    closed: tuple[Gap, ...]
    untold: Mapping[tuple[str, Reason | None], int]

    @property
    def age_hours(self) -> float | None:
        """Hours since the newest night ended (or began, while it has not)."""
        if self.night is None:
            return None
        last = self.night.finished_at or self.night.started_at
        return round(max(0.0, (self.as_of - last).total_seconds()) / 3600, 1)

    def count(self, presence: Presence) -> int:
        """How many accounts the newest night found so."""
        return sum(count for (_, found), count in self.counts.items() if found is presence)

    def association(self, identifier: str) -> AssociationView | None:
        """The view of an association."""
        return next((view for view in self.associations if view.association.id == identifier), None)


def overview(store: Store, config: Config, as_of: datetime, *, since: datetime | None = None) -> Overview:
    """Build the read model as of a moment. The past is folded anew from what was recorded until then."""
    nights = [night for night in store.nights() if night.started_at <= as_of]
    last = nights[-1] if nights else None
    concluded = [night for night in nights if night.state is NightState.DONE]
    since = since or (concluded[-1].started_at if concluded else None)
    seen = tuple(views(store, config, as_of))
    rows = [gap for view in seen for gap in view.all_gaps if gap not in view.waived]
    return Overview(
        as_of=as_of,
        since=since,
        night=last,
        counts=store.counts(last.id) if last and last.id is not None else {},
        associations=seen,
        coverage=tuple(coverage(seen, config)),
        opened=tuple(gap for gap in rows if since and gap.opened_at and gap.opened_at >= since),
        closed=tuple(
            gap for gap in rows if since and gap.opened_at and gap.closed_at and gap.closed_at >= since
        ),
        untold=_untold(seen),
    )


def views(store: Store, config: Config, as_of: datetime) -> Iterator[AssociationView]:
    """The associations one at a time, for faces that need not hold a whole register in memory."""
    nights = [night for night in store.nights() if night.state is NightState.DONE]
    until = [night for night in nights if night.started_at <= as_of]
    began = until[-1].started_at if until else as_of
    owners = owners_at(store, as_of)
    for dossier in _dossiers(store, config, until, is_past=len(until) < len(nights)):
        yield view(dossier, config, Moment(began, as_of), owners)


def _dossiers(store: Store, config: Config, until: list[Night], *, is_past: bool) -> Iterator[Dossier]:
    if not is_past:
        return dossiers(store, store.associations(), whole=True)
    history = History(store, config, until)
    return (history.rebuilt(association) for association in store.associations())


def view(dossier: Dossier, config: Config, moment: Moment, owners: Owners) -> AssociationView:
    """One association as a face shows it. Pure."""
    known = case(dossier, moment, owners)
    waived = _waived(dossier.decisions, moment.now)
    rows = tuple(gap for gap in dossier.gaps if gap.first_seen <= moment.now)
    shown = [gap for gap in rows if not _is_waived(gap, waived)]
    return AssociationView(
        association=dossier.association,
        accounts=tuple(_account(held, known, config, moment) for held in known.accounts if _is_link(held)),
        gaps=tuple(gaps.visible(shown, catalogue())),
        all_gaps=rows,
        proposals=tuple(row for row in dossier.proposals if not _is_settled(row, known)),
        unchecked=tuple(_unchecked(known, config)),
        score=score(points(known, config.activity)),
        none_by_choice=known.none_by_choice,
        waived=tuple(gap for gap in rows if gap not in shown),
    )


def _is_link(held: Held) -> bool:
    return held.row.identity.kind is not Kind.NONE


def _is_settled(proposal: Proposal, known: Case) -> bool:
    at = (proposal.link.channel, proposal.link.key)
    return at in known.disowned or any(held.names(proposal.link) for held in known.accounts)


def _waived(decisions: Iterable[Decision], now: datetime) -> list[Decision]:
    return [word for word in in_force(decisions, now) if word.kind is DecisionKind.WAIVE]


def _is_waived(gap: Gap, words: Iterable[Decision]) -> bool:
    return any(
        word.code in (None, gap.code)
        and word.channel in ("", gap.channel)
        and word.value in (None, "", gap.subject)
        for word in words
    )


def _account(held: Held, known: Case, config: Config, moment: Moment) -> AccountView:
    row, standing = held.row, held.standing
    assert row.id is not None
    return AccountView(
        account_id=row.id,
        channel=row.channel,
        column=row.column,
        typed=row.typed,
        kind=row.identity.kind,
        key=row.identity.key,
        url=held.url,
        state=standing.state,
        since=standing.since,
        reason=standing.reason,
        last_activity=standing.last_activity,
        activity=config.activity.band(standing, moment.now),
        linked=linked(held, known),
        checked_at=standing.checked_at,
        decided_at=standing.decided_at,
        latest=standing.latest,
        latest_reason=standing.latest_reason,
        name=standing.known.name if standing.known else None,
        followers=standing.known.followers if standing.known else None,
        doubt=standing.doubt is not None,
    )


def linked(held: Held, known: Case) -> str:
    """How an account and the association's site lead to each other. Only what was read is counted."""
    if held.row.channel == "website":
        pairs = [linked(other, known) for other in known.accounts if other.row.channel != "website"]
        return next(
            (word for word in ("reciprocal", "site_only", "profile_only") if word in pairs), "registry_only"
        )
    sites = [site for site in known.on("website") if site.seen is not None and was_read(site.seen)]
    from_sites = [link for site in sites if site.seen for link in site.seen.links]
    from_profile = [link for link in (held.seen.links if held.seen else ()) if link.channel == "website"]
    site_leads = any(held.names(link) for link in from_sites)
    profile_leads = any(_is_site(link, known) for link in from_profile)
    if site_leads or profile_leads:
        return "reciprocal" if site_leads and profile_leads else "site_only" if site_leads else "profile_only"
    elsewhere = any(link.channel == held.row.channel and not held.may_be(link) for link in from_sites)
    own_site = any(site.is_account for site in known.on("website"))
    return "contradicted" if elsewhere or (from_profile and own_site) else "registry_only"


def _is_site(link: FoundLink, known: Case) -> bool:
    """Whether a profile's link leads to the association's site, to whichever of its pages."""
    host = link.key.partition("/")[0]
    return any((site.row.identity.key or "").partition("/")[0] == host for site in known.on("website"))


def _unchecked(known: Case, config: Config) -> Iterator[Unchecked]:
    for held in known.accounts:
        if held.row.channel in config.channels and held.row.identity.kind in ACCOUNT_KINDS | {Kind.SHORT}:
            yield from _untold_of(held, known.began)
    for channel in sorted(known.none_by_choice & set(config.channels)):
        yield Unchecked(channel, "channel_waived")


def _untold_of(held: Held, began: datetime) -> Iterator[Unchecked]:
    standing, last = held.standing, held.standing.decided_at
    params: dict[str, Scalar] = {"url": held.url, "last_date": last.date().isoformat() if last else ""}
    if standing.checked_at is None or standing.checked_at < began:
        yield Unchecked(held.row.channel, "not_checked", params)
    elif standing.latest is Presence.UNKNOWN:
        code = "website_unknown" if held.row.channel == "website" else "channel_unknown"
        yield Unchecked(
            held.row.channel, code, {**params, "cause": str(standing.latest_reason or "unreadable")}
        )


def coverage(seen: Iterable[AssociationView], config: Config) -> Iterator[Coverage]:
    """The network's figures, channel by channel in the config's order."""
    listed = list(seen)
    for channel in config.channels:
        kinds = Counter(_covered(view, channel) for view in listed)
        yield Coverage(
            channel=channel,
            associations=len(listed),
            confirmed=kinds["confirmed"],
            unknown=kinds["unknown"],
            gone=kinds["gone"],
            missing=kinds["missing"],
            by_choice=kinds["by_choice"],
            survey=config.survey.figures.get(channel),
        )


def _covered(view: AssociationView, channel: str) -> str:
    """What one association counts as: its best account decides, none at all is missing or a choice."""
    states = {one.state for one in view.on(channel) if _counts(one)}
    if State.PRESENT in states:
        return "confirmed"
    if channel in view.none_by_choice:
        return "by_choice"
    return "unknown" if State.UNKNOWN in states else "gone" if states else "missing"


def _counts(account: AccountView) -> bool:
    """Whether a cell may mean an account: what cannot be read, or only followed, is no channel missing."""
    return account.kind in {Kind.SHORT, Kind.INVALID} or account.key is not None


def _untold(seen: Iterable[AssociationView]) -> dict[tuple[str, Reason | None], int]:
    accounts = [account for view in seen for account in view.accounts]
    return dict(
        Counter(
            (account.channel, account.latest_reason)
            for account in accounts
            if account.latest is Presence.UNKNOWN
        )
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0
