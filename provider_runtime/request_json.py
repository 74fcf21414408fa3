"""The two JSON texts of a mount request: the attributes and, inside them, the service account tokens.

Values of attributes are texts and untrusted; tokens are secrets. Errors name a key at most, never a value.
"""

from __future__ import annotations

from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.go_json import JsonValue, NotJsonError, parse_json
from provider_runtime.redaction import SecretText

_ATTRIBUTES = "MountRequest.attributes"
_NO_FIX = "none in the class: the driver sends this field; check its version"


def parse_text_map(attributes: str) -> dict[str, str]:
    """Read the attributes: a JSON object of texts. `null` is an empty object, and a null member an empty text.

    Raises:
        MountError(ATTRIBUTES_INVALID): Anything else.
    """
    document, cause = _parse(attributes)
    if cause:
        raise _attributes_error(cause)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _attributes_error("they are not a JSON object")
    values: dict[str, str] = {}
    for key, member in document.items():
        if member is not None and not isinstance(member, str):
            raise _attributes_error(f"the value of '{shown(key)}' is not a text")
        values[key] = member or ""
    return values


def parse_tokens(text: str, where: str) -> dict[str, SecretText]:
    """Read the tokens: audience → {token, expirationTimestamp}, field names in any case.

    A null entry, or one without a token, counts as an empty token. The expiry is not read here: the token says it.

    Raises:
        MountError(TOKENS_MISSING): Empty text: the driver has no tokenRequests.
        MountError(TOKENS_INVALID): Not a JSON object of such entries.
    """
    if not text:
        raise MountError(
            ErrorCode.TOKENS_MISSING,
            where=where,
            what="CSI token error: serviceAccount.tokens not provided",
            rule="The driver hands over tokens only when its CSIDriver object has tokenRequests",
            fix="set tokenRequests of CSIDriver secrets-store.csi.k8s.io: sts.amazonaws.com, pods.eks.amazonaws.com",
        )
    document, cause = _parse(text)
    if cause:
        raise _tokens_error(where, cause)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _tokens_error(where, "they are not a JSON object")
    return {audience: _parse_token(entry, audience, where) for audience, entry in document.items()}


def _parse_token(entry: JsonValue, audience: str, where: str) -> SecretText:
    if entry is None:
        return SecretText("")
    if not isinstance(entry, dict):
        raise _tokens_error(where, f"the entry of audience '{shown(audience)}' is not an object")
    token = ""
    # encoding/json: an exact field name wins over one in another case, null leaves the field alone.
    for field in sorted(entry, key=lambda name: name in {"token", "expirationTimestamp"}):
        member = entry[field]
        if field.lower() not in {"token", "expirationtimestamp"} or member is None:
            continue
        if not isinstance(member, str):
            raise _tokens_error(where, f"'{shown(field)}' of audience '{shown(audience)}' is not a text")
        token = member if field.lower() == "token" else token
    return SecretText(token)


def _parse(text: str) -> tuple[JsonValue, str]:
    try:
        return parse_json(text), ""
    except NotJsonError as error:
        return None, str(error)


def _attributes_error(cause: str) -> MountError:
    return MountError(
        ErrorCode.ATTRIBUTES_INVALID,
        where=_ATTRIBUTES,
        what=f"failed to unmarshal attributes: {cause}",
        rule="They are a JSON object of texts",
        fix=_NO_FIX,
    )


def _tokens_error(where: str, cause: str) -> MountError:
    return MountError(
        ErrorCode.TOKENS_INVALID,
        where=where,
        what=f"CSI token error: failed to parse serviceAccount.tokens: {cause}",
        rule="They are a JSON object: audience → token and expirationTimestamp",
        fix=_NO_FIX,
    )
