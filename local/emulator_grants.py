# ruff: noqa: SLF001 - MiniStack has no public seam for this; what is used is pinned in emulator_pins.py.
"""Authorise reads of secrets and parameters as AWS does: each parameter on its own, and the key that decrypts.

MiniStack evaluates policies for real, but authorises `ssm:GetParameters` against `*` and never asks for `kms:Decrypt`.
Here every parameter of a batch is checked (one that is forbidden refuses the whole batch), and a value under a customer
key needs `kms:Decrypt` for the same caller, with the `kms:ViaService` and encryption context that the service sends.

Not covered: GetParametersByPath and GetParameterHistory, which nothing here calls.

Sources: "Secret encryption and decryption in AWS Secrets Manager" (context SecretARN) and "AWS KMS encryption for AWS
Systems Manager Parameter Store SecureString parameters" (context PARAMETER_ARN), both read 2026-11.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import error_response_json
from ministack.services import kms, secretsmanager, ssm

_PARAMETER_READS = frozenset({"GetParameter", "GetParameters"})
# Their key policies let every principal of the account decrypt through the service; no grant is needed.
_AWS_MANAGED_KEYS = ("alias/aws/secretsmanager", "alias/aws/ssm")
_KEY_TEXTS: Mapping[str, str] = {
    "secretsmanager": "Access to KMS is not allowed",
    "ssm": (
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
        "or you are not allowed to access. (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)"
    ),
}


class RequestedParameters(str):  # MiniStack hands the resource from one function to the other as a str
    """The parameters of one request; as text the joined ARNs, which match no policy, so a lost type refuses.

    Attributes:
        names: As requested, with a version or label.
        arns: In the same order, without them: what policies name.
        decrypts: Whether the values are asked for in clear text.
    """

    __slots__ = ("arns", "decrypts", "names")

    names: tuple[str, ...]
    arns: tuple[str, ...]
    decrypts: bool

    @classmethod
    def of(cls, names: tuple[str, ...], *, region: str, account: str, decrypts: bool) -> RequestedParameters:
        """Name the parameters' ARNs in this region and account; a name may be an ARN already."""
        bases = [str(ssm._split_selector(name)[0]) for name in names]
        prefix = f"arn:aws:ssm:{region}:{account}:parameter/"
        arns = tuple(base if base.startswith("arn:") else f"{prefix}{base.lstrip('/')}" for base in bases)
        made = cls("\n".join(arns))
        made.names, made.arns, made.decrypts = names, arns, decrypts
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """One decryption that a service does for its caller. `key_arn` is None when the key does not exist."""

    key_arn: str | None
    service: str
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What the answer to a refused request says beyond the principal: a resource, or that it was the key."""

    resource: str = ""
    is_key: bool = False


_refused: ContextVar[Refused | None] = ContextVar("lockstep_refused", default=None)


def install() -> None:
    """Wrap the three functions through which every signed request passes; they are looked up per request."""
    iam_actions.extract_resource_arn = _with_parameters(iam_actions.extract_resource_arn)
    iam_evaluator.enforce = _with_every_resource(iam_evaluator.enforce)
    iam_actions.access_denied_response = _with_aws_texts(iam_actions.access_denied_response)


def _with_parameters(extract_resource_arn: Any) -> Any:  # noqa: ANN401 - MiniStack is untyped
    def resource(service: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *rest: Any) -> str:  # noqa: ANN401
        requested = _requested_parameters(headers, body, *rest[-2:]) if service == "ssm" else None
        if requested is not None:
            return requested
        return str(extract_resource_arn(service, method, path, headers, body, *rest))

    return resource


def _requested_parameters(
    headers: Mapping[str, str], body: bytes, region: str, account: str
) -> RequestedParameters | None:
    if headers.get("x-amz-target", "").rpartition(".")[2] not in _PARAMETER_READS:
        return None
    try:
        request = json.loads(body)
        names = request.get("Names", [request.get("Name")])
    except (ValueError, AttributeError):
        return None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        return None  # authorised against `*`, then refused by the service as malformed
    decrypts = bool(request.get("WithDecryption", False))
    return RequestedParameters.of(tuple(names), region=region, account=account, decrypts=decrypts)


def _with_every_resource(enforce: Any) -> Any:  # noqa: ANN401 - MiniStack is untyped
    def enforce_all(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - EvalResult, AuthError or None
        _refused.set(None)
        arns = resource_arn.arns if isinstance(resource_arn, RequestedParameters) else (resource_arn,)
        for arn in arns:
            denied = enforce(access_key_id, iam_action, service, region, arn, service_context)
            if denied:
                _refused.set(Refused(resource=arn))
                return denied
        for use in _key_uses(iam_action, resource_arn):
            denied = _enforce_key(enforce, access_key_id, use, region)
            if denied:
                _refused.set(Refused(is_key=True))
                return denied
        return None

    return enforce_all


def _enforce_key(enforce: Any, access_key_id: str, use: KeyUse, region: str) -> Any:  # noqa: ANN401
    if use.key_arn is None:
        return iam_evaluator.EvalResult("ImplicitDeny")
    context = {f"kms:EncryptionContext:{key}": value for key, value in use.context.items()}
    context["kms:ViaService"] = f"{use.service}.{region}.amazonaws.com"
    return enforce(access_key_id, "kms:Decrypt", "kms", region, use.key_arn, context)


def _key_uses(iam_action: str, resource_arn: str) -> Iterator[KeyUse]:
    """Yield the decryptions with customer keys that the action leads to, in the order of the request."""
    if iam_action == "secretsmanager:GetSecretValue":
        _, secret = secretsmanager._resolve(resource_arn)
        if secret and _is_customer_key(secret.get("KmsKeyId")):
            key = _key_arn(secret["KmsKeyId"])
            yield KeyUse(key_arn=key, service="secretsmanager", context={"SecretARN": secret["ARN"]})
    if isinstance(resource_arn, RequestedParameters) and resource_arn.decrypts:
        for name in resource_arn.names:
            parameter, _ = ssm._select_parameter(name)
            if parameter and parameter["Type"] == "SecureString" and _is_customer_key(parameter.get("KeyId")):
                key = _key_arn(parameter["KeyId"])
                yield KeyUse(key_arn=key, service="ssm", context={"PARAMETER_ARN": parameter["ARN"]})


def _is_customer_key(key: str | None) -> bool:
    return bool(key) and not str(key).endswith(_AWS_MANAGED_KEYS)


def _key_arn(key: str) -> str | None:
    """Return the ARN of the key that an id, ARN or alias names in the request's account and region."""
    record = kms._resolve_key(key)
    return str(record["Arn"]) if record else None


def _with_aws_texts(access_denied_response: Any) -> Any:  # noqa: ANN401 - MiniStack is untyped
    def response(service: str, action: str, principal_arn: str, request_id: str, **details: Any) -> Any:  # noqa: ANN401
        refused = _refused.get()
        if refused is None or details.get("error_code") or details.get("message"):
            return access_denied_response(service, action, principal_arn, request_id, **details)
        if refused.is_key:
            return error_response_json("AccessDeniedException", _KEY_TEXTS[service], 400)
        details["resource_arn"] = refused.resource
        if service == "secretsmanager" and not details.get("resource_policy_arn"):
            # MiniStack leaves the resource out and answers 403; AWS names it and answers 400.
            text = iam_actions.identity_denial_message(
                action, principal_arn, refused.resource, details.get("explicit_deny", False)
            )
            return error_response_json("AccessDeniedException", text, 400)
        return access_denied_response(service, action, principal_arn, request_id, **details)

    return response
