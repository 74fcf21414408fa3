"""What a chaos run knows to be true, and what a mount may therefore show: a pure model, time is an argument.

The truth is what was done to AWS and when (values, permissions), what AWS answered to whom (a journal of the calls that
passed in front of it), and when it was disturbed. A change takes effect at some moment between its two times, so the
model allows for either side. Rules, by invariant:

* I2 a value comes from a read that AWS answered to this very identity, and bears the name of the file's object;
* I2 a permission that was taken away bites at the next check: no value past the longest age, outages apart;
* I2 after an answer that refuses, nothing that was read before it is given out, outage or not;
* I3 every file of the class is there, whole, and all files of one object have one number;
* I3 a value is no older than the longest age, or than `max_stale` where AWS was disturbed.

Not done here: mounting (run.py), the journal's filling (faulty_aws.py).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeVar

from tests.chaos.world import ClassRule, Identity, parse_value, render_file

#: A call that took longer than this counts as a disturbance of its own: the machine was too busy.
SLOW_SECONDS: Final = 1.0
#: Between the moment that an answer is sent and the moment that the provider has acted on it.
SETTLE_SECONDS: Final = 1.0
#: No call lasts longer: it is 30 s late, or as long unanswered as the provider waits.
LONGEST_CALL_SECONDS: Final = 90.0

_Value = TypeVar("_Value")


class Answer(StrEnum):
    """What AWS, or a fault in front of it, made of a call."""

    VALUES = "values"
    DENIED = "denied"
    DISTURBED = "disturbed"
    OTHER = "other"


@dataclass(slots=True, kw_only=True)
class Call:
    """One call that reached AWS's side.

    Attributes:
        identity: On whose behalf.
        objects: What was asked for; () for an exchange, which is about all.
        began: When the whole request was there; monotonic seconds.
        ended: When the answer had been sent; infinite while it has not.
        answer: What was answered.
        numbers: Object → number of the value that was given.
        missing: Objects that do not exist.
    """

    identity: Identity
    objects: tuple[str, ...]
    began: float
    ended: float = math.inf
    answer: Answer = Answer.DISTURBED
    numbers: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def is_disturbance(self) -> bool:
        """Whether the provider may take it for an outage."""
        return self.answer is Answer.DISTURBED or self.ended - self.began > SLOW_SECONDS

    def refuses(self, name: str) -> bool:
        """Whether the answer said, in time to be heard, that this object cannot be had."""
        if self.ended - self.began > SLOW_SECONDS:
            return False
        return name in self.missing or (self.answer is Answer.DENIED and (not self.objects or name in self.objects))


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken invariant."""

    rule: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How old a value may be: `longest` seconds, and `max_stale` where AWS was disturbed. `slack` is for clocks."""

    longest: float
    max_stale: float
    slack: float = 0.3


class Timeline(Generic[_Value]):
    """A value over time; each change happened at an unknown moment between two times."""

    def __init__(self, first: _Value) -> None:
        self._changes: list[tuple[float, float, _Value]] = [(-math.inf, -math.inf, first)]

    def change(self, value: _Value, began: float, ended: float) -> None:
        """Add a change; later than all before."""
        self._changes.append((began, ended, value))

    @property
    def last(self) -> _Value:
        """What holds after the last change."""
        return self._changes[-1][2]

    def possible(self, start: float, end: float) -> Iterator[_Value]:
        """Yield what may have held at some moment from start to end."""
        until = [ended for _, ended, _ in self._changes[1:]] + [math.inf]
        for (began, _, value), gone in zip(self._changes, until, strict=True):
            if began <= end and gone >= start:
                yield value


class Model:
    """All that is known; one per run. Written by one thread; the journal by another, appended only.

    Args:
        ages: See Ages.
        was_slow: Whether the machine let things wait at some moment between two monotonic times; ages count no more
            than in a disturbance then.
    """

    def __init__(self, ages: Ages, was_slow: Callable[[float, float], bool] = lambda _start, _end: False) -> None:
        self.ages = ages
        self._was_slow = was_slow
        self.numbers: dict[str, Timeline[int]] = defaultdict(lambda: Timeline(0))
        self._access: dict[tuple[Identity, str], Timeline[bool]] = {}
        self._calls: dict[Identity, list[Call]] = defaultdict(list)
        self._reads: dict[tuple[Identity, str, int], list[Call]] = defaultdict(list)
        self.judged_values = 0
        """Values that were looked at."""
        self.judged_strictly = 0
        """Those of them that no disturbance excused from being fresh."""

    def access(self, rule: ClassRule, name: str) -> Timeline[bool]:
        """Return whether the class's identity may read an object, over time."""
        return self._access.setdefault((rule.identity, name), Timeline(name in rule.may_read))

    def note_call(self, call: Call) -> None:
        """Add a call when it begins; its answer is filled in later."""
        self._calls[call.identity].append(call)
        self.note_values(call)

    def note_values(self, call: Call) -> None:
        """Add what a call was given, once that is known."""
        for name, number in call.numbers.items():
            self._reads[call.identity, name, number].append(call)

    def calls(self) -> int:
        """Return how many calls there were."""
        return sum(len(each) for each in tuple(self._calls.values()))

    def was_disturbed(self, identity: Identity, start: float, end: float) -> bool:
        """Whether a call for this identity, within the time, looked to the provider like an outage."""
        for call in reversed(self._calls[identity]):
            if call.began < start - LONGEST_CALL_SECONDS:
                return False
            if call.is_disturbance and call.began <= end and min(call.ended, end) >= start:
                return True
        return False

    def check(
        self, rule: ClassRule, content: Mapping[str, bytes], asked_at: float, answered_at: float
    ) -> tuple[Violation, ...]:
        """Judge the files that a mount gave, all of them from one answer of the provider.

        Args:
            rule: The class.
            content: Path → what is in the file.
            asked_at: Monotonic seconds when kubelet asked.
            answered_at: When it had the answer.
        """
        found = [*_check_shape(rule, content)]
        numbers: dict[str, set[int]] = defaultdict(set)
        for path in sorted(content.keys() & rule.files.keys()):
            wanted, said = rule.files[path], parse_value(content[path])
            if said is None:
                found.append(Violation(rule="I3", text=f"{path} holds no value"))
            elif said[0] != wanted.object:
                found.append(Violation(rule="I2", text=f"{path} holds {said[0]}, which is not {wanted.object}"))
            elif content[path] != render_file(wanted, said[1]):
                found.append(Violation(rule="I3", text=f"{path} is not whole"))
            else:
                numbers[said[0]].add(said[1])
        for name, several in sorted(numbers.items()):
            if len(several) > 1:
                found.append(Violation(rule="I3", text=f"files of {name} mix its values {sorted(several)}"))
            for number in sorted(several):
                found += self._check_value(rule, name, number, asked_at, answered_at)
        return tuple(found)

    def _check_value(
        self, rule: ClassRule, name: str, number: int, asked_at: float, answered_at: float
    ) -> Iterator[Violation]:
        identity, what = rule.identity, f"value {number} of {name}"
        who = f"{identity.subject} as {identity.role}"
        earliest = asked_at - self.ages.longest - self.ages.slack
        is_disturbed = self.was_disturbed(identity, earliest, answered_at) or self._was_slow(earliest, answered_at)
        self.judged_values += 1
        self.judged_strictly += not is_disturbed
        since = asked_at - self.ages.max_stale if is_disturbed else earliest
        reads = [call for call in self._reads[identity, name, number] if call.began <= answered_at]
        if not reads:
            yield Violation(rule="I2", text=f"{what} went to {who}, to whom AWS never gave it")
            return
        if number not in self.numbers[name].possible(since, answered_at):
            yield Violation(rule="I3", text=f"{what} was too old, disturbed: {is_disturbed}")
        if not is_disturbed and True not in self.access(rule, name).possible(earliest, answered_at):
            yield Violation(rule="I2", text=f"{what} went to {who}, whose right to it was gone")
        newest = max(call.ended for call in reads)
        refusal = self._find_refusal(identity, name, after=newest, before=asked_at - SETTLE_SECONDS)
        if refusal is not None and not self._was_slow(asked_at - SETTLE_SECONDS, asked_at):
            yield Violation(
                rule="I2",
                text=f"{what} went to {who} {asked_at - refusal.ended:.1f} s after AWS had refused it, "
                f"from a read {refusal.began - newest:.1f} s before that",
            )

    def _find_refusal(self, identity: Identity, name: str, *, after: float, before: float) -> Call | None:
        """Return a call that began after one moment, ended before another, and was refused the object."""
        for call in reversed(self._calls[identity]):
            if call.began <= after:
                return None
            if call.refuses(name) and call.ended < before:
                return call
        return None


def _check_shape(rule: ClassRule, content: Mapping[str, bytes]) -> Iterator[Violation]:
    missing, more = rule.files.keys() - content.keys(), content.keys() - rule.files.keys()
    if not content:
        yield Violation(rule="I3", text="the pod started with nothing")
    elif missing:
        yield Violation(rule="I3", text=f"a part of the class: {', '.join(sorted(missing))} missing")
    if more:
        yield Violation(rule="I2", text=f"files that the class does not have: {', '.join(sorted(more))}")
