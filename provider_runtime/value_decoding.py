"""base64 → bytes, strictly: what does not come back when it is encoded again was not base64.

Taken: the standard alphabet (RFC 4648 section 4) or the URL-safe one (section 5), not both in one value; padding whole
or left out; line breaks (CR, LF) anywhere, as `base64` and PEM tools make them. Refused: any other character, spaces
included; padding in the middle or half of it; a length that no bytes have; bits behind the last byte that are not zero,
which a value that was cut or mistyped has. Nothing at all decodes to nothing.
"""

from __future__ import annotations

import base64
import re

from provider_runtime.redaction import SecretBytes

_LINE_BREAKS = re.compile(rb"[\r\n]+")
_FOREIGN = re.compile(rb"[^A-Za-z0-9+/=_-]")
_PADDING = b"="
_GROUP = 4
"""Characters that stand for three bytes."""


class NotBase64Error(Exception):
    """A value is no base64. The message says what and where, never the value."""


def decode_base64(value: SecretBytes) -> SecretBytes:
    """Decode one value.

    Raises:
        NotBase64Error: See the module.
    """
    text = _LINE_BREAKS.sub(b"", value.reveal())
    if found := _FOREIGN.search(text):
        raise NotBase64Error(f"character {found.start() + 1} (line breaks not counted) is not of the alphabet")
    if (b"+" in text or b"/" in text) and (b"-" in text or b"_" in text):
        raise NotBase64Error("it mixes the standard and the URL-safe alphabet")
    bare = text.rstrip(_PADDING)
    if _PADDING in bare:
        raise NotBase64Error("there is padding in the middle")
    padding = -len(bare) % _GROUP
    if padding == _GROUP - 1:
        raise NotBase64Error("its length is one that no bytes have: it was cut, or it is plain text")
    if len(text) - len(bare) not in {0, padding}:
        raise NotBase64Error("its padding does not fit its length")
    standard = bare.replace(b"-", b"+").replace(b"_", b"/")
    decoded = base64.b64decode(standard + _PADDING * padding)
    if base64.b64encode(decoded).rstrip(_PADDING) != standard:
        raise NotBase64Error("there are bits behind its last byte: it was cut or mistyped")
    return SecretBytes(decoded)
