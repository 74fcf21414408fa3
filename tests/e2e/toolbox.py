"""The real parts of a cluster, built from their Go modules into a git-ignored folder: `python -m tests.e2e.toolbox`.

Pinned by the go.mod and go.sum files in `tests/e2e/tools`. A part is built again only when its module files or the Go
toolchain have changed; what is there says so in a stamp beside it. The driver's manifests (custom resource definitions,
rights) and Pulumi's start script of Python programs are copied out of their modules, never kept in the repository.
`--pulumi` builds the Pulumi CLI, Pulumi's Kubernetes provider and its language hosts of Python and YAML instead,
`--sdk` its generator of TypeScript SDKs; these need Go and nothing else. `--node` also brings containerd, runc and the
like out of Debian's packages, where the machine lacks them (debian_packages.py).

Not done here: running anything (control_plane.py, csi_driver.py).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e import debian_packages

PROJECT: Final = Path(__file__).resolve().parents[2]
MODULES: Final = Path(__file__).resolve().parent / "tools"
FOLDER: Final = PROJECT / ".e2e"

KUBERNETES_MINOR: Final = "1.36"
KUBERNETES_VERSION: Final = "v1.36.2"
_DRIVER_MODULE: Final = "sigs.k8s.io/secrets-store-csi-driver"
#: Kubernetes reads its own version from here; without it, whatever depends on a minor version misreads it.
_KUBERNETES_FLAGS: Final = (
    f"-X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION} "
    "-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
)
_PULUMI_VERSION: Final = "v3.274.1"
_PULUMI_SDK: Final = "github.com/pulumi/pulumi/sdk/v3"
_PULUMI_PYTHON_VERSION: Final = "v3.79.0"
_MANIFESTS: Final = (
    "secrets-store.csi.x-k8s.io_secretproviderclasses.yaml",
    "secrets-store.csi.x-k8s.io_secretproviderclasspodstatuses.yaml",
    "rbac-secretproviderclass.yaml",
    "rbac-secretprovidersyncing.yaml",
)


class ToolboxError(Exception):
    """A part could not be built; the message ends with the last of what the Go command said, `said` is all of it."""

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


class ModulesUnavailableError(ToolboxError):
    """The part's modules cannot be had here: no network, or a proxy that refuses one. They need not be wrong."""


#: Exit code where modules cannot be had (EX_UNAVAILABLE): a reason to leave parts out, which a broken one is not.
UNAVAILABLE: Final = 69
#: How Go says that a server does not answer, or not with a module.
_NOT_SERVED: Final = re.compile(
    r": (?:40[13478]|410|429|5\d\d) [A-Z]|dial tcp|proxyconnect|no such host|network is unreachable"
    r"|connection re(?:fused|set)|i/o timeout|TLS handshake timeout|Client\.Timeout|deadline exceeded"
    r"|: (?:unexpected )?EOF\b|stream error|failed to verify certificate|toolchain not available|module lookup disabled"
)
#: How it says that modules are not the pinned ones, or the pins not whole, whatever else it says.
_WRONG: Final = re.compile(r"checksum mismatch|SECURITY ERROR|missing go\.sum entry|is not in std|updates to go\.mod")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One program.

    Attributes:
        name: File name in the toolbox.
        module: Folder below `tools` with its go.mod and go.sum.
        package: Go package of the program.
        linker_flags: Further `-ldflags`.
        tags: Go build tags.
    """

    name: str
    module: str
    package: str
    linker_flags: str = ""
    tags: str = ""

    @property
    def path(self) -> Path:
        """Where the program is, once built."""
        return FOLDER / "bin" / self.name

    def digest(self, go_version: str) -> str:
        """Return what the program was built from: module files, package, flags and toolchain."""
        files = [path.read_bytes() for path in sorted((MODULES / self.module).iterdir())]
        parts = [*files, self.package.encode(), self.linker_flags.encode(), go_version.encode()]
        parts += [self.tags.encode()] if self.tags else []
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _kubernetes(name: str) -> Tool:
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Tool(name=name, module="kubernetes", package=package, linker_flags=_KUBERNETES_FLAGS)


def _driver(version: str, module: str) -> Tool:
    package = f"{_DRIVER_MODULE}/cmd/secrets-store-csi-driver"
    return Tool(name=f"secrets-store-csi-driver-{version}", module=module, package=package)


DRIVER: Final = _driver("1.6.0", "driver")
OLD_DRIVER: Final = _driver("1.5.6", "driver-1.5")
ETCD: Final = Tool(name="etcd", module="etcd", package="go.etcd.io/etcd/server/v3")
API_SERVER: Final = _kubernetes("kube-apiserver")
CONTROLLER_MANAGER: Final = _kubernetes("kube-controller-manager")
SCHEDULER: Final = _kubernetes("kube-scheduler")
KUBELET: Final = _kubernetes("kubelet")
#: Renders the driver's chart, which lies in the driver's own module.
HELM: Final = Tool(name="helm", module="helm", package="helm.sh/helm/v3/cmd/helm")


def _own(name: str) -> Tool:
    return Tool(name=name, module=name, package=f"lockstep.example/e2e/{name}")


#: The sidecars of the driver's DaemonSet; stand-ins of ours, because not every module proxy serves the real ones.
REGISTRAR: Final = _own("node-driver-registrar")
LIVENESS_PROBE: Final = _own("livenessprobe")

#: The CLI asks plugins for versions that fit its own; `grpcnotrace` is upstream's tag for a smaller program.
PULUMI: Final = Tool(
    name="pulumi",
    module="pulumi",
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    linker_flags=f"-X {_PULUMI_SDK}/go/common/version.Version={_PULUMI_VERSION}",
    tags="grpcnotrace",
)
#: Pulumi's Kubernetes provider. Not every module proxy serves it; what needs it is skipped without.
PULUMI_KUBERNETES: Final = _own("pulumi-resource-kubernetes")
#: Pulumi's language host for programs in YAML.
PULUMI_YAML: Final = Tool(
    name="pulumi-language-yaml",
    module="pulumi-language-yaml",
    package="github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
)
#: Pulumi's language host of Python. Later ones are a module of their own, which not every module proxy serves; this
#: one, of 2023, is the last that is a package of the SDK. It runs programs; today's CLI can start no plugins by it.
PULUMI_PYTHON: Final = Tool(
    name="pulumi-language-python",
    module="pulumi-language-python",
    package=f"{_PULUMI_SDK}/python/cmd/pulumi-language-python",
    linker_flags=f"-X {_PULUMI_SDK}/go/common/version.Version={_PULUMI_PYTHON_VERSION}",
)
#: Pulumi's generator of TypeScript SDKs, behind a main function of ours.
PULUMI_SDK_NODEJS: Final = _own("pulumi-sdk-nodejs")
#: Pulumi's own start script of Python programs, from the SDK's module.
PULUMI_START_SCRIPT: Final = FOLDER / "bin" / "pulumi-language-python-exec"

#: Parts of Pulumi → the programs that make building it needless where they are on PATH. A CLI there without a language
#: host still needs the start script, which is built with the CLI.
_PULUMI_PARTS: Final = {
    PULUMI: ("pulumi", "pulumi-language-python"),
    PULUMI_PYTHON: ("pulumi-language-python",),
    PULUMI_KUBERNETES: ("pulumi-resource-kubernetes",),
    PULUMI_YAML: ("pulumi-language-yaml",),
}

#: What tier B runs on, quickest first.
TIER_B: Final = (DRIVER, OLD_DRIVER, ETCD, API_SERVER, CONTROLLER_MANAGER)
#: What a whole node needs besides.
TIER_C: Final = (*TIER_B, SCHEDULER, KUBELET, HELM, REGISTRAR, LIVENESS_PROBE)


def missing_requirements() -> tuple[str, ...]:
    """Say why this machine cannot run the parts at all; () when it can."""
    reasons = []
    if sys.platform != "linux":
        reasons.append(f"the driver mounts, which needs Linux and not {sys.platform}")
    elif os.geteuid() != 0:
        reasons.append("the driver mounts, which needs root")
    return (*reasons, *missing_go())


def missing_go() -> tuple[str, ...]:
    """Say why this machine cannot build the parts; () when it can."""
    return () if shutil.which("go") else ("go is not on PATH, and the parts are built from Go modules",)


def missing_node_requirements() -> tuple[str, ...]:
    """Say why this machine cannot run a whole node; () when it can."""
    reasons = missing_requirements()
    needed = debian_packages.OUTER_PROGRAMS | debian_packages.NODE_PROGRAMS
    absent = debian_packages.absent(needed, FOLDER)
    if absent:
        packages = " ".join(sorted(set(absent.values())))
        reasons += (f"a node needs {', '.join(absent)}. Fix on Debian: apt-get install {packages}",)
    kinds = Path("/proc/filesystems")
    if kinds.exists() and "overlay" not in kinds.read_text(encoding="utf-8"):
        reasons += ("the kernel has no overlayfs, which containers need",)
    return reasons


def missing_tools(tools: tuple[Tool, ...] = TIER_B) -> tuple[str, ...]:
    """Return the names of programs that are not built, or were built from something else."""
    version = _go_version()
    return tuple(tool.name for tool in tools if not _is_built(tool, version))


def manifests(tool: Tool = DRIVER) -> Path:
    """Return the folder of a driver's own manifests."""
    return FOLDER / "manifests" / tool.name


def chart() -> Path:
    """Return the driver's Helm chart, in the module cache of the Go toolchain."""
    return _module_folder(DRIVER, _DRIVER_MODULE) / "charts" / "secrets-store-csi-driver"


def build(tool: Tool) -> float | None:
    """Build one program; return the seconds that it took, or None when it was there already.

    Raises:
        ModulesUnavailableError: Its modules cannot be had here.
        ToolboxError: They do not compile, or are not the ones that go.sum names.
    """
    version = _go_version()
    if _is_built(tool, version):
        return None
    started = time.monotonic()
    tool.path.parent.mkdir(parents=True, exist_ok=True)
    partial = tool.path.with_name(f"{tool.name}.partial")
    flags = f"-s -w {tool.linker_flags}".strip()
    _fetch(tool)
    words = ["build", "-trimpath", f"-tags={tool.tags}", f"-ldflags={flags}", "-o", str(partial), tool.package]
    _go(MODULES / tool.module, *words)
    if tool.package.startswith(_DRIVER_MODULE):
        _copy_manifests(tool)
    if tool is PULUMI:
        script = _module_folder(tool, _PULUMI_SDK) / "python" / "cmd" / PULUMI_START_SCRIPT.name
        shutil.copyfile(script, PULUMI_START_SCRIPT)
    partial.replace(tool.path)
    _stamp(tool).write_text(tool.digest(version), encoding="utf-8")
    return time.monotonic() - started


def _fetch(tool: Tool) -> None:
    """Fetch the modules of every package that a program imports, and none besides, before anything is compiled."""
    try:
        _go(MODULES / tool.module, "list", "-deps", f"-tags={tool.tags}", tool.package)
    except ToolboxError as error:
        if _NOT_SERVED.search(error.said) and not _WRONG.search(error.said):
            raise ModulesUnavailableError(str(error), error.said) from None
        raise


def _copy_manifests(tool: Tool) -> None:
    folder = manifests(tool)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _MANIFESTS:
        shutil.copyfile(_module_folder(tool, _DRIVER_MODULE) / "deploy" / name, folder / name)


def _module_folder(tool: Tool, module: str) -> Path:
    """Return where Go keeps the source of a module."""
    _go(MODULES / tool.module, "mod", "download", module)
    return Path(_go(MODULES / tool.module, "list", "-m", "-f", "{{.Dir}}", module).strip())


def _is_built(tool: Tool, go_version: str) -> bool:
    stamp = _stamp(tool)
    return tool.path.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == tool.digest(go_version)


def _stamp(tool: Tool) -> Path:
    return tool.path.with_name(f"{tool.name}.built-from")


def _go_version() -> str:
    return _go(PROJECT, "env", "GOVERSION").strip()


def _go(folder: Path, *words: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly", "GOWORK": "off"}
    done = subprocess.run(  # noqa: S603 - an argument list of ours
        ["go", *words],  # noqa: S607 - whichever Go the machine has on PATH
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        shown = f"`go {' '.join(words)}` in {folder.relative_to(PROJECT)} failed:\n{done.stderr[-3000:]}"
        raise ToolboxError(shown, done.stderr)
    return done.stdout


def _bring_packages() -> bool:
    """Unpack the packages of a node's programs that are missing; say so, and whether all is there."""
    absent = debian_packages.absent(debian_packages.NODE_PROGRAMS, FOLDER)
    packages = sorted(set(absent.values()))
    if not packages or not debian_packages.can_bring():
        return True  # without Debian's tools the tests are skipped, and say what is missing
    try:
        seconds = debian_packages.bring(packages, FOLDER)
    except debian_packages.PackagesUnavailableError as error:
        print(f"{', '.join(packages)}: {error}", file=sys.stderr)
        return False
    print(f"{', '.join(packages)}: unpacked in {seconds:.0f} s", flush=True)
    return True


def main(arguments: list[str]) -> int:
    """Build what is missing and say how long each took; 0 also on a machine that cannot run them (it says why).

    UNAVAILABLE where modules cannot be had, 1 where what is there does not build. `--can-run` builds nothing: 0 where
    the parts can run, else 1 and the reasons. `--node` builds a whole node's parts, `--pulumi` those of Pulumi that
    PATH lacks (the CLI must build, the others are not served everywhere), `--sdk` the generator of TypeScript SDKs
    alone.
    """
    wants_cli, wants_sdk = "--pulumi" in arguments, "--sdk" in arguments
    reasons = missing_go() if wants_cli or wants_sdk else missing_requirements()
    if "--can-run" in arguments:
        print("; ".join(reasons) or "the real parts can run here")
        return 1 if reasons else 0
    if reasons:
        for reason in reasons:
            print(f"not built: {reason}")
        return 0
    own_tools = (PULUMI_SDK_NODEJS,) if wants_sdk else TIER_C if "--node" in arguments else TIER_B
    tools = tuple(_PULUMI_PARTS) if wants_cli else own_tools
    if "--node" in arguments and not _bring_packages():
        return UNAVAILABLE
    for tool in tools:
        if wants_cli and all(shutil.which(name) for name in _PULUMI_PARTS[tool]):
            print(f"{tool.name}: on PATH")
            continue
        try:
            seconds = build(tool)
        except ToolboxError as error:
            print(f"{tool.name}: {error}", file=sys.stderr)
            if wants_cli and tool is not PULUMI:
                continue
            return UNAVAILABLE if isinstance(error, ModulesUnavailableError) else 1
        print(f"{tool.name}: {'there' if seconds is None else f'built in {seconds:.0f} s'}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
