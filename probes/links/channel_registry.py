"""The channels, and which of them a host belongs to.

Channels are the modules of `probes.channels` that have HOSTS: there is no list to keep.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import cast

from probes.links import cells
from probes.models.http import PlatformApi
from probes.models.probe import ChannelModule

WEBSITE_CHANNEL = cells.WEBSITE_CHANNEL
CHANNELS_PACKAGE = "probes.channels"
"""Loaded by its name when a channel is first asked for: the channels themselves use this module."""


def list_channels() -> Mapping[str, ChannelModule]:
    """Every channel by name: the modules of `probes.channels` that have HOSTS."""
    return _load_channels()


@lru_cache(maxsize=1)
def _load_channels() -> Mapping[str, ChannelModule]:
    package = importlib.import_module(CHANNELS_PACKAGE)
    modules = [
        importlib.import_module(f"{CHANNELS_PACKAGE}.{one.name}")
        for one in pkgutil.iter_modules(package.__path__)
    ]
    found = [cast("ChannelModule", module) for module in modules if hasattr(module, "HOSTS")]
    return MappingProxyType({channel.NAME: channel for channel in found})


def get_channel(name: str) -> ChannelModule:
    """The channel of that name. Raises KeyError where there is none."""
    return list_channels()[name]


@lru_cache(maxsize=16_384)
def find_channel_by_host(host: str) -> str:
    """The name of the channel that a host belongs to: the longest of the HOSTS it ends with.

    One that ends with `*` (`nitter.*`) stands for every host that begins so.
    """
    rest = host = host.partition(":")[0]
    owners = _map_hosts_to_channels()
    while "." in rest:
        if rest in owners:
            return owners[rest]
        rest = rest.partition(".")[2]
    return owners.get(f"{host.partition('.')[0]}.*", WEBSITE_CHANNEL)


def get_channel_api(channel: str) -> PlatformApi | None:
    """The official interface of a channel, if it has one."""
    found: PlatformApi | None = getattr(list_channels().get(channel), "INTERFACE", None)
    return found


@lru_cache(maxsize=1)
def list_api_hosts() -> frozenset[str]:
    """The hosts of the official interfaces, which say themselves how often they may be asked."""
    return frozenset(own.host for name in list_channels() if (own := get_channel_api(name)))


def is_platform_host(host: str) -> bool:
    """Whether a host is everybody's: a platform's, or that of an official interface."""
    return find_channel_by_host(host) != WEBSITE_CHANNEL or host in list_api_hosts()


@lru_cache(maxsize=1)
def _map_hosts_to_channels() -> Mapping[str, str]:
    return {host: name for name, module in list_channels().items() for host in module.HOSTS}
