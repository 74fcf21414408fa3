"""Failed reads → the sentences that reach the pod's event.

Not done here: classifying failures (the adapters), joining the problems of one class (`errors.join_errors`).

Where the Go provider had words for a failure they are kept: `<region>: Failed fetching secret <name>: <cause>` for the
faults that it shows, `Failed to fetch secret from all regions: <name>` for those whose cause it hides; here the cause
of every region follows. A cause that several objects share is said once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_runtime.errors import Culprit, ErrorCode, MountError, shown, shown_list
from provider_runtime.fetch_plan import ReadResult, invalid_parameters_error, plan_reads
from provider_runtime.object_values import ObjectType
from provider_runtime.read_outcomes import FailedRead, InvalidParameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_runtime.object_values import SecretObject
    from provider_runtime.ports import CallError
    from provider_runtime.read_outcomes import ObjectOutcome


def render_outcomes(
    objects: Sequence[SecretObject],
    outcomes: Sequence[ObjectOutcome],
    *,
    regions: Sequence[str],
    where: str,
    caller: str,
) -> tuple[ReadResult | MountError, ...]:
    """Turn each failed outcome into its error; values pass through.

    Only the primary region can say that an object is missing: a failover region is asked when the primary does not
    answer, and may lack the object because it was never replicated. There `is_missing` is False whatever AWS said.

    Args:
        objects: In document order.
        outcomes: Parallel to the objects.
        regions: Of the class, the primary first.
        where: `SecretProviderClass <namespace>/<name>`.
        caller: The role or service account that asked.
    """
    invalid = _InvalidNames(objects, outcomes, regions)
    shared = _names_by_failure(objects, outcomes)
    rendered: list[ReadResult | MountError] = []
    for index, (value, outcome) in enumerate(zip(objects, outcomes, strict=True)):
        if isinstance(outcome, ReadResult):
            rendered.append(outcome)
        elif isinstance(outcome, InvalidParameters):
            rendered.append(_invalid_error(outcome, invalid.names_for(value, outcome), regions[0], where, caller))
        elif outcome.failures[-1].is_of_credentials:
            rendered.append(_credentials_error(outcome.failures, where))
        elif value.type is ObjectType.SECRETS_MANAGER:
            place = f"{where} parameters.objects[{index}]"
            rendered.append(_secret_error(shown(value.name), outcome.failures, regions[0], place))
        else:
            rendered.append(_parameters_error(shown_list(shared[id(outcome.failures[-1])]), outcome.failures, where))
    return tuple(rendered)


class _InvalidNames:
    """Names that Parameter Store called invalid, region by region, those of absent optional objects apart.

    They come in AWS's order, all batches of a region together, so that one error names them all; but an error about
    parameters that must exist does not ask for one that need not.
    """

    def __init__(
        self, objects: Sequence[SecretObject], outcomes: Sequence[ObjectOutcome], regions: Sequence[str]
    ) -> None:
        self._primary = regions[0]
        self._names: dict[str, dict[str, None]] = {}
        asked: dict[bool, set[str]] = {True: set(), False: set()}
        for value, outcome in zip(objects, outcomes, strict=True):
            if isinstance(outcome, InvalidParameters):
                self._names.setdefault(outcome.region, {}).update(dict.fromkeys(outcome.names))
                if outcome.region == self._primary:
                    asked[value.optional].update(plan_reads([value], self._primary).batches[0].names)
        self._absent = asked[True] - asked[False]

    def names_for(self, value: SecretObject, outcome: InvalidParameters) -> list[str]:
        """Return the names that the error of this object lists."""
        names = self._names[outcome.region]
        if outcome.region != self._primary:
            return list(names)
        return [name for name in names if value.optional or name not in self._absent]


def _invalid_error(
    outcome: InvalidParameters, names: Sequence[str], primary: str, where: str, caller: str
) -> MountError:
    if outcome.region == primary:
        return invalid_parameters_error(outcome.region, names, where=where, role=caller)
    because = _because(outcome.region, primary, outcome.earlier)
    return invalid_parameters_error(outcome.region, names, where=where, role=caller, because=because, is_missing=False)


def _names_by_failure(objects: Sequence[SecretObject], outcomes: Sequence[ObjectOutcome]) -> dict[int, list[str]]:
    """Names that share one failed call, by the identity of its failure."""
    names: dict[int, list[str]] = {}
    for value, outcome in zip(objects, outcomes, strict=True):
        if isinstance(outcome, FailedRead):
            names.setdefault(id(outcome.failures[-1]), []).append(value.name)
    return names


def _secret_error(name: str, failures: Sequence[CallError], primary: str, where: str) -> MountError:
    last = failures[-1]
    if last.is_modelled:
        because = "" if last.region == primary else _because(last.region, primary, failures[:-1])
        what = f"{last.region}: Failed fetching secret {name}: {last.cause}"
        return _error(last, where, what, because=because)
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


def _because(region: str, primary: str, earlier: Sequence[CallError]) -> str:
    """Say why a region that is not the primary was asked; no earlier failures: the primary is known to be dead."""
    return f"{shown(region)} was asked because {_causes(earlier) or f'{shown(primary)} has not answered lately'}"


def _error(failure: CallError, where: str, what: str, *, because: str = "") -> MountError:
    # Whatever AWS said about the credentials themselves is for whoever owns the role, as is a refused exchange.
    culprit = Culprit.CREDENTIALS if failure.is_of_credentials and not failure.may_fail_over else None
    if failure.code is ErrorCode.CREDENTIALS_UNAVAILABLE:
        culprit = Culprit.NETWORK
    return MountError(
        failure.code,
        where=where,
        what=what,
        rule=". ".join(sentence for sentence in (because, failure.rule) if sentence),
        fix=failure.fix,
        culprit=culprit,
        is_missing=False if because else None,
    )
