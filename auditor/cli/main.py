"""The list of all commands, the options that they share, and the handling of errors.

Exit codes: 0 success, 1 unexpected error, 2 invalid command line, 3 invalid configuration or
input, 4 incomplete or outdated run, 5 another run holds the lock, 130 interrupted (finished work is
kept).
"""

import atexit
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal

import typer

from auditor import __version__
from auditor.cli import audit, check, maintenance, reports, setup, status
from auditor.cli.audit import worker
from auditor.cli.context import CliContext, GroupWithExamples, examples, make_group, show_examples
from auditor.cli.decisions import decide_app
from auditor.cli.demo import demo
from auditor.cli.digest import digest_app
from auditor.cli.erasure import erase_association, show_stored_data
from auditor.cli.output import print_message
from auditor.cli.registry import registry_app
from auditor.cli.report_links import report_links_app
from auditor.cli.reports import export
from auditor.cli.users import user_app
from auditor.core import log_setup, runtime
from auditor.core.errors import AuditorError, ConfigError, InputError
from probes.log import EventLogger
from storage.errors import StoreError, build_file_error, is_file_error

logger = EventLogger(__name__)

INTERRUPTED_EXIT_CODE = 130
LONE_SURROGATES = re.compile("[\ud800-\udfff]")

COMMAND_SECTIONS = {
    "Start": ("demo", "init", "doctor"),
    "Associations": ("registry", "check", "identify"),
    "Runs": ("run", "serve", "worker", "status", "reevaluate"),
    "Results": ("gaps", "report", "export", "publish", "digest", "report-links"),
    "Decisions and users": ("decide", "user"),
    "Data": ("backup", "restore", "upgrade", "prune"),
}
"""The sections of `auditor --help`, each with its commands."""


class RootGroup(GroupWithExamples):
    """All commands, which the help lists in sections."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # Click passes it
        """Write a section of the help for each section of commands."""
        width = max(map(len, self.commands))
        for heading, names in COMMAND_SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (name.ljust(width), self.commands[name].get_short_help_str(limit=100))
                        for name in names
                    ]
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
COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "init": setup.init,
    "check": check.check,
    "identify": check.identify,
    "run": audit.run,
    "serve": audit.serve,
    "worker": worker,
    "status": status.status,
    "gaps": reports.gaps,
    "report": reports.report,
    "export": export,
    "publish": reports.publish,
    "reevaluate": audit.reevaluate,
    "backup": maintenance.backup,
    "restore": maintenance.restore,
    "upgrade": maintenance.upgrade,
    "prune": maintenance.prune,
    "doctor": setup.doctor,
}


def build_command_line(command_name: str | None = None) -> typer.Typer:
    """Return the command line with all commands, or only with this one if its name is known.

    Typer reads the signature of every command, which takes 0.03 s for all (measured 2026-11).
    """
    commands, groups = COMMANDS, COMMAND_GROUPS
    if command_name in COMMANDS:
        commands, groups = {command_name: COMMANDS[command_name]}, {}
    elif command_name in COMMAND_GROUPS:
        commands, groups = {}, {command_name: COMMAND_GROUPS[command_name]}
    cli = make_group(
        "Audit the websites and social accounts of a network of associations.",
        name="auditor",
        cls=RootGroup,
    )
    cli.callback()(store_common_options)
    for name, group in groups.items():
        show_examples(group)
        cli.add_typer(group, name=name, cls=GroupWithExamples)
    for name, command in commands.items():
        cli.command(name)(command)
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
            help="Print messages in this language. The default is the language of the terminal."
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
    arguments = tuple(context.obj or ())
    context.obj = CliContext(config, quiet, debug or _is_debug_enabled(), lang, arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    `argv` are the arguments without the name of the program; None means those of the process.
    """
    gc.set_threshold(*runtime.REDUCED_GC_THRESHOLDS)
    if argv is None:
        runtime.open_missing_streams()
        gc.disable()  # until the configuration is loaded: `CliContext.load_config`
        atexit.register(gc.freeze)  # a collection at the end of the process takes a fifth of it
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or _is_debug_enabled()
    sys.excepthook = sys.__excepthook__ if debug else _report_unexpected_error
    log_setup.configure_logging(debug=debug)
    try:
        common, others = split_common_options(arguments)
        cli = build_command_line(next(iter(others), None))
        typer.main.get_command(cli)(args=[*common, *others], prog_name="auditor", obj=arguments)
    except KeyboardInterrupt:  # before the command began; later, Typer exits with this code
        _report_interruption(arguments)
        return INTERRUPTED_EXIT_CODE
    except SystemExit as exit_request:
        if exit_request.code == INTERRUPTED_EXIT_CODE:
            _report_interruption(arguments)
        if isinstance(exit_request.code, int):
            return exit_request.code
        return 0 if exit_request.code is None else 1
    except (AuditorError, StoreError) as error:
        exit_code = error.exit_code if isinstance(error, AuditorError) else ConfigError.exit_code
        _report_failure(error, exit_code, debug=debug)
        return exit_code
    except (OSError, UnicodeEncodeError, RuntimeError) as error:
        failure = _explain_failure(error, arguments)
        if failure is None:
            raise
        _report_failure(error if debug else failure, ConfigError.exit_code, debug=debug)
        return ConfigError.exit_code
    return 0


def _report_interruption(arguments: Sequence[str]) -> None:
    CliContext(requested_language=_find_language_option(arguments)).print_translated(
        "interrupted; finished work is kept"
    )


def _explain_failure(
    error: OSError | UnicodeEncodeError | RuntimeError, arguments: Sequence[str]
) -> Exception | None:
    """Return the error that names what an operator can change, or None if that is unknown."""
    if isinstance(error, RuntimeError):
        return _explain_runtime_error(error)
    if isinstance(error, UnicodeEncodeError):
        if LONE_SURROGATES.search("".join(arguments)):  # bytes that Python could not decode
            return InputError("the command line", "this is not valid UTF-8", "the text in UTF-8")
        return None
    if is_file_error(error):
        return build_file_error(error)
    if _is_current_folder_deleted():
        return InputError("the current folder", "it was deleted", "another folder")
    return None


def _explain_runtime_error(error: RuntimeError) -> Exception | None:
    if not str(error).startswith("can't start new thread"):  # the text of CPython
        return None
    return ConfigError(
        "cannot start a thread",
        "the limit of processes is reached",
        "a higher one (`ulimit -u`, TasksMax, pids_limit)",
    )


def _is_current_folder_deleted() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


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

    Users may type these options before or after the command. Arguments after `--` are not changed.
    """
    common: list[str] = []
    others: list[str] = []
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        if argument == "--":
            return common, [*others, argument, *remaining]
        is_flag = argument in {"--quiet", "-q", "--debug", "--no-color"}
        if is_flag or argument.startswith(("--config=", "--lang=")):
            common.append(argument)
        elif argument in {"--config", "--lang"} and remaining:
            common += [argument, remaining.pop(0)]
        else:
            others.append(argument)
    return common, others


def _find_language_option(arguments: Sequence[str]) -> str | None:
    """Return the value of `--lang`, or None if it is missing or invalid."""
    match = re.search(r"--lang[ =](ar|fr|en)\b", " ".join(arguments))
    return match[1] if match else None


def _report_unexpected_error(
    error_type: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    print_message(
        f"error: unexpected {error_type.__name__}: {error}; "
        f"try: the same command with --debug, and report its output"
    )
