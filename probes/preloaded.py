"""What readers are forked from: every probe and the list of suffixes are loaded, all patterns ready."""

from __future__ import annotations

import htmldate  # noqa: F401  # half a second to load, which every worker would spend anew

from probes import feeds, links, read, soup  # noqa: F401
from probes.pattern import prepare
from probes.suffixes import tlds

links.channels()
tlds()
prepare()
