"""Data is kept for the days of `[retention]`, and deleted a second later."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.config.schema import RetentionSettings
from auditor.runs.pipeline import compute_retention_cutoffs
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import ChangeOrigin, FollowUpKind, ReplyKind, ReplyOutcome
from storage.store import Store
from storage.tables.communication import FollowUp, Reply, ReportLink, Subscription
from tests.support.stored import add_reply

pytestmark = pytest.mark.usefixtures("migrated")

STEPS = (-1, 0, 1)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
START = NOW - timedelta(days=3_000)
DAYS = 100
EDITOR = ChangeOrigin("Amina", "web")


@pytest.fixture
def store(tmp_path):
    with Store.open(f"sqlite:///{tmp_path}/auditor.db") as opened:
        opened.registry.save_registry([build_entry("06 nour")], [], START)
        yield opened


def build_entry(phone):
    return AssociationEntry(Association("nour", "Nour"), Contact(phone=phone))


def withdraw_association(store, moment):
    store.registry.save_registry([], [], moment)


def end_report_link(store, moment):
    link = ReportLink(
        association="nour", token_hash="x", created_at=START, created_by="Amina", expires_at=moment
    )
    store.report_links.add_all([link], keep_older=True)


def review_reply(store, moment):
    reply = Reply(association="nour", kind=ReplyKind.DISPUTED, submitted_at=START, text="text")
    stored = add_reply(store, reply)
    store.replies.review(stored.id, ReplyOutcome.DECLINED, "Amina", "seen", moment)


def add_follow_up(store, moment):
    store.follow_ups.add(
        FollowUp(
            association="nour",
            kind=FollowUpKind.CALLED,
            author="Amina",
            occurred_at=moment,
            text="text",
        )
    )


def end_subscription(store, moment):
    store.subscriptions.save(
        Subscription(
            address="a@x.ma", kind="monthly", is_wanted=False, changed_at=moment, association="nour"
        )
    )


def send_message(store, moment):
    store.messages.claim("a@x.ma", "monthly", "2025-10 nour", moment)


def change_contact(store, moment):
    store.registry.save_registry([build_entry("07 nour")], [], moment, origin=EDITOR)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("setting", "create_row", "table"),
    [
        ("contacts", withdraw_association, "contact"),
        ("report_links", end_report_link, "report_link"),
        ("replies", review_reply, "reply"),
        ("follow_ups", add_follow_up, "follow_up"),
        ("subscriptions", end_subscription, "subscription"),
        ("messages", send_message, "sent_message"),
        ("audit_log", change_contact, "audit_log"),
    ],
)
def test_row_is_deleted_after_the_set_days(store, setting, create_row, table, step):
    create_row(store, NOW - timedelta(days=DAYS, seconds=step))
    no_limits = dict.fromkeys(RetentionSettings.model_fields, 0) | {"messages": 36_500}
    settings = RetentionSettings(**no_limits | {setting: DAYS})
    deleted = store.retention.delete_expired_data(compute_retention_cutoffs(settings, NOW))
    assert deleted == ({table: 1} if step > 0 else {})
