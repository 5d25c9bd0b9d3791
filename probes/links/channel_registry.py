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
from probes.models.http import Interface
from probes.models.probe import Channel

SITE = cells.SITE
PACKAGE = "probes.channels"
"""Loaded by its name when a channel is first asked for: the channels themselves use this module."""


def channels() -> Mapping[str, Channel]:
    """Every channel by name: the modules of `probes.channels` that have HOSTS."""
    return _channels()


@lru_cache(maxsize=1)
def _channels() -> Mapping[str, Channel]:
    package = importlib.import_module(PACKAGE)
    modules = [
        importlib.import_module(f"{PACKAGE}.{one.name}") for one in pkgutil.iter_modules(package.__path__)
    ]
    found = [cast("Channel", module) for module in modules if hasattr(module, "HOSTS")]
    return MappingProxyType({channel.NAME: channel for channel in found})


def channel(name: str) -> Channel:
    """The channel of that name. Raises KeyError where there is none."""
    return channels()[name]


@lru_cache(maxsize=16_384)
def owner(host: str) -> str:
    """The name of the channel that a host belongs to: the longest of the HOSTS it ends with.

    One that ends with `*` (`nitter.*`) stands for every host that begins so.
    """
    rest = host = host.partition(":")[0]
    owners = _owners()
    while "." in rest:
        if rest in owners:
            return owners[rest]
        rest = rest.partition(".")[2]
    return owners.get(f"{host.partition('.')[0]}.*", SITE)


def interface(channel: str) -> Interface | None:
    """The official interface of a channel, if it has one."""
    found: Interface | None = getattr(channels().get(channel), "INTERFACE", None)
    return found


@lru_cache(maxsize=1)
def interfaces() -> frozenset[str]:
    """The hosts of the official interfaces, which say themselves how often they may be asked."""
    return frozenset(own.host for name in channels() if (own := interface(name)))


def is_everybodys(host: str) -> bool:
    """Whether a host is everybody's: a platform's, or that of an official interface."""
    return owner(host) != SITE or host in interfaces()


@lru_cache(maxsize=1)
def _owners() -> Mapping[str, str]:
    return {host: name for name, module in channels().items() for host in module.HOSTS}
