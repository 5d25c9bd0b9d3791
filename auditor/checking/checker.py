"""What looks at accounts: each by its platform's interface where there is a key, else by its pages.

Which earlier look may be made again: one that told what a site is, kept whole, and would tell it again.

A look at links: whose account each is, following a short one first, and what is found there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256

from auditor.config.schema import Config
from auditor.evidence import answer_of
from probes.channels import website
from probes.http.fetcher import Fetcher
from probes.http.host_state import TurnError
from probes.links import channel_registry, identify
from probes.log import Events
from probes.models.finding import ACCOUNTS, Account, Finding, Identity, Kind, Presence, Reason
from probes.models.http import Ask, NoPage, Page
from probes.models.probe import Exchange, Look, Steps
from probes.runner.api_batcher import Desk, Purse
from probes.runner.parser_pool import ReaderPool
from probes.runner.run import Answered, Bodies, Past, crashed, look, repeated
from storage.models.audit import AccountRow, Evidence, LastLook, Observation, Standing

events = Events(__name__)


@dataclass(frozen=True, slots=True)
class Eyes:
    """A fetcher, its readers, and the desk for the channels that have a key (their `purses`)."""

    fetcher: Fetcher
    readers: ReaderPool
    purses: Mapping[str, Purse] = field(default_factory=dict)

    async def look(self, account: Account, past: Past | None = None) -> Look:
        """Look at one account, as before if nothing changed; a probe that crashes says so."""
        try:
            if past is not None:
                return await repeated(past, steps(account), self.fetcher, self.readers)
            return await look(steps(account), self.fetcher, self.readers)
        except NoPage as trouble:
            return Look(Finding(Presence.UNKNOWN, trouble.reason, detail=trouble.detail))
        except TurnError:
            raise
        except Exception as bug:  # noqa: BLE001  # a bug in one probe must not cost the others' night
            where = account.identity.canonical or account.channel
            events.bug(bug, "probe_crashed", "the probe crashed on {account}", account=where)
            return crashed(bug)

    async def together(self, accounts: Sequence[Account]) -> list[Look]:
        """Look at accounts of channels that have a key, in as few calls as can be."""
        desk = Desk(self.fetcher, self.readers, self.purses.values())
        return await desk.look([steps(account, self.purses) for account in accounts])


def purses(config: Config, spent: Mapping[str, float] | None = None) -> dict[str, Purse]:
    """The keys of the audited channels. `spent` is what earlier sessions of the night have cost."""
    found = {}
    for name, channel in config.channels.items():
        own = channel_registry.interface(name)
        if channel.key and own:
            budget = own.budget if channel.budget is None else channel.budget
            found[name] = Purse(
                own, channel.key.get_secret_value(), budget, cost=(spent or {}).get(name, 0.0)
            )
    return found


def shut(config: Config) -> frozenset[str]:
    """The hosts of the platforms that are asked by their interface alone."""
    keyed = (name for name, channel in config.channels.items() if channel.key)
    return frozenset(host for name in keyed for host in channel_registry.channel(name).HOSTS)


def steps(account: Account, keyed: Iterable[str] = ()) -> Steps:
    """The steps of looking at a registered link, by the interface where its channel is `keyed`.

    A link that names no account asks for nothing at all.
    """
    account = yield from identify.follow(account)
    identity = account.identity
    if identity.key is None or identity.kind not in ACCOUNTS:
        return _wrong_target(identity)
    module = channel_registry.channel(identity.channel)
    probe = module.probe_api if identity.channel in keyed else module.probe  # type: ignore[attr-defined]
    return (yield from probe(account))


def _wrong_target(identity: Identity) -> Finding:
    return Finding(
        Presence.UNKNOWN,
        Reason.WRONG_TARGET,
        final_url=identity.url,
        detail=f"{identity.kind}: names no account",
    )


def recalled(row: AccountRow, standing: Standing | None) -> Account:
    """A registered account as a probe gets it, with what is known of it."""
    return Account(row.association, row.typed, row.identity, _remembered(standing))


def _remembered(standing: Standing | None) -> Finding | None:
    if standing is None or standing.known is None:
        return None
    own = standing.platform_id or standing.known.platform_id
    return replace(standing.known, links=(), platform_id=own)


EVERY = 28
"""Nights after which a site is read anew though nothing changed: `_lasts` may have a hole.

And a platform's page kept anew: what somebody has taken off it since is not to be shown for ever.
"""

NOTHING = sha256(b"").hexdigest()


def past(row: AccountRow, last: LastLook | None, version: int, day: date, bodies: Bodies) -> Past | None:
    """The last look at an account, where tonight's may repeat it; None where the probe has to look.

    `version` is the probe's own, tonight.
    """
    if last is None or last.look.probe_version != version:
        return None
    if not (is_possible(row, day) and is_young(row, last.day, day)):
        return None
    look = last.look
    if not (_is_whole(look.evidence) and _is_of(row, look) and _lasts(look, day)):
        return None
    return Past(look.finding, tuple(map(_answered, look.evidence)), bodies)


def is_possible(row: AccountRow, day: date) -> bool:
    """Whether it is a site, and not its night to be read anew: each night that of one in `EVERY`."""
    return row.channel == channel_registry.SITE and _since_its_night(row, day) > 0


def is_young(row: AccountRow, since: date, day: date) -> bool:
    """Whether no night to look anew has come for an account since a day."""
    return _since_its_night(row, day) >= (day - since).days


def _since_its_night(row: AccountRow, day: date) -> int:
    return ((row.id or 0) + day.toordinal()) % EVERY


def _is_of(row: AccountRow, last: Observation) -> bool:
    """Whether it looked at what is registered now: a link may be corrected and name the same site.

    Before a page is called gone, the link to the letter is asked, too.
    """
    if last.evidence[0].url != website.registered(row.identity, row.typed):
        return False
    asked = {url for piece in last.evidence if piece.registered for url in (piece.url, piece.final_url)}
    stands = last.finding.presence is Presence.PRESENT and "redirected_home" not in last.finding.facts
    return stands or website.to_the_letter(row.typed, asked=asked) is None


def _lasts(last: Observation, day: date) -> bool:
    """Whether the same pages tell on a day what they told, and are its own.

    One that repeats a look and took its own time has no page by which tonight's could be compared; what a
    test of once a month showed (`decoy_on`) is of its own day; and a site may speak of a day that comes.
    """
    finding = last.finding
    if (last.as_before and last.times) or finding.presence is Presence.UNKNOWN or "decoy_on" in finding.facts:
        return False
    until = finding.facts.get("tells_until")
    return not isinstance(until, str) or day < date.fromisoformat(until)


def _is_whole(evidence: Sequence[Evidence]) -> bool:
    """Whether everything that was asked and came is still known."""
    return bool(evidence) and evidence[0].registered and not any(piece.thinned for piece in evidence)


def _answered(piece: Evidence) -> Answered:
    ask = Ask(piece.url, registered=piece.registered, insecure=piece.insecure)
    digest = piece.came or piece.digest or ("" if piece.withheld else NOTHING)
    answer = answer_of(piece, digest=digest)
    return Answered(ask, answer, kept=isinstance(answer, Page) and piece.came is None and bool(piece.digest))


UNASKED = frozenset(
    {Reason.ROBOTS, Reason.UNSAFE_ADDRESS, Reason.NOT_CONFIGURED, Reason.NO_SUCH_HOST, Reason.WRONG_TARGET}
)
"""Reasons for which the last address was never asked, unless a proxy answered for it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One link after a look. `identity` is the followed one where the link was short."""

    typed: str
    identity: Identity
    look: Look

    @property
    def requests(self) -> int:
        """How many requests the look took, redirects counted, robots.txt not.

        A call to an interface counts for each account it was made for, though it may be one for many.
        """
        return sum(_asked(exchange) for exchange in self.look.exchanges)


def followed(typed: Identity, seen: Look) -> Identity:
    """The identity a look ended with: a short link's is the one its first answer told."""
    if typed.kind is not Kind.SHORT or not seen.exchanges:
        return typed
    first = seen.exchanges[0].answer
    return identify.identify(str(first.reading or first.url)) if isinstance(first, Page) else typed


def _asked(exchange: Exchange) -> int:
    answer = exchange.answer
    if isinstance(answer, Page):
        return max(1, len(answer.hops))
    if answer.reason in UNASKED and answer.status is None:
        return len(answer.hops)
    return max(1, len(answer.hops))


async def check(
    typed: Sequence[tuple[str, Identity]],
    eyes: Eyes,
    done: Callable[[], None] = lambda: None,
    at_once: int = 64,
) -> list[Checked]:
    """Look at links at the same time, politeness being the host's; the answers keep the links' order.

    A probe that crashes costs the other links nothing: its own is unknown, `crashed`.
    """
    turns = asyncio.Semaphore(at_once)
    looks: dict[int, Look] = {}

    async def one(at: int, account: Account) -> None:
        async with turns:
            looks[at] = await eyes.look(account)
        done()

    async def together(accounts: Mapping[int, Account]) -> None:
        for at, seen in zip(accounts, await eyes.together(list(accounts.values())), strict=True):
            looks[at] = seen
            done()

    accounts = {at: Account("", text, identity) for at, (text, identity) in enumerate(typed)}
    keyed = {at: account for at, account in accounts.items() if account.channel in eyes.purses}
    alone = (one(at, account) for at, account in accounts.items() if at not in keyed)
    await asyncio.gather(together(keyed), *alone)
    return [
        Checked(text, followed(identity, looks[at]), looks[at]) for at, (text, identity) in enumerate(typed)
    ]
