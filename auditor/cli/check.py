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

from auditor.cli.context import CliContext, JsonOption, get_cli_context, get_current_time
from auditor.cli.help import examples
from auditor.cli.output import (
    format_tsv_row,
    is_stdout_terminal,
    print_data,
    print_table,
    print_tsv,
    show_progress,
)
from auditor.core import runtime
from auditor.core.errors import UsageError
from auditor.core.formatting import build_json_document, encode_json_item, iter_encoded_document
from storage.errors import build_file_error

if TYPE_CHECKING:
    from auditor.checking.checker import LinkCheck
    from probes.models.finding import Finding, Identity
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick


IDENTITY_COLUMNS = ("channel", "kind", "key", "note", "input")
FINDING_COLUMNS = ("channel", "presence", "reason", "last_activity", "input", "name")
TERM_GROUPS = {"presence": "account_status", "reason": "cause"}
"""Where the words of a column's codes are."""


@examples("auditor identify links.txt", "auditor identify --json https://www.facebook.com/example")
def identify(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="File with one link per line, a single link, or - for standard input.",
        ),
    ] = "-",
    channel: Annotated[
        str | None, typer.Option(help="Read every value as one of this channel.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Identify which account each link points to.

    Makes no network requests. A line is a link, or a channel, a tab and the value typed for that
    channel.
    """
    _validate_channel(channel)
    lines = _read_lines(file)
    if as_json:
        print_data(
            "".join(
                iter_encoded_document(
                    map_in_processes(partial(_identify_as_json, channel), lines), get_current_time()
                )
            )
        )
    elif not is_stdout_terminal():
        print_tsv(IDENTITY_COLUMNS, map_in_processes(partial(_identify_as_rows, channel), lines))
    else:
        translator = get_cli_context(context).translator
        rows = (
            [item[column] for column in IDENTITY_COLUMNS]
            for item in _identify_lines(channel, lines)
        )
        print_table(
            IDENTITY_COLUMNS,
            rows,
            translator,
            {name: partial(translator.term, name) for name in ("kind", "note")},
        )


def _identify_as_json(channel: str | None, lines: list[str]) -> list[str]:
    """Items of JSON, joined as in a document: what another process hands over is one text."""
    return [",\n".join(map(encode_json_item, _identify_lines(channel, lines)))] if lines else []


def _identify_as_rows(channel: str | None, lines: list[str]) -> list[str]:
    rows = (
        format_tsv_row([item[column] for column in IDENTITY_COLUMNS])
        for item in _identify_lines(channel, lines)
    )
    return ["\n".join(rows)] if lines else []


def _identify_lines(channel: str | None, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    from probes.links import identify

    split = _make_line_splitter(channel)
    return (
        build_identity_item(typed, identify.identify_link(typed, column))
        for column, typed in map(split, lines)
    )


@examples("auditor check https://example.org", "auditor check --json https://x.com/example")
def check(
    context: typer.Context,
    links: Annotated[
        list[str],
        typer.Argument(
            metavar="LINK…",
            help="Links to check; - reads them from standard input, one per line.",
        ),
    ],
    channel: Annotated[
        str | None, typer.Option(help="Read every value as one of this channel.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check links now and print the findings.

    Needs no registry and no database, and stores nothing.
    """
    _validate_channel(channel)
    typed = [line for link in links for line in (_read_lines("-") if link == "-" else [link])]
    checked = runtime.run_async(
        _check_links(get_cli_context(context), list(map(_make_line_splitter(channel), typed)))
    )
    if as_json:
        print_data(build_json_document(map(build_check_item, checked), get_current_time()))
    else:
        lines = (
            [item[column] for column in FINDING_COLUMNS] for item in map(build_check_item, checked)
        )
        translator = get_cli_context(context).translator
        say_as = {name: partial(translator.term, group) for name, group in TERM_GROUPS.items()}
        print_table(
            FINDING_COLUMNS,
            lines,
            translator,
            {**say_as, "last_activity": lambda moment: moment[:10]},
        )


async def _check_links(
    cli_context: CliContext, inputs: list[tuple[str | None, str]]
) -> list[LinkCheck]:
    from auditor.app import create_fetcher, create_parser_pool
    from auditor.checking.checker import AccountChecker, create_api_budgets
    from auditor.checking.checker import check_links as look_at
    from probes.links import identify

    known = [(text, identify.identify_link(text, column)) for column, text in inputs]
    config = cli_context.load_config()
    with show_progress(
        cli_context.translator.translate("checking"), quiet=cli_context.quiet
    ) as step:
        async with (
            create_parser_pool() as pool,
            create_fetcher(config, get_current_time(), parsers=pool) as fetch,
        ):
            done = iter(range(1, len(known) + 1))
            eyes = AccountChecker(fetch, pool, create_api_budgets(config))
            checked = await look_at(known, eyes, lambda: step(next(done), len(known)))
    return [keep_audited_channels(one, config.channels) for one in checked]


def keep_audited_channels(checked: LinkCheck, channels: Collection[str]) -> LinkCheck:
    """A look that tells of no account on a channel nobody audits: a channel that is off is off here, too."""
    finding = checked.result.finding
    links = tuple(link for link in finding.links if link.channel in channels)
    return replace(checked, result=replace(checked.result, finding=replace(finding, links=links)))


def build_identity_item(link_text: str, identity: Identity) -> dict[str, Any]:
    """One item of `identify` (DESIGN §6)."""
    return {
        "input": link_text,
        "channel": identity.channel,
        "kind": str(identity.kind),
        "key": identity.key,
        "canonical": identity.canonical,
        "note": identity.note,
    }


def build_check_item(checked: LinkCheck) -> dict[str, Any]:
    """One item of `check` (DESIGN §6)."""
    told = build_identity_item(checked.typed, checked.identity)
    return {
        **told,
        **_build_finding_fields(checked.result.finding),
        "requests": checked.request_count,
    }


def _build_finding_fields(finding: Finding) -> Mapping[str, Any]:
    from auditor.evaluation.association_view import get_rhythm_days

    activity = finding.last_activity
    return {
        "presence": str(finding.presence),
        "reason": str(finding.reason) if finding.reason else None,
        "status": finding.status,
        "final_url": finding.final_url,
        "name": finding.name,
        "platform_id": finding.platform_id,
        "last_activity": activity.format_iso() if activity else None,
        "activity_source": activity.source if activity else None,
        "rhythm_days": get_rhythm_days(finding),
        "followers": finding.followers,
        "links": [
            {
                "channel": link.channel,
                "key": link.key,
                "canonical": link.canonical,
                "source": link.source,
            }
            for link in finding.links
        ],
        "detail": finding.detail,
    }


def _make_line_splitter(default_channel: str | None) -> Callable[[str], tuple[str | None, str]]:
    """Tells a line's column and value: what stands before a tab is a column where it names a channel."""
    from probes.links import channel_registry

    known = channel_registry.list_channels()

    def split(line: str) -> tuple[str | None, str]:
        before, tab, after = line.partition("\t")
        return (
            (name, after)
            if tab and (name := before.strip().lower()) in known
            else (default_channel, line)
        )

    return split


def _validate_channel(channel: str | None) -> None:
    from probes.links import channel_registry

    if channel is not None and channel not in channel_registry.list_channels():
        known = ", ".join(sorted(channel_registry.list_channels()))
        raise UsageError(f"--channel {channel}", "there is no such channel", f"one of {known}")


def _read_lines(source: str) -> Iterable[str]:
    """The lines of a file, of standard input (`-`), or a link typed in place of a file."""
    if source == "-":
        return _split_lines(
            sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else sys.stdin.read().encode()
        )
    if "://" in source:
        return [source]
    try:
        return _split_lines(Path(source).read_bytes())
    except OSError as trouble:
        raise build_file_error(trouble, f"cannot read {source}") from None


def _split_lines(data: bytes) -> Iterator[str]:
    """Lines end with a line feed and nothing else; each is an item, even an empty one."""
    text = data.decode("utf-8-sig", errors="replace")
    lines = text.split("\n")
    yield from (line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines))


T = TypeVar("T")
R = TypeVar("R")

BATCH_SIZE = 4_000
"""Items that one process is given at once. With fewer in all there is no other process."""


def map_in_processes(
    work: Callable[[list[T]], list[R]], items: Iterable[T], *, batch_size: int = BATCH_SIZE
) -> Iterator[R]:
    """What `work` makes of the items. It must be a function of a module, and the process has one thread.

    The first batch is worked here, so that what is loaded and compiled for it is there for all.
    """
    pieces = _split_batches(iter(items), batch_size)
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


def _split_batches(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while piece := list(islice(items, size)):
        yield piece
