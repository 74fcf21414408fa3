"""The guard of an app's pods: for which files it waits, and what it may do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from components.derivation import Environment, SpecErrors, derive, parse_specs, render_files

IMAGE = f"registry.example/provider@sha256:{'1' * 64}"
PLAIN = Environment(
    name="dev", region="eu-west-1", account="111122223333", cluster="dev", oidc_issuer="https://issuer.example"
)
GUARDED = dataclasses.replace(PLAIN, guard_image=IMAGE)
SPEC = """
version: 1
app: shop
namespace: shop
mounts: {tls: /etc/tls}
secrets:
  - name: dev/db
    file: db.json
    keys: {user: db/user}
    template: {file: url, text: "${db/user}"}
  - {name: dev/extra, file: extra.json, optional: true}
  - {name: dev/cert, file: cert.pem, mount: tls}
"""


def guard(spec: str, environment: Environment = GUARDED) -> dict[str, Any] | None:
    return derive(parse_specs(spec, "spec")[0], environment).guard


def test_it_waits_for_every_file_that_must_be_there_in_every_mount() -> None:
    found = guard(SPEC)
    assert found is not None
    assert found["args"] == ["/mnt/secrets/db.json", "/mnt/secrets/db/user", "/etc/tls/cert.pem"]
    assert [mount["mountPath"] for mount in found["volumeMounts"]] == ["/mnt/secrets", "/etc/tls"]


def test_it_is_the_providers_image_without_any_right() -> None:
    found = guard(SPEC)
    assert found is not None
    assert found["image"] == IMAGE
    context = found["securityContext"]
    assert (context["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (True, True)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert all(mount["readOnly"] for mount in found["volumeMounts"])


def test_there_is_none_without_an_image_and_where_every_object_is_optional() -> None:
    assert guard(SPEC, PLAIN) is None
    assert guard("version: 1\napp: a\nnamespace: a\nsecrets:\n  - {name: dev/x, optional: true}\n") is None


def test_it_is_printed_beside_the_volumes_and_changes_nothing_else() -> None:
    spec = parse_specs(SPEC, "spec")[0]
    plain, guarded = (render_files([derive(spec, environment)]) for environment in (PLAIN, GUARDED))
    differing = {name for name in guarded if guarded[name] != plain[name]}
    assert differing == {"shop/pod-volume.yaml"}
    assert "initContainers:" in guarded["shop/pod-volume.yaml"]


@pytest.mark.parametrize("image", ["", "provider:latest", "provider@sha256:short"])
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    with pytest.raises(SpecErrors, match=r"guardImage.*by digest"):
        dataclasses.replace(PLAIN, guard_image=image)
