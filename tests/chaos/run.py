"""One chaos run: does what the plan says, looks at everything after every step, and stops at a broken invariant.

Beside the model's rules (I2, I3), after every step:

* decision 14: a pod whose mount was answered OK has its whole class; the provider put no code on the wire that kubelet
  takes for a mount that may still come;
* I8: while a provider serves, a mount has its answer within `--mount-timeout` and kubelet's deadline;
* I4: no value, token or credential in what provider, driver and API server logged, or in a pod's event;
* the public socket is there whenever an instance serves, rollouts included;
* a token that has expired by the provider's clock opens nothing;
* recovery: when all has been in order for a while, a permitted pod mounts, at the third attempt at the latest.

Limits of seconds do not count where the machine itself let a thread of this process wait (watching.py).
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc

from local.atomic_writer import load_contents, load_visible_paths
from local.node import FIRST_RETRY_SECONDS, NON_FINAL_CODES
from local.pods import FailedMount
from tests.chaos.faulty_aws import Fault
from tests.chaos.model import Model, Violation
from tests.chaos.plan import FaultKind, Kind, Step, TokenKind, Visit, plan
from tests.chaos.stage import AGES, MOUNT_TIMEOUT_SECONDS, ChaosStage
from tests.chaos.watching import MACHINE, LogTail, MachineWatch, OutOfOrder, SocketWatch, find_leak, parse_mounts
from tests.chaos.world import CLASS_OF, PARAMETERS, PODS, SECRETS, ClassRule

_WORKERS: Final = 20
_HEALTHY_SECONDS: Final = 8.0
"""So long after the last disturbance, calls that it held up have ended too."""
_ATTEMPTS: Final = 3
_DEADLINE_SECONDS: Final = 120.0
_LATE_SECONDS: Final = 1.5
"""What a busy machine may add to a time limit before it counts."""
_TOKEN_SECONDS: Final = 3600.0
_INTO_THE_BURST_SECONDS: Final = 0.15


@dataclass(slots=True, kw_only=True)
class _Seen:
    """One mount as kubelet and the app saw it."""

    visit: Visit
    asked_at: float
    answered_at: float
    was_mounted: bool
    failure: FailedMount | None = None
    content: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    is_skipped: bool = False


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a run did.

    Attributes:
        seed: Its seed.
        operations: How many.
        seconds: How long.
        steps: By kind.
        outcomes: Mounts by how they ended.
        aws_calls: Calls that reached AWS's side.
        judged_values: Values in files that were looked at, and those of them that no disturbance excused.
        violations: Operation number and what was broken; the run ends at the first.
    """

    seed: int
    operations: int = 0
    seconds: float = 0.0
    steps: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    aws_calls: int = 0
    judged_values: tuple[int, int] = (0, 0)
    violations: list[tuple[int, Violation]] = field(default_factory=list)


class ChaosRun:
    """One run on a stage that others may have used before.

    Args:
        stage: Everything up.
        seed: Of the plan.
        plant: Name of a planted bug, or "".
        trace: Told about every step.
    """

    def __init__(
        self, stage: ChaosStage, seed: int, *, plant: str = "", trace: Callable[[str], None] | None = None
    ) -> None:
        self._stage = stage
        self._seed = seed
        self._plant = plant
        self._trace = trace or (lambda _: None)
        self._disorder = OutOfOrder()
        self._machine = MachineWatch(self._disorder)
        self._model = Model(AGES, functools.partial(self._disorder.was, MACHINE))
        self._summary = Summary(seed=seed)
        self._content: dict[str, Mapping[str, bytes]] = {}
        self._retry_at: dict[str, float] = {}
        self._failed_in_peace: Counter[str] = Counter()
        self._denied: dict[str, set[str]] = {}
        self._filled: set[str] = set()
        folder = stage.work_dir
        self._provider_log = LogTail(folder / "provider.log")
        self._other_logs = tuple(LogTail(path) for path in stage.log_paths)
        self._lost: list[float] = []

    def run(self, *, operations: int, seconds: float) -> Summary:
        """Run until one of both is reached, or an invariant is broken."""
        self._begin()
        started = time.monotonic()
        socket = self._stage.provider.socket
        with (
            self._machine,
            SocketWatch(socket, self._lost.append) as self._watch,
            ThreadPoolExecutor(_WORKERS, thread_name_prefix="kubelet") as self._pool,
        ):
            for step in plan(self._seed):
                if self._summary.operations >= operations or time.monotonic() - started > seconds:
                    break
                self._trace(f"{self._summary.operations} {describe(step)}")
                seen = self._do(step)
                self._summary.operations += step.operations
                self._summary.steps[step.kind.value] += 1
                self._judge(seen)
                if self._summary.violations:
                    break
        self._summary.seconds = time.monotonic() - started
        self._summary.aws_calls = self._model.calls()
        self._summary.judged_values = self._model.judged_values, self._model.judged_strictly
        self._finish()
        return self._summary

    # ------------------------------------------------------------------------------------------------- before and after

    def _begin(self) -> None:
        """Put everything in order: no mounts, fresh values, every right, a fresh provider."""
        stage = self._stage
        stage.provider.stop()
        stage.faulty.begin(self._model, self._seed)
        stage.clock_file.write_text("0", encoding="utf-8")
        stage.reset_aws()
        for name, pod in stage.pods.items():
            self._unmount(name)
            self._stage.kubelet_for(
                name, _DEADLINE_SECONDS
            )._tokens.tokens(  # asked for now, so that a run without API server has them
                namespace=pod.namespace,
                service_account=pod.service_account,
                pod_name=pod.name,
                pod_uid=pod.uid,
                audiences=stage.deployment.driver_values().audiences,
            )
        for name in (*SECRETS, *PARAMETERS):
            self._write(name)
        stage.provider = stage.new_provider(self._plant)
        stage.provider.start()
        self._provider_log.read()
        for log in self._other_logs:
            log.read()

    def _finish(self) -> None:
        """End what is still out of order."""
        for service in ("secretsmanager", "ssm", "sts"):
            self._stage.faulty.set_fault(service, None)
        if self._disorder.was("API server", time.monotonic(), time.monotonic()):
            self._stage.start_api_server()

    # ------------------------------------------------------------------------------------------------------------ steps

    def _do(self, step: Step) -> Sequence[_Seen]:
        match step.kind:
            case Kind.BURST:
                return [future.result() for future in self._begin_visits(step.visits)]
            case Kind.KILL | Kind.TERMINATE | Kind.ROLL:
                return self._do_under_load(step)
            case Kind.ROTATE:
                self._rotate(step.target)
            case Kind.DENY | Kind.ALLOW:
                self._deny(CLASS_OF[step.target], step.detail, is_denied=step.kind is Kind.DENY)
            case Kind.DISTRUST | Kind.TRUST:
                self._mark("trust", is_out=step.kind is Kind.DISTRUST)
                self._stage.trust(CLASS_OF[step.target], is_trusted=step.kind is Kind.TRUST)
            case Kind.REMOVE | Kind.PUT_BACK:
                self._remove_or_put_back(step)
            case Kind.FAULT | Kind.CALM:
                self._fault(step)
            case Kind.FILL | Kind.FREE:
                self._fill(step.target, is_full=step.kind is Kind.FILL)
            case Kind.CLOCK | Kind.CLOCK_BACK:
                self._step_clock(step.number)
            case _:
                self._restart(step.kind)
        return ()

    def _begin_visits(self, visits: Sequence[Visit]) -> list[Future[_Seen]]:
        return [self._pool.submit(self._visit, visit) for visit in visits]

    def _do_under_load(self, step: Step) -> Sequence[_Seen]:
        """Replace the provider while mounts are on their way."""
        futures = self._begin_visits(step.visits)
        time.sleep(_INTO_THE_BURST_SECONDS)
        stage = self._stage
        self._disorder.begin("provider")
        old, new = stage.provider, stage.new_provider(self._plant)
        if step.kind is Kind.ROLL:
            new.start()
        if step.kind is Kind.TERMINATE:
            self._watch.must_be_there = False
        if step.kind is Kind.KILL or step.detail == "SIGKILL":
            old.kill()
        else:
            old.stop()
        if step.kind is not Kind.ROLL:
            new.start()
        stage.provider = new
        self._watch.must_be_there = True
        seen = [future.result() for future in futures]
        self._disorder.end("provider")
        return seen

    def _rotate(self, name: str) -> None:
        if not self._disorder.was(name, time.monotonic(), time.monotonic()):
            self._write(name)

    def _write(self, name: str) -> None:
        number = self._stage.next_number(name)
        began = time.monotonic()
        self._stage.write_value(name, number)
        self._model.numbers[name].change(number, began, time.monotonic())

    def _deny(self, rule: ClassRule, name: str, *, is_denied: bool) -> None:
        denied = self._denied.setdefault(rule.identity.role, set())
        (denied.add if is_denied else denied.discard)(name)
        self._mark(f"{rule.name} {name}", is_out=is_denied)
        began = time.monotonic()
        self._stage.deny(rule, sorted(denied))
        self._model.access(rule, name).change(not is_denied, began, time.monotonic())

    def _remove_or_put_back(self, step: Step) -> None:
        is_gone = step.kind is Kind.REMOVE
        self._mark(step.target, is_out=is_gone)
        if not is_gone:
            self._write(step.target)
            return
        began = time.monotonic()
        self._stage.remove_parameter(step.target)
        self._model.numbers[step.target].change(-1, began, time.monotonic())

    def _fault(self, step: Step) -> None:
        is_on = step.kind is Kind.FAULT
        self._mark(step.target, is_out=is_on)
        fault = Fault(kind=FaultKind(step.detail), share=step.number) if is_on else None
        self._stage.faulty.set_fault(step.target, fault)

    def _fill(self, name: str, *, is_full: bool) -> None:
        """Leave the pod's memory file system no page, or let it grow again; nothing where nothing is mounted."""
        target = self._target(name)
        if not self._stage.kubelet.driver.is_mounted(target) or (not is_full and name not in self._filled):
            return
        if not self._stage.limit_disk(target, is_full=is_full):
            return
        self._mark(f"disk of {name}", is_out=is_full)
        (self._filled.add if is_full else self._filled.discard)(name)

    def _step_clock(self, seconds: float) -> None:
        for what in ("clock ahead", "clock behind"):
            self._disorder.end(what)
        self._mark("clock", is_out=bool(seconds))
        self._stage.clock_file.write_text(str(seconds), encoding="utf-8")
        if seconds > _TOKEN_SECONDS:
            self._disorder.begin("clock ahead")
        if seconds < 0:
            self._disorder.begin("clock behind")

    def _restart(self, kind: Kind) -> None:
        match kind:
            case Kind.DRIVER:
                self._stage.restart_driver()
            case Kind.API_DOWN:
                self._disorder.begin("API server")
                self._stage.stop_api_server()
            case Kind.API_UP:
                self._stage.start_api_server()
                self._disorder.end("API server")

    def _mark(self, what: str, *, is_out: bool) -> None:
        (self._disorder.begin if is_out else self._disorder.end)(what)

    # ----------------------------------------------------------------------------------------------------------- mounts

    def _visit(self, visit: Visit) -> _Seen:
        """Mount as kubelet would; a new volume is unmounted before.

        Kubelet waits after every failure. Here it does only where that matters, after a code that leaves the directory
        in place; after a final one nothing is left that could tell this mount from another pod's first.
        """
        pod, target = self._stage.pods[visit.pod], self._target(visit.pod)
        time.sleep(max(0.0, self._retry_at.get(visit.pod, 0.0) - time.monotonic()))
        if visit.is_new and not self._unmount(visit.pod):
            now = time.monotonic()
            return _Seen(visit=visit, asked_at=now, answered_at=now, was_mounted=True, is_skipped=True)
        self._stage.tokens.kinds[pod.uid] = visit.token
        was_mounted = self._stage.kubelet.driver.is_mounted(target)
        asked_at = time.monotonic()
        outcome = self._stage.kubelet_for(visit.pod, visit.deadline_seconds).start_pod(pod)
        answered_at = time.monotonic()
        return _Seen(
            visit=visit,
            asked_at=asked_at,
            answered_at=answered_at,
            was_mounted=was_mounted,
            failure=outcome if isinstance(outcome, FailedMount) else None,
            content=self._load(target),
        )

    def _unmount(self, name: str) -> bool:
        try:
            self._stage.driver_of(name).unpublish(self._target(name))
        except grpc.RpcError:
            return False
        self._content.pop(name, None)
        self._filled.discard(name)
        self._disorder.end(f"disk of {name}")
        return True

    def _target(self, name: str) -> Path:
        pod = self._stage.pods[name]
        target: Path = self._stage.kubelet.target_path(pod, pod.volumes[0])
        return target

    def _load(self, target: Path) -> Mapping[str, bytes]:
        if not self._stage.kubelet.driver.is_mounted(target):
            return {}
        return {path: load_contents(file) for path, file in load_visible_paths(target).items()}

    # -------------------------------------------------------------------------------------------------------- judgement

    def _judge(self, seen: Sequence[_Seen]) -> None:
        self._machine.look()
        text = self._provider_log.read()
        logged = parse_mounts(text)
        for each in seen:
            if not each.is_skipped:
                pod = self._stage.pods[each.visit.pod]
                self._judge_mount(each, logged.get(pod.label, ()))
        self._judge_logs(text)
        while self._lost:
            self._break("socket", f"the public socket was gone for {self._lost.pop():.3f} s while an instance served")

    def _judge_mount(self, seen: _Seen, logged: Sequence[Mapping[str, Any]]) -> None:
        name, rule = seen.visit.pod, PODS[seen.visit.pod]
        before = self._content.get(name, {})
        provider_gave = bool(logged) and logged[-1]["outcome"] == "OK"
        if seen.failure is not None:
            if seen.failure.code in NON_FINAL_CODES:
                self._retry_at[name] = seen.answered_at + FIRST_RETRY_SECONDS
            self._judge_failure(seen, seen.failure, logged)
        is_new = seen.failure is None and (not seen.was_mounted or (provider_gave and name not in self._filled))
        is_changed = seen.was_mounted and dict(seen.content) != dict(before)
        if is_new or is_changed:
            self._judge_content(seen, rule)
        if seen.failure is None and (is_new or is_changed) and self._is_token_expired(seen):
            self._break("I2", f"{name} was mounted with a token that had expired by the provider's clock")
        for line in logged:
            self._judge_time(seen, line)
        if seen.failure is None or seen.was_mounted:
            self._content[name] = seen.content
        self._judge_recovery(seen, rule, is_good=seen.failure is None and (provider_gave or not seen.was_mounted))
        kind = "failed" if seen.failure else "new" if not seen.was_mounted else "changed" if is_changed else "same"
        self._summary.outcomes[kind] += 1

    def _judge_content(self, seen: _Seen, rule: ClassRule) -> None:
        for violation in self._model.check(rule, seen.content, seen.asked_at, seen.answered_at):
            self._break(violation.rule, f"{seen.visit.pod}: {violation.text}")

    def _judge_failure(self, seen: _Seen, failure: FailedMount, logged: Sequence[Mapping[str, Any]]) -> None:
        leak = find_leak(failure.event_text, self._secrets())
        if leak:
            self._break("I4", f"{leak} in an event of {seen.visit.pod}")
        if failure.code not in NON_FINAL_CODES:
            return
        if "[LSP" in failure.event_text or failure.code in {
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.ABORTED,
        }:
            self._break("decision 14", f"{seen.visit.pod} got {failure.code.name}: {failure.event_text}")
        causes = ("provider", "API server", MACHINE)
        is_excused = any(self._disorder.was(what, seen.asked_at, seen.answered_at) for what in causes)
        if not is_excused and not logged:
            self._break("I8", f"{seen.visit.pod} had no answer from a provider that served: {failure.event_text}")

    def _judge_time(self, seen: _Seen, line: Mapping[str, Any]) -> None:
        limit = min(MOUNT_TIMEOUT_SECONDS, seen.visit.deadline_seconds)
        is_excused = self._disorder.was(MACHINE, seen.asked_at, seen.answered_at)
        if line["seconds"] > limit + _LATE_SECONDS and not is_excused:
            self._break("I8", f"{seen.visit.pod} was answered after {line['seconds']} s, later than {limit} s")

    def _judge_recovery(self, seen: _Seen, rule: ClassRule, *, is_good: bool) -> None:
        if (
            is_good
            or not rule.is_permitted
            or seen.visit.token is not TokenKind.GOOD
            or self._disorder.was_any(seen.asked_at - _HEALTHY_SECONDS, seen.answered_at)
        ):
            self._failed_in_peace.pop(seen.visit.pod, None)
            return
        self._failed_in_peace[seen.visit.pod] += 1
        if self._failed_in_peace[seen.visit.pod] >= _ATTEMPTS:
            text = seen.failure.event_text if seen.failure else "the driver hid the error"
            self._break("recovery", f"{seen.visit.pod} failed {_ATTEMPTS} times with nothing out of order: {text}")

    def _judge_logs(self, provider_text: str) -> None:
        secrets = self._secrets()
        for where, text in (
            ("the provider's log", provider_text),
            *((log.path.name, log.read()) for log in self._other_logs),
        ):
            leak = find_leak(text, secrets)
            if leak:
                self._break("I4", f"{leak} in {where}")

    def _secrets(self) -> tuple[str, ...]:
        signatures = {token.rpartition(".")[2] for token in self._stage.tokens.given}
        return (*signatures, *tuple(self._stage.faulty.session_secrets))

    def _is_token_expired(self, seen: _Seen) -> bool:
        """Whether it had by the provider's clock: an old token is young again for a clock that is behind."""
        span = seen.asked_at, seen.answered_at
        if seen.visit.token is TokenKind.EXPIRED and not self._disorder.was("clock behind", *span):
            return True
        return self._disorder.was_throughout("clock ahead", *span)

    def _break(self, rule: str, text: str) -> None:
        self._summary.violations.append((self._summary.operations, Violation(rule=rule, text=text)))


def describe(step: Step) -> str:
    """Render a step in one line."""
    visits = " ".join(
        f"{visit.pod}{'*' if visit.is_new else ''}{'' if visit.token is TokenKind.GOOD else '!' + visit.token.value}"
        for visit in step.visits
    )
    number = f"{step.number:g}" if step.number else ""
    return " ".join(word for word in (step.kind.value, step.target, step.detail, number, visits) if word)
