"""The API server: is it this stack's cluster, is it new enough, and do the clocks agree?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from components.platform_settings import When
from lockstep.doctor.cluster_objects import ClusterObjects, Kind
from lockstep.doctor.compatibility import is_at_least, load_compatibility
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Check, Verdict, examine, listed

#: AWS refuses a signature whose time is further off. Source: IAM user guide, signature versions: five minutes.
REFUSED_SKEW_SECONDS: Final = 300.0
#: Past this a clock is not kept by anybody.
DOUBTFUL_SKEW_SECONDS: Final = 30.0
#: Kubelet renews its lease every 10 s, a lease of 40 s. Source: Kubernetes docs, nodes, heartbeats.
_LEASE_SECONDS: Final = 40.0
_LEASE_NAMESPACE: Final = "kube-node-lease"
_CLOCK_FIX: Final = "let it follow a time server: `chronyc tracking` or `timedatectl` says what it follows"


def check_server(expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    """Yield the verdicts on the API server and the clocks."""
    yield from examine(Check("cluster.issuer"), lambda check: _issuer(check, expected, objects))
    yield from examine(Check("cluster.version"), lambda check: _version(check, expected, objects))
    yield from examine(Check("cluster.clock"), lambda check: _clock(check, objects))
    yield from examine(Check("nodes.clock"), lambda check: _node_clocks(check, objects))


def _issuer(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    issuer, wanted = objects.issuer(), expected.environment.oidc_issuer
    if issuer == wanted:
        yield check.ok(f"its tokens are of {issuer}, as the stack says")
    else:
        fix = "name this stack's cluster with --context or --kubeconfig, or correct lockstep:oidcIssuer"
        yield check.fail(f"its tokens are of {issuer}, but trust is bound to {wanted}", fix)


def _version(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    version, table, platform = objects.version(), load_compatibility(), expected.settings.platform
    wanted = [
        table.feature(setting)
        for setting, is_on in (
            ("admission", platform.admission.value != "off"),
            ("preventEarlyPods", platform.prevents_early_pods is When.ALWAYS),
        )
        if is_on and expected.has_own_platform
    ]
    lacking = [row for row in wanted if not is_at_least(version, row.kubernetes)]
    for row in lacking:
        fix = f"upgrade the cluster, or change lockstep:{row.setting}"
        yield check.fail(f"{row.name} needs Kubernetes {row.kubernetes}, this is {version}", fix)
    if not lacking:
        yield check.ok(f"Kubernetes {version} has what the stack's settings need")


def _clock(check: Check, objects: ClusterObjects) -> Iterator[Verdict]:
    yield skew_verdict(check, objects.skew_seconds(), "the API server's")


def skew_verdict(check: Check, seconds: float, whose: str) -> Verdict:
    """Say how far this machine's clock is from another."""
    away = f"this machine's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} {whose}"
    if abs(seconds) > REFUSED_SKEW_SECONDS:
        return check.fail(f"{away}; AWS refuses signatures that are five minutes off", _CLOCK_FIX)
    if abs(seconds) > DOUBTFUL_SKEW_SECONDS:
        return check.warn(away, _CLOCK_FIX)
    return check.ok(f"this machine's clock agrees with {whose}")


def _node_clocks(check: Check, objects: ClusterObjects) -> Iterator[Verdict]:
    """Hold the nodes' leases, stamped with the nodes' own clocks, against the API server's time."""
    leases = objects.listed(Kind.LEASE, _LEASE_NAMESPACE)
    now = objects.server_time()
    ages = {
        str(item["metadata"]["name"]): now - datetime.fromisoformat(item["spec"]["renewTime"]).timestamp()
        for item in leases
        if item["spec"].get("renewTime")
    }
    ahead = [name for name, age in ages.items() if age < -DOUBTFUL_SKEW_SECONDS]
    behind = [name for name, age in ages.items() if age > _LEASE_SECONDS + DOUBTFUL_SKEW_SECONDS]
    if ahead:
        what = f"the clocks of {listed(ahead)} are ahead; tokens and signatures of their pods are refused"
        yield check.fail(what, _CLOCK_FIX)
    if behind:
        what = f"{listed(behind)}: the last heartbeat is old, so the node is down or its clock is behind"
        yield check.warn(what, f"look at the node; if it runs, {_CLOCK_FIX}")
    if not ahead and not behind:
        yield check.ok(f"the clocks of {len(ages)} nodes agree") if ages else check.skipped("no node has a lease")
