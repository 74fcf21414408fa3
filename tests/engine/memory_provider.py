"""A provider in memory, and engines over it: what the engine's own tests run against.

Types: `toy:index:Box` (inputs `label`, `place`, `note`; a new `place` is another box, a box keeps its place's name) and
`toy:index:Lid` (inputs `box`, `label`; a lid fits one box). A box labelled `broken` cannot be made, changed or removed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from lockstep.engine.deployment import Deployment, Goal
from lockstep.engine.journal import Checkpoint, Journal
from lockstep.engine.removal import remove_remaining
from lockstep.engine.resource_provider import InputProblem, ProviderError, ProviderObject, ResourceDiff
from lockstep.engine.state import STACK_TYPE, EngineState, ResourceState
from lockstep.engine.values import UNKNOWN, Json, Properties, diff_properties

BOX = "toy:index:Box"
LID = "toy:index:Lid"
_INPUTS = {BOX: {"label", "place", "note"}, LID: {"box", "label"}}
_FIXED = {BOX: {"place"}, LID: {"box"}}


@dataclass
class MemoryProvider:
    """Keeps objects by id and the calls that it got, in order."""

    delete_before_replace: bool = False
    objects: dict[str, dict[str, Json]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    settings: list[Properties] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: int = 0

    def configure(self, settings: Properties) -> None:
        """Refuse a place elsewhere, else remember the settings."""
        if settings.get("place") == "elsewhere":
            raise ProviderError("this provider works here, not elsewhere. Fix: stay")
        self.settings.append(settings)

    def check(self, resource_type: str, inputs: Properties) -> tuple[InputProblem, ...]:
        """Refuse unknown types and inputs."""
        if resource_type not in _INPUTS:
            raise ProviderError(f"the toy provider cannot make {resource_type}")
        unknown = sorted(inputs.keys() - _INPUTS[resource_type])
        return tuple(InputProblem(property=key, reason="is no input") for key in unknown)

    def diff(self, resource_type: str, old_inputs: Properties, new_inputs: Properties) -> ResourceDiff:
        """Compare; fixed inputs ask for a replacement."""
        changes = diff_properties(old_inputs, new_inputs)
        fixed = {change.root for change in changes} & _FIXED[resource_type]
        return ResourceDiff(
            changes=changes, replace_keys=tuple(sorted(fixed)), delete_before_replace=self.delete_before_replace
        )

    def plan(self, resource_type: str, inputs: Properties, prior: Properties) -> Properties:  # noqa: ARG002 - the protocol's signature
        """Return the inputs and, for a new object, an unknown serial."""
        return {**inputs, "serial": prior.get("serial", UNKNOWN)}

    def create(self, resource_type: str, inputs: Properties) -> ProviderObject:
        """Make an object."""
        with self.lock:
            self._refuse_broken("make", inputs)
            serial = self.next_serial(inputs)
            object_id = f"{resource_type.rsplit(':', 1)[1].lower()}-{serial}"
            self.objects[object_id] = {**inputs, "serial": serial}
            self.calls.append(f"create {inputs.get('label')}")
            return ProviderObject(id=object_id, outputs=self.objects[object_id])

    def next_serial(self, inputs: Properties) -> int:  # noqa: ARG002 - for providers that number otherwise
        """Number objects as they are made."""
        self.made += 1
        return self.made

    def read(self, resource_type: str, object_id: str) -> ProviderObject | None:  # noqa: ARG002 - the protocol's signature
        """Look an object up."""
        found = self.objects.get(object_id)
        return None if found is None else ProviderObject(id=object_id, outputs=found)

    def update(self, resource_type: str, prior: ProviderObject, inputs: Properties) -> ProviderObject:  # noqa: ARG002 - the protocol's signature
        """Change an object."""
        with self.lock:
            self._refuse_broken("change", inputs)
            self.objects[prior.id] = {**inputs, "serial": prior.outputs["serial"]}
            self.calls.append(f"update {inputs.get('label')}")
            return ProviderObject(id=prior.id, outputs=self.objects[prior.id])

    def delete(self, resource_type: str, prior: ProviderObject) -> None:  # noqa: ARG002 - the protocol's signature
        """Remove an object."""
        with self.lock:
            if prior.outputs.get("note") == "nailed down":
                raise ProviderError(f"{prior.id} is nailed down")
            self.objects.pop(prior.id, None)
            self.calls.append(f"delete {prior.outputs.get('label')}")

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Weigh something."""
        if token != "toy:index:weigh":
            raise ProviderError(f"the toy provider does not answer {token}")
        return {"grams": 7, "of": arguments["label"]}

    @staticmethod
    def _refuse_broken(verb: str, inputs: Properties) -> None:
        if inputs.get("label") == "broken":
            raise ProviderError(f"cannot {verb} a broken box. Fix: take another")


@dataclass
class Run:
    """One run without a program: register goals by hand, then `finish`."""

    deployment: Deployment
    journal: Journal
    providers: Mapping[str, MemoryProvider]
    dry_run: bool
    stack: ResourceState

    def box(self, name: str, *, parent: str = "", **options: object) -> ResourceState:
        """Register a box."""
        return self.register(BOX, name, parent=parent, **options)

    def register(self, resource_type: str, name: str, **options: object) -> ResourceState:
        """Register a custom resource."""
        parent = str(options.pop("parent", "") or self.stack.urn)
        return self.deployment.register(
            Goal(type=resource_type, name=name, custom=True, inputs=options.pop("inputs", {}), parent=parent, **options)  # type: ignore[arg-type]
        )

    def component(self, name: str, **options: object) -> ResourceState:
        """Register a component."""
        goal = Goal(type="toy:index:Shelf", name=name, custom=False, inputs={}, parent=self.stack.urn, **options)  # type: ignore[arg-type]
        return self.deployment.register(goal)

    def finish(self) -> EngineState:
        """End the program; remove what it no longer registers."""
        if not self.journal.failed:
            remove_remaining(self.journal, self.providers, dry_run=self.dry_run)
        return self.journal.snapshot()

    def operations(self) -> dict[str, str]:
        """Return name → operation of all custom resources that changed, default providers left out."""
        return {
            step.state.name: step.operation.value
            for step in self.journal.steps
            if step.state.custom and not step.state.is_provider and step.operation.value != "same"
        }

    @property
    def errors(self) -> list[str]:
        """All messages of the run."""
        return [item.message for item in self.journal.diagnostics]


def start(
    provider: MemoryProvider,
    state: EngineState | None = None,
    *,
    dry_run: bool = False,
    config: Mapping[str, str] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Run:
    """Begin a run of the stack `proj-dev` with the stack resource registered."""
    journal = Journal(state or EngineState(), checkpoint)
    providers = {"toy": provider}
    deployment = Deployment(
        project="proj", stack="dev", dry_run=dry_run, config=config or {}, providers=providers, journal=journal
    )
    stack = deployment.register(Goal(type=STACK_TYPE, name="proj-dev", custom=False, inputs={}))
    return Run(deployment=deployment, journal=journal, providers=providers, dry_run=dry_run, stack=stack)
