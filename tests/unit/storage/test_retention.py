"""What people left behind goes when its time is over; what holds or must be remembered stays."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from auditor.config.schema import Backup, Config, Keep
from auditor.runs.pipeline import after, ages
from storage.files.body_store import Archive
from storage.models.audit import Association, Contact, Member, NightState
from storage.models.users import (
    FORGET,
    Answer,
    By,
    FollowUp,
    FollowUpKind,
    Letter,
    Reply,
    ReplyKind,
    Subscription,
)
from storage.retention import Ages
from storage.store import Store

NOW = datetime(2026, 11, 25, tzinfo=UTC)
OLD = NOW - timedelta(days=400)
LIMIT = NOW - timedelta(days=100)
ALL = Ages(*[LIMIT] * 7)


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        people = [Member(Association(name, name), Contact(phone=f"06 {name}")) for name in ("here", "left")]
        opened.save_registry(people, [], OLD)
        opened.save_registry(people[:1], [], OLD, by=By("Amina", "web"))
        yield opened


def test_the_contact_of_who_left_long_ago_goes_and_the_others_stay(store):
    assert store.expire(Ages(contacts=LIMIT)) == {"contact": 1}
    assert not store.contact("left")
    assert store.contact("here").phone == "06 here"
    assert store.association("left").name == "left"


def test_with_that_contact_goes_what_the_trail_tells_of_it(store):
    changed = Member(Association("left", "Another name"), Contact(phone="07 left"))
    others = Member(Association("here", "here"), Contact(phone="07 here"))
    store.save_registry([changed, others], [], OLD, by=By("Amina", "web"))
    store.save_registry([others], [], OLD, by=By("Amina", "web"))
    assert store.expire(Ages(contacts=LIMIT)) == {"contact": 1, "trail": 1}
    told = {(one.association, one.field) for one in store.trail()}
    assert told & {("left", "phone"), ("left", "name"), ("here", "phone")} == {
        ("left", "name"),
        ("here", "phone"),
    }


def test_what_is_over_for_two_reasons_is_told_once_also_before_it_goes(store):
    changed = Member(Association("left", "left"), Contact(phone="07 left"))
    store.save_registry([changed], [], OLD, by=By("Amina", "web"))
    store.save_registry([], [], OLD, by=By("Amina", "web"))
    store.claim_message("a@x.ma", "monthly", "2025-10 here", OLD)
    before = store.expire(ALL, dry_run=True)
    assert store.expire(ALL) == before == {"contact": 2, "sent": 1, "trail": 1}


def test_letters_that_ended_go_and_the_replies_that_came_by_them_stay(store):
    letters = [
        Letter("here", "ended", OLD, "Amina", OLD + timedelta(days=30)),
        Letter("here", "revoked", OLD, "Amina", NOW + timedelta(days=30), revoked_at=OLD, revoked_by="Amina"),
        Letter("here", "holds", OLD, "Amina", NOW + timedelta(days=30)),
    ]
    store.add_letters(letters, keep=True)
    first = next(iter(store.letters("here")))
    store.add_reply(Reply("here", ReplyKind.MISTAKEN, OLD, text="still waits", letter_id=first.id))
    assert store.expire(Ages(letters=LIMIT)) == {"letter": 2}
    assert [letter.token_hash for letter in store.letters("here")] == ["holds"]
    assert [(reply.text, reply.letter_id) for reply in store.replies("here")] == [("still waits", None)]
    assert store.expire(Ages(replies=LIMIT)) == {}


def test_answered_replies_and_old_lines_of_the_log_go(store):
    reply = store.add_reply(Reply("here", ReplyKind.MISTAKEN, OLD, text="answered"))
    store.answer_reply(reply.id, Answer.DECLINED, "Amina", "seen", OLD)
    store.add_follow_up(FollowUp("here", FollowUpKind.CALLED, "Amina", OLD, "old"))
    promised = FollowUp("here", FollowUpKind.PROMISED, "Amina", OLD, "due", due=NOW.date())
    store.add_follow_up(promised)
    assert store.expire(Ages(replies=LIMIT, follow_ups=LIMIT)) == {"reply": 1, "follow_up": 1}
    assert [line.text for line in store.follow_ups("here")] == ["due"]


def test_who_ended_the_digest_is_remembered_and_who_ended_a_report_in_time_forgotten(store):
    for address, of, wanted in (("a@x.ma", "here", False), ("b@x.ma", "", False), ("c@x.ma", "here", True)):
        store.subscribe(Subscription(address, "monthly" if of else "digest", wanted, OLD, of))
    store.claim_message("a@x.ma", "monthly", "2025-10 here", OLD)
    assert store.expire(Ages(subscriptions=LIMIT, sent=LIMIT)) == {"subscription": 1, "sent": 1}
    assert [one.address for one in store.subscriptions()] == ["b@x.ma", "c@x.ma"]


def test_the_trail_lets_contacts_go_and_keeps_what_a_rebuild_judges_by(store):
    line = By("Amina", FORGET).change(OLD, "forgotten-1", "association", None, None)
    store.forget("left", line, ())
    changed = Member(Association("here", "Here"), Contact(phone="07 here"))
    store.save_registry([changed], [], OLD, by=By("Amina", "web"))
    assert {"phone", "name", "association"} <= {one.field for one in store.trail()}
    before = store.expire(Ages(trail=LIMIT), dry_run=True)
    assert store.expire(Ages(trail=LIMIT)) == before == {"trail": 1}
    assert {one.field for one in store.trail()} == {"name", "association"}
    assert "forgotten-1" in {one.association for one in store.trail()}


def test_nothing_goes_before_its_time(store):
    early = OLD - timedelta(days=1)
    assert store.expire(Ages(*[early] * 7)) == {}
    assert store.expire(Ages()) == {}
    assert store.contact("left").phone == "06 left"


def test_the_configuration_says_how_long_each_kind_is_kept():
    keep = Keep(contacts=1, letters=2, replies=3, follow_ups=4, subscriptions=5, sent=62, trail=0)
    told = ages(keep, NOW)
    days = [1, 2, 3, 4, 5, 62]
    assert [NOW - timedelta(days=count) for count in days] == [
        *(told.contacts, told.letters, told.replies, told.follow_ups, told.subscriptions, told.sent)
    ]
    assert told.trail is None


def test_messages_are_remembered_long_enough_to_go_once():
    with pytest.raises(ValidationError):
        Keep(sent=30)


def test_a_night_ends_with_what_is_over(store, tmp_path):
    app = SimpleNamespace(store=store, archive=Archive(tmp_path / "archive"), config=Config())
    app.config = app.config.model_copy(update={"backup": Backup(folder=tmp_path / "backups")})
    at = OLD + timedelta(days=800)
    night = store.begin_night(at.date(), at)
    done = store.finish_night(night, NightState.DONE, at)
    after(app, done, at, lambda: False)
    assert not store.contact("left")
    [backup] = (tmp_path / "backups").glob("*.db")
    assert b"06 left" not in backup.read_bytes()
