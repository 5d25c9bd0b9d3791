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


class CommandLine:
    """A network and a command line with a clock that tests set."""

    def __init__(self, app, read):
        self.app, self._read, self.now = app, read, START

    def type(self, *words):
        return main.main(list(words)), *self._read()

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

    async def execute_runs(self, *days):
        for day in days:
            await execute_run(self.app, night_of(day))
            self.now = night_of(day) + timedelta(hours=6)

    async def confirm_absence(self, *rows):
        """Execute three runs that do not find these accounts."""
        self.app.web.answers = {row.typed_text: "gone" for row in rows}
        await self.execute_runs(0, 3, 6)


@pytest.fixture
def command_line(tmp_path, monkeypatch, capsys):
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

    command_line = CommandLine(app, capsys.readouterr)
    for module in (decisions, reports):
        monkeypatch.setattr(module, "get_current_time", lambda: command_line.now)
    register(app, NOUR, AMAL, SITE, names=["bare"])
    yield command_line
    app.store.close()


async def test_confirmed_account_is_present_for_twelve_months(command_line):
    command_line.app.web.answers = {NOUR.typed_text: "wall"}
    await command_line.execute_runs(0)
    assert command_line.states("nour")["u:nour"] == "unknown"
    message = command_line.decide("confirm", "nour", "facebook")
    assert message == (
        "seen by a person: nour on Facebook, according to Amina, until 1 March 2027, "
        "shown immediately, decision 1\n"
    )
    assert command_line.states("nour")["u:nour"] == "attested"
    command_line.now += timedelta(days=365)
    assert command_line.states("nour")["u:nour"] == "attested", "until the next run"
    await command_line.execute_runs(366)
    assert command_line.states("nour")["u:nour"] == "unknown"


async def test_confirmation_against_a_confirmed_absence_lasts_180_days(command_line):
    await command_line.confirm_absence(NOUR)
    assert command_line.states("nour")["u:nour"] == "gone"
    command_line.decide("confirm", "nour", "facebook")
    assert command_line.states("nour")["u:nour"] == "attested"
    assert command_line.items("decide", "list")[0]["until"] == "2026-09-03T06:30:00Z"
    await command_line.execute_runs(7)
    assert ("facebook", "channel_dead") not in command_line.gaps("nour")
    await command_line.execute_runs(187)
    assert command_line.states("nour")["u:nour"] == "gone"
    code, _, err = command_line.type(
        "decide",
        "confirm",
        "nour",
        "facebook",
        "--until",
        f"{command_line.now.date() + timedelta(days=181)}",
        *BECAUSE,
    )
    assert (code, "lasts 180 days at most" in err) == (3, True)


async def test_channel_unused_by_choice_is_no_gap_after_the_next_run(command_line):
    await command_line.execute_runs(0)
    assert ("youtube", "channel_missing") in command_line.gaps("bare")
    command_line.decide("none-by-choice", "bare", "youtube")
    await command_line.execute_runs(1)
    assert command_line.gaps("bare") == {("facebook", "channel_missing")}
    unchecked = command_line.report("bare")["unchecked"]
    assert [(item["channel"], item["code"]) for item in unchecked] == [
        ("youtube", "channel_waived")
    ]


async def test_disowned_account_is_neither_checked_nor_shown(command_line):
    command_line.decide("disown", "nour", "facebook", "--account", NOUR.typed_text)
    await command_line.execute_runs(0)
    assert "u:nour" not in command_line.states("nour")
    assert NOUR.typed_text not in command_line.app.web.asked
    assert ("facebook", "channel_missing") in command_line.gaps("nour")


async def test_disowned_proposal_is_no_gap(command_line):
    command_line.app.web.answers = {SITE.typed_text: "linked"}
    await command_line.execute_runs(0, 1)
    assert ("youtube", "channel_unlisted") in command_line.gaps("nour")
    command_line.decide("disown", "nour", "youtube", "--account", "https://www.youtube.com/@nour")
    await command_line.execute_runs(2)
    assert ("youtube", "channel_unlisted") not in command_line.gaps("nour")
    assert command_line.items("decide", "list")[0]["account"] == "@nour"


NEW = "https://www.facebook.com/NourAgadir"


async def test_moved_account_is_checked_at_its_new_address(command_line):
    message = command_line.decide("moved", "nour", "facebook", "--to", NEW)
    assert f"to do: put {NEW} in your file in place of {NOUR.typed_text}" in message
    await command_line.execute_runs(0)
    assert command_line.states("nour") == {"u:nouragadir": "present", "nour.example": "present"}
    assert NOUR.typed_text not in command_line.app.web.asked
    assert ("facebook", "channel_missing") not in command_line.gaps("nour")
    decisions = [
        (item["kind"], item["account"], item["value"])
        for item in command_line.items("decide", "list")
    ]
    assert decisions == [("moved", "u:nour", NEW), ("claim", "u:nouragadir", None)]
    output = command_line.type("decide", "withdraw", "1", *BECAUSE)[2].splitlines()
    assert output[1:] == [
        "still in force: the association’s account (decision 2), made at the same time"
    ]


async def test_move_to_an_unknown_address_is_listed_before_it_ends(command_line):
    message = command_line.decide("moved", "nour", "facebook")
    assert (
        f"to do: find the new address and put it in your file in place of {NOUR.typed_text}"
        in message
    )
    await command_line.execute_runs(0)
    assert ("facebook", "channel_missing") not in command_line.gaps("nour")
    assert command_line.items("decide", "list", "--ending") == []
    command_line.now += timedelta(days=160)
    assert [item["kind"] for item in command_line.items("decide", "list", "--ending")] == ["moved"]
    command_line.now += timedelta(days=30)
    await command_line.execute_runs(191)
    assert command_line.states("nour")["u:nour"] == "present"


def test_move_to_a_listed_account_registers_nothing(command_line):
    register(command_line.app, NOUR, OTHER)
    command_line.decide(
        "moved", "nour", "facebook", "--account", "u:nour", "--to", "https://www.facebook.com/other"
    )
    assert [item["kind"] for item in command_line.items("decide", "list")] == ["moved"]


async def test_claimed_proposal_stays_registered_after_the_old_spreadsheet_is_imported(
    command_line,
):
    command_line.app.web.answers = {SITE.typed_text: "linked"}
    await command_line.execute_runs(0, 1)
    command_line.decide("claim", "nour", "youtube", "--account", "@nour")
    register(command_line.app, NOUR, AMAL, SITE, names=["bare"], now=command_line.now)
    await command_line.execute_runs(2)
    assert command_line.states("nour")["@nour"] == "present"
    assert not {code for channel, code in command_line.gaps("nour") if channel == "youtube"}
    command_line.type("decide", "withdraw", "1", "--reason", "a fan's", "--author", "Salma")
    await command_line.execute_runs(3, 4)
    assert "@nour" not in command_line.states("nour")
    assert ("youtube", "channel_unlisted") in command_line.gaps("nour")


def test_contradicting_decision_is_refused(command_line):
    command_line.decide("disown", "nour", "facebook")
    code, _, err = command_line.type(
        "decide", "claim", "nour", NOUR.typed_text.replace("facebook.example", "fb.com"), *BECAUSE
    )
    assert (
        code,
        "a decision of Amina says disown; try: `auditor decide withdraw 1` first" in err,
    ) == (3, True)


async def test_withdrawn_decision_is_stored_but_not_in_force(command_line):
    command_line.decide("disown", "nour", "facebook")
    await command_line.execute_runs(0)
    command_line.now = night_of(0) + timedelta(hours=12)
    typed = ("decide", "withdraw", "1", "--author", "Salma", "--reason", "she was wrong")
    assert command_line.type(*typed) == (
        0,
        "",
        (
            "cancelled: not the association’s account, nour on Facebook, "
            "according to Amina; cancelled by Salma\n"
        ),
    )
    [decision] = command_line.items("decide", "list")
    assert decision == decision | {
        "state": "withdrawn",
        "in_force": False,
        "author": "Amina",
        "reason": "she called",
        "withdrawn_at": "2026-03-01T12:30:00Z",
        "withdrawn_by": "Salma",
        "withdrawn_reason": "she was wrong",
    }
    await command_line.execute_runs(1)
    assert command_line.states("nour")["u:nour"] == "present"
    gaps = [
        gap
        for gap in command_line.app.store.conclusions.list_gaps("nour")
        if gap.channel == "facebook"
    ]
    assert [(gap.code, gap.opened_at, gap.closed_at) for gap in gaps] == [
        ("channel_missing", night_of(0), night_of(1))
    ]


def test_decision_about_an_account_in_two_columns_is_withdrawn_completely(command_line):
    register(command_line.app, NOUR, replace(NOUR, column="website"))
    command_line.decide("confirm", "nour", "facebook")
    assert command_line.type("decide", "withdraw", "2", *BECAUSE)[0] == 0
    assert [item["state"] for item in command_line.items("decide", "list")] == ["withdrawn"] * 2


async def test_reported_publication_has_the_attested_source(command_line):
    command_line.app.web.answers = {NOUR.typed_text: "wall"}
    await command_line.execute_runs(0)
    command_line.decide("confirm", "nour", "facebook", "--last-activity", "2026-02-20")
    items = next(
        account for account in command_line.report("nour")["accounts"] if account["key"] == "u:nour"
    )
    assert (items["last_activity"], items["activity"]) == ("2026-02-20", "active")


async def test_different_account_is_unconfirmed_until_a_decision(command_line):
    await command_line.execute_runs(0)
    row = next(
        row
        for row in command_line.app.store.registry.list_accounts("nour")
        if row.channel == "facebook"
    )
    account_status = command_line.app.store.statuses.get(row.id)
    command_line.app.store.conclusions.save(
        Conclusions([replace(account_status, other_account_streak=Streak("99", START, START))])
    )
    items = [
        (item["code"], item["params"]["cause"]) for item in command_line.report("nour")["unchecked"]
    ]
    assert items == [("channel_unconfirmed", "different_account")]
    command_line.decide("confirm", "nour", "facebook")
    assert command_line.report("nour")["unchecked"] == []


async def test_list_marks_a_decision_overridden_by_newer_evidence(command_line):
    command_line.decide("confirm", "nour", "facebook")
    command_line.app.web.answers = {NOUR.typed_text: "gone"}
    await command_line.execute_runs(1, 4, 7)
    assert command_line.states("nour")["u:nour"] == "gone"
    assert [(item["state"], item["in_force"]) for item in command_line.items("decide", "list")] == [
        ("overridden", False)
    ]


async def test_one_gap_is_waived_on_every_channel(command_line):
    await command_line.execute_runs(0)
    message = command_line.decide(
        "waive", "bare", "--code", "channel_missing", "--until", "2026-03-05"
    )
    assert (
        "ignored problem: bare, according to Amina, until 5 March 2026, shown immediately"
        in message
    )
    assert command_line.gaps("bare") == set()
    assert command_line.gaps("amal") == {("youtube", "channel_missing")}


async def test_waived_gap_is_hidden_until_the_end_of_its_last_day(command_line):
    await command_line.execute_runs(0)
    arguments = ("waive", "bare", "facebook", "--code", "channel_missing", "--until", "2026-03-05")
    command_line.decide(*arguments)
    assert command_line.gaps("bare") == {("youtube", "channel_missing")}
    command_line.now = night_of(4) + timedelta(hours=23)
    assert command_line.gaps("bare") == {("youtube", "channel_missing")}
    await command_line.execute_runs(5)
    assert ("facebook", "channel_missing") in command_line.gaps("bare")


async def test_waiver_of_one_account_keeps_the_gap_of_another(command_line):
    register(command_line.app, NOUR, OTHER)
    await command_line.confirm_absence(NOUR, OTHER)
    command_line.decide("waive", "nour", "facebook", "--account", "u:other")
    items = [
        item
        for item in command_line.items("gaps", "--association", "nour")
        if item["code"] == "channel_dead"
    ]
    assert [item["params"]["url"] for item in items] == [NOUR.typed_text]


def test_list_has_decisions_in_force_and_expired_ones(command_line):
    command_line.decide("waive", "bare", "facebook", "--until", "2026-03-02")
    command_line.decide("confirm", "nour", "facebook")
    command_line.now = night_of(10)
    waiver, confirmation = command_line.items("decide", "list")
    assert [list(waiver), list(confirmation)] == [KEYS] * 2
    assert waiver == waiver | {"id": 1, "kind": "waive", "state": "expired", "in_force": False}
    assert confirmation == confirmation | {
        "id": 2,
        "kind": "confirm",
        "state": "in_force",
        "in_force": True,
        "author": "Amina",
        "reason": "she called",
        "account": "u:nour",
        "decided_at": "2026-03-01T00:30:00Z",
    }
    assert command_line.items("decide", "list", "--association", "bare") == [waiver]
    heading, first, _ = command_line.type("decide", "list")[1].rstrip("\n").split("\n")
    assert heading.split("\t") == list(decisions.DECISION_COLUMNS)
    assert first.split("\t") == [
        *("1", "waive", "facebook", "", "", "2026-03-02", "expired"),
        *("Amina", "bare", "she called"),
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("confirm nowhere facebook", "`auditor registry export -` lists them"),
        ("confirm \udcff facebook", r"'\udcff': not UTF-8"),
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
def test_invalid_decision_is_one_error_line_and_not_stored(command_line, arguments, complaint):
    typed = arguments.split() if arguments.startswith("list") else [*arguments.split(), *BECAUSE]
    code, out, err = command_line.type("decide", *typed)
    assert (code, out, err.count("\n"), err[:7]) == (3, "", 1, "error: ")
    assert complaint in err
    assert not list(command_line.app.store.decisions.list_decisions())


def test_ended_decision_cannot_be_withdrawn(command_line):
    command_line.decide("waive", "bare", "facebook", "--until", "2026-03-02")
    command_line.decide("waive", "bare", "youtube")
    assert command_line.type("decide", "withdraw", "2", *BECAUSE)[0] == 0
    command_line.now = night_of(10)
    for number, complaint in (
        ("1", "it ended on 2026-03-02"),
        ("2", "Amina withdrew it on 2026-03-01"),
    ):
        code, _, err = command_line.type("decide", "withdraw", number, *BECAUSE)
        assert (code, complaint in err) == (3, True)


def test_one_of_two_accounts_must_be_named(command_line):
    register(command_line.app, NOUR, OTHER)
    code, _, err = command_line.type("decide", "confirm", "nour", "facebook", *BECAUSE)
    advice = "it has several accounts on this channel; try: --account u:nour or u:other"
    assert (code, advice in err) == (3, True)
    command_line.decide("confirm", "nour", "facebook", "--account", "u:other")
    assert command_line.items("decide", "list")[0]["account"] == "u:other"


def test_author_defaults_to_the_login_name_and_must_not_be_empty(command_line, monkeypatch):
    arguments = ("decide", "confirm", "nour", "facebook", "--reason", "seen")
    code, _, err = command_line.type(*arguments, "--author", "")
    assert (code, "try: --author NAME" in err) == (3, True)
    monkeypatch.setenv("USER", "amina")
    assert command_line.type("decide", "confirm", "nour", "facebook", "--reason", "seen")[0] == 0
    assert command_line.items("decide", "list")[0]["author"] == "amina"
    for reason in (" ", "\udcff", "\u202e"):  # nothing of these is stored
        assert (
            command_line.type("decide", "confirm", "nour", "facebook", "--reason", reason)[0] == 3
        )
    assert command_line.type("decide", "confirm", "nour", "facebook")[0] == 2


def test_domain_expires_within_ten_years():
    day = (START + MAX_DOMAIN_PERIOD).date()
    assert parse_domain_expiry(day.isoformat(), START) == day
    with pytest.raises(DecisionError, match="too far in the future"):
        parse_domain_expiry((day + timedelta(days=1)).isoformat(), START)
