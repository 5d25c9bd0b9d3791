"""Passwords: which may be taken, how they are kept, and how one is compared without telling who exists.

Kept is an Argon2id hash (64 MB, as pwdlib recommends). Two are made at once at most, so that a crowd at the
login takes 128 MB and no more, in threads, so that the loop goes on meanwhile.

Passwords that a stranger tries first: a small list of our own, and what is put together from it. Pure.

Its limit: it knows the words that lists of leaked passwords in these languages begin with, those of this
product, runs and repetitions, and chains of them with digits. It does not know the millions that have leaked
elsewhere; against those stand the login limits, and a password that is used nowhere else.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from probes.text.language import fold_text

MIN_PASSWORD_CHARACTERS, MAX_PASSWORD_CHARACTERS = 12, 128
"""Characters of a password. No rules of composition: length is what counts (NIST SP 800-63B)."""
MAX_CONCURRENT_HASHES = 2
ARGON2_HASHER = Argon2Hasher()
"""How dear a hash is: 64 MB, 3 passes, 4 lanes; some 0.1 s of a small server."""


class PasswordFault(StrEnum):
    """What is wrong with a password that somebody wants to have."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"


def find_password_fault(password: str, *names: str) -> PasswordFault | None:
    """What is wrong with a password; `names` are the user's and the network's, which everybody knows."""
    told = normalize_password(password)
    if len(told) > MAX_PASSWORD_CHARACTERS:
        return PasswordFault.LONG
    if len(told) < MIN_PASSWORD_CHARACTERS:
        return PasswordFault.SHORT
    return PasswordFault.COMMON if is_common_password(told, names) else None


def normalize_password(password: str) -> str:
    """One form of what keyboards type in several (NFKC), so that another telephone writes the same."""
    return unicodedata.normalize("NFKC", password)


@dataclass(frozen=True, slots=True)
class PasswordService:
    """Makes and compares hashes, so many at once. One is enough for a process."""

    hasher: PasswordHash = field(default_factory=lambda: PasswordHash((ARGON2_HASHER,)))
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MAX_CONCURRENT_HASHES))
    dummy_hashes: list[str] = field(default_factory=list)
    """The hash that stands in for that of a user who does not exist; made once."""

    async def hash(self, password: str) -> str:
        """What is kept of a password."""
        return await to_thread.run_sync(
            self.hasher.hash, normalize_password(password), limiter=self.limiter
        )

    async def verify(self, password: str, stored_hash: str | None) -> tuple[bool, str | None]:
        """Whether it is the password of which this was kept, and what to keep instead where costs changed.

        Without anything kept it takes as long, and never agrees.
        """
        return await to_thread.run_sync(
            self._verify_blocking, normalize_password(password), stored_hash, limiter=self.limiter
        )

    def _verify_blocking(self, password: str, stored_hash: str | None) -> tuple[bool, str | None]:
        agreed, newer = self.hasher.verify_and_update(
            password, stored_hash or self._get_dummy_hash()
        )
        return (agreed and stored_hash is not None, newer)

    def _get_dummy_hash(self) -> str:
        if not self.dummy_hashes:
            self.dummy_hashes.append(self.hasher.hash(secrets.token_urlsafe()))
        return self.dummy_hashes[0]


MIN_DISTINCT_CHARACTERS = 5
"""Different characters below which a password is a repetition."""
SIGN_SUBSTITUTIONS = str.maketrans("@$!€", "asie")
DIGIT_SUBSTITUTIONS = str.maketrans("013457", "oieast")
"""What people write for letters: signs, and digits, which may stand for themselves as well."""
CHARACTER_SEQUENCES = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي",
    "ضصثقفغعهخحجدشسيبلاتنمكطئءؤرلىةوزظ",
)
"""Alphabets and rows of keys, which people go along."""
MIN_SEQUENCE_CHARACTERS = 4
"""Characters of a run."""
COMMON_WORDS = """
password passwort passe motdepasse mot de pass code secret secrete private access login user admin
administrator administrateur root super master manager welcome bienvenue marhaba salam hello bonjour letmein
changeme change me please default guest test testing demo example temp temporary service server system
computer internet google facebook twitter linkedin youtube instagram whatsapp telegram website site web online
network reseau forum association associations asso associatif ong ngo presence auditor audit auditeur
observatoire coordinator coordinateur coordination coordonnateur coordinatrice region report rapport maroc
morocco maghreb rabat casablanca casa agadir fes meknes tanger tetouan marrakech oujda souss massa sale
kenitra amazigh raja wydad barcelona realmadrid football soccer iloveyou love you princess sunshine monkey
dragon shadow football baseball batman superman michael jordan jesus allah mohamed mohammed ahmed fatima
soleil chouchou doudou loulou jetaime amour azerty qwerty azertyuiop qwertyuiop winter spring summer autumn
hiver printemps ete automne january february march april june july august september october november december
janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre monday tuesday wednesday
thursday friday saturday sunday lundi mardi mercredi jeudi vendredi samedi dimanche trustno one correct horse
battery staple the and my new our mon ma mes notre nouveau nouvelle مرحبا السلام عليكم كلمه السر كلمه المرور
سري سريه السريه المغرب الرباط جمعيه الجمعيه الجمعيات شبكه تنسيق المنسق حضور
رقيب محمد احمد فاطمه الله بسم يارب حبيبي
"""


def is_common_password(password: str, names: Iterable[str] = ()) -> bool:
    """Whether a password is one of those, or of these names, which everybody knows, or made of them."""
    known = _load_known_words() | _split_words(names)
    told = {
        _normalize_letters(password),
        _normalize_letters(password.translate(SIGN_SUBSTITUTIONS)),
    }
    return any(
        len(set(one)) < MIN_DISTINCT_CHARACTERS or _is_word_chain(one, known) for one in told
    )


def _is_word_chain(text: str, known_words: Collection[str]) -> bool:
    """Whether a text is nothing but these words and digits, one behind the other."""
    spelt, longest = text.translate(DIGIT_SUBSTITUTIONS), max(map(len, known_words))
    ends = [True]
    for end in range(1, len(text) + 1):
        starts = [at for at in range(max(0, end - longest), end - 1) if ends[at]]
        is_word = any(text[at:end] in known_words or spelt[at:end] in known_words for at in starts)
        ends.append(is_word or (ends[end - 1] and text[end - 1].isdigit()))
    return ends[-1]


@cache
def _load_known_words() -> frozenset[str]:
    return frozenset(_split_words([COMMON_WORDS]) | _build_sequence_pieces())


def _split_words(texts: Iterable[str]) -> set[str]:
    return {
        bare for text in texts for word in text.split() if len(bare := _normalize_letters(word)) > 1
    }


def _build_sequence_pieces() -> set[str]:
    """The pieces of a run, forwards and backwards."""
    both = [way for run in map(_normalize_letters, CHARACTER_SEQUENCES) for way in (run, run[::-1])]
    return {
        way[at : at + size]
        for way in both
        for size in range(MIN_SEQUENCE_CHARACTERS, MIN_SEQUENCE_CHARACTERS + 4)
        for at in range(len(way) - size + 1)
    }


def _normalize_letters(text: str) -> str:
    """Letters and digits alone, without case, accents and vowel marks."""
    return re.sub(r"[\W_]+", "", fold_text(text)).replace("ة", "ه")
