"""The provider and the Pod Identity agent on the nodes: whether they run, and whether driver and provider can meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from components.derivation import Identity
from components.placement import NAMESPACE, OBJECT_PREFIX
from lockstep.doctor.cluster_objects import ClusterObjects, Kind, Manifest
from lockstep.doctor.driver_checks import RunningDriver, absent, absent_driver, find_driver, flags_of, host_paths
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Check, UnseenError, Verdict, examine, listed

_PROVIDER_NAME: Final = "aws"
_CONTAINER: Final = "provider"
#: How the image or the DaemonSet of AWS's own provider is called. Source: its chart 3.1.1 and its plain manifests.
_FOREIGN_NAMES: Final = ("secrets-store-csi-driver-provider-aws", "csi-secrets-store-provider-aws")
_AGENT: Final = "eks-pod-identity-agent"
_COMPUTE_LABEL: Final = "eks.amazonaws.com/compute-type"
_LOOK: Final = "look at its pods: `kubectl describe pods -n kube-system -l app={name}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readiness:
    """How far a DaemonSet has come."""

    wanted: int
    ready: int
    updated: int
    is_observed: bool


def check_provider(expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    """Yield the verdicts on the provider and the agent."""
    yield from examine(Check("provider.ready"), lambda check: _ready(check, expected, objects))
    yield from examine(Check("provider.image"), lambda check: _image(check, expected, objects))
    yield from examine(Check("provider.socket"), lambda check: _socket(check, expected, objects))
    yield from examine(Check("agent.ready"), lambda check: _agent(check, expected, objects))


def _provider(objects: ClusterObjects) -> Manifest | None:
    """Return our provider's DaemonSet: the name alone could be AWS's own, the init container is ours."""
    name = f"{OBJECT_PREFIX}{_PROVIDER_NAME}"
    for item in objects.listed(Kind.DAEMON_SET):
        metadata = item["metadata"]
        containers = {each["name"] for each in item["spec"]["template"]["spec"]["containers"]}
        if metadata["name"] == name and metadata.get("namespace") == NAMESPACE and _CONTAINER in containers:
            return item
    return None


def _ready(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    item = _provider(objects)
    if item is None:
        yield absent(check, expected, "the provider's DaemonSet is not there")
        return
    yield _readiness_verdict(check, item, "the provider")


def _readiness_verdict(check: Check, item: Manifest, who: str) -> Verdict:
    found = _readiness(item)
    fix = _LOOK.format(name=item["metadata"]["name"])
    if found.wanted == 0:
        return check.warn(f"{who} is wanted on no node", "look at the nodes: `kubectl get nodes --show-labels`")
    if not found.is_observed or found.updated < found.wanted:
        return check.warn(
            f"{who} is being rolled out: {found.updated} of {found.wanted} nodes have the new one", f"wait, or {fix}"
        )
    if found.ready < found.wanted:
        return check.fail(f"{who} is ready on {found.ready} of {found.wanted} nodes; pods on the others wait", fix)
    return check.ok(f"{who} is ready on all {found.wanted} nodes")


def _readiness(item: Manifest) -> _Readiness:
    status = item.get("status")
    if not status:
        raise UnseenError("manifests do not tell what runs")
    return _Readiness(
        wanted=int(status.get("desiredNumberScheduled", 0)),
        ready=int(status.get("numberReady", 0)),
        updated=int(status.get("updatedNumberScheduled", 0)),
        is_observed=status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0),
    )


def _image(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    if not expected.has_own_platform:
        yield check.skipped("the provider is another stack's")
        return
    item = _provider(objects)
    if item is None:
        yield absent(check, expected, "the provider's DaemonSet is not there")
        return
    containers = item["spec"]["template"]["spec"]["containers"]
    image = next(str(each["image"]) for each in containers if each["name"] == _CONTAINER)
    wanted = expected.settings.platform.provider_image
    if image == wanted:
        yield check.ok("the provider runs the image of lockstep:providerImage")
    else:
        yield check.fail(f"the provider runs {image}, lockstep:providerImage is {wanted}", "run `pulumi up`")


def _socket(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    driver, provider = find_driver(objects), _provider(objects)
    if provider is None:
        yield absent(check, expected, "the provider's DaemonSet is not there")
        return
    if driver is None:
        yield absent_driver(check, expected, objects)
        return
    pod = provider["spec"]["template"]["spec"]
    container = next(each for each in pod["containers"] if each["name"] == _CONTAINER)
    flags = flags_of(container)
    inside = flags.get("provider-volume", "")
    ours = host_paths(pod, container).get(inside, "")
    searched = _searched(driver)
    name = flags.get("provider-name", _PROVIDER_NAME)
    if ours not in searched:
        what = f"the provider's socket is in {ours or 'no directory of the node'}, the driver looks in"
        yield check.fail(f"{what} {listed(searched) or 'none'}", "give both the same directory, as `pulumi up` does")
    foreign = [item for item in objects.listed(Kind.DAEMON_SET) if item is not provider and _is_foreign(item)]
    rivals = [f"{item['metadata'].get('namespace')}/{item['metadata']['name']}" for item in foreign]
    if rivals and name == _PROVIDER_NAME:
        what = f"{listed(rivals)} serves the same socket {name}.sock; which of the two answers is chance"
        yield check.fail(what, "remove AWS's provider, or give one of them another name during a migration")
    elif ours in searched:
        yield check.ok(f"driver and provider meet at {ours}/{name}.sock")


def _searched(driver: RunningDriver) -> set[str]:
    """Return the directories of the node where the driver looks for sockets."""
    more = driver.flags.get("additional-provider-volume-paths", "").split(",")
    inside = [driver.flags.get("provider-volume", ""), *more]
    return {driver.host_paths[path] for path in inside if path in driver.host_paths}


def _is_foreign(item: Manifest) -> bool:
    containers = item["spec"]["template"]["spec"]["containers"]
    images = [str(each.get("image", "")) for each in containers]
    named = item["metadata"]["name"] in _FOREIGN_NAMES
    return named or any(f"/{name}" in image for name in _FOREIGN_NAMES for image in images)


def _agent(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    if not expected.uses(Identity.POD_IDENTITY):
        yield check.skipped("no app uses Pod Identity")
        return
    found = [item for item in objects.listed(Kind.DAEMON_SET) if item["metadata"]["name"] == _AGENT]
    if found:
        yield _readiness_verdict(check, found[0], "the Pod Identity agent")
        return
    nodes = objects.listed(Kind.NODE)
    automatic = [node for node in nodes if (node["metadata"].get("labels") or {}).get(_COMPUTE_LABEL) == "auto"]
    if automatic and len(automatic) == len(nodes):
        yield check.ok("every node is EKS Auto Mode's, whose nodes have the Pod Identity agent built in")
    else:
        fix = f"install the add-on: `aws eks create-addon --addon-name {_AGENT}`, or lockstep:cluster addons"
        yield check.fail("the Pod Identity agent is not there, and apps get their credentials from it", fix)
