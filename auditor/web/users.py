"""Users of the pages: accounts and invitations, permissions, sessions.

A one-time link is shown once and is valid for a day; its reader sets the password. Every user may
read figures, lists, pages of associations and evidence. Personal data and changes are for
coordinators, of all regions or of associations in their regions. Associations without a region are
for coordinators of all regions.

A session is a random token in a cookie; the database stores its hash. A session that has ended
cannot be used again.

Passwords are stored as Argon2id hashes with 64 MB of memory, as pwdlib recommends. At most two are
computed at the same time, so that many logins do not exhaust the memory. They run in threads, so
that the event loop is not blocked.
"""

import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from itertools import chain, product
from typing import Literal

from anyio import CapacityLimiter, to_thread
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from auditor.conclusions.summary import AssociationFilter, get_region_key
from auditor.config.schema import Config
from auditor.core.errors import TranslatableError
from auditor.core.form_limits import MAX_USER_NAME_CHARS
from auditor.core.formatting import TOKEN_BYTES, hash_token
from auditor.core.i18n.catalogs import gettext_noop
from auditor.core.reference.places import REGIONS, find_region_code
from probes.text.language import fold_text
from storage.errors import StoreError
from storage.models.audit import Association
from storage.models.summaries import AssociationSummary
from storage.models.users import Role, clean_user_name
from storage.store import Store
from storage.tables.users import LoginSession, User, UserInvite

MAX_INVITE_AGE = timedelta(hours=24)
"""How long a one-time link is valid."""
MAX_LOGIN_LINK_AGE = timedelta(minutes=15)
"""How long a link that logs in without a password is valid."""


class UserError(TranslatableError):
    """The data of a user is invalid; nothing was changed."""


def add_user(
    store: Store, name: str, role: Role, regions: Iterable[str], *, author: str, now: datetime
) -> tuple[User, str]:
    """Add a user and return it with the token of its one-time link. Raises UserError.

    A removed user with this name is restored.
    """
    clean_name = clean_user_name(name)
    _refuse_invalid_name(store, clean_name)
    user = User(
        name=clean_name,
        role=role,
        added_at=now,
        added_by=author,
        regions=list(_normalize_regions(store, role, regions)),
    )
    try:
        user = store.users.add(user)
    except StoreError:
        _refuse_invalid_name(store, clean_name)  # another request may have added the name
        raise
    return user, create_invite(store, user, author, now)


def create_invite(store: Store, user: User, author: str, now: datetime) -> str:
    """Create a one-time link and return its token. The password, sessions and older links end."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    store.users.save_invite(
        UserInvite(
            token_hash=hash_token(token),
            user_id=user.id,
            created_at=now,
            created_by=author,
            expires_at=now + MAX_INVITE_AGE,
        )
    )
    return token


def find_invited_user(store: Store, token: str, now: datetime) -> User | None:
    """Return the user of a one-time link, or None if it is wrong, used or expired."""
    invited = store.users.get_invite(hash_token(token))
    if invited is None or invited[1].removed_at or now >= invited[0].expires_at:
        return None
    return invited[1]


class LoginLink:
    """A link that logs a user in once, without a password, until it expires.

    It exists only in the memory of the process. `auditor demo --serve` creates one; `auditor serve`
    has none.
    """

    def __init__(self, user: User, expires_at: datetime) -> None:
        self.expires_at = expires_at
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self._user: User | None = user

    def take_user(self, token: str, now: datetime) -> User | None:
        """Return the user and use the link up; None if it is wrong, used or expired."""
        is_valid = secrets.compare_digest(token.encode(), self.token.encode())
        if not is_valid or now >= self.expires_at:
            return None
        user, self._user = self._user, None
        return user


def get_user(store: Store, name: str) -> User:
    """Return the user with a name. Raises UserError."""
    user = store.users.get(name)
    if user is None or user.removed_at:
        raise UserError(
            name,
            "there is no user with this name",
            "`auditor user list`",
            message=gettext_noop("There is no user with this name."),
        )
    return user


def build_welcome_url(base: str, language: str, token: str) -> str:
    """Return the address of a one-time link."""
    return f"{base}/{language}/set-password/{token}"


def get_web_base_url(config: Config) -> str:
    """Return the address of the pages: as configured, or on this machine."""
    if config.notify.pages_url:
        return config.notify.pages_url
    if config.web.allowed_hosts:
        return f"https://{config.web.allowed_hosts[0]}"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.web.host, config.web.host)  # noqa: S104  # all interfaces
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{config.web.port}"


def _refuse_invalid_name(store: Store, name: str) -> None:
    if not 0 < len(name) <= MAX_USER_NAME_CHARS:
        raise UserError(
            "NAME",
            f"a name must have 1 to {MAX_USER_NAME_CHARS} characters",
            message=gettext_noop("Names can have at most {most} characters."),
            most=MAX_USER_NAME_CHARS,
        )
    existing = store.users.get(name)
    if existing is not None and existing.removed_at is None:
        raise UserError(
            existing.name,
            "there is already a user with this name",
            "another name, or `auditor user reset` for a new invitation link",
            message=gettext_noop("There is already a user with this name."),
        )


def _normalize_regions(store: Store, role: Role, regions: Iterable[str]) -> tuple[str, ...]:
    """Return the keys of a coordinator's regions. Raises UserError for an unknown region."""
    typed = list(filter(None, map(str.strip, regions)))
    if typed and role is not Role.COORDINATOR:
        raise UserError(
            "--region",
            "only coordinators have regions",
            "--role coordinator",
            message=gettext_noop(
                "Regions are for coordinators only. All other users see or manage every region."
            ),
        )
    registered_keys = set(map(get_region_key, store.registry.list_regions()))
    for region in typed:
        if find_region_code(region) is None and region not in registered_keys:
            raise UserError(
                region,
                "no association is in this region",
                f"one of {', '.join(REGIONS)}, or as in the registry",
                message=gettext_noop("There is no region called {region}."),
                region=region,
            )
    return tuple(dict.fromkeys(map(get_region_key, typed)))


def is_coordinator(user: User | None) -> bool:
    """Return True if a user coordinates all or some regions."""
    return user is not None and user.role in {Role.COORDINATOR, Role.ADMIN}


def can_edit_all_regions(user: User | None) -> bool:
    """Return True if a user coordinates all regions."""
    return user is not None and is_coordinator(user) and not user.regions


def can_edit_association(user: User | None, association: Association | AssociationSummary) -> bool:
    """Return True if a user coordinates this association."""
    if user is None or not is_coordinator(user):
        return False
    return not user.regions or (
        association.region is not None and get_region_key(association.region) in user.regions
    )


def find_editable_regions(
    user: User | None, load_regions: Callable[[], Iterable[str]]
) -> frozenset[str] | None:
    """Return the regions of the registry that a user coordinates; None means all."""
    if can_edit_all_regions(user):
        return None
    if user is None or not is_coordinator(user):
        return frozenset()
    return frozenset(typed for typed in load_regions() if get_region_key(typed) in user.regions)


def restrict_filter_to_regions(
    user: User, association_filter: AssociationFilter
) -> Iterator[AssociationFilter]:
    """Yield the filter restricted to the user's regions, one filter for each region."""
    if can_edit_all_regions(user):
        yield association_filter
    elif is_coordinator(user):
        regions = set(user.regions)
        if association_filter.region:
            regions &= {get_region_key(association_filter.region)}
        for region in sorted(regions):
            yield replace(association_filter, region=region)


MAX_SESSION_IDLE_TIME = timedelta(hours=8)
"""A session ends after this time without use."""
MAX_SESSION_AGE = timedelta(hours=24)
"""A session ends after this time in any case."""


def start_session(
    store: Store, user: User, now: datetime, *, replaced_token: str | None = None
) -> str | None:
    """Start a session and return its token.

    It replaces the session of `replaced_token` and deletes expired sessions. Returns None if the
    user was removed or the password changed since it was verified.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    store.sessions.end_expired(
        started_before=now - MAX_SESSION_AGE, last_seen_before=now - MAX_SESSION_IDLE_TIME
    )
    started = store.sessions.start(
        LoginSession(
            token_hash=hash_token(token), user_id=user.id, started_at=now, last_seen_at=now
        ),
        user,
        replaced_token_hash=hash_token(replaced_token) if replaced_token else None,
    )
    return token if started else None


def find_session_user(store: Store, token: str, now: datetime) -> User | None:
    """Return the user of a session token and extend the session, or None."""
    session_row = store.sessions.get(hash_token(token))
    if session_row is None:
        return None
    session, user = session_row
    idle_time = now - session.last_seen_at
    if now - session.started_at >= MAX_SESSION_AGE or idle_time >= MAX_SESSION_IDLE_TIME:
        return None
    # minimum time between two updates of a session's last use, so that reading rarely writes
    if idle_time >= timedelta(minutes=1):
        with suppress(StoreError):  # pages are shown even if the database cannot be written
            store.sessions.touch(session.token_hash, now)
    return user


MIN_PASSWORD_CHARACTERS = 12
MAX_PASSWORD_CHARACTERS = 128
"""Characters of a password.

There are no composition rules: length is what counts (NIST SP 800-63B).
"""
MAX_CONCURRENT_HASHES = 2
"""Passwords that are hashed at the same time."""
ARGON2_HASHER = Argon2Hasher()
"""64 MB, 3 passes, 4 lanes: about 0.1 s on a small server."""


def find_password_fault(password: str, *names: str) -> Literal["short", "long", "common"] | None:
    """Return why a new password is refused, or None.

    `names` are those of the user and the network, which are easy to guess.
    """
    normalized = normalize_password(password)
    if len(normalized) > MAX_PASSWORD_CHARACTERS:
        return "long"
    if len(normalized) < MIN_PASSWORD_CHARACTERS:
        return "short"
    return "common" if is_common_password(normalized, names) else None


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
        """Return the hash to verify against if the user does not exist."""
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
MIN_DISTINCT_CHARACTERS = 5
"""Different characters below which a password is a repetition."""
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
    """Return True if a password is common, or built from common words and known names.

    It knows the words at the top of lists of leaked passwords in Arabic, French and English, the
    words of this product, sequences and repetitions, and chains of them with digits. It does not
    know the millions of other leaked passwords. Login limits protect against those.
    """
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
