"""The order of an examination: which parts can be looked at, which are skipped and why, then check after check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lockstep.doctor.admission_checks import check_admission
from lockstep.doctor.app_checks import check_apps
from lockstep.doctor.aws_reader import AwsCalls
from lockstep.doctor.cluster_objects import ClusterObjects
from lockstep.doctor.driver_checks import check_driver
from lockstep.doctor.eks_checks import check_account, check_eks
from lockstep.doctor.endpoint_checks import check_network
from lockstep.doctor.expected import Expected
from lockstep.doctor.object_checks import check_objects
from lockstep.doctor.provider_checks import check_provider
from lockstep.doctor.role_checks import check_roles
from lockstep.doctor.server_checks import check_server
from lockstep.doctor.verdicts import Check, Status, Verdict


class Part(StrEnum):
    """What can be looked at, or not."""

    CLUSTER = "cluster"
    AWS = "aws"


@dataclass(frozen=True, slots=True)
class Absent:
    """A part that cannot be looked at, and why."""

    reason: str


def examine_cluster(expected: Expected, objects: ClusterObjects | Absent) -> Iterator[Verdict]:
    """Yield what the cluster shows."""
    if isinstance(objects, Absent):
        yield Check(Part.CLUSTER.value).skipped(objects.reason)
        return
    yield from check_server(expected, objects)
    yield from check_driver(expected, objects)
    yield from check_admission(expected, objects)
    yield from check_provider(expected, objects)
    yield from check_apps(expected, objects)


def examine_aws(expected: Expected, aws: AwsCalls | Absent) -> Iterator[Verdict]:
    """Yield what AWS shows; of another account than the stack's, nothing."""
    if isinstance(aws, Absent):
        yield Check(Part.AWS.value).skipped(aws.reason)
        return
    account = list(check_account(expected, aws))
    yield from account
    if account[0].status is not Status.OK:
        yield Check(Part.AWS.value).skipped("the credentials cannot show the stack's account")
        return
    yield from check_eks(expected, aws)
    yield from check_network(expected, aws)
    yield from check_roles(expected, aws)
    yield from check_objects(expected, aws)


def required(verdicts: Iterable[Verdict], parts: Sequence[Part]) -> Iterator[Verdict]:
    """Yield the verdicts; a part that had to be looked at and was not fails."""
    names = {part.value for part in parts}
    for verdict in verdicts:
        if verdict.check in names and verdict.status is Status.SKIPPED:
            yield Check(verdict.check).fail(f"it had to be looked at: {verdict.text}", "give what is missing")
        else:
            yield verdict
