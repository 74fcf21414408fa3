"""Which version of each file AWS has now, as far as descriptions tell. No value is asked for.

Not done here: parameters with a label, whose version only a read tells; failover regions, which answer during outages.
"""

from __future__ import annotations

from collections.abc import Iterator

from components.derivation import AppAccess
from components.derivation.spec import Store
from lockstep.doctor.aws_reader import AwsCalls, MissingError, pages
from lockstep.doctor.verdicts import UnseenError
from provider_runtime.secret_objects import SecretObject

_CURRENT = "AWSCURRENT"

#: Class and file to the beginning of the version that the provider gives it.
Newest = dict[tuple[str, str], str]


def fetch_newest(app: AppAccess, region: str, aws: AwsCalls) -> Newest:
    """Return what can be told; files of an object that cannot be described are left out."""
    return {
        (mount.class_name, file.path): version
        for mount in app.mounts
        for item in mount.objects
        for version in _described(item, region, aws)
        for file in mount.files
        if file.source == item.name and file.store is Store(item.type.value)
    }


def holds(version: str, newest: str) -> bool:
    """Say whether a file's version is the newest one: the id itself, or the id and a digest of the file's shape.

    >>> holds("7-0123456789ab", "7"), holds("70-0123456789ab", "7"), holds("7", "7")
    (True, False, True)
    """
    return version == newest or version.startswith(f"{newest}-")


def _described(item: SecretObject, region: str, aws: AwsCalls) -> Iterator[str]:
    try:
        if Store(item.type.value) is Store.SECRETS_MANAGER:
            yield from _secret(item, region, aws)
        else:
            yield from _parameter(item, region, aws)
    except (UnseenError, MissingError):
        return


def _secret(item: SecretObject, region: str, aws: AwsCalls) -> Iterator[str]:
    if item.version:
        yield item.version
        return
    found = aws.call("secretsmanager", "DescribeSecret", region=region, SecretId=item.name)
    wanted = item.version_label or _CURRENT
    yield from (each for each, stages in (found.get("VersionIdsToStages") or {}).items() if wanted in stages)


def _parameter(item: SecretObject, region: str, aws: AwsCalls) -> Iterator[str]:
    if item.version:
        yield item.version
    elif not item.version_label and not item.name.startswith("arn:"):
        filters = [{"Key": "Name", "Option": "Equals", "Values": [item.name]}]
        found = pages(aws, "ssm", "DescribeParameters", "Parameters", region=region, ParameterFilters=filters)
        yield from (str(each["Version"]) for each in found)
