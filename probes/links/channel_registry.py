"""The channels, and which of them a host belongs to.

A channel is a module or folder of `probes.channels`. Names that begin with an underscore are shared
helpers.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import cast

from probes.links import normalize
from probes.models.http import HostKind, PlatformApi
from probes.models.probe import ChannelModule

WEBSITE_CHANNEL = "website"
STANDARD_CHANNELS = (WEBSITE_CHANNEL, "facebook", "twitter", "linkedin", "youtube")
"""The channels of the survey: those that an association is expected to have, and the score rates.

Every other channel is optional. It is checked and reported, but an association without an account
there lacks nothing, and its accounts change neither the score nor a gap of these channels.
"""
CHANNELS_PACKAGE = "probes.channels"
"""Imported by name on first use, because the channels themselves import this module."""


@cache
def list_channels() -> Mapping[str, ChannelModule]:
    """Return every channel module by its `NAME`."""
    modules = [
        importlib.import_module(f"{CHANNELS_PACKAGE}.{name}") for name in list_channel_names()
    ]
    channels = cast("list[ChannelModule]", modules)
    return MappingProxyType({channel.NAME: channel for channel in channels})


@cache
def list_channel_names() -> tuple[str, ...]:
    """Return the names of all channels, those of the survey first. Loads none of them."""
    package = importlib.import_module(CHANNELS_PACKAGE)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    optional_names = (name for name in names if is_optional_channel(name))
    return (*STANDARD_CHANNELS, *(name for name in optional_names if not name.startswith("_")))


def get_channel(name: str) -> ChannelModule:
    """Return the channel with this name. Raises KeyError if there is none."""
    return list_channels()[name]


def is_optional_channel(name: str) -> bool:
    """Return True for a channel that no association is expected to have."""
    return bool(name) and name not in STANDARD_CHANNELS


@lru_cache(maxsize=16_384)
def find_channel_by_host(host: str) -> str:
    """Return the name of the channel that owns a host, `website` by default.

    The longest entry of HOSTS that the host equals or is a subdomain of decides.
    """
    suffix = host.partition(":")[0]
    channel_by_host = _map_hosts_to_channels()
    while "." in suffix:
        if suffix in channel_by_host:
            return channel_by_host[suffix]
        suffix = suffix.partition(".")[2]
    return WEBSITE_CHANNEL


def find_channel_by_url(url: str) -> str:
    """Return the name of the channel that owns the host of a URL, `website` by default."""
    return find_channel_by_host(normalize.get_host(url).removeprefix("www."))


def get_channel_api(channel: str) -> PlatformApi | None:
    """Return the official API of a channel, or None if the auditor uses none."""
    api: PlatformApi | None = getattr(list_channels().get(channel), "API", None)
    return api


@lru_cache(maxsize=1)
def list_api_hosts() -> frozenset[str]:
    """Return the hosts of the official APIs. These set their own rate limits."""
    apis = filter(None, map(get_channel_api, list_channels()))
    return frozenset(api.host for api in apis)


def find_host_kind(host: str) -> HostKind:
    """Return whether a host is a site, a platform or the official API of one."""
    if host in list_api_hosts():
        return HostKind.API
    is_site = find_channel_by_host(host) == WEBSITE_CHANNEL
    return HostKind.SITE if is_site else HostKind.PLATFORM


def is_name_of_platform_host(name: str) -> bool:
    """Return True if the name of an account is a host of a platform (`@www.twitter.com`)."""
    return name.lower().removeprefix("@").removeprefix("www.") in _map_hosts_to_channels()


@lru_cache(maxsize=1)
def _map_hosts_to_channels() -> Mapping[str, str]:
    channel_by_host: dict[str, str] = {}
    for name, module in list_channels().items():
        channel_by_host |= dict.fromkeys(module.HOSTS, name)
    return channel_by_host
