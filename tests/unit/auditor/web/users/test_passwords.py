"""Which passwords are accepted: long and uncommon ones."""

import asyncio
import time
from threading import Event, Semaphore

import pytest

from auditor.web.users import MAX_CONCURRENT_HASHES, PasswordService, find_password_fault


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
def test_signs_and_digits_around_rare_words_are_no_fault(password):
    assert find_password_fault(password, "Salma Benali", "Réseau des Oliviers") is None


@pytest.mark.parametrize(
    "password",
    [
        *(
            "goats climb argan trees",
            "saffron grows in Taliouine",
            "عنزة تتسلق شجرة أركان",
            "Tr0ub4dor&3-xkcd",
        ),
        *(
            "b7f1c0a95e2d",
            "une chèvre grimpe",
            "correct-cheval-batterie-agrafe",
            "🐐🐐🐐🐐 argan goats",
        ),
    ],
)
def test_long_uncommon_password_is_accepted(password):
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


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_further_password_waits_for_its_hash(step):
    count = MAX_CONCURRENT_HASHES + step
    running_count = min(count, MAX_CONCURRENT_HASHES)
    hasher = SlowHasher()
    service = PasswordService(hasher)
    tasks = [asyncio.create_task(service.hash(f"words {number}")) for number in range(count)]
    for _ in range(running_count):
        await asyncio.to_thread(hasher.begun.acquire)
    waiting_count = service.limiter.statistics().tasks_waiting
    hasher.may_end.set()
    await asyncio.gather(*tasks)
    assert waiting_count == count - running_count
