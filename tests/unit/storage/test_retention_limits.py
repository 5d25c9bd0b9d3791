"""Data is kept for the days of `[retention]`, and deleted a second later."""

from datetime import UTC, datetime, timedelta

import pytest

from auditor.config.schema import Config, RetentionSettings
from auditor.retention.api_data import SAFETY_MARGIN, build_limits
from auditor.runs.pipeline import compute_retention_cutoffs
from probes.models.finding import Finding, Identity, LinkKind, Presence
from storage.models.audit import (
    AccountRow,
    Association,
    AssociationEntry,
    Contact,
    Evidence,
    Observation,
)
from storage.models.users import ChangeOrigin, FollowUpKind, ReplyKind, ReplyOutcome
from storage.store import Store
from storage.tables.communication import FollowUp, Reply, ReportLink, Subscription

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
    stored = store.replies.add(reply)
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


def record_api_result(store, observed_at):
    identity = Identity("youtube", LinkKind.PROFILE, "@nour", "https://www.youtube.com/@nour")
    account = store.registry.register_account(
        AccountRow("nour", "@nour", identity, column="youtube"), START
    )
    run = store.runs.begin_or_resume(observed_at.date(), observed_at)
    evidence = (Evidence("https://www.googleapis.com/youtube/v3/channels", 200),)
    finding = Finding(Presence.PRESENT, followers=310)
    observation = Observation(account.id, run.id, observed_at, finding, evidence)
    store.observations.record([observation])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("setting", "days"), [(29, 29), (30, 30), (31, 30), (0, 30)])
def test_figures_are_kept_for_the_set_days_or_those_of_the_terms(store, setting, days, step):
    """The terms of YouTube allow 30 days. A run drops what gets too old until the next one."""
    config = Config(retention=RetentionSettings(api_data=setting))
    age = timedelta(days=days, seconds=step) - SAFETY_MARGIN
    record_api_result(store, NOW - age)
    store.api_data.drop_api_data(build_limits(config, NOW, None), lambda _: None)
    [observation] = store.observations.list_observations()
    assert observation.finding.followers == (310 if step <= 0 else None)
