"""How documents are printed: JSON as the standard library would indent it, whoever writes it."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation import dump_json

#: UTF-8 has no lone surrogates, so no spec has one.
_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
_LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXT
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4), max_leaves=8
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=4))
@settings(max_examples=200)
def test_json_is_what_the_standard_library_would_print(value: dict[str, object]) -> None:
    assert dump_json(value) == json.dumps(value, indent=2, ensure_ascii=False) + "\n"
