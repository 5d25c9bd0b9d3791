"""Vocabulary near a date that says what it refers to: a publication, a change, an event, a law.

Covers Arabic, French and English, and the most frequent words of German, Spanish, Portuguese,
Italian and Dutch.
"""

import re
from functools import lru_cache

from probes.text.date_parser import MONTH_NUMBERS
from probes.text.language import fold_case, fold_text

_DIGIT = re.compile("[0-9٠-٩۰-۹]")
"""Checked before the year pattern, because most texts have no digit and it costs a fifth."""

YEAR_PATTERN = re.compile(r"(?:19|20)\d\d|[٠-٩۰-۹]{4}|\d{1,2}[./]\d{1,2}[./]\d{2}")


@lru_cache(maxsize=2048)  # each text is checked for several clues
def has_year(text: str) -> bool:
    """Return True if a text contains what may be the year of a date."""
    return _DIGIT.search(text) is not None and YEAR_PATTERN.search(text) is not None


_DATE_ELEMENT_NAME = re.compile(
    r"(?:^|[\s_-])(?:date|datum|fecha|dato|published?|publi\w{0,20}|pubblic\w{0,20}|posted|meta|"
    r"byline|"
    r"time(?:stamp)?|info|created?|تاريخ|(?:data|tarih)(?=$|\s|[_-]?(?:pub|post|not|art|h?ora)))",
    re.IGNORECASE,
)
"""Class names and ids of elements that contain a date."""

_OTHER_DATE_ELEMENT_NAME = re.compile(
    r"event|veranstalt|(?<![a-z])termin(?:e|$|[\s_-])|agenda|deadline|expir|(?<!fa-)(?<!icon-)clock"
    r"|countdown|birth|hijri|(?<![a-z])(?:start|end)[-_]?(?:date|time)|\bdt-?(?:start|end)",
    re.IGNORECASE,
)
"""Class names and ids of elements that contain the date of something else."""

_PUBLISHED_STEM = r"publi(?!c(?:s|it\w{0,20})?\b|que|cations\b)"
_PUBLISHED_WORDS = (
    rf"{_PUBLISHED_STEM}|\bposté|posted|posta[dt]o|mis en ligne|veröffentlicht|pubblicat|geplaatst"
    rf"|zveřejněn"
    "|опубликован|نشر"
)
PUBLICATION_LABEL = re.compile(
    rf"{_PUBLISHED_WORDS}|(?-i:\bF)ait à .{{2,30}}\ble\b|ajoutée? le|rédigée? le|écrite? le"
    rf"|\bpar .{{3,40}} le\b"
    r"|paru le|\bby .{2,40} on\b|written on|added on|erstellt|inserito|vloženo|fecha|تاريخ|[أا]ضيف"
    r"|حرر|كتبه? .{2,40} (?:في|يوم)|بواسطة .{2,40} (?:في|يوم)|date\s*:",
    re.IGNORECASE,
)
"""Words that mark a date as the publication date."""

PUBLISHED_WORD = re.compile(_PUBLISHED_WORDS, re.IGNORECASE)
"""The words among them that literally mean "published"."""

PUBLICATION_SENTENCE = re.compile(
    r"(?:cet? (?:article|billet|texte|entrée)|this (?:entry|post|article)|dieser (?:beitrag"
    r"|artikel)|posted"
    rf"|est[ae] (?:entrada|artículo|artigo|post)|quest[oa] (?:articolo|voce)|dit bericht"
    rf"|{_PUBLISHED_STEM}|(?:تم )?نشر"
    rf"|هذا المقال).{{0,60}}(?:{_PUBLISHED_WORDS}|written|rédigé|(?:19|20)\d\d)",
    re.IGNORECASE,
)
"""The sentence of a theme that states the date, category and author of a page."""

MODIFIED_WORD = re.compile(
    r"updat(?:ed?|ing)\b|modif|mises? [àa] jour|\bmis [àa] jour|\brévisée?|\brevised|\breviewed"
    r"|last (?:change|edit|rev)|\bstand\s*:|letzte[rn]? (?:änderung|aktualisierung|bearbeitung)"
    r"|geändert"
    # "Updated" in other languages.
    r"|a[ck]?tuali(?:s|z|tz)|aggiorna|bijgewerkt|gewijzigd|modyf|změn|upraven|uppdater|ändra[dt]"
    r"|oppdater|opdater"
    r"|[eæ]ndret|frissít|päivitet|güncelle|ažurir|обновл|измен[её]н|cập nhật|更新|修改|수정|تحديث"
    r"|[آأا]خر (?:تعديل|مراجعة)|تم التعديل|©|copyright",
    re.IGNORECASE,
)
"""Words for a modification, which is not a publication."""


def strip_modification_date(text: str) -> str:
    """Return the text without its modification date, or an empty string if it has no other date."""
    modified_word = MODIFIED_WORD.search(text)
    if modified_word is None:
        return text
    head, tail = text[: modified_word.start()], text[modified_word.start() :]
    labels = list(PUBLISHED_WORD.finditer(tail))
    if labels:
        return tail[labels[-1].start() :]  # "mis à jour le … – publié le …"
    creation_date = _CREATION_DATE.search(text)
    if creation_date:
        return creation_date[1]
    return head if YEAR_PATTERN.search(head) and YEAR_PATTERN.search(tail) else ""


# Next to a modification date, "created" refers to the page. Not in "site mis à jour le …,
# association créée le …": "créée" (feminine) refers to an association.
_CREATION_DATE = re.compile(
    r"(?:^(?!\W*erstellt)|[,;|/(–—-])\s*(?:erstellt|créé|created|creado|criado|creato"
    r"|aangemaakt)\b\W*((?:(?:am|le|on|el|em|il|op)\s+)?\d[^,;|()–—]*)",
    re.IGNORECASE,
)


def strip_arabic_vowels(text: str) -> str:
    """Return the text without Arabic vowel signs. Some sites write «نُشِرَ»."""
    return _ARABIC_VOWEL_SIGNS.sub("", text)


_ARABIC_VOWEL_SIGNS = re.compile("[\u064b-\u0652\u0640\u0670]")

FOUNDED_WORDS = (
    r"(?:créée?|fondée?|née?|constituée?|founded|established|born|created|\bsince|depuis|ت[أا]سست"
    r"|[أا]سست|ت[أا]سيس|gegründet|geboren|fundad[oa]|nacid[oa]|nascid[oa]|fondat[oa]|opgericht)"
)
_FOUNDING_DATE = (
    rf"{FOUNDED_WORDS}\b.{{0,20}}(?:19|20)\d\d"
    rf"|{FOUNDED_WORDS}\W{{1,9}}(?:le|en|on|in|am|el)?\W{{0,9}}$"
)
_OFFICIAL_ACT = (  # a law, an official receipt or a legal deposit
    r"récépissé|\bdahir|décrets?\b|\bloi n|\barrêtés?\b|(?:bulletin|journal) officiel"
    r"|\bagré(?:ée?s?|ment)\b"
    r"|utilité publique|dépôt légal|ظهير|مرسوم|القانون|الجريدة الرسمية|وصل (?:الإيداع|نهائي|مؤقت"
    r"|رقم)|ال[إا]يداع القانوني"
)
_PERSON_DATE = (  # a member, a visitor, a birth or a death
    r"(?:membre|mitglied|miembro|membro|lid) (?:depuis|seit|desde|dal|sinds)\b"
    r"|member since|\bjoined|inscrite?s? (?:le|depuis)\b|\bregistered"
    r"|last (?:visit|login|seen|active)|dernière (?:visite|connexion)|décédée?|\bdied\b|عضو منذ"
    r"|تاريخ (?:التسجيل|الانضمام|الازدياد|الميلاد)|انضم (?:في|منذ|بتاريخ|يوم)"
    r"|[آأا]خر (?:زيارة|ظهور|دخول)|ولد في|توفي"
)
_DAILY_WIDGET = (  # widgets: today, weather, prayer times, visitor counters
    r"météo|\bweather|الطقس|prières?\b|prayer|الصلاة|الفجر|\bfajr|visiteurs|visitors|الزوار"
    r"|aujourd'hui|اليوم\s*[:،]"
)
_APPOINTMENT = (  # events and deadlines
    r"rendez-vous|aura lieu|se (?:tiendra|déroulera)|s'est tenue?|date limite|deadline"
    r"|dernier délai|clôture"
    r"|avant le\b|jusqu'au|à partir du|prochaine? (?:séance|réunion|rencontre|date|assemblée)"
    r"|\b(?:quando?|cuándo|wann|when|lieu|lugar|luogo|local|plaats|venue)\s*:"
    r"|\b(?:starts?|ends?|termine?|événement|event)\s*:|\bexpir|\bvalable|valid until"
    r"|closing date|(?:register|apply) (?:by|before)"
    r"|date de (?:l['’](?!article|ajout)|la (?!publi|mise en)|fin|début|naissance|création|clôture)"
    r"|fecha (?:límite|del? (?:evento|inicio))"
    r"|\bdata (?:d[eo]l? |dell['’])?(?:evento|início|inizio|fine|scadenza)"
    r"|(?:anmelde|einsende|bewerbungs)(?:schluss|frist)|findet\b.{0,30}\bstatt\b|bis zum\b"
    r"|spätestens"
    r"|\bplazo\b|hasta el\b|se celebra|tendrá lugar|\bprazo\b|\baté\b|realiza-se|terá lugar"
    r"|scadenza|entro il\b|si terrà|avrà luogo|uiterlijk|vindt plaats"
    r"|[آأا]خر [أا]جل|موعد|ست?نعقد|ستقام|سيقام|سينظم|ستنظم|ابتداء من|قبل يوم"
    r"|تاريخ (?:الفعالية|الحدث|التظاهرة|ال[إا]غلاق|الانتهاء|النشاط)"
)
_UNRELATED_DATE = re.compile(
    rf"{_FOUNDING_DATE}|{_OFFICIAL_ACT}|{_PERSON_DATE}|{_DAILY_WIDGET}|{_APPOINTMENT}"
)

_RANGE_SEPARATOR = r"(?:-|–|—|&|/|au|to|and|et|y|bis|till|الى|و)"
_DATE_RANGE = re.compile(
    rf"(?<![\d:.,/h-])(?P<from>\d{{1,2}})(?:er|st|nd|rd|th)?\.?\s*(?:{_RANGE_SEPARATOR}|al?|ao|e|en"
    rf"|und|tot|t/m|och|do)\s*"
    r"(?P<to>\d{1,2})(?:er|st|nd|rd|th)?[\s.]+(?:de )?(?!heure|uhr|horas|ore\b)[^\W\d_]{3}"
    r"|\bdu \d{1,2}\b.{2,20}\bau \d{1,2}\b|\bfrom \d{1,2}\b.{2,20}\bto \d{1,2}\b"
    r"|(?<!\w)من \d{1,2}(?!\d).{0,20}(?<!\w)الى "
    # Two complete dates.
    rf"|(?<=[./-])(?:19|20)\d\d\s*{_RANGE_SEPARATOR}\s*\d{{1,2}}[./-]\d"
    rf"|(?:19|20)\d\d\s+{_RANGE_SEPARATOR}\s+(?:[^\W\d_]{{2,12}}\.?\s+)?\d{{1,2}},?\s+"
    r"(?:[^\W\d_]{3,}\.?,?\s+)?(?:19|20)\d\d"
    rf"|\d{{4}}-\d\d-\d\d\s*{_RANGE_SEPARATOR}\s*\d{{4}}-\d\d-\d\d"
)


@lru_cache(maxsize=512)  # elements of a list share their class names
def is_date_element(hint: str) -> bool:
    """Return True if a class name or id says that an element contains a date."""
    return _DATE_ELEMENT_NAME.search(hint) is not None


@lru_cache(maxsize=512)
def is_other_date_element(hint: str) -> bool:
    """Return True if a class name or id says that the date is of an event, a birth or a clock."""
    return _OTHER_DATE_ELEMENT_NAME.search(hint) is not None


def is_unrelated_date(text: str) -> bool:
    """Return True if the words say that a date is a foundation, law, birth, event or deadline."""
    return bool(_UNRELATED_DATE.search(fold_case(text)))


@lru_cache(maxsize=16)  # each date is checked twice in a row
def is_date_range(text: str) -> bool:
    """Return True if a text contains a range of days, "5-7 mars 2026". Only events have one."""
    span = _DATE_RANGE.search(fold_text(text))
    return bool(span and (span["from"] is None or int(span["from"]) < int(span["to"])))


_CALENDAR_WORDS = frozenset(
    fold_text(word) for name in MONTH_NUMBERS for word in name.split()
) | frozenset(
    re.findall(
        r"\w+",
        fold_text(
            """
            lundi mardi mercredi jeudi vendredi samedi dimanche lun mar mer jeu ven sam dim
            monday tuesday wednesday thursday friday saturday sunday
            mon tue tues wed thu thur thurs fri sat sun
            الإثنين الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد
            montag dienstag mittwoch donnerstag freitag samstag sonntag
            lunes martes miércoles jueves viernes sábado domingo
            segunda terça quarta quinta sexta feira
            lunedì martedì mercoledì giovedì venerdì sabato domenica
            maandag dinsdag woensdag donderdag vrijdag zaterdag zondag
            le on am pm à at h um uhr ص م هـ من يوم بتاريخ على الساعة er st nd rd th de du of
            del d às em il alle ore op om uur den r v 年 月 日 년 월 일
            """
        ),
    )
)
# «بتاريخ» ("on the date of") is a word of the lists above.
_NEUTRAL_CALENDAR_WORDS = _CALENDAR_WORDS - {"بتاريخ"}


def is_date_only(text: str) -> bool:
    """Return True if a text is a date, perhaps with weekday and time, and nothing else."""
    return _has_only_words(_CALENDAR_WORDS, text)


def _has_only_words(allowed_words: frozenset[str], text: str) -> bool:
    # As long as "mercredi 17 septembre 2026 à 14h30" and punctuation.
    return len(text) <= 60 and set(_WORD.findall(fold_text(text))) <= allowed_words


_WORD = re.compile(r"[^\W\d_]+")


def is_unlabeled_date(text: str) -> bool:
    """Return True if a text is a date without any word that labels it."""
    return "©" not in text and _has_only_words(_NEUTRAL_CALENDAR_WORDS, text)


def has_standalone_date(text: str) -> bool:
    """Return True if one part of a line is only a date: "Par Salma | 3 mai 2026 | Actualités".

    A place may precede it, as in a letter: "Rabat, le 3 mai 2026".
    """
    return any(map(_is_dateline, filter(YEAR_PATTERN.search, _PART_SEPARATOR.split(text))))


_PART_SEPARATOR = re.compile(
    r"(?:(?<!\s)\s++)?[|•·–—]\s*+|(?<!\s)\s++(?:/|-|par|by|por|von|da|door|بواسطة|dans|in)\s++",
    re.IGNORECASE,
)


def _is_dateline(part: str) -> bool:
    """Return True if a text is only a date, or only a place and a date.

    The name of a news agency, and the words before the date of a press release, do not count.
    """
    text = _PRESS_RELEASE_PREFIX.sub("", _NEWS_AGENCY.sub("", part), count=1)
    if is_date_only(text):
        return True
    place = _PLACE_BEFORE_DATE.match(text)
    if place is None or _NOT_A_PLACE.search(place[0]):
        return False
    return is_date_only(text[place.end() :])


def find_dateline(text: str) -> str | None:
    """Return the place and date that open a news story ("Rabat, 3 mai 2026 (MAP) – …"), or None."""
    opening = _DATELINE.match(text)
    if opening is None or is_date_only(opening[1]) or not _is_dateline(opening[1]):
        return None
    return opening[1]


def names_event(text: str) -> bool:
    """Return True if a text names a kind of event, such as a workshop or a concert."""
    return bool(_EVENT_WORD.search(text))


_DATELINE = re.compile(
    r"(\W{0,3}[^\W\d_][^:–—]{4,48}(?:19|20)\d\d(?: ?\([A-Z]{2,6}\))?) ?(?:[.:] ?|[–—] ?|- )\w"
)
_NEWS_AGENCY = re.compile(r"(?:(?<!\s)\s++)?\([A-Z]{2,6}\)\W*+$")
_PRESS_RELEASE_PREFIX = re.compile(
    r"^\W*(?:communiqué\b[^,\d]{0,25},|(?:communiqué(?: de presse)?|article|presse(?:mitteilung"
    r"|information)"
    r"|meldung|beitrag|artikel|nota de (?:prensa|imprensa)|comunicado|comunicato(?: stampa)?"
    r"|persbericht|press release|بلاغ|بيان)"
    r"(?:\s(?:n[°ºr.]+\s?)?\d+(?:/\d+)?)?(?:,|\s(?:du|vom|del?|di|van|of|بتاريخ)\b))\s*",
    re.IGNORECASE,
)
_CAPITALIZED_WORD = r"[A-ZÀ-ÖØ-ÞĆČĘŁŃŚŠŞŹŻŽĂȘȚİ][\w'’]*"
_PLACE_NAME = (  # up to four words; two in Arabic, which has no capitals
    rf"(?:{_CAPITALIZED_WORD}(?:[ -](?:(?:de|du|des|del|di|da|la|le|el|al|am|an|der"
    rf"|sur)[ -])?{_CAPITALIZED_WORD}){{0,3}}"
    r"|[ء-ي]+(?: [ء-ي]+)?)"
)
_PLACE_BEFORE_DATE = re.compile(
    rf"\W*(?:{_PLACE_NAME}\s?[,،]\s?){{0,2}}{_PLACE_NAME}\s?[,،]?\s?\b(?:le|den|a|em|في)\b\s?:?\s?"
    rf"|\W*(?:{_PLACE_NAME}\s?[,،]\s?){{1,2}}"
)


_EVENT_WORD = re.compile(
    r"atelier|rencontre|conf[ée]ren|colloque|séminaire|\bforums?\b|congr[èe]s|festival|journée"
    r"|\bfête|soirée"
    r"|con[cz]ert|réunion|assemblée|\bstage|spectacle|concours|tournoi|sortie|\bmatch|workshop"
    r"|seminar|meeting"
    r"|symposi|taller|jornada|encuentro|encontro|convegno|incontro|treffen|tagung|sitzung|webina"
    r"|ندوة|لقاء|ورشة|مؤتمر|حفل|مهرجان|ملتقى|دورة|[أا]مسية",
    re.IGNORECASE,
)
_NOT_A_PLACE = re.compile(  # also French nouns of action and participles, but not the town of Salé
    rf"{_EVENT_WORD.pattern}|statuts|(?:tion|ture|ment)\b|(?<!\bsal)ée?s?\b|نعقد|نظم|افتتح|اختتم"
    rf"|[أا]قيم|تم ",
    re.IGNORECASE,
)

_RELATED_CONTENT_HEADINGS = (
    r"(?:articles?|posts?|contenus?|news|stories) (?:similaires?|connexes?|liée?s?|associée?s?)"
    r"|(?:dans|sur) (?:la|le) même (?:rubrique|thème|sujet|catégorie)|[àa] lire (?:aussi|également)"
    r"|(?:lire|voir|lisez) aussi|vous (?:aimerez|pourriez) .{0,30}|(?:autres|derniers"
    r"|plus d['’]) ?articles?|articles récents|dernières (?:actualités|nouvelles|publications)"
    r"|(?:related|recent|latest|more|other) (?:posts?|articles?|news|stories|content)"
    r"|you (?:may|might) also like|read (?:also|next|more on)|(?:[اإ]قر[أا]|شاهد) [أا]يض[اًا]++ً?"
    r"|(?:مقالات|مواضيع|[أا]خبار|مواد) (?:ذات صلة|مشابهة|[أا]خرى|متعلقة)|قد (?:يعجبك|يهمك) .{0,20}"
    r"|[آأا]خر (?:ال[أا]خبار|المقالات|المستجدات)|في نفس (?:الموضوع|القسم|السياق)"
    r"|(?:aktuelle|letzte|neueste?|weitere|ähnliche|mehr) (?:beiträge|artikel|nachrichten"
    r"|meldungen)|(?:das )?könnte .{0,20}interessieren|mehr zum thema|lesen sie auch|meist ?gelesen"
    r"|(?:artículos|entradas|noticias|publicaciones) (?:relacionad[ao]s|recientes)"
    r"|últim[ao]s entradas"
    r"|(?:últimas|más|otras) noticias|(?:también )?te puede interesar|lee también|lo más leído"
    r"|(?:artigos|notícias|posts|matérias) (?:relacionad[ao]s|recentes)|(?:últimas|mais"
    r"|outras) notícias"
    r"|(?:leia|veja) (?:também|mais)|mais lidas|(?:ultim[ei]|altr[ei]) (?:notizie|articoli|news)"
    r"|articoli (?:correlati|recenti)|leggi anche|potrebbe(?:ro)? interessarti.{0,10}"
    r"|(?:laatste|meer|recente?|gerelateerde?|ander) (?:nieuws|berichten|artikelen)|lees (?:ook"
    r"|verder|meer)"
)
_COMMENT_HEADINGS = (
    r"(?:\d+\s+)?(?:comments?|commentaires?|réponses?|responses?|replies)(?:\s*\(\d+\))?"
    r"|leave a (?:reply|comment)|laisser? un commentaire|(?:\d+\s+)?(?:ال)?تعليقات?(?:\s*\(\d+\))?"
    r"|اترك (?:تعليق[اًا]*+|رد[اًا]*+)ً?"
    r"|(?:\d+\s+)?(?:kommentare?|antworten|comentarios?|respuestas?|comentários?|respostas?"
    r"|commenti|reacties)(?:\s*\(\d+\))?"
)
UNRELATED_CONTENT_HEADING = re.compile(
    rf"\W*(?:{_RELATED_CONTENT_HEADINGS}|{_COMMENT_HEADINGS})\W*", re.IGNORECASE
)
"""Headings above related pages or visitors' comments."""

COMMENT_COUNT_HEADING = re.compile(
    r"\W*(?:\d+|one|une?|ein|uno?|um|één)\s(?:thoughts?|responses?|repl(?:y|ies)|comments?"
    r"|réflexions?|réponses?"
    r"|commentaires?|gedanken?|antwort(?:en)?|kommentare?|pensamientos?|respuestas?|comentarios?"
    r"|pensamentos?"
    r"|respostas?|comentários?|pensier[oi]|rispost[ea]|comment[oi]|gedachten?|reacties?)\s"
    r"(?:on|to|sur|au sujet de|à|zu|en|sobre|em|su|op|over)\b|\W*\d+ (?:تعليقات?|ردود"
    r"|[آأا]راء) على ",
    re.IGNORECASE,
)
"""Headings that count the comments and repeat the page's title."""
