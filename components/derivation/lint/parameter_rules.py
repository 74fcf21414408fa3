"""Rules about the parameters that an identity policy names.

Sources: Systems Manager user guide (a parameter's ARN; GetParameters and GetParameter are authorised apart; a path read
returns children that are denied); the provider reads with GetParameters only.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..arn import Arn
from .examples import PARAMETER, parameters_policy, policy, statement
from .material import Material
from .part import Part
from .policies import StatementText, arn_of, has_wildcard
from .rule import Example, Hit, Rule, Severity

#: What reads parameters by name.
READS = ("ssm:GetParameters", "ssm:GetParameter")
_PREFIX = "parameter"
_PATH_READS = {"ssm:getparametersbypath", "ssm:getparameterhistory"}


def parameter_resources(material: Material) -> Iterator[tuple[StatementText, Part, Arn]]:
    """Yield every parameter that an identity policy's reading statement names, with its ARN."""
    for document in material.identity_policies():
        for item in document.allows():
            if item.grants(*READS):
                for resource in item.resources:
                    arn = arn_of(resource, "ssm")
                    if arn is not None and arn.resource.startswith(_PREFIX):
                        yield item, resource, arn


def _double_slash(material: Material) -> Iterator[Hit]:
    for _, resource, arn in parameter_resources(material):
        if arn.resource.startswith("parameter//"):
            text = resource.text.replace(":parameter//", ":parameter/", 1)
            what = f"{resource.text!r} has two slashes, so it matches no parameter"
            yield Hit.on(resource, what, fix=f"write {text!r}", edits=(resource.replaced(text),))


def _whole_account(material: Material) -> Iterator[Hit]:
    for document in material.identity_policies():
        for item in document.allows():
            for resource in item.resources if item.names(*READS) else ():
                arn = arn_of(resource, "ssm")
                wide = arn is not None and arn.resource in {"*", "parameter*", "parameter/*", "parameter/**"}
                if resource.text == "*" or wide:
                    yield Hit.on(resource, f"{resource.text!r} grants every parameter that there is or will be")


def _path(material: Material) -> Iterator[Hit]:
    for _, resource, arn in parameter_resources(material):
        name = arn.resource.removeprefix("parameter/").lstrip("/")
        if has_wildcard(name) and name.strip("*") and arn.resource.startswith("parameter/"):
            yield Hit.on(resource, f"{resource.text!r} grants every parameter of that form, those of tomorrow too")


def _by_path(material: Material) -> Iterator[Hit]:
    for document in material.identity_policies():
        for item in document.allows():
            for action in item.actions:
                if action.text.lower() in _PATH_READS:
                    yield Hit.on(action, f"{action.text!r} is granted, and a mount never calls it")


def _only_singular(material: Material) -> Iterator[Hit]:
    policies = material.identity_policies()
    if any(item.grants("ssm:GetParameters") for document in policies for item in document.allows()):
        return
    for document in policies:
        for item in document.allows():
            for action in item.actions:
                if action.text.lower() == "ssm:getparameter":
                    edit = action.replaced("ssm:GetParameters")
                    yield Hit.on(action, "the role may call GetParameter, but not GetParameters", edits=(edit,))


RULES = (
    Rule(
        code="LS201",
        severity=Severity.ERROR,
        title="A parameter's ARN has one slash after `parameter`",
        why=(
            "The name /prod/x has the ARN …:parameter/prod/x: the leading slash of the name is the one behind "
            "`parameter`. With two slashes the policy silently matches nothing."
        ),
        fix="write one slash",
        bad=Example(policy=parameters_policy(PARAMETER.replace("parameter/", "parameter//"))),
        good=Example(policy=parameters_policy()),
        check=_double_slash,
        mends=True,
    ),
    Rule(
        code="LS202",
        severity=Severity.ERROR,
        title="A grant names its parameters",
        why="With a bare wildcard one stolen pod token reads every parameter of the account.",
        fix="name each parameter that the app mounts",
        bad=Example(policy=parameters_policy("arn:aws:ssm:eu-west-1:111122223333:parameter/*")),
        good=Example(policy=parameters_policy()),
        check=_whole_account,
    ),
    Rule(
        code="LS203",
        severity=Severity.WARNING,
        title="A wildcard inside a name grants parameters that do not exist yet",
        why="Whoever may create a parameter below that path puts it within reach of the app, and nobody reviews it.",
        fix="name each parameter that the app mounts",
        bad=Example(policy=parameters_policy("arn:aws:ssm:eu-west-1:111122223333:parameter/prod/*")),
        good=Example(policy=parameters_policy()),
        check=_path,
    ),
    Rule(
        code="LS204",
        severity=Severity.WARNING,
        title="A path read returns more than anybody named",
        why=(
            "GetParametersByPath is authorised by the path alone: it returns children even where they are denied. "
            "GetParameterHistory returns old values. The provider calls GetParameters only."
        ),
        fix="remove the action and name each parameter under ssm:GetParameters; a spec asks by 'parameterPaths:'",
        bad=Example(policy=parameters_policy(actions=["ssm:GetParameters", "ssm:GetParametersByPath"])),
        good=Example(policy=parameters_policy()),
        check=_by_path,
    ),
    Rule(
        code="LS205",
        severity=Severity.ERROR,
        title="The provider calls GetParameters, which GetParameter does not cover",
        why="The two are authorised apart: a role with ssm:GetParameter alone is denied at every mount.",
        fix="grant ssm:GetParameters",
        bad=Example(policy=policy(statement("ssm:GetParameter", PARAMETER))),
        good=Example(policy=parameters_policy()),
        check=_only_singular,
        mends=True,
    ),
)
