"""One program, several clusters: components of different names share no URN, and what exists keeps its place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest

from components.app_access import AppAccess, AppAccessArgs
from components.derivation.packing import PolicyKind
from lockstep.engine.program import Mode, run_program
from lockstep.engine.resource_provider import InputProblem, ResourceDiff
from lockstep.engine.state import EngineState
from lockstep.engine.values import Properties, diff_properties
from tests.engine.memory_provider import MemoryProvider
from tests.infra.recording import CLASS, NAMESPACE, Recorded, run_components
from tests.infra.test_alone import ALONE
from tests.infra.two_clusters import REGIONS, SPEC, access_in, place_twice

MANAGED_POLICY = "aws:iam/policy:Policy"


def twice(run: Recorded) -> list[str]:
    return sorted(urn for urn, count in Counter(item.urn for item in run.resources).items() if count > 1)


@pytest.mark.parametrize("component", sorted(ALONE))
def test_two_components_of_different_names_share_no_urn(component: str) -> None:
    """A parent's name is no part of its children's URNs; the engine refuses the second of one URN."""

    def make() -> None:
        providers: list[pulumi.ProviderResource] = [
            aws.Provider("theirs", region="eu-west-1"),
            kubernetes.Provider("theirs", kubeconfig="{}"),
        ]
        for name in ("one", "two"):
            ALONE[component](name, pulumi.ResourceOptions(providers=providers))

    assert twice(run_components(make)) == []


def test_one_app_in_one_namespace_is_served_on_two_clusters() -> None:
    assert all(policy.kind is PolicyKind.MANAGED for policy in access_in("eu-west-1").policies)
    run = run_components(place_twice)
    assert twice(run) == []
    for kind, names in ((NAMESPACE, {"messaging"}), (CLASS, {"mailer", "mailer-smtp"})):
        made: list[Any] = [item.inputs["metadata"] for item in run.of_type(kind)]
        assert {metadata["name"] for metadata in made} == names, "what the cluster sees has no cluster's name"
        assert len(made) == 2 * len(names)
        assert {item.provider.split("::")[-2] for item in run.of_type(kind)} == set(REGIONS)
    assert {str(item.inputs["name"]).rpartition("-secrets-")[0] for item in run.of_type(MANAGED_POLICY)} == {
        "main-eu-west-1-mailer",
        "main-us-east-1-mailer",
    }


def test_apps_whose_names_and_mounts_read_the_same_share_no_urn() -> None:
    """The class `mailer-smtp` is a mount of one app in one namespace, and the whole of another app in another."""
    other = "version: 1\napp: mailer-smtp\nnamespace: other\nsecrets:\n  - name: prod/other\n"

    def make() -> None:
        for spec in (SPEC, other):
            access = access_in("eu-west-1", spec)
            AppAccess(str(access.app), AppAccessArgs(access=access, platform=()))

    assert twice(run_components(make)) == []


# ------------------------------------------------------------------------------------------------- the embedded engine
class AnyProvider(MemoryProvider):
    """Takes objects of every type and any inputs, and changes them in place."""

    def check(self, resource_type: str, inputs: Properties) -> tuple[InputProblem, ...]:  # noqa: ARG002
        """Refuse nothing."""
        return ()

    def diff(self, resource_type: str, old_inputs: Properties, new_inputs: Properties) -> ResourceDiff:  # noqa: ARG002
        """Compare; nothing asks for a replacement."""
        return ResourceDiff(changes=diff_properties(old_inputs, new_inputs))


PROGRAM = """
import sys
sys.path.insert(0, {project!r})
from tests.infra import two_clusters as program
{call}
"""


@dataclass
class Engine:
    """The embedded engine over a project that is written anew for each run."""

    folder: Path
    project: Path
    kept: EngineState = field(default_factory=EngineState)
    provider: AnyProvider = field(default_factory=AnyProvider)

    def run(self, mode: Mode, call: str) -> dict[str, str]:
        """Run one call of two_clusters.py; return URN (from the type on) to operation, `same` left out."""
        (self.folder / "Pulumi.yaml").write_text("name: proj\nruntime: python\n", encoding="utf-8")
        (self.folder / "Pulumi.dev.yaml").write_text("config: {}\n", encoding="utf-8")
        text = PROGRAM.format(project=str(self.project), call=call)
        (self.folder / "__main__.py").write_text(text, encoding="utf-8")
        providers = {"aws": self.provider, "kubernetes": self.provider}
        result = run_program(project_dir=self.folder, stack="dev", mode=mode, state=self.kept, providers=providers)
        assert result.ok, result.errors
        self.kept = result.state
        steps: Any = result.digest["steps"]
        return {step["urn"].split("::", 2)[2]: step["op"] for step in steps if step["op"] != "same"}

    def rename(self, old: str, new: str) -> None:
        """Change texts of the state, as an earlier version would have written them."""
        file = self.folder / "state.json"
        self.kept.save(file)
        file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        self.kept = EngineState.load(file)


@pytest.fixture
def engine(project: Path, tmp_path: Path) -> Engine:
    return Engine(folder=tmp_path, project=project)


def test_the_embedded_engine_takes_both_clusters_and_a_rename(engine: Engine) -> None:
    """Found under the earlier name of its own component: that of one cluster must not take the other's."""
    made = engine.run("up", "program.place_twice()")
    assert set(made.values()) == {"create"}
    assert sum("SecretProviderClass::" in urn for urn in made) == 4
    renamed = engine.run("up", "program.place_twice(program.RENAMED)")
    assert not {"create", "delete", "replace"} & set(renamed.values()), renamed


def test_what_an_earlier_version_made_is_kept(engine: Engine) -> None:
    """Namespaces, classes and managed policies had no component's name before; none is made anew for it."""
    made = engine.run("up", "program.place_once()")
    renamed = [urn for urn in made if "/" in urn.rpartition("::")[2]]
    assert len(renamed) == 9, "a namespace, two classes, three policies and their attachments"
    engine.rename("::namespaces/", "::")
    engine.rename("::mail-access/", "::")
    assert engine.run("up", "program.place_once()") == {}
    assert {record.urn.split("::", 2)[2] for record in engine.kept.resources} >= set(renamed), "by their new names now"
