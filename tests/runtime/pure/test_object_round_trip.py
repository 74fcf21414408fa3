"""The codec's law: what was dumped parses to the same values, and the bytes are canonical."""

from __future__ import annotations

import unicodedata
from typing import Any

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
#: What most random values break: no control characters, and a version or a label.
_PRINTABLE_NAMES = st.one_of(
    _TRICKY.filter(lambda text: not any(unicodedata.category(each) == "Cc" for each in text)),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20),
)
_Versions = tuple[str, str]


def _versions(names: st.SearchStrategy[str]) -> st.SearchStrategy[_Versions]:
    """Version and label, one of them at most."""
    return st.just(("", "")) | names.map(lambda text: (text, "")) | names.map(lambda text: ("", text))


def _objects(names: st.SearchStrategy[str], versions: st.SearchStrategy[_Versions]) -> st.SearchStrategy[SecretObject]:
    optional = st.one_of(st.just(""), names)

    def build_failover(name: str, version: _Versions) -> FailoverObject | None:
        made = FailoverObject(name=name, version=version[0], version_label=version[1])
        return made if made != FailoverObject() else None

    def build(version: _Versions, **fields: Any) -> SecretObject:  # noqa: ANN401 - each of its own type
        return SecretObject(version=version[0], version_label=version[1], **fields)

    keys = st.builds(JsonKey, path=_KEY_PATHS, alias=names, permission=_MODES)
    return st.builds(
        build,
        version=versions,
        name=names,
        type=st.sampled_from(ObjectType),
        alias=optional,
        permission=_MODES,
        json_keys=st.lists(keys, max_size=3).map(tuple),
        failover=st.none() | st.builds(build_failover, optional, versions),
    )


_OBJECTS = _objects(_NAMES, st.tuples(_OPTIONAL, _OPTIONAL))
_TAME_OBJECTS = _objects(_PRINTABLE_NAMES, _versions(_PRINTABLE_NAMES))
_TRANSLATIONS = st.sampled_from(["", "False"])


@deterministic
@given(st.lists(_OBJECTS, min_size=1, max_size=3).map(tuple), _TRANSLATIONS)
def test_whatever_a_document_holds_its_dump_is_read_as_yaml(values: tuple[SecretObject, ...], translation: str) -> None:
    """Random values break rules (control characters, duplicates, names, failover); never the YAML."""
    _read_back(values, translation)


@deterministic
@given(st.lists(_TAME_OBJECTS, min_size=1, max_size=3).map(tuple), _TRANSLATIONS)
def test_parsing_a_dumped_document_gives_the_same_values(values: tuple[SecretObject, ...], translation: str) -> None:
    assume(_read_back(values, translation))


def _read_back(values: tuple[SecretObject, ...], translation: str) -> bool:
    """Dump, parse and compare; return whether no rule was broken."""
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
    if problem is not None:
        assert "Failed to load" not in problem.message
        return False
    assert tuple(parsed) == values
    assert dump_objects(parsed) == text
    return True


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
