"""Schemas of reports, checked and compiled once: `jsonschema.validate` does both again for every document."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema


def compile_schema(schema: dict[str, Any]) -> Any:  # noqa: ANN401 - jsonschema makes its classes at run time
    """Return a validator; its `validate` raises ValidationError.

    Raises:
        jsonschema.SchemaError: The schema itself is wrong.
    """
    kind: Any = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@functools.cache
def load_schema(file: Path) -> Any:  # noqa: ANN401 - as above
    """Return the validator of a schema in a file, made once."""
    return compile_schema(json.loads(file.read_text(encoding="utf-8")))
