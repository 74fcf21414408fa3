"""What every verb owes: the formats that it names, JSON that a program reads, and the one table of exit codes.

The verbs and their formats come from the command line itself, so that a new verb fails here until it has its rows.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from lockstep.__main__ import main
from lockstep.exit_codes import ExitCode
from tests.cli.test_reference import VERBS

PLACE = (
    *("--environment", "dev", "--region", "eu-west-1", "--account", "111122223333", "--cluster", "dev"),
    *("--oidc-issuer", "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"),
)
CORPUS = "tests/diff/corpus/"
CONSTANT = "version: 1\napp: a\nnamespace: a\nsecrets: [{name: x, keys: {\"'k'\": k}}]\n"
CLASS = (
    "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata: {name: shop, namespace: shop}\n"
    "spec:\n  provider: aws\n  parameters:\n    region: eu-west-1\n"
    "    objects: |\n      - {objectName: prod/db, objectType: secretsmanager}\n"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One call of a verb: `{tmp}` in the words is a folder of the files, and `-` is read from `stdin`."""

    words: tuple[str, ...]
    code: ExitCode
    stdin: str = ""
    files: tuple[tuple[str, str], ...] = ()


def fine(*words: str, **more: str) -> Row:
    return Row(words=words, code=ExitCode.FINE, **more)  # type: ignore[arg-type]


def invalid(*words: str, **more: str) -> Row:
    return Row(words=words, code=ExitCode.INVALID_INPUT, **more)  # type: ignore[arg-type]


def findings(*words: str, **more: str) -> Row:
    return Row(words=words, code=ExitCode.FINDINGS, **more)  # type: ignore[arg-type]


ROWS: dict[str, tuple[Row, ...]] = {
    "blast-radius": (
        fine("--node-apps", "payments,mailer", "--stack", "prod"),
        fine("--node-apps", "payments", "--specs", "stacks/apps", *PLACE),
        invalid("--node-apps", "nobody", "--stack", "prod"),
    ),
    "can": (
        fine("payments", "read", "prod/payments/db", "--stack", "prod"),
        fine("payments", "read", "dev/payments/db", "--specs", "stacks/apps", *PLACE),
        findings("payments", "read", "prod/other", "--stack", "prod"),
        invalid("nobody", "read", "x", "--stack", "prod"),
    ),
    "check": (
        fine("stacks/apps"),
        Row(words=("{tmp}/a.yaml",), code=ExitCode.FINDINGS, files=(("a.yaml", CONSTANT),)),
        Row(words=("{tmp}/a.yaml",), code=ExitCode.INVALID_INPUT, files=(("a.yaml", "version: 1\n"),)),
        invalid("no-such-file.yaml"),
    ),
    "cost": (
        fine("--pods", "3", "--nodes", "1", "--stack", "prod"),
        fine("--pods", "3", "--nodes", "1", "--apps", "2", "--secrets", "1"),
        fine("--pods", "3", "--nodes", "1", "--specs", "stacks/apps", *PLACE),
        invalid("--pods", "3", "--nodes", "1", "--stack", "prod", "--pods-of", "nobody=1"),
    ),
    "diff": (
        fine(".", ".", "--stack", "prod"),
        findings(f"{CORPUS}file/before.json", f"{CORPUS}file/after.json"),
        Row(
            words=(f"{CORPUS}read_gained/before.json", f"{CORPUS}read_gained/after.json"),
            code=ExitCode.NEEDS_APPROVAL,
        ),
        invalid("no-such-revision-or-file", "."),
    ),
    "doctor": (
        Row(words=("--stack", "prod", "--offline", "{tmp}/a.yaml"), code=ExitCode.FINDINGS, files=(("a.yaml", CLASS),)),
        invalid("--stack", "prod", "--offline", "no-such-file.yaml"),
    ),
    "import": (
        findings("-", stdin=CLASS + "    roleArn: arn:aws:iam::111122223333:role/shop\n"),
        invalid("-", stdin="{"),
        invalid("no-such-file.yaml"),
    ),
    "lint": (
        fine("stacks/apps", "--stack", "prod"),
        findings("--spc", "-", stdin=CLASS.replace("region: eu-west-1", "regoin: eu-west-1")),
        invalid("--spc", "-", stdin="{"),
        invalid("no-such-file.yaml"),
    ),
    "map": (
        fine("--stack", "prod"),
        fine("--specs", "stacks/apps", *PLACE),
        invalid("--stack", "prod", "--node", "general=nobody"),
    ),
    "preview": (
        Row(words=("--digest", f"{CORPUS}engine_stack_update/there.json"), code=ExitCode.NEEDS_APPROVAL),
        invalid("--digest", "no-such-file.json"),
    ),
    "refresh": (invalid("nobody", "--stack", "prod", "--kubeconfig", "no-such-file.yaml"),),
    "render": (
        fine("stacks/apps", *PLACE),
        Row(words=("{tmp}/a.yaml", *PLACE), code=ExitCode.INVALID_INPUT, files=(("a.yaml", "version: 1\n"),)),
        invalid("stacks/apps", *(word.replace("111122223333", "12") for word in PLACE)),
    ),
    "rule": (fine("LS101"), fine(), Row(words=("LS999",), code=ExitCode.WRONG_USAGE)),
    "schema": (fine(),),
    "what": (
        fine("payments", "--stack", "prod"),
        fine("payments", "--specs", "stacks/apps", *PLACE),
        invalid("nobody", "--stack", "prod"),
    ),
    "who": (
        fine("prod/shared/smtp", "--stack", "prod"),
        fine("dev/shared/smtp", "--specs", "stacks/apps", *PLACE),
        findings("prod/nobody/reads/this", "--stack", "prod"),
        invalid("arn:aws:s3:::bucket", "--stack", "prod"),
    ),
    "why": (
        fine("payments", "prod/payments/db", "--stack", "prod"),
        fine("payments", "dev/payments/db", "--specs", "stacks/apps", *PLACE),
        findings("payments", "prod/other", "--stack", "prod"),
        invalid("--event", "no-such-file.txt"),
    ),
}
#: Verbs whose other answers need a cluster: tests of their own bring one.
NEEDS_A_CLUSTER = {"refresh"}
CALLS = [(verb, row) for verb, rows in ROWS.items() for row in rows]


def formats_of(verb: str) -> tuple[str, ...]:
    """Return the choices of the verb's `--format`; ("",) for a verb without one."""
    for parameter in VERBS[f"lockstep {verb}"].params:
        if "--format" in parameter.opts:
            words = type(parameter.default)
            assert issubclass(words, StrEnum)
            return tuple(word.value for word in words)
    return ("",)


def test_every_verb_has_rows() -> None:
    assert {name.removeprefix("lockstep ") for name in VERBS} == set(ROWS)
    for verb, rows in ROWS.items():
        codes = {row.code for row in rows}
        assert codes - {ExitCode.INVALID_INPUT} or verb in NEEDS_A_CLUSTER, verb
        assert ExitCode.INVALID_INPUT in codes or verb in {"rule", "schema"}, f"{verb}: what is bad input to it?"
    assert {row.code for _, row in CALLS} == {
        ExitCode.FINE,
        ExitCode.INVALID_INPUT,
        ExitCode.FINDINGS,
        ExitCode.NEEDS_APPROVAL,
        ExitCode.WRONG_USAGE,
    }


def run(
    words: tuple[str, ...], stdin: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
    code = main(words)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize(("verb", "row"), CALLS, ids=[f"{verb} {' '.join(row.words)}"[:60] for verb, row in CALLS])
def test_a_call_ends_with_its_code_in_every_format_and_json_is_json(
    verb: str,
    row: Row,
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(project)
    for name, text in row.files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = tuple(word.replace("{tmp}", str(tmp_path)) for word in row.words)
    for form in formats_of(verb):
        flags = tuple(_flags(form, tmp_path))
        code, out, err = run((verb, *words, *flags), row.stdin, capsys, monkeypatch)
        assert code == row.code, f"{form}: {err}"
        assert "\x1b" not in out + err, "no colour where the output is no terminal"
        if verb == "check" and form == "json":
            found = json.loads(out)
            assert bool(found["problems"]) == (code == ExitCode.INVALID_INPUT), "there they are the answer"
        elif row.code in {ExitCode.INVALID_INPUT, ExitCode.WRONG_USAGE}:
            assert out == "", f"{form}: a program that reads the output must not take half of it for the whole"
            assert err.strip()
            assert "Traceback" not in err
        elif form in {"json", "sarif"} or verb == "schema":
            assert isinstance(json.loads(out), dict), form


def _flags(form: str, folder: Path) -> Iterator[str]:
    if form:
        yield from ("--format", form)
    if form == "dir":
        yield from ("--output", str(folder / "out"))


@pytest.mark.parametrize("verb", ROWS)
def test_a_wrong_flag_and_a_wrong_format_are_wrong_usage(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [("--frobnicate",)] + ([("--format", "frobnicate")] if formats_of(verb) != ("",) else [])
    for words in wrong:
        assert main((verb, *words)) == ExitCode.WRONG_USAGE
        printed = capsys.readouterr()
        assert printed.out == ""
        assert f"lockstep {verb} --help'." in printed.err
