"""`auditor decide`: what people say is checked, kept with its end, and shown where it counts."""

import io
import json
from datetime import timedelta

import pytest
from small import START, link, night_of, opened, register, steps

from auditor import cli, eyes, night
from auditor.app import App
from auditor.commands import decide, tell
from auditor.night import run
from storage.store import Store

NOUR, OTHER, AMAL, SITE = (
    link("nour", "facebook", "nour"),
    link("nour", "facebook", "other"),
    link("amal", "facebook", "amal"),
    link("nour", "website", "nour"),
)
KEYS = [
    "association",
    "channel",
    "kind",
    "account",
    "code",
    "value",
    "who",
    "why",
    "decided_at",
    "until",
    "in_force",
]
BECAUSE = ("--why", "she called", "--who", "Amina")


class Desk:
    """A network, and a command line whose clock is set by hand."""

    def __init__(self, app, read):
        self.app, self._read, self.now = app, read, START

    def type(self, *words):
        code = cli.main(list(words))
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
        return {one["key"]: one["state"] for one in self.report(association)["accounts"]}

    def gaps(self, association):
        return {(one["channel"], one["code"]) for one in self.items("gaps", "--association", association)}

    async def night(self, day):
        await run(self.app, night_of(day))
        self.now = night_of(day) + timedelta(hours=6)


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDITOR_CONFIG", raising=False)
    monkeypatch.setattr(eyes, "steps", steps)
    for name in decide.LOGIN:
        monkeypatch.delenv(name, raising=False)
    app = opened(tmp_path)
    url = f"sqlite:///{tmp_path}/auditor.db"
    monkeypatch.setattr(
        App, "open", staticmethod(lambda _config: App(app.config, Store.open(url), app.archive))
    )
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def read():
        written = capsys.readouterr()
        return written.out, written.err

    made = Desk(app, read)
    for module in (decide, tell):
        monkeypatch.setattr(module, "clock", lambda: made.now)
    register(app, NOUR, AMAL, SITE, names=["bare"])
    yield made
    app.store.close()


async def test_an_attested_account_is_present_in_the_report_for_twelve_months(desk):
    desk.app.web.answers = {NOUR.typed: "wall"}
    await desk.night(0)
    assert desk.states("nour")["u:nour"] == "unknown"
    said = desk.decide("attest", "nour", "facebook")
    assert said == "attest: nour on facebook, by Amina, until 2027-03-01; it shows now\n"
    assert desk.states("nour")["u:nour"] == "present"
    desk.now += timedelta(days=365)
    assert desk.states("nour")["u:nour"] == "unknown"


async def test_against_a_confirmed_absence_an_attestation_holds_180_days(desk):
    desk.app.web.answers = {NOUR.typed: "gone"}
    for day in (0, 3, 6):
        await desk.night(day)
    assert desk.states("nour")["u:nour"] == "gone"
    desk.decide("attest", "nour", "facebook")
    assert desk.states("nour")["u:nour"] == "present"
    assert desk.items("decide", "list")[0]["until"] == "2026-09-03T06:30:00Z"
    await desk.night(7)
    assert ("facebook", "channel_dead") not in desk.gaps("nour")
    desk.now += timedelta(days=180)
    assert desk.states("nour")["u:nour"] == "gone"
    code, _, err = desk.type(
        "decide",
        "attest",
        "nour",
        "facebook",
        "--until",
        f"{desk.now.date() + timedelta(days=181)}",
        *BECAUSE,
    )
    assert (code, "holds 180 days at most" in err) == (3, True)


async def test_a_channel_given_up_by_choice_is_no_gap_after_the_next_night(desk):
    await desk.night(0)
    assert ("youtube", "channel_missing") in desk.gaps("bare")
    desk.decide("none-by-choice", "bare", "youtube")
    await desk.night(1)
    assert desk.gaps("bare") == {("facebook", "channel_missing")}
    told = desk.report("bare")["unchecked"]
    assert [(one["channel"], one["code"]) for one in told] == [("youtube", "channel_waived")]


def test_a_choice_that_the_sheet_contradicts_is_kept_with_a_warning(desk):
    said = desk.decide("none-by-choice", "nour", "facebook")
    assert f"warning: the sheet lists an account of nour on facebook: {NOUR.typed}" in said


async def test_what_is_not_theirs_is_neither_judged_nor_shown(desk):
    desk.decide("not-ours", "nour", "facebook", "--account", NOUR.typed)
    await desk.night(0)
    assert "u:nour" not in desk.states("nour")
    assert NOUR.typed not in desk.app.web.asked
    assert ("facebook", "channel_missing") in desk.gaps("nour")


async def test_a_proposal_that_is_not_theirs_is_no_longer_told(desk):
    desk.app.web.answers = {SITE.typed: "linked"}
    for day in range(2):
        await desk.night(day)
    assert ("youtube", "channel_unlisted") in desk.gaps("nour")
    desk.decide("not-ours", "nour", "youtube", "--account", "https://www.youtube.com/@nour")
    await desk.night(2)
    assert ("youtube", "channel_unlisted") not in desk.gaps("nour")
    assert desk.items("decide", "list")[0]["account"] == "@nour"


async def test_an_account_that_moved_leaves_its_channel_no_gap(desk):
    desk.decide("moved", "nour", "facebook", "--to", "https://www.facebook.com/NourAgadir")
    await desk.night(0)
    assert "u:nour" not in desk.states("nour")
    assert ("facebook", "channel_missing") not in desk.gaps("nour")
    [kept] = desk.items("decide", "list")
    assert (kept["account"], kept["value"]) == ("u:nour", "https://www.facebook.com/NourAgadir")


async def test_a_waived_gap_is_hidden_through_its_last_day(desk):
    await desk.night(0)
    words = ("waive", "bare", "facebook", "--code", "channel_missing", "--until", "2026-03-05")
    desk.decide(*words)
    assert desk.gaps("bare") == {("youtube", "channel_missing")}
    desk.now = night_of(4) + timedelta(hours=23)
    assert desk.gaps("bare") == {("youtube", "channel_missing")}
    desk.now = night_of(5)
    assert ("facebook", "channel_missing") in desk.gaps("bare")


async def test_a_waiver_of_one_account_leaves_the_other_s_gap(desk):
    register(desk.app, NOUR, OTHER)
    desk.app.web.answers = dict.fromkeys((NOUR.typed, OTHER.typed), "gone")
    for day in (0, 3, 6):
        await desk.night(day)
    desk.decide("waive", "nour", "facebook", "--account", "u:other")
    told = [one for one in desk.items("gaps", "--association", "nour") if one["code"] == "channel_dead"]
    assert [one["params"]["url"] for one in told] == [NOUR.typed]


def test_the_list_tells_those_in_force_and_those_expired(desk):
    desk.decide("waive", "bare", "facebook", "--until", "2026-03-02")
    desk.decide("attest", "nour", "facebook")
    desk.now = night_of(10)
    told = desk.items("decide", "list")
    assert [list(one) for one in told] == [KEYS] * 2
    assert [(one["kind"], one["in_force"]) for one in told] == [("waive", False), ("attest", True)]
    assert (told[1]["who"], told[1]["why"], told[1]["account"]) == ("Amina", "she called", "u:nour")
    assert told[1]["decided_at"] == "2026-03-01T00:30:00Z"
    assert [one["association"] for one in desk.items("decide", "list", "--association", "bare")] == ["bare"]
    heading, first, _ = desk.type("decide", "list")[1].rstrip("\n").split("\n")
    assert heading.split("\t") == list(decide.COLUMNS)
    assert first.split("\t") == [
        *("waive", "facebook", "", "", "2026-03-02", "no"),
        *("Amina", "bare", "she called"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("attest nowhere facebook", "`auditor registry export -` lists them"),
        ("attest nour myspace", "try: one of website facebook youtube"),
        ("attest bare facebook", "it has no account there; try: list it in the sheet"),
        ("attest nour facebook --account u:else", "try: --account u:nour"),
        ("attest nour facebook --until 2026-02-28", "this day is past; try: --until 2026-05-30"),
        ("attest nour facebook --until tomorrow", "this is no date; try: --until"),
        ("attest nour facebook --until 2027-03-02", "holds 365 days at most; try: --until 2027-03-01"),
        ("moved nour facebook --to https://www.youtube.com/@nour", "this names no facebook account"),
        ("moved nour facebook --to https://www.facebook.com/nour", "the account it moved from"),
        ("not-ours nour youtube --account @nour", "try: list it in the sheet first"),
        ("waive nour facebook --code channel_odd", "no gap has this code; try: `auditor gaps`"),
        ("waive nour facebook --code channel_waived", "this is a status, not a gap"),
        ("list --association nowhere", "no association has this id"),
    ],
)
def test_what_nobody_could_mean_is_refused_in_one_line_and_not_kept(desk, words, said):
    typed = words.split() if words.startswith("list") else [*words.split(), *BECAUSE]
    code, out, err = desk.type("decide", *typed)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("error: ")
    assert said in err
    assert not list(desk.app.store.decisions())


def test_of_two_accounts_one_has_to_be_named(desk):
    register(desk.app, NOUR, OTHER)
    code, _, err = desk.type("decide", "attest", "nour", "facebook", *BECAUSE)
    assert code == 3
    assert "it has several accounts there; try: --account u:nour or u:other" in err
    desk.decide("attest", "nour", "facebook", "--account", "u:other")
    assert desk.items("decide", "list")[0]["account"] == "u:other"


def test_a_decision_is_the_word_of_whoever_is_logged_in_or_is_asked_whose_it_is(desk, monkeypatch):
    code, _, err = desk.type("decide", "attest", "nour", "facebook", "--why", "seen")
    assert (code, "try: --who NAME" in err) == (3, True)
    monkeypatch.setenv("USER", "amina")
    assert desk.type("decide", "attest", "nour", "facebook", "--why", "seen")[0] == 0
    assert desk.items("decide", "list")[0]["who"] == "amina"
    assert desk.type("decide", "attest", "nour", "facebook", "--why", " ")[0] == 3
    assert desk.type("decide", "attest", "nour", "facebook")[0] == 2
