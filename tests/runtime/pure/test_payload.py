"""Values → files: names, modes, versions; all of them or one error."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from provider_runtime.errors import Culprit, ErrorCode, MountError, StatusName
from provider_runtime.fetch_plan import ReadResult
from provider_runtime.mount_request import MountRequest, ObjectVersions
from provider_runtime.object_versions import FileShape, object_version
from provider_runtime.payload import MountFile, assemble_files
from provider_runtime.redaction import SecretBytes
from provider_runtime.secret_objects import ObjectType, SecretObject, parse_objects
from tests.runtime.pure.samples import CANARY, failure, request

J1 = json.dumps({"dbUser": {"username": "SecretsManagerUser", "password": "SecretsManagerPassword"}})


def value(text: str | bytes, version: str = "1") -> ReadResult:
    return ReadResult(value=SecretBytes(text.encode() if isinstance(text, str) else text), version=version)


def parsed(made: MountRequest) -> tuple[SecretObject, ...]:
    return parse_objects(
        made.objects_text,
        region=made.region or "",
        failover_regions=made.failover_regions,
        translation=made.translation,
        where=f"{made.where} parameters.objects",
    )


def files(text: str, *results: ReadResult | MountError, **changed: str) -> tuple[MountFile, ...]:
    made = request(objects=text, **changed)
    return assemble_files(made, parsed(made), results)


def listing(found: tuple[MountFile, ...]) -> dict[str, tuple[str, int, str]]:
    assert all(file.object_id == file.path for file in found)
    return {file.path: (file.contents.reveal().decode("latin-1"), file.mode, file.version) for file in found}


def test_a01_a_permission_of_an_object() -> None:
    text = "- {objectName: TestSecret1, objectType: secretsmanager, filePermission: '0600'}"
    assert listing(files(text, value(J1))) == {"TestSecret1": (J1, 0o600, "1")}


def test_a03_parent_and_children_with_their_modes() -> None:
    text = """
- objectName: TestSecret1
  objectType: secretsmanager
  filePermission: "0600"
  jmesPath:
    - {path: dbUser.username, objectAlias: username, filePermission: "0777"}
    - {path: dbUser.password, objectAlias: password}
"""
    assert listing(files(text, value(J1, "v7"))) == {
        "TestSecret1": (J1, 0o600, "v7"),
        "username": ("SecretsManagerUser", 0o777, "v7"),
        "password": ("SecretsManagerPassword", 0o600, "v7"),
    }


def test_a05_and_a10_both_stores_and_bytes_verbatim() -> None:
    text = "- {objectName: S, objectType: secretsmanager}\n- {objectName: P, objectType: ssmparameter}"
    found = files(text, value(b"\x00\xffbin"), value("parm1", "12"))
    assert listing(found) == {"S": ("\x00\xffbin", 0o644, "1"), "P": ("parm1", 0o644, "12")}


@pytest.mark.parametrize(
    ("translation", "names"),
    [("", ["_my_a", "my_b"]), ("-", ["-my-a", "my-b"]), ("False", ["my/a", "my/b"])],
)
def test_a24_a25_a27_a30_file_names_after_translation(translation: str, names: list[str]) -> None:
    text = "- {objectName: /my/a, objectType: secretsmanager}\n- {objectName: my/b, objectType: ssmparameter}"
    assert list(listing(files(text, value("x"), value("y"), pathTranslation=translation))) == names


def test_a_translated_alias_of_a_json_key() -> None:
    text = "- {objectName: S, objectType: secretsmanager, jmesPath: [{path: a, objectAlias: d/u}]}"
    assert list(listing(files(text, value('{"a": "x"}')))) == ["S", "d_u"]


def test_files_are_sorted_by_path_and_modes_are_the_requests() -> None:
    text = "".join(f"- {{objectName: {name}, objectType: secretsmanager}}\n" for name in "cab")
    found = files(text, value("1"), value("2"), value("3"), permission="256")
    assert [(file.path, file.contents.reveal(), file.mode) for file in found] == [
        ("a", b"2", 0o400),
        ("b", b"3", 0o400),
        ("c", b"1", 0o400),
    ]


def test_an_empty_value_is_an_empty_file() -> None:
    assert listing(files("- {objectName: S, objectType: secretsmanager}", value(""))) == {"S": ("", 0o644, "1")}


def test_v18_of_two_labels_under_one_file_name_the_last_entry_wins() -> None:
    text = "".join(
        f"- {{objectName: S, objectType: ssmparameter, objectVersionLabel: {label}}}\n"
        for label in ("AWSOLD", "AWSNEW")
    )
    assert listing(files(text, value("old", "1"), value("new", "2"))) == {"S": ("new", 0o644, "2")}


def test_one_failing_json_key_means_no_file_at_all() -> None:
    text = """
- {objectName: A, objectType: secretsmanager}
- {objectName: B, objectType: secretsmanager, jmesPath: [{path: missing, objectAlias: x}, {path: a, objectAlias: y}]}
"""
    error = failure(lambda: files(text, value("fine"), value('{"a": "b"}')))
    assert error.message.startswith("SecretProviderClass fakeNS/fakeClass parameters.objects[1].jmesPath[0]: JMES Path")
    assert error.culprit is Culprit.VALUE
    assert error.status is StatusName.FAILED_PRECONDITION
    assert not error.failover, "X46: another region does not repair a path"


def test_every_failing_object_is_reported_in_list_order() -> None:
    text = """
- {objectName: A, objectType: secretsmanager}
- {objectName: B, objectType: secretsmanager, jmesPath: [{path: a, objectAlias: b1}, {path: b, objectAlias: b2}]}
- {objectName: C, objectType: ssmparameter, jmesPath: [{path: a, objectAlias: c1}, {path: b, objectAlias: c2}]}
"""
    denied = MountError(
        ErrorCode.ACCESS_DENIED, where="objects[0]", what="Failed fetching secret A: denied", fix="grant it"
    )
    error = failure(lambda: files(text, denied, value("no json"), value('{"b": 1}')))
    assert [problem.code for problem in error.problems] == [
        ErrorCode.ACCESS_DENIED,
        ErrorCode.VALUE_NOT_JSON,
        ErrorCode.JMES_PATH_EMPTY,
        ErrorCode.JMES_RESULT_NOT_TEXT,
    ]
    assert error.status is StatusName.PERMISSION_DENIED, "the first one in list order"


def test_no_error_repeats_a_value() -> None:
    text = "- {objectName: A, objectType: secretsmanager, jmesPath: [{path: abs(a), objectAlias: b}]}"
    for document in (CANARY, json.dumps({"a": CANARY}), json.dumps([CANARY])):
        error = failure(lambda document=document: files(text, value(document)))  # type: ignore[misc]
        assert CANARY not in error.message + repr(error) + repr(vars(error))


def test_no_file_shows_its_contents() -> None:
    (file,) = files("- {objectName: A, objectType: secretsmanager}", value(CANARY))
    assert CANARY not in repr(file) + str(file) + f"{file}"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a content version depends on, and the contents, on which it must not depend."""

    store: ObjectType = ObjectType.PARAMETER
    region: str = "eu-west-1"
    name: str = "P"
    json_path: str = "a.b"
    file_name: str = "f"
    mode: int = 0o644
    last_modified: str = "2026-01-01T00:00:00Z"
    contents: str = "v"

    def version(self, kind: ObjectVersions = ObjectVersions.CONTENT) -> str:
        """Return the version of a file of this shape."""
        value = SecretBytes(self.contents.encode())
        shape = FileShape(
            store=self.store,
            region=self.region,
            name=self.name,
            json_path=self.json_path,
            file_name=self.file_name,
            mode=self.mode,
        )
        return object_version(kind, ReadResult(value=value, version="7", last_modified=self.last_modified), shape)


def test_an_upstream_version_is_upstreams_text_to_the_byte() -> None:
    assert Shape().version(ObjectVersions.UPSTREAM) == "7"


def test_a_content_version_is_pinned() -> None:
    """Changing it rewrites every synced Secret once: raise RENDERER_REVISION knowingly."""
    assert Shape().version() == "7-29e79b1deba7"


@pytest.mark.parametrize(
    "other",
    [
        Shape(store=ObjectType.SECRETS_MANAGER),
        Shape(region="us-west-2"),
        Shape(name="Q"),
        Shape(json_path=""),
        Shape(file_name="g"),
        Shape(mode=0o600),
        Shape(last_modified="2026-01-02T00:00:00Z"),
    ],
)
def test_a_content_version_follows_the_shape(other: Shape) -> None:
    assert other.version() != Shape().version()


def test_no_value_enters_a_version() -> None:
    assert Shape(contents="one").version() == Shape(contents="two").version()


def test_a_class_that_asks_for_content_versions_gets_them_for_each_file() -> None:
    text = "- {objectName: S, objectType: secretsmanager, jmesPath: [{path: a, objectAlias: x}]}"
    versions = [file.version for file in files(text, value('{"a": "b"}', "id"), objectVersions="content")]
    assert all(version.startswith("id-") for version in versions)
    assert len(set(versions)) == len(versions)
