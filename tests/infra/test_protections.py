"""What `auto` means: the guard of pods, pods that come too early, and the interval of an old driver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.platform_needs import PlatformNeeds
from components.platform_settings import PlatformSettings, When
from lockstep.project import load_project
from tests.infra.recording import RELEASE, Recorded, World, run_stack

EARLY = "kubernetes:storage.k8s.io/v1:CSIDriverPatch"
RAISED = {"lockstep:rotationPollInterval": "2m"}
IMAGE = f"registry.example/provider@sha256:{'1' * 64}"


def platform(**changes: Any) -> PlatformSettings:  # noqa: ANN401
    fields = {"provider_image": IMAGE, "chart_repository": "https://charts.example", "chart_version": "1.6.0"}
    return PlatformSettings(**{**fields, **changes})


# ------------------------------------------------------------------------------------------------------------ the guard
@pytest.mark.parametrize(
    ("interval", "version", "guard", "is_on"),
    [
        (None, "1.6.0", When.AUTO, False),
        ("100ms", "1.6.0", When.AUTO, False),
        ("0.5s", "1.6.0", When.AUTO, False),
        ("501ms", "1.6.0", When.AUTO, True),
        ("2m", "1.6.0", When.AUTO, True),
        ("1h30m", "2.0.0", When.AUTO, True),
        ("2m", "1.5.6", When.AUTO, False),
        ("2m", "1.6.0", When.NEVER, False),
        (None, "1.6.0", When.ALWAYS, True),
    ],
)
def test_pods_are_guarded_where_the_driver_may_start_them_empty(
    interval: str | None,
    version: str,
    guard: When,
    is_on: bool,  # noqa: FBT001
) -> None:
    settings = platform(poll_interval=interval, chart_version=version, guard=guard)
    assert settings.guard_image == (IMAGE if is_on else None)


def apps(run: Recorded) -> dict[str, Any]:
    exported: Any = run.stack_outputs()["apps"]
    return dict(exported)


def test_a_raised_interval_gives_every_app_of_the_stack_its_guard(project: Path) -> None:
    plain, raised = (run_stack(project, "prod", preview=True, overrides=each) for each in ({}, RAISED))
    assert all("guard" not in app for app in apps(plain).values())
    image = str(raised.one("kubernetes:apps/v1:DaemonSet").inputs["spec"])
    for name, app in apps(raised).items():
        assert app["guard"]["image"] in image, "one image to trust: the provider's"
        assert app["guard"]["args"], name


def test_apps_on_another_stacks_platform_are_guarded_as_that_platform_needs(project: Path) -> None:
    served = {
        "lockstep:apps": "[]",
        "lockstep:servedIdentities": '["irsa", "podIdentity"]',
        "lockstep:servesSync": "true",
    }
    for interval in ({}, RAISED):
        outputs = run_stack(project, "dev", preview=False, overrides={**served, **interval}).stack_outputs()
        stack = "organization/lockstep/dev"
        on_it = {"lockstep:platformStack": stack, "lockstep:providerImage": ""}
        world = World(stacks={stack: outputs})
        run = run_stack(project, "dev", preview=True, overrides=on_it, world=world)
        assert all(("guard" in app) == bool(interval) for app in apps(run).values())
        never = {**on_it, "lockstep:guard": "never"}
        assert not any(
            "guard" in app
            for app in apps(run_stack(project, "dev", preview=True, overrides=never, world=world)).values()
        )


def test_a_guard_without_an_image_is_refused(project: Path) -> None:
    on_it = {
        "lockstep:platformStack": "organization/lockstep/dev",
        "lockstep:providerImage": "",
        "lockstep:guard": "always",
    }
    with pytest.raises(
        pulumi.RunError, match=r"lockstep:guard: it is always, without lockstep:providerImage\. .*CFG014"
    ):
        run_stack(project, "dev", preview=True, overrides=on_it)


def test_the_command_line_derives_the_same_guard(project: Path) -> None:
    assert load_project(project).stack("prod").environment.guard_image is None


# --------------------------------------------------------------------------------------------- pods that come too early
@pytest.mark.parametrize(
    ("version", "known"),
    [(None, False), ("1.30", False), ("1.36", False), ("1.37", True), ("1.40", True), ("2.0", True)],
)
def test_only_a_cluster_that_is_known_to_can_keep_early_pods_away(version: str | None, known: bool) -> None:  # noqa: FBT001
    assert PlatformNeeds(audiences=(), kubernetes_version=version).can_prevent_early_pods is known


@pytest.mark.parametrize(
    ("version", "setting", "patches"), [("1.34", "auto", 0), ("1.37", "auto", 1), ("1.37", "never", 0)]
)
def test_a_cluster_of_ones_own_prevents_early_pods_as_soon_as_it_can(
    project: Path, version: str, setting: str, patches: int
) -> None:
    from components.stack_config import load_stack_config  # noqa: PLC0415

    config: Any = load_stack_config(project, "staging").values
    cluster = {**config["lockstep:cluster"], "version": version}
    overrides = {"lockstep:cluster": json.dumps(cluster), "lockstep:preventEarlyPods": setting}
    run = run_stack(project, "staging", preview=True, overrides=overrides)
    assert len(run.of_type(EARLY)) == patches


# ---------------------------------------------------------------------------------------------------------- old drivers
def test_an_old_driver_looks_at_pods_as_often_as_the_freshest_app_needs(project: Path, tmp_path: Path) -> None:
    spec = "version: 1\napp: {0}\nnamespace: {0}\nrefreshInterval: {1}\nsecrets:\n  - name: dev/{0}\n"
    for name, interval in (("slow", "1h"), ("fresh", "45s")):
        (tmp_path / f"{name}.yaml").write_text(spec.format(name, interval))
    for version, expected in (("1.5.6", "45s"), ("1.6.0", "100ms")):
        overrides = {"lockstep:apps": json.dumps([str(tmp_path)]), "lockstep:csiDriverChartVersion": version}
        values: Any = run_stack(project, "dev", preview=True, overrides=overrides).one(RELEASE).inputs["values"]
        assert values["rotationPollInterval"] == expected


def test_an_old_drivers_reconciler_of_ones_own_is_held_to_30_seconds_too(project: Path) -> None:
    overrides = {"lockstep:csiDriverChartVersion": "1.5.6", "lockstep:rotationPollInterval": "100ms"}
    with pytest.raises(
        pulumi.RunError, match=r"rotationPollInterval: '100ms' is too short for driver 1\.5\.6\. .*CFG007"
    ):
        run_stack(project, "dev", preview=True, overrides=overrides)
