"""The driver's request, step by step in the Go provider's order (contract 2.2, 7.4, 7.5; X01 to X05)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_runtime.errors import Culprit, ErrorCode, MountError, StatusName
from provider_runtime.mount_request import (
    AddressType,
    MountRequest,
    ObjectVersions,
    parse_address_type,
    parse_mount_request,
)
from provider_runtime.redaction import SecretText
from provider_runtime.secret_objects import PathTranslation
from tests.runtime.pure.samples import CANARY, TOKENS, attributes, deterministic, failure, problem_of, request

ROLE = "arn:aws:iam::111122223333:role/lockstep/payments"


def refusal(
    text: str, *, target_path: str = "/mnt", permission: str = "420", default_region: str | None = None
) -> MountError:
    return failure(lambda: parse_mount_request(text, target_path, permission, (), default_region=default_region))


REFUSED = {
    "Q01": ("", "420", "failed to unmarshal attributes"),
    "Q03": (
        attributes(without=["csi.storage.k8s.io/serviceAccount.tokens"]),
        "420",
        "serviceAccount.tokens not provided",
    ),
    "Q04": (
        attributes(usePodIdentity="true", tokens=json.dumps({"sts.amazonaws.com": {"token": "fake-sts"}})),
        "420",
        'Pod Identity token extraction failed: token for audience "pods.eks.amazonaws.com" not found',
    ),
    "Q12": ("not json", "420", "failed to unmarshal attributes"),
    "Q13 empty": ("{}", "420", "CSI token error: serviceAccount.tokens not provided"),
    "Q13 region": ('{"region": "r"}', "420", "serviceAccount.tokens"),
    "Q13 usePodIdentity": ('{"usePodIdentity": "yes"}', "420", "serviceAccount.tokens"),
    "Q13 preferredAddressType": ('{"preferredAddressType": "x"}', "420", "serviceAccount.tokens"),
    "Q14": ("{}", "", "serviceAccount.tokens"),
    "T01": (attributes(tokens=""), "420", "serviceAccount.tokens not provided"),
    "T02": (attributes(tokens="not json"), "420", "failed to parse serviceAccount.tokens"),
    "T07": (
        attributes(tokens='{"other": {"token": "t"}}'),
        "420",
        'IRSA token extraction failed: token for audience "sts.amazonaws.com" not found',
    ),
    "T08": (
        attributes(tokens='{"sts.amazonaws.com": {"token": ""}}'),
        "420",
        'IRSA token extraction failed: token for audience "sts.amazonaws.com" is empty',
    ),
    "A15": (attributes(), "", "failed to unmarshal file permission"),
    "A17": (attributes(usePodIdentity="yes"), "420", "failed to parse usePodIdentity value"),
    "A26": (attributes(pathTranslation="--"), "420", "pathTranslation must be"),
    "F08": (attributes(failoverRegion="fakeRegion"), "420", "fakeRegion: failover region cannot be the same"),
    "X01": (attributes(), "null", "failed to unmarshal file permission"),
    "X02": ("null", "420", "CSI token error: serviceAccount.tokens not provided"),
    "X03": ('{"a": 1}', "420", "failed to unmarshal attributes: the value of 'a' is not a text"),
    "X04": (attributes(tokens="null"), "420", "IRSA token extraction failed"),
    "X05": (attributes(tokens='{"sts.amazonaws.com": null}'), "420", "is empty"),
    "attributes array": ("[]", "420", "failed to unmarshal attributes: they are not a JSON object"),
    "attributes bool": ('{"a": true}', "420", "failed to unmarshal attributes"),
    "attributes object": ('{"a": {}}', "420", "failed to unmarshal attributes"),
    "attributes deep": ("[" * 100_000, "420", "failed to unmarshal attributes: nested too deeply"),
    "attributes NaN": ('{"a": NaN}', "420", "failed to unmarshal attributes"),
    "tokens array": (attributes(tokens="[]"), "420", "failed to parse serviceAccount.tokens"),
    "token entry text": (attributes(tokens='{"a": "b"}'), "420", "failed to parse serviceAccount.tokens"),
    "token number": (attributes(tokens='{"a": {"token": 1}}'), "420", "failed to parse serviceAccount.tokens"),
    "expiry number": (
        attributes(tokens='{"a": {"ExpirationTimestamp": 1}}'),
        "420",
        "failed to parse serviceAccount.tokens",
    ),
    "failover in a list": (attributes(failoverRegions="us-east-1, fakeRegion"), "420", "cannot be the same"),
    "failover twice": (attributes(failoverRegions="a,b,a"), "420", "a is listed twice"),
    "role": (attributes(roleArn="payments"), "420", "'payments' is not the ARN of an IAM role"),
    "versions": (attributes(objectVersions="hash"), "420", "'hash' is no kind of object version"),
}


@pytest.mark.parametrize("vector", REFUSED)
def test_a_wrong_request_is_refused_with_the_go_providers_words(vector: str) -> None:
    text, permission, fragment = REFUSED[vector]
    assert fragment in refusal(text, permission=permission).message


def test_q02_the_target_path_is_looked_at_first() -> None:
    error = refusal("{}", target_path="")
    assert "Missing mount path" in error.message
    assert error.status is StatusName.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "text", ["'420'", '"420"', "-1", "1.5", "4.2e2", "0644", "x", "512", "2047", "4294967296", "\uff14\uff12\uff10"]
)
def test_only_a_json_number_up_to_0777_is_a_file_permission(text: str) -> None:
    assert "failed to unmarshal file permission" in refusal(attributes(), permission=text).message


@pytest.mark.parametrize(("text", "mode"), [("420", 0o644), (" 511\n", 0o777), ("0", 0)])
def test_the_permission_becomes_the_default_mode(text: str, mode: int) -> None:
    assert request(permission=text).default_mode == mode


def test_the_steps_run_in_the_go_providers_order() -> None:
    """Each request is wrong from some step on; the first failing step answers."""
    wrong_from_tokens = attributes(tokens="", failoverRegion="fakeRegion", usePodIdentity="yes", pathTranslation="--")
    wrong_from_regions = attributes(failoverRegion="fakeRegion", usePodIdentity="yes", pathTranslation="--")
    wrong_from_identity = attributes(usePodIdentity="yes", tokens="{}", pathTranslation="--")
    wrong_from_token = attributes(tokens="{}", pathTranslation="--")
    codes = [
        refusal("", target_path="", permission="x").code,
        refusal("", permission="x").code,
        refusal(wrong_from_tokens, permission="x").code,
        refusal(wrong_from_regions, permission="x").code,
        refusal(wrong_from_regions).code,
        refusal(wrong_from_identity).code,
        refusal(wrong_from_token).code,
        refusal(attributes(pathTranslation="--")).code,
    ]
    assert codes == [
        ErrorCode.TARGET_PATH_MISSING,
        ErrorCode.ATTRIBUTES_INVALID,
        ErrorCode.TOKENS_MISSING,
        ErrorCode.PERMISSION_INVALID,
        ErrorCode.FAILOVER_REGION_INVALID,
        ErrorCode.POD_IDENTITY_FLAG_INVALID,
        ErrorCode.TOKEN_UNAVAILABLE,
        ErrorCode.PATH_TRANSLATION_INVALID,
    ]


def test_a_request_of_the_driver_becomes_a_value() -> None:
    parsed = parse_mount_request(
        attributes(
            failoverRegion="us-west-2",
            pathTranslation="False",
            preferredAddressType="IPv6",
            roleArn=ROLE,
            objectVersions="content",
            objects="- {}",
            unknown="ignored",
        ),
        "/var/lib/kubelet/pods/fakeUID/volumes/kubernetes.io~csi/v/mount",
        "420",
        (("a", "1"), ("b", "2"), ("a", "3")),
        default_region="other",
    )
    assert parsed == MountRequest(
        pod_name="fakePod",
        pod_namespace="fakeNS",
        pod_uid="fakeUID",
        service_account="fakeSvcAcc",
        class_name="fakeClass",
        region="fakeRegion",
        failover_regions=("us-west-2",),
        use_pod_identity=False,
        address_type=AddressType.IPV6,
        role_arn=ROLE,
        tokens={audience: SecretText(entry["token"]) for audience, entry in TOKENS.items()},
        translation=PathTranslation(replacement=""),
        objects_text="- {}",
        default_mode=0o644,
        object_versions=ObjectVersions.CONTENT,
        target_path="/var/lib/kubelet/pods/fakeUID/volumes/kubernetes.io~csi/v/mount",
        current_versions={"a": "3", "b": "2"},
    )
    assert parsed.where == "SecretProviderClass fakeNS/fakeClass"


def test_q06_the_region_of_the_process_counts_when_the_class_names_none() -> None:
    text = attributes(without=["region"])
    assert parse_mount_request(text, "/mnt", "420", (), default_region="us-west-2").region == "us-west-2"
    assert parse_mount_request(text, "/mnt", "420", (), default_region=None).region is None


def test_q07_a_looked_up_region_completes_the_request() -> None:
    parsed = request(region="", failoverRegion="us-west-2")
    assert parsed.region is None
    assert parsed.in_region("eu-west-1").region == "eu-west-1"
    error = failure(lambda: parsed.in_region("us-west-2"))
    assert error.code is ErrorCode.FAILOVER_REGION_INVALID
    assert error.culprit is Culprit.REGION


def test_upstreams_failover_region_comes_before_ours() -> None:
    assert request(failoverRegions=" b , c,").failover_regions == ("b", "c")
    assert request(failoverRegion="a", failoverRegions="b,a,c").failover_regions == ("a", "b", "c")
    assert request(failoverRegions="").failover_regions == ()


def test_t03_to_t06_each_audience_has_its_token() -> None:
    assert sorted(request().tokens) == ["pods.eks.amazonaws.com", "sts.amazonaws.com"]
    assert list(request(tokens='{"sts.amazonaws.com": {"token": "t"}}').tokens) == ["sts.amazonaws.com"]
    assert request().token.reveal() == "fake-sts"
    assert request(usePodIdentity="true").token.reveal() == "fake-pods"
    assert request(usePodIdentity="true").audience == "pods.eks.amazonaws.com"


def test_token_fields_match_in_any_case_and_the_exact_one_wins() -> None:
    entry = '{"sts.amazonaws.com": {"token": "exact", "TOKEN": "upper", "Token": null, "other": 1}}'
    assert request(tokens=entry).token.reveal() == "exact"
    assert request(tokens='{"sts.amazonaws.com": {"Token": "t"}}').token.reveal() == "t"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", "auto"),
        ("auto", "auto"),
        ("ipv4", "ipv4"),
        ("ipv6", "ipv6"),
        ("IPv4", "ipv4"),
        ("IPv6", "ipv6"),
        ("invalid", "auto"),
    ],
)
def test_p01_to_p07_the_address_type(text: str, address: str) -> None:
    assert parse_address_type(text) is AddressType(address)


@pytest.mark.parametrize("word", ["1", "t", "T", "TRUE", "true", "True"])
def test_pod_identity_is_asked_for_in_gos_words(word: str) -> None:
    assert request(usePodIdentity=word).use_pod_identity
    assert not request(usePodIdentity="").use_pod_identity
    assert not request(usePodIdentity="false").use_pod_identity  # A06


@pytest.mark.parametrize("word", ["TrUe", " true", "on", "2"])
def test_no_other_word_asks_for_pod_identity(word: str) -> None:
    assert refusal(attributes(usePodIdentity=word)).code is ErrorCode.POD_IDENTITY_FLAG_INVALID


@pytest.mark.parametrize(
    "role",
    [ROLE, "arn:aws-us-gov:iam::111122223333:role/x", "arn:aws-cn:iam::111122223333:role/a/b/c+=,.@-_"],
)
def test_a_role_arn_of_any_partition_is_taken(role: str) -> None:
    assert request(roleArn=role).role_arn == role
    assert request().role_arn is None


@pytest.mark.parametrize(
    "role",
    [
        ROLE + "\n",
        ROLE + " ",
        "arn:aws:iam::11112222333:role/x",
        "arn:aws:iam::111122223333:user/x",
        "arn:aws:sts::111122223333:assumed-role/x/y",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::\uff11\uff11\uff11\uff1122223333:role/x",
    ],
)
def test_what_is_no_role_arn_is_refused(role: str) -> None:
    assert refusal(attributes(roleArn=role)).code is ErrorCode.ROLE_ARN_INVALID


def test_lone_surrogates_in_attributes_become_replacement_characters() -> None:
    text = attributes().replace("fakePod", "\\ud800")
    assert parse_mount_request(text, "/mnt", "420", (), default_region=None).pod_name == "\ufffd"


def test_two_requests_do_not_share_a_mode() -> None:
    """X42: the Go provider keeps the default mode in a process-wide variable."""
    first, second = request(permission="256"), request(permission="511")
    assert (first.default_mode, second.default_mode) == (0o400, 0o777)


@pytest.mark.parametrize(
    "tokens",
    [
        f'{{"sts.amazonaws.com": {{"token": "{CANARY}"}}',
        f'{{"sts.amazonaws.com": {{"token": ["{CANARY}"]}}}}',
        f'{{"sts.amazonaws.com": "{CANARY}"}}',
        f'["{CANARY}"]',
        CANARY,
        f'{{"other": {{"token": "{CANARY}"}}}}',
    ],
)
def test_no_error_about_tokens_repeats_one(tokens: str) -> None:
    error = refusal(attributes(tokens=tokens))
    assert CANARY not in error.message + repr(error) + repr(vars(error))
    assert error.__context__ is None or CANARY not in repr(vars(error.__context__))


def test_broken_attributes_are_not_repeated_because_they_hold_tokens() -> None:
    error = refusal(attributes(tokens=f'{{"sts.amazonaws.com": {{"token": "{CANARY}"}}}}')[:-1])
    assert CANARY not in error.message + repr(vars(error))


@deterministic
@given(st.text(max_size=80), st.text(max_size=10), st.text(max_size=10))
def test_no_text_makes_the_parser_raise_anything_but_a_mount_error(text: str, path: str, permission: str) -> None:
    problem = problem_of(lambda: parse_mount_request(text, path, permission, (), default_region=None))
    assert problem is None or problem.status in StatusName


_VALUES = st.text(max_size=10) | st.sampled_from(
    ["true", "a,b", "a,,a", "False", "{}", "null", "[]", ROLE, "\ud800", "\n"]
)


@deterministic
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "region",
                "failoverRegion",
                "failoverRegions",
                "usePodIdentity",
                "pathTranslation",
                "objects",
                "roleArn",
                "objectVersions",
                "tokens",
                "preferredAddressType",
                "secretProviderClass",
            ]
        ),
        _VALUES,
    )
)
def test_no_attributes_make_the_parser_raise_anything_but_a_mount_error(changed: dict[str, str]) -> None:
    problem = problem_of(lambda: request(**changed))
    assert problem is None or ("Fix: " in problem.message and "\n" not in problem.message)
