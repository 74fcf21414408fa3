"""Decides and performs the step of each resource that a program registers.

Not done here: the wire protocol (monitor.py), removals at the end of a run (removal.py) and what a type means (the
providers). One call of `Deployment.register` is one resource: check its inputs, compare them with the last run, then
create, update, replace or leave it; at preview everything but the doing.

Source of the rules: pulumi `pkg/resource/deploy/step_generator.go` (same, update, replacement with dependants, protect)
and `source_eval.go` (`inheritFromParent`, default providers).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from lockstep.engine.aliases import Aliases
from lockstep.engine.digest import Operation, Step
from lockstep.engine.journal import Journal
from lockstep.engine.resource_provider import ProviderError, ProviderObject, ResourceDiff, ResourceProvider
from lockstep.engine.state import STACK_TYPE, ResourceState, Urn
from lockstep.engine.values import (
    UNKNOWN,
    Json,
    Properties,
    diff_properties,
    is_secret,
    keep_ignored,
    keep_secrets,
    reveal_properties,
    secret,
)

#: Namespace of the ids that provider resources get. Pulumi's are random; fixed ones keep runs comparable.
_PROVIDER_IDS = uuid.UUID("3f0e9b5c-6f0a-4d0e-9d38-6b8f6a1f2a10")


class EngineStoppedError(Exception):
    """The run has failed; its reason is in the journal. The program is told to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One resource as the program wants it. Optional flags are None when the program did not say."""

    type: str
    name: str
    custom: bool
    inputs: Properties
    parent: str = ""
    provider: str = ""
    version: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool | None = None
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    delete_before_replace: bool | None = None
    secret_outputs: tuple[str, ...] = ()
    aliases: tuple[Urn, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    timeouts: Mapping[str, float] = field(default_factory=dict)


class Deployment:
    """One run of one stack. Thread-safe: a program registers independent resources at the same time."""

    def __init__(
        self,
        *,
        project: str,
        stack: str,
        dry_run: bool,
        config: Mapping[str, str],
        providers: Mapping[str, ResourceProvider],
        journal: Journal,
    ) -> None:
        self.project = project
        self.stack = stack
        self.dry_run = dry_run
        self._config = config
        self._providers = providers
        self.journal = journal
        self._aliases = Aliases()
        self._default_providers = threading.Lock()

    # ------------------------------------------------------------------------------------------------- registration
    def register(self, goal: Goal) -> ResourceState:
        """Bring one resource to its goal and return its new record (id empty while unknown).

        Raises:
            EngineStoppedError: It failed, or the run had failed before; the journal has the reason.
        """
        if self.journal.failed:
            raise EngineStoppedError
        urn = self.urn_of(goal.type, goal.name, goal.parent)
        if not self.journal.claim(urn):
            self._stop(
                f"two resources of type {goal.type} are called {goal.name!r}. A name is unique per type and "
                "parent. Fix: rename one of them",
                urn,
            )
        try:
            return self._register(urn, goal)
        except ProviderError as error:
            self._stop(str(error), urn)

    def read(self, goal: Goal, object_id: str) -> ProviderObject:
        """Look up an object that the program does not own. It gets no record, so no run ever removes it."""
        urn = self.urn_of(goal.type, goal.name, goal.parent)
        try:
            found = self._provider_of(goal.type).read(goal.type, object_id)
        except ProviderError as error:
            self._stop(str(error), urn)
        if found is None:
            self._stop(f"there is no {goal.type} with the id {object_id!r}. Fix: correct the id", urn)
        return found

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Answer a provider function.

        Raises:
            ProviderError: The package or the function is unknown, or the call failed. The program sees the text.
        """
        return self._provider_of(token).invoke(token, reveal_properties(arguments))

    def urn_of(self, resource_type: str, name: str, parent: str) -> Urn:
        """Build the URN; the types of all parents but the stack are part of it."""
        parent_type = parent.split("::")[2] if parent else ""
        if parent_type and parent_type != STACK_TYPE:
            resource_type = f"{parent_type}${resource_type}"
        return Urn(f"urn:pulumi:{self.stack}::{self.project}::{resource_type}::{name}")

    # ----------------------------------------------------------------------------------------------------- the steps
    def _register(self, urn: Urn, goal: Goal) -> ResourceState:
        self.journal.adopt(self._aliases.enter(urn, goal.parent, goal.aliases), urn)
        target = self._target(urn, goal)
        if not goal.custom:
            return self._register_component(target)
        if goal.type.startswith("pulumi:providers:"):
            version: dict[str, Json] = {"version": goal.version} if goal.version else {}
            return self._register_provider(replace(target, inputs={**target.inputs, **version}))
        if not target.provider:
            default = self._default_provider(goal)
            target = replace(target, provider=f"{default.urn}::{default.id or UNKNOWN}")
        provider = self._provider_of(goal.type)
        inputs = reveal_properties(target.inputs)
        problems = provider.check(goal.type, inputs)
        if problems:
            for problem in problems:
                self.journal.fail(f"{goal.type} {goal.name!r}, property {problem.property}: {problem.reason}", urn)
            raise EngineStoppedError
        return self._place(target, goal, provider, inputs)

    def _place(
        self, target: ResourceState, goal: Goal, provider: ResourceProvider, inputs: Properties
    ) -> ResourceState:
        old = self.journal.prior(target.urn) or self.journal.removed_early(target.urn)
        if old is None:
            new = self._created(target, goal, provider, inputs)
            self.journal.record(Step(operation=Operation.CREATE, urn=target.urn, new=new))
            return new
        if self.journal.removed_early(target.urn) is not None:
            return self._recreate(old, target, goal, provider, inputs)
        diff = provider.diff(goal.type, reveal_properties(old.inputs), inputs)
        if diff.replace_keys:
            return self._replace(old, target, goal, provider, diff)
        if diff.changes:
            new = self._updated(old, target, goal, provider, inputs)
            self.journal.record(Step(operation=Operation.UPDATE, urn=target.urn, old=old, new=new, diff=diff))
            return new
        new = replace(target, id=old.id, outputs=self._marked(old.outputs, target, goal))
        self.journal.record(Step(operation=Operation.SAME, urn=target.urn, old=old, new=new))
        return new

    def _created(
        self, target: ResourceState, goal: Goal, provider: ResourceProvider, inputs: Properties
    ) -> ResourceState:
        if self.dry_run:
            return replace(target, outputs=self._marked(provider.plan(goal.type, inputs, {}), target, goal))
        made = provider.create(goal.type, inputs)
        return replace(target, id=made.id, outputs=self._marked(made.outputs, target, goal))

    def _updated(
        self, old: ResourceState, target: ResourceState, goal: Goal, provider: ResourceProvider, inputs: Properties
    ) -> ResourceState:
        prior = ProviderObject(id=old.id, outputs=reveal_properties(old.outputs))
        if self.dry_run:
            outputs = provider.plan(goal.type, inputs, prior.outputs)
            return replace(target, id=old.id, outputs=self._marked(outputs, target, goal))
        changed = provider.update(goal.type, prior, inputs)
        return replace(target, id=changed.id, outputs=self._marked(changed.outputs, target, goal))

    def _replace(
        self, old: ResourceState, target: ResourceState, goal: Goal, provider: ResourceProvider, diff: ResourceDiff
    ) -> ResourceState:
        if old.protect:
            raise ProviderError(
                f"{goal.type} {goal.name!r} is protected and {', '.join(sorted(diff.replace_keys))} cannot be changed "
                "without replacing it. Fix: keep the value, or remove `protect` in a run of its own first"
            )
        old_goes_first = (
            diff.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
        )
        if old_goes_first:
            self._remove_with_dependants(old)
        new = self._created(target, goal, provider, reveal_properties(target.inputs))
        self.journal.record(
            Step(operation=Operation.REPLACE, urn=target.urn, old=old, new=new, diff=diff),
            keep_old_for_removal=not old_goes_first,
        )
        return new

    def _recreate(
        self, old: ResourceState, target: ResourceState, goal: Goal, provider: ResourceProvider, inputs: Properties
    ) -> ResourceState:
        """Create again what had to go because something that it depends on was replaced.

        Its inputs are not compared any more, so the step names no reason: Pulumi's has none either.
        """
        new = self._created(target, goal, provider, inputs)
        self.journal.record(Step(operation=Operation.REPLACE, urn=target.urn, old=old, new=new))
        return new

    def _remove_with_dependants(self, old: ResourceState) -> None:
        """Remove an object that is replaced in its own place, and first what cannot live without it."""
        for record in (*reversed(self._dependants_to_replace(old)), old):
            provider = self._provider_of(record.type)
            if record.protect:
                raise ProviderError(
                    f"{record.urn} is protected and would have to be replaced together with {old.urn}. "
                    "Fix: remove `protect` in a run of its own first"
                )
            if not self.dry_run and not record.retain_on_delete:
                provider.delete(record.type, ProviderObject(id=record.id, outputs=reveal_properties(record.outputs)))
            self.journal.remove_early(record)

    def _dependants_to_replace(self, old: ResourceState) -> list[ResourceState]:
        """Find, in order, the records with a property that comes from `old` and that cannot change in place."""
        doomed: dict[str, ResourceState] = {}
        for record in self.journal.prior_records():
            sources = {old.urn, *doomed}
            fed = [key for key, urns in record.property_dependencies.items() if sources.intersection(urns)]
            if not fed or not record.custom or record.is_provider or record.urn == old.urn:
                continue
            inputs = reveal_properties(record.inputs)
            unsettled = inputs | dict.fromkeys(fed, UNKNOWN)
            if self._provider_of(record.type).diff(record.type, inputs, unsettled).replace_keys:
                doomed[record.urn] = record
        return list(doomed.values())

    # --------------------------------------------------------------------------- components, providers, inheritance
    def _register_component(self, target: ResourceState) -> ResourceState:
        old = self.journal.prior(target.urn)
        if old is None:
            operation = Operation.CREATE
        else:
            changed = diff_properties(reveal_properties(old.inputs), reveal_properties(target.inputs))
            operation = Operation.UPDATE if changed else Operation.SAME
        self.journal.record(Step(operation=operation, urn=target.urn, old=old, new=target))
        return target

    def _register_provider(self, target: ResourceState) -> ResourceState:
        package = target.type.removeprefix("pulumi:providers:")
        self._provider_of(f"{package}:").configure(reveal_properties(target.inputs))
        old = self.journal.prior(target.urn)
        if old is None:
            new = replace(target, id="" if self.dry_run else self._provider_id(target.urn), outputs=target.inputs)
            self.journal.record(Step(operation=Operation.CREATE, urn=target.urn, new=new))
            return new
        new = replace(target, id=old.id, outputs=target.inputs)
        changes = diff_properties(reveal_properties(old.inputs), reveal_properties(target.inputs))
        operation = Operation.UPDATE if changes else Operation.SAME
        diff = ResourceDiff(changes=changes)
        self.journal.record(Step(operation=operation, urn=target.urn, old=old, new=new, diff=diff))
        return new

    def _default_provider(self, goal: Goal) -> ResourceState:
        """Return the provider that the engine makes for resources that name none, configured by `<package>:*` keys."""
        package = goal.type.split(":", 1)[0]
        self._provider_of(goal.type)
        name = "default_" + goal.version.replace(".", "_") if goal.version else "default"
        urn = self.urn_of(f"pulumi:providers:{package}", name, "")
        with self._default_providers:
            if not self.journal.claim(urn):
                existing = self.journal.current(urn)
                if existing is None:
                    raise EngineStoppedError
                return existing
            prefix = f"{package}:"
            inputs: dict[str, Json] = {
                key.removeprefix(prefix): value for key, value in self._config.items() if key.startswith(prefix)
            }
            if goal.version:
                inputs["version"] = goal.version
            record = ResourceState(urn=urn, type=f"pulumi:providers:{package}", custom=True, inputs=inputs)
            return self._register_provider(record)

    def _target(self, urn: Urn, goal: Goal) -> ResourceState:
        """Fill in what a resource inherits from its parent. The SDK resolves the provider itself."""
        parent = self.journal.current(goal.parent)
        protect = parent.protect if goal.protect is None and parent else bool(goal.protect)
        prior = self.journal.prior(urn)
        retain = parent.retain_on_delete if goal.retain_on_delete is None and parent else bool(goal.retain_on_delete)
        return ResourceState(
            urn=urn,
            type=goal.type,
            custom=goal.custom,
            inputs=keep_ignored(prior.inputs, goal.inputs, goal.ignore_changes) if prior else goal.inputs,
            parent=goal.parent,
            provider=goal.provider,
            dependencies=tuple(sorted(set(goal.dependencies))),
            property_dependencies=goal.property_dependencies,
            protect=protect,
            retain_on_delete=retain,
            deleted_with=goal.deleted_with or (parent.deleted_with if parent else ""),
            secret_outputs=goal.secret_outputs,
            ignore_changes=goal.ignore_changes,
            timeouts=goal.timeouts,
        )

    def _provider_of(self, token: str) -> ResourceProvider:
        package = token.split(":", 1)[0]
        provider = self._providers.get(package)
        if provider is None:
            known = ", ".join(sorted(self._providers)) or "none"
            raise ProviderError(
                f"{token} needs a provider for the package {package!r}. This engine has: {known}. "
                "Fix: correct the type, or run the program with the Pulumi CLI"
            )
        return provider

    def _marked(self, outputs: Properties, target: ResourceState, goal: Goal) -> dict[str, Json]:
        marked = keep_secrets(outputs, target.inputs)
        for key in goal.secret_outputs:
            if key in marked and not is_secret(marked[key]):
                marked[key] = secret(marked[key])
        return marked

    def _provider_id(self, urn: Urn) -> str:
        return str(uuid.uuid5(_PROVIDER_IDS, urn))

    def _stop(self, message: str, urn: Urn) -> NoReturn:
        self.journal.fail(message, urn)
        raise EngineStoppedError
