"""Registrable domains and top-level domains, by the public suffix list."""

import pytest

from probes.links import domains


@pytest.mark.parametrize(
    "label", ["ma", "org", "ck", "za", "museum", "المغرب", "example", "localhost"]
)
def test_listed_and_reserved_top_level_domains_are_recognised(label):
    assert domains.is_top_level_domain(label)


@pytest.mark.parametrize("label", ["", "html", "nosuchend", "annour"])
def test_other_labels_are_no_top_level_domains(label):
    assert not domains.is_top_level_domain(label)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("annour.org.ma", "annour.org.ma"),
        ("fr.annour.org.ma", "annour.org.ma"),
        ("annour.blogspot.com", "annour.blogspot.com"),
        ("www.ck", "www.ck"),
        ("a.www.ck", "www.ck"),
        ("a.b.own.ck", "b.own.ck"),
        ("annour.co.za", "annour.co.za"),
        ("org.ma", ""),
        ("127.0.0.1", ""),
        ("annour.nosuchend", ""),
        ("", ""),
        ("..", ""),
    ],
)
def test_registrable_domain_of_a_name(name, domain):
    assert domains.match_registrable_domain(name) == domain
