"""Previews in which two resources share a name, an ARN or a text: none of them may hide what happens to another one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from components.derivation.diff import About, Change, Difference, Risk, diff_fleets, read_preview, read_sides
from lockstep.access_report.sentences import plain, sentence
from tests.diff.documents import ACCOUNT, ROLE, allow, class_of, policy, secret, secret_object

SECRET, SECRET_POLICY = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretPolicy:SecretPolicy"
ARN = secret("prod/db-AbCdEf")
READ = "secretsmanager:GetSecretValue"


def text(*statements: Mapping[str, Any]) -> str:
    return json.dumps(policy(*statements))


def step(
    kind: str, name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, **outputs: object
) -> dict[str, Any]:
    """Return one step: `same`, `create`, `update` or `delete` by what there is; `kind` may have parents (`a$b`)."""
    urn = f"urn:pulumi:prod::shop::{kind}::{name}"
    op = "create" if old is None else "delete" if new is None else "same" if old == new else "update"
    states = {"oldState": old, "newState": new}
    state = {"urn": urn, "type": kind.rpartition("$")[2], "outputs": outputs}
    return {"op": op, "urn": urn} | {key: {**state, "inputs": of} for key, of in states.items() if of is not None}


def difference(*steps: dict[str, Any]) -> Difference:
    summary = {"same": sum(item["op"] == "same" for item in steps)}
    return diff_fleets(*read_preview(read_sides({"steps": list(steps), "changeSummary": summary})))


# --------------------------------------------------------------------------------------------------- resource policies
DENY = text({"Effect": "Deny", "Principal": "*", "Action": READ, "Resource": "*"})
ONE = text({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/a"}, "Action": READ, "Resource": "*"})
ALL = text({"Effect": "Allow", "Principal": "*", "Action": READ, "Resource": "*"})


def kept_secret(computed: str) -> dict[str, Any]:
    """Return a Secret in a component that stays, whose state repeats its policy."""
    name = {"name": "prod/db"}
    return step(f"my:app:Db${SECRET}", "z", name, name, arn=ARN, policy=computed)


def test_a_deleted_denial_is_seen_though_the_secret_still_repeats_it() -> None:
    gone = step(SECRET_POLICY, "p", {"secretArn": ARN, "policy": DENY}, None)
    (row,) = difference(kept_secret(DENY), gone).rows
    assert (row.about, row.change, row.broadens) == (About.RESOURCE_POLICY, Change.LOST, True)


def test_an_opened_policy_is_seen_though_the_secret_still_repeats_the_old_one() -> None:
    opened = step(SECRET_POLICY, "p", {"secretArn": ARN, "policy": ONE}, {"secretArn": ARN, "policy": ALL})
    rows = difference(kept_secret(ONE), opened).rows
    assert [row.parts[2] for row in rows if row.change is Change.GAINED] == ["*"]


def test_of_two_policies_of_one_secret_both_count() -> None:
    opened = step(SECRET_POLICY, "a", {"secretArn": ARN, "policy": ONE}, {"secretArn": ARN, "policy": ALL})
    other = {"secretArn": ARN, "policy": ONE}
    found = difference(opened, step(SECRET_POLICY, "b", other, other))
    assert "*" in [row.parts[2] for row in found.rows if row.broadens]


def test_a_second_policy_that_goes_is_a_row_though_the_first_says_the_same() -> None:
    one = {"secretArn": ARN, "policy": DENY}
    assert difference(step(SECRET_POLICY, "a", one, None), step(SECRET_POLICY, "b", one, one)).rows


@pytest.mark.parametrize(
    ("hidden", "why"),
    [("[secret]", "hides it as a secret"), ("04da6b54-80e4-46f7-96ec-b56ff0331ba9", "only after the deployment")],
)
def test_a_policy_that_neither_side_shows_was_not_compared_and_that_is_said(hidden: str, why: str) -> None:
    old, new = {"secretArn": ARN, "policy": hidden}, {"secretArn": ARN, "policy": hidden, "blockPublicPolicy": True}
    found = difference(step(SECRET_POLICY, "p", old, new))
    (open_question,) = found.undecided
    assert open_question.startswith(f"policy of {ARN}: ")
    assert why in open_question
    assert (found.rows, found.is_empty) == ((), False)


KEY, KEY_POLICY = "aws:kms/key:Key", "aws:kms/keyPolicy:KeyPolicy"
KEY_ARN = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/11111111-aaaa-4bbb-8ccc-222222222222"


@pytest.mark.parametrize("named", [KEY_ARN, KEY_ARN.rpartition("/")[2]])
def test_a_policy_that_moves_from_its_key_to_a_resource_of_its_own_is_no_change(named: str) -> None:
    key = step(KEY, "k", {"policy": ONE}, {}, arn=KEY_ARN, keyId=KEY_ARN.rpartition("/")[2])
    moved = step(KEY_POLICY, "p", None, {"keyId": named, "policy": ONE})
    assert difference(key, moved).rows == ()
    opened = step(KEY_POLICY, "p", None, {"keyId": named, "policy": ALL})
    gained = [row for row in difference(key, opened).rows if row.change is Change.GAINED]
    assert [(row.parts[0], row.parts[2]) for row in gained] == [(KEY_ARN, "*")]


def test_the_policy_of_a_key_that_is_made_with_it_is_told_with_the_key() -> None:
    """Its ARN is known only afterwards; what the policy came from says which key it is."""
    key = step(KEY, "k", None, {"description": "k"})
    policy_of = step(KEY_POLICY, "p", None, {"keyId": "04da6b54-80e4-46f7-96ec-b56ff0331ba9", "policy": ONE})
    policy_of["newState"]["propertyDependencies"] = {"keyId": [key["urn"]]}
    assert {row.parts[0] for row in difference(key, policy_of).rows} == {"of Key k"}


OTHER_KEY = KEY_ARN.replace("1111", "9999")


def test_a_policy_that_moves_to_another_key_is_told_whatever_its_name_was_made_of() -> None:
    """A program may make any name of what it depends on: only a name that is not known is taken from there."""
    key = step(KEY, "k", {"description": "k"}, {"description": "k"}, arn=KEY_ARN)
    moved = step(KEY_POLICY, "p", {"keyId": KEY_ARN, "policy": ALL}, {"keyId": OTHER_KEY, "policy": ALL})
    for state in ("oldState", "newState"):
        moved[state]["propertyDependencies"] = {"keyId": [key["urn"]]}
    rows = difference(key, moved).rows
    assert {(row.parts[0], row.change) for row in rows} == {(KEY_ARN, Change.LOST), (OTHER_KEY, Change.GAINED)}


def test_replicas_of_a_key_share_its_id_and_not_its_policy() -> None:
    far = KEY_ARN.replace("eu-west-1", "us-east-1")
    keys = [step(KEY, name, {}, {}, arn=arn, keyId="mrk-1") for name, arn in (("a", KEY_ARN), ("b", far))]
    opened = step(KEY_POLICY, "p", None, {"keyId": "mrk-1", "policy": ALL})
    assert {row.parts[0] for row in difference(*keys, opened).rows} == {"mrk-1"}, "of neither for certain"


def test_a_policy_of_a_replica_s_id_keeps_its_name_when_the_replica_goes() -> None:
    far = KEY_ARN.replace("eu-west-1", "us-east-1")
    keys = [
        step(KEY, "a", {}, {}, arn=KEY_ARN, keyId="mrk-1"),
        step(KEY, "b", {}, None, arn=far, keyId="mrk-1"),
    ]
    kept = {"keyId": "mrk-1", "policy": ONE}
    assert difference(*keys, step(KEY_POLICY, "p", kept, kept)).rows == ()


APP = "lockstep:apps:AppAccess"


def app_steps(component: str, app: str, name: str, *reads: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the steps of one app's component: what it reads changes from the first to the second."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    role = {"name": name, "assumeRolePolicy": PODS}
    told = {"app": app, "roleArn": arn}
    owner = step(APP, component, told, told)
    made = step(f"{APP}${ROLE_KIND}", component, role, role, arn=arn)
    policies = [{"role": name, "name": "p", "policy": text(*(allow(READ, item) for item in side))} for side in reads]
    inline = step(f"{APP}${INLINE}", f"{component}-p", policies[0], policies[1])
    for item in (made, inline):
        for state in ("oldState", "newState"):
            item[state]["parent"] = owner["urn"]
    return [owner, made, inline]


def test_two_apps_never_share_a_holder_whatever_their_components_are_called() -> None:
    """Component x is for app y, while a component is called y: what that one comes to read is told."""
    a, b, c = (secret(f"{name}-AbCdEf") for name in "abc")
    steps = [*app_steps("x", "y", "role-x", (a, c), (a, c)), *app_steps("y", "w", "role-y", (b,), (b, c))]
    steps += app_steps("v", "w", "role-v", (b,), (b,))
    gained = [row for row in difference(*steps).rows if row.about is About.READ and row.change is Change.GAINED]
    assert [row.broadens for row in gained] == [True]


def test_a_key_and_a_secret_of_one_name_are_two() -> None:
    made = [step(kind, "db", None, {"policy": ONE}) for kind in (KEY, SECRET)]
    assert {row.parts[0] for row in difference(*made).rows} == {"of Key db", "of Secret db"}


# -------------------------------------------------------------------------------------------------------- associations
ROLE_KIND, ASSOCIATION = "aws:iam/role:Role", "aws:eks/podIdentityAssociation:PodIdentityAssociation"
PODS = text({"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": "sts:AssumeRole"})
SESSION = text(allow(READ, ARN))


def kept_role(name: str = "shop", arn: str = ROLE, kind: str = ROLE_KIND) -> dict[str, Any]:
    inputs = {"name": arn.rpartition("/")[2], "assumeRolePolicy": PODS}
    return step(kind, name, inputs, inputs, arn=arn)


def association(cluster: str, account: str, **more: object) -> dict[str, Any]:
    namespace, _, name = account.partition("/")
    return {"clusterName": cluster, "namespace": namespace, "serviceAccount": name, "roleArn": ROLE, **more}


def kept_association(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return step(ASSOCIATION, name, inputs, inputs)


def test_a_known_account_in_a_known_cluster_may_be_a_new_principal() -> None:
    kept = [kept_association("x", association("a", "n1/s1")), kept_association("y", association("b", "n2/s2"))]
    made = step(ASSOCIATION, "z", None, association("a", "n2/s2"))
    (row,) = difference(kept_role(), *kept, made).rows
    assert plain(sentence(row)) == "by its own association n2/s2 in cluster a may now become the role of role shop"
    assert (row.broadens, row.risks) == (True, (Risk.NEW_PRINCIPAL,))


@pytest.mark.parametrize(
    "fence", [{"policy": SESSION}, {"disableSessionTags": True}, {"targetRoleArn": ROLE + "2"}, {"externalId": "x"}]
)
def test_what_one_of_two_associations_loses_the_other_one_does_not_hide(fence: dict[str, Any]) -> None:
    one, two = association("a", "n1/s1", **fence), association("a", "n2/s2", **fence)
    loosened = step(ASSOCIATION, "y", two, association("a", "n2/s2"))
    (row,) = difference(kept_role(), kept_association("x", one), loosened).rows
    assert (row.parts, row.change) == (("association", "n2/s2 in cluster a"), Change.CHANGED)
    assert (row.broadens, row.risks) == (True, (Risk.LOOSENED,))


def test_a_session_policy_of_one_of_two_in_other_words_is_no_change() -> None:
    one, two = association("a", "n1/s1", policy=SESSION), association("a", "n2/s2", policy=SESSION)
    other_words = {**two, "policy": text({**allow([READ], [ARN]), "Sid": "Other"})}
    assert difference(kept_role(), kept_association("x", one), step(ASSOCIATION, "y", two, other_words)).rows == ()


def test_a_boundary_that_is_asked_for_no_longer_is_gone_though_the_outputs_still_have_it() -> None:
    boundary = {"permissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/b"}
    inputs = {"name": "shop", "assumeRolePolicy": PODS}
    (row,) = difference(step(ROLE_KIND, "shop", inputs | boundary, inputs, arn=ROLE, **boundary)).rows
    assert (row.parts, row.change, row.broadens) == (("permissions boundary",), Change.LOST, True)


# ---------------------------------------------------------------------------------------------------- attached policies
POLICY, ATTACHED = "aws:iam/policy:Policy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
LISTS = {"name": "SecretsManagerReadWrite", "policy": text(allow("s3:ListBucket", "arn:aws:s3:::x"))}
OWN_ARN = f"arn:aws:iam::{ACCOUNT}:policy/SecretsManagerReadWrite"


@pytest.mark.parametrize("computed", [{"arn": OWN_ARN}, {}])
@pytest.mark.parametrize(
    "other", ["arn:aws:iam::aws:policy/SecretsManagerReadWrite", "arn:aws:iam::222233334444:policy/Other"]
)
def test_a_policy_of_aws_is_not_ours_though_it_has_its_name(computed: dict[str, str], other: str) -> None:
    moved = step(ATTACHED, "a", {"role": "shop", "policyArn": OWN_ARN}, {"role": "shop", "policyArn": other})
    rows = difference(kept_role(), step(POLICY, "own", LISTS, LISTS, **computed), moved).rows
    assert [(row.about, row.change) for row in rows if row.app == "role shop" and row.broadens] == [
        (About.UNKNOWN, Change.GAINED)
    ]


def test_a_policy_of_the_same_name_in_another_account_is_another_one() -> None:
    theirs = OWN_ARN.replace(ACCOUNT, "222233334444")
    moved = step(ATTACHED, "a", {"role": "shop", "policyArn": OWN_ARN}, {"role": "shop", "policyArn": theirs})
    rows = difference(kept_role(), step(POLICY, "own", LISTS, LISTS, arn=OWN_ARN), moved).rows
    assert [(row.about, row.change) for row in rows if row.app == "role shop" and row.broadens] == [
        (About.UNKNOWN, Change.GAINED)
    ]


@pytest.mark.parametrize(
    ("arn", "count"),
    [
        ("arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy", 0),
        ("arn:aws-cn:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy", 0),
        ("arn:aws:iam::222233334444:policy/Other", 1),
    ],
)
def test_a_policy_that_both_sides_attach_is_open_unless_it_is_aws_s_own(arn: str, count: int) -> None:
    """Whoever owns a policy may change its text between two runs; AWS's own is the same for everybody."""
    kept = {"role": "shop", "policyArn": arn}
    found = difference(kept_role(), step(ATTACHED, "a", kept, kept))
    assert (found.rows, len(found.undecided)) == ((), count)


# --------------------------------------------------------------------------------------------------------------- names
INLINE, UNREAD = "aws:iam/rolePolicy:RolePolicy", "aws:iam/accessKey:AccessKey"
LOOKS, WRITES = text(allow("secretsmanager:DescribeSecret", ARN)), text(allow("secretsmanager:*", ARN))
FIRST_IS_WIDER = (("A", WRITES), ("B", LOOKS))
ELSEWHERE = "arn:aws:iam::222233334444:role/shop"


def broadened(found: Difference) -> set[str]:
    return {row.app for row in found.rows if row.broadens}


def of(step: dict[str, Any], role: dict[str, Any]) -> dict[str, Any]:
    """Return a step whose role came from a resource."""
    for key in {"oldState", "newState"} & step.keys():
        step[key] = {**step[key], "propertyDependencies": {"role": [role["urn"]]}}
    return step


def test_two_policies_of_one_logical_name_on_one_role_are_two() -> None:
    made = [step(f"my:a:{kind}${INLINE}", "p", None, {"role": "shop", "policy": of}) for kind, of in FIRST_IS_WIDER]
    rows = difference(kept_role(), *made).rows
    assert any(row.about is About.POWER and "secretsmanager:*" in row.parts for row in rows)


def test_a_denial_that_goes_is_seen_though_the_role_still_repeats_it() -> None:
    inputs = {"name": "shop", "assumeRolePolicy": PODS}
    denies = text({**allow(READ, ARN), "Effect": "Deny"})
    role = step(ROLE_KIND, "shop", inputs, inputs, arn=ROLE, inlinePolicies=[{"name": "p", "policy": denies}])
    (row,) = difference(role, step(INLINE, "p", {"role": "shop", "name": "p", "policy": denies}, None)).rows
    assert (row.about, row.change, row.broadens) == (About.DENIAL, Change.LOST, True)


@pytest.mark.parametrize("is_linked", [True, False])
def test_two_roles_of_one_name_in_two_accounts_are_two(is_linked: bool) -> None:  # noqa: FBT001 - a case
    roles = [kept_role("one"), kept_role("two", ELSEWHERE)]
    looks, writes = ({"role": "shop", "name": "p", "policy": which} for which in (LOOKS, WRITES))
    steps = [step(INLINE, "x", looks, writes), step(INLINE, "y", writes, writes)]
    if is_linked:
        steps = [of(item, role) for item, role in zip(steps, roles, strict=True)]
    whom = f"role shop ({ACCOUNT})" if is_linked else "role shop (by x)"
    assert broadened(difference(*roles, *steps)) == {whom}


def test_a_second_role_of_a_name_changes_nothing_of_the_first() -> None:
    inputs = {"name": "shop", "assumeRolePolicy": PODS}
    rows = difference(kept_role("one"), step(ROLE_KIND, "two", None, inputs)).rows
    assert {row.app for row in rows} <= {"role shop (two)"}


@pytest.mark.parametrize("changed", ["A", "B"])
def test_of_two_unread_resources_of_one_logical_name_none_hides_the_other(changed: str) -> None:
    keys = {"user": "a"}
    steps = [step(f"my:a:{kind}${UNREAD}", "k", keys, {"user": "b"} if kind == changed else keys) for kind in "AB"]
    (row,) = difference(*steps).rows
    assert row.parts == (f"{UNREAD} my:a:{changed}/k",)


@pytest.mark.parametrize("changed", ["A", "B"])
def test_of_two_attachments_of_one_logical_name_none_hides_the_other(changed: str) -> None:
    kind = "aws:iam/policyAttachment:PolicyAttachment"
    old, new = ({"roles": ["shop"], "policyArn": f"arn:aws:iam::aws:policy/{name}"} for name in ("X", "Y"))
    steps = [step(f"my:a:{parent}${kind}", "k", old, new if parent == changed else old) for parent in "AB"]
    assert broadened(difference(kept_role(), *steps)) == {"role shop"}


# ------------------------------------------------------------------------------------------------------------- classes
CLASS = "kubernetes:secrets-store.csi.x-k8s.io/v1:SecretProviderClass"
IN_BOTH = (kept_association("x", association("a", "n1/s1")), kept_association("y", association("a", "n2/s2")))


def copying_class(namespace: str) -> dict[str, Any]:
    made = class_of(secret_object("prod/db"), name="c", namespace=namespace, roleArn=ROLE)
    data = [{"objectName": "prod/db", "key": "K"}]
    made["spec"]["secretObjects"] = [{"secretName": "env", "type": "Opaque", "data": data}]
    return made


@pytest.mark.parametrize("old", [None, copying_class("n1")])
def test_a_copy_of_a_secret_in_another_namespace_is_a_new_copy(old: dict[str, Any] | None) -> None:
    kept = step(CLASS, "first", copying_class("n1"), copying_class("n1"))
    moved = step(CLASS, "second", old, copying_class("n2"))
    rows = difference(kept_role(), *IN_BOTH, *([kept] if old is None else []), moved).rows
    copies = {(row.change, row.parts, row.broadens) for row in rows if row.about is About.SYNC}
    gone = set() if old is None else {(Change.LOST, ("n1/env",), False)}
    assert copies == {(Change.GAINED, ("n2/env",), True)} | gone
