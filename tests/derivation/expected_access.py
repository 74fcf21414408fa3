"""What a spec's reads allow, said a second time without any policy: for the law that nothing more and nothing less is.

A secret's whole ARN is its name, a hyphen and six characters; a read by name serves every such ARN of that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.derivation.random_specs import SUFFIX, AskedRead

GET, DESCRIBE, PARAMETERS, BY_PATH, DECRYPT = (
    "secretsmanager:GetSecretValue",
    "secretsmanager:DescribeSecret",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "kms:Decrypt",
)
_OTHER_ACTIONS = ("secretsmanager:PutSecretValue", "ssm:GetParameter", "ssm:GetParameterHistory", BY_PATH, DECRYPT)


@dataclass(frozen=True, kw_only=True)
class Question:
    """One call to AWS."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def is_asked_for(question: Question, reads: Iterable[AskedRead]) -> bool:
    """Say whether the spec asks for what the question is about."""
    return any(_serves(question, read) for read in reads)


def _serves(question: Question, read: AskedRead) -> bool:
    if question.action == DECRYPT:
        return bool(read.key) and question.resource == read.key and _is_decryption(question.context, read)
    if read.is_path:
        # IAM compares the path as the request spells it; the parameters below are never asked about.
        return question.action == BY_PATH and question.resource in {read.arn, f"{read.arn}/"}
    if not read.is_secret:
        return question.action == PARAMETERS and question.resource == read.arn
    if question.action not in {GET, DESCRIBE}:
        return False
    if read.is_optional and not read.is_suffix_known and question.resource == read.arn.removesuffix(SUFFIX):
        return True
    if not _names(question.resource, read):
        return False
    if question.action == DESCRIBE:
        return True
    wanted = {"secretsmanager:VersionStage": read.stage, "secretsmanager:VersionId": read.version_id}
    return all(question.context.get(key) == value for key, value in wanted.items() if value)


def _names(arn: str, read: AskedRead) -> bool:
    if read.is_path:
        return arn.startswith(f"{read.arn}/")
    if read.is_suffix_known or not read.is_secret:
        return arn == read.arn
    return re.fullmatch(rf"{re.escape(read.arn.removesuffix(SUFFIX))}-.{{6}}", arn, re.DOTALL) is not None


def _is_decryption(context: Mapping[str, str], read: AskedRead) -> bool:
    service, key = ("secretsmanager", "SecretARN") if read.is_secret else ("ssm", "PARAMETER_ARN")
    via = context.get("kms:ViaService") == f"{service}.{read.region}.amazonaws.com"
    return via and _names(context.get(f"kms:EncryptionContext:{key}", ""), read)


def questions_about(reads: Iterable[AskedRead]) -> Iterator[Question]:
    """Yield what must be allowed, and near misses: siblings, prefixes, other accounts, regions, stages, services."""
    for read in reads:
        for arn in {read.arn, *_near(read.arn)}:
            if read.is_secret:
                yield Question(action=DESCRIBE, resource=arn)
                yield from (Question(action=GET, resource=arn, context=context) for context in _versions(read))
            else:
                yield Question(action=PARAMETERS, resource=arn)
            yield from (Question(action=action, resource=arn) for action in _OTHER_ACTIONS)
            yield from _decryptions(read, arn)


def _near(arn: str) -> Iterator[str]:
    account = arn.split(":")[4]
    yield arn.replace(account, "121212121212")
    yield arn.replace(arn.split(":")[3], "eu-central-1")
    yield arn.replace(":parameter/", ":parameter//")
    yield from (f"{arn}x", f"{arn}/", f"{arn}/child", f"{arn}/child/deep", f"{arn}x/child", arn[:-1])
    if arn.endswith(SUFFIX):
        name = arn.removesuffix(SUFFIX)
        yield from (name, f"{name}-other{SUFFIX}", f"{name}-Zz9Zz9", f"{name[:-1]}{SUFFIX}", f"{name}-Ab12C")


def _versions(read: AskedRead) -> Iterator[Mapping[str, str]]:
    stage, version = "secretsmanager:VersionStage", "secretsmanager:VersionId"
    yield {}
    yield from ({stage: value} for value in {read.stage or "AWSCURRENT", "AWSPREVIOUS", "MINE"})
    yield from ({version: value} for value in {read.version_id or "c" * 32, "d" * 32})


def _decryptions(read: AskedRead, arn: str) -> Iterator[Question]:
    if not read.key:
        return
    context_key = f"kms:EncryptionContext:{'SecretARN' if read.is_secret else 'PARAMETER_ARN'}"
    service = "secretsmanager" if read.is_secret else "ssm"
    good = {"kms:ViaService": f"{service}.{read.region}.amazonaws.com", context_key: arn}
    yield Question(action=DECRYPT, resource=read.key, context=good)
    for context in (
        {context_key: arn},
        {"kms:ViaService": good["kms:ViaService"]},
        {**good, "kms:ViaService": f"ec2.{read.region}.amazonaws.com"},
        {**good, "kms:ViaService": f"{service}.eu-central-1.amazonaws.com"},
    ):
        yield Question(action=DECRYPT, resource=read.key, context=context)
    yield Question(action=DECRYPT, resource=f"{read.key}x", context=good)
