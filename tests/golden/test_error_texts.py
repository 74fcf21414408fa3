"""Every message of the reader and of the derivation, compared to the byte: the text is what users see first."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.derivation import Environment, FargateSelector, SpecErrors, derive_fleet, parse_specs
from components.derivation.errors import CODES

CASES = sorted(path for path in (Path(__file__).parent / "errors").iterdir() if path.is_dir())
#: Raised by an environment value, by the file system or by a folder: shown by tests of their own.
ELSEWHERE = {"SPEC026", "SPEC027", "SPEC039"}
ENVIRONMENT = Environment(
    name="dev",
    region="eu-west-1",
    account="111122223333",
    cluster="dev",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    fargate_selectors=(FargateSelector(namespace="serverless-*", labels=(("compute", "fargate"),)),),
)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_broken_spec_is_reported_in_these_words(case: Path, *, rewrite_golden: bool) -> None:
    with pytest.raises(SpecErrors) as caught:
        derive_fleet(parse_specs((case / "app.yaml").read_text(encoding="utf-8"), "app.yaml"), ENVIRONMENT)
    report = f"{caught.value}\n"
    expected = case / "expected.txt"
    if rewrite_golden:
        expected.write_text(report, encoding="utf-8")
    assert report.encode() == expected.read_bytes()


def test_every_code_has_a_golden_text() -> None:
    shown = "".join((case / "expected.txt").read_text(encoding="utf-8") for case in CASES)
    assert {code for code in CODES if f"[{code}]" not in shown} == ELSEWHERE
