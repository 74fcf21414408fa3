"""IAM policies that somebody else wrote, as values that know their place, with all their mistakes.

The evaluator's reader (components/derivation/evaluator) refuses what IAM refuses; a linter needs what is wrong, where
it stands. Nothing is judged here.

Source: IAM JSON policy grammar (one value or a list; actions and operators ignore case; `*` and `?` are wildcards, also
under ArnEquals).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from ..arn import Arn
from ..evaluator.patterns import Pattern, expand
from .part import Part

#: Role of a managed policy that the account attaches to none. No role has such a name.
UNATTACHED = "(no role)"
#: Comparisons whose values are patterns.
_PATTERNS = frozenset({"stringlike", "stringnotlike", "arnequals", "arnlike", "arnnotequals", "arnnotlike"})


class PolicyUse(StrEnum):
    """What a document is attached to."""

    IDENTITY = "identity policy"
    TRUST = "trust policy"
    RESOURCE = "resource policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One condition: `operator` on `key` against `values`."""

    operator: Part
    key: Part
    values: tuple[Part, ...]

    #: pytest collects classes by this name otherwise.
    __test__ = False

    def is_on(self, key: str) -> bool:
        """Say whether it tests this key; IAM ignores case here."""
        return self.key.text.lower() == key.lower()

    @property
    def comparison(self) -> str:
        """What compares, in lower case, without the prefix and the suffix that say how often and when.

        `ForAnyValue:StringLikeIfExists` compares by `stringlike`.
        """
        return self.operator.text.lower().rpartition(":")[2].removesuffix("ifexists")

    @property
    def holds_when_missing(self) -> bool:
        """Whether a request without the key passes."""
        operator = self.operator.text.lower()
        return operator.endswith("ifexists") or operator.startswith("forallvalues:") or self.is_negated

    @property
    def is_negated(self) -> bool:
        """Whether it says what the key is not, or only whether it is there."""
        return "not" in self.comparison or self.comparison == "null"

    @property
    def takes_patterns(self) -> bool:
        """Whether `*` and `?` in its values are wildcards."""
        return self.comparison in _PATTERNS

    def fits_anything(self, value: Part) -> bool:
        """Say whether one of its values stands for every text."""
        return self.takes_patterns and not value.text.strip("*?") and "*" in value.text

    @property
    def binds(self) -> bool:
        """Whether it narrows its key to what its values say: a request with something else, or nothing, fails."""
        return not self.holds_when_missing and not any(self.fits_anything(value) for value in self.values)


@dataclass(frozen=True, slots=True)
class StatementText:
    """One statement as written."""

    part: Part

    @property
    def is_allow(self) -> bool:
        """Whether it grants something."""
        return self.part.get("Effect").text == "Allow"

    @property
    def actions(self) -> tuple[Part, ...]:
        """The actions, as written."""
        return tuple(self.part.get("Action").each())

    @property
    def resources(self) -> tuple[Part, ...]:
        """The resources, as written."""
        return tuple(self.part.get("Resource").each())

    def tests(self) -> Iterator[Test]:
        """Yield every condition."""
        for operator, block in self.part.get("Condition").entries():
            for key, values in block.entries():
                yield Test(operator=operator, key=key, values=tuple(values.each()))

    def tests_on(self, key: str) -> tuple[Test, ...]:
        """Return the conditions on one key."""
        return tuple(test for test in self.tests() if test.is_on(key))

    def grants(self, *actions: str) -> bool:
        """Say whether it allows one of these actions, by name or wildcard."""
        return self.is_allow and any(action_matches(part.text, action) for part in self.actions for action in actions)

    def names(self, *actions: str) -> bool:
        """Say whether it allows one of these actions by name."""
        wanted = {action.lower() for action in actions}
        return self.is_allow and any(part.text.lower() in wanted for part in self.actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyText:
    """One policy document.

    Attributes:
        part: The mapping that holds `Statement`.
        use: What it is attached to.
        role: Name of its role where the file says it, else "".
        name: Of the policy where the file says it, else "".
    """

    part: Part
    use: PolicyUse
    role: str = ""
    name: str = ""

    def statements(self) -> Iterator[StatementText]:
        """Yield the statements, in order."""
        for item in self.part.get("Statement").each():
            yield StatementText(item)

    def allows(self) -> Iterator[StatementText]:
        """Yield the statements that grant."""
        return (statement for statement in self.statements() if statement.is_allow)


def action_matches(pattern: str, action: str) -> bool:
    """Say whether an action of a policy covers one action; case does not count."""
    return matches(pattern.lower(), action.lower())


def matches(pattern: str, text: str) -> bool:
    """Say whether a text fits an IAM pattern: `*` any characters, `?` one."""
    read = expand(pattern, {}, variables=False)
    return isinstance(read, Pattern) and read.matches(text)


def has_wildcard(text: str) -> bool:
    """Say whether a pattern stands for more than one text."""
    return "*" in text or "?" in text


def arn_of(part: Part, service: str) -> Arn | None:
    """Return a resource as an ARN of one service; None when it is none."""
    arn = Arn.parse(part.text)
    return arn if arn is not None and arn.service == service else None


def documents_in(root: Part, use: PolicyUse) -> Iterator[PolicyText]:
    """Yield the policies of a document: bare, or as the AWS CLI prints roles, policies and resource policies.

    A managed policy is yielded once for each role that the same document attaches it to.

    Args:
        root: Of a file.
        use: Of a bare document without principals; others say by themselves what they are.
    """
    roles = tuple(root.get("RoleDetailList").items())
    attached = [
        (policy.get("PolicyArn").text, role.get("RoleName").text)
        for role in roles
        for policy in role.get("AttachedManagedPolicies").items()
    ]
    for found, arn in _found(root, use, role="", name="", arn=""):
        owners = [role for policy, role in attached if policy == arn] if arn else []
        for role in owners or [UNATTACHED if arn and roles else found.role]:
            yield replace(found, role=role)


def _found(part: Part, use: PolicyUse, *, role: str, name: str, arn: str) -> Iterator[tuple[PolicyText, str]]:
    """Yield policies with the ARN of the managed ones."""
    if part.get("Statement"):
        yield PolicyText(part=part, use=_use(part, use), role=role, name=name), arn
        return
    role = part.get("RoleName").text or part.get("roleArn").text.rpartition("/")[2] or role
    name = part.get("PolicyName").text or name
    arn = part.get("Arn").text if part.get("PolicyVersionList") else arn
    for key, of in _HOLDERS.items():
        for child in part.get(key).each():
            if of is not PolicyUse.IDENTITY or key != "PolicyVersionList" or child.get("IsDefaultVersion").is_true:
                yield from _found(_opened(child), of or use, role=role, name=name, arn=arn)


def _opened(part: Part) -> Part:
    """A resource policy is printed as a JSON text inside JSON."""
    from .part import nested  # noqa: PLC0415 - the two modules read one another's values

    if part.kind == "text" and part.text.lstrip().startswith("{"):
        return next(iter(nested(part)), part)
    return part


#: Keys of what the AWS CLI prints (iam get-role, get-role-policy, get-policy-version,
#: get-account-authorization-details, secretsmanager get-resource-policy) and what stands below them; None: whatever the
#: file was given as.
_HOLDERS: dict[str, PolicyUse | None] = {
    "Role": None,
    "Roles": None,
    "RoleDetailList": None,
    "AssumeRolePolicyDocument": PolicyUse.TRUST,
    "RolePolicyList": PolicyUse.IDENTITY,
    "PolicyDocument": PolicyUse.IDENTITY,
    "PolicyVersion": PolicyUse.IDENTITY,
    "PolicyVersionList": PolicyUse.IDENTITY,
    "Policies": PolicyUse.IDENTITY,
    "Document": PolicyUse.IDENTITY,
    "ResourcePolicy": PolicyUse.RESOURCE,
    # The second role of a chain, as `lockstep render` prints it.
    "permissions": PolicyUse.IDENTITY,
    "trust": PolicyUse.TRUST,
}


def _use(part: Part, given: PolicyUse) -> PolicyUse:
    """A document with principals is attached to a resource; one that lets assume a role, to a role."""
    statements = [StatementText(item) for item in part.get("Statement").each()]
    if not any(item.part.get("Principal") or item.part.get("NotPrincipal") for item in statements):
        return given
    assumes = any(action.text.lower().startswith("sts:") for item in statements for action in item.actions)
    return PolicyUse.TRUST if assumes or given is PolicyUse.TRUST else PolicyUse.RESOURCE


def policy_size(document: PolicyText) -> int:
    """Return the characters that IAM counts: the document as JSON without white space."""
    text = json.dumps(plain(document.part), separators=(",", ":"))
    return sum(not char.isspace() for char in text)


def plain(part: Part) -> object:
    """Return a part as the plain data that JSON would give; of a repeated key the last value."""
    match part.kind:
        case "mapping":
            return {key.text: plain(value) for key, value in part.entries()}
        case "list":
            return [plain(item) for item in part.items()]
        case "boolean":
            return part.is_true
        case "nothing":
            return None
        case _:
            return part.text


def service_of(action: str) -> str:
    """Return the service of an action, in lower case; "*" for the bare wildcard.

    >>> service_of("secretsmanager:GetSecretValue")
    'secretsmanager'
    """
    return action.partition(":")[0].lower()
