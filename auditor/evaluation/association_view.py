"""One association as a face shows it: its links, gaps and score, what was found and what was not told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from auditor.config.schema import Config
from auditor.reference.gap_catalogue import catalogue
from auditor.rules import engine
from auditor.rules.account_status import Bands, in_force, weakens
from auditor.rules.association import Dossier, Moment, Owners, case
from auditor.rules.context import Case, Held
from auditor.rules.link_reciprocity import rung
from auditor.rules.score import Score, points, score
from probes.models.finding import ACCOUNTS, Activity, Finding, Kind, Presence, Reason, Scalar
from storage.models.audit import Association, Decision, DecisionKind, Gap, Proposal, State


@dataclass(frozen=True, slots=True)
class AccountView:
    """One registered link as a face shows it.

    `linked` is reciprocal, site_only, profile_only, registry_only or contradicted. `latest` is the newest
    look, which may have told nothing while `state` keeps the last decided word. `doubt` says that
    absences were seen and are not yet confirmed. `rhythm_days` are the median days between its last
    publications, None where too few were seen.
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
    rhythm_days: int | None = None


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A status, never a gap: what could not be told, or is not asked because the association chose so."""

    channel: str
    code: str
    params: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssociationView:
    """One association. `gaps` are the open ones no other hides, gravest first; `all_gaps` has every row.

    `waived` are the rows a person said need not be told; they are no news to anybody. `words` are the
    decisions that hold.
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
    moved: frozenset[str] = frozenset()
    words: tuple[Decision, ...] = ()

    def on(self, channel: str) -> list[AccountView]:
        """Its accounts on a channel."""
        return [account for account in self.accounts if account.channel == channel]

    def account_of(self, gap: Gap) -> AccountView | None:
        """The account that a gap is about, where it is about one."""
        named = (one for one in self.on(gap.channel) if gap.subject and gap.subject in (one.key, one.typed))
        return next(named, None)

    def which(self, gap: Gap) -> str:
        """The address of the account that a gap is about, where its channel has several; else empty."""
        account = self.account_of(gap) if len(self.on(gap.channel)) > 1 else None
        return account.url if account else ""


def view(dossier: Dossier, config: Config, moment: Moment, owners: Owners) -> AssociationView:
    """One association as a face shows it. Pure."""
    known = case(dossier, moment, owners)
    words = in_force(dossier.decisions, moment.now, moment.began)
    # a code that an older or a newer version told of has no words here
    rows = tuple(
        gap for gap in dossier.gaps if gap.first_seen <= moment.now and gap.code in catalogue().entries
    )
    waived = tuple(gap for gap in rows if any(waives(word, gap) for word in words))
    shown = [gap for gap in rows if gap not in waived]
    return AssociationView(
        association=dossier.association,
        accounts=tuple(_account(held, known, config, moment) for held in known.accounts if _is_link(held)),
        gaps=tuple(engine.visible(shown, catalogue())),
        all_gaps=rows,
        proposals=tuple(row for row in dossier.proposals if not _is_settled(row, known)),
        unchecked=(*_unchecked(known, config), *_given_up(known, config, words)),
        score=score(points(known, config.activity)),
        none_by_choice=known.none_by_choice,
        waived=waived,
        moved=known.moved,
        words=tuple(words),
    )


def turning(view: AssociationView, bands: Bands, began: datetime) -> date | None:
    """The day from whose night on the same rows may give another view; None: never. Pure.

    An account's rhythm gets another word as days pass, and a person's word ends.
    """
    newest = [one.last_activity for one in view.accounts if one.last_activity]
    told = [bands.turning(activity, began) for activity in newest]
    ends = [end.date() for word in view.words for end in weakens(word) if end > began]
    return min((day for day in (*told, *ends) if day not in (None, date.max)), default=None)


def _is_link(held: Held) -> bool:
    return held.row.identity.kind is not Kind.NONE


def _is_settled(proposal: Proposal, known: Case) -> bool:
    """Whether nothing is to be asked about a found account: it is known, or may be one that is."""
    return known.knows(proposal.link) is not False


def waives(word: Decision, gap: Gap) -> bool:
    """Whether a person's word says that a gap need not be told, for as long as it holds."""
    return (
        word.kind is DecisionKind.WAIVE
        and word.code in (None, gap.code)
        and word.channel in ("", gap.channel)
        and word.value in (None, "", gap.subject)
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
        activity=config.activity.band(standing, moment.began),
        linked=rung(held, known),
        checked_at=standing.checked_at,
        decided_at=standing.decided_at,
        latest=standing.latest,
        latest_reason=standing.latest_reason,
        name=standing.known.name if standing.known else None,
        followers=standing.known.followers if standing.known else None,
        doubt=standing.doubt is not None,
        rhythm_days=rhythm(standing.known),
    )


def rhythm(seen: Finding | None) -> int | None:
    """How often a look says there is something new: the fact `rhythm_days`."""
    days = seen.facts.get("rhythm_days") if seen else None
    return days if isinstance(days, int) and not isinstance(days, bool) else None


def _unchecked(known: Case, config: Config) -> Iterator[Unchecked]:
    for held in known.accounts:
        if held.row.channel in config.channels and held.row.identity.kind in ACCOUNTS | {Kind.SHORT}:
            yield from _untold_of(held, known.began)


def _given_up(known: Case, config: Config, words: Iterable[Decision]) -> Iterator[Unchecked]:
    """The channels an association does without: who decided says why and when, a sheet only that."""
    told = {word.channel: word for word in words if word.kind is DecisionKind.NONE_BY_CHOICE}
    for channel in sorted(known.none_by_choice & set(config.channels)):
        params: dict[str, Scalar] = {"cause": "none_by_choice"}
        if channel in told:
            params = {"cause": told[channel].why, "last_date": told[channel].decided_at.date().isoformat()}
        yield Unchecked(channel, "channel_waived", params)


def _untold_of(held: Held, began: datetime) -> Iterator[Unchecked]:
    standing, last = held.standing, held.standing.decided_at
    params: dict[str, Scalar] = {"url": held.url, "last_date": last.date().isoformat() if last else ""}
    if standing.checked_at is None or standing.checked_at < began:
        yield Unchecked(held.row.channel, "not_checked", params)
    elif standing.other is not None:
        found = {"cause": "other_account", "found": standing.other.cause}
        yield Unchecked(held.row.channel, "channel_unconfirmed", {**params, **found})
    elif standing.latest is Presence.UNKNOWN and standing.latest_reason is not Reason.WRONG_TARGET:
        # a link that leads to no account was told very well, and is a gap
        code = "website_unknown" if held.row.channel == "website" else "channel_unknown"
        yield Unchecked(
            held.row.channel, code, {**params, "cause": str(standing.latest_reason or "unreadable")}
        )
