"""Typed access to the fields of a record that was read: absent and broken values are None alike, for both were said."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import Spot
from .shape import BROKEN, Read, ReadList, ReadMap, ReadRecord, ReadValue


class Fields:
    """The fields of one record.

    Args:
        record: As a shape read it.
        at: Place of the record, for fields that are absent.
    """

    def __init__(self, record: ReadRecord, at: Spot) -> None:
        self._fields = record.fields
        self._at = at

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def get(self, name: str) -> Read | None:
        """Return the field with its node; None when it is absent."""
        return self._fields.get(name)

    def at(self, name: str) -> Spot:
        """Return the place of a field; of the record when it is absent."""
        read = self._fields.get(name)
        return read.node.at if read else self._at

    def is_broken(self, name: str) -> bool:
        """Say whether the field stands there and could not be read."""
        return name in self._fields and self._value(name) is BROKEN

    def text(self, name: str) -> str | None:
        """Return a text."""
        read = self._fields.get(name)
        return read.value if read and isinstance(read.value, str) else None

    def number(self, name: str) -> int | None:
        """Return a number."""
        value = self._value(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, name: str) -> bool:
        """Return a boolean; False when it is absent."""
        return self._value(name) is True

    def record(self, name: str) -> Fields | None:
        """Return the fields of a record."""
        value = self._value(name)
        return Fields(value, self.at(name)) if isinstance(value, ReadRecord) else None

    def records(self, name: str) -> Iterator[Fields]:
        """Yield the records of a list that could be read."""
        value = self._value(name)
        for item in value.items if isinstance(value, ReadList) else ():
            if isinstance(item.value, ReadRecord):
                yield Fields(item.value, item.node.at)

    def texts(self, name: str) -> tuple[tuple[str, Spot], ...]:
        """Return the texts of a list, each with its place."""
        value = self._value(name)
        items = value.items if isinstance(value, ReadList) else ()
        return tuple((item.value, item.node.at) for item in items if isinstance(item.value, str))

    def entries(self, name: str) -> Iterator[tuple[str, Spot, Read]]:
        """Yield key, place of the key, and value of a free mapping."""
        value = self._value(name)
        for key, entry in value.entries if isinstance(value, ReadMap) else ():
            yield key.text, key.at, entry

    def _value(self, name: str) -> ReadValue | None:
        read = self._fields.get(name)
        return read.value if read else None
