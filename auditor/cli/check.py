"""`identify` and `check`: identify and check links that need not be in the registry."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    print_data_parts,
    print_json,
    print_table,
    show_progress,
)
from auditor.core import runtime
from auditor.core.errors import UsageError
from auditor.core.formatting import iter_json_document
from probes.links import channel_registry
from probes.links.identify import identify_link
from probes.models.finding import Identity
from storage.errors import build_file_error

if TYPE_CHECKING:
    from auditor.checking.checker import LinkCheck

IDENTITY_COLUMNS = ("channel", "kind", "key", "note", "input")
FINDING_COLUMNS = ("channel", "presence", "reason", "last_activity", "input", "name")


@examples("auditor identify links.txt", "auditor identify --json https://www.facebook.com/example")
def identify(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="File with one link per line, a link that begins with https://, or - for standard "
            "input.",
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
    runtime.resume_garbage_collection()
    typed = (_split_line(line, channel) for line in _read_lines(file))
    items = (build_identity_item(text, identify_link(text, column)) for text, column in typed)
    if table_format == "json":
        print_data_parts(iter_json_document(items, get_current_time()))
    else:
        print_table(IDENTITY_COLUMNS, items, table_format)


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
    lines = [line for link in links for line in (_read_lines("-") if link == "-" else [link])]
    cli_context = get_cli_context(context)
    typed = [_split_line(line, channel) for line in lines]
    items = list(map(build_check_item, runtime.run_async(_check_links(cli_context, typed))))
    if table_format == "json":
        print_json(items, get_current_time())
        return
    print_table(
        FINDING_COLUMNS,
        items,
        table_format,
        words={"last_activity": lambda timestamp: timestamp[:10]},
    )
    if any(item["reason"] == "unsafe_address" for item in items):
        cli_context.print_note("internal addresses need an exemption: [fetch] allow_networks")


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
    from auditor.conclusions.association_view import get_rhythm_days  # noqa: PLC0415

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


def _read_lines(source: str) -> list[str]:
    """Return the lines of a file or of standard input (`-`), or a link that was given directly.

    Only a line feed ends a line, and empty lines are kept.
    """
    if "://" in source:
        return [source]
    if Path(source).suffix.lower() in {".csv", ".ods", ".xls", ".xlsx"}:
        command = f"`auditor registry import --dry-run {source}`"
        raise UsageError(source, "a spreadsheet is not a list of links", command)
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise build_file_error(error, f"cannot read {source}") from None
    text = data.decode("utf-8-sig", errors="replace").removesuffix("\n")
    return [line.removesuffix("\r") for line in text.split("\n")] if data else []
