"""Writes which packages the image holds, as CycloneDX, from what is really installed and not from what was asked for.

Run by the image's build: `python -P bill_of_materials.py FOLDER_OF_PACKAGES TARGET`. A file of its own, because not
every builder takes a program inside of a Dockerfile.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import distributions
from pathlib import Path


def bill_of_materials(packages: str) -> dict[str, object]:
    """Return the document for a folder that packages were installed into, sorted by name."""
    found = sorted((item.metadata["Name"].lower(), item.version) for item in distributions(path=[packages]))
    components = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in found
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(bill_of_materials(sys.argv[1]), indent=1), encoding="utf-8")
