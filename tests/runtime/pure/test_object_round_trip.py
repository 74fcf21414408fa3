"""The codec's law: what was dumped parses to the same values, and the bytes are canonical."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from provider_runtime.secret_objects import (
    FailoverObject,
    JsonKey,
    ObjectType,
    SecretObject,
    dump_objects,
    parse_objects,
    parse_path_translation,
)
from tests.runtime.pure.samples import deterministic, failure, objects, problem_of

REGION, FAILOVER = "eu-west-1", "us-west-2"
_TRICKY = st.sampled_from(
    [
        "no",
        "y",
        "null",
        "~",
        "0600",
        "010",
        "1e3",
        "2024-05-01",
        "1:30",
        "-",
        "- a",
        "a: b",
        "#c",
        "'",
        '"',
        "\\",
        "é",
        "😀",
        "a b",
        " a",
        "a ",
        "!x",
        "*a",
        "&a",
        "{a}",
        "[a]",
        ",",
        "?",
        "|",
        ">",
        "%",
        "@",
        "`",
        "<<",
        "=",
        "0x1F",
        ".inf",
        "tRuE",
        "\u2028",
        "\u0085",
        "\ufeff",
        "\u200b",
        "a:",
        "a#b",
        "a #b",
        "..a",
        "---",
        "...",
    ]
)
_NAMES = st.one_of(_TRICKY, st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
_OPTIONAL = st.one_of(st.just(""), _NAMES)
_MODES = st.one_of(st.just(""), st.from_regex(r"[0-7]{4}", fullmatch=True))
_KEY_PATHS = st.sampled_from(["a", "a.b", '"a-b".c', "a[0]", "a\n.b", "length(@)", "'it''s'", "`1`"])
_KEYS = st.builds(JsonKey, path=_KEY_PATHS, alias=_NAMES, permission=_MODES)
_OBJECTS = st.builds(
    SecretObject,
    name=_NAMES,
    type=st.sampled_from(ObjectType),
    alias=_OPTIONAL,
    version=_OPTIONAL,
    version_label=_OPTIONAL,
    permission=_MODES,
    json_keys=st.lists(_KEYS, max_size=3).map(tuple),
    failover=st.none()
    | st.builds(FailoverObject, name=_OPTIONAL, version=_OPTIONAL, version_label=_OPTIONAL).filter(
        lambda value: value != FailoverObject()
    ),
)


@deterministic
@given(st.lists(_OBJECTS, min_size=1, max_size=3).map(tuple), st.sampled_from(["", "False"]))
def test_parsing_a_dumped_document_gives_the_same_values(values: tuple[SecretObject, ...], translation: str) -> None:
    text = dump_objects(values)
    assert text.isascii()
    parsed: list[SecretObject] = []
    problem = problem_of(
        lambda: parsed.extend(
            parse_objects(
                text, region=REGION, failover_regions=(FAILOVER,), translation=parse_path_translation(translation)
            )
        )
    )
    # Random values break rules (duplicates, names, failover); never the YAML.
    assert problem is None or "Failed to load" not in problem.message
    assume(problem is None)
    assert tuple(parsed) == values
    assert dump_objects(parsed) == text


@deterministic
@given(st.lists(_OBJECTS, min_size=1, max_size=3).map(tuple))
def test_a_dumped_document_means_the_same_to_a_common_yaml_1_1_reader(values: tuple[SecretObject, ...]) -> None:
    loaded = yaml.load(dump_objects(values), Loader=yaml.CSafeLoader)
    assert [entry["objectName"] for entry in loaded] == [value.name for value in values]
    assert [entry.get("filePermission", "") for entry in loaded] == [value.permission for value in values]


def test_the_canonical_text_has_one_key_order_and_quotes_only_what_needs_them() -> None:
    value = SecretObject(
        name="prod/payments/db",
        type=ObjectType.SECRETS_MANAGER,
        alias="db.json",
        version="01234567-89ab-cdef-0123-456789abcdef",
        version_label="AWSCURRENT",
        permission="0400",
        json_keys=(JsonKey(path='"user-name"', alias="db-user", permission="0440"), JsonKey(path="port", alias="no")),
        failover=FailoverObject(name="other", version="01234567-89ab-cdef-0123-456789abcdef", version_label="y"),
    )
    assert dump_objects((value, SecretObject(name="/flags", type=ObjectType.PARAMETER))) == (
        "- objectName: prod/payments/db\n"
        "  objectType: secretsmanager\n"
        "  objectAlias: db.json\n"
        '  objectVersion: "01234567-89ab-cdef-0123-456789abcdef"\n'
        "  objectVersionLabel: AWSCURRENT\n"
        '  filePermission: "0400"\n'
        "  jmesPath:\n"
        '    - path: "\\"user-name\\""\n'
        "      objectAlias: db-user\n"
        '      filePermission: "0440"\n'
        "    - path: port\n"
        '      objectAlias: "no"\n'
        "  failoverObject:\n"
        "    objectName: other\n"
        '    objectVersion: "01234567-89ab-cdef-0123-456789abcdef"\n'
        '    objectVersionLabel: "y"\n'
        "- objectName: /flags\n"
        "  objectType: ssmparameter\n"
    )


@pytest.mark.parametrize("name", ["a\nb", "a\r", "\x00", "a\tb", "a\x85b"])
def test_a_name_with_a_control_character_does_not_round_trip_because_it_is_refused(name: str) -> None:
    text = dump_objects((SecretObject(name=name, type=ObjectType.PARAMETER),))
    assert "control character" in failure(lambda: objects(text)).message
