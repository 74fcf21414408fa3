"""From one app spec to IAM, trust, SecretProviderClass and mount: a pure library.

No Pulumi, no AWS SDK, no clock, no environment variable, no randomness: the same spec and environment give the same
bytes. `load_specs` reads and checks, `derive_all` derives, `render_json` prints.
"""

from .access import (
    AppAccess,
    DerivedFile,
    FleetAccess,
    ForeignAccount,
    ForeignStatements,
    Manifest,
    Mount,
    NamedPolicy,
    PodIdentityAssociation,
    RoleChainAccess,
    SecretPolicy,
)
from .derive import derive
from .environment import Environment, FargateSelector
from .errors import Problem, SpecErrors, Spot
from .fleet import derive_all, derive_fleet
from .grants import Grant
from .iam import PolicyDocument, Statement
from .render import (
    dump_json,
    dump_yaml,
    render_document,
    render_files,
    render_fleet,
    render_fleet_files,
    render_json,
    render_yaml,
)
from .spec import AppSpec, Identity, Store
from .spec_reader import load_specs, parse_specs
from .spec_shape import json_schema
from .workload import WorkloadRole, derive_role, role_of

__all__ = [
    "AppAccess",
    "AppSpec",
    "DerivedFile",
    "Environment",
    "FargateSelector",
    "FleetAccess",
    "ForeignAccount",
    "ForeignStatements",
    "Grant",
    "Identity",
    "Manifest",
    "Mount",
    "NamedPolicy",
    "PodIdentityAssociation",
    "PolicyDocument",
    "Problem",
    "RoleChainAccess",
    "SecretPolicy",
    "SpecErrors",
    "Spot",
    "Statement",
    "Store",
    "WorkloadRole",
    "derive",
    "derive_all",
    "derive_fleet",
    "derive_role",
    "dump_json",
    "dump_yaml",
    "json_schema",
    "load_specs",
    "parse_specs",
    "render_document",
    "render_files",
    "render_fleet",
    "render_fleet_files",
    "render_json",
    "render_yaml",
    "role_of",
]
