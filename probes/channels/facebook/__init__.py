"""The Facebook channel: its links, its pages and its API.

It knows nothing about storage or about how pages are fetched. Start with `page.probe` and, if a key is
configured, `api.probe_api`.
"""

from probes.channels.facebook.api import API, probe_api
from probes.channels.facebook.links import HOSTS, NAME, identify, identify_bare
from probes.channels.facebook.page import probe

VERSION = 1

__all__ = ["API", "HOSTS", "NAME", "VERSION", "identify", "identify_bare", "probe", "probe_api"]
