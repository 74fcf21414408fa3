"""Failed reads → the sentences that reach the pod's event.

Not done here: classifying failures (the adapters), joining the problems of one class (`errors.join_errors`).

Where the Go provider had words for a failure they are kept: `<region>: Failed fetching secret <name>: <cause>` for the
faults that it shows, `Failed to fetch secret from all regions: <name>` for those whose cause it hides; here the cause
of every region follows. A cause that several objects share is said once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_runtime.errors import Culprit, ErrorCode, MountError, shown, shown_list
from provider_runtime.fetch_plan import ReadResult, invalid_parameters_error
from provider_runtime.object_values import ObjectType
from provider_runtime.read_outcomes import FailedRead, InvalidParameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_runtime.object_values import SecretObject
    from provider_runtime.ports import CallError
    from provider_runtime.read_outcomes import ObjectOutcome


def render_outcomes(
    objects: Sequence[SecretObject], outcomes: Sequence[ObjectOutcome], *, where: str, caller: str
) -> tuple[ReadResult | MountError, ...]:
    """Turn each failed outcome into its error; values pass through.

    Args:
        objects: In document order.
        outcomes: Parallel to the objects.
        where: `SecretProviderClass <namespace>/<name>`.
        caller: The role or service account that asked.
    """
    invalid = _render_invalid(outcomes, where=where, caller=caller)
    shared = _names_by_failure(objects, outcomes)
    rendered: list[ReadResult | MountError] = []
    for index, (value, outcome) in enumerate(zip(objects, outcomes, strict=True)):
        if isinstance(outcome, ReadResult):
            rendered.append(outcome)
        elif isinstance(outcome, InvalidParameters):
            rendered.append(invalid[outcome.region])
        elif outcome.failures[-1].is_of_credentials:
            rendered.append(_credentials_error(outcome.failures, where))
        elif value.type is ObjectType.SECRETS_MANAGER:
            place = f"{where} parameters.objects[{index}]"
            rendered.append(_secret_error(shown(value.name), outcome.failures, place))
        else:
            rendered.append(_parameters_error(shown_list(shared[id(outcome.failures[-1])]), outcome.failures, where))
    return tuple(rendered)


def _render_invalid(outcomes: Sequence[ObjectOutcome], *, where: str, caller: str) -> dict[str, MountError]:
    """One error per region for all batches, names in document order of the batches."""
    names: dict[str, dict[str, None]] = {}
    for outcome in outcomes:
        if isinstance(outcome, InvalidParameters):
            names.setdefault(outcome.region, {}).update(dict.fromkeys(outcome.names))
    return {
        region: invalid_parameters_error(region, found, where=where, role=caller) for region, found in names.items()
    }


def _names_by_failure(objects: Sequence[SecretObject], outcomes: Sequence[ObjectOutcome]) -> dict[int, list[str]]:
    """Names that share one failed call, by the identity of its failure."""
    names: dict[int, list[str]] = {}
    for value, outcome in zip(objects, outcomes, strict=True):
        if isinstance(outcome, FailedRead):
            names.setdefault(id(outcome.failures[-1]), []).append(value.name)
    return names


def _secret_error(name: str, failures: Sequence[CallError], where: str) -> MountError:
    last = failures[-1]
    if last.is_modelled:
        return _error(last, where, f"{last.region}: Failed fetching secret {name}: {last.cause}")
    return _error(last, where, f"Failed to fetch secret from all regions: {name}: {_causes(failures)}")


def _parameters_error(names: str, failures: Sequence[CallError], where: str) -> MountError:
    last = failures[-1]
    if last.is_modelled:
        return _error(last, where, f"{last.region}: Failed fetching parameters: {last.cause} (asked for {names})")
    return _error(last, where, f"Failed to fetch parameters from all regions: {names}: {_causes(failures)}")


def _credentials_error(failures: Sequence[CallError], where: str) -> MountError:
    return _error(failures[-1], where, f"failed to refresh cached credentials: {_causes(failures)}")


def _causes(failures: Sequence[CallError]) -> str:
    return "; ".join(f"{shown(failure.region)}: {failure.action}: {failure.cause}" for failure in failures)


def _error(failure: CallError, where: str, what: str) -> MountError:
    # Whatever AWS said about the credentials themselves is for whoever owns the role, as is a refused exchange.
    culprit = Culprit.CREDENTIALS if failure.is_of_credentials and not failure.may_fail_over else None
    if failure.code is ErrorCode.CREDENTIALS_UNAVAILABLE:
        culprit = Culprit.NETWORK
    return MountError(failure.code, where=where, what=what, rule=failure.rule, fix=failure.fix, culprit=culprit)
