"""The driver's gRPC contract: `service.proto` and the stubs that `make proto` generates from it.

Nothing here is written by hand except the proto file. The package on the wire is `v1alpha1`; this folder only gives
the generated modules a name that cannot collide with another provider's.
"""
