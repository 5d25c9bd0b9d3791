"""Columns of a registry spreadsheet, their synonyms in three languages, and how cells are parsed.

Headings and some values are recognised in Arabic, French and English. The module also parses who
runs the channels of an association.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from itertools import filterfalse

from auditor.i18n.translator import Translator
from probes.links.cells import is_none_answer

LINKS_COLUMN = "links"
"""Column for links of any channel, such as "other networks"."""

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
NAME_COLUMNS = ("name", "name_ar", "name_fr")
TRAILING_COLUMNS = ("none_by_choice", "media_officer", "note")
FIELD_COLUMNS = frozenset((*FACT_COLUMNS, *TRAILING_COLUMNS))
"""Columns of an association's own data. All others have links."""

COLUMN_SYNONYMS = {
    "id": (
        "id, code, ref, reference, no, num, number, numero, n, identifiant, identifier, رقم, "
        "الرقم, رقم التسجيل, المعرف, الرمز"
    ),
    "name": (
        "name, association, association name, name of the association, organisation, organization, "
        "organisation name, title, nom, nom de l association, denomination, intitule, raison "
        "sociale, اسم الجمعية, الاسم, الجمعية, التسمية, اسم المنظمة"
    ),
    "name_ar": (
        "name ar, arabic name, name in arabic, nom arabe, nom en arabe, nom ar, الاسم بالعربية, "
        "اسم الجمعية بالعربية, الاسم العربي"
    ),
    "name_fr": "name fr, french name, name in french, nom francais, nom en francais, nom fr, "
    "الاسم بالفرنسية, اسم الجمعية بالفرنسية",
    "region": "region, province, state, الجهة, جهة, الاقليم, المنطقة",
    "city": "city, town, ville, commune, localite, المدينة, مدينة, الجماعة",
    "language": "language, lang, langue, اللغة, لغة",
    "email": (
        "email, e mail, mail, courriel, adresse electronique, adresse email, البريد الالكتروني, "
        "البريد, بريد الكتروني, الايميل"
    ),
    "phone": "phone, phone number, telephone, tel, gsm, mobile, الهاتف, رقم الهاتف, هاتف",
    "tags": "tags, tag, keywords, mots cles, الكلمات المفتاحية, "
    "category, categories, field, domaine, domaines, categorie, theme, themes, "
    "thematique, activite, المجال, مجال العمل, التصنيف, الوسوم, النشاط",
    "website": (
        "website, web site, web, site, site web, site internet, url, homepage, adresse du site, "
        "الموقع, الموقع الالكتروني, موقع الويب, رابط الموقع, موقع الكتروني"
    ),
    "facebook": (
        "facebook, fb, facebook page, page facebook, compte facebook, lien facebook, facebook url, "
        "فيسبوك, الفيسبوك, فايسبوك, الفايسبوك, صفحة فيسبوك, صفحة الفيسبوك"
    ),
    "twitter": "twitter, x, twitter x, x twitter, compte twitter, twitter url, twitter handle, "
    "تويتر, اكس, منصة اكس, حساب تويتر, تويتر اكس, اكس تويتر",
    "linkedin": "linkedin, linked in, page linkedin, compte linkedin, linkedin url, "
    "لينكد ان, لينكدان, لينكدين, لينكد",
    "youtube": "youtube, you tube, youtube channel, chaine youtube, youtube url, "
    "يوتيوب, اليوتيوب, قناة يوتيوب, القناة",
    "instagram": "instagram, insta, ig, compte instagram, page instagram, instagram url, "
    "انستغرام, الانستغرام, انستاغرام, انستجرام, حساب انستغرام",
    "tiktok": "tiktok, tik tok, compte tiktok, tiktok url, "
    "تيك توك, تيكتوك, التيك توك, حساب تيك توك",
    "whatsapp": "whatsapp, whats app, whatsapp channel, chaine whatsapp, canal whatsapp, "
    "whatsapp url, واتساب, الواتساب, واتس اب, قناة واتساب, قناة الواتساب",
    "telegram": "telegram, telegram channel, chaine telegram, canal telegram, telegram url, "
    "تيليغرام, تيلغرام, تلغرام, تليغرام, التلغرام, تيليجرام, تلجرام, قناة تيليغرام, قناة تلغرام",
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
    """Return a text without case, accents, vowel marks, letter variants and punctuation."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(LETTER_VARIANTS))
    base_letters = "".join(filterfalse(unicodedata.combining, decomposed))
    letters = base_letters.translate(LETTER_VARIANTS)
    return " ".join(re.findall(r"\w+", letters))


def _index_synonyms(synonyms_by_code: Mapping[str, str]) -> dict[str, str]:
    """Return the codes by the normalized labels of their synonyms, which commas separate."""
    code_by_label = {}
    for code, synonyms in synonyms_by_code.items():
        code_by_label.update(dict.fromkeys(map(normalize_label, synonyms.split(",")), code))
    return code_by_label


COLUMN_BY_LABEL = _index_synonyms(COLUMN_SYNONYMS)
COLUMN_BY_LABEL |= {normalize_label(column): column for column in COLUMN_SYNONYMS}


HEADING_FILLER_WORDS = frozenset(
    normalize_label(
        "url urls link links lien liens page pages compte account profile profil handle username "
        "address adresse official officiel officielle de du la le l of the our "
        "رابط صفحة حساب قناة عنوان على منصة الرسمية الرسمي"
    ).split()
)
"""Words that do not help to identify a column: "url website", "lien de la page Facebook"."""


def identify_column(heading: str, channels: Collection[str]) -> str | None:
    """Return the column that a heading means, or None.

    The heading is tried as a whole, without text in brackets, and without filler words.
    """
    full_label = normalize_label(heading)
    unbracketed_label = normalize_label(re.sub(r"[(\[].{0,200}?[)\]]", " ", heading))
    core_words = [word for word in unbracketed_label.split() if word not in HEADING_FILLER_WORDS]
    core_label = " ".join(core_words)
    for label in (full_label, unbracketed_label, core_label, core_label.removeprefix("ال")):
        if label in COLUMN_BY_LABEL or label in channels:
            column = COLUMN_BY_LABEL.get(label, label)
            return column if column in {*FIELD_COLUMNS, LINKS_COLUMN, *channels} else None
    return None


def order_columns(channels: Sequence[str]) -> list[str]:
    """Return all columns of an exported spreadsheet in their order."""
    return [*FACT_COLUMNS, *channels, *TRAILING_COLUMNS]


MEDIA_OFFICER_CODES = ("nobody", "volunteer", "dedicated")
"""The answers of the survey, from the weakest to the strongest."""

MEDIA_OFFICER_SYNONYMS = {
    "nobody": (
        "nobody, no one, none, no, aucun, aucune, aucune personne, personne, non, pas de "
        "responsable, لا احد, لا يوجد, لا شخص, بدون مكلف, لا مكلف, لا"
    ),
    "volunteer": (
        "volunteer, a volunteer, volunteers, benevole, un benevole, une benevole, benevoles, "
        "volontaire, متطوع, متطوعة, متطوعون, متطوعات, متطوع او متطوعة, شخص متطوع"
    ),
    "dedicated": (
        "dedicated, dedicated person, a dedicated person, employee, staff, paid, salarie, "
        "salariee, un salarie, une salariee, personne dediee, une personne dediee, permanent, "
        "permanente, charge de communication, chargee de communication, charge e de communication, "
        "شخص متفرغ, متفرغ, متفرغة, موظف, موظفة, اجير, اجيرة, "
        "مكلف بالتواصل, مكلفة بالتواصل, المكلف بالتواصل, المكلفة بالتواصل"
    ),
}
MIN_NAME_LETTERS, MIN_PHONE_DIGITS = 2, 6
NON_ANSWERS = frozenset(map(normalize_label, ("oui", "yes", "ok", "vrai", "true", "نعم", "يوجد")))
"""Answers that name neither a person nor a role."""
MEDIA_OFFICER_CODE_BY_LABEL = _index_synonyms(MEDIA_OFFICER_SYNONYMS)


def parse_media_officer(text: str | None) -> str | None:
    """Return the code that a cell means, a name unchanged, or None if the cell is empty."""
    return MEDIA_OFFICER_CODE_BY_LABEL.get(normalize_label(text), text) if text else None


def format_media_officer(code_or_name: str | None, translator: Translator | None) -> str | None:
    """Return the translated code, or a name unchanged."""
    return translator.term("officer", code_or_name) if code_or_name and translator else code_or_name


def can_name_person(text: str) -> bool:
    """Return True if a text that is not a code can be a name, a phone number or an email."""
    is_long = (
        sum(map(str.isalpha, text)) >= MIN_NAME_LETTERS
        or sum(map(str.isdigit, text)) >= MIN_PHONE_DIGITS
    )
    return is_long and normalize_label(text) not in NON_ANSWERS and not is_none_answer(text)
