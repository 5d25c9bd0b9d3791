"""The channel of X, formerly Twitter: its links, its public pages and its API.

It knows neither storage nor how requests are sent. Start with `page.probe`, or with
`api.probe_api`, which is used if an API key is configured.
"""

from probes.channels.twitter.api import API, probe_api
from probes.channels.twitter.links import HOSTS, NAME, identify, identify_bare
from probes.channels.twitter.page import probe

VERSION = 1

__all__ = ["API", "HOSTS", "NAME", "VERSION", "identify", "identify_bare", "probe", "probe_api"]
