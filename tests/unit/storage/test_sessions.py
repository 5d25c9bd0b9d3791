"""Sessions of the database: one transaction each, clean objects, readable after the end."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlmodel import select

from storage.models.audit import Association
from storage.models.users import ReplyKind, Role
from storage.store import Store
from storage.tables.communication import Reply
from storage.tables.users import User
from tests.support.stored import add_reply

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def build_user(name="Amina", **values):
    return User(name=name, role=Role.ADMIN, added_at=NOW, added_by="operator", **values)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        yield opened


def store_user_and_fail(database):
    with database.begin_write_session() as session:
        session.add(build_user(normalized_name="amina"))
        session.flush()
        raise RuntimeError


def test_text_and_times_of_objects_are_cleaned_before_they_are_stored(store):
    store.registry.save_registry([Association("amal", "Amal")], [], NOW)
    local_time = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    reply = Reply(association="amal", kind=ReplyKind.DISPUTED, submitted_at=local_time, text="a\0b")
    stored = add_reply(store, reply)
    assert stored.text == "ab"
    assert store.replies.get(stored.id) == stored
    assert (stored.submitted_at, stored.submitted_at.tzinfo) == (NOW, UTC)


def test_time_without_a_time_zone_is_refused(store):
    user = build_user(password_set_at=datetime(2026, 3, 1))  # noqa: DTZ001  # what is refused
    with pytest.raises(ValueError, match="without a time zone"):
        store.users.add(user)
    assert store.users.count() == 0


def test_error_in_a_write_session_stores_nothing(store):
    with pytest.raises(RuntimeError):
        store_user_and_fail(store)
    assert store.users.list_all() == []


def test_objects_can_be_read_after_their_session(store):
    store.users.add(build_user())
    with store.begin_write_session() as session:
        user = session.exec(select(User)).one()
        user.name = "Salma"
    assert (user.name, user.regions, user.role) == ("Salma", [], Role.ADMIN)


def test_models_are_listed_in_the_order_of_their_key(store):
    for name in "edcba":
        store.users.add(build_user(name))
    users = store.list_models(select(User), User.name)
    assert [user.name for user in users] == list("abcde")
