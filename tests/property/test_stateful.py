"""Random histories of nights, crashes, restores and decisions, and what holds after every step of them.

A step is cheap: a copied database in memory's own file system, a handful of accounts, a web in this process.
"""

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from auditor.checking import checker
from auditor.config.schema import (
    ChannelSettings,
    RetentionSettings,
    find_packaged_config,
    load_config,
)
from auditor.decisions.parsing import DecisionError
from auditor.decisions.replies import accept_reply
from auditor.decisions.service import DecisionService, withdraw_decision
from auditor.evaluation import reevaluate
from auditor.receipts.receipt import verify_receipt_chain
from auditor.receipts.signing import read_known_public_keys
from auditor.retention.evidence_pruning import prune_evidence
from auditor.rules.engine import get_gap_key
from auditor.runs.future_runs import discard_future_runs, find_future_runs
from auditor.runs.run import execute_run
from probes.links import identify
from probes.models.finding import Activity, Finding, FoundLink, Presence, Reason
from probes.models.http import FetchError, PageRequest
from storage.database.sqlite_file import restore_database
from storage.errors import LaterRunDoneError, StoreError
from storage.files.body_store import BodyStore
from storage.models.audit import (
    AccountRow,
    Association,
    AssociationEntry,
    AuditRunState,
    DecisionKind,
)
from storage.models.users import Reply, ReplyKind
from storage.store import Store
from storage.tables.runs import OBSERVATION
from storage.tables.summaries import RUN_FACET_COUNT
from tests.support.mini_network import Small, Web
from tests.support.read_model_consistency import recounted, tabled

START = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
MEMORY = Path("/dev/shm")
CHANNELS = ("website", "facebook", "twitter", "youtube")
KNOWN = ("https://known.example/", "https://other.example/")
NOWHERE = "https://nobody.example/"
CANARY = "https://www.facebook.com/known.canary"
CONFIG = load_config(find_packaged_config(), {})
CONFIG = CONFIG.model_copy(
    update={
        "channels": {
            name: ChannelSettings(
                canaries={"website": KNOWN, "facebook": (CANARY,)}.get(name, ()),
                impossible_account=NOWHERE if name == "website" else None,
            )
            for name in CHANNELS
        },
        "fetch": CONFIG.fetch.model_copy(update={"second_pass_delay": 0, "concurrency": 4}),
    }
)

SHORT = CONFIG.model_copy(update={"retention": RetentionSettings(bodies=2, exchanges=4)})
"""By what evidence is thinned."""

# --- what there is to list, to see and to say

PEOPLE = ("amal", "nour", "rif")
LINKS = (
    ("website", "https://nour.example/"),
    ("website", "https://amal.example/"),
    ("facebook", "https://www.facebook.com/nour"),
    ("facebook", "https://www.facebook.com/amal"),
    ("links", "https://www.facebook.com/nour"),
    ("twitter", "https://x.com/nour"),
    ("youtube", "https://www.youtube.com/@nour"),
    ("facebook", "https://www.facebook.com/nour/posts/1"),
)
FIELDS = st.one_of(
    st.tuples(st.just("region"), st.sampled_from([None, "Souss-Massa", "Oriental"])),
    st.tuples(st.just("tags"), st.sampled_from([(), ("youth",), ("youth", "rural")])),
    st.tuples(
        st.just("none_by_choice"), st.sampled_from([(), ("youtube",), ("twitter", "facebook")])
    ),
    st.tuples(st.just("email"), st.sampled_from([None, "amina@example.org"])),
    st.tuples(st.just("media_officer"), st.sampled_from([None, "Amina", "none"])),
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.one_of(
            st.tuples(st.just("link"), st.integers(0, len(LINKS) - 1)),
            st.tuples(st.just("link"), st.integers(0, len(LINKS) - 1)),
            FIELDS,
            st.just(("all", None)),
        ),
    ),
    min_size=1,
    max_size=4,
)
LED = tuple(
    FoundLink(channel, named, f"https://{named}.example/", "anchor", "https://nour.example/")
    for channel, named in (("youtube", "@nour"), ("twitter", "amal"), ("facebook", "u:rif"))
)
HERE, UNTOLD = Presence.PRESENT, Presence.UNKNOWN
READS = {
    "alive": Finding(HERE),
    "named": Finding(HERE, platform_id="11", name="Nour"),
    "other": Finding(HERE, platform_id="99", name="Casino"),
    "empty": Finding(HERE, Reason.EMPTY),
    "fresh": Finding(HERE, last_activity=Activity(START, "feed")),
    "linked": Finding(HERE, links=LED, facts={"https": True, "viewport": True}),
    "wide": Finding(HERE, facts={"https": False, "viewport": False, "contact": False}),
    "gone": Finding(Presence.ABSENT, Reason.NOT_FOUND),
    "closed": Finding(Presence.ABSENT, Reason.CLOSED),
    "wall": Finding(UNTOLD, Reason.LOGIN_WALL),
    "blocked": Finding(UNTOLD, Reason.BLOCKED),
}
WORDS = st.sampled_from(
    [
        *READS,
        "gone",
        "gone",
        "alive",
        "bug",
        Reason.TIMEOUT,
        Reason.NETWORK,
        Reason.NETWORK,
        Reason.TLS,
    ]
)
ANSWERS = st.dictionaries(st.sampled_from([typed for _, typed in LINKS]), WORDS)
EYES = st.sampled_from(["well"] * 6 + ["offline", "blind"])
HOW = st.sampled_from(["power", "power", "error", "bug"])
KINDS = st.sampled_from(DecisionKind)
ACCOUNT = st.none() | st.sampled_from([typed for _, typed in LINKS])
WHEN = st.sampled_from([None, 0, 3, 40])
BY = {"who": "Amina", "why": "she called"}


def steps(account, keyed=()):
    """A probe whose page says in one word what is to be found."""
    page = yield PageRequest(
        account.identity.canonical or account.identity.url or account.typed_text, is_registered_link=True
    )
    word = page.body.decode()
    if word == "bug":
        raise ZeroDivisionError("a bug in a probe")
    return replace(READS[word], status=page.status, final_url=page.url)


class DeathError(Exception):
    """The end of the process, or what ends the night."""


@dataclass
class Dying:
    """The writes of a store counted: at the n-th, before or after it is committed, something ends the night.

    `power` leaves the files as they were at that moment, however the process went on; `error` and `bug` are
    raised and told.
    """

    app: Small
    left: int = 10**9
    committed: bool = False
    how: str = "error"
    cut: Path | None = None
    safe: set = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    WRITES = ("begin_run", "record_observations", "save_conclusions", "finish_run", "update_summary_version", "save_summaries")

    def __enter__(self):
        for name in self.WRITES:
            setattr(
                self.app.store, name, self._counted(name, getattr(self.app.store, name))
            )
        return self

    def __exit__(self, *_):
        for name in self.WRITES:
            delattr(self.app.store, name)

    def _counted(self, name, write):
        def written(*given, **told):
            with self.lock:
                self.left -= 1
                last = self.left == 0
            if last and not self.committed:
                self._die()
            rows = list(given[0]) if name == "record_observations" else []
            done = write(rows, *given[1:], **told) if rows else write(*given, **told)
            if last:
                self._die()
            if self.cut is None:
                self.safe |= {(row.account_id, row.run_id) for row in rows}
            return done

        return written

    def _die(self):
        if self.how == "error":
            raise StoreError("the disk", "it is full")
        if self.how == "power":
            self.cut = self.app.data_folder / "cut"
            copied(self.app.data_folder, self.cut)
        raise DeathError(self.how)


def copied(folder, target):
    """The files of a database as they lie on the disk now."""
    target.mkdir(exist_ok=True)
    for name in ("auditor.db", "auditor.db-wal"):
        target.joinpath(name).unlink(missing_ok=True)
        if (folder / name).exists():
            shutil.copyfile(folder / name, target / name)


class Histories(RuleBasedStateMachine):
    """A network, what may happen to it, and what nobody may ever find otherwise."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.patches = [
            patch.object(module, "probe_steps_for", steps) for module in (checker, reevaluate)
        ]
        for one in self.patches:
            one.start()
        self.now = START - timedelta(days=1)
        self.sheet = {one: ({}, set()) for one in PEOPLE[:2]}
        self.safe = set()
        self.stirred = True
        self.backups = []
        self.open()
        self.imported()

    def open(self):
        store = Store.open(f"sqlite:///{self.folder}/auditor.db")
        self.app = Small(
            CONFIG, store, BodyStore(self.folder / "archive"), Web(), data_folder=self.folder
        )

    def teardown(self):
        self.app.store.close()
        for one in self.patches:
            one.stop()
        shutil.rmtree(self.folder)

    def pass_time(self, **span):
        self.stirred = True
        self.now += timedelta(**span or {"hours": 1})

    # --- the registry

    def imported(self, *, prune=False, people=None):
        told = {one: self.sheet[one] for one in people or self.sheet if one in self.sheet}
        associations = [
            AssociationEntry(Association(one, one.title())).replace_values(fields)
            for one, (fields, _) in told.items()
        ]
        rows = [
            AccountRow(
                one,
                typed,
                identify.identify_link(typed, None if column == "links" else column),
                column,
            )
            for one, (_, listed) in told.items()
            for column, typed in (LINKS[at] for at in sorted(listed))
        ]
        self.app.store.save_registry(
            associations, rows, self.now, prune=prune, is_complete=people is None
        )

    @rule(edits=EDITS, some=st.booleans())
    def a_sheet_comes(self, edits, some):
        for one, (what, value) in edits:
            fields, listed = self.sheet.setdefault(one, ({}, set()))
            if what == "link":
                listed ^= {value}
            elif what == "all":
                del self.sheet[one]
            else:
                fields[what] = value
        self.imported(people={one for one, _ in edits} if some else None)
        self.pass_time()

    @rule()
    def a_sheet_comes_and_the_rest_is_pruned(self):
        """What is pruned takes its history with it: the rest has to be told anew."""
        self.imported(prune=True)
        reevaluate.reevaluate(self.app)
        self.pass_time()

    # --- nights

    def night(self, answers, seeing, dying):
        web = self.app.web = Web()
        web.answers = {typed: self._answer(word) for typed, word in answers.items()} | {
            NOWHERE: "gone"
        }
        if seeing == "offline":
            web.answers |= {url: FetchError(Reason.NETWORK) for url in KNOWN}
        if seeing == "blind":
            web.answers[CANARY] = "gone"
        with dying:
            try:
                return asyncio.run(execute_run(self.app, self.now))
            finally:
                self.safe |= dying.safe

    @staticmethod
    def _answer(word):
        return FetchError(word) if isinstance(word, Reason) else word

    @rule(answers=ANSWERS, seeing=EYES, days=st.sampled_from([0, 1, 1, 1, 1, 2, 5]))
    def a_night(self, answers, seeing, days):
        self.pass_time(days=days)
        try:
            done = self.night(answers, seeing, Dying(self.app))
        except LaterRunDoneError:
            assert self.app.store.get_latest_run().day > self.now.date()
        else:
            assert done.state in {AuditRunState.DONE, AuditRunState.SKIPPED}
        self.pass_time()

    @rule(
        answers=ANSWERS,
        seeing=EYES,
        days=st.sampled_from([0, 1, 1, 2]),
        left=st.integers(1, 9),
        committed=st.booleans(),
        how=HOW,
    )
    def a_night_that_dies(self, answers, seeing, days, left, committed, how):  # noqa: PLR0917
        self.pass_time(days=days)
        dying = Dying(self.app, left, committed, how)
        with suppress(DeathError, StoreError):
            self.night(answers, seeing, dying)
        if dying.cut:
            self._from(dying.cut)
        self.pass_time()

    def _from(self, files):
        """Begin again with a database as it lies there."""
        self.app.store.close()
        for name in ("auditor.db", "auditor.db-wal", "auditor.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        copied(files, self.folder)
        self.open()

    @rule(hours=st.sampled_from([-30, -2, 1, 26, 24 * 40]))
    def the_clock_jumps(self, hours):
        self.now += timedelta(hours=hours)

    @rule()
    def runs_dated_in_the_future_are_discarded(self):
        gone = {run.id for run in find_future_runs(self.app.store, self.now)}
        discard_future_runs(self.app, self.now, has_backup=True)
        self.safe = {at for at in self.safe if at[1] not in gone}
        assert find_future_runs(self.app.store, self.now) == []
        assert self.app.store.count_future_changes(self.now + timedelta(hours=1)) == 0
        self.stirred = True

    # --- people

    @rule(
        one=st.sampled_from(PEOPLE),
        channel=st.sampled_from(CHANNELS),
        kind=KINDS,
        account=ACCOUNT,
        days=WHEN,
        code=st.sampled_from([None, "channel_missing", "channel_dead"]),
    )
    def somebody_decides(self, one, channel, kind, account, days, code):  # noqa: PLR0917
        until = None if days is None else (self.now + timedelta(days=days)).date().isoformat()
        more = {
            DecisionKind.CLAIM: {},
            DecisionKind.MOVED: {"to": LINKS[code is None][1], "until": until},
            DecisionKind.WAIVE: {"code": code, "until": until},
        }.get(kind, {"until": until})
        with suppress(DecisionError):
            word = DecisionService.create(
                self.app.store, CHANNELS, one, channel, now=self.now, account=account, **BY
            )
            getattr(word, kind.value)(**more)
        self.pass_time()

    @rule(data=st.data())
    def somebody_takes_a_word_back(self, data):
        words = [str(word.id) for word in self.app.store.list_decisions()]
        if words:
            number = data.draw(st.sampled_from(words))
            with suppress(DecisionError):
                withdraw_decision(self.app.store, number, now=self.now, **BY)
            self.pass_time()

    @rule(
        kind=st.sampled_from(ReplyKind),
        data=st.data(),
        value=st.sampled_from(["@nour", LINKS[3][1], LINKS[6][1]]),
    )
    def an_association_answers_and_is_believed(self, kind, data, value):
        rows = [row for row in self.app.store.list_accounts() if row.channel in CHANNELS]
        if not rows:
            return
        row = data.draw(st.sampled_from(rows))
        account = (
            None
            if data.draw(st.booleans()) and kind in {ReplyKind.CLAIMED, ReplyKind.DISOWNED}
            else row.id
        )
        day = (self.now + timedelta(days=9)).date().isoformat()
        said = Reply(
            row.association,
            kind,
            self.now,
            row.channel,
            account,
            code="channel_dead",
            value=day if kind is ReplyKind.PROMISED else value,
            text="so it is",
        )
        said = self.app.store.add_reply(said)
        with suppress(DecisionError):
            accept_reply(
                self.app.store,
                CONFIG,
                said,
                author="Amina",
                reason="",
                now=self.now,
                default_reason="so it was said",
            )
        self.pass_time()

    # --- keeping, rebuilding and reading

    @rule()
    def a_backup_is_made(self):
        place = self.folder / f"backup-{len(self.backups)}"
        place.mkdir()
        self.app.store.create_backup(place / "auditor.db")
        self.backups.append((place, set(self.safe), deepcopy(self.sheet)))

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def a_backup_is_restored(self, data):
        place, safe, sheet = data.draw(st.sampled_from(self.backups))
        self.safe, self.sheet = set(safe), deepcopy(sheet)
        self.app.store.close()
        database = self.folder / "auditor.db"
        restore_database(place / "auditor.db", database, self.folder / "kept.db")
        (self.folder / "kept.db").unlink()
        self.open()
        self.stirred = True

    @rule()
    def old_evidence_is_thinned(self):
        prune_evidence(self.app.store, self.app.body_store, SHORT, self.now)
        self.stirred = True

    @rule()
    def everything_is_rebuilt(self):
        before = held(self.app.store)
        assert reevaluate.reevaluate(self.app).changes == []
        assert held(self.app.store) == before

    @rule()
    def the_lists_are_read(self):
        """The summaries and their sums are those that the views give when they are made anew."""
        now = self.app.store.get_effective_time(
            self.now
        )  # what is before the newest night is told as it was then
        assert tabled(self.app, now) == recounted(self.app, now)

    # --- what always holds

    @invariant()
    def no_account_is_seen_twice_in_a_night_and_nothing_that_was_kept_is_lost(self):
        store = self.app.store
        with store._database.begin_read() as connection:
            query = select(OBSERVATION.c.account_id, OBSERVATION.c.run_id)
            seen = Counter(tuple(row) for row in connection.execute(query))
        assert set(seen.values()) <= {1}
        there = {row.id for row in store.list_accounts(include_withdrawn=True)}
        assert {at for at in self.safe if at[0] in there} <= set(seen)

    @invariant()
    def there_is_one_night_a_day_and_their_receipts_are_chained(self):
        nights = list(self.app.store.list_runs())
        assert len({night.day for night in nights}) == len(nights)
        links = list(verify_receipt_chain(nights, read_known_public_keys(self.folder)))
        assert {link.problem for link in links} <= {None}
        for night in nights:
            json.dumps(night.receipt, allow_nan=False)

    @invariant()
    def a_gap_is_open_once(self):
        running, ended = Counter(), {}
        for gap in sorted(self.app.store.list_gaps(), key=lambda gap: gap.first_seen):
            running[get_gap_key(gap)] += gap.closed_at is None
            assert ended.get(get_gap_key(gap), gap.first_seen) <= gap.first_seen
            if gap.closed_at:
                assert gap.closed_at >= (gap.opened_at or gap.first_seen)
                ended[get_gap_key(gap)] = gap.closed_at
        assert set(running.values()) <= {0, 1}

    @precondition(lambda self: self.stirred)
    @invariant()
    def a_rebuild_finds_nothing_to_change(self):
        self.stirred = False
        assert reevaluate.reevaluate(self.app, dry_run=True).changes == []


def held(store):
    """Every conclusion, without the numbers of its rows, and the figures of every night."""
    with store._database.begin_read() as connection:
        figures = {tuple(row) for row in connection.execute(select(RUN_FACET_COUNT)) if row.count}
    return (
        list(store.list_account_statuses()),
        sorted((replace(gap, id=None) for gap in store.list_gaps()), key=repr),
        sorted((replace(one, id=None) for one in store.list_proposals()), key=repr),
        figures,
    )


SEEDS = (1, 5, 8)
"""What the histories are drawn from, so that moving code does not change them. Each found a fault."""
MANY = 1000
SOME = 60
EXPLORING = settings.default.max_examples > 100
"""Whether `make test-all` runs, which has the time for a thousand others."""


@pytest.mark.slow
@pytest.mark.parametrize("number", [*SEEDS, None] if EXPLORING else SEEDS)
def test_whatever_happens_a_rebuild_finds_what_the_nights_concluded_and_nothing_is_lost(number):
    machine = type("SeededHistories", (Histories,), {})
    run_state_machine_as_test(
        machine if number is None else seed(number)(machine),
        settings=settings(
            max_examples=MANY if number is None else SOME,
            stateful_step_count=16,
            deadline=None,
            derandomize=False,  # it would take the seed from the source text
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
        ),
    )
