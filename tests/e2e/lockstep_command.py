"""The command line as a person runs it against the real API server: a kubeconfig, and credentials of the account."""

from __future__ import annotations

import os
import subprocess
import sys

import yaml

from local.stage import Stage
from tests.e2e.kubernetes_api import KubernetesApi
from tests.e2e.toolbox import PROJECT


def start_lockstep(stage: Stage, person: KubernetesApi, *arguments: str) -> subprocess.Popen[str]:
    """Start a command on the stack `local` that prints JSON.

    Args:
        stage: Whose emulated account it asks, and where the kubeconfig is written.
        person: Who asks the API server, by the token of the kubeconfig.
        arguments: Verb and options.
    """
    config = {
        "current-context": "e2e",
        "clusters": [
            {"name": "c", "cluster": {"server": person.url, "certificate-authority": str(person.certificate)}}
        ],
        "contexts": [{"name": "e2e", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": person.token}}],
    }
    path = stage.work_dir / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(stage.work_dir),
        "AWS_ACCESS_KEY_ID": stage.emulator.access_key,
        "AWS_SECRET_ACCESS_KEY": stage.emulator.secret_key,
        "AWS_ENDPOINT_URL": stage.emulator.endpoint,
    }
    command = [sys.executable, "-m", "lockstep", *arguments, "--stack", "local", "--format", "json"]
    return subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--kubeconfig", str(path)],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
