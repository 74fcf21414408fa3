"""What a component's arguments must be, checked when they are made: every problem at once, nothing registered yet.

Not done here: the rules of one component (its own module). Pulumi checks nothing: a text where a tuple is meant is
one entry per letter, and a tag where a digest is meant is found by the nodes. Inputs that may be outputs of other
resources are not looked into; what a component needs at preview is a plain value in its arguments.
Pulumi is not imported: the command line makes the driver's arguments without it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: Kinds of problems: a value of another type than the argument's, and one that the component cannot use.
WRONG_TYPE, WRONG_VALUE = "ARG001", "ARG002"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentProblem:
    """One thing that is wrong with an argument.

    Attributes:
        argument: `NetworkArgs.region`.
        what: What is wrong, with the value.
        rule: What is allowed.
        fix: What to do.
        code: Stable, `ARGnnn`.
    """

    argument: str
    what: str
    rule: str
    fix: str
    code: str = WRONG_VALUE

    def __str__(self) -> str:
        return f"{self.argument}: {self.what}. {self.rule}. Fix: {self.fix}. [{self.code}]"


class ArgumentErrors(ValueError):  # noqa: N818 - it holds every problem of one component, and reads as such
    """All problems of one component's arguments; `str()` has a line for each."""

    def __init__(self, problems: Iterable[ArgumentProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CheckedArguments:
    """Base of the arguments of a component, and of the settings in them: types are checked first, then `check_values`.

    Raises:
        ArgumentErrors: At construction, with every problem.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        """Check; called by the dataclass."""
        problems = tuple(_type_problems(self)) or tuple(self.check_values())
        if problems:
            raise ArgumentErrors(problems)

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what is wrong with values of the right types."""
        yield from ()

    def problem(self, argument: str, what: str, rule: str, fix: str) -> ArgumentProblem:
        """Return a problem of one of these arguments."""
        return ArgumentProblem(argument=f"{type(self).__name__}.{argument}", what=what, rule=rule, fix=fix)


@functools.cache
def _hints(arguments: type) -> Mapping[str, Any]:
    # `pulumi.Input[...]` names Output and T without importing them.
    return typing.get_type_hints(arguments, localns={"Output": _output_type(), "T": Any})


def _output_type() -> type:
    """Return Pulumi's Output; a type that nothing is of where Pulumi is not loaded."""
    return getattr(sys.modules.get("pulumi"), "Output", _Nothing)


class _Nothing:
    """Stands for Output where there is none."""


def _type_problems(arguments: CheckedArguments) -> Iterator[ArgumentProblem]:
    hints = _hints(typing.cast("Any", type(arguments)))
    for field in dataclasses.fields(typing.cast("Any", arguments)):
        value, hint = getattr(arguments, field.name), hints[field.name]
        if not _fits(value, hint):
            name = f"{type(arguments).__name__}.{field.name}"
            rule, fix = f"It is {_spell(hint)}", _mend(value, hint)
            yield ArgumentProblem(
                argument=name, what=f"{_show(value)} does not fit", rule=rule, fix=fix, code=WRONG_TYPE
            )


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401 - a type as `typing` hands it over
    """Say whether a value is of a type; types that are not told apart here hold everything."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return any(_fits(value, each) for each in inside)
    if origin in {tuple, frozenset}:
        return isinstance(value, origin) and all(_fits(item, inside[0]) for item in value)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, inside[0]) for item in value)
    if isinstance(origin, type):
        return isinstance(value, origin)
    if hint is Any:
        return True
    if hint in {int, float}:
        return isinstance(value, hint) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _spell(hint: Any) -> str:  # noqa: ANN401
    """Return a type as a person would say it."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(_spell(each) for each in inside)
    if origin in {tuple, frozenset, list}:
        return f"a {origin.__name__} of {_spell(inside[0])}"
    names = {str: "a text", int: "a whole number", bool: "True or False", type(None): "None"}
    return names.get(hint) or f"a {getattr(hint, '__name__', str(hint))}"


def _show(value: object) -> str:
    """Return a value for a message. Outputs and resources say nothing when they are printed."""
    if isinstance(value, _output_type()):
        return "an Output"
    if isinstance(value, str | int | float | None):
        return repr(value)
    if isinstance(value, tuple | list | set | frozenset):
        return f"a {type(value).__name__} of {', '.join(sorted({type(item).__name__ for item in value})) or 'nothing'}"
    return f"a {type(value).__name__}"


def _mend(value: object, hint: Any) -> str:  # noqa: ANN401
    if isinstance(value, _output_type()):
        return "pass a plain value: it is needed at preview"
    choices = [each for each in (hint, *typing.get_args(hint)) if isinstance(each, type)]
    closed = next((each for each in choices if issubclass(each, enum.Enum)), None)
    if closed is not None:
        return f"pass {' or '.join(f'{closed.__name__}.{member.name}' for member in closed)}"
    origin = typing.get_origin(hint)
    if origin is tuple and not isinstance(value, tuple | list | set | frozenset):
        return "put it in a tuple, (value,): a text alone would be read letter by letter"
    if origin in {tuple, frozenset} and isinstance(value, list | set | tuple):
        return f"pass a {origin.__name__} of {_spell(typing.get_args(hint)[0])}"
    return "pass a value of that type"
