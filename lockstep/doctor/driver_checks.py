"""The Secrets Store CSI driver in a cluster: tokens, interval, version, rights, registration on nodes.

Where only the Helm values are there to be read (files), the same is asked of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from components.driver_values import derive_driver_values, derive_poll_interval
from components.placement import DRIVER_NAME, EXCLUDED_NODES
from lockstep.doctor.cluster_objects import ClusterObjects, Kind, Manifest
from lockstep.doctor.compatibility import is_at_least, load_compatibility
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Check, UnseenError, Verdict, examine, listed
from provider_runtime.go_flags import parse_duration

#: Of the chart's DaemonSet. Source: chart secrets-store-csi-driver 1.6.0, templates/secrets-store-csi-driver.yaml.
_CONTAINER: Final = "secrets-store"
#: The driver's own default. Source: driver 1.6.0, `--rotation-poll-interval`.
_DEFAULT_INTERVAL: Final = "2m"
#: Kubelet's first retry of a failed mount; an interval below it closes the driver's fail-open trap.
_FIRST_RETRY_SECONDS: Final = 0.5
#: Source: chart secrets-store-csi-driver 1.6.0, templates/role-syncsecret.yaml.
SYNC_ROLE: Final = "secretprovidersyncing-role"
_RAISE: Final = "run `pulumi up` on the stack of the platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDriver:
    """The driver's DaemonSet.

    Attributes:
        version: `1.6.0`; "" where neither tag nor label tells it.
        flags: Of the container, without dashes.
        host_paths: Paths of the node that the container sees, by mount path.
    """

    name: str
    version: str
    flags: Mapping[str, str]
    host_paths: Mapping[str, str]
    manifest: Manifest


def find_driver(objects: ClusterObjects) -> RunningDriver | None:
    """Return the driver of a cluster, None for none; raises `UnseenError`."""
    for manifest in objects.listed(Kind.DAEMON_SET):
        pod = manifest["spec"]["template"]["spec"]
        container = next((each for each in pod["containers"] if each["name"] == _CONTAINER), None)
        if container is not None:
            return RunningDriver(
                name=f"{manifest['metadata'].get('namespace')}/{manifest['metadata']['name']}",
                version=_version(manifest, str(container.get("image", ""))),
                flags=flags_of(container),
                host_paths=host_paths(pod, container),
                manifest=manifest,
            )
    return None


def check_driver(expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    """Yield the verdicts on the driver."""
    yield from examine(Check("driver.tokens"), lambda check: _tokens(check, expected, objects))
    yield from examine(Check("driver.version"), lambda check: _driver_version(check, expected, objects))
    yield from examine(Check("driver.interval"), lambda check: _interval(check, expected, objects))
    yield from examine(Check("driver.sync"), lambda check: _sync(check, expected, objects))
    yield from examine(Check("driver.nodes"), lambda check: _nodes(check, expected, objects))


def absent(check: Check, expected: Expected, text: str) -> Verdict:
    """Say that something of the platform is missing; before `pulumi up` it may be."""
    if expected.is_before_up:
        return check.skipped(f"{text}; `pulumi up` makes it")
    return check.fail(text, _RAISE)


def absent_driver(check: Check, expected: Expected, objects: ClusterObjects) -> Verdict:
    """Say that the driver is missing; where only its Helm values are given, its objects are unseen."""
    if objects.driver_values is not None:
        return check.skipped("the files hold the driver's values, and not what its chart makes of them")
    return absent(check, expected, "the driver's DaemonSet is not there")


def flags_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's `--name=value` arguments by name."""
    pairs = (str(each).lstrip("-").partition("=") for each in container.get("args") or () if str(each).startswith("-"))
    return {name: value for name, _, value in pairs}


def host_paths(pod: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, str]:
    """Return which path of the node a container sees at each mount path."""
    paths = {each["name"]: each["hostPath"]["path"] for each in pod.get("volumes") or () if "hostPath" in each}
    mounts = container.get("volumeMounts") or ()
    return {each["mountPath"]: paths[each["name"]] for each in mounts if each["name"] in paths}


def _version(manifest: Manifest, image: str) -> str:
    tag = image.split("@", maxsplit=1)[0].rpartition(":")[2]
    labels = manifest["metadata"].get("labels") or {}
    for text in (tag, str(labels.get("app.kubernetes.io/version", "")), str(labels.get("helm.sh/chart", ""))):
        found = re.search(r"(?:^|[v-])(\d+\.\d+\.\d+)", text)
        if found:
            return found[1]
    return ""


def _tokens(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    if objects.driver_values is not None:
        requests = objects.driver_values.get("tokenRequests")
    else:
        found = [item for item in objects.listed(Kind.CSI_DRIVER) if item["metadata"]["name"] == DRIVER_NAME]
        if not found:
            yield absent(check, expected, f"there is no CSIDriver {DRIVER_NAME}")
            return
        requests = found[0]["spec"].get("tokenRequests")
        if not found[0]["spec"].get("requiresRepublish"):
            yield check.fail("the CSIDriver has no requiresRepublish, so that no mounted value is ever renewed", _RAISE)
    asked = {str(each.get("audience", "")) for each in requests or ()}
    wanted = set(expected.driver.audiences)
    missing, extra = wanted - asked, asked - wanted
    if missing:
        what = f"no token is asked for {listed(missing)}, so that apps with that identity cannot mount"
        yield check.fail(what, _RAISE)
    if extra and expected.has_own_platform:
        fix = f"{_RAISE}, or name it in lockstep:extraAudiences or lockstep:servedIdentities if something needs it"
        yield check.fail(f"tokens are asked for {listed(extra)}, which nothing here uses", fix)
    if not missing and not (extra and expected.has_own_platform):
        yield check.ok(f"tokens are asked for exactly {listed(wanted)}" if not extra else "every audience is served")


def _driver_version(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    driver = find_driver(objects)
    if driver is None:
        yield absent_driver(check, expected, objects)
        return
    pinned = expected.driver.chart_version
    if not driver.version:
        yield check.skipped(f"neither image tag nor labels of {driver.name} tell the driver's version")
        return
    if expected.has_own_platform and driver.version != pinned:
        yield check.warn(f"the driver is {driver.version}, the stack pins {pinned}", _RAISE)
    row = load_compatibility().driver(driver.version)
    if row is None:
        known = listed(row.version for row in load_compatibility().drivers)
        yield check.warn(f"driver {driver.version} was never tried with this toolkit", f"use one of {known}")
        return
    kubernetes = objects.version()
    if not is_at_least(kubernetes, row.kubernetes):
        fix = f"upgrade the cluster to {row.kubernetes} or later, or pin an older driver"
        yield check.fail(f"driver {driver.version} needs Kubernetes {row.kubernetes}, this is {kubernetes}", fix)
    elif not expected.has_own_platform or driver.version == pinned:
        yield check.ok(f"driver {driver.version} on Kubernetes {kubernetes} (proved on {row.proved_kubernetes})")


def _interval(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    if objects.driver_values is not None:
        version = expected.driver.chart_version
        is_on = bool(objects.driver_values.get("enableSecretRotation"))
        text = str(objects.driver_values.get("rotationPollInterval") or _DEFAULT_INTERVAL)
    else:
        driver = find_driver(objects)
        if driver is None:
            yield absent_driver(check, expected, objects)
            return
        version = driver.version or expected.driver.chart_version
        is_on = driver.flags.get("enable-secret-rotation") == "true"
        text = driver.flags.get("rotation-poll-interval") or _DEFAULT_INTERVAL
    if not is_on:
        yield check.fail("rotation is off, so that no mounted value is ever renewed", _RAISE)
        return
    wanted = expected.driver.poll_interval or derive_poll_interval(version, expected.driver.refresh_interval_seconds)
    if _seconds(text) == _seconds(wanted):
        yield check.ok(f"rotation-poll-interval is {text}, as derived for driver {version}")
        return
    trap = _seconds(text) >= _FIRST_RETRY_SECONDS > _seconds(wanted)
    why = ": a pod whose first mount failed can start with an empty volume" if trap else ""
    yield check.fail(f"rotation-poll-interval is {text}, derived for driver {version} is {wanted}{why}", _RAISE)


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise UnseenError(f"the driver's interval {text!r} is no Go duration") from None


def _sync(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    if objects.driver_values is not None:
        wanted_values: Any = derive_driver_values(expected.driver)["syncSecret"]
        is_on = bool((objects.driver_values.get("syncSecret") or {}).get("enabled"))
        is_wanted = bool(wanted_values["enabled"])
    else:
        is_on = any(role["metadata"]["name"] == SYNC_ROLE for role in objects.listed(Kind.CLUSTER_ROLE))
        is_wanted = expected.driver.sync_secrets
    if is_on and not is_wanted and expected.has_own_platform:
        what = "the driver may read and write every Kubernetes Secret of the cluster, and no app copies files into one"
        yield check.fail(what, f"{_RAISE}; set lockstep:servesSync: true if apps of another stack need it")
    elif is_wanted and not is_on:
        text = "apps copy files into Kubernetes Secrets, and the driver may not write any"
        yield absent(check, expected, text)
    else:
        yield check.ok(f"the right to write Kubernetes Secrets is {'on, and used' if is_on else 'off'}")


def _nodes(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    nodes = [node for node in objects.listed(Kind.NODE) if _runs_agents(node)]
    registered = {
        item["metadata"]["name"]
        for item in objects.listed(Kind.CSI_NODE)
        if any(driver["name"] == DRIVER_NAME for driver in (item.get("spec") or {}).get("drivers") or ())
    }
    lacking = {str(node["metadata"]["name"]) for node in nodes} - registered
    windows = {str(node["metadata"]["name"]) for node in nodes if _system(node) == "windows"}
    if windows:
        fix = "keep apps with secrets on Linux nodes (nodeSelector kubernetes.io/os: linux)"
        yield check.warn(f"the provider does not run on Windows: {listed(windows)}", fix)
    if not nodes:
        yield check.skipped("there is no node yet that runs DaemonSets")
    elif lacking - windows:
        text = f"the driver has not registered on {listed(lacking - windows)}, where no pod with secrets starts"
        fix = "look at the driver's pods there: `kubectl get pods -n kube-system -o wide`"
        yield check.skipped(f"{text}; `pulumi up` installs it") if expected.is_before_up else check.fail(text, fix)
    elif len(nodes) > len(windows):
        yield check.ok(f"the driver has registered on all {len(nodes) - len(windows)} nodes that run Linux")


def _runs_agents(node: Manifest) -> bool:
    labels = node["metadata"].get("labels") or {}
    return not any(labels.get(key) == value for key, value in EXCLUDED_NODES)


def _system(node: Manifest) -> str:
    return str((node["metadata"].get("labels") or {}).get("kubernetes.io/os", ""))
