"""I4 for reports: a preview full of secrets leaves none of them in any format, whole or in another spelling."""

from __future__ import annotations

import base64
import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockstep.__main__ import main
from lockstep.access_report.redaction import REDACTED, Redaction, redaction_of

CORPUS = Path(__file__).parent / "corpus"
CANARY = 'c4nary "quoted"/\\\u00e9+value'
SPELLINGS = {
    CANARY,
    json.dumps(CANARY)[1:-1],
    json.dumps(json.dumps(CANARY)[1:-1])[1:-1],
    base64.b64encode(CANARY.encode()).decode(),
    urllib.parse.quote(CANARY, safe=""),
    CANARY.encode().hex(),
}
SIGNED = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": CANARY}


def state(kind: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    urn = f"urn:pulumi:prod::shop::{kind}::{name}"
    return {"urn": urn, "custom": True, "type": kind, "id": name, "inputs": inputs, "outputs": inputs}


def canary_preview() -> dict[str, Any]:
    """Return a preview with the canary in every place that is known to hold values, and in free text."""
    coded = base64.b64encode(CANARY.encode()).decode()
    states = [
        state("aws:secretsmanager/secretVersion:SecretVersion", "v", {"secretId": "db", "secretString": CANARY}),
        state("aws:secretsmanager/secretVersion:SecretVersion", "b", {"secretBinary": coded}),
        state("aws:ssm/parameter:Parameter", "p", {"name": "/x", "type": "SecureString", "value": CANARY}),
        state("kubernetes:core/v1:Secret", "k", {"metadata": {"name": "k"}, "data": {"a": coded}}),
        state("kubernetes:core/v1:Secret", "s", {"metadata": {"name": "s"}, "stringData": {"a": CANARY}}),
        state("aws:rds/instance:Instance", "r", {"password": SIGNED, "masterPassword": CANARY}),
        state("random:index/randomPassword:RandomPassword", "w", {"length": 8, "result": CANARY}),
        state("aws:iam/role:Role", "role", {"name": "shop", "assumeRolePolicy": SIGNED}),
        state("aws:iam/rolePolicy:RolePolicy", "rp", {"role": "shop", "name": "p", "policy": SIGNED}),
        state(
            "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass",
            "c",
            {
                "metadata": {"name": "c", "namespace": "shop"},
                "spec": {"provider": "aws", "parameters": {"objects": CANARY, "vaultToken": CANARY}},
            },
        ),
        state("aws:iam/userLoginProfile:UserLoginProfile", "u", {"password": CANARY}),
    ]
    messages = [f"could not log in with {spelling}: denied" for spelling in sorted(SPELLINGS)]
    return {
        "config": {"shop:dbPassword": CANARY},
        "steps": [{"op": "create", "urn": item["urn"], "newState": item} for item in states],
        "diagnostics": [{"message": text, "severity": "warning", "urn": ""} for text in messages],
        "changeSummary": {"create": len(states)},
    }


def leaks(text: str) -> list[str]:
    return sorted(spelling for spelling in SPELLINGS if spelling in text)


@pytest.mark.parametrize("form", ["text", "markdown", "json", "sarif"])
def test_no_format_of_a_diff_holds_a_value(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "preview.json"
    path.write_text(json.dumps(canary_preview()), encoding="utf-8")
    code = main(["diff", str(path), "--format", form])
    printed = capsys.readouterr()
    assert code == 3, "hidden policies need an approval"
    assert leaks(printed.out + printed.err) == []
    assert "known" in printed.out, "and the report says what it could not see" if form == "text" else ""


def test_every_spelling_of_a_value_is_taken_out() -> None:
    redaction = redaction_of([canary_preview()])
    text = redaction.apply("\n".join(f"before {spelling} after" for spelling in sorted(SPELLINGS)))
    assert leaks(text) == []
    assert text.count(REDACTED) >= len(SPELLINGS)
    assert text.count("before ") == len(SPELLINGS), "and nothing else is"


def test_the_redaction_does_not_repeat_what_it_hides() -> None:
    assert CANARY not in repr(Redaction([CANARY]))


def test_a_value_is_taken_out_of_data_of_every_shape() -> None:
    """What a report is made of tomorrow may be a list or a set: nothing passes because of its shape."""
    shapes = ("x " + CANARY, [CANARY], {CANARY}, frozenset({CANARY}), {"k": (CANARY,)})
    shown = Redaction([CANARY]).data(shapes)
    assert shown == (f"x {REDACTED}", [REDACTED], {REDACTED}, frozenset({REDACTED}), {"k": (REDACTED,)})


VALUES = st.text(min_size=8, max_size=40).filter(lambda text: text.strip() == text and len(text.splitlines()) == 1)


@given(VALUES, st.binary(max_size=5), st.binary(max_size=5))
@settings(max_examples=40, deadline=None)
def test_a_value_inside_a_longer_base64_text_is_taken_out(value: str, before: bytes, after: bytes) -> None:
    """A Kubernetes Secret may hold a file with the value in the middle of it."""
    coded = base64.b64encode(before + value.encode("utf-8", "surrogatepass") + after).decode()
    shown = Redaction([value]).apply(coded)
    assert REDACTED in shown
    rest = shown.replace(REDACTED, "")
    assert len(rest) <= 4 * (len(before) + len(after)) + 16


#: What a report says itself, as a value that somebody chooses to have it taken out.
OUR_WORDS = (
    "gains read access to",
    "app mailer gains read access to secret prod/payments/db",
    "decrypt",
    "needs approval",
    "approval needed",
    "<details><summary>Access table",
    '"needsApproval": true',
    '"exitCode": 3',
    "delete",
    "update",
    "DELETE; mounts are interrupted",
    "aws:iam/role:Role",
)
FORMS = [("diff", form) for form in ("text", "markdown", "json", "sarif")]
FORMS += [("preview", form) for form in ("text", "markdown", "json")]


@pytest.mark.parametrize(("verb", "form"), FORMS)
@pytest.mark.parametrize("case", ["engine_stack_update", "unknown", "unknown_on_both_sides"])
def test_a_value_that_is_a_word_of_ours_hides_nothing(
    verb: str, form: str, case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever writes a program chooses its values: a report must say the same whatever they are."""
    document = json.loads((CORPUS / case / "there.json").read_text(encoding="utf-8"))
    path = tmp_path / "preview.json"

    def printed(*values: str) -> tuple[int, str]:
        path.write_text(json.dumps({**document, "config": {"x:token": list(values)}}), encoding="utf-8")
        told = [str(path)] if verb == "diff" else ["--digest", str(path)]
        code = main([verb, *told, "--format", form])
        return int(code), capsys.readouterr().out

    honest = printed()
    assert printed(*OUR_WORDS) == honest
    assert printed("mailer", "billing")[1].count(REDACTED) > 0, "and a name that is a value goes"


@pytest.mark.parametrize("name", ["tokenRequests", "secretName", "secretArn", "serviceAccountToken_audience", "keyId"])
def test_names_of_things_are_no_values(name: str) -> None:
    """A report without names would be worthless."""
    document = {"steps": [{"newState": state("x:index:Y", "y", {name: ["sts.amazonaws.com"]})}]}
    assert redaction_of([document]).apply("sts.amazonaws.com") == "sts.amazonaws.com"
