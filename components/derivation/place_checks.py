"""Whether every object and key of a resolved app lies where it will be read, and can be told apart from others.

An ARN is read in its own region and partition. Secrets Manager takes the last hyphen and six characters of an ARN for
the random suffix, so a name that ends so cannot be told from it. A secret under AWS's managed key cannot be read from
another account, because nobody can change that key's policy.

Sources: Secrets Manager API reference, CreateSecret (do not end a name with a hyphen and six characters) and
GetSecretValue (partial ARNs); Secrets Manager user guide, access from another account.
"""

from __future__ import annotations

import re

from .arn import Arn, has_random_suffix, partition_of
from .environment import Environment
from .errors import ProblemList, Spot
from .object_checks import check_optional
from .region_reads import RegionRead, account_of, reads_of, regions_of
from .spec import OWN_KEY, AppVariant, KeyEntry, ObjectEntry, Store

#: A random suffix of one kind of character only is rare (1 in 200); a word or a date of six is what people write.
_WORD = re.compile(r"-(?:[a-z]{6}|[A-Z]{6}|[0-9]{6})\Z")


def check_places(variant: AppVariant, reader_account: str, environment: Environment, problems: ProblemList) -> None:
    """Check every object in every region.

    Args:
        variant: Variables replaced.
        reader_account: Account of the role that reads; names without an ARN mean objects of this account.
        environment: The cluster, account and region.
        problems: Where findings go.
    """
    _check_failover_regions(variant, environment, problems)
    for path in variant.paths:
        if path.kms_key:
            _check_key(KeyEntry(region=None, arn=path.kms_key, at=path.key_at), environment, problems)
    regions = regions_of(variant, environment)
    for entry in variant.objects:
        if _names_an_arn(entry):
            _check_arns(entry, reads_of(entry, regions), reader_account, environment, problems)
        for key in entry.kms_keys:
            _check_key(key, environment, problems)
        if entry.kms_keys and not any(key.region in {None, environment.region} for key in entry.kms_keys):
            what = f"there is no key for the region {environment.region}"
            rule = "A mapping of keys has a line for every region that is read"
            fix = f"add a line for {environment.region} ('{OWN_KEY}' for AWS's own key)"
            problems.add(entry.kms_keys[0].at, "SPEC022", what, rule, fix)
        check_optional(entry, problems)


def _check_failover_regions(variant: AppVariant, environment: Environment, problems: ProblemList) -> None:
    if environment.region in variant.failover_regions:
        what = f"the failover region {environment.region!r} is the region itself"
        problems.add(variant.failover_at, "SPEC022", what, "A failover region is another one", "remove it")
    for region in variant.failover_regions:
        if partition_of(region) != environment.partition:
            what = f"the failover region {region!r} lies in the partition {partition_of(region)}"
            rule = f"No role of {environment.partition} reads there: credentials end at their partition"
            problems.add(variant.failover_at, "SPEC022", what, rule, "name another region")


def _names_an_arn(entry: ObjectEntry) -> bool:
    return any(name.startswith("arn:") for name, _ in entry.names())


def _check_arns(
    entry: ObjectEntry,
    reads: tuple[RegionRead, ...],
    reader_account: str,
    environment: Environment,
    problems: ProblemList,
) -> None:
    for read in reads:
        arn = Arn.parse(read.name)
        if arn is not None:
            _check_arn(arn, read.region, entry.at, environment, problems)
    if entry.store is Store.SECRETS_MANAGER:
        _check_secret(entry, reads, reader_account, problems)


def _check_arn(arn: Arn, region: str, at: Spot, environment: Environment, problems: ProblemList) -> None:
    for kind, found, wanted in (
        ("partition", arn.partition, environment.partition),
        ("region", arn.region, region),
    ):
        if found != wanted:
            where = "the environment" if region == environment.region else "the failover region of the environment"
            what = f"{str(arn)!r} lies in the {kind} {found}, {where} {environment.name} in {wanted}"
            rule = f"An ARN is read in the {kind} that it names"
            fix = "name the secret without an ARN, or give this environment its own ARN"
            problems.add(at, "SPEC011", what, rule, fix)


def _check_key(key: KeyEntry, environment: Environment, problems: ProblemList) -> None:
    arn = Arn.parse(key.arn)
    region = key.region or environment.region
    if arn is None:
        return
    if arn.region != region:
        what = f"the key {key.arn!r} lies in {arn.region}, the secret is read in {region}"
        problems.add(key.at, "SPEC011", what, "A key serves its own region", f"name the key of {region}")
    if arn.partition != environment.partition:
        what = f"the key {key.arn!r} lies in the partition {arn.partition}, the environment in {environment.partition}"
        problems.add(key.at, "SPEC011", what, "A key serves its own partition", "name this environment's key")


def _check_secret(
    entry: ObjectEntry, reads: tuple[RegionRead, ...], reader_account: str, problems: ProblemList
) -> None:
    for read in reads:
        arn = Arn.parse(read.name)
        if arn is not None and not entry.full_arn and _WORD.search(arn.resource):
            what = f"{read.name!r} ends in a hyphen and six characters that look like a part of the name"
            rule = "Secrets Manager takes them for the random suffix, and the grant would match no secret"
            fix = "write the friendly name or the whole ARN; if this is the whole ARN, add 'fullArn: true'"
            problems.add(entry.at, "SPEC035", what, rule, fix)
        elif arn is not None and read is not reads[0] and not has_random_suffix(arn):
            what = f"{read.name!r} has no random suffix, and the failover region reads it by its ARN"
            rule = "A replica is asked by its full ARN"
            fix = "write the ARN with its six characters, or the friendly name"
            problems.add(entry.at, "SPEC011", what, rule, fix)
        if account_of(read.name, reader_account) != reader_account and not read.key:
            what = f"{read.name!r} belongs to another account and names no customer key"
            rule = "AWS's managed key cannot be used from another account"
            fix = f"encrypt the secret with a customer key and name it in 'kmsKey:' for {read.region}"
            problems.add(entry.at, "SPEC034", what, rule, fix)
