"""`pulumi-language-python` for machines without the real one: runs programs by Pulumi's start script, and plugins.

Only the host process is ours. The script that it starts, `pulumi-language-python-exec`, is the one of the SDK's Go
module, and the SDK is the one of the project's virtual environment. LOCKSTEP_LANGUAGE_EXEC names the script.

Not done here: other toolchains than pip with a virtual environment, type checkers, debuggers, generating, and
installing: the virtual environment has to be there.

Source: pulumi `sdk/python/cmd/pulumi-language-python/main.go` and `proto/pulumi/language.proto`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import json_format
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from tests.pulumi_cli.plugin_process import serve_until_orphaned

#: The start script has told the user already what went wrong.
_TOLD_EXIT_CODE: Final = 32

#: Printed by the project's interpreter: name and version of everything that is installed, and its plugin description.
_LIST_PACKAGES: Final = """
import importlib.metadata, json, pathlib
listed = []
for distribution in importlib.metadata.distributions():
    name = distribution.metadata["Name"]
    description = pathlib.Path(distribution.locate_file(name.replace("-", "_")), "pulumi-plugin.json")
    plugin = json.loads(description.read_text()) if description.is_file() else None
    listed.append({"name": name, "version": distribution.version, "plugin": plugin})
print(json.dumps(sorted(listed, key=lambda item: item["name"])))
"""


class _RefusedError(Exception):
    """The project cannot be run as it is; the text goes to the user."""


@dataclass(frozen=True, slots=True)
class _Environment:
    """The project's virtual environment."""

    folder: Path

    @classmethod
    def of(cls, info: language_pb2.ProgramInfo) -> _Environment:
        """Find it by the options of Pulumi.yaml."""
        options: Mapping[str, Any] = json_format.MessageToDict(info.options)
        if options.get("toolchain", "pip") != "pip" or not options.get("virtualenv") or options.get("typechecker"):
            raise _RefusedError("this host runs the pip toolchain with a virtualenv and without a type checker only")
        found = cls(Path(info.root_directory, str(options["virtualenv"])))
        if not found.python.exists():
            raise _RefusedError(f"the virtualenv of Pulumi.yaml, {found.folder}, is none. Fix: make dev")
        return found

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def variables(self) -> dict[str, str]:
        """Return the process's environment with this one activated."""
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
        path = f"{self.folder / 'bin'}{os.pathsep}{inherited.get('PATH', os.defpath)}"
        return inherited | {"VIRTUAL_ENV": str(self.folder), "PATH": path}

    def packages(self) -> list[dict[str, Any]]:
        """Return what is installed."""
        listed = subprocess.run(  # noqa: S603 - the project's interpreter
            [str(self.python), "-c", _LIST_PACKAGES], env=self.variables(), capture_output=True, text=True, check=True
        )
        packages: list[dict[str, Any]] = json.loads(listed.stdout)
        return packages


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The service. Method names are the protocol's."""

    def __init__(self, engine: str, start_script: Path) -> None:
        self._engine = engine
        self._start_script = start_script
        self._running: subprocess.Popen[bytes] | None = None

    def Handshake(  # noqa: N802 - the protocol's name
        self,
        request: language_pb2.LanguageHandshakeRequest,
        context: grpc.ServicerContext,  # noqa: ARG002 - the protocol's signature
    ) -> language_pb2.LanguageHandshakeResponse:
        """Take the engine's address."""
        self._engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: ARG002, N802
        """Name no version."""
        return plugin_pb2.PluginInfo()

    def GetRequiredPackages(  # noqa: N802
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """Name the provider of every installed SDK."""
        packages = self._environment(request.info, context).packages()
        plugins = [
            (item["plugin"].get("name") or item["name"].removeprefix("pulumi-"), item)
            for item in packages
            if item["plugin"] and item["plugin"].get("resource")
        ]
        return language_pb2.GetRequiredPackagesResponse(
            packages=[
                plugin_pb2.PackageDependency(
                    name=name,
                    kind="resource",
                    version="v" + (item["plugin"].get("version") or item["version"]).removeprefix("v"),
                    server=item["plugin"].get("server", ""),
                )
                for name, item in plugins
            ]
        )

    def GetProgramDependencies(  # noqa: N802
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        """Name everything that is installed."""
        packages = self._environment(request.info, context).packages()
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[language_pb2.DependencyInfo(name=item["name"], version=item["version"]) for item in packages]
        )

    def About(  # noqa: N802
        self, request: language_pb2.AboutRequest, context: grpc.ServicerContext
    ) -> language_pb2.AboutResponse:
        """Name the interpreter."""
        environment = self._environment(request.info, context)
        return language_pb2.AboutResponse(executable=str(environment.python), version=sys.version.split()[0])

    def RuntimeOptionsPrompts(  # noqa: N802
        self,
        request: language_pb2.RuntimeOptionsRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> language_pb2.RuntimeOptionsResponse:
        """Ask nothing."""
        return language_pb2.RuntimeOptionsResponse()

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:  # noqa: N802
        """Run the program to its end; say how it ended unless the start script has."""
        environment = self._environment(request.info, context)
        variables = environment.variables() | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        command = [str(environment.python), "-u", str(self._start_script), *self._flags(request)]
        # The engine reads the program's own output from this process's streams.
        self._running = subprocess.Popen(  # noqa: S603 - Pulumi's script and an argument list
            [*command, request.info.entry_point, *request.args], env=variables, stdin=subprocess.DEVNULL
        )
        code = self._running.wait()
        if code == 0:
            return language_pb2.RunResponse()
        if code == _TOLD_EXIT_CODE:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}")

    def InstallDependencies(  # noqa: N802
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Install nothing: refuse a folder without its virtual environment."""
        self._environment(request.info, context)
        yield from ()

    def RunPlugin(  # noqa: N802
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a plugin that is a folder with a `__main__.py`, and hand on what it prints, until it or the call ends.

        A policy pack is started by Pulumi's own module, which is told the engine's address and the folder.
        """
        environment = self._environment(request.info, context)
        given = dict(variable.partition("=")[::2] for variable in request.env)
        folder = request.info.program_directory
        is_pack = Path(folder, "PulumiPolicy.yaml").exists()
        words = ["-u", "-m", "pulumi.policy", *request.args, folder] if is_pack else [folder, *request.args]
        plugin = subprocess.Popen(  # noqa: S603 - the plugin's folder and an argument list
            [str(environment.python), *words],
            cwd=request.pwd,
            env=given | environment.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
        )
        context.add_callback(plugin.terminate)
        assert plugin.stdout is not None
        for line in plugin.stdout:
            yield language_pb2.RunPluginResponse(stdout=line)
        yield language_pb2.RunPluginResponse(exitcode=plugin.wait())

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:  # noqa: ARG002, N802
        """Interrupt the program."""
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()
        return Empty()

    def _flags(self, request: language_pb2.RunRequest) -> list[str]:
        flags = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "root_directory": request.info.root_directory,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": "true" if request.dryRun else "false",
            "parallel": str(request.parallel),
            "organization": request.organization,
        }
        return [word for name, value in flags.items() if value for word in (f"--{name}", value)]

    def _environment(self, info: language_pb2.ProgramInfo, context: grpc.ServicerContext) -> _Environment:
        try:
            return _Environment.of(info)
        except _RefusedError as error:
            _abort(context, str(error))


def _abort(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
    raise AssertionError("unreachable: abort raises")


def main(arguments: list[str]) -> None:
    """Serve the host; the engine's address is the argument that is no flag."""
    engine = next((word for word in arguments if not word.startswith("-")), "")
    host = LanguageHost(engine, Path(os.environ["LOCKSTEP_LANGUAGE_EXEC"]))
    serve_until_orphaned(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server))


if __name__ == "__main__":
    main(sys.argv[1:])
