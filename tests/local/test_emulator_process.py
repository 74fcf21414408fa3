"""The emulator as a process: it starts only with what it was written for, listens on loopback only, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from local import emulator_pins
from local.emulator import ACCOUNT, Emulator, EmulatorError, make_client
from local.emulator_launcher import EXIT_REFUSED, READY_TEXT, parse_options
from local.emulator_pins import EmulatorChangedError, check_sources, check_version, source_digest
from tests.fakes.patience import PATIENCE_SECONDS
from tests.local.emulated_pods import GIVEN_KEY, GIVEN_SECRET, GIVEN_SUFFIX, ISSUER_URL, REGION


# ------------------------------------------------------------------------------------------------------- what it wraps
def test_another_version_is_refused_before_it_is_imported(project: Path, tmp_path: Path) -> None:
    metadata = tmp_path / "ministack-1.5.34.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 1.5.34\n")
    refused = _launch(project, tmp_path, shadow=tmp_path)
    assert refused.returncode == EXIT_REFUSED
    assert "ministack: 1.5.34 is installed. The emulator wraps functions of 1.5.33. Fix: " in refused.stderr


def test_a_changed_function_is_refused_and_named(project: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    _shadow_ministack(project, shadow, "core/iam_evaluator.py", old="if principal.policies is None:", new="if 1:")
    refused = _launch(project, tmp_path, shadow=shadow)
    assert refused.returncode == EXIT_REFUSED
    assert "ministack.core.iam_evaluator.enforce changed (sha256 " in refused.stderr
    assert "evaluate_trust_policy" not in refused.stderr


def test_a_function_that_is_gone_is_refused() -> None:
    def load(name: str) -> object:
        raise AttributeError(f"no attribute {name!r}")

    with pytest.raises(EmulatorChangedError, match=r"a\.b cannot be read .*; a\.c cannot be read"):
        check_sources({"a.b": "", "a.c": ""}, load)  # type: ignore[arg-type]


def test_what_was_pinned_is_accepted() -> None:
    check_version(emulator_pins.VERSION)
    check_sources({"any.name": source_digest(check_version)}, lambda _: check_version)


# -------------------------------------------------------------------------------------------------------- start and end
def test_without_its_environment_the_error_says_how_to_build_it(tmp_path: Path) -> None:
    emulator = Emulator(issuer=ISSUER_URL, jwks=tmp_path, work_dir=tmp_path, python=tmp_path / "python")
    with pytest.raises(EmulatorError, match=r"not found.*Fix: make dev"):
        emulator.start()


def test_when_it_cannot_start_the_end_of_its_log_is_shown(tmp_path: Path) -> None:
    emulator = Emulator(issuer=ISSUER_URL, jwks=tmp_path, work_dir=tmp_path, kms_keys=["not-an-arn"])
    with pytest.raises(EmulatorError, match=r"ended with code 2\.") as failed:
        emulator.start()
    assert "--kms-key: 'not-an-arn' is not the ARN of a key" in str(failed.value)
    assert emulator.pid is None


@pytest.mark.parametrize("wrong", ["--kms-key=alias/mine", "--secret-suffix=name", "--secret-suffix=name=toolong1"])
def test_a_wrong_option_is_a_usage_error(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(["--issuer=i", "--jwks=j", "--work-dir=w", wrong])
    assert ended.value.code == 2
    assert wrong.partition("=")[0] in capsys.readouterr().err


def test_it_listens_on_loopback_only(emulator: Emulator) -> None:
    port = urlsplit(emulator.endpoint).port
    assert port is not None
    with socket.socket() as elsewhere:
        elsewhere.settimeout(2)
        # Linux answers on the whole of 127/8 for a listener on all interfaces, and elsewhere there is no such address.
        with pytest.raises(OSError, match=r".+"):
            elsewhere.connect(("127.0.0.2", port))
    assert emulator.pid is not None
    assert set(_listening_addresses(emulator.pid)) <= {f"0100007F:{port:04X}"}


def test_leaving_the_block_ends_the_process(tmp_path: Path) -> None:
    with Emulator(issuer=ISSUER_URL, jwks=tmp_path / "none", work_dir=tmp_path) as emulator:
        pid = emulator.pid
        assert pid is not None
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert emulator.pid is None
    emulator.stop()


def test_a_kept_emulator_outlives_the_block(tmp_path: Path) -> None:
    with Emulator(issuer=ISSUER_URL, jwks=tmp_path / "none", work_dir=tmp_path, keep=True) as emulator:
        pass
    try:
        identity = emulator.client("sts", REGION).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    finally:
        emulator.stop()


def test_it_ends_with_the_process_that_started_it(project: Path, tmp_path: Path) -> None:
    with _started(project, tmp_path, {"PATH": os.environ["PATH"]}) as (process, endpoint):
        assert urlsplit(endpoint).hostname == "127.0.0.1"
        assert process.stdin
        process.stdin.close()
        assert process.wait(PATIENCE_SECONDS) in {0, -signal.SIGTERM}, "the latter when its server was not yet up"


def test_settings_of_the_shell_do_not_reach_it(project: Path, tmp_path: Path) -> None:
    """AUTH=false would switch off every check, and secrets would be written to disk at the end."""
    state = tmp_path / "state"
    shell = {"AUTH": "false", "BIND_HOST": "0.0.0.0", "PERSIST_STATE": "1", "STATE_DIR": str(state)}  # noqa: S104
    with _started(project, tmp_path, shell) as (process, endpoint):
        assert all(address.startswith("0100007F:") for address in _listening_addresses(process.pid))
        nobody = make_client("iam", REGION, endpoint=endpoint, access_key="AKIANOBODY", secret_key="none")
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            nobody.list_roles()
        nobody.close()
    assert not state.exists()


# ------------------------------------------------------------------------------------------------------------ given ids
def test_a_key_has_the_arn_that_was_asked_for(emulator: Emulator) -> None:
    described = emulator.client("kms", REGION).describe_key(KeyId=GIVEN_KEY)["KeyMetadata"]
    assert described["Arn"] == GIVEN_KEY
    assert described["KeyId"] == GIVEN_KEY.rpartition("/")[2]
    assert described["MultiRegion"] is True


def test_a_secret_has_the_suffix_that_was_asked_for_and_is_found_by_it(emulator: Emulator) -> None:
    client = emulator.client("secretsmanager", REGION)
    created = client.create_secret(Name=GIVEN_SECRET, SecretString="s")
    assert created["ARN"] == f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{GIVEN_SECRET}-{GIVEN_SUFFIX}"
    assert client.get_secret_value(SecretId=created["ARN"])["Name"] == GIVEN_SECRET


# -------------------------------------------------------------------------------------------------------------- helpers
def _command(project: Path, work_dir: Path, *options: str) -> Sequence[str]:
    python = project / ".venv-emulator" / "bin" / "python"
    launcher = project / "local" / "emulator_launcher.py"
    settings = (f"--issuer={ISSUER_URL}", f"--jwks={work_dir / 'none'}", f"--work-dir={work_dir}")
    return [str(python), str(launcher), *settings, *options]


@contextmanager
def _started(
    project: Path, work_dir: Path, environment: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start the launcher itself; leaving the block closes its standard input, which ends it."""
    command = _command(project, work_dir, "--until-stdin-closes")
    with subprocess.Popen(  # noqa: S603 - our own launcher
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout
        yield process, process.stdout.readline().decode().removeprefix(READY_TEXT).strip()


def _launch(project: Path, work_dir: Path, *, shadow: Path) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(shadow)}
    command = _command(project, work_dir)
    return subprocess.run(  # noqa: S603 - our own launcher
        command, env=variables, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


def _shadow_ministack(project: Path, shadow: Path, module: str, *, old: str, new: str) -> None:
    """Make a copy of the installed package in which one text of one module differs; the rest are links."""
    (installed,) = (project / ".venv-emulator" / "lib").glob("python3.*/site-packages/ministack")
    changed = Path(module)
    for folder in (Path(), changed.parent):
        (shadow / "ministack" / folder).mkdir(parents=True)
        for entry in (installed / folder).iterdir():
            if entry.name not in {"__pycache__", changed.name, changed.parent.name}:
                (shadow / "ministack" / folder / entry.name).symlink_to(entry)
    source = (installed / changed).read_text()
    assert old in source
    (shadow / "ministack" / changed).write_text(source.replace(old, new))


def _listening_addresses(pid: int) -> Iterator[str]:
    """Yield address:port, in the kernel's hex, of every TCP socket that the process listens on (Linux)."""
    files = Path(f"/proc/{pid}/fd")
    if not files.exists():
        return
    sockets = set()
    for file in files.iterdir():
        with suppress(FileNotFoundError):  # closed since the folder was read
            sockets.add(str(file.readlink()))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                yield address
