"""What only all apps together show: resource policies, other accounts, the deployer. Judged by a second evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.derivation import Environment, FleetAccess, PolicyDocument, SpecErrors, derive_fleet, parse_specs
from components.derivation.iam import Effect
from components.derivation.naming import managed_policy_name, role_name, role_patterns
from components.derivation.secret_policies import is_ours
from tests.derivation.expected_access import DECRYPT, DESCRIBE, GET, PARAMETERS, is_asked_for, questions_about
from tests.derivation.iam_oracle import allows
from tests.derivation.random_specs import DEPLOYER, LABEL, SUFFIX, SpecText, spec_texts
from tests.derivation.test_derive import ENVIRONMENT, LAW, session_tags

GLASS = "arn:aws:iam::111122223333:role/break-glass"
ROTATION = "arn:aws:iam::111122223333:role/rotation"
OUTSIDE = "arn:aws:iam::222233334444:role/other-stack"
PLACE = ENVIRONMENT
NO_DEPLOYER = replace(ENVIRONMENT, deployer_role=None)
HEAD = "version: 1\napp: {app}\nowner: team\nnamespace: {app}\nsecrets:\n"
SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-Ab12Cd"


def fleet_of(text: str, environment: Environment = PLACE) -> FleetAccess:
    return derive_fleet(parse_specs(text, "app.yaml"), environment)


def denies(document: PolicyDocument, action: str, principal: str, *, is_service: bool = False) -> bool:
    """Say whether a resource policy denies an action to a principal; knows what such a Deny may be made of only."""
    for item in document.statements:
        if item.effect is not Effect.DENY or action not in item.actions:
            continue
        tests = {(test.operator, test.key): test.values for test in item.conditions}
        exempt = tests.pop(("ArnNotEquals", "aws:PrincipalArn"))
        assert tests == {("Bool", "aws:PrincipalIsAWSService"): ("false",)}
        assert item.principal == ("AWS", "*")
        if principal not in exempt and not is_service:
            return True
    return False


def admits(document: PolicyDocument, action: str, resource: str, principal: str, context: Mapping[str, str]) -> bool:
    """Say whether a resource policy allows a call by a principal; `*` means its own object."""
    account = principal.split(":")[4]
    statements = []
    for item in document.statements:
        if item.effect is Effect.ALLOW and item.principal == ("AWS", f"arn:aws:iam::{account}:root"):
            plain = item.to_dict()
            del plain["Principal"]
            plain["Resource"] = [resource] if item.resources == ("*",) else plain["Resource"]
            statements.append(plain)
    return allows({"Statement": statements}, action, resource, {**context, "aws:PrincipalArn": principal})


# ----------------------------------------------------------------------------------------------- secret policies
RESTRICT = f"    restrict: {{breakGlass: ['{GLASS}'], rotationRole: '{ROTATION}', readers: ['{OUTSIDE}']}}\n"


@given(
    readers=st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True), by_arn=st.booleans(), chained=st.booleans()
)
@LAW
def test_a_restricted_secret_is_refused_to_everybody_but_its_readers_and_never_locks_the_deployer_out(
    readers: list[str], *, by_arn: bool, chained: bool
) -> None:
    name = SECRET if by_arn else "db"
    text = HEAD.format(app="owner") + f"  - name: {name}\n    file: db\n{RESTRICT}"
    for app in readers:
        text += f"---\n{HEAD.format(app=app)}  - {{name: db, file: db}}\n"
    text += f"---\n{HEAD.format(app='stranger')}  - name: other\n"
    if chained:
        role = "arn:aws:iam::333344445555:role/second"
        key = "arn:aws:kms:eu-west-1:111122223333:key/8a2c6f04"
        text += f"---\nversion: 1\napp: far\nnamespace: far\nassumeRole: {{role: '{role}'}}\n"
        text += f"secrets: [{{name: '{SECRET}', file: db, kmsKey: '{key}'}}]\n"
    fleet = fleet_of(text)
    (policy,) = fleet.secret_policies
    assert (policy.app, policy.owner, policy.adopt) == ("owner", "team", False)
    roles = {str(app.app): app.reader_arn for app in fleet.apps}
    exempt = {roles[app] for app in ("owner", *readers)} | {DEPLOYER, GLASS, ROTATION, OUTSIDE}
    exempt |= {roles["far"]} if chained else set()
    for principal in exempt:
        assert not denies(policy.document, GET, principal)
    for principal in (roles["stranger"], f"{DEPLOYER}x", "arn:aws:iam::111122223333:user/anna"):
        assert denies(policy.document, GET, principal)
        assert not denies(policy.document, GET, principal, is_service=True)
    for action in ("PutResourcePolicy", "DeleteResourcePolicy", "GetResourcePolicy", "DescribeSecret"):
        assert not denies(policy.document, f"secretsmanager:{action}", DEPLOYER)
        assert not denies(policy.document, f"secretsmanager:{action}", "arn:aws:iam::111122223333:root")
    assert admits(policy.document, GET, SECRET, OUTSIDE, {})
    assert not admits(policy.document, GET, SECRET, OUTSIDE.replace("other", "another"), {})
    if chained:
        assert admits(policy.document, GET, SECRET, roles["far"], {})
        listed = [item for account in fleet.foreign_accounts for item in account.statements]
        assert "secret policy" not in {item.kind for item in listed}, "this stack writes it, nobody else has to"
    assert is_ours(policy.document.to_json())


def test_a_policy_with_any_statement_of_somebody_else_is_not_ours() -> None:
    assert is_ours("")
    assert is_ours('{"Statement": [{"Sid": "LockstepDenyOthers"}]}')
    for text in (
        "{",
        '{"Statement": [{"Sid": "LockstepDenyOthers"}, {"Sid": "x"}]}',
        '{"Statement": {"Effect": "Deny"}}',
    ):
        assert not is_ours(text)


@pytest.mark.parametrize(
    ("text", "environment", "reason"),
    [
        (HEAD.format(app="a").replace("owner: team\n", "") + "  - name: db\n" + RESTRICT, PLACE, "has no owner"),
        (HEAD.format(app="a") + "  - name: db\n    owner: other\n" + RESTRICT, PLACE, "belongs to 'other'"),
        (HEAD.format(app="a") + "  - name: db\n" + RESTRICT, NO_DEPLOYER, "names no deployer"),
        (HEAD.format(app="a") + "  - name: db\n    optional: true\n" + RESTRICT, PLACE, "is optional"),
        (
            HEAD.format(app="a") + f"  - name: db\n{RESTRICT}  - name: {SECRET}\n    file: x\n{RESTRICT}",
            PLACE,
            "is restricted twice",
        ),
    ],
)
def test_a_policy_that_this_stack_cannot_write_is_refused(text: str, environment: Environment, reason: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        fleet_of(text, environment)
    assert [problem.code for problem in caught.value.problems] == ["SPEC031"]
    assert reason in str(caught.value)


@given(
    failover=st.lists(st.sampled_from(["us-west-2", "ap-south-1"]), unique=True, max_size=2),
    renamed=st.sampled_from(["", "us-west-2"]),
    by_arn=st.booleans(),
    reader_regions=st.lists(st.sampled_from(["us-west-2", "ap-south-1"]), unique=True, max_size=2),
    first=st.sampled_from(["db", "db-eu"]),
    far=st.booleans(),
)
@LAW
def test_who_reads_a_replica_is_a_reader_too(
    failover: list[str], renamed: str, reader_regions: list[str], first: str, *, by_arn: bool, far: bool
) -> None:
    """AWS copies the policy to where its owner's app fails over, and there it must spare whoever reads the copy."""
    text = HEAD.format(app="owner") + f"  - name: {SECRET if by_arn else 'db'}\n    file: db\n{RESTRICT}"
    if renamed in failover:
        text += f"    failover: {{{renamed}: {{name: other}}}}\n"
    text += f"failoverRegions: [{', '.join(failover)}]\n---\n" + HEAD.format(app="dr")
    key = "arn:aws:kms:{}:111122223333:key/mrk-8a2c6f041d3b4e579a607b1c2d3e4f50"
    name = SECRET.replace("db-", f"{first}-") if far else first
    text += f"  - name: {name}\n    file: db\n    kmsKey: {key.format('eu-west-1')}\n    failover:\n"
    for region in reader_regions:
        text += f"      {region}: {{name: '{SECRET.replace('eu-west-1', region) if far else 'db'}'}}\n"
    text = text.removesuffix("    failover:\n") + f"failoverRegions: [{', '.join(reader_regions)}]\n"
    if far:
        text += "assumeRole: {role: 'arn:aws:iam::333344445555:role/second'}\n"
    fleet = fleet_of(text)
    (policy,) = fleet.secret_policies
    copies = set(failover) - {renamed}
    assert {arn.split(":")[3] for arn in policy.replicas} == copies
    (reader,) = (app.reader_arn for app in fleet.apps if app.app == "dr")
    reads = first == "db" or bool(copies & set(reader_regions))
    assert denies(policy.document, GET, reader) == (not reads)
    if far:
        assert admits(policy.document, GET, SECRET, reader, {}) == reads
        listed = {one.resource for account in fleet.foreign_accounts for one in account.statements}
        assert not listed & {arn.replace("-??????", SUFFIX) for arn in policy.resources}, "this stack writes these"
    assert [arn for item in fleet.deployer_policy for arn in secret_policy_resources(item.document)] == [
        policy.resource
    ]


def secret_policy_resources(document: PolicyDocument) -> tuple[str, ...]:
    """Return the secrets whose policy a document lets be written: replicas take their primary's."""
    return tuple(
        arn for item in document.statements if "PutResourcePolicy" in str(item.actions) for arn in item.resources
    )


@given(
    owners=st.lists(
        st.tuples(st.sampled_from(["", "team", "other"]), st.sampled_from(["", "team", "other"])), max_size=3
    ),
    by_arn=st.booleans(),
)
@LAW
def test_a_secret_is_restricted_only_where_every_spec_names_its_owner(
    owners: list[tuple[str, str]], *, by_arn: bool
) -> None:
    """An owner is said of the entry, or else of its app; who says none does not contradict."""
    text = f"{HEAD.format(app='owner')}  - name: db\n{RESTRICT}"
    for number, (of_app, of_entry) in enumerate(owners):
        text += f"---\nversion: 1\napp: a{number}\nnamespace: a{number}\n"
        text += (
            f"owner: {of_app}\n" if of_app else ""
        ) + f"secrets:\n  - name: {SECRET if by_arn else 'db'}\n    file: db\n"
        text += f"    owner: {of_entry}\n" if of_entry else ""
    said = {of_entry or of_app for of_app, of_entry in owners} - {""}
    if said <= {"team"}:
        assert [policy.owner for policy in fleet_of(text).secret_policies] == ["team"]
        return
    with pytest.raises(SpecErrors) as caught:
        fleet_of(text)
    (problem,) = caught.value.problems
    assert (problem.code, "belongs to 'team' here, and to 'other' in" in problem.what) == ("SPEC031", True)


# ------------------------------------------------------------------------------------------------ other accounts
@given(spec_texts())
@LAW
def test_what_other_accounts_must_add_allows_exactly_what_is_asked_for(spec: SpecText) -> None:
    """Identity policy, resource policy and key policy are one set: each side allows the reader's reads and no more."""
    fleet = fleet_of(spec.text)
    (access,) = fleet.apps
    reader = access.reader_arn
    account = reader.split(":")[4]
    documents = {
        (item.kind, item.resource): item.document for owner in fleet.foreign_accounts for item in owner.statements
    }
    for read in spec.reads:
        if read.arn.split(":")[4] != account:
            kind = "secret policy" if read.is_secret else "parameter policy"
            document = documents[kind, read.arn]
            action = GET if read.is_secret else PARAMETERS
            context = {"secretsmanager:VersionStage": read.stage} if read.stage else {}
            context |= {"secretsmanager:VersionId": read.version_id} if read.version_id else {}
            assert admits(document, action, read.arn, reader, context)
            assert not admits(document, action, read.arn, f"{reader}x", context)
            assert not admits(document, "secretsmanager:PutSecretValue", read.arn, reader, context)
            if read.is_secret:
                assert admits(document, DESCRIBE, read.arn, reader, {})
                plain = any(r.arn == read.arn and not (r.stage or r.version_id) for r in spec.reads)
                assert admits(document, GET, read.arn, reader, {}) == plain
        if read.key and read.key.split(":")[4] != account:
            document = documents["key policy", read.key]
            for question in questions_about([read]):
                if question.action == DECRYPT and question.resource == read.key:
                    expected = is_asked_for(question, spec.reads)
                    assert admits(document, DECRYPT, read.key, reader, question.context) == expected
                    assert not admits(document, DECRYPT, read.key, f"{reader}x", question.context)
    assert ("role trust", reader) in documents or access.chain is None
    if access.chain:
        tags = session_tags(access)
        permissions = documents["role permissions", reader].to_dict()
        for question in questions_about(spec.reads[:2]):
            answer = allows(permissions, question.action, question.resource, {**tags, **question.context})
            assert answer == is_asked_for(question, spec.reads)


def test_apps_that_share_a_second_role_each_add_their_own_statements() -> None:
    role = "arn:aws:iam::333344445555:role/second"
    text = "".join(
        f"---\nversion: 1\napp: {app}\nnamespace: {app}\nassumeRole: {{role: '{role}'}}\nsecrets: [{{name: '{app}'}}]\n"
        for app in ("a", "b")
    )
    (account,) = fleet_of(text).foreign_accounts
    assert [item.kind for item in account.statements] == ["role permissions", "role trust"]
    for item in account.statements:
        sids = [statement.sid for statement in item.document.statements]
        assert len(set(sids)) == len(sids) == 2
        assert item.apps == ("a", "b")


# ------------------------------------------------------------------------------------------------------ deployer
def deployer_may(fleet: FleetAccess, action: str, resource: str, **context: str) -> bool:
    for policy in fleet.deployer_policy:
        for item in policy.document.statements:
            tests = all(
                any(fnmatchcase(context.get(test.key, ""), value) for value in test.values) for test in item.conditions
            )
            if action in item.actions and tests and any(fnmatchcase(resource, pattern) for pattern in item.resources):
                return True
    return False


#: Short, and around each length at which the form of a role's name changes; 100 is what EKS takes.
CLUSTERS = st.sampled_from(
    ["dev", *(length * "c" for length in (44, 45, 46, 50, 52, 53, 54, 100)), "Dev", "x-eu-west-2"]
)


@given(
    spec=spec_texts(LABEL | st.just("a" * 45)),
    cluster=CLUSTERS,
    path=st.sampled_from(["/", "/lockstep/"]),
    bounded=st.booleans(),
)
@LAW
def test_the_deployer_may_place_these_apps_and_pass_their_roles_to_pod_identity_only(
    spec: SpecText, cluster: str, path: str, *, bounded: bool
) -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary" if bounded else None
    fleet = fleet_of(spec.text, replace(PLACE, cluster=cluster, permissions_boundary=boundary, role_path=path))
    (access,) = fleet.apps
    with_boundary = {"iam:PermissionsBoundary": boundary} if boundary else {}
    managed = f"arn:aws:iam::111122223333:policy{path}{managed_policy_name(access.role_name, 10)}"
    for action in ("iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy"):
        assert deployer_may(fleet, action, managed)
    for arn, may in ((managed, True), ("arn:aws:iam::aws:policy/AdministratorAccess", False)):
        assert (
            deployer_may(fleet, "iam:AttachRolePolicy", access.role_arn, **with_boundary, **{"iam:PolicyARN": arn})
            == may
        )
    assert deployer_may(fleet, "iam:UpdateAssumeRolePolicy", access.role_arn)
    assert deployer_may(fleet, "iam:CreateRole", access.role_arn, **with_boundary)
    assert deployer_may(fleet, "iam:PutRolePolicy", access.role_arn, **with_boundary)
    assert deployer_may(fleet, "iam:CreateRole", access.role_arn) == (not bounded)
    assert deployer_may(fleet, "iam:DeleteRolePermissionsBoundary", access.role_arn) == (not bounded)
    passed = {"iam:PassedToService": "pods.eks.amazonaws.com"}
    assert deployer_may(fleet, "iam:PassRole", access.role_arn, **passed) == (access.association is not None)
    assert not deployer_may(fleet, "iam:PassRole", access.role_arn, **{"iam:PassedToService": "ec2.amazonaws.com"})
    for other in (DEPLOYER, f"arn:aws:iam::111122223333:role{path}admin", f"arn:aws:iam::999999999999:role{path}dev-x"):
        for action in ("iam:PassRole", "iam:CreateRole", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"):
            assert not deployer_may(fleet, action, other, **passed, **with_boundary)
    own = {policy.arn for policy in fleet.deployer_policy}
    assert not any(deployer_may(fleet, "iam:CreatePolicyVersion", arn) for arn in own), "nobody widens his own leave"
    assert all(policy.document.size() <= 6_144 and len(policy.name) <= 128 for policy in fleet.deployer_policy)
    reads = (GET, PARAMETERS, DECRYPT)
    assert not any(deployer_may(fleet, action, read.arn) for action in reads for read in spec.reads)
    assert not deployer_may(fleet, "secretsmanager:PutResourcePolicy", f"x{SUFFIX}")
    for policy in fleet.secret_policies:
        written = policy.resource.replace("-??????", SUFFIX)
        for action in ("GetResourcePolicy", "PutResourcePolicy", "DeleteResourcePolicy"):
            assert deployer_may(fleet, f"secretsmanager:{action}", written)
            assert not denies(policy.document, f"secretsmanager:{action}", DEPLOYER)
        assert not denies(policy.document, GET, DEPLOYER)
        assert not denies(policy.document, GET, access.reader_arn), "no reader is locked out of what it mounts"
        assert denies(policy.document, GET, f"{access.reader_arn}x")


#: Names that only differ in what comes after an app's: some are matched by the deployer's patterns, some are not.
NAMES = st.from_regex(
    r"(?:[Dd]ev|dev-eu-west-1|(?:ci/)?deployer|c{45})(?:-eu-w(?:est-1)?)?(?:-[a-z]{1,8}){0,2}", fullmatch=True
)
OWN = ("CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "SetDefaultPolicyVersion", "CreatePolicy")
ITSELF: tuple[str, ...] = (
    "PutRolePolicy",
    "UpdateAssumeRolePolicy",
    "AttachRolePolicy",
    "DetachRolePolicy",
    "DeleteRole",
    "CreateRole",
)
ITSELF += ("DeleteRolePolicy", "DeleteRolePermissionsBoundary", "PutRolePermissionsBoundary", "UpdateRole", "PassRole")


@given(
    boundary=NAMES | NAMES.map(lambda name: f"{name}-secrets-1"),
    deployer=NAMES,
    cluster=CLUSTERS,
    path=st.sampled_from(["/", "/ci/"]),
)
@LAW
def test_the_deployer_can_change_neither_its_boundary_nor_itself(
    boundary: str, deployer: str, cluster: str, path: str
) -> None:
    """Names with which it could are refused, and only those: by trying every name's pattern once more in IAM's way."""
    policy, role = f"arn:aws:iam::111122223333:policy/{boundary}", f"arn:aws:iam::111122223333:role/{deployer}"
    plain = replace(PLACE, cluster=cluster, role_path=path)
    apps = f"{HEAD.format(app='a')}  - name: db\n---\n{HEAD.format(app='b')}  - name: x\n".replace(
        "app: b\n", "app: b\nidentity: podIdentity\n"
    )
    bare = fleet_of(apps, plain)
    can = {
        "permissionsBoundary": any(deployer_may(bare, f"iam:{action}", policy) for action in OWN),
        "deployerRole": any(deployer_may(bare, f"iam:{action}", role) for action in ITSELF),
    }
    try:
        environment = replace(plain, permissions_boundary=policy, deployer_role=role)
    except SpecErrors as errors:
        refused = {problem.spot.field: problem for problem in errors.problems}
        assert {problem.code for problem in refused.values()} == {"SPEC026"}
        assert {field for field, may in can.items() if may} <= set(refused)
        only_for_case = [problem for field, problem in refused.items() if not can[field]]
        assert all("Dev" in f"{cluster} {problem.what}" for problem in only_for_case)
        return
    assert not any(can.values())
    fleet = fleet_of(apps, environment)
    context = {"iam:PermissionsBoundary": policy, "iam:PassedToService": "pods.eks.amazonaws.com"}
    assert not any(deployer_may(fleet, f"iam:{action}", policy, **context) for action in OWN)
    assert not any(deployer_may(fleet, f"iam:{action}", role, **context) for action in ITSELF)


@pytest.mark.parametrize("identity", ["irsa", "podIdentity"])
@pytest.mark.parametrize("creates", [True, False])
def test_the_deployer_manages_the_oidc_provider_only_where_its_stack_makes_one(identity: str, *, creates: bool) -> None:
    text = f"{HEAD.format(app='a').replace('app: a', f'app: a{chr(10)}identity: {identity}')}  - name: db\n"
    fleet = fleet_of(text, replace(PLACE, creates_oidc_provider=creates))
    provider = f"arn:aws:iam::111122223333:oidc-provider/{PLACE.issuer_host}"
    for action in ("CreateOpenIDConnectProvider", "DeleteOpenIDConnectProvider", "AddClientIDToOpenIDConnectProvider"):
        assert deployer_may(fleet, f"iam:{action}", provider) == (creates and identity == "irsa")
    actions = {action for one in fleet.deployer_policy for item in one.document.statements for action in item.actions}
    assert any("OpenIDConnect" in action for action in actions) == (creates and identity == "irsa")


def test_a_deployer_and_a_boundary_that_are_named_like_an_app_s_are_refused() -> None:
    arn = "arn:aws:iam::111122223333:{}/prod-eu-west-1-{}"
    with pytest.raises(SpecErrors) as caught:
        replace(
            PLACE,
            cluster="prod",
            permissions_boundary=arn.format("policy", "shop-secrets-1"),
            deployer_role=arn.format("role", "deployer"),
        )
    assert [problem.spot.field for problem in caught.value.problems] == ["deployerRole", "permissionsBoundary"]
    assert "role/prod-eu-west-1-*, and never its own" in str(caught.value)
    with_boundary = replace(PLACE, cluster="prod", permissions_boundary=arn.format("policy", "boundary"))
    fleet = fleet_of(f"{HEAD.format(app='a')}  - name: db\n", with_boundary)
    assert not any(deployer_may(fleet, f"iam:{action}", with_boundary.permissions_boundary or "") for action in OWN)


def test_the_patterns_of_role_names_match_every_app_s_and_none_is_there_for_nothing() -> None:
    """Every length of a cluster's and an app's name: where both forms of names exist, where one, where the other."""
    kinds = set()
    for length in range(1, 101):
        for cluster in ("c" * length, f"{'c' * (length - 2)}-c"[-length:], f"C{'c' * (length - 1)}"):
            patterns = role_patterns(cluster=cluster, region="eu-west-1")
            matched: set[str] = set()
            for app in ("a" * count for count in range(1, 64)):
                name = role_name(cluster=cluster, region="eu-west-1", app=app)
                found = {pattern for pattern in patterns if fnmatchcase(name, pattern)}
                assert len(name) <= 64
                assert found, f"no pattern of {patterns} matches {name}"
                matched |= found
            assert matched == set(patterns)
            kinds.add(len(patterns))
    assert kinds == {1, 2}


def test_the_deployer_of_a_long_cluster_has_no_leave_over_whole_names_of_others() -> None:
    """Shortened names of clusters that begin alike differ in their digest only; whole names tell them apart."""
    for length in range(1, 101):
        patterns = role_patterns(cluster="c" * length, region="eu-west-1")
        for other, region in (("c" * length, "eu-west-2"), (f"{'c' * length}x", "eu-west-1")):
            whole = f"{other}-{region}-abc"
            if role_name(cluster=other, region=region, app="abc") == whole:
                assert not any(fnmatchcase(whole, pattern) for pattern in patterns)
