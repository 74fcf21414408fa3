"""No resource is made inside an apply: a preview would not show it while what it hangs on is unknown."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

_PACKAGES = ("aws", "kubernetes", "pulumi")


def made_inside(sources: Mapping[str, str]) -> list[str]:
    """Return `file:line` of every resource that a function makes which is passed to an `apply`, or one that it calls.

    Functions are known by their names alone, over all sources: one more than need be is looked at, never one less.
    """
    trees = {file: ast.parse(text) for file, text in sources.items()}
    functions: dict[str, list[tuple[str, ast.AST]]] = {}
    components: set[str] = set()
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                functions.setdefault(node.name, []).append((file, node))
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                for target in node.targets:
                    functions.setdefault(_last_name(target), []).append((file, node.value))
            elif isinstance(node, ast.ClassDef) and any(_last_name(base).endswith("Resource") for base in node.bases):
                components.add(node.name)
    waiting: list[tuple[str, ast.AST]] = [
        (file, argument)
        for file, tree in trees.items()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "apply"
        for argument in (*call.args, *(word.value for word in call.keywords))
    ]
    found: set[str] = set()
    seen: set[int] = set()
    while waiting:
        file, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        found |= {f"{file}:{call.lineno}" for call in _calls(node) if _makes(call, components)}
        waiting += [place for name in _names(node) for place in functions.get(name, ())]
    return sorted(found)


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def _names(node: ast.AST) -> Iterator[str]:
    """Yield what a function might call: every name in it, bare or after a dot."""
    return (_last_name(each) for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute))


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _makes(call: ast.Call, components: set[str]) -> bool:
    """Say whether a call makes a resource: it has options, or is a class of an SDK or one of our components."""
    if any(word.arg == "opts" for word in call.keywords):
        return True
    name, root = _last_name(call.func), call.func
    while isinstance(root, ast.Attribute):
        root = root.value
    is_class = name[:1].isupper() and not name.endswith(("Args", "Options", "Output", "Alias", "Error"))
    return name in components or (is_class and isinstance(root, ast.Name) and root.id in _PACKAGES)


_BEFORE = "import pulumi\nimport pulumi_aws as aws\n\nclass Shelf(pulumi.ComponentResource):\n    pass\n\n"
MADE = {
    "where it is called": "out.apply(lambda name: aws.iam.Role(name, opts=opts))",
    "without options": "out.apply(lambda name: aws.iam.Role(name))",
    "a component": "out.apply(lambda name: Shelf(name))",
    "by a named function": "def make(name):\n    aws.iam.Role(name)\nout.apply(make)",
    "by keyword": "def make(name):\n    aws.iam.Role(name)\nout.apply(func=make)",
    "by a named lambda": "make = lambda name: aws.iam.Role(name)\nout.apply(make)",
    "by a method": "class A:\n  def go(self):\n    out.apply(self._make)\n  def _make(self, name):\n    Shelf(name)",
    "by a function within one": "def outer():\n    def make(name):\n        aws.iam.Role(name)\n    out.apply(make)",
    "after all": "def make(values):\n    aws.iam.Role(values[0])\npulumi.Output.all(a, b).apply(make)",
    "with arguments bound": "def make(kind, name):\n    aws.iam.Role(name)\nout.apply(functools.partial(make, 1))",
    "by what it calls": "def deep(name):\n  aws.iam.Role(name)\ndef make(name):\n  return deep(name)\nout.apply(make)",
    "by a lambda that calls": "def deep(name):\n    aws.iam.Role(name)\nout.apply(lambda name: deep(name))",
}
FINE = {
    "a text": "out.apply(lambda name: f'{name}-x')",
    "arguments of a resource": "out.apply(lambda name: aws.iam.RoleInlinePolicyArgs(name=name))",
    "a resource outside": "def render(name):\n    return name\naws.iam.Role('a', name=out.apply(render), opts=opts)",
}


@pytest.mark.parametrize("case", sorted(MADE))
def test_a_resource_inside_an_apply_is_found(case: str) -> None:
    assert made_inside({"planted.py": _BEFORE + MADE[case]})


def test_it_is_found_in_another_module() -> None:
    caller = "from other import make\nout.apply(make)"
    assert made_inside({"caller.py": caller, "other.py": f"{_BEFORE}def make(name):\n    Shelf(name)"}) == [
        "other.py:8"
    ]


@pytest.mark.parametrize("case", sorted(FINE))
def test_what_makes_nothing_is_let_through(case: str) -> None:
    assert made_inside({"planted.py": _BEFORE + FINE[case]}) == []


def test_no_resource_is_made_inside_an_apply(project: Path) -> None:
    files = [project / "__main__.py", *sorted((project / "components").glob("*.py"))]
    sources = {file.name: file.read_text(encoding="utf-8") for file in files if file.name != "__init__.py"}
    assert any(".apply(" in text for text in sources.values())
    assert made_inside(sources) == []
