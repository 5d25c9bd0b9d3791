"""`auditor decide`: decisions are validated, stored with their end, and applied."""

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.app import App
from auditor.checking import checker
from auditor.cli import decisions, main, reports
from auditor.conclusions.recording import MAX_DOMAIN_PERIOD, DecisionError, parse_domain_expiry
from auditor.runs.run import execute_run
from storage.conclusions import Conclusions
from storage.models.audit import Streak
from storage.store import Store
from tests.support.mini_network import START, link, night_of, opened, register, steps

NOUR, OTHER, AMAL, SITE = (
    link("nour", "facebook", "nour"),
    link("nour", "facebook", "other"),
    link("amal", "facebook", "amal"),
    link("nour", "website", "nour"),
)
KEYS = [
    "id",
    "association",
    "channel",
    "kind",
    "account",
    "code",
    "value",
    "author",
    "reason",
    "decided_at",
    "until",
    "in_force",
    "state",
    "withdrawn_at",
    "withdrawn_by",
    "withdrawn_reason",
]
BECAUSE = ("--reason", "she called", "--author", "Amina")


class Desk:
    """A network and a command line with a clock that tests set."""

    def __init__(self, app, read):
        self.app, self._read, self.now = app, read, START

    def type(self, *words):
        code = main.main(list(words))
        return code, *self._read()

    def decide(self, *words):
        code, out, err = self.type("decide", *words, *BECAUSE)
        assert (code, out) == (0, ""), err
        return err

    def items(self, *words):
        code, out, err = self.type(*words, "--json")
        assert code == 0, err
        return json.loads(out)["items"]

    def report(self, association):
        return self.items("report", association)[0]

    def states(self, association):
        return {
            account["key"]: account["state"] for account in self.report(association)["accounts"]
        }

    def gaps(self, association):
        return {
            (item["channel"], item["code"])
            for item in self.items("gaps", "--association", association)
        }

    async def night(self, day):
        await execute_run(self.app, night_of(day))
        self.now = night_of(day) + timedelta(hours=6)


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    monkeypatch.setattr(checker, "create_probe", steps)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    app = opened(tmp_path)
    url = f"sqlite:///{tmp_path}/auditor.db"
    monkeypatch.setattr(
        App,
        "open",
        staticmethod(lambda _config, **_: App(app.config, Store.open(url), app.body_store)),
    )
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def read():
        written = capsys.readouterr()
        return written.out, written.err

    desk_tool = Desk(app, read)
    for module in (decisions, decisions, reports):
        monkeypatch.setattr(module, "get_current_time", lambda: desk_tool.now)
    register(app, NOUR, AMAL, SITE, names=["bare"])
    yield desk_tool
    app.store.close()


async def test_confirmed_account_is_present_for_twelve_months(desk):
    desk.app.web.answers = {NOUR.typed_text: "wall"}
    await desk.night(0)
    assert desk.states("nour")["u:nour"] == "unknown"
    message = desk.decide("confirm", "nour", "facebook")
    assert message == (
        "seen by a person: nour on Facebook, according to Amina, until 1 March 2027, "
        "shown immediately, decision 1\n"
    )
    assert desk.states("nour")["u:nour"] == "present"
    desk.now += timedelta(days=365)
    assert desk.states("nour")["u:nour"] == "present", "until the next night"
    await desk.night(366)
    assert desk.states("nour")["u:nour"] == "unknown"


async def test_confirmation_against_a_confirmed_absence_lasts_180_days(desk):
    desk.app.web.answers = {NOUR.typed_text: "gone"}
    for day in (0, 3, 6):
        await desk.night(day)
    assert desk.states("nour")["u:nour"] == "gone"
    desk.decide("confirm", "nour", "facebook")
    assert desk.states("nour")["u:nour"] == "present"
    assert desk.items("decide", "list")[0]["until"] == "2026-09-03T06:30:00Z"
    await desk.night(7)
    assert ("facebook", "channel_dead") not in desk.gaps("nour")
    await desk.night(187)
    assert desk.states("nour")["u:nour"] == "gone"
    code, _, err = desk.type(
        "decide",
        "confirm",
        "nour",
        "facebook",
        "--until",
        f"{desk.now.date() + timedelta(days=181)}",
        *BECAUSE,
    )
    assert (code, "lasts 180 days at most" in err) == (3, True)


async def test_channel_unused_by_choice_is_no_gap_after_the_next_run(desk):
    await desk.night(0)
    assert ("youtube", "channel_missing") in desk.gaps("bare")
    desk.decide("none-by-choice", "bare", "youtube")
    await desk.night(1)
    assert desk.gaps("bare") == {("facebook", "channel_missing")}
    unchecked = desk.report("bare")["unchecked"]
    assert [(item["channel"], item["code"]) for item in unchecked] == [
        ("youtube", "channel_waived")
    ]


def test_choice_that_contradicts_the_spreadsheet_warns(desk):
    message = desk.decide("none-by-choice", "nour", "facebook")
    assert f"warning: the file lists an account of nour on Facebook: {NOUR.typed_text}" in message


async def test_disowned_account_is_neither_checked_nor_shown(desk):
    desk.decide("disown", "nour", "facebook", "--account", NOUR.typed_text)
    await desk.night(0)
    assert "u:nour" not in desk.states("nour")
    assert NOUR.typed_text not in desk.app.web.asked
    assert ("facebook", "channel_missing") in desk.gaps("nour")


async def test_disowned_proposal_is_no_gap(desk):
    desk.app.web.answers = {SITE.typed_text: "linked"}
    for day in range(2):
        await desk.night(day)
    assert ("youtube", "channel_unlisted") in desk.gaps("nour")
    desk.decide("disown", "nour", "youtube", "--account", "https://www.youtube.com/@nour")
    await desk.night(2)
    assert ("youtube", "channel_unlisted") not in desk.gaps("nour")
    assert desk.items("decide", "list")[0]["account"] == "@nour"


NEW = "https://www.facebook.com/NourAgadir"


async def test_moved_account_is_checked_at_its_new_address(desk):
    message = desk.decide("moved", "nour", "facebook", "--to", NEW)
    assert f"to do: put {NEW} in your file in place of {NOUR.typed_text}" in message
    await desk.night(0)
    assert desk.states("nour") == {"u:nouragadir": "present", "nour.example": "present"}
    assert NOUR.typed_text not in desk.app.web.asked
    assert ("facebook", "channel_missing") not in desk.gaps("nour")
    decisions = [
        (item["kind"], item["account"], item["value"]) for item in desk.items("decide", "list")
    ]
    assert decisions == [("moved", "u:nour", NEW), ("claim", "u:nouragadir", None)]
    output = desk.type("decide", "withdraw", "1", *BECAUSE)[2].splitlines()
    assert output[1:] == [
        "still in force: the association’s account (decision 2), made at the same time"
    ]


async def test_move_to_an_unknown_address_is_listed_before_it_ends(desk):
    message = desk.decide("moved", "nour", "facebook")
    assert (
        f"to do: find the new address and put it in your file in place of {NOUR.typed_text}"
        in message
    )
    await desk.night(0)
    assert ("facebook", "channel_missing") not in desk.gaps("nour")
    assert desk.items("decide", "list", "--ending") == []
    desk.now += timedelta(days=160)
    assert [item["kind"] for item in desk.items("decide", "list", "--ending")] == ["moved"]
    desk.now += timedelta(days=30)
    await desk.night(191)
    assert desk.states("nour")["u:nour"] == "present"


def test_move_to_a_listed_account_registers_nothing(desk):
    register(desk.app, NOUR, OTHER)
    desk.decide(
        "moved", "nour", "facebook", "--account", "u:nour", "--to", "https://www.facebook.com/other"
    )
    assert [item["kind"] for item in desk.items("decide", "list")] == ["moved"]


async def test_claimed_proposal_stays_registered_after_the_old_spreadsheet_is_imported(desk):
    desk.app.web.answers = {SITE.typed_text: "linked"}
    for day in range(2):
        await desk.night(day)
    desk.decide("claim", "nour", "youtube", "--account", "@nour")
    register(desk.app, NOUR, AMAL, SITE, names=["bare"], now=desk.now)
    await desk.night(2)
    assert desk.states("nour")["@nour"] == "present"
    assert not {code for channel, code in desk.gaps("nour") if channel == "youtube"}
    desk.type("decide", "withdraw", "1", "--reason", "a fan's", "--author", "Salma")
    for day in (3, 4):
        await desk.night(day)
    assert "@nour" not in desk.states("nour")
    assert ("youtube", "channel_unlisted") in desk.gaps("nour")


def test_link_alone_names_an_account(desk):
    desk.decide("claim", "bare", NEW)
    desk.decide("confirm", "bare", "facebook.com/nour.agadir")
    items = [
        (item["kind"], item["channel"], item["account"]) for item in desk.items("decide", "list")
    ]
    assert items == [("claim", "facebook", "u:nouragadir"), ("confirm", "facebook", "u:nouragadir")]


def test_contradicting_decision_is_refused(desk):
    desk.decide("disown", "nour", "facebook")
    code, _, err = desk.type(
        "decide", "claim", "nour", NOUR.typed_text.replace("facebook.example", "fb.com"), *BECAUSE
    )
    assert (
        code,
        "a decision of Amina says disown; try: `auditor decide withdraw 1` first" in err,
    ) == (3, True)


async def test_withdrawn_decision_is_stored_but_not_in_force(desk):
    desk.decide("disown", "nour", "facebook")
    await desk.night(0)
    desk.now = night_of(0) + timedelta(hours=12)
    code, out, err = desk.type(
        "decide", "withdraw", "1", "--author", "Salma", "--reason", "she was wrong"
    )
    assert (code, out) == (0, "")
    assert err == (
        "cancelled: not the association’s account, nour on Facebook, "
        "according to Amina; cancelled by Salma\n"
    )
    [decision] = desk.items("decide", "list")
    assert (decision["state"], decision["in_force"], decision["author"], decision["reason"]) == (
        *("withdrawn", False),
        *("Amina", "she called"),
    )
    assert (decision["withdrawn_at"], decision["withdrawn_by"], decision["withdrawn_reason"]) == (
        "2026-03-01T12:30:00Z",
        "Salma",
        "she was wrong",
    )
    await desk.night(1)
    assert desk.states("nour")["u:nour"] == "present"
    gaps = [
        gap for gap in desk.app.store.conclusions.list_gaps("nour") if gap.channel == "facebook"
    ]
    assert [(gap.code, gap.opened_at, gap.closed_at) for gap in gaps] == [
        ("channel_missing", night_of(0), night_of(1))
    ]


def test_decision_about_an_account_in_two_columns_is_withdrawn_completely(desk):
    register(desk.app, NOUR, replace(NOUR, column="website"))
    desk.decide("confirm", "nour", "facebook")
    assert desk.type("decide", "withdraw", "2", *BECAUSE)[0] == 0
    assert [item["state"] for item in desk.items("decide", "list")] == ["withdrawn"] * 2


async def test_reported_publication_has_the_attested_source(desk):
    desk.app.web.answers = {NOUR.typed_text: "wall"}
    await desk.night(0)
    desk.decide("confirm", "nour", "facebook", "--last-activity", "2026-02-20")
    items = next(
        account for account in desk.report("nour")["accounts"] if account["key"] == "u:nour"
    )
    assert (items["last_activity"], items["activity"]) == ("2026-02-20", "active")


async def test_different_account_is_unconfirmed_until_a_decision(desk):
    await desk.night(0)
    row = next(
        row for row in desk.app.store.registry.list_accounts("nour") if row.channel == "facebook"
    )
    account_status = desk.app.store.statuses.get(row.id)
    desk.app.store.conclusions.save(
        Conclusions([replace(account_status, other_account_streak=Streak("99", START, START))])
    )
    items = [(item["code"], item["params"]["cause"]) for item in desk.report("nour")["unchecked"]]
    assert items == [("channel_unconfirmed", "different_account")]
    desk.decide("confirm", "nour", "facebook")
    assert desk.report("nour")["unchecked"] == []


async def test_list_marks_a_decision_overridden_by_newer_evidence(desk):
    desk.decide("confirm", "nour", "facebook")
    desk.app.web.answers = {NOUR.typed_text: "gone"}
    for day in (1, 4, 7):
        await desk.night(day)
    assert desk.states("nour")["u:nour"] == "gone"
    assert [(item["state"], item["in_force"]) for item in desk.items("decide", "list")] == [
        ("overridden", False)
    ]


async def test_one_gap_is_waived_on_every_channel(desk):
    await desk.night(0)
    message = desk.decide("waive", "bare", "--code", "channel_missing", "--until", "2026-03-05")
    assert (
        "ignored problem: bare, according to Amina, until 5 March 2026, shown immediately"
        in message
    )
    assert desk.gaps("bare") == set()
    assert desk.gaps("amal") == {("youtube", "channel_missing")}


async def test_waived_gap_is_hidden_until_the_end_of_its_last_day(desk):
    await desk.night(0)
    arguments = ("waive", "bare", "facebook", "--code", "channel_missing", "--until", "2026-03-05")
    desk.decide(*arguments)
    assert desk.gaps("bare") == {("youtube", "channel_missing")}
    desk.now = night_of(4) + timedelta(hours=23)
    assert desk.gaps("bare") == {("youtube", "channel_missing")}
    await desk.night(5)
    assert ("facebook", "channel_missing") in desk.gaps("bare")


async def test_waiver_of_one_account_keeps_the_gap_of_another(desk):
    register(desk.app, NOUR, OTHER)
    desk.app.web.answers = dict.fromkeys((NOUR.typed_text, OTHER.typed_text), "gone")
    for day in (0, 3, 6):
        await desk.night(day)
    desk.decide("waive", "nour", "facebook", "--account", "u:other")
    items = [
        item
        for item in desk.items("gaps", "--association", "nour")
        if item["code"] == "channel_dead"
    ]
    assert [item["params"]["url"] for item in items] == [NOUR.typed_text]


def test_list_has_decisions_in_force_and_expired_ones(desk):
    desk.decide("waive", "bare", "facebook", "--until", "2026-03-02")
    desk.decide("confirm", "nour", "facebook")
    desk.now = night_of(10)
    items = desk.items("decide", "list")
    assert [list(item) for item in items] == [KEYS] * 2
    assert [(item["kind"], item["in_force"]) for item in items] == [
        ("waive", False),
        ("confirm", True),
    ]
    assert [(item["id"], item["state"]) for item in items] == [(1, "expired"), (2, "in_force")]
    assert (items[1]["author"], items[1]["reason"], items[1]["account"]) == (
        "Amina",
        "she called",
        "u:nour",
    )
    assert items[1]["decided_at"] == "2026-03-01T00:30:00Z"
    assert [
        item["association"] for item in desk.items("decide", "list", "--association", "bare")
    ] == ["bare"]
    heading, first, _ = desk.type("decide", "list")[1].rstrip("\n").split("\n")
    assert heading.split("\t") == list(decisions.DECISION_COLUMNS)
    assert first.split("\t") == [
        *("1", "waive", "facebook", "", "", "2026-03-02", "expired"),
        *("Amina", "bare", "she called"),
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("confirm nowhere facebook", "`auditor registry export -` lists them"),
        ("confirm nour myspace", "try: one of website facebook youtube"),
        (
            "confirm bare facebook",
            "it has no account on this channel; try: list it in the spreadsheet",
        ),
        ("confirm nour facebook --account u:else", "try: --account u:nour"),
        (
            "confirm nour facebook --until 2026-02-28",
            "this day is in the past; try: --until 2026-05-30",
        ),
        ("confirm nour facebook --until tomorrow", "not a date; try: --until"),
        (
            "confirm nour facebook --until 2027-03-02",
            "lasts 365 days at most; try: --until 2027-03-01",
        ),
        ("moved nour facebook --to https://www.youtube.com/@nour", "not a facebook account"),
        ("moved nour facebook --to https://www.facebook.com/nour", "this is the old address"),
        ("disown nour youtube --account @nour", "try: list it in the spreadsheet"),
        ("waive nour facebook --code channel_odd", "no gap has this code; try: `auditor gaps`"),
        ("waive nour facebook --code channel_waived", "this is a status, not a gap"),
        ("list --association nowhere", "no association has this id"),
        (
            "confirm nour facebook --last-activity 2026-03-02",
            "this day is in the future; try: --last-activity",
        ),
        (
            "confirm nour facebook --last-activity 1926-02-01",
            "this day is too far in the past; try:",
        ),
        (
            "confirm nour facebook --last-activity May",
            "not a date; try: --last-activity 2026-03-01",
        ),
        ("confirm nour https://www.youtube.com/@nour", "it has no account on this channel"),
        (
            "none-by-choice nour facebook.com/nour",
            "only a channel can be unused by choice; try: facebook",
        ),
        ("claim nour youtube", "no account given; try: --account"),
        ("claim nour https://www.facebook.com/nour", "it is already registered"),
        ("claim nour facebook --account https://www.facebook.com/", "not a facebook account"),
        ("claim nour myspace --account x", "this channel is not audited"),
        (
            "moved nour facebook --until 2026-09-30",
            "lasts 180 days at most; try: --until 2026-08-28",
        ),
        ("waive nour", "no channel and no code given; try: CHANNEL, or --code CODE"),
        ("waive nour --account u:nour", "an account needs a channel"),
        ("withdraw 7", "no decision has this number; try: `auditor decide list`"),
    ],
)
def test_invalid_decision_is_one_error_line_and_not_stored(desk, arguments, complaint):
    typed = arguments.split() if arguments.startswith("list") else [*arguments.split(), *BECAUSE]
    code, out, err = desk.type("decide", *typed)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("error: ")
    assert complaint in err
    assert not list(desk.app.store.decisions.list_decisions())


def test_ended_decision_cannot_be_withdrawn(desk):
    desk.decide("waive", "bare", "facebook", "--until", "2026-03-02")
    desk.decide("waive", "bare", "youtube")
    assert desk.type("decide", "withdraw", "2", *BECAUSE)[0] == 0
    desk.now = night_of(10)
    for number, complaint in (
        ("1", "it ended on 2026-03-02"),
        ("2", "Amina withdrew it on 2026-03-01"),
    ):
        code, _, err = desk.type("decide", "withdraw", number, *BECAUSE)
        assert (code, complaint in err) == (3, True)


def test_one_of_two_accounts_must_be_named(desk):
    register(desk.app, NOUR, OTHER)
    code, _, err = desk.type("decide", "confirm", "nour", "facebook", *BECAUSE)
    assert code == 3
    assert "it has several accounts on this channel; try: --account u:nour or u:other" in err
    desk.decide("confirm", "nour", "facebook", "--account", "u:other")
    assert desk.items("decide", "list")[0]["account"] == "u:other"


def test_author_defaults_to_the_login_name_and_must_not_be_empty(desk, monkeypatch):
    arguments = ("decide", "confirm", "nour", "facebook", "--reason", "seen")
    code, _, err = desk.type(*arguments, "--author", "")
    assert (code, "try: --author NAME" in err) == (3, True)
    monkeypatch.setenv("USER", "amina")
    assert desk.type("decide", "confirm", "nour", "facebook", "--reason", "seen")[0] == 0
    assert desk.items("decide", "list")[0]["author"] == "amina"
    for reason in (" ", "\udcff", "\u202e"):  # nothing of these is stored
        assert desk.type("decide", "confirm", "nour", "facebook", "--reason", reason)[0] == 3
    assert desk.type("decide", "confirm", "nour", "facebook")[0] == 2


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_domain_expires_within_ten_years(step):
    day = (START + MAX_DOMAIN_PERIOD).date() + timedelta(days=step)
    if step <= 0:
        assert parse_domain_expiry(day.isoformat(), START) == day
    else:
        with pytest.raises(DecisionError, match="too far in the future"):
            parse_domain_expiry(day.isoformat(), START)
