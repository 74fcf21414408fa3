"""Texts that nest without end are refused before a parser in C meets them: it would end the process."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.derivation import SpecErrors, parse_specs
from components.derivation.yaml_depth import MOST_LEVELS, nests_too_deeply
from components.stack_config import SettingsErrors, load_stack_config
from lockstep.__main__ import main
from lockstep.exit_codes import ExitCode

DEEP = {
    "lists in brackets": "[" * 500_000,
    "mappings in brackets": "{a: " * 200_000,
    "lists on one line": "- " * 200_000,
    "keys on one line": "? " * 200_000,
    "by indentation": "\n".join(f"{' ' * depth}a:" for depth in range(1000)),
    "behind a page of text": "# a comment\n" * 1000 + "a: " + "[" * 400_000,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_text_that_nests_without_end_is_refused_everywhere(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nests_too_deeply(text)
    with pytest.raises(SpecErrors, match="the nesting is too deep"):
        parse_specs(text, source="app.yaml")
    (tmp_path / "Pulumi.yaml").write_text("name: x\n", encoding="utf-8")
    (tmp_path / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsErrors, match="the nesting is too deep"):
        load_stack_config(tmp_path, "dev")
    (tmp_path / "class.yaml").write_text(text, encoding="utf-8")
    assert main(["import", str(tmp_path / "class.yaml")]) == ExitCode.INVALID_INPUT
    assert "Traceback" not in capsys.readouterr().err


def nested(levels: int) -> object:
    value: object = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("flow", [True, False])
def test_the_limit_is_the_same_in_every_layout(flow: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    dumped = [yaml.safe_dump(nested(levels), default_flow_style=flow) for levels in (MOST_LEVELS, MOST_LEVELS + 1)]
    assert [nests_too_deeply(text) for text in dumped] == [False, True]


PLAIN = st.recursive(
    st.text(max_size=8) | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(PLAIN, st.booleans())
def test_what_people_write_is_never_too_deep(value: object, flow: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    assert not nests_too_deeply(yaml.safe_dump(value, default_flow_style=flow))


def test_many_brackets_beside_each_other_are_no_depth() -> None:
    assert not nests_too_deeply("[" + "[], " * 5000 + "]")
