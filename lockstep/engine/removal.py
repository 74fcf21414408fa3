"""Removes what a program no longer registers, in reverse order of dependency; with no program, everything.

Not done here: replacements in place (deployment.py). Nothing is removed when a protected resource is among what would
go, and the first removal that fails ends the run: what it leaves stays in the state.

Source: pulumi `pkg/resource/deploy/step_generator.go` (`GenerateDeletes`, protect, retainOnDelete, deletedWith).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from lockstep.engine.journal import Journal
from lockstep.engine.resource_provider import ProviderError, ProviderObject, ResourceProvider
from lockstep.engine.state import ResourceState
from lockstep.engine.values import reveal_properties


def remove_remaining(journal: Journal, providers: Mapping[str, ResourceProvider], *, dry_run: bool) -> None:
    """Remove every record that this run has not touched; problems go to the journal.

    A record is kept by its provider when it is marked `retain_on_delete`, or when the resource that it is
    `deleted_with` goes in the same run: then its end is entered without a call.
    """
    journal.settle_early_removals()
    doomed = journal.remaining()
    guarded = [record for record in doomed if record.protect and not record.delete]
    for record in guarded:
        journal.fail(
            f"{record.type} {record.name!r} cannot be deleted because it is protected. Nothing was deleted. "
            "Fix: keep it in the program, or remove `protect` in a run of its own first",
            record.urn,
        )
    if guarded:
        return
    going = {str(record.urn) for record in doomed if not record.delete}
    for record in doomed:
        try:
            if not dry_run:
                _remove(record, going, providers)
        except ProviderError as error:
            journal.fail(str(error), record.urn)
            return
        journal.remove(record)


def _remove(record: ResourceState, going: AbstractSet[str], providers: Mapping[str, ResourceProvider]) -> None:
    if not record.custom or record.is_provider or record.retain_on_delete or record.deleted_with in going:
        return
    package = record.type.split(":", 1)[0]
    provider = providers.get(package)
    if provider is None:
        raise ProviderError(
            f"{record.type} was made by the provider {package!r}, which this run does not have. "
            "Fix: run with the providers that made the stack"
        )
    provider.delete(record.type, ProviderObject(id=record.id, outputs=reveal_properties(record.outputs)))
