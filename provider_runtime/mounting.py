"""One mount from request to files: the order of steps, and nothing else.

Not done here: gRPC, writing files, AWS, the Kubernetes API. Only ports and pure modules are seen.

All or nothing: the result is every file of the class, or one error that names everything that failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from provider_runtime.cache import VolumeKey
from provider_runtime.caller_identity import IdentityKind, parse_identity
from provider_runtime.failure_texts import render_outcomes
from provider_runtime.payload import assemble_files
from provider_runtime.ports import Caller
from provider_runtime.secret_objects import parse_objects
from provider_runtime.value_reads import Ask, Tally

if TYPE_CHECKING:
    from provider_runtime.cache import VolumeAges
    from provider_runtime.mount_request import MountRequest
    from provider_runtime.payload import MountFile
    from provider_runtime.ports import Clock, ClusterLookup, SecretReader
    from provider_runtime.secret_objects import SecretObject
    from provider_runtime.value_reads import ValueReads

_REMEMBERED_DOCUMENTS: Final = 128
_REMEMBERED_DOCUMENT_CHARACTERS: Final = 16_384
"""Together they bound the memory of parsed documents to a few MiB, whatever pods send."""


@dataclass(slots=True, kw_only=True)
class MountNotes:
    """What is known about a mount while it runs, for the log line of a failed one too."""

    tally: Tally
    object_count: int = 0


class Mounter:
    """Answers mounts.

    Args:
        reader: For the check of region names.
        reads: Values with memory.
        lookup: For classes that name no role or region.
        ages: How old a value each mount may take.
        clock: Both clocks.
    """

    def __init__(
        self, *, reader: SecretReader, reads: ValueReads, lookup: ClusterLookup, ages: VolumeAges, clock: Clock
    ) -> None:
        self._reader = reader
        self._reads = reads
        self._lookup = lookup
        self._ages = ages
        self._clock = clock
        self._parse_remembered = lru_cache(maxsize=_REMEMBERED_DOCUMENTS)(parse_objects)

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
        objects = self._parse(request, region)
        notes.object_count = len(objects)
        for each in regions:
            self._reader.check_region(each)
        caller = await self._identify(request, deadline)
        volume = VolumeKey((request.pod_uid, request.target_path))
        ask = Ask(
            caller=caller,
            accepted_age=self._ages.accepted_age(volume, self._clock.monotonic()),
            deadline=deadline,
            tally=notes.tally,
        )
        outcomes = await self._reads.fetch(objects, regions, ask)
        results = render_outcomes(objects, outcomes, where=request.where, caller=caller.identity.described)
        files = assemble_files(request, objects, results)
        self._ages.note_mounted(volume, self._clock.monotonic())
        return files

    def _parse(self, request: MountRequest, region: str) -> tuple[SecretObject, ...]:
        is_small = len(request.objects_text) <= _REMEMBERED_DOCUMENT_CHARACTERS
        parse = self._parse_remembered if is_small else parse_objects
        return parse(
            request.objects_text,
            region=region,
            failover_regions=request.failover_regions,
            translation=request.translation,
            where=f"{request.where} parameters.objects",
        )

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
        )
        return Caller(identity=identity, token=request.token, address_type=request.address_type)
