"""A plain installation has no extras: only modules that an extra is for may import its packages."""

import json
import subprocess
import sys

import pytest

EXTRA_PACKAGES = ("apprise", "procrastinate", "psycopg", "psycopg_pool", "typst")

MODULES_FOR_EXTRAS = {
    "auditor.cluster.coordinator",
    "auditor.cluster.host_lock",
    "auditor.cluster.job_queue",
    "auditor.cluster.worker",
}

IMPORT_ALL_MODULES = """
import importlib, json, pkgutil, sys

for name in json.loads(sys.argv[1]):
    sys.modules[name] = None  # an import of it raises ModuleNotFoundError
failed = []
for package in ("probes", "storage", "auditor"):
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, package + "."):
        if module.name.endswith("__main__") or module.name.startswith("storage.migrations."):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError:
            failed.append(module.name)
print(json.dumps(failed))
"""


@pytest.mark.slow
def test_only_modules_for_extras_need_their_packages():
    arguments = [sys.executable, "-c", IMPORT_ALL_MODULES, json.dumps(EXTRA_PACKAGES)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert set(json.loads(result.stdout)) == MODULES_FOR_EXTRAS
