"""Reads kubeconfig files: which server, trusted how, asked as whom.

Not done here: running credential plugins (credential_plugins.py) and asking (api_server.py). Several files are merged
as kubectl does it: the first file that has a name wins, relative paths count from their own file.

Source: Kubernetes docs, Organizing Cluster Access Using kubeconfig Files; client-go `tools/clientcmd/api/v1/types.go`.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lockstep.input_errors import InputError, place_of

_Entry = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A program that prints credentials, such as `aws eks get-token`.

    Attributes:
        arguments: Never printed, as the environment: people write credentials into both.
        environment: Added to the process's own.
        provide_cluster_info: Whether it is told which cluster it is for.
    """

    command: str
    arguments: tuple[str, ...] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    api_version: str
    provide_cluster_info: bool = False
    install_hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class User:
    """As whom the server is asked: a token, a certificate, or a plugin that gives either. Never printed.

    Attributes:
        certificate: PEM, with its key; both or neither.
    """

    token: str = ""
    token_file: Path | None = None
    certificate: bytes = b""
    key: bytes = b""
    plugin: Plugin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """How one cluster is asked.

    Attributes:
        context: Its name.
        server: URL of the API server.
        authority: PEM of who signed its certificate; empty for the system's authorities.
        is_unverified: `insecure-skip-tls-verify`.
        server_name: For the certificate, instead of the URL's host; "" for the host.
        proxy: URL; "" for what the environment says. Never printed: it may hold a password.
    """

    context: str
    server: str
    user: User
    authority: bytes = b""
    is_unverified: bool = False
    server_name: str = ""
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Named:
    """An entry and the folder that its relative paths count from."""

    entry: _Entry
    folder: Path


@dataclass(slots=True)
class _Merged:
    """What all files say, by section and name."""

    current: str = ""
    clusters: dict[str, _Named] = field(default_factory=dict)
    contexts: dict[str, _Named] = field(default_factory=dict)
    users: dict[str, _Named] = field(default_factory=dict)


def kubeconfig_files(given: Path | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files to read: the given one, those of $KUBECONFIG that exist, or ~/.kube/config; () for none."""
    if given is not None:
        return (given,)
    listed = [Path(part) for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    if listed:
        return tuple(path for path in listed if path.is_file())
    usual = Path(environment.get("HOME", "")) / ".kube" / "config"
    return (usual,) if environment.get("HOME") and usual.is_file() else ()


def load_kubeconfig(files: Sequence[Path], context: str | None = None) -> ClusterAccess:
    """Read kubeconfig files.

    Args:
        files: At least one; the first that has a name wins.
        context: None for the current one.

    Raises:
        InputError: KUB001 a file is none, KUB002 no such context, KUB003 an entry cannot be used.
        OSError: A file cannot be read.
    """
    merged = _merge(files)
    where = ", ".join(str(path) for path in files)
    name = context or merged.current
    if name not in merged.contexts:
        known = ", ".join(sorted(merged.contexts)) or "none"
        what = f"there is no context {name!r}" if name else "no context is the current one"
        raise InputError(f"{where}: {what}. The contexts are: {known}. Fix: name one with --context. [KUB002]")
    chosen = _section(merged.contexts[name].entry, "context")
    cluster = _of(merged.clusters, _text(chosen, "cluster"), "cluster", where)
    user = _of(merged.users, _text(chosen, "user"), "user", where) if _text(chosen, "user") else None
    return _access(name, cluster, user, where)


def _merge(files: Sequence[Path]) -> _Merged:
    merged = _Merged()
    for path in files:
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise _not_one(path, f"it is no YAML from {place_of(error)} on") from None
        except UnicodeError:
            raise _not_one(path, "it is no UTF-8") from None
        if not isinstance(document, Mapping):
            raise _not_one(path, "it is no mapping")
        merged.current = merged.current or str(document.get("current-context") or "")
        for section in ("clusters", "contexts", "users"):
            entries = document.get(section) or []
            if not isinstance(entries, list) or not all(isinstance(each, Mapping) for each in entries):
                raise _not_one(path, f"{section!r} is no list of mappings")
            known: dict[str, _Named] = getattr(merged, section)
            for entry in entries:
                known.setdefault(str(entry.get("name")), _Named(entry, path.absolute().parent))
    return merged


def _not_one(path: Path, why: str) -> InputError:
    return InputError(f"{path}: it cannot be read as a kubeconfig ({why}). Fix: correct it. [KUB001]")


def _of(entries: Mapping[str, _Named], name: str, kind: str, where: str) -> _Named:
    found = entries.get(name)
    if found is None:
        raise InputError(f"{where}: the context's {kind} {name!r} is nowhere. Fix: add it. [KUB003]")
    return _Named(_section(found.entry, kind), found.folder)


def _access(context: str, cluster: _Named, user: _Named | None, where: str) -> ClusterAccess:
    entry = cluster.entry
    server = _text(entry, "server")
    if not server.startswith(("https://", "http://")):
        raise InputError(f"{where}: {server!r} is no server. It is a URL. Fix: correct the cluster. [KUB003]")
    return ClusterAccess(
        context=context,
        server=server.rstrip("/"),
        user=_user(user, where) if user else User(),
        authority=_data(cluster, "certificate-authority", where),
        is_unverified=entry.get("insecure-skip-tls-verify") is True,
        server_name=_text(entry, "tls-server-name"),
        proxy=_text(entry, "proxy-url"),
    )


def _user(named: _Named, where: str) -> User:
    entry = named.entry
    for key in ("auth-provider", "username"):
        if entry.get(key):
            raise InputError(
                f"{where}: a user with {key!r} cannot be used: Kubernetes took it out. Fix: use `exec`. [KUB003]"
            )
    certificate = _data(named, "client-certificate", where)
    private_key = _data(named, "client-key", where)
    if bool(certificate) != bool(private_key):
        raise InputError(f"{where}: client-certificate and client-key go together. Fix: give both. [KUB003]")
    token_file = _text(entry, "tokenFile")
    return User(
        token=_text(entry, "token"),
        token_file=named.folder / token_file if token_file else None,
        certificate=certificate,
        key=private_key,
        plugin=_plugin(entry["exec"], named.folder, where) if entry.get("exec") else None,
    )


def _plugin(entry: object, folder: Path, where: str) -> Plugin:
    if not isinstance(entry, Mapping) or not _text(entry, "command"):
        raise _not_a_plugin(where, "`exec` is a mapping with a `command`")
    arguments, variables = entry.get("args") or [], entry.get("env") or []
    if not isinstance(arguments, list) or not all(isinstance(each, str | int | float) for each in arguments):
        raise _not_a_plugin(where, "`args` is a list of texts")
    if not isinstance(variables, list) or not all(
        isinstance(each, Mapping) and _text(each, "name") and isinstance(each.get("value"), str) for each in variables
    ):
        raise _not_a_plugin(where, "`env` is a list of `name` and `value`, both texts")
    command = _text(entry, "command")
    # As client-go: a name is looked up on PATH, a relative path counts from the file.
    if "/" in command:
        command = str(folder / command)
    return Plugin(
        command=command,
        arguments=tuple(str(each) for each in arguments),
        environment={_text(each, "name"): _text(each, "value") for each in variables},
        api_version=_text(entry, "apiVersion"),
        provide_cluster_info=entry.get("provideClusterInfo") is True,
        install_hint=_text(entry, "installHint"),
    )


def _not_a_plugin(where: str, rule: str) -> InputError:
    return InputError(f"{where}: a user's credential plugin cannot be used. Of it {rule}. Fix: correct it. [KUB003]")


def _data(named: _Named, key: str, where: str) -> bytes:
    """Return what `<key>-data` holds or `<key>` points to; empty for neither. The data wins, as in client-go."""
    inline = _text(named.entry, f"{key}-data")
    if inline:
        try:
            return base64.b64decode(inline, validate=True)
        except binascii.Error:
            raise InputError(f"{where}: {key}-data is no base64. Fix: correct it. [KUB003]") from None
    path = _text(named.entry, key)
    return (named.folder / path).read_bytes() if path else b""


def _section(entry: _Entry, key: str) -> _Entry:
    value = entry.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(entry: _Entry, key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
