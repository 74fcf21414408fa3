"""Every limit of `limits.LIMITS` refuses what is beyond it with its code, and takes what is just within it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from provider_runtime import payload
from provider_runtime.errors import MountError
from provider_runtime.fetch_plan import ReadResult
from provider_runtime.json_paths import StepBudget, extract_texts
from provider_runtime.limits import LIMITS, Limit
from provider_runtime.object_values import JsonKey
from provider_runtime.redaction import SecretBytes
from tests.runtime.pure.samples import objects, problem_of, request

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = "- {objectName: a, objectType: secretsmanager}\n"
ROLE = "arn:aws:iam::111122223333:role/there"


def mount(text: str, *values: bytes, **parameters: str) -> MountError | None:
    """Parse and assemble; return what was wrong."""
    results = [ReadResult(value=SecretBytes(value), version="1") for value in values]

    def run() -> None:
        found = objects(text, translation=parameters.get("pathTranslation", ""))
        payload.assemble_mount(request(objects=text, **parameters), found, results or [results[0]] * len(found))

    return problem_of(run)


def parse(text: str, translation: str = "") -> MountError | None:
    return problem_of(lambda: objects(text, translation=translation))


def ask(**parameters: str) -> MountError | None:
    return problem_of(lambda: request(**parameters))


def many(count: int, entry: str) -> str:
    return "".join(entry.replace("#", str(number)) for number in range(count))


def alias(name: str) -> str:
    return f"- {{objectName: a, objectType: ssmparameter, objectAlias: {name}}}"


def expression(path: str) -> str:
    key = f"    - {{path: {json.dumps(path)}, objectAlias: b}}\n"
    return f"- objectName: a\n  objectType: secretsmanager\n  jmesPath:\n{key}"


def templates(size: int) -> MountError | None:
    """A class whose five templates make this many bytes together."""
    entry = '- {objectName: "s#", objectType: secretsmanager, template: {objectAlias: "t#", text: "${s#}"}}\n'
    return mount(many(5, entry), *[b"x" * (size // 5 + (number < size % 5)) for number in range(5)])


def files_of_keys(count: int) -> MountError | None:
    """A class of three objects whose keys make `count` files, with the objects' own."""
    shares = [(count - 3) // 3 + (number < (count - 3) % 3) for number in range(3)]
    text = many(3, '- {objectName: "o#", objectType: secretsmanager, keys: "*"}\n')
    values = [
        json.dumps({f"{number}k{key}": "" for key in range(share)}).encode() for number, share in enumerate(shares)
    ]
    return mount(text, *values)


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


COSTLY = "a[*].b | to_string(@)"
COSTLY_VALUE = json.dumps({"a": [{"b": 0}] * 5_000}).encode()


def expressions(steps: int) -> MountError | None:
    """A class whose expressions take about this many steps together."""
    budget = StepBudget(payload.MOUNT_STEP_LIMIT)
    value = SecretBytes(COSTLY_VALUE)
    extract_texts(value, (JsonKey(path=COSTLY, alias="k"),), budget, object_name="a", where="")
    count = round(steps / (payload.MOUNT_STEP_LIMIT - budget.remaining))
    keys = many(count, f'    - {{path: "{COSTLY}", objectAlias: "k#"}}\n')
    return mount(f"- objectName: a\n  objectType: secretsmanager\n  jmesPath:\n{keys}", COSTLY_VALUE)


STEPS_VALUE = json.dumps({"a": [0] * 1_000, "x": "x"}).encode()
CASES: dict[str, Callable[[int], MountError | None]] = {
    "the objects document": lambda n: parse(ONE + "#" * (n - len(ONE))),
    "YAML nodes of the document": lambda n: parse(f"{ONE}- [{'0,' * (n - 7)}]"),
    "nesting of the document": lambda n: parse(f"{ONE[:-2]}, x: {deep(n - 2)}}}"),
    "objects of a class": lambda n: parse(many(n, "- {objectName: a#, objectType: ssmparameter}\n")),
    "files that a class names": (
        lambda n: parse(
            "- objectName: a\n  objectType: secretsmanager\n  jmesPath:\n"
            + many(n - 1, '    - {path: a, objectAlias: "k#"}\n')
        )
    ),
    "files of a mount, those of keys included": files_of_keys,
    "an element of a file name": lambda n: parse(alias("x" * n)),
    "a file name": lambda n: parse(alias(("x" * 200 + "/") * (n // 201) + "y" * (n % 201)), "False"),
    "a JMESPath expression": lambda n: parse(expression("a" * n)),
    "nesting of an expression": lambda n: parse(expression("!" * (n - 1) + "a")),
    "the evaluation of one expression": (
        lambda n: mount(expression("[" + "a[*]," * (n // 1_003) + 'a[*]]|x||`"t"`'), STEPS_VALUE)
    ),
    "nesting of a JSON result that is rendered by jmesPath": (
        lambda n: mount(expression("a") + "  nonText: render\n", f'{{"a": {deep(n)}}}'.encode())
    ),
    "nesting of a JSON value that is rendered by keys": (
        lambda n: mount('- {objectName: o, objectType: secretsmanager, keys: "*"}', f'{{"a": {deep(n)}}}'.encode())
    ),
    "a value that is decoded or cut up": lambda n: mount(expression("a"), b'{"a": "' + b"x" * (n - 9) + b'"}'),
    "keys of one value": (
        lambda n: mount(
            '- {objectName: o, objectType: secretsmanager, keys: "*"}',
            json.dumps({f"k{number}": "" for number in range(n)}).encode(),
        )
    ),
    "all files of a mount together": lambda n: mount(ONE, b"x" * n),
    "references of a template": lambda n: parse(f'{ONE[:-2]}, template: {{objectAlias: t, text: "{"${a}" * n}"}}}}'),
    "a rendered template": lambda n: mount(f'{ONE[:-2]}, template: {{objectAlias: t, text: "${{a}}"}}}}', b"x" * n),
    "all rendered templates of a mount": templates,
    "failover regions": lambda n: ask(failoverRegions=",".join(f"r{number}" for number in range(n))),
    "the external id": lambda n: ask(assumeRoleArn=ROLE, externalId="x" * n),
    "the refresh interval, at most": lambda n: ask(refreshInterval=f"{n}s"),
}
ROUGH = {"the evaluation of one expression", "all expressions of a mount"}
"""Their amounts are steps that an expression takes, which only the evaluation counts: twice the limit is beyond it, a
third of it is within."""
CASES["all expressions of a mount"] = expressions


def _limit(subject: str) -> Limit:
    return next(limit for limit in LIMITS if limit.subject == subject)


def test_every_limit_has_a_case() -> None:
    assert {limit.subject for limit in LIMITS} == set(CASES) | {"the refresh interval, at least"}


@pytest.mark.parametrize("subject", CASES)
def test_one_more_than_the_limit_is_refused_with_its_code(subject: str) -> None:
    limit = _limit(subject)
    problem = CASES[subject](int(limit.amount) * 2 if subject in ROUGH else int(limit.amount) + 1)
    assert problem is not None
    assert limit.code in {one.code for one in problem.problems}


@pytest.mark.parametrize("subject", CASES)
def test_the_limit_itself_is_taken(subject: str) -> None:
    limit = _limit(subject)
    problem = CASES[subject](int(limit.amount) // 3 if subject in ROUGH else int(limit.amount))
    assert problem is None or limit.code not in {one.code for one in problem.problems}, problem


def test_the_shortest_refresh_interval_is_taken_and_a_shorter_one_is_not() -> None:
    limit = _limit("the refresh interval, at least")
    assert ask(refreshInterval=f"{limit.amount:g}s") is None
    problem = ask(refreshInterval=f"{limit.amount - 0.1:g}s")
    assert problem is not None
    assert problem.code is limit.code
