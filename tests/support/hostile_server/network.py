"""The configuration and the registry of a run over the hostile web."""

from __future__ import annotations

import zlib
from datetime import datetime
from pathlib import Path

from probes.links import identify
from storage.models.audit import AccountRow, Association
from storage.store import Store
from tests.support.channel_settings import disable_channels_except
from tests.support.hostile_server.authority import NOW
from tests.support.hostile_server.web import HostileWeb

CONFIG = """
[storage]
folder = "{folder}/data"
min_free_bytes = 0
[backup]
folder = "{folder}/backups"
max_count = 3
[fetch]
allow_networks = ["127.0.0.0/8"]
nameservers = ["{names}"]
ca_file = "{authority}"
host_delay = 0
second_pass_delay = 0
retry_wait = 0.01
max_retries = {max_retries}
timeout = {timeout}
connect_timeout = 1
dns_timeout = 0.25
[channels.website]
canaries = ["{canaries[0]}", "{canaries[1]}"]
[domain_expiry]
enabled = false
""" + disable_channels_except("website")


def write_config(folder: Path, web: HostileWeb, timeout: float = 2, max_retries: int = 1) -> None:
    """Write the configuration of a run over this web."""
    canaries = [web.links[name] for name in web.healthy[:2]]
    text = CONFIG.format(
        folder=folder,
        names=web.names.address,
        authority=web.authority.file,
        canaries=canaries,
        timeout=timeout,
        max_retries=max_retries,
    )
    (folder / "config.toml").write_text(text, encoding="utf-8")


def open_store(folder: Path) -> Store:
    """Open the database of such a configuration."""
    return Store.open(f"sqlite:///{folder}/data/auditor.db")


def register_sites(folder: Path, links: dict[str, str], now: datetime = NOW) -> None:
    """Register each site as an association of its name, healthy ones between the attacks."""
    names = sorted(links, key=lambda name: zlib.crc32(name.encode()))  # always the same mix
    rows = [
        AccountRow(name, links[name], identify.identify_link(links[name], "website"), "website")
        for name in names
    ]
    with open_store(folder) as store:
        associations = [Association(name, f"Association {name}") for name in names]
        store.registry.save_registry(associations, rows, now)
