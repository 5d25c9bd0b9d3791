"""The twelve regions of Morocco, recognised in any spelling. Pure."""

import re
from collections.abc import Mapping
from functools import cache

from probes.text.language import fold_text

REGIONS: Mapping[str, Mapping[str, str]] = {
    "tanger-tetouan-al-hoceima": {
        "ar": "طنجة - تطوان - الحسيمة",
        "fr": "Tanger-Tétouan-Al Hoceïma",
        "en": "Tangier-Tetouan-Al Hoceima",
    },
    "oriental": {"ar": "الشرق", "fr": "L’Oriental", "en": "Oriental"},
    "fes-meknes": {"ar": "فاس - مكناس", "fr": "Fès-Meknès", "en": "Fez-Meknes"},
    "rabat-sale-kenitra": {
        "ar": "الرباط - سلا - القنيطرة",
        "fr": "Rabat-Salé-Kénitra",
        "en": "Rabat-Salé-Kenitra",
    },
    "beni-mellal-khenifra": {
        "ar": "بني ملال - خنيفرة",
        "fr": "Béni Mellal-Khénifra",
        "en": "Beni Mellal-Khenifra",
    },
    "casablanca-settat": {
        "ar": "الدار البيضاء - سطات",
        "fr": "Casablanca-Settat",
        "en": "Casablanca-Settat",
    },
    "marrakech-safi": {"ar": "مراكش - آسفي", "fr": "Marrakech-Safi", "en": "Marrakesh-Safi"},
    "draa-tafilalet": {"ar": "درعة - تافيلالت", "fr": "Drâa-Tafilalet", "en": "Draa-Tafilalet"},
    "souss-massa": {"ar": "سوس - ماسة", "fr": "Souss-Massa", "en": "Souss-Massa"},
    "guelmim-oued-noun": {
        "ar": "كلميم - واد نون",
        "fr": "Guelmim-Oued Noun",
        "en": "Guelmim-Oued Noun",
    },
    "laayoune-sakia-el-hamra": {
        "ar": "العيون - الساقية الحمراء",
        "fr": "Laâyoune-Sakia El Hamra",
        "en": "Laayoune-Sakia El Hamra",
    },
    "dakhla-oued-ed-dahab": {
        "ar": "الداخلة - وادي الذهب",
        "fr": "Dakhla-Oued Ed-Dahab",
        "en": "Dakhla-Oued Ed-Dahab",
    },
}
SHORT_REGION_NAMES: Mapping[str, Mapping[str, str]] = {
    "tanger-tetouan-al-hoceima": {"ar": "طنجة", "fr": "Tanger", "en": "Tangier"},
    "oriental": {"ar": "الشرق", "fr": "Oriental", "en": "Oriental"},
    "fes-meknes": {"ar": "فاس", "fr": "Fès", "en": "Fez"},
    "rabat-sale-kenitra": {"ar": "الرباط", "fr": "Rabat", "en": "Rabat"},
    "beni-mellal-khenifra": {"ar": "بني ملال", "fr": "Béni M.", "en": "Beni M."},
    "casablanca-settat": {"ar": "البيضاء", "fr": "Casa", "en": "Casa"},
    "marrakech-safi": {"ar": "مراكش", "fr": "Marrakech", "en": "Marrakesh"},
    "draa-tafilalet": {"ar": "درعة", "fr": "Drâa", "en": "Draa"},
    "souss-massa": {"ar": "سوس", "fr": "Souss", "en": "Souss"},
    "guelmim-oued-noun": {"ar": "كلميم", "fr": "Guelmim", "en": "Guelmim"},
    "laayoune-sakia-el-hamra": {"ar": "العيون", "fr": "Laâyoune", "en": "Laayoune"},
    "dakhla-oued-ed-dahab": {"ar": "الداخلة", "fr": "Dakhla", "en": "Dakhla"},
}
"""Names that fit on a tile of the map."""
REGION_ALIASES: Mapping[str, str] = {
    "tangier tetouan hoceima": "tanger-tetouan-al-hoceima",
    "tanger tetuan al hoceima": "tanger-tetouan-al-hoceima",
    "الجهة الشرقية": "oriental",
    "الشرقية": "oriental",
    "eastern": "oriental",
    "fez meknes": "fes-meknes",
    "rabat sala kenitra": "rabat-sale-kenitra",
    "beni mellal khnifra": "beni-mellal-khenifra",
    "casa settat": "casablanca-settat",
    "grand casablanca settat": "casablanca-settat",
    "marrakesh asfi": "marrakech-safi",
    "marrakech asfi": "marrakech-safi",
    "daraa tafilalet": "draa-tafilalet",
    "sous massa": "souss-massa",
    "kelmim wad noun": "guelmim-oued-noun",
    "كلميم وادي نون": "guelmim-oued-noun",
    "laayoune saguia el hamra": "laayoune-sakia-el-hamra",
    "laayoune sakia hamra": "laayoune-sakia-el-hamra",
    "dakhla oued eddahab": "dakhla-oued-ed-dahab",
    "eddakhla oued eddahab": "dakhla-oued-ed-dahab",
    "الداخلة واد الذهب": "dakhla-oued-ed-dahab",
}
"""Spellings that normalisation alone does not map to an official name."""

IGNORED_PLACE_WORDS = frozenset(
    [
        *("region", "de", "des", "du", "la", "le", "el", "al", "ed", "ad", "es", "er", "ech"),
        *("l", "the", "of", "جهه"),
    ]
)
"""Words that do not distinguish regions or towns."""
ARABIC_LETTER_VARIANTS = str.maketrans("أإآةىڭݣگ", "اااهيككك")
"""Arabic letters that are often written for each other; Moroccan texts have three for a hard g."""
WORD_PATTERN = re.compile(r"\w+")


def get_region_name(typed: str | None, language: str) -> str | None:
    """Return the official name of a region in a language, or the typed text if it is unknown."""
    code = find_region_code(typed)
    return REGIONS[code][language] if code else typed


def list_region_names(typed: str | None) -> tuple[str, ...]:
    """Return the names of a region in all languages, for a search.

    An unknown region has only the typed text; a missing one has none.
    """
    code = find_region_code(typed)
    if code:
        return tuple(REGIONS[code].values())
    return (typed,) if typed else ()


def find_region_code(typed: str | None) -> str | None:
    """Return the code of a region, or None.

    The name may be in any language, with or without accents, hyphens and articles.
    """
    return _load_spellings().get(normalize_place_name(typed or ""))


@cache
def _load_spellings() -> Mapping[str, str]:
    spellings = {normalize_place_name(alias): code for alias, code in REGION_ALIASES.items()}
    for code, names in REGIONS.items():
        spellings.update(dict.fromkeys(map(normalize_place_name, names.values()), code))
    return spellings


def normalize_place_name(text: str) -> str:
    """Return a name without case, accents, hyphens, articles and variants of Arabic letters."""
    words = WORD_PATTERN.findall(fold_text(text).translate(ARABIC_LETTER_VARIANTS))
    return "".join(word.removeprefix("ال") for word in words if word not in IGNORED_PLACE_WORDS)
