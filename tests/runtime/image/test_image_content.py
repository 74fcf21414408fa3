"""The image's content without Docker: its lock in an empty folder, its code in a read-only tree, a user without rights.

What the Dockerfile does is done by hand, as close as one machine allows: packages by hash into one folder, the code of
the build context beside it, no site-packages (`-S`), uid 65532 with no capability. A private mount namespace makes the
tree truly read-only and lets that user reach an interpreter that lives in somebody's home.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from provider_runtime.version import VERSION
from tests.fakes.aws import FakeAws, FakeParameter, FakeSecret
from tests.fakes.driver import DriverClient, Pod
from tests.fakes.patience import PATIENCE_SECONDS, wait_until
from tests.fakes.tokens import make_token
from tests.runtime.image.dockerfiles import parse_dockerfile

CONTEXT = Path(__file__).resolve().parents[3] / "provider_runtime"
USER_ID = 65532
STRANGER_ID = 12345
INIT_CAPABILITIES = "-all,+chown,+fowner,+dac_override"
"""Of the init container (architecture: decision 6), and not one more."""
INSTALL_SECONDS = 60
PYTHON_HOME = Path(sys.base_prefix)
_ROOM = """
set -eu
mount --bind "$PYTHON_HOME" "$ROOM/python"
mount --bind "$ROOM/image" "$ROOM/image"
mount -o remount,bind,ro "$ROOM/image"
cd /
exec setpriv --reuid "$AS_UID" --regid "$AS_UID" --clear-groups --no-new-privs \
  --inh-caps=-all --bounding-set="$CAPABILITIES" "$ROOM/python/bin/$PYTHON_NAME" -S "$@"
"""
"""Argument words are Python's. Only one that did not say `-S` would see packages that the lock does not name."""


@pytest.fixture(scope="module", autouse=True)
def _rights() -> None:
    if os.geteuid() != 0:
        pytest.skip("changing the user id needs root")
    if any(shutil.which(tool) is None for tool in ("unshare", "setpriv")):
        pytest.skip("unshare and setpriv (util-linux) are not installed")
    private = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True)  # noqa: S607
    if private.returncode != 0:
        pytest.skip("this container may not have mount namespaces of its own")


@pytest.fixture(scope="module")
def room(_rights: None) -> Iterator[Path]:
    """The image's tree, and a socket directory beside it, where any user can reach them."""
    with tempfile.TemporaryDirectory(prefix="lsp-", dir="/tmp") as name:
        room = Path(name)
        room.chmod(0o755)
        for part in ("python", "image", "sockets"):
            (room / part).mkdir()
        _install(room / "image" / "packages")
        code = room / "image" / "provider_runtime"
        code.mkdir()
        shutil.copytree(CONTEXT / "csi_v1alpha1", code / "csi_v1alpha1", ignore=shutil.ignore_patterns("__pycache__"))
        for path in CONTEXT.glob("*.py"):
            shutil.copy(path, code)
        yield room


def _install(target: Path) -> None:
    lock = CONTEXT / "requirements.txt"
    uv = shutil.which("uv")
    if uv is not None and subprocess.run([uv, "--version"], check=False, capture_output=True).returncode == 0:  # noqa: S603
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    else:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--target", str(target), "-r", str(lock)]
    try:
        done = subprocess.run(  # noqa: S603  # a fixed list
            command, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"the package index did not answer within {INSTALL_SECONDS} s")
    if done.returncode != 0 and "hash" not in done.stderr.lower():
        pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def _start(room: Path, user_id: int, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  # our own words
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ROOM, "sh", *words],  # noqa: S607
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{room}/image:{room}/image/packages",
            "PYTHONSAFEPATH": "1",
            "PYTHON_HOME": str(PYTHON_HOME),
            "PYTHON_NAME": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "LD_LIBRARY_PATH": f"{room}/python/lib",
            "ROOM": str(room),
            "AS_UID": str(user_id),
            "CAPABILITIES": INIT_CAPABILITIES if user_id == 0 else "-all",
            **environment,
        },
    )


def _prepare(room: Path) -> None:
    """What the init container does, with the image's code and that container's capabilities."""
    words = ("-m", "provider_runtime", "prepare-socket-dir", f"--provider-volume={room}/sockets", f"--group={USER_ID}")
    with _start(room, 0, *words) as process:
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors


def _listing(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in sorted(root.rglob("*"))}


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    def is_there() -> bool:
        assert process.poll() is None, process.communicate()
        return path.exists()

    wait_until(is_there, f"{path} is there")


@pytest.fixture(scope="module")
def aws() -> Iterator[FakeAws]:
    with FakeAws() as aws:
        aws.secrets["eu-west-1", "shop/db"] = FakeSecret(value="s3cret", version_id="v-1")
        aws.parameters["eu-west-1", "/shop/url"] = FakeParameter(value="http://shop", version=7)
        yield aws


@pytest.fixture(scope="module")
def daemon(room: Path, aws: FakeAws) -> Iterator[subprocess.Popen[str]]:
    """The image's process, serving; killed at the end if a test did not stop it."""
    _prepare(room)
    words = ("-m", "provider_runtime", f"--provider-volume={room}/sockets")
    with _start(room, USER_ID, *words, AWS_ENDPOINT_URL=aws.url) as process:
        try:
            _wait_for(room / "sockets" / "aws.sock", process)
            yield process
        finally:
            process.kill()


@pytest.mark.usefixtures("daemon")
def test_the_folder_alone_with_its_lock_mounts_and_writes_nothing(room: Path, aws: FakeAws) -> None:
    before = _listing(room / "image")
    objects = """
- {objectName: shop/db, objectType: secretsmanager, objectAlias: db}
- {objectName: /shop/url, objectType: ssmparameter, objectAlias: url}
"""
    tokens = {"sts.amazonaws.com": make_token("shop", "web")}
    pod = Pod(objects=objects, region="eu-west-1", namespace="shop", service_account="web", tokens=tokens)

    with DriverClient(room / "sockets" / "aws.sock") as driver:
        answer = driver.mount(pod)
        version = driver.version()

    assert answer.code is grpc.StatusCode.OK, answer.text
    assert answer.files == {"db": (b"s3cret", 0o644), "url": (b"http://shop", 0o644)}
    assert version.runtime_version == VERSION
    assert len(aws.calls) == 3
    assert _listing(room / "image") == before


def test_the_process_has_no_rights(daemon: subprocess.Popen[str]) -> None:
    lines = Path(f"/proc/{daemon.pid}/status").read_text(encoding="utf-8").splitlines()
    status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}

    assert status["Uid"] == [str(USER_ID)] * 4
    assert status["Gid"] == [str(USER_ID)] * 4
    assert status["Groups"] == []
    assert {status[kind][0].strip("0") for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd")} == {""}
    assert status["NoNewPrivs"] == ["1"]


@pytest.mark.usefixtures("daemon")
def test_the_directory_is_roots_and_the_groups_and_the_socket_is_the_providers_alone(room: Path) -> None:
    directory, socket_file = (room / "sockets").stat(), (room / "sockets" / "aws.sock").stat()

    assert (directory.st_uid, directory.st_gid, stat.S_IMODE(directory.st_mode)) == (0, USER_ID, 0o1775)
    assert (socket_file.st_uid, socket_file.st_gid, stat.S_IMODE(socket_file.st_mode)) == (USER_ID, USER_ID, 0o600)


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize(("user_id", "outcome"), [(STRANGER_ID, "PermissionError"), (USER_ID, "connected")])
def test_another_user_cannot_connect(room: Path, user_id: int, outcome: str) -> None:
    script = (
        "import socket, sys\n"
        "try: socket.socket(socket.AF_UNIX).connect(sys.argv[1]); print('connected')\n"
        "except OSError as error: print(type(error).__name__)\n"
    )

    with _start(room, user_id, "-c", script, f"{room}/sockets/aws.sock") as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert output.strip() == outcome, errors


def test_the_bill_of_materials_lists_what_the_lock_lists(room: Path) -> None:
    program = CONTEXT / "bill_of_materials.py"
    runs = [each.rest for each in parse_dockerfile((CONTEXT / "Dockerfile").read_text("utf-8"))]
    wanted = f"python -P /opt/lockstep/provider_runtime/{program.name} /opt/lockstep/packages /build/sbom.cdx.json"
    assert wanted in runs, "the build runs this very program"
    target = room / "sbom.cdx.json"

    subprocess.run(  # noqa: S603  # as the build does
        [sys.executable, "-P", str(program), str(room / "image" / "packages"), str(target)], check=True
    )

    document = json.loads(target.read_text("utf-8"))
    lock = (CONTEXT / "requirements.txt").read_text("utf-8").splitlines()
    locked = {line.split(" ")[0].lower() for line in lock if "==" in line}
    assert document["bomFormat"] == "CycloneDX"
    assert {f"{each['name']}=={each['version']}".replace("_", "-") for each in document["components"]} == locked


def test_sigterm_drains_and_leaves_no_socket(room: Path, daemon: subprocess.Popen[str]) -> None:
    """The last test of this module: it ends the shared process."""
    daemon.send_signal(signal.SIGTERM)

    _, errors = daemon.communicate(timeout=PATIENCE_SECONDS)

    assert daemon.returncode == 0, errors
    assert list((room / "sockets").iterdir()) == []
