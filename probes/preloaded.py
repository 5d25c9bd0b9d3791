"""What readers are forked from: every probe and the list of suffixes are loaded, all patterns compiled."""

from __future__ import annotations

from probes import feeds, links, read  # noqa: F401
from probes.pattern import compile_all
from probes.suffixes import tlds

links.channels()
tlds()
compile_all()
