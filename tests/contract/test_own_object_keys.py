"""The object keys of our own, through a real socket in both write modes: optional, encoding, nonText, keys, template.

Upstream ignores them, so a class that has none of them meets nothing of this page.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.fakes.aws import GET_PARAMETERS, GET_SECRET, FakeParameter, FakeSecret, Fault
from tests.fakes.driver import FAKE_BACKUP_REGION, FAKE_REGION, Answer, Pod

if TYPE_CHECKING:
    from tests.contract.conftest import World

REQUIRED = "- {objectName: there, objectType: secretsmanager}\n"
OPTIONAL_SECRET = "- {objectName: gone, objectType: secretsmanager, optional: true}\n"
OPTIONAL_PARAMETER = "- {objectName: /gone/too, objectType: ssmparameter, optional: true}\n"
MARKER = ".lockstep-empty"
CANARY = "c4n4ry-5ecret-value"


@pytest.fixture(autouse=True)
def _values(either_world: World) -> None:
    either_world.aws.secrets[FAKE_REGION, "there"] = FakeSecret(value="here", version_id="v-1")


def contents(answer: Answer) -> dict[str, bytes]:
    assert answer.is_ok, answer.text
    assert set(answer.files) == set(answer.versions)
    return {path: value for path, (value, _) in answer.files.items()}


def mount(world: World, objects: str, **parameters: str) -> Answer:
    return world.driver.mount(Pod(objects=objects, parameters=parameters))


# ------------------------------------------------------------------------------------------------------------ optional


def test_an_optional_object_that_does_not_exist_is_left_out(either_world: World) -> None:
    answer = mount(either_world, REQUIRED + OPTIONAL_SECRET + OPTIONAL_PARAMETER)
    assert contents(answer) == {"there": b"here"}


@pytest.mark.parametrize("word", ["true", "yes", "on", '"T"', "1"])
def test_optional_is_said_in_the_words_of_yaml_and_of_go(either_world: World, word: str) -> None:
    objects = f"{REQUIRED}- {{objectName: gone, objectType: secretsmanager, optional: {word}}}\n"
    assert contents(mount(either_world, objects)) == {"there": b"here"}


@pytest.mark.parametrize("word", ["false", "no", "off", '"0"'])
def test_what_is_not_optional_must_exist(either_world: World, word: str) -> None:
    objects = f"{REQUIRED}- {{objectName: gone, objectType: secretsmanager, optional: {word}}}\n"
    assert mount(either_world, objects).code is grpc.StatusCode.NOT_FOUND


def test_an_optional_object_that_exists_is_there_like_any_other(either_world: World) -> None:
    either_world.aws.secrets[FAKE_REGION, "gone"] = FakeSecret(value="back", version_id="v-2")
    assert contents(mount(either_world, REQUIRED + OPTIONAL_SECRET)) == {"there": b"here", "gone": b"back"}


@pytest.mark.parametrize("action", [GET_SECRET, GET_PARAMETERS])
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("AccessDeniedException", 400),
        ("DecryptionFailure", 400),
        ("ThrottlingException", 400),
        ("InvalidRequestException", 400),
        ("InternalServiceError", 500),
    ],
)
def test_only_aws_saying_not_found_makes_an_optional_object_absent(
    either_world: World, action: str, code: str, status: int
) -> None:
    """A denial above all: else a removed grant would look like a removed secret, and files would silently go."""
    either_world.aws.fail(action, Fault(code=code, status=status))
    objects = OPTIONAL_SECRET if action == GET_SECRET else OPTIONAL_PARAMETER
    answer = mount(either_world, objects)
    assert not answer.is_ok
    assert answer.code is not grpc.StatusCode.NOT_FOUND
    assert code in answer.text


@pytest.mark.parametrize(("action", "objects"), [(GET_SECRET, OPTIONAL_SECRET), (GET_PARAMETERS, OPTIONAL_PARAMETER)])
def test_a_failover_region_without_the_object_does_not_make_it_absent(
    either_world: World, action: str, objects: str
) -> None:
    """The primary region, which decides what exists, did not answer; a replica may be missing for other reasons."""
    either_world.aws.fail(action, Fault(status=500, code="InternalServiceError"), region=FAKE_REGION)
    answer = mount(either_world, objects, failoverRegion=FAKE_BACKUP_REGION)
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert FAKE_BACKUP_REGION in answer.text
    assert "InternalServiceError" in answer.text, "the text says why the primary region could not tell"


@pytest.mark.parametrize("says_what_it_knows", [True, False], ids=["driver 1.5", "driver 1.6"])
def test_a_class_of_absent_objects_is_one_marker_so_that_old_files_go(
    either_world: World,
    says_what_it_knows: bool,  # noqa: FBT001
) -> None:
    either_world.aws.secrets[FAKE_REGION, "gone"] = FakeSecret(value="old", version_id="v-2")
    pod = Pod(objects=OPTIONAL_SECRET + OPTIONAL_PARAMETER)
    first = either_world.driver.mount(pod)
    assert contents(first) == {"gone": b"old"}
    del either_world.aws.secrets[FAKE_REGION, "gone"]
    answer = either_world.driver.mount(
        replace(pod, versions=tuple(first.versions.items()) if says_what_it_knows else ())
    )
    assert set(contents(answer)) == {MARKER}
    assert answer.versions == {MARKER: "1"}
    assert answer.files[MARKER][1] == 0o444
    either_world.aws.secrets[FAKE_REGION, "gone"] = FakeSecret(value="back", version_id="v-3")
    assert contents(either_world.driver.mount(pod)) == {"gone": b"back"}, "and the marker goes when the object is back"


def test_required_objects_that_are_missing_are_named_and_optional_ones_beside_them_are_not(either_world: World) -> None:
    required = "- {objectName: /must, objectType: ssmparameter}\n"
    answer = mount(either_world, OPTIONAL_PARAMETER + required)
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert f"400: {FAKE_REGION}: invalid parameters: /must" in answer.text
    assert "/gone/too" not in answer.text


def test_an_optional_word_that_is_no_boolean_is_refused_with_the_words_that_are(either_world: World) -> None:
    answer = mount(either_world, REQUIRED + "- {objectName: a, objectType: secretsmanager, optional: maybe}\n")
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "LSP240" in answer.text
    assert "'maybe' is neither true nor false" in answer.text


@pytest.mark.parametrize("objects", ["", "[]", "null", "---\n"])
def test_an_empty_list_is_an_error_that_names_the_class(either_world: World, objects: str) -> None:
    answer = mount(either_world, objects)
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "SecretProviderClass fakeNS/fakeClass" in answer.text
    assert "LSP202" in answer.text


# ------------------------------------------------------------------------------------------------------------ encoding

RAW = bytes(range(256))


@pytest.mark.parametrize(
    "stored",
    [
        base64.b64encode(RAW).decode(),
        base64.urlsafe_b64encode(RAW).decode(),
        base64.b64encode(RAW).decode().rstrip("="),
        base64.encodebytes(RAW).decode(),
        base64.b64encode(RAW),
    ],
    ids=["standard", "url-safe", "no padding", "lines", "a binary secret"],
)
def test_base64_is_decoded_to_its_bytes(either_world: World, stored: str | bytes) -> None:
    either_world.aws.secrets[FAKE_REGION, "pfx"] = FakeSecret(value=stored)
    answer = mount(either_world, "- {objectName: pfx, objectType: secretsmanager, encoding: base64}\n")
    assert contents(answer) == {"pfx": RAW}


@pytest.mark.parametrize("stored", [f"{CANARY}!", "YQ=", "YR==", "a", "a b", "-_+/"])
def test_what_is_not_base64_is_refused_without_showing_it(either_world: World, stored: str) -> None:
    either_world.aws.secrets[FAKE_REGION, "pfx"] = FakeSecret(value=stored)
    answer = mount(either_world, "- {objectName: pfx, objectType: secretsmanager, encoding: base64}\n")
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "LSP406" in answer.text
    assert CANARY not in answer.text


def test_a_single_json_key_may_be_base64_and_a_decoded_value_may_be_json(either_world: World) -> None:
    document = json.dumps({"cert": base64.b64encode(RAW).decode(), "user": "u"})
    either_world.aws.secrets[FAKE_REGION, "a"] = FakeSecret(value=document)
    either_world.aws.secrets[FAKE_REGION, "b"] = FakeSecret(value=base64.b64encode(document.encode()).decode())
    objects = """
- objectName: a
  objectType: secretsmanager
  jmesPath:
    - {path: cert, objectAlias: cert, encoding: base64}
- objectName: b
  objectType: secretsmanager
  encoding: base64
  jmesPath:
    - {path: user, objectAlias: user}
"""
    found = contents(mount(either_world, objects))
    assert found == {"a": document.encode(), "cert": RAW, "b": document.encode(), "user": b"u"}


# ------------------------------------------------------------------------------------------------- keys and nonText

NUMBERS = (
    '{"port": 5432, "big": 12345678901234567890, "e": 1e21, "small": 1.50e-7, "flag": true,'
    ' "o": {"b": [1, null], "a": "ü"}}'
)
RENDERED = {
    "port": b"5432",
    "big": b"12345678901234567890",
    "e": b"1000000000000000000000",
    "small": b"0.000000150",
    "flag": b"true",
    "o": '{"a":"ü","b":[1,null]}'.encode(),
}


def test_every_top_level_key_is_a_file_and_numbers_have_no_exponent(either_world: World) -> None:
    either_world.aws.secrets[FAKE_REGION, "db"] = FakeSecret(value=NUMBERS, version_id="v-7")
    answer = mount(either_world, '- {objectName: db, objectType: secretsmanager, keys: "*", filePermission: "0400"}\n')
    assert contents(answer) == RENDERED | {"db": NUMBERS.encode()}
    assert {mode for _, mode in answer.files.values()} == {0o400}
    assert set(answer.versions.values()) == {"v-7"}


def test_a_json_path_renders_what_is_no_text_where_the_class_asks_for_it(either_world: World) -> None:
    either_world.aws.secrets[FAKE_REGION, "db"] = FakeSecret(value=NUMBERS)
    keys = "".join(f"    - {{path: {name}, objectAlias: {name}}}\n" for name in RENDERED)
    plain = f"- objectName: db\n  objectType: secretsmanager\n  jmesPath:\n{keys}"
    refused = mount(either_world, plain)
    assert "Only string is allowed" in refused.text, "upstream's rule stays where nothing is asked for"
    assert "nonText: render" in refused.text
    answer = mount(either_world, plain + "  nonText: render\n")
    assert contents(answer) == RENDERED | {"db": NUMBERS.encode()}


@pytest.mark.parametrize(
    ("value", "code", "fragment"),
    [
        (f'{{"a": null, "b": "{CANARY}"}}', "LSP408", "key 'a' has no text"),
        (f'["{CANARY}"]', "LSP407", "no object"),
        (CANARY, "LSP401", "Invalid JSON"),
        (f'{{"../x": "{CANARY}", "..": ""}}', "LSP409", "cannot name a file"),
        (f'{{"db": "{CANARY}"}}', "LSP410", "already used by objects[0]"),
        (f'{{"a/b": "{CANARY}", "a_b": ""}}', "LSP410", "is already used by key"),
        (json.dumps({f"k{number}": "" for number in range(2_001)}), "LSP411", "2001 keys"),
    ],
)
def test_keys_that_cannot_be_files_are_named_and_values_are_not_shown(
    either_world: World, value: str, code: str, fragment: str
) -> None:
    either_world.aws.secrets[FAKE_REGION, "db"] = FakeSecret(value=value)
    translation = "False" if "../" in value else "_"
    answer = mount(
        either_world, '- {objectName: db, objectType: secretsmanager, keys: "*"}\n', pathTranslation=translation
    )
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert code in answer.text
    assert fragment in answer.text
    assert CANARY not in answer.text


# ------------------------------------------------------------------------------------------------------------ template


def template(text: str, more: str = "") -> str:
    return f"""
- objectName: db
  objectType: secretsmanager
  jmesPath:
    - {{path: user, objectAlias: user}}
  template: {{objectAlias: app.conf, filePermission: "0440", text: {json.dumps(text)}}}
{more}"""


def test_a_template_is_one_file_built_from_several_values(either_world: World) -> None:
    aws = either_world.aws
    aws.secrets[FAKE_REGION, "db"] = FakeSecret(value='{"user": "u"}', version_id="v-1")
    aws.parameters[FAKE_REGION, "/host"] = FakeParameter(value="h", version=3)
    text = "url=${user}@${_host}\nhome=$HOME literal=$${user}\n"
    pod = Pod(objects=template(text, "- {objectName: /host, objectType: ssmparameter}\n"))
    answer = either_world.driver.mount(pod)
    assert contents(answer)["app.conf"] == b"url=u@h\nhome=$HOME literal=${user}\n"
    assert answer.files["app.conf"][1] == 0o440
    aws.parameters[FAKE_REGION, "/host"] = FakeParameter(value="h2", version=4)
    later = either_world.driver.mount(pod)
    assert contents(later)["app.conf"].startswith(b"url=u@h2\n")
    assert later.versions["app.conf"] != answer.versions["app.conf"], "its version follows the values that it quotes"


def test_a_value_that_looks_like_a_reference_is_not_looked_at_again(either_world: World) -> None:
    value = json.dumps({"user": "${db} $${db} ${nothing}"})
    either_world.aws.secrets[FAKE_REGION, "db"] = FakeSecret(value=value)
    assert contents(mount(either_world, template("<${user}>")))["app.conf"] == b"<${db} $${db} ${nothing}>"


def test_an_absent_optional_file_is_an_empty_text_in_a_template(either_world: World) -> None:
    either_world.aws.secrets[FAKE_REGION, "db"] = FakeSecret(value='{"user": "u"}')
    answer = mount(either_world, template("<${user}${gone}>", OPTIONAL_SECRET))
    assert contents(answer)["app.conf"] == b"<u>"
    assert "gone" not in answer.files


@pytest.mark.parametrize(
    ("text", "code"),
    [("${nothing}", "LSP245"), ("${app.conf}", "LSP245"), ("${user", "LSP244"), ("${}", "LSP244"), ("", "LSP244")],
)
def test_a_template_that_cannot_be_filled_in_is_refused_before_aws_is_asked(
    either_world: World, text: str, code: str
) -> None:
    answer = mount(either_world, template(text))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert code in answer.text
    assert not either_world.aws.calls


@pytest.mark.parametrize(
    ("value", "text"),
    [(b'{"user": "\xff\xfe"}', "${db}"), (json.dumps({"user": CANARY + "x" * 60_000}).encode(), "${user}" * 20)],
    ids=["not utf-8", "more than a mebibyte"],
)
def test_a_template_that_these_values_break_says_so_without_them(either_world: World, value: bytes, text: str) -> None:
    either_world.aws.secrets[FAKE_REGION, "db"] = FakeSecret(value=value)
    answer = mount(either_world, template(text))
    assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "LSP412" in answer.text
    assert CANARY not in answer.text
