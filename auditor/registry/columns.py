"""The columns of a registry sheet and what people call them in Arabic, French and English.

Telephone numbers as registries hold them, made into what WhatsApp takes. Pure.

Who runs an association's channels (nobody, a volunteer, a dedicated person): as people write it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from urllib.parse import quote

from auditor.i18n.translator import Translator
from probes.links.cells import is_none_answer

LINKS_COLUMN = "links"
"""A column for links of any kind, for sheets that keep "other networks" in one."""

FACT_COLUMNS = (
    "id",
    "name",
    "name_ar",
    "name_fr",
    "region",
    "city",
    "language",
    "email",
    "phone",
    "tags",
)
TRAILING_COLUMNS = ("none_by_choice", "media_officer", "note")

COLUMN_SYNONYMS = {
    "id": "id, code, ref, reference, no, num, number, numero, n, identifiant, identifier, رقم, الرقم, "
    "رقم التسجيل, المعرف, الرمز",
    "name": "name, association, association name, name of the association, organisation, organization, "
    "organisation name, title, nom, nom de l association, denomination, intitule, raison sociale, "
    "اسم الجمعية, الاسم, الجمعية, التسمية, اسم المنظمة",
    "name_ar": "name ar, arabic name, name in arabic, nom arabe, nom en arabe, nom ar, الاسم بالعربية, "
    "اسم الجمعية بالعربية, الاسم العربي",
    "name_fr": "name fr, french name, name in french, nom francais, nom en francais, nom fr, "
    "الاسم بالفرنسية, اسم الجمعية بالفرنسية",
    "region": "region, province, state, الجهة, جهة, الاقليم, المنطقة",
    "city": "city, town, ville, commune, localite, المدينة, مدينة, الجماعة",
    "language": "language, lang, langue, اللغة, لغة",
    "email": "email, e mail, mail, courriel, adresse electronique, adresse email, البريد الالكتروني, "
    "البريد, بريد الكتروني, الايميل",
    "phone": "phone, phone number, telephone, tel, gsm, mobile, الهاتف, رقم الهاتف, هاتف",
    "tags": "tags, tag, keywords, mots cles, الكلمات المفتاحية, "
    "category, categories, field, domaine, domaines, categorie, theme, themes, "
    "thematique, activite, المجال, مجال العمل, التصنيف, الوسوم, النشاط",
    "website": "website, web site, web, site, site web, site internet, url, homepage, adresse du site, "
    "الموقع, الموقع الالكتروني, موقع الويب, رابط الموقع, موقع الكتروني",
    "facebook": "facebook, fb, facebook page, page facebook, compte facebook, lien facebook, facebook url, "
    "فيسبوك, الفيسبوك, فايسبوك, الفايسبوك, صفحة فيسبوك, صفحة الفيسبوك",
    "twitter": "twitter, x, twitter x, x twitter, compte twitter, twitter url, twitter handle, "
    "تويتر, اكس, منصة اكس, حساب تويتر, تويتر اكس, اكس تويتر",
    "linkedin": "linkedin, linked in, page linkedin, compte linkedin, linkedin url, "
    "لينكد ان, لينكدان, لينكدين, لينكد",
    "youtube": "youtube, you tube, youtube channel, chaine youtube, youtube url, "
    "يوتيوب, اليوتيوب, قناة يوتيوب, القناة",
    "instagram": "instagram, insta, compte instagram, انستغرام, انستاغرام, انستجرام",
    "tiktok": "tiktok, tik tok, تيك توك, تيكتوك",
    "telegram": "telegram, تيليغرام, تلغرام, تيليجرام",
    "whatsapp": "whatsapp, whats app, واتساب, واتس اب",
    LINKS_COLUMN: "links, other links, other, other media, other social "
    "media, social media, social networks, "
    "liens, "
    "autres liens, autres, reseaux sociaux, autres reseaux, "
    "روابط, روابط اخرى, "
    "مواقع التواصل, وسائل التواصل الاجتماعي",
    "none_by_choice": "none by choice, not used by choice, by choice, not wanted, not used, "
    "non utilises par choix, sans par choix, aucun par choix, pas souhaite, absent par choix, "
    "non utilises, "
    "قنوات غير مستعملة اختيارا, غير مستعملة اختيارا, بدون اختيارا, لا نريد, غياب بالاختيار, "
    "قنوات لا تريدها",
    "media_officer": "who runs the channels, who runs our channels, qui tient les canaux, "
    "qui gere nos canaux, qui anime nos canaux, qui anime les canaux, "
    "من يدير القنوات, من يتكلف بالقنوات, من يدير قنواتنا, من يسير قنواتنا, "
    "media officer, communication officer, contact, contact person, "
    "responsable communication, "
    "responsable de la communication, responsable media, "
    "charge de communication, "
    "مسؤول التواصل, مسؤول الاعلام, "
    "المكلف بالتواصل, المكلف بالاعلام",
    "note": "note, notes, remark, remarks, comment, comments, remarque, remarques, commentaire, "
    "observations, "
    "ملاحظة, ملاحظات",
}

LETTER_VARIANTS = str.maketrans("أإآٱىة_", "اااايه ", "\u0640")


def normalize_label(text: str) -> str:
    """A heading without case, accents, vowel marks, letter variants and punctuation."""
    spread = unicodedata.normalize("NFKD", text.casefold().translate(LETTER_VARIANTS))
    letters = "".join(c for c in spread if not unicodedata.combining(c)).translate(LETTER_VARIANTS)
    return " ".join(re.findall(r"\w+", letters))


COLUMN_BY_LABEL = {
    normalize_label(called): column
    for column, names in COLUMN_SYNONYMS.items()
    for called in names.split(",")
}
COLUMN_BY_LABEL |= {normalize_label(column): column for column in COLUMN_SYNONYMS}


HEADING_FILLER_WORDS = frozenset(
    normalize_label(
        "url urls link links lien liens page pages compte account profile profil handle username address "
        "adresse official officiel officielle de du la le l of the our "
        "رابط صفحة حساب قناة عنوان على منصة الرسمية الرسمي"
    ).split()
)
"""Words that say nothing of which column a heading means: "url website", "lien de la page Facebook"."""


def identify_column(heading: str, channels: Collection[str]) -> str | None:
    """The column a heading means, or None: what stands in brackets may be an explanation."""
    whole = normalize_label(heading)
    outside = normalize_label(re.sub(r"[(\[].{0,200}?[)\]]", " ", heading))
    pith = " ".join(word for word in outside.split() if word not in HEADING_FILLER_WORDS)
    for said in (whole, outside, pith, pith.removeprefix("ال")):
        column = COLUMN_BY_LABEL.get(said) or (said if said in channels else None)
        if column is not None:
            return (
                column
                if column in {*FACT_COLUMNS, *TRAILING_COLUMNS, LINKS_COLUMN} or column in channels
                else None
            )
    return None


def order_columns(channels: Sequence[str]) -> list[str]:
    """The columns of a sheet we write, in the order of DESIGN §6."""
    return [*FACT_COLUMNS, *channels, *TRAILING_COLUMNS]


HOME_COUNTRY_CODE = "212"
"""Morocco, where a number without a country belongs."""
PHONE_SEPARATOR_PATTERN = re.compile(r"[/;,|\n]|\s(?:ou|et|or|and|أو|و)\s", re.IGNORECASE)
"""What stands between two numbers of one cell; the first is taken."""
TRUNK_PREFIX_PATTERN = re.compile(r"\(0\)")
"""As in +212 (0)6 …: dialled at home only."""
MOROCCAN_NUMBER_PATTERN = re.compile(r"[5-8]\d{8}")
E164_NUMBER_PATTERN = re.compile(r"[1-9]\d{7,14}")
"""A number with its country has 8 to 15 digits (E.164)."""


def normalize_phone(phone: str | None) -> str | None:
    """The number with its country and without a sign, as `212612345678`; None where it cannot be told.

    Moroccan numbers are known as 06…, 07…, 05…, +212…, 00212…, 212… and without the leading zero, which
    spreadsheets drop; any other has to begin with + or 00.
    """
    first = PHONE_SEPARATOR_PATTERN.split(_clean_phone_text(phone or ""), maxsplit=1)[0]
    bare = TRUNK_PREFIX_PATTERN.sub("", first).strip()
    digits = "".join(re.findall(r"\d", bare))
    if bare.startswith("+"):
        return _normalize_country_number(digits)
    if digits.startswith("00"):
        return _normalize_country_number(digits[2:])
    if digits.startswith(HOME_COUNTRY_CODE) and len(digits) > 9:
        return _normalize_country_number(digits)
    national = digits.removeprefix("0")
    return f"{HOME_COUNTRY_CODE}{national}" if MOROCCAN_NUMBER_PATTERN.fullmatch(national) else None


def _normalize_country_number(digits: str) -> str | None:
    if digits.startswith(HOME_COUNTRY_CODE):
        national = digits.removeprefix(HOME_COUNTRY_CODE).removeprefix("0")
        return (
            f"{HOME_COUNTRY_CODE}{national}"
            if MOROCCAN_NUMBER_PATTERN.fullmatch(national)
            else None
        )
    return digits if E164_NUMBER_PATTERN.fullmatch(digits) else None


def _clean_phone_text(phone: str) -> str:
    """The text with Western digits, and without the marks of direction that were copied along."""
    spelt = (str(unicodedata.digit(sign, sign)) for sign in unicodedata.normalize("NFKC", phone))
    return "".join(sign for sign in spelt if unicodedata.category(sign) != "Cf").strip()


def build_whatsapp_url(phone: str | None, text: str) -> str | None:
    """The link that opens WhatsApp on a number with a text ready to send; None without such a number."""
    number = normalize_phone(phone)
    return f"https://wa.me/{number}?text={quote(text, safe='')}" if number else None


MEDIA_OFFICER_CODES = ("nobody", "volunteer", "dedicated")
"""The answers of the survey, from the weakest to the strongest."""

MEDIA_OFFICER_SYNONYMS = {
    "nobody": "nobody, no one, none, no, aucun, aucune, aucune personne, personne, non, pas de responsable, "
    "لا احد, لا يوجد, لا شخص, بدون مكلف, لا مكلف, لا",
    "volunteer": "volunteer, a volunteer, volunteers, benevole, un benevole, une benevole, benevoles, "
    "volontaire, متطوع, متطوعة, متطوعون, متطوعات, متطوع او متطوعة, شخص متطوع",
    "dedicated": "dedicated, dedicated person, a dedicated person, employee, staff, paid, salarie, salariee, "
    "un salarie, une salariee, personne dediee, une personne dediee, permanent, permanente, "
    "charge de communication, chargee de communication, charge e de communication, "
    "شخص متفرغ, متفرغ, متفرغة, موظف, موظفة, اجير, اجيرة, "
    "مكلف بالتواصل, مكلفة بالتواصل, المكلف بالتواصل, المكلفة بالتواصل",
}
MIN_NAME_LETTERS, MIN_PHONE_DIGITS = 2, 6
NON_ANSWERS = frozenset(map(normalize_label, ("oui", "yes", "ok", "vrai", "true", "نعم", "يوجد")))
"""Answers that say neither who nor of what kind."""
MEDIA_OFFICER_CODE_BY_LABEL = {
    normalize_label(said): code
    for code, sayings in MEDIA_OFFICER_SYNONYMS.items()
    for said in sayings.split(",")
}


def parse_media_officer(text: str | None) -> str | None:
    """The code that a cell means. Any other text, as a name, is kept: it says that there is somebody."""
    return MEDIA_OFFICER_CODE_BY_LABEL.get(normalize_label(text), text) if text else None


def format_media_officer(code_or_name: str | None, translator: Translator | None) -> str | None:
    """Who runs the channels, in words; a name as it is."""
    return translator.term("officer", code_or_name) if code_or_name and translator else code_or_name


def can_name_person(text: str) -> bool:
    """Whether a cell that is no code can name a person: by a name, a number to call or an address."""
    is_long = (
        sum(map(str.isalpha, text)) >= MIN_NAME_LETTERS
        or sum(map(str.isdigit, text)) >= MIN_PHONE_DIGITS
    )
    return is_long and normalize_label(text) not in NON_ANSWERS and not is_none_answer(text)
