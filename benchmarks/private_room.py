"""A mount namespace of this run's own, in which AWS's real host names lead to the stand-in on loopback, over TLS.

Not done here: the stand-in (`stand_in`), the providers (`processes`).

AWS's provider takes no endpoint for STS and needs an in-cluster configuration at a fixed path. So both providers run
where `/etc/hosts` and `/var/run/secrets` are this run's: bind mounts in a private namespace. The machine's own files
stay untouched, and everything is gone when the last process of the run ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.reference_pod import REGIONS, UNREACHABLE_REGION

ADDRESS: Final = "127.0.0.2"
HOLE_ADDRESS: Final = "127.0.0.9"
KUBERNETES_NAME: Final = "kubernetes.default.svc"
_SERVICES: Final = ("sts", "secretsmanager", "ssm")
_MARK: Final = "LOCKSTEP_BENCH_ROOM"


class RoomError(Exception):
    """The namespace cannot be had; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the processes in the room need."""

    authority: Path
    certificate: Path
    key: Path
    targets: Path
    """A tmpfs, as volumes are."""

    @property
    def tls_words(self) -> tuple[str, str, str, str]:
        """The stand-in's arguments."""
        return (ADDRESS, HOLE_ADDRESS, str(self.certificate), str(self.key))


def enter_room(arguments: list[str]) -> None:
    """Start this program again inside a private mount namespace; return only when already inside.

    Raises:
        RoomError: Not root, or unshare is missing.
    """
    if os.environ.get(_MARK):
        return
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        raise RoomError("ASCP_BINARY needs root and unshare (util-linux), for a mount namespace of its own.")
    words = [unshare, "--mount", "--propagation", "private", sys.executable, "-m", "benchmarks", *arguments]
    os.execve(unshare, words, {**os.environ, _MARK: "1"})  # noqa: S606  # the same program, in the namespace


def furnish_room(folder: Path) -> Room:
    """Make certificates and mount what the processes shall see; must run inside the namespace.

    Raises:
        RoomError: A mount was refused.
    """
    names = [f"{service}.{region}.amazonaws.com" for region in REGIONS for service in _SERVICES]
    room = Room(
        authority=folder / "ca.pem", certificate=folder / "cert.pem", key=folder / "key.pem", targets=folder / "targets"
    )
    _write_certificates(room, [*names, KUBERNETES_NAME])
    hosts = folder / "hosts"
    lines = [f"{HOLE_ADDRESS if f'.{UNREACHABLE_REGION}.' in name else ADDRESS} {name}" for name in names]
    hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]), encoding="utf-8")
    room.targets.mkdir()
    _mount("--bind", str(hosts), "/etc/hosts")
    _mount("-t", "tmpfs", "tmpfs", str(room.targets))
    _mount("-t", "tmpfs", "tmpfs", "/var/run")
    account = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    account.mkdir(parents=True)
    shutil.copy(room.authority, account / "ca.crt")
    (account / "token").write_text("stand-in", encoding="utf-8")
    return room


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode != 0:
        raise RoomError(f"mount {' '.join(words)}: {done.stderr.strip()}")


def _write_certificates(room: Room, names: list[str]) -> None:
    """Write an authority and one certificate for every name, valid for a day."""
    now = datetime.now(tz=UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark authority")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    start, end = now - timedelta(hours=1), now + timedelta(days=1)
    authority = (
        x509.CertificateBuilder(authority_name, authority_name, authority_key.public_key(), 1, start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    addresses = [x509.IPAddress(ip_address(ADDRESS))]
    certificate = (
        x509.CertificateBuilder(authority_name, name, key.public_key(), 2, start, end)
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, names), *addresses]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    room.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    room.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    room.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
