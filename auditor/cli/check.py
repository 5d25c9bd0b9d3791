"""`identify` and `check`: identify and check links that need not be in the registry.

Also `map_in_processes`, with which `identify` uses all CPU cores for large inputs.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeVar

import typer

from auditor.cli.context import (
    CliContext,
    FormatOption,
    JsonOption,
    examples,
    get_cli_context,
    get_current_time,
)
from auditor.cli.output import (
    choose_table_format,
    format_tsv_row,
    print_data,
    print_json,
    print_table,
    print_tsv,
    show_progress,
)
from auditor.core import runtime
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import encode_json_item, iter_encoded_document
from probes.links import channel_registry
from probes.links.identify import identify_link
from probes.models.finding import Identity
from storage.errors import build_file_error

if TYPE_CHECKING:
    from auditor.checking.checker import LinkCheck

IDENTITY_COLUMNS = ("channel", "kind", "key", "note", "input")
MAX_LIST_BYTES = 256 * 1024 * 1024
"""Bytes of a list of links: several million."""
FINDING_COLUMNS = ("channel", "presence", "reason", "last_activity", "input", "name")


@examples("auditor identify links.txt", "auditor identify --json https://www.facebook.com/example")
def identify(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="File with one link per line, or a single link, or - for standard input.",
        ),
    ] = "-",
    channel: Annotated[
        str | None, typer.Option(help="Read every value as an account on this channel.")
    ] = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Identify which account each link points to.

    Makes no network requests. Each line is a link, or the name of a channel, a tab and what was
    typed for that channel, such as a user name.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    _validate_channel(channel)
    lines = _read_lines(file)
    runtime.resume_garbage_collection()
    if table_format == "json":
        encoded = map_in_processes(partial(_identify_as_json, channel), lines)
        print_data("".join(iter_encoded_document(encoded, get_current_time())))
    elif table_format == "tsv":
        print_tsv(IDENTITY_COLUMNS, map_in_processes(partial(_identify_as_rows, channel), lines))
    else:
        print_table(IDENTITY_COLUMNS, _identify_lines(channel, lines), table_format)


def _identify_as_json(channel: str | None, lines: list[str]) -> list[str]:
    """Return the items as one JSON text: cheaper to pass between processes than objects."""
    if not lines:
        return []
    return [",\n".join(map(encode_json_item, _identify_lines(channel, lines)))]


def _identify_as_rows(channel: str | None, lines: list[str]) -> list[str]:
    """Return the rows as one text of tab-separated values."""
    if not lines:
        return []
    cells = map(itemgetter(*IDENTITY_COLUMNS), _identify_lines(channel, lines))
    return ["\n".join(map(format_tsv_row, cells))]


def _identify_lines(channel: str | None, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        typed_text, column = _split_line(line, channel)
        yield build_identity_item(typed_text, identify_link(typed_text, column))


@examples("auditor check https://example.org", "auditor check --json https://x.com/example")
def check(
    context: typer.Context,
    links: Annotated[
        list[str],
        typer.Argument(
            metavar="LINK…",
            help="Links to check, or - to read them from standard input, one per line.",
        ),
    ],
    channel: Annotated[
        str | None, typer.Option(help="Read every value as an account on this channel.")
    ] = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check links now and print the findings.

    Needs no registry and no database. Stores nothing.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    _validate_channel(channel)
    lines: list[str] = []
    for link in links:
        lines.extend(_read_lines("-") if link == "-" else [link])
    cli_context = get_cli_context(context)
    inputs = [_split_line(line, channel) for line in lines]
    checked = runtime.run_async(_check_links(cli_context, inputs))
    items = list(map(build_check_item, checked))
    if table_format == "json":
        print_json(items, get_current_time())
        return
    words = {"last_activity": lambda timestamp: timestamp[:10]}
    print_table(FINDING_COLUMNS, items, table_format, words=words)


async def _check_links(
    cli_context: CliContext, inputs: list[tuple[str, str | None]]
) -> list[LinkCheck]:
    # `identify` needs none of them
    from auditor.app import create_fetcher, create_parser_pool  # noqa: PLC0415
    from auditor.checking import checker  # noqa: PLC0415

    links = [(text, identify_link(text, column)) for text, column in inputs]
    config = cli_context.load_config()
    with show_progress("checking", quiet=cli_context.quiet) as on_progress:
        async with (
            create_parser_pool() as pool,
            create_fetcher(config, get_current_time(), parsers=pool) as fetcher,
        ):
            await checker.refuse_broken_parsers(pool)
            counter = iter(range(1, len(links) + 1))
            account_checker = checker.AccountChecker(
                fetcher, pool, checker.create_api_budgets(config)
            )
            checked = await checker.check_links(
                links, account_checker, lambda: on_progress(next(counter), len(links))
            )
    return [keep_audited_channels(link_check, config.channels) for link_check in checked]


def keep_audited_channels(checked: LinkCheck, channels: Collection[str]) -> LinkCheck:
    """Return the check without links to accounts on channels that are not audited."""
    finding = checked.result.finding
    links = tuple(link for link in finding.links if link.channel in channels)
    return replace(checked, result=replace(checked.result, finding=replace(finding, links=links)))


def build_identity_item(link_text: str, identity: Identity) -> dict[str, Any]:
    """Return an item of `identify --json`."""
    return {
        "input": link_text,
        "channel": identity.channel,
        "kind": str(identity.kind),
        "key": identity.key,
        "canonical": identity.canonical,
        "note": identity.note,
    }


def build_check_item(checked: LinkCheck) -> dict[str, Any]:
    """Return an item of `check --json`."""
    # `identify` does not need it
    from auditor.evaluation.association_view import get_rhythm_days  # noqa: PLC0415

    finding = checked.result.finding
    activity = finding.last_activity
    links: dict[bool, list[dict[str, str | None]]] = {False: [], True: []}
    for link in finding.links:
        item = {name: getattr(link, name) for name in ("channel", "key", "canonical", "source")}
        links[channel_registry.is_optional_channel(link.channel)].append(item)
    return {
        **build_identity_item(checked.typed, checked.identity),
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
        "links": links[False],
        "optional_links": links[True],
        "detail": finding.detail,
        "requests": checked.request_count,
    }


def _split_line(line: str, default_channel: str | None) -> tuple[str, str | None]:
    """Return the typed text of a line and its channel.

    The text before a tab is the channel if it names one. Otherwise the whole line is the typed
    text, and its channel is `default_channel`.
    """
    prefix, tab, typed_text = line.partition("\t")
    channel = prefix.strip().lower()
    if tab and channel in channel_registry.list_channels():
        return typed_text, channel
    return line, default_channel


def _validate_channel(channel: str | None) -> None:
    """Raise UsageError if there is no such channel."""
    known_channels = channel_registry.list_channels()
    if channel is not None and channel not in known_channels:
        names = ", ".join(sorted(known_channels))
        raise UsageError(f"--channel {channel}", "there is no such channel", f"one of {names}")


def _read_lines(source: str) -> Iterable[str]:
    """Return the lines of a file or of standard input (`-`), or a link that was given directly."""
    if source == "-":
        if hasattr(sys.stdin, "buffer"):
            return _split_lines(_read_list(sys.stdin.buffer, "standard input"))
        return _split_lines(sys.stdin.read().encode())
    if "://" in source:
        return [source]
    try:
        with Path(source).open("rb") as file:
            return _split_lines(_read_list(file, source))
    except OSError as error:
        raise build_file_error(error, f"cannot read {source}") from None


def _read_list(file: BinaryIO, name: str) -> bytes:
    """Return the content of a file. A device or a pipe has no size before it is read."""
    data = file.read(MAX_LIST_BYTES + 1)
    if len(data) > MAX_LIST_BYTES:
        size = f"it has more than {MAX_LIST_BYTES // 1024 // 1024} MB"
        raise InputError(f"cannot read {name}", size, "split it into several files")
    return data


def _split_lines(data: bytes) -> Iterator[str]:
    """Yield the lines. Only a line feed ends a line, and empty lines are kept."""
    text = data.decode("utf-8-sig", errors="replace")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for line in lines:
        yield line.removesuffix("\r")


T = TypeVar("T")
R = TypeVar("R")

BATCH_SIZE = 4_000
"""Items in one batch of a process. Smaller inputs need no other process."""


def map_in_processes(
    work: Callable[[list[T]], list[R]], items: Iterable[T], *, batch_size: int = BATCH_SIZE
) -> Iterator[R]:
    """Yield the results of `work` in the order of the items, with one process for each CPU core.

    `work` must be a function of a module, because it is pickled. This process must have one thread,
    because it is forked. It works on the first batch itself, so the other processes inherit the
    modules and compiled patterns that `work` has loaded.
    """
    iterator = iter(items)
    batches = iter(lambda: list(islice(iterator, batch_size)), [])
    yield from work(next(batches, []))
    second_batch = next(batches, None)
    if second_batch is None:
        return
    remaining_batches = chain([second_batch], batches)
    core_count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if core_count == 1:
        yield from chain.from_iterable(map(work, remaining_batches))
        return
    gc.freeze()  # a collection in a forked process would copy the memory that is shared
    with multiprocessing.get_context("fork").Pool(
        core_count, signal.signal, (signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        yield from chain.from_iterable(pool.imap(work, remaining_batches))
