"""Loads all channels, the public suffix list and the patterns, which parser workers inherit."""

from __future__ import annotations

import htmldate  # noqa: F401  # takes half a second to import

from probes.http import robots  # noqa: F401
from probes.links import channel_registry
from probes.parsing import feeds, html, tree_backends, visitor_content, volatile_tokens  # noqa: F401
from probes.text.lazy_regex import prepare_patterns
from probes.urls.domains import load_suffix_list

channel_registry.list_channels()
load_suffix_list()
prepare_patterns()
