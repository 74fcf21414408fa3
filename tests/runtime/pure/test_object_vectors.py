"""The descriptor vectors V01 to V50 of the contract, by id, with the Go provider's own texts as fragments."""

from __future__ import annotations

import pytest

from provider_runtime.secret_objects import ObjectType, parse_path_translation
from tests.runtime.pure.samples import failure, objects, request

W1, W2, E2 = "us-west-1", "us-west-2", "us-east-2"


def arn(service: str = "secretsmanager", region: str = W2, name: str = "secret1") -> str:
    return f"arn:aws:{service}:{region}:123456789012:secret:{name}"


def ps(name: str = "secret1", **fields: str) -> str:
    rest = "".join(f", {key}: {text}" for key, text in fields.items())
    return f"- {{objectName: {name}, objectType: ssmparameter{rest}}}\n"


def sm(name: str = "secret1", **fields: str) -> str:
    return ps(name, **fields).replace("ssmparameter", "secretsmanager")


def failing_over(name: str, failover: str, **fields: str) -> str:
    rest = "".join(f", {key}: {text}" for key, text in fields.items())
    return f'- {{objectName: "{name}"{rest}, failoverObject: {failover}}}\n'


DUPLICATE = "found descriptor with duplicate object name secret1, "

REFUSED = {
    "V03": ("- {}", (), "Object name must be specified"),
    "V04": ('- {objectName: "arn::"}', (), "Invalid ARN format in object name: arn::"),
    "V05": (f"- objectName: {arn('sts')}", (), "Invalid service in ARN: sts"),
    "V06": ("- objectName: SomeSecret", (), "Must use objectType when a full ARN is not specified: SomeSecret"),
    "V07": ("- {objectName: SomeName, objectType: sts}", (), "Invalid objectType: sts"),
    "V08": ("- {objectName: SomeName, objectType: ssm}", (), "Invalid objectType: ssm"),
    "V09": (f"- {{objectName: '{arn()}', objectType: ssmparameter}}", (), "objectType does not match ARN: " + arn()),
    "V10": (
        ps("P", objectVersion="v", objectVersionLabel="l"),
        (),
        "ssm parameters can not specify both objectVersion and objectVersionLabel: P",
    ),
    "V11": (ps() + ps(), (), DUPLICATE + "no object alias, and no version label"),
    "V12": (
        ps(objectAlias="aliasOne") * 2,
        (),
        DUPLICATE + "duplicate object alias aliasOne, and no version label",
    ),
    "V13": (
        ps(objectAlias="aliasOne", objectVersionLabel="AWSCURRENT")
        + ps(objectAlias="aliasOne", objectVersionLabel="AWSPREVIOUS"),
        (),
        "found duplicate object alias aliasOne",
    ),
    "V16": (
        ps(objectVersionLabel="AWSCURRENT") * 2,
        (),
        DUPLICATE + "no object alias, and duplicate version label AWSCURRENT",
    ),
    "V17": (
        ps(objectAlias="aliasOne", objectVersionLabel="AWSCURRENT") * 2,
        (),
        DUPLICATE + "duplicate object alias aliasOne, and duplicate version label AWSCURRENT",
    ),
    "V19": (
        ps("secret1", objectAlias="aliasOne") + ps("secret2", objectAlias="aliasOne"),
        (),
        "found duplicate object alias aliasOne",
    ),
    "V20": (
        ps("secret1", objectAlias="aliasOne") + ps("secret2", jmesPath="[{path: .username, objectAlias: aliasOne}]"),
        (),
        "Name already in use for objectAlias: found duplicate object alias aliasOne in JMES path entry .username",
    ),
    "V21": (ps("secret2", jmesPath="[{path: .username}]"), (), "Object alias must be specified for JMES object"),
    "V22": (ps("secret2", jmesPath="[{objectAlias: aliasOne}]"), (), "Path must be specified for JMES object"),
    "V24": (ps() + "-\n", (), "Empty descriptor entry"),
    "V25": (sm() + "- {", (), "Failed to load SecretProviderClass"),
    "V26": ("- objectName: secret1", (), "Must use objectType"),
    "V32": (
        failing_over(arn(region=W1), f"{{objectName: '{arn()}'}}"),
        (W1, W2),
        "object alias must be specified for objects with failover entries",
    ),
    "V33": (
        failing_over(arn(region=W1), "{objectName: MySecret}", objectAlias="test"),
        (W1, W2),
        "Must use objectType when a full ARN is not specified: MySecret",
    ),
    "V34": (
        failing_over("MySecret", f"{{objectName: '{arn(region=W1)}'}}", objectAlias="test"),
        (W2, W1),
        "Must use objectType when a full ARN is not specified: MySecret",
    ),
    "V35": (
        failing_over(
            arn(region=W1), f"{{objectName: '{arn('bad')}'}}", objectType="secretsmanager", objectAlias="test"
        ),
        (W1, W2),
        "objectType does not match ARN",
    ),
    "V36": (
        failing_over(arn(region=W1), f"{{objectName: '{arn('bad')}'}}\t  ", objectAlias="test"),
        (W1, W2),
        "Invalid service in ARN: bad",
    ),
    "V38": (f"- {{objectName: '{arn(region=W1)}', objectAlias: test}}", (W2,), f"ARN region must match region {W2}"),
    "V39": (
        failing_over(arn(region=W1), f"{{objectName: '{arn(region=W2)}'}}", objectAlias="test"),
        (W1, E2),
        f"ARN region must match region {E2}",
    ),
    "V40": (
        failing_over(arn(region=W1), f"{{objectName: '{arn(region=W2)}'}}", objectAlias="test"),
        (W1,),
        "failover object allowed only when failover region is defined",
    ),
    "V41": (
        ps("P", objectAlias="a", failoverObject="{objectName: Q, objectVersion: v, objectVersionLabel: l}"),
        (W1, W2),
        "ssm parameters can not specify both objectVersion and objectVersionLabel: P",
    ),
    "V43": (
        ps("P", objectAlias="a", objectVersion="VersionId", failoverObject="{objectName: Q, objectVersion: Other}"),
        (W1, W2),
        "object versions must match between primary and failover regions: P",
    ),
    "V47 letters": (sm(filePermission="abc9"), (), "Invalid File Permission: abc9"),
    "V47 three": (sm(filePermission="'000'"), (), "Invalid File Permission: 000"),
    "V47 five": (sm(filePermission="'00000'"), (), "Invalid File Permission: 00000"),
    "V49 object": (sm(filePermission="abcd"), (), "Invalid File Permission: abcd"),
    "V49 key": (
        sm(jmesPath="[{path: a, objectAlias: b, filePermission: efgh}]"),
        (),
        "Invalid File Permission: efgh",
    ),
    "V50 yaml": ("not valid yaml [", (), "Failed to load SecretProviderClass"),
    "V50 mode": (sm(filePermission="9999"), (), "Invalid File Permission: 9999"),
    "A02": (sm(filePermission='"0900"'), (), "Invalid File Permission: 0900"),
    "A04": (
        sm(filePermission='"0600"', jmesPath='[{path: a, objectAlias: b, filePermission: "a987"}]'),
        (),
        "Invalid File Permission: a987",
    ),
    "A18": (sm("TestSecret1") + "- objectType: secretsmanager", (), "Object name must be specified"),
}

ACCEPTED = {
    "V14": (ps(objectAlias="aliasOne") + ps(objectAlias="aliasTwo"), (), ["aliasOne", "aliasTwo"]),
    "V15": (
        ps(objectAlias="aliasOne", objectVersionLabel="AWSCURRENT")
        + ps(objectAlias="aliasTwo", objectVersionLabel="AWSPREVIOUS"),
        (),
        ["aliasOne", "aliasTwo"],
    ),
    "V18": (ps(objectVersionLabel="AWSCURRENT") + ps(objectVersionLabel="AWSPREVIOUS"), (), ["secret1", "secret1"]),
    "V23": (sm("secret1") + ps("secret2") + ps("secret3", objectAlias="myParm"), (), ["secret1", "secret2", "myParm"]),
    "V29": (f"- {{objectName: '{arn()}', objectAlias: secret1}}\n" + ps("parm1"), (), ["secret1", "parm1"]),
    "V37": (
        failing_over(arn(region=W1), f"{{objectName: '{arn(region=W2)}'}}", objectAlias="test"),
        (W1, W2),
        ["test"],
    ),
    "V42": (ps("P", objectAlias="test", failoverObject="{objectName: Q}"), (W1, W2), ["test"]),
    "V44": (
        ps("P", objectAlias="test", objectVersion="1", failoverObject="{objectName: Q, objectVersion: 1}"),
        (W1, W2),
        ["test"],
    ),
    "V47 empty": (sm(filePermission="''"), (), ["secret1"]),
    "V47 four": (sm(filePermission="'0600'"), (), ["secret1"]),
    "V50 0777": (sm(filePermission="'0777'"), (), ["secret1"]),
    "V50 0000": (sm(filePermission="'0000'"), (), ["secret1"]),
}

TRAVERSALS = [
    f"- objectName: '{arn(name='/../pathTest-abc123')}'",
    f"- objectName: '{arn(name='mypath/../../pathTest-abc123')}'",
    f"- objectName: '{arn(name='mypath/..')}'",
    *(
        f"- {{objectName: {name}, objectType: {kind}}}"
        for kind in ("secretsmanager", "ssmparameter")
        for name in ("../mypath", "mypath/../../param", "mypath/..")
    ),
    "- {objectName: ../TestParm1, objectType: ssmparameter}",  # A22
    "- {objectName: ./../TestSecret1, objectType: secretsmanager}",  # A23
]

NO_TRAVERSALS = [
    *(f"- objectName: '{arn(name=name)}'" for name in ("/..mypath", "..mypath", "mypath../param", "mypath..")),
    *(
        f"- {{objectName: {name}, objectType: ssmparameter}}"
        for name in ("/..mypath", "..mypath", "mypath../param", "mypath..")
    ),
]


@pytest.mark.parametrize("vector", REFUSED)
def test_a_wrong_document_is_refused_with_the_go_providers_words(vector: str) -> None:
    text, regions, fragment = REFUSED[vector]
    error = failure(lambda: objects(text, *regions))
    assert fragment in error.message
    assert "parameters.objects" in error.message
    assert "Fix: " in error.message


@pytest.mark.parametrize("vector", ACCEPTED)
def test_a_right_document_is_accepted_with_its_file_names(vector: str) -> None:
    text, regions, file_names = ACCEPTED[vector]
    translation = parse_path_translation("")
    assert [value.file_name(translation) for value in objects(text, *regions)] == file_names


def test_v01_and_v02_the_type_comes_from_the_arn() -> None:
    text = f"- objectName: '{arn()}'\n- objectName: arn:aws:ssm:us-west-2:123456789012:parameter/feaw"
    assert [value.type for value in objects(text)] == [ObjectType.SECRETS_MANAGER, ObjectType.PARAMETER]


def test_v27_the_types_have_the_texts_of_the_class() -> None:
    assert [str(kind) for kind in (ObjectType.PARAMETER, ObjectType.SECRETS_MANAGER)] == [
        "ssmparameter",
        "secretsmanager",
    ]


def test_v28_a_translation_of_two_characters_is_refused() -> None:
    error = failure(lambda: parse_path_translation("--"))
    assert "pathTranslation must be either 'False' or a single character string" in error.message


@pytest.mark.parametrize("text", TRAVERSALS)
def test_v30_a_path_that_leaves_the_mount_is_refused(text: str) -> None:
    assert "path can not contain ../" in failure(lambda: objects(text, translation="False")).message


@pytest.mark.parametrize("text", NO_TRAVERSALS)
def test_v31_two_dots_inside_a_name_are_no_traversal(text: str) -> None:
    assert len(objects(text, translation="False")) == 1


def test_v45_the_default_mode_is_the_requests_and_a_permission_wins() -> None:
    plain, own = objects(sm("a") + sm("b", filePermission="'0600'"))
    assert plain.file_mode(request().default_mode) == 0o644
    assert own.file_mode(request().default_mode) == 0o600


def test_v46_the_request_may_ask_for_another_default_mode() -> None:
    assert objects(sm())[0].file_mode(request(permission="511").default_mode) == 0o777


@pytest.mark.parametrize(
    ("parent", "own", "mode"), [("", "", 0o644), ("0600", "", 0o600), ("0600", "0777", 0o777), ("", "0777", 0o777)]
)
def test_v48_a_json_key_takes_its_own_mode_then_its_parents_then_the_default(parent: str, own: str, mode: int) -> None:
    keys = f"[{{path: a, objectAlias: b, filePermission: '{own}'}}]"
    (value,) = objects(sm(filePermission=f"'{parent}'", jmesPath=keys))
    assert value.key_mode(value.json_keys[0], 0o644) == mode
