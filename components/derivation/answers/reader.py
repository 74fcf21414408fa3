"""One app as IAM sees it: the roles its pods come to have, and the policies that bear on them.

What Lockstep does not write is assumed, and every answer that hangs on it says so (`Reader.assumptions`): a key of the
account has AWS's default key policy, which leaves the decision to IAM; other accounts let the role use their objects
and keys, where statements for them are derived (`foreign_accounts`) by exactly these; a permissions boundary whose
document is not given allows.

Source of the context keys: service authorization reference (Secrets Manager, KMS), EKS user guide (Pod Identity session
tags), IAM user guide (keys of web identity federation).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..access import AppAccess, FleetAccess
from ..arn import Arn, cluster_arn, oidc_provider_arn
from ..environment import Environment
from ..evaluator import (
    PolicySet,
    PolicySource,
    Principal,
    PrincipalKind,
    Request,
    SourceKind,
    parse_policy,
)
from ..grants import GET_BY_PATH, SERVICES
from ..iam import PolicyDocument
from ..spec import Identity, Store
from .checks import Check, Subject, check
from .inventory import ObjectId

READ_ACTIONS = {Store.SECRETS_MANAGER: "secretsmanager:GetSecretValue", Store.PARAMETER_STORE: "ssm:GetParameters"}
DECRYPT = "kms:Decrypt"
_CONTEXT_KEYS = {Store.SECRETS_MANAGER: "SecretARN", Store.PARAMETER_STORE: "PARAMETER_ARN"}
_SESSION = "lockstep"
_ASSUMED = "that is assumed"

#: Condition keys whose values only a running request has. A policy that tests one makes the answer unclear.
OPEN_KEYS = frozenset(
    {
        "aws:calledvia",
        "aws:calledviafirst",
        "aws:calledvialast",
        "aws:currenttime",
        "aws:epochtime",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principaltag/",
        "aws:resourceorgid",
        "aws:resourceorgpaths",
        "aws:resourcetag/",
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:userid",
        "aws:vpcsourceip",
        "kms:encryptioncontext:secretversionid",
        "kms:resourcealiases",
        "secretsmanager:resource/",
        "secretsmanager:resourcetag/",
        "secretsmanager:secretid",
        "secretsmanager:secretprimaryregion",
        "ssm:resourcetag/",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which version a read asks for; both "" for the current one."""

    stage: str = ""
    version_id: str = ""


class Reader:
    """Answers for one app. Its policies are parsed once.

    Args:
        fleet: The environment's access.
        app: One of the fleet's apps.
        boundary: Document of the permissions boundary, if known.
    """

    def __init__(self, fleet: FleetAccess, app: AppAccess, boundary: PolicySource | None = None) -> None:
        self.app = app
        self._fleet = fleet
        self._environment = fleet.environment
        self._boundary = boundary
        self._own = tuple(_parsed(policy.document, policy.name, SourceKind.IDENTITY) for policy in app.policies)
        session = app.association.policy if app.association else None
        self._principal = Principal.role(app.reader_arn, session_name=_SESSION)
        bound = (_parsed(session, "of the association", SourceKind.SESSION),) if session else ()
        # EKS bounds the credentials that the pod gets: of the target role where it assumes one, else of the app's own.
        is_targets = app.association is not None and bool(app.association.target_role_arn)
        self._own_session: tuple[PolicySource, ...] = () if is_targets else bound
        self._second_session: tuple[PolicySource, ...] = bound if is_targets else ()
        self._identity = self._identity_checks()

    def assumptions(self, resources: Iterable[str] = ()) -> tuple[str, ...]:
        """Return what Lockstep does not write and answers take for granted, as clauses.

        Args:
            resources: ARNs of the objects and keys that an answer is about.
        """
        texts = []
        for arn in dict.fromkeys(resources):
            parsed = Arn.parse(arn)
            if parsed is None:
                continue
            if parsed.account != self._principal.account:
                texts.append(f"account {parsed.account} lets {self.app.reader_arn} use {arn}")
            elif parsed.service == "kms":
                texts.append(f"the policy of the key {arn} leaves the decision to IAM, as AWS's default one does")
        if self.app.permissions_boundary and self._boundary is None:
            texts.append(f"the permissions boundary {self.app.permissions_boundary} allows it")
        if self.app.chain:
            texts.append(f"account {self.app.chain.account} gave the role {self.app.chain.role_arn} what it needs")
        return tuple(texts)

    @property
    def account(self) -> str:
        """Account of what the app names without an ARN."""
        return self.app.chain.account if self.app.chain else self._environment.account

    def identity_checks(self) -> tuple[Check, ...]:
        """Say whether the app's pods get the role that reads: trust of its own role, and of a second one."""
        return self._identity

    def object_checks(
        self, arn: str, item: ObjectId, key: str, selector: Selector, path: str = ""
    ) -> tuple[Check, ...]:
        """Say whether the role may read an object and decrypt it.

        Args:
            arn: Of the object; of everything below a path it ends in `/*`.
            item: The object.
            key: Customer key, "" for AWS's own.
            selector: Which version.
            path: ARN of the path by which the app itself reads it; "" for a read by its name.
        """
        context = self._context(item) | _version_context(item.store, selector)
        policies = self._policies(resource=self._resource_policy(item, arn))
        action, asked = (GET_BY_PATH, path) if path else (READ_ACTIONS[item.store], arn)
        checks = [self._check(Subject.READ, action, asked, item.account, context, policies)]
        if key:
            checks.append(self._decrypt(arn, item, key))
        return tuple(checks)

    def _decrypt(self, arn: str, item: ObjectId, key: str) -> Check:
        parsed = Arn.parse(key)
        owner = parsed.account if parsed else self._environment.account
        name = _CONTEXT_KEYS[item.store]
        names = (name, "SecretVersionId") if item.store is Store.SECRETS_MANAGER else (name,)
        context: dict[str, str | tuple[str, ...]] = {
            **self._context(item),
            "kms:ViaService": f"{SERVICES[item.store]}.{item.region}.{self._environment.dns_suffix}",
            f"kms:EncryptionContext:{name}": arn,
            "kms:EncryptionContextKeys": names,
            "kms:CallerAccount": self._principal.account,
        }
        foreign = owner != self._principal.account
        key_policy = self._foreign_policy(key) if foreign else _assumed_policy(owner, key)
        policies = self._policies(resource=key_policy, needs_resource_policy=True)
        return self._check(Subject.DECRYPT, DECRYPT, key, owner, context, policies)

    def _check(
        self,
        subject: Subject,
        action: str,
        resource: str,
        owner: str,
        context: Mapping[str, str | tuple[str, ...]],
        policies: PolicySet,
    ) -> Check:
        request = Request(
            principal=self._principal,
            action=action,
            resource=resource,
            resource_account=owner,
            context=context,
            open_keys=OPEN_KEYS,
        )
        found = check(subject, request, policies)
        # What is assumed is a note of the answer, no statement to point at.
        return replace(found, statements=tuple(one for one in found.statements if one.policy != _ASSUMED))

    # --------------------------------------------------------------------------------------------- the role that reads

    def _policies(self, *, resource: PolicySource | None, needs_resource_policy: bool = False) -> PolicySet:
        if self.app.chain:
            identity = (_parsed(self.app.chain.permissions, "of the second role", SourceKind.IDENTITY),)
            return PolicySet(
                identity=identity,
                session=self._second_session,
                resource=resource,
                needs_resource_policy=needs_resource_policy,
            )
        return PolicySet(
            identity=self._own,
            boundary=self._boundary,
            session=self._own_session,
            resource=resource,
            needs_resource_policy=needs_resource_policy,
        )

    def _context(self, item: ObjectId) -> dict[str, str | tuple[str, ...]]:
        context: dict[str, str | tuple[str, ...]] = {
            "aws:RequestedRegion": item.region,
            "aws:ResourceAccount": item.account,
            "aws:SecureTransport": "true",
            "aws:PrincipalIsAWSService": "false",
        }
        association = self.app.association
        if association and not association.disable_session_tags:
            context |= {f"aws:PrincipalTag/{key}": value for key, value in self._tags().items()}
        return context

    def _tags(self) -> dict[str, str]:
        place = self._environment
        return {
            "eks-cluster-arn": _cluster_arn(place),
            "eks-cluster-name": place.cluster,
            "kubernetes-namespace": self.app.namespace,
            "kubernetes-service-account": self.app.service_account,
        }

    def _resource_policy(self, item: ObjectId, arn: str) -> PolicySource | None:
        for policy in self._fleet.secret_policies if item.store is Store.SECRETS_MANAGER else ():
            if any(ObjectId.of_resource(carrier, item.store) == item for carrier in policy.resources):
                return _parsed(policy.document, f"of {policy.secret}", SourceKind.RESOURCE)
        return None if item.account == self._principal.account else self._foreign_policy(arn)

    def _foreign_policy(self, arn: str) -> PolicySource:
        """What another account must have added for an object or key; where nothing was derived, that it allows."""
        for account in self._fleet.foreign_accounts:
            for statements in account.statements:
                if _covers(statements.resource, arn):
                    return _parsed(statements.document, f"of {statements.resource}", SourceKind.RESOURCE)
        return _assumed_policy(self._principal.account, arn)

    # ------------------------------------------------------------------------------------------------ getting the role

    def _identity_checks(self) -> tuple[Check, ...]:
        return (*self._trust_checks(), *self._chain_checks())

    def _trust_checks(self) -> tuple[Check, ...]:
        app, place = self.app, self._environment
        if app.identity is Identity.IRSA:
            provider = oidc_provider_arn(
                partition=place.partition, account=place.account, issuer_host=place.issuer_host
            )
            principal = Principal(kind=PrincipalKind.FEDERATED, name=provider)
            context = {
                f"{place.issuer_host}:sub": f"system:serviceaccount:{app.namespace}:{app.service_account}",
                f"{place.issuer_host}:aud": app.audience,
            }
            actions: tuple[str, ...] = ("sts:AssumeRoleWithWebIdentity",)
        else:
            principal = Principal(kind=PrincipalKind.SERVICE, name="pods.eks.amazonaws.com")
            context = {"aws:SourceAccount": place.account, "aws:SourceArn": _cluster_arn(place)}
            with_tags = app.association is not None and not app.association.disable_session_tags
            context |= {f"aws:RequestTag/{key}": value for key, value in self._tags().items()} if with_tags else {}
            actions = ("sts:AssumeRole", "sts:TagSession") if with_tags else ("sts:AssumeRole",)
        trust = _parsed(app.trust, f"of {app.role_name}", SourceKind.TRUST)
        return tuple(
            self._assumes(Subject.TRUST, action, principal, app.role_arn, context, PolicySet(resource=trust))
            for action in actions
        )

    def _chain_checks(self) -> tuple[Check, ...]:
        chain = self.app.chain
        if chain is None:
            return ()
        own = Principal.role(self.app.role_arn, session_name=_SESSION)
        context = {"sts:ExternalId": chain.external_id} if chain.external_id else {}
        actions: tuple[str, ...] = ("sts:AssumeRole",)
        association = self.app.association
        if association and association.target_role_arn and not association.disable_session_tags:
            # EKS itself assumes the target role then, and passes the same session tags on.
            context |= {f"aws:RequestTag/{key}": value for key, value in self._tags().items()}
            actions = ("sts:AssumeRole", "sts:TagSession")
        policies = PolicySet(
            identity=self._own,
            boundary=self._boundary,
            session=self._own_session,
            resource=_parsed(chain.trust, f"of {chain.role_arn}", SourceKind.TRUST),
            needs_resource_policy=True,
        )
        return tuple(self._assumes(Subject.CHAIN, action, own, chain.role_arn, context, policies) for action in actions)

    def _assumes(
        self,
        subject: Subject,
        action: str,
        principal: Principal,
        role: str,
        context: Mapping[str, str],
        policies: PolicySet,
    ) -> Check:
        owner = Arn.parse(role)
        request = Request(
            principal=principal,
            action=action,
            resource=role,
            resource_account=owner.account if owner else "",
            context=context,
            open_keys=OPEN_KEYS,
        )
        return check(subject, request, policies)


def _parsed(document: PolicyDocument, name: str, kind: SourceKind) -> PolicySource:
    return parse_policy(document.to_dict(), name=name, kind=kind)


def _version_context(store: Store, selector: Selector) -> dict[str, str | tuple[str, ...]]:
    if store is not Store.SECRETS_MANAGER:
        return {}
    context: dict[str, str | tuple[str, ...]] = {}
    if selector.stage:
        context["secretsmanager:VersionStage"] = selector.stage
    if selector.version_id:
        context["secretsmanager:VersionId"] = selector.version_id
    return context


def _assumed_policy(account: str, arn: str) -> PolicySource:
    """A resource policy that leaves the decision to the IAM policies of an account; a key's default one does."""
    parsed = Arn.parse(arn)
    partition = parsed.partition if parsed else "aws"
    principal = {"AWS": f"arn:{partition}:iam::{account}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"}
    return parse_policy({"Statement": statement}, name=_ASSUMED, kind=SourceKind.RESOURCE)


def _cluster_arn(place: Environment) -> str:
    return cluster_arn(partition=place.partition, region=place.region, account=place.account, cluster=place.cluster)


def _covers(resource: str, arn: str) -> bool:
    """Whether a resource of a derived statement means this ARN; `?` stands for one character."""
    if len(resource) != len(arn):
        return False
    return all(one in {"?", other} for one, other in zip(resource, arn, strict=True))
