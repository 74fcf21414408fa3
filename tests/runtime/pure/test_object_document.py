"""How an `objects` document is read: the YAML of the Go provider, bounded, with every problem at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_runtime.errors import Culprit, ErrorCode, MountError, StatusName
from provider_runtime.object_document import DOCUMENT_LIMIT_BYTES
from provider_runtime.secret_objects import (
    FailoverObject,
    JsonKey,
    ObjectType,
    PathTranslation,
    SecretObject,
    parse_objects,
    parse_path_translation,
)
from tests.runtime.pure.samples import deterministic, failure, objects, problem_of


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "null", "~", "[]", "---\n...\n"])
def test_x06_a_class_without_objects_is_a_clear_error(text: str) -> None:
    error = failure(lambda: objects(text))
    assert error.code is ErrorCode.DOCUMENT_EMPTY
    assert "objects is empty" in error.message
    assert "missing object versions" in error.message


@pytest.mark.parametrize("text", ["just text", "a: b", "7", "{}"])
def test_x07_a_scalar_or_a_mapping_is_no_list_of_objects(text: str) -> None:
    assert "Failed to load SecretProviderClass" in failure(lambda: objects(text)).message


@pytest.mark.parametrize(
    "text",
    [
        "- [a]",
        "- text",
        "- {objectName: [a], objectType: ssmparameter}",
        "- {objectName: {a: b}, objectType: ssmparameter}",
        "- {objectName: a, objectType: ssmparameter, jmesPath: text}",
        "- {objectName: a, objectType: ssmparameter, jmesPath: [text]}",
        "- {objectName: a, objectType: ssmparameter, failoverObject: text}",
        "- {objectName: a, objectType: ssmparameter, ? [a] : b}",
        "- {objectName: a, objectType: !!binary YQ==}",
        "- {objectName: a, objectType: !mine ssmparameter}",
        "- {objectName: a, objectType: ssmparameter, <<: {objectAlias: b}}",
        "-\t- {",
        "- \x07",
        "- \ud800",
    ],
)
def test_another_shape_fails_to_load(text: str) -> None:
    error = failure(lambda: objects(text))
    assert "Failed to load SecretProviderClass" in error.message
    assert error.status is StatusName.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "text",
    [
        "- &a {objectName: a, objectType: ssmparameter}",
        "- &a {objectName: a, objectType: ssmparameter}\n- *a",
        "- {objectName: &n a, objectType: ssmparameter}",
    ],
)
def test_anchors_and_aliases_are_refused(text: str) -> None:
    assert failure(lambda: objects(text)).code is ErrorCode.DOCUMENT_ALIASES


def test_a_billion_laughs_is_refused_at_its_first_anchor() -> None:
    laughs = "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    assert failure(lambda: objects("a0: &a0 [lol]\n" + laughs)).code is ErrorCode.DOCUMENT_ALIASES


def test_a_document_of_more_than_a_mebibyte_is_refused() -> None:
    text = "- {objectName: a, objectType: ssmparameter} #"
    assert len(objects(text + "x" * (DOCUMENT_LIMIT_BYTES - len(text)))) == 1
    error = failure(lambda: objects(text + "x" * (DOCUMENT_LIMIT_BYTES - len(text) + 1)))
    assert error.code is ErrorCode.DOCUMENT_TOO_LARGE
    assert failure(lambda: objects("é" * (DOCUMENT_LIMIT_BYTES // 2 + 1))).code is ErrorCode.DOCUMENT_TOO_LARGE


def test_a_document_of_half_a_million_empty_entries_is_refused() -> None:
    assert failure(lambda: objects("-\n" * 500_000)).code is ErrorCode.DOCUMENT_TOO_LARGE


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_before_it_is_built(bracket: str) -> None:
    assert "Failed to load SecretProviderClass" in failure(lambda: objects(bracket * 20_000)).message


def test_x08_keys_match_in_any_case() -> None:
    text = (
        "- {ObjectName: a, OBJECTTYPE: secretsmanager, jmespath: [{Path: b, ObjectAlias: c, FILEPERMISSION: '0400'}]}"
    )
    expected = SecretObject(
        name="a",
        type=ObjectType.SECRETS_MANAGER,
        json_keys=(JsonKey(path="b", alias="c", permission="0400"),),
    )
    assert objects(text) == (expected,)


def test_the_exact_key_wins_over_its_other_spellings() -> None:
    (value,) = objects("- {objectName: exact, OBJECTNAME: upper, objectname: lower, objectType: ssmparameter}")
    assert value.name == "exact"


def test_a_null_does_not_hide_another_spelling() -> None:
    (value,) = objects("- {objectName: ~, OBJECTNAME: upper, objectType: ssmparameter}")
    assert value.name == "upper"


def test_of_duplicate_keys_the_last_counts() -> None:
    (value,) = objects("- {objectName: a, objectName: b, objectType: ssmparameter}")
    assert value.name == "b"


def test_unknown_keys_are_ignored_whatever_they_hold() -> None:
    text = "- {objectName: a, objectType: ssmparameter, backupArn: x, inFallback: [1, {b: c}], 7: d}"
    assert len(objects(text)) == 1


def test_x09_an_unquoted_octal_permission_is_explained() -> None:
    error = failure(lambda: objects("- {objectName: a, objectType: ssmparameter, filePermission: 0600}"))
    assert "Invalid File Permission: 384" in error.message
    assert "0600" in error.message
    assert 'quote it: filePermission: "0600"' in error.message


def test_an_unquoted_octal_that_happens_to_have_four_octal_digits_is_not_taken_for_a_mode() -> None:
    assert failure(lambda: objects("- {objectName: a, objectType: ssmparameter, filePermission: 01777}")).code is (
        ErrorCode.FILE_PERMISSION
    )


def test_x10_special_bits_do_not_reach_a_file() -> None:
    (value,) = objects("- {objectName: a, objectType: ssmparameter, filePermission: '1777'}")
    assert value.file_mode(0o644) == 0o777


@pytest.mark.parametrize(
    ("source", "version"), [("3", "3"), ("010", "8"), ("1e3", "1000"), ("'010'", "010"), ("!!str 010", "010")]
)
def test_x11_an_unquoted_version_becomes_the_number_that_go_reads(source: str, version: str) -> None:
    (value,) = objects(f"- {{objectName: a, objectType: ssmparameter, objectVersion: {source}}}")
    assert value.version == version


def test_x12_an_unquoted_y_is_the_file_true() -> None:
    (value,) = objects("- {objectName: a, objectType: ssmparameter, objectAlias: y}")
    assert value.alias == "true"


def test_x13_the_service_ssmparameter_in_an_arn_is_taken() -> None:
    (value,) = objects("- objectName: arn:aws:ssmparameter:us-west-2:123456789012:parameter/a")
    assert value.type is ObjectType.PARAMETER


def test_x14_a_bogus_service_is_refused_also_with_a_type() -> None:
    text = "- {objectName: 'arn:aws:bad:us-west-2:123456789012:x/a', objectType: ssmparameter}"
    assert "objectType does not match ARN" in failure(lambda: objects(text)).message


def test_a_merge_sign_that_is_no_key_is_a_text() -> None:
    assert objects("- {objectName: a, objectType: ssmparameter, objectAlias: <<}")[0].alias == "<<"


def test_an_arn_without_region_matches_no_region() -> None:
    error = failure(lambda: objects("- objectName: arn:aws:ssm::123456789012:parameter/a"))
    assert "ARN region must match region us-west-2" in error.message


def test_x22_the_translation_is_one_byte_or_false_in_any_case() -> None:
    assert parse_path_translation("") == PathTranslation(replacement="_")
    assert parse_path_translation("FALSE") == PathTranslation(replacement="")
    assert parse_path_translation("-").translate("/a/b") == "-a-b"
    for text in ("é", "--", "no", "\ud800"):
        assert "pathTranslation must be" in failure(lambda text=text: parse_path_translation(text)).message  # type: ignore[misc]


def test_x23_a_failover_label_counts_without_a_failover_name() -> None:
    (value,) = objects(
        "- {objectName: a, objectType: ssmparameter, failoverObject: {objectVersionLabel: L}}", "us-west-2", "us-west-1"
    )
    assert value.failover == FailoverObject(version_label="L")
    assert (value.version_label_in(0), value.version_label_in(1)) == ("", "L")


def test_an_empty_failover_object_is_none() -> None:
    assert objects("- {objectName: a, objectType: ssmparameter, failoverObject: {}}")[0].failover is None


def test_x35_secrets_manager_takes_version_and_label_together() -> None:
    (value,) = objects("- {objectName: a, objectType: secretsmanager, objectVersion: V, objectVersionLabel: L}")
    assert (value.version, value.version_label) == ("V", "L")


def test_x43_only_the_first_document_is_read() -> None:
    text = "---\n- {objectName: a, objectType: ssmparameter}\n---\n- [not, an, object]\n--- {"
    assert [value.name for value in objects(text)] == ["a"]


def test_a_failover_arn_may_serve_any_of_several_failover_regions() -> None:
    text = (
        "- {objectName: a, objectType: secretsmanager, objectAlias: f,"
        " failoverObject: {objectName: 'arn:aws:secretsmanager:us-east-2:1:secret:b'}}"
    )
    regions = ("us-west-2", "us-west-1", "us-east-2")
    (value,) = objects(text, *regions)
    assert [value.name_in(region, index) for index, region in enumerate(regions)] == [
        "a",
        "a",
        "arn:aws:secretsmanager:us-east-2:1:secret:b",
    ]
    error = failure(lambda: objects(text, "us-west-2", "us-west-1", "eu-west-1"))
    assert "ARN region must match region us-west-1, eu-west-1" in error.message


def test_a_plain_failover_name_serves_every_failover_region() -> None:
    text = "- {objectName: a, objectType: ssmparameter, objectAlias: f, failoverObject: {objectName: b}}"
    (value,) = objects(text, "us-west-2", "us-west-1", "us-east-2")
    assert [value.name_in("any", index) for index in range(3)] == ["a", "b", "b"]


def test_all_problems_of_a_document_are_reported_at_once_in_document_order() -> None:
    text = """
- {objectName: One}
- [a]
-
- {objectName: Four, objectType: ssm, filePermission: '0900', jmesPath: [{path: a-b}, {objectAlias: ../x}]}
- {objectName: arn:aws:sts:us-west-1:1:x}
"""
    error = failure(lambda: objects(text, translation="False"))
    fragments = [
        "parameters.objects[0]: Must use objectType when a full ARN is not specified: One",
        "parameters.objects[1]: Failed to load SecretProviderClass",
        "parameters.objects[2]: Empty descriptor entry",
        "parameters.objects[3]: Invalid objectType: ssm",
        "parameters.objects[3].filePermission: Invalid File Permission: 0900",
        "parameters.objects[3].jmesPath[0]: Invalid JMES Path: a-b",
        "parameters.objects[3].jmesPath[0]: Object alias must be specified for JMES object",
        "parameters.objects[3].jmesPath[1]: Path must be specified for JMES object",
        "parameters.objects[3].jmesPath[1]: path can not contain ../",
        "parameters.objects[4]: ARN region must match region us-west-2",
        "parameters.objects[4]: Invalid service in ARN: sts",
    ]
    texts = [problem.message for problem in error.problems]
    assert [fragment for fragment, text in zip(fragments, texts, strict=True) if fragment not in text] == []
    assert error.message.startswith(f"{len(fragments)} problems: (1) parameters.objects[0]: Must use objectType")
    assert error.code is ErrorCode.TYPE_MISSING
    assert error.culprit is Culprit.CONFIG


def test_the_place_starts_every_message() -> None:
    where = "SecretProviderClass payments/db parameters.objects"
    error = failure(
        lambda: parse_objects("-", region="r", failover_regions=(), translation=PathTranslation(), where=where)
    )
    assert error.message.startswith(f"{where}[0]: Empty descriptor entry.")


@deterministic
@given(st.text(max_size=300), st.sampled_from(["", "False", "/", "-"]))
def test_no_text_makes_the_parser_raise_anything_but_a_mount_error(text: str, translation: str) -> None:
    problem = problem_of(lambda: objects(text, translation=translation))
    assert problem is None or problem.message.endswith(("]", ")"))


_SCALARS = st.sampled_from(
    ["", "a", "~", "0600", "'0600'", "y", "3", "secretsmanager", "ssmparameter", "../x", "/", "a/b", "[", "*a", "&a b"]
)
_KEYS = st.sampled_from(["objectName", "OBJECTTYPE", "objectType", "objectAlias", "filePermission", "jmesPath", "path"])


@deterministic
@given(st.lists(st.dictionaries(_KEYS, _SCALARS, max_size=5), max_size=4))
def test_no_document_of_known_keys_makes_the_parser_raise_anything_else(entries: list[dict[str, str]]) -> None:
    text = "".join("- " + "\n  ".join(f"{key}: {value}" for key, value in entry.items()) + "\n" for entry in entries)
    try:
        parsed = objects(text, translation="False")
    except MountError:
        return
    assert len(parsed) == len(entries)
