"""The public suffix list that comes with tldextract, read without the library.

Loading tldextract loads an HTTP client, and it builds a tree of all the list: a fifth of a second for each
process that asks for one name (2026-11). The file is read as it lies beside the library; a test holds the
answers equal to the library's. Nothing is ever fetched.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.abc import FileLoader
from importlib.util import find_spec

_RESERVED = frozenset({"example", "test", "invalid", "localhost", "onion", "local", "internal"})


@lru_cache(maxsize=1)
def _rules() -> frozenset[str]:
    """The lines of the list: `org.ma`, `*.ck`, `!www.ck`; those of hosting companies among them."""
    found = find_spec("tldextract")
    assert found is not None
    assert found.submodule_search_locations is not None
    assert isinstance(found.loader, FileLoader)
    data = found.loader.get_data(f"{found.submodule_search_locations[0]}/.tld_set_snapshot").decode()
    return frozenset(line for line in data.split("\n") if line and not line.startswith("//"))


@lru_cache(maxsize=1)
def tlds() -> frozenset[str]:
    """Every top-level domain of the list, in Unicode, and the reserved ones."""
    return frozenset({rule.rpartition(".")[2] for rule in _rules()} | _RESERVED)


def registrable(name: str) -> str:
    """The part of a name that somebody registered under a public suffix, or nothing where there is none.

    The name is lower-case and in Unicode.
    """
    labels, rules = name.split("."), _rules()
    for place in range(len(labels)):
        rest = ".".join(labels[place + 1 :])
        if f"!{labels[place]}.{rest}" in rules:
            return f"{labels[place]}.{rest}"
        if ".".join(labels[place:]) in rules or (rest and f"*.{rest}" in rules):
            return ".".join(labels[place - 1 :]) if place and labels[place - 1] else ""
    return ""
