"""What is fuzzed: the three parsers of untrusted text, each with the laws that must hold for any bytes.

Not done here: making the bytes (`run`, coverage-guided; `test_seeds`, the committed ones). A target returns for every
input that keeps the laws and raises AssertionError, or whatever escaped, for one that does not. Time and memory are
the caller's laws: libFuzzer ends a run whose input takes longer or grows larger than it may.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Final

from provider_runtime.caller_identity import IdentityKind, parse_identity
from provider_runtime.errors import MESSAGE_LIMIT_BYTES, ErrorCode, MountError, StatusName
from provider_runtime.fetch_plan import ReadResult, plan_reads
from provider_runtime.json_paths import StepBudget, extract_texts
from provider_runtime.mount_request import MountRequest, parse_mount_request
from provider_runtime.object_collisions import FILE_LIMIT
from provider_runtime.object_drafts import OBJECT_LIMIT
from provider_runtime.object_values import JsonKey
from provider_runtime.payload import CONTENTS_LIMIT_BYTES, assemble_mount
from provider_runtime.redaction import SecretBytes
from provider_runtime.secret_objects import PathTranslation, dump_objects, parse_objects
from provider_runtime.template_files import TEMPLATES_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider_runtime.object_values import SecretObject

CANARY: Final = "c4n4ry"
"""Stands inside tokens and values of seeds; no error may repeat it."""
SEPARATOR: Final = b"\n--\n"
"""Between the two halves of an input that has two."""
_NAMES: Final = {
    "csi.storage.k8s.io/pod.name": "web-0",
    "csi.storage.k8s.io/pod.namespace": "shop",
    "csi.storage.k8s.io/pod.uid": "11111111-2222-3333-4444-555555555555",
    "csi.storage.k8s.io/serviceAccount.name": "web",
    "secretProviderClass": "db",
}
_VALUE: Final = (
    b'{"a": "c4n4ry", "b": {"c": 1e21, "d": [true, null, 0.5]}, "e/f": "c4n4ry", "g": "YzRuNHJ5", "..h": "", "i": null}'
)
_STEPS: Final = 20_000
"""A tenth of what one expression may take: a run that spends its time in costly expressions finds few other ones."""
_CODE_ROOM: Final = 16
"""Bytes of ` [LSP123]` and of the sign that a text was cut, behind the limit of a message."""


def fuzz_attributes(data: bytes) -> None:
    """Check the driver's attributes, and the identity in the token that they carry."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        request = parse_mount_request(text, "/mount", "420", [("id", "1")], default_region="eu-west-1")
        identity = parse_identity(
            request.token,
            kind=IdentityKind.POD_IDENTITY if request.use_pod_identity else IdentityKind.IRSA,
            namespace=request.pod_namespace,
            service_account=request.service_account,
            role_arn=request.role_arn or "",
            pod_uid=request.pod_uid,
            now=1_800_000_000.0,
        )
    except MountError as error:
        _check_error(error, is_canary_named=_is_canary_beside_tokens(text))
        return
    assert CANARY not in repr(identity) or _is_canary_beside_tokens(text)
    assert len(request.token) > 0
    assert request.region
    assert request.region not in request.failover_regions
    assert len(set(request.failover_regions)) == len(request.failover_regions)
    assert 0 <= request.default_mode <= 0o777


def fuzz_objects(data: bytes) -> None:
    """Check a document: it is refused, or it round-trips, plans reads and makes files that the driver can write."""
    text = data.decode("utf-8", "surrogateescape")
    translation = PathTranslation(replacement="" if data[:1] == b"#" else "_")
    regions = ("eu-west-1", "eu-central-1")

    def parse(document: str) -> tuple[SecretObject, ...]:
        return parse_objects(document, region=regions[0], failover_regions=regions[1:], translation=translation)

    try:
        objects = parse(text)
    except MountError as error:
        _check_error(error, is_canary_named=True)
        return
    assert 0 < len(objects) <= OBJECT_LIMIT
    assert parse(dump_objects(objects)) == objects
    for index, region in enumerate(regions):
        assert len(plan_reads(objects, region, index).read_of_object) == len(objects)
    result = ReadResult(value=SecretBytes(_VALUE), version="1", region=regions[0])
    try:
        mount = assemble_mount(_request(translation), objects, [result] * len(objects))
    except MountError as error:
        _check_error(error, is_canary_named=CANARY in text)
        return
    _check_files({file.path: len(file.contents) for file in mount.files})
    assert all(0 <= file.mode <= 0o777 for file in mount.files)


def fuzz_jmespath(data: bytes) -> None:
    """Check an expression on a value: a text or one error, within the budget, and the error never shows the value."""
    expression, _, value = data.partition(SEPARATOR)
    path = expression.decode("utf-8", "surrogateescape")
    budget = StepBudget(_STEPS)
    keys = (JsonKey(path=path, alias="x"), JsonKey(path=path, alias="y"))
    found = extract_texts(SecretBytes(value), keys, budget, object_name="n", where="w", is_rendered=len(data) % 2 == 0)
    assert len(found) == len(keys)
    for text in found:
        if isinstance(text, MountError):
            _check_error(text, is_canary_named=CANARY in path)
            assert text.__context__ is None
        else:
            assert len(text) <= CONTENTS_LIMIT_BYTES
    # The second one may find the budget spent; else it sees what the first one saw.
    assert _outcome(found[1]) in {_outcome(found[0]), ErrorCode.JMES_BUDGET}


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "attributes": fuzz_attributes,
    "objects": fuzz_objects,
    "jmespath": fuzz_jmespath,
}


def _is_canary_beside_tokens(attributes: str) -> bool:
    """Whether a mutation has moved the canary, or a part that could be it, out of the tokens into another attribute."""
    try:
        values = json.loads(attributes)
    except (ValueError, RecursionError):
        return False
    if not isinstance(values, dict):
        return False
    tokens = values.pop("csi.storage.k8s.io/serviceAccount.tokens", None)
    audiences = ""
    with contextlib.suppress(ValueError, RecursionError, TypeError):
        audiences = repr(list(json.loads(tokens)))  # names of audiences may be shown
    return CANARY in repr(values) + audiences


def _outcome(found: SecretBytes | MountError) -> object:
    return found.code if isinstance(found, MountError) else found.reveal()


def _request(translation: PathTranslation) -> MountRequest:
    tokens = json.dumps({"sts.amazonaws.com": {"token": "t"}})
    attributes = {**_NAMES, "region": "eu-west-1", "csi.storage.k8s.io/serviceAccount.tokens": tokens}
    attributes["pathTranslation"] = translation.replacement or "False"
    return parse_mount_request(json.dumps(attributes), "/mount", "420", [], default_region=None)


def _check_error(error: MountError, *, is_canary_named: bool) -> None:
    """A text is one printable line of bounded size with a stable code; a value is never in it."""
    assert error.message.isprintable()
    assert len(error.message.encode()) <= MESSAGE_LIMIT_BYTES + _CODE_ROOM
    assert f"[{error.code.value}]" in error.message
    assert error.status in StatusName
    assert is_canary_named or CANARY not in error.message


def _check_files(sizes: Mapping[str, int]) -> None:
    assert 0 < len(sizes) <= FILE_LIMIT
    assert sum(sizes.values()) <= CONTENTS_LIMIT_BYTES + TEMPLATES_LIMIT_BYTES
    for path in sizes:
        parts = path.split("/")
        assert path != "."
        assert all(part not in {"", ".", ".."} and len(part.encode()) <= 255 for part in parts)
        parents = {"/".join(parts[:count]) for count in range(1, len(parts))}
        assert not parents & sizes.keys(), "a file where another needs a directory"
