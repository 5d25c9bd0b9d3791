"""Plant faults into the modules that judge, and count how many the tests notice.

    python -m tests.mutants [--per-module 12] [--seed 1]

mutmut plants the faults: other comparisons, conditions, numbers, arguments and returned values. Of
those of each module, some are drawn; the same seed draws the same ones from the same code. Faults
in texts are left out, because tests do not repeat texts. Prints each fault that no test noticed,
and how many of each module were noticed. `[tool.mutmut]` in pyproject.toml names the modules and
the tests.
"""

import argparse
import ast
import json
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

FOLDER = Path("mutants")
UNNOTICED = {0, 33}
"""Exit codes of mutmut for a fault that no test noticed, and for one that no test executes."""


def run_mutmut(*arguments: str) -> None:
    """Run mutmut, which prints its progress."""
    subprocess.run([sys.executable, "-m", "mutmut", *arguments], check=False)


def draw_faults(module: Path, count: int, seed: int) -> list[str]:
    """Return the names of faults in a module, without those in texts."""
    functions = {
        node.name: node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    faulty = [name for name in functions if name.rpartition("__mutmut_")[2].isdigit()]
    random.Random(f"{seed} {module.name}").shuffle(faulty)
    dotted_name = ".".join(module.relative_to(FOLDER).with_suffix("").parts)
    drawn = (
        f"{dotted_name}.{name}"
        for name in faulty
        if _dump_without_texts(functions[name])
        != _dump_without_texts(functions[f"{name.rpartition('__mutmut_')[0]}__mutmut_orig"])
    )
    return list(islice(drawn, count))


def _dump_without_texts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(ast.Module([*function.args.defaults, *function.body], []))


def print_results(faults: dict[Path, list[str]]) -> None:
    """Print the faults that no test noticed, and how many of each module were noticed."""
    noticed_count = 0
    for module, names in faults.items():
        results = json.loads(Path(f"{module}.meta").read_text())["exit_code_by_key"]
        if None in map(results.get, names):
            sys.exit(f"mutmut tried not all faults of {module}; its output says why")
        unnoticed = [name for name in names if results[name] in UNNOTICED]
        for name in unnoticed:
            run_mutmut("show", name)
        noticed_count += len(names) - len(unnoticed)
        print(f"{len(names) - len(unnoticed):4} of {len(names):3}  {module.relative_to(FOLDER)}")
    count = sum(map(len, faults.values()))
    print(f"{noticed_count:4} of {count:3}  noticed, {noticed_count / count:.1%}")


def main() -> None:
    """Draw faults, let mutmut try them, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-module", type=int, default=12, help="faults of each module")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run_mutmut("run", "none")  # writes the faults, then finds none with this name
    modules = sorted(stored.with_suffix("") for stored in FOLDER.rglob("*.py.meta"))
    faults = {module: draw_faults(module, options.per_module, options.seed) for module in modules}
    run_mutmut("run", *(name for names in faults.values() for name in names))
    print_results(faults)


if __name__ == "__main__":
    main()
