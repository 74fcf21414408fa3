"""The command line as a user meets it, by exit code and text; where a process of its own is the point, in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from lockstep.exit_codes import MEANINGS, ExitCode
from tests.cli.in_process import lockstep
from tests.fakes.patience import PATIENCE_SECONDS

PLACE = [
    "--environment",
    "dev",
    "--region",
    "eu-west-1",
    "--account",
    "111122223333",
    "--cluster",
    "dev",
    "--oidc-issuer",
    "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
]
VALID = "version: 1\napp: payments\nnamespace: payments\nsecrets: [{name: dev/payments/db}]\n"


def process(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "lockstep", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_broken_spec_exits_with_invalid_input_and_names_every_problem(tmp_path: Path, project: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\napp: A\nsecrets: [{name: '*'}]\n")
    result = lockstep("check", tmp_path / "a.yaml", cwd=project)
    assert result.returncode == ExitCode.INVALID_INPUT
    assert result.stdout == ""
    *lines, last = result.stderr.splitlines()
    assert [line.rsplit("[", 1)[-1] for line in lines[::3]] == ["SPEC005]", "SPEC006]", "SPEC009]"]
    assert lines[4:6] == ["     2 | app: A", "       |      ^"], "every problem shows its line and column"
    assert last == "3 problems"


@pytest.mark.parametrize("verb", ["doctor", "render", "map"])
@pytest.mark.parametrize("option", ["--stack", "--project"])
def test_an_empty_stack_or_project_is_wrong_usage_and_no_default(project: Path, verb: str, option: str) -> None:
    result = lockstep(verb, option, "", cwd=project)
    assert result.returncode == ExitCode.WRONG_USAGE
    assert result.stderr.startswith(f"lockstep: {option} is empty. Fix: give it a value")


def test_a_wrong_flag_exits_with_wrong_usage(project: Path) -> None:
    result = process("check", "--frobnicate", cwd=project)
    assert result.returncode == ExitCode.WRONG_USAGE
    assert "--frobnicate" in result.stderr
    assert "lockstep check --help'." in result.stderr


@pytest.mark.parametrize("arguments", [(), ("chekc",), ("render", "stacks/apps"), ("check",)])
def test_an_incomplete_command_exits_with_wrong_usage(arguments: tuple[str, ...], project: Path) -> None:
    assert lockstep(*arguments, cwd=project).returncode == ExitCode.WRONG_USAGE


def test_a_malformed_environment_value_is_invalid_input(project: Path) -> None:
    arguments = [item.replace("111122223333", "1234") for item in PLACE]
    result = lockstep("render", "stacks/apps", *arguments, cwd=project)
    assert result.returncode == ExitCode.INVALID_INPUT
    assert "account: '1234' does not fit. It is 12 digits" in result.stderr
    assert result.stdout == ""


def test_our_own_bug_has_an_exit_code_of_its_own(project: Path) -> None:
    code = (
        "import sys, lockstep.spec_reading as r, lockstep.__main__ as m\n"
        "def broken(paths): raise RuntimeError('boom')\n"
        "r.load_specs = broken\n"
        "sys.exit(m.main(['check', 'stacks/apps']))\n"
    )
    result = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert result.returncode == ExitCode.OUR_BUG
    assert "RuntimeError: boom" in result.stderr
    assert "a bug of Lockstep" in result.stderr


def test_every_command_has_the_one_table_of_exit_codes(project: Path) -> None:
    assert {code.value for code in ExitCode} == {0, 1, 2, 3, 64, 70}
    assert set(MEANINGS) == set(ExitCode)
    text = lockstep("--help", cwd=project).stdout
    for code, meaning in MEANINGS.items():
        assert f"{code.value}  {meaning}" in text


def test_the_examples_are_fine(project: Path) -> None:
    result = process("check", "stacks/apps", cwd=project)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "3 apps checked (with differences in dev, prod): fine\n"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_rendering_is_the_same_to_the_byte_under_any_hash_seed(form: str, project: Path) -> None:
    outputs = [
        process("render", "stacks/apps", *PLACE, "--format", form, cwd=project, PYTHONHASHSEED=seed)
        for seed in ("1", "4242")
    ]
    assert [output.returncode for output in outputs] == [0, 0]
    assert outputs[0].stdout == outputs[1].stdout
    document = yaml.safe_load(outputs[0].stdout)
    assert document["environment"] == "dev"
    assert list(document["apps"]) == ["mailer", "payments", "reports"]
    keys = {"policies", "trust", "roleName", "secretProviderClasses", "serviceAccount", "volumes", "volumeMounts"}
    assert all(keys <= set(app) for app in document["apps"].values())


def test_a_folder_is_written_whole_and_replaced_whole(tmp_path: Path, project: Path) -> None:
    (tmp_path / "spec.yaml").write_text(VALID + "---\n" + VALID.replace("payments", "refunds"))
    out = tmp_path / "out"
    first = process("render", tmp_path / "spec.yaml", *PLACE, "--format", "dir", "--output", out, cwd=project)
    assert first.returncode == 0, first.stderr
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["_fleet", "payments", "refunds"]
    assert json.loads((out / "payments/trust.json").read_text())["Version"] == "2012-10-17"
    (tmp_path / "spec.yaml").write_text(VALID)
    lockstep("render", tmp_path / "spec.yaml", *PLACE, "--format", "dir", "--output", out, cwd=project)
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["_fleet", "payments"]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_with_files_of_someone_else_is_left_alone(tmp_path: Path, project: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = lockstep("render", "stacks/apps", *PLACE, "--format", "dir", "--output", tmp_path, cwd=project)
    assert result.returncode == ExitCode.INVALID_INPUT
    assert "it holds files that `lockstep render` did not write" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_broken_spec_leaves_the_folder_as_it_was(tmp_path: Path, project: Path) -> None:
    (tmp_path / "spec.yaml").write_text(VALID)
    out = tmp_path / "out"
    lockstep("render", tmp_path / "spec.yaml", *PLACE, "--format", "dir", "--output", out, cwd=project)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (tmp_path / "spec.yaml").write_text("version: 1\n")
    result = lockstep("render", tmp_path / "spec.yaml", *PLACE, "--format", "dir", "--output", out, cwd=project)
    assert result.returncode == ExitCode.INVALID_INPUT
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_the_schema_that_editors_use_is_the_one_that_is_printed(project: Path, *, rewrite_golden: bool) -> None:
    printed = lockstep("schema", cwd=project).stdout
    stored = project / "stacks/app-spec.schema.json"
    if rewrite_golden:
        stored.write_text(printed)
    assert stored.read_text() == printed


def test_the_schema_accepts_the_examples_and_refuses_what_the_reader_refuses(project: Path) -> None:
    schema = json.loads((project / "stacks/app-spec.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in sorted((project / "stacks/apps").glob("*.yaml")):
        text = path.read_text()
        assert text.startswith("# yaml-language-server: $schema=../app-spec.schema.json\n")
        assert list(validator.iter_errors(yaml.safe_load(text))) == []
    for broken in (
        {"app": "x"},
        {"moed": 1},
        {"version": 2},
        {"identity": "IRSA"},
        {"secrets": [{"name": "a", "mode": "9"}]},
    ):
        document = {**yaml.safe_load(VALID), **broken}
        if broken == {"app": "x"}:
            del document["namespace"]
        assert list(validator.iter_errors(document)), broken
