"""Every secret and parameter of the specs, in each of its regions: is it there, in that version, under that key?

Only descriptions are asked for. A parameter's label is told by nothing but calls that answer with values, so it is not
looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from components.derivation.answers import ObjectId
from components.derivation.answers.inventory import grants_by_object
from components.derivation.arn import Arn
from components.derivation.grants import Grant
from components.derivation.spec import Store
from lockstep.doctor.aws_reader import AwsCalls, MissingError, pages
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Check, UnseenError, Verdict, examine, listed

#: AWS allows some 20 descriptions a second and more; this many at once stays well below.
_WORKERS: Final = 8
_CURRENT: Final = "AWSCURRENT"
_OWN_KEYS: Final = ("", "alias/aws/secretsmanager", "alias/aws/ssm")
_ENABLED: Final = "Enabled"


def check_objects(expected: Expected, aws: AwsCalls) -> Iterator[Verdict]:
    """Yield the verdicts on every object, sorted, and on every customer key that specs name."""
    every = [grant for app in expected.apps for grant in app.grants]
    looks = [
        (Check("object", f"{item.shown} {item.region}"), partial(_object, item, named, expected, aws))
        for item, named in sorted(grants_by_object(every).items())
    ]
    keys = sorted({(grant.region, grant.key) for grant in every if grant.key})
    looks += [(Check("kms.key", key), partial(_key, key, region, aws)) for region, key in keys]
    with ThreadPoolExecutor(_WORKERS) as pool:
        for verdicts in pool.map(lambda look: list(examine(look[0], look[1])), looks):
            yield from verdicts


def _object(
    item: ObjectId, grants: Sequence[Grant], expected: Expected, aws: AwsCalls, check: Check
) -> Iterator[Verdict]:
    if item.store is Store.SECRETS_MANAGER:
        yield from _secret(item, grants, expected, aws, check)
    else:
        yield from _parameter(item, grants, expected, aws, check)


def _secret(
    item: ObjectId, grants: Sequence[Grant], expected: Expected, aws: AwsCalls, check: Check
) -> Iterator[Verdict]:
    name = _secret_id(item, grants, expected)
    try:
        found = aws.call("secretsmanager", "DescribeSecret", region=item.region, SecretId=name)
    except MissingError:
        yield _missing_secret(item, grants, expected, check)
        return
    problems = list(_secret_problems(item, grants, found, expected, aws))
    yield from (check.fail(what, fix) for what, fix in problems)
    if not problems:
        yield check.ok("the secret is there, in every version and under the key that specs name")


def _secret_id(item: ObjectId, grants: Sequence[Grant], expected: Expected) -> str:
    """Return what the spec asks for; a friendly name of another account becomes an ARN, without its suffix."""
    source = grants[0].source
    if Arn.parse(source) or item.account == expected.environment.account:
        return source
    partition = expected.environment.partition
    return f"arn:{partition}:secretsmanager:{item.region}:{item.account}:secret:{item.name}"


def _missing_secret(item: ObjectId, grants: Sequence[Grant], expected: Expected, check: Check) -> Verdict:
    if all(grant.absent_as for grant in grants):
        return check.ok("the secret is optional, and not there")
    who = listed(grant.owner for grant in grants if grant.owner) or "whoever owns it"
    if item.region != expected.environment.region:
        region = item.region
        command = f"aws secretsmanager replicate-secret-to-regions --secret-id {item.name} --add-replica-regions"
        return check.fail(f"there is no such secret in {region}", f"{who}: `{command} Region={region}`")
    return check.fail("there is no such secret", f"{who} makes it (a toolkit must not: docs/operations.md), or drop it")


def _secret_problems(
    item: ObjectId, grants: Sequence[Grant], found: Mapping[str, Any], expected: Expected, aws: AwsCalls
) -> Iterator[tuple[str, str]]:
    if found.get("DeletedDate"):
        fix = f"`aws secretsmanager restore-secret --secret-id {item.name} --region {item.region}`, or drop it"
        yield "the secret is deleted and cannot be read", fix
        return
    stages = {stage for listed_stages in (found.get("VersionIdsToStages") or {}).values() for stage in listed_stages}
    versions = set(found.get("VersionIdsToStages") or {})
    wanted = {stage for grant in grants for stage in (grant.stages or (() if grant.version_id else (_CURRENT,)))}
    if wanted - stages:
        yield f"no version has the stage {listed(wanted - stages)}", "put a value with that stage, or correct the spec"
    ids = {grant.version_id for grant in grants if grant.version_id}
    if ids - versions:
        yield f"there is no version {listed(ids - versions)}", "correct versionId in the spec"
    yield from _key_problems(str(found.get("KmsKeyId") or ""), grants, item.region, aws)
    if item.region == expected.environment.region:
        states = {each.get("Region", ""): each.get("Status", "") for each in found.get("ReplicationStatus") or ()}
        failed = [region for region, state in states.items() if state == "Failed"]
        if failed:
            yield f"replication to {listed(failed)} failed", "look at the replica in the Secrets Manager console"


def _parameter(
    item: ObjectId, grants: Sequence[Grant], expected: Expected, aws: AwsCalls, check: Check
) -> Iterator[Verdict]:
    if item.account != expected.environment.account:
        raise UnseenError(f"it belongs to account {item.account}, whose parameters cannot be described by name")
    if grants[0].is_path:
        yield from _path(item, grants, aws, check)
        return
    filters = [{"Key": "Name", "Option": "Equals", "Values": [item.shown]}]
    found = list(pages(aws, "ssm", "DescribeParameters", "Parameters", region=item.region, ParameterFilters=filters))
    if not found:
        if all(_is_optional(grant, expected) for grant in grants):
            yield check.ok("the parameter is optional, and not there")
        else:
            who = listed(grant.owner for grant in grants if grant.owner) or "whoever owns it"
            yield check.fail("there is no such parameter", f"{who} makes it (a toolkit must not: docs/operations.md)")
        return
    problems = list(_parameter_problems(item, grants, found[0], expected, aws))
    yield from (check.fail(what, fix) for what, fix in problems)
    if not problems:
        yield check.ok("the parameter is there, under the key that specs name")


def _path(item: ObjectId, grants: Sequence[Grant], aws: AwsCalls, check: Check) -> Iterator[Verdict]:
    """Look at what is below a path that an app reads by itself."""
    path = f"/{item.name.removesuffix('/*')}"
    filters = [{"Key": "Path", "Option": "Recursive", "Values": [path]}]
    found = list(pages(aws, "ssm", "DescribeParameters", "Parameters", region=item.region, ParameterFilters=filters))
    if not found:
        yield check.warn(f"there is no parameter below {path}", "make one, or drop the path from the spec")
        return
    keys = sorted({str(each.get("KeyId") or "") for each in found if each.get("KeyId")})
    problems = [problem for key in keys for problem in _key_problems(key, grants, item.region, aws)]
    yield from (check.fail(what, fix) for what, fix in dict.fromkeys(problems))
    if not problems:
        yield check.ok(f"{len(found)} parameters are below it, under the key that specs name")


def _parameter_problems(
    item: ObjectId, grants: Sequence[Grant], found: Mapping[str, Any], expected: Expected, aws: AwsCalls
) -> Iterator[tuple[str, str]]:
    newest = int(found.get("Version") or 0)
    wanted = {int(each.version) for each in _entries(item, expected) if each.version.isdigit()}
    if any(version > newest for version in wanted):
        yield f"it has {newest} versions, a spec asks for version {max(wanted)}", "correct the version in the spec"
    yield from _key_problems(str(found.get("KeyId") or ""), grants, item.region, aws)


def _entries(item: ObjectId, expected: Expected) -> Iterator[Any]:
    """Yield what classes say of a parameter in the cluster's region."""
    for app in expected.apps:
        for entry in app.objects:
            is_parameter = Store(entry.type.value) is Store.PARAMETER_STORE
            if is_parameter and entry.name.lstrip("/") == item.name and item.region == expected.environment.region:
                yield entry


def _is_optional(grant: Grant, expected: Expected) -> bool:
    entries = [entry for app in expected.apps for entry in app.objects if entry.name == grant.source]
    return bool(entries) and all(entry.optional for entry in entries)


def _key_problems(found: str, grants: Sequence[Grant], region: str, aws: AwsCalls) -> Iterator[tuple[str, str]]:
    """Yield the specs' keys that are not the object's."""
    is_own = found in _OWN_KEYS or found.endswith(_OWN_KEYS[1:])
    for wanted in sorted({grant.key for grant in grants}):
        if not wanted and not is_own:
            what = f"it is encrypted with {found}, and a spec names no key, so that no reader may decrypt it"
            yield what, f"write `kmsKey:` with the key's ARN into the spec ({_where(grants, wanted)})"
        elif wanted and is_own:
            yield (
                f"it is encrypted with AWS's own key, a spec names {wanted}",
                "encrypt it with that key, or write 'aws' for it in kmsKey",
            )
        elif wanted and not _same_key(found, wanted, region, aws):
            yield (
                f"it is encrypted with {found}, a spec names {wanted}",
                f"correct one of them ({_where(grants, wanted)})",
            )


def _where(grants: Sequence[Grant], key: str) -> str:
    places = {f"{grant.at.source}:{grant.at.line}" for grant in grants if grant.at and grant.key == key}
    return listed(places) or "the specs that name it"


def _same_key(found: str, wanted: str, region: str, aws: AwsCalls) -> bool:
    if found == wanted or wanted.endswith(f":key/{found}"):
        return True
    if ":key/" in found:
        return False
    # An alias: only KMS tells which key it stands for.
    try:
        return bool(aws.call("kms", "DescribeKey", region=region, KeyId=found)["KeyMetadata"]["Arn"] == wanted)
    except MissingError:
        return False


def _key(key: str, region: str, aws: AwsCalls, check: Check) -> Iterator[Verdict]:
    try:
        metadata = aws.call("kms", "DescribeKey", region=region, KeyId=key)["KeyMetadata"]
    except MissingError:
        yield check.fail("there is no such key", "correct kmsKey in the specs")
        return
    state = metadata.get("KeyState", "")
    if state == _ENABLED:
        yield check.ok("the key is enabled")
    else:
        yield check.fail(
            f"the key is {state}, so that nothing under it can be read", "enable it, or cancel its deletion"
        )
