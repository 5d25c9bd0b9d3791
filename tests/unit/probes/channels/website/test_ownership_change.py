"""Comparison of a site with its past: takeovers are detected, changes by the owner are accepted."""

from dataclasses import replace

import pytest

from probes.models.finding import Finding, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from tests.support import played_site
from tests.support.played_site import URL as HOME
from tests.support.played_site import site_page

WORDPRESS = '<meta name="generator" content="WordPress 6.8">'
JOOMLA = '<meta name="generator" content="Joomla!">'
COUNTER = "<script async src='https://www.googletagmanager.com/gtag/js?id=G-AB12CD34EF'></script>"
FRENCH = (
    "L'association accompagne depuis vingt ans les familles du quartier. Chaque semaine, des "
    "bénévoles "
    "aident les enfants à faire leurs devoirs et les mères à apprendre à lire. "
)
ARABIC = (
    "تعمل الجمعية منذ سنوات إلى جانب أسر الحي في مجال محو الأمية ودعم التلاميذ، وينشط فيها "
    "متطوعون من مختلف "
    "الأعمار كل يوم سبت بدار الشباب. "
)
ENGLISH = (
    "Our volunteers have worked with the families of the old town for twenty years. Every "
    "Saturday they help "
    "the children with homework and the mothers with reading. "
)
INDONESIAN = (
    "Situs ini adalah tempat terbaik untuk anda yang ingin bermain dengan aman dan mudah di dalam "
    "satu akun "
    "dari rumah atau di mana saja dengan layanan yang tidak pernah tutup. "
)
TURKISH = (
    "Derneğimiz yirmi yıldır mahallenin çocukları için ders veriyor ve her cumartesi kütüphanede "
    "bir araya "
    "geliyor. Bu çalışma çok önemli, sizin desteğiniz ile daha da büyüyor. "
)
JAPANESE = "私たちの店では毎日新しい商品を取り揃えております。ぜひご覧ください。"
MENU = "".join(f'<a href="/page-{n}">Page {n}</a>' for n in range(5))
PAST_PAGE = ("fr", "Association Annour – Salé", f"<h1>Annour</h1><p>{FRENCH * 2}</p>", WORDPRESS)


def page(lang: str, title: str, body: str, head: str = "") -> str:
    return (
        f'<html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>{head}</head>'
        f"<body><nav>{MENU}</nav><main>{body}</main></body></html>"
    )


def probe_site(
    body: str, previous: Finding | None = None, landed: str = HOME, link: str = HOME, day: int = 0
) -> Finding:
    def web(request: PageRequest) -> Page:
        answers = {link: site_page(link, body, final_url=landed, day=day)}
        return answers.get(request.url) or site_page(request.url, "", 404)

    return played_site.probe_site(web, link, previous)[0]


def find_past(*page_parts: str, link: str = HOME) -> Finding:
    """Return the finding of an earlier good run."""
    result = probe_site(page(*page_parts), landed=link, link=link)
    assert result.presence is Presence.PRESENT
    return replace(result, links=())


def test_present_finding_stores_facts_for_later_runs() -> None:
    facts = probe_site(page(*PAST_PAGE[:3], WORDPRESS + COUNTER)).facts
    assert facts["title"] == "Association Annour – Salé"
    assert (facts["language"], facts["platform"], facts["tracking_id"]) == (
        "fr",
        "wordpress",
        "G-AB12CD34EF",
    )


STOLEN = {
    "one spam word": (
        "id",
        "Situs slot gacor hari ini",
        f"<h1>Halaman utama</h1><p>{INDONESIAN * 2}</p>",
        WORDPRESS,
    ),
    "another system": (
        "en",
        "Panduan rumah dan kebun",
        f"<h1>Panduan</h1><p>{INDONESIAN * 3}</p>",
        "",
    ),
    "a shop in Japanese": (
        "ja",
        "時計と財布の専門店",
        f"<h1>専門店</h1><p>{JAPANESE * 4}</p>",
        JOOMLA,
    ),
    "a canonical elsewhere": (
        "en",
        "Panduan rumah dan kebun",
        f"<h1>Panduan</h1><p>{INDONESIAN * 3}</p>",
        f'{WORDPRESS}<link rel="canonical" href="https://kebun-rumah.example/">',
    ),
    "a refresh elsewhere": (
        "tr",
        "En iyi oyunlar",
        f"<h1>Oyunlar</h1><p>{TURKISH * 2}</p>",
        f'{WORDPRESS}<meta http-equiv="refresh" content="5; url=https://oyun.example/">',
    ),
    "hidden links": (
        "tr",
        "En iyi oyunlar",
        f"<h1>Oyunlar</h1><p>{TURKISH * 2}</p><div style='position:absolute;left:-9999px'>"
        + "".join(f'<a href="https://oyun-{n}.example/">oyun</a>' for n in range(9))
        + "</div>",
        WORDPRESS,
    ),
}


@pytest.mark.parametrize("name", STOLEN)
def test_other_language_name_and_one_more_sign_is_hijacked(name: str) -> None:
    result = probe_site(page(*STOLEN[name]), find_past(*PAST_PAGE))
    assert (result.presence, result.reason) == (Presence.ABSENT, Reason.HIJACKED), result
    assert "Association Annour" in result.detail


def test_redirect_to_another_site_in_foreign_language_is_hijacked() -> None:
    body = page("tr", "En iyi oyunlar", f"<p>{TURKISH * 2}</p>", WORDPRESS)
    assert (
        probe_site(body, find_past(*PAST_PAGE), landed="https://oyun.example/").reason
        is Reason.HIJACKED
    )


@pytest.mark.parametrize("name", STOLEN)
def test_same_pages_without_history_are_hijacked_only_by_words(name: str) -> None:
    assert probe_site(page(*STOLEN[name])).presence is Presence.PRESENT


HONEST = {
    "a redesign": ("fr", "Annour, ensemble", f"<h1>Ensemble</h1><p>{FRENCH * 2}</p>", JOOMLA),
    "a new name": (
        "fr",
        "Fédération Amal",
        f"<h1>Amal</h1><p>Annour devient Amal. {FRENCH * 2}</p>",
        JOOMLA,
    ),
    "an English version": (
        "en",
        "Light for the children",
        f"<h1>Light</h1><p>{ENGLISH * 2}</p>",
        "",
    ),
    "an Arabic version": ("ar", "جمعية النور بسلا", f"<h1>النور</h1><p>{ARABIC * 2}</p>", JOOMLA),
    "a Turkish version by the visitor's country": (
        "tr",
        "Işık Derneği",
        f"<h1>Işık</h1><p>{TURKISH * 2}</p>",
        WORDPRESS,
    ),
    "a Turkish version that keeps its name": (
        "tr",
        "Annour Derneği",
        f"<h1>Annour</h1><p>{TURKISH * 2}</p>",
        JOOMLA,
    ),
    "a new system in Turkish, by the same owner": (
        "tr",
        "Işık Derneği",
        f"<h1>Işık</h1><p>{TURKISH * 2}</p>",
        JOOMLA + COUNTER,
    ),
    "a new system in Turkish, signed": (
        "tr",
        "Işık Derneği",
        f"<h1>Işık</h1><p>{TURKISH * 2}</p><p>© 2026 Association Annour</p>",
        JOOMLA,
    ),
    "an article on gambling": (
        "fr",
        "Le casino en ligne ruine",
        f"<h1>Casino</h1><p>{FRENCH * 2}</p>",
        WORDPRESS,
    ),
    "a Japanese text on a French site": (
        "fr",
        "Soirée japonaise – Annour",
        f"<h1>日本の夜</h1><p>{JAPANESE}</p><p>{FRENCH * 3}</p>",
        WORDPRESS,
    ),
    "a page that says little": ("id", "", "<p>Selamat datang</p>", ""),
}


@pytest.mark.parametrize("name", HONEST)
def test_changes_by_the_owner_are_accepted(name: str) -> None:
    result = probe_site(page(*HONEST[name]), find_past(*PAST_PAGE[:3], WORDPRESS + COUNTER))
    assert result.presence is Presence.PRESENT, result


def test_site_always_in_foreign_language_is_accepted() -> None:
    previous = find_past("tr", "Işık Derneği", f"<h1>Işık</h1><p>{TURKISH * 2}</p>", WORDPRESS)
    result = probe_site(page("id", "Yayasan Cahaya", f"<p>{INDONESIAN * 3}</p>", JOOMLA), previous)
    assert result.presence is Presence.PRESENT


def test_hijacked_site_is_compared_with_its_past_in_every_run() -> None:
    stolen, previous = page(*STOLEN["one spam word"]), find_past(*PAST_PAGE)
    for day in range(1, 5):
        previous = probe_site(stolen, previous, day=day)
        assert previous.reason is Reason.HIJACKED
        assert previous.facts["past_title"] == "Association Annour – Salé"
    back = probe_site(page(*PAST_PAGE), previous, day=5)
    assert (back.presence, "past_title" in back.facts) == (Presence.PRESENT, False)


def test_history_survives_a_suspended_or_lost_domain() -> None:
    suspended = probe_site(
        page("en", "Account Suspended", "").replace(MENU, ""), find_past(*PAST_PAGE)
    )
    assert (suspended.reason, suspended.facts["past_language"]) == (Reason.SUSPENDED, "fr")
    lost, _ = played_site.probe_site(lambda _: FetchError(Reason.NO_SUCH_HOST), HOME, suspended)
    assert (lost.presence, lost.facts["past_language"]) == (Presence.ABSENT, "fr")
    assert probe_site(page(*STOLEN["another system"]), lost).reason is Reason.HIJACKED


def test_foreign_site_without_signal_keeps_its_history() -> None:
    strange = probe_site(
        page(*HONEST["a Turkish version by the visitor's country"]), find_past(*PAST_PAGE)
    )
    assert strange.presence is Presence.PRESENT
    spam = page("tr", "Deneme bonusu veren siteler", f"<p>{TURKISH * 2}</p>", WORDPRESS)
    assert probe_site(spam, strange).reason is Reason.HIJACKED
