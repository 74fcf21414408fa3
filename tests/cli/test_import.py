"""`lockstep import` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

from components.derivation.lint.examples import SECRET, documents, pod, policy, secrets_policy, spc, statement
from lockstep.exit_codes import ExitCode
from tests.cli.in_process import lockstep

FLAGS = "- objectName: /prod/flags\n  objectType: ssm\n  objectAlias: flags\n"


def test_specs_go_to_standard_output_and_check_takes_them(project: Path, tmp_path: Path) -> None:
    manifests = documents(spc(), pod(more="  serviceAccountName: shop\n"))
    (tmp_path / "policy.json").write_text(secrets_policy())
    result = lockstep("import", "-", "--policy", tmp_path / "policy.json", cwd=project, stdin=manifests)
    assert result.returncode == 0, result.stderr
    (tmp_path / "app.yaml").write_text(result.stdout)
    assert lockstep("check", tmp_path / "app.yaml", cwd=project).returncode == 0
    assert result.stderr.splitlines()[-1] == "1 app, 1 notes"


def test_a_mechanical_mistake_is_mended_and_named(project: Path, tmp_path: Path) -> None:
    (tmp_path / "class.yaml").write_text(documents(spc(FLAGS), pod()))
    result = lockstep("import", tmp_path / "class.yaml", "--format", "json", cwd=project)
    document = json.loads(result.stdout)
    assert document["apps"]["shop"]["parameters"][0]["name"] == "/prod/flags"
    assert [note["what"][-7:] for note in document["notes"] if note["kind"] == "mended"] == ["[LS513]"]
    assert (tmp_path / "class.yaml").read_text() == documents(spc(FLAGS), pod()), "the input is not written"


def test_something_wider_ends_with_findings(project: Path, tmp_path: Path) -> None:
    (tmp_path / "class.yaml").write_text(documents(spc(), pod()))
    (tmp_path / "policy.json").write_text(policy(statement("secretsmanager:*", SECRET)))
    result = lockstep("import", tmp_path / "class.yaml", "--policy", tmp_path / "policy.json", cwd=project)
    assert result.returncode == ExitCode.FINDINGS
    assert "policy.json:6:17: wider than the mounts need" in result.stderr.replace(" Statement[0].Action", "")


def test_a_folder_gets_one_file_for_each_app_and_none_is_overwritten(project: Path, tmp_path: Path) -> None:
    second = spc().replace("name: shop, ", "name: cart, ")
    (tmp_path / "classes.yaml").write_text(documents(spc(), second))
    out = tmp_path / "apps"
    lockstep("import", tmp_path / "classes.yaml", "--output", out, cwd=project)
    assert sorted(path.name for path in out.iterdir()) == ["cart.yaml", "shop.yaml"]
    assert lockstep("check", out, cwd=project).returncode == 0
    (out / "cart.yaml").unlink()
    (out / "shop.yaml").write_text("mine")
    again = lockstep("import", tmp_path / "classes.yaml", "--output", out, cwd=project)
    assert again.returncode == ExitCode.INVALID_INPUT
    assert "shop.yaml: it is there already" in again.stderr
    assert sorted(path.name for path in out.iterdir()) == ["shop.yaml"]
    assert (out / "shop.yaml").read_text() == "mine"


def test_an_unreadable_manifest_is_invalid_input(project: Path, tmp_path: Path) -> None:
    (tmp_path / "class.yaml").write_text("a: [")
    assert lockstep("import", tmp_path / "class.yaml", cwd=project).returncode == ExitCode.INVALID_INPUT
