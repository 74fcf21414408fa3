"""Where this provider answers a vector of the contract otherwise than the AWS provider, on purpose, and why.

Each difference names the tests that hold it; `test_vector_list` sees to it that they exist and claim its vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One deliberate difference.

    Args:
        vectors: Ids of the vectors that it concerns.
        concerns: What else it concerns, in words.
        ours: What this provider does, and upstream does not.
        reason: Why.
        held_by: Names of test functions.
    """

    vectors: tuple[str, ...] = ()
    concerns: str = ""
    ours: str
    reason: str
    held_by: tuple[str, ...]

    @property
    def subject(self) -> str:
        """Vectors and words, as a table shows them."""
        return "; ".join(part for part in (", ".join(self.vectors), self.concerns) if part)


DIFFERENCES: Final = (
    Difference(
        concerns="every failure",
        ours="The culprit decides the gRPC code, among the final ones only; upstream answers UNKNOWN.",
        reason="Driver 1.6 starts the pod with an empty directory after a code that is not final.",
        held_by=("test_every_fault_of_aws_gives_a_final_status_with_its_cause",),
    ),
    Difference(
        concerns="the text of every failure",
        ours="The place (`SecretProviderClass ns/name ...`) comes first, upstream's words behind it.",
        reason="A pod's event must say which class is meant; fragments still match.",
        held_by=("test_a_document_that_breaks_a_rule_is_refused_with_upstreams_words",),
    ),
    Difference(
        concerns="several mistakes in one class",
        ours="All problems of a class are reported at once, in document order; upstream reports the first.",
        reason="One deployment per mistake costs a day.",
        held_by=("test_all_failing_objects_are_reported_at_once",),
    ),
    Difference(
        vectors=("A07",),
        ours="A denial never moves to the failover region; nor does anything but network, time, throttling and 5xx.",
        reason="A revocation must not become a detour.",
        held_by=("test_a07_a_denial_is_never_carried_to_the_failover_region",),
    ),
    Difference(
        vectors=("F04", "F17", "F18", "F19", "X38", "X39", "X40"),
        ours="The failover region is asked for what the primary could not answer, and for nothing else.",
        reason="Upstream asks both, fails for what the second lacks, answers with its versions: polls never settle.",
        held_by=(
            "test_f04_the_backup_is_not_asked_when_the_primary_answers",
            "test_f17_f18_f19_what_the_backup_lacks_or_refuses_does_not_matter",
            "test_x38_x39_x40_the_backup_region_takes_no_part_in_a_remount",
        ),
    ),
    Difference(
        vectors=("F23", "X36", "X47"),
        ours="Batches of parameters and secrets are read at the same time; failures come in the document's order.",
        reason="Latency; upstream stops after the first batch, and its order is random.",
        held_by=(
            "test_f23_invalid_parameters_of_one_of_two_batches",
            "test_x36_failures_of_both_stores_are_told_in_the_documents_order",
            "test_x47_an_invalid_parameter_of_the_second_batch_leaves_no_file",
        ),
    ),
    Difference(
        vectors=("A19", "A20", "X25", "X26", "X27", "X29"),
        ours="The cause of each region follows upstream's `Failed to fetch ... from all regions`.",
        reason="Upstream shows it in its own log only: the first complaint of its users.",
        held_by=(
            "test_a19_a_secret_that_cannot_be_read_shows_the_cause",
            "test_a20_parameters_that_cannot_be_read_show_the_cause",
            "test_x25_x26_a_failure_without_a_type_shows_its_cause",
            "test_x27_a_role_that_does_not_trust_the_pod_is_named_with_account_and_audience",
            "test_x29_p11_what_the_agent_answers_is_told",
        ),
    ),
    Difference(
        vectors=("A28", "A29"),
        ours="The name is refused before the first file is written.",
        reason="All or nothing.",
        held_by=("test_a28_a29_the_provider_itself_writes_no_directories",),
    ),
    Difference(
        concerns="provider-writes mode",
        ours="An unchanged file is not rewritten; the directory's time moves all the same.",
        reason="Needless inotify events; drivers take the directory's time for the last mount.",
        held_by=("test_in_provider_writes_mode_an_unchanged_file_stays_and_the_directory_moves",),
    ),
    Difference(
        vectors=("X01",),
        ours="A permission of JSON `null`, or with bits beyond 0777, is refused.",
        reason="Upstream would write files that nobody may read, mode 0000. The driver sends 420 always.",
        held_by=("test_a_request_that_cannot_be_read_is_refused",),
    ),
    Difference(
        vectors=("X06",),
        ours="A class without objects is refused, with its name.",
        reason="Upstream calls it a success, and the driver then fails without saying why.",
        held_by=("test_a_document_that_upstream_takes_is_refused_on_purpose",),
    ),
    Difference(
        vectors=("X09",),
        ours="The refusal of an unquoted `filePermission: 0600` says how YAML reads it, and to quote it.",
        reason="Upstream shows 384 only.",
        held_by=("test_a_document_that_upstream_takes_is_refused_on_purpose",),
    ),
    Difference(
        vectors=("X10",),
        ours="Bits beyond 0777 are dropped in both write modes.",
        reason="Upstream drops them in one; the driver documents 0 to 511.",
        held_by=("test_x10_bits_beyond_0777_are_dropped",),
    ),
    Difference(
        vectors=("X14", "X16", "X17", "X18", "X19", "X20", "X21"),
        ours="Files that would share a name or leave the volume, and ARNs of other services, are refused at once.",
        reason="Upstream lets the last file win, or fails after the secrets were read.",
        held_by=("test_a_document_that_upstream_takes_is_refused_on_purpose",),
    ),
    Difference(
        vectors=("X30", "X31"),
        ours="A file that vanished is fetched again; what a class no longer lists goes, and so does its version.",
        reason="Upstream fails every poll of the first, and answers old versions of the second for ever.",
        held_by=(
            "test_x30_a_file_that_vanished_is_fetched_again",
            "test_x31_what_the_class_no_longer_lists_goes_with_its_version",
        ),
    ),
    Difference(
        concerns="drivers before 1.6",
        ours="A mounted file stands for a secret only if this process delivered its whole value under that name.",
        reason="Upstream takes whatever stands there, say one JSON key from before the class was changed.",
        held_by=("test_a_file_that_held_something_else_is_no_source_when_the_class_changes",),
    ),
    Difference(
        vectors=("X32", "X33"),
        ours="`name:3` as objectName works, and so does one parameter under two labels.",
        reason="Upstream's process dies of the first, and loses one file of the second.",
        held_by=(
            "test_x32_a_parameters_name_may_hold_its_selector",
            "test_x33_one_parameter_under_two_labels_gives_two_files",
        ),
    ),
    Difference(
        vectors=("X37",),
        ours="`auto` tries the agent's IPv6 address when IPv4 does not answer.",
        reason="Upstream's fallback has been ineffective since its configuration became lazy.",
        held_by=("test_x37_auto_falls_back_to_ipv6",),
    ),
    Difference(
        vectors=("X41",),
        ours="File names of up to 255 bytes can be written.",
        reason="Upstream's temporary name is longer than the file's.",
        held_by=("test_x41_a_long_name_can_be_written",),
    ),
    Difference(
        vectors=("X42",),
        ours="The default mode belongs to the request.",
        reason="Upstream keeps it for the process, so it leaks into a mount that runs at the same time.",
        held_by=("test_x42_mounts_at_the_same_time_keep_their_own_mode",),
    ),
    Difference(
        vectors=("X46",),
        ours="A value that a JMESPath does not fit is told as such, with path and alias; no other region is asked.",
        reason="Upstream says that the secret could not be fetched from any region.",
        held_by=("test_a_value_that_a_path_does_not_fit_is_told_without_the_value",),
    ),
    Difference(
        vectors=("J03",),
        concerns="JMESPath",
        ours="What is no expression is refused before anything is read; expressions have a budget of length and steps.",
        reason="Upstream reads first. A class is untrusted input in the process that holds every pod's secrets.",
        held_by=(
            "test_an_expression_that_is_none_is_refused_before_anything_is_read",
            "test_an_expression_that_asks_for_too_much_is_refused_quickly",
        ),
    ),
    Difference(
        concerns="`objects`",
        ours="No YAML anchors, aliases, merge keys or tags; at most 1 MiB, 2,000 objects and 5,000 files.",
        reason="As above: a few aliases can stand for gigabytes.",
        held_by=("test_anchors_and_aliases_are_refused", "test_a_document_of_more_than_a_mebibyte_is_refused"),
    ),
    Difference(
        concerns="file names",
        ours="Names that no volume can hold (`.`, `a` beside `a/b`, control characters) are refused at once.",
        reason="Upstream reads every secret first; of a bare `.` the driver deletes what is mounted.",
        held_by=("test_a_file_that_could_not_be_told_apart_or_written_is_refused",),
    ),
    Difference(
        concerns="credentials",
        ours="A session serves later mounts of the same identity, with `--cache=off` too.",
        reason="Upstream exchanges the token anew for every mount and region.",
        held_by=("test_credentials_are_kept_until_shortly_before_they_expire",),
    ),
    Difference(
        vectors=("X48",),
        ours="A mount that runs at SIGTERM ends within `--shutdown-grace`, in a final status at the latest then.",
        reason="Upstream waits without limit, until kubelet kills it.",
        held_by=("test_sigterm_lets_a_mount_finish_that_ends_within_the_grace_and_takes_no_new_one",),
    ),
    Difference(
        concerns="flags",
        ours="`--driver-writes-secrets` is true by default.",
        reason="The update is atomic, and neither root nor the kubelet's directory is needed.",
        held_by=("test_every_upstream_flag_is_known_and_one_default_differs_on_purpose",),
    ),
    Difference(
        concerns="IRSA",
        ours="The STS session is named after the service account and lasts 900 s; upstream: the time, one hour.",
        reason="Audit; a revoked trust bites within the session.",
        held_by=("test_sts_is_asked_unsigned_with_a_readable_session_name_and_the_shortest_duration",),
    ),
    Difference(
        concerns="tokens",
        ours="A readable token must be unexpired, of the right audience and of the pod's own service account.",
        reason="A hit in memory needs all that a miss needs, short of AWS.",
        held_by=("test_a_token_that_is_not_the_pods_own_is_refused_before_aws",),
    ),
    Difference(
        concerns="regions",
        ours="A region that AWS does not have is refused, unless every endpoint is overridden.",
        reason="Region names become host names, and clients live for ever.",
        held_by=("test_without_overridden_endpoints_only_regions_of_aws_get_clients",),
    ),
)
