"""One mount from request to files: the order of steps, and nothing else.

Not done here: gRPC, writing files, AWS, the Kubernetes API. Only ports and pure modules are seen.

All or nothing: the result is every file of the class, or one error that names everything that failed.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provider_runtime.cache import VolumeKey
from provider_runtime.caller_identity import IdentityKind, parse_identity
from provider_runtime.class_documents import ClassDocuments
from provider_runtime.deliveries import derive_deliveries
from provider_runtime.failure_texts import render_outcomes
from provider_runtime.fetch_plan import ReadResult
from provider_runtime.payload import assemble_mount
from provider_runtime.ports import Caller
from provider_runtime.read_outcomes import Ask, Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provider_runtime.cache import VolumeAges
    from provider_runtime.deliveries import Delivery
    from provider_runtime.errors import MountError
    from provider_runtime.mount_request import MountRequest
    from provider_runtime.payload import AssembledMount, MountFile
    from provider_runtime.ports import Clock, ClusterLookup, SecretReader
    from provider_runtime.read_outcomes import ObjectOutcome
    from provider_runtime.secret_objects import SecretObject
    from provider_runtime.value_reads import ValueReads
    from provider_runtime.version_checks import VersionChecks

_QUICK_BYTES: Final = 65_536
_QUICK_OBJECTS: Final = 200
"""Below both, cutting values into files takes a few milliseconds."""


@dataclass(slots=True, kw_only=True)
class MountNotes:
    """What is known about a mount while it runs, for the log line of a failed one too."""

    tally: Tally
    object_count: int = 0
    caller: str = ""
    """The role, or the service account whose association decides it."""
    deliveries: tuple[Delivery, ...] = ()
    """Set when every file is there."""
    absent: tuple[str, ...] = ()
    """Names of optional objects that do not exist."""


class Mounter:
    """Answers mounts.

    Args:
        reader: For the check of region names.
        reads: Values with memory.
        checks: For drivers that send the versions they know.
        lookup: For classes that name no role or region.
        ages: How old a value each mount may take.
        clock: Both clocks.
    """

    def __init__(
        self,
        *,
        reader: SecretReader,
        reads: ValueReads,
        checks: VersionChecks,
        lookup: ClusterLookup,
        ages: VolumeAges,
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._reads = reads
        self._lookup = lookup
        self._ages = ages
        self._clock = clock
        self._checks = checks
        self._documents = ClassDocuments()

    async def mount(self, request: MountRequest, deadline: float, notes: MountNotes) -> tuple[MountFile, ...]:
        """Return all files of the volume.

        Args:
            request: What the driver asked for.
            deadline: Monotonic seconds; the result or the error comes before it.
            notes: Filled on the way.

        Raises:
            MountError: Everything that is wrong, as one error.
        """
        region = request.region
        if region is None:
            region = await self._lookup.fetch_region(request.pod_namespace, request.pod_name, deadline)
            request = request.in_region(region)
        regions = (region, *request.failover_regions)
        objects = await self._documents.parse(request, region)
        notes.object_count = len(objects)
        for each in regions:
            self._reader.check_region(each)
        caller = await self._identify(request, deadline)
        notes.caller = caller.identity.described
        volume = _volume_of(request)
        asked_at = self._clock.monotonic()
        ask = Ask(
            caller=caller,
            accepted_age=self._ages.accepted_age(volume, asked_at, interval_seconds=request.refresh_interval_seconds),
            deadline=deadline,
            tally=notes.tally,
        )
        outcomes = await self._fetch(request, objects, regions, ask)
        results = render_outcomes(
            objects, outcomes, regions=regions, where=request.where, caller=caller.identity.described
        )
        assembled = await _assemble(request, objects, results)
        notes.absent = tuple(one.name for one in assembled.absent)
        now = self._clock.monotonic()
        notes.deliveries = derive_deliveries(
            objects, results, asked_at=asked_at, now=now, region=region, accepted_age=ask.accepted_age
        )
        self._checks.note_delivered(request, objects, region)
        if request.class_name:
            self._ages.note_mounted(volume, now)
        return assembled.files

    async def _fetch(
        self, request: MountRequest, objects: Sequence[SecretObject], regions: Sequence[str], ask: Ask
    ) -> tuple[ObjectOutcome, ...]:
        """Return the outcome of every object; what the volume is known to hold is not read."""
        known = await self._checks.confirm(request, objects, regions[0], ask)
        unknown = [index for index in range(len(objects)) if index not in known]
        fetched = await self._reads.fetch([objects[index] for index in unknown], regions, ask)
        outcomes: dict[int, ObjectOutcome] = {**known, **dict(zip(unknown, fetched, strict=True))}
        return tuple(outcomes[index] for index in range(len(objects)))

    async def _identify(self, request: MountRequest, deadline: float) -> Caller:
        kind = IdentityKind.POD_IDENTITY if request.use_pod_identity else IdentityKind.IRSA
        role_arn = request.role_arn or ""
        if kind is IdentityKind.IRSA and not role_arn:
            role_arn = await self._lookup.fetch_role_arn(request.pod_namespace, request.service_account, deadline)
        identity = parse_identity(
            request.token,
            kind=kind,
            namespace=request.pod_namespace,
            service_account=request.service_account,
            role_arn=role_arn,
            pod_uid=request.pod_uid,
            now=self._clock.wall(),
            assumed_role_arn=request.role_chain.role_arn if request.role_chain else "",
            external_id=request.role_chain.external_id if request.role_chain else "",
            is_shared_by_pods=request.share_across_pods,
        )
        return Caller(identity=identity, token=request.token, address_type=request.address_type)


def _volume_of(request: MountRequest) -> VolumeKey:
    """Name the volume for its ages.

    The secrets-store-sync-controller names no class, uses one pod uid and one path for all it mounts, and comes seldom:
    its mounts are never noted, so that each is a first one.
    """
    shape = (request.objects_text, repr(request.translation), request.region, request.failover_regions)
    digest = hashlib.sha256(repr((shape, request.role_arn, request.role_chain, request.object_versions)).encode())
    return VolumeKey(
        (request.pod_uid, request.target_path, request.pod_namespace, request.service_account, digest.hexdigest())
    )


async def _assemble(
    request: MountRequest, objects: Sequence[SecretObject], results: Sequence[ReadResult | MountError]
) -> AssembledMount:
    """Cut values into files; what may take long, in a thread, so that other mounts go on."""
    size_bytes = sum(len(result.value) for result in results if isinstance(result, ReadResult))
    if size_bytes <= _QUICK_BYTES and len(objects) <= _QUICK_OBJECTS:
        return assemble_mount(request, objects, results)
    return await asyncio.to_thread(assemble_mount, request, objects, results)
