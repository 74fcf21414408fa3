"""Answers are IAM's: what a spec mounts can be read, everywhere it is mounted from, and nothing near it can."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from components.derivation import Environment, FleetAccess, PolicyDocument, derive_fleet, parse_specs
from components.derivation.access import ForeignAccount, ForeignStatements, SecretPolicy
from components.derivation.answers import Answers, ObjectId, Selector, Subject, Verdict, regions_of
from components.derivation.answers.graph import EdgeKind, VertexKind, access_graph
from components.derivation.errors import Spot
from components.derivation.evaluator import SourceKind, parse_policy
from components.derivation.spec import AppName, Identity, Store
from tests.derivation.random_specs import DEPLOYER, SpecText, spec_texts

ACCOUNT, REGION = "111122223333", "eu-west-1"
ENVIRONMENT = Environment(
    name="prod",
    region=REGION,
    account=ACCOUNT,
    cluster="prod",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    deployer_role=DEPLOYER,
)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50"
LAW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TWO_APPS = f"""version: 1
app: payments
namespace: payments
owner: money
secrets:
  - {{name: prod/payments/db, kmsKey: "{KEY}"}}
  - {{name: prod/shared/smtp, owner: post}}
parameters: [{{name: /prod/payments/flags}}]
---
version: 1
app: mailer
namespace: messaging
secrets:
  - name: prod/shared/smtp
"""


def fleet(text: str = TWO_APPS, environment: Environment = ENVIRONMENT) -> FleetAccess:
    return derive_fleet(parse_specs(text, "apps.yaml"), environment)


def secret(name: str, region: str = REGION, account: str = ACCOUNT) -> ObjectId:
    return ObjectId(store=Store.SECRETS_MANAGER, account=account, region=region, name=name)


# ------------------------------------------------------------------------------------------------------------------ can


def test_a_yes_names_the_statement_the_line_and_the_files() -> None:
    answer = Answers(fleet()).can_read("payments", secret("prod/payments/db"))
    assert answer.is_allowed
    assert answer.is_complete
    assert [(check.action, check.passes) for check in answer.regions[0].checks] == [
        ("secretsmanager:GetSecretValue", True),
        ("kms:Decrypt", True),
    ]
    assert [str(one) for check in answer.regions[0].checks for one in check.statements] == [
        "statement ReadSecrets of the identity policy secrets",
        "statement DecryptSecrets1 of the identity policy secrets",
    ]
    assert [(spot.line, spot.field) for spot in answer.spots] == [(6, "secrets[0].name")]
    assert answer.files == ("/mnt/secrets/prod_payments_db",)
    assert any(KEY in note for note in answer.notes), "the key's own policy is not ours: the answer says so"


def test_a_no_says_what_is_missing() -> None:
    answer = Answers(fleet()).can_read("mailer", secret("prod/payments/db"))
    assert not answer.is_allowed
    assert answer.is_denied
    assert answer.spots == ()
    assert [check.passes for check in answer.identity] == [True]
    assert [check.reason for check in answer.regions[0].checks] == ["no identity policy allows it"] * 2


@pytest.mark.parametrize("identity", Identity)
def test_pods_of_another_service_account_get_no_role(identity: Identity) -> None:
    """The trust is asked, not presumed."""
    whole = fleet(environment=replace(ENVIRONMENT, default_identity=identity))
    (mailer, payments) = whole.apps
    swapped = replace(whole, apps=(replace(mailer, trust=payments.trust), payments))
    answer = Answers(swapped).can_read("mailer", secret("prod/shared/smtp"))
    assert not answer.is_allowed
    assert [check.verdict for check in answer.identity] == [Verdict.DENIED] * len(answer.identity)
    assert answer.regions[0].passes
    assert Answers(whole).can_read("mailer", secret("prod/shared/smtp")).is_allowed


def test_a_key_that_only_another_spec_names_is_asked_as_well() -> None:
    """The secret has one key, whoever wrote it down; a spec that forgets it gets a pod that cannot start."""
    text = TWO_APPS.replace("name: prod/shared/smtp, owner: post", f'name: prod/shared/smtp, kmsKey: "{KEY}"')
    answers = Answers(fleet(text))
    forgot = answers.can_read("mailer", secret("prod/shared/smtp"))
    assert not forgot.is_allowed
    assert [(check.subject, check.passes) for check in forgot.regions[0].checks] == [
        (Subject.READ, True),
        (Subject.DECRYPT, False),
    ]
    assert answers.can_read("payments", secret("prod/shared/smtp")).is_allowed


def test_specs_that_disagree_on_a_key_are_noted() -> None:
    other = KEY.replace("8a2c", "ffff")
    text = TWO_APPS.replace("name: prod/shared/smtp, owner: post", f'name: prod/shared/smtp, kmsKey: "{KEY}"')
    text = text.replace("  - name: prod/shared/smtp\n", f'  - {{name: prod/shared/smtp, kmsKey: "{other}"}}\n')
    answer = Answers(fleet(text)).can_read("mailer", secret("prod/shared/smtp"))
    assert any("specs name different keys" in note and KEY in note and other in note for note in answer.notes)


class _DenyingDocument(PolicyDocument):
    """A resource policy that denies everyone."""

    def to_dict(self) -> dict[str, object]:
        statement = {"Sid": "DenyOthers", "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
        return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_secret_policy_that_denies_makes_it_a_no() -> None:
    policy = SecretPolicy(
        secret="prod/shared/smtp",
        resource=f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/shared/smtp-??????",
        owner="post",
        app=AppName("payments"),
        document=_DenyingDocument(statements=()),
        adopt=False,
        at=Spot(source="smtp.yaml", line=1, column=1),
    )
    answers = Answers(replace(fleet(), secret_policies=(policy,)))
    denied = answers.can_read("mailer", secret("prod/shared/smtp"))
    assert not denied.is_allowed
    reason = denied.regions[0].checks[0].reason
    assert reason == "denied by statement DenyOthers of the resource policy of prod/shared/smtp"
    assert answers.can_read("payments", secret("prod/payments/db")).is_allowed, "it bears on its own secret only"


FOREIGN = f"arn:aws:secretsmanager:{REGION}:999988887777:secret:shared/smtp-Ab12Cd"
FOREIGN_KEY = KEY.replace(ACCOUNT, "999988887777")
FOREIGN_SPEC = f"""version: 1
app: mailer
namespace: messaging
secrets: [{{name: "{FOREIGN}", file: smtp, kmsKey: "{FOREIGN_KEY}"}}]
"""


def _foreign(resource: str, role: str) -> ForeignStatements:
    class Document(PolicyDocument):
        """What the other account has added."""

        def to_dict(self) -> dict[str, object]:
            statement = {"Sid": "Read", "Effect": "Allow", "Principal": {"AWS": role}, "Action": "*", "Resource": "*"}
            return {"Version": "2012-10-17", "Statement": [statement]}

    document = Document(statements=())
    return ForeignStatements(kind="secret policy", resource=resource, document=document, apps=(AppName("mailer"),))


def test_another_account_s_side_is_asked_where_its_statements_are_derived_and_noted_in_any_case() -> None:
    whole = replace(fleet(FOREIGN_SPEC), foreign_accounts=())
    (item,) = Answers(whole).inventory.find(FOREIGN)
    assumed = Answers(whole).can_read("mailer", item)
    assert assumed.is_allowed
    assert [note.split(":")[1] for note in assumed.notes if "lets" in note] == [" account 999988887777 lets arn"] * 2
    own = whole.apps[0].role_arn
    for role, allowed in ((own, True), (f"arn:aws:iam::{ACCOUNT}:role/other", False)):
        statements = tuple(_foreign(resource, role) for resource in (FOREIGN, FOREIGN_KEY))
        account = ForeignAccount(account="999988887777", statements=statements)
        answer = Answers(replace(whole, foreign_accounts=(account,))).can_read("mailer", item)
        assert answer.is_allowed is allowed
        kinds = [str(one.kind) for check in answer.regions[0].checks for one in check.statements]
        assert kinds == (["identity policy", "resource policy"] * 2 if allowed else [])


def test_a_derived_secret_policy_keeps_every_consumer_and_says_who_it_denies() -> None:
    breaking = "{breakGlass: ['arn:aws:iam::111122223333:role/emergency']}"
    text = TWO_APPS.replace("smtp, owner: post}", f"smtp, owner: money, restrict: {breaking}}}")
    whole = fleet(text, replace(ENVIRONMENT, deployer_role=f"arn:aws:iam::{ACCOUNT}:role/deploy"))
    assert len(whole.secret_policies) == 1
    item = secret("prod/shared/smtp")
    assert [str(answer.app.app) for answer in Answers(whole).who_reads(item)] == ["mailer", "payments"]
    alone = replace(
        whole, secret_policies=tuple(replace(p, document=_without_mailer(p)) for p in whole.secret_policies)
    )
    denied = Answers(alone).can_read("mailer", item)
    assert denied.is_denied
    assert "denied by statement LockstepDenyOthers" in denied.regions[0].checks[0].reason


def test_a_replica_carries_its_secret_s_policy() -> None:
    text = (
        "version: 1\napp: vault\nnamespace: vault\nowner: ops\nfailoverRegions: [us-west-2]\nsecrets:\n"
        "  - {name: prod/db, restrict: {breakGlass: ['arn:aws:iam::111122223333:role/emergency']}}\n"
        "---\nversion: 1\napp: mailer\nnamespace: mailer\nfailoverRegions: [us-west-2]\nsecrets:\n"
        "  - {name: prod/db-eu, file: db, failover: {us-west-2: {name: prod/db}}}\n"
    )
    whole = fleet(text, replace(ENVIRONMENT, deployer_role=f"arn:aws:iam::{ACCOUNT}:role/deploy"))
    item = secret("prod/db-eu")
    assert Answers(whole).can_read("mailer", item, as_mount=True).is_complete
    alone = replace(
        whole, secret_policies=tuple(replace(p, document=_without_mailer(p)) for p in whole.secret_policies)
    )
    here, there = Answers(alone).can_read("mailer", item, as_mount=True).regions
    assert [check.reason for check in here.checks] == [""] * len(here.checks)
    assert any("denied by statement LockstepDenyOthers" in check.reason for check in there.checks)


def _without_mailer(policy: SecretPolicy) -> PolicyDocument:
    """Return the policy as it would be for another set of consumers."""

    class Document(PolicyDocument):
        """The derived policy with one role taken out of its exceptions."""

        def to_dict(self) -> dict[str, object]:
            text = json.dumps(policy.document.to_dict()).replace("prod-eu-west-1-mailer", "prod-eu-west-1-other")
            changed: dict[str, object] = json.loads(text)
            return changed

    return Document(statements=())


def test_a_permissions_boundary_is_asked_when_its_document_is_known_and_noted_when_not() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    whole = fleet(environment=replace(ENVIRONMENT, permissions_boundary=arn))
    item = secret("prod/shared/smtp")
    unknown = Answers(whole).can_read("mailer", item)
    assert unknown.is_allowed
    assert any(arn in note for note in unknown.notes)
    for action, allowed in (("secretsmanager:*", True), ("ssm:*", False)):
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        boundary = parse_policy(json.dumps({"Statement": statement}), name="b.json", kind=SourceKind.BOUNDARY)
        known = Answers(whole, {arn: boundary}).can_read("mailer", item)
        assert known.is_allowed is allowed
        assert not any(arn in note for note in known.notes)


def test_what_hangs_on_the_running_request_is_unclear() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    whole = fleet(environment=replace(ENVIRONMENT, permissions_boundary=arn))
    statement = {
        "Effect": "Allow",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}},
    }
    boundary = parse_policy({"Statement": statement}, name="b.json", kind=SourceKind.BOUNDARY)
    answer = Answers(whole, {arn: boundary}).can_read("mailer", secret("prod/shared/smtp"))
    assert answer.is_unclear
    assert not answer.is_allowed
    assert answer.regions[0].checks[0].reason == "the value of aws:SourceVpce is not known"


@pytest.mark.parametrize(
    ("second_role", "bounded"),
    [
        ("podIdentity: {scope: sessionPolicy, targetRole: ROLE}", "read"),
        ("podIdentity: {scope: sessionPolicy}\nassumeRole: {role: ROLE}", "chain"),
    ],
    ids=["EKS assumes it", "the provider assumes it"],
)
def test_a_session_policy_bounds_the_role_whose_credentials_the_pod_gets(second_role: str, bounded: str) -> None:
    role = "arn:aws:iam::999988887777:role/readers/second"
    head = "version: 1\napp: a\nnamespace: a\nidentity: podIdentity\n" + second_role.replace("ROLE", role)
    answers = Answers(fleet(f"{head}\nparameters: [{{name: /a/b}}]\n"))
    (item,) = answers.inventory.find("/a/b", account="999988887777", store=Store.PARAMETER_STORE)
    answer = answers.can_read("a", item)
    assert answer.is_complete
    by_session = {
        check.subject.value
        for check in (*answer.identity, *answer.regions[0].checks)
        if any(statement.kind is SourceKind.SESSION for statement in check.statements)
    }
    assert by_session == {bounded}


# -------------------------------------------------------------------------------------------------------- random specs


@LAW
@given(spec=spec_texts())
def test_every_mounted_object_can_be_read_in_every_region_of_its_class(spec: SpecText) -> None:
    answers = Answers(fleet(spec.text))
    app = answers.app(spec.app)
    assert app is not None
    for listed in app.objects:
        account = answers.account_of(app.app)
        (item,) = answers.inventory.find(listed.name, account=account, store=Store(listed.type.value))
        answer = answers.can_read(spec.app, item, as_mount=True)
        assert answer.is_complete, [check for region in answer.regions for check in region.checks]
        assert [region.item.region for region in answer.regions] == list(regions_of(app))
        assert answer.spots
        assert answer.files


@LAW
@given(spec=spec_texts())
def test_nothing_near_a_mounted_object_can_be_read(spec: SpecText) -> None:
    answers = Answers(fleet(spec.text))
    named = {(item.store, item.account, item.name) for item in answers.inventory.objects()}
    for item in answers.inventory.objects():
        if item.is_path:
            base = item.name.removesuffix("/*")
            names = (base, f"{base}-x", f"{base}-x/child", base[:-1])
            near = (*(replace(item, name=name) for name in names), *_elsewhere(replace(item, name=f"{base}/child")))
            for other in near:
                if not any(path.name in {p.name for p in other.paths_above()} for path in _paths(answers)):
                    assert answers.can_read(spec.app, other).is_denied, other
            continue
        near = (
            replace(item, name=f"{item.name}-x"),
            replace(item, name=f"{item.name}-AbCdEf"),
            replace(item, name=item.name[:-1] or "x"),
            replace(item, name=f"{item.name}/x"),
            *_elsewhere(item),
        )
        for other in near:
            if (other.store, other.account, other.name) not in named or other.region == "sa-east-1":
                assert answers.can_read(spec.app, other).is_denied, other


def _elsewhere(item: ObjectId) -> tuple[ObjectId, ...]:
    return (replace(item, account="999999999999"), replace(item, region="sa-east-1"))


def _paths(answers: Answers) -> tuple[ObjectId, ...]:
    return tuple(item for item in answers.inventory.objects() if item.is_path)


@LAW
@given(spec=spec_texts())
def test_who_what_and_can_say_the_same(spec: SpecText) -> None:
    answers = Answers(fleet(spec.text + "---\n" + TWO_APPS.replace("app: payments", "app: pay-2") + "owner: x\n"))
    for app in answers.fleet.apps:
        for answer in answers.what_reads(app.app):
            assert answer.is_allowed
            assert app.app in {reader.app.app for reader in answers.who_reads(answer.item)}
    for item in answers.inventory.objects():
        readers = {reader.app.app for reader in answers.who_reads(item)}
        assert readers == {app.app for app in answers.fleet.apps if answers.can_read(app.app, item).is_allowed}


@LAW
@given(spec=spec_texts())
def test_what_an_app_reads_is_every_object_that_its_policies_allow_where_they_allow_it(spec: SpecText) -> None:
    answers = Answers(fleet(spec.text))
    granted: dict[tuple[Store, str, str], set[str]] = {}
    for read in spec.reads:
        _, _, _, region, account, resource = read.arn.split(":", 5)
        name = resource[len("secret:") : -len("-AbCdEf")] if read.is_secret else resource.removeprefix("parameter/")
        store = Store.SECRETS_MANAGER if read.is_secret else Store.PARAMETER_STORE
        granted.setdefault((store, account, f"{name}/*" if read.is_path else name), set()).add(region)
    told = {
        (answer.item.store, answer.item.account, answer.item.name): {
            region.item.region for region in answer.regions if region.passes and region.item.is_same(answer.item)
        }
        for answer in answers.what_reads(spec.app)
    }
    assert told == granted
    assert {(item.store, item.account, item.name) for item in answers.blast_radius([spec.app]).objects()} == set(
        granted
    )


#: One app whose failover region knows a secret by the ARN of another account, another by a name and stage of its own.
FAILOVERS = """
version: 1
app: pay
namespace: pay
owner: money
failoverRegions: [us-west-2]
secrets:
  - name: prod/pay/db
    kmsKey: {eu-west-1: "arn:aws:kms:eu-west-1:111122223333:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50"}
    stage: AWSCURRENT
    failover:
      us-west-2:
        name: arn:aws:secretsmanager:us-west-2:999988887777:secret:dr/pay/db-Ab12Cd
        kmsKey: arn:aws:kms:us-west-2:999988887777:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f51
  - name: prod/pay/api
    stage: AWSPREVIOUS
    failover: {us-west-2: {name: prod/pay/api-w, stage: AWSCURRENT}}
"""


@pytest.mark.parametrize(
    ("name", "regions"),
    [
        ("prod/pay/db", ["eu-west-1"]),
        ("arn:aws:secretsmanager:us-west-2:111122223333:secret:prod/pay/db-AbCdEf", None),
        ("arn:aws:secretsmanager:us-west-2:999988887777:secret:dr/pay/db-Ab12Cd", ["us-west-2"]),
        ("arn:aws:secretsmanager:eu-west-1:999988887777:secret:dr/pay/db-Ab12Cd", ["us-west-2"]),
        ("prod/pay/api", ["eu-west-1"]),
        ("prod/pay/api-w", ["us-west-2"]),
    ],
)
def test_a_failover_object_of_its_own_name_is_answered_for_where_it_lies(name: str, regions: list[str] | None) -> None:
    answers = Answers(fleet(FAILOVERS))
    (item,) = answers.inventory.find(name)
    readers = answers.who_reads(item)
    told = [[region.item.region for region in one.regions if region.passes] for one in readers]
    assert told == ([regions] if regions else [])
    assert not regions or (readers[0].files and answers.inventory.owners(item) == ("money",))


def test_a_node_and_the_map_know_the_account_of_a_failover_object() -> None:
    answers = Answers(fleet(FAILOVERS))
    reached = {(item.shown, item.account) for item in answers.blast_radius(["pay"]).objects()}
    assert ("dr/pay/db", "999988887777") in reached
    assert len(reached) == 4
    graph = access_graph({"prod": answers})
    assert {v.label for v in graph.vertices if v.kind is VertexKind.ACCOUNT} == {ACCOUNT, "999988887777"}
    assert {edge.target: edge.regions for edge in graph.edges if edge.kind is EdgeKind.READS} == {
        "prod/secret/prod/pay/db": ("eu-west-1",),
        "prod/secret/dr/pay/db of 999988887777": ("us-west-2",),
        "prod/secret/prod/pay/api": ("eu-west-1",),
        "prod/secret/prod/pay/api-w": ("us-west-2",),
    }


def test_one_object_that_two_apps_read_in_different_regions_is_one_object_of_a_node() -> None:
    second = "version: 1\napp: b\nnamespace: b\nowner: b\nsecrets: [{name: prod/pay/api-w}]\n"
    answers = Answers(fleet(FAILOVERS + "---\n" + second))
    found = {item.shown: len(listed) for item, listed in answers.blast_radius(["pay", "b"]).objects().items()}
    assert found == {"prod/pay/db": 1, "dr/pay/db": 1, "prod/pay/api": 1, "prod/pay/api-w": 2}
    ids = [vertex.id for vertex in access_graph({"prod": answers}).vertices]
    assert len(ids) == len(set(ids))


# -------------------------------------------------------------------------------------------- who, what, blast radius


def test_a_node_reaches_the_union_of_what_its_apps_read() -> None:
    answers = Answers(fleet())
    both = answers.blast_radius(["payments", "mailer", "mailer"])
    assert [str(app.app) for app in both.apps] == ["mailer", "payments"]
    assert {item.shown: [str(one.app.app) for one in found] for item, found in both.objects().items()} == {
        "prod/payments/db": ["payments"],
        "prod/shared/smtp": ["mailer", "payments"],
        "/prod/payments/flags": ["payments"],
    }
    alone = answers.blast_radius(["mailer"])
    assert set(alone.objects()) < set(both.objects())


def test_an_owner_is_the_one_that_a_spec_names() -> None:
    inventory = Answers(fleet()).inventory
    assert inventory.owners(secret("prod/payments/db")) == ("money",)
    assert inventory.owners(secret("prod/shared/smtp")) == ("post",)


# --------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("prod/payments/db", ["prod/payments/db"]),
        ("${environment}/payments/db", ["prod/payments/db"]),
        (f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/payments/db-Zz9876", ["prod/payments/db"]),
        (f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/payments/db", ["prod/payments/db"]),
        (f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/prod/payments/flags", ["/prod/payments/flags"]),
        ("/prod/payments/flags", ["/prod/payments/flags"]),
        ("/prod/payments/flags:3", ["/prod/payments/flags"]),
        ("prod/payments/flags:blue", ["/prod/payments/flags"]),
        (f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/prod/payments/flags:3", ["/prod/payments/flags"]),
        ("/nobody/names/this", ["/nobody/names/this"]),
        ("arn:aws:s3:::bucket", []),
        (f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:rotation:x", []),
    ],
)
def test_an_object_is_found_by_every_name_that_it_has(name: str, found: list[str]) -> None:
    assert [item.shown for item in Answers(fleet()).inventory.find(name)] == found


def test_a_secret_and_a_parameter_of_one_name_are_both_meant() -> None:
    text = "version: 1\napp: a\nnamespace: a\nsecrets: [{name: x, file: s}]\nparameters: [{name: x, file: p}]\n"
    inventory = Answers(fleet(text)).inventory
    assert [item.store for item in inventory.find("x")] == list(Store)
    assert [item.store for item in inventory.find("x", store=Store.PARAMETER_STORE)] == [Store.PARAMETER_STORE]


def test_a_suffix_that_a_spec_tells_is_used() -> None:
    arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:prod/w-Xk3p9Q"
    answers = Answers(fleet(f"version: 1\napp: a\nnamespace: a\nsecrets: [{{name: '{arn}', file: w}}]\n"))
    (item,) = answers.inventory.find("prod/w")
    assert answers.inventory.arn(item) == arn
    assert answers.can_read("a", item).is_allowed


def test_another_version_than_the_class_asks_for_can_be_asked() -> None:
    answer = Answers(fleet()).can_read("mailer", secret("prod/shared/smtp"), Selector(stage="AWSPREVIOUS"))
    assert answer.is_allowed, "a grant without a condition covers every version"
    assert answer.regions[0].selector.stage == "AWSPREVIOUS"
