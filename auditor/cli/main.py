"""The command line: commands, common options, and how an error ends.

Exit codes: 0 done, 1 unexpected, 2 usage, 3 configuration or input invalid, 4 run incomplete or
stale, 5 another run holds the lock, 130 interrupted with its state kept.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal

import typer

from auditor import __version__
from auditor.cli import audit, check, maintenance, reports, setup
from auditor.cli.audit import worker
from auditor.cli.context import CliContext
from auditor.cli.decisions import decide_app
from auditor.cli.digest import digest_app
from auditor.cli.erasure import erase_association, show_stored_data
from auditor.cli.help import GroupWithExamples, examples, make_group, show_examples
from auditor.cli.maintenance import receipts
from auditor.cli.output import print_message
from auditor.cli.registry import registry_app
from auditor.cli.report_links import report_links_app
from auditor.cli.reports import export
from auditor.cli.users import user_app
from auditor.core import log_setup, runtime
from auditor.core.errors import AuditorError, ConfigError
from probes.log import EventLogger
from storage.errors import StoreError, build_file_error, is_file_error

events = EventLogger(__name__)

INTERRUPTED_EXIT_CODE = 130

cli = make_group(
    "Audit the websites and social accounts of a network of associations.",
    name="auditor",
    cls=GroupWithExamples,
)
registry_app.command("show-data")(show_stored_data)
registry_app.command("erase")(erase_association)
COMMAND_GROUPS = {
    "registry": registry_app,
    "decide": decide_app,
    "digest": digest_app,
    "report-links": report_links_app,
    "user": user_app,
}
for name, group in COMMAND_GROUPS.items():
    show_examples(group)
    cli.add_typer(group, name=name, cls=GroupWithExamples)
for command in (
    reports.demo,
    setup.init,
    check.check,
    check.identify,
    audit.run,
    audit.serve,
    worker,
    audit.status,
    reports.gaps,
    reports.report,
    export,
    reports.publish,
    receipts,
    audit.reevaluate,
    maintenance.backup,
    maintenance.restore,
    maintenance.prune,
    setup.doctor,
):
    cli.command()(command)
show_examples(cli)


def _is_debug_enabled() -> bool:
    return bool(os.environ.get("AUDITOR_DEBUG"))


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"auditor {__version__}")
        raise typer.Exit


@cli.callback()
@examples("auditor demo", "auditor init")
def store_common_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            help="Read this configuration file. The default is AUDITOR_CONFIG, then config.toml.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print nothing unless something is wrong.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback for every error.")
    ] = False,
    lang: Annotated[
        Literal["ar", "fr", "en"] | None,
        typer.Option(
            help="Use this language for messages: ar, fr or en. "
            "The default is the language of the terminal."
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Keep the options that every command understands."""
    context.obj = CliContext(config, quiet, debug or _is_debug_enabled(), lang)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that was typed; give its exit code."""
    gc.set_threshold(*runtime.REDUCED_GC_THRESHOLDS)
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or _is_debug_enabled()
    sys.excepthook = sys.__excepthook__ if debug else _report_unexpected_error
    log_setup.configure_logging(debug=debug)
    try:
        typer.main.get_command(cli)(args=move_common_options_first(words), prog_name="auditor")
    except SystemExit as end:
        if end.code == INTERRUPTED_EXIT_CODE:
            CliContext(requested_language=_find_language_option(words)).print_translated(
                "interrupted; finished work is kept"
            )
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except (AuditorError, StoreError) as trouble:
        code = trouble.exit_code if isinstance(trouble, AuditorError) else ConfigError.exit_code
        _report_failure(trouble, code, debug=debug)
        return code
    except OSError as error:
        if not is_file_error(error):
            raise
        failure = error if debug else build_file_error(error)
        _report_failure(failure, ConfigError.exit_code, debug=debug)
        return ConfigError.exit_code
    return 0


def _report_failure(error: Exception, exit_code: int, *, debug: bool) -> None:
    """Tell why a command ended, to a person or as an event among the others."""
    if debug:
        sys.__excepthook__(type(error), error, error.__traceback__)
    if log_setup.is_json_logging() or log_setup.is_journald_stream(sys.stderr, os.environ):
        events.error("command_failed", "{trouble}", trouble=str(error), code=exit_code)
    else:
        print_message(f"error: {error}")


def move_common_options_first(arguments: list[str]) -> list[str]:
    """The same words with the common options before the command, wherever they were typed."""
    common: list[str] = []
    rest: list[str] = []
    while arguments:
        word = arguments.pop(0)
        if word == "--":
            return [*common, *rest, word, *arguments]
        if word in {"--quiet", "-q", "--debug"} or word.startswith(("--config=", "--lang=")):
            common.append(word)
        elif word in {"--config", "--lang"} and arguments:
            common += [word, arguments.pop(0)]
        else:
            rest.append(word)
    return [*common, *rest]


def _find_language_option(arguments: Sequence[str]) -> str | None:
    """The language that was typed, if any."""
    typed = re.search(r"--lang[ =](ar|fr|en)\b", " ".join(arguments))
    return typed[1] if typed else None


def _report_unexpected_error(
    error_type: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    print_message(
        f"error: unexpected {error_type.__name__}: {error}; try: the "
        f"same with --debug, and report what it prints"
    )
