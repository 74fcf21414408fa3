"""Rules about `kms:Decrypt` in an identity policy.

Sources: KMS developer guide (`kms:ViaService`; encryption context; an alias is no resource of Decrypt); Secrets Manager
and Systems Manager user guides (context keys SecretARN and PARAMETER_ARN; AWS's own keys need no grant in the account).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..arn import Arn
from .examples import KEY, PARAMETER, SECRET, bound, decrypt, policy, secrets_policy
from .material import Material
from .policies import StatementText, Test, arn_of, has_wildcard, matches
from .rule import Example, Hit, Rule, Severity

_VIA = "kms:ViaService"
_CONTEXT = "kms:EncryptionContext:"
_SERVICE_OF_CONTEXT = {"secretarn": "secretsmanager", "parameter_arn": "ssm"}
_EVERYTHING = ("*", "secret:*", "parameter*", "parameter/*")
_OWN_ALIASES = ("alias/aws/secretsmanager", "alias/aws/ssm")


def _decrypts(material: Material) -> Iterator[StatementText]:
    for document in material.identity_policies():
        for item in document.allows():
            if item.names("kms:Decrypt") and not _is_for_own_keys(item):
                yield item


def _is_for_own_keys(item: StatementText) -> bool:
    return any(resource.text.endswith(_OWN_ALIASES) for resource in item.resources)


def _no_via_service(material: Material) -> Iterator[Hit]:
    for item in _decrypts(material):
        tests = item.tests_on(_VIA)
        if not tests:
            yield Hit.on(item.part, "kms:Decrypt is granted without kms:ViaService")
        elif not any(test.binds and not _names_no_service(test) for test in tests):
            yield Hit.on(tests[0].operator, f"this condition on {_VIA} lets every service through")


def _no_context(material: Material) -> Iterator[Hit]:
    for item in _decrypts(material):
        tests = [test for test in item.tests() if test.key.text.lower().startswith(_CONTEXT.lower())]
        if not tests:
            yield Hit.on(item.part, "kms:Decrypt is granted without an encryption context")
        elif not any(test.binds and not _names_no_object(test) for test in tests):
            yield Hit.on(tests[0].operator, f"this condition on {tests[0].key.text} lets every context through")


def _names_no_service(test: Test) -> bool:
    return test.takes_patterns and any(has_wildcard(value.text.partition(".")[0]) for value in test.values)


def _names_no_object(test: Test) -> bool:
    """Say whether one of the values is the ARN of everything in an account."""
    arns = [Arn.parse(value.text) for value in test.values] if test.takes_patterns else []
    return any(arn is not None and arn.resource in _EVERYTHING for arn in arns)


def _own_key(material: Material) -> Iterator[Hit]:
    for document in material.identity_policies():
        for item in document.allows():
            for resource in item.resources if item.names("kms:Decrypt") else ():
                if resource.text.endswith(_OWN_ALIASES):
                    yield Hit.on(resource, f"{resource.text!r} is a key of AWS's own")


def _alias(material: Material) -> Iterator[Hit]:
    for item in _decrypts(material):
        for resource in item.resources:
            arn = arn_of(resource, "kms")
            if arn is not None and arn.resource.startswith("alias/"):
                yield Hit.on(resource, f"{resource.text!r} is an alias, so this statement never allows Decrypt")


def _any_key(material: Material) -> Iterator[Hit]:
    for item in _decrypts(material):
        for resource in item.resources:
            arn = arn_of(resource, "kms")
            if resource.text == "*" or (arn is not None and "*" in arn.resource):
                yield Hit.on(resource, f"{resource.text!r} decrypts with every key")


def _contradiction(material: Material) -> Iterator[Hit]:
    for item in _decrypts(material):
        regions = {arn.region for resource in item.resources if (arn := arn_of(resource, "kms"))}
        contexts = {
            _SERVICE_OF_CONTEXT.get(test.key.text.lower().removeprefix(_CONTEXT.lower()), "")
            for test in item.tests()
            if test.key.text.lower().startswith(_CONTEXT.lower())
        } - {""}
        for value in (value for test in item.tests_on(_VIA) for value in test.values):
            service, _, rest = value.text.partition(".")
            region = rest.partition(".amazonaws.")[0]
            if contexts and service not in {*contexts, "*"} and "*" not in service:
                yield Hit.on(value, f"{value.text!r} never sends the encryption context that is asked for")
            elif regions and region and not any(matches(region, own) or matches(own, region) for own in regions):
                yield Hit.on(value, f"{value.text!r} never uses a key of {', '.join(sorted(regions))}")


def _context_without_secret(material: Material) -> Iterator[Hit]:
    for item in _decrypts(material):
        for test in item.tests_on(f"{_CONTEXT}SecretARN"):
            for value in test.values:
                arn = Arn.parse(value.text)
                if arn is not None and arn.service == "secretsmanager" and "secret:" not in arn.resource:
                    yield Hit.on(value, f"{value.text!r} is not the ARN of a secret")


_OTHER_REGION = {
    "StringEquals": {_VIA: "secretsmanager.us-west-2.amazonaws.com"},
    "StringLike": {f"{_CONTEXT}SecretARN": SECRET},
}
_GOOD = Example(policy=policy(decrypt(bound())))

RULES = (
    Rule(
        code="LS301",
        severity=Severity.WARNING,
        title="Decrypt is bound to its service by kms:ViaService",
        why=(
            "Without it the app may call KMS itself and decrypt any ciphertext of that key that it gets hold of. With "
            "it the key works only inside Secrets Manager or Parameter Store of one region."
        ),
        fix="add StringEquals kms:ViaService secretsmanager.<region>.amazonaws.com (or ssm.<region>…)",
        bad=Example(policy=policy(decrypt({"StringEquals": {f"{_CONTEXT}PARAMETER_ARN": PARAMETER}}))),
        good=_GOOD,
        check=_no_via_service,
    ),
    Rule(
        code="LS302",
        severity=Severity.WARNING,
        title="Decrypt is bound to its secret by the encryption context",
        why=(
            "Secrets Manager encrypts with the context SecretARN, Parameter Store with PARAMETER_ARN. Without that "
            "condition a wider grant elsewhere also opens every other secret under the same key."
        ),
        fix="add kms:EncryptionContext:SecretARN (StringLike, with -??????) or kms:EncryptionContext:PARAMETER_ARN",
        bad=Example(
            policy=policy(decrypt({"StringEquals": {_VIA: "secretsmanager.eu-west-1.amazonaws.com"}})),
        ),
        good=_GOOD,
        check=_no_context,
    ),
    Rule(
        code="LS303",
        severity=Severity.WARNING,
        title="AWS's own keys need no Decrypt",
        why=(
            "aws/secretsmanager and aws/ssm let every principal of the account use them through their service. The "
            "statement grants nothing and hides the ones that count."
        ),
        fix="remove the statement",
        bad=Example(policy=policy(decrypt(bound(), "arn:aws:kms:eu-west-1:111122223333:alias/aws/secretsmanager"))),
        good=Example(policy=secrets_policy()),
        check=_own_key,
    ),
    Rule(
        code="LS304",
        severity=Severity.ERROR,
        title="An alias is no resource of Decrypt",
        why="IAM compares Decrypt with the ARN of the key. An alias in its place matches nothing: the mount is denied.",
        fix="write the ARN of the key (…:key/<id>), or the condition kms:ResourceAliases",
        bad=Example(policy=policy(decrypt(bound(), "arn:aws:kms:eu-west-1:111122223333:alias/shop"))),
        good=_GOOD,
        check=_alias,
    ),
    Rule(
        code="LS305",
        severity=Severity.ERROR,
        title="Decrypt names its key",
        why="With a wildcard the role may use every key whose own policy leaves access to IAM, which is the default.",
        fix="write the ARN of the key that encrypts the secret",
        bad=Example(policy=policy(decrypt(bound(), KEY.rpartition("/")[0] + "/*"))),
        good=_GOOD,
        check=_any_key,
    ),
    Rule(
        code="LS306",
        severity=Severity.ERROR,
        title="The service, the key's region and the context belong together",
        why=(
            "A call through secretsmanager.us-west-2 uses a key of us-west-2 and sends the context SecretARN. Where "
            "the three disagree no request matches, and the mount is denied."
        ),
        fix="name the service of the key's region: one statement for each region and service",
        bad=Example(policy=policy(decrypt(_OTHER_REGION))),
        good=_GOOD,
        check=_contradiction,
    ),
    Rule(
        code="LS307",
        severity=Severity.ERROR,
        title="SecretARN is the ARN of a secret",
        why="Secrets Manager sends the whole ARN as the context; a name or another ARN there never matches.",
        fix="write …:secret:NAME-?????? under StringLike",
        bad=Example(
            policy=policy(
                decrypt(
                    {
                        "StringEquals": {
                            _VIA: "secretsmanager.eu-west-1.amazonaws.com",
                            f"{_CONTEXT}SecretARN": "arn:aws:secretsmanager:eu-west-1:111122223333:prod/db",
                        }
                    }
                )
            )
        ),
        good=_GOOD,
        check=_context_without_secret,
    ),
)
