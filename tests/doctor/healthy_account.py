"""An AWS account in which everything is as derived, for tests that break one thing.

The simulator is this project's own evaluator of policies, so that a role that lacks a right is refused for the reason
that it would be refused for in AWS.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from fnmatch import fnmatchcase
from time import time
from typing import Any

from components.derivation import AppAccess
from components.derivation.answers.inventory import Inventory, grants_by_object
from components.derivation.arn import Arn
from components.derivation.evaluator import PolicySet, Principal, Request, SourceKind, evaluate, parse_policy
from components.derivation.spec import Store
from lockstep.doctor.aws_reader import READ_ONLY, MissingError
from lockstep.doctor.expected import Expected
from lockstep.doctor.verdicts import UnseenError

State = dict[str, Any]

SUBNETS = ("subnet-a", "subnet-b")
#: Of the control plane, as Lockstep's own network makes them: without a route table of their own.
INTRA_SUBNETS = ("subnet-intra-a", "subnet-intra-b")
SERVICES = ("sts", "secretsmanager", "ssm", "kms", "eks-auth")


@dataclass(slots=True)
class FakeAccount:
    """Answers what an examination may ask. Every attribute may be changed by a test.

    Attributes:
        secrets: Region and friendly name → what DescribeSecret answers; parameters likewise.
        roles: Name → the role, and its policy documents under `policies`.
        node_groups: Name → subnets; `instances` are all of the VPC.
        keys: ARN → state; `aliases` of region and alias → ARN.
        denied: Calls that the credentials may not make.
        calls: Everything that was asked.
    """

    region: str
    account: str
    cluster: State = field(default_factory=dict)
    addon: State | None = field(default_factory=lambda: {"status": "ACTIVE", "addonVersion": "v1.3.9-eksbuild.3"})
    profiles: dict[str, list[State]] = field(default_factory=dict)
    node_groups: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"general": SUBNETS})
    instances: list[State] = field(default_factory=list)
    associations: list[State] = field(default_factory=list)
    roles: dict[str, State] = field(default_factory=dict)
    oidc: dict[str, State] = field(default_factory=dict)
    secrets: dict[tuple[str, str], State] = field(default_factory=dict)
    parameters: dict[tuple[str, str], State] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)
    endpoints: list[State] = field(default_factory=list)
    tables: list[State] = field(default_factory=list)
    skew_seconds: float = 0.0
    denied: set[tuple[str, str]] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def call(self, service: str, operation: str, *, region: str, **parameters: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
        """See `AwsCalls`."""
        assert (service, operation) in READ_ONLY
        self.calls.append((service, operation))
        if (service, operation) in self.denied:
            raise UnseenError(f"your credentials may not call {service}:{operation}")
        answer = getattr(self, f"_{operation}")(region=region, **parameters)
        if answer is None:
            raise MissingError(operation)
        assert isinstance(answer, dict)
        return copy.deepcopy(answer)

    def _GetCallerIdentity(self, *, region: str) -> State:
        date = formatdate(time() + self.skew_seconds, usegmt=True)
        return {"Account": self.account, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def _DescribeCluster(self, *, region: str, name: str) -> State | None:
        return {"cluster": self.cluster} if self.cluster.get("name") == name and region == self.region else None

    def _DescribeAddon(self, *, region: str, clusterName: str, addonName: str) -> State | None:
        return {"addon": self.addon} if self.addon else None

    def _ListFargateProfiles(self, *, region: str, clusterName: str) -> State:
        return {"fargateProfileNames": sorted(self.profiles)}

    def _DescribeFargateProfile(self, *, region: str, clusterName: str, fargateProfileName: str) -> State:
        return {"fargateProfile": {"selectors": self.profiles[fargateProfileName]}}

    def _ListNodegroups(self, *, region: str, clusterName: str) -> State:
        assert clusterName == self.cluster["name"]
        return {"nodegroups": sorted(self.node_groups)}

    def _DescribeNodegroup(self, *, region: str, clusterName: str, nodegroupName: str) -> State:
        return {"nodegroup": {"subnets": list(self.node_groups[nodegroupName])}}

    def _DescribeInstances(self, *, region: str, Filters: list[State]) -> State:
        asked = {each["Name"]: each["Values"] for each in Filters}
        assert asked["vpc-id"] == ["vpc-1"]
        found = [
            instance
            for instance in self.instances
            if {tag["Key"] for tag in instance["Tags"]} & {*asked["tag-key"]}
            and instance["State"]["Name"] in asked["instance-state-name"]
        ]
        return {"Reservations": [{"Instances": [instance]} for instance in found]}

    def _ListPodIdentityAssociations(
        self, *, region: str, clusterName: str, namespace: str, serviceAccount: str, nextToken: str = ""
    ) -> State:
        found = [
            each
            for each in self.associations
            if (each["namespace"], each["serviceAccount"]) == (namespace, serviceAccount)
        ]
        # A page that is empty but for its token is allowed, and has to be read past.
        return {"associations": found} if nextToken else {"associations": [], "nextToken": "more"}

    def _DescribePodIdentityAssociation(self, *, region: str, clusterName: str, associationId: str) -> State:
        (found,) = [each for each in self.associations if each["associationId"] == associationId]
        return {"association": found}

    def _GetOpenIDConnectProvider(self, *, region: str, OpenIDConnectProviderArn: str) -> State | None:
        return self.oidc.get(OpenIDConnectProviderArn)

    def _GetRole(self, *, region: str, RoleName: str) -> State | None:
        found = self.roles.get(RoleName)
        return {"Role": {key: value for key, value in found.items() if key != "policies"}} if found else None

    def _SimulatePrincipalPolicy(
        self,
        *,
        region: str,
        PolicySourceArn: str,
        ActionNames: list[str],
        ResourceArns: list[str],
        ContextEntries: list[State],
    ) -> State | None:
        role = self.roles.get(PolicySourceArn.rpartition("/")[2])
        if role is None:
            return None
        identity = tuple(
            parse_policy(document, name=f"p{number}", kind=SourceKind.IDENTITY)
            for number, document in enumerate(role["policies"])
        )
        assert all(len(entry["ContextKeyValues"]) == 1 for entry in ContextEntries)
        context = {entry["ContextKeyName"]: entry["ContextKeyValues"][0] for entry in ContextEntries}
        results = []
        for action in ActionNames:
            decisions = []
            for resource in ResourceArns:
                request = Request(
                    principal=Principal.role(PolicySourceArn),
                    action=action,
                    resource=resource,
                    resource_account=self.account,
                    context=context,
                )
                outcome = evaluate(request, PolicySet(identity=identity)).outcome
                decision = {"allowed": "allowed"}.get(outcome.value, "implicitDeny")
                decisions.append({"EvalResourceName": resource, "EvalResourceDecision": decision})
            whole = (
                "allowed" if all(each["EvalResourceDecision"] == "allowed" for each in decisions) else "implicitDeny"
            )
            results.append({"EvalActionName": action, "EvalDecision": whole, "ResourceSpecificResults": decisions})
        return {"EvaluationResults": results}

    def _DescribeSecret(self, *, region: str, SecretId: str) -> State | None:
        arn = Arn.parse(SecretId)
        for (place, _), secret in self.secrets.items():
            is_it = SecretId == secret["Name"] or (arn is not None and secret["ARN"].startswith(SecretId))
            if place == region and is_it:
                return secret
        return None

    def _DescribeParameters(self, *, region: str, ParameterFilters: list[State]) -> State:
        ((key, option, names),) = [(each["Key"], each["Option"], each["Values"]) for each in ParameterFilters]
        if (key, option) == ("Path", "Recursive"):
            below = [each for (place, name), each in self.parameters.items() if name.startswith(f"{names[0]}/")]
            return {"Parameters": below}
        assert (key, option) == ("Name", "Equals")
        return {"Parameters": [self.parameters[region, name] for name in names if (region, name) in self.parameters]}

    def _DescribeKey(self, *, region: str, KeyId: str) -> State | None:
        arn = self.aliases.get((region, KeyId), KeyId)
        return {"KeyMetadata": {"Arn": arn, "KeyState": self.keys[arn]}} if arn in self.keys else None

    def _DescribeVpcEndpoints(self, *, region: str, Filters: list[State]) -> State:
        assert Filters == [{"Name": "vpc-id", "Values": ["vpc-1"]}]
        return {"VpcEndpoints": self.endpoints}

    def _DescribeRouteTables(self, *, region: str, Filters: list[State]) -> State:
        return {"RouteTables": self.tables}


def healthy_account(expected: Expected) -> FakeAccount:
    """Return an account with the stack's cluster, roles and objects."""
    place = expected.environment
    made = FakeAccount(
        region=place.region,
        account=place.account,
        cluster={
            "name": place.cluster,
            "status": "ACTIVE",
            "identity": {"oidc": {"issuer": place.oidc_issuer}},
            "resourcesVpcConfig": {"vpcId": "vpc-1", "subnetIds": list(INTRA_SUBNETS)},
        },
        roles={app.role_name: _role(app) for app in expected.apps},
        oidc={
            f"arn:aws:iam::{place.account}:oidc-provider/{place.issuer_host}": {"ClientIDList": ["sts.amazonaws.com"]}
        },
        endpoints=[
            {"ServiceName": f"com.amazonaws.{place.region}.{name}", "State": "available", "PrivateDnsEnabled": True}
            for name in SERVICES
        ],
        tables=[
            {
                "Associations": [{"SubnetId": subnet} for subnet in SUBNETS],
                "Routes": [{"DestinationCidrBlock": "10.0.0.0/16", "State": "active"}],
            }
        ],
    )
    for app in expected.apps:
        if app.association:
            made.associations.append(_association(app, len(made.associations)))
    _add_objects(expected, made)
    return made


def _role(app: AppAccess) -> State:
    boundary = {"PermissionsBoundary": {"PermissionsBoundaryArn": app.permissions_boundary}}
    return {
        "Arn": app.role_arn,
        # IAM keeps what it is given; order and Sids are nobody's promise.
        "AssumeRolePolicyDocument": _shuffled(app.trust.to_dict()),
        **(boundary if app.permissions_boundary else {}),
        "policies": [policy.document.to_dict() for policy in app.policies],
    }


def _shuffled(document: dict[str, Any]) -> dict[str, Any]:
    statements = [
        {**statement, "Sid": "Renamed", "Action": statement["Action"][::-1]} for statement in document["Statement"]
    ]
    return {"Statement": statements, "Version": document["Version"]}


def _association(app: AppAccess, number: int) -> State:
    derived = app.association
    assert derived is not None
    return {
        "associationId": f"a-{number}",
        "namespace": derived.namespace,
        "serviceAccount": derived.service_account,
        "roleArn": derived.role_arn,
        "disableSessionTags": derived.disable_session_tags,
        **({"policy": json.dumps(derived.policy.to_dict())} if derived.policy else {}),
    }


def _add_objects(expected: Expected, made: FakeAccount) -> None:
    inventory = Inventory.of(expected.fleet)
    for item, grants in grants_by_object(grant for app in expected.apps for grant in app.grants).items():
        key = next((grant.key for grant in grants if grant.key), "")
        if key:
            made.keys[key] = "Enabled"
        if item.store is Store.SECRETS_MANAGER:
            stages = {"v1": ["AWSPREVIOUS"], "v2": ["AWSCURRENT"]}
            made.secrets[item.region, item.name] = {
                "Name": item.name,
                "ARN": inventory.arn(item),
                "VersionIdsToStages": stages,
                **({"KmsKeyId": key} if key else {}),
            }
        else:
            name = item.shown.replace("/*", "/flag")
            made.parameters[item.region, name] = {
                "Name": name,
                "Version": 7,
                "KeyId": key or "alias/aws/ssm",
            }


def instance(cluster: str, subnet: str, state: str = "running") -> State:
    """Return a node's instance that no managed node group made."""
    tag = {"Key": f"kubernetes.io/cluster/{cluster}", "Value": "owned"}
    return {"SubnetId": subnet, "State": {"Name": state}, "Tags": [tag, {"Key": "Name", "Value": "node"}]}


def matching(names: Mapping[tuple[str, str], State], pattern: str) -> State:
    """Return the object of the first name that matches."""
    return next(state for (_, name), state in sorted(names.items()) if fnmatchcase(name, pattern))
