"""What a page really is: suspended, parked, a default page, hijacked, a soft 404, a wall dressed as a site.

The words of `notices` and `hindrances` are matched against the title, the main headings and the visible
text of a page, and mean something only within the bound named beside them; those of `closures` only where the
page states them of itself: "coming soon" is a shop's banner on one page and an unfinished site on another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from probes.classify import interstitials, notices, soft_404, spam
from probes.classify.interstitials import HEAD_BYTES, MIN_NAVIGATION_LINKS
from probes.classify.notices import NoticePattern
from probes.classify.soft_404 import (
    SHORT_PAGE_MAX_CHARS,
    TINY_PAGE_MAX_CHARS,
    iter_sentences,
    split_title,
)
from probes.models.finding import Reason
from probes.models.http import Page
from probes.parsing.html import Document, get_host
from probes.text.lazy_regex import lazy_regex, may_match
from probes.urls import domains

PARKING_PAGE_MAX_MAIN_CHARS = (
    600  # characters of a main part that scripts of a parking service leave
)
EARLY_TEXT_CHARS = 140  # characters of text within which a page without a menu says what it is; later it tells of others
EARLY_WALL_TEXT_CHARS = 400  # the same for walls, whose mistakes accuse nobody
MAX_CHARS_BESIDE_NOTICE = 30
MIN_STORY_CHARS = 200  # characters of a main part that a wall dressed as the site has not
_INCONCLUSIVE_REASONS = frozenset({Reason.BLOCKED, Reason.SERVER_ERROR, Reason.LOGIN_WALL})
_CLOSED_SITE_REASONS = frozenset({Reason.SUSPENDED, Reason.NOT_FOUND})
_REASONS_WITH_NAVIGATION = frozenset(
    {Reason.EMPTY, Reason.DIRECTORY_LISTING}
)  # a publishing system says these itself


def detect_absence(document: Document, *, is_home_page: bool) -> tuple[Reason, str] | None:
    """Why the page is no website of anybody, with the words that say so; None if nothing says so.

    `root` tells that the address is a site's front page, where an error heading alone proves less.
    """
    for sign in (*notices.ABSENCE_NOTICES, *notices.SELF_STATED_ABSENCES):
        words = _match_notice(sign, document)
        if words:
            return sign.reason, words
    if is_home_page and (words := find_parking_notice(document)):
        return Reason.PARKED, words
    gone = soft_404.detect_soft_404(document, is_home_page=is_home_page)
    if gone and interstitials.mentions_region_restriction(document.text):
        return None
    return gone or spam.detect_hijacked_page(
        document,
        has_navigation=has_site_navigation(document) or soft_404.is_dated_article(document),
    )


def has_site_navigation(document: Document) -> bool:
    """Whether the page leads to other pages of its own: nobody builds a menu around a suspended account."""
    return document.internal_link_count >= MIN_NAVIGATION_LINKS


def _match_notice(notice: NoticePattern, document: Document) -> str | None:
    """The words of a sign where they mean what it says."""
    if notice.location == "address":
        return _match_in_urls(notice, document)
    if len(document.text) > notice.max_page_chars:
        return None
    if notice.location == "source":
        own = has_site_navigation(document) or len(document.main_text) > PARKING_PAGE_MAX_MAIN_CHARS
        return None if own else _find_first_match(notice, document.script_sources)
    if has_site_navigation(document) and notice.reason not in _REASONS_WITH_NAVIGATION:
        return _match_main_text(notice, document)
    if notice.location == "listing":
        listed = _find_first_match(notice, (document.text, *document.headings[:1]))
        return _find_first_match(notice, (document.title,)) if listed else None
    return (
        _match_near_start(notice, document)
        if notice.max_other_chars is None
        else _match_self_statement(notice, document, notice.max_other_chars)
    )


def _find_first_match(notice: NoticePattern, texts: Iterable[str]) -> str | None:
    """The words of a sign in the first text that holds them."""
    return next((found[0] for text in texts if (found := notice.pattern.search(text))), None)


def _match_in_urls(notice: NoticePattern, document: Document) -> str | None:
    """The words of a sign in the page's address, or in one that it sends its visitors to at once."""
    refresh = document.meta.get("refresh", "")
    return _find_first_match(
        notice, (document.url, *document.frames, refresh if "=" in refresh else "")
    )


def _match_near_start(notice: NoticePattern, document: Document) -> str | None:
    """The words of a sign on a page that says little else: in its title, its heading, early in its text."""
    if words := _find_first_match(notice, (document.title, *document.headings[:1])):
        return words
    found = notice.pattern.search(document.text) if notice.location != "title" else None
    early = found and (
        found.start() < EARLY_TEXT_CHARS
        or (found.start() < EARLY_WALL_TEXT_CHARS and notice.reason in _INCONCLUSIVE_REASONS)
    )
    return found[0] if found and early else None


def _match_self_statement(
    notice: NoticePattern, document: Document, max_other_chars: int
) -> str | None:
    """The sentence by which a page says it of itself; who tells of a new site gives no notice of the old."""
    words = find_self_statement(notice.pattern, document, max_other_chars)
    return (
        None
        if words and notice.reason in _CLOSED_SITE_REASONS and mentions_new_site(document)
        else words
    )


def _match_main_text(notice: NoticePattern, document: Document) -> str | None:
    """The words of a sign amid menus, where the main part is nothing but them."""
    found = notice.pattern.search(document.main_text)
    return (
        found[0]
        if found and len(document.main_text) - len(found[0]) < MAX_CHARS_BESIDE_NOTICE
        else None
    )


def detect_inconclusive_page(document: Document) -> tuple[Reason, str] | None:
    """Why the page lets nothing be concluded, with the words that say so; None if it can be read."""
    text = document.text
    told = (
        has_site_navigation(document) and len(document.main_text) > MIN_STORY_CHARS
    )  # a play may be called "Forbidden"
    for part in () if told else (document.title, *split_title(document.title)):
        if interstitials.INTERSTITIAL_TITLES.fullmatch(part):
            return (
                Reason.SERVER_ERROR
                if re.search(r"maint|50\d|gateway|serv|database", part, re.IGNORECASE)
                else Reason.BLOCKED
            ), part
    for sign in interstitials.INTERSTITIAL_NOTICES:
        words = _match_notice(sign, document)
        if words and (len(text) <= 700 or len(document.anchors) <= 10):
            return sign.reason, words
    return interstitials.detect_consent_or_paywall(document) or _detect_page_without_text(
        document, text
    )


def _detect_page_without_text(document: Document, text: str) -> tuple[Reason, str] | None:
    """A page without words: frames, scripts, or nothing at all."""
    if document.frames and len(text) < TINY_PAGE_MAX_CHARS:
        return Reason.UNREADABLE, "frames only"
    if len(text) >= 60 or document.image_count > 2 or len(document.anchors) > 3:
        return None
    if document.script_count or document.form_count:
        return Reason.SCRIPT_ONLY, "no text without scripts"
    return (Reason.EMPTY, "no text") if len(text) < 20 and not document.image_count else None


def may_be_soft_404(document: Document) -> bool:
    """Whether a longer page speaks of a missing page somewhere: worth asking for one that nobody made."""
    text = document.text
    return len(text) < 5 * SHORT_PAGE_MAX_CHARS and soft_404.mentions_missing_page(text)


# --- Statements of a page about itself ---

MAX_HEADINGS = 2  # headings that may state it
EARLY_STATEMENT_CHARS = 400  # characters of text within which a sentence states it
MAX_OTHER_CHARS_WITHOUT_HOSTING = (
    40  # characters of others, where nothing on the page speaks of hosting
)
MAX_HOSTING_SENTENCE_CHARS = (
    160  # characters of a sentence that tells of hosting and of nothing else
)

# Small words that may stand beside a statement within its sentence, and change nothing of it.
_STOP_WORDS = frozenset(
    """
    a an and are as at be been being by currently due for from has have in into is it its just
    momentarily more moment nearing not now of on or our please presently present shortly sorry still
    temporarily that the this to under until was we were will with your you yet here new non all again
    very soon coming page au aux actuellement afin avec ce cet cette ces car d de des désolé désolés du
    en est été et il l la le les ligne momentanément n ne notre nos nouveau nous ou par pas pour plus
    prochainement qu que sa ses son sont sur temporairement un une votre vos à ici toujours encore
    actuel instant cours der die das dem den dieser diese dieses derzeit ein eine einen ist sind im
    leider momentan noch nicht unser unsere vom von vorübergehend wegen wird wurde zur zurzeit zum
    aktuell neu neue neuer bitte el los las este esta estos está estamos estará del por para una nuestro
    nuestra temporalmente actualmente se ha sido lo sentimos momento nuevo nueva no o os foi em do da na
    nosso nossa temporariamente um uma gli questo questa è di della dal dalla per stato stata nostro
    nostra momentaneamente al het een wordt deze dit op te van voor wegens tijdelijk momenteel nog onze
    bu şu bir ve için geçici olarak anda yakında web jest ta ten w z tymczasowo nasza этот эта сайт в на
    временно и находится наш ini telah sedang untuk sementara situs هذا هذه في من على عن إلى حاليا
    حالياً مؤقتا مؤقتاً الآن طرف قبل بسبب لعدم الأداء لأسباب تقنية و أو نعتذر عذرا عذراً المرجو نأسف
    موقعنا الموقع صفحة الصفحة الويب الإلكتروني الالكتروني الرسمي انتظرونا
    """.split()  # noqa: SIM905
)
# Talk of hosting, and what a host or an unfinished site says besides: it tells of nobody.
_HOSTING_PATTERN = lazy_regex(
    r"\bhosts?\b|hosting|webhost|web ?site|web ?space|home ?page|internet|on ?line|\bdomain(?:s|"
    r"names?)?\b|server|webmaster|"
    r"administrat|provider|payment|unpaid|invoice|billing|owner|your account|contact (?:\w+ )?support|"
    r"patience|"
    r"stay tuned|tuned|come back|back soon|check back|renew|subscri|copyright|©|all rights|powered by|"
    r"working on|"
    r"newsletter|notify|launch|registra(?:nt|r)\b|whois|"
    r"hébergeur|hébergement|serveur|en ligne|facture|impay|paiement|propriétaire|titulaire|votre compte|"
    r"espace client|revenez|reviendrons|patien|nom de domaine|\bsite web\b|nouveau site|fournisseur|"
    r"service (?:technique|client)|tous droits|"
    r"webseite|anbieter|inhaber|\bkunden|\bkonto|webauftritt|wir arbeiten|schauen sie|"
    r"proveedor|propietari|su cuenta|dominio|alojamiento|estamos trabajando|vuelv[ae] pronto|volvemos|"
    r"proprietári|sua conta|domínio|hospedagem|suporte|fornitore|proprietario|stiamo lavorando|torna a "
    r"trovarci|"
    r"domein|\bklant|eigenaar|alan adı|\bhesab|barındırma|iletişim|serwer|\bstrona|klienta|\bdomen|"
    r"wkrótce|yakında|"
    r"сайт|хостинг|домен|поддержк|владел|сервер|аккаунт|akun|situs|penyedia|hubungi|"
    r"استضافة|النطاق|الخادم|الحساب|حسابك|صاحب الموقع|مدير الموقع|الفاتورة|الدعم التقني|مزود|"
    r"الموقع الإلكتروني|نعود إليكم|بحلة جديدة|"
    r"サイト|ホームページ|お待ち|公開|ドメイン|域名|网站|網站|服务器",
    re.IGNORECASE,
)
# Who tells where the site is now has one.
_MOVED_SITE_PATTERN = lazy_regex(
    r"new (?:web ?)?(?:site|address|home)|has moved|moved to|nouveau site|nouvelle adresse|déménag|"
    r"neue (?:web|internet)?(?:seite|adresse|präsenz)|umgezogen|nuev[ao] (?:web|sitio|página|dirección)|"
    r"facebook|instagram|whatsapp|désormais sur|find us (?:at|on)|"
    r"nuovo (?:sito|indirizzo)|nieuwe (?:web)?site|novo (?:site|endereço)|انتقل|الموقع الجديد|موقعنا الجديد",
    re.IGNORECASE,
)
CONTACT_DETAILS_PATTERN = lazy_regex(
    r"[\w.+-]{1,64}@[\w-]{1,63}\.\w+|(?:\+|\b0)\d(?:[\s./-]?\d){7,}"
)
_WORD_PATTERN = lazy_regex(r"[^\W_]+")
_DOMAIN_NAME_PATTERN = lazy_regex(r"\S+\.[a-z]{2,12}\b", re.IGNORECASE)


def find_self_statement(
    statement_pattern: re.Pattern[str], document: Document, max_other_chars: int
) -> str | None:
    """The title, heading or sentence that says it of the page, with `beside` characters of others at most."""
    if not any(
        may_match(statement_pattern, said)
        for said in (document.title, *document.headings[:MAX_HEADINGS], document.text)
    ):
        return None
    told = next(
        (
            said
            for said in _iter_prominent_texts(document)
            if _is_whole_statement(statement_pattern, said, document)
        ),
        None,
    )
    if told is None:
        return None
    limit = (
        max_other_chars
        if _mentions_hosting(statement_pattern, document)
        else min(max_other_chars, MAX_OTHER_CHARS_WITHOUT_HOSTING)
    )
    rest = CONTACT_DETAILS_PATTERN.sub(
        "", " ".join(find_other_sentences(statement_pattern, document))
    )
    return told if len(rest) <= limit else None


def _mentions_hosting(statement_pattern: re.Pattern[str], document: Document) -> bool:
    """Whether a page bears its host's name or talks of hosting beside the statement itself."""
    aside = (
        said
        for said in iter_sentences(document)
        if not _is_whole_statement(statement_pattern, said, document)
    )
    return _is_own_host(document.title, document) or any(
        _HOSTING_PATTERN.search(said) for said in aside
    )


def mentions_new_site(document: Document) -> bool:
    """Whether the page tells where its site is now."""
    return bool(_MOVED_SITE_PATTERN.search(document.text))


def find_other_sentences(statement_pattern: re.Pattern[str], document: Document) -> list[str]:
    """What a page says beside the statement, its own name and talk of hosting."""
    names = {part.lower() for part in (document.title, *split_title(document.title))}
    return [
        said
        for said in iter_sentences(document)
        if not _is_whole_statement(statement_pattern, said, document)
        and not (len(said) < MAX_HOSTING_SENTENCE_CHARS and _HOSTING_PATTERN.search(said))
        and said.lower().strip(" .!") not in names
        and not _is_own_host(said, document)
    ]


def _iter_prominent_texts(document: Document) -> Iterator[str]:
    yield document.title
    yield from (
        part
        for part in split_title(document.title)
        if not _continues_after_colon(part, document.title)
    )
    yield from document.headings[:MAX_HEADINGS]
    length = 0
    for said in iter_sentences(document):
        if length > EARLY_STATEMENT_CHARS:
            return
        yield said
        length += len(said)


def _continues_after_colon(title_part: str, title: str) -> bool:
    """Whether a title goes on to say what it speaks of: "site en construction : la future école"."""
    return re.match(rf"{re.escape(title_part)} ?:", title) is not None


def _is_whole_statement(
    statement_pattern: re.Pattern[str], sentence: str, document: Document
) -> bool:
    """Whether the words are all that a sentence says, small ones and talk of hosting aside."""
    found = statement_pattern.search(sentence)
    if found is None:
        return False
    rest = f"{sentence[: found.start()]} {sentence[found.end() :]}"
    if _is_own_host(rest, document) or not rest.strip():
        return True
    return all(
        _is_insignificant_word(word)
        for word in _WORD_PATTERN.findall(_DOMAIN_NAME_PATTERN.sub(" ", rest).lower())
    )


def _is_insignificant_word(word: str) -> bool:
    return word in _STOP_WORDS or bool(_HOSTING_PATTERN.search(word))


def _is_own_host(text: str, document: Document) -> bool:
    """Whether a text is the page's host, written out, and nothing else."""
    return text.strip(" .:!–—|-").lower().removeprefix("www.") == get_host(
        document.url
    ).removeprefix("www.")


# --- Parked domains -------------------------------------------------------

MAX_UNRELATED_CHARS = 100  # characters that such a page says of something else
MIN_HOST_LABEL_CHARS = 4  # letters of a host's name that a page cannot hold by chance
# bytes of a body in which a parking service's shell betrays itself

_DOMAIN_WORD_REGEX = (
    r"(?:\bnom de domaine\b|\bce domaine\b|^domaine\b|\bdomaine (?=\S+\.\w)|^dom[íi]nio\b|\b(?:este|esse|"
    r"questo) dom[íi]nio\b|\bdom[íi]nio (?=\S+\.\w)|\bdomeinnaam\b|"
    r"\bdomein\b|\b(?:die|diese|dieser) domain\b|\bdom[eé]na\b|\bdomeny\b|\bdomen\b|\bdomeniul\b|"
    r"\bdom[äæe]n(?:en|et)?\b|\bverkkotunnus\w*|домен\w*|tên miền|alan ad\w+|ドメイン|域名|도메인|"
    r"النطاق|الدومين|דומיין|دامنه|\bτο domain\b|όνομα χώρου)"
)
_REGISTERED_WORD_REGEX = (
    r"(?:\bregistri?er\w*+|\bregistrad\w*+|\bregistrat\w*+|\bregistr[eo]\w*+|\benregistr\w*+|\bréserv\w*+|"
    r"\breserv\w*+|\bgereserv\w*+|\bgeregistr\w*+|\bregistr\w++|\bparke[dr]\w*+|\bgeparkt\b|\bgeparkeerd\b|"
    r"\bparqu\w++|\baparcad\w*+|\bestacionad\w*+|\balojad\w*+|\bhébergé|\bzarejestr\w*+|\bzaregistr\w*+|"
    r"\bzaparkov\w*+|\butrzymywan\w*+|\brekisteröi\w*+|\bînregistrat\w*+|зарегистр\w*+|зареєстр\w*+|"
    r"припаркован\w*+|"
    r"прилинкован\w*+|đăng ký|hết hạn|\bkay[ıi]t\w*+|\btescil\w*+|取得|注册|登録|过期|過期|등록|مسجل|محجوز|"
    r"נרשם|ثبت|"
    r"κατοχυρ\w++|à vendre|en vente|\bexpirée?\b|en venta|in vendita|te koop|zum verkauf|abgelaufen|caducado|"
    r"scaduto|verlopen|na sprzedaż|на продажу|прода[её]тся)"
)
_ENGLISH_NOTICE_REGEX = (
    r"\bdomain(?: ?name)?(?: \S+\.\w{2,})? (?:(?:is|was|has been|may be) (?:\w+ ){0,3}?)?"
    r"(?:registered|reserved|parked|hosted|purchased|expired|for sale)\b"
    r"|\bis (?:hosted|parked) (?:by|with|at|on) \S|\bparked domain\b"
    r"|\blease[ -]to[ -]own\b"
)
_NOT_AS_REGEX = (
    r"(?!\s*(?:as|comme|als|como|come|aux?)\b)"  # registered as a charity, and not as a name
)
_SENTENCE_GAP_REGEX = r"(?:[^.!?:]|\.(?=\S)){0,60}?"  # within a sentence, in which a name has dots
_DOMAIN_NOTICE_PATTERN = lazy_regex(
    rf"{_DOMAIN_WORD_REGEX}{_SENTENCE_GAP_REGEX}{_REGISTERED_WORD_REGEX}{_NOT_AS_REGEX}|(?:{_ENGLISH_NOTICE_REGEX}){_NOT_AS_REGEX}|تم تسجيل (?:اسم )?(?:النطاق|الدومين)"
    r"|\butrzymywan\w+ na serwerach\b|\b(?:domänen?|domænet|domenet) .{0,40}(?:parker|köpt)",
    re.IGNORECASE,
)
_MATCH_NOTHING_PATTERN = lazy_regex(r"(?!)")
_PARKING_MARKUP_PATTERN = re.compile(rb"data-adblockkey\s*=|window\.park\s*=\s*[\"']")


def find_parking_notice(document: Document) -> str | None:
    """The words by which a front page speaks of its own name and of nothing else; None where it does not."""
    if (
        document.internal_link_count
        or len(document.text) > TINY_PAGE_MAX_CHARS
        or _has_contact_details(document)
    ):
        return None
    found = _DOMAIN_NOTICE_PATTERN.search(f"{document.title} {document.text}")
    if found is None or not (_mentions_own_host(document) or _mentions_linked_host(document)):
        return None
    beside = [
        said
        for said in find_other_sentences(_MATCH_NOTHING_PATTERN, document)
        if not _DOMAIN_NOTICE_PATTERN.search(said)
    ]
    return found[0] if len(" ".join(beside)) <= MAX_UNRELATED_CHARS else None


def is_parking_shell(page: Page) -> bool:
    """Whether a page holds the marks that parking services (Bodis, users of Google's feed) leave in it."""
    return bool(_PARKING_MARKUP_PATTERN.search(page.body[:HEAD_BYTES]))


def _has_contact_details(document: Document) -> bool:
    ways = (anchor.url for anchor in document.anchors)
    return bool(CONTACT_DETAILS_PATTERN.search(document.text)) or any(
        way.startswith(("mailto:", "tel:")) for way in ways
    )


def _mentions_own_host(document: Document) -> bool:
    """Whether the page writes the name of its own host out."""
    name = domains.normalize_host(get_host(document.url))
    return bool(name) and name in f"{document.title} {document.text}".lower()


def _mentions_linked_host(document: Document) -> bool:
    """Whether the page names a site that it links to: its host, by whom it is made."""
    said = f"{document.title} {document.text}".lower()
    names = {
        domains.get_registrable_domain(get_host(anchor.url)).partition(".")[0]
        for anchor in document.anchors
    }
    own = domains.get_registrable_domain(get_host(document.url)).partition(".")[0]
    return any(len(name) >= MIN_HOST_LABEL_CHARS and name in said for name in names - {own})
