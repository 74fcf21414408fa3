"""Refusals that a resolved app as a whole earns: where it runs, how it gets its role, and how much a mount may carry.

Sources: EKS user guide (Fargate runs no DaemonSets, so no CSI driver; Pod Identity associations: a policy needs
`disableSessionTags`); Secrets Store CSI driver (largest answer of a provider). limits.py names each number's source.
"""

from __future__ import annotations

from .arn import Arn
from .environment import Environment
from .errors import ProblemList, Spot
from .limits import DRIVER_MESSAGE
from .message_size import largest_answer
from .spec import AppVariant, Identity


def check_app(variant: AppVariant, environment: Environment, problems: ProblemList) -> None:
    """Check an app whose variables are replaced; problems are added, none is raised."""
    _check_fargate(variant, environment, problems)
    _check_identity(variant, environment, problems)
    _check_size(variant, problems)


def _check_fargate(variant: AppVariant, environment: Environment, problems: ProblemList) -> None:
    for selector in environment.fargate_selectors:
        if selector.selects(variant.namespace, dict(variant.pod_labels)):
            what = f"the Fargate profile with the selector {str(selector)!r} would take the app's pods"
            rule = "The CSI driver cannot run on Fargate, so these pods would never start"
            fix = "narrow the profile, or say in 'podLabels:' what keeps the pods off it"
            problems.add(variant.at, "SPEC032", what, rule, fix)


def _check_identity(variant: AppVariant, environment: Environment, problems: ProblemList) -> None:
    pod_identity = variant.pod_identity
    if pod_identity and (variant.identity or environment.default_identity) is Identity.IRSA:
        what = f"the app has settings of Pod Identity, and its identity in {environment.name} is irsa"
        rule = "They say how EKS hands out the role, which IRSA does not ask it to"
        problems.add(pod_identity.at, "SPEC030", what, rule, "write 'identity: podIdentity', or remove them")
    if variant.chain:
        _check_role(variant.chain.role, variant.chain.at, environment, problems)
    if pod_identity and pod_identity.target_role:
        _check_role(pod_identity.target_role, pod_identity.at, environment, problems)


def _check_role(role: str, at: Spot, environment: Environment, problems: ProblemList) -> None:
    arn = Arn.parse(role)
    if arn is not None and arn.partition != environment.partition:
        what = f"the role {role!r} lies in the partition {arn.partition}, the environment in {environment.partition}"
        problems.add(at, "SPEC029", what, "A role cannot be assumed across partitions", "name a role of this partition")


def _check_size(variant: AppVariant, problems: ProblemList) -> None:
    """Refuse a mount that could not be answered if every value were as large as AWS lets it be."""
    for mount in sorted({entry.mount for entry in variant.objects}):
        entries = [entry for entry in variant.objects if entry.mount == mount]
        largest = largest_answer(entries)
        if largest > DRIVER_MESSAGE.amount:
            name = f"mount {mount!r}" if mount else "default mount"
            cut = sum(bool(entry.keys or entry.all_keys or entry.template) for entry in entries)
            more = f" and what is cut out of {cut} of them" if cut else ""
            what = f"the {name} holds {len(entries)} objects{more}, which may take {largest:,} bytes together"
            rule = f"The driver takes an answer of at most {DRIVER_MESSAGE.amount:,} bytes"
            fix = "spread the objects over several 'mounts:', or mount fewer keys and templates of them"
            problems.add(entries[0].at, "SPEC036", what, rule, fix)
