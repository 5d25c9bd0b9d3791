"""Comparison of hosts and domains."""

import pytest

from probes.links import domains


@pytest.mark.parametrize(
    ("host", "other_host"),
    [
        ("annour.ma", "www.annour.ma"),
        ("annour.ma", "annour.ma."),
        ("ANNOUR.ma", "annour.ma"),
        ("annour.org.ma", "fr.annour.org.ma"),
        ("www.annour.ma", "ar.annour.ma"),
        ("جمعية.example", "xn--ogbf3b7b0a.example"),
        ("www.xn--ogbf3b7b0a.example", "جمعية.example"),
        ("annour.blogspot.fr", "annour.blogspot.com"),
        ("annour.blogspot.co.uk", "annour.blogspot.com"),
    ],
)
def test_spellings_of_one_domain_are_same(host: str, other_host: str) -> None:
    assert domains.is_same_domain(host, other_host)
    assert domains.is_same_domain(other_host, host)


@pytest.mark.parametrize(
    ("host", "other_host"),
    [
        ("annour.ma", "annour.org"),
        ("annour.org.ma", "amal.org.ma"),
        ("annour.wixsite.com", "amal.wixsite.com"),
        ("annour.blogspot.com", "amal.blogspot.com"),
        ("annour.ma", ""),
    ],
)
def test_hosts_of_different_owners_differ(host: str, other_host: str) -> None:
    assert not domains.is_same_domain(host, other_host)


@pytest.mark.parametrize(
    "name", ["", ".", "localhost", "127.0.0.1", "xn--zz--.x", "xn--", "a" * 300, "é..x"]
)
def test_any_names_can_be_compared(name: str) -> None:
    assert domains.is_same_domain(name, name)
