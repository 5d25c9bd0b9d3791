"""A page shows which accounts are its owner's. Visitors' links and vendors' credits do not
count.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.channels.website import owner_accounts
from probes.models.finding import FoundLink
from probes.parsing import html


def find_accounts(
    body: str, head: str = "", url: str = "https://annour.example/"
) -> dict[str, str]:
    markup = f"<html><head><title>Association Annour</title>{head}</head><body>{body}</body></html>"
    return {
        f"{link.channel} {link.key}": link.source
        for link in owner_accounts.find_owner_accounts(html.parse_html(markup, url))
    }


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
def test_link_in_owner_place_or_words_is_proposed(body: str) -> None:
    assert list(find_accounts(body)) == ["facebook u:ateliersdulac"]


@pytest.mark.parametrize(
    "body",
    [
        '<footer><a href="https://www.facebook.com/sharer/sharer.php?u=x">f</a></footer>',
        '<footer><a href="https://twitter.com/intent/tweet?text=x">t</a></footer>',
        '<footer><a href="https://www.facebook.com/">f</a></footer>',
        '<footer><a href="https://www.facebook.com/wix">f</a></footer>',
        (
            '<article><p>Merci à <a href="https://twitter.com/un_ami">notre ami</a> et <a'
            ' href="https://twitter.com/une_amie">amie</a>.</p></article>'
        ),
        (
            '<blockquote class="twitter-tweet"><a href="https://twitter.com/inconnu/status/1">x</a>'
            "</blockquote>"
        ),
        '<div id="comments"><a href="https://www.facebook.com/visiteur.curieux">Visiteur</a></div>',
        '<iframe src="https://www.youtube.com/embed/abcdefghijk"></iframe>',
    ],
    ids=["share", "intent", "home", "builder", "friends", "tweet", "visitor", "video"],
)
def test_link_of_others_is_not_proposed(body: str) -> None:
    assert find_accounts(body) == {}


def test_metadata_statements_count_most() -> None:
    head = """<script type="application/ld+json">{"@type": "NGO", "sameAs": "https://twitter.com/annour_ma"}</script>
      <link rel="me" href="https://www.youtube.com/@annour">
      <meta property="article:publisher" content="https://www.facebook.com/annour">"""
    assert find_accounts("", head) == {
        "twitter annour_ma": "sameAs",
        "youtube @annour": "rel=me",
        "facebook u:annour": "article:publisher",
    }


def test_accounts_of_an_author_are_not_proposed() -> None:
    head = """<script type="application/ld+json">
      {"@type": "Person", "name": "X", "sameAs": ["https://twitter.com/une_plume"]}</script>"""
    assert find_accounts("", head) == {}


def test_page_plugin_names_its_page() -> None:
    body = '<div class="fb-page" data-href="https://www.facebook.com/annour"></div>'
    assert find_accounts(body) == {"facebook u:annour": "embed"}


def test_timeline_with_the_site_name_is_proposed() -> None:
    body = """<p>Voir <a href="https://twitter.com/annour_asso">le fil</a>
      et <a href="https://twitter.com/voisin">un autre</a>.</p>"""
    assert list(find_accounts(body)) == ["twitter annour_asso"]


def test_proposal_has_its_page_and_snippet() -> None:
    markup = f"<footer>{FACEBOOK.format('Facebook')}</footer>"
    [link] = owner_accounts.find_owner_accounts(
        html.parse_html(markup, "https://annour.example/contact")
    )
    assert (link.page_url, link.snippet, link.canonical) == (
        "https://annour.example/contact",
        "Facebook",
        "https://www.facebook.com/ateliers.du.lac",
    )


STRANGERS: dict[str, str] = {
    "video embed": '<iframe src="https://www.youtube.com/embed/videoseries?list=PLabc"></iframe>',
    "video link": '<footer><a href="https://www.youtube.com/watch?v=abcdefghijk">Vidéo</a>'
    "</footer>",
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
    "partner one": '<main><div class="partners"><a href="https://www.facebook.com/fondation.mer">'
    "<img></a></div></main>",
    "share label": '<main><a title="Partager sur Facebook"'
    ' href="https://www.facebook.com/share.php?u=x"><i></i></a></main>',
    "wp default": '<footer><a href="https://twitter.com/WordPress">Twitter</a><a'
    ' href="https://www.facebook.com/WordPress/">f</a><a href="https://www.youtube.com/c/wix">y</a>'
    "</footer>",
    "wix demo": '<footer><a href="http://www.facebook.com/wix"><img></a><a'
    ' href="http://www.twitter.com/wix"><img></a><a href="https://www.youtube.com/user/Wix"><img>'
    "</a></footer>",
    "placeholder": '<header><a href="https://www.facebook.com/yourpage">f</a><a'
    ' href="https://twitter.com/#">t</a><a href="https://www.linkedin.com/company/">in</a>'
    "</header>",
    "timeline tweet": '<div class="twitter-timeline"><a class="twitter-timeline"'
    ' href="https://twitter.com/inconnu/status/12">x</a></div>',
    "fb post": '<div class="fb-post" data-href="https://www.facebook.com/inconnu/posts/123"></div>',
    "hashtag": '<footer><a href="https://twitter.com/hashtag/maroc">#maroc</a></footer>',
    "person ld": "<script"
    ' type="application/ld+json">{"@type":"Person","name":"Salma",'
    '"sameAs":["https://twitter.com/une_personne"]}</script>',
    "author nested ld": "<script"
    ' type="application/ld+json">{"@type":"Article","author":{"@type":"Person",'
    '"sameAs":"https://twitter.com/une_personne"}}</script>',
    "creator": '<meta name="twitter:creator" content="@une_personne">',
    "other org in graph": "<script"
    ' type="application/ld+json">{"@type":"Event","organizer":{"@type":"Organization",'
    '"sameAs":"https://twitter.com/une_personne"}}</script>',
    "news mention twice": '<article><p><a href="https://twitter.com/ministere_x">@ministere_x</a> a'
    ' dit… <a href="https://twitter.com/ministere_x">@ministere_x</a></p></article>',
    "comment author": '<ol class="comment-list"><li><a href="https://www.facebook.com/visiteur"'
    ' rel="external nofollow">V</a></li></ol>',
    "widget tweets": '<aside class="widget"><a href="https://twitter.com/inconnu">@inconnu</a> <a'
    ' href="https://twitter.com/autre_x">@autre_x</a></aside>',
}
OWN: dict[str, tuple[str, int]] = {
    "annour in body": (
        '<main><a href="https://www.facebook.com/annour.sale">Facebook</a></main>',
        1,
    ),
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
            ' href="https://x.com/atelier_m"><i></i></a><a '
            'href="https://www.youtube.com/@atelierm"><i></i>'
            '</a><a href="https://www.linkedin.com/company/atelierm"><i></i></a></footer>'
        ),
        4,
    ),
    "page plugin": (
        '<div class="fb-page" data-href="https://www.facebook.com/atelierdulac"></div>',
        1,
    ),
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
    "spip's foot": (
        '<div id="pied"><a href="https://www.facebook.com/atelierdulac">Lac</a></div>',
        1,
    ),
    "a social box in Turkish": (
        '<ul class="sosyal"><a href="https://www.facebook.com/atelierdulac">Lac</a></ul>',
        1,
    ),
    "no class footer": (
        (
            '<div><p>Adresse</p><a href="https://www.facebook.com/atelierdulac"><img src=f.png></a>'
            "</div>"
        ),
        1,
    ),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_accounts_of_third_parties_are_not_proposed(name: str) -> None:
    assert find_accounts(STRANGERS[name]) == {}


@pytest.mark.parametrize("name", OWN)
def test_accounts_in_owner_places_are_proposed(name: str) -> None:
    body, number = OWN[name]
    assert len(find_accounts(body)) == number


def find_link(body: str, head: str = "", *, contact: bool = False) -> FoundLink:
    markup = f"<html><head><title>Association Annour</title>{head}</head><body>{body}</body></html>"
    [link] = owner_accounts.find_owner_accounts(
        html.parse_html(markup, "https://annour.example/"), is_contact_page=contact
    )
    return link


# Each pair: the honest page of the owner, and the visitor's page that looks like it.
PAIRS: dict[str, tuple[str, str, str]] = {
    "an address written out": (
        (
            '<div><p>Facebook :</p> <a href="https://www.facebook.com/atelierdulac">'
            "www.facebook.com/atelierdulac</a></div>"
        ),
        (
            '<article><p>Source : <a href="https://www.facebook.com/ministere.x">'
            "www.facebook.com/ministere.x"
            "</a></p></article>"
        ),
        "facebook u:atelierdulac",
    ),
    "the articles of a network": (
        (
            '<script type="application/ld+json">{"@type": "Organization", "url": '
            '"https://www.annour.example",'
            ' "sameAs": ["https://twitter.com/atelier_m"]}</script>'
        ),
        (
            '<script type="application/ld+json">{"@type": "Article", "author": {"@type": '
            '"Organization", '
            '"url": "https://agence-presse.example", "sameAs": '
            '["https://twitter.com/presse_x"]}}</script>'
        ),
        "twitter atelier_m",
    ),
    "a channel and a video": (
        (
            '<iframe src="https://www.youtube.com/embed/videoseries?list=UUabcdefghijklmnopqrstuv">'
            "</iframe>"
        ),
        (
            '<iframe src="https://www.youtube.com/embed/videoseries?list=PLabcdefghijklmnopqrstuv">'
            "</iframe>"
        ),
        "youtube UCabcdefghijklmnopqrstuv",
    ),
    "a box for liking a page and one for liking an article": (
        (
            '<iframe src="https://www.facebook.com/plugins/likebox.php?id=123456789012&width=300">'
            "</iframe>"
        ),
        (
            '<iframe src="https://www.facebook.com/plugins/like.php?href=https%3A%2F%2Fannour.example%2F">'
            "</iframe>"
        ),
        "facebook id:123456789012",
    ),
    "a timeline before its script has run, and a tweet": (
        '<a class="twitter-timeline" href="https://twitter.com/atelier_m"></a>',
        (
            '<blockquote class="twitter-tweet"><p>x</p>— <a href="https://twitter.com/inconnu">'
            "Inconnu</a>"
            "</blockquote>"
        ),
        "twitter atelier_m",
    ),
    "a company and a forum of members": (
        '<footer><a href="https://www.linkedin.com/company/atelier-m"><i></i></a></footer>',
        '<footer><a href="https://www.linkedin.com/groups/1234567/"><i></i></a></footer>',
        "linkedin company/atelier-m",
    ),
    "a plugin that loads late": (
        (
            '<iframe src="about:blank" data-src="https://www.facebook.com/plugins/page.php?href='
            'https%3A%2F%2Fwww.facebook.com%2Fatelierdulac"></iframe>'
        ),
        (
            '<iframe src="about:blank" data-src="https://www.facebook.com/plugins/video.php?href='
            'https%3A%2F%2Fwww.facebook.com%2Finconnu%2Fvideos%2F1"></iframe>'
        ),
        "facebook u:atelierdulac",
    ),
    "an invitation and a mention": (
        '<p><a href="https://www.youtube.com/@atelierdulac">Abonnez-vous à la chaîne</a></p>',
        '<p>Voir <a href="https://www.youtube.com/@inconnu">la chaîne du ministère</a></p>',
        "youtube @atelierdulac",
    ),
    "a subscribe button": (
        '<iframe src="https://www.youtube.com/subscribe_embed?channel=atelierdulac"></iframe>',
        '<iframe src="https://www.youtube.com/embed/abcdefghijk"></iframe>',
        "youtube user/atelierdulac",
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_owner_page_differs_from_shared_pages(pair: str) -> None:
    owners, visitors, account = PAIRS[pair]
    assert list(find_accounts(owners)) == [account]
    assert find_accounts(visitors) == {}


ICON = '<footer><div class="social"><a href="https://{}"><i></i></a></div></footer>'


FOOTER = '<footer>{} <a href="https://www.linkedin.com/company/pixelwerk">Pixelwerk</a></footer>'


@pytest.mark.parametrize(
    "text", ["Retrouvez-nous :", "Page LinkedIn :", "Suivez", "Notre page", "LinkedIn"]
)
def test_footer_name_without_credit_is_proposed(text: str) -> None:
    assert list(find_accounts(FOOTER.format(text))) == ["linkedin company/pixelwerk"]


TEXT = '<main><h2>{}</h2><div>{}<a href="https://x.com/quelque_part">{}</a></div></main>'
SIGN, PICTURE = "<i></i>", '<img alt="{}">'


@pytest.mark.parametrize(
    "heading",
    [
        "Annour",
        "Actualités",
        "Contacter le bureau",
        "Nous suivre",
        "روابط التواصل",
        "Mitglied werden",
    ],
)
def test_icon_under_another_heading_is_proposed(heading: str) -> None:
    assert list(find_accounts(TEXT.format(heading, "", SIGN))) == ["twitter quelque_part"]


@pytest.mark.parametrize(
    "alt",
    [
        "",
        "f",
        "Facebook",
        "x-logo.png",
        "X logo",
        "icone-facebook-3.png",
        "image",
        "IMG",
        "you tube",
        "الفيسبوك",
        "Logo Annour",
    ],
)
def test_picture_without_other_text_is_an_icon(alt: str) -> None:
    assert list(find_accounts(TEXT.format("Bienvenue", "", PICTURE.format(alt)))) == [
        "twitter quelque_part"
    ]


@pytest.mark.parametrize(
    "alt", ["Erste Bank", "Ville de Trois-Ponts", "seed-trust.png", "بنك السلام"]
)
def test_picture_with_another_name_is_a_logo(alt: str) -> None:
    assert find_accounts(TEXT.format("Bienvenue", "", PICTURE.format(alt))) == {}


def test_person_profile_in_text_is_not_proposed() -> None:
    link = '<a href="https://www.linkedin.com/in/une-personne"><i></i></a>'
    assert find_accounts(f"<p>Écrire à Salma {link}</p>") == {}
    assert list(find_accounts(f"<footer>{link}</footer>")) == ["linkedin in/une-personne"]


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


@pytest.mark.parametrize(
    "href",
    [
        "/partager?u=https://www.facebook.com/annour",
        "/blog/facebook.com-et-nous",
        "https://archive.example/web/https://www.facebook.com/annour",
    ],
)
def test_address_inside_another_is_no_account(href: str) -> None:
    assert find_accounts(f'<footer><a href="{href}">Facebook</a></footer>') == {}


@pytest.mark.parametrize(
    "address",
    [
        "www.linkedin.com/company/wix-com",
        "x.com/wix_com",
        "www.facebook.com/your.page",
        "x.com/votre_page",
    ],
)
def test_vendor_name_is_ignored_with_any_separator(address: str) -> None:
    assert find_accounts(ICON.format(address)) == {}


def test_similarity_ignores_accents() -> None:
    page = '<title>Lumière</title><p>Lire <a href="https://x.com/lumiere_ma">le fil</a></p>'
    assert [
        link.key
        for link in owner_accounts.find_owner_accounts(html.parse_html(page, "https://l.example/"))
    ] == ["lumiere_ma"]


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


def test_metadata_is_read_in_any_form() -> None:
    head = """<meta name="twitter:site" content="https://twitter.com/annour_ma">
      <meta property="article:publisher" content="www.facebook.com/annour">
      <script type="application/ld+json">{"@graph": [{"@type": ["Organization", "NGO"],
      "sameAs": [{"@id": "//www.youtube.com/@annour"}, 7]}, \
{"@type": "WebPage", "sameAs": null}]}</script>"""
    assert find_accounts("", head) == {
        "twitter annour_ma": "twitter:site",
        "facebook u:annour": "article:publisher",
        "youtube @annour": "sameAs",
    }


def test_written_address_on_contact_page_is_proposed() -> None:
    body = (
        '<p>Page : <a href="https://www.facebook.com/atelierdulac">'
        "facebook.com/atelierdulac</a></p>"
    )
    assert find_accounts(body) == {}
    assert find_link(body, contact=True).key == "u:atelierdulac"


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ('<footer><a href="https://www.facebook.com/annour"><i></i></a></footer>', ""),
        ("", '<link rel="me" href="https://www.facebook.com/annour">'),
        ("", '<meta property="article:publisher" content="https://www.facebook.com/annour">'),
        ('<div class="fb-page" data-href="https://www.facebook.com/annour"></div>', ""),
    ],
    ids=["icon", "rel=me", "meta", "plugin"],
)
def test_every_clue_has_its_source_and_snippet(body: str, head: str) -> None:
    link = find_link(body, head)
    assert link.page_url == "https://annour.example/"
    assert "annour" in link.snippet


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


# --- Optional networks ---

CODE = "0029VaAnnour7f3c9a51TZxQ"
OPTIONAL_ACCOUNTS = {
    "https://www.instagram.com/annour_rabat/": "instagram annour_rabat",
    "https://www.tiktok.com/@annour.rabat?lang=fr": "tiktok annour.rabat",
    f"https://whatsapp.com/channel/{CODE}": f"whatsapp {CODE}",
    "https://t.me/annour_rabat": "telegram annour_rabat",
}


@pytest.mark.parametrize("address", OPTIONAL_ACCOUNTS)
@pytest.mark.parametrize(
    "markup",
    [
        '<footer><a href="{}"><i></i></a></footer>',
        '<header><a href="{}"><img alt="واتساب" src="a.png"></a></header>',
        '<main><p><a href="{}">Suivez-nous sur WhatsApp</a></p></main>',
        '<main><p><a href="{}">قناتنا على واتساب</a></p></main>',
        '<main><p><a href="{}">تابعونا على إنستغرام</a></p></main>',
    ],
)
def test_account_on_an_optional_network_is_proposed(markup: str, address: str) -> None:
    assert list(find_accounts(markup.format(address))) == [OPTIONAL_ACCOUNTS[address]]


@pytest.mark.parametrize(
    "address",
    [
        "https://wa.me/212600000102",
        "https://api.whatsapp.com/send?phone=212600000102",
        "https://api.whatsapp.com/send?text=https%3A%2F%2Fannour.example",
        "https://chat.whatsapp.com/AnnourAbCdEfGhIjKlMnOp",
        "https://t.me/share/url?url=https%3A%2F%2Fannour.example",
        "https://www.instagram.com/p/BxKRx5CHn5i/",
        "https://www.instagram.com/wixstudio/",
        "https://www.tiktok.com/@yourusername",
        "https://www.tiktok.com/@elementor",
        "https://whatsapp.com/channel/0029Va4K0PZ5a245NkngBA2M",
    ],
)
def test_phone_share_button_and_vendor_on_an_optional_network_are_not_proposed(
    address: str,
) -> None:
    assert find_accounts(f'<footer><a href="{address}">WhatsApp</a></footer>') == {}


def test_embedded_tiktok_profile_is_the_owners_and_an_embedded_video_is_not() -> None:
    profile = (
        '<blockquote class="tiktok-embed" data-embed-type="creator"><a '
        'href="https://www.tiktok.com/@ateliers.lac?refer=creator_embed">@ateliers.lac</a>'
        "</blockquote>"
    )
    video = (
        '<blockquote class="tiktok-embed"><a title="@un.ami" '
        'href="https://www.tiktok.com/@un.ami?refer=embed">@un.ami</a></blockquote>'
    )
    assert list(find_accounts(profile)) == ["tiktok ateliers.lac"]
    assert find_accounts(video) == {}
    frame = '<iframe src="https://www.tiktok.com/embed/@ateliers.lac"></iframe>'
    assert list(find_accounts(frame)) == ["tiktok ateliers.lac"]
