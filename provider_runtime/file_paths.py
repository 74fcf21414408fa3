"""File names inside the mount: how `pathTranslation` builds them, and which ones can never be written.

A file name is at the same time the id in `object_version` and the key into `current_object_version`. Reports problems
as (code, text) pairs; turning them into errors is the caller's work, which knows where the name stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider_runtime.errors import ErrorCode, MountError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

ELEMENT_LIMIT_BYTES = 255
"""Longest path element, NAME_MAX on Linux; the driver's atomic writer refuses more."""
PATH_LIMIT_BYTES = 4096
"""Longest relative path that the driver's atomic writer takes."""

EMPTY_MARKER = ".lockstep-empty"
"""The only file of a class whose objects are all optional and absent."""

# The Go provider's traversal rule, applied to the file name after translation: `..x`, `x..` and `a../b` pass.
_TRAVERSAL = re.compile(r"/\.\./|\A\.\./|/\.\.\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathTranslation:
    """What replaces `/` in file names.

    Args:
        replacement: One ASCII character, or empty for translation off.
    """

    replacement: str = "_"

    def translate(self, name: str) -> str:
        """Build the file name: every `/` replaced; with translation off only the leading ones removed.

        >>> PathTranslation().translate("/a/b")
        '_a_b'
        >>> PathTranslation(replacement="").translate("//a/b")
        'a/b'
        """
        return name.replace("/", self.replacement) if self.replacement else name.lstrip("/")


def parse_path_translation(text: str, *, where: str = "parameters.pathTranslation") -> PathTranslation:
    """Read the class parameter: empty means `_`, `false` in any case means off, exactly one byte means itself.

    Raises:
        MountError(PATH_TRANSLATION_INVALID): More than one byte, also when it is one character (`é`).
    Source: contract of the Go provider, section 3.3.
    """
    if not text:
        return PathTranslation()
    if text.lower() == "false":
        return PathTranslation(replacement="")
    if len(text.encode("utf-8", "surrogatepass")) != 1:
        raise MountError(
            ErrorCode.PATH_TRANSLATION_INVALID,
            where=where,
            what=f"pathTranslation must be either 'False' or a single character string, it is '{shown(text)}'",
            rule="One byte is one character here: letters beyond ASCII take more",
            fix="use one ASCII character, or False to keep the slashes",
        )
    return PathTranslation(replacement=text)


def path_problem(path: str) -> tuple[ErrorCode, str] | None:
    """Say why no volume can hold a file of this name; `None` when it can.

    Checked after translation. The first rule is the Go provider's; the others are what the driver's atomic writer
    refuses after the secrets were fetched (a bare `.` even makes it delete the live directory), refused here before.
    """
    if _TRAVERSAL.search(path):
        return ErrorCode.PATH_TRAVERSAL, "path can not contain ../"
    if has_control_character(path):
        return ErrorCode.CONTROL_CHARACTER, "file name contains a control character"
    if path in {"", ".", ".."}:
        return ErrorCode.PATH_FORM, f"file name '{path}' is no file name"
    if path.startswith("/"):
        return ErrorCode.PATH_FORM, "file name starts with '/' after pathTranslation"
    elements = path.split("/")
    if any(element in {"", "."} for element in elements):
        return ErrorCode.PATH_FORM, "file name is not a clean path: it has an empty or '.' element"
    if any(len(element.encode("utf-8", "surrogatepass")) > ELEMENT_LIMIT_BYTES for element in elements):
        return ErrorCode.PATH_TOO_LONG, f"file name has an element of more than {ELEMENT_LIMIT_BYTES} bytes"
    if len(path.encode("utf-8", "surrogatepass")) > PATH_LIMIT_BYTES:
        return ErrorCode.PATH_TOO_LONG, f"file name has more than {PATH_LIMIT_BYTES} bytes"
    return None


def is_reserved(path: str) -> bool:
    """Say whether the driver's atomic writer keeps names of this kind for itself (`..data`); they are never written.

    Not part of `path_problem`: the Go provider takes such names where it writes the files itself.
    """
    return path.startswith("..")


def paths_below_files(paths: Iterable[str]) -> dict[str, str]:
    """Find the paths that lie below another one: path → the outermost file that it would need as a directory."""
    found: dict[str, str] = {}
    outer = ""
    # Sorted by elements, everything below `a` comes directly behind `a`.
    for path in sorted(paths, key=lambda path: path.split("/")):
        if outer and path.startswith(f"{outer}/"):
            found[path] = outer
        else:
            outer = path
    return found


def has_control_character(text: str) -> bool:
    """Say whether the text has C0 or C1 controls or DEL, which neither AWS names nor sane file names hold."""
    return any(ord(char) < ord(" ") or "\x7f" <= char <= "\x9f" for char in text)
