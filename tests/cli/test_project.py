"""The stacks of a project, read without Pulumi."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.stack_config import SettingsErrors
from lockstep.project import load_project

PULUMI = "name: lockstep\nruntime: python\nstackConfigDir: stacks\nconfig: {}\n"


def test_every_stack_of_this_project_derives_offline(project: Path) -> None:
    stacks = load_project(project).all_stacks()
    assert [stack.name for stack in stacks] == ["dev", "local", "prod", "staging"]
    assert all(stack.derive() for stack in stacks)
    assert {stack.environment.name for stack in stacks} == {"dev", "local", "prod", "staging"}


def test_a_stack_that_looks_its_issuer_up_is_refused_with_the_line_to_add(project: Path, tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text((project / "Pulumi.yaml").read_text())
    text = (project / "stacks" / "Pulumi.prod.yaml").read_text()
    lines = [line for line in text.splitlines(keepends=True) if "oidcIssuer" not in line]
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text("".join(lines))
    with pytest.raises(SettingsErrors, match=r"lockstep:oidcIssuer: it is missing.*describe-cluster.*\[CFG012\]"):
        load_project(tmp_path).all_stacks()


def test_problems_of_all_stacks_are_reported_at_once(project: Path, tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text((project / "Pulumi.yaml").read_text())
    for name in ("one", "two"):
        (tmp_path / "stacks" / f"Pulumi.{name}.yaml").write_text("config: {lockstep:frobnicate: x}\n")
    with pytest.raises(SettingsErrors) as errors:
        load_project(tmp_path).all_stacks()
    assert {problem.file for problem in errors.value.problems} == {
        "stacks/Pulumi.one.yaml",
        "stacks/Pulumi.two.yaml",
    }


def test_a_folder_without_a_stack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(PULUMI)
    with pytest.raises(SettingsErrors, match=r"no stack.*stacks/Pulumi\.\*\.yaml"):
        load_project(tmp_path)
