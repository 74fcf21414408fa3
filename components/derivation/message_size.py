"""How large the provider's answer for one mount can get, if every value is as large as AWS lets it be.

An answer holds the whole objects, and beside them what is cut out of them: a file for each JSON key, or for every key,
and templates. Keys that are plain names beside each other share one value; an expression may return all of it again.

Not counted: numbers with exponents, which the provider writes out in digits.

Sources: limits.py (values), Secrets Store CSI driver service.proto (a file's path, mode and contents).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import jmespath
from jmespath.exceptions import JMESPathError

from provider_runtime.file_templates import RESULT_LIMIT_BYTES, Reference, TemplateError, parse_template

from .limits import PARAMETER_VALUE, SECRET_VALUE
from .object_checks import default_file
from .spec import ObjectEntry, Store, TemplateEntry

_LARGEST = {Store.SECRETS_MANAGER: SECRET_VALUE.amount, Store.PARAMETER_STORE: PARAMETER_VALUE.amount}
#: Of a file beside its path and contents: mode, tags and lengths of the message.
_FILE_OVERHEAD_BYTES: Final = 32

#: The names of a plain key such as `db.port`, ("db", "port"); None for any other expression.
_Chain = tuple[str, ...] | None


def largest_answer(entries: Iterable[ObjectEntry]) -> int:
    """Return the bytes that the answer for one mount's objects can have at most."""
    known = tuple(entries)
    quoted = known if any(entry.template for entry in known) else ()
    cuts = {file: (entry, chain) for entry in quoted for file, chain in _files(entry).items()}
    return sum(_weight(entry, cuts) for entry in known)


def _weight(entry: ObjectEntry, cuts: Mapping[str, tuple[ObjectEntry, _Chain]]) -> int:
    size = _LARGEST[entry.store]
    files = {entry.file or default_file(entry.name), *(key.file for key in entry.keys)}
    total = size + sum(map(_file_weight, files))
    if entry.all_keys:
        total += size
    elif entry.keys:
        total += size * _shares(_chain(key.path) for key in entry.keys)
    if entry.template:
        total += _file_weight(entry.template.file) + _template_weight(entry.template, cuts)
    return total


def _file_weight(path: str) -> int:
    return len(path.encode()) + _FILE_OVERHEAD_BYTES


def _files(entry: ObjectEntry) -> dict[str, _Chain]:
    """Return the files of an object that templates may quote, with the chain of each; () is the whole value."""
    return {
        entry.file or default_file(entry.name): (),
        **{key.file: _chain(key.path) for key in entry.keys},
    }


def _shares(chains: Iterable[_Chain]) -> int:
    """Return how often a value can be repeated in what is cut out of it: names beside each other count once."""
    known = list(chains)
    plain = [chain for chain in known if chain is not None]
    nested = (sum(other == chain[: len(other)] for other in plain) for chain in plain)
    return max(nested, default=0) + len(known) - len(plain)


def _template_weight(template: TemplateEntry, cuts: Mapping[str, tuple[ObjectEntry, _Chain]]) -> int:
    try:
        parts = parse_template(template.text)
    except TemplateError:
        return 0  # template_checks.py says so
    quoted: defaultdict[int, list[_Chain]] = defaultdict(list)
    sizes: dict[int, int] = {}
    for part in parts:
        if isinstance(part, Reference) and part.file in cuts:
            source, chain = cuts[part.file]
            quoted[id(source)].append(chain)
            sizes[id(source)] = _LARGEST[source.store]
    unknown = sum(isinstance(part, Reference) and part.file not in cuts for part in parts)
    text = sum(len(part.encode()) for part in parts if isinstance(part, str))
    whole = text + sum(sizes[source] * _shares(chains) for source, chains in quoted.items())
    # A file that only the value names is a key of some secret.
    return min(whole + unknown * SECRET_VALUE.amount, RESULT_LIMIT_BYTES)


def _chain(path: str) -> _Chain:
    """Return the names of a plain key, `a` or `a."b-c".d`; None for what may return anything else."""
    try:
        node = jmespath.compile(path).parsed
    except JMESPathError:
        return None  # object_checks.py says so
    # However many names there are, they are the children of one subexpression.
    links = node["children"] if node["type"] == "subexpression" else [node]
    return tuple(link["value"] for link in links) if all(link["type"] == "field" for link in links) else None
