"""Whether a name shown somewhere is an association's: compared by its telling words, script by script. Pure.

Nobody is told that a name differs where it may only be spelt, shortened or translated otherwise: an Arabic
name and a French one cannot be compared, nor can a French and an English one, or letters that may stand
for another language's words.

Whether accounts and sites bear their association's name. Pure, and told only where it is sure.

In which languages a name in Latin letters may be written, told by its words. Pure.

Only words that stand in the names of associations, and in one of these languages alone: "de" and "la" are
French and Spanish, "nature" and "sport" French and English, so they tell nothing. Nor do people and places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property, lru_cache

from auditor.rules.context import Case, Held
from auditor.rules.link_reciprocity import site_leads
from probes.discovery.ignored_accounts import bare
from probes.text.language import folded, replacing
from storage.models.audit import Association

# They stand in the names of most associations, so sharing one says nothing.
_GENERIC = frozenset(
    """
    association associations associatif assoc asso ass amicale fondation foundation reseau network
    federation ligue union club centre center forum cooperative groupement collectif comite mouvement
    organisation organization institut ong ngo official officiel officielle page chaine channel compte
    site web accueil home welcome bienvenue maroc morocco marocain marocaine marocains marocaines moroccan
    maghreb national nationale regional regionale local locale provincial provinciale international
    internationale developpement development pour des les aux avec dans sur par une the and for with from
    facebook youtube linkedin twitter
    جمعيه جمعيات مؤسسه منظمه شبكه اتحاد ناد نادي مركز منتدي تعاونيه رابطه فيدراليه هيئه مجموعه لجنه حركه
    مغرب مغربيه مغربي وطني وطنيه جهويه محليه تنميه صفحه قناه موقع رسمي رسميه رئيسيه مرحبا اجل علي
    """.split()  # noqa: SIM905
)
_LITTLE = frozenset("pour des les aux avec dans sur par une the and for with from علي من في".split())  # noqa: SIM905
_LETTERS = {
    "latin": r"[a-z0-9]+",
    "arabic": r"[\u0621-\u064a\u0671-\u06d3]+",
    "tifinagh": r"[\u2d30-\u2d6f]+",
}
_spelt_alike = replacing({"ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ک": "ك", "ی": "ي", "ـ": ""})
_ARTICLE = re.compile(r"^(?:[وفبكل]?ال|لل)(?=...)")
_DOTTED = re.compile(r"\b(?:[a-z]\.){2,}[a-z]?\b")
# How consonants are heard, whatever the spelling: vowels, gutturals and semivowels are written or left out.
_HEARD = (("ch", "s"), ("sh", "s"), ("ph", "f"), ("dj", "j"), ("gu", "g"), ("q", "k"), ("c", "k"), ("z", "s"))
_ARABIC_HEARD = str.maketrans("بتثجخدذرزسشصضطظغفقكلمن", "bttjkddrssssdtdgfkklmn")
_SILENT = re.compile(r"[aeiouywh\u0621-\u064a\u0671-\u06d3]+")
_RUN = {"latin": 3, "arabic": 2, "tifinagh": 3}
"""So many letters may stand in any user name by chance; Arabic writes no short vowels."""
LONGEST = 300
"""Characters of a name that are compared, as many as are kept of a title: their square is the time."""
COMPARED = 8_192
"""So many outcomes are kept: a night asks for each twice, for a gap and for a score, and so do pages. A
larger register gains nothing by it. Usual names take 5 MB; the longest, in the widest letters, 45."""
_SHORT = 6
"""A single word of so many letters at most may be the initials of a name in any language."""


@dataclass(frozen=True)
class _Words:
    """The words of a name in one script. What is asked of them is found once: most names share a word."""

    script: str = ""
    told: tuple[str, ...] = ()

    @cached_property
    def telling(self) -> tuple[str, ...]:
        """The words by which a name is known."""
        words = self._bare
        telling = [word for word in words if len(word) > 2 and word not in _GENERIC and not word.isdigit()]
        return tuple(dict.fromkeys(telling))

    @cached_property
    def joined(self) -> str:
        """All of them run together."""
        return "".join(self._bare)

    @cached_property
    def initials(self) -> frozenset[str]:
        """The first letters, with and without those of the little words, as names are shortened."""
        main = [word for word in self.told if word not in _LITTLE and len(word) > 2]
        every, without = ("".join(word[0] for word in words) for words in (self.told, main))
        return frozenset(short for short in (every, without) if len(short) > 2)

    @cached_property
    def tongues(self) -> frozenset[str]:
        """The languages that Latin letters are told to be in."""
        return tongues(self.told) if self.script == "latin" else frozenset()

    @cached_property
    def _bare(self) -> tuple[str, ...]:
        return tuple(_ARTICLE.sub("", word) for word in self.told) if self.script == "arabic" else self.told

    @property
    def may_be_initials(self) -> bool:
        return len(self.telling) == 1 and len(self.telling[0]) <= _SHORT


def resembles(shown: str, names: Iterable[str | None]) -> bool | None:
    """Whether what is shown holds one of an association's names; None where that cannot be told."""
    return _resembles(shown[:LONGEST], tuple(name[:LONGEST] for name in names if name))


@lru_cache(maxsize=COMPARED)
def _resembles(shown: str, names: tuple[str, ...]) -> bool | None:
    ours = [_parted(name) for name in names]
    theirs = _parted(shown)
    if any(_alike(words, own[script]) for script, words in theirs.items() for own in ours if script in own):
        return True
    comparable = [
        (words, list(_comparable(script, words, ours))) for script, words in theirs.items() if words.telling
    ]
    if not comparable or not all(own for _, own in comparable) or _heard_in_another_script(theirs, ours):
        return None
    return None if any(_unsure(words, own) for words, own in comparable) else False


def _comparable(script: str, words: _Words, ours: list[dict[str, _Words]]) -> Iterator[_Words]:
    """The names it would have to be like: those in its script and language, or in its language's letters."""
    for own in ours:
        mine = own.get(script, _Words())
        if mine.telling and may_be_one(words.tongues, mine.tongues):
            yield mine
        if ARABIC in words.tongues and own.get("arabic", _Words()).telling:
            yield own["arabic"]


def akin_handles(one: str, other: str) -> bool | None:
    """Whether two user names have something in common: one within the other, or four letters on end.

    None where they are in two alphabets: `annour` is how one types النور.
    """
    first, second = _letters(one), _letters(other)
    if _scripts(first) and _scripts(second) and not _scripts(first) & _scripts(second):
        return None
    shorter = min(len(first), len(second))
    run = SequenceMatcher(None, first, second, autojunk=False).find_longest_match().size
    return shorter == 0 or run >= min(4, shorter)


def names_it(handle: str, names: Iterable[str | None]) -> bool:
    """Whether a user name holds a telling word of an association's name, or its initials."""
    letters = _letters(handle)
    return any(
        any(len(word) > _RUN[script] and word in letters for word in own.telling)
        or any(len(short) > 2 and letters.startswith(short) for short in own.initials)
        for name in names
        if name
        for script, own in _parted(name).items()
    )


def _letters(handle: str) -> str:
    """A user name without what only parts its words."""
    return re.sub(r"[\W_]", "", _plain(handle))


def _scripts(letters: str) -> set[str]:
    return {script for script, known in _LETTERS.items() if re.search(known, letters)}


def _plain(text: str) -> str:
    return _spelt_alike(folded(text[:LONGEST]))


@lru_cache(maxsize=1024)
def _parted(name: str) -> dict[str, _Words]:
    """A name's words by the script they are written in; kept, for one name is compared with many."""
    plain = _plain(name)
    plain = _DOTTED.sub(lambda found: found[0].replace(".", ""), plain)
    found = {script: re.findall(letters, plain) for script, letters in _LETTERS.items()}
    return {script: _Words(script, tuple(told)) for script, told in found.items() if told}


def _alike(one: _Words, other: _Words) -> bool:
    """Whether two names in one script share a telling word, or one is the other's initials."""
    if not set(one.telling).isdisjoint(other.telling):
        return True
    if any(_same(mine, yours) for mine in one.telling for yours in other.telling):
        return True
    if any(len(word) > 4 and word in words.joined for word, words in _crossed(one, other)):
        return True
    return any(
        word.startswith(short)
        for words, short in _shorts(one, other)
        for word in (*words.telling, words.joined)
    )


def _crossed(one: _Words, other: _Words) -> list[tuple[str, _Words]]:
    return [(word, other) for word in one.telling] + [(word, one) for word in other.telling]


def _shorts(one: _Words, other: _Words) -> list[tuple[_Words, str]]:
    return [(one, short) for short in other.initials] + [(other, short) for short in one.initials]


def _same(one: str, other: str) -> bool:
    """Whether two words are one, differently inflected or transliterated."""
    if one == other or (min(len(one), len(other)) > 3 and (one.startswith(other) or other.startswith(one))):
        return True
    if min(len(one), len(other)) < 4:
        return False
    return SequenceMatcher(None, one, other).ratio() >= 0.75 or _sounds(one) == _sounds(other)


def _sounds(word: str) -> str:
    """The consonants of a word as they are heard, in whatever letters they were put."""
    for written, heard in _HEARD:
        word = word.replace(written, heard)
    return re.sub(r"(.)\1+", r"\1", _SILENT.sub("", word.translate(_ARABIC_HEARD)))


def _heard_in_another_script(theirs: dict[str, _Words], ours: list[dict[str, _Words]]) -> bool:
    """Whether a telling word sounds like one of the other alphabet: a French page may say an Arabic name."""
    own = {at for name in ours for at in _heard(name)}
    return any(mine == yours and script != other for script, mine in _heard(theirs) for other, yours in own)


def _heard(name: dict[str, _Words]) -> set[tuple[str, str]]:
    """The telling words of a name by their sounds, each with its script; one consonant is no word."""
    told = {(script, _sounds(word)) for script, words in name.items() for word in words.telling}
    return {(script, sounds) for script, sounds in told if len(sounds) > 1}


def _unsure(words: _Words, ours: list[_Words]) -> bool:
    """Whether either side may be initials of words in another language."""
    return words.may_be_initials or all(own.may_be_initials for own in ours)


def names_of(association: Association) -> tuple[str, ...]:
    """What an association is called, in every language that is known."""
    names = (association.name, association.name_ar, association.name_fr)
    return tuple(dict.fromkeys(name for name in names if name))


def expected(association: Association) -> str:
    """The registered names, to be shown."""
    return " / ".join(names_of(association))


def account_named(held: Held, case: Case) -> bool | None:
    """Whether an account's public name is the association's.

    Another name is not held against an account to which the association's own site leads, or whose user
    name holds the name: it is theirs, and may be called so in another language.
    """
    shown, names = held.seen.name if held.seen else None, names_of(case.association)
    told = resembles(shown, names) if shown else None
    cleared = told is False and (names_it(bare(held.subject), names) or site_leads(held, case))
    return None if cleared else told


def site_named(site: Held, case: Case) -> bool | None:
    """Whether a site's own names (title, first heading, signature: the fact `says`) hold the association's.

    A host that holds the name is no text on the page, and yet nobody takes such a site for a stranger's.
    """
    says, names = site.seen.facts.get("says") if site.seen else None, names_of(case.association)
    told = resembles(str(says), names) if says else None
    return None if told is False and names_it(site.subject.partition("/")[0], names) else told


ARABIC = "arabic"
"""Arabic in Latin letters: its article, and the words that are most often written so."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TONGUES: Mapping[str, frozenset[str]] = {
    "french": _words(
        """
        l d des du les le aux au avec dans sans chez et ou pour vers notre nos leur ses tous toutes tout
        femme femmes fille filles garcons jeune jeunes jeunesse enfant enfants enfance famille familles
        meres peres gens main mains vert verte verts vertes bleu bleue eau vie lumiere soleil mer maison
        maisons foyer coeur coeurs espoir espoirs aide entraide secours ensemble avenir ami amis amies
        amitie paix droit droits sante soins ecole ecoles lecture lecteurs livre livres bibliotheque savoir
        savoirs enseignants etudiants eleves montagne montagnes terre terres monde mondes societe communaute
        citoyen citoyens citoyenne citoyennete environnement voix pont ponts etoile etoiles fleur fleurs
        arbre arbres foret forets racine racines graine graines matin nouveau nouvelle nouveaux demain
        changement reve reves sourire sourires connaissance musique handicape handicapes aveugles sourds
        orphelins orphelin rue rues agriculteurs durable energie solidarite solidaire bienfaisance benevoles
        ouest nord sud democratie liberte dignite egalite patrimoine ville villes pays travail emploi
        metiers competences petit petite petits grand grande bon bonne premier premiers artisanat
        initiatives sportive culturelle sociale
        """
    ),
    "english": _words(
        """
        the for of with from and our their to in woman women girl girls boy boys young youth child children
        kids family families mothers fathers people hand hands green blue water life light sun sunrise sea
        house heart hearts hope hopes help helping relief together future friend friends friendship peace
        right rights health care school schools learning reading readers book books library knowledge
        teachers students pupils mountain mountains earth land world society community communities citizen
        citizens citizenship environment voice voices bridge bridges star stars flower flowers tree trees
        forest forests roots seed seeds morning new tomorrow change makers dream dreams smile smiles
        disabled blind deaf orphan orphans street streets farmers sustainable energy solidarity charity
        volunteers west north south democracy freedom dignity equality heritage city cities country work
        jobs trades skills training little big good better first great empowerment empowering rising moving
        forward crafts all
        """
    ),
    "spanish": _words(
        """
        los las para con por del una asociacion fundacion mujer mujeres joven jovenes nino ninos nina ninas
        infancia esperanza manos verde verdes agua vida luz casa corazon ayuda juntos futuro amigos paz
        derechos salud escuela mundo sociedad sonrisa norte sur lectura libros mejor
        """
    ),
    ARABIC: _words(
        """
        al el jamiat jamiyat jamiya jamia jam3iya jam3iyat jam3iyyat jamaiya mouassassat moassassat
        mouassasat mountada muntada markaz nadi dar bayt bait amal nour noor salam khayr khair kheir tifl
        toufoula tofoula chabab shabab chabiba maraa tanmia tanmiya tadamoun tadamon takafoul taawoun
        mostaqbal moustakbal ihsan
        """
    ),
}


def tongues(words: Iterable[str]) -> frozenset[str]:
    """The languages that words, folded, are told to be in; none where nothing tells."""
    told = frozenset(words)
    return frozenset(tongue for tongue, known in _TONGUES.items() if told & known)


def may_be_one(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two names may be in one language: of one that none of its words betrays, that is assumed."""
    return bool(one & other) or not one or not other
