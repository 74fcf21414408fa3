"""Rules about a document as such: repeated keys, what IAM would refuse, and what does not fit.

Sources: IAM JSON policy grammar (as the evaluator reads it) and IAM quotas.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from ..evaluator import PolicyErrors, SourceKind, parse_policy
from ..iam import LIMITS
from .examples import SECRET, policy, secrets_policy, statement
from .material import Material
from .part import Part
from .policies import PolicyUse, plain, policy_size
from .rule import Example, Hit, Rule, Severity

_NEAR_LIMIT = 0.9


def _repeated_key(material: Material) -> Iterator[Hit]:
    for root in material.roots:
        yield from _repeated_below(root)


def _repeated_below(part: Part) -> Iterator[Hit]:
    lines: dict[str, int] = {}
    for key, value in part.entries():
        if key.text in lines:
            yield Hit.on(key, f"the key {key.text!r} stands here and in line {lines[key.text]}")
        lines.setdefault(key.text, key.spot.line)
        if not isinstance(value.node, yaml.ScalarNode):
            yield from _repeated_below(value)
    for item in part.items():
        yield from _repeated_below(item)


_KINDS = {
    PolicyUse.IDENTITY: SourceKind.IDENTITY,
    PolicyUse.TRUST: SourceKind.TRUST,
    PolicyUse.RESOURCE: SourceKind.RESOURCE,
}


def _refused(material: Material) -> Iterator[Hit]:
    for document in material.policies:
        try:
            parse_policy(_as_mapping(document.part), name="", kind=_KINDS[document.use])
        except PolicyErrors as errors:
            for problem in errors.problems:
                if not problem.what.endswith("is no ARN"):  # LS115 says more about it
                    part = document.part.at(problem.spot.field)
                    yield Hit.on(part, problem.what, fix=f"{problem.rule[:1].lower()}{problem.rule[1:]}")


def _as_mapping(part: Part) -> dict[str, object]:
    data = plain(part)
    return data if isinstance(data, dict) else {}


def _too_large(material: Material) -> Iterator[Hit]:
    inline, managed = LIMITS["role inline policies"], LIMITS["managed policy"]
    for document in material.identity_policies():
        size = policy_size(document)
        if size > inline:
            what = f"the policy has {size:,} characters; {inline:,} fit inline, {managed:,} managed"
            yield Hit.on(document.part, what)


def _near_limit(material: Material) -> Iterator[Hit]:
    inline, managed = LIMITS["role inline policies"], LIMITS["managed policy"]
    for document in material.identity_policies():
        size = policy_size(document)
        for limit, kind in ((managed, "a managed policy"), (inline, "a role's inline policies")):
            if limit * _NEAR_LIMIT < size <= limit:
                what = f"the policy has {size:,} characters of the {limit:,} of {kind}"
                yield Hit.on(document.part, what)


_MANY = [SECRET.replace("prod/db", f"prod/shop/team-{number:03}/database") for number in range(150)]
_GOOD = Example(policy=secrets_policy())

RULES = (
    Rule(
        code="LS001",
        severity=Severity.ERROR,
        title="A key stands once in a mapping",
        why=(
            "Of two equal keys most readers silently keep the last one. In a policy the lost one is often a condition: "
            "the grant is wider than it looks."
        ),
        fix="join the two into one",
        bad=Example(
            policy=policy(statement("secretsmanager:GetSecretValue", SECRET)).replace(
                '"Effect": "Allow",', '"Effect": "Allow", "Effect": "Allow",'
            )
        ),
        good=_GOOD,
        check=_repeated_key,
    ),
    Rule(
        code="LS002",
        severity=Severity.ERROR,
        title="IAM refuses the policy",
        why="The grammar of policies is closed: an unknown element, a missing one or two equal Sids are refused.",
        fix="correct the policy",
        bad=Example(policy=policy({"Effect": "Alow", "Action": "secretsmanager:GetSecretValue", "Resource": SECRET})),
        good=_GOOD,
        check=_refused,
    ),
    Rule(
        code="LS121",
        severity=Severity.ERROR,
        title="The policy does not fit",
        why="IAM refuses a managed policy above 6,144 characters, and inline policies of a role above 10,240 together.",
        fix="split it into managed policies, or name fewer secrets",
        bad=Example(policy=secrets_policy(_MANY)),
        good=_GOOD,
        check=_too_large,
    ),
    Rule(
        code="LS122",
        severity=Severity.WARNING,
        title="The policy has little room left",
        why="The next secret or two will not fit, and that deployment fails in IAM, after the review.",
        fix="split the policy now, or name fewer secrets",
        bad=Example(policy=secrets_policy(_MANY[:62])),
        good=Example(policy=secrets_policy(_MANY[:40])),
        check=_near_limit,
    ),
)
