"""Certificates and keys as they come in one secret, and what a `kubernetes.io/tls` Secret must hold of each.

Made once for a run; RSA keys are slow to make, so there is one.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A file, and the two parts that the driver takes out of it."""

    name: str
    content: bytes = field(repr=False)
    certificates: bytes = field(repr=False)
    key: bytes = field(repr=False)


@functools.cache
def make_bundles() -> tuple[Bundle, ...]:
    """Make one of each kind: key in PKCS #1, #8 and SEC 1, before and after the certificates."""
    key: _Key
    bundles = []
    for kind, key in (
        ("rsa", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        ("ec", ec.generate_private_key(ec.SECP256R1())),
    ):
        certificate = _certify(key)
        chain = certificate.public_bytes(Encoding.PEM) * 2
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        modern = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for name, content in (("traditional", plain + chain), ("pkcs8", chain + modern)):
            bundles.append(Bundle(name=f"{kind}-{name}", content=content, certificates=chain, key=plain))
    return tuple(bundles)


def _certify(key: _Key) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app.example")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
