"""The committed inputs of the fuzz targets, findings of earlier runs among them, hold their laws in every test run.

And what the coverage-guided run cannot reach because it keeps its inputs small: inputs of the largest size.
"""

from __future__ import annotations

import re
import time
import tomllib
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from provider_runtime.errors import ErrorCode
from provider_runtime.fetch_plan import ReadResult
from provider_runtime.object_document import DOCUMENT_LIMIT_BYTES
from provider_runtime.object_drafts import OBJECT_LIMIT
from provider_runtime.payload import assemble_mount
from provider_runtime.redaction import SecretBytes
from tests.fakes.daemons import REPOSITORY
from tests.fuzz.targets import SEPARATOR, TARGETS
from tests.runtime.pure.samples import deterministic, failure, objects, request

FOLDER = Path(__file__).parent
SEEDS = sorted(path for name in TARGETS for path in (FOLDER / "seeds" / name).iterdir())
QUICK_SECONDS = 5.0
"""CPU seconds that no input may take; measured 0.1 to 1."""
TEN_MEGABYTES = 10 * 1024 * 1024


def _run_quickly(target: str, data: bytes) -> None:
    began = time.process_time()
    TARGETS[target](data)
    assert time.process_time() - began < QUICK_SECONDS


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.parent.name}-{seed.name}")
def test_a_committed_input_keeps_the_laws(seed: Path) -> None:
    _run_quickly(seed.parent.name, seed.read_bytes())


def test_every_target_has_seeds_and_words_and_the_seeds_are_small() -> None:
    for name in TARGETS:
        assert len(list((FOLDER / "seeds" / name).iterdir())) >= 5
        assert (FOLDER / f"{name}.dict").exists()
    assert all(seed.stat().st_size < 8_192 for seed in SEEDS), "the fuzzer mutates small inputs best"


@deterministic
@given(st.sampled_from(sorted(TARGETS)), st.binary(max_size=200))
def test_any_bytes_keep_the_laws(target: str, data: bytes) -> None:
    TARGETS[target](data)


@pytest.mark.parametrize(
    ("target", "data"),
    [
        ("attributes", b'{"objects": "' + b"x" * TEN_MEGABYTES + b'"}'),
        ("attributes", b'{"a":' * 2_000_000),
        ("objects", b"- {objectName: a, objectType: secretsmanager}\n" * 220_000),
        ("objects", b"[" * TEN_MEGABYTES),
        ("jmespath", b"a" + SEPARATOR + b'{"a": "' + b"x" * TEN_MEGABYTES + b'"}'),
        ("jmespath", b"a" * TEN_MEGABYTES + SEPARATOR + b'{"a": 1}'),
        ("jmespath", b"[@,@]|" * 100 + b"to_string(@)" + SEPARATOR + b'["x"]'),
        ("jmespath", b"a" + SEPARATOR + b"[" * 1_000_000),
    ],
    ids=["10 MB", "deep", "220,000 objects", "brackets", "10 MB value", "10 MB path", "doubling", "deep value"],
)
def test_an_input_beyond_every_limit_is_refused_quickly(target: str, data: bytes) -> None:
    _run_quickly(target, data)


def test_as_many_objects_as_a_class_may_have_are_one_file_each() -> None:
    text = "".join(f"- {{objectName: /shop/{number}, objectType: ssmparameter}}\n" for number in range(OBJECT_LIMIT))
    began = time.process_time()
    found = objects(text)
    values = [ReadResult(value=SecretBytes(b"v"), version="1")] * len(found)
    mount = assemble_mount(request(objects=text), found, values)
    assert len(mount.files) == OBJECT_LIMIT
    assert time.process_time() - began < QUICK_SECONDS


@pytest.mark.parametrize("count", [OBJECT_LIMIT + 1, 10_000])
def test_more_objects_than_that_are_refused_quickly_and_with_the_limit(count: int) -> None:
    text = "".join(f"- {{objectName: /shop/{number}, objectType: ssmparameter}}\n" for number in range(count))
    assert len(text) < DOCUMENT_LIMIT_BYTES
    began = time.process_time()
    error = failure(lambda: objects(text))
    assert time.process_time() - began < QUICK_SECONDS
    assert error.code is ErrorCode.DOCUMENT_TOO_LARGE
    assert f"at most {OBJECT_LIMIT} objects" in error.message


def test_a_value_of_ten_megabytes_is_delivered_as_it_is_but_never_looked_into() -> None:
    value = ReadResult(value=SecretBytes(b"x" * TEN_MEGABYTES), version="1")
    plain = "- {objectName: a, objectType: secretsmanager}"
    mount = assemble_mount(request(objects=plain), objects(plain), [value])
    assert len(mount.files[0].contents) == TEN_MEGABYTES
    for addition in ("encoding: base64", 'keys: "*"', "jmesPath: [{path: a, objectAlias: b}]"):
        text = f"- {{objectName: a, objectType: secretsmanager, {addition}}}"
        error = failure(lambda text=text: assemble_mount(request(objects=text), objects(text), [value]))  # type: ignore[misc]
        assert error.code is ErrorCode.VALUE_TOO_LARGE


def test_the_fuzzers_environment_runs_the_parsers_that_the_provider_ships() -> None:
    """The same versions of the packages whose code the targets run."""
    pins = [
        dict(re.findall(r"^([a-z0-9_-]+)==(\S+)", (REPOSITORY / name).read_text("utf-8"), re.MULTILINE))
        for name in ("requirements-fuzz.txt", "provider_runtime/requirements.txt")
    ]
    assert "atheris" in pins[0]
    for package in ("jmespath", "pyyaml"):
        assert pins[0][package] == pins[1][package]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    assert "atheris" not in str(project["project"]), "a tool of the developers only"
