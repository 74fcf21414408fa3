"""What is the same on both sides is read and derived once, and nobody can tell: the same to the byte."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation import Environment, SpecErrors, load_specs
from components.derivation.diff import read_derived
from components.derivation.fleet import derive_fleet
from lockstep.git_tree import GitTree
from lockstep.shared_derivation import SharedDerivation
from tests.derivation.random_specs import SpecText, spec_texts

PROD = Environment(
    name="prod",
    region="eu-west-1",
    account="111122223333",
    cluster="prod",
    oidc_issuer="https://oidc.example/id/X",
    deployer_role="arn:aws:iam::111122223333:role/deployer",
)
STAGING = replace(PROD, name="staging", permissions_boundary="arn:aws:iam::111122223333:policy/b")
SHARED = "  - name: ${environment}/shared/db\n    file: shared\n"
#: Specs in which one app's text decides about another app: renames, one account for two, a secret's resource policy.
TEXTS = (
    f"version: 1\napp: shop\nnamespace: shop\nowner: shop\nsecrets:\n{SHARED}    restrict: {{}}\n",
    f"version: 1\napp: shop\nnamespace: shop\nowner: shop\nsecrets:\n{SHARED}",
    f"version: 1\napp: till\nnamespace: shop\nserviceAccount: shop\nsecrets:\n{SHARED}",
    f"version: 1\napp: till\nnamespace: till\nrenamedFrom: [mail]\nsecrets:\n{SHARED}",
    f"version: 1\napp: mail\nnamespace: mail\nsecrets:\n{SHARED}environments:\n  prod:\n    namespace: till\n",
    f"version: 1\napp: mail\nsecrets:\n{SHARED}",
    "version: 1\napp: mail\nnamespace: mail\n",
    "app: [",
)
DEFAULTS = (None, "namespace: common\n", "owner: everybody\nidentity: podIdentity\n", "namespace: [")


class Files:
    """A folder `apps` in memory; see `SpecFiles`."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def names_in(self, folder: Path) -> list[str] | None:  # noqa: D102 - the protocol's
        return list(self._texts) if folder == Path("apps") else None

    def content(self, file: Path) -> bytes:  # noqa: D102 - the protocol's
        if file.name not in self._texts:
            raise FileNotFoundError(2, "no such file", str(file))
        return self._texts[file.name].encode()


@st.composite
def folders(draw: st.DrawFn) -> Files:
    names = draw(st.lists(st.sampled_from(["a.yaml", "b.yaml", "c.yml"]), unique=True))
    texts = {name: draw(st.sampled_from(TEXTS)) for name in names}
    defaults = draw(st.sampled_from(DEFAULTS))
    return Files({**texts, **({"_defaults.yaml": defaults} if defaults else {})})


def outcome(shared: SharedDerivation, files: Files, environment: Environment) -> str:
    """Return everything that a side says, to the last place in a spec, or everything that is wrong with it."""
    try:
        return repr(shared.documents([Path("apps")], files, environment))
    except SpecErrors as errors:
        return str(errors)


@given(st.lists(st.tuples(folders(), st.sampled_from([PROD, STAGING])), min_size=2, max_size=3))
@settings(max_examples=60, deadline=None)
def test_sharing_between_sides_changes_nothing(sides: list[tuple[Files, Environment]]) -> None:
    shared = SharedDerivation()
    fast = [outcome(shared, *side) for side in sides]
    assert fast == [outcome(SharedDerivation(), *side) for side in sides]


@given(st.lists(spec_texts(), min_size=2, max_size=2, unique_by=lambda spec: spec.app))
@settings(max_examples=10, deadline=None)
def test_random_specs_say_the_same_whoever_read_them_before(specs: list[SpecText]) -> None:
    one, other = (spec.text for spec in specs)
    sides = [Files({"one.yaml": one}), Files({"one.yaml": one, "other.yaml": other}), Files({"one.yaml": other})]
    shared = SharedDerivation()
    for files in sides:
        assert outcome(shared, files, PROD) == outcome(SharedDerivation(), files, PROD)


def test_the_roads_from_disk_and_from_a_revision_meet(tmp_path: Path, project: Path) -> None:
    """Every example app: a folder, a revision and `load_specs` say the same of it."""
    folder = tmp_path / "apps"
    folder.mkdir()
    for source in (project / "stacks" / "apps").glob("*.yaml"):
        (folder / source.name).write_bytes(source.read_bytes())
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)  # noqa: S603, S607 - a test's repository
    shared = SharedDerivation()
    tree = GitTree.open("HEAD", tmp_path)
    of_revision = shared.documents([Path("apps")], tree, PROD)
    of_disk = read_derived(derive_fleet(load_specs([folder]), PROD))
    assert of_revision == of_disk
    assert repr(of_disk).replace(f"{tmp_path}/", "") == repr(of_revision), "and names files by their place in it"
    assert of_revision.apps["payments"].spec == "apps/payments.yaml:3"
