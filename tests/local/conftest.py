"""One emulator for all tests of a session; tests keep apart by names of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from local.oidc_issuer import OidcIssuer
from tests.local.emulated_pods import (
    GIVEN_KEY,
    GIVEN_SECRET,
    GIVEN_SUFFIX,
    ISSUER_URL,
    KEYLESS_ISSUER_URL,
    OTHER_AUDIENCE,
    REGION,
    STS,
    EmulatedPods,
)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Whatever proxy or AWS setting the developer's shell has, the tests do not see it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def issuer() -> OidcIssuer:
    """Return the node's token issuer."""
    return OidcIssuer(ISSUER_URL)


@pytest.fixture(scope="session")
def emulator(issuer: OidcIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run the emulator, with the issuer registered as an OIDC provider."""
    folder = tmp_path_factory.mktemp("emulator")
    issuer.write_key_document(folder / "jwks.json")
    with Emulator(
        issuer=issuer.url,
        jwks=folder / "jwks.json",
        work_dir=folder,
        kms_keys=[GIVEN_KEY],
        secret_suffixes={GIVEN_SECRET: GIVEN_SUFFIX},
    ) as running:
        iam = running.client("iam", REGION)
        for url in (ISSUER_URL, KEYLESS_ISSUER_URL):
            iam.create_open_id_connect_provider(Url=url, ClientIDList=[STS, OTHER_AUDIENCE])
        yield running


@pytest.fixture(scope="session")
def pods(emulator: Emulator, issuer: OidcIssuer) -> Iterator[EmulatedPods]:
    """Make roles and pods in the emulated account."""
    made = EmulatedPods(emulator=emulator, issuer=issuer)
    yield made
    made.close()
