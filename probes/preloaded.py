"""What readers are forked from: every probe is loaded, its patterns compiled."""

from __future__ import annotations

from probes import feeds, links, read  # noqa: F401
from probes.pattern import compile_all

links.channels()
compile_all()
