"""Defaults for the specs of one folder: `_defaults.yaml` beside them gives values of keys that a spec leaves out.

Only keys that say how an app runs can have a default. What an app reads, and as whom, stands in its own spec: a grant
must be readable where it is reviewed. A default reaches the specs of its own folder and of no folder below.
"""

from __future__ import annotations

from pathlib import Path

from .errors import ProblemList, Spot
from .shape import Record
from .spec_files import SpecFiles
from .spec_shape import OVERLAY
from .yaml_source import Mapping, parse_yaml

FILE_NAME = "_defaults.yaml"

_KEYS = (
    "namespace",
    "identity",
    "podIdentity",
    "assumeRole",
    "podLabels",
    "owner",
    "mountPath",
    "refreshInterval",
    "failoverRegions",
)
DEFAULTS = Record(
    title="the defaults of a folder", fields=tuple(field for field in OVERLAY.fields if field.name in _KEYS)
)


def read_defaults(folder: Path, files: SpecFiles, problems: ProblemList) -> Mapping | None:
    """Return the defaults of a folder; None when there are none, or they cannot be used."""
    file = folder / FILE_NAME
    spot = Spot(source=str(file), line=1, column=1)
    try:
        text = files.content(file).decode("utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    except (OSError, UnicodeError) as error:
        detail = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.add(spot, "SPEC027", f"the file cannot be read ({detail})", "Specs are UTF-8 text", "correct the file")
        return None
    documents = parse_yaml(text, str(file), problems)
    if len(documents) > 1:
        problems.add(spot, "SPEC039", "the file has several documents", "It has one", "join them")
    for document in documents[:1]:
        DEFAULTS.read(document, problems)
        return document if isinstance(document, Mapping) else None
    return None


def with_defaults(spec: Mapping, defaults: Mapping | None) -> Mapping:
    """Return the spec with the defaults of the keys that it leaves out; each value keeps its own place."""
    if defaults is None:
        return spec
    known = {key.text for key, _ in spec.items}
    added = [(key, value) for key, value in defaults.items if key.text not in known and key.text in _KEYS]
    return Mapping(items=(*spec.items, *added), at=spec.at)
