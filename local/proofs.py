"""The three proofs of `make local`: each sets up a situation, looks at what a pod sees, and says whether it held.

Nothing here trusts a status: files are compared by digest and by inode, refusals by their text. A proof that does not
hold says what was expected and what was seen.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from components.derivation import AppAccess, Store
from local.pods import FailedMount, Pod, PodStarted, PublishOutcome
from local.report import ProofResult
from local.seed import Source
from local.stage import FIRST_MOUNT_MAX_AGE_SECONDS, REFRESH_INTERVAL_SECONDS, Stage
from provider_runtime.secret_objects import ObjectType, SecretObject, dump_objects

#: A little more than an age, so that what is measured is the rule and not the clock.
_SLACK_SECONDS = 0.3


def prove_isolation(stage: Stage) -> ProofResult:
    """An app asks for another app's secret: with its own role, and with the other's."""
    thief, owner = stage.app("mailer"), stage.app("payments")
    (wanted,) = [item for item in owner.objects if item.type is ObjectType.SECRETS_MANAGER and "db" in item.name]
    objects = dump_objects([SecretObject(name=wanted.name, type=wanted.type, alias="stolen")])
    stage.deployment.write_class(thief.namespace, "own-role", str(thief.app), objects=objects)
    stage.deployment.write_class(thief.namespace, "other-role", str(thief.app), objects=objects, roleArn=owner.role_arn)
    seen = [f"a class written by hand in {thief.namespace!r} asks for {wanted.name!r}, which belongs to {owner.app}"]
    held = True
    for class_name, expected in (
        ("own-role", ("PermissionDenied", "AccessDenied", wanted.name, thief.role_arn)),
        ("other-role", ("PermissionDenied", "sts:AssumeRoleWithWebIdentity", owner.role_arn)),
    ):
        pod = stage.pod(thief, 0, class_name=class_name)
        outcome = stage.kubelet.start_pod(pod)
        seen.append(f"pod {pod.label} ({_role_used(class_name, thief, owner)}):")
        seen.append(f"  {_outcome_text(outcome)}")
        missing = [text for text in expected if text not in _outcome_text(outcome)]
        left = stage.kubelet.target_path(pod, pod.volumes[0])
        held &= isinstance(outcome, FailedMount) and not missing and not left.exists()
        if missing:
            seen.append(f"  expected in the text, and not there: {', '.join(missing)}")
        stage.kubelet.stop_pod(pod)
    return ProofResult(claim="an app that asks for another app's secret is refused", held=held, seen=tuple(seen))


def prove_rotation(stage: Stage, pods: Mapping[str, Pod]) -> ProofResult:
    """A shared secret gets a new version: exactly its files change, in every pod that mounts it."""
    source = _shared_secret(stage)
    expected = {(str(app.app), file.path) for app in stage.apps for file in app.files if file.source == source.name}
    before = _snapshot(stage, pods)
    inodes = _inodes(stage, pods)
    stage.seed.rotate_secret(source)
    time.sleep(REFRESH_INTERVAL_SECONDS + _SLACK_SECONDS)
    outcomes = [stage.kubelet.republish(pod) for pod in pods.values()]
    changed = _changed(before, _snapshot(stage, pods))
    swapped = {app for app, inode in _inodes(stage, pods).items() if inode != inodes[app]}
    rewritten = {app for app, _ in expected}
    seen = [
        f"{source.name!r} gets a new version; {len(expected)} files of {len(rewritten)} apps come from it",
        f"at the next republish, {REFRESH_INTERVAL_SECONDS} s later, these files changed: {_listed(changed)}",
        f"pods whose files were swapped: {', '.join(sorted(swapped))}; the others were not touched",
    ]
    if changed != expected:
        seen.append(f"expected: {_listed(expected)}")
    held = changed == expected and swapped == rewritten
    held &= all(isinstance(outcome, PodStarted) for outcome in outcomes)
    return ProofResult(claim="a rotated secret changes exactly its files", held=held, seen=tuple(seen))


def prove_revocation(stage: Stage, pods: Mapping[str, Pod]) -> ProofResult:
    """A grant leaves the spec: a new pod is refused at the next check; what the old pods keep is shown."""
    app = stage.app("reports")
    (gone,) = [item for item in app.objects if "signing-key" in item.name]
    # Somebody kept a copy of the class by hand, and a pod mounts it: IAM alone must refuse the next one.
    stage.deployment.write_class(app.namespace, "kept-copy", str(app.app))
    old_copy = stage.pod(app, 0, class_name="kept-copy")
    first = stage.kubelet.start_pod(old_copy)
    with stage.report.step(f"the spec of {app.app} loses {gone.name!r}; the program runs again"):
        stage.deployment.up(_specs_without(stage, "reports", "signing-key"))
    time.sleep(max(FIRST_MOUNT_MAX_AGE_SECONDS, REFRESH_INTERVAL_SECONDS) + _SLACK_SECONDS)
    new_copy = stage.pod(app, 1, class_name="kept-copy")
    refused = stage.kubelet.start_pod(new_copy)
    kept = stage.kubelet.republish(old_copy)
    kept_files = {file.path for file in stage.kubelet.list_files(old_copy)}
    followed = stage.kubelet.republish(pods[str(app.app)])
    files = {file.path for file in stage.kubelet.list_files(pods[str(app.app)])}
    seen = (
        f"a new pod with a kept copy of the old class: {_outcome_text(refused)}",
        f"the old pod with that copy keeps its files ({', '.join(sorted(kept_files))}): {_outcome_text(kept)};",
        "  the driver answers kubelet OK and only its log has the error, so watch the provider's log and metrics",
        f"the old pod of the app itself follows its class: {gone.alias} is gone, it keeps {', '.join(sorted(files))}",
    )
    denied = isinstance(refused, FailedMount) and "PermissionDenied" in refused.event_text
    masked = isinstance(kept, PodStarted) and set(kept.outcomes.values()) == {PublishOutcome.ERROR_MASKED}
    held = isinstance(first, PodStarted) and denied and masked and gone.alias in kept_files
    held &= isinstance(followed, PodStarted) and gone.alias not in files and bool(files)
    stage.kubelet.stop_pod(old_copy)
    stage.kubelet.stop_pod(new_copy)
    return ProofResult(claim="a removed grant stops working at the next check", held=held, seen=seen)


def _shared_secret(stage: Stage) -> Source:
    users = {
        source.name: {app.app for app in stage.apps for file in app.files if file.source == source.name}
        for source in stage.sources
    }
    return next(
        source for source in stage.sources if source.store is Store.SECRETS_MANAGER and len(users[source.name]) > 1
    )


def _snapshot(stage: Stage, pods: Mapping[str, Pod]) -> dict[tuple[str, str], str]:
    return {
        (app, path): digest
        for app, pod in pods.items()
        for (_, path), digest in stage.kubelet.digest_files(pod).items()
    }


def _inodes(stage: Stage, pods: Mapping[str, Pod]) -> dict[str, int]:
    """Return per app the inode of the folder that its files live in: a new one says that files were written."""
    return {
        app: (stage.kubelet.target_path(pod, pod.volumes[0]) / "..data").resolve().stat().st_ino
        for app, pod in pods.items()
    }


def _changed(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> set[tuple[str, str]]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _specs_without(stage: Stage, app: str, part_of_name: str) -> Path:
    """Copy the spec files into the work folder, without one secret of one app."""
    folder = stage.work_dir / "apps"
    folder.mkdir()
    for source in sorted(path for entry in stage.settings.apps for path in (stage.project / entry).glob("*.yaml")):
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
        if document["app"] == app:
            document["secrets"] = [entry for entry in document["secrets"] if part_of_name not in entry["name"]]
        (folder / source.name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return folder


def _role_used(class_name: str, thief: AppAccess, owner: AppAccess) -> str:
    return f"with its own role {thief.role_name}" if class_name == "own-role" else f"with {owner.app}'s role"


def _outcome_text(outcome: PodStarted | FailedMount) -> str:
    if isinstance(outcome, FailedMount):
        return f"FailedMount: {outcome.event_text}"
    return "started: " + ", ".join(f"{volume} {what.value}" for volume, what in sorted(outcome.outcomes.items()))


def _listed(files: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{app}:{path}" for app, path in sorted(files))
