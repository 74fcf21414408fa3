"""The ECR repository of the provider's image."""

from __future__ import annotations

import json

from components.image_repository import ImageRepository, ImageRepositoryArgs
from tests.infra.recording import Recorded, run_components

REPOSITORY = "aws:ecr/repository:Repository"
LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"


def made(*, protect: bool = False) -> Recorded:
    args = ImageRepositoryArgs(repository="platform/provider", protect=protect)
    return run_components(lambda: ImageRepository("images", args))


def test_tags_cannot_move_and_every_push_is_scanned_and_encrypted() -> None:
    inputs = made().one(REPOSITORY).inputs
    assert inputs["imageTagMutability"] == "IMMUTABLE"
    assert inputs["imageScanningConfiguration"] == {"scanOnPush": True}
    assert inputs["encryptionConfigurations"] == [{"encryptionType": "KMS"}]
    assert inputs["forceDelete"] is False, "a repository that running nodes pull from is not emptied by a destroy"


def test_only_what_has_no_tag_expires() -> None:
    (rule,) = json.loads(str(made().one(LIFECYCLE).inputs["policy"]))["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"


def test_it_can_be_protected() -> None:
    assert made(protect=True).one(REPOSITORY).protect
    assert not made().one(REPOSITORY).protect
