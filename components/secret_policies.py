"""The resource policies of secrets that this stack restricts, placed.

Not done here: the documents (components.derivation). What is looked up at preview: the secret's ARN, whose suffix a
spec does not know, and the policy that it carries. A policy with a statement that is not Lockstep's belongs to somebody
else and ends the program before anything is placed, unless the spec says `adopt: true`; it is replaced then. Only
stacks that restrict a secret look anything up.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from . import derivation
from .arguments import CheckedArguments
from .derivation.secret_policies import is_ours
from .look_ups import LookUpError, look_up


class ForeignPolicyError(Exception):
    """A secret carries a policy that somebody else wrote, or nobody can say; `str()` says which, line by line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSecret:
    """A secret as it stands: its whole ARN, and the policy to place on it."""

    arn: str
    policy: derivation.SecretPolicy


def find_secrets(policies: tuple[derivation.SecretPolicy, ...]) -> tuple[FoundSecret, ...]:
    """Look up the secrets of the policies.

    Raises:
        ForeignPolicyError: With every secret whose policy is somebody else's and may not be replaced, or that cannot be
            looked up.
    """
    found: list[FoundSecret] = []
    problems: list[str] = []
    for policy in policies:
        by = {"arn": policy.secret} if policy.secret.startswith("arn:") else {"name": policy.secret}
        try:
            secret = look_up(lambda by=by: aws.secretsmanager.get_secret(**by))  # type: ignore[misc]
        except LookUpError as error:
            problems.append(
                f"the secret {policy.secret!r}, which the app {policy.app!r} restricts, cannot be looked up ({error}). "
                "Its ARN and policy are known before anything is placed. Fix: make the secret first, use credentials "
                "that may DescribeSecret and GetResourcePolicy, correct its name in the spec, or remove 'restrict:'"
            )
            continue
        if not policy.adopt and not is_ours(secret.policy or ""):
            problems.append(
                f"the secret {policy.secret!r} carries a resource policy that Lockstep did not write, and the app "
                f"{policy.app!r} restricts it. A secret has one policy, so the other one would be lost. "
                "Fix: add what it says to the spec and write 'adopt: true', or remove 'restrict:' [SPEC031]"
            )
        found.append(FoundSecret(arn=secret.arn, policy=policy))
    if problems:
        raise ForeignPolicyError("\n".join(problems))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPoliciesArgs(CheckedArguments):
    """Arguments of `SecretPolicies`.

    Attributes:
        secrets: As `find_secrets` returned them.
        after: What the readers are made of: a policy comes last, so that it names roles that exist.
    """

    secrets: tuple[FoundSecret, ...]
    after: tuple[pulumi.Resource, ...]


class SecretPolicies(pulumi.ComponentResource):
    """Places the resource policies, one for each secret."""

    policies: tuple[aws.secretsmanager.SecretPolicy, ...]

    def __init__(self, name: str, args: SecretPoliciesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        secrets = [secret.policy.secret for secret in args.secrets]
        super().__init__("lockstep:index:SecretPolicies", name, {"secrets": secrets}, opts)
        self.policies = tuple(
            aws.secretsmanager.SecretPolicy(
                f"{name}-{secret.policy.secret}",
                secret_arn=secret.arn,
                policy=secret.policy.document.to_json(),
                # Everybody's Allow is refused by Secrets Manager itself, whatever the document says.
                block_public_policy=True,
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
            )
            for secret in args.secrets
        )
        self.register_outputs({"secrets": secrets})
