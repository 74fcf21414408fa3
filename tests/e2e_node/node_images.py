"""What the images of the node hold: the provider as its Dockerfile lays it out, the driver with its sidecars, an app.

The provider's image is the Dockerfile's: packages of the provider's own lock, compiled the same way, under the same
paths, with its environment, user and entrypoint, which are read from the Dockerfile. Two things differ: the Python
below is this machine's and not the distroless one, and one more variable of the environment says where AWS is.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

from tests.e2e import debian_packages, toolbox
from tests.e2e_node.images import Image, Layer

PROVIDER: Final = "lockstep.example/provider"
PAUSE: Final = "lockstep.example/pause:1"
APP: Final = "lockstep.example/app:1"
#: What an app prints when each of its files is there.
FOUND_ALL: Final = "every file is there"

_BUSYBOX: Final = "/bin/busybox"
_ROOT: Final = "/opt/lockstep"
#: Of the standard library; nobody imports them in a daemon, and they are most of its size.
_LEFT_OUT: Final = frozenset(
    {"site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "turtledemo", "lib2to3"}
)
_SHARED: Final = re.compile(r"(?:=> )?(?P<path>/\S+) \(0x", re.MULTILINE)
_PIN: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)", re.MULTILINE)
_INSTRUCTION: Final = re.compile(r"^(?P<word>ENV|USER|WORKDIR|ENTRYPOINT) (?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)
_VARIABLE: Final = re.compile(r"[A-Z_]+=\S+")


class ImageError(Exception):
    """An image cannot be made of what is on this machine; the message says which part."""


def provider_layers(work_dir: Path) -> tuple[bytes, bytes]:
    """Return the layers of the provider's image: a Python, and what the Dockerfile puts on it."""
    return _python_layer().pack(), _pack_provider(work_dir)


def provider_image(layers: tuple[bytes, bytes], *, aws: str, build: str) -> Image:
    """Return the provider's image; `aws` is the URL of every service, `build` makes two images differ."""
    config = _dockerfile_config()
    config["Env"] = [*config["Env"], "PATH=/usr/local/bin:/usr/bin:/bin", f"AWS_ENDPOINT_URL={aws}"]
    return Image(name=PROVIDER, layers=layers, config={**config, "Labels": {"build": build}})


def program_image(name: str, program: Path, entrypoint: str, *, mounts: bool = False) -> Image:
    """Return an image with one static program, and with this machine's `mount` and `umount` where it calls those."""
    layer = Layer()
    layer.add(program, entrypoint)
    if mounts:
        tools = [Path(found) for found in (shutil.which("mount"), shutil.which("umount")) if found]
        for tool in tools:
            layer.add(tool, f"/bin/{tool.name}")
        for path in _shared_libraries(tools):
            layer.add(Path(path), path)
    config = {"Entrypoint": [entrypoint], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
    return Image(name=name, layers=[layer.pack()], config=config)


def small_images() -> tuple[Image, Image]:
    """Return the image of the pause container and that of the apps, which is a shell."""
    layer = Layer()
    _add_busybox(layer)
    packed = layer.pack()
    environment = ["PATH=/bin"]
    pause = Image(name=PAUSE, layers=[packed], config={"Entrypoint": ["/bin/sleep", "2147483647"], "Env": environment})
    return pause, Image(name=APP, layers=[packed], config={"Env": environment})


def _add_busybox(layer: Layer) -> None:
    found = debian_packages.find(_BUSYBOX, toolbox.FOLDER)
    if found is None:
        raise ImageError(f"{_BUSYBOX} is nowhere. Fix: make e2e-node brings it")
    layer.add(found, _BUSYBOX)
    for applet in ("cat", "ls", "sh", "sha256sum", "sleep", "stat"):
        layer.link(f"/bin/{applet}", "busybox")


def _python_layer() -> Layer:
    layer = Layer()
    prefix = Path(sys.base_prefix)
    program = Path(sys.executable).resolve()
    library = prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    layer.add(program, str(program))
    layer.link("/usr/local/bin/python", str(program))
    layer.add_tree(library, str(library), left_out=_LEFT_OUT | {path.name for path in library.glob("config-*")})
    modules = [path for path in library.rglob("lib-dynload/*.so") if not path.name.startswith("_tkinter")]
    packages = (toolbox.PROJECT / ".venv" / "lib").rglob("grpc/_cython/*.so")
    for path in _shared_libraries([program, *modules, *packages]):
        layer.add(Path(path), path)
    return layer


def _pack_provider(work_dir: Path) -> bytes:
    """Lay out /opt/lockstep as the Dockerfile does, and compile it the same way."""
    folder = work_dir / "provider-image"
    packages = folder / "packages"
    for name, version in _PIN.findall((_provider_folder() / "requirements.txt").read_text(encoding="utf-8")):
        _copy_package(name, version, packages)
    shutil.copytree(_provider_folder(), folder / "provider_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run(  # noqa: S603 - an argument list of ours
        [*compiled, "-s", str(folder), "-p", _ROOT, str(folder)], check=True
    )
    layer = Layer()
    layer.add_tree(folder, _ROOT)
    packed = layer.pack()
    shutil.rmtree(folder)
    return packed


def _copy_package(name: str, version: str, folder: Path) -> None:
    """Copy an installed package's files; it must be the one of the lock."""
    wanted = _normal(name)
    found = next((item for item in distributions() if _normal(item.metadata["Name"]) == wanted), None)
    if found is None or found.version != version:
        raise ImageError(f"{name}=={version} of the provider's lock is not installed. Fix: make dev")
    for file in found.files or ():
        source = Path(str(found.locate_file(file)))
        if ".." not in file.parts and source.is_file() and "__pycache__" not in file.parts:
            target = folder / Path(str(file))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _dockerfile_config() -> dict[str, Any]:
    """Return user, environment, folder and entrypoint of the last stage of the provider's Dockerfile."""
    text = (_provider_folder() / "Dockerfile").read_text(encoding="utf-8")
    stage = text.rpartition("\nFROM ")[2]
    found = {match["word"]: match["rest"] for match in _INSTRUCTION.finditer(stage)}
    return {
        "Env": _VARIABLE.findall(found["ENV"]),
        "User": found["USER"],
        "WorkingDir": found["WORKDIR"],
        "Entrypoint": json.loads(found["ENTRYPOINT"]),
    }


def _provider_folder() -> Path:
    return toolbox.PROJECT / "provider_runtime"


def _shared_libraries(programs: list[Path]) -> list[str]:
    """Return the paths of what the dynamic linker loads for these."""
    found: set[str] = set()
    for program in programs:
        listed = subprocess.run(  # noqa: S603
            ["ldd", str(program)],  # noqa: S607 - of the machine's C library
            capture_output=True,
            text=True,
            check=False,
        )
        found.update(_SHARED.findall(listed.stdout))
    return sorted(found)
