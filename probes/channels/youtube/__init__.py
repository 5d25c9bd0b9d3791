"""The YouTube channel: its links, its pages and its API.

It knows nothing about storage or about how pages are fetched. Start with `page.probe` and, if a key is
configured, `api.probe_api`.
"""

from probes.channels.youtube.api import API, probe_api
from probes.channels.youtube.links import HOSTS, NAME, identify, identify_bare
from probes.channels.youtube.page import probe

VERSION = 4

__all__ = ["API", "HOSTS", "NAME", "VERSION", "identify", "identify_bare", "probe", "probe_api"]
