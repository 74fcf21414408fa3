"""Coverage-guided fuzzing of one target: `python -m tests.fuzz.run TARGET [libFuzzer flags] [folders]`.

Runs in an environment of its own (`requirements-fuzz.txt`), which `make fuzz` builds. libFuzzer keeps what reaches new
code in the first folder and stops at the first input that breaks a law, takes too long or needs too much memory; the
input is then in a file that it names. Put that file into `tests/fuzz/seeds/TARGET/`: from then on `make test` holds it.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["provider_runtime", "jmespath"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer's own limits end it; never returns."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz.run {{{','.join(TARGETS)}}} [libFuzzer flags] [folders]")
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
