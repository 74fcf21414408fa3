"""Where the roles that a component makes are: the rules of the arguments that say it. Nothing of Pulumi is imported."""

from collections.abc import Iterator
from typing import Protocol

from .derivation.arn import DNS_SUFFIXES, is_account, is_policy_arn, is_region, is_role_path


class RolePlace(Protocol):
    """Arguments with the place of roles: account and region, IAM path and permissions boundary."""

    @property
    def region(self) -> str:
        """Of everything that is made."""

    @property
    def account(self) -> str:
        """Its 12 digits."""

    @property
    def partition(self) -> str:
        """Such as `aws`."""

    @property
    def role_path(self) -> str:
        """IAM path."""

    @property
    def permissions_boundary(self) -> str | None:
        """ARN of a policy, or None."""


def place_rules(args: RolePlace) -> Iterator[tuple[str, bool, str, str]]:
    """Yield what AWS asks of each: field, whether it holds, rule, fix."""
    yield "region", is_region(args.region), "It is a region's name", "write it like eu-west-1"
    yield "account", is_account(args.account), "It is 12 digits", "write them as a text"
    yield "partition", args.partition in DNS_SUFFIXES, f"It is one of {', '.join(DNS_SUFFIXES)}", "correct it"
    yield "role_path", is_role_path(args.role_path), "It begins and ends with a slash", "write /platform/"
    boundary = args.permissions_boundary
    is_boundary = boundary is None or is_policy_arn(boundary)
    yield (
        "permissions_boundary",
        is_boundary,
        "It is the ARN of a managed policy",
        "write the full ARN, or leave it out",
    )
