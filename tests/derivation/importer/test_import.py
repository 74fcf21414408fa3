"""Import: what we derive comes back as equal access; what others wrote gives specs and notes, and nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.derivation import AppAccess, Environment, derive, parse_specs, render_files
from components.derivation.importer import Imported, NoteKind, import_apps
from components.derivation.lint import RULES, Given, Rule, read_material
from components.derivation.lint.examples import (
    DB,
    KEY,
    PARAMETER,
    SECRET,
    bound,
    decrypt,
    documents,
    irsa,
    pod,
    pod_identity,
    policy,
    spc,
    statement,
    synced,
    trust,
)
from components.derivation.spec import AppName
from tests.derivation.random_specs import SpecText, spec_texts

ENVIRONMENT = Environment(
    name="dev",
    region="eu-west-1",
    account="111122223333",
    cluster="dev",
    oidc_issuer="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
)


def deployed(access: AppAccess) -> list[tuple[Given, str, str]]:
    """Return what a cluster and an account would print of an app's access, with the pod that mounts it."""
    texts = []
    for name, text in render_files([access]).items():
        kind = Given.TRUST if name.endswith("trust.json") else Given.POLICY if "policy-" in name else Given.MANIFEST
        texts.append((kind, name, _pod(text, access) if name.endswith("pod-volume.yaml") else text))
    if access.chain:
        texts.append((Given.POLICY, "second-role.json", access.chain.permissions.to_json()))
    return texts


def _pod(snippet: str, access: AppAccess) -> str:
    parts = yaml.safe_load(snippet)
    container = {"name": "app", "image": "app", "volumeMounts": parts["volumeMounts"]}
    template = {"serviceAccountName": access.service_account, "containers": [container], "volumes": parts["volumes"]}
    return yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "any", "namespace": access.namespace},
            "spec": {"template": {"spec": template}},
        }
    )


def imported(*manifests: str, policies: tuple[str, ...] = (), trusts: tuple[str, ...] = ()) -> Imported:
    texts = [(Given.MANIFEST, f"manifest-{number}.yaml", text) for number, text in enumerate(manifests)]
    texts += [(Given.POLICY, f"policy-{number}.json", text) for number, text in enumerate(policies)]
    texts += [(Given.TRUST, f"trust-{number}.json", text) for number, text in enumerate(trusts)]
    return import_apps(read_material(texts))


def without_owners(access: AppAccess) -> AppAccess:
    """Nothing that is deployed says who owns a secret."""
    return replace(access, owner="", grants=tuple(replace(grant, owner="") for grant in access.grants))


@given(spec_texts())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_was_derived_comes_back_as_equal_access(spec: SpecText) -> None:
    (parsed,) = parse_specs(spec.text)
    access = derive(parsed, ENVIRONMENT)
    result = import_apps(read_material(deployed(access)))
    (app,) = result.apps
    again = derive(parse_specs(app.text)[0], ENVIRONMENT)
    # What is deployed has the first name of a renamed app, and does not say that there is another one.
    assert without_owners(again) == without_owners(replace(access, app=AppName(access.first_name), renamed_from=()))
    wider = {note.what.rpartition("[")[2] for note in result.notes if note.kind is NoteKind.WIDER}
    assert wider == ({"LS204]"} if any(read.is_path for read in spec.reads) else set()), "only a path is wide"
    assert NoteKind.NEW not in {note.kind for note in result.notes}
    lost = [note.what for note in result.notes if note.kind is NoteKind.LOST]
    assert all("role" in what or "session policy" in what for what in lost), lost


# ---------------------------------------------------------------------------------------------------- what others wrote
def test_a_region_without_a_key_is_taken_for_aws_s_own_and_said_so() -> None:
    """Unless it is unclear which key is meant; a key that is known in one region is not given up for the other."""
    more = "    failoverRegion: us-west-2\n"
    grant = statement("secretsmanager:GetSecretValue", SECRET)
    (app,) = (result := imported(spc(DB, more=more), policies=(policy(grant, decrypt(bound())),))).apps
    secrets = app.spec["secrets"]
    assert isinstance(secrets, list)
    assert [entry["kmsKey"] for entry in secrets] == [{"eu-west-1": KEY, "us-west-2": "aws"}]
    assumed = [note.what for note in result.notes if note.kind is NoteKind.ASSUMED and "key" in note.what]
    assert assumed == ["'prod/db' is under AWS's own key in us-west-2: no given policy names another one"]


def test_a_hand_written_app_becomes_a_spec() -> None:
    account = (
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: till, namespace: shop, annotations: "
        "{eks.amazonaws.com/role-arn: 'arn:aws:iam::111122223333:role/till'}}\n"
    )
    objects = DB + '  objectAlias: db.json\n  filePermission: "0440"\n  jmesPath: [{path: user, objectAlias: user}]\n'
    objects += "- objectName: /prod/flags\n  objectType: ssmparameter\n  objectVersionLabel: blue\n"
    result = imported(
        documents(spc(objects, more=synced("user")), account, pod(more="  serviceAccountName: till\n")),
        policies=(
            policy(
                statement("secretsmanager:GetSecretValue", SECRET),
                decrypt(bound()),
                statement("ssm:GetParameters", PARAMETER),
            ),
        ),
    )
    (app,) = result.apps
    assert app.spec == {
        "version": 1,
        "app": "shop",
        "namespace": "shop",
        "serviceAccount": "till",
        "identity": "irsa",
        "mountPath": "/mnt/secrets",
        "secrets": [
            {"name": "prod/db", "file": "db.json", "mode": "0440", "kmsKey": KEY, "keys": {"user": "user"}},
        ],
        "parameters": [{"name": "/prod/flags", "file": "_prod_flags", "mode": "0644", "label": "blue"}],
        "sync": [{"secret": "shop-env", "type": "Opaque", "data": {"PASSWORD": "user"}}],
    }
    assert [note.kind for note in result.notes] == [NoteKind.ASSUMED], result.notes


def test_grants_beyond_the_mounts_are_listed() -> None:
    wide = SECRET.replace("prod/db-??????", "prod/*")
    result = imported(spc(), policies=(policy(statement("secretsmanager:GetSecretValue", [SECRET, wide])),))
    wider = [note for note in result.notes if note.kind is NoteKind.WIDER]
    assert [note.what.rsplit("[", 1)[1] for note in wider] == ["LS105]"]
    assert wide in wider[0].what


@pytest.mark.parametrize(
    ("policies", "trusts", "code"),
    [
        ([statement("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:prod/db-??????")], [], "LS118"),
        (
            [
                statement("secretsmanager:GetSecretValue", SECRET),
                decrypt({"StringLike": {"kms:ViaService": "*", **bound()["StringLike"]}}),
            ],
            [],
            "LS301",
        ),
        (
            [statement("secretsmanager:GetSecretValue", SECRET)],
            [pod_identity({"ArnLike": {"aws:SourceArn": "*"}})],
            "LS405",
        ),
    ],
)
def test_what_only_looks_narrow_is_listed_as_wider(
    policies: list[dict[str, object]], trusts: list[str], code: str
) -> None:
    result = imported(spc(), policies=(policy(*policies),), trusts=tuple(trusts))
    wider = [note.what for note in result.notes if note.kind is NoteKind.WIDER]
    assert [what.rpartition("[")[2] for what in wider] == [f"{code}]"]


def test_a_mount_that_nothing_grants_is_listed_as_new_access() -> None:
    result = imported(spc(), policies=(policy(statement("ssm:GetParameters", PARAMETER)),))
    assert [note.what for note in result.notes if note.kind is NoteKind.NEW] == [
        "'prod/db' is mounted in eu-west-1, and no policy grants it"
    ]


def test_every_statement_that_no_spec_says_is_listed() -> None:
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    reading = statement("secretsmanager:GetSecretValue", SECRET, {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    result = imported(
        spc(),
        policies=(policy(reading, deny, statement(["s3:GetObject", "secretsmanager:PutSecretValue"], "*")),),
        trusts=(trust(irsa("system:serviceaccount:other:other")),),
    )
    text = "\n".join(note.what for note in result.notes if note.kind in {NoteKind.LOST, NoteKind.WIDER})
    for word in ("aws:SourceIp", "'Deny'", "'s3:GetObject'", "'secretsmanager:PutSecretValue'", "other:other"):
        assert word in text, word


def test_what_the_reader_refuses_is_left_out_and_named() -> None:
    objects = DB + "- objectName: 'bad name'\n  objectType: secretsmanager\n  objectAlias: bad\n"
    objects += "- objectName: prod/x\n  objectType: nonsense\n"
    result = imported(spc(objects))
    (app,) = result.apps
    secrets = app.spec["secrets"]
    assert isinstance(secrets, list)
    assert [entry["name"] for entry in secrets] == ["prod/db"]
    lost = "\n".join(note.what for note in result.notes if note.kind is NoteKind.LOST)
    assert "'bad name'" in lost
    assert "'prod/x'" in lost


def test_a_class_that_several_accounts_mount_becomes_an_app_for_each() -> None:
    one, two = (pod(more=f"  serviceAccountName: {name}\n") for name in ("one", "two"))
    result = imported(documents(spc(), one, two))
    assert [(app.app, app.spec["serviceAccount"]) for app in result.apps] == [("shop", "one"), ("shop-shop", "two")]
    assert any(note.kind is NoteKind.LOST and "one, two" in note.what for note in result.notes)


def test_nothing_to_import_is_no_app() -> None:
    assert imported() == Imported(apps=(), notes=())
    assert [note.what for note in imported("{}").notes] == ["a document that is no manifest and no policy"]
    other = imported("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    assert [note.what for note in other.notes] == ["a document of the kind 'ConfigMap'"]


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.bad.spec], ids=lambda rule: rule.code)
def test_every_mistake_that_the_linter_knows_imports_or_is_noted(rule: Rule) -> None:
    bad = rule.bad
    manifests, policies, trusts = (tuple(filter(None, [text])) for text in (bad.manifests, bad.policy, bad.trust))
    result = imported(*manifests, policies=policies, trusts=trusts)
    for app in result.apps:
        parse_specs(app.text)
    assert result.apps or result.notes


NAMES = st.sampled_from(["prod/db", "/prod/x", "a b", "", "arn:aws:ssm:eu-west-1:1:x", SECRET, "${region}", "x" * 600])
WORDS = st.sampled_from(["secretsmanager", "ssmparameter", "ssm", "", "1", "../x", "a/b", "a", "0600", "9", "ü", "'x'"])


@st.composite
def messy_classes(draw: st.DrawFn) -> str:
    fields = ["objectAlias", "objectType", "objectVersion", "objectVersionLabel", "filePermission", "encoding", "odd"]
    entries = []
    for _ in range(draw(st.integers(0, 4))):
        entry: dict[str, object] = {"objectName": draw(NAMES)}
        entry |= {name: draw(WORDS) for name in draw(st.lists(st.sampled_from(fields), unique=True, max_size=4))}
        if draw(st.booleans()):
            entry["jmesPath"] = [{"path": draw(WORDS), "objectAlias": draw(WORDS)}]
        entries.append(entry)
    names = ["region", "failoverRegion", "failoverRegions", "refreshInterval", "usePodIdentity", "roleArn", "odd"]
    parameters = {name: draw(WORDS) for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=4))}
    secret = {"secretName": draw(WORDS), "type": draw(WORDS), "data": [{"key": draw(WORDS), "objectName": draw(WORDS)}]}
    return yaml.safe_dump(
        {
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClass",
            "metadata": {"name": draw(st.sampled_from(["shop", "Shop.X", "", "s" * 200])), "namespace": draw(WORDS)},
            "spec": {
                "provider": "aws",
                "parameters": {**parameters, "objects": yaml.safe_dump(entries)},
                "secretObjects": draw(st.sampled_from([[], [secret], [secret, secret]])),
            },
        }
    )


@given(messy_classes(), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_messy_class_gives_a_valid_spec_and_a_note_for_each_object_that_is_missing(text: str, with_pod: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    result = imported(*([text, pod()] if with_pod else [text]))
    kept: list[str] = []
    for app in result.apps:
        parse_specs(app.text)
        for title in ("secrets", "parameters"):
            entries = app.spec.get(title, [])
            assert isinstance(entries, list)
            kept += [entry["name"] for entry in entries]
    objects = yaml.safe_load(yaml.safe_load(text)["spec"]["parameters"]["objects"])
    lost = "\n".join(note.what for note in result.notes if note.kind is NoteKind.LOST)
    for entry in objects:
        assert entry["objectName"] in kept or repr(entry["objectName"]) in lost, lost
    if not objects:
        assert not result.apps


def test_json_of_kubectl_and_yaml_import_alike() -> None:
    manifest = yaml.safe_load(spc())
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [manifest]}, indent=4)
    assert imported(listed).apps == imported(spc()).apps


def test_policies_count_for_the_roles_that_the_account_s_details_attach_them_to() -> None:
    def role(name: str, **more: object) -> dict[str, object]:
        return {"RoleName": name, "AssumeRolePolicyDocument": json.loads(trust(irsa())), **more}

    arn = "arn:aws:iam::111122223333:policy/flags"
    version = {"Document": json.loads(policy(statement("ssm:GetParameters", PARAMETER))), "IsDefaultVersion": True}
    old = {"Document": json.loads(policy(statement("ssm:*", "*"))), "IsDefaultVersion": False}
    inline = {
        "PolicyName": "own",
        "PolicyDocument": json.loads(policy(statement("secretsmanager:GetSecretValue", SECRET))),
    }
    details = {
        "RoleDetailList": [
            role("shop", RolePolicyList=[inline], AttachedManagedPolicies=[]),
            role("flags", AttachedManagedPolicies=[{"PolicyName": "flags", "PolicyArn": arn}]),
        ],
        "Policies": [{"PolicyName": "flags", "Arn": arn, "PolicyVersionList": [old, version]}],
    }
    parameters = "    region: eu-west-1\n    roleArn: arn:aws:iam::111122223333:role/{}\n"
    both = "- objectName: /prod/flags\n  objectType: ssmparameter\n"
    flags = spc(both, parameters=parameters.format("flags"))
    result = imported(
        documents(spc(DB + both, parameters=parameters.format("shop")), flags.replace("name: shop, ", "name: flags, ")),
        policies=(json.dumps(details),),
    )
    assert [app.app for app in result.apps] == ["flags", "shop"]
    # The class of the role `shop` mounts the parameter as well, and that role has no policy for it.
    told = [note.what for note in result.notes if note.kind in {NoteKind.WIDER, NoteKind.NEW}]
    assert told == ["'/prod/flags' is mounted in eu-west-1, and no policy grants it"]
