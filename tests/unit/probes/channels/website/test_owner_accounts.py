"""A page shows which accounts are its owner's. Visitors' links and vendors' credits do not
count.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.channels.website import owner_accounts
from probes.models.finding import FoundLink
from probes.parsing import html

URL = "https://annour.example/"


def find_accounts(body: str = "", head: str = "") -> dict[str, str]:
    markup = f"<html><head><title>Association Annour</title>{head}</head><body>{body}</body></html>"
    return {
        f"{link.channel} {link.key}": link.source
        for link in owner_accounts.find_owner_accounts(html.parse_html(markup, URL))
    }


GROUPS = tomllib.loads((Path(__file__).parent / "cases" / "owner_accounts.toml").read_text("utf-8"))


@pytest.mark.parametrize("group", GROUPS["groups"], ids=lambda group: group["name"])
def test_owner_accounts_are_told_from_those_of_others(group: dict[str, Any]) -> None:
    found = {markup: find_accounts(**{group["place"]: markup}) for markup in group["cases"]}
    assert group["cases"] == {
        markup: [f"{account} ({source})" for account, source in accounts.items()]
        for markup, accounts in found.items()
    }


def test_proposal_has_its_page_and_snippet() -> None:
    markup = '<footer><a href="https://www.facebook.com/ateliers.du.lac">Facebook</a></footer>'
    [link] = owner_accounts.find_owner_accounts(
        html.parse_html(markup, "https://annour.example/contact")
    )
    assert (link.page_url, link.snippet, link.canonical) == (
        "https://annour.example/contact",
        "Facebook",
        "https://www.facebook.com/ateliers.du.lac",
    )


def find_link(body: str, head: str = "", *, contact: bool = False) -> FoundLink:
    markup = f"<html><head><title>Association Annour</title>{head}</head><body>{body}</body></html>"
    [link] = owner_accounts.find_owner_accounts(
        html.parse_html(markup, URL), is_contact_page=contact
    )
    return link


ICON = '<footer><div class="social"><a href="https://{}"><i></i></a></div></footer>'


@pytest.mark.parametrize(
    "href",
    [
        "www.linkedin.com/company/annour-asso",
        "linkedin.com/company/annour-asso",
        "/www.linkedin.com/company/annour-asso",
        "http//www.linkedin.com/company/annour-asso",
        "https:/www.linkedin.com/company/annour-asso",
        "https://https://www.linkedin.com/company/annour-asso",
    ],
)
def test_address_without_scheme_is_repaired(href: str) -> None:
    link = find_link(f'<footer><a href="{href}">LinkedIn</a></footer>')
    assert (link.key, link.canonical) == (
        "company/annour-asso",
        "https://www.linkedin.com/company/annour-asso",
    )


def test_visible_link_has_priority_over_metadata() -> None:
    """A theme's settings are filled in once; icons are seen, and corrected when a name changes."""
    head = '<meta name="twitter:site" content="@annour_2012">'
    assert list(find_accounts(ICON.format("x.com/annour_maroc"), head)) == ["twitter annour_maroc"]
    assert list(find_accounts("", head)) == ["twitter annour_2012"]


def test_numeric_id_in_head_is_the_shown_page() -> None:
    head = '<meta property="fb:pages" content="123456789012">'
    assert list(find_accounts(ICON.format("www.facebook.com/annour"), head)) == [
        "facebook u:annour"
    ]


def test_written_address_on_contact_page_is_proposed() -> None:
    body = (
        '<p>Page : <a href="https://www.facebook.com/atelierdulac">'
        "facebook.com/atelierdulac</a></p>"
    )
    assert find_accounts(body) == {}
    assert find_link(body, contact=True).key == "u:atelierdulac"


def test_two_frequent_words_count_as_a_distinctive_word() -> None:
    page = (
        '<title>Forum des femmes</title><p>Lire <a href="https://twitter.com/{}">le fil</a> et '
        '<a href="https://twitter.com/voisin">un autre</a></p>'
    )
    linked_names = [
        [
            link.key
            for link in owner_accounts.find_owner_accounts(
                html.parse_html(page.format(name), "https://ffb.example/")
            )
        ]
        for name in ("forumfemmes", "femmes_mag")
    ]
    assert linked_names == [["forumfemmes"], []]


@pytest.mark.parametrize(
    ("body", "address"),
    [
        ('<a href="/contact">Contact</a>', "https://annour.example/contact"),
        (
            '<a href="/qui">Qui sommes-nous ?</a><a href="/ecrire">اتصل بنا</a>',
            "https://annour.example/ecrire",
        ),
        ('<a href="/about">من نحن</a>', "https://annour.example/about"),
        ('<a href="/contact.html"><img></a>', "https://annour.example/contact.html"),
        ('<a href="#contact">Contact</a><a href="mailto:a@annour.example">Contact</a>', ""),
        ('<a href="https://ailleurs.example/contact">Contact</a>', ""),
        ('<a href="/p">Premier contact entre deux villages de la vallée du haut</a>', ""),
        ('<a href="/contact.pdf">Contact</a>', ""),
    ],
)
def test_contact_page_is_an_internal_link(body: str, address: str) -> None:
    assert (
        owner_accounts.find_contact_url(
            html.parse_html(f"<body>{body}</body>", "https://annour.example/")
        )
        == address
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "//", "https://[", "x.com/a", "@", "Person"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["@type", "@id", "@graph", "url", "name", "sameAs"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
ADDRESSES = st.sampled_from(
    [
        "https://www.facebook.com/plugins/page.php?href=",
        "https://www.facebook.com/plugins/likebox.php?id=%F0&href=https://[",
        "https://www.youtube.com/embed/?list=UU&listType=user_uploads&channel=",
        "https://[::1/timeline-profile/screen-name/",
        "//x.com/",
        "mailto:a@b",
        "",
    ]
)


@given(JSON, ADDRESSES, st.text(max_size=30))
def test_any_metadata_is_accepted(stated: object, address: str, text: str) -> None:
    body = (
        f'<script type="application/ld+json">{json.dumps(stated)}</script>'
        f'<iframe src="{address}{text}"></iframe>'
        f'<meta name="twitter:site" content="{address}"><div data-href="{address}"></div>'
        f'<footer><a href="{address}{text}">{text}</a></footer>'
    )
    document = html.parse_html(body, "https://annour.example/")
    assert all(link.key for link in owner_accounts.find_owner_accounts(document))
