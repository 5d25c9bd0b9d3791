"""What the words at a date say of it: published, changed, an event, a foundation, a law, somebody's birth.

In Arabic, French and English, with what German and Spanish sites write most.
"""

from __future__ import annotations

import re

from probes.dates import MONTHS, folded

YEAR = re.compile(r"(?:19|20)\d\d|[٠-٩۰-۹]{4}|\d{1,2}[./]\d{1,2}[./]\d{2}")

BESIDE = re.compile(
    r"(?:^|[\s_-])(?:date|datum|fecha|dato|published?|publi\w*|posted|meta|byline|time(?:stamp)?|info|"
    r"created?|تاريخ)",
    re.IGNORECASE,
)
"""How elements that hold a date are called, by their class or id."""

ELSEWHERE = re.compile(
    r"event|agenda|deadline|expir|(?<!fa-)(?<!icon-)clock|countdown|birth|hijri"
    r"|(?<![a-z])(?:start|end)[-_]?(?:date|time)|\bdt-?(?:start|end)",
    re.IGNORECASE,
)
"""How elements are called that hold the date of something else."""

_PUBLI = r"publi(?!c(?:s|it\w*)?\b|que|cations\b)"
LABEL = re.compile(
    rf"{_PUBLI}|posted|mis en ligne|paru le|ajoutée? le|rédigée? le|écrite? le|\bpar .{{3,40}} le\b"
    r"|\bby .{2,40} on\b|written on|added on|veröffentlicht|erstellt|publicado|fecha|نشر|تاريخ|[أا]ضيف|حرر"
    r"|كتبه? .{2,40} (?:في|يوم)|بواسطة .{2,40} (?:في|يوم)|date\s*:",
    re.IGNORECASE,
)
"""Words that call a date the page's."""

PUBLISHED = re.compile(rf"{_PUBLI}|posted|mis en ligne|veröffentlicht|نشر", re.IGNORECASE)
"""Those of them that say so outright."""

COLOPHON = re.compile(
    r"(?:cet? (?:article|billet|texte|entrée)|this (?:entry|post|article)|dieser (?:beitrag|artikel)|posted"
    rf"|{_PUBLI}|(?:تم )?نشر|هذا المقال).{{0,60}}"
    rf"(?:{_PUBLI}|posted|written|rédigé|veröffentlicht|نشر|(?:19|20)\d\d)",
    re.IGNORECASE,
)
"""The sentence in which a theme says when a page was published, in which category, and by whom."""

CHANGED = re.compile(
    r"updat(?:ed?|ing)\b|modif|mises? [àa] jour|\bmis [àa] jour|\brévisée?|\brevised|\breviewed"
    r"|last (?:change|edit|rev)|aktualisiert|letzte[rn]? (?:änderung|aktualisierung|bearbeitung)|geändert"
    r"|actualizad|تحديث|[آأا]خر (?:تعديل|مراجعة)|تم التعديل|©|copyright",
    re.IGNORECASE,
)
"""A change, which is no publication."""


def unchanged(text: str) -> str:
    """A text without what it says of a change; nothing is left where its only date is that of one."""
    changed = CHANGED.search(text)
    if changed is None:
        return text
    head, tail = text[: changed.start()], text[changed.start() :]
    labels = list(PUBLISHED.finditer(tail))
    if labels:
        return tail[labels[-1].start() :]  # "mis à jour le … – publié le …"
    return head if YEAR.search(head) and YEAR.search(tail) else ""


BORN = (
    r"(?:créée?|fondée?|née?|constituée?|founded|established|born|created|since|depuis|ت[أا]سست|[أا]سست|"
    r"ت[أا]سيس|gegründet|fundada)"
)
_FOUNDED = rf"{BORN}\b.{{0,20}}(?:19|20)\d\d|{BORN}\W+(?:le|en|on|in|am|el)?\W*$"
_OFFICIAL = (  # a law, a receipt of the authorities, a legal deposit
    r"récépissé|\bdahir|décrets?\b|\bloi n|\barrêtés?\b|(?:bulletin|journal) officiel|\bagré(?:ée?s?|ment)\b"
    r"|utilité publique|dépôt légal|ظهير|مرسوم|القانون|الجريدة الرسمية|وصل (?:الإيداع|نهائي|مؤقت|رقم)"
    r"|ال[إا]يداع القانوني"
)
_PERSON = (  # a visitor, a member, somebody's life
    r"membre depuis|inscrite?s? (?:le|depuis)\b|member since|\bjoined|\bregistered"
    r"|last (?:visit|login|seen|active)|dernière (?:visite|connexion)|décédée?|\bdied\b|عضو منذ"
    r"|تاريخ (?:التسجيل|الانضمام|الازدياد|الميلاد)|انضم (?:في|منذ|بتاريخ|يوم)"
    r"|[آأا]خر (?:زيارة|ظهور|دخول)|ولد في|توفي"
)
_TODAY = (  # what the day, the weather and the mosque say
    r"météo|\bweather|الطقس|prières?\b|prayer|الصلاة|الفجر|\bfajr|visiteurs|visitors|الزوار|aujourd'hui"
    r"|اليوم\s*[:،]"
)
_APPOINTED = (  # what was to be, or had to be done by then
    r"rendez-vous|aura lieu|se (?:tiendra|déroulera)|s'est tenue?|date limite|deadline|dernier délai|clôture"
    r"|avant le\b|jusqu'au|à partir du|prochaine? (?:séance|réunion|rencontre|date|assemblée)"
    r"|\b(?:quand|when|lieu|venue|starts?|ends?|termine?|événement|event)\s*:|\bexpir|\bvalable|valid until"
    r"|closing date|(?:register|apply) (?:by|before)"
    r"|date de (?:l['’](?!article|ajout)|la (?!publi|mise en)|fin|début|naissance|création|clôture)"
    r"|[آأا]خر [أا]جل|موعد|ست?نعقد|ستقام|سيقام|سينظم|ستنظم|ابتداء من|قبل يوم"
    r"|تاريخ (?:الفعالية|الحدث|التظاهرة|ال[إا]غلاق|الانتهاء|النشاط)"
)
_ELSE = re.compile(rf"{_FOUNDED}|{_OFFICIAL}|{_PERSON}|{_TODAY}|{_APPOINTED}", re.IGNORECASE)

_TO = r"(?:-|–|—|&|/|au|to|and|et|y|bis|till|الى|و)"
_SPAN = re.compile(
    rf"(?<![\d:.,/h-])(?P<from>\d{{1,2}})(?:er|st|nd|rd|th)?\s*{_TO}\s*"
    r"(?P<to>\d{1,2})(?:er|st|nd|rd|th)?[\s.]+[^\W\d_]{3}"
    r"|\bdu \d{1,2}\b.{2,20}\bau \d{1,2}\b|\bfrom \d{1,2}\b.{2,20}\bto \d{1,2}\b"
    r"|(?<!\w)من \d{1,2}(?!\d).{0,20}(?<!\w)الى "
    # From one whole date to another.
    rf"|(?<=[./-])(?:19|20)\d\d\s*{_TO}\s*\d{{1,2}}[./-]\d"
    rf"|(?:19|20)\d\d\s+{_TO}\s+(?:[^\W\d_]{{2,12}}\.?\s+)?\d{{1,2}},?\s+"
    r"(?:[^\W\d_]{3,}\.?,?\s+)?(?:19|20)\d\d"
    rf"|\d{{4}}-\d\d-\d\d\s*{_TO}\s*\d{{4}}-\d\d-\d\d"
)


def of_else(text: str) -> bool:
    """Whether words call their date a foundation, a law, a birth, an appointment, a deadline."""
    return bool(_ELSE.search(text))


def is_span(text: str) -> bool:
    """Whether a text says from one day to another, "5-7 mars 2026", as only events are dated."""
    span = _SPAN.search(folded(text))
    return bool(span and (span["from"] is None or int(span["from"]) < int(span["to"])))


_CALENDAR = frozenset(folded(word) for name in MONTHS for word in name.split()) | frozenset(
    re.findall(
        r"\w+",
        folded(
            """
            lundi mardi mercredi jeudi vendredi samedi dimanche lun mar mer jeu ven sam dim
            monday tuesday wednesday thursday friday saturday sunday
            mon tue tues wed thu thur thurs fri sat sun
            الإثنين الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت الأحد
            montag dienstag mittwoch donnerstag freitag samstag sonntag
            lunes martes miércoles jueves viernes sábado domingo
            le on am pm à at h um uhr ص م هـ من يوم بتاريخ على الساعة er st nd rd th de du of
            """
        ),
    )
)
_LONGEST = 60  # characters; "mercredi 17 septembre 2026 à 14h30" and marks between


def is_alone(text: str) -> bool:
    """Whether a text says a day, perhaps with its weekday and an hour, and nothing else."""
    return len(text) <= _LONGEST and set(re.findall(r"[^\W\d_]+", folded(text))) <= _CALENDAR


def holds_alone(text: str) -> bool:
    """Whether one part of a line says a day and nothing else: "Par Salma | 3 mai 2026 | Actualités"."""
    return any(YEAR.search(part) and is_alone(part) for part in _PARTS.split(text))


_PARTS = re.compile(r"\s*[|•·–—]\s*|\s+(?:/|-)\s+|\s+(?:par|by|بواسطة|dans|in)\s+", re.IGNORECASE)


_SEE_ALSO = (
    r"(?:articles?|posts?|contenus?|news|stories) (?:similaires?|connexes?|liée?s?|associée?s?)"
    r"|(?:dans|sur) (?:la|le) même (?:rubrique|thème|sujet|catégorie)|[àa] lire (?:aussi|également)"
    r"|(?:lire|voir|lisez) aussi|vous (?:aimerez|pourriez) .{0,30}|(?:autres|derniers|plus d['’]) ?articles?"
    r"|articles récents|dernières (?:actualités|nouvelles|publications)"
    r"|(?:related|recent|latest|more|other) (?:posts?|articles?|news|stories|content)"
    r"|you (?:may|might) also like|read (?:also|next|more on)|(?:[اإ]قر[أا]|شاهد) [أا]يض[اًا]+ً?"
    r"|(?:مقالات|مواضيع|[أا]خبار|مواد) (?:ذات صلة|مشابهة|[أا]خرى|متعلقة)|قد (?:يعجبك|يهمك) .{0,20}"
    r"|[آأا]خر (?:ال[أا]خبار|المقالات|المستجدات)|في نفس (?:الموضوع|القسم|السياق)"
)
_VISITORS = (
    r"(?:\d+\s+)?(?:comments?|commentaires?|réponses?|responses?|replies)(?:\s*\(\d+\))?"
    r"|leave a (?:reply|comment)|laisser? un commentaire|(?:\d+\s+)?(?:ال)?تعليقات?(?:\s*\(\d+\))?"
    r"|اترك (?:تعليق[اًا]*|رد[اًا]*)ً?"
)
OTHERS = re.compile(rf"\W*(?:{_SEE_ALSO}|{_VISITORS})\W*", re.IGNORECASE)
"""The heading under which a page shows other pages, or what visitors wrote."""
