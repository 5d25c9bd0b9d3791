"""Compare names of accounts and sites with those of an association, by distinctive words. Pure.

A difference is reported only if it is certain. An Arabic and a French name cannot be compared, nor
a French and an English one, nor letters that may be another language. The languages of a Latin name
are detected by words of association names that exist in one language only: "de" and "la" are French
and Spanish, "nature" and "sport" French and English, so they say nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from itertools import chain, product, starmap
from operator import attrgetter

from auditor.rules.context import EvaluatedAccount, RuleContext
from auditor.rules.link_reciprocity import is_linked_from_site
from probes.links.identify import strip_key_prefix
from probes.text.language import build_replacer, fold_text, split_words
from storage.models.audit import Association

# Words in the names of most associations: two names that share one need not be related.
_GENERIC_WORDS = frozenset(
    """
    association associations associatif assoc asso ass amicale fondation foundation reseau network
    federation ligue union club centre center forum cooperative groupement collectif comite
    mouvement organisation organization institut ong ngo official officiel officielle page chaine
    channel compte site web accueil home welcome bienvenue maroc morocco marocain marocaine
    marocains marocaines moroccan maghreb national nationale regional regionale local locale
    provincial provinciale international internationale developpement development pour des les aux
    avec dans sur par une the and for with from facebook youtube linkedin twitter جمعيه جمعيات مؤسسه
    منظمه شبكه اتحاد ناد نادي مركز منتدي تعاونيه رابطه فيدراليه هيئه مجموعه لجنه حركه مغرب مغربيه
    مغربي وطني وطنيه جهويه محليه تنميه صفحه قناه موقع رسمي رسميه رئيسيه مرحبا اجل علي
    """.split()  # noqa: SIM905
)
_STOP_WORDS = frozenset(
    "pour des les aux avec dans sur par une the and for with from علي من في".split()  # noqa: SIM905
)
_SCRIPT_LETTERS = {
    "latin": r"[a-z0-9]+",
    "arabic": r"[\u0621-\u064a\u0671-\u06d3]+",
    "tifinagh": r"[\u2d30-\u2d6f]+",
}
_normalize_letters = build_replacer(
    {"ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ک": "ك", "ی": "ي", "ـ": ""}
)
_ARABIC_ARTICLE_PATTERN = re.compile(r"^(?:[وفبكل]?ال|لل)(?=...)")
_DOTTED_INITIALS_PATTERN = re.compile(r"\b(?:[a-z]\.){2,}[a-z]?\b")
# Sounds of consonants. Vowels, gutturals and semivowels are left out: spellings vary.
_SOUND_REPLACEMENTS = (
    ("ch", "s"),
    ("sh", "s"),
    ("ph", "f"),
    ("dj", "j"),
    ("gu", "g"),
    ("q", "k"),
    ("c", "k"),
    ("z", "s"),
)
_ARABIC_SOUNDS = str.maketrans("بتثجخدذرزسشصضطظغفقكلمن", "bttjkddrssssdtdgfkklmn")
_SILENT_LETTERS_PATTERN = re.compile(r"[aeiouywh\u0621-\u064a\u0671-\u06d3]+")
_MIN_DISTINCTIVE_CHARACTERS = {"latin": 3, "arabic": 2, "tifinagh": 3}
"""Shorter words occur in handles by chance; Arabic writes no short vowels."""
MAX_NAME_CHARACTERS = 300
"""Characters of a name that are compared, as many as are kept of a title. Time is quadratic."""
COMPARISON_CACHE_SIZE = 8_192
"""Cached comparisons. A run needs each result twice, for a gap and for the score, and so do pages.
A larger register does not need more. Usual names take 5 MB; the longest ones, in the widest
letters, 45.
"""
_MAX_INITIALS_CHARACTERS = 6
"""A single word up to this length may be initials in any language."""


@dataclass(frozen=True)
class _ScriptWords:
    """The words of a name in one script; derived values are cached."""

    script: str = ""
    words: tuple[str, ...] = ()

    @cached_property
    def distinctive_words(self) -> tuple[str, ...]:
        """Return the words that identify the name."""
        words = dict.fromkeys(self._words_without_article)
        return tuple(
            word
            for word in words
            if len(word) > 2 and word not in _GENERIC_WORDS and not word.isdigit()
        )

    @cached_property
    def joined_words(self) -> str:
        """Return all words without spaces."""
        return "".join(self._words_without_article)

    @cached_property
    def initials(self) -> frozenset[str]:
        """Return the initials with and without those of stop words."""
        main_words = [word for word in self.words if len(word) > 2 and word not in _STOP_WORDS]
        both = ("".join(word[0] for word in words) for words in (self.words, main_words))
        return frozenset(initials for initials in both if len(initials) > 2)

    def is_in_handle(self, letters: str) -> bool:
        """Return True if a handle begins with the initials or contains a distinctive word."""
        min_length = _MIN_DISTINCTIVE_CHARACTERS[self.script]
        long_words = [word for word in self.distinctive_words if len(word) > min_length]
        has_initials = letters.startswith(tuple(self.initials))
        return has_initials or any(word in letters for word in long_words)

    @cached_property
    def languages(self) -> frozenset[str]:
        """Return the languages detected in a Latin name."""
        return detect_languages(self.words) if self.script == "latin" else frozenset()

    @cached_property
    def _words_without_article(self) -> tuple[str, ...]:
        if self.script != "arabic":
            return self.words
        return tuple(_ARABIC_ARTICLE_PATTERN.sub("", word) for word in self.words)

    @property
    def may_be_initials(self) -> bool:
        """Return True if the only distinctive word is short enough to be initials."""
        return (
            len(self.distinctive_words) == 1
            and len(self.distinctive_words[0]) <= _MAX_INITIALS_CHARACTERS
        )


NameWords = dict[str, _ScriptWords]
"""The words of a name by script."""


def is_name_match(displayed_name: str, names: Iterable[str | None]) -> bool | None:
    """Return whether a text contains a name of the association; None if they cannot be compared."""
    own_names = tuple(name[:MAX_NAME_CHARACTERS] for name in names if name)
    return _is_name_match(displayed_name[:MAX_NAME_CHARACTERS], own_names)


@lru_cache(maxsize=COMPARISON_CACHE_SIZE)
def _is_name_match(displayed_name: str, names: tuple[str, ...]) -> bool | None:
    """Return whether two names in one script have a word, a part or initials in common.

    Return None if they have not, and are not certainly different either.
    """
    own_names = list(map(_split_by_script, names))
    displayed_words = _split_by_script(displayed_name)
    for own_name in own_names:
        for script in displayed_words.keys() & own_name.keys():
            shown, own = displayed_words[script], own_name[script]
            pairs = product(shown.distinctive_words, own.distinctive_words)
            if (
                _contains_part(shown, own)
                or _contains_part(own, shown)
                or any(starmap(_is_same_word, pairs))
            ):
                return True
    return False if _is_certainly_different(displayed_words, own_names) else None


def _is_certainly_different(displayed_words: NameWords, own_names: list[NameWords]) -> bool:
    """Return True if names without a common word can be compared in every script.

    They cannot if either may be the initials of words in another language.
    """
    was_compared = False
    for script, shown_words in displayed_words.items():
        if not shown_words.distinctive_words:
            continue
        comparable = _iter_comparable_names(script, shown_words, own_names)
        # True if none is comparable, too.
        own_are_initials = all(map(attrgetter("may_be_initials"), comparable))
        if shown_words.may_be_initials or own_are_initials:
            return False
        was_compared = True
    return was_compared and not _has_same_sound_in_other_script(displayed_words, own_names)


def _iter_comparable_names(
    script: str, displayed_words: _ScriptWords, own_names: list[NameWords]
) -> Iterator[_ScriptWords]:
    """Yield the names in the script and language of the text, or transliterated."""
    for own_name in own_names:
        own_words = own_name.get(script, _ScriptWords())
        languages, own_languages = displayed_words.languages, own_words.languages
        # also if the language of one name is unknown
        may_share_language = languages & own_languages or not languages or not own_languages
        if own_words.distinctive_words and may_share_language:
            yield own_words
        arabic_words = own_name.get("arabic", _ScriptWords())
        if ARABIC_LANGUAGE in displayed_words.languages and arabic_words.distinctive_words:
            yield arabic_words


@lru_cache(maxsize=1024)
def is_similar_handle(handle: str, other_handle: str) -> bool | None:
    """Return True if two handles are similar: one in the other, or four common letters in a row.

    Returns None for two alphabets: `annour` is how one types النور. Cached, because a re-evaluation
    compares the handles of an association in each run.
    """
    first, second = _get_handle_letters(handle), _get_handle_letters(other_handle)
    first_scripts, second_scripts = _detect_scripts(first), _detect_scripts(second)
    if first_scripts and second_scripts and first_scripts.isdisjoint(second_scripts):
        return None
    shorter_length = min(len(first), len(second))
    common_length = SequenceMatcher(None, first, second, autojunk=False).find_longest_match().size
    return shorter_length == 0 or common_length >= min(4, shorter_length)


def has_name_in_handle(handle: str, names: Iterable[str | None]) -> bool:
    """Return True if a handle contains a distinctive word of the name, or its initials."""
    letters = _get_handle_letters(handle)
    for name in filter(None, names):
        if any(words.is_in_handle(letters) for words in _split_by_script(name).values()):
            return True
    return False


def _get_handle_letters(handle: str) -> str:
    """Return a handle without separators."""
    return re.sub(r"[\W_]", "", _normalize_name(handle))


def _detect_scripts(letters: str) -> set[str]:
    return {script for script, pattern in _SCRIPT_LETTERS.items() if re.search(pattern, letters)}


def _normalize_name(text: str) -> str:
    return _normalize_letters(fold_text(text[:MAX_NAME_CHARACTERS]))


@lru_cache(maxsize=1024)
def _split_by_script(name: str) -> NameWords:
    """Return the words of a name by script. Cached, because one name is compared with many."""
    plain = _DOTTED_INITIALS_PATTERN.sub(
        lambda match: match[0].replace(".", ""), _normalize_name(name)
    )
    words_by_script: NameWords = {}
    for script, letters in _SCRIPT_LETTERS.items():
        found_words = re.findall(letters, plain)
        if found_words:
            words_by_script[script] = _ScriptWords(script, tuple(found_words))
    return words_by_script


def _contains_part(name: _ScriptWords, other_name: _ScriptWords) -> bool:
    """Return True if a name contains a long word of another one, or begins with its initials."""
    for word in other_name.distinctive_words:
        if len(word) > 4 and word in name.joined_words:
            return True
    initials = tuple(other_name.initials)
    return any(word.startswith(initials) for word in (*name.distinctive_words, name.joined_words))


def _is_same_word(first: str, second: str) -> bool:
    """Return True if two words are the same, perhaps inflected or transliterated differently."""
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) < 4:
        return first == second
    return (
        longer.startswith(shorter)
        or SequenceMatcher(None, first, second).ratio() >= 0.75
        or _get_consonant_sounds(first) == _get_consonant_sounds(second)
    )


def _get_consonant_sounds(word: str) -> str:
    """Return the consonants of a word by their sound."""
    for spelling, sound in _SOUND_REPLACEMENTS:
        word = word.replace(spelling, sound)
    return re.sub(r"(.)\1+", r"\1", _SILENT_LETTERS_PATTERN.sub("", word.translate(_ARABIC_SOUNDS)))


def _has_same_sound_in_other_script(displayed_words: NameWords, own_names: list[NameWords]) -> bool:
    """Return True if a word sounds like one in the other alphabet.

    For example, a French page may contain an Arabic name.
    """
    own_sounds = chain.from_iterable(map(_iter_word_sounds, own_names))
    for displayed, own in product(_iter_word_sounds(displayed_words), own_sounds):
        (script, sound), (own_script, own_sound) = displayed, own
        if sound == own_sound and script != own_script:
            return True
    return False


def _iter_word_sounds(name: NameWords) -> Iterator[tuple[str, str]]:
    """Yield the sounds of the distinctive words by script; one consonant is not enough."""
    for script, script_words in name.items():
        for word in script_words.distinctive_words:
            sounds = _get_consonant_sounds(word)
            if len(sounds) > 1:
                yield script, sounds


def list_association_names(association: Association) -> tuple[str, ...]:
    """Return all known names of an association."""
    names = (association.name, association.name_ar, association.name_fr)
    return tuple(dict.fromkeys(filter(None, names)))


def format_expected_names(association: Association) -> str:
    """Return the registered names as text."""
    return " / ".join(list_association_names(association))


def is_account_named(account: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether the public name of an account is that of the association; None if unknown.

    Another name does not count against an account that the association's site links to, or whose
    handle contains the name: it may be called so in another language.
    """
    if not account.present_name:
        return None
    names = list_association_names(context.association)
    matches = is_name_match(account.present_name, names)
    if matches is False and (
        has_name_in_handle(strip_key_prefix(account.subject), names)
        or is_linked_from_site(account, context)
    ):
        return None
    return matches


def is_site_named(site: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether the names of a site (fact `site_names`) contain that of the association.

    Returns None if unknown. A host that contains the name is not a text on the page, but visitors
    recognise the site.
    """
    site_names = site.present_facts.get("site_names")
    if not site_names:
        return None
    names = list_association_names(context.association)
    matches = is_name_match(str(site_names), names)
    if matches is False and has_name_in_handle(site.subject.partition("/")[0], names):
        return None
    return matches


ARABIC_LANGUAGE = "arabic"
"""Arabic in Latin letters, detected by its article and frequent words."""


_LANGUAGE_WORDS: Mapping[str, frozenset[str]] = {
    "french": split_words(
        """
        l d des du les le aux au avec dans sans chez et ou pour vers notre nos leur ses tous toutes
        tout femme femmes fille filles garcons jeune jeunes jeunesse enfant enfants enfance famille
        familles meres peres gens main mains vert verte verts vertes bleu bleue eau vie lumiere
        soleil mer maison maisons foyer coeur coeurs espoir espoirs aide entraide secours ensemble
        avenir ami amis amies amitie paix droit droits sante soins ecole ecoles lecture lecteurs
        livre livres bibliotheque savoir savoirs enseignants etudiants eleves montagne montagnes
        terre terres monde mondes societe communaute citoyen citoyens citoyenne citoyennete
        environnement voix pont ponts etoile etoiles fleur fleurs arbre arbres foret forets racine
        racines graine graines matin nouveau nouvelle nouveaux demain changement reve reves sourire
        sourires connaissance musique handicape handicapes aveugles sourds orphelins orphelin rue
        rues agriculteurs durable energie solidarite solidaire bienfaisance benevoles ouest nord sud
        democratie liberte dignite egalite patrimoine ville villes pays travail emploi metiers
        competences petit petite petits grand grande bon bonne premier premiers artisanat
        initiatives sportive culturelle sociale
        """
    ),
    "english": split_words(
        """
        the for of with from and our their to in woman women girl girls boy boys young youth child
        children kids family families mothers fathers people hand hands green blue water life light
        sun sunrise sea house heart hearts hope hopes help helping relief together future friend
        friends friendship peace right rights health care school schools learning reading readers
        book books library knowledge teachers students pupils mountain mountains earth land world
        society community communities citizen citizens citizenship environment voice voices bridge
        bridges star stars flower flowers tree trees forest forests roots seed seeds morning new
        tomorrow change makers dream dreams smile smiles disabled blind deaf orphan orphans street
        streets farmers sustainable energy solidarity charity volunteers west north south democracy
        freedom dignity equality heritage city cities country work jobs trades skills training
        little big good better first great empowerment empowering rising moving forward crafts all
        """
    ),
    "spanish": split_words(
        """
        los las para con por del una asociacion fundacion mujer mujeres joven jovenes nino ninos
        nina ninas infancia esperanza manos verde verdes agua vida luz casa corazon ayuda juntos
        futuro amigos paz derechos salud escuela mundo sociedad sonrisa norte sur lectura libros
        mejor
        """
    ),
    ARABIC_LANGUAGE: split_words(
        """
        al el jamiat jamiyat jamiya jamia jam3iya jam3iyat jam3iyyat jamaiya mouassassat moassassat
        mouassasat mountada muntada markaz nadi dar bayt bait amal nour noor salam khayr khair kheir
        tifl toufoula tofoula chabab shabab chabiba maraa tanmia tanmiya tadamoun tadamon takafoul
        taawoun mostaqbal moustakbal ihsan
        """
    ),
}


def detect_languages(name_words: Iterable[str]) -> frozenset[str]:
    """Return the languages of normalised words; empty if unknown."""
    word_set = frozenset(name_words)
    languages = set()
    for language, known_words in _LANGUAGE_WORDS.items():
        if word_set & known_words:
            languages.add(language)
    return frozenset(languages)
