# ruff: noqa: SLF001 - MiniStack has no public seam for this; what is used is pinned in emulator_pins.py.
"""Keys and secrets whose ARN is given, where AWS would draw a part of it at random.

Specs name customer keys by ARN, and may name a secret by its full ARN with the six random characters. An emulated
account that starts empty can honour such a spec only if it makes exactly those.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Iterable, Mapping

from ministack.core import responses
from ministack.services import kms, secretsmanager


def create_keys(arns: Iterable[str]) -> None:
    """Create a symmetric customer key for each ARN, with the default key policy (the account's IAM decides)."""
    for arn in arns:
        contextvars.copy_context().run(_create_key, arn)


def install_secret_suffixes(suffixes: Mapping[str, str]) -> None:
    """From now on let the ARN of a secret with one of these names end with the given six characters."""
    store_new_secret = secretsmanager._store_new_secret

    def store_with_suffix(name: str, *arguments: object, **details: object) -> tuple[str, str]:
        arn, version = store_new_secret(name, *arguments, **details)
        suffix = suffixes.get(name)
        if suffix is not None:
            arn = f"{arn[: -len(suffix)]}{suffix}"
            secretsmanager._secrets[name]["ARN"] = arn
        return str(arn), str(version)

    secretsmanager._store_new_secret = store_with_suffix


def _create_key(arn: str) -> None:
    """Create a key in the ARN's account and region, then give it the ARN's id."""
    _, _, _, region, account, resource = arn.split(":", 5)
    key_id = resource.removeprefix("key/")
    responses.set_request_account_id(account)
    responses.set_request_region(region)
    # The prefix mrk- says that a key is a multi-Region key (KMS developer guide, "Multi-Region keys in AWS KMS").
    status, _, body = kms._create_key({"MultiRegion": key_id.startswith("mrk-"), "Description": "given by ARN"})
    if status != 200:  # noqa: PLR2004 - the HTTP status
        raise RuntimeError(f"the emulator did not create {arn}: {body!r}")
    record = kms._keys.pop(json.loads(body)["KeyMetadata"]["KeyId"])
    record.update({"KeyId": key_id, "Arn": arn})
    kms._keys[key_id] = record
