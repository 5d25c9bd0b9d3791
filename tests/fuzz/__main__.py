"""Fuzz the parsers with coverage guidance: `make fuzz`.

    python -m tests.fuzz [--seconds 600] [--folder .fuzz] [TARGET ...]

Each target runs in processes of its own, as many at a time as there are cores, and all together
take the given time. Inputs that reach new code stay in FOLDER/corpus for the next time. An input
that raises or takes too long is written to FOLDER/findings; copy it to tests/fuzz/corpus/TARGET,
where `make test` tries it for ever.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

MAX_INPUT_BYTES = 65_536
MAX_INPUT_SECONDS = 10
MAX_MEMORY_MB = 2_048
MAX_SHOWN_CHARS = 4_000
INSTRUMENTED = ["probes", "auditor.registry", "storage.sanitize"]
"""Packages whose coverage guides the inputs."""
CHILD_OPTION = "--child"


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=int, default=600, help="time for all targets together")
    parser.add_argument("--folder", type=Path, default=Path(".fuzz"))
    parser.add_argument(CHILD_OPTION, action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def fuzz_target(target: str, seconds: int, folder: Path) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz import targets  # noqa: PLC0415 - only modules loaded here are instrumented

    corpus, findings = folder / "corpus" / target, folder / "findings"
    for path in (corpus, findings):
        path.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as seeds:
        for number, seed in enumerate(targets.list_seeds(target)):
            Path(seeds, str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={MAX_INPUT_BYTES}",
            f"-timeout={MAX_INPUT_SECONDS}",
            f"-rss_limit_mb={MAX_MEMORY_MB}",
            f"-artifact_prefix={findings}/{target}-",
            "-print_final_stats=1",
        ]
        for seed in targets.list_seeds(target)[:1]:
            targets.TARGETS[target](seed)  # opens files and servers, which takes long
        atheris.Setup([sys.argv[0], *options, str(corpus), seeds], targets.TARGETS[target])
        atheris.Fuzz()


def run_child(target: str, *, seconds: int, folder: Path) -> tuple[str, int, str]:
    """Fuzz one target in a child process. Return its name, exit code and output."""
    command = [sys.executable, "-m", "tests.fuzz", target, CHILD_OPTION]
    command += ["--seconds", str(seconds), "--folder", str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return target, process.returncode, process.stderr


def summarize(output: str) -> str:
    """Return the number of tried inputs, and of covered branches at the start and at the end."""
    tried = [line.split()[-1] for line in output.splitlines() if "number_of_executed" in line]
    covered = [line.split("cov: ")[1].split()[0] for line in output.splitlines() if "cov: " in line]
    first, last = (covered[0], covered[-1]) if covered else ("?", "?")
    return f"{tried[-1] if tried else '?'} inputs, coverage {first} to {last}"


def main() -> int:
    """Fuzz the targets and print one line for each. Return 1 if an input failed."""
    options = parse_arguments()
    if options.child:
        fuzz_target(options.targets[0], options.seconds, options.folder)
        return 0
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - after the children's instrumentation

    names = options.targets or list(TARGETS)
    workers = os.cpu_count() or 1
    seconds = max(5, options.seconds * workers // len(names))
    run = partial(run_child, seconds=seconds, folder=options.folder)
    failed_names = []
    with ThreadPoolExecutor(workers) as pool:
        for name, exit_code, output in pool.map(run, names):
            state = f"FAILED (exit code {exit_code})" if exit_code else "ok"
            sys.stdout.write(f"{name}: {state}, {summarize(output)}\n")
            sys.stdout.flush()
            if exit_code:
                failed_names.append(name)
                sys.stdout.write(output[-MAX_SHOWN_CHARS:])
    return int(bool(failed_names))


if __name__ == "__main__":
    sys.exit(main())
