"""Validate, hash and verify passwords.

Passwords are stored as Argon2id hashes with 64 MB of memory, as pwdlib recommends. At most two are
computed at the same time, so that many logins do not exhaust the memory. They run in threads, so
that the event loop is not blocked.

`is_common_password` knows the words at the top of lists of leaked passwords in Arabic, French and
English, the words of this product, sequences and repetitions, and chains of them with digits. It
does not know the millions of other leaked passwords. Login limits protect against those.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from enum import StrEnum
from functools import cache, cached_property
from itertools import chain, product

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from probes.text.language import fold_text

MIN_PASSWORD_CHARACTERS = 12
MAX_PASSWORD_CHARACTERS = 128
"""Characters of a password.

There are no composition rules: length is what counts (NIST SP 800-63B).
"""
MAX_CONCURRENT_HASHES = 2
"""Passwords that are hashed at the same time."""
ARGON2_HASHER = Argon2Hasher()
"""64 MB, 3 passes, 4 lanes: about 0.1 s on a small server."""


class PasswordFault(StrEnum):
    """The reasons to refuse a new password."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"


def find_password_fault(password: str, *names: str) -> PasswordFault | None:
    """Return why a new password is refused, or None.

    `known_names` are the names of the user and the network, which are easy to guess.
    """
    normalized = normalize_password(password)
    if len(normalized) > MAX_PASSWORD_CHARACTERS:
        return PasswordFault.LONG
    if len(normalized) < MIN_PASSWORD_CHARACTERS:
        return PasswordFault.SHORT
    return PasswordFault.COMMON if is_common_password(normalized, names) else None


def normalize_password(password: str) -> str:
    """Return the NFKC form, because keyboards type some characters in several forms."""
    return unicodedata.normalize("NFKC", password)


class PasswordService:
    """Computes and verifies hashes with a limit on parallel work. Use one per process."""

    def __init__(self, hasher: PasswordHash | None = None) -> None:
        self.hasher = hasher or PasswordHash((ARGON2_HASHER,))
        self.limiter = CapacityLimiter(MAX_CONCURRENT_HASHES)

    @cached_property
    def dummy_hash(self) -> str:
        """The hash to verify against if the user does not exist."""
        return self.hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        return await to_thread.run_sync(
            self.hasher.hash, normalize_password(password), limiter=self.limiter
        )

    async def verify(self, password: str, stored_hash: str | None) -> bool:
        """Return True if the password matches the hash.

        Without a hash it takes the same time and returns False.
        """

        def verify_blocking() -> bool:
            return self.hasher.verify(normalize_password(password), stored_hash or self.dummy_hash)

        is_same = await to_thread.run_sync(verify_blocking, limiter=self.limiter)
        return is_same and stored_hash is not None


MIN_DISTINCT_CHARACTERS = 5
"""Different characters below which a password is a repetition."""
SIGNS = "@$!€"
SIGN_SUBSTITUTIONS = str.maketrans(SIGNS, "asie")
SUBSTITUTIONS = (
    SIGN_SUBSTITUTIONS,
    SIGN_SUBSTITUTIONS | str.maketrans("013457", "oieast"),
    SIGN_SUBSTITUTIONS | str.maketrans("013457", "oleast"),
)
"""What people write for letters: signs and digits. Each may also be only a sign or a digit."""
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
"""Alphabets and keyboard rows."""
MIN_SEQUENCE_CHARACTERS = 4
"""Minimum length of a sequence."""
COMMON_WORDS = """
password passwort passe motdepasse mot de pass code secret secrete private access login user admin
administrator administrateur root super master manager welcome bienvenue marhaba salam hello bonjour
letmein changeme change me please default guest test testing demo example temp temporary service
server system computer internet google facebook twitter linkedin youtube instagram whatsapp telegram
website site web online network reseau forum association associations asso associatif ong ngo
presence auditor audit auditeur observatoire coordinator coordinateur coordination coordonnateur
coordinatrice region report rapport maroc morocco maghreb rabat casablanca casa agadir fes meknes
tanger tetouan marrakech oujda souss massa sale kenitra amazigh raja wydad barcelona realmadrid
football soccer iloveyou love you princess sunshine monkey dragon shadow football baseball batman
superman michael jordan jesus allah mohamed mohammed ahmed fatima soleil chouchou doudou loulou
jetaime amour azerty qwerty azertyuiop qwertyuiop winter spring summer autumn hiver printemps ete
automne january february march april june july august september october november december janvier
fevrier mars avril mai juin juillet aout septembre octobre novembre decembre monday tuesday
wednesday thursday friday saturday sunday lundi mardi mercredi jeudi vendredi samedi dimanche
trustno one correct horse battery staple the and my new our mon ma mes notre nouveau nouvelle مرحبا
السلام عليكم كلمه السر كلمه المرور سري سريه السريه المغرب الرباط جمعيه الجمعيه الجمعيات شبكه تنسيق
المنسق حضور رقيب محمد احمد فاطمه الله بسم يارب حبيبي
"""


def is_common_password(password: str, names: Iterable[str] = ()) -> bool:
    """Return True if a password is common, or built from common words and known names."""
    known = _load_known_words() | _split_words(names)
    forms = {_normalize_letters(password), _normalize_letters(password, kept_signs=SIGNS)}
    return any(
        len(set(form)) < MIN_DISTINCT_CHARACTERS or _is_word_chain(form, known) for form in forms
    )


def _is_word_chain(text: str, known_words: AbstractSet[str]) -> bool:
    """Return True if a text consists of these words, with digits and signs between and around.

    A sign or a digit counts as a letter only inside a word: the last one of `p@ssword2024!` does
    not.
    """
    spellings = list(map(text.translate, SUBSTITUTIONS))
    longest = max(map(len, known_words))
    ends = [True]
    for end in range(1, len(text) + 1):
        starts = filter(ends.__getitem__, range(max(0, end - longest), end - 1))
        pieces = (spelling[start:end] for start, spelling in product(starts, spellings))
        is_word = not known_words.isdisjoint(pieces)
        is_filler = text[end - 1].isdigit() or text[end - 1] in SIGNS
        ends.append(is_word or (ends[end - 1] and is_filler))
    return ends[-1]


@cache
def _load_known_words() -> frozenset[str]:
    """Return the common words, and all pieces of a sequence, forwards and backwards."""
    known = _split_words([COMMON_WORDS])
    for forwards in map(_normalize_letters, CHARACTER_SEQUENCES):
        for sequence in (forwards, forwards[::-1]):
            for size in range(MIN_SEQUENCE_CHARACTERS, MIN_SEQUENCE_CHARACTERS + 4):
                starts = range(len(sequence) - size + 1)
                known.update(sequence[start : start + size] for start in starts)
    return frozenset(known)


def _split_words(texts: Iterable[str]) -> set[str]:
    words = chain.from_iterable(map(str.split, texts))
    return {letters for letters in map(_normalize_letters, words) if len(letters) > 1}


def _normalize_letters(text: str, kept_signs: str = "") -> str:
    """Return the letters, digits and kept signs, without case, accents and vowel marks."""
    others = rf"[^\w{re.escape(kept_signs)}]+|_+"
    return re.sub(others, "", fold_text(text)).replace("ة", "ه")
