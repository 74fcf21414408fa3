"""Containment of patterns against brute force over a small alphabet: a yes is never wrong."""

from __future__ import annotations

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation.diff.patterns import Pattern, contains, normalise

PATTERNS = st.text(alphabet="ab*?", max_size=5)
TEXTS = ["".join(letters) for size in range(6) for letters in itertools.product("ab", repeat=size)]


def matched(pattern: str) -> set[str]:
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return {text for text in TEXTS if re.fullmatch(expression, text)}


@given(PATTERNS, PATTERNS)
@settings(max_examples=300, deadline=None)
def test_what_contains_another_matches_all_that_it_matches(wide: str, narrow: str) -> None:
    if contains(normalise(wide), normalise(narrow)):
        assert matched(wide) >= matched(narrow)


EVERYTHING_BUT = st.lists(PATTERNS, min_size=1, max_size=2).map(Pattern.all_but)
RESOURCES = PATTERNS.map(Pattern.of) | EVERYTHING_BUT


def matched_by(pattern: Pattern) -> set[str]:
    return matched(pattern.text).difference(*map(matched, pattern.but))


@given(RESOURCES, RESOURCES)
@settings(max_examples=300, deadline=None)
def test_everything_but_some_contains_no_more_than_it_matches(wide: Pattern, narrow: Pattern) -> None:
    if wide.contains(narrow):
        assert matched_by(wide) >= matched_by(narrow)


@given(RESOURCES)
def test_a_pattern_is_read_back_as_it_was_told(pattern: Pattern) -> None:
    assert Pattern.told(str(pattern)) == pattern


def test_a_variable_may_be_what_is_left_out() -> None:
    variable = Pattern.of("key/${aws:PrincipalTag/k}")
    assert not Pattern.all_but(["key/1"]).contains(variable)
    assert not variable.is_exact
    assert Pattern.all_but(["key/1"]).contains(Pattern.of("key/2")), "which a plain text is not"


@given(PATTERNS)
@settings(max_examples=100, deadline=None)
def test_one_spelling_matches_the_same(pattern: str) -> None:
    assert matched(normalise(pattern)) == matched(pattern)
    assert contains(normalise(pattern), normalise(pattern))


@given(PATTERNS, st.sampled_from(TEXTS))
@settings(max_examples=200, deadline=None)
def test_of_a_plain_text_the_answer_is_exact(pattern: str, text: str) -> None:
    assert contains(normalise(pattern), text) is (text in matched(pattern))
