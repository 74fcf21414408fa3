"""`python -m benchmarks.access_diff`: how long an access diff of many apps takes, from documents and from revisions.

Two figures, because they answer two questions: the comparison itself (rendered JSON of both sides, read and compared),
and `lockstep diff` as CI runs it (two revisions: specs read, checked and derived, the process included). Exits with 1
when a figure is over its bound.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from components.derivation import Environment, derive_all, load_specs, render_json
from components.derivation.diff import diff_fleets, read_rendered

_ROOT = Path(__file__).resolve().parent.parent
_BOUND_SECONDS = 3.0
_CHANGE = "  - name: ${environment}/shared/new-secret\n    file: new.json\n"


def spec(number: int) -> str:
    """Return one app: three secrets, one of them with a customer key, and a parameter."""
    key = f"arn:aws:kms:${{region}}:${{account}}:key/mrk-{number:032x}"
    return (
        f"version: 1\napp: app-{number}\nnamespace: team-{number % 40}\nsecrets:\n"
        f"  - name: ${{environment}}/app-{number}/db\n    file: db.json\n    kmsKey: {key}\n"
        f"    keys: {{username: user, password: password}}\n"
        f"  - name: ${{environment}}/app-{number}/api\n    file: api.json\n"
        f"  - name: ${{environment}}/shared/smtp\n    file: smtp.json\n"
        f"parameters:\n  - name: /${{environment}}/app-{number}/flags\n    file: flags.json\n"
    )


def write_specs(folder: Path, apps: int, changed: int) -> None:
    """Write the specs; the first `changed` of them read one secret more."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(apps):
        text = spec(number)
        if number < changed:
            text = text.replace("parameters:\n", f"{_CHANGE}parameters:\n")
        (folder / f"app-{number}.yaml").write_text(text, encoding="utf-8")


def measure_documents(folder: Path, apps: int, changed: int, repeats: int) -> tuple[float, int]:
    """Return the best time of reading and comparing two rendered documents, and the number of rows."""
    environment = Environment(
        name="prod", region="eu-west-1", account="444455556666", cluster="prod", oidc_issuer="https://oidc.example/id/X"
    )
    texts = []
    for name, count in (("before", 0), ("after", changed)):
        write_specs(folder / name, apps, count)
        texts.append(render_json(derive_all(load_specs([folder / name]), environment), "prod"))
    best, rows = float("inf"), 0
    for _ in range(repeats):
        started = time.perf_counter()
        before, after = (read_rendered(json.loads(text)) for text in texts)
        rows = len(diff_fleets(before, after).rows)
        best = min(best, time.perf_counter() - started)
    return best, rows


def measure_revisions(folder: Path, apps: int, changed: int, repeats: int) -> tuple[float, float, int]:
    """Return the best time of `lockstep diff HEAD~1 HEAD`, the least CPU time of it, and the number of rows."""
    shutil.copy(_ROOT / "Pulumi.yaml", folder)
    (folder / "stacks").mkdir()
    shutil.copy(_ROOT / "stacks" / "Pulumi.prod.yaml", folder / "stacks")
    _git(folder, "init", "-q")
    for message, count in (("before", 0), ("after", changed)):
        write_specs(folder / "stacks" / "apps", apps, count)
        _git(folder, "add", "-A")
        _git(folder, "commit", "-q", "-m", message)
    command = [sys.executable, "-m", "lockstep", "diff", "HEAD~1", "HEAD", "--project", str(folder)]
    best, busy, rows = float("inf"), float("inf"), 0
    for _ in range(repeats):
        before, started = _children_seconds(), time.perf_counter()
        ended = subprocess.run([*command, "--format", "json"], cwd=_ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
        best, busy = min(best, time.perf_counter() - started), min(busy, _children_seconds() - before)
        report: Any = json.loads(ended.stdout)
        rows = sum(len(stack["rows"]) for stack in report["stacks"])
    return best, busy, rows


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607 - our own repository


def main() -> int:
    """Measure and print; return 1 when a figure is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--apps", type=int, default=1000)
    parser.add_argument("--changed", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as temporary:
        folder = Path(temporary)
        compared, rows = measure_documents(folder / "documents", given.apps, given.changed, given.repeats)
        (folder / "repository").mkdir()
        whole, busy, whole_rows = measure_revisions(folder / "repository", given.apps, given.changed, given.repeats)
    print(f"{given.apps} apps, {given.changed} changed, best of {given.repeats}; bound {_BOUND_SECONDS:g} s each")
    print(f"compare two rendered documents   {compared:6.2f} s   {rows} rows")
    print(f"lockstep diff of two revisions   {whole:6.2f} s   {whole_rows} rows   {busy:.2f} s of CPU")
    is_right = rows == whole_rows == given.changed
    return 0 if max(compared, whole) <= _BOUND_SECONDS and is_right else 1


if __name__ == "__main__":
    sys.exit(main())
