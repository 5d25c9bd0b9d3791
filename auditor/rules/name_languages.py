"""In which languages a name in Latin letters may be written, told by its words. Pure.

Only words that stand in the names of associations, and in one of these languages alone: "de" and "la" are
French and Spanish, "nature" and "sport" French and English, so they tell nothing. Nor do people and places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
