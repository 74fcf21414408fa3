"""The admission policies of pods with secrets in a cluster: each by name, as derived, and bound with nothing left out.

A binding whose policy is gone, or that holds for some objects only, refuses nothing and looks like one that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from components.admission_rules import ACTIONS, TARGETS, Target, derive_policy_spec, object_name
from components.platform_settings import AdmissionMode
from lockstep.doctor.cluster_objects import ClusterObjects, Kind, Manifest
from lockstep.doctor.driver_checks import absent
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import Check, UnseenError, Verdict, examine, listed

_RAISE: Final = "run `pulumi up` on the stack of the platform"


def check_admission(expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    """Yield whether pods are asked as the settings say."""
    yield from examine(Check("driver.admission"), lambda check: _admission(check, expected, objects))


def _admission(check: Check, expected: Expected, objects: ClusterObjects) -> Iterator[Verdict]:
    settings = expected.settings.platform
    if not expected.has_own_platform or settings.admission is AdmissionMode.OFF:
        yield check.skipped("this stack places no admission policies")
        return
    unseen = ""
    missing, wrong = [], []
    for kind, judge in ((Kind.ADMISSION_POLICY, _policy_problems), (Kind.ADMISSION_BINDING, _binding_problems)):
        try:
            found = {str(item["metadata"]["name"]): item for item in objects.listed(kind)}
        except UnseenError as reason:
            unseen = unseen or str(reason)
            continue
        for target in TARGETS:
            item = found.get(object_name(target))
            if item is None:
                missing.append(f"{kind.value} {object_name(target)}")
            else:
                wrong += [f"{kind.value} {object_name(target)}: {each}" for each in judge(item, target, expected)]
    if wrong:
        yield check.fail("; ".join(wrong), _RAISE)
    if missing:
        yield absent(check, expected, f"missing: {listed(missing, most=2 * len(TARGETS))}")
    if unseen:
        yield check.skipped(unseen)
    elif not wrong and not missing:
        action = ACTIONS[settings.admission][0]
        yield check.ok(f"{len(TARGETS)} admission policies are as derived, and bound with {action}")


def _policy_problems(item: Manifest, target: Target, expected: Expected) -> Iterator[str]:
    exempt = expected.settings.platform.admission_exempt_namespaces
    wanted, live = derive_policy_spec(target, exempt), _without_empty(item.get("spec") or {})
    differing = {key for key in wanted.keys() | live.keys() if wanted.get(key) != live.get(key)}
    if differing:
        yield f"{listed(differing)} not as derived"


def _binding_problems(item: Manifest, target: Target, expected: Expected) -> Iterator[str]:
    live: Mapping[str, Any] = _without_empty(item.get("spec") or {})
    action = ACTIONS[expected.settings.platform.admission][0]
    if live.get("policyName") != object_name(target):
        yield f"it binds {live.get('policyName') or 'no policy'}"
    if action not in live.get("validationActions", ()):
        yield f"the action is not {action}, as lockstep:admission says"
    narrowing = sorted(live.keys() - {"policyName", "validationActions"})
    if narrowing:
        yield f"{listed(narrowing)} leave objects out"


def _without_empty(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return JSON without what is empty: an API server writes empty selectors that nobody asked for."""
    if isinstance(value, Mapping):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, {}, [])}
    return [_without_empty(item) for item in value] if isinstance(value, (list, tuple)) else value
