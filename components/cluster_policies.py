"""The IAM documents that a cluster itself needs: who may assume its roles, and who may use its key. Pure.

Not done here: any app's access (components/derivation). Documents are literals: account, region and names are known.

Source: EKS user guide (cluster role, node role, add-ons with Pod Identity), KMS developer guide (default key policy),
CloudWatch Logs user guide (encrypting log groups).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

#: Managed policies, by their names below `policy/`.
CLUSTER_POLICY = "AmazonEKSClusterPolicy"
NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy")
CNI_POLICY = "AmazonEKS_CNI_Policy"
EBS_POLICY = "service-role/AmazonEBSCSIDriverPolicy"


def managed_policy_arn(partition: str, name: str) -> str:
    """Return the ARN of a policy that AWS keeps."""
    return f"arn:{partition}:iam::aws:policy/{name}"


def access_policy_arn(partition: str, name: str) -> str:
    """Return the ARN of a policy of EKS access entries."""
    return f"arn:{partition}:eks::aws:cluster-access-policy/{name}"


def service_trust(service: str, *, account: str) -> str:
    """Return a trust policy for one AWS service; EKS may act for this account only (EC2 knows no such condition).

    Args:
        service: Such as `eks.amazonaws.com`.
        account: 12 digits.
    """
    statement: dict[str, object] = {
        "Sid": "AssumeByService",
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", "sts:TagSession"] if service.startswith("eks.") else ["sts:AssumeRole"],
    }
    if service.startswith("eks."):
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return _render([statement])


def pod_identity_trust(cluster_arn: str, *, account: str) -> str:
    """Return a trust policy for pods of one cluster; which of them, the add-on's association says."""
    statement = {
        "Sid": "AssumeByPods",
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"aws:SourceAccount": account, "aws:SourceArn": cluster_arn}},
    }
    return _render([statement])


def key_policy(*, partition: str, account: str, region: str, log_group: str, role_arn: str, dns_suffix: str) -> str:
    """Return the policy of the cluster's key.

    The account's IAM decides; the control plane may use it for Secrets, and CloudWatch Logs for the one log group. The
    role is named by a condition, because KMS refuses a principal that does not exist yet.
    """
    owner = {
        "Sid": "DecideByIam",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    control_plane = {
        "Sid": "EncryptSecrets",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
        "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"],
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role_arn}},
    }
    group = f"arn:{partition}:logs:{region}:{account}:log-group:{log_group}"
    logs = {
        "Sid": "EncryptLogs",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{region}.{dns_suffix}"},
        "Action": ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
        "Resource": "*",
        "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group}},
    }
    return _render([owner, control_plane, logs])


def _render(statements: Sequence[Mapping[str, object]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, sort_keys=True)
