"""Kubeconfig files, credential plugins and the client of the Kubernetes API, against a server on loopback."""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockstep.cluster.api_server import ApiError, ClusterReader
from lockstep.cluster.kubeconfig import ClusterAccess, User, kubeconfig_files, load_kubeconfig
from lockstep.input_errors import InputError
from tests.fakes.kubernetes import FakeApiServer

TOKEN = "canary-token"


def config(**user: object) -> dict[str, Any]:
    return {
        "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": "https://one.example/", "tls-server-name": "kubernetes"}}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user}],
    }


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def test_files_are_merged_and_the_first_one_that_has_a_name_wins(tmp_path: Path) -> None:
    first = write(
        tmp_path / "a" / "config", {"current-context": "two", "users": [{"name": "u", "user": {"tokenFile": "t"}}]}
    )
    second = config(token="of the second file")
    second["contexts"].append({"name": "two", "context": {"cluster": "c", "user": "u"}})
    access = load_kubeconfig([first, write(tmp_path / "b" / "config", second)])
    assert (access.context, access.server, access.server_name) == ("two", "https://one.example", "kubernetes")
    assert access.user.token_file == tmp_path / "a" / "t", "a relative path counts from its own file"
    assert load_kubeconfig([first, tmp_path / "b" / "config"], "one").context == "one"


def test_certificates_come_inline_or_from_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    document = config(**{"client-certificate": "client.crt", "client-key-data": base64.b64encode(b"KEY").decode()})
    document["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(b"CA").decode()
    (tmp_path / "client.crt").write_bytes(b"CERT")
    access = load_kubeconfig([write(tmp_path / "config", document)])
    assert (access.authority, access.user.certificate, access.user.key) == (b"CA", b"CERT", b"KEY")


def test_the_files_are_the_given_one_those_of_the_variable_or_the_usual_one(tmp_path: Path) -> None:
    usual = write(tmp_path / ".kube" / "config", config())
    one = write(tmp_path / "one", config())
    home = {"HOME": str(tmp_path)}
    assert kubeconfig_files(Path("given"), home) == (Path("given"),)
    assert kubeconfig_files(None, {**home, "KUBECONFIG": f"{tmp_path}/none{os.pathsep}{one}"}) == (one,)
    assert kubeconfig_files(None, home) == (usual,)
    assert kubeconfig_files(None, {"HOME": "/nonexistent"}) == ()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "KUB001"),
        ({"clusters": {}}, "KUB002"),
        ({**config(), "clusters": "x"}, "KUB001"),
        ({**config(), "current-context": "three"}, "KUB002"),
        ({**config(), "clusters": []}, "KUB003"),
        ({**config(), "users": []}, "KUB003"),
        (config(username="admin", password="x"), "KUB003"),
        (config(**{"auth-provider": {"name": "gcp"}}), "KUB003"),
        (config(**{"client-certificate-data": "QQ=="}), "KUB003"),
        (config(**{"client-certificate-data": "%%%"}), "KUB003"),
        ({**config(), "clusters": [{"name": "c", "cluster": {"server": "one.example"}}]}, "KUB003"),
        (config(exec="aws"), "KUB003"),
        (config(exec={"args": ["eks"]}), "KUB003"),
        (config(exec={"command": "aws", "args": "eks get-token"}), "KUB003"),
        (config(exec={"command": "aws", "env": ["AWS_PROFILE=prod"]}), "KUB003"),
        (config(exec={"command": "aws", "env": {"AWS_PROFILE": "prod"}}), "KUB003"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_says_what_to_do(tmp_path: Path, document: object, code: str) -> None:
    with pytest.raises(InputError, match=rf"Fix: .*\[{code}\]"):
        load_kubeconfig([write(tmp_path / "config", document)])


PLUGIN = """\
import json, os, sys
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
with open(sys.argv[1], "a+") as log:
    log.write(json.dumps(info) + "\\n")
    log.seek(0)
    number = len(log.readlines())
token = os.environ["PREFIX"] + str(number)
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": {"token": token}}))
"""


def plugin_user(folder: Path, **changes: object) -> dict[str, Any]:
    (folder / "plugin.py").write_text(PLUGIN)
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": sys.executable,
        "args": [str(folder / "plugin.py"), str(folder / "log")],
        "env": [{"name": "PREFIX", "value": "token-"}],
        "provideClusterInfo": True,
        **changes,
    }
    return {"exec": plugin}


def test_a_credential_plugin_gives_the_token_and_is_asked_again_when_it_expired(tmp_path: Path) -> None:
    """As `aws eks get-token` in a kubeconfig that `aws eks update-kubeconfig` wrote."""
    with FakeApiServer(documents={"/version": {"gitVersion": "v1.36.2"}}, tokens={"token-2"}) as server:
        reader = ClusterReader(load_kubeconfig([server.kubeconfig(tmp_path / "config", plugin_user(tmp_path))]))
        assert reader.get("/version") == {"gitVersion": "v1.36.2"}
        assert reader.get("/version")
        reader.close()
    assert server.seen_tokens == ["token-1", "token-2", "token-2"]
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [each["spec"] for each in told] == [{"interactive": False, "cluster": {"server": server.url}}] * 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"command": "/nonexistent/aws", "installHint": "get it there"}, "cannot be started.*get it there"),
        ({"args": ["-c", "import sys; sys.exit('expired session')"]}, "exit code 1 and said: expired session"),
        ({"args": ["-c", f"print('{TOKEN}')"]}, "no ExecCredential"),
        ({"args": ["-c", f'print(\'{{"status": {{}}, "x": "{TOKEN}"}}\')']}, "neither a token nor a certificate"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "apiVersion"),
    ],
)
def test_a_plugin_that_gives_no_credentials_is_named_and_its_output_is_not(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    with FakeApiServer() as server:
        reader = ClusterReader(load_kubeconfig([server.kubeconfig(tmp_path / "c", plugin_user(tmp_path, **changes))]))
        with pytest.raises(InputError, match=rf"{why}.*Fix: .*\[KUB004\]") as error:
            reader.get("/version")
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize("line", [f"{TOKEN}: x", f"*{TOKEN}", f"!{TOKEN} x", f'"{TOKEN}'])
def test_what_is_no_yaml_is_told_by_its_place_and_not_quoted(tmp_path: Path, line: str) -> None:
    file = tmp_path / "config"
    file.write_text(f"users:\n- name: u\n  user:\n    token: {line}\n")
    with pytest.raises(InputError, match=r"line \d+, column \d+ .*\[KUB001\]") as error:
        load_kubeconfig([file])
    assert TOKEN not in str(error.value)


@pytest.mark.parametrize("token", [f"{TOKEN}\n{TOKEN}", f"{TOKEN}\x00", f"{TOKEN}\u00e9"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_quoted(tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token)
    for user in (User(token=token), User(token_file=tmp_path / "token")):
        reader = ClusterReader(ClusterAccess(context="c", server="http://127.0.0.1:9", user=user))
        with pytest.raises(InputError, match=r"context c: .*\[KUB003\]") as error:
            reader.get("/version")
        assert TOKEN not in str(error.value)


def test_white_space_around_a_token_is_no_part_of_it(tmp_path: Path) -> None:
    with FakeApiServer(documents={"/version": {}}, tokens={TOKEN}) as server:
        reader = ClusterReader(load_kubeconfig([server.kubeconfig(tmp_path / "c", {"token": f"{TOKEN}\n"})]))
        assert reader.get("/version") == {}
        reader.close()


def test_what_a_plugin_or_a_proxy_is_given_is_in_no_repr(tmp_path: Path) -> None:
    plugin = {"command": "login", "args": [TOKEN], "env": [{"name": "A", "value": TOKEN}]}
    access = load_kubeconfig([write(tmp_path / "config", config(exec=plugin))])
    assert access.user.plugin is not None
    assert TOKEN not in repr(access.user.plugin)
    assert TOKEN not in repr(replace(access, proxy=f"http://user:{TOKEN}@proxy.example"))


def test_a_token_is_in_no_repr_and_no_error(tmp_path: Path) -> None:
    access = load_kubeconfig([write(tmp_path / "config", config(token=TOKEN))])
    assert access.user.token == TOKEN
    assert TOKEN not in repr(access)
    reader = ClusterReader(ClusterAccess(context="c", server="http://127.0.0.1:9", user=access.user))
    with pytest.raises(ApiError, match="cannot be reached") as error:
        reader.get("/version")
    assert TOKEN not in str(error.value)


def test_pages_are_put_together_and_refusals_are_told() -> None:
    names = [f"node-{number}" for number in range(5)]
    nodes = [{"metadata": {"name": name}} for name in names]
    with FakeApiServer(collections={"/api/v1/nodes": nodes}, forbidden={"/version"}) as server:
        reader = ClusterReader(ClusterAccess(context="c", server=server.url, user=User(token=TOKEN)))
        assert [item["metadata"]["name"] for item in reader.listed("/api/v1/nodes")] == names
        assert reader.find("/api/v1/nodes/none") is None
        with pytest.raises(ApiError, match="403 /version is forbidden"):
            reader.get("/version")
        reader.close()


def test_a_certificate_that_is_none_is_a_problem_of_the_kubeconfig() -> None:
    access = ClusterAccess(context="c", server="https://127.0.0.1:9", user=User(), authority=b"not PEM")
    with pytest.raises(InputError, match=r"kubeconfig context c: .*\[KUB003\]"):
        ClusterReader(access).get("/version")


@pytest.fixture(scope="module")
def identity() -> tuple[bytes, bytes]:
    """Return a certificate for 127.0.0.1 that signed itself, and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("kubernetes")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), text


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # the user is warned as well
@pytest.mark.parametrize(
    ("changes", "is_let_in"),
    [
        ({}, True),
        ({"user": User()}, False),
        ({"authority": b""}, False),
        ({"server_name": ""}, False),
        ({"server_name": "elsewhere"}, False),
        ({"authority": b"", "server_name": "", "is_unverified": True}, True),
    ],
    ids=["all right", "no client certificate", "unknown authority", "other address", "other name", "unverified"],
)
def test_both_sides_are_verified(
    identity: tuple[bytes, bytes], tmp_path: Path, changes: dict[str, Any], *, is_let_in: bool
) -> None:
    certificate, key = identity
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate + key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    tls.load_verify_locations(pem)
    tls.verify_mode = ssl.CERT_REQUIRED
    with FakeApiServer(documents={"/version": {"gitVersion": "v1"}}, tls=tls) as server:
        access = ClusterAccess(
            context="c",
            server=server.url,
            user=User(certificate=certificate, key=key),
            authority=certificate,
            server_name="kubernetes",
        )
        reader = ClusterReader(replace(access, **changes))
        try:
            if is_let_in:
                assert reader.get("/version") == {"gitVersion": "v1"}
            else:
                with pytest.raises(ApiError, match="cannot be reached"):
                    reader.get("/version")
        finally:
            reader.close()
