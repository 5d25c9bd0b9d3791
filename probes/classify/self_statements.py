"""Statements: whether a page says of itself that it is suspended, unfinished or gone, and says nothing else.

Associations write the same words of bridges, schools and blogs: "the site is under construction in Tata",
"hébergement suspendu pour 40 familles". So the words count only where they fill a title, a heading or a
sentence, small words and talk of hosting aside, and where the page around them tells of little else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from probes.classify.soft_404 import segments
from probes.parsing.html import Document, host
from probes.text.lazy_regex import may_match, pattern

TITLES = 2  # headings that may state it
EARLY = 400  # characters of text within which a sentence states it
BARELY = 40  # characters of others, where nothing on the page speaks of hosting
ASIDE = 160  # characters of a sentence that tells of hosting and of nothing else

# Small words that may stand beside a statement within its sentence, and change nothing of it.
_SMALL = frozenset(
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
_HOSTING = pattern(
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
_MOVED = pattern(
    r"new (?:web ?)?(?:site|address|home)|has moved|moved to|nouveau site|nouvelle adresse|déménag|"
    r"neue (?:web|internet)?(?:seite|adresse|präsenz)|umgezogen|nuev[ao] (?:web|sitio|página|dirección)|"
    r"facebook|instagram|whatsapp|désormais sur|find us (?:at|on)|"
    r"nuovo (?:sito|indirizzo)|nieuwe (?:web)?site|novo (?:site|endereço)|انتقل|الموقع الجديد|موقعنا الجديد",
    re.IGNORECASE,
)
_REACHED = pattern(r"[\w.+-]{1,64}@[\w-]{1,63}\.\w+|(?:\+|\b0)\d(?:[\s./-]?\d){7,}")
_ENDS = pattern(r"(?<=[.!?…؟。！])\s+|[\n]+|(?<=。)")
_WORD = pattern(r"[^\W_]+")
_NAME = pattern(r"\S+\.[a-z]{2,12}\b", re.IGNORECASE)


def made(words: re.Pattern[str], document: Document, beside: int) -> str | None:
    """The title, heading or sentence that says it of the page, with `beside` characters of others at most."""
    if not any(
        may_match(words, said) for said in (document.title, *document.headings[:TITLES], document.text)
    ):
        return None
    told = next((said for said in _said(document) if _fills(words, said, document)), None)
    if told is None:
        return None
    limit = beside if _speaks_of_hosting(words, document) else min(beside, BARELY)
    rest = _REACHED.sub("", " ".join(others(words, document)))
    return told if len(rest) <= limit else None


def _speaks_of_hosting(words: re.Pattern[str], document: Document) -> bool:
    """Whether a page bears its host's name or talks of hosting beside the statement itself."""
    aside = (said for said in sentences(document) if not _fills(words, said, document))
    return _own_name(document.title, document) or any(_HOSTING.search(said) for said in aside)


def moved(document: Document) -> bool:
    """Whether the page tells where its site is now."""
    return bool(_MOVED.search(document.text))


def others(words: re.Pattern[str], document: Document) -> list[str]:
    """What a page says beside the statement, its own name and talk of hosting."""
    names = {part.lower() for part in (document.title, *segments(document.title))}
    return [
        said
        for said in sentences(document)
        if not _fills(words, said, document)
        and not (len(said) < ASIDE and _HOSTING.search(said))
        and said.lower().strip(" .!") not in names
        and not _own_name(said, document)
    ]


def _said(document: Document) -> Iterator[str]:
    yield document.title
    yield from (part for part in segments(document.title) if not _is_explained(part, document.title))
    yield from document.headings[:TITLES]
    length = 0
    for said in sentences(document):
        if length > EARLY:
            return
        yield said
        length += len(said)


def sentences(document: Document) -> Iterator[str]:
    """What a page shows, sentence by sentence."""
    for chunk in document.chunks:
        yield from (said.strip() for said in _ENDS.split(chunk.text) if said.strip())


def _is_explained(part: str, title: str) -> bool:
    """Whether a title goes on to say what it speaks of: "site en construction : la future école"."""
    return re.match(rf"{re.escape(part)} ?:", title) is not None


def _fills(words: re.Pattern[str], said: str, document: Document) -> bool:
    """Whether the words are all that a sentence says, small ones and talk of hosting aside."""
    found = words.search(said)
    if found is None:
        return False
    rest = f"{said[: found.start()]} {said[found.end() :]}"
    if _own_name(rest, document) or not rest.strip():
        return True
    return all(_is_small(word) for word in _WORD.findall(_NAME.sub(" ", rest).lower()))


def _is_small(word: str) -> bool:
    return word in _SMALL or bool(_HOSTING.search(word))


def _own_name(text: str, document: Document) -> bool:
    """Whether a text is the page's host, written out, and nothing else."""
    return text.strip(" .:!–—|-").lower().removeprefix("www.") == host(document.url).removeprefix("www.")
