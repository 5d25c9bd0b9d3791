"""Spam on a stolen site or on a lapsed domain: its words, and the marks that tell it from an honest mention.

A newspaper's page about gambling is full of the words, in the same languages. What it lacks is the trade:
links that call its readers away to play or to buy.

Gambling, pharma, essays, counterfeits and the rest (SEO spam reports, 2024-2026; the fact sheet's list).
Cloaked spam, shown to search engines alone, cannot be seen under an honest User-Agent.
"""

from __future__ import annotations

import re
from itertools import islice

from probes.models.finding import Reason
from probes.parsing.html import Document, host
from probes.text import language
from probes.text.lazy_regex import pattern
from probes.urls import domains

WORDS = pattern(
    # Indonesian and Malay
    r"slot gacor|slot online|situs (?:slot|judi)|judi (?:online|bola|slot)|togel|maxwin|scatter hitam|"
    r"rtp (?:live|slot)|bandar (?:togel|judi|slot|qq|bola)|agen (?:slot|judi|togel|bola)|link alternatif|"
    r"mahjong ways|gates of olympus|starlight princess|pragmatic play|deposit (?:pulsa|dana|qris)|"
    r"bonus new member|toto (?:macau|slot)|slot(?:88|77|777|gacor|thailand)|joker123|sbobet|poker online|"
    # English, French and brands
    r"online (?:casino|slots)|casino (?:online|en ligne|bonus|sites?)|(?:crypto|bitcoin|btc) casino|"
    r"1xbet|bet365|melbet|mostbet|pin ?up casino|vulkan vegas|betting (?:site|odds)|free spins|"
    r"machines? à sous|paris sportifs? en ligne|bonus sans dépôt|payday loans|"
    r"viagra|cialis|levitra|kamagra|tadalafil|sildenafil|replica (?:watch|rolex)|"
    r"buy (?:an? |cheap |custom )*essays?|essay writing service|write my essay|paper writing service|"
    r"\bxnxx\b|\bxvideos\b|porno?hub|porn videos|escort (?:girls|bayan|agency)|call girls|"
    # Arabic
    r"مراهنات|كازينو|سلوتس|فياجرا|سكس|"
    # Turkish, Vietnamese, Portuguese, Spanish
    r"deneme bonusu|bahis (?:site|oyna)|canlı bahis|casino siteleri|nhà cái|cá cược|tài xỉu|xóc đĩa|nổ hũ|"
    r"jogo do tigrinho|cassino online|apostas (?:esportivas|online)|apuestas deportivas|casinos? en l[íi]nea|"
    # Japanese, Korean, Chinese, Thai, Russian
    r"スーパーコピー|ブランドコピー|オンラインカジノ|オンカジ|激安|送料無料|最安値|通販|ブランド|"
    r"메이저놀이터|토토사이트|카지노|바카라|먹튀|安全놀이터|"
    r"博彩|百家乐|娱乐城|棋牌|六合彩|体育投注|สล็อต|บาคาร่า|คาสิโน|แทงบอล|เว็บพนัน|"
    r"казино|букмекер|ставки на спорт",
    re.IGNORECASE,
)
# Every Japanese shop says these; together they are one word, unless they stand on a French or Arabic site.
_ORDINARY = dict.fromkeys(("激安", "送料無料", "最安値", "通販", "ブランド"), "激安")
# Those who fight the same things name them too.
_AGAINST = pattern(
    r"pr[ée]vent|addict|d[ée]pendan|ludop|problem gambl|gambling (?:harm|problem|help)|gamblers|sos joueurs|"
    r"aide aux joueurs|aider les joueurs|lutte contre|contre les? |stop |s.en sortir|against|"
    r"awareness|\bfaux\b|"
    r"contrefa|counterfeit|fake|patient|خطر|مخاطر|إدمان|توعية|مكافحة|الوقاية|bahaya|korban|pencegahan|против|"
    r"prevenci|依存|防止|bağımlılı|mücadele|phòng chống",
    re.IGNORECASE,
)
# Those who report on them name the police, the courts and the law; who sells them never does.
_REPORTED = pattern(
    r"\bpolice\b|\bpolic[ií]a\b|\bpolizei\b|\bpolisi\b|полици|公安|警方|警察|경찰|ตำรวจ|công an|"
    r"\bemniyet|الشرطة|الدرك|"
    r"\barrest|arrêté|festgenommen|detenid|tutuklan|gözaltı|ditangkap|gerebek|bắt giữ|triệt phá|задержа|"
    r"검거|逮捕|"
    r"捣毁|จับกุม|บุกจับ|اعتقال|توقيف|"
    r"\bregulator|\bregulat|\blawsuit|\bprosecut|\bdouane|\bzoll\b|\bjustiça\b|\bsenado\b|\btribunal\b|"
    r"\blaws?\b|\bloi\b|législat|legislat|\bparl[ae]ment|\bley\b|\blei\b|\blegge\b|gesetz|القانون|البرلمان",
    re.IGNORECASE,
)
_SPAM_LANGUAGES = frozenset({"id", "ms", "ja", "zh", "ko", "th", "vi", "ru", "tr"})
DENSE = 8  # spam words in the visible text of a page that sells nothing else
MANY = 5  # links to other sites in one hidden block


def loud(document: Document) -> frozenset[str]:
    """The different spam words in what a page says of itself; none where it speaks against them."""
    said = _said(document)
    words = WORDS.findall(said)
    if not words or _AGAINST.search(said) or _REPORTED.search(said):
        return frozenset()
    one = {} if _misplaced(document) else _ORDINARY
    return frozenset(one.get(word, word.lower()) for word in words)


def _said(document: Document) -> str:
    return " ".join((document.title, document.meta.get("description", ""), *document.headings[:3]))


def hijacked(document: Document, *, whole: bool) -> tuple[Reason, str] | None:
    """Spam: two different words of it in what the page says of itself, and one strong signal more.

    `whole` tells that the page leads to other pages of its own.
    """
    said = loud(document)
    if not said:
        return None
    linked = {word.lower() for anchor in document.anchors for word in WORDS.findall(anchor.text)}
    if len(said) < 2 and len(linked) < 3:
        return None
    if leads_away(document) or _calls_away(document) or _is_full_of_it(document, said, whole=whole):
        return Reason.HIJACKED, ", ".join(sorted(said | linked)[:4])
    return None


def _is_full_of_it(document: Document, said: frozenset[str], *, whole: bool) -> bool:
    """Whether a page is dense with it or in a language of it; amid a menu, also a shop or out of place."""
    dense = len(WORDS.findall(document.text[:20_000])) >= DENSE
    if whole:
        return (dense or _foreign(document)) and (_misplaced(document) or _prices(document))
    return dense or _foreign(document) or len(said) >= 3


def _calls_away(document: Document) -> bool:
    """Whether two links or more call a visitor to another site, to play there or to buy."""
    called = (anchor for anchor in document.anchors if _is_call(anchor.text))
    return len([anchor for anchor in called if _elsewhere(document, anchor.url)]) >= CALLS


def _is_call(text: str) -> bool:
    return bool(_CALL.search(text) or (_TRADE.search(text) and WORDS.search(text)))


def _prices(document: Document) -> bool:
    """Whether links carry prices, and words of spam beside them: the shelves of a counterfeiter's shop."""
    priced = [anchor.text for anchor in document.anchors if _PRICE.search(anchor.text)]
    return len(priced) >= SHELF and any(WORDS.search(text) for text in priced)


CALLS = 2
SHELF = 3
_CALL = pattern(
    r"\bdaftar\b|\blog ?in\b|main sekarang|link alternatif|đăng (?:ký|nhập)|\bgiriş|kayıt ol|üye ol|"
    r"\b(?:play|bet|join) now|\bplay for real|\bclaim (?:your|the|"
    r"my)?\s?\w*\s?bonus|"
    r"\bjouer (?:maintenant|ici)|\bjogue? agora|\bjugar ahora|jetzt spielen|играть|입장|가입|바로가기|"
    r"立即|注册|登录|加入会员|สมัคร|ทางเข้า|العب الآن",
    re.IGNORECASE,
)
# These call only where they name the goods.
_TRADE = pattern(
    r"\b(?:buy|order|cheap|acheter|comprar|kaufen|bestellen|bonus|visit|play)\b|купить|購入|購買",
    re.IGNORECASE,
)
_PRICE = pattern(r"[$€£¥₩₫]\s?\d|\d\s?(?:[円元€₩₫]|usd\b|eur\b|mad\b|dhs?\b)", re.IGNORECASE)


def _foreign(document: Document) -> bool:
    """Whether the page is in a language of spam, by its own word or by its title's."""
    return document.language[:2] in _SPAM_LANGUAGES or _misplaced(document)


def _misplaced(document: Document) -> bool:
    """Whether a page of a language that is near has a title in one that is not."""
    titled = language.of_title(document.title)
    if not titled or titled in language.NEAR:
        return False
    return (
        language.of_text(document.text) in language.NEAR or language.code(document.language) in language.NEAR
    )


def leads_away(document: Document) -> bool:
    """Whether the page calls another site its original, or sends its visitors to one."""
    refresh = re.search(r"url\s*=\s*['\"]?\s*(https?://\S+)", document.meta.get("refresh", ""), re.IGNORECASE)
    scripted = (_LEADS.search(source) for source in document.sources)
    targets = (
        document.rel("canonical"),
        document.rel("amphtml"),
        refresh and refresh[1],
        *(found[1] for found in scripted if found),
    )
    return any(target and _elsewhere(document, target) for target in targets)


_LEADS = pattern(r"location(?:\.href|\.replace\()?\s*[=(]?\s*[\"'](https?://[^\"']+)")


def _elsewhere(document: Document, url: str) -> bool:
    name = host(url)
    return bool(name) and not domains.same(name, host(document.url))


def hides_links(markup: str, url: str) -> bool:
    """Whether a block that no visitor sees is full of links to other sites."""
    own = domains.plain(host(url))
    for hidden in islice(_HIDDEN.finditer(markup), _BLOCKS):
        block = markup[hidden.end() : hidden.end() + _BLOCK].partition("</div>")[0]
        found = {domains.plain(host(link)) for link in _LINK.findall(block)}
        if len(found - {own, ""}) >= MANY:
            return True
    return False


_BLOCKS = 60
_BLOCK = 6_000  # characters of a hidden block that are looked at
_HIDDEN = pattern(
    r"<(?:div|span|p|ul|marquee|section|font)\b[^<>]{0,200}?style\s*=\s*[\"'][^\"'<>]{0,200}?"
    r"(?:display\s*:\s*none|(?:left|top|text-indent)\s*:\s*-\d{3,}|font-size\s*:\s*0|"
    r"(?:height|width)\s*:\s*[01]px)",
    re.IGNORECASE,
)
_LINK = pattern(r"href\s*=\s*[\"']?(https?://[^\s\"'<>]{1,200})", re.IGNORECASE)
