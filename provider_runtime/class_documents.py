"""`objects` documents of classes, parsed once each, big ones off the event loop, wrong ones remembered too.

Not done here: the rules of the document (`secret_objects`).

The same text under the same circumstances always has the same outcome, so a refusal is kept like a result: a class that
cannot be mounted is retried by kubelet for as long as its pods live.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from provider_runtime.errors import MountError
from provider_runtime.secret_objects import parse_objects

if TYPE_CHECKING:
    from provider_runtime.file_paths import PathTranslation
    from provider_runtime.mount_request import MountRequest
    from provider_runtime.secret_objects import SecretObject

KEPT_CHARACTERS: Final = 2 * 1024 * 1024
"""Characters of all kept documents together; the values made of them need some ten times as much."""
QUICK_CHARACTERS: Final = 8_192
"""A document of this size is parsed in a few milliseconds, less than a thread's way there and back under load."""

_Key = tuple[str, str, tuple[str, ...], "PathTranslation", str]


class ClassDocuments:
    """Documents by everything that decides their outcome, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, tuple[SecretObject, ...] | MountError] = OrderedDict()
        self._kept_characters = 0
        self._one_at_a_time = asyncio.Semaphore(1)

    async def parse(self, request: MountRequest, region: str) -> tuple[SecretObject, ...]:
        """Return the objects of the request's class, as `parse_objects` does.

        Raises:
            MountError: What is wrong with the document.
        """
        where = f"{request.where} parameters.objects"
        key = (request.objects_text, region, request.failover_regions, request.translation, where)
        if key not in self._kept:
            if len(request.objects_text) <= QUICK_CHARACTERS:
                self._keep(key, _parse(key))
            else:
                async with self._one_at_a_time:
                    if key not in self._kept:
                        self._keep(key, await asyncio.to_thread(_parse, key))
        outcome = self._kept.get(key)
        if outcome is None:  # too long to be kept at all, or crowded out while it was parsed
            outcome = await asyncio.to_thread(_parse, key)
        else:
            self._kept.move_to_end(key)
        if isinstance(outcome, MountError):
            raise outcome.with_traceback(None)
        return outcome

    def _keep(self, key: _Key, outcome: tuple[SecretObject, ...] | MountError) -> None:
        if len(key[0]) > KEPT_CHARACTERS or key in self._kept:
            return
        self._kept[key] = outcome
        self._kept_characters += len(key[0])
        while self._kept_characters > KEPT_CHARACTERS:
            (text, *_), _ = self._kept.popitem(last=False)
            self._kept_characters -= len(text)


def _parse(key: _Key) -> tuple[SecretObject, ...] | MountError:
    text, region, failover_regions, translation, where = key
    try:
        return parse_objects(
            text, region=region, failover_regions=failover_regions, translation=translation, where=where
        )
    except MountError as error:
        return error
