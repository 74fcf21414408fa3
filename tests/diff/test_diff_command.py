"""`lockstep diff` as it is called: git revisions, folders and documents in mixtures, exit codes, approvals."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from components.derivation import render_json
from components.derivation.fleet import derive_fleet
from lockstep.__main__ import main
from lockstep.access_diff import is_protected
from lockstep.access_report.json_report import SCHEMA_FILE
from lockstep.exit_codes import ExitCode
from lockstep.project import load_project
from tests.diff.schemas import load_schema

CORPUS = Path(__file__).parent / "corpus"

MAILER_READS_PAYMENTS = """
  - name: ${environment}/payments/db
    file: payments-db.json
    kmsKey: arn:aws:kms:${region}:${account}:key/mrk-5f1d7a0c2b3e4d6f8a9b0c1d2e3f4a5b
parameters:"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    ended = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603, S607 - a test's own repository
    return ended.stdout.strip()


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """Return a repository of two commits, to be copied: the example project, and the mailer reading more."""
    folder = tmp_path_factory.mktemp("committed")
    shutil.copy(project / "Pulumi.yaml", folder)
    shutil.copytree(project / "stacks", folder / "stacks")
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "base")
    mailer = folder / "stacks" / "apps" / "mailer.yaml"
    mailer.write_text(mailer.read_text(encoding="utf-8").replace("\nparameters:", MAILER_READS_PAYMENTS, 1))
    commit(folder, "head")
    return folder


@pytest.fixture
def repository(committed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository of two commits: the example project, and the mailer reading payments' database too."""
    monkeypatch.delenv("CI", raising=False)
    return Path(shutil.copytree(committed, tmp_path / "repository", symlinks=True))


def line_of_grant(folder: Path) -> int:
    """Return the line of the mailer's new secret."""
    lines = (folder / "stacks" / "apps" / "mailer.yaml").read_text(encoding="utf-8").splitlines()
    return 1 + next(number for number, line in enumerate(lines) if "/payments/db" in line)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return `run(arguments...) -> (exit code, output)` inside the repository."""
    monkeypatch.chdir(repository)

    def runner(*arguments: str) -> tuple[int, str]:
        code = main(["diff", *arguments])
        captured = capsys.readouterr()
        return int(code), captured.out + captured.err

    return runner


def test_two_revisions_show_the_sentence_for_every_stack(run: Run) -> None:
    code, text = run("HEAD~1", "HEAD")
    assert code == ExitCode.NEEDS_APPROVAL
    for stack in ("dev", "local", "prod"):
        assert f"{stack}: 1 gained\n+ app mailer gains read access to secret {stack}/payments/db" in text
    assert f"spec     stacks/apps/mailer.yaml:{line_of_grant(Path())}\n" in text, (
        "files are named as the revision names them"
    )
    assert "why      policy secrets, statement DecryptSecrets1; policy secrets, statement ReadSecrets" in text


@pytest.mark.parametrize(
    ("arguments", "name", "way_out"),
    [
        (("",), "BASE", ""),
        (("HEAD", ""), "HEAD", ", or leave it out"),
        (("HEAD", "--stack", ""), "--stack", ", or leave it out"),
        (("HEAD", "--project", ""), "--project", ", or leave it out"),
    ],
)
def test_an_empty_argument_is_wrong_usage_and_not_the_working_folder(
    run: Run, arguments: tuple[str, ...], name: str, way_out: str
) -> None:
    """An unset variable of a script must not make a comparison pass."""
    code, text = run(*arguments)
    assert code == ExitCode.WRONG_USAGE
    assert text.splitlines()[0] == (f"lockstep: {name} is empty. Fix: give it a value (is a variable unset?){way_out}")


def test_equal_revisions_are_fine(run: Run) -> None:
    assert run("HEAD", "HEAD~0")[0] == ExitCode.FINE


def test_without_a_head_the_project_as_it_stands_is_compared(run: Run, repository: Path) -> None:
    assert run("HEAD")[0] == ExitCode.FINE
    (repository / "stacks" / "apps" / "reports.yaml").unlink()
    code, text = run("HEAD", "--stack", "prod")
    assert code == ExitCode.FINDINGS, "a loss needs no approval"
    assert "- app reports is gone" in text


def test_revisions_folders_and_documents_mix(run: Run, repository: Path, tmp_path: Path) -> None:
    stack = load_project(repository).stack("prod")
    rendered = tmp_path / "rendered.json"
    fleet = derive_fleet(stack.specs(), stack.environment)
    rendered.write_text(render_json(fleet.apps, "prod"), encoding="utf-8")
    asked = [("HEAD~1", "."), (".", "HEAD~1"), ("HEAD~1", str(rendered)), (str(rendered), "HEAD~1")]
    assert [run(*sides, "--stack", "prod")[0] for sides in asked] == [3, 2, 3, 2]
    assert run(str(rendered), ".")[0] == ExitCode.FINE


def test_a_preview_alone_is_of_the_stack_that_is_named(run: Run) -> None:
    preview = str(CORPUS / "engine_stack_update" / "there.json")
    assert run(preview, "--stack", "acme/lockstep/prod") == run(preview)
    code, text = run(preview, "--stack", "dev")
    assert code == ExitCode.INVALID_INPUT
    assert "it is a preview of stack 'prod', and --stack names 'dev'" in text
    assert "Fix: write --stack prod" in text


def test_a_document_of_another_environment_is_compared_and_said_to_be(
    run: Run, repository: Path, tmp_path: Path
) -> None:
    stack = load_project(repository).stack("prod")
    rendered = tmp_path / "rendered.json"
    rendered.write_text(render_json(derive_fleet(stack.specs(), stack.environment).apps, "prod"), encoding="utf-8")
    note = f"note: {rendered} is of environment prod: it was compared as stack dev"
    for sides in (("HEAD", str(rendered)), (str(rendered), "HEAD")):
        assert note in run(*sides, "--stack", "dev")[1].splitlines()
        assert "is of environment" not in run(*sides, "--stack", "prod")[1]
    both = run(str(rendered), str(rendered), "--stack", "dev")[1]
    assert f"note: {rendered} is of environment prod: it was compared as stack dev" in both.splitlines()
    assert "is of environment" not in run(str(rendered), str(rendered))[1]
    preview = str(CORPUS / "unknown_type" / "there.json")
    assert f"note: {preview} is a preview of stack prod: it was compared as stack dev" in (
        run(str(rendered), preview, "--stack", "dev")[1].splitlines()
    )


def test_a_document_may_come_through_a_pipe(run: Run, tmp_path: Path) -> None:
    """As `lockstep diff HEAD <(pulumi preview --json)` gives it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = (CORPUS / "mode" / "after.json").read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    code, out = run(str(CORPUS / "mode" / "before.json"), str(pipe))
    writer.join()
    assert (code, "opens the mode" in out) == (ExitCode.NEEDS_APPROVAL, True)


def test_a_spec_that_moves_inside_its_folder_changes_nothing(run: Run, repository: Path) -> None:
    apps = repository / "stacks" / "apps"
    (apps / "mailer.yaml").rename(apps / "a-mailer.yaml")
    commit(repository, "move")
    assert run("HEAD~1", "HEAD")[0] == ExitCode.FINE


def test_a_spec_that_moves_out_of_every_stack_is_gone_and_one_that_moves_in_is_new(run: Run, repository: Path) -> None:
    (repository / "stacks" / "parked").mkdir()
    (repository / "stacks" / "apps" / "mailer.yaml").rename(repository / "stacks" / "parked" / "mailer.yaml")
    commit(repository, "park")
    assert "- app mailer is gone" in run("HEAD~1", "HEAD", "--stack", "prod")[1]
    code, text = run("HEAD", "HEAD~1", "--stack", "prod")
    assert code == ExitCode.NEEDS_APPROVAL
    assert "+ app mailer is new" in text


def test_a_stack_that_is_taken_away_is_said_to_leave_what_it_deployed(run: Run, repository: Path) -> None:
    (repository / "stacks" / "Pulumi.prod.yaml").unlink()
    code, text = run("HEAD")
    assert code == ExitCode.FINDINGS
    assert "- app mailer is gone" in text
    assert f"note: {Path()} has no stack prod: what it has deployed stays until the stack is destroyed" in text
    assert "has no stack" not in run("HEAD", "--stack", "dev")[1]


def test_an_environment_that_takes_a_grant_over_keeps_it(run: Run, repository: Path) -> None:
    """A secret that moves from the app into one environment's overlay goes from all others, and stays there."""
    mailer = repository / "stacks" / "apps" / "mailer.yaml"
    text = mailer.read_text(encoding="utf-8")
    entry = MAILER_READS_PAYMENTS.removesuffix("parameters:").strip("\n")
    moved = text.replace(f"{entry}\n", "", 1)
    assert moved != text
    assert moved.endswith("  prod:\n    serviceAccount: mailer-prod\n")
    overlay = "\n".join(f"    {line}" for line in entry.splitlines())
    mailer.write_text(f"{moved}    secrets:\n{overlay}\n", encoding="utf-8")
    commit(repository, "overlay")
    assert run("HEAD~1", "HEAD", "--stack", "prod")[0] == ExitCode.FINE
    code, told = run("HEAD~1", "HEAD", "--stack", "dev")
    assert (code, "app mailer loses read access to secret dev/payments/db" in told) == (ExitCode.FINDINGS, True)


def test_a_preview_beside_another_side_must_be_whole(run: Run) -> None:
    partial = CORPUS / "engine_stack_update" / "there.json"
    code, text = run("HEAD", str(partial))
    assert code == ExitCode.INVALID_INPUT
    assert "unchanged resources" in text
    assert "--show-sames" in text


def test_a_file_that_is_no_side_is_refused_with_the_kinds_that_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"some": "thing"}', encoding="utf-8")
    code, text = run("HEAD", str(tmp_path / "x.json"))
    assert code == ExitCode.INVALID_INPUT
    assert "[DIFF002]" in text
    (tmp_path / "x.json").write_text("certainly no JSON", encoding="utf-8")
    assert "[DIFF002]" in run("HEAD", str(tmp_path / "x.json"))[1]


@pytest.mark.parametrize("text", ["[" * 100_000, f'{{"steps": {"[" * 300}{"]" * 300}}}'])
def test_a_document_that_nests_without_end_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    code, out = run("HEAD", str(path))
    assert code == ExitCode.INVALID_INPUT
    assert out == (
        f"{path}: it nests too deeply. What `lockstep render` and `pulumi preview` write nests a few levels. "
        "Fix: name such a file. [DIFF002]\n"
    )


def test_a_revision_that_does_not_exist_is_named(run: Run) -> None:
    code, text = run("no-such-branch", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert text == (
        "no-such-branch: it is no file, no folder and no git revision. Fix: correct the argument, or fetch the "
        "revision [DIFF001]\n"
    )


def test_a_revision_that_looks_like_an_option_is_none(run: Run) -> None:
    code, text = run("HEAD", "--", "--output=/tmp/x")
    assert code == ExitCode.INVALID_INPUT
    assert "[DIFF001]" in text


def test_a_broken_spec_of_a_revision_is_shown_at_its_place_in_the_revision(run: Run, repository: Path) -> None:
    (repository / "stacks" / "apps" / "mailer.yaml").write_text("version: 1\napp: Mailer\n", encoding="utf-8")
    commit(repository, "broken")
    code, text = run("HEAD~1", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert "HEAD:stacks/apps/mailer.yaml:2:6" in text
    assert "lockstep-diff-" not in text, "the folder that it was laid out in is nobody's business"


# -------------------------------------------------------------------------------------------------- older revisions
def older(repository: Path, *, without: tuple[str, ...], **entries: object) -> None:
    """Make HEAD~1 a project whose Pulumi.yaml is older than some keys, and HEAD the project as it was."""
    path = repository / "Pulumi.yaml"
    text = path.read_text(encoding="utf-8")
    project = yaml.safe_load(text)
    project["config"] = {name: entry for name, entry in project["config"].items() if name not in without} | entries
    path.write_text(yaml.safe_dump(project), encoding="utf-8")
    commit(repository, "older")
    path.write_text(text, encoding="utf-8")
    commit(repository, "newer")


def test_a_revision_from_before_a_setting_is_read_with_its_default(run: Run, repository: Path) -> None:
    """Among them one that was a boolean then."""
    newer = ("cluster", "network", "protect", "servedIdentities", "servesSync", "guard", "admission", "identity")
    older(repository, without=newer, preventEarlyPods={"type": "boolean", "default": False})
    assert run("HEAD~1", "HEAD") == (ExitCode.FINE, run("HEAD", "HEAD")[1])
    assert run("HEAD", "HEAD~1")[0] == ExitCode.FINE


def test_a_default_that_an_older_revision_lacks_is_compared_as_what_it_means(run: Run, repository: Path) -> None:
    older(repository, without=("rolePath",))
    stack = repository / "stacks" / "Pulumi.dev.yaml"
    stack.write_text(f"{stack.read_text(encoding='utf-8')}  lockstep:rolePath: /apps/\n", encoding="utf-8")
    commit(repository, "move the roles")
    code, text = run("HEAD~2", "HEAD", "--stack", "dev")
    assert code == ExitCode.NEEDS_APPROVAL
    assert ":role/apps/" in text


def test_a_setting_that_no_default_can_stand_for_is_named_in_its_revision(run: Run, repository: Path) -> None:
    stack = repository / "stacks" / "Pulumi.prod.yaml"
    text = stack.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "lockstep:clusterName" not in line]
    stack.write_text("\n".join(kept), encoding="utf-8")
    commit(repository, "before the cluster had a name")
    stack.write_text(text, encoding="utf-8")
    commit(repository, "and then")
    code, out = run("HEAD~1", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert out == (
        "HEAD~1:stacks/Pulumi.prod.yaml lockstep:clusterName: it is missing. It has no default. Fix: add "
        "`lockstep:clusterName: ...` to stacks/Pulumi.prod.yaml and commit it, or name another revision. [CFG006]\n"
        "1 problem\n"
    )


def test_a_stack_that_only_one_revision_has_is_new_or_gone_with_all_of_its_apps(run: Run, repository: Path) -> None:
    prod = (repository / "stacks" / "Pulumi.prod.yaml").read_text(encoding="utf-8")
    (repository / "stacks" / "Pulumi.canary.yaml").write_text(prod, encoding="utf-8")
    commit(repository, "a stack")
    code, text = run("HEAD~1", "HEAD")
    assert code == ExitCode.NEEDS_APPROVAL
    assert "+ app mailer is new and runs as messaging/mailer" in text.partition("canary: ")[2].partition("dev: ")[0]
    code, text = run("HEAD", "HEAD~1")
    assert code == ExitCode.FINDINGS
    assert "- app mailer is gone" in text
    assert run("HEAD~1", "HEAD", "--stack", "canary")[0] == ExitCode.NEEDS_APPROVAL


# ------------------------------------------------------------------------------------------------------------ formats
def test_the_json_report_follows_its_schema(run: Run) -> None:
    for case in sorted({path.parent for path in CORPUS.glob("*/*.json") if "settings" not in path.name}):
        sides = sorted(case.glob("[ba][ef]*e*.json"), reverse=True) or [case / "there.json"]
        code, text = run(*map(str, sides), "--format", "json")
        document = json.loads(text)
        load_schema(SCHEMA_FILE).validate(document)
        assert document["exitCode"] == code


def test_sarif_points_at_the_line_of_the_spec(run: Run) -> None:
    document = json.loads(run("HEAD~1", "HEAD", "--stack", "prod", "--format", "sarif")[1])
    (result,) = document["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "stacks/apps/mailer.yaml"},
        "region": {"startLine": line_of_grant(Path())},
    }
    assert result["level"] == "error"
    assert [rule["id"] for rule in document["runs"][0]["tool"]["driver"]["rules"]] == [result["ruleId"]]


def test_sarif_names_files_from_the_top_of_the_repository(run: Run, repository: Path) -> None:
    """Code scanning shows a result at its file; a project may stand in a folder of a larger repository."""
    folder = repository / "in fra"
    folder.mkdir()
    for name in ("Pulumi.yaml", "stacks"):
        (repository / name).rename(folder / name)
    commit(repository, "move")
    reports = folder / "stacks" / "apps" / "reports.yaml"
    reports.write_text(reports.read_text(encoding="utf-8").replace("reports", "report"), encoding="utf-8")
    for asked in (("HEAD",), ("HEAD", str(folder)), ("HEAD", "in fra")):
        document = json.loads(run(*asked, "--project", "in fra", "--stack", "prod", "--format", "sarif")[1])
        locations = [result["locations"][0] for result in document["runs"][0]["results"]]
        found = {location["physicalLocation"]["artifactLocation"]["uri"] for location in locations}
        assert found == {"in%20fra/stacks/apps/reports.yaml"}


# ------------------------------------------------------------------------------------------------ what needs approval
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("broadening", 3),
        ("any", 3),
        ("never", 2),
        ("wildcard,cross-account", 2),
        ("protected", 3),
        ("wildcard, protected", 3),
    ],
)
def test_fail_on_decides_what_needs_an_approval(run: Run, words: str, code: int) -> None:
    assert run("HEAD~1", "HEAD", "--stack", "prod", "--fail-on", words)[0] == code


def test_an_unknown_word_of_fail_on_is_wrong_usage(run: Run) -> None:
    code, text = run("HEAD~1", "HEAD", "--fail-on", "everything")
    assert code == ExitCode.WRONG_USAGE
    assert "everything" in text
    assert "broadening" in text


def test_protected_names_the_stacks_that_are(run: Run) -> None:
    assert "[protected]" in run("HEAD~1", "HEAD", "--stack", "prod")[1]
    assert "[protected]" not in run("HEAD~1", "HEAD", "--stack", "dev")[1]
    assert "[protected]" in run("HEAD~1", "HEAD", "--stack", "dev", "--protected", "dev")[1]
    assert "[protected]" in run("HEAD~1", "HEAD", "--stack", "dev", "--protected", "acme/lockstep/dev")[1]


@pytest.mark.parametrize("stack", ["prod", "production", "prod-eu", "eu-prod", "eu-production-2", "acme/shop/prod"])
def test_without_names_those_are_protected_that_the_help_says(stack: str) -> None:
    assert is_protected(stack, None)


@pytest.mark.parametrize("stack", ["dev", "product", "nonprod", "prod2", "Prod"])
def test_without_names_no_other_stack_is_protected(stack: str) -> None:
    assert not is_protected(stack, None)


def test_a_protected_stack_that_is_none_is_refused_with_those_that_are(run: Run, repository: Path) -> None:
    stacks = ", ".join(load_project(repository).stack_names)
    for sides in (("HEAD~1", "HEAD"), (str(CORPUS / "unknown_type" / "there.json"),)):
        code, text = run(*sides, "--stack", "prod", "--protected", "prd")
        assert code == ExitCode.INVALID_INPUT
        assert text == (
            f"--protected: there is no stack 'prd'. The stacks are: {stacks}. Fix: did you mean 'prod'? [DIFF005]\n"
        )
        assert run(*sides, "--stack", "prod", "--protected", "dev", "--protected", "prod") == run(
            *sides, "--stack", "prod"
        )
    assert "no stack 'x', 'y'." in run("HEAD~1", "HEAD", "--protected", "x", "--protected", "y")[1]


def test_a_stack_that_only_one_side_has_may_be_protected(run: Run, repository: Path) -> None:
    (repository / "stacks" / "Pulumi.dev.yaml").unlink()
    assert "--protected" not in run("HEAD", "--protected", "dev", "--protected", "prod")[1]


def test_documents_without_a_project_say_that_a_protected_stack_may_be_none(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = run(str(CORPUS / "unknown_type" / "there.json"), "--protected", "other")
    assert code == ExitCode.NEEDS_APPROVAL
    assert "note: --protected other: there is no project here that could say whether it exists" in text.splitlines()


# ---------------------------------------------------------------------------------------------------------- approvals
def approve(run: Run, expires: str = "2999-12-31") -> str:
    """Return a file of approvals for everything that is open between the two commits on prod."""
    rows = json.loads(run("HEAD~1", "HEAD", "--stack", "prod", "--format", "json")[1])["stacks"][0]["rows"]
    entries = [f'- {{row: "{r["row"]}", spec: "{r["spec"]}", expires: {expires}, reason: agreed}}' for r in rows]
    return "version: 1\napprovals:\n" + "\n".join(entries) + "\n"


def on_base(repository: Path, text: str) -> None:
    """Put approvals into the base, below the change of the head."""
    change = git(repository, "rev-parse", "HEAD")
    git(repository, "reset", "-q", "--hard", "HEAD~1")
    (repository / "approvals.yaml").write_text(text, encoding="utf-8")
    commit(repository, "approve")
    git(repository, "cherry-pick", change)


def test_an_approval_on_the_base_makes_a_row_a_finding(run: Run, repository: Path) -> None:
    on_base(repository, approve(run))
    code, text = run("HEAD~1", "HEAD", "--stack", "prod", "--approvals", "approvals.yaml")
    assert code == ExitCode.FINDINGS
    assert "approval approved" in text


def test_an_approval_holds_in_its_environment_only(run: Run, repository: Path) -> None:
    on_base(repository, approve(run))
    assert run("HEAD~1", "HEAD", "--stack", "dev", "--approvals", "approvals.yaml")[0] == ExitCode.NEEDS_APPROVAL


def test_nobody_approves_himself_with_a_file_on_the_head(run: Run, repository: Path) -> None:
    (repository / "approvals.yaml").write_text(approve(run), encoding="utf-8")
    commit(repository, "approve myself")
    code, text = run("HEAD~2", "HEAD", "--stack", "prod", "--approvals", "approvals.yaml")
    assert code == ExitCode.INVALID_INPUT
    assert "HEAD~2:approvals.yaml: there is no such file" in text


def test_an_approval_ends_on_its_day(run: Run, repository: Path) -> None:
    on_base(repository, approve(run, expires="2020-01-01"))
    code, text = run("HEAD~1", "HEAD", "--stack", "prod", "--approvals", "approvals.yaml")
    assert code == ExitCode.NEEDS_APPROVAL
    assert "its approval ended on 2020-01-01" in text


def test_an_approval_does_not_hold_for_another_state_of_the_app(run: Run, repository: Path) -> None:
    on_base(repository, approve(run))
    mailer = repository / "stacks" / "apps" / "mailer.yaml"
    text = mailer.read_text(encoding="utf-8")
    mailer.write_text(text.replace("file: smtp.json", 'file: smtp.json\n    mode: "0400"'), encoding="utf-8")
    commit(repository, "and something else")
    code, report = run("HEAD~2", "HEAD", "--stack", "prod", "--approvals", "approvals.yaml")
    assert code == ExitCode.NEEDS_APPROVAL
    assert "it was approved in another state of the app" in report


def test_in_ci_a_document_needs_approvals_of_a_revision(
    run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CORPUS / "read_gained"
    (repository / "approvals.yaml").write_text("version: 1\napprovals: []\n", encoding="utf-8")
    asked = (str(case / "before.json"), str(case / "after.json"), "--approvals")
    assert run(*asked, "approvals.yaml")[0] == ExitCode.NEEDS_APPROVAL
    monkeypatch.setenv("CI", "true")
    code, text = run(*asked, "approvals.yaml")
    assert code == ExitCode.INVALID_INPUT
    assert "--approvals REVISION:FILE" in text
    commit(repository, "approvals")
    assert run(*asked, "HEAD:approvals.yaml")[0] == ExitCode.NEEDS_APPROVAL


def test_in_ci_no_other_revision_than_the_base_approves(
    run: Run, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "approvals.yaml").write_text(approve(run), encoding="utf-8")
    commit(repository, "approve myself")
    asked = ("HEAD~2", "HEAD", "--stack", "prod", "--approvals", "HEAD:approvals.yaml")
    assert run(*asked)[0] == ExitCode.FINDINGS
    monkeypatch.setenv("CI", "true")
    code, text = run(*asked)
    assert code == ExitCode.INVALID_INPUT
    assert "--approvals approvals.yaml" in text


def test_a_day_that_no_calendar_has_is_a_mistake_in_the_file(run: Run, repository: Path) -> None:
    on_base(repository, approve(run, expires="2020-13-41"))
    code, text = run("HEAD~1", "HEAD", "--stack", "prod", "--approvals", "approvals.yaml")
    assert code == ExitCode.INVALID_INPUT
    assert "[DIFF004]" in text


@pytest.mark.parametrize("steps", [[], [{"op": "same", "urn": "urn:pulumi:prod::shop::aws:iam/role:Role::r"}]])
def test_a_preview_that_failed_is_no_side(run: Run, tmp_path: Path, steps: list[object]) -> None:
    """It would read as no change, or as everything lost."""
    path = tmp_path / "preview.json"
    diagnostics = [{"severity": "error", "message": "the token is canary"}]
    path.write_text(json.dumps({"steps": steps, "diagnostics": diagnostics}), encoding="utf-8")
    for sides in ((str(path),), ("HEAD", str(path), "--stack", "prod")):
        code, text = run(*sides)
        assert code == ExitCode.INVALID_INPUT
        assert "the preview failed" in text
        assert "canary" not in text


def test_rows_that_are_of_no_app_can_be_approved_too(run: Run, repository: Path) -> None:
    """A secret's policy and a resource that nobody reads have a state of their own, and it must be that state."""
    for case, way in (("resource_policy", ("before.json", "after.json")), ("unknown_type", ("there.json",))):
        sides = [str(CORPUS / case / name) for name in way]
        (stack,) = json.loads(run(*sides, "--format", "json")[1])["stacks"]
        open_rows = [row for row in stack["rows"] if row["needsApproval"]]
        assert open_rows
        entries = [
            f'- {{row: "{row["row"]}", spec: "{row["spec"]}", expires: 2999-12-31, reason: agreed}}'
            for row in open_rows
        ]
        (repository / "a.yaml").write_text("version: 1\napprovals:\n" + "\n".join(entries) + "\n", encoding="utf-8")
        assert run(*sides, "--approvals", "a.yaml")[0] == ExitCode.FINDINGS
        other = (repository / "a.yaml").read_text(encoding="utf-8").replace(open_rows[0]["spec"], "0" * 16)
        (repository / "a.yaml").write_text(other, encoding="utf-8")
        assert run(*sides, "--approvals", "a.yaml")[0] == ExitCode.NEEDS_APPROVAL


def test_what_neither_side_knows_is_approved_with_an_empty_spec(run: Run, repository: Path) -> None:
    side = str(CORPUS / "unknown_on_both_sides" / "there.json")
    code, text = run(side)
    found = re.search(r'row +([0-9a-f]{16}) spec ""\n    approval needed\n', text)
    assert code == ExitCode.NEEDS_APPROVAL
    assert found
    entry = f'{{row: "{found[1]}", spec: "", expires: 9999-12-31, reason: seen}}'
    (repository / "a.yaml").write_text(f"version: 1\napprovals:\n  - {entry}\n", encoding="utf-8")
    assert run(side, "--approvals", "a.yaml")[0] == ExitCode.FINDINGS
    assert run(side, "--approvals", "a.yaml", "--fail-on", "any")[0] == ExitCode.FINDINGS
    assert run(side, "--fail-on", "never")[0] == ExitCode.FINDINGS
    assert run(side, "--fail-on", "never,broadening")[0] == ExitCode.FINDINGS


@pytest.mark.parametrize("text", ["# \x0c\n", "\x00", "a: !!bool maybe", "a: !!timestamp abc", "a: !!int x"])
def test_approvals_that_yaml_cannot_take_are_bad_input(run: Run, repository: Path, text: str) -> None:
    on_base(repository, text)
    code, out = run("HEAD~1", "HEAD", "--approvals", "approvals.yaml")
    assert (code, out.partition(":")[0]) == (ExitCode.INVALID_INPUT, "approvals.yaml")


def test_approvals_that_are_no_list_are_no_empty_list(run: Run, repository: Path) -> None:
    on_base(repository, "version: 1\napprovals: {row: x}\n")
    code, out = run("HEAD~1", "HEAD", "--approvals", "approvals.yaml")
    assert (code, out.partition(":")[0]) == (ExitCode.INVALID_INPUT, "approvals.yaml approvals")


def test_approvals_with_nothing_behind_them_are_no_empty_list(run: Run, repository: Path) -> None:
    on_base(repository, "version: 1\napprovals:\n")
    code, out = run("HEAD~1", "HEAD", "--approvals", "approvals.yaml")
    assert code == ExitCode.INVALID_INPUT
    assert out == (
        "approvals.yaml approvals: it is empty. It is a list. Fix: write [] where nothing is approved. [DIFF004]\n"
    )


def test_a_key_of_approvals_stands_once(run: Run, repository: Path) -> None:
    """The last one would win, and a reviewer may have read the first."""
    good = 'row: "0123456789abcdef", spec: "", expires: 2026-12-31, reason: x'
    on_base(repository, f"version: 1\napprovals: []\napprovals:\n  - {{{good}, expires: 2999-12-31}}\n")
    code, out = run("HEAD~1", "HEAD", "--approvals", "approvals.yaml")
    assert code == ExitCode.INVALID_INPUT
    assert out == (
        "approvals.yaml:3:1: the key 'approvals' stands here and in line 2. A key stands once. "
        "Fix: keep one of them. [DIFF004]\n"
        "approvals.yaml:4:73: the key 'expires' stands here and in line 4. A key stands once. "
        "Fix: keep one of them. [DIFF004]\n"
    )


def test_approvals_that_nest_without_end_are_refused(run: Run, repository: Path) -> None:
    on_base(repository, "version: 1\napprovals: " + "[" * 3000)
    code, out = run("HEAD~1", "HEAD", "--approvals", "approvals.yaml")
    assert code == ExitCode.INVALID_INPUT
    assert out == (
        "approvals.yaml: it nests too deeply. A file of approvals nests a few levels. Fix: check the brackets. "
        "[DIFF004]\n"
    )


def test_approvals_that_are_no_text_are_named_by_their_file(run: Run, repository: Path, tmp_path: Path) -> None:
    """In a folder that is BASE, and beside documents."""
    base = tmp_path / "base"
    shutil.copytree(repository, base, ignore=shutil.ignore_patterns(".git"))
    for folder in (base, repository):
        (folder / "approvals.yaml").write_bytes(b"version: 1\xff")
    preview = str(CORPUS / "unknown_type" / "there.json")
    for side, path in ((str(base), base / "approvals.yaml"), (preview, "approvals.yaml")):
        code, out = run(side, "--stack", "prod", "--approvals", "approvals.yaml")
        assert (code, out) == (ExitCode.INVALID_INPUT, f"{path}: it is not UTF-8 text. Fix: correct it. [DIFF003]\n")


def test_every_mistake_in_a_file_of_approvals_is_shown(run: Run, repository: Path) -> None:
    text = (
        "version: 2\nowner: me\napprovals:\n"
        '- {row: "abc", spec: 1, expires: 2026-12-31, reason: x}\n'
        '- {row: "0123456789abcdef", spec: "0123456789abcdef", expires: 2020-13-41, reason: " "}\n'
        '- {row: "0123456789abcdef", reason: 1, note: x}\n'
        "- x\n"
    )
    on_base(repository, text)
    code, out = run("HEAD~1", "HEAD", "--approvals", "approvals.yaml")
    assert code == ExitCode.INVALID_INPUT
    assert [line.partition(". ")[0] for line in out.splitlines()] == [
        "approvals.yaml: it is not a file of approvals: it has 'owner'",
        "approvals.yaml version: it is not 1",
        "approvals.yaml approvals[0].row: it is not 16 hex digits, in quotes",
        "approvals.yaml approvals[0].spec: it is not 16 hex digits, in quotes",
        "approvals.yaml approvals[1].expires: it is not a day like 2026-12-31",
        "approvals.yaml approvals[1].reason: it is empty",
        "approvals.yaml approvals[2]: it has no spec, expires",
        "approvals.yaml approvals[2]: it has 'note'",
        "approvals.yaml approvals[2].reason: it is empty",
        "approvals.yaml approvals[3]: it is not a mapping",
    ]
    assert all("Fix: " in line and line.endswith(" [DIFF004]") for line in out.splitlines())


# ----------------------------------------------------------------------------------------------- a hostile revision
def test_attributes_of_the_head_hide_no_file_from_its_review(run: Run, repository: Path) -> None:
    """`git archive` would leave out what `export-ignore` names."""
    (repository / ".gitattributes").write_text("stacks/apps/evil.yaml export-ignore\n", encoding="utf-8")
    evil = "version: 1\napp: evil\nnamespace: evil\nsecrets:\n  - {name: prod/payments/db, file: x}\n"
    (repository / "stacks" / "apps" / "evil.yaml").write_text(evil, encoding="utf-8")
    commit(repository, "hide")
    assert "+ app evil gains read access to secret prod/payments/db" in run("HEAD~1", "HEAD", "--stack", "prod")[1]


def test_a_link_out_of_the_tree_is_refused(run: Run, repository: Path) -> None:
    (repository / "stacks" / "apps" / "passwd.yaml").symlink_to("/etc/passwd")
    commit(repository, "link")
    code, text = run("HEAD~1", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert "HEAD:stacks/apps/passwd.yaml: it is a link out of the project" in text
    assert "root" not in text


@pytest.mark.parametrize("place", ["/etc", "../elsewhere", "stacks/../../elsewhere"])
def test_settings_of_a_revision_name_no_file_outside_of_it(run: Run, repository: Path, place: str) -> None:
    """Or a change could have the files of whoever reviews it read and quoted."""
    (repository.parent / "elsewhere").mkdir()
    (repository.parent / "elsewhere" / "evil.yaml").write_text("root\n", encoding="utf-8")
    stack = repository / "stacks" / "Pulumi.prod.yaml"
    text = stack.read_text(encoding="utf-8")
    stack.write_text(f"{text}  lockstep:apps: [{place}]\n", encoding="utf-8")
    commit(repository, "outside")
    code, out = run("HEAD~1", "HEAD", "--stack", "prod")
    assert code == ExitCode.INVALID_INPUT
    assert "it is outside of the project" in out or "lockstep:apps" in out
    assert "root" not in out


def test_a_submodule_in_place_of_the_specs_is_no_empty_fleet(run: Run, repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "rm", "-q", "-r", "stacks/apps")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},stacks/apps")
    git(repository, "commit", "-q", "-m", "submodule")
    code, text = run("HEAD~1", "HEAD", "--stack", "prod")
    assert code == ExitCode.INVALID_INPUT
    assert "HEAD:stacks/apps:1:1: the file cannot be read (no such file in HEAD)" in text


def test_a_file_that_this_clone_does_not_hold_is_named(run: Run, repository: Path) -> None:
    """As in a partial clone; nothing is fetched on the way."""
    digest = git(repository, "rev-parse", "HEAD:stacks/apps/mailer.yaml")
    (repository / ".git" / "objects" / digest[:2] / digest[2:]).unlink()
    code, text = run("HEAD~1", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert "HEAD:stacks/apps/mailer.yaml: this clone does not hold it" in text


def test_a_huge_file_is_not_read(run: Run, repository: Path) -> None:
    (repository / "stacks" / "apps" / "huge.yaml").write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    commit(repository, "huge")
    code, text = run("HEAD~1", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert "HEAD:stacks/apps/huge.yaml: it has 4,194,305 bytes" in text


def test_a_project_folder_that_does_not_exist_is_named(run: Run) -> None:
    code, text = run("HEAD~1", "HEAD", "--project", "nowhere")
    assert code == ExitCode.INVALID_INPUT
    assert text == "nowhere: there is no such folder. Fix: correct --project [DIFF001]\n"


@pytest.mark.parametrize("revision", ["HEAD~1", "HEAD"])
def test_a_folder_that_is_no_project_in_a_revision_is_named(run: Run, repository: Path, revision: str) -> None:
    (repository / "docs").mkdir()
    (repository / "docs" / "x").write_text("x", encoding="utf-8")
    commit(repository, "docs")
    git(repository, "commit", "-q", "--allow-empty", "-m", "x")
    code, text = run(revision, "HEAD", "--project", "docs")
    assert code == ExitCode.INVALID_INPUT
    assert text == (
        f"{revision}:docs/Pulumi.yaml: there is no such file. A project is a folder with a Pulumi.yaml. "
        "Fix: name its folder with --project, or name another revision [DIFF001]\n"
    )
    assert "HEAD~3: it has no folder docs/ (" in run("HEAD~3", "HEAD", "--project", "docs")[1]
    code, text = run("docs", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert text.startswith("docs/Pulumi.yaml: there is no such file. ")


def test_a_problem_that_names_two_files_names_them_as_the_revision_does(run: Run, repository: Path) -> None:
    twin = (repository / "stacks" / "apps" / "mailer.yaml").read_text(encoding="utf-8")
    (repository / "stacks" / "apps" / "twin.yaml").write_text(twin, encoding="utf-8")
    commit(repository, "twin")
    code, text = run("HEAD~1", "HEAD", "--stack", "prod")
    assert code == ExitCode.INVALID_INPUT
    assert "the app 'mailer' stands here and in stacks/apps/mailer.yaml:" in text
    assert "lockstep-diff-" not in text, "and not by a folder that nobody can open"


def test_a_link_inside_the_tree_is_followed(run: Run, repository: Path) -> None:
    (repository / "elsewhere").mkdir()
    shutil.move(repository / "stacks" / "apps", repository / "elsewhere" / "apps")
    (repository / "stacks" / "apps").symlink_to("../elsewhere/apps")
    commit(repository, "move")
    assert run("HEAD~1", "HEAD")[0] == ExitCode.FINE


def test_a_project_in_a_folder_of_its_repository_is_found_by_its_folder(
    tmp_path: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = tmp_path / "mono" / "infra"
    inner.mkdir(parents=True)
    shutil.copy(project / "Pulumi.yaml", inner)
    shutil.copytree(project / "stacks", inner / "stacks")
    git(tmp_path / "mono", "init", "-q", "-b", "main")
    commit(tmp_path / "mono", "base")
    (inner / "stacks" / "apps" / "reports.yaml").unlink()
    assert main(["diff", "HEAD", "--project", str(inner), "--stack", "dev"]) == ExitCode.FINDINGS
    assert "- app reports is gone" in capsys.readouterr().out
