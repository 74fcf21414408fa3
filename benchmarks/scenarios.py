"""The work that is measured, scenario by scenario; each returns its samples.

Not done here: processes (`processes`), schedules (`schedules`), goals and figures (`figures`).

Where contenders are compared mount by mount they take turns, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.driver_client import Job
from benchmarks.figures import WARM, Sample
from benchmarks.processes import Contender, DriverProcess, ProviderProcess, StandIn, bare_contender, start_provider
from benchmarks.reference_pod import (
    BACKUP_REGION,
    SILENT_REGION,
    UNREACHABLE_REGION,
    MountOf,
    name_secret,
)
from benchmarks.schedules import POLL_INTERVAL_SECONDS, REPUBLISH_SECONDS, Scale, list_republishes

IDENTITIES: Final = 10
_UNTHROTTLED: Final = ("--qps=10000", "--burst=10000")
"""For AWS's provider where only calls are counted: its own limit on Kubernetes lookups would just take time."""
_REST_SECONDS: Final = 0.3
_PODS_PER_IDENTITY: Final = 11
_PIECES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done; the smoke test does almost nothing, and its figures mean nothing."""

    turns: int = 60
    pods: int = 110
    bursts: int = 2
    warm_mounts: int = 2000
    long_mounts: int = 10_000
    scale: float = 60.0
    hour_share: float = 1.0
    outages: int = 4


@dataclass(slots=True, kw_only=True)
class Run:
    """Everything that scenarios work with."""

    stand_in: StandIn
    driver: DriverProcess
    contenders: Sequence[Contender]
    folder: Path
    target_root: str
    latency_seconds: float
    size: Size
    has_hole: bool
    resident_by_thousand: list[float] = field(default_factory=list)
    _apps: Iterator[int] = field(default_factory=itertools.count)
    _folders: Iterator[int] = field(default_factory=itertools.count)

    @property
    def ours(self) -> Contender:
        """The provider of this repository."""
        (ours,) = [contender for contender in self.contenders if contender.is_ours]
        return ours

    def new_apps(self, count: int) -> list[int]:
        """Return numbers of apps that nobody has mounted yet."""
        return list(itertools.islice(self._apps, count))

    def start(self, contender: Contender, *flags: str) -> ProviderProcess:
        """Start a provider in a folder of its own (short: a socket path holds 107 bytes)."""
        return start_provider(contender, self.folder / f"p{next(self._folders)}", *flags)

    def mount_of(self, app: int, pod: int = 0, *, region: str = "", failover_region: str = "") -> MountOf:
        """Return a mount of the reference pod."""
        regions = {"region": region} if region else {}
        return MountOf(app=app, pod=pod, target_root=self.target_root, failover_region=failover_region, **regions)

    def send(
        self,
        sample: Sample,
        provider: ProviderProcess,
        mounts: Sequence[MountOf],
        *,
        starts: Sequence[float] = (),
        width: int = 1,
    ) -> None:
        """Send mounts to a provider and add what they cost to the sample."""
        job = Job(
            socket=str(provider.socket),
            mounts=tuple(mounts),
            starts=tuple(starts) or (0.0,) * len(mounts),
            width=width,
            makes_targets=provider.contender.writes_files,
        )
        self.stand_in.control(reset=True)
        before = provider.cpu_seconds()
        sample.add(self.driver.run(job))
        spent_seconds = provider.cpu_seconds() - before
        sample.cpu_seconds += spent_seconds
        sample.piece_cpu_ms.append(1000 * spent_seconds / len(mounts))
        sample.calls.update(self.stand_in.control(reset=True)["calls"])
        sample.resident_mib = max(sample.resident_mib, provider.resident_mib())


def _of_each(run: Run, scenario: str, contenders: Sequence[Contender]) -> dict[str, Sample]:
    del run
    return {each.label: Sample(scenario=scenario, contender=each.label) for each in contenders}


def measure_first_and_second(run: Run) -> list[Sample]:
    """First mount of an identity, then its second pod, in turns; every provider has been warmed up by one mount."""
    start, first, second = (
        _of_each(run, name, run.contenders) for name in ("first mount of the process", "first mount", "second pod")
    )
    providers = [run.start(contender) for contender in run.contenders]
    try:
        run.stand_in.control(latency_seconds=run.latency_seconds)
        for provider in providers:
            run.send(start[provider.contender.label], provider, [run.mount_of(app) for app in run.new_apps(1)])
        for _ in range(run.size.turns):
            for provider in providers:
                (app,) = run.new_apps(1)
                run.send(first[provider.contender.label], provider, [run.mount_of(app)])
                run.send(second[provider.contender.label], provider, [run.mount_of(app, 1)])
    finally:
        for provider in providers:
            provider.__exit__()
    return [*start.values(), *first.values(), *second.values()]


def measure_burst(run: Run) -> list[Sample]:
    """Pods of ten identities started at once: a node comes up. AWS's limit on Kubernetes lookups is included."""
    scenario = f"{run.size.pods} pods of {IDENTITIES} identities at once"
    samples = _of_each(run, scenario, run.contenders)
    run.stand_in.control(latency_seconds=run.latency_seconds)
    for _ in range(run.size.bursts):
        for contender in run.contenders:
            apps = run.new_apps(IDENTITIES)
            mounts = [run.mount_of(apps[pod % IDENTITIES], pod) for pod in range(run.size.pods)]
            with run.start(contender) as provider:
                run.send(samples[contender.label], provider, mounts, width=len(mounts))
    return list(samples.values())


def measure_hour(run: Run) -> list[Sample]:
    """One hour of republishes with driver 1.6, and then one rotated secret."""
    samples: list[Sample] = []
    for pods in (run.size.pods, IDENTITIES):
        scenario = f"one hour, {pods} pods of {IDENTITIES} identities"
        for contender in run.contenders:
            sample = Sample(scenario=scenario, contender=contender.label)
            rotated = Sample(scenario=f"one secret rotated, {pods} pods", contender=contender.label)
            measure = _run_our_hour if contender.is_ours else _run_their_hour
            measure(run, contender, pods, sample, rotated)
            samples += [sample, rotated]
    return samples


def _run_our_hour(run: Run, contender: Contender, pods: int, sample: Sample, rotated: Sample) -> None:
    """Our provider's ages decide, so the schedule is kept, squeezed: see `Scale`. The driver throttles nothing."""
    scale, share = Scale(factor=run.size.scale), run.size.hour_share
    sample.note = f"time squeezed {scale.factor:g}x; {share:g} of the hour"
    rotated.note = "republished after the refresh interval, all pods at once"
    apps = run.new_apps(IDENTITIES)
    mounts = [run.mount_of(apps[pod % IDENTITIES], pod) for pod in range(pods)]
    phases = [REPUBLISH_SECONDS * index / pods for index in range(pods)]
    due = sorted(
        (scale.squeeze(at), index)
        for index in range(pods)
        for at in list_republishes(phase=phases[index], throttle_seconds=0)
        if at < 3600 * share
    )
    run.stand_in.control(latency_seconds=run.latency_seconds, session_seconds=scale.session_seconds)
    with run.start(contender, *scale.flags) as provider:
        starts = [scale.squeeze(phase) for phase in phases]
        run.send(Sample(scenario="", contender=""), provider, mounts, starts=starts, width=pods)
        run.send(sample, provider, [mounts[index] for _, index in due], starts=[at for at, _ in due], width=pods)
        run.stand_in.control(rotate=[name_secret(apps[0], 0)])
        time.sleep(scale.squeeze(POLL_INTERVAL_SECONDS) + _REST_SECONDS)
        run.send(rotated, provider, [mount for mount in mounts if mount.app == apps[0]], width=pods)
    run.stand_in.control(session_seconds=900.0)


def _run_their_hour(run: Run, contender: Contender, pods: int, sample: Sample, rotated: Sample) -> None:
    """AWS's provider has no ages and no memory: the same mounts in the same number, as fast as they go."""
    throttle = POLL_INTERVAL_SECONDS if contender.writes_files else 0.0
    count = sum(at < 3600 * run.size.hour_share for at in list_republishes(phase=0.0, throttle_seconds=throttle))
    sample.note = f"{count} republishes a pod reach it (driver throttle {throttle:g} s); not paced, no lookup limit"
    apps = run.new_apps(IDENTITIES)
    mounts = [run.mount_of(apps[pod % IDENTITIES], pod) for pod in range(pods)]
    run.stand_in.control(latency_seconds=run.latency_seconds)
    with run.start(contender, *_UNTHROTTLED) as provider:
        for _ in range(count):
            run.send(sample, provider, mounts, width=16)
        run.stand_in.control(rotate=[name_secret(apps[0], 0)])
        run.send(rotated, provider, [mount for mount in mounts if mount.app == apps[0]], width=16)


def measure_outage(run: Run) -> list[Sample]:
    """First mounts while the primary region is gone and a second one is well; other identities one after another."""
    kinds = {"primary silent": SILENT_REGION}
    if run.has_hole:
        kinds["primary unreachable"] = UNREACHABLE_REGION
    samples = []
    run.stand_in.control(latency_seconds=run.latency_seconds, silent_regions=[SILENT_REGION])
    for scenario, region in kinds.items():
        for contender in run.contenders:
            if contender.label == "ascp-driver-writes":
                continue  # who writes the files changes nothing here, and each mount takes up to two minutes
            sample = Sample(scenario=scenario, contender=contender.label)
            count = run.size.outages if contender.is_ours else 1
            with run.start(contender) as provider:
                for app in run.new_apps(count):
                    mount = run.mount_of(app, region=region, failover_region=BACKUP_REGION)
                    run.send(sample, provider, [mount])
            samples.append(sample)
    run.stand_in.control(silent_regions=[])
    return samples


def measure_warm(run: Run) -> list[Sample]:
    """Mounts answered from memory at no latency: what the provider itself costs. In pieces, the contenders in turns.

    A republish is the steady state; a new pod of a known identity pays the same but for its volume's first ages. Ages
    are long, so that no read falls due on the way. AWS's provider has no memory: its figure includes all its calls.
    """
    run.stand_in.control(latency_seconds=0.0)
    pods = IDENTITIES * _PODS_PER_IDENTITY
    piece = max(1, run.size.warm_mounts // _PIECES)
    contenders = [*(each for each in run.contenders if not each.writes_files), bare_contender()]
    samples = {each.label: Sample(scenario=WARM, contender=each.label) for each in contenders}
    new_pods = Sample(scenario="new pod from memory, no latency", contender=run.ours.label)
    with contextlib.ExitStack() as stack:
        providers = [stack.enter_context(run.start(each, *_warm_flags(each))) for each in contenders]
        (ours,) = [provider for provider in providers if provider.contender.is_ours]
        apps = run.new_apps(IDENTITIES)
        mounts = [run.mount_of(apps[pod % IDENTITIES], pod) for pod in range(pods)]
        for provider in providers:
            run.send(Sample(scenario="", contender=""), provider, mounts)
        for number in range(_PIECES):
            for provider in providers:
                count = piece if not provider.contender.is_theirs else max(1, piece // 10)
                run.send(samples[provider.contender.label], provider, [mounts[one % pods] for one in range(count)])
            fresh = [run.mount_of(apps[one % IDENTITIES], pods + number * piece + one) for one in range(piece)]
            run.send(new_pods, ours, fresh)
    return [*samples.values(), new_pods]


def _warm_flags(contender: Contender) -> tuple[str, ...]:
    if contender.is_theirs:
        return _UNTHROTTLED
    return ("--refresh-interval=1h", "--first-mount-max-age=1h") if contender.is_ours else ()


def measure_memory(run: Run) -> list[Sample]:
    """Ten thousand mounts of ever new pods of ten identities; resident memory after each thousand. Ours only."""
    sample = Sample(scenario=f"{run.size.long_mounts} mounts", contender=run.ours.label)
    run.stand_in.control(latency_seconds=0.0)
    apps = run.new_apps(IDENTITIES)
    piece = max(1, run.size.long_mounts // 10)
    with run.start(run.ours) as provider:
        for start in range(0, run.size.long_mounts, piece):
            mounts = [run.mount_of(apps[pod % IDENTITIES], pod) for pod in range(start, start + piece)]
            run.send(sample, provider, mounts, width=4)
            run.resident_by_thousand.append(round(provider.resident_mib(), 2))
    sample.note = f"resident MiB after each tenth: {', '.join(f'{mib:.1f}' for mib in run.resident_by_thousand)}"
    return [sample]


SCENARIOS: Final = {
    "first": measure_first_and_second,
    "burst": measure_burst,
    "warm": measure_warm,
    "memory": measure_memory,
    "outage": measure_outage,
    "hour": measure_hour,
}
"""By the names that `--only` takes, in the order in which they run."""
