"""Runs the credential plugin of a kubeconfig user, such as `aws eks get-token`.

Nothing that it prints is shown, but for what it says on standard error when it fails.

Source: Kubernetes docs, Authenticating, client-go credential plugins (`ExecCredential` v1 and v1beta1,
KUBERNETES_EXEC_INFO).
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from typing import Final

from lockstep.cluster.kubeconfig import ClusterAccess, Plugin, User
from lockstep.input_errors import InputError

_VERSIONS: Final = frozenset(f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1"))
_TIMEOUT_SECONDS: Final = 60
_SHOWN_CHARACTERS: Final = 400


def run_plugin(plugin: Plugin, access: ClusterAccess) -> User:
    """Run a plugin and return the credentials that it gave.

    Raises:
        InputError: KUB004, it cannot be run, failed, or gave no credentials.
    """
    if plugin.api_version not in _VERSIONS:
        raise _failed(plugin, f"its apiVersion {plugin.api_version!r} is not one of {', '.join(sorted(_VERSIONS))}")
    environment = {**os.environ, **plugin.environment, "KUBERNETES_EXEC_INFO": _info(plugin, access)}
    try:
        ended = subprocess.run(  # noqa: S603 - what the user's own kubeconfig names, an argument list, no shell
            [plugin.command, *plugin.arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _failed(plugin, f"it did not end within {_TIMEOUT_SECONDS} s") from None
    except OSError as error:
        hint = f"; {' '.join(plugin.install_hint.split())}" if plugin.install_hint else ""
        raise _failed(plugin, f"it cannot be started: {error.strerror}{hint}") from None
    if ended.returncode != 0:
        said = " ".join(ended.stderr.split())[-_SHOWN_CHARACTERS:] or "nothing"
        raise _failed(plugin, f"it ended with exit code {ended.returncode} and said: {said}")
    return _credentials(plugin, ended.stdout)


def _credentials(plugin: Plugin, text: str) -> User:
    try:
        status = json.loads(text)["status"]
        token = status.get("token", "")
        certificate, key = status.get("clientCertificateData", ""), status.get("clientKeyData", "")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _failed(plugin, "it printed no ExecCredential with a status") from None
    if not token and not certificate:
        raise _failed(plugin, "its ExecCredential has neither a token nor a certificate")
    return User(token=token, certificate=certificate.encode(), key=key.encode())


def _info(plugin: Plugin, access: ClusterAccess) -> str:
    cluster: Mapping[str, object] = {
        "server": access.server,
        **({"certificate-authority-data": base64.b64encode(access.authority).decode()} if access.authority else {}),
        **({"tls-server-name": access.server_name} if access.server_name else {}),
        **({"insecure-skip-tls-verify": True} if access.is_unverified else {}),
    }
    spec = {"interactive": False, **({"cluster": cluster} if plugin.provide_cluster_info else {})}
    return json.dumps({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec})


def _failed(plugin: Plugin, why: str) -> InputError:
    return InputError(
        f"kubeconfig: the credential plugin {plugin.command!r} gave no credentials: {why}. "
        "Fix: run `kubectl get --raw /version` with the same kubeconfig and mend what it says. [KUB004]"
    )
