"""`python -m tests.chaos.provider --clock-file FILE [--plant NAME] FLAGS...`: the provider, its clock within reach.

The product is not changed but for its `SystemClock`, whose wall time is moved by the seconds in FILE, and, where a
run asks for it, for one planted bug. The bugs are here and nowhere else: a chaos run that does not find them is blind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from provider_runtime import daemon, mounting
from provider_runtime.aws_secrets import AwsSecretReader
from provider_runtime.cache import ValueCache
from provider_runtime.caller_identity import CallerIdentity
from provider_runtime.errors import _STATUSES, Culprit
from provider_runtime.fetch_plan import ReadResult
from provider_runtime.socket_takeover import SocketTakeover


def _share_cache_between_roles() -> None:
    """Let identities be equal that differ in nothing but the role."""

    def key(identity: CallerIdentity) -> tuple[str, ...]:
        return identity.namespace, identity.service_account, identity.issuer, identity.token_digest, identity.pod_uid

    def equals(identity: CallerIdentity, other: object) -> bool:
        return isinstance(other, CallerIdentity) and key(identity) == key(other)

    _patch(CallerIdentity, "__eq__", equals)
    _patch(CallerIdentity, "__hash__", lambda identity: hash(key(identity)))


def _check_with_describe_only() -> None:
    """Ask DescribeSecret whether the version is still current, and never read again while it is."""
    read_again = AwsSecretReader.fetch_secret
    known: dict[Any, ReadResult] = {}

    async def fetch_secret(self: AwsSecretReader, read: Any, scope: Any, deadline: float) -> ReadResult:  # noqa: ANN401
        key = (scope.identity, scope.region, read)
        if key in known:
            stages = await self.fetch_stages(read.secret_id, scope, deadline)
            if "AWSCURRENT" in stages.get(known[key].version, ()):
                return known[key]
        known[key] = await read_again(self, read, scope, deadline)
        return known[key]

    _patch(AwsSecretReader, "fetch_secret", fetch_secret)


def _answer_unavailable() -> None:
    """Put the code on the wire that its name suggests for a network that fails."""
    for culprit in (Culprit.NETWORK, Culprit.AWS_SERVER, Culprit.THROTTLED):
        _STATUSES[culprit] = SimpleNamespace(value="UNAVAILABLE")  # type: ignore[assignment]


def _keep_after_denial() -> None:
    """Forget nothing when AWS refuses."""
    _patch(ValueCache, "evict", lambda *_, **__: None)
    _patch(ValueCache, "evict_identity", lambda *_, **__: None)


def _answer_with_a_part() -> None:
    """Leave out what could not be read, unless that is everything."""
    assemble = mounting._assemble

    async def assemble_some(request: Any, objects: Sequence[Any], results: Sequence[Any]) -> Any:  # noqa: ANN401
        there = [pair for pair in zip(objects, results, strict=True) if isinstance(pair[1], ReadResult)]
        kept = there or list(zip(objects, results, strict=True))
        return await assemble(request, [item for item, _ in kept], [result for _, result in kept])

    _patch(mounting, "_assemble", assemble_some)


def _unlink_the_socket() -> None:
    """Remove the public name at the end, whosever it is by then."""

    def withdraw(self: SocketTakeover) -> bool:
        is_own = self.is_public()
        with contextlib.suppress(FileNotFoundError):
            self.public_path.unlink()
        return is_own

    _patch(SocketTakeover, "withdraw", withdraw)


def _patch(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


#: Name → what it does to the product in this process.
PLANTS: Final[dict[str, Callable[[], None]]] = {
    "cache-key-without-role": _share_cache_between_roles,
    "describe-only-check": _check_with_describe_only,
    "unavailable-on-the-wire": _answer_unavailable,
    "stale-after-denial": _keep_after_denial,
    "torn-class": _answer_with_a_part,
    "unlinked-socket": _unlink_the_socket,
}


def _follow_clock_file(path: Path) -> None:
    def wall(_: daemon.SystemClock) -> float:
        try:
            return time.time() + float(path.read_text(encoding="utf-8") or "0")
        except FileNotFoundError:
            return time.time()

    _patch(daemon.SystemClock, "wall", wall)


def main(arguments: Sequence[str]) -> int:
    """Run the provider's own command line with the rest of the words."""
    words = list(arguments)
    assert words.pop(0) == "--clock-file"
    _follow_clock_file(Path(words.pop(0)))
    if words[:1] == ["--plant"]:
        PLANTS[words[1]]()
        del words[:2]
    return daemon.main(words)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # as `provider_runtime.__main__` does
