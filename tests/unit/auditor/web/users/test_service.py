"""Users: their names, how their sessions and links end, and which passwords are accepted."""

import asyncio
import time
from datetime import timedelta
from threading import Event, Semaphore

import pytest

from auditor.web.users import (
    MAX_CONCURRENT_HASHES,
    MAX_LOGIN_LINK_AGE,
    LoginLink,
    PasswordService,
    UserError,
    add_user,
    find_invited_user,
    find_password_fault,
    find_session_user,
    start_session,
)
from storage.models.users import Role
from storage.store import Store
from tests.support.web_server import NOW


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


def add_amina(store):
    return add_user(store, "Amina", Role.READER, (), author="shell", now=NOW)


@pytest.mark.parametrize(
    "name",
    [
        "Ami\u200bna",
        "Amina\u2060",
        "\ufeffAMINA",
        "Am\u00adina",
        "Amina\u180e",
        "Amina\U000e0041",
        "Am\ufff9ina",
        "Am\u034fina",
        "Amina\ufe0f",
        "Amina\U000e0100",
        "\u3164Amina",
        "Amina\u2800",
        "Amina\uffa0",
        "Am\u200dina",
        "Amina \u200c",
    ],
    ids=ascii,
)
def test_names_that_look_alike_are_one_name(store, name):
    add_amina(store)
    with pytest.raises(UserError, match="already a user with this name"):
        add_user(store, name, Role.READER, (), author="shell", now=NOW)
    assert store.users.get(name).name == "Amina"


def test_joiner_stays_in_a_persian_name_but_makes_no_other_name(store):
    add_user(store, "علی\u200cرضا\u200c", Role.READER, (), author="shell", now=NOW)
    assert store.users.get("علیرضا").name == "علی\u200cرضا"
    with pytest.raises(UserError, match="already a user with this name"):
        add_user(store, "علی\u200dرضا", Role.READER, (), author="shell", now=NOW)


def test_name_that_is_added_twice_at_the_same_time_is_refused(store, monkeypatch):
    """A double click gave an error of the server."""
    add_amina(store)
    get_user, checks = store.users.get, [None]
    monkeypatch.setattr(store.users, "get", lambda name: checks.pop() if checks else get_user(name))
    with pytest.raises(UserError, match="already a user with this name"):
        add_amina(store)


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\udcff", "\u202e", "\u2800"])
def test_name_that_no_one_sees_is_refused(store, name):
    with pytest.raises(UserError, match="1 to 100 characters"):
        add_user(store, name, Role.READER, (), author="shell", now=NOW)


def find_by_link(store, passed):
    _, token = add_amina(store)
    return find_invited_user(store, token, NOW + passed)


def find_by_unused_session(store, passed):
    token = start_session(store, add_amina(store)[0], NOW)
    return find_session_user(store, token, NOW + passed)


def find_by_used_session(store, passed):
    token = start_session(store, add_amina(store)[0], NOW)
    for hour in range(24):
        assert find_session_user(store, token, NOW + timedelta(hours=hour))
    return find_session_user(store, token, NOW + passed)


def find_by_login_link(store, passed):
    link = LoginLink(add_amina(store)[0], NOW + MAX_LOGIN_LINK_AGE)
    return link.take_user(link.token, NOW + passed)


@pytest.mark.parametrize(
    ("find_user", "lifetime"),
    [
        (find_by_link, timedelta(hours=24)),
        (find_by_unused_session, timedelta(hours=8)),
        (find_by_used_session, timedelta(hours=24)),
        (find_by_login_link, timedelta(minutes=15)),
    ],
)
@pytest.mark.parametrize(("step", "is_valid"), [(-1, True), (0, False)])
def test_link_or_session_ends_after_its_lifetime(store, find_user, lifetime, step, is_valid):
    user = find_user(store, lifetime + timedelta(seconds=step))
    assert (user is not None) is is_valid


@pytest.mark.parametrize(
    "password",
    [
        *(
            "password1234",
            "Motdepasse2026!",
            "motdepasse motdepasse",
            "P@ssw0rd1234",
            "azertyuiop12",
            "1qaz2wsx3edc",
        ),
        *(
            "123456789012",
            "987654321098",
            "aaaaaaaaaaaaaa",
            "abababababab",
            "qwertyuiop[]",
            "iloveyou2026",
        ),
        *(
            "presence-auditor",
            "Presence Auditor 1",
            "associationmaroc",
            "BienvenueAdmin1",
            "welcomewelcome",
        ),
        *(
            "مرحبا مرحبا 123",
            "كلمة السر السرية",
            "المغرب المغرب",
            "جمعية المغرب 2026",
            "ضصثقفغعهخحجد",
        ),
        *("Salma Benali 1", "salmasalmasalma", "reseau des oliviers", "Réseau des Oliviers 2026"),
    ],
)
def test_common_password_is_refused(password):
    assert find_password_fault(password, "Salma Benali", "Réseau des Oliviers") == "common"


@pytest.mark.parametrize(
    "password",
    [
        *("P@ssw0rd2024!", "p@ssword!!!!", "M@roc2024!!!!", "$oleil123456!", "passw0rd€€€€"),
        *("!!!!p@ssw0rd", "2024!P@ssw0rd!", "p@ss-word-2024!", "P@$$w0rd$$$$", "m0tdep@sse2024!"),
        *("@dmin@dmin2024!", "@gadir@gadir!", "we1come2024!!", "W!nter2024!!!", "adm!n!str@t0r!"),
        *("S@lma Benali!!", "Password2024!!", "Qwerty@12345!", "المغرب 2024!!!!", "!@$€!@$€!@$€"),
    ],
)
def test_signs_and_digits_around_a_common_word_do_not_make_it_rare(password):
    assert find_password_fault(password, "Salma Benali", "Réseau des Oliviers") == "common"


@pytest.mark.parametrize(
    "password",
    [
        *("goats climb argan trees", "saffron grows in Taliouine", "b7f1c0a95e2d"),
        *("correct-cheval-batterie-agrafe", "🐐🐐🐐🐐 argan goats"),
        *(
            "goats climb argan trees!",
            "argan! goats? 7 trees",
            "Tr0ub4dor&3-xkcd!",
            "b7f1c0a95e2d!!!!",
        ),
        *("une chèvre grimpe !", "horse-saffron-tea!9", "mint tea @ sunset!", "zqxj!vbnw@kdl$"),
        *(
            "عنزة تتسلق شجرة أركان!!",
            "kasbah-lantern-42!",
            "my goat eats figs!!!!",
            "$affron gr0ws!!",
        ),
    ],
)
def test_rare_words_with_signs_and_digits_are_no_fault(password):
    assert find_password_fault(password, "Salma Benali", "Réseau des Oliviers") is None


@pytest.mark.parametrize(
    ("password", "wrong"),
    [
        ("elevensigns", "short"),
        ("twelve signs", None),
        ("no end in it" * 10 + "1234567", None),
        ("no end in it" * 10 + "12345678", None),
        ("no end in it" * 10 + "123456789", "long"),
        ("", "short"),
        ("ﬃﬃﬃﬃ", "common"),  # it is ffi, four times
    ],
)
def test_password_length_is_limited(password, wrong):
    assert find_password_fault(password) == wrong


def test_password_check_is_fast():
    before = time.process_time()
    for text in (
        "12" * 63 + "€!",
        "p@" * 64,
        "!" * 127 + "x",
        "1!" * 60 + "passwor",
        "abcd" * 31 + "é€",
        "passwordpass" * 10 + "€",
    ):
        find_password_fault(text)
    assert time.process_time() - before < 1


class SlowHasher:
    """Hashes until the test lets it end, and counts how many begin."""

    def __init__(self):
        self.begun, self.may_end = Semaphore(0), Event()

    def hash(self, password):
        self.begun.release()
        self.may_end.wait(60)
        return password


@pytest.mark.fault("F56")
async def test_further_password_waits_for_its_hash():
    """The event loop is free meanwhile."""
    hasher, further = SlowHasher(), 3
    service = PasswordService(hasher)
    words = [f"words {number}" for number in range(MAX_CONCURRENT_HASHES + further)]
    tasks = [asyncio.create_task(service.hash(password)) for password in words]
    for _ in range(MAX_CONCURRENT_HASHES):
        await asyncio.to_thread(hasher.begun.acquire)
    waiting_count = service.limiter.statistics().tasks_waiting
    hasher.may_end.set()
    assert await asyncio.gather(*tasks) == words
    assert waiting_count == further
