"""Keeps values out of reports: what a preview shows in places that hold values is taken out of every text of an input.

A report is made of names only. But diagnostics are free text, and a name can be chosen badly; so every text that came
from a preview goes through here once more before a report is built of it. (Not the finished report: whoever chooses a
value would choose what goes from it.) Found are values at the places where Pulumi programs keep them (Secrets Manager
and Parameter Store values, Kubernetes Secrets, passwords and keys by their names), as they are and as base64, JSON, URL
and hexadecimal text. Not found is a value that stands nowhere else in the document: that is up to whoever printed it.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar

_T = TypeVar("_T")

REDACTED = "[redacted]"
#: Shorter values would take whole words out of a report; so would the texts that stand for hidden values.
_SHORTEST = 6
_NO_VALUES = frozenset({"[secret]"})
_TYPES = (
    "aws:secretsmanager/secretVersion:",
    "kubernetes:core/v1:Secret",
    "random:index/randomPassword:",
    "random:index/randomString:",
    "tls:index/privateKey:",
)
_HOLDS_VALUES = re.compile(
    r"(pass(word|wd|phrase)|secret_?(string|binary|value|key)|(^|_)secret|(^|_|[a-z])token|private_?key|api_?key|"
    r"access_?key|credentials?|connection_?string|stringData|(^|_)dsn|^result|bcryptHash)$",
    re.IGNORECASE,
)
#: Properties of the types above that are names, whatever their values look like.
_NAMES = frozenset({"arn", "id", "secretId", "versionId", "urn", "kind", "apiVersion", "metadata", "type", "name"})
_PARAMETER = "aws:ssm/parameter:"
_SIGNATURE = "4dabf18193072939515e22adb298388d"


class Redaction:
    """The values of some documents, and how to take them out of a text."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Prepare for the given values."""
        self._values = frozenset(values)
        forms = {form for value in self._values for form in _forms(value)}
        # The longest first: a form may hold another one.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if self._forms else None

    def __repr__(self) -> str:
        return f"Redaction({len(self._forms)} forms)"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take out."""
        return self._pattern is None

    def joined(self, other: Redaction) -> Redaction:
        """Return one that takes out the values of both."""
        return Redaction(self._values | other._values)

    def apply(self, text: str) -> str:
        """Return the text without any of the values."""
        return self._pattern.sub(REDACTED, text) if self._pattern else text

    def data(self, value: _T, *, kept: Container[str] = ()) -> _T:
        """Return a value of dataclasses, collections and texts without any of the values.

        Args:
            value: Members of enumerations in it stay, and keys of mappings.
            kept: Names of fields that stay too.
        """
        return self._data(value, kept) if self._pattern else value  # type: ignore[return-value] # of the same shape

    def _data(self, value: object, kept: Container[str]) -> object:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self.apply(value)
        if isinstance(value, (tuple, list, set, frozenset)):
            return type(value)(self._data(item, kept) for item in value)
        if isinstance(value, Mapping):
            return {key: self._data(item, kept) for key, item in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            names = [item.name for item in fields(value) if item.name not in kept]
            return replace(value, **{name: self._data(getattr(value, name), kept) for name in names})
        return value


def redaction_of(documents: Iterable[object]) -> Redaction:
    """Collect the values of `pulumi preview --json` documents."""
    return Redaction(value for document in documents for value in _values(document))


def _values(document: object) -> Iterator[str]:
    if not isinstance(document, Mapping):
        return
    steps = document.get("steps")
    for step in steps if isinstance(steps, list) else []:
        for key in ("oldState", "newState"):
            state = step.get(key) if isinstance(step, Mapping) else None
            if isinstance(state, Mapping):
                kind = str(state.get("type", ""))
                for part in ("inputs", "outputs"):
                    yield from _of_properties(state.get(part), kind)
    yield from _by_name(document.get("config"))


def _of_properties(properties: object, kind: str) -> Iterator[str]:
    if not isinstance(properties, Mapping):
        return
    whole = kind.startswith(_TYPES)
    for key, value in properties.items():
        named = key == "value" and kind.startswith(_PARAMETER)
        if named or (whole and key not in _NAMES) or _HOLDS_VALUES.search(str(key)):
            yield from _texts(value)
        else:
            yield from _by_name(value)


def _by_name(value: object) -> Iterator[str]:
    """Yield what stands under a telling name, and what Pulumi itself marks as secret, at any depth."""
    if isinstance(value, Mapping):
        if _SIGNATURE in value:
            yield from _texts(value.get("value"))
            return
        for key, item in value.items():
            name = str(key).rpartition(":")[2]  # a setting's is `namespace:name`
            yield from _texts(item) if _HOLDS_VALUES.search(name) else _by_name(item)
    elif isinstance(value, list):
        for item in value:
            yield from _by_name(item)


def _texts(value: object) -> Iterator[str]:
    """Yield every text at any depth; a text that is JSON is also taken apart."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key != _SIGNATURE:
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and value not in _NO_VALUES:
        yield value
        if value[:1] in "{[":
            try:
                yield from _texts(json.loads(value))
            except ValueError:
                return


def _forms(value: str) -> Iterator[str]:
    """Yield a value in the spellings in which it may turn up; a value in base64 is also one when it is decoded."""
    decoded = _decoded(value)
    for text in (value, decoded) if decoded else (value,):
        for part in {text, *text.splitlines()}:
            if len(part.strip()) < _SHORTEST:
                continue
            raw = part.encode("utf-8", "surrogatepass")
            yield part.strip()
            yield json.dumps(part)[1:-1]
            yield json.dumps(json.dumps(part)[1:-1])[1:-1]
            yield urllib.parse.quote(part, safe="")
            yield raw.hex()
            yield from _base64_forms(raw)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Yield what every base64 text that holds the bytes must hold, at each of the three alignments."""
    for before in range(3):
        # The first and last characters of a piece also depend on its neighbours: only the middle is certain.
        text = base64.b64encode(bytes(before) + raw).decode()
        start = (0, 2, 3)[before]
        certain = len(text.rstrip("=")) - (1 if (len(raw) + before) % 3 else 0)
        piece = text[start:certain]
        if len(piece) >= _SHORTEST:
            yield piece
            yield piece.replace("+", "-").replace("/", "_")


def _decoded(value: str) -> str:
    if len(value) < _SHORTEST or len(value) % 4:
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except ValueError:
        return ""
