"""A small engine for Pulumi programs: the real program, real gRPC, no Pulumi CLI.

It speaks the two services that a program needs (`ResourceMonitor` and `Engine`), keeps a state file, and answers with
the document of `pulumi preview --json`. Resources go to the providers that the caller hands in: `aws` to any endpoint
that speaks AWS's APIs, `kubernetes` to manifests in a folder. Unknown resource types, inputs and functions are errors.

It is not a second Pulumi: no imports, transforms, hooks, remote components or secrets provider. A program that uses
one of them is told so.
"""

from __future__ import annotations

from lockstep.engine.aws_provider import AwsProvider
from lockstep.engine.digest import Diagnostic, Severity
from lockstep.engine.kubernetes_manifests import KubernetesManifests, ObjectKey, render_manifest
from lockstep.engine.program import EngineResult, Mode, run_program
from lockstep.engine.resource_provider import ProviderError, ResourceProvider
from lockstep.engine.stack_outputs import StackOutputs
from lockstep.engine.state import EngineState, ResourceState, StateFileError
from lockstep.engine.values import UNKNOWN

__all__ = [
    "UNKNOWN",
    "AwsProvider",
    "Diagnostic",
    "EngineResult",
    "EngineState",
    "KubernetesManifests",
    "Mode",
    "ObjectKey",
    "ProviderError",
    "ResourceProvider",
    "ResourceState",
    "Severity",
    "StackOutputs",
    "StateFileError",
    "render_manifest",
    "run_program",
]
