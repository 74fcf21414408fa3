"""The cases of tests/golden/errors: what is read, and where.

A folder holds `app.yaml`, or `specs` (a folder that is read as one), and may hold `environment.yaml` with other values
of the environment. What would be too long to keep as a file is made here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from components.derivation import (
    AppSpec,
    Environment,
    FargateSelector,
    SpecErrors,
    derive_fleet,
    load_specs,
    parse_specs,
)

FOLDER = Path(__file__).parent / "errors"
ENVIRONMENT = Environment(
    name="dev",
    region="eu-west-1",
    account="111122223333",
    cluster="dev",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    fargate_selectors=(FargateSelector(namespace="serverless-*", labels=(("compute", "fargate"),)),),
)
DEPLOYER = "arn:aws:iam::111122223333:role/deployer"
_HEAD = "version: 1\napp: {app}\nowner: team\nnamespace: {app}\n"
_LONG = "a-long-name-for-a-secret-" * 4


def _secrets(count: int, more: str = "", *, prefix: str = _LONG) -> str:
    """Return entries spread over mounts of fifty."""
    mounts = "".join(f"  m{number}: /m{number}\n" for number in range((count - 1) // 50 + 1))
    entries = "".join(f"  - {{name: {prefix}{n}, file: f{n}, mount: m{n // 50}{more}}}\n" for n in range(count))
    return f"mounts:\n{mounts}secrets:\n{entries}"


def _many_restricted() -> str:
    more = ", restrict: {breakGlass: ['arn:aws:iam::111122223333:role/glass']}"
    apps = (f"{_HEAD.format(app=f'app{n}')}{_secrets(45, more, prefix=f'{_LONG * 4}{n}')}" for n in range(4))
    return "---\n".join(apps)


def _many_readers() -> str:
    readers = ", ".join(f"'arn:aws:iam::222233334444:role/{'path/' * 90}reader-{number}'" for number in range(45))
    restrict = f"{{breakGlass: ['arn:aws:iam::111122223333:role/glass'], readers: [{readers}]}}"
    return f"{_HEAD.format(app='payments')}secrets:\n  - name: db\n    restrict: {restrict}\n"


def _message() -> str:
    return f"{_HEAD.format(app='payments')}secrets:\n" + "".join(f"  - name: s{number}\n" for number in range(65))


#: Name of a case → text of its spec, and other values of the environment.
MADE: Mapping[str, tuple[Callable[[], str], Mapping[str, Any]]] = {
    "spec001_too_large": (lambda: "#" * (1024 * 1024 + 1), {}),
    "spec001_too_deep": (lambda: f"{_HEAD.format(app='a')}secrets: {'[' * 20_000}{']' * 20_000}\n", {}),
    "spec001_control_character": (lambda: "version: 1\napp: \x07\n", {}),
    "spec025_deployer": (_many_restricted, {"deployer_role": DEPLOYER}),
    "spec025_role": (lambda: _HEAD.format(app="payments") + _secrets(600), {}),
    "spec025_trust_too_long": (
        lambda: f"{_HEAD.format(app='payments')}secrets: [{{name: db}}]\n",
        {"oidc_issuer": f"https://oidc.example/{'id/' * 300}EXAMPLE"},
    ),
    "spec031_limit": (_many_readers, {"deployer_role": DEPLOYER}),
}
CASES = sorted({*MADE, *(path.name for path in FOLDER.iterdir() if path.is_dir())})


def report_of(case: str) -> str:
    """Return everything that is wrong with a case, as the command line prints it."""
    try:
        _derive(case)
    except SpecErrors as errors:
        return f"{errors}\n"
    raise AssertionError(f"{case} is fine")


def _derive(case: str) -> None:
    if case in MADE:
        text, changes = MADE[case]
        derive_fleet(parse_specs(text(), "app.yaml"), replace(ENVIRONMENT, **changes))
        return
    folder = FOLDER / case
    changed = folder / "environment.yaml"
    environment = ENVIRONMENT
    if changed.exists():
        environment = replace(ENVIRONMENT, **yaml.safe_load(changed.read_text(encoding="utf-8")))
    derive_fleet(_specs(folder), environment)


def _specs(folder: Path) -> tuple[AppSpec, ...]:
    if (folder / "app.yaml").exists():
        return parse_specs((folder / "app.yaml").read_text(encoding="utf-8"), "app.yaml")
    with chdir(folder):
        return load_specs([name for name in ("specs", *_missing(folder)) if os.fspath(name)])


def _missing(folder: Path) -> tuple[str, ...]:
    """A case whose folder is named so asks for a file that is not there as well."""
    return ("no-such-file.yaml",) if folder.name.endswith("_unreadable") else ()
