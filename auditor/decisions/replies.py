"""What an association may answer to its report, and what accepting an answer does.

An answer changes nothing by itself: it waits for the coordinator, whose acceptance takes the same decision as
the command line would.

What waits for the coordinator: the associations' replies, and accounts that were found on their sites.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from auditor.config.schema import Config
from auditor.decisions.parsing import DecisionError, grounds
from auditor.decisions.service import Saying
from auditor.evaluation.association_view import AssociationView, view
from auditor.evaluation.run_results import A_FEW, NOBODY, assembled, present, refresh
from auditor.reference.gap_catalogue import catalogue
from auditor.rules.account_status import DISPUTED
from probes.links import identify
from probes.models.finding import ACCOUNTS
from storage.models.audit import AccountRow, Association, Gap, Proposal, State
from storage.models.users import Answer, FollowUp, FollowUpKind, Reply, ReplyKind
from storage.registry.regions import Regions
from storage.store import Store

MOST_WAITING = 20
"""Replies of one association that wait at a time: more is a slip of the finger, or worse."""
MOST_LETTERS = 2000
A_YEAR = timedelta(days=366)
OPENS = frozenset({"no_website", "channel_missing"})
"""The gaps to which "we have one, it is there" is an answer."""

OF_ACCOUNT = frozenset(set(ReplyKind) - {ReplyKind.PROMISED})
OF_PROPOSAL = frozenset({ReplyKind.OURS, ReplyKind.NOT_OURS})
OF_GAP = frozenset({ReplyKind.PROMISED, ReplyKind.MISTAKEN})
OF_OPEN_GAP = OF_GAP | {ReplyKind.MOVED, ReplyKind.CLOSED}


class Refusal(StrEnum):
    """Why an answer cannot be taken."""

    NOTHING_THERE = "nothing_there"
    NO_ADDRESS = "no_address"
    NO_DAY = "no_day"
    NO_TEXT = "no_text"
    TOO_MANY = "too_many"


class RefusalError(Exception):
    """An answer that cannot be taken, with why."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.value)
        self.why = why


class Form(BaseModel):
    """An answer as it was sent: about an account, a found account (`proposal`) or a gap (`code`)."""

    model_config = ConfigDict(frozen=True)

    kind: ReplyKind
    account: int | None = None
    proposal: int | None = None
    code: str = Field(default="", max_length=80)
    channel: str = Field(default="", max_length=40)
    subject: str = Field(default="", max_length=2000)
    value: str = Field(default="", max_length=2000)
    text: str = Field(default="", max_length=10_000)


def reply(form: Form, view: AssociationView, letter_id: int | None, now: datetime) -> Reply:
    """The answer, understood. Raises RefusalError: it is about nothing there, or lacks something. Pure."""
    said = Reply(
        view.association.id, form.kind, now, text=form.text.strip()[:MOST_LETTERS], letter_id=letter_id
    )
    about = _of_account(form, view) or _of_proposal(form, view) or _of_gap(form, view)
    if about is None:
        raise RefusalError(Refusal.NOTHING_THERE)
    return _complete(replace(said, **about), form, now)


def _of_account(form: Form, view: AssociationView) -> dict[str, Any] | None:
    found = (account for account in view.accounts if account.account_id == form.account)
    account = next(found, None) if form.kind in OF_ACCOUNT else None
    return {"channel": account.channel, "account_id": account.account_id} if account else None


def _of_proposal(form: Form, view: AssociationView) -> dict[str, Any] | None:
    found = (row.link for row in view.proposals if form.proposal is not None and row.id == form.proposal)
    link = next(found, None) if form.kind in OF_PROPOSAL else None
    return {"channel": link.channel, "value": link.key} if link else None


def _of_gap(form: Form, view: AssociationView) -> dict[str, Any] | None:
    sign = (form.code, form.channel, form.subject)
    gap = next((gap for gap in view.gaps if (gap.code, gap.channel, gap.subject) == sign), None)
    if gap is None or form.kind not in (OF_OPEN_GAP if gap.code in OPENS else OF_GAP):
        return None
    account = view.account_of(gap)
    return {
        "channel": gap.channel,
        "code": gap.code,
        "account_id": account.account_id if account else None,
    }


def _complete(said: Reply, form: Form, now: datetime) -> Reply:
    if said.kind is ReplyKind.MOVED:
        return replace(said, value=_address(form.value, said.channel))
    if said.kind is ReplyKind.PROMISED:
        return replace(said, value=_day(form.value, now))
    if said.kind is ReplyKind.MISTAKEN and not said.text:
        raise RefusalError(Refusal.NO_TEXT)
    return said


def _address(typed: str, channel: str) -> str:
    there = identify.identify(typed.strip(), channel)
    link = there.canonical or there.url
    if there.channel != channel or there.key is None or there.kind not in ACCOUNTS or link is None:
        raise RefusalError(Refusal.NO_ADDRESS)
    return link


def _day(typed: str, now: datetime) -> str:
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        raise RefusalError(Refusal.NO_DAY) from None
    if not now.date() <= day <= (now + A_YEAR).date():
        raise RefusalError(Refusal.NO_DAY)
    return day.isoformat()


def keep(store: Store, said: Reply) -> Reply:
    """Keep an answer for the coordinator; one that waits already stays one. RefusalError: too many wait."""
    waiting = [one for one in store.replies(said.association) if one.answer is None]
    for one in waiting:
        if replace(said, said_at=one.said_at, letter_id=one.letter_id, id=one.id) == one:
            return one
    if len(waiting) >= MOST_WAITING:
        raise RefusalError(Refusal.TOO_MANY)
    return store.add_reply(said)


def accept(
    store: Store, config: Config, said: Reply, *, who: str, why: str, now: datetime, because: str
) -> None:
    """Do what the association said, and keep that it was accepted.

    `because` is what a decision rests on where neither side gave a reason.
    The answer is kept first, so that of two coordinators one decides. Raises DecisionError where the decision
    cannot be taken (the reply goes on waiting), StoreError where somebody has answered already.
    """
    assert said.id is not None
    store.answer_reply(said.id, Answer.ACCEPTED, who, why, now)
    grounds = " · ".join(filter(None, (why, said.text))) or because
    try:
        if said.kind is ReplyKind.PROMISED:
            _promised(store, said, who, now)
        else:
            _decided(store, config, said, who=who, why=grounds, now=now)
    except DecisionError:
        store.reopen_reply(said.id)
        raise


def decline(store: Store, said: Reply, *, who: str, why: str, now: datetime) -> None:
    """Keep that an answer was declined, and why: the association reads it.

    Raises DecisionError for no reason, StoreError where somebody has answered already.
    """
    assert said.id is not None
    store.answer_reply(said.id, Answer.DECLINED, who, grounds(why), now)


def _promised(store: Store, said: Reply, who: str, now: datetime) -> None:
    day = date.fromisoformat(said.value or now.date().isoformat())
    line = FollowUp(
        said.association, FollowUpKind.PROMISED, who, now, said.text, day, said.channel, said.code
    )
    store.add_follow_up(line)


def _decided(store: Store, config: Config, said: Reply, *, who: str, why: str, now: datetime) -> None:
    row = store.account(said.account_id) if said.account_id is not None else None
    name = (row.identity.key or row.typed) if row else None

    def word(account: str | None) -> Saying:
        return Saying.of(
            store,
            config.channels,
            said.association,
            said.channel or None,
            who=who,
            why=why,
            now=now,
            account=account,
        )

    match said.kind:
        case ReplyKind.OURS if row:
            _spoken_for(store, row, word(name))
        case ReplyKind.OURS:
            _registered(word(said.value))
        case ReplyKind.NOT_OURS:
            word(name or said.value).not_ours()
        case ReplyKind.MOVED if name:
            word(name).moved(to=said.value)
        case ReplyKind.MOVED:
            _registered(word(said.value))
        case ReplyKind.MISTAKEN:
            word(name).waive(code=said.code, until=(now + DISPUTED).date().isoformat())
        case ReplyKind.CLOSED:
            _closed(word, name)
        case ReplyKind.PROMISED:
            raise AssertionError(said)


def _spoken_for(store: Store, row: AccountRow, word: Saying) -> None:
    """A registered account is theirs, which says that it is there unless nights have found it gone."""
    if not is_gone(store, row):
        word.attest()


def is_gone(store: Store, row: AccountRow) -> bool:
    """Whether an account is held to be gone: a word whose it is does not bring it back."""
    held = store.standings(row.association)
    return any(one.account_id == row.id and one.state is State.GONE for one in held)


def _registered(word: Saying) -> None:
    """An account of theirs is registered; where it is already, they and the registry agree."""
    named = word.there.named(word.account or "")
    if not word.there.listed(named.key or ""):
        word.ours()


def _closed(word: Callable[[str | None], Saying], name: str | None) -> None:
    """A channel given up on purpose. Its only account's gaps need not be told; another account goes on."""
    if name is not None:
        word(name).waive()
    whole = word(None)
    if len({row.identity.key for row in whole.there.rows}) <= 1:
        whole.none_by_choice()


AT_ONCE = 25
"""Proposals that are looked through together: a page of them, for most are still to be settled."""
FARTHEST = 300
"""Proposals that are looked through for one page; where all of them are settled, the next page goes on."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reply that nobody has answered: whose it is, and the account or the gap that it is about.

    `is_gone` tells that the account is held to be gone.
    """

    reply: Reply
    association: Association | None
    account: AccountRow | None
    gap: Gap | None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An account that nobody has called an association's own or somebody else's yet."""

    proposal: Proposal
    association: Association


def waiting(store: Store, *, after: int = 0, limit: int = 20, regions: Regions = None) -> list[Waiting]:
    """A page of the replies that wait, the oldest first: those after this one."""
    rows = store.waiting_replies(after=after, limit=limit, regions=regions)
    return [_waiting(store, reply) for reply in rows]


def _waiting(store: Store, reply: Reply) -> Waiting:
    account = store.account(reply.account_id) if reply.account_id else None
    return Waiting(
        reply=reply,
        association=store.association(reply.association),
        account=account,
        gap=_gap(store, reply),
        is_gone=account is not None and is_gone(store, account),
    )


def _gap(store: Store, reply: Reply) -> Gap | None:
    if reply.code not in catalogue().entries:
        return None
    rows = list(store.gaps(reply.association, channel=reply.channel, code=reply.code))
    return rows[-1] if rows else None


def found(
    store: Store,
    config: Config,
    now: datetime,
    *,
    after: int = 0,
    limit: int = 20,
    regions: Regions = None,
) -> tuple[list[Found], int]:
    """A page of the found accounts, the oldest first, and after which the next page begins (0: no more)."""
    refresh(store, config, most=A_FEW)
    listed: list[Found] = []
    for _ in range(0, FARTHEST, AT_ONCE):
        batch = store.found_accounts(after=after, limit=AT_ONCE, regions=regions)
        listed += _unsettled(store, config, batch, now)
        if len(listed) > limit:
            return listed[:limit], listed[limit - 1].proposal.id or 0
        if len(batch) < AT_ONCE:
            return listed, 0
        after = batch[-1].id or 0
    return listed, after


def _unsettled(store: Store, config: Config, rows: Sequence[Proposal], now: datetime) -> list[Found]:
    """Those that an association's page would ask about, too."""
    held = store.holdings({row.association for row in rows}, whole=False)
    moment = present(store, now)
    seen = [view(dossier, config, moment, NOBODY) for dossier in assembled(held.associations, held)]
    asked = {row.id: one.association for one in seen for row in one.proposals}
    return [Found(row, asked[row.id]) for row in rows if row.id in asked]
