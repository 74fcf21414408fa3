"""The one mutable thing of a run: what has been done so far. Every method may be called from any thread.

Not done here: deciding (deployment.py, removal.py) and showing (digest.py). Whatever happens in the middle of a run,
the journal's snapshot describes what exists: records of this run first (each was recorded after everything it depends
on), then those of the last run that nothing has touched yet, in their old order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from lockstep.engine.digest import Diagnostic, Operation, Severity, Step
from lockstep.engine.resource_provider import ResourceDiff
from lockstep.engine.state import EngineState, ResourceState, Urn
from lockstep.engine.values import Properties

Checkpoint = Callable[[EngineState], None]


class Journal:
    """Collects records, steps and diagnostics of one run."""

    def __init__(self, prior: EngineState, checkpoint: Checkpoint | None = None) -> None:
        """Start from the state of the last run; `checkpoint` gets the state after every change of it."""
        self._lock = threading.RLock()
        self._checkpoint = checkpoint
        self._claimed: set[str] = set()
        self._registered: dict[str, ResourceState] = {}
        self._untouched: dict[str, ResourceState] = {
            record.urn: record for record in prior.resources if not record.delete
        }
        self._pending = [record for record in prior.resources if record.delete]
        self._age = {(record.urn, record.id): index for index, record in enumerate(prior.resources)}
        self._removed_early: dict[str, ResourceState] = {}
        self._steps: list[Step] = []
        self._diagnostics: list[Diagnostic] = []
        self._failed = False

    # ------------------------------------------------------------------------------------------------ registrations
    def claim(self, urn: Urn) -> bool:
        """Reserve a URN for one registration; False when this run has registered it before."""
        with self._lock:
            if urn in self._claimed:
                return False
            self._claimed.add(urn)
            return True

    def adopt(self, aliases: Iterable[Urn], urn: Urn) -> None:
        """Let a resource of the last run go on under a new URN; the first alias that has a record wins.

        What the other untouched records say of it follows, so that removals keep their order.
        """
        with self._lock:
            old = next((alias for alias in aliases if alias in self._untouched), None)
            if old is None or urn in self._untouched:
                return
            self._age[urn, self._untouched[old].id] = self._age[old, self._untouched[old].id]
            renamed = {key: _renamed(record, old, urn) for key, record in self._untouched.items()}
            self._untouched = {record.urn: record for record in renamed.values()}
            self._pending = [_renamed(record, old, urn) for record in self._pending]

    def prior(self, urn: str) -> ResourceState | None:
        """Return the record of the last run, if the object still exists."""
        with self._lock:
            return self._untouched.get(urn)

    def prior_records(self) -> tuple[ResourceState, ...]:
        """Return all records of the last run that nothing has touched yet, in order."""
        with self._lock:
            return tuple(self._untouched.values())

    def removed_early(self, urn: str) -> ResourceState | None:
        """Return the record of an object that had to go before its dependency could be replaced."""
        with self._lock:
            return self._removed_early.get(urn)

    def current(self, urn: str) -> ResourceState | None:
        """Return the record of this run, or None."""
        with self._lock:
            return self._registered.get(urn)

    def record(self, step: Step, *, keep_old_for_removal: bool = False) -> None:
        """Enter a step that gives a resource a new record.

        `keep_old_for_removal`: the old object still exists under the same URN and is removed at the end of the run.
        """
        if step.new is None:
            raise ValueError(f"step {step.urn} has no new record; removals are entered with `remove`")
        with self._lock:
            self._claimed.add(step.urn)
            self._registered[step.urn] = step.new
            old = self._untouched.pop(step.urn, None)
            if keep_old_for_removal and old is not None:
                self._pending.append(replace(old, delete=True))
            self._removed_early.pop(step.urn, None)
            self._steps.append(step)
            self._save()

    def set_outputs(self, urn: str, outputs: Properties) -> bool:
        """Give a component (or the stack) its outputs; False when the URN is unknown."""
        with self._lock:
            record = self._registered.get(urn)
            if record is None:
                return False
            updated = replace(record, outputs=outputs)
            self._registered[urn] = updated
            self._steps = [replace(step, new=updated) if step.urn == urn and step.new else step for step in self._steps]
            self._save()
            return True

    # ----------------------------------------------------------------------------------------------------- removals
    def remove_early(self, record: ResourceState) -> None:
        """Enter that an object of the last run is gone because something under it is being replaced."""
        with self._lock:
            self._untouched.pop(record.urn, None)
            self._removed_early[record.urn] = record
            self._save()

    def remaining(self) -> tuple[ResourceState, ...]:
        """Return what the program no longer registers and what replacements left behind, dependants first."""
        with self._lock:
            left = [*self._untouched.values(), *self._pending]
            return tuple(sorted(left, key=lambda record: -self._age[record.urn, record.id]))

    def remove(self, record: ResourceState) -> None:
        """Enter the end of an object. The rest of a replacement is no step of its own, as in Pulumi's preview."""
        with self._lock:
            if record.delete:
                self._pending = [item for item in self._pending if item is not record]
            else:
                self._untouched.pop(record.urn, None)
                self._steps.append(Step(operation=Operation.DELETE, urn=record.urn, old=record))
            self._save()

    def settle_early_removals(self) -> None:
        """Turn early removals that the program did not register again into plain deletions."""
        with self._lock:
            for urn, record in self._removed_early.items():
                self._steps.append(Step(operation=Operation.DELETE, urn=Urn(urn), old=record, diff=ResourceDiff()))
            self._removed_early.clear()

    # -------------------------------------------------------------------------------------------------- diagnostics
    def add(self, diagnostic: Diagnostic) -> None:
        """Keep a message. An error ends the run: later registrations are refused."""
        with self._lock:
            self._diagnostics.append(diagnostic)
            self._failed = self._failed or diagnostic.severity is Severity.ERROR

    def fail(self, message: str, urn: str = "") -> None:
        """Keep an error."""
        self.add(Diagnostic(severity=Severity.ERROR, message=message, urn=urn))

    @property
    def failed(self) -> bool:
        """Whether an error was kept."""
        with self._lock:
            return self._failed

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All messages, in order."""
        with self._lock:
            return tuple(self._diagnostics)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, as they were entered."""
        with self._lock:
            return tuple(self._steps)

    def snapshot(self) -> EngineState:
        """Return what exists now."""
        with self._lock:
            return EngineState(
                resources=(*self._registered.values(), *self._untouched.values(), *self._pending),
            )

    def _save(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint(self.snapshot())


def _renamed(record: ResourceState, old: Urn, new: Urn) -> ResourceState:
    """Return a record that says `new` wherever it said `old`, its own URN included."""

    def follow(urns: Iterable[str]) -> tuple[str, ...]:
        return tuple(new if urn == old else urn for urn in urns)

    provider = record.provider.removeprefix(f"{old}::")
    return replace(
        record,
        urn=new if record.urn == old else record.urn,
        parent=new if record.parent == old else record.parent,
        provider=record.provider if provider == record.provider else f"{new}::{provider}",
        dependencies=follow(record.dependencies),
        property_dependencies={key: follow(urns) for key, urns in record.property_dependencies.items()},
        deleted_with=new if record.deleted_with == old else record.deleted_with,
    )
