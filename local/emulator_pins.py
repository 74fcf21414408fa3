"""Which MiniStack the emulator's wrappers fit: its version, and the source of each function they wrap or rely on.

A wrapper around a function that has moved on would close its gap no more, and a proof on the emulated AWS would pass
for no reason. So the emulator refuses to start with anything but what was read when the wrappers were written.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

VERSION: Final = "1.5.33"

#: Module and function -> sha256 of its source, the first 40 hex digits. Wrapped are `enforce`, `extract_resource_arn`,
#: `access_denied_response`, `_web_identity_trust_denied`, `_web_identity_principal` and `_store_new_secret`. The others
#: are called, or call these in the way that is relied on.
DIGESTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ministack.app._dispatch_service_request": "17e5ef6dcfa0d4e6f646c075a4396cd5a0d306b5",
        "ministack.core.iam_actions.access_denied_response": "3cc2e315f91f45daeb6160cb1c8250291fde007f",
        "ministack.core.iam_actions.extract_resource_arn": "82f51700695c62fdca72583e1c264cc146fc22d5",
        "ministack.core.iam_actions.identity_denial_message": "82f77b7767c60ba024d8908e6041007b2883a13f",
        "ministack.core.iam_evaluator.combine_resource_policy": "3972f81213f8b84bec2ac2f68aae541fffe3a0be",
        "ministack.core.iam_evaluator.enforce": "cf64b1ee5b099c8f705e919a43bd7b354e4772f1",
        "ministack.core.iam_evaluator.evaluate_trust_policy": "4b50aa29ad29fe20c5e8c3d4419ecb67469e8098",
        "ministack.core.iam_evaluator.is_root_access_key": "e6ae3b63335593c0d7f112cdb3b505fef87e49f8",
        "ministack.services.iam._create_oidc_provider": "ac7d9b3d79b22c45e8d075da6c6a5b4f0ea8bbed",
        "ministack.services.kms._create_key": "b2509f44b316e4ea7756282979fd410419349e03",
        "ministack.services.kms._resolve_key": "90e6b84ded7c823f75cf7a9678ac127f23c81219",
        "ministack.services.kms.key_policy_for_arn": "f2a07f08d90470f6510246ddda8e09c4cc339993",
        "ministack.services.secretsmanager._batch_get_secret_value": "c2674f1a28c0e41123598e8c1d693f82611043f8",
        "ministack.services.secretsmanager._create_secret": "d3de7fac76ba423245896bb64bf3c2fb5002a785",
        "ministack.services.secretsmanager._resolve": "457901fe05e6007c8812c06f28414bdbb7728f66",
        "ministack.services.secretsmanager._store_new_secret": "e1f750dbc602c7fe3fc4c0da2ff54f66bdea6bc2",
        "ministack.services.ssm._put_parameter": "7518a51e56531ffd4ed1754aa67e4bbf3c8586ac",
        "ministack.services.ssm._select_parameter": "008ce160feb3e9cda8b029dfd23089d0767acb7e",
        "ministack.services.ssm._split_selector": "ca74347353ab2931423e2e1dbdfc60974a3af15c",
        "ministack.services.sts._web_identity_principal": "4b20206e79819bff620134f23e61bc08feba367d",
        "ministack.services.sts._web_identity_trust_denied": "d9e237e9d6e9872fc541edcdb95706bba4f674dc",
        "ministack.services.sts.handle_request": "f2d7c72d01d6495029015f8803393e0435468dad",
    }
)

_DIGEST_DIGITS = 40
_FIX = (
    "Fix: run `make clean dev` for the pinned version; to move to another one, read the changed functions, "
    "then renew VERSION and DIGESTS in local/emulator_pins.py"
)


class EmulatorChangedError(Exception):
    """The installed MiniStack is not the one that the wrappers were written for."""


def check_pins() -> None:
    """Compare the installed MiniStack with the pins.

    Raises:
        EmulatorChangedError: Another version, or the source of a function differs; all of them are named.
    """
    check_version(importlib.metadata.version("ministack"))
    check_sources(DIGESTS, _load)


def check_version(installed: str) -> None:
    """Refuse every version but the pinned one."""
    if installed != VERSION:
        raise EmulatorChangedError(
            f"ministack: {installed} is installed. The emulator wraps functions of {VERSION}. {_FIX}. [EMU001]"
        )


def check_sources(digests: Mapping[str, str], load: Callable[[str], Callable[..., object]]) -> None:
    """Refuse functions that are gone or whose source differs.

    Args:
        digests: As `DIGESTS`.
        load: Finds a function by its dotted name.
    """
    changes = [change for name, digest in digests.items() if (change := _change(name, digest, load))]
    if changes:
        raise EmulatorChangedError(
            f"ministack {VERSION}: {'; '.join(changes)}. The emulator wraps these functions or relies on them. "
            f"{_FIX}. [EMU002]"
        )


def source_digest(function: Callable[..., object]) -> str:
    """Return the sha256 of a function's source text, its first 40 hex digits."""
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:_DIGEST_DIGITS]


def _change(name: str, digest: str, load: Callable[[str], Callable[..., object]]) -> str | None:
    try:
        found = source_digest(load(name))
    except (ImportError, AttributeError, OSError, TypeError) as error:
        return f"{name} cannot be read ({error})"
    return None if found == digest else f"{name} changed (sha256 {found}, expected {digest})"


def _load(name: str) -> Callable[..., object]:
    module, _, function = name.rpartition(".")
    found: Callable[..., object] = getattr(importlib.import_module(module), function)
    return found
