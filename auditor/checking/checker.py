"""What looks at accounts: each by its platform's interface where there is a key, else by its pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.config.schema import Config
from probes.http.fetcher import Fetcher
from probes.http.host_lock import TurnError
from probes.links import channel_registry, identify
from probes.log import Events
from probes.models.account import ACCOUNTS, Account, Identity
from probes.models.finding import Finding, Presence, Reason
from probes.models.http import NoPage
from probes.models.probe import Look, Steps
from probes.runner.api_batcher import Desk, Purse
from probes.runner.parser_pool import ReaderPool
from probes.runner.revalidate import Past, repeated
from probes.runner.run import crashed, look
from storage.models.audit import AccountRow, Standing

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
