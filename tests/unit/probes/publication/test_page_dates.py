"""The date of a page is its own publication, not its news, events, changes or clock."""

from datetime import UTC, datetime

import pytest

from probes.channels import website
from probes.links import identify
from probes.models.finding import Account
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
F = (
    "L'association accompagne depuis vingt ans les familles du quartier. Chaque semaine, des"
    " bénévoles aident "
    "les enfants à faire leurs devoirs et les mères à apprendre à lire. "
)
A = (
    "تعمل الجمعية منذ سنوات إلى جانب أسر الحي في مجال محو الأمية ودعم التلاميذ كل يوم سبت بدار "
    "الشباب. "
)

# name: address, head, body, the day expected.
PAGES: dict[str, tuple[str, str, str, str | None]] = {
    "two jsonld": (
        "https://a.example/n/x",
        (
            "<script"
            ' type="application/ld+json">[{"@type":"NewsArticle","headline":"Autre"'
            ',"url":"https://a.example/n/y","datePublished":"2026-10-01"},{"@type":"NewsArticle"'
            ',"headline":"Le bilan","url":"https://a.example/n/x","datePublished":"2025-03-04"}]'
            "</script>"
        ),
        "<h1>Le bilan</h1><p>" + F,
        "2025-03-04",
    ),
    "jsonld main entity": (
        "https://a.example/n/x",
        (
            "<script"
            ' type="application/ld+json">{"@type":"NewsArticle"'
            ',"mainEntityOfPage":"https://a.example/n/y","datePublished":"2026-10-01"}</script>'
            '<script type="application/ld+json">{"@type":"NewsArticle"'
            ',"mainEntityOfPage":{"@id":"https://a.example/n/x"},"datePublished":"2025-03-04"}'
            "</script>"
        ),
        "<h1>Le bilan</h1><p>" + F,
        "2025-03-04",
    ),
    "modification only": (
        "https://a.example/n/x",
        (
            '<meta property="article:modified_time" content="2026-10-01"><meta'
            ' property="og:updated_time" content="2026-10-01">'
        ),
        "<h1>Le bilan</h1><p>" + F,
        None,
    ),
    "event future": (
        "https://a.example/n/x",
        "",
        "<h1>Caravane</h1><p>Rendez-vous le 12 décembre 2027</p><p>Publié le 3 mai 2026</p>",
        "2026-05-03",
    ),
    "updated vs published": (
        "https://a.example/n/x",
        "",
        "<h1>Bilan</h1><p>Mis à jour le 5 octobre 2026</p><p>Publié le 3 mai 2026</p>",
        "2026-05-03",
    ),
    "updated vs published one line": (
        "https://a.example/n/x",
        "",
        "<h1>Bilan</h1><p class=date>Publié le 3 mai 2026, mis à jour le 5 octobre 2026</p>",
        "2026-05-03",
    ),
    "updated first one line": (
        "https://a.example/n/x",
        "",
        "<h1>Bilan</h1><p class=date>Mis à jour le 5 octobre 2026 – publié le 3 mai 2026</p>",
        "2026-05-03",
    ),
    "comments": (
        "https://a.example/n/x",
        "",
        (
            "<h1>Bilan</h1><p class=date>3 mai 2020</p><div id=comments><time "
            'datetime="2024-01-02">2'
            " janvier 2024</time></div>"
        ),
        "2020-05-03",
    ),
    "related": (
        "https://a.example/n/x",
        "",
        "<h1>Bilan</h1><span class=date>3 mai 2020</span><p>"
        + F
        + '</p><div class="related-posts"><span class=date>4 juin 2026</span><span class=date>5'
        " juillet 2026</span></div>",
        "2020-05-03",
    ),
    "copyright": (
        "https://a.example/n/x",
        "",
        "<h1>Bilan</h1><p>" + F + "</p><p>Copyright 2024</p>",
        None,
    ),
    "url": (
        "https://a.example/2020/03/31/bilan",
        "",
        "<h1>Bilan</h1><p>" + F + "</p>",
        "2020-03-31",
    ),
    "time updated": (
        "https://a.example/n/x",
        "",
        '<h1>Bilan</h1><time class="updated" datetime="2026-10-01">1 oct</time><time'
        ' class="entry-date published" datetime="2026-03-02">2 mars</time><p>' + F,
        "2026-03-02",
    ),
    "arabic": (
        "https://a.example/n/x",
        "",
        "<h1>حصيلة</h1><p>نشر بتاريخ 3 ماي 2026</p><p>" + A,
        "2026-05-03",
    ),
    "arabic updated": (
        "https://a.example/n/x",
        "",
        "<h1>حصيلة</h1><p>آخر تحديث 5 أكتوبر 2026</p><p>نشر في 3 ماي 2026</p><p>" + A,
        "2026-05-03",
    ),
    "clock": (
        "https://a.example/n/x",
        "",
        '<div class="date">Vendredi 20 novembre 2026</div><h1>Bilan</h1><p>' + F + "</p>",
        None,
    ),
    "clock2": (
        "https://a.example/n/x",
        "",
        '<header><div class="date">Vendredi 20 novembre 2026</div></header><h1>Bilan</h1><span'
        " class=date>3 mai 2020</span><p>" + F + "</p>",
        "2020-05-03",
    ),
    "history text": (
        "https://a.example/qui",
        "",
        "<h1>Qui sommes-nous</h1><p>Créée le 12 mai 1998 à Salé, l'association compte 40 membres. "
        + F
        + "</p>",
        None,
    ),
    "event ld": (
        "https://a.example/n/x",
        (
            '<script type="application/ld+json">{"@type":"Event","startDate":"2026-11-01",'
            '"name":"x"}</script>'
        ),
        "<h1>Fête</h1><p>" + F,
        None,
    ),
    "home sidebar clock": (
        "https://a.example/",
        "",
        '<header><div class="date">Vendredi 20 novembre 2026</div></header><h1>Annour</h1><p>'
        + F
        + "</p>",
        None,
    ),
    "home event": (
        "https://a.example/",
        "",
        (
            '<h1>Annour</h1><div class="event"><time datetime="2026-11-21">21 nov.</time>Bal</div>'
            '<article><time class=published datetime="2026-03-02">2 mars</time>Bilan</article>'
        ),
        "2026-03-02",
    ),
    "home past event": (
        "https://a.example/",
        "",
        (
            '<h1>Annour</h1><ul class="tribe-events"><li><time datetime="2026-11-12">12 nov.'
            '</time>Bal</li></ul><article><time class=published datetime="2026-03-02">2 mars'
            "</time>Bilan</article>"
        ),
        "2026-03-02",
    ),
    "home founded": (
        "https://a.example/",
        "",
        "<h1>Annour</h1><p>Association créée le 12 mai 1998 à Salé.</p><p>" + F + "</p>",
        None,
    ),
    "home founded alone": (
        "https://a.example/",
        "",
        "<h1>Annour</h1><p>Association créée le</p><p>12 mai 1998</p><p>" + F + "</p>",
        None,
    ),
    "home news": (
        "https://a.example/",
        "",
        (
            "<h1>Annour</h1><article><h2>Bilan</h2><span class=date>3 mai 2026</span></article>"
            "<article><h2>Autre</h2><span class=date>3 juin 2026</span></article><footer><span"
            " class=date>20/11/2026</span></footer>"
        ),
        "2026-06-03",
    ),
    "home updated": (
        "https://a.example/",
        "",
        "<h1>Annour</h1><p class=date>Dernière mise à jour : 3 mai 2026</p><p>" + F + "</p>",
        None,
    ),
    "home comments widget": (
        "https://a.example/",
        "",
        "<h1>Annour</h1><article><span class=date>3 mai 2026</span></article><ul"
        ' id="recentcomments"><li><time datetime="2026-11-01">x</time></li></ul><p>' + F,
        "2026-05-03",
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_page_date_is_its_own_publication(name: str) -> None:
    url, head, body, day = PAGES[name]
    title = "Annour" if url.endswith("example/") else "Le bilan – Annour"
    markup = f"<html><head><title>{title}</title>{head}</head><body>{body}</body></html>"

    def web(request: PageRequest) -> Page | FetchError:
        return Page(request.url, 200 if request.url == url else 404, {}, markup.encode(), NOW)

    result = run_offline(
        website.probe(Account("a", url, identify.identify_link(url))), web
    ).finding.last_activity
    assert (result.format_iso()[:10] if result else None) == day
