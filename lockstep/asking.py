"""The environments that a question is asked of, and what its words mean there. Wrong words are errors with a hint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from components.derivation import Environment, FleetAccess
from components.derivation.answers import Answers, ObjectId
from components.derivation.evaluator import PolicySource, SourceKind, parse_policy
from components.derivation.spec import Store
from lockstep.input_errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedStack:
    """One stack of the project, ready to answer."""

    stack: str
    answers: Answers

    @property
    def environment(self) -> str:
        """Name of its environment."""
        return self.answers.fleet.environment.name


class Askable(Protocol):
    """What can be derived and asked: a stack of the project, or spec files in a given place."""

    @property
    def name(self) -> str:
        """Name of the stack."""

    @property
    def environment(self) -> Environment:
        """What access is derived from."""

    def fleet(self) -> FleetAccess:
        """Read and derive the apps."""


def asked_stacks(
    stacks: Sequence[Askable], *, environment: str | None = None, boundary: Path | None = None
) -> tuple[AskedStack, ...]:
    """Derive the stacks.

    Args:
        stacks: Of the project, or given specs.
        environment: Only stacks of this environment.
        boundary: File with the document of the roles' permissions boundary.

    Raises:
        InputError: ASK003, no stack has that environment.
        SpecErrors: A spec or the boundary is invalid.
    """
    chosen = [stack for stack in stacks if environment in {None, stack.environment.name}]
    if not chosen:
        names = sorted({stack.environment.name for stack in stacks})
        raise InputError(
            f"--environment: no stack has the environment {environment!r}. "
            f"The stacks have {', '.join(names)}. Fix: name one of them. [ASK003]"
        )
    document = _boundary(boundary) if boundary else None
    asked = []
    for stack in chosen:
        fleet = stack.fleet()
        arns = {app.permissions_boundary for app in fleet.apps if app.permissions_boundary}
        boundaries = dict.fromkeys(arns, document) if document else {}
        asked.append(AskedStack(stack=stack.name, answers=Answers(fleet, boundaries)))
    return tuple(asked)


def _boundary(path: Path) -> PolicySource:
    return parse_policy(path.read_text(encoding="utf-8"), name=str(path), kind=SourceKind.BOUNDARY)


def stacks_with(asked: Iterable[AskedStack], app: str) -> tuple[AskedStack, ...]:
    """Return the stacks that have an app.

    Raises:
        InputError: ASK001, none has it.
    """
    asked = tuple(asked)
    found = tuple(one for one in asked if one.answers.app(app))
    if not found:
        names = sorted({str(access.app) for one in asked for access in one.answers.fleet.apps})
        stacks = ", ".join(one.stack for one in asked)
        raise InputError(
            f"APP: there is no app {app!r} in {stacks}. An app is named by the 'app:' of its spec."
            f"{_hint(app, names)} [ASK001]"
        )
    return found


def meant_objects(
    one: AskedStack, name: str, store: Store | None = None, app: str | None = None
) -> tuple[ObjectId, ...]:
    """Return what a name means in one stack: one object, or a secret and a parameter; as an app names it, if given.

    Raises:
        InputError: ASK002, it is the ARN of something else.
    """
    found = one.answers.inventory.find(name, account=one.answers.account_of(app) if app else "", store=store)
    if not found:
        wanted = {
            Store.SECRETS_MANAGER: "a secret",
            Store.PARAMETER_STORE: "a parameter",
            None: "a secret or parameter",
        }
        raise InputError(
            f"NAME: {name!r} is no ARN of {wanted[store]}. "
            "An object is named by its friendly name or its ARN. Fix: copy it from the spec or from AWS. [ASK002]"
        )
    return found


def _hint(text: str, names: Sequence[str]) -> str:
    near = get_close_matches(text, names, n=1)
    return f" Fix: did you mean {near[0]!r}?" if near else " Fix: write it as the spec does."
