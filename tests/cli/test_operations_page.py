"""`docs/operations.md` says what is true: its commands parse, its settings exist, its tables are the program's."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from lockstep.doctor.aws_reader import READ_ONLY
from lockstep.doctor.compatibility import load_compatibility
from lockstep.refresh.bell import ANNOTATION
from provider_runtime.cache import REQUESTED_REPUBLISH_SECONDS
from provider_runtime.config import FLAGS
from tests.cli.test_reference import VERBS

PAGE = "docs/operations.md"
_CHECK = re.compile(r'"((?:agent|app|aws|cluster|driver|eks|endpoint|iam|kms|nodes|provider)\.[a-z]+|object)"')


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    return (project / PAGE).read_text(encoding="utf-8")


def test_its_commands_parse(page: str) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("lockstep ")]
    inline = [shlex.split(text) for text in re.findall(r"`(lockstep [^`]+)`", page)]
    assert len(commands) >= 8
    for words in commands:
        VERBS[" ".join(words[:2])].make_context(words[1], words[2:])
    assert {" ".join(words[:2]) for words in inline} <= VERBS.keys()


def test_its_settings_are_those_of_a_stack(page: str, project: Path) -> None:
    known = yaml.safe_load((project / "Pulumi.yaml").read_text())["config"]
    named = set(re.findall(r"`lockstep:([A-Za-z]+)`", page))
    assert named
    assert named <= known.keys()


def test_every_check_of_the_doctor_has_its_row_and_no_other(page: str, project: Path) -> None:
    rows = re.findall(r"^\| ((?:`[a-z.]+`(?:, )?)+) \|", page, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([a-z.]+)`", row)}
    files = sorted((project / "lockstep/doctor").glob("*_checks.py"))
    made = {name for file in files for name in _CHECK.findall(file.read_text(encoding="utf-8"))}
    assert told == made


def test_it_names_every_call_of_the_doctor_and_no_other(page: str) -> None:
    told = set(re.findall(r"`([a-z0-9]+:[A-Z][A-Za-z]+)`", page))
    assert told == {f"{service}:{operation}" for service, operation in READ_ONLY}


def test_uninstall_names_everything_that_refuses(page: str, project: Path) -> None:
    """Whatever the stacks place with a property that makes AWS refuse its removal."""
    section = " ".join(page.partition("## Uninstall")[2].partition("\n## ")[0].split())
    says = {
        ("aws:eks/cluster:Cluster", "deletionProtection", True): "`deletionProtection: false` in `lockstep:cluster`",
        ("aws:ecr/repository:Repository", "forceDelete", False): "ECR refuses to delete a repository",
    }
    files = sorted((project / "tests/golden/stacks").glob("*.json"))
    placed = [
        (item["resource"].partition("::")[0], item["inputs"]) for file in files for item in json.loads(file.read_text())
    ]
    refusing = {
        (kind, key, inputs[key])
        for kind, inputs in placed
        for key, value in (("deletionProtection", True), ("forceDelete", False), ("forceDestroy", False))
        if inputs.get(key) is value
    }
    assert refusing == says.keys()
    assert all(text in section for text in says.values())
    days = {int(inputs["deletionWindowInDays"]) for _, inputs in placed if "deletionWindowInDays" in inputs}
    assert [f"gone {each} days later" in section for each in days] == [True]


def test_its_versions_are_those_of_the_compatibility_table(page: str) -> None:
    table = load_compatibility()
    rows = re.findall(r"^\| driver (\S+) on Kubernetes (\S+) \| proved \| `(.+?)`", page, re.MULTILINE)
    assert rows == [(row.version, row.proved_kubernetes, row.proved_by) for row in table.drivers]
    oldest = ", ".join(f"{row.kubernetes} for driver {row.version}" for row in table.drivers)
    assert f"from its chart: {oldest}." in page
    words = " ".join(page.split())
    first, second = (table.feature(setting).kubernetes for setting in ("admission", "preventEarlyPods"))
    assert f"`lockstep:admission` needs {first}, `lockstep:preventEarlyPods` {second}." in words


def test_the_table_s_proofs_are_what_the_tests_build() -> None:
    """The versions that are called proved are those that `make e2e` runs."""
    from tests.e2e import toolbox  # noqa: PLC0415

    built = {toolbox.DRIVER.name, toolbox.OLD_DRIVER.name}
    assert {f"secrets-store-csi-driver-{row.version}" for row in load_compatibility().drivers} == built


def test_its_figures_of_a_refresh_are_the_program_s(page: str) -> None:
    flags = {flag.name: flag.default for flag in FLAGS}
    assert f"within {REQUESTED_REPUBLISH_SECONDS:.0f} s of the one before" in page
    assert f"a value of at most {flags['first-mount-max-age'].removesuffix('s')} s" in page
    assert f"without one, {flags['refresh-interval']})" in page
    assert f"`{ANNOTATION}`" in page


def test_the_readme_leads_to_it(project: Path) -> None:
    assert "docs/operations.md" in (project / "README.md").read_text(encoding="utf-8")
