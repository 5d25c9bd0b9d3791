"""Statements: whether a page says of itself that it is suspended, unfinished or gone, and says nothing else.

Associations write the same words of bridges, schools and blogs: "the site is under construction in Tata",
"hébergement suspendu pour 40 familles". So the words count only where they fill a title, a heading or a
sentence, small words and talk of hosting aside, and where the page around them tells of little else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from probes.classify.soft_404 import split_title
from probes.parsing.html import Document, get_host
from probes.text.lazy_regex import lazy_regex, may_match

MAX_HEADINGS = 2  # headings that may state it
EARLY_TEXT_CHARS = 400  # characters of text within which a sentence states it
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
_SENTENCE_END_PATTERN = lazy_regex(r"(?<=[.!?…؟。！])\s+|[\n]+|(?<=。)")
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
        if length > EARLY_TEXT_CHARS:
            return
        yield said
        length += len(said)


def iter_sentences(document: Document) -> Iterator[str]:
    """What a page shows, sentence by sentence."""
    for chunk in document.text_nodes:
        yield from (
            said.strip() for said in _SENTENCE_END_PATTERN.split(chunk.text) if said.strip()
        )


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
