"""Names, sessions and links of users have limits."""

from datetime import timedelta

import pytest

from auditor.core.form_limits import MAX_USER_NAME_CHARS
from auditor.web.users import (
    MAX_INVITE_AGE,
    MAX_LOGIN_LINK_AGE,
    MAX_SESSION_AGE,
    MAX_SESSION_IDLE_TIME,
    LoginLink,
    UserError,
    add_user,
    find_invited_user,
    find_session_user,
    start_session,
)
from storage.models.users import Role
from storage.store import Store
from tests.support.web_server import NOW


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_longer_name_is_refused(tmp_path, step):
    name = "x" * (MAX_USER_NAME_CHARS + step)
    store = Store.open(f"sqlite:///{tmp_path}/auditor.db")
    if step <= 0:
        assert add_user(store, name, Role.READER, (), author="shell", now=NOW)[0].name == name
    else:
        with pytest.raises(UserError, match="100 characters"):
            add_user(store, name, Role.READER, (), author="shell", now=NOW)
    store.close()


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


def test_blank_letter_in_a_name_is_a_space(store):
    add_user(store, "Amina\u3164Alaoui", Role.READER, (), author="shell", now=NOW)
    assert store.users.get("amina alaoui").name == "Amina Alaoui"


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


STEPS = [(-1, True), (0, False), (1, False)]
"""Seconds before and after the limit, and whether a session or link is valid then."""


@pytest.mark.parametrize(("step", "is_valid"), STEPS)
def test_one_time_link_expires(store, step, is_valid):
    _, token = add_amina(store)
    later = NOW + MAX_INVITE_AGE + timedelta(seconds=step)
    assert (find_invited_user(store, token, later) is not None) is is_valid


@pytest.mark.parametrize(("step", "is_valid"), STEPS)
def test_unused_session_ends(store, step, is_valid):
    user, _ = add_amina(store)
    token = start_session(store, user, NOW)
    later = NOW + MAX_SESSION_IDLE_TIME + timedelta(seconds=step)
    assert (find_session_user(store, token, later) is not None) is is_valid


@pytest.mark.parametrize(("step", "is_valid"), STEPS)
def test_session_in_use_ends_after_a_day(store, step, is_valid):
    user, _ = add_amina(store)
    token = start_session(store, user, NOW)
    for hour in range(int(MAX_SESSION_AGE / timedelta(hours=1))):
        assert find_session_user(store, token, NOW + timedelta(hours=hour))
    later = NOW + MAX_SESSION_AGE + timedelta(seconds=step)
    assert (find_session_user(store, token, later) is not None) is is_valid


@pytest.mark.parametrize(("step", "is_valid"), STEPS)
def test_login_link_expires(store, step, is_valid):
    user, _ = add_amina(store)
    link = LoginLink(user, NOW + MAX_LOGIN_LINK_AGE)
    later = NOW + MAX_LOGIN_LINK_AGE + timedelta(seconds=step)
    assert (link.take_user(link.token, later) is not None) is is_valid
