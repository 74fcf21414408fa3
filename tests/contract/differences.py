"""Where this provider answers a vector of the contract otherwise than the AWS provider, on purpose, and why.

Each difference names the test that holds it; `test_differences` sees to it that the test exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One deliberate difference.

    Args:
        vectors: What it concerns.
        ours: What this provider does, and upstream does not.
        reason: Why.
        held_by: Name of a test function.
    """

    vectors: str
    ours: str
    reason: str
    held_by: str


DIFFERENCES: Final = (
    Difference(
        vectors="every failure",
        ours="The culprit decides the gRPC code, among the final ones only; upstream answers UNKNOWN.",
        reason="Driver 1.6 starts the pod with an empty directory after a code that is not final.",
        held_by="test_every_fault_of_aws_gives_a_final_status_with_its_cause",
    ),
    Difference(
        vectors="every failure",
        ours="The place (`SecretProviderClass ns/name ...`) comes first, upstream's words behind it.",
        reason="A pod's event must say which class is meant; fragments still match.",
        held_by="test_a_document_that_breaks_a_rule_is_refused_with_upstreams_words",
    ),
    Difference(
        vectors="A18, A21, V03-V26",
        ours="All problems of a class are reported at once, in document order; upstream reports the first.",
        reason="One deployment per mistake costs a day.",
        held_by="test_all_failing_objects_are_reported_at_once",
    ),
    Difference(
        vectors="A07, X25",
        ours="A denial never moves to the failover region.",
        reason="A revocation must not become a detour.",
        held_by="test_a07_a_denial_is_never_carried_to_the_failover_region",
    ),
    Difference(
        vectors="A19, A20, X25-X27",
        ours="The cause of each region follows upstream's `Failed to fetch ... from all regions`.",
        reason="Upstream shows it in its own log only: the first complaint of its users.",
        held_by="test_a19_a_secret_that_cannot_be_read_shows_the_cause",
    ),
    Difference(
        vectors="A19, A20, X36",
        ours="Secrets and parameters are read at the same time; the answer's order is the document's.",
        reason="Latency; upstream's order is random.",
        held_by="test_a20_parameters_that_cannot_be_read_show_the_cause",
    ),
    Difference(
        vectors="A28, A29",
        ours="The name is refused before the first file is written.",
        reason="All or nothing.",
        held_by="test_a28_a29_the_provider_itself_writes_no_directories",
    ),
    Difference(
        vectors="A01 in mode W",
        ours="An unchanged file is not rewritten; the directory's time moves all the same.",
        reason="Needless inotify events; drivers take the directory's time for the last mount.",
        held_by="test_in_provider_writes_mode_the_answer_holds_versions_and_the_directory_the_files",
    ),
    Difference(
        vectors="flags",
        ours="`--driver-writes-secrets` is true by default.",
        reason="The update is atomic, and neither root nor the kubelet's directory is needed.",
        held_by="test_every_upstream_flag_is_known_and_one_default_differs_on_purpose",
    ),
    Difference(
        vectors="IRSA",
        ours="The STS session is named after the service account and lasts 900 s; upstream: the time, one hour.",
        reason="Audit; a revoked trust bites within the session.",
        held_by="test_sts_is_asked_unsigned_with_a_readable_session_name_and_the_shortest_duration",
    ),
    Difference(
        vectors="tokens",
        ours="A readable token must be unexpired, of the right audience and of the pod's own service account.",
        reason="A hit in memory needs all that a miss needs, short of AWS.",
        held_by="test_a_token_that_is_not_the_pods_own_is_refused_before_aws",
    ),
    Difference(
        vectors="P01, P09, X37",
        ours="`auto` tries the agent's IPv6 address when IPv4 does not answer.",
        reason="Upstream's fallback has been ineffective since its configuration became lazy.",
        held_by="test_auto_falls_back_to_the_other_address",
    ),
    Difference(
        vectors="regions",
        ours="A region that AWS does not have is refused, unless every endpoint is overridden.",
        reason="Region names become host names, and clients live for ever.",
        held_by="test_without_overridden_endpoints_only_regions_of_aws_get_clients",
    ),
)
