"""Container images made by hand: OCI layouts in a tar, for containerd to import; no registry and no builder takes part.

An image is imported under the very name that a pod spec has, also one by digest (`name@sha256:...`), which is then the
true digest of its manifest. So what the program rendered is run as it stands.

Source: OCI image-spec 1.1 (image-layout.md, manifest.md, config.md); containerd's import takes the name from the
annotation `io.containerd.image.name`.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import stat
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_FOLDER_MODE: Final = 0o755
_READ_ALL: Final = 0o444
_RUN_ALL: Final = 0o555


@dataclass(slots=True)
class Layer:
    """One layer: files by their path in the image, all of them root's, readable for everybody, with their times."""

    _files: dict[str, Path] = field(default_factory=dict)
    _links: dict[str, str] = field(default_factory=dict)

    def add(self, source: Path, path: str) -> None:
        """Add a file under an absolute path; a link is followed."""
        self._files[path] = source.resolve()

    def add_tree(self, source: Path, path: str, *, left_out: frozenset[str] = frozenset()) -> None:
        """Add every file below a folder, except in folders of these names; links to files are followed."""
        for entry in sorted(source.iterdir()):
            if entry.name in left_out:
                continue
            if entry.is_dir():
                self.add_tree(entry, f"{path}/{entry.name}", left_out=left_out)
            elif entry.is_file():
                self.add(entry, f"{path}/{entry.name}")

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._links[path] = target

    def pack(self) -> bytes:
        """Return the layer as an uncompressed tar."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for folder in sorted(_folders([*self._files, *self._links])):
                tar.addfile(_entry(folder, tarfile.DIRTYPE, _FOLDER_MODE))
            for path, source in sorted(self._files.items()):
                content = source.read_bytes()
                runs = bool(source.stat().st_mode & stat.S_IXUSR)
                entry = _entry(path, tarfile.REGTYPE, _RUN_ALL if runs else _READ_ALL)
                entry.size = len(content)
                entry.mtime = int(source.stat().st_mtime)  # compiled modules are taken for stale by it
                tar.addfile(entry, io.BytesIO(content))
            for path, target in sorted(self._links.items()):
                entry = _entry(path, tarfile.SYMTYPE, 0o777)
                entry.linkname = target
                tar.addfile(entry)
        return buffer.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image.

    Attributes:
        name: Repository, with a tag or without; see `reference`.
        layers: Lowest first, packed.
        config: `config` of the image: Entrypoint, Env, User, WorkingDir.
    """

    name: str
    layers: Sequence[bytes]
    config: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Digest of the manifest, as a registry would give it."""
        return _digest(self._manifest())

    @property
    def reference(self) -> str:
        """What a pod names it by: its tag, or its digest when the name has no tag."""
        is_tagged = ":" in self.name.rpartition("/")[2]
        return self.name if is_tagged else f"{self.name}@{self.digest}"

    def write(self, path: Path) -> None:
        """Write the layout as a tar."""
        manifest = self._manifest()
        index = {
            "schemaVersion": 2,
            "mediaType": _INDEX,
            "manifests": [
                {**_descriptor(_MANIFEST, manifest), "annotations": {"io.containerd.image.name": self.reference}}
            ],
        }
        blobs = [self._config(), manifest, *self.layers]
        files = {f"blobs/{_digest(blob).replace(':', '/')}": blob for blob in blobs}
        with tarfile.open(path, mode="w") as tar:
            for name, content in {
                "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
                "index.json": json.dumps(index).encode(),
                **files,
            }.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))

    def _manifest(self) -> bytes:
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, self._config()),
                "layers": [_descriptor(_LAYER, layer) for layer in self.layers],
            }
        ).encode()

    def _config(self) -> bytes:
        return json.dumps(
            {
                "architecture": _ARCHITECTURES[platform.machine()],
                "os": "linux",
                "config": dict(self.config),
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in self.layers]},
            }
        ).encode()


def _folders(paths: Iterable[str]) -> set[str]:
    return {str(parent) for path in paths for parent in Path(path).parents if str(parent) != "/"}


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = kind, mode
    return entry


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
