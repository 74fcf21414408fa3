"""The real Pulumi CLI on one stack: a file backend, a passphrase, plugins of the tests, and no network.

Everything that the CLI keeps is in one folder of the caller's. The environment is made from nothing but PATH and HOME,
so that neither credentials nor settings of whoever runs the tests take part.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.e2e import toolbox
from tests.pulumi_cli.installed_parts import InstalledParts

_TIMEOUT_SECONDS: Final = 600.0

_LAUNCHER: Final = """#!/bin/sh
# Started by the engine, from any folder.
PYTHONPATH='{project}' exec '{python}' -P -m tests.pulumi_cli.{module} "$@"
"""


class CliError(Exception):
    """The CLI ended with an error; the message has what it printed."""


@dataclass(slots=True, kw_only=True)
class PulumiCli:
    """The CLI, for one project and stack.

    Attributes:
        parts: Which CLI and language host.
        project: Folder of Pulumi.yaml. The CLI writes the passphrase's salt into the stack's file: give it a copy.
        stack: The stack's name.
        folder: For state, home and plugins; made if missing.
        variables: Added to the environment of CLI, program and plugins.
        plugins: Plugin name (`resource-aws`) to the module of `tests.pulumi_cli` that serves it.
        starts_plugins: Whether packages or policy packs in Python take part, which the language host starts.
    """

    parts: InstalledParts
    project: Path
    stack: str
    folder: Path
    variables: Mapping[str, str]
    plugins: Mapping[str, str]
    starts_plugins: bool = False
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        bin_folder = self.folder / "bin"
        home = self.folder / "home"
        state = self.folder / "state"
        for each in (bin_folder, home, state):
            each.mkdir(parents=True, exist_ok=True)
        for name, module in self.plugins.items():
            _write_launcher(bin_folder / f"pulumi-{name}", module)
        (bin_folder / "pulumi").symlink_to(self.parts.cli)
        self._put_language_host(bin_folder)
        searched = [bin_folder]
        searched += [self.parts.language_host.parent] if self.parts.language_host else []
        self.environment = {
            "PATH": os.pathsep.join([*map(str, searched), os.environ.get("PATH", os.defpath)]),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PULUMI_HOME": str(home / ".pulumi"),
            "PULUMI_BACKEND_URL": state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "not-a-secret",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "LOCKSTEP_LANGUAGE_EXEC": str(toolbox.PULUMI_START_SCRIPT),
            # The toolbox's host does not know how today's CLI tells the option `virtualenv`.
            "PULUMI_PYTHON_CMD": sys.executable,
            **self.variables,
        }

    def _put_language_host(self, bin_folder: Path) -> None:
        """Put what runs programs in Python into a folder on PATH, unless Pulumi's own is on PATH."""
        if self.parts.language_host is not None:
            return
        program = bin_folder / "pulumi-language-python"
        if self.parts.program_host is None or self.starts_plugins:
            _write_launcher(program, "language_plugin")
        else:
            program.symlink_to(self.parts.program_host)
            (bin_folder / toolbox.PULUMI_START_SCRIPT.name).symlink_to(toolbox.PULUMI_START_SCRIPT)

    def version(self) -> str:
        """Return what `pulumi version` says."""
        return self.run("version").strip()

    def init(self) -> None:
        """Make the stack."""
        self.run("stack", "init", self.stack, "--secrets-provider", "passphrase")

    def keep_plugins(self, versions: Mapping[str, str]) -> None:
        """Put providers where the CLI keeps those that it downloaded, by package name.

        What a package needs is looked for there only, whatever is on PATH.
        """
        for name, version in versions.items():
            program = f"pulumi-resource-{name}"
            folder = Path(self.environment["PULUMI_HOME"]) / "plugins" / f"resource-{name}-v{version}"
            folder.mkdir(parents=True)
            (folder / program).symlink_to(self.folder / "bin" / program)

    def preview(self, *flags: str) -> dict[str, Any]:
        """Return the digest of a preview, unchanged resources included, and save its plan."""
        digest: dict[str, Any] = json.loads(self.run("preview", *self.preview_flags(), *self._stack(), *flags))
        return digest

    def preview_flags(self) -> Sequence[str]:
        """Return what a preview is asked for: a digest with unchanged resources, and a plan of its own."""
        return ("--json", "--show-sames", "--save-plan", str(self._plan))

    def saved_plan(self) -> dict[str, Any]:
        """Return the plan of the last preview, secrets encrypted."""
        saved: dict[str, Any] = json.loads(self._plan.read_text(encoding="utf-8"))
        return saved

    def up(self, *flags: str) -> str:
        """Deploy."""
        return self.run("up", "--yes", "--skip-preview", *self._stack(), *flags)

    def destroy(self, *flags: str) -> str:
        """Remove everything."""
        return self.run("destroy", "--yes", "--skip-preview", *self._stack(), *flags)

    def resources(self) -> list[dict[str, Any]]:
        """Return the stack's records, as `pulumi stack export` writes them, secrets in the clear."""
        exported = json.loads(self.run("stack", "export", "--show-secrets", "--stack", self.stack))
        records: list[dict[str, Any]] = exported["deployment"].get("resources") or []
        return records

    def run(self, *words: str) -> str:
        """Run one command and return what it printed.

        Raises:
            CliError: It ended with an error.
        """
        done = self.attempt(*words)
        if done.returncode:
            raise CliError(f"`pulumi {' '.join(words)}` ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def attempt(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command, whatever comes of it."""
        return subprocess.run(  # noqa: S603 - the CLI with an argument list
            [str(self.folder / "bin" / "pulumi"), *words, "--non-interactive", "--color", "never"],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )

    @property
    def _plan(self) -> Path:
        return self.folder / "plan.json"

    def _stack(self) -> Sequence[str]:
        return ("--stack", self.stack)


def _write_launcher(path: Path, module: str) -> None:
    path.write_text(_LAUNCHER.format(project=toolbox.PROJECT, python=sys.executable, module=module), encoding="utf-8")
    path.chmod(0o755)
