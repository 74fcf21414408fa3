"""The TypeScript example against the real thing: Pulumi's generated SDK, Pulumi's own packages, the real compiler.

The SDK is generated from the reviewed schema, as `pulumi package add` does. Packages come by npm into a folder of the
test, direct ones in exact versions, and no install script but the SDK's own runs. The compiled program then runs in
node on Pulumi's mocks, and what it sends is read by the component's own reader.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from components.app_secrets import read_args
from tests.e2e import toolbox

#: Versions that the example's own ranges allow, which `npm ls` checks.
_PINS: Final = {
    "@pulumi/kubernetes": "4.34.2",
    "@pulumi/pulumi": "3.270.0",
    "@types/node": "22.20.5",
    "typescript": "5.9.3",
}
_INSTALL: Final = ("install", "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund")

#: What is wrong, and what the compiler must name: another argument, an output, one left out, an output that is none.
_WRONG: Final = (
    ("clusterName:", "clusterNam:", "clusterNam"),
    ('config.require("account")', 'config.requireSecret("account")', "Output<string>"),
    ("    oidcIssuer: ", "    // ", "oidcIssuer"),
    ("{ providers: [cluster] }", '{ providers: ["cluster"] }', "ProviderResource"),
    ("api.roleArn", "api.roleArm", "roleArm"),
)

_CONFIG: Final = {
    "api-secrets:account": "111122223333",
    "api-secrets:clusterName": "dev",
    "api-secrets:oidcIssuer": "https://oidc.example/id/A",
    "api-secrets:kubeconfig": "{}",
}
_RUN: Final = """\
const pulumi = require("@pulumi/pulumi");
const registered = [];
pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs }) => { registered.push({ type, inputs }); return { id: name, state: inputs }; },
    call: ({ inputs }) => inputs,
}, "api-secrets", "dev", false);
pulumi.runtime.setAllConfig(CONFIG, []);
const outputs = Object.keys(require("./out/index.js"));
process.on("beforeExit", () => { console.log(JSON.stringify({ registered, outputs })); process.exit(0); });
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The example in a folder of its own, compiled, with wrong variants beside it. `errors`: by file."""

    folder: Path
    errors: dict[str, list[str]]


@pytest.fixture(scope="module")
def compiled(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """Generate the SDK, install the packages, and compile everything in one run of the compiler."""
    absent = [name for name in ("node", "npm") if shutil.which(name) is None]
    if absent or toolbox.missing_go():
        pytest.skip("; ".join([*(f"{name} is not on PATH" for name in absent), *toolbox.missing_go()]))
    if toolbox.missing_tools((toolbox.PULUMI_SDK_NODEJS,)):
        pytest.fail("Pulumi's generator is not built. Fix: make e2e-examples")
    examples = tmp_path_factory.mktemp("examples")
    shutil.copy(project / "examples" / "api.yaml", examples)
    folder = Path(shutil.copytree(project / "examples" / "typescript", examples / "typescript"))
    sdk = folder / "sdks" / "lockstep"
    schema = project / "tests" / "golden" / "package-schema.json"
    _run([str(toolbox.PULUMI_SDK_NODEJS.path), str(schema), str(sdk)], folder)
    _run(["npm", *_INSTALL, *(f"{name}@{version}" for name, version in _PINS.items())], folder)
    _run(["npm", "ls", "--depth=0"], folder)
    compiler = str(folder / "node_modules" / ".bin" / "tsc")
    # What the SDK's own install script does, with this compiler.
    _run([compiler, "-p", "."], sdk)
    shutil.copy(sdk / "package.json", sdk / "bin")
    names = _write_variants(folder)
    done = subprocess.run(  # noqa: S603 - the compiler
        [compiler, "-p", ".", "--noEmit", "false", "--outDir", "out"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    errors: dict[str, list[str]] = {name: [] for name in ("index.ts", *names)}
    for file, text in re.findall(r"^(\S+?)\(\d+,\d+\): error (.*(?:\n .*)*)", done.stdout, re.MULTILINE):
        errors[file].append(text)
    return Compiled(folder=folder, errors=errors)


def _write_variants(folder: Path) -> list[str]:
    """Write the wrong programs beside the right one and add them to the compiler's list."""
    text = (folder / "index.ts").read_text(encoding="utf-8")
    names = []
    for number, (right, wrong, _) in enumerate(_WRONG):
        assert right in text
        names.append(f"wrong{number}.ts")
        (folder / names[-1]).write_text(text.replace(right, wrong, 1), encoding="utf-8")
    path = folder / "tsconfig.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["files"] += names
    path.write_text(json.dumps(config), encoding="utf-8")
    return names


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(list(command), cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_the_program_compiles_against_the_generated_sdk(compiled: Compiled) -> None:
    assert compiled.errors["index.ts"] == []


@pytest.mark.parametrize("number", range(len(_WRONG)))
def test_a_wrong_program_does_not(compiled: Compiled, number: int) -> None:
    errors = compiled.errors[f"wrong{number}.ts"]
    assert any(_WRONG[number][2] in error for error in errors), errors


def test_what_the_program_sends_is_what_the_component_reads(compiled: Compiled, project: Path) -> None:
    script = compiled.folder / "run.js"
    script.write_text(_RUN.replace("CONFIG", json.dumps(_CONFIG)), encoding="utf-8")
    told = json.loads(_run(["node", script.name], compiled.folder))
    (sent,) = [item["inputs"] for item in told["registered"] if item["type"] == "lockstep:index:AppSecrets"]
    plain, access = read_args(sent)
    assert plain["spec"] == (project / "examples" / "api.yaml").read_text(encoding="utf-8")
    assert access.role_arn == "arn:aws:iam::111122223333:role/lockstep/dev-eu-west-1-api"
    (cluster,) = [item["inputs"] for item in told["registered"] if item["type"] == "pulumi:providers:kubernetes"]
    assert _is_secret(cluster["kubeconfig"])
    assert sorted(told["outputs"]) == ["roleArn", "serviceAccount"]


def _is_secret(value: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(value, dict) and value.get("value") == "{}"
