"""What the doctor says of the way to the web: the guard, the proxy, names, the clock, each channel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from auditor.config.schema import ChannelConfig, Config
from auditor.diagnostics.network_probe import Heard
from auditor.diagnostics.result import Examined, fine, found, odd
from auditor.i18n.catalogs import phrase
from probes.links import channel_registry
from probes.models.http import NoPage, Page

SKEW = timedelta(minutes=5)
"""How far a clock may be off: more, and a night has another day's date, and certificates seem expired."""


def examined(read: Config, heard: Heard | None) -> Iterator[Examined]:
    """The guard and the channels; and what was heard, if anybody was asked."""
    yield _guard(read)
    if read.fetch.proxy:
        yield _proxy(heard.proxy if heard else None)
    if heard:
        if heard.looked_up:
            yield _names(heard)
        yield _clock(heard.skew)
    for name, channel in read.channels.items():
        yield _channel(name, channel, heard.answers.get(name) if heard else None)


def _guard(read: Config) -> Examined:
    about, networks = phrase("address guard"), ", ".join(map(str, read.fetch.allow_networks))
    if networks:
        return odd(about, phrase("these networks are exempt: {networks}"), networks=networks)
    return fine(about, phrase("no private address may be contacted"))


def _proxy(is_reached: bool | None) -> Examined:
    if is_reached is False:
        return odd(phrase("proxy"), phrase("set, and out of reach: nothing can be looked at"))
    return odd(phrase("proxy"), phrase("set: behind it the address guard can only judge names"))


def _names(heard: Heard) -> Examined:
    about = phrase("names")
    if heard.is_lied_to:
        lie = phrase("a name that nobody has is found: no lost site would be seen")
        return odd(about, lie)
    if heard.unknown:
        missed = phrase("not found within 2 seconds: {n}, {host} first")
        return odd(about, missed, n=len(heard.unknown), host=heard.unknown[0])
    return fine(about, phrase("{n} found, and one that nobody has is not"), n=heard.looked_up)


def _clock(skew: timedelta | None) -> Examined:
    about = phrase("clock")
    if skew is None:
        return odd(about, phrase("nobody told the time"))
    if abs(skew) > SKEW:
        off = phrase("{minutes} minutes off the web's: is it kept by NTP?")
        return odd(about, off, minutes=f"{skew.total_seconds() / 60:+.0f}")
    return fine(about, phrase("{seconds} seconds off the web's"), seconds=f"{skew.total_seconds():+.0f}")


def _channel(name: str, channel: ChannelConfig, answer: Page | NoPage | None) -> Examined:
    about = phrase("channel {channel}")
    if not channel.canaries:
        blind = phrase("no canaries: a change of its pages would go unnoticed")
        return odd(about, blind, channel=name)
    if answer is None:
        return fine(about, phrase("{n} canaries"), channel=name, n=len(channel.canaries))
    if isinstance(answer, NoPage):
        return odd(about, phrase("out of reach now: {cause}"), channel=name, cause=answer.reason.value)
    # A platform that turns a stranger away is no news; an ordinary website that does is.
    is_odd = name == channel_registry.SITE and answer.status >= 400
    said, seconds = phrase("answers {status} in {seconds} s"), f"{answer.seconds:.1f}"
    state = "warn" if is_odd else "ok"
    return found(about, state, said, channel=name, status=answer.status, seconds=seconds)
