"""`identify` and `check`: whose account a link is, and what is found there now. Neither needs a registry.

Plain work on many items: by all cores where it is worth another process, and in the order they came.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from auditor.cli.context import Json, Session, clock, session
from auditor.cli.output import give, give_rows, give_table, is_terminal, progress, row_of
from auditor.core import runtime
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import document, document_of, written

if TYPE_CHECKING:
    from auditor.checking.checker import Checked
    from probes.models.finding import Finding, Identity


# ruff: noqa: PLC0415 - `--help` stays quick


IDENTITY = ("channel", "kind", "key", "note", "input")
FOUND = ("channel", "presence", "reason", "last_activity", "input", "name")
GROUPS = {"presence": "standing", "reason": "cause"}
"""Where the words of a column's codes are."""


def identify(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="Links, one a line; - reads them here.")
    ] = "-",
    channel: Annotated[str | None, typer.Option(help="The column the values were typed in.")] = None,
    as_json: Json = False,
) -> None:
    """Tell whose accounts links are, asking nobody.

    A line is a link, or a channel, a tab and the value typed in that channel's column.
    """
    _refuse_unknown(channel)
    lines = _lines(file)
    if as_json:
        give("".join(document_of(worked(partial(_as_json, channel), lines), clock())))
    elif not is_terminal():
        give_rows(IDENTITY, worked(partial(_as_rows, channel), lines))
    else:
        words = session(context).words
        rows = ([item[column] for column in IDENTITY] for item in _items(channel, lines))
        give_table(IDENTITY, rows, words, {name: partial(words.term, name) for name in ("kind", "note")})


def _as_json(channel: str | None, lines: list[str]) -> list[str]:
    """Items of JSON, joined as in a document: what another process hands over is one text."""
    return [",\n".join(map(written, _items(channel, lines)))] if lines else []


def _as_rows(channel: str | None, lines: list[str]) -> list[str]:
    rows = (row_of([item[column] for column in IDENTITY]) for item in _items(channel, lines))
    return ["\n".join(rows)] if lines else []


def _items(channel: str | None, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    from probes.links import identify

    split = _splitter(channel)
    return (identified(typed, identify.identify(typed, column)) for column, typed in map(split, lines))


def check(
    context: typer.Context,
    links: Annotated[
        list[str], typer.Argument(metavar="LINK…", help="Links; - reads them here, one a line.")
    ],
    channel: Annotated[str | None, typer.Option(help="The column the values were typed in.")] = None,
    as_json: Json = False,
) -> None:
    """Look at links now, without a registry."""
    _refuse_unknown(channel)
    typed = [line for link in links for line in (_lines("-") if link == "-" else [link])]
    checked = runtime.run(_check(session(context), list(map(_splitter(channel), typed))))
    if as_json:
        give(document(map(seen, checked), clock()))
    else:
        lines = ([item[column] for column in FOUND] for item in map(seen, checked))
        words = session(context).words
        say_as = {name: partial(words.term, group) for name, group in GROUPS.items()}
        give_table(FOUND, lines, words, {**say_as, "last_activity": lambda moment: moment[:10]})


async def _check(asked: Session, typed: list[tuple[str | None, str]]) -> list[Checked]:
    from auditor.app import fetcher, readers
    from auditor.checking.checker import Eyes, purses
    from auditor.checking.checker import check as look_at
    from probes.links import identify

    known = [(text, identify.identify(text, column)) for column, text in typed]
    config = asked.config()
    with progress(asked.words.say("looking"), quiet=asked.quiet) as step:
        async with fetcher(config, clock()) as fetch, readers() as pool:
            done = iter(range(1, len(known) + 1))
            eyes = Eyes(fetch, pool, purses(config))
            checked = await look_at(known, eyes, lambda: step(next(done), len(known)))
    return [audited(one, config.channels) for one in checked]


def audited(checked: Checked, channels: Collection[str]) -> Checked:
    """A look that tells of no account on a channel nobody audits: a channel that is off is off here, too."""
    finding = checked.look.finding
    links = tuple(link for link in finding.links if link.channel in channels)
    return replace(checked, look=replace(checked.look, finding=replace(finding, links=links)))


def identified(typed: str, identity: Identity) -> dict[str, Any]:
    """One item of `identify` (DESIGN §6)."""
    return {
        "input": typed,
        "channel": identity.channel,
        "kind": str(identity.kind),
        "key": identity.key,
        "canonical": identity.canonical,
        "note": identity.note,
    }


def seen(checked: Checked) -> dict[str, Any]:
    """One item of `check` (DESIGN §6)."""
    told = identified(checked.typed, checked.identity)
    return {**told, **_found(checked.look.finding), "requests": checked.requests}


def _found(finding: Finding) -> Mapping[str, Any]:
    from auditor.evaluation.association_view import rhythm

    activity = finding.last_activity
    return {
        "presence": str(finding.presence),
        "reason": str(finding.reason) if finding.reason else None,
        "status": finding.status,
        "final_url": finding.final_url,
        "name": finding.name,
        "platform_id": finding.platform_id,
        "last_activity": activity.iso() if activity else None,
        "activity_source": activity.source if activity else None,
        "rhythm_days": rhythm(finding),
        "followers": finding.followers,
        "links": [
            {"channel": link.channel, "key": link.key, "canonical": link.canonical, "source": link.source}
            for link in finding.links
        ],
        "detail": finding.detail,
    }


def _splitter(column: str | None) -> Callable[[str], tuple[str | None, str]]:
    """Tells a line's column and value: what stands before a tab is a column where it names a channel."""
    from probes.links import channel_registry

    known = channel_registry.channels()

    def split(line: str) -> tuple[str | None, str]:
        before, tab, after = line.partition("\t")
        return (name, after) if tab and (name := before.strip().lower()) in known else (column, line)

    return split


def _refuse_unknown(channel: str | None) -> None:
    from probes.links import channel_registry

    if channel is not None and channel not in channel_registry.channels():
        known = ", ".join(sorted(channel_registry.channels()))
        raise UsageError(f"--channel {channel}", "there is no such channel", f"one of {known}")


def _lines(file: str) -> Iterable[str]:
    """The lines of a file, of standard input (`-`), or a link typed in place of a file."""
    if file == "-":
        return _cut(sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else sys.stdin.read().encode())
    if "://" in file:
        return [file]
    try:
        return _cut(Path(file).read_bytes())
    except OSError as trouble:
        raise InputError(
            file, (trouble.strerror or "cannot be read").lower(), "a file of links, or -"
        ) from None


def _cut(data: bytes) -> Iterator[str]:
    """Lines end with a line feed and nothing else; each is an item, even an empty one."""
    text = data.decode("utf-8-sig", errors="replace")
    lines = text.split("\n")
    yield from (line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines))


T = TypeVar("T")
R = TypeVar("R")

TOGETHER = 4_000
"""Items that one process is given at once. With fewer in all there is no other process."""


def worked(
    work: Callable[[list[T]], list[R]], items: Iterable[T], *, together: int = TOGETHER
) -> Iterator[R]:
    """What `work` makes of the items. It must be a function of a module, and the process has one thread.

    The first batch is worked here, so that what is loaded and compiled for it is there for all.
    """
    pieces = _pieces(iter(items), together)
    yield from work(next(pieces, []))
    second = next(pieces, None)
    if second is None:
        return
    rest = chain([second], pieces)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if cores == 1:
        yield from chain.from_iterable(map(work, rest))
        return
    gc.freeze()  # the collector of another process need not copy what it shares with this one
    with multiprocessing.get_context("fork").Pool(
        cores, signal.signal, (signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        yield from chain.from_iterable(pool.imap(work, rest))


def _pieces(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while piece := list(islice(items, size)):
        yield piece
