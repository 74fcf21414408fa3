"""Two entries that would share a file are refused, where the Go provider lets the last one win (9.4, X14 to X21)."""

from __future__ import annotations

import pytest

from provider_runtime.errors import ErrorCode
from provider_runtime.object_document import DOCUMENT_LIMIT_BYTES
from tests.runtime.pure.samples import failure, objects


def entry(name: str, alias: str = "", label: str = "", keys: tuple[str, ...] = ()) -> str:
    paths = ", ".join(f"{{path: p, objectAlias: '{key}'}}" for key in keys)
    return (
        f"- {{objectName: '{name}', objectType: secretsmanager, objectAlias: '{alias}', objectVersionLabel: '{label}',"
        f" jmesPath: [{paths}]}}\n"
    )


COLLISIONS = {
    "X16 one labelled": (entry("A") + entry("A", label="L"), "", ErrorCode.FILE_COLLISION),
    "X17 first and third": (entry("A") + entry("A", alias="b") + entry("A"), "", ErrorCode.FILE_COLLISION),
    "X18 alias is another's name": (entry("A") + entry("B", alias="A"), "", ErrorCode.FILE_COLLISION),
    "X18 after translation": (entry("a/b") + entry("a_b"), "", ErrorCode.FILE_COLLISION),
    "X18 leading slash": (entry("/a") + entry("a"), "False", ErrorCode.FILE_COLLISION),
    "X19 key is its own parent": (entry("A", keys=("A",)), "", ErrorCode.FILE_COLLISION),
    "key is another's name": (entry("A") + entry("B", keys=("A",)), "", ErrorCode.FILE_COLLISION),
    "name is another's key": (entry("B", keys=("A",)) + entry("A"), "", ErrorCode.FILE_COLLISION),
    "two keys of one object": (entry("A", keys=("b", "b")), "", ErrorCode.DUPLICATE_ALIAS),
    "two keys after translation": (entry("A", keys=("b/c", "b_c")), "", ErrorCode.FILE_COLLISION),
    "X20 key leaves the mount": (entry("A", keys=("../x",)), "False", ErrorCode.PATH_TRAVERSAL),
    "X21 alias ..": (entry("A", alias=".."), "False", ErrorCode.PATH_FORM),
    "alias .. of a translated //": (entry("A", alias="//"), ".", ErrorCode.PATH_FORM),
    "alias .": (entry("A", alias="."), "", ErrorCode.PATH_FORM),
    "key .": (entry("A", keys=(".",)), "", ErrorCode.PATH_FORM),
    "only a slash": (entry("/"), "False", ErrorCode.PATH_FORM),
    "absolute": (entry("/a"), "/", ErrorCode.PATH_FORM),
    "double slash": (entry("a//b"), "False", ErrorCode.PATH_FORM),
    "slash at the end": (entry("a/"), "False", ErrorCode.PATH_FORM),
    "dot element": (entry("a/./b"), "False", ErrorCode.PATH_FORM),
    "file and directory": (entry("a") + entry("a/b"), "False", ErrorCode.PATH_PREFIX),
    "directory and file": (entry("a/b/c") + entry("a/b"), "False", ErrorCode.PATH_PREFIX),
    "key and directory": (entry("A", alias="x", keys=("x/y",)), "False", ErrorCode.PATH_PREFIX),
    "long element": (entry("a" * 256), "", ErrorCode.PATH_TOO_LONG),
    "long element in bytes": (entry("A", alias="é" * 128), "", ErrorCode.PATH_TOO_LONG),
    "long path": (entry("A", alias="/".join(["a" * 200] * 21)), "False", ErrorCode.PATH_TOO_LONG),
    "line break in a name": ('- {objectName: "a\\nb", objectType: ssmparameter}', "", ErrorCode.CONTROL_CHARACTER),
    "NUL in an alias": (
        '- {objectName: a, objectAlias: "b\\0", objectType: ssmparameter}',
        "",
        ErrorCode.CONTROL_CHARACTER,
    ),
}


@pytest.mark.parametrize("case", COLLISIONS)
def test_a_file_that_could_not_be_told_apart_or_written_is_refused(case: str) -> None:
    text, translation, code = COLLISIONS[case]
    error = failure(lambda: objects(text, translation=translation))
    assert code in {problem.code for problem in error.problems}


@pytest.mark.parametrize(
    ("text", "translation"),
    [
        (entry("A", alias="b") + entry("A"), ""),  # X15
        (entry("a") + entry("a.b") + entry("ab"), "False"),
        (entry("a/b") + entry("a/c") + entry("a.d"), "False"),
        (entry("a" * 255), ""),
        (entry("A", alias="a b"), ""),
        (entry("A", alias=".hidden"), ""),
        (entry("A", alias="geheim-ü"), ""),
    ],
)
def test_neighbours_that_share_no_file_are_accepted(text: str, translation: str) -> None:
    assert objects(text, translation=translation)


def test_a_collision_names_both_entries() -> None:
    error = failure(lambda: objects(entry("a/b") + entry("x") + entry("a_b")))
    assert error.message.startswith("parameters.objects[2]: file name 'a_b' is already used by objects[0].")


def test_a_duplicate_is_said_once() -> None:
    assert len(failure(lambda: objects(entry("A") + entry("A"))).problems) == 1


def test_the_collision_check_does_not_choke_on_a_deep_path() -> None:
    alias = "a/" * (DOCUMENT_LIMIT_BYTES // 2 - 200)
    assert failure(lambda: objects(entry("A", alias=alias), translation="False")).code is ErrorCode.PATH_FORM
