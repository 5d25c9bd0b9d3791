"""The public suffix list, read without its library, answers as the library does."""

import pytest
from tldextract import TLDExtract

from probes.urls import domains

library = TLDExtract(suffix_list_urls=(), cache_dir=None)
with_private = TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


def test_the_top_level_domains_are_the_librarys_and_the_reserved_ones() -> None:
    theirs = {suffix.rpartition(".")[2] for suffix in library.tlds}
    reserved = {"example", "test", "invalid", "localhost", "onion", "local", "internal"}
    assert domains.tlds() == theirs | reserved


@pytest.mark.parametrize("before", ["", "annour.", "www.annour.", "a.b.annour."])
def test_every_rule_of_the_list_is_read_as_the_library_reads_it(before: str) -> None:
    for suffix in with_private.tlds:
        name = before + suffix.lstrip("!").replace("*", "own")
        assert domains.registrable_suffix(name) == with_private(name).top_domain_under_public_suffix, name


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("annour.org.ma", "annour.org.ma"),
        ("fr.annour.org.ma", "annour.org.ma"),
        ("annour.blogspot.com", "annour.blogspot.com"),
        ("www.ck", "www.ck"),
        ("a.www.ck", "www.ck"),
        ("a.b.own.ck", "b.own.ck"),
        ("org.ma", ""),
        ("127.0.0.1", ""),
        ("annour.nosuchend", ""),
        ("", ""),
        ("..", ""),
    ],
)
def test_the_part_that_somebody_registered_is_told(name: str, own: str) -> None:
    assert domains.registrable_suffix(name) == own
