"""What the driver sends for one mount → one typed value, or the first thing that is wrong with it.

No region is looked up, no token is verified and no object is parsed here. Every attribute is untrusted: a pod author
can overwrite the class parameters through `volumeAttributes`. Tokens become `SecretText` at once; no error repeats one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from provider_runtime.class_parameters import (
    RoleChain,
    check_failover,
    parse_failover_regions,
    parse_refresh_interval,
    parse_role_arn,
    parse_role_chain,
    parse_share_flag,
)
from provider_runtime.errors import ErrorCode, MountError, shown
from provider_runtime.file_paths import PathTranslation, parse_path_translation
from provider_runtime.go_scalars import parse_go_bool
from provider_runtime.request_json import parse_text_map, parse_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provider_runtime.redaction import SecretText

IRSA_AUDIENCE = "sts.amazonaws.com"
POD_IDENTITY_AUDIENCE = "pods.eks.amazonaws.com"

_POD_NAME = "csi.storage.k8s.io/pod.name"
_POD_NAMESPACE = "csi.storage.k8s.io/pod.namespace"
_POD_UID = "csi.storage.k8s.io/pod.uid"
_SERVICE_ACCOUNT = "csi.storage.k8s.io/serviceAccount.name"
_TOKENS = "csi.storage.k8s.io/serviceAccount.tokens"
_CLASS_NAME = "secretProviderClass"

_HIGHEST_MODE = 0o777
_UINT32_MAX = 2**32 - 1
_JSON_UNSIGNED = re.compile(r"[ \t\r\n]*(0|[1-9][0-9]{0,19})[ \t\r\n]*")


class AddressType(StrEnum):
    """Which address of the Pod Identity agent to try."""

    AUTO = "auto"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class ObjectVersions(StrEnum):
    """What an object version says: upstream's text to the byte, or that text plus a digest of the object's shape."""

    UPSTREAM = "upstream"
    CONTENT = "content"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRequest:
    """One mount as the driver asked for it.

    Args:
        pod_name: Names of pod, service account and class as the driver sent them; empty when it sent none.
        pod_namespace: Namespace of pod, service account and class.
        pod_uid: UID of the pod.
        service_account: Name of the pod's service account.
        class_name: Name of the SecretProviderClass.
        region: Primary region; `None` means that the node's region must be looked up, then `in_region`.
        failover_regions: In order of use, none of them the primary.
        use_pod_identity: EKS Pod Identity instead of IRSA.
        address_type: Which Pod Identity agent address to try.
        role_arn: Class parameter `roleArn`; `None` means that the service account's annotation names the role.
        tokens: Audience → token. The one for `audience` is present and not empty.
        translation: How names become file names.
        objects_text: The `objects` document, unparsed.
        default_mode: Mode of files without a permission of their own, 0..0o777.
        object_versions: Which kind of object version to answer.
        target_path: Where the driver wants the files.
        current_versions: Object id → version that the driver still knows; always empty since driver 1.6.
        role_chain: Class parameters `assumeRoleArn` and `externalId`; `None` means that the pod's own role reads.
        share_across_pods: Class parameter `shareAcrossPods`: pods of one Pod Identity may share what was read, because
            no session tag that names the pod decides about access.
        refresh_interval_seconds: Class parameter `refreshInterval`; `None` means the daemon's setting.
    """

    pod_name: str
    pod_namespace: str
    pod_uid: str
    service_account: str
    class_name: str
    region: str | None
    failover_regions: tuple[str, ...]
    use_pod_identity: bool
    address_type: AddressType
    role_arn: str | None
    tokens: Mapping[str, SecretText]
    translation: PathTranslation
    objects_text: str
    default_mode: int
    object_versions: ObjectVersions
    target_path: str
    current_versions: Mapping[str, str]
    role_chain: RoleChain | None = None
    share_across_pods: bool = False
    refresh_interval_seconds: float | None = None

    @property
    def where(self) -> str:
        """Return the start of every message about this class: `SecretProviderClass <namespace>/<name>`."""
        return _where(self.pod_namespace, self.class_name)

    @property
    def audience(self) -> str:
        """Return the audience whose token proves this pod's identity."""
        return POD_IDENTITY_AUDIENCE if self.use_pod_identity else IRSA_AUDIENCE

    @property
    def token(self) -> SecretText:
        """Return the token for `audience`; parse_mount_request made sure that there is one."""
        return self.tokens[self.audience]

    def in_region(self, region: str) -> MountRequest:
        """Return this request with a primary region that was looked up.

        Raises:
            MountError(FAILOVER_REGION_INVALID): The looked-up region is one of the failover regions.
        """
        check_failover(region, self.failover_regions, self.where)
        return replace(self, region=region)


def parse_mount_request(
    attributes: str,
    target_path: str,
    permission: str,
    current_versions: Sequence[tuple[str, str]],
    *,
    default_region: str | None,
) -> MountRequest:
    """Read one MountRequest; the checks run in the Go provider's order, then ours; the first failure is the answer.

    Args:
        attributes: JSON object of texts: class parameters overlaid by the volume's attributes and the tokens.
        target_path: `.../volumes/kubernetes.io~csi/<volume>/mount`.
        permission: JSON number, always `420` (0644) from the driver.
        current_versions: (id, version) pairs; the last one of an id counts.
        default_region: Region of the process (AWS_REGION), used when the class names none.

    Raises:
        MountError: LSP10x for the request, LSP12x for regions, LSP13x for tokens. Never anything else.
    Source: contract of the Go provider, sections 2.1 to 2.5.
    """
    _check_target_path(target_path)
    values = parse_text_map(attributes)
    where = _where(values.get(_POD_NAMESPACE, ""), values.get(_CLASS_NAME, ""))
    tokens = parse_tokens(values.get(_TOKENS, ""), where)
    default_mode = _parse_default_mode(permission)
    region, failover_regions = _parse_regions(values, default_region, where)
    use_pod_identity = _parse_use_pod_identity(values.get("usePodIdentity", ""), where)
    _check_token(tokens, where, use_pod_identity=use_pod_identity)
    return MountRequest(
        pod_name=values.get(_POD_NAME, ""),
        pod_namespace=values.get(_POD_NAMESPACE, ""),
        pod_uid=values.get(_POD_UID, ""),
        service_account=values.get(_SERVICE_ACCOUNT, ""),
        class_name=values.get(_CLASS_NAME, ""),
        region=region,
        failover_regions=failover_regions,
        use_pod_identity=use_pod_identity,
        address_type=parse_address_type(values.get("preferredAddressType", "")),
        role_arn=parse_role_arn(values.get("roleArn", ""), where),
        tokens=MappingProxyType(tokens),
        translation=parse_path_translation(
            values.get("pathTranslation", ""), where=f"{where} parameters.pathTranslation"
        ),
        objects_text=values.get("objects", ""),
        default_mode=default_mode,
        object_versions=_parse_object_versions(values.get("objectVersions", ""), where),
        target_path=target_path,
        current_versions=MappingProxyType(dict(current_versions)),
        role_chain=parse_role_chain(values.get("assumeRoleArn", ""), values.get("externalId", ""), where),
        share_across_pods=parse_share_flag(values.get("shareAcrossPods", ""), where),
        refresh_interval_seconds=parse_refresh_interval(values.get("refreshInterval", ""), where),
    )


def parse_address_type(text: str) -> AddressType:
    """Read `preferredAddressType`: ipv4 or ipv6 in any case; everything else means auto."""
    lowered = text.lower()
    return AddressType(lowered) if lowered in {AddressType.IPV4, AddressType.IPV6} else AddressType.AUTO


def _where(namespace: str, class_name: str) -> str:
    return f"SecretProviderClass {shown(namespace) or '?'}/{shown(class_name) or '?'}"


def _check_target_path(target_path: str) -> None:
    if not target_path:
        raise MountError(
            ErrorCode.TARGET_PATH_MISSING,
            where="MountRequest.target_path",
            what="Missing mount path",
            fix="none in the class: the driver sends this field; check its version",
        )


def _parse_default_mode(text: str) -> int:
    found = _JSON_UNSIGNED.fullmatch(text)
    if found and int(found[1]) <= _HIGHEST_MODE:
        return int(found[1])
    in_uint32 = found is not None and int(found[1]) <= _UINT32_MAX
    cause = "it has bits beyond 0777" if in_uint32 else "it is not a JSON unsigned number"
    raise MountError(
        ErrorCode.PERMISSION_INVALID,
        where="MountRequest.permission",
        what=f"failed to unmarshal file permission: '{shown(text)}': {cause}",
        rule="A JSON number from 0 to 511, such as 420 for 0644",
        fix="none in the class: the driver sends this field; check its version",
    )


def _parse_regions(
    values: Mapping[str, str], default_region: str | None, where: str
) -> tuple[str | None, tuple[str, ...]]:
    region = values.get("region") or default_region or None
    failover_regions = parse_failover_regions(values, where)
    if region:
        check_failover(region, failover_regions, where)
    return region, failover_regions


def _parse_use_pod_identity(text: str, where: str) -> bool:
    parsed = parse_go_bool(text) if text else False
    if parsed is None:
        raise MountError(
            ErrorCode.POD_IDENTITY_FLAG_INVALID,
            where=f"{where} parameters.usePodIdentity",
            what=f"failed to parse usePodIdentity value: '{shown(text)}'",
            rule="1, t, T, TRUE, true, True, 0, f, F, FALSE, false or False",
            fix='write "true" or "false"',
        )
    return parsed


def _check_token(tokens: Mapping[str, SecretText], where: str, *, use_pod_identity: bool) -> None:
    kind, audience = ("Pod Identity", POD_IDENTITY_AUDIENCE) if use_pod_identity else ("IRSA", IRSA_AUDIENCE)
    token = tokens.get(audience)
    if token is not None and len(token):
        return
    cause = "not found" if token is None else "is empty"
    raise MountError(
        ErrorCode.TOKEN_UNAVAILABLE,
        where=f"{where} {_TOKENS}",
        what=f'{kind} token extraction failed: token for audience "{audience}" {cause}',
        rule="The driver hands over only the tokens that its CSIDriver object asks for",
        fix=f"add the audience {audience} to tokenRequests of the CSIDriver secrets-store.csi.k8s.io",
    )


def _parse_object_versions(text: str, where: str) -> ObjectVersions:
    try:
        return ObjectVersions(text or ObjectVersions.UPSTREAM)
    except ValueError:
        pass
    raise MountError(
        ErrorCode.OBJECT_VERSIONS_INVALID,
        where=f"{where} parameters.objectVersions",
        what=f"'{shown(text)}' is no kind of object version",
        rule="upstream or content",
        fix="write content, or remove objectVersions for the Go provider's versions",
    )
