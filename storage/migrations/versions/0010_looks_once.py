"""What a look found and rests on kept once, and a narrow row for each night."""

from __future__ import annotations

import datetime as dt
import json
import typing

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
BATCH = 1000
WIDE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PRESENCES = ["unknown", "absent", "present"]
TELLING = {"content-type", "link", "x-robots-tag", "x-datadome", "x-sucuri-block"}
DIFFERING = ("seconds", "certificate_days")
MOMENTS = ("checked_at", "decided_at")

FORMER = sa.table(
    "observation_before",
    sa.column("id"),
    sa.column("account_id"),
    sa.column("night_id"),
    sa.column("observed_at", sa.DateTime(timezone=True)),
    sa.column("presence"),
    sa.column("finding"),
    sa.column("evidence"),
    sa.column("probe_version"),
)
LOOK = sa.table(
    "look",
    *map(
        sa.column, ("id", "account_id", "observed_at", "presence", "meaning", "finding", "evidence")
    ),
)
OBSERVATION = sa.table(
    "observation",
    *map(
        sa.column,
        ("night_id", "account_id", "observed_at", "look_id", "presence", "probe_version", "times"),
    ),
)
STANDING = sa.table("standing", sa.column("account_id"), sa.column("standing"))
CHECKED = sa.table("checked", *map(sa.column, ("account_id", *MOMENTS)))


def upgrade() -> None:
    _make_tables()
    _drop_index()
    op.rename_table("observation", "observation_before")
    _rename_key("observation_before", "pk_observation", "pk_observation_before")
    _make_observation()
    _narrow(op.get_bind())
    op.drop_table("observation_before")
    _take_moments(op.get_bind())


def downgrade() -> None:
    connection = op.get_bind()
    _give_moments_back(connection)
    op.create_table(
        "observation_before",
        sa.Column("id", WIDE, nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("night_id", sa.Integer(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("presence", sa.String(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("probe_version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_observation_account_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["night_id"], ["night.id"], name=op.f("fk_observation_night_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observation_before")),
        sa.UniqueConstraint(
            "account_id", "night_id", name=op.f("uq_observation_account_id_night_id")
        ),
    )
    _widen(connection)
    op.drop_table("observation")
    op.drop_table("look")
    op.drop_table("checked")
    op.rename_table("observation_before", "observation")
    _rename_key("observation", "pk_observation_before", "pk_observation")
    _set_sequence(connection, "observation")
    with op.batch_alter_table("observation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_observation_night_id"), ["night_id"], unique=False)


def _make_tables() -> None:
    op.create_table(
        "checked",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_checked_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_checked")),
    )
    op.create_table(
        "look",
        sa.Column("id", WIDE, nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("observed_at", sa.BigInteger(), nullable=False),
        sa.Column("presence", sa.String(), nullable=False),
        sa.Column("meaning", sa.String(), nullable=True),
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_look_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_look")),
        sa.UniqueConstraint("account_id", "meaning", name=op.f("uq_look_account_id_meaning")),
    )


def _make_observation() -> None:
    op.create_table(
        "observation",
        sa.Column("night_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("observed_at", sa.BigInteger(), nullable=False),
        sa.Column("look_id", sa.BigInteger(), nullable=False),
        sa.Column("presence", sa.SmallInteger(), nullable=False),
        sa.Column("probe_version", sa.SmallInteger(), nullable=False),
        sa.Column("times", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["night_id"], ["night.id"], name=op.f("fk_observation_night_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("night_id", "account_id", name=op.f("pk_observation")),
        sqlite_with_rowid=False,
    )


def _drop_index() -> None:
    with op.batch_alter_table("observation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_observation_night_id"))


def _rename_key(table: str, old: str, new: str) -> None:
    """PostgreSQL names the index of a key in the whole schema, SQLite only in its table."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}")


def _set_sequence(connection: sa.Connection, table: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(
            sa.text(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"  # noqa: S608  # names of ours
            )
        )


def _narrow(connection: sa.Connection) -> None:
    """Give every observation its narrow row, and those of an account that say the same one look."""
    number, account = 0, None
    kept: dict[str, tuple[int, int]] = {}
    for rows in _pages(connection):
        looks, narrow = [], []
        for row in rows:
            if row.account_id != account:
                account, kept = row.account_id, {}
            when = _micros(row.observed_at)
            said, differs = _told(row, when)
            told: str | None = differs
            if said not in kept:
                number += 1
                kept[said] = number, when
                looks.append(
                    {
                        "id": number,
                        "account_id": row.account_id,
                        "observed_at": when,
                        "presence": row.presence,
                        "meaning": None,
                        "finding": row.finding,
                        "evidence": row.evidence,
                    }
                )
                told = None
            narrow.append(
                {
                    "night_id": row.night_id,
                    "account_id": row.account_id,
                    "observed_at": when,
                    "look_id": kept[said][0],
                    "presence": PRESENCES.index(row.presence),
                    "probe_version": row.probe_version,
                    "times": told,
                }
            )
        if looks:
            connection.execute(LOOK.insert(), looks)
        connection.execute(OBSERVATION.insert(), narrow)
    _set_sequence(connection, "look")


def _pages(connection: sa.Connection) -> typing.Iterator[typing.Sequence[typing.Any]]:
    key = (FORMER.c.account_id, FORMER.c.night_id)
    query = sa.select(FORMER).order_by(*key).limit(BATCH)
    rows = connection.execute(query).all()
    while rows:
        yield rows
        last = rows[-1]
        beyond = (key[0] > last.account_id) | (
            (key[0] == last.account_id) & (key[1] > last.night_id)
        )
        rows = connection.execute(query.where(beyond)).all()


def _told(row: typing.Any, when: int) -> tuple[str, str]:
    """What a look says, without what differs each night; and that."""
    finding, evidence = json.loads(row.finding), json.loads(row.evidence)
    facts, came = finding.get("facts", {}), []
    differing = [name for name in DIFFERING if type(facts.get(name)) in (int, float)]
    own = [repr(facts[name]) for name in differing]
    facts.update(dict.fromkeys(differing, 0))
    for piece in evidence:
        seconds = float(piece.pop("seconds", 0.0))
        headers = piece.get("headers", {})
        piece["headers"] = {name: headers[name] if name in TELLING else "" for name in headers}
        if piece.get("fetched_at") is not None:
            fetched = _micros(dt.datetime.fromisoformat(piece["fetched_at"]))
            came.append(f"{when - fetched} {seconds!r}")
            piece["fetched_at"] = ""
    return json.dumps([finding, evidence], sort_keys=True), "/".join([" ".join(came), *own])


def _micros(moment: dt.datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (aware - EPOCH) // MICROSECOND


def _take_moments(connection: sa.Connection) -> None:
    """Take the moments that move every night out of the standings."""
    for rows in _standings(connection):
        bare, moments = [], []
        for account, standing in rows:
            held = json.loads(standing)
            taken = {name: held.pop(name, None) for name in MOMENTS}
            moments.append(
                {
                    "account_id": account,
                    **{
                        name: at and _micros(dt.datetime.fromisoformat(at))
                        for name, at in taken.items()
                    },
                }
            )
            bare.append({"at": account, "left": _text(held)})
        connection.execute(CHECKED.insert(), moments)
        _put_standings(connection, bare)


def _give_moments_back(connection: sa.Connection) -> None:
    for rows in _standings(connection):
        ids = [account for account, _ in rows]
        moments = {
            row.account_id: row
            for row in connection.execute(sa.select(CHECKED).where(CHECKED.c.account_id.in_(ids)))
        }
        whole = []
        for account, standing in rows:
            held, at = json.loads(standing), moments.get(account)
            for name in MOMENTS:
                if at is not None and getattr(at, name) is not None:
                    held[name] = _iso(getattr(at, name))
            whole.append({"at": account, "left": _text(held)})
        _put_standings(connection, whole)


def _standings(connection: sa.Connection) -> typing.Iterator[typing.Sequence[typing.Any]]:
    query = sa.select(STANDING).order_by(STANDING.c.account_id).limit(500)
    rows = connection.execute(query).all()
    while rows:
        yield rows
        rows = connection.execute(query.where(STANDING.c.account_id > rows[-1].account_id)).all()


def _put_standings(connection: sa.Connection, rows: list[dict[str, object]]) -> None:
    change = sa.update(STANDING).where(STANDING.c.account_id == sa.bindparam("at"))
    connection.execute(change.values(standing=sa.bindparam("left")), rows)


def _widen(connection: sa.Connection) -> None:
    """Give every observation its own finding and evidence again, in the order of its night."""
    key, number = (OBSERVATION.c.night_id, OBSERVATION.c.account_id), 0
    joined = sa.select(
        OBSERVATION, LOOK.c.observed_at.label("seen"), LOOK.c.finding, LOOK.c.evidence
    ).join(LOOK, LOOK.c.id == OBSERVATION.c.look_id)
    query = joined.order_by(*key).limit(BATCH)
    rows = connection.execute(query).all()
    while rows:
        wide = []
        for row in rows:
            number += 1
            finding, evidence = _as_then(row)
            wide.append(
                {
                    "id": number,
                    "account_id": row.account_id,
                    "night_id": row.night_id,
                    "observed_at": EPOCH + row.observed_at * MICROSECOND,
                    "presence": PRESENCES[row.presence],
                    "finding": finding,
                    "evidence": evidence,
                    "probe_version": row.probe_version,
                }
            )
        connection.execute(FORMER.insert(), wide)
        last = rows[-1]
        beyond = (key[0] > last.night_id) | ((key[0] == last.night_id) & (key[1] > last.account_id))
        rows = connection.execute(query.where(beyond)).all()


def _as_then(row: typing.Any) -> tuple[str, str]:
    """The finding and the evidence of an observation, by what its `times` tell."""
    if row.times is None and row.observed_at == row.seen:
        return row.finding, row.evidence
    finding, evidence = json.loads(row.finding), json.loads(row.evidence)
    came, *own = row.times.split("/") if row.times is not None else ("",)
    waiting = iter(came.split())
    for piece in evidence:
        if piece.get("fetched_at") is None:
            continue
        if row.times is None:
            fetched = _micros(dt.datetime.fromisoformat(piece["fetched_at"]))
            piece["fetched_at"] = _iso(fetched + row.observed_at - row.seen)
        else:
            piece["fetched_at"] = _iso(row.observed_at - int(next(waiting)))
            piece["seconds"] = float(next(waiting))
    facts = finding.get("facts", {})
    differing = [name for name in DIFFERING if type(facts.get(name)) in (int, float)]
    facts.update({name: json.loads(fact) for name, fact in zip(differing, own, strict=False)})
    return _text(finding), _text(evidence)


def _iso(micros: int) -> str:
    return (EPOCH + micros * MICROSECOND).isoformat().replace("+00:00", "Z")


def _text(noun: object) -> str:
    return json.dumps(noun, ensure_ascii=False, separators=(",", ":"))
