"""Short cuts of the pattern matcher change no answer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation.evaluator.patterns import Extent, Pattern, _expression, expand

_PATTERNS = st.text(alphabet="ab:*?", max_size=12) | st.text(alphabet="b?*", max_size=4).map("arn:a:b:c:d:".__add__)


@settings(max_examples=400, deadline=None)
@given(pattern=_PATTERNS, text=st.text(alphabet="ab:", max_size=12), extent=st.sampled_from(Extent), cut=st.booleans())
def test_a_short_cut_says_what_the_expression_says(pattern: str, text: str, extent: Extent, *, cut: bool) -> None:
    # A text that is made from the pattern fits it often.
    asked = pattern.replace("*", text).replace("?", "b")[: -1 if cut else None]
    read = expand(pattern, {}, variables=False)
    assert isinstance(read, Pattern)
    for one in (asked, text):
        assert read.matches(one, extent) is (_expression(read.parts, extent, False).fullmatch(one) is not None)
