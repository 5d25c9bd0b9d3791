"""The Facebook channel: its links, its public pages and its API.

It knows neither storage nor how requests are sent. Start with `page.probe`, or with
`api.probe_api`, which is used if an API key is configured.
"""

from probes.channels.facebook.api import API, probe_api
from probes.channels.facebook.links import HOSTS, NAME, identify, identify_bare
from probes.channels.facebook.page import probe

VERSION = 3

__all__ = ["API", "HOSTS", "NAME", "VERSION", "identify", "identify_bare", "probe", "probe_api"]
