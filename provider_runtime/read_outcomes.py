"""What one mount asks for and what becomes of it: its terms, its cost, and the outcome of each object.

Not done here: asking (`value_reads`), saying what failed (`failure_texts`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from provider_runtime.fetch_plan import ReadResult
from provider_runtime.ports import CallError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provider_runtime.fetch_plan import ParameterBatch, Read
    from provider_runtime.object_values import ObjectType, SecretObject
    from provider_runtime.ports import Caller, ParameterOutcome


@dataclass(slots=True, kw_only=True)
class Tally:
    """What one mount cost; counted while it runs."""

    aws_calls: int = 0
    remembered: int = 0
    shared: int = 0
    """Reads that waited for a call which another mount had begun."""
    missed: int = 0
    """Reads that this mount had to begin itself."""
    stale: int = 0
    oldest_seconds: float = 0.0

    def note_flight(self, reads: int, *, is_shared: bool) -> None:
        """Count reads that memory could not answer."""
        if is_shared:
            self.shared += reads
        else:
            self.missed += reads


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidParameters:
    """Parameter Store does not know some names of a batch."""

    region: str
    names: tuple[str, ...]
    earlier: tuple[CallError, ...] = ()
    """Why the regions before this one gave no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRead:
    """No region gave a value; one failure per region asked, the last one decides."""

    failures: tuple[CallError, ...]


ObjectOutcome = ReadResult | InvalidParameters | FailedRead
RegionOutcome = ReadResult | InvalidParameters | CallError
"""What one region said about one read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One mount's terms.

    Args:
        caller: Who asks.
        accepted_age: Seconds up to which a remembered value will do.
        deadline: Monotonic seconds.
        tally: Counts the cost.
    """

    caller: Caller
    accepted_age: float
    deadline: float
    tally: Tally


class Hunt:
    """The objects of one mount on their way to an outcome."""

    def __init__(self, objects: Sequence[SecretObject]) -> None:
        self.objects = tuple(objects)
        self.outcomes: dict[int, ObjectOutcome] = {}
        self._failures: dict[int, tuple[CallError, ...]] = dict.fromkeys(range(len(objects)), ())

    def pending(self, without: Iterable[ObjectType] = ()) -> tuple[int, ...]:
        """Objects that another region, or memory, may still answer; those of some stores left out."""
        return tuple(
            index
            for index, value in enumerate(self.objects)
            if value.type not in without and (index not in self.outcomes or _may_go_on(self.outcomes[index]))
        )

    def note(self, index: int, outcome: RegionOutcome) -> None:
        """Record what one region said about one object."""
        if isinstance(outcome, CallError):
            self._failures[index] += (outcome,)
            self.outcomes[index] = FailedRead(failures=self._failures[index])
        elif isinstance(outcome, InvalidParameters):
            self.outcomes[index] = replace(outcome, earlier=self._failures[index])
        else:
            self.outcomes[index] = outcome


def _may_go_on(outcome: ObjectOutcome) -> bool:
    return isinstance(outcome, FailedRead) and outcome.failures[-1].may_fail_over


def is_refused(outcome: ObjectOutcome) -> bool:
    """Whether AWS answered and the answer was no: denied, not found, not readable."""
    return isinstance(outcome, InvalidParameters) or (
        isinstance(outcome, FailedRead) and outcome.failures[-1].is_refusal
    )


def outcomes_of_batch(
    batch: ParameterBatch, region: str, outcome: ParameterOutcome | CallError
) -> dict[Read, RegionOutcome]:
    """Give every read of a batch its outcome."""
    if isinstance(outcome, CallError):
        return dict.fromkeys(batch.reads, outcome)
    invalid = InvalidParameters(region=region, names=outcome.invalid)
    return {read: outcome.found.get(read, invalid) for read in batch.reads}
