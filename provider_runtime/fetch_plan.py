"""Objects of one class → the reads they need in one region, each once, parameters in batches; answers → objects.

Nothing is read here. A read is the exact question to AWS, so it is also the part of a cache key that says what was
asked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown, shown_list
from provider_runtime.object_values import ARN_PARTS, ARN_PREFIX, ObjectType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provider_runtime.object_values import SecretObject
    from provider_runtime.redaction import SecretBytes

PARAMETER_BATCH_LIMIT = 10
"""Names in one GetParameters call (AWS API reference)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRead:
    """One GetSecretValue call; an empty version or stage is not sent, and neither means AWSCURRENT."""

    secret_id: str
    version_id: str = ""
    version_stage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRead:
    """One name of a GetParameters call, with its selector: `name`, `name:3` or `name:label`."""

    request_name: str

    @property
    def name(self) -> str:
        """Return the name or ARN without selector, as the answer repeats it."""
        return _split_selector(self.request_name)[0]

    @property
    def selector(self) -> str:
        """Return the version or label without its colon; empty when the name has none."""
        return _split_selector(self.request_name)[1]


Read = SecretRead | ParameterRead


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterBatch:
    """Up to PARAMETER_BATCH_LIMIT reads of one GetParameters call, in list order."""

    reads: tuple[ParameterRead, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return what goes into `Names`."""
        return tuple(read.request_name for read in self.reads)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """All reads of one class in one region.

    Args:
        region: Where to ask.
        secrets: Distinct Secrets Manager reads in order of first use.
        batches: Distinct parameters in order of first use, ten to a batch.
        read_of_object: Parallel to the objects: the read that serves each.
    """

    region: str
    secrets: tuple[SecretRead, ...]
    batches: tuple[ParameterBatch, ...]
    read_of_object: tuple[Read, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """One value as AWS gave it.

    Args:
        value: SecretString as UTF-8, or SecretBinary, or the parameter's value as UTF-8.
        version: Secrets Manager VersionId, or the parameter's version in decimal.
        last_modified: Parameters only: LastModifiedDate as text (a new value can keep its version number when a
            parameter is deleted and created again); empty otherwise.
        region: Where it was read; empty means the request's primary region.
        request_id: AWS's id of the call that answered; empty when it gave none.
        read_at: Monotonic seconds when that call was begun; 0 before `value_reads` has set it.
    """

    value: SecretBytes
    version: str
    last_modified: str = ""
    region: str = ""
    request_id: str = ""
    read_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterAnswer:
    """One entry of GetParameters' `Parameters`: names as AWS repeats them, selector with or without its colon."""

    name: str
    arn: str
    selector: str
    result: ReadResult


def plan_reads(objects: Sequence[SecretObject], region: str, region_index: int = 0) -> FetchPlan:
    """Plan the reads of one class in one region.

    Two files from one secret cost one read; the same parameter under two labels is two reads.

    Args:
        objects: In document order.
        region: The region's name; an ARN in failoverObject serves only its own region.
        region_index: 0 for the primary region, else the position among all regions: failoverObject counts.
    """
    reads = tuple(_read_of(value, region, region_index) for value in objects)
    distinct = tuple(dict.fromkeys(reads))
    parameters = tuple(read for read in distinct if isinstance(read, ParameterRead))
    return FetchPlan(
        region=region,
        secrets=tuple(read for read in distinct if isinstance(read, SecretRead)),
        batches=plan_batches(parameters),
        read_of_object=reads,
    )


def plan_batches(reads: Sequence[ParameterRead]) -> tuple[ParameterBatch, ...]:
    """Cut distinct parameter reads into calls, in the given order; also for the few that a cache does not hold."""
    starts = range(0, len(reads), PARAMETER_BATCH_LIMIT)
    return tuple(ParameterBatch(reads=tuple(reads[start : start + PARAMETER_BATCH_LIMIT])) for start in starts)


def match_parameters(
    reads: Iterable[ParameterRead], answers: Sequence[ParameterAnswer]
) -> Mapping[ParameterRead, ReadResult]:
    """Find the answer to each read by name, then by ARN, and by selector; the order of the answers does not matter.

    An answer without selector serves a read with one only if its version is the one asked for, or if no other read of
    the batch names the same parameter: a value under the wrong label is worse than none.

    Returns:
        Reads without an answer are absent: AWS lists them in InvalidParameters, or the answer is incomplete.
    """
    asked = tuple(reads)
    by_name: dict[str, list[ParameterAnswer]] = {}
    by_any: dict[str, list[ParameterAnswer]] = {}
    aliases: dict[str, set[str]] = {}
    for answer in answers:
        names = _names(answer)
        for name in dict.fromkeys(names):
            by_any.setdefault(name, []).append(answer)
            aliases.setdefault(name, {name}).update(names)
        if answer.name:
            by_name.setdefault(names[0], []).append(answer)
    times_asked = Counter(read.name for read in asked)
    found: dict[ParameterRead, ReadResult] = {}
    for read in asked:
        rivals = sum(times_asked[name] for name in aliases.get(read.name, {read.name}))
        candidates = by_name.get(read.name) or by_any.get(read.name) or []
        best = _best_answer(read, candidates, is_alone=rivals <= 1)
        if best is not None:
            found[read] = best.result
    return found


def invalid_parameters_error(
    region: str,
    names: Iterable[str],
    *,
    where: str,
    role: str = "",
    because: str = "",
    is_missing: bool | None = None,
) -> MountError:
    """Build the error for InvalidParameters of one batch.

    Args:
        region: Where they were asked for.
        names: As AWS lists them, selectors included; repeats are said once, order kept.
        where: Start of the message.
        role: The role that asked, for the fix; may be empty.
        because: Why this region was asked, as a sentence; may be empty.
        is_missing: See MountError.
    """
    rule = "Parameter Store names a parameter, version or label that does not exist in this region this way"
    distinct = list(dict.fromkeys(names))
    return MountError(
        ErrorCode.PARAMETERS_INVALID,
        where=where,
        what=f"400: {shown(region)}: invalid parameters: {shown_list(distinct)}",
        rule=f"{because}. {rule}" if because else rule,
        is_missing=is_missing,
        fix="correct the names, versions or labels, or create the parameters" + (f" (asked as {role})" if role else ""),
    )


def _read_of(value: SecretObject, region: str, region_index: int) -> Read:
    name, version, label = value.name, value.version, value.version_label
    if region_index:
        name = value.name_in(region, region_index)
        version, label = value.version_in(region_index), value.version_label_in(region_index)
    if value.type is ObjectType.SECRETS_MANAGER:
        return SecretRead(secret_id=name, version_id=version, version_stage=label)
    selector = version or label
    return ParameterRead(request_name=f"{name}:{selector}" if selector else name)


def _split_selector(request_name: str) -> tuple[str, str]:
    """Split `name:selector`; a parameter's name has no colon of its own, an ARN has five before its resource."""
    head, rest = "", request_name
    if request_name.startswith(ARN_PREFIX):
        parts = request_name.split(":", ARN_PARTS - 1)
        head, rest = ":".join(parts[:-1]) + ":", parts[-1]
    name, _, selector = rest.partition(":")
    return head + name, selector


def _names(answer: ParameterAnswer) -> tuple[str, ...]:
    """Return the ways in which a read may name this answer, without selector: Name first, then ARN."""
    return tuple(_split_selector(text)[0] for text in (answer.name, answer.arn) if text)


def _answer_selector(answer: ParameterAnswer) -> str:
    return answer.selector.removeprefix(":") or _split_selector(answer.name)[1]


def _best_answer(
    read: ParameterRead, candidates: Sequence[ParameterAnswer], *, is_alone: bool
) -> ParameterAnswer | None:
    if read.selector:
        for answer in candidates:
            if _answer_selector(answer) == read.selector:
                return answer
    unmarked = [answer for answer in candidates if not _answer_selector(answer)]
    if is_alone or (not read.selector and len(unmarked) == 1):
        return unmarked[0] if unmarked else None
    return next((answer for answer in unmarked if answer.result.version == read.selector), None)
