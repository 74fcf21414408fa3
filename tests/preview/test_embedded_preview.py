"""`lockstep preview --engine embedded`: the program of every kind of stack, against no cloud.

What AWS or another stack would be asked for is answered from the stack's own settings, said in a note, or refused.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from components.derivation import load_specs
from lockstep.__main__ import main
from lockstep.access_report.json_report import SCHEMA_FILE
from lockstep.exit_codes import ExitCode
from lockstep.project import load_project
from tests.diff.schemas import load_schema

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = load_project(ROOT).stack_names
APPS = sorted(str(spec.app) for spec in load_specs([ROOT / "stacks" / "apps"]))
PLATFORM = "organization/lockstep/prod"

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def copied(tmp_path: Path, project: Path) -> Path:
    """Return a project of its own whose settings and specs a test may change."""
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(project / name, tmp_path)
    shutil.copytree(project / "stacks", tmp_path / "stacks")
    for name in ("components", "provider_runtime"):
        (tmp_path / name).symlink_to(project / name)
    apps = {key: value for key, value in config_of(tmp_path, "prod").items() if key != "lockstep:providerImage"}
    write_config(tmp_path, "apps", {**apps, "lockstep:platformStack": PLATFORM, "lockstep:imageRepository": ""})
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=tmp_path, check=True)  # noqa: S607 - a test's own repository
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return `run(project, stack, arguments..., verb) -> (exit code, output)`."""
    monkeypatch.delenv("CI", raising=False)

    def runner(folder: Path, stack: str, *arguments: str, verb: str = "preview") -> tuple[int, str]:
        engine = ("--engine", "embedded") if verb == "preview" else ()
        code = main([verb, "--project", str(folder), "--stack", stack, *engine, *arguments])
        captured = capsys.readouterr()
        return int(code), captured.out + captured.err

    return runner


def config_of(folder: Path, stack: str) -> dict[str, object]:
    path = folder / "stacks" / f"Pulumi.{stack}.yaml"
    config: dict[str, object] = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    return config


def write_config(folder: Path, stack: str, config: dict[str, object]) -> None:
    path = folder / "stacks" / f"Pulumi.{stack}.yaml"
    path.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")


def without_issuer(folder: Path, stack: str, **changes: object) -> None:
    config = {key: value for key, value in config_of(folder, stack).items() if key != "lockstep:oidcIssuer"}
    write_config(folder, stack, config | {f"lockstep:{key}": value for key, value in changes.items()})


def commit(folder: Path) -> None:
    """Commit settings and specs."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    for words in (("add", "Pulumi.yaml", "stacks"), ("commit", "-q", "-m", "settings")):
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607 - a test's own repository


# ------------------------------------------------------------------------------------------------- what nobody can know
@pytest.mark.parametrize("stack", ["apps", "prod"])
def test_an_issuer_that_would_be_looked_up_is_asked_for_first_of_all(run: Run, copied: Path, stack: str) -> None:
    without_issuer(copied, stack)
    code, text = run(copied, stack)
    assert code == ExitCode.INVALID_INPUT
    first, second, *_ = text.splitlines()
    assert first == f"{stack}: THE PREVIEW FAILED"
    assert second == (
        f"  error: stacks/Pulumi.{stack}.yaml lockstep:oidcIssuer: it is missing. Without AWS credentials the issuer "
        "of the cluster cannot be looked up. Fix: write down what `aws eks describe-cluster --query "
        "cluster.identity.oidc.issuer` prints. [CFG012]"
    )


def test_trust_in_a_cluster_that_is_not_made_yet_is_refused_with_what_was_assumed(run: Run, copied: Path) -> None:
    without_issuer(copied, "staging")
    code, text = run(copied, "staging")
    assert code == ExitCode.INVALID_INPUT
    assert "the trust of mailer, payments, reports is bound to its issuer" in text
    assert "note: AWS was not asked: the cluster staging counts as not made yet" in text
    assert "clusterEndpoint" not in text, "what Lockstep itself puts in is nothing to mend"
    assert "Traceback" not in text


# ------------------------------------------------------------------------------------------------- every kind of stack
@pytest.mark.parametrize("stack", sorted({*SHIPPED, "apps"} - {"staging"}))
def test_a_stack_on_a_cluster_that_exists_is_previewed(run: Run, copied: Path, stack: str) -> None:
    code, text = run(copied, stack)
    assert "FAILED" not in text, text
    assert code == ExitCode.NEEDS_APPROVAL
    assert sorted(re.findall(r"^\+ app (\S+) is new and runs as", text, re.MULTILINE)) == APPS
    assert "+ app payments is new and runs as payments/payments-api" in text
    assert f"IRSA of {str(config_of(copied, stack)['lockstep:oidcIssuer']).removeprefix('https://')}" in text
    assert re.search(rf"^resources of {stack}: \d+ create$", text, re.MULTILINE)
    assert "note: nothing is known to be deployed: everything counts as new." in text
    assert re.search(
        r"^! node blast radius: all apps together read [1-9]\d* secrets and parameters, 0 before$", text, re.MULTILINE
    )
    assert "offline.invalid" not in text
    platform = [name in text for name in ("Release platform-csi-driver", "DaemonSet platform-provider")]
    note = f"note: the outputs of {PLATFORM} were not read: cluster and issuer are taken from this stack's settings."
    assert (platform, note in text) == (([False, False], True) if stack == "apps" else ([True, True], False))


def test_a_cluster_of_the_stacks_own_is_previewed_before_it_is_made_and_after(run: Run, copied: Path) -> None:
    """The revision is the first run's: no issuer, no apps. After it both are written down."""
    after = config_of(copied, "staging")
    without_issuer(copied, "staging", apps=[])
    commit(copied)
    write_config(copied, "staging", after)
    code, text = run(copied, "staging", "--base", "HEAD")
    assert "FAILED" not in text, text
    assert code == ExitCode.NEEDS_APPROVAL
    assert sorted(re.findall(r"^\+ app (\S+) is new and runs as", text, re.MULTILINE)) == APPS
    assert "note: AWS was not asked: the cluster staging counts as there, because lockstep:oidcIssuer is" in text
    assert re.search(r"^resources of staging: \d+ create, \d+ same, \d+ update$", text, re.MULTILINE), "none replaced"
    changed = [line.split()[2] for line in text.splitlines() if line.startswith("    ~ ")]
    assert changed == ["platform-csi-driver"], "the driver is told to ask for tokens"


# ------------------------------------------------------------------------------------------------- what is wrong, where
def test_every_mistake_in_a_stack_s_settings_stands_in_its_report(run: Run, copied: Path) -> None:
    write_config(copied, "prod", config_of(copied, "prod") | {"lockstep:refreshInterval": "3 hours", "lockstep:x": 1})
    code, text = run(copied, "prod")
    lines = text.splitlines()
    assert (code, lines[0]) == (ExitCode.INVALID_INPUT, "prod: THE PREVIEW FAILED")
    assert [line.partition(". ")[0] for line in lines[1:3]] == [
        "  error: stacks/Pulumi.prod.yaml lockstep:refreshInterval: '3 hours' is not a duration",
        "  error: stacks/Pulumi.prod.yaml lockstep:x: the key is unknown",
    ]
    assert "no change" not in text
    assert "nothing to do" not in text
    assert "the preview failed: access is not known" in lines
    _, page = run(copied, "prod", "--format", "markdown")
    told = ("### The preview failed", "### Access of `prod`: not known, because the preview failed")
    assert page.index(told[0]) < page.index(told[1])
    assert "no change" not in page
    document = json.loads(run(copied, "prod", "--format", "json")[1])
    load_schema(SCHEMA_FILE).validate(document)
    assert (document["exitCode"], document["verdict"]) == (1, "the preview failed")


def test_a_stack_whose_file_is_broken_takes_no_other_one_s_report_along(
    run: Run, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in SHIPPED:
        if name != "prod":
            (copied / "stacks" / f"Pulumi.{name}.yaml").unlink()
    commit(copied)
    (copied / "stacks" / "Pulumi.apps.yaml").write_text("x", encoding="utf-8")
    code, text = run(copied, "prod", "--base", "HEAD")
    assert (code, text.splitlines()[0]) == (ExitCode.FINE, "prod: no change")
    code = main(["preview", "--project", str(copied), "--engine", "embedded", "--base", "HEAD"])
    text = capsys.readouterr().out
    assert (code, text.splitlines()[0]) == (ExitCode.INVALID_INPUT, "apps: THE PREVIEW FAILED")
    assert "Pulumi.apps.yaml: the file is empty or no mapping" in text
    assert "prod: no change" in text.splitlines()


def test_a_revision_is_not_blamed_for_a_mistake_of_the_working_tree(run: Run, copied: Path) -> None:
    commit(copied)
    write_config(copied, "prod", config_of(copied, "prod") | {"lockstep:refreshInterval": "3 hours"})
    text = run(copied, "prod", "--base", "HEAD")[1]
    assert "error: stacks/Pulumi.prod.yaml lockstep:refreshInterval" in text
    assert "HEAD" not in text


def test_a_mistake_of_the_revision_names_it(run: Run, copied: Path) -> None:
    right = config_of(copied, "prod")
    write_config(copied, "prod", right | {"lockstep:refreshInterval": "3 hours"})
    commit(copied)
    write_config(copied, "prod", right)
    text = run(copied, "prod", "--base", "HEAD")[1]
    assert "error: HEAD:stacks/Pulumi.prod.yaml lockstep:refreshInterval" in text


def test_a_wrong_spec_of_the_revision_is_shown_at_its_place_in_the_revision(run: Run, copied: Path) -> None:
    mailer = copied / "stacks" / "apps" / "mailer.yaml"
    right = mailer.read_text(encoding="utf-8")
    twin = copied / "stacks" / "apps" / "twin.yaml"
    twin.write_text(right, encoding="utf-8")
    mailer.write_text(f"{right}unheard: 1\n", encoding="utf-8")
    commit(copied)
    mailer.write_text(right, encoding="utf-8")
    twin.unlink()
    code, text = run(copied, "prod", "--base", "HEAD")
    lines = text.splitlines()
    assert (code, lines[0]) == (ExitCode.INVALID_INPUT, "prod: THE PREVIEW FAILED")
    assert lines[1] == (
        "  error: HEAD: its specs are wrong, so what is deployed is not known. "
        "Fix: mend them and commit that, or name another --base"
    )
    last = 1 + right.count("\n")
    assert lines[2].startswith(f"  HEAD:stacks/apps/mailer.yaml:{last}:1: the key 'unheard' is unknown. ")
    assert "the app 'mailer' stands here and in HEAD:stacks/apps/mailer.yaml:" in lines[3]
    assert "lockstep-preview-" not in text


def test_a_revision_without_the_project_is_named(run: Run, copied: Path) -> None:
    commit(copied)
    subprocess.run(["git", "rm", "-q", "--cached", "Pulumi.yaml"], cwd=copied, check=True)  # noqa: S607 - a test's own repository
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, "commit", "-q", "-m", "none"], cwd=copied, check=True)  # noqa: S603, S607 - a test's own repository
    code, text = run(copied, "prod", "--base", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert text.startswith("HEAD:Pulumi.yaml: there is no such file. A project is a folder with a Pulumi.yaml. ")


def test_a_project_without_a_program_is_one_sentence(run: Run, copied: Path) -> None:
    (copied / "__main__.py").unlink()
    code, text = run(copied, "prod")
    first, second, third, *_ = text.splitlines()
    assert (code, first, third) == (ExitCode.INVALID_INPUT, "prod: THE PREVIEW FAILED", "")
    assert second == (
        f"  error: {copied}: it has no __main__.py. The embedded engine runs the project's Python program. "
        "Fix: name the project's folder with --project, or use --engine pulumi"
    )
    (copied / "Pulumi.yaml").unlink()
    assert run(copied, "prod")[1].startswith(f"{copied}/Pulumi.yaml: there is no such file. ")


def test_a_state_file_that_is_not_there_is_no_empty_state(run: Run, copied: Path) -> None:
    code, text = run(copied, "prod", "--state", "state.jsn")
    assert code == ExitCode.INVALID_INPUT
    assert text == (
        "state.jsn: there is no such file. --state names what is deployed. Fix: correct the path, or leave out --state "
        "where nothing is deployed. [DIFF006]\n"
    )


def test_a_state_file_and_a_revision_are_not_both_what_is_deployed(run: Run, copied: Path, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"version": 1, "resources": []}', encoding="utf-8")
    code, text = run(copied, "prod", "--state", str(tmp_path / "state.json"), "--base", "HEAD")
    assert code == ExitCode.INVALID_INPUT
    assert text == "--state and --base both say what is deployed. Fix: leave one of them out. [DIFF006]\n"


@pytest.mark.parametrize("content", [b"{}", b"no JSON", b"\xff", b"[" * 100_000, b'{"version": 2, "resources": []}'])
def test_a_file_that_is_no_state_file_is_bad_input(run: Run, copied: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    code, text = run(copied, "prod", "--state", str(path))
    assert code == ExitCode.INVALID_INPUT
    assert len(text.splitlines()) == 1
    assert text.startswith(f"{path}: ")
    assert "Fix: " in text


def test_a_stack_that_is_not_there_is_no_failed_preview(run: Run, copied: Path) -> None:
    code, text = run(copied, "prd")
    assert code == ExitCode.INVALID_INPUT
    assert text.startswith("stacks/Pulumi.prd.yaml: there is no stack 'prd'.")


# ---------------------------------------------------------------------------------------------------- beside a diff
def test_a_row_has_one_identity_in_a_preview_and_in_a_diff_whatever_the_stack_is_called(run: Run, copied: Path) -> None:
    """An approval names a row and the state of its app: it must hold for both."""
    commit(copied)
    apps = copied / "stacks" / "apps"
    for name, old, new in (
        ("mailer", "\nparameters:", "\n  - name: ${environment}/payments/db\n    file: db.json\nparameters:"),
        ("payments", "app: payments", "app: till\nrenamedFrom: [payments]"),
    ):
        text = (apps / f"{name}.yaml").read_text(encoding="utf-8")
        assert old in text
        (apps / f"{name}.yaml").write_text(text.replace(old, new, 1))
    (apps / "reports.yaml").unlink()
    shop = "version: 1\napp: shop\nnamespace: shop\nowner: web\nsecrets:\n  - {name: shop/db, file: db.json}\n"
    (apps / "shop.yaml").write_text(shop, encoding="utf-8")
    assert config_of(copied, "apps")["lockstep:environment"] == "prod"

    _, previewed = run(copied, "apps", "--base", "HEAD", "--format", "json")
    _, compared = run(copied, "apps", "HEAD", "--format", "json", verb="diff")
    (told,), (expected,) = json.loads(previewed)["stacks"], json.loads(compared)["stacks"]
    assert (told["stack"], told["environment"]) == (expected["stack"], expected["environment"]) == ("apps", "prod")
    rows = [(row["row"], row["spec"], row["sentence"]) for row in told["rows"]]
    assert rows == [(row["row"], row["spec"], row["sentence"]) for row in expected["rows"]]
    assert {
        "app mailer gains read access to secret prod/payments/db",
        "app reports is gone",
        "app shop is new and runs as shop/shop",
        "app till was called payments",
    } <= {sentence for *_, sentence in rows}
