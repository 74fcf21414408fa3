"""A stack's settings: every mistake is named with its key, its file and its fix, all at once."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from components.derivation import Identity
from components.setting_defaults import DEFAULTS
from components.settings import load_settings, parse_settings
from components.stack_config import ConfigKey, ConfigValue, SettingsErrors, load_stack_config

FILE = "stacks/Pulumi.dev.yaml"
#: What nobody could guess; empty in Pulumi.yaml, and reported then.
REQUIRED = {"lockstep:environment", "lockstep:account", "lockstep:clusterName"}
DIGEST = "0" * 64


@pytest.fixture
def good(project: Path) -> dict[ConfigKey, ConfigValue]:
    """Return the dev stack's configuration, defaults included."""
    return dict(load_stack_config(project, "dev").values)


def report(values: dict[ConfigKey, ConfigValue], **changes: ConfigValue) -> list[str]:
    """Return the lines of the report for some values changed; `aws_region` stands for `aws:region`."""
    changed = {ConfigKey(_key(name)): value for name, value in changes.items()}
    with pytest.raises(SettingsErrors) as caught:
        parse_settings({**values, **changed}, "dev", FILE)
    return str(caught.value).splitlines()


def _key(name: str) -> str:
    return f"aws:{name.removeprefix('aws_')}" if name.startswith("aws_") else f"lockstep:{name}"


# ---------------------------------------------------------------------------------------------------------- the texts
@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (
            "account",
            111122223333,
            (
                "lockstep:account: 111122223333 is not text. It is text; YAML reads it as something else. "
                "Fix: put it in quotes. [CFG005]"
            ),
        ),
        (
            "account",
            "1111",
            (
                "lockstep:account: '1111' does not fit. It is 12 digits, in quotes. "
                "Fix: correct lockstep:account. [CFG008]"
            ),
        ),
        (
            "environment",
            None,
            (
                f"lockstep:environment: it is missing. It has no default. "
                f"Fix: add `lockstep:environment: ...` to {FILE}. [CFG006]"
            ),
        ),
        (
            "aws_region",
            "eu-west",
            (
                "aws:region: 'eu-west' does not fit. It is a region's name, like eu-west-1. "
                "Fix: correct aws:region. [CFG008]"
            ),
        ),
        (
            "clusterName",
            "my cluster",
            (
                "lockstep:clusterName: 'my cluster' does not fit. It is the name of an EKS cluster. "
                "Fix: correct lockstep:clusterName. [CFG008]"
            ),
        ),
        (
            "partition",
            "aws-moon",
            (
                "lockstep:partition: 'aws-moon' does not fit. It is one of aws, aws-cn, aws-us-gov. "
                "Fix: correct lockstep:partition. [CFG008]"
            ),
        ),
        (
            "oidcIssuer",
            "oidc.example",
            (
                "lockstep:oidcIssuer: 'oidc.example' does not fit. It is the issuer's https URL. "
                "Fix: correct it, or leave it out to have it looked up. [CFG007]"
            ),
        ),
        (
            "clusterEndpoint",
            "https://api.example",
            (
                "lockstep:clusterEndpoint: it stands without clusterCertificate. Endpoint and certificate go together. "
                "Fix: give lockstep:clusterCertificate too, or neither. [CFG009]"
            ),
        ),
        (
            "identity",
            "podidentity",
            (
                "lockstep:identity: 'podidentity' does not fit. It is one of irsa, podIdentity. "
                "Fix: did you mean 'podIdentity'? [CFG007]"
            ),
        ),
        (
            "createNamespaces",
            "yes",
            (
                "lockstep:createNamespaces: 'yes' is not a boolean. It is true or false. "
                "Fix: write true or false. [CFG005]"
            ),
        ),
        (
            "apps",
            "stacks/apps",
            (
                "lockstep:apps: 'stacks/apps' is not a list of texts. It is a list. "
                "Fix: write one `- text` per line. [CFG005]"
            ),
        ),
        (
            "rolePath",
            "lockstep",
            (
                "lockstep:rolePath: 'lockstep' does not fit. It begins and ends with a slash. "
                "Fix: correct lockstep:rolePath. [CFG008]"
            ),
        ),
        (
            "permissionsBoundary",
            "boundary",
            (
                "lockstep:permissionsBoundary: 'boundary' does not fit. It is the ARN of a policy of this account and "
                "partition, or of AWS. Fix: correct lockstep:permissionsBoundary. [CFG008]"
            ),
        ),
        (
            "deployerRole",
            "arn:aws:iam::999999999999:role/ci",
            (
                "lockstep:deployerRole: 'arn:aws:iam::999999999999:role/ci' does not fit. It is the ARN of a role of "
                "this account and partition. Fix: correct lockstep:deployerRole. [CFG008]"
            ),
        ),
        (
            "fargateSelectors",
            ["batch", "batch:compute"],
            (
                "lockstep:fargateSelectors: 'batch:compute' is not a selector. It is NAMESPACE, or "
                "NAMESPACE:key=value,key=value. Fix: write the selector as the Fargate profile has it. [CFG007]"
            ),
        ),
        (
            "providerImage",
            "repository/provider:latest",
            (
                "lockstep:providerImage: 'repository/provider:latest' does not fit. An image is named by digest, so "
                "that a tag cannot move under it. Fix: write <repository>@sha256:<64 hex digits>, as `make image "
                "PUSH=<repository>` prints it. [CFG007]"
            ),
        ),
        (
            "csiDriverChartVersion",
            "1.6",
            (
                "lockstep:csiDriverChartVersion: '1.6' does not fit. A chart is pinned. "
                "Fix: write an exact version such as 1.6.0. [CFG007]"
            ),
        ),
        (
            "refreshInterval",
            "2 minutes",
            (
                "lockstep:refreshInterval: '2 minutes' is not a duration. It is hours, minutes and seconds in whole "
                "numbers. "
                "Fix: write it like 120s or 2m. [CFG007]"
            ),
        ),
        (
            "refreshInterval",
            "29s",
            (
                "lockstep:refreshInterval: '29s' is too short. Below 30s nothing is fresher: kubelet asks for a pod "
                "every 60 to 90 s. Fix: write 30s or more. [CFG007]"
            ),
        ),
        (
            "refreshIntervall",
            "1m",
            (
                "lockstep:refreshIntervall: the key is unknown. Pulumi.yaml lists the settings. "
                "Fix: did you mean 'lockstep:refreshInterval'? [CFG011]"
            ),
        ),
        (
            "shade",
            "red",
            "lockstep:shade: the key is unknown. Pulumi.yaml lists the settings. Fix: remove it. [CFG011]",
        ),
        (
            "aws_allowedAccountIds",
            ["444455556666"],
            (
                "aws:allowedAccountIds: '111122223333' is not among 444455556666. Access is derived for "
                "lockstep:account and must be placed there. Fix: list '111122223333', or correct "
                "lockstep:account. [CFG010]"
            ),
        ),
    ],
)
def test_a_wrong_setting_says_where_what_and_how(
    good: dict[ConfigKey, ConfigValue], key: str, value: ConfigValue, text: str
) -> None:
    assert report(good, **{key: value}) == [f"{FILE} {text}"]


def test_all_problems_are_reported_at_once_and_each_once(good: dict[ConfigKey, ConfigValue]) -> None:
    lines = report(good, account=1, identity="x", refreshInterval="x", apps=7, colour="red", aws_region="x")
    assert [line.split()[1] for line in lines] == [
        "aws:region:",
        "lockstep:account:",
        "lockstep:apps:",
        "lockstep:colour:",
        "lockstep:identity:",
        "lockstep:refreshInterval:",
    ]


_DEV = load_stack_config(Path(__file__).resolve().parents[2], "dev").values
_SCALARS: st.SearchStrategy[ConfigValue] = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
_ANY = _SCALARS | st.lists(_SCALARS, max_size=3) | st.dictionaries(st.text(), _SCALARS)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from(["account", "apps", "identity", "createNamespaces", "refreshInterval"]), _ANY))
def test_no_value_makes_the_reader_raise_anything_but_its_own_error(changes: dict[str, ConfigValue]) -> None:
    values = dict(_DEV)
    values.update({ConfigKey(f"lockstep:{key}"): value for key, value in changes.items()})
    with contextlib.suppress(SettingsErrors):
        parse_settings(values, "dev", FILE)


# --------------------------------------------------------------------------------------------------------- good stacks
@pytest.mark.parametrize("stack", ["local", "dev", "staging", "prod"])
def test_the_shipped_stacks_are_good(project: Path, stack: str) -> None:
    found = load_settings(project, stack)
    assert found.environment_name == stack
    assert found.environment("https://issuer.example").account == found.account


def test_what_pulumi_hands_over_as_text_means_the_same(project: Path) -> None:
    """Pulumi gives a program every list and boolean as JSON text."""
    config = load_stack_config(project, "prod")
    as_text = {ConfigKey(key): value for key, value in config.as_text().items()}
    assert parse_settings(as_text, "prod", config.file) == parse_settings(config.values, "prod", config.file)


@pytest.mark.parametrize(("text", "seconds"), [("120s", 120), ("2m", 120), ("1h", 3600), ("1h1m1s", 3661), ("30s", 30)])
def test_a_duration_is_read_in_seconds(good: dict[ConfigKey, ConfigValue], text: str, seconds: int) -> None:
    values = {**good, ConfigKey("lockstep:refreshInterval"): text}
    assert parse_settings(values, "dev", FILE).platform.refresh_interval_seconds == seconds


def test_empty_texts_mean_absent(good: dict[ConfigKey, ConfigValue]) -> None:
    """Pulumi wants a default for every key that a stack may leave out, so absence is the empty text."""
    found = parse_settings({**good, ConfigKey("lockstep:oidcIssuer"): ""}, "dev", FILE)
    assert found.oidc_issuer is None
    assert found.permissions_boundary is None
    assert found.identity is Identity.IRSA


def test_every_declared_key_is_read_and_every_key_that_is_read_is_declared(project: Path) -> None:
    parse_settings(load_stack_config(project, "dev").values, "dev", FILE)  # an unread key would be refused


def test_pulumi_checks_nothing_before_the_program_does(project: Path) -> None:
    """A key without a default, or a value of another type, would end `pulumi preview` with the first of them."""
    declared = yaml.safe_load((project / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    assert {name: set(entry) for name, entry in declared.items()} == {
        name: {"description", "default"} for name in declared
    }


def test_the_defaults_of_the_tool_are_those_of_pulumi_yaml(project: Path) -> None:
    declared = yaml.safe_load((project / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    addresses = {"lockstep:csiDriverChartRepository"}
    written = {f"lockstep:{name}": entry["default"] for name, entry in declared.items()}
    assert dict(DEFAULTS) == {key: value for key, value in written.items() if key not in addresses | REQUIRED}
    assert {written[key] for key in REQUIRED} == {""}
    assert not any("://" in str(value) for value in DEFAULTS.values()), "an address stands in one file"


def test_a_pulumi_yaml_from_before_a_key_means_its_default_and_what_has_none_must_be_there(
    good: dict[ConfigKey, ConfigValue],
) -> None:
    for key in [key for key in good if key.startswith("lockstep:")]:
        older = {other: value for other, value in good.items() if other != key}
        if key in DEFAULTS and key != "lockstep:providerImage":
            assert parse_settings(older, "dev", FILE) == parse_settings({**good, key: DEFAULTS[key]}, "dev", FILE)
        else:
            with pytest.raises(SettingsErrors, match=f"{key}: it is missing"):
                parse_settings(older, "dev", FILE)


@pytest.mark.parametrize(
    ("old", "new"), [(False, "never"), (True, "always"), ("false", "never"), ("true", "always"), ("auto", "auto")]
)
def test_what_was_a_boolean_before_keeps_its_meaning(
    good: dict[ConfigKey, ConfigValue], old: ConfigValue, new: str
) -> None:
    """As Pulumi.yaml says it, and as Pulumi hands it to a program."""
    found = parse_settings({**good, ConfigKey("lockstep:preventEarlyPods"): old}, "dev", FILE)
    assert found.platform.prevents_early_pods == new


def test_what_a_stack_must_say_is_told_at_once_and_the_image_with_the_way_to_get_one(project: Path) -> None:
    path = project / "Pulumi.yaml"
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
    values = {ConfigKey(f"lockstep:{name}"): entry["default"] for name, entry in declared.items()}
    assert report(values, aws_region="eu-west-1") == [
        f"{FILE} lockstep:{key}: it is missing. It has no default. "
        f"Fix: add `lockstep:{key}: ...` to {FILE}{how}. [CFG006]"
        for key, how in (
            ("account", ""),
            ("clusterName", ""),
            ("environment", ""),
            (
                "providerImage",
                " and write <repository>@sha256:<64 hex digits>, as `make image PUSH=<repository>` prints it",
            ),
        )
    ]


def test_a_key_without_a_value_is_said_to_have_none(good: dict[ConfigKey, ConfigValue]) -> None:
    assert report(good, protect=None) == [
        f"{FILE} lockstep:protect: it has no value. It is true or false. Fix: write true or false. [CFG005]"
    ]


def test_reading_a_stacks_settings_does_not_load_pulumi(project: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from components.settings import load_settings; "
        "load_settings(Path('.'), 'dev'); sys.exit('pulumi' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=project, check=False)  # noqa: S603 - our own code
    assert ended.returncode == 0


# ----------------------------------------------------------------------------------------------------------- the files
def write_project(folder: Path, stack_text: str | None, project_text: str = "name: lockstep\n") -> None:
    (folder / "Pulumi.yaml").write_text(project_text)
    if stack_text is not None:
        (folder / "Pulumi.dev.yaml").write_text(stack_text)


@pytest.mark.parametrize(
    ("stack_text", "message"),
    [
        ("config: [", "Pulumi.dev.yaml: the file cannot be read"),
        ("", "Pulumi.dev.yaml: the file is empty or no mapping"),
        ("config: 7", "Pulumi.dev.yaml: `config` is not a mapping"),
        ("config:\n  a:b: 1\n  a:b: 2\n", "the key 'a:b' stands twice"),
        ("config:\n  identity: irsa\n", "Fix: write `lockstep:identity`. [CFG003]"),
        ("config:\n  a:b:\n    secure: v1:x\n", "a:b: the value is encrypted. Only the Pulumi CLI can decrypt it"),
    ],
)
def test_a_stack_file_that_cannot_be_used_is_named(tmp_path: Path, stack_text: str, message: str) -> None:
    write_project(tmp_path, stack_text)
    with pytest.raises(SettingsErrors) as caught:
        load_stack_config(tmp_path, "dev")
    assert message in str(caught.value)


def test_a_missing_stack_lists_those_that_there_are(tmp_path: Path) -> None:
    write_project(tmp_path, "config: {}\n")
    with pytest.raises(SettingsErrors) as caught:
        load_stack_config(tmp_path, "devv")
    assert str(caught.value) == (
        "Pulumi.devv.yaml: there is no stack 'devv'. The stacks here are: dev. Fix: did you mean 'dev'? [CFG001]"
    )


def test_a_folder_without_a_project_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsErrors) as caught:
        load_stack_config(tmp_path, "dev")
    assert str(caught.value) == (
        f"{tmp_path}/Pulumi.yaml: there is no such file. A project is a folder with a Pulumi.yaml. "
        "Fix: name its folder with --project. [CFG001]"
    )


def test_a_stacks_value_wins_over_the_default_and_an_override_over_both(tmp_path: Path) -> None:
    project_text = "name: lockstep\nconfig:\n  a: {type: string, default: d}\n  b: bare\n  aws:c: {value: fixed}\n"
    write_project(tmp_path, "config:\n  lockstep:a: s\n", project_text)
    assert load_stack_config(tmp_path, "dev").values == {"lockstep:a": "s", "lockstep:b": "bare", "aws:c": "fixed"}
    overridden = load_stack_config(tmp_path, "dev", {"lockstep:a": "o"})
    assert overridden.values["lockstep:a"] == "o"  # type: ignore[index]
    assert overridden.as_text() == {"aws:c": "fixed", "lockstep:a": "o", "lockstep:b": "bare"}


@pytest.mark.parametrize(
    ("changed", "creates"),
    [
        ({}, True),
        ({"lockstep:createOidcProvider": "false"}, False),
        ({"lockstep:platformStack": "organization/lockstep/platform"}, False),
    ],
)
def test_who_makes_the_oidc_provider_reaches_the_environment(
    good: dict[ConfigKey, ConfigValue], changed: dict[str, str], *, creates: bool
) -> None:
    values = {**good, **{ConfigKey(key): value for key, value in changed.items()}}
    settings = parse_settings(values, "dev", FILE)
    assert settings.environment(settings.oidc_issuer or "").creates_oidc_provider == creates


def test_selectors_of_fargate_and_the_deployer_reach_the_environment(good: dict[ConfigKey, ConfigValue]) -> None:
    deployer = "arn:aws:iam::111122223333:role/ci/deployer"
    selectors: list[ConfigValue] = ["batch-*", "web:compute=fargate,tier=*"]
    changed: dict[ConfigKey, ConfigValue] = {
        ConfigKey("lockstep:deployerRole"): deployer,
        ConfigKey("lockstep:fargateSelectors"): selectors,
    }
    environment = parse_settings({**good, **changed}, "dev", FILE).environment("https://oidc.example/id/X")
    assert environment.deployer_role == deployer
    batch, web = environment.fargate_selectors
    assert (str(batch), str(web)) == ("batch-*", "web:compute=fargate,tier=*")
    assert batch.selects("batch-1", {})
    assert not batch.selects("web", {})
    assert web.selects("web", {"compute": "fargate", "tier": "1", "more": "x"})
    assert not web.selects("web", {"compute": "fargate"})
