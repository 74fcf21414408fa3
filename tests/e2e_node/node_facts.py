"""What tests compare the node with: the derived files, AWS's values, and what an object was asked to be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from components.derivation import AppAccess, Store
from local.seed import Source
from tests.e2e_node.node_stage import NodeStage


def list_differences(asked: object, found: object) -> list[str]:
    """Return every place where an object lacks what was asked for; what the server adds is no difference."""
    return list(_differences(asked, found, ""))


def _differences(asked: object, found: object, where: str) -> Iterator[str]:
    if isinstance(asked, Mapping) and isinstance(found, Mapping):
        for key, value in asked.items():
            yield from _differences(value, found.get(key), f"{where}.{key}")
    elif isinstance(asked, list) and isinstance(found, list) and len(asked) == len(found):
        for index, (left, right) in enumerate(zip(asked, found, strict=True)):
            yield from _differences(left, right, f"{where}[{index}]")
    elif asked != found:
        yield f"{where}: {asked!r} became {found!r}"


def derived_files(app: AppAccess) -> dict[str, int]:
    """Return the mode of each file that an app's containers see, by its path there."""
    return {f"{mount.path}/{file.path}": file.mode for mount in app.mounts for file in mount.files}


def digests(stage: NodeStage, app: str, path: str) -> dict[str, str]:
    """Return the SHA-256 of each derived file as a pod of the app reads it."""
    return {file: stage.digest(path, file) for file in derived_files(stage.app(app))}


def current_digest(stage: NodeStage, source: Source) -> str:
    """Return the SHA-256 of the value that a secret has in AWS now."""
    client = stage.emulator.client("secretsmanager", stage.settings.region)
    value: str = client.get_secret_value(SecretId=source.friendly_name)["SecretString"]
    return hashlib.sha256(value.encode()).hexdigest()


def shared_secret(stage: NodeStage) -> tuple[Source, dict[str, str]]:
    """Return a secret that several apps read whole, and the file by app."""
    for source in stage.sources:
        files = {
            str(app.app): f"{mount.path}/{file.path}"
            for app in stage.apps
            for mount in app.mounts
            for file in mount.files
            if file.source == source.name and file.path.endswith(".json")
        }
        if source.store is Store.SECRETS_MANAGER and len(files) > 1:
            return source, files
    raise AssertionError("no example secret is shared")
