"""The list of all commands, the options that they share, and the handling of errors.

Exit codes: 0 success, 1 unexpected error, 2 invalid command line, 3 invalid configuration or
input, 4 incomplete or outdated run, 5 another run holds the lock, 130 interrupted (finished work is
kept).
"""

import atexit
import gc
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal

import typer

from auditor import __version__
from auditor.cli.context import (
    INTERRUPTED_EXIT_CODE,
    CliContext,
    GroupWithExamples,
    examples,
    make_group,
    show_examples,
)
from auditor.cli.output import print_message
from auditor.core import log_setup, runtime
from auditor.core.errors import AuditorError, ConfigError, InputError
from probes.log import EventLogger
from storage.errors import StoreError, build_file_error, is_file_error

logger = EventLogger(__name__)

INTERRUPTED_MESSAGE = "interrupted; finished work is kept"

COMMAND_SECTIONS = {
    "Start": {
        "demo": ("serve", "Demonstrate the auditor with a fictional network."),
        "init": ("setup", "Create a configuration file and an empty registry."),
        "doctor": ("setup", "Check the installation, configuration and data."),
    },
    "Associations": {
        "registry": ("registry", "Import, validate and export the registry of associations."),
        "check": ("check", "Check links now and print the findings."),
        "identify": ("check", "Identify which account each link points to."),
    },
    "Runs": {
        "run": ("audit", "Run the nightly audit."),
        "serve": ("serve", "Run the audit on schedule and serve the web pages."),
        "worker": ("audit", "Check accounts for a run that another machine coordinates."),
        "status": ("status", "Show how the last run went and when the next one starts."),
        "reevaluate": ("audit", "Re-evaluate all observations with the current rules."),
    },
    "Results": {
        "gaps": ("reports", "List the open gaps, broken ones first."),
        "report": ("reports", "Show the report of an association or the network."),
        "export": ("reports", "Export gaps, associations or figures to a file."),
        "publish": ("reports", "Write the pages of the network as a static website."),
        "digest": ("digest", "Send the digest of the last run and the monthly reports."),
        "report-links": ("report_links", "Create and manage the report links of associations."),
    },
    "Decisions and users": {
        "decide": ("decisions", "Record what people know about accounts and gaps."),
        "user": ("setup", "Manage who may log in to the web pages."),
    },
    "Data": {
        "backup": ("maintenance", "Back up the database and its evidence."),
        "restore": ("maintenance", "Replace the database with a backup."),
        "upgrade": ("maintenance", "Upgrade the database to the schema of this version."),
        "prune": ("maintenance", "Delete old evidence and expired data."),
    },
}
"""The sections of `auditor --help`, with the module and the first line of each command."""
COMMANDS = {name: place for section in COMMAND_SECTIONS.values() for name, place in section.items()}


class RootGroup(GroupWithExamples):
    """All commands, which the help lists in sections without loading them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # Click passes it
        """Write a section of the help for each section of commands."""
        width = max(map(len, COMMANDS))
        for heading, section in COMMAND_SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), text) for name, (_, text) in section.items()]
                )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return a command, or suggest similar names, those of unloaded commands included."""
        unloaded: dict[str, Any] = dict.fromkeys(COMMANDS)
        self.commands = {**unloaded, **self.commands}
        return super().resolve_command(ctx, args)


def build_command_line(names: Iterable[str] = tuple(COMMANDS)) -> typer.Typer:
    """Return the command line with these commands.

    Only their modules are imported, because some load the whole program.
    """
    cli = make_group(
        "Audit the websites and social accounts of a network of associations.",
        name="auditor",
        cls=RootGroup,
    )
    cli.callback()(store_common_options)
    for name in names:
        module = import_module(f"auditor.cli.{COMMANDS[name][0]}")
        identifier = name.replace("-", "_")
        group = getattr(module, f"{identifier}_app", None)
        if group:
            show_examples(group)
            cli.add_typer(group, name=name, cls=GroupWithExamples)
        else:
            cli.command(name)(getattr(module, identifier))
    show_examples(cli)
    return cli


def _is_debug_enabled() -> bool:
    return bool(os.environ.get("AUDITOR_DEBUG"))


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"auditor {__version__}")
        raise typer.Exit


@examples("auditor demo", "auditor init")
def store_common_options(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            readable=False,
            help="Read this configuration file. The default is the variable AUDITOR_CONFIG, "
            "then config.toml in the current folder.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only data, warnings and errors.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback for every error.")
    ] = False,
    lang: Annotated[
        Literal["ar", "fr", "en"] | None,
        typer.Option(
            help="Print gaps, reports and exports in this language. The default is that of the "
            "terminal."
        ),
    ] = None,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Print without color, as if NO_COLOR is set.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Store the options that every command accepts."""
    if no_color:
        os.environ["NO_COLOR"] = "1"  # Rich reads it, for tables and for progress bars
    context.obj = CliContext(config, quiet, debug or _is_debug_enabled(), lang)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    `argv` are the arguments without the name of the program; None means those of the process.
    """
    gc.set_threshold(*runtime.REDUCED_GC_THRESHOLDS)
    if argv is None:
        runtime.prepare_streams()
        gc.disable()  # until the configuration is loaded: `CliContext.load_config`
        atexit.register(gc.freeze)  # a collection at the end of the process takes a fifth of it
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or _is_debug_enabled()
    sys.excepthook = sys.__excepthook__ if debug else _report_unexpected_error
    log_setup.configure_logging(debug=debug)
    try:
        common, others = split_common_options(arguments)
        names = [word for word in others[:1] if word in COMMANDS]
        command = typer.main.get_command(build_command_line(names))
        command(args=[*common, *others], prog_name="auditor")
    except KeyboardInterrupt:  # before the command began; later, Typer exits with this code
        print_message(INTERRUPTED_MESSAGE)
        return INTERRUPTED_EXIT_CODE
    except SystemExit as exit_request:
        if exit_request.code == INTERRUPTED_EXIT_CODE:
            print_message(INTERRUPTED_MESSAGE)
        if isinstance(exit_request.code, int):
            return exit_request.code
        return 0 if exit_request.code is None else 1
    except (AuditorError, StoreError, UnicodeEncodeError) as error:
        if isinstance(error, UnicodeEncodeError):  # an argument in another encoding
            error = InputError(ascii(error.object), "not UTF-8")
        exit_code = error.exit_code if isinstance(error, AuditorError) else ConfigError.exit_code
        _report_failure(error, exit_code, debug=debug)
        return exit_code
    except OSError as error:
        if not is_file_error(error):
            raise
        _drop_unwritable_output()
        _report_failure(
            error if debug else build_file_error(error), ConfigError.exit_code, debug=debug
        )
        return ConfigError.exit_code
    return 0


def _drop_unwritable_output() -> None:
    """Drop output that cannot be written. Python would try again at the exit and fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_failure(error: Exception, exit_code: int, *, debug: bool) -> None:
    """Print why the command failed, or log it as an event if the log is for a machine."""
    if debug:
        sys.__excepthook__(type(error), error, error.__traceback__)
    if log_setup.is_json_logging() or log_setup.is_journald_stream(sys.stderr, os.environ):
        logger.error("command_failed", "{cause}", cause=str(error), code=exit_code)
    else:
        print_message(f"error: {error}")


def split_common_options(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the common options, which have to come first, and the other arguments.

    Users may type these options, and `--json`, before or after the command. Arguments after `--`
    are not changed.
    """
    common: list[str] = []
    others: list[str] = []
    last: list[str] = []
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        if argument == "--":
            return common, [*others, *last, argument, *remaining]
        is_flag = argument in {"--quiet", "-q", "--debug", "--no-color"}
        if is_flag or argument.startswith(("--config=", "--lang=")):
            common.append(argument)
        elif argument in {"--config", "--lang"} and remaining:
            common += [argument, remaining.pop(0)]
        else:
            (last if argument == "--json" else others).append(argument)
    return common, [*others, *last]


def _report_unexpected_error(
    error_type: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    print_message(
        f"error: unexpected {error_type.__name__}: {error}; "
        f"try: the same command with --debug, and report its output"
    )
