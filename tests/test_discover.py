"""An association's page tells which accounts are its own; visitors' links and vendors' credits"
" do not."""

import pytest

from probes import discover, nobodys, read


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
        (
            '<article><p>Merci à <a href="https://twitter.com/un_ami">notre ami</a> et <a'
            ' href="https://twitter.com/une_amie">amie</a>.</p></article>'
        ),
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
    assert all(len(reason.split()) > 3 and names for reason, names in nobodys.NOBODYS.items())


STRANGERS: dict[str, str] = {
    "video embed": '<iframe src="https://www.youtube.com/embed/videoseries?list=PLabc"></iframe>',
    "video link": '<footer><a href="https://www.youtube.com/watch?v=abcdefghijk">Vidéo</a></footer>',
    "author box": '<article><h1>Bilan</h1><p>x</p><div class="author-box"><a'
    ' href="https://twitter.com/une_personne">Salma K.</a><a'
    ' href="https://www.linkedin.com/in/une-personne"><i></i></a></div></article>',
    "author social": '<article><h1>Bilan</h1><div class="author-bio"><div class="social-links"><a'
    ' href="https://twitter.com/une_personne"><i></i></a></div></div></article>',
    "team": '<main><h2>Notre équipe</h2><div class="team-member"><div class="social-icons"><a'
    ' href="https://www.linkedin.com/in/une-personne"><i></i></a><a'
    ' href="https://twitter.com/une_personne"><i></i></a></div></div><div class="team-member"><div'
    ' class="social-icons"><a href="https://www.linkedin.com/in/autre-personne"><i></i></a><a'
    ' href="https://twitter.com/autre_personne"><i></i></a></div></div></main>',
    "partner": '<main><h2>Nos partenaires</h2><ul class="partners"><li><a'
    ' href="https://www.facebook.com/fondation.mer"><img></a></li><li><a'
    ' href="https://www.facebook.com/union.sel"><img></a></li></ul></main>',
    "partner words": "<main><p>Suivez notre partenaire <a"
    ' href="https://www.facebook.com/fondation.mer">Fondation Mer sur Facebook</a></p></main>',
    "partner one": '<main><div class="partners"><a href="https://www.facebook.com/fondation.mer">'
    "<img></a></div></main>",
    "footer agency": '<footer>Réalisé par <a href="https://www.facebook.com/agence.pixel">Pixel</a></footer>',
    "footer agency2": "<footer><p>Site conçu par</p><a"
    ' href="https://www.linkedin.com/company/pixel-studio">Pixel Studio</a></footer>',
    "share label": '<main><a title="Partager sur Facebook"'
    ' href="https://www.facebook.com/share.php?u=x"><i></i></a></main>',
    "wp default": '<footer><a href="https://twitter.com/WordPress">Twitter</a><a'
    ' href="https://www.facebook.com/WordPress/">f</a><a href="https://www.youtube.com/c/wix">y</a>'
    "</footer>",
    "wix demo": '<footer><a href="http://www.facebook.com/wix"><img></a><a'
    ' href="http://www.twitter.com/wix"><img></a><a href="https://www.youtube.com/user/Wix"><img>'
    "</a></footer>",
    "placeholder": '<header><a href="https://www.facebook.com/yourpage">f</a><a'
    ' href="https://twitter.com/#">t</a><a href="https://www.linkedin.com/company/">in</a></header>',
    "timeline tweet": '<div class="twitter-timeline"><a class="twitter-timeline"'
    ' href="https://twitter.com/inconnu/status/12">x</a></div>',
    "fb post": '<div class="fb-post" data-href="https://www.facebook.com/inconnu/posts/123"></div>',
    "hashtag": '<footer><a href="https://twitter.com/hashtag/maroc">#maroc</a></footer>',
    "person ld": "<script"
    ' type="application/ld+json">{"@type":"Person","name":"Salma","sameAs":["https://twitter.com/une_personne"]}</script>',
    "author nested ld": "<script"
    ' type="application/ld+json">{"@type":"Article","author":{"@type":"Person","sameAs":"https://twitter.com/une_personne"}}</script>',
    "creator": '<meta name="twitter:creator" content="@une_personne">',
    "other org in graph": "<script"
    ' type="application/ld+json">{"@type":"Event","organizer":{"@type":"Organization","sameAs":"https://twitter.com/une_personne"}}</script>',
    "news mention twice": '<article><p><a href="https://twitter.com/ministere_x">@ministere_x</a> a'
    ' dit… <a href="https://twitter.com/ministere_x">@ministere_x</a></p></article>',
    "comment author": '<ol class="comment-list"><li><a href="https://www.facebook.com/visiteur"'
    ' rel="external nofollow">V</a></li></ol>',
    "widget tweets": '<aside class="widget"><a href="https://twitter.com/inconnu">@inconnu</a> <a'
    ' href="https://twitter.com/autre_x">@autre_x</a></aside>',
}
OWN: dict[str, tuple[str, int]] = {
    "annour in body": ('<main><a href="https://www.facebook.com/annour.sale">Facebook</a></main>', 1),
    "two langs": (
        (
            '<footer><a href="https://www.facebook.com/annour.ar"><i></i></a><a'
            ' href="https://www.facebook.com/annour.fr"><i></i></a></footer>'
        ),
        2,
    ),
    "footer all": (
        (
            '<footer><a href="https://www.facebook.com/atelier"><i></i></a><a'
            ' href="https://x.com/atelier_m"><i></i></a><a href="https://www.youtube.com/@atelierm"><i></i>'
            '</a><a href="https://www.linkedin.com/company/atelierm"><i></i></a></footer>'
        ),
        4,
    ),
    "page plugin": ('<div class="fb-page" data-href="https://www.facebook.com/atelierdulac"></div>', 1),
    "iframe plugin": (
        (
            "<iframe"
            ' src="https://www.facebook.com/plugins/page.php?href=https%3A%2F%2Fwww.facebook.com%2Fatelierdulac&tabs=timeline"></iframe>'
        ),
        1,
    ),
    "timeline": (
        '<a class="twitter-timeline" href="https://twitter.com/atelier_m">Tweets by atelier_m</a>',
        1,
    ),
    "elementor": (
        (
            '<div class="elementor-social-icons-wrapper"><a class="elementor-icon"'
            ' href="https://www.facebook.com/atelierdulac"><span>Facebook</span></a></div>'
        ),
        1,
    ),
    "arabic": ('<p>تابعونا على <a href="https://www.facebook.com/atelierdulac">فيسبوك</a></p>', 1),
    "no class footer": (
        '<div><p>Adresse</p><a href="https://www.facebook.com/atelierdulac"><img src=f.png></a></div>',
        1,
    ),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_accounts_of_authors_partners_makers_and_strangers_are_not_proposed(name: str) -> None:
    assert found(STRANGERS[name]) == {}


@pytest.mark.parametrize("name", OWN)
def test_accounts_in_the_owners_places_are_proposed(name: str) -> None:
    body, number = OWN[name]
    assert len(found(body)) == number
