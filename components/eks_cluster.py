"""A new EKS cluster: control plane, its key, logs and roles, who may use it, add-ons and nodes.

Not done here: the network (network.py), and reaching what was made (cluster_connection.py), which is the same for a
cluster that exists.

What it holds to, whatever is asked for: access by entries only (nobody is an administrator by having made the
cluster); the API is private, and public for named networks only; all five kinds of control-plane logs, in a log group
that is made first, or EKS would make one that keeps them for ever; Kubernetes Secrets are encrypted with a key that
rotates; no self-managed add-ons, and pinned managed ones, the network's before the nodes; the upgrade policy that costs
no extra.

Source: EKS user guide and API reference (CreateCluster, access entries, add-ons), EKS best practices guide.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from . import cluster_policies as policies
from .arguments import ArgumentProblem, CheckedArguments
from .cluster_facts import ClusterFacts
from .cluster_settings import ClusterSettings, cluster_problems
from .derivation.naming import platform_role_name
from .network import Network
from .node_group import NodeGroup, NodeGroupArgs
from .role_place import place_rules

#: Sorted, all that there are.
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")

#: Without these a node is not ready; they are DaemonSets, so they settle without any node. The rest needs nodes.
_BEFORE_NODES = ("eks-pod-identity-agent", "kube-proxy", "vpc-cni")

#: Add-ons that need rights of their own, which the nodes' role must not have: purpose of the role, service account,
#: policy. Source: EKS user guide, the pages of the add-ons.
_ADDON_ROLES = {
    "aws-ebs-csi-driver": ("ebs-csi", "ebs-csi-controller-sa", policies.EBS_POLICY),
    "vpc-cni": ("cni", "aws-node", policies.CNI_POLICY),
}

_KEY_DELETION_DAYS = 30

_DIGEST_LENGTH = 8

_CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")

_ADMIN_POLICY = "AmazonEKSClusterAdminPolicy"
_READER_POLICY = "AmazonEKSViewPolicy"


@dataclass(frozen=True, slots=True, kw_only=True)
class EksClusterArgs(CheckedArguments):
    """Arguments of `EksCluster`.

    Attributes:
        cluster_name: In AWS; unique in the account and region.
        settings: What is wanted.
        network: Where.
        role_path: IAM path of the roles that are made.
        permissions_boundary: Of those roles, or None.
        dns_suffix: Of service host names in the partition, `amazonaws.com`.
        protect: Whether the control plane, its key and its logs may not be removed.
    """

    cluster_name: str
    settings: ClusterSettings
    network: Network
    region: str
    account: str
    partition: str = "aws"
    dns_suffix: str = "amazonaws.com"
    role_path: str = "/"
    permissions_boundary: str | None = None
    protect: bool = False

    def check_values(self) -> Iterator[ArgumentProblem]:
        """Yield what EKS would refuse, and what a cluster must not be."""
        for field, fits, rule, fix in (
            (
                "cluster_name",
                _CLUSTER_NAME.fullmatch(self.cluster_name),
                "It is a name of EKS",
                "use letters, 0-9, - _",
            ),
            *place_rules(self),
        ):
            if not fits:
                yield self.problem(field, f"{getattr(self, field)!r} does not fit", rule, fix)
        for field, *problem in cluster_problems(self.settings):
            yield self.problem(f"settings.{field}", *problem)

    @property
    def arn(self) -> str:
        """ARN of the cluster, known before it is made."""
        return f"arn:{self.partition}:eks:{self.region}:{self.account}:cluster/{self.cluster_name}"

    @property
    def log_group(self) -> str:
        """Name of the log group that EKS writes to."""
        return f"/aws/eks/{self.cluster_name}/cluster"


class EksCluster(pulumi.ComponentResource):
    """Makes a cluster.

    Attributes:
        facts: What `ClusterConnection` takes; the same shape as for a cluster that exists.
    """

    cluster: aws.eks.Cluster
    key: aws.kms.Key | None
    addons: dict[str, aws.eks.Addon]
    node_groups: tuple[NodeGroup, ...]
    facts: ClusterFacts

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        inputs = {"clusterName": args.cluster_name, "version": args.settings.version, "region": args.region}
        super().__init__("lockstep:index:EksCluster", name, inputs, opts)
        self._name = name
        self._args = args
        key_arn = self._encryption_key()
        logs = self._log_group(key_arn)
        role = self._role("control-plane", policies.service_trust("eks.amazonaws.com", account=args.account))
        grants = self._attach("control-plane", role, (policies.CLUSTER_POLICY,))
        self.cluster = self._control_plane(role, key_arn, [logs, *grants])
        entries = self._access_entries()
        self.addons = {addon: self._addon(addon, ()) for addon in sorted(args.settings.addons) if _is_early(addon)}
        self.node_groups = self._nodes()
        groups = tuple(group.group for group in self.node_groups)
        for addon in sorted(args.settings.addons):
            if not _is_early(addon):
                self.addons[addon] = self._addon(addon, groups)
        self.facts = ClusterFacts(
            name=args.cluster_name,
            oidc_issuer=self.cluster.identities[0].oidcs[0].issuer,
            endpoint=self.cluster.endpoint,
            certificate=self.cluster.certificate_authority.data,
            cluster=self.cluster,
            ready=(*entries, *self.addons.values(), *groups),
        )
        self.register_outputs(
            {
                "clusterName": args.cluster_name,
                "clusterArn": args.arn,
                "oidcIssuer": self.facts.oidc_issuer,
                "endpoint": self.facts.endpoint,
                "certificate": self.facts.certificate,
            }
        )

    # ------------------------------------------------------------------------------------------------ control plane
    def _encryption_key(self) -> pulumi.Input[str]:
        """Return the key for Secrets and logs: the given one, or one of the cluster's own that rotates."""
        args = self._args
        self.key = None
        if args.settings.secrets_key:
            return args.settings.secrets_key
        self.key = aws.kms.Key(
            self._name,
            description=f"Secrets and logs of the EKS cluster {args.cluster_name}",
            enable_key_rotation=True,
            deletion_window_in_days=_KEY_DELETION_DAYS,
            policy=policies.key_policy(
                partition=args.partition,
                account=args.account,
                region=args.region,
                log_group=args.log_group,
                role_arn=self._role_arn("control-plane"),
                dns_suffix=args.dns_suffix,
            ),
            opts=self._child(protect=args.protect),
        )
        aws.kms.Alias(
            self._name, name=f"alias/eks/{args.cluster_name}", target_key_id=self.key.key_id, opts=self._child()
        )
        arn: pulumi.Output[str] = self.key.arn
        return arn

    def _log_group(self, key_arn: pulumi.Input[str]) -> aws.cloudwatch.LogGroup:
        return aws.cloudwatch.LogGroup(
            self._name,
            name=self._args.log_group,
            retention_in_days=self._args.settings.log_retention_days,
            # A key that was given need not allow CloudWatch Logs; its owner's policy decides that.
            kms_key_id=key_arn if self.key is not None else None,
            opts=self._child(protect=self._args.protect),
        )

    def _control_plane(
        self, role: aws.iam.Role, key_arn: pulumi.Input[str], after: list[pulumi.Resource]
    ) -> aws.eks.Cluster:
        args, settings = self._args, self._args.settings
        return aws.eks.Cluster(
            self._name,
            name=args.cluster_name,
            version=settings.version,
            role_arn=role.arn,
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            bootstrap_self_managed_addons=False,
            deletion_protection=settings.deletion_protection,
            enabled_cluster_log_types=list(LOG_TYPES),
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=key_arn), resources=["secrets"]
            ),
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                subnet_ids=args.network.intra_subnet_ids,
                endpoint_private_access=True,
                endpoint_public_access=bool(settings.public_access_cidrs),
                public_access_cidrs=list(settings.public_access_cidrs) or None,
            ),
            zonal_shift_config=aws.eks.ClusterZonalShiftConfigArgs(enabled=settings.zonal_shift),
            opts=self._child(protect=args.protect, depends_on=after),
        )

    def _access_entries(self) -> list[pulumi.Resource]:
        """Make an entry per principal, the deployer's first in the program: everything in the cluster waits for it."""
        settings = self._args.settings
        wanted = {settings.deployer: _ADMIN_POLICY}
        wanted |= dict.fromkeys(settings.admins, _ADMIN_POLICY)
        wanted |= {reader: _READER_POLICY for reader in settings.readers if reader not in wanted}
        # What entries were called before they had a digest; two that read the same cannot both have been there.
        earlier: dict[str, str] = {}
        for principal in wanted:
            earlier.setdefault(self._readable(principal), principal)
        kept = frozenset(earlier.values())
        return [
            self._access_entry(principal, policy, is_kept=principal in kept) for principal, policy in wanted.items()
        ]

    def _readable(self, principal: str) -> str:
        _, path = principal.split("::", 1)
        return f"{self._name}-{path.replace('/', '-').replace(':', '-')}"

    def _access_entry(self, principal: str, policy: str, *, is_kept: bool) -> pulumi.Resource:
        readable = self._readable(principal)
        # A path's slashes are written as what names may contain themselves.
        name = f"{readable}-{hashlib.sha256(principal.encode()).hexdigest()[:_DIGEST_LENGTH]}"
        known = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=readable)] if is_kept else [])
        entry = aws.eks.AccessEntry(
            name,
            cluster_name=self.cluster.name,
            principal_arn=principal,
            type="STANDARD",
            opts=pulumi.ResourceOptions.merge(self._child(), known),
        )
        association: pulumi.Resource = aws.eks.AccessPolicyAssociation(
            name,
            cluster_name=self.cluster.name,
            principal_arn=principal,
            policy_arn=policies.access_policy_arn(self._args.partition, policy),
            access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=pulumi.ResourceOptions.merge(self._child(depends_on=[entry]), known),
        )
        return association

    # ------------------------------------------------------------------------------------------------------- add-ons
    def _addon(self, addon: str, after: tuple[pulumi.Resource, ...]) -> aws.eks.Addon:
        associations, grants = self._addon_identity(addon)
        return aws.eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self.cluster.name,
            addon_name=addon,
            addon_version=self._args.settings.addons[addon],
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            pod_identity_associations=associations or None,
            # Its rights are there before it, and while it takes down what it made: interfaces and disks.
            opts=self._child(depends_on=[*after, *grants]),
        )

    def _addon_identity(
        self, addon: str
    ) -> tuple[list[aws.eks.AddonPodIdentityAssociationArgs], list[pulumi.Resource]]:
        """Give an add-on a role of its own, so that no node can rearrange interfaces or disks; and what grants it."""
        if addon not in _ADDON_ROLES:
            return [], []
        purpose, service_account, policy = _ADDON_ROLES[addon]
        role = self._role(purpose, policies.pod_identity_trust(self._args.arn, account=self._args.account))
        grants = self._attach(purpose, role, (policy,))
        return [aws.eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=service_account)], grants

    # --------------------------------------------------------------------------------------------------------- nodes
    def _nodes(self) -> tuple[NodeGroup, ...]:
        args = self._args
        role = self._role("nodes", policies.service_trust(f"ec2.{args.dns_suffix}", account=args.account))
        grants = self._attach("nodes", role, policies.NODE_POLICIES)
        after = (*grants, *self.addons.values(), *args.network.ready)
        return tuple(
            NodeGroup(
                f"{self._name}-{settings.name}",
                NodeGroupArgs(
                    settings=settings,
                    cluster_name=self.cluster.name,
                    version=args.settings.version,
                    role_arn=role.arn,
                    subnet_ids=args.network.private_subnet_ids,
                    after=after,
                ),
                opts=self._child(),
            )
            for settings in args.settings.node_groups
        )

    # --------------------------------------------------------------------------------------------------------- roles
    def _role(self, purpose: str, trust: str) -> aws.iam.Role:
        args = self._args
        return aws.iam.Role(
            f"{self._name}-{purpose}",
            name=self._role_name(purpose),
            path=args.role_path,
            permissions_boundary=args.permissions_boundary,
            assume_role_policy=trust,
            description=f"{purpose} of the EKS cluster {args.cluster_name}, made by Lockstep",
            opts=self._child(),
        )

    def _role_name(self, purpose: str) -> str:
        return platform_role_name(cluster=self._args.cluster_name, region=self._args.region, purpose=purpose)

    def _role_arn(self, purpose: str) -> str:
        args = self._args
        return f"arn:{args.partition}:iam::{args.account}:role{args.role_path}{self._role_name(purpose)}"

    def _attach(self, purpose: str, role: aws.iam.Role, names: tuple[str, ...]) -> list[pulumi.Resource]:
        return [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{purpose}-{policy.rpartition('/')[2]}",
                role=role.name,
                policy_arn=policies.managed_policy_arn(self._args.partition, policy),
                opts=self._child(),
            )
            for policy in names
        ]

    def _child(
        self, *, protect: bool | None = None, depends_on: list[pulumi.Resource] | None = None
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=protect or None, depends_on=depends_on)


def _is_early(addon: str) -> bool:
    return addon in _BEFORE_NODES
