"""`lockstep doctor` as a user meets it: kubeconfig and credentials or not, text or JSON, exit codes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from lockstep.__main__ import main
from lockstep.doctor.endpoint_checks import check_names
from lockstep.doctor.expected import Expected
from lockstep.exit_codes import ExitCode
from lockstep.project import load_project
from tests.doctor.healthy_cluster import DAEMON_SETS, PROVIDER, healthy_cluster
from tests.fakes.kubernetes import FakeApiServer


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, project: Path) -> None:
    """No kubeconfig, no AWS credentials, no network, and the project's folder."""
    for name in ("KUBECONFIG", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("lockstep.doctor.endpoint_checks.check_names", partial(check_names, find=lambda _host: ()))
    monkeypatch.chdir(project)


@pytest.fixture
def server(project: Path) -> FakeApiServer:
    return healthy_cluster(Expected.of(load_project(project).stack("prod")))


def test_without_kubeconfig_and_credentials_both_parts_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--stack", "prod"]) == ExitCode.FINE
    out = capsys.readouterr().out
    assert "skipped  cluster" in out
    assert "there is no kubeconfig" in out
    assert "there are no AWS credentials" in out
    assert out.splitlines()[-1].startswith("prod: 0 ok, 0 fail,")
    assert main(["doctor", "--stack", "prod", "--require", "cluster", "--require", "aws"]) == ExitCode.FINDINGS
    assert main(["doctor", "--stack", "prod", "--fail-on", "warn"]) == ExitCode.FINDINGS, "names do not resolve"


def test_a_healthy_cluster_is_fine_and_a_broken_one_has_the_fix_on_its_line(
    server: FakeApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server:
        config = str(server.kubeconfig(tmp_path / "config"))
        assert main(["doctor", "--stack", "prod", "--kubeconfig", config]) == ExitCode.FINE
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[:2] for line in lines if line.startswith("skipped")] == [
            ["skipped", "agent.ready"],
            ["skipped", "aws"],
        ]
        server.find(DAEMON_SETS, PROVIDER)["status"]["numberReady"] = 1
        assert main(["doctor", "--stack", "prod", "--kubeconfig", config, "--format", "json"]) == ExitCode.FINDINGS
        report = json.loads(capsys.readouterr().out)
        assert main(["doctor", "--stack", "prod", "--kubeconfig", config]) == ExitCode.FINDINGS
    (failed,) = [check for check in report["checks"] if check["status"] == "fail"]
    assert failed["check"] == "provider.ready"
    assert report["counts"]["fail"] == 1
    assert sum(report["counts"].values()) == len(report["checks"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fail")]
    assert f"{failed['text']}. Fix: {failed['fix']}." in line


def test_a_server_that_cannot_be_reached_is_a_part_that_cannot_be_seen(
    server: FakeApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with server:
        config = str(server.kubeconfig(tmp_path / "config"))
    assert main(["doctor", "--stack", "prod", "--kubeconfig", config]) == ExitCode.FINE
    assert "cannot be reached" in capsys.readouterr().out
    assert main(["doctor", "--stack", "prod", "--kubeconfig", config, "--require", "cluster"]) == ExitCode.FINDINGS


def test_a_plugin_that_gives_no_credentials_hides_the_cluster_and_nothing_else(
    server: FakeApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nonexistent/aws"}
    with server:
        config = str(server.kubeconfig(tmp_path / "config", {"exec": plugin}))
        assert main(["doctor", "--stack", "prod", "--kubeconfig", config]) == ExitCode.FINE
    out = capsys.readouterr().out
    assert "[KUB004]" in out
    assert "there are no AWS credentials" in out


def test_wrong_input_has_the_codes_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == ExitCode.WRONG_USAGE
    assert "dev, local, prod, staging" in capsys.readouterr().err
    assert main(["doctor", "--stack", "prod", "--kubeconfig", str(tmp_path / "none")]) == ExitCode.INVALID_INPUT
    broken = tmp_path / "broken"
    broken.write_text("a: [")
    assert main(["doctor", "--stack", "prod", "--offline", str(broken)]) == ExitCode.INVALID_INPUT
    assert main(["doctor", "--stack", "prod", "--offline", "x", "--context", "y"]) == ExitCode.WRONG_USAGE
