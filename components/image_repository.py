"""The ECR repository of the provider's image: tags cannot move, every push is scanned, what nobody deploys expires.

Not done here: building and pushing (`make image PUSH=<repository>`). A stack deploys by digest; immutable tags keep
what people read beside it true.

Source: ECR user guide (image tag mutability, scan on push, lifecycle policies).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from .arguments import ArgumentProblem, CheckedArguments
from .platform_settings import REPOSITORY

#: Untagged layers of failed or replaced pushes go after this long.
_UNTAGGED_DAYS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRepositoryArgs(CheckedArguments):
    """Arguments of `ImageRepository`.

    Attributes:
        repository: Its name in the account's registry.
        protect: Whether a destroy of the stack is refused: running nodes pull from it.
    """

    repository: str
    protect: bool = False

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what ECR would refuse."""
        if not REPOSITORY.fullmatch(self.repository):
            rule = "It is the name of an ECR repository, without a registry"
            yield self.problem(
                "repository", f"{self.repository!r} does not fit", rule, "write it like platform/provider"
            )


class ImageRepository(pulumi.ComponentResource):
    """Makes the repository.

    Attributes:
        url: What `make image PUSH=` takes.
    """

    url: pulumi.Output[str]

    def __init__(self, name: str, args: ImageRepositoryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:index:ImageRepository", name, {"repository": args.repository}, opts)
        repository = aws.ecr.Repository(
            name,
            name=args.repository,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS")],
            force_delete=False,
            # None and not False: a protected component protects what it makes.
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect or None),
        )
        aws.ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=json.dumps(_lifecycle(), sort_keys=True),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.url = repository.repository_url
        self.register_outputs({"url": self.url})


def _lifecycle() -> dict[str, object]:
    selection = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": _UNTAGGED_DAYS,
    }
    rule = {
        "rulePriority": 1,
        "description": "what nobody named",
        "selection": selection,
        "action": {"type": "expire"},
    }
    return {"rules": [rule]}
