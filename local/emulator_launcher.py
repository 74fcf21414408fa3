"""Start MiniStack as the AWS of the embedded stack: IAM enforced, four gaps closed, on loopback only.

This runs inside the emulator's own environment, as a script: `.venv-emulator/bin/python local/emulator_launcher.py`.
Nothing is seeded here. The gaps were measured in MiniStack 1.5.33, and `emulator_pins` holds what is wrapped:

- a batch of parameters is authorised per parameter, and decryption with a customer key is checked (`emulator_grants`);
- a web identity token's signature, issuer and times are checked (`emulator_web_identity`);
- keys and secrets that a spec names by ARN can be made under just that ARN (`emulator_given_ids`);
- it listens on 127.0.0.1 and starts no other listener.

Nothing of the caller's environment decides anything: it is dropped before MiniStack reads it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
READY_TEXT = "emulator: listening on "
"""Printed with the endpoint once everything is in place; whoever started the emulator waits for this line."""
EXIT_REFUSED = 3
"""Exit code when the installed MiniStack is not the one that is wrapped here."""

_PROJECT = Path(__file__).resolve().parent.parent
_KEPT_VARIABLES = ("PATH", "HOME", "LANG")
_SERVICES = "iam,sts,secretsmanager,ssm,kms,eks"
_KEY_ARN = re.compile(r"arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
_SECRET_SUFFIX = re.compile(r"(?P<name>[^=]+)=(?P<suffix>[A-Za-z0-9]{6})")
_GRACE_SECONDS = 0.2  # for requests in flight when the process is told to end


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says.

    Attributes:
        port: Port on loopback; 0 takes a free one.
        account: Account of unsigned calls; its number is also the access key id of the account's root.
        issuer: URL of the node's token issuer, as in `iss`.
        jwks: File with the issuer's public keys, read anew for each token, so that a rotated key counts at once.
        work_dir: Existing folder for temporary files.
        kms_keys: ARNs of customer keys to create.
        secret_suffixes: Name of a secret -> the six characters that its ARN ends with when it is created.
        until_stdin_closes: End when standard input ends, that is with the process that started this one.
    """

    port: int
    account: str
    issuer: str
    jwks: Path
    work_dir: Path
    kms_keys: tuple[str, ...]
    secret_suffixes: Mapping[str, str]
    until_stdin_closes: bool


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; argparse ends the process with code 2 and the usage for a wrong one."""
    parser = argparse.ArgumentParser(description="AWS emulator of the embedded stack", allow_abbrev=False)
    parser.add_argument("--port", type=int, default=0, help="port on loopback (default: a free one)")
    parser.add_argument("--account", default="000000000000", help="account number (default: %(default)s)")
    parser.add_argument("--issuer", required=True, help="URL of the node's token issuer")
    parser.add_argument("--jwks", required=True, type=Path, help="file with the issuer's public keys")
    parser.add_argument("--work-dir", required=True, type=Path, help="folder for temporary files")
    parser.add_argument("--kms-key", action="append", default=[], help="ARN of a customer key to create")
    parser.add_argument("--secret-suffix", action="append", default=[], help="NAME=SUFFIX: end of the secret's ARN")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end together with the parent process")
    given = parser.parse_args(arguments)
    for arn in given.kms_key:
        if not _KEY_ARN.fullmatch(arn):
            parser.error(f"--kms-key: {arn!r} is not the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID)")
    suffixes = [_SECRET_SUFFIX.fullmatch(item) for item in given.secret_suffix]
    if None in suffixes:
        parser.error("--secret-suffix: must be NAME=SUFFIX, the suffix six letters or digits")
    return Options(
        port=given.port,
        account=given.account,
        issuer=given.issuer,
        jwks=given.jwks,
        work_dir=given.work_dir,
        kms_keys=tuple(given.kms_key),
        secret_suffixes={match["name"]: match["suffix"] for match in suffixes if match},
        until_stdin_closes=given.until_stdin_closes,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    options = parse_options(arguments)
    listener = _listen(options.port)
    port = listener.getsockname()[1]
    _set_environment(options, port)
    # As a script this file's folder comes first on the path, where our modules could hide a package of the same name.
    sys.path[:] = [str(_PROJECT), *(entry for entry in sys.path if entry != str(_PROJECT / "local"))]
    from local.emulator_pins import EmulatorChangedError, check_pins  # noqa: PLC0415 - found by the path set above

    try:
        check_pins()
    except EmulatorChangedError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    _close_gaps(options)
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, name="parent-watch", daemon=True).start()
    print(f"{READY_TEXT}http://{LOOPBACK}:{port}", flush=True)
    _serve(listener)
    return 0


def _listen(port: int) -> socket.socket:
    """Bind before anything else, so that a port in use is a plain error and a free port cannot be lost again."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    listener.listen()
    return listener


def _set_environment(options: Options, port: int) -> None:
    """Replace the environment: MiniStack reads dozens of variables, at import and later."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(
        {
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": options.account,  # the only key, besides "test", that is let through as root
            "BIND_HOST": LOOPBACK,
            # It would adopt and remove containers of whatever Docker it finds.
            "DOCKER_HOST": f"unix://{options.work_dir}/no-docker.sock",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",  # a listener on all interfaces, on by default
            "LOG_LEVEL": "WARNING",
            "MINISTACK_ACCOUNT_ID": options.account,
            "SERVICES": _SERVICES,
            "SFTP_ENABLED": "0",
            "TMPDIR": str(options.work_dir),
        }
    )


def _close_gaps(options: Options) -> None:
    # MiniStack reads the environment when it is imported, so nothing that imports it may stand at the top.
    from local import emulator_given_ids, emulator_grants, emulator_web_identity  # noqa: PLC0415

    emulator_grants.install()
    emulator_web_identity.install({options.issuer: options.jwks})
    emulator_given_ids.install_secret_suffixes(options.secret_suffixes)
    emulator_given_ids.create_keys(options.kms_keys)


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not through sys.stdin: its lock would be held when the process ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _serve(listener: socket.socket) -> None:
    # MiniStack's own server; like MiniStack it is there only in the emulator's environment.
    hypercorn = importlib.import_module("hypercorn.asyncio")
    config = importlib.import_module("hypercorn.config").Config()
    config.bind = [f"fd://{listener.detach()}"]  # hypercorn owns the socket from here on
    config.keep_alive_timeout = 75
    config.graceful_timeout = _GRACE_SECONDS
    config.loglevel = "WARNING"
    asyncio.run(hypercorn.serve(importlib.import_module("ministack.app").app, config))


if __name__ == "__main__":
    sys.exit(main())
