"""The rules of the workflows, one test each; and what their scripts do when they run."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
WORKFLOWS = {path.stem: path for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
FILES = [*WORKFLOWS.values(), ROOT / "action.yml"]
FORK_GUARD = "github.event.pull_request.head.repo.full_name == github.repository"
BASE = "${{ github.event.pull_request.base.sha }}"


def load(name: str) -> dict[str, Any]:
    document: dict[Any, Any] = yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))
    document["on"] = document.pop(True)  # YAML 1.1 reads `on` as true
    return document


def jobs() -> list[tuple[str, dict[str, Any]]]:
    return [(f"{name}.{job}", body) for name in WORKFLOWS for job, body in load(name)["jobs"].items()]


def steps_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = body["steps"]
    return steps


def checkouts(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [step.get("with", {}) for step in steps_of(body) if step.get("uses", "").startswith("actions/checkout@")]


def all_steps() -> list[dict[str, Any]]:
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    steps: list[dict[str, Any]] = action["runs"]["steps"]
    return [*(step for _, body in jobs() for step in steps_of(body)), *steps]


# ------------------------------------------------------------------------------------------------------------ the rules
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_and_names_its_version(path: Path) -> None:
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    uses = [line for line in lines if re.match(r"(- )?uses:", line)]
    assert uses or path.name == "x"
    assert [line for line in uses if not re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


def test_a_workflow_starts_without_any_permission() -> None:
    assert {name: load(name)["permissions"] for name in WORKFLOWS} == {name: {} for name in WORKFLOWS}


def test_every_job_has_exactly_the_permissions_that_it_needs() -> None:
    read = {"contents": "read"}
    assert {name: body["permissions"] for name, body in jobs()} == {
        "ci.check": read,
        "deploy.deploy": {**read, "id-token": "write"},
        "preview.access": read,
        "preview.plan": {**read, "id-token": "write"},
        "preview.post": {**read, "pull-requests": "write"},
        "preview.verdict": read,
    }


def test_no_workflow_runs_with_the_base_s_rights_for_a_pull_request() -> None:
    triggers = {trigger for name in WORKFLOWS for trigger in load(name)["on"]}
    assert triggers == {"push", "pull_request", "workflow_dispatch"}


def test_no_checkout_leaves_its_token_behind() -> None:
    found = [inputs for _, body in jobs() for inputs in checkouts(body)]
    assert found
    assert all(inputs.get("persist-credentials") is False for inputs in found)


def test_no_expression_is_pasted_into_a_script() -> None:
    assert [step for step in all_steps() if "${{" in step.get("run", "")] == []


def test_everything_that_is_installed_is_pinned_by_hash() -> None:
    installs = [line for step in all_steps() for line in step.get("run", "").splitlines() if "pip install" in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)


def test_every_job_ends() -> None:
    assert [name for name, body in jobs() if not 0 < body.get("timeout-minutes", 0) <= 90] == []


# ----------------------------------------------------------------------------------------------------- who runs what
def test_the_access_diff_runs_the_base_s_tool_in_the_base_s_folder() -> None:
    body = load("preview")["jobs"]["access"]
    tool, data = checkouts(body)
    assert (tool["ref"], tool["path"]) == (BASE, "base")
    assert "ref" not in data, "the merge, which is what would be"
    assert data["path"] == "data"
    for step in steps_of(body):
        if "run" in step:
            assert step["working-directory"] == "base"
            commands = re.findall(r'(?:"\$tool"|bin/python") (.*)', step["run"])
            assert all(command.startswith("-m ") for command in commands)
            assert not re.search(r"(?:^|\s)(?:cd|source|\.)\s+\S*data", step["run"]), "nothing of the data is run"


def test_the_access_diff_has_no_credentials_so_forks_get_it() -> None:
    body = load("preview")["jobs"]["access"]
    assert "if" not in body
    text = json.dumps(body)
    assert not re.search(r"secrets\.|vars\.|id-token|github\.token|environment", text)


def test_jobs_with_credentials_never_run_for_forks() -> None:
    guarded = {"preview.plan", "preview.post"}
    for name, body in jobs():
        has_rights = set(body["permissions"]) - {"contents"} or "secrets." in json.dumps(body)
        if name.startswith("preview.") and has_rights:
            assert FORK_GUARD in body["if"], name
            guarded.discard(name)
    assert guarded == set()


@pytest.mark.parametrize("job", ["post", "verdict"])
def test_the_jobs_that_write_or_judge_have_nothing_of_the_pull_request_but_reports(job: str) -> None:
    body = load("preview")["jobs"][job]
    assert [inputs["ref"] for inputs in checkouts(body)] == [BASE]
    downloads = [step["with"]["path"] for step in steps_of(body) if "download-artifact" in step.get("uses", "")]
    assert all(path.startswith("${{ runner.temp }}/reports/") for path in downloads), "not over the tool"
    assert [name for name, other in jobs() if "pull-requests" in other["permissions"]] == ["preview.post"]


def test_a_failed_preview_is_posted_too() -> None:
    body = load("preview")["jobs"]["post"]
    assert body["if"].startswith("${{ !cancelled()")
    upload = steps_of(load("preview")["jobs"]["plan"])[-1]
    assert upload["if"] == "${{ !cancelled() }}"


def test_the_preview_role_is_assumed_only_where_it_is_configured() -> None:
    (role,) = [s for s in steps_of(load("preview")["jobs"]["plan"]) if "configure-aws" in s.get("uses", "")]
    assert role["if"] == "${{ vars.AWS_PREVIEW_ROLE != '' }}"
    assert "LOCKSTEP_PREVIEW_STACKS != ''" in load("preview")["jobs"]["plan"]["if"]


def test_a_deployment_is_asked_for_by_hand_from_main_into_a_protected_environment() -> None:
    document = load("deploy")
    body = document["jobs"]["deploy"]
    assert list(document["on"]) == ["workflow_dispatch"]
    assert body["environment"] == "${{ inputs.stack }}"
    assert body["if"] == "${{ github.ref == 'refs/heads/main' }}"
    assert document["concurrency"]["cancel-in-progress"] is False, "an update is never cut off"


def test_ci_runs_what_a_developer_runs_as_root_for_the_real_parts() -> None:
    (command,) = [step["run"] for step in steps_of(load("ci")["jobs"]["check"]) if "run" in step]
    assert command.split()[0] == "sudo"
    assert command.split()[-1] == ".ci/run"
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert lines[-2:] == ["make check", ".ci/real-parts"]


def test_an_auditor_of_workflows_finds_nothing() -> None:
    zizmor = Path(sys.executable).with_name("zizmor")
    if not zizmor.exists():
        pytest.skip("zizmor is not in this environment. `make dev` puts it there")
    command = [str(zizmor), "--offline", "--persona=auditor", "--no-config", ".github", "action.yml"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - a tool of the environment
    assert ended.returncode == 0, ended.stdout + ended.stderr


# ------------------------------------------------------------------------------------------------------ their scripts
def run_script(step: dict[str, Any], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a step's script as the runner does: bash, ending at the first failure."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    given = {**os.environ, "CI": "true", **environment}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)  # noqa: S603 - our own script


@pytest.mark.parametrize(
    ("access", "code", "plan", "ended"),
    [
        ("success", "0", "skipped", 0),
        ("success", "2", "success", 0),
        ("success", "3", "success", 0),
        ("success", "1", "success", 1),
        ("failure", "0", "success", 1),
        ("failure", "", "skipped", 1),
        ("success", "2", "failure", 1),
        ("success", "2", "cancelled", 1),
    ],
)
def test_the_required_check_fails_where_nothing_could_be_said(
    access: str, code: str, plan: str, ended: int, tmp_path: Path
) -> None:
    step, *_ = steps_of(load("preview")["jobs"]["verdict"])
    found = run_script(step, tmp_path, {"ACCESS": access, "CODE": code, "PLAN": plan})
    assert found.returncode == ended, found.stdout


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    ended = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603, S607 - a test's own repository
    return ended.stdout.strip()


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """Return a runner's folder: the base's tool, and the merge of a pull request that adds a secret, as data."""
    (tmp_path / "base").symlink_to(ROOT)
    data = tmp_path / "data"
    data.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", data)
    shutil.copytree(ROOT / "stacks", data / "stacks")
    for name in ("dev", "local", "staging"):  # one stack says it all, in a quarter of the time
        (data / "stacks" / f"Pulumi.{name}.yaml").unlink()
    git(data, "init", "-q")
    git(data, "add", "-A")
    git(data, "commit", "-q", "-m", "base")
    mailer = data / "stacks" / "apps" / "mailer.yaml"
    added = "\n  - name: ${environment}/payments/token\n    file: token\nparameters:"
    mailer.write_text(mailer.read_text(encoding="utf-8").replace("\nparameters:", added, 1), encoding="utf-8")
    (data / "approvals.yaml").write_text("version: 1\napprovals: []\n", encoding="utf-8")
    git(data, "add", "-A")
    git(data, "commit", "-q", "-m", "merge")
    tool = tmp_path / "temp" / "tool" / "bin"
    tool.mkdir(parents=True)
    (tool / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    (tool / "python").chmod(0o755)
    return tmp_path


def test_the_script_of_the_access_diff_reports_the_new_secret(runner: Path) -> None:
    (step,) = [step for step in steps_of(load("preview")["jobs"]["access"]) if step.get("id") == "diff"]
    environment = {
        "RUNNER_TEMP": str(runner / "temp"),
        "GITHUB_OUTPUT": str(runner / "output"),
        "GITHUB_STEP_SUMMARY": str(runner / "summary.md"),
    }
    found = run_script({"run": step["run"].replace("../data", str(runner / "data"))}, ROOT, environment)
    assert found.returncode == 0, found.stderr
    assert outputs(runner)["code"] == "3"
    report = json.loads((runner / "temp" / "access" / "access.json").read_text(encoding="utf-8"))
    sentences = {row["sentence"] for stack in report["stacks"] for row in stack["rows"]}
    assert "app mailer gains read access to secret prod/payments/token" in sentences
    assert "needs approval" in (runner / "summary.md").read_text(encoding="utf-8")
    assert not (runner / "temp" / "access" / "approvals.yaml").exists(), "the pull request's own"


def test_the_required_check_fails_until_the_base_has_the_approval(runner: Path) -> None:
    """The scripts of the access job and of the verdict, one after the other, before and after an owner approved."""
    data, access = runner / "data", runner / "temp" / "access"
    assert judged(runner) == 3
    approved_on_the_base(data, json.loads((access / "access.json").read_text(encoding="utf-8")))
    assert judged(runner) == 0


def approved_on_the_base(data: Path, report: dict[str, Any]) -> None:
    """Put approvals of all rows of a report into the base, and the change on top of it."""
    rows = [row for stack in report["stacks"] for row in stack["rows"]]
    approvals = [
        {"row": row["row"], "spec": row["spec"], "expires": dt.date(9999, 12, 31), "reason": "agreed"} for row in rows
    ]
    merge = git(data, "rev-parse", "HEAD")
    git(data, "checkout", "-q", "HEAD^1")
    (data / "approvals.yaml").write_text(yaml.safe_dump({"version": 1, "approvals": approvals}), encoding="utf-8")
    git(data, "add", "-A")
    git(data, "commit", "-q", "-m", "approve")
    git(data, "checkout", "-q", merge, "--", "stacks")
    git(data, "commit", "-q", "-m", "merge again")


def judged(runner: Path, forge: Callable[[Path], None] | None = None, *, is_blind: bool = False) -> int:
    """Run the script of the diff and those of the verdict; return how the latter end.

    Args:
        runner: See the fixture.
        forge: Changes the downloaded reports.
        is_blind: Whether the digests are those of the changed reports.
    """
    (diff,) = [step for step in steps_of(load("preview")["jobs"]["access"]) if step.get("id") == "diff"]
    environment = {
        "RUNNER_TEMP": str(runner / "temp"),
        "GITHUB_OUTPUT": str(runner / "output"),
        "GITHUB_STEP_SUMMARY": str(runner / "summary.md"),
    }
    run_script({"run": diff["run"].replace("../data", str(runner / "data"))}, ROOT, environment)
    reports = runner / "temp" / "reports"
    reports.mkdir(exist_ok=True)
    shutil.copytree(runner / "temp" / "access", reports / "access", dirs_exist_ok=True)
    given = outputs(runner)
    *_, verdict = steps_of(load("preview")["jobs"]["verdict"])
    if forge is not None:
        forge(reports / "access")
    told = {"CODE": given["code"], "PLANNED_STACKS": "", "ACCESS_SUMS": given["sums"]}
    assert told.keys() == verdict["env"].keys()
    if is_blind:
        told["ACCESS_SUMS"] = hashed(reports / "access")
    return run_script(verdict, ROOT, {**environment, **told}).returncode


def hashed(access: Path) -> str:
    """Return the digests of the files as they are, as if nobody had told others."""
    files = sorted(path for path in access.rglob("*") if path.is_file())
    return "\n".join(f"{sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(access)}" for path in files)


def outputs(runner: Path) -> dict[str, str]:
    """Return the outputs of the diff's step, read as the runner reads them."""
    text = (runner / "output").read_text(encoding="utf-8")
    (runner / "output").unlink()
    found = re.fullmatch(r"code=(\d)\nsums<<END\n(.*)\nEND\n", text, re.DOTALL)
    assert found, text
    return {"code": found[1], "sums": found[2]}


@pytest.mark.parametrize("name", [".evil.json", "below/evil.json"])
def test_a_report_that_another_job_laid_beside_it_is_found(runner: Path, name: str) -> None:
    def forge(access: Path) -> None:
        (access / name).parent.mkdir(exist_ok=True)
        (access / name).write_text((access / "access.json").read_text(encoding="utf-8"), encoding="utf-8")

    assert judged(runner, forge) == 1


@pytest.mark.parametrize("is_blind", [False, True])
def test_a_report_that_another_job_put_in_its_place_lets_nothing_pass(runner: Path, *, is_blind: bool) -> None:
    """A job that runs the pull request's program can replace an artifact of its run; it cannot change an output."""

    def forge(access: Path) -> None:
        empty = {
            "version": 1,
            "project": "",
            "verdict": "no change of access",
            "exitCode": 0,
            "notes": [],
            "stacks": [],
        }
        (access / "access.json").write_text(json.dumps(empty), encoding="utf-8")

    assert judged(runner, forge, is_blind=is_blind) == (3 if is_blind else 1)


def test_the_script_of_the_action_reports_and_fails_while_approval_is_needed(runner: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "diff"]
    # The environment of this test takes the place of the one that the script would install.
    script = re.sub(r"(?m)^.*(-m venv|-m pip install).*\n", "", step["run"])
    (runner / "temp" / "tool").rename(runner / "temp" / "lockstep")
    environment = {
        "RUNNER_TEMP": str(runner / "temp"),
        "GITHUB_OUTPUT": str(runner / "output"),
        "GITHUB_STEP_SUMMARY": str(runner / "summary.md"),
        "ACTION": str(ROOT),
        "BASE": "HEAD^1",
        "HEAD": "HEAD",
        "PROJECT": ".",
        "STACK": "prod",
        "FAIL_ON": "broadening",
        "APPROVALS": "",
    }
    found = run_script({"run": script}, runner / "data", environment)
    assert found.returncode == 3, found.stderr
    output = dict(line.split("=", 1) for line in (runner / "output").read_text(encoding="utf-8").splitlines())
    assert output["code"] == "3"
    assert json.loads(Path(output["report"]).read_text(encoding="utf-8"))["verdict"] == "needs approval"


def test_the_example_for_gitlab_compares_with_the_target_by_the_target_s_tool() -> None:
    (job,) = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab-ci.yml").read_text(encoding="utf-8")).values()
    script = "\n".join(job["script"])
    assert 'git worktree add --detach "$work/base" "$CI_MERGE_REQUEST_DIFF_BASE_SHA"' in script
    assert '--project "$CI_PROJECT_DIR"' in script
    assert job["allow_failure"] == {"exit_codes": [2]}


def test_the_example_for_gitlab_fails_until_the_target_has_the_approval(runner: Path) -> None:
    """Both times on one runner that keeps its folders; the first job leaves nothing that is in the second one's way."""
    (job,) = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab-ci.yml").read_text(encoding="utf-8")).values()
    data, temporary, builds = (runner / name for name in ("data", "tmp", "builds"))
    temporary.mkdir()
    # The environment of this test takes the place of the one that the script would install.
    (runner / "bin").mkdir()
    python = runner / "bin" / "python"
    python.write_text(
        '#!/bin/sh\ncase "$2" in\nvenv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;\npip) ;;\n'
        f'*) exec {sys.executable} "$@" ;;\nesac\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    # GitLab's runner gives all lines to one shell, on the right of a pipe.
    script = 'script=$(cat)\n: | eval "$script"\nexit 0\n'

    def ended() -> int:
        given = {
            **os.environ,
            "CI": "true",
            "CI_BUILDS_DIR": str(builds),
            "CI_COMMIT_SHA": git(data, "rev-parse", "HEAD"),
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": git(data, "rev-parse", "HEAD^1"),
            "CI_PROJECT_DIR": str(data),
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(temporary),
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        text = "\n".join(job["script"])
        done = subprocess.run(command, cwd=data, env=given, input=text, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
        assert list(temporary.iterdir()) == [], done.stderr
        assert len(git(data, "worktree", "list").splitlines()) == 1, "only the project itself"
        return done.returncode

    assert ended() == 3
    report = json.loads((data / "access.json").read_text(encoding="utf-8"))
    assert "needs approval" in (data / "access.md").read_text(encoding="utf-8")
    approved_on_the_base(data, report)
    assert ended() == 2
