"""What apps have in a cluster, held against the specs: service account, classes, pods where the driver cannot run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from components.derivation import AppAccess, Identity
from components.derivation.manifests import ROLE_ANNOTATION
from lockstep.doctor.cluster_objects import ClusterObjects, Kind, Manifest
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Check, Verdict, examine, listed

_FARGATE_LABEL: Final = "eks.amazonaws.com/fargate-profile"
_RAISE: Final = "run `pulumi up`; if somebody changed it by hand, `pulumi up --refresh`"


def check_apps(expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    """Yield the verdicts on every app, app by app."""
    for app in expected.apps:
        looks = {
            "app.account": partial(_account, app=app, expected=expected, objects=objects),
            "app.class": partial(_classes, app=app, expected=expected, objects=objects),
            "app.fargate": partial(_fargate, app=app, objects=objects),
        }
        for name, look in looks.items():
            yield from examine(Check(name, app.app), look)


def _find(objects: ClusterObjects, kind: Kind, namespace: str, name: str) -> Manifest | None:
    return next((item for item in objects.listed(kind, namespace) if item["metadata"]["name"] == name), None)


def _absent(check: Check, expected: Expected, what: str) -> Verdict:
    if expected.is_before_up:
        return check.skipped(f"{what}; `pulumi up` makes it")
    return check.fail(what, "run `pulumi up`")


def _account(check: Check, app: AppAccess, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    label = f"{app.namespace}/{app.service_account}"
    found = _find(objects, Kind.SERVICE_ACCOUNT, app.namespace, app.service_account)
    if found is None:
        yield _absent(check, expected, f"there is no service account {label}")
        return
    role = (found["metadata"].get("annotations") or {}).get(ROLE_ANNOTATION, "")
    if app.identity is Identity.IRSA:
        if role == app.role_arn:
            yield check.ok(f"{label} carries the derived role")
        else:
            yield check.fail(f"{label} carries {role or 'no role'}, derived is {app.role_arn}", _RAISE)
    elif role:
        what = f"{label} carries the role {role} beside its Pod Identity association; SDKs in the pod take either"
        yield check.warn(what, f"remove the annotation {ROLE_ANNOTATION}")
    else:
        yield check.ok(f"{label} has no role of its own: Pod Identity gives it one")


def _classes(check: Check, app: AppAccess, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    good: list[str] = []
    for mount in app.mounts:
        found = _find(objects, Kind.SECRET_PROVIDER_CLASS, app.namespace, mount.class_name)
        if found is None:
            yield _absent(check, expected, f"there is no SecretProviderClass {app.namespace}/{mount.class_name}")
            continue
        differing = _differences(found.get("spec") or {}, _mapping(mount.secret_provider_class["spec"]))
        if differing:
            what = f"the class {mount.class_name} is not as derived: {listed(differing)} differ"
            yield check.fail(what, _RAISE)
        else:
            good.append(mount.class_name)
    if len(good) == len(app.mounts):
        yield check.ok(f"{'the classes' if len(good) > 1 else 'the class'} {listed(good)} as derived")


def _differences(live: Mapping[str, Any], derived: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs; `parameters` one by one."""
    theirs, ours = _mapping(live.get("parameters")), _mapping(derived.get("parameters"))
    names = [f"parameters.{key}" for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)]
    rest = (live.keys() | derived.keys()) - {"parameters"}
    return names + [key for key in rest if (live.get(key) or None) != (derived.get(key) or None)]


def _fargate(check: Check, app: AppAccess, objects: ClusterObjects) -> Iterator[Verdict]:
    pods = [
        item
        for item in objects.listed(Kind.POD, app.namespace)
        if (item.get("spec") or {}).get("serviceAccountName") == app.service_account
    ]
    stranded = [
        str(item["metadata"]["name"]) for item in pods if _FARGATE_LABEL in (item["metadata"].get("labels") or {})
    ]
    if stranded:
        fix = "change the Fargate profile's selector, or move the app to nodes; README, Security model"
        yield check.fail(f"{listed(stranded)} run on Fargate, where the CSI driver cannot run", fix)
    else:
        yield check.ok(f"none of {len(pods)} pods runs on Fargate")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
