"""An association's page tells which accounts are its own; visitors' links and vendors' credits do not."""

import pytest

from probes import discover, read


def found(body: str, head: str = "", url: str = "https://annour.example/") -> dict[str, str]:
    markup = f"<html><head><title>Association Annour</title>{head}</head><body>{body}</body></html>"
    return {f"{link.channel} {link.key}": link.source for link in discover.channels(read.parse(markup, url))}


FACEBOOK = '<a href="https://www.facebook.com/ateliers.du.lac">{}</a>'


@pytest.mark.parametrize(
    "body",
    [
        f"<footer>{FACEBOOK.format('<i></i>')}</footer>",
        f"<header><div>{FACEBOOK.format('Facebook')}</div></header>",
        f'<div class="social-links">{FACEBOOK.format("")}</div>',
        f"<nav><ul><li>{FACEBOOK.format('Notre page')}</li></ul></nav>",
        f"<main><p>{FACEBOOK.format('Suivez-nous sur Facebook')}</p></main>",
        f"<main><p>{FACEBOOK.format('صفحتنا على فيسبوك')}</p></main>",
    ],
    ids=["footer", "header", "social box", "menu", "french words", "arabic words"],
)
def test_a_link_in_the_owners_place_or_words_is_the_owners(body: str) -> None:
    assert list(found(body)) == ["facebook u:ateliersdulac"]


@pytest.mark.parametrize(
    "body",
    [
        '<footer><a href="https://www.facebook.com/sharer/sharer.php?u=x">f</a></footer>',
        '<footer><a href="https://twitter.com/intent/tweet?text=x">t</a></footer>',
        '<footer><a href="https://www.facebook.com/">f</a></footer>',
        '<footer><a href="https://www.facebook.com/wix">f</a></footer>',
        '<footer><a href="https://www.facebook.com/studio.pixel">Design by Studio Pixel</a></footer>',
        '<article><p>Merci à <a href="https://twitter.com/un_ami">notre ami</a> et <a href="https://twitter.com/une_amie">amie</a>.</p></article>',
        '<blockquote class="twitter-tweet"><a href="https://twitter.com/inconnu/status/1">x</a></blockquote>',
        '<div id="comments"><a href="https://www.facebook.com/visiteur.curieux">Visiteur</a></div>',
        '<iframe src="https://www.youtube.com/embed/abcdefghijk"></iframe>',
    ],
    ids=["share", "intent", "home", "builder", "credit", "friends", "tweet", "visitor", "video"],
)
def test_a_link_that_is_nobodys_or_anothers_is_not_proposed(body: str) -> None:
    assert found(body) == {}


def test_machine_readable_statements_count_most() -> None:
    head = """<script type="application/ld+json">{"@type": "NGO", "sameAs": "https://twitter.com/annour_ma"}</script>
      <link rel="me" href="https://www.youtube.com/@annour">
      <meta property="article:publisher" content="https://www.facebook.com/annour">"""
    assert found("", head) == {
        "twitter annour_ma": "sameAs",
        "youtube @annour": "rel=me",
        "facebook u:annour": "article:publisher",
    }


def test_an_authors_accounts_are_not_the_sites() -> None:
    head = """<script type="application/ld+json">
      {"@type": "Person", "name": "X", "sameAs": ["https://twitter.com/une_plume"]}</script>"""
    assert found("", head) == {}


def test_a_page_plugin_names_its_page() -> None:
    body = '<div class="fb-page" data-href="https://www.facebook.com/annour"></div>'
    assert found(body) == {"facebook u:annour": "embed"}


def test_a_tweet_box_in_a_post_with_the_sites_own_name_is_its_own() -> None:
    body = """<p>Voir <a href="https://twitter.com/annour_asso">le fil</a>
      et <a href="https://twitter.com/voisin">un autre</a>.</p>"""
    assert list(found(body)) == ["twitter annour_asso"]


def test_a_proposal_carries_its_page_and_words() -> None:
    markup = f"<footer>{FACEBOOK.format('Facebook')}</footer>"
    [link] = discover.channels(read.parse(markup, "https://annour.example/contact"))
    assert (link.page, link.snippet, link.canonical) == (
        "https://annour.example/contact",
        "Facebook",
        "https://www.facebook.com/ateliers.du.lac",
    )


def test_every_list_of_nobodys_names_has_its_reason() -> None:
    assert all(len(reason.split()) > 3 and names for reason, names in discover.NOBODYS.items())
