"""I7: every AWS action that the provider can call is one that the derivation grants, and the reverse.

The calls are read from the provider's source: a method of an AWS client is the operation's name in snake case. What the
reverse leaves is named here with its reason, and comes only where a spec asks for it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import botocore.session
from hypothesis import given

from components.derivation import AppAccess
from tests.derivation.random_specs import SpecText, spec_texts
from tests.derivation.test_derive import LAW, access_of

#: Operations that go to the endpoint of EKS's agent and not to IAM, and those without an action of their own.
SERVICES = ("secretsmanager", "ssm", "sts")
#: Granted and never called by the provider, with the reason.
NOT_CALLED = {
    "kms:Decrypt": "Secrets Manager and Parameter Store call it for whoever reads",
    "sts:TagSession": "tags of a Pod Identity session are passed on with AssumeRole",
    "ssm:GetParametersByPath": "the app's own SDK calls it, where a spec has parameterPaths",
}


def called_by_the_provider(project: Path) -> set[str]:
    """Return the IAM actions of every AWS operation that the provider's source names."""
    session = botocore.session.get_session()
    operations = {
        _snake(name): f"{service}:{name}"
        for service in SERVICES
        for name in session.get_service_model(service).operation_names
    }
    names = {
        node.attr
        for file in sorted((project / "provider_runtime").glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    return {operations[name] for name in names & operations.keys()}


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")


def granted_to(access: AppAccess) -> set[str]:
    """Return the actions of the roles' policies; of the trust only what a web identity needs."""
    documents = [policy.document for policy in access.policies]
    documents += [access.chain.permissions] if access.chain else []
    actions = {action for document in documents for item in document.statements for action in item.actions}
    trusted = {action for item in access.trust.statements for action in item.actions}
    return actions | (trusted & {"sts:AssumeRoleWithWebIdentity"})


def test_i7_the_provider_calls_what_is_written_here(project: Path) -> None:
    assert called_by_the_provider(project) == {
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameters",
        "sts:AssumeRole",
        "sts:AssumeRoleWithWebIdentity",
    }


@given(spec=spec_texts())
@LAW
def test_i7_nothing_is_granted_that_the_provider_never_calls(project: Path, spec: SpecText) -> None:
    called = called_by_the_provider_once(project)
    extra = granted_to(access_of(spec)) - called
    assert extra <= set(NOT_CALLED)
    assert ("ssm:GetParametersByPath" in extra) == any(read.is_path for read in spec.reads)
    assert ("kms:Decrypt" in extra) == any(read.key for read in spec.reads)


@given(spec=spec_texts())
@LAW
def test_i7_whatever_a_mount_makes_the_provider_call_is_granted(spec: SpecText) -> None:
    access = access_of(spec)
    mounted = [read for read in spec.reads if not read.is_path]
    needed = {"secretsmanager:GetSecretValue" if read.is_secret else "ssm:GetParameters" for read in mounted}
    needed |= {"secretsmanager:DescribeSecret"} if any(read.is_secret for read in mounted) else set()
    needed |= {"sts:AssumeRole"} if access.chain else set()
    needed |= {"sts:AssumeRoleWithWebIdentity"} if "irsa" in spec.settings else set()
    assert needed <= granted_to(access)


_CALLED: dict[Path, set[str]] = {}


def called_by_the_provider_once(project: Path) -> set[str]:
    """Read the source once for all examples."""
    if project not in _CALLED:
        _CALLED[project] = called_by_the_provider(project)
    return _CALLED[project]
