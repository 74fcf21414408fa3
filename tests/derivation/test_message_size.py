"""How large an answer can get: what is refused is what the provider could really make of the largest values."""

from __future__ import annotations

import json

import pytest

from components.derivation import derive, parse_specs
from components.derivation.message_size import largest_answer
from provider_runtime.fetch_plan import ReadResult
from provider_runtime.payload import MountFile, assemble_files
from provider_runtime.redaction import SecretBytes
from provider_runtime.secret_objects import parse_objects
from tests.derivation.test_derive import ENVIRONMENT, PAYMENTS, problems_of, request_for

SECRET, PARAMETER = 65_536, 8_192
#: The largest secret: two keys that share it, one of them with a key below.
HALF = "x" * 32_700
VALUE = json.dumps({"a": HALF, "b": {"c": HALF}}).ljust(SECRET)


def answer(objects: str) -> tuple[MountFile, ...]:
    """Return what the provider makes of the largest values."""
    (spec,) = parse_specs(PAYMENTS + objects)
    access = derive(spec, ENVIRONMENT)
    (mount,) = access.mounts
    made = request_for(mount, access)
    parsed = parse_objects(
        made.objects_text, region=str(made.region), failover_regions=(), translation=made.translation
    )
    sizes = {"secretsmanager": VALUE, "ssmparameter": VALUE[:PARAMETER]}
    results = [ReadResult(value=SecretBytes(sizes[item.type.value].encode()), version="1") for item in parsed]
    return assemble_files(made, parsed, results)


def bound(objects: str) -> int:
    (spec,) = parse_specs(PAYMENTS + objects)
    return largest_answer(spec.base.objects)


@pytest.mark.parametrize(
    ("objects", "values"),
    [
        ("secrets: [{name: s}]\n", 1),
        ("secrets: [{name: s, keys: {a: a, b.c: c}}]\n", 2),
        ("secrets: [{name: s, keys: {a: a, b: b, b.c: c}, nonText: render}]\n", 3),
        ("secrets: [{name: s, keys: {a: a, \"'x'\": one, '@': all}, nonText: render}]\n", 4),
        ('secrets: [{name: s, keys: "*", nonText: render}]\n', 2),
        ("secrets: [{name: s, file: s, template: {file: t, text: '${s} ${s}'}}]\n", 3),
        ("secrets: [{name: s, keys: {a: a, b.c: c}, template: {file: t, text: 'a=${a} c=${c}'}}]\n", 3),
        ("secrets: [{name: s, file: s}, {name: o, template: {file: t, text: '${s}'}}]\n", 3),
        ("secrets: [{name: s, file: s, template: {file: t, text: '" + "${s}" * 40 + "'}}]\n", 17),
    ],
)
def test_the_largest_answer_is_what_is_counted(objects: str, values: int) -> None:
    counted = bound(objects)
    assert values * SECRET <= counted <= values * SECRET + 400
    if values < 17:  # the provider refuses a template of more than 1 MiB
        assert sum(len(file.contents.reveal()) + len(file.path) for file in answer(objects)) <= counted


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ("a.b.c: f", 2),
        ('a."b-c".d.e: f', 2),
        ("a.b.c: f, a.b: g, a: h", 4),
        ("a.b.c: f, a.b.d: g, a.e: h", 2),
        ("'a.b[0].c': f, 'a.b[1].c': g", 3),
    ],
)
def test_keys_of_any_depth_are_counted(keys: str, values: int) -> None:
    """What lies below another key repeats it; what is no plain name may be all of it."""
    objects = f"secrets: [{{name: s, keys: {{{keys}}}}}]\n"
    derive(parse_specs(PAYMENTS + objects)[0], ENVIRONMENT)
    assert values * SECRET <= bound(objects) <= values * SECRET + 400


def test_a_parameter_counts_with_its_own_limit() -> None:
    assert bound("parameters: [{name: p}]\n") == PARAMETER + len("p") + 32


def test_cut_out_keys_fill_a_mount_sooner_than_whole_objects() -> None:
    plain = "".join(f"  - {{name: s{number}}}\n" for number in range(40))
    cut = "".join(f"  - {{name: s{number}, keys: {{'@': all{number}}}}}\n" for number in range(40))
    derive(parse_specs(f"{PAYMENTS}secrets:\n{plain}")[0], ENVIRONMENT)
    (line,) = problems_of(f"{PAYMENTS}secrets:\n{cut}")
    assert "40 objects and what is cut out of 40 of them" in line
    assert line.endswith("[SPEC036]")
