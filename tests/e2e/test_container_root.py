"""Tests of the container: the image of the Containerfile, run with the settings of compose.yaml.

The image is built in a Debian root, without a registry. The containers have the image's user, a
read-only root, only the volumes of compose.yaml, and no network except a fake web on loopback.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from auditor.demo import play
from tests.support import container_root, debian_root
from tests.support.container_root import ContainerService, ImageBuilder

pytestmark = pytest.mark.xdist_group("container")

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
GUIDE = (ROOT / "docs" / "guides" / "container.md").read_text("utf-8")
CONTAINER_USER = 10321
PUBLIC_NAME, TEAM_NAME = "reports.example.org", "presence.example.org"
PERMISSION_DENIED = "permission denied; try: check its owner and permissions, and those of its"
WEB_SETTINGS = f"""
[web]
public_url = "https://{PUBLIC_NAME}"
allowed_hosts = ["{TEAM_NAME}"]
metrics_token_file = "secrets/metrics"
"""
SPREADSHEET = (
    "id,name,name_ar,region,website,facebook\n"
    "one,Association Une,جمعية الأولى,Souss-Massa,https://gazette-tamesna-sud.ma/,GazetteTamesnaSud\n"
)
START_SECONDS = 120
"""Longest time that `auditor serve` may take to answer. A loaded machine is slow."""

GET_AS_PROXY = """
import http.client, json, sys
address, port, name, path = sys.argv[1:]
connection = http.client.HTTPConnection(address, int(port), timeout=60)
headers = {"Host": name, "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
connection.request("GET", path, headers=headers)
response = connection.getresponse()
print(json.dumps([response.status, response.read().decode()]))
"""


@pytest.fixture(scope="module")
def work_folder():
    """Return a folder on the disk: two roots are too large for temporary files in memory."""
    reason = debian_root.find_missing_requirement()
    if reason is not None:
        pytest.skip(reason)
    debian_root.CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=debian_root.CACHE_FOLDER, prefix="test-") as folder:
        yield Path(folder)
        mounts = Path("/proc/self/mountinfo").read_text()
        assert folder not in mounts, "a mount would be deleted with the folder"


@pytest.fixture(scope="module")
def image(work_folder):
    """Build the image."""
    try:
        return ImageBuilder(ROOT, work_folder).build((ROOT / "Containerfile").read_text())
    except debian_root.MissingMirrorError as error:
        pytest.skip(str(error))


@pytest.fixture
def deploy_folder(work_folder):
    """Return a folder of compose.yaml with the permissions that the guide sets."""
    folder = work_folder / "deploy"
    (folder / "secrets").mkdir(parents=True)
    (folder / "secrets" / "metrics").write_text("a-token-of-more-than-twenty-characters\n")
    (folder / "config.toml").write_text(WEB_SETTINGS)
    set_permissions(folder)
    yield folder
    shutil.rmtree(folder)


def set_permissions(folder):
    """Run the commands of the guide in a folder that replaces `deploy`."""
    prefixes = ("chown -R", "chmod -R")
    commands = [line for line in GUIDE.splitlines() if line.startswith(prefixes)]
    assert len(commands) == 2
    script = "; ".join(commands).replace("deploy/", "")
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True)


@pytest.fixture
def service(image, deploy_folder, work_folder):
    """Return the service of compose.yaml with an empty data volume."""
    volumes = work_folder / "volumes"
    volumes.mkdir()
    opened = ContainerService(image, COMPOSE["services"]["auditor"], deploy_folder, volumes)
    yield opened
    opened.close()
    shutil.rmtree(volumes)


@pytest.fixture
def fake_web(service, deploy_folder):
    """Serve the demo's web in the network of the containers."""
    ca_file = deploy_folder / "secrets" / "ca.pem"
    command = [sys.executable, "-m", "auditor.demo", "--ca-file", str(ca_file)]
    with subprocess.Popen(
        [*service.enter_network(), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        port = int(process.stdout.readline())
        text = play.CONFIG_TEMPLATE.format(port=port).replace('"ca.pem"', '"secrets/ca.pem"')
        (deploy_folder / "config.toml").write_text(text + WEB_SETTINGS + play.build_demo_rules())
        set_permissions(deploy_folder)
        yield
        process.stdin.close()


@pytest.mark.slow
def test_container_is_unprivileged_and_writes_only_to_its_volume_and_tmp(service):
    user = f"uid={CONTAINER_USER}(auditor) gid={CONTAINER_USER}(auditor)"
    assert service.run("id").stdout.startswith(user)
    status = dict(
        line.split(":\t", 1) for line in service.run("cat", "/proc/self/status").stdout.splitlines()
    )
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    search = ["find", "/", "-path", "/proc", "-prune", "-o", "-path", "/dev/*", "-prune"]
    found = service.run(*search, "-o", "!", "-type", "l", "-writable", "-print")
    assert found.stdout.split() == ["/tmp", "/data"] or found.stdout.split() == ["/data", "/tmp"]


@pytest.mark.slow
def test_container_refuses_files_of_another_user_with_one_documented_line(
    service, deploy_folder, work_folder
):
    config, secret = "/etc/auditor/config.toml", "/etc/auditor/secrets/metrics"
    data = work_folder / "volumes" / "data"
    data.chmod(0o755)
    errors = re.findall(r"\| `(cannot [^`]+)` \|", GUIDE)
    documented = [re.escape(error).replace("…", r"\w+") for error in errors]
    for path, problem in (
        (deploy_folder / "config.toml", f"cannot read {config}"),
        (
            deploy_folder / "secrets",
            f"{config}: web.metrics_token_file: cannot read the secret file {secret}",
        ),
        (data, "cannot write to /data"),
    ):
        os.chown(path, 0, 0)  # writable by its owner only
        result = service.run(*service.image.command)
        line = f"error: {problem}: {PERMISSION_DENIED} folder\n"
        assert (result.returncode, result.stdout, result.stderr) == (3, "", line), path
        assert any(re.search(pattern, line) for pattern in documented), line
        set_permissions(deploy_folder)


@pytest.mark.slow
@pytest.mark.usefixtures("fake_web")
def test_container_runs_and_serves_on_read_only_root(service, work_folder):
    assert service.run("auditor", "init").returncode == 0
    data = work_folder / "volumes" / "data"
    (data / "registry.csv").write_text(SPREADSHEET)
    imported = service.run("auditor", "registry", "import", "--yes", "registry.csv")
    assert imported.returncode == 0, imported.stderr
    result = service.run("auditor", "--quiet", "run")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    with service.start() as process:
        wait_for_health(service, process)
        status = service.run_in_container(process, "auditor", "status", "--json")
        (item,) = json.loads(status.stdout)["items"]
        assert (item["state"], item["accounts"]) == ("done", 2)
        assert_pages_are_served(service)
        log = service.stop(process)
    assert process.returncode == 0, log
    assert "Traceback" not in log
    assert service.control_group.count_refusals() == {"memory": 0, "pids": 0}
    files = [file for file in data.rglob("*") if file.is_file()]
    names = {file.name for file in files if file.stat().st_mode & 0o007 and file.stat().st_size}
    assert names <= {"config.toml", "registry.csv"}, "only files of `auditor init`"


def wait_for_health(service, process):
    """Wait until the image's health check succeeds."""
    deadline = time.monotonic() + START_SECONDS
    while service.run_in_container(process, *service.image.health_check).returncode:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.2)


def assert_pages_are_served(service):
    """Open the login page under the allowed name only, through the proxy of compose.yaml."""
    status, page = get_page(service, TEAM_NAME, "/en/")
    assert status == 401
    assert 'type="password"' in page
    assert get_page(service, "other.example.org", "/en/")[0] == 403


def get_page(service, name, path):
    """Return status and body of a page, requested from the address of a proxy."""
    target = [container_root.SERVICE_ADDRESS, str(service.image.port)]
    result = subprocess.run(
        [*service.enter_network(), sys.executable, "-c", GET_AS_PROXY, *target, name, path],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)
