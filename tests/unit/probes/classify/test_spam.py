"""A hijacked site needs spam words and another strong sign. A mention is not enough."""

from datetime import UTC, datetime

import pytest

from probes.channels import website
from probes.classify import spam
from probes.links import identify
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline
from tests.support.findings import verdict

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
HOME = "https://annour.example/"
FRENCH = (
    "L'association accompagne depuis vingt ans les familles du quartier. Chaque semaine, des "
    "bénévoles "
    "aident les enfants à faire leurs devoirs et les mères à apprendre à lire. "
)
ARABIC = (
    "تعمل الجمعية منذ سنوات إلى جانب أسر الحي في مجال محو الأمية ودعم التلاميذ بدار الشباب "
    "كل يوم سبت. "
)
ENGLISH = (
    "Our volunteers help the children of the old town with homework, and the mothers with reading. "
)
MENU = "".join(f'<a href="/rubrique-{n}">Rubrique {n}</a>' for n in range(5))


def probe_site(body: str) -> Finding:
    def web(request: PageRequest) -> Page | FetchError:
        if request.url != HOME:
            return Page(request.url, 404, {}, b"", NOW)
        return Page(HOME, 200, {"content-type": "text/html"}, body.encode(), NOW)

    return run_offline(website.probe(Account("a", HOME, identify.identify_link(HOME))), web).finding


def page(lang: str, title: str, text: str, head: str = "") -> str:
    return (
        f'<html lang="{lang}"><head><title>{title}</title>{head}</head><body><nav>{MENU}</nav>'
        f"<h1>{title}</h1><p>{text}</p></body></html>"
    )


CALLS = '<a href="https://trk.example/1">{0}</a> <a href="https://trk.example/2">{1}</a>'


def trade(lang: str, title: str, text: str) -> str:
    """Return the page with links that lead its visitors to other sites."""
    return page(lang, title, text + CALLS.format("Play now", "DAFTAR"))


STOLEN = {
    "kana on a French site": page("fr", "激安 送料無料 ブランド通販", FRENCH * 3),
    "kana on an Arabic site": page("ar", "激安ブランド 最安値 専門店", ARABIC * 3),
    "Thai on a French site": page("fr-FR", "สล็อต บาคาร่า เว็บตรง", FRENCH * 3),
    "Indonesian on a French site": page(
        "fr", "Situs slot gacor dan togel yang resmi ini", FRENCH * 3
    ),
    "Vietnamese": trade("vi", "Nhà cái cá cược tài xỉu", "Nhà cái và cá cược. " * 9),
    "Turkish": trade("tr", "Deneme bonusu veren bahis siteleri", "Casino siteleri. " * 9),
    "Brazilian": trade(
        "pt", "Jogo do tigrinho e apostas esportivas", "Jogo do tigrinho, cassino online. " * 9
    ),
    "Chinese": trade("zh", "博彩 六合彩 娱乐城", "百家乐 体育投注 棋牌。 " * 9),
    "Russian": trade("ru", "Казино и ставки на спорт", "Букмекер и казино онлайн. " * 9),
    "essays": trade(
        "en", "Buy cheap essays – essay writing service", "Write my essay, buy an essay here. " * 9
    ),
    "pills": trade(
        "en", "Buy viagra and cialis", "Kamagra, levitra and viagra without prescription. " * 9
    ),
    "casinos": trade(
        "en", "Online casino and bitcoin casino", "Free spins at an online casino. " * 9
    ),
    "French casinos": trade(
        "fr",
        "Casino en ligne, machines à sous",
        "Paris sportifs en ligne et bonus sans dépôt. " * 9,
    ),
    "Arabic casinos": trade("ar", "كازينو و1xbet", "كازينو ومراهنات وسلوتس بلا حدود. " * 9),
    "a canonical elsewhere": page(
        "en",
        "Sbobet and togel",
        ENGLISH * 3,
        '<link rel="canonical" href="https://toto-asli.example/">',
    ),
    "an amphtml elsewhere": page(
        "en",
        "Sbobet and togel",
        ENGLISH * 3,
        '<link rel="amphtml" href="https://amp.toto-asli.example/">',
    ),
    "a script that leads away": page(
        "en",
        "Sbobet and togel",
        f"{ENGLISH * 3}<script>location.href='https://toto-asli.example/'</script>",
    ),
    "a refresh that leads away": page(
        "en",
        "Sbobet and togel",
        ENGLISH * 3,
        '<meta http-equiv="refresh" content="0; url=https://toto.example/">',
    ),
}


@pytest.mark.parametrize("name", STOLEN)
def test_two_spam_words_and_a_strong_sign_are_hijacked(name: str) -> None:
    assert verdict(probe_site(STOLEN[name])) == (Presence.ABSENT, Reason.HIJACKED)


HONEST = {
    "a French study of games of chance": page(
        "fr",
        "Casino en ligne et machines à sous : une enquête",
        f"{FRENCH * 4} Le casino en ligne attire.",
    ),
    "a Moroccan quarter": page("fr", "Les amis du casino de Tanger", FRENCH * 3),
    "an evening of Japan": page("fr", "日本の夜 – soirée japonaise", FRENCH * 3),
    "a French shop of Japanese things": page(
        "fr", "Boutique 激安 : vide-grenier japonais", FRENCH * 3
    ),
    "against betting, in Arabic": page("ar", "مخاطر المراهنات و1xbet", ARABIC * 4),
    "against betting, in Turkish": page(
        "tr", "Kumar ve bahis siteleri bağımlılığı", "Casino siteleri. " * 9
    ),
    "against violence": page("fr", "Contre le porno et les escort girls : dire non", FRENCH * 4),
    "a doctor's page": page("fr", "Viagra et cialis : questions aux patients", FRENCH * 4),
    "a club of poker": page(
        "fr", "Club de poker de Salé", f"Poker sans argent, le samedi. {FRENCH * 3}"
    ),
    "a page moved to its language's host": page(
        "fr",
        "Casino en ligne : enquête",
        FRENCH,
        '<link rel="canonical" href="https://www.annour.example/fr/">',
    ),
    "a help with essays": page("en", "Write my essay? Help for pupils", ENGLISH * 4),
    "agents and registrations in Indonesian": page(
        "id", "Yayasan Cahaya: daftar relawan", "Agen perubahan. " * 9
    ),
}


NEWS_MENU = "".join(
    f'<a href="/{part}">{part}</a> ' for part in ("home", "economy", "sport", "culture")
)


def news(lang: str, title: str, text: str, rest: str = "") -> str:
    """A page with a newspaper around it."""
    body = (
        f"<header><nav>{NEWS_MENU}</nav></header><main><h1>{title}</h1><p>{text}</p>{rest}</main>"
    )
    return (
        f'<html lang="{lang}"><head><title>{title} – Annour</title></head><body>{body}</body>'
        f"</html>"
    )


REPORTS = {
    "a raid, in Turkish": news(
        "tr",
        "Bahis sitelerinin canlı bahis çetesi çökertildi",
        "Canlı bahis ve casino siteleri soruşturuluyor. " * 3,
    ),
    "a raid, in Indonesian": news(
        "id",
        "Markas judi online dan situs slot dibongkar",
        "Situs judi, togel dan slot online ditutup warga. " * 4,
    ),
    "a trial, in Vietnamese": news(
        "vi", "Xét xử đường dây cá cược, tài xỉu", "Nhà cái nhận cá cược qua mạng. " * 4
    ),
    "a closure, in Russian": news(
        "ru", "Казино и букмекер закрыты в районе", "Казино работало в подвале. " * 4
    ),
    "a network, in Thai": news("th", "ทลายเว็บพนัน บาคาร่า สล็อต ในหมู่บ้าน", "เว็บพนัน บาคาร่า แทงบอล " * 4),
    "an inquiry, in Korean": news(
        "ko", "토토사이트와 카지노, 마을의 고민", "카지노와 바카라, 토토사이트 이야기 " * 4
    ),
    "a village, in Chinese": news("zh", "网络博彩与百家乐害了我们的村", "博彩和百家乐的故事。" * 6),
    "a law, in Portuguese": news(
        "pt",
        "O que muda para apostas esportivas e cassino online",
        "As apostas esportivas e o cassino online. " * 6,
    ),
    "a market, in English": news(
        "en",
        "Betting sites and online casino owners lose ground",
        "An online casino and its betting sites. " * 8,
    ),
    "a market with a menu of topics": news(
        "id",
        "Judi online dan situs slot di desa",
        "Situs judi dan togel. " * 6,
        '<a href="/tag/judi-online">judi online</a> <a href="/tag/togel">togel</a> '
        '<a href="/tag/slot">situs slot</a>',
    ),
    "a market with its sources": news(
        "en",
        "Online casino and betting sites: the figures",
        "An online casino. " * 9,
        '<a href="https://figures.example/">Bet365 and its online casino</a> '
        '<a href="https://x.com/a">Follow us</a>',
    ),
    "a raid on a page without a menu": page(
        "id",
        "Polisi gerebek judi online, situs slot dan togel",
        "Polisi menutup situs judi dan togel. " * 6,
    ),
    "pills at the border": page(
        "de", "Zoll findet Viagra, Cialis und Kamagra", "Viagra, Cialis und Kamagra. " * 6
    ),
    "a column with its day of publication": page(
        "id",
        "Opini: judi online, togel dan situs slot",
        "Judi online dan togel masuk ke warung; situs slot juga. " * 9,
        '<meta property="article:published_time" content="2024-01-19T08:00:00Z">',
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_news_about_gambling_are_no_spam(name: str) -> None:
    assert probe_site(REPORTS[name]).presence is Presence.PRESENT


TRADES = {
    "casinos amid a stolen menu": news(
        "en",
        "Best online casino and betting sites",
        "Free spins at an online casino. " * 8,
        CALLS.format("Play now", "Bet now"),
    ),
    "slots amid a stolen menu": news(
        "id",
        "Situs slot gacor dan togel",
        "Slot gacor maxwin. " * 8,
        CALLS.format("DAFTAR", "LOGIN"),
    ),
    "pills amid a stolen menu": news(
        "en",
        "Viagra and cialis without prescription",
        "Kamagra and levitra. " * 6,
        CALLS.format("Buy viagra", "Cheap cialis"),
    ),
    "betting amid a stolen menu": news(
        "tr",
        "Deneme bonusu veren bahis siteleri",
        "Casino siteleri. " * 9,
        CALLS.format("Betim giriş", "Slotum giriş"),
    ),
    "a few pills amid a stolen menu": news(
        "en", "Buy viagra, cialis", "Overnight.", CALLS.format("Buy viagra", "Cheap cialis")
    ),
    "copies on shelves of their own": news(
        "ja",
        "スーパーコピー ブランド 激安 通販",
        "ブランドコピー専門店。",
        "".join(f'<a href="/p/{n}">コピー 財布 {n}2,800円 送料無料</a>' for n in range(4)),
    ),
}


@pytest.mark.parametrize("name", TRADES)
def test_menu_does_not_hide_a_spam_shop(name: str) -> None:
    assert probe_site(TRADES[name]).reason is Reason.HIJACKED


@pytest.mark.parametrize("name", HONEST)
def test_mention_of_spam_words_is_no_spam(name: str) -> None:
    assert probe_site(HONEST[name]).presence is Presence.PRESENT


def hidden(style: str, links_: int, host: str = "jeux-{n}.example") -> str:
    return f"<div style='{style}'>" + "".join(
        f'<a href="https://{host.format(n=n)}/">x</a>' for n in range(links_)
    )


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "display: none;",
        "position:absolute;left:-9999px",
        "font-size:0",
        "height:0px",
    ],
)
def test_hidden_block_of_many_external_links_is_found(style: str) -> None:
    assert spam.has_hidden_link_block(hidden(style, 9), HOME)


@pytest.mark.parametrize(
    "block",
    [
        hidden("display:none", 3),
        hidden("color:red", 9),
        hidden("display:none", 9, "annour.example/page-{n}"),
        hidden("display:none", 9, "www.facebook.example/{n}"),
        "<div style='display:none'></div>" + hidden("", 9),
    ],
    ids=["few", "shown", "its own menu", "one network", "after it"],
)
def test_hidden_menu_or_few_links_are_ignored(block: str) -> None:
    assert not spam.has_hidden_link_block(block, HOME)


def test_hidden_link_search_is_fast_on_any_markup() -> None:
    for repeated in ("<div style='", "<div ", "<div style='display:none'>", "display:none "):
        assert not spam.has_hidden_link_block(repeated * (400_000 // len(repeated)), HOME)
