"""The rules as policies of pulumi_policy, for this pack's own main and for packs of somebody else.

Pulumi's server raises an error when a policy looks at an unknown value, and turns it into a mere advice: a mandatory
policy then gates nothing. So values are taken out of its proxies first, unknown ones as the engine's own texts, and the
rules decide what an unknown means.

Source: pulumi-policy 1.21 (`policy.py`: how Analyze treats `UnknownValueError`; `proxy.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from ..derivation.diff.preview_resources import Resource
from .rule import Rule
from .rules import RULES

#: Of the pack; part of every violation's text.
NAME: Final = "lockstep"

#: Of a property of a policy's configuration: what is let pass, to a reason.
_REASONS: Final = {"type": "object", "additionalProperties": {"type": "string"}}


def policies() -> list[Policy]:
    """Return every policy, mandatory.

    Each takes `exempt` in its configuration: URN to a reason. One about things with names of their own takes `allowed`
    too: ARN or name to a reason.
    """
    return [_policy(rule) for rule in RULES]


def _policy(rule: Rule) -> Policy:
    keys = ("exempt", "allowed") if rule.has_allowed else ("exempt",)
    words: dict[str, Any] = {
        "name": rule.name,
        "description": f"{rule.title}. {rule.why}",
        "enforcement_level": EnforcementLevel.MANDATORY,
        "config_schema": PolicyConfigSchema(properties=dict.fromkeys(keys, _REASONS)),
        "severity": Severity.HIGH,
        "remediation_steps": rule.fix,
    }
    if rule.of_stack:
        return StackValidationPolicy(validate=_of_stack(rule), **words)
    return ResourceValidationPolicy(validate=_of_resource(rule), **words)


def _of_resource(rule: Rule) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(urn=args.urn, type=args.resource_type, properties=plain(args.props))
        _report(rule, (resource,), args.get_config(), report)

    return validate


def _of_stack(rule: Rule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        _report(rule, tuple(_resource(item) for item in args.resources), args.get_config(), report)

    return validate


def _report(rule: Rule, resources: tuple[Resource, ...], config: Mapping[str, Any], report: ReportViolation) -> None:
    exempt, allowed = (_with_reason(config.get(key)) for key in ("exempt", "allowed"))
    for finding in rule.findings(resources):
        if finding.urn not in exempt and not (rule.has_allowed and allowed & {*finding.names}):
            report(rule.text(finding), finding.urn or None)


def _with_reason(given: object) -> set[str]:
    return {str(name) for name in given if str(given[name]).strip()} if isinstance(given, Mapping) else set()


def _resource(item: PolicyResource) -> Resource:
    needs = {key: tuple(other.urn for other in others) for key, others in item.property_dependencies.items()}
    parent = item.parent.urn if item.parent is not None else ""
    return Resource(urn=item.urn, type=item.resource_type, properties=plain(item.props), parent=parent, needs=needs)


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return a value without pulumi_policy's proxies; what is unknown becomes the engine's text for it."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(holder: Any, key: Any) -> Any:  # noqa: ANN401 - as above
    try:
        return plain(holder[key])
    except UnknownValueError as error:
        return error.unknown_type_sentinel
