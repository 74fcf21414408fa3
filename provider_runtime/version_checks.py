"""What a volume already holds and need not be read again: for drivers before 1.6, which send the versions they know.

Not done here: reading values (`value_reads`). From 1.6 on the driver sends no version and nothing is checked.

As the Go provider does it: a pinned version that is known costs no call; else DescribeSecret tells whether the known
version still carries the wanted stage, and the contents are taken from memory or from the mounted file. Unlike there, a
file that is gone is fetched instead of failing every poll, and a check that fails decides nothing: the value is read,
and the answer to that read counts. Parameters have no such check. Contents taken from a file are given to this volume
only, and never remembered; and only if this process itself delivered the secret's whole value under that name: a class
can change what a file holds (one JSON key, something decoded) while name and version stay.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from provider_runtime.fetch_plan import ReadResult, SecretRead, plan_reads
from provider_runtime.mount_request import ObjectVersions
from provider_runtime.object_values import Encoding, ObjectType
from provider_runtime.ports import CallError
from provider_runtime.value_reads import FAILOVER_AFTER_SECONDS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provider_runtime.authorised_calls import AuthorisedCalls
    from provider_runtime.mount_request import MountRequest
    from provider_runtime.object_values import SecretObject
    from provider_runtime.ports import Clock, SecretReader
    from provider_runtime.read_outcomes import Ask
    from provider_runtime.redaction import SecretBytes
    from provider_runtime.value_reads import ValueReads

DEFAULT_STAGE: Final = "AWSCURRENT"
VOLUME_LIMIT: Final = 2_000
"""Volumes whose whole files are remembered; a node has a few hundred at most."""
_SHAPE_DIGEST: Final = re.compile(r"-[0-9a-f]{12}$")

_Known = tuple[SecretRead, ReadResult]


class VersionChecks:
    """Checks of known versions.

    Args:
        reader: Asks AWS.
        calls: Makes each call with the caller's credentials.
        reads: For what memory holds.
        read_file: (target path, file name) → contents, or None when there is no such file; blocking.
        clock: Monotonic time.
    """

    def __init__(
        self,
        *,
        reader: SecretReader,
        calls: AuthorisedCalls,
        reads: ValueReads,
        read_file: Callable[[str, str], SecretBytes | None],
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._calls = calls
        self._reads = reads
        self._read_file = read_file
        self._clock = clock
        self._whole_files: OrderedDict[tuple[str, str], frozenset[int]] = OrderedDict()

    def note_delivered(self, request: MountRequest, objects: Sequence[SecretObject], region: str) -> None:
        """Record which files of a volume now hold a secret's value as it is stored; older volumes are forgotten."""
        whole = frozenset(
            _mark(request, value, region)
            for value in objects
            if value.type is ObjectType.SECRETS_MANAGER and value.encoding is Encoding.AS_IS
        )
        volume = (request.pod_uid, request.target_path)
        self._whole_files[volume] = whole
        self._whole_files.move_to_end(volume)
        if len(self._whole_files) > VOLUME_LIMIT:
            self._whole_files.popitem(last=False)

    async def confirm(
        self, request: MountRequest, objects: Sequence[SecretObject], region: str, ask: Ask
    ) -> Mapping[int, ReadResult]:
        """Return the values that are known to be current, by the index of their object."""
        if not request.current_versions:
            return {}
        known = {
            index: found
            for index, value in enumerate(objects)
            if (found := await self._find_known(request, value, region, ask)) is not None
        }
        unpinned = dict.fromkeys(read.secret_id for read, _ in known.values() if not read.version_id)
        stages = dict(
            zip(unpinned, await asyncio.gather(*(self._stages(one, region, ask) for one in unpinned)), strict=True)
        )
        return {
            index: result
            for index, (read, result) in known.items()
            if read.version_id
            or (read.version_stage or DEFAULT_STAGE) in stages[read.secret_id].get(result.version, ())
        }

    async def _find_known(self, request: MountRequest, value: SecretObject, region: str, ask: Ask) -> _Known | None:
        """Find what the volume holds of one object; None: nothing known, or nothing that a check could confirm."""
        file_name = value.file_name(request.translation)
        version = request.current_versions.get(file_name, "")
        if request.object_versions is ObjectVersions.CONTENT:
            version = _SHAPE_DIGEST.sub("", version)
        if value.type is not ObjectType.SECRETS_MANAGER or not version:
            return None
        read = plan_reads([value], region).read_of_object[0]
        assert isinstance(read, SecretRead)  # noqa: S101  # the type says so
        is_outdated = bool(read.version_id) and read.version_id != version
        if is_outdated or self._reads.is_young(read, region, ask):
            return None
        remembered = self._reads.recall(read, region, ask)
        if remembered is not None and remembered.version == version:
            return read, remembered
        if value.encoding is not Encoding.AS_IS:
            return None  # the file holds what was decoded, and the JSON keys may need what was stored
        whole = self._whole_files.get((request.pod_uid, request.target_path), frozenset())
        if _mark(request, value, region) not in whole:
            return None
        contents = await asyncio.to_thread(self._read_file, request.target_path, file_name)
        if contents is None:
            return None
        return read, ReadResult(value=contents, version=version, region=region, read_at=self._clock.monotonic())

    async def _stages(self, secret_id: str, region: str, ask: Ask) -> Mapping[str, tuple[str, ...]]:
        seconds = min(FAILOVER_AFTER_SECONDS, ask.deadline - self._clock.monotonic())
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await self._calls.run(
                    ask.caller,
                    region,
                    ask.tally,
                    lambda scope, deadline: self._reader.fetch_stages(secret_id, scope, deadline),
                    service=SERVICES[ObjectType.SECRETS_MANAGER],
                )
        except (CallError, TimeoutError):
            return {}


def _mark(request: MountRequest, value: SecretObject, region: str) -> int:
    """Stand for "this file is this secret": a number, because there is one for every file of the node."""
    return hash((value.file_name(request.translation), value.name, region))
